"""The opcode table: what a row takes besides itself is there, and what is made from its columns is right.

A row without its handler, its text, its dead-code rule or its machine code fails here, and the message says where the
missing part goes; ``docs/adding-an-instruction.md`` has the whole way.
"""

from __future__ import annotations

import io
import re
import tokenize
from math import prod
from pathlib import Path

import pytest

import vibewasm
from tests.binary.builder import ModuleBuilder
from tests.compiler import example
from tests.fuzz import instructions as fuzz_instructions
from vibewasm import Config, Engine, Module
from vibewasm.backends import TARGETS, backend
from vibewasm.binary.const_expr import CONSTANT
from vibewasm.compiler import instructions
from vibewasm.compiler.immediates import CHECKED_KINDS
from vibewasm.compiler.instructions import unreachable, unreachable_control
from vibewasm.opcodes import (
    ACCESSES,
    BY_CODE,
    CODE,
    PREFIXES,
    TRAITS,
    VECTOR_PREFIX,
    Row,
    all_rows,
    codes_with,
    has_signature,
    name_of,
    opcode_bytes,
    prefixed,
    spelled,
)
from vibewasm.wat import wasm2wat, wat2wasm

TABLE = all_rows()
CONFIGS: list[dict[str, object]] = [{}, {"fuel": True}, {"checked": True}, {"explicit_bounds": True}]
_UNREACHABLE = bytes((CODE["unreachable"],))
#: The rules of dead code, in their two files.
RULES = unreachable.RULES | unreachable_control.RULES
PACKAGE = Path(vibewasm.__file__).parent


def without_handler(row: Row) -> str | None:
    code, name = row[:2]
    if code < 256 and instructions.KINDS[code] != instructions.BY_HANDLER:
        return None
    try:
        if instructions.handler_of(code) is not None:
            return None
    except AttributeError as error:
        return f"{name} has no handler: write the function in its module in compiler/instructions/ ({error})"
    return (
        f"{name} has no handler: put it into TOPICS in compiler/instructions/__init__.py, and write a function of its "
        f"name in that module"
    )


def without_dead_code_rule(row: Row) -> str | None:
    code, name, kinds = row[:3]
    if example.name_of(row) in RULES or (has_signature(code) and CHECKED_KINDS.issuperset(kinds.split())):
        return None
    return (
        f"{name} has no dead-code rule: its signature depends on something, or one of its immediates ({kinds}) is not "
        f"of those that compiler/immediates.py checks (check_immediate), so it takes a function in RULES in "
        f"compiler/instructions/unreachable.py, or in unreachable_control.py if few modules have it"
    )


def test_no_rule_of_dead_code_stands_twice() -> None:
    assert not unreachable.RULES.keys() & unreachable_control.RULES.keys()


def without_example(row: Row) -> str | None:
    try:
        example.operands_of(row), example.encoded(row)
    except KeyError as error:
        return (
            f"{row[1]}: {error} is not said: give its operands, or its kind of immediate, in tests/compiler/example.py"
        )
    return None


def without_text(row: Row) -> str | None:
    name = row[1]
    body = example.closed(row, example.encoded(row))
    binary = example.module(body)
    try:
        text = wasm2wat(binary)
    except vibewasm.WasmError as error:
        return f"{name} cannot be written as text: give its immediates a reader in wat/code_writer.py ({error})"
    if not re.search(rf"^\s*{re.escape(name)}\b", text, re.MULTILINE):
        return f"{name} is not in its text: see wat/code_writer.py"
    try:
        again = wat2wasm(text)
    except vibewasm.WasmError as error:
        return f"{name} cannot be read from text: give its immediates a reader in wat/code_reader.py ({error})"
    return None if body in again else f"{name} is another instruction after it was text: see wat/code_reader.py"


def without_lowering(row: Row, target: str) -> str | None:
    """Compile it alone; what it leaves behind it is forgotten by ``unreachable``."""
    name = row[1]
    instruction = example.closed(row, example.pushed(example.operands_of(row)) + example.encoded(row))
    for options in CONFIGS:
        try:
            compile_(example.module(instruction + _UNREACHABLE), target, **options)
        except Exception as error:
            return f"{name} is not compiled for {target} ({options}): it takes a rule in backends/{target}/: {error!r}"
    return None


def compile_(data: bytes, target: str = "x86_64", **options: object) -> list[bytes]:
    module = Module(Engine(Config(target=target, **options)), data)  # type: ignore[arg-type]  # names of its options
    return [module.compiler.compile(defined) for defined in range(len(module.info.bodies))]


def missing(row: Row) -> list[str]:
    """All that a row lacks."""
    found = [without_handler(row), without_dead_code_rule(row), without_example(row)]
    if found[2] is None:
        found += [without_text(row), *(without_lowering(row, target) for target in TARGETS)]
    return [what for what in found if what is not None]


@pytest.mark.ci
def test_every_instruction_has_all_that_it_takes() -> None:
    found = [what for row in TABLE for what in missing(row)]
    assert not found, "\n".join(["the opcode table has rows that lack something:", *found])


@pytest.mark.parametrize("row", TABLE, ids=example.name_of)
def test_every_instruction_is_valid_in_dead_code(row: Row) -> None:
    operands, instruction = example.pushed(example.operands_of(row)), example.encoded(row)
    # With operands, with those that dead code has of every type, and with such that are below a block.
    bodies = [operands + instruction, _UNREACHABLE + instruction, instruction]
    # But none of them reach into a block that is opened around the instruction.
    for body in bodies[: 2 if row[1] == "br_on_non_null" else 3]:
        compile_(example.module(_UNREACHABLE + example.closed(row, body) + _UNREACHABLE))


#: An opcode of nothing.
UNUSED = next(code for code in range(255, 0, -1) if code not in BY_CODE and code not in PREFIXES)


def plant(row: Row, monkeypatch: pytest.MonkeyPatch) -> Row:
    code = row[0]
    monkeypatch.setitem(BY_CODE, code, row)
    monkeypatch.setitem(fuzz_instructions.KINDS, code, tuple(row[2].split()))
    return row


def test_a_row_alone_is_not_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    row = plant((UNUSED, "i32.toy", "toy", None, None, "toys", ""), monkeypatch)
    handler, dead, immediate = missing(row)
    assert "i32.toy has no handler: put it into TOPICS in compiler/instructions/__init__.py" in handler
    assert "RULES in compiler/instructions/unreachable.py, or in unreachable_control.py" in dead
    assert "'i32.toy' is not said: give its operands" in immediate or "'toy'" in immediate


@pytest.mark.parametrize("name", ["i32.rotl", "i64.lt_u", "f64.add"])
def test_a_backend_may_take_any_instruction_with_two_operands_together_with_the_next(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = BY_CODE[CODE[name]]
    used = example.pushed(example.operands_of(row)) + example.encoded(row) + _UNREACHABLE
    alone = compile_(example.module(used), target="aarch64")
    monkeypatch.setattr(backend("aarch64").target, "FUSED", frozenset((name,)))
    assert compile_(example.module(used), target="aarch64") == alone


def test_a_row_without_text_and_machine_code_is_told_where_they_go(monkeypatch: pytest.MonkeyPatch) -> None:
    row = plant((UNUSED, "i32.toy", "toy", "ii", "i", "toys", ""), monkeypatch)
    monkeypatch.setitem(example.IMMEDIATES, "toy", 0)
    found = missing(row)
    assert any(
        "i32.toy cannot be written as text: give its immediates a reader in wat/code_writer.py" in x for x in found
    )
    for target in TARGETS:
        assert any(f"i32.toy is not compiled for {target}" in x and f"a rule in backends/{target}/" in x for x in found)


# -- columns -----------------------------------------------------------------------------------------------------------


def names(codes: frozenset[int]) -> set[str]:
    return {example.name_of(BY_CODE[code]) for code in codes}


def test_codes_and_names_are_unique() -> None:
    assert len(BY_CODE) == len(TABLE) == len(CODE)
    assert all(CODE[example.name_of(row)] == row[0] for row in TABLE)


@pytest.mark.parametrize("sub", [0, 1, 0x13, 0xFF, 0x100, 0xFFF, 0x1000, 0x10000, 2**31, 2**32 - 1])
def test_no_two_prefixed_opcodes_share_a_code(sub: int) -> None:
    codes = {prefixed(prefix, sub) for prefix in PREFIXES} | {prefixed(prefix, sub ^ 1) for prefix in PREFIXES}
    assert len(codes) == 2 * len(PREFIXES)
    assert not codes & set(range(256))
    for prefix in PREFIXES:
        code = prefixed(prefix, sub)
        assert opcode_bytes(code)[0] == prefix
        assert fuzz_instructions.read_uleb(opcode_bytes(code), 1) == (sub, len(opcode_bytes(code)))
        assert spelled(code) == opcode_bytes(code).hex(" ")


def test_accesses_have_a_size_and_an_address() -> None:
    for code, name, kinds, operands, _, _, traits in TABLE:
        assert (code in ACCESSES) == ("memarg" in kinds)
        if "memarg" in kinds:
            assert len([trait for trait in traits.split() if trait.isdigit()]) == 1, name
            assert str(operands)[0] == "a", name
            numbers = re.findall(r"\d+", name.split(".")[1]) or re.findall(r"\d+", name)
            # v128.load8x8_s has lanes, and how many.
            assert 8 << ACCESSES[code] == prod(map(int, numbers)), name


def test_traits_are_known_and_agree_with_what_else_the_row_says() -> None:
    for code, name, kinds, operands, results, _, traits in TABLE:
        has = set(traits.split())
        assert has <= TRAITS.keys(), name
        assert ("opens" in has) == ("block" in kinds.split()), name
        simple = not kinds and bool(operands) and bool(results)
        if has & {"compares", "immediate", "shift"}:
            assert simple, (
                f"{name}: only an instruction of fixed operands and results compares, shifts or has immediates"
            )
        if "compares" in has:
            assert results == "i", name
        if has & {"immediate", "shift"}:
            assert operands in ("ii", "ll", "vi"), name
        if code > 255 and code >> 32 != VECTOR_PREFIX:
            by_byte = has & {"opens", "ends", "leaves", "calls", "boundary", "free", "tests", "compares", "immediate"}
            assert not by_byte, (
                f"{name}: the loop, metering and checking look at one byte, so they would not see {by_byte}"
            )


def test_where_control_can_leave_or_enter_is_a_boundary_of_fuel() -> None:
    jumps = {row[0] for row in TABLE if {"label", "labels"} & set(row[2].split())}
    control = jumps | codes_with("ends") | codes_with("leaves") | codes_with("calls")
    # Nothing jumps to the beginning of these, and where one begins control goes on as it did.
    control |= codes_with("opens") - {CODE["block"], CODE["try"], CODE["try_table"]}
    assert names(codes_with("boundary")) == names(frozenset(control))
    # What depends on neither operands nor the stack's height, and is none of the above, goes on with the next one.
    assert not any(has_signature(code) for code in codes_with("boundary"))


@pytest.mark.parametrize("row", TABLE, ids=example.name_of)
def test_code_is_dead_exactly_after_what_leaves(row: Row) -> None:
    # Two f64 are on no stack here, so that only dead code can add them.
    if "ends" in row[6].split():
        return
    used = example.pushed(example.operands_of(row)) + example.encoded(row)
    tail = bytes((CODE["f64.add"],)) + _UNREACHABLE
    inside = example.module(example.closed(row, used + tail))
    if row[0] in codes_with("leaves"):
        # A block around it ends the dead code.
        compile_(inside)
        return
    for data in (inside, example.module(example.closed(row, used) + tail)):
        with pytest.raises(vibewasm.ValidationError, match=r"type mismatch: f64\.add"):
            compile_(data)


def test_comparisons_are_those_that_are_called_so() -> None:
    words = {"eqz", "eq", "ne", "lt", "lt_s", "lt_u", "gt", "gt_s", "gt_u", "le", "le_s", "le_u", "ge", "ge_s", "ge_u"}
    of_vectors = {"any_true", "all_true", "bitmask"}
    assert names(codes_with("compares")) == {
        row[1]
        for row in TABLE
        if row[1].split(".")[-1] in (words if row[1].split(".")[0] in ("i32", "i64", "f32", "f64") else of_vectors)
    }


@pytest.mark.parametrize("row", [row for row in TABLE if row[0] in CONSTANT], ids=example.name_of)
def test_constant_instructions_are_read_checked_and_evaluated(row: Row) -> None:
    builder = ModuleBuilder()
    letters = {"i": "i32", "l": "i64", "f": "f32", "d": "f64", "v": "v128", "c": "funcref", None: None}
    imported = builder.import_global("env", "g", "i32")
    function = builder.func((), ())
    operands = b"".join({"i": b"\x41\x06", "l": b"\x42\x06"}[letter] for letter in row[3] or "")
    type_ = letters[row[4]] or {"global.get": "i32", "ref.null": "funcref", "ref.func": "funcref"}[row[1]]
    index = builder.global_(type_, operands + example.encoded(row), export="made")
    assert (imported, function, index) == (0, 0, 1)
    engine = Engine()
    store = vibewasm.Store(engine)
    linker = vibewasm.Linker(engine)
    linker.define("env", "g", vibewasm.Global(store, vibewasm.GlobalType("i32", False), 7))
    made = linker.instantiate(store, Module(engine, builder.build())).exports.made.value
    by_name = {"i32.const": 1, "i64.const": 1, "v128.const": 1, "global.get": 7, "ref.null": None}
    by_name |= {
        f"{kind}.{name}": value for kind in ("i32", "i64") for name, value in (("add", 12), ("sub", 0), ("mul", 36))
    }
    if row[1] in by_name:
        assert made == by_name[row[1]]
    elif row[1] == "ref.func":
        assert isinstance(made, vibewasm.Func)
    else:
        # The bits 1: the smallest number that is greater than 0.
        assert made in (2**-149, 5e-324)


# -- one table only ----------------------------------------------------------------------------------------------------

#: Files that say what instructions do: opcodes stand in none of them as numbers.
READERS = [
    *(PACKAGE / "compiler").rglob("*.py"),
    *(
        PACKAGE / name
        for name in (
            "instances/constants.py",
            "instances/arithmetic.py",
            "binary/const_expr.py",
            "wat/code_reader.py",
            "wat/code_writer.py",
        )
    ),
    *(PACKAGE / name for name in ("wat/words.py", "wat/source_map.py")),
]
#: Numbers in hexadecimal that are no opcodes: masks, the flag of a memory index, and padding in a listing.
_NO_OPCODES = {"0xFFFFFFFF", "0xFFFF_FFFF", "0xFFFFFFFFFFFFFFFF", "0xFFFF_FFFF_FFFF_FFFF", "0xFFFFC000", "0xFF", "0x40"}


@pytest.mark.parametrize("path", READERS, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_opcode_stands_anywhere_but_in_the_table(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    numbers = [
        f"{path}, line {token.start[0]}: {token.string}: use CODE[...] or a trait of vibewasm/opcodes.py"
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.NUMBER and token.string[:2] == "0x" and token.string not in _NO_OPCODES
    ]
    assert numbers == []
    cut = re.findall(r"\bname\[[\d:]+\]|\bname\.(?:startswith|endswith|removeprefix)\(", source)
    assert cut == [], f"{path}: what a name means is said by a trait of vibewasm/opcodes.py, not by its letters"


def test_what_is_no_instruction_is_spelled_by_name_of() -> None:
    assert name_of(0xFF) == "ff"
    assert name_of(CODE["memory.copy"]) == "memory.copy"
