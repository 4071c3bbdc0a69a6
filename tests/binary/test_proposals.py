"""Proposals that are not built are named, by the same name wherever a module that uses one turns up, and what is no
proposal's stays malformed.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.binary.encode import HEADER, custom, module, section, unsigned
from vibewasm import Config, DecodeError, Engine, Module, ValidationError, WasmError
from vibewasm.cli import main
from vibewasm.opcodes import CODE, prefixed, row_of
from vibewasm.proposals import TITLES
from vibewasm.wat import wasm2wat, wat2wasm

_DEAD = b"\x00"

#: Those whose titles are plurals.
PLURAL = {
    "custom-descriptors",
    "custom-page-sizes",
    "memory64",
    "multi-memory",
    "shared-everything-threads",
    "stringref",
    "threads",
}

#: What is built, but for those who turn it off.
CAN_BE_OFF = {"legacy-exceptions"}


def body(*code: int | bytes, dead: bool = False) -> bytes:
    """A module with one function that has these instructions, in code that is reached or is not."""
    parts = b"".join(bytes((part,)) if isinstance(part, int) else part for part in code)
    expression = b"\0" + _DEAD * dead + parts + b"\x0b"
    return module(
        section("type", b"\1\x60\0\0"),
        section("function", b"\1\0"),
        section("memory", b"\1\0\1"),
        section("code", b"\1" + unsigned(len(expression)) + expression),
    )


#: By proposal: modules that use it, of which no reader can make anything.
BINARIES: dict[str, list[bytes]] = {
    "compact-imports": [
        module(section("import", b"\1\1m\0\x7f\1\1a\0\0")),
        module(section("import", b"\1\1m\0\x7e\0\0\1\1a")),
    ],
    "custom-descriptors": [
        body(0xFB, 0x22, 0),
        module(section("type", b"\1\x4d\0\x5f\0")),
        module(section("type", b"\1\x4c\0\x5f\0")),
        module(section("global", b"\1\x63\x62\0\0\xd0\0\x0b")),
    ],
    "custom-page-sizes": [
        module(section("memory", b"\1\x08\0\0")),
        module(section("memory", b"\1\x09\0\1\0")),
        module(section("import", b"\1\1m\1m\2\x0c\0\x10")),
    ],
    "gc": [
        *(body(0xFB, sub, 0, 0) for sub in range(0x1F)),
        body(0xD3),
        module(section("global", b"\1\x7f\0\xfb\0\0\x0b")),
        module(section("table", b"\1\x40\0\x70\0\1\xfb\x1c\x0b")),
    ],
    "half-precision": [body(0xFC, 0x30, 0, 0), body(0xFC, 0x31, 0, 0), body(0xFD, b"\xa0\2")],
    "memory-control": [body(0xFC, 0x12, 0)],
    "shared-everything-threads": [
        body(0xFE, 0x4F, 0, 0),
        body(0xFE, 0x72),
        module(section("type", b"\1\x65\x60\0\0")),
        module(section("global", b"\1\x63\x65\x6e\0\xd0\x6e\x0b")),
    ],
    "stack-switching": [
        *(body(op, 0, 0) for op in range(0xE0, 0xE7)),
        module(section("type", b"\1\x5d\0")),
        module(section("type", b"\1\x60\1\x68\0")),
        module(section("global", b"\1\x68\0\xd0\x68\x0b")),
        module(section("table", b"\1\x68\0\0")),
        module(section("global", b"\1\x63\x75\0\xd0\x75\x0b")),
    ],
    "stringref": [
        body(0xFB, b"\x82\1", 0),
        module(section("global", b"\1\x67\0\xd0\x67\x0b")),
        module(section("type", b"\1\x60\2\x66\x61\0")),
    ],
    "threads": [body(0xFE, 0x03, 0), body(0xFE, 0x00, 2, 0), body(0xFE, 0x10, 2, 0), body(0xFE, 0x4E, 2, 0)],
    "wide-arithmetic": [body(0xFC, sub) for sub in range(0x13, 0x17)],
}

#: By proposal: the same in text.
TEXTS: dict[str, list[str]] = {
    "compact-imports": ['(import "m" (item "a" (func)) (item "b" (func)))', '(import "m" (item "a") (func))'],
    "component-model": [
        "(component)",
        "(component $c (core module))",
        "(core module)",
        '(component (import "a" (func)))',
    ],
    "custom-descriptors": [
        "(type (descriptor 1 (struct)))",
        "(type (describes 0 (struct)))",
        "(global (ref null exact 0) ref.null 0)",
        "(func ref.get_desc 0)",
        "(func (drop (struct.new_desc 0)))",
        "(func ref.cast_desc_eq (ref 0))",
    ],
    "custom-page-sizes": [
        "(memory 1 (pagesize 1))",
        "(memory 1 2 (pagesize 65536))",
        "(memory i64 1 (pagesize 1))",
        '(import "m" "m" (memory 1 (pagesize 1)))',
        '(memory (import "m" "m") 1 (pagesize 1))',
        '(memory (pagesize 1) (data "a"))',
    ],
    "gc": [
        "(func struct.new 0)",
        "(func (array.len))",
        "(func ref.i31)",
        "(func (ref.test (ref null any)))",
        "(func i31.get_s)",
        "(func br_on_cast 0 anyref anyref)",
        "(func ref.eq)",
        "(func any.convert_extern)",
        "(global i32 (struct.new 0))",
        "(type (struct)) (global (ref 0) (struct.new 0))",
    ],
    "half-precision": ["(func f32.load_f16)", "(func (f16x8.add))"],
    "memory-control": ["(func memory.discard)"],
    "shared-everything-threads": [
        "(type (shared (func)))",
        "(func global.atomic.get seq_cst 0)",
        "(global (ref (shared any)) unreachable)",
        "(func ref.i31_shared)",
        "(func pause)",
    ],
    "stack-switching": [
        "(type (cont 0))",
        "(func cont.new 0)",
        "(func suspend 0)",
        "(func (resume 0 (on 0 0)))",
        "(func switch 0 0)",
        "(func (param contref))",
        "(func (param nullcontref))",
        "(func ref.null cont)",
        "(table 1 contref)",
    ],
    "stringref": [
        "(func (param stringref))",
        '(func string.const "a")',
        "(func stringview_wtf16.length)",
        "(func ref.null string)",
    ],
    "threads": [
        "(func atomic.fence)",
        "(func (i32.atomic.load))",
        "(func i64.atomic.rmw8.add_u)",
        "(func memory.atomic.notify)",
    ],
    "wide-arithmetic": ["(func i64.add128)", "(func i64.sub128)", "(func (i64.mul_wide_s))", "(func i64.mul_wide_u)"],
}

#: By proposal: what both formats can say, so that only what validates or runs a module names the proposal.
IN_BOTH: dict[str, list[str]] = {
    "gc": [
        "(type (struct))",
        "(type (array i8))",
        "(rec (type (func)) (type (struct)))",
        "(rec (type $f (func (param (ref $a)))) (type $a (array (mut (ref null $f)))))",
        "(type (sub (struct (field i32))))",
        "(type (sub final (array i8)))",
        "(func (param anyref))",
        "(func (param (ref struct)))",
        "(tag (param nullexternref))",
        "(global i31ref ref.null i31)",
        "(table 1 eqref (ref.null none))",
        "(func (param nullfuncref))",
    ],
    "memory64": ["(memory i64 1)", "(table i64 1 funcref)"],
    "multi-memory": ["(memory 1) (memory 1)"],
    "shared-everything-threads": ["(table 1 1 shared funcref)"],
    "threads": ["(memory 1 1 shared)"],
}


def cases(table: dict[str, list[bytes]] | dict[str, list[str]]) -> list[object]:
    return [
        pytest.param(feature, case, id=f"{feature}-{number}")
        for feature, found in table.items()
        for number, case in enumerate(found)
    ]


#: By proposal, what was refused once, and is built.
BUILT: dict[str, list[str]] = {
    "exceptions": [
        "(tag)",
        '(import "m" "t" (tag))',
        '(tag (export "t") (param i32))',
        "(func (param exnref))",
        "(global exnref ref.null exn)",
        "(global (ref null noexn) ref.null noexn)",
        "(tag) (func throw 0)",
        "(func (throw_ref (ref.null exn)))",
        "(func (try_table))",
        "(func try_table end)",
        "(tag) (func (block (try_table (catch 0 0) (catch_all 1))))",
    ],
    "function-references": [
        "(func (call_ref 0 (ref.null 0)))",
        "(func (return_call_ref 0 (ref.null 0)))",
        "(func (drop (ref.as_non_null (ref.null 0))))",
        "(func (drop (br_on_null 0 (ref.null extern))))",
        "(func (drop (block (result (ref func)) (br_on_non_null 0 (ref.null func)) (unreachable))))",
        "(table 1 (ref func) (ref.func 0)) (func)",
        "(func (param (ref func)))",
        "(type (func)) (global (ref null 0) ref.null 0)",
        "(func (local (ref 0)))",
    ],
    "gc": ["(rec)", "(rec (type (func)) (type (func)))", "(type (sub (func)))", "(type $f (func (param (ref $f))))"],
    "tail-call": ["(func return_call 0)", "(table 1 funcref) (func (return_call_indirect (type 0) (i32.const 0)))"],
}
#: The older form of exceptions.
OLDER = [
    "(func try catch_all end)",
    "(func (try (do) (catch_all)))",
    "(tag) (func try $l catch 0 end)",
    "(func try catch_all rethrow 0 end)",
    "(func try delegate 0)",
    "(func unreachable try catch_all end)",
    "(func unreachable block try delegate 0 end)",
]


@pytest.mark.parametrize(("feature", "text"), cases(BUILT))
def test_what_is_built_is_valid_and_the_same_after_it_was_text(feature: str, text: str) -> None:
    wasmtime = pytest.importorskip("wasmtime")
    wasm = wat2wasm(text)
    assert wat2wasm(wasm2wat(wasm)) == wasm
    Module.validate(Engine(), wasm)
    Module(Engine(Config(compilation="eager")), wasm)
    wasmtime.Module.validate(wasmtime.Engine(), wasm)
    # Of garbage collection there are the types of functions; the rest of it is refused.
    assert (feature == "gc") == (feature in TITLES)


@pytest.mark.parametrize("text", OLDER)
def test_the_older_exceptions_are_on_unless_they_are_turned_off(text: str) -> None:
    wasm = wat2wasm(text)
    assert wat2wasm(wasm2wat(wasm)) == wasm
    Module.validate(Engine(), wasm)
    off = Engine(Config(legacy_exceptions=False))
    for given in (wasm, text):
        with pytest.raises(ValidationError) as caught:
            Module.validate(off, given)
        assert caught.value.message == (
            "legacy exception handling is turned off: Config(legacy_exceptions=True) allows it"
        )
        assert caught.value.feature == TITLES["legacy-exceptions"]
        assert caught.value.func_index == 0
        assert wasm[caught.value.offset or 0] == CODE["try"]


@pytest.mark.parametrize("text", BUILT["exceptions"])
def test_the_exceptions_of_today_stay_where_the_older_ones_are_turned_off(text: str) -> None:
    Module.validate(Engine(Config(legacy_exceptions=False)), text)


def named(feature: str, error: WasmError) -> None:
    if feature == "component-model":
        assert TITLES[feature] in error.message
        assert "take the core module out of it with `wasm-tools component unbundle`" in error.message
        return
    assert isinstance(error, ValidationError), error
    assert error.message.startswith(f"{TITLES[feature]} ("), error
    verb = "are" if feature in PLURAL else "is"
    assert f") {verb} not supported yet" in error.message


def test_every_proposal_has_its_cases() -> None:
    assert {*BINARIES, *IN_BOTH, "component-model"} == set(TITLES) - CAN_BE_OFF
    assert {*TEXTS, *IN_BOTH} == set(TITLES) - CAN_BE_OFF
    assert len(set(TITLES.values())) == len(TITLES)


@pytest.mark.parametrize(("feature", "wasm"), cases(BINARIES))
def test_a_binary_module_names_it(feature: str, wasm: bytes) -> None:
    for use in (lambda: Module.validate(Engine(), wasm), lambda: wasm2wat(wasm)):
        with pytest.raises(WasmError) as caught:
            use()
        named(feature, caught.value)
        assert caught.value.offset >= len(HEADER)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("feature", "text"), cases(TEXTS))
def test_text_names_it(feature: str, text: str) -> None:
    for use in (lambda: wat2wasm(text), lambda: Module(Engine(), text), lambda: Module(Engine(), text.encode())):
        with pytest.raises(WasmError) as caught:
            use()
        named(feature, caught.value)
        assert "(line 1, column " in caught.value.message


@pytest.mark.parametrize(("feature", "text"), cases(IN_BOTH))
def test_what_both_formats_can_say_is_named_where_it_would_run(feature: str, text: str) -> None:
    wasm = wat2wasm(text)
    assert wat2wasm(wasm2wat(wasm)) == wasm
    with pytest.raises(ValidationError) as caught:
        Module.validate(Engine(), wasm)
    named(feature, caught.value)


@pytest.mark.parametrize("wasm", [b"\0asm\x0d\0\1\0", b"\0asm\x0d\0\1\0" + bytes(9), b"\0asm\1\0\1\0"])
def test_a_component_is_named_and_stays_malformed_as_a_module(wasm: bytes) -> None:
    for use in (lambda: Module(Engine(), wasm), lambda: wasm2wat(wasm)):
        with pytest.raises(DecodeError) as caught:
            use()
        assert caught.value.message.startswith("unknown binary version: ")
        named("component-model", caught.value)


COMMANDS = [["validate"], ["wasm2wat"], ["disasm"], ["inspect"], ["run", "--eager", "--invoke", "f"]]


@pytest.mark.parametrize("feature", sorted({*BINARIES, *TEXTS}))
def test_commands_name_it(feature: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wasm, wat = tmp_path / "a.wasm", tmp_path / "a.wat"
    wasm.write_bytes(BINARIES.get(feature, [b"\0asm\x0d\0\1\0"])[0])
    wat.write_text(TEXTS[feature][0])
    for path in (wasm, wat):
        for words in (*COMMANDS, ["wat2wasm"]):
            if words[0] == ("wat2wasm" if path == wasm else "wasm2wat") or (words[0] == "inspect" and path == wasm):
                continue
            if words[0] == "disasm":
                pytest.importorskip("capstone")
            assert main([*words, str(path)]) == 1, words
            assert f"{TITLES[feature]} (" in capsys.readouterr().err, words


def test_a_program_that_runs_into_it_names_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.wasm"
    expression = b"\0\xfd\xa0\2\x0b"
    wasm = module(
        section("type", b"\1\x60\0\0"),
        section("function", b"\1\0"),
        section("export", b"\1\6_start\0\0"),
        section("code", b"\1" + unsigned(len(expression)) + expression),
    )
    path.write_bytes(wasm)
    assert main(["run", str(path)]) == 1
    assert "half precision (opcode fd a0 02) is not supported yet (in function 0" in capsys.readouterr().err


def opcodes() -> list[tuple[int, int | None]]:
    found: list[tuple[int, int | None]] = [(op, None) for op in range(256) if not 0xFB <= op <= 0xFE]
    found += [(prefix, sub) for prefix in range(0xFB, 0xFF) for sub in range(0x180)]
    return found + [(prefix, sub) for prefix in range(0xFB, 0xFF) for sub in (0xFFF, 0x1000, 0x1012, 0xFFFFFFFF)]


#: Of proposals that wasmtime's own reader does not have.
NOT_IN_WASMTIME = {
    *((0xFB, sub) for sub in range(0x80, 0xB8)),
    (0xFC, 0x30),
    (0xFC, 0x31),
    *((0xFD, sub) for sub in range(0x120, 0x14E)),
}


def outcomes(engine: Engine, wasm: bytes) -> list[WasmError | None]:
    """What validating a module raises, and what writing it as text."""
    found: list[WasmError | None] = []
    for use in (lambda: Module.validate(engine, wasm), lambda: wasm2wat(wasm)):
        try:
            use()
            found.append(None)
        except WasmError as error:
            found.append(error)
    return found


@pytest.mark.parametrize("dead", [False, True])
def test_an_opcode_that_no_proposal_has_is_malformed_and_every_other_is_not(dead: bool) -> None:
    wasmtime = pytest.importorskip("wasmtime")
    engine, theirs = Engine(), wasmtime.Engine()
    for opcode, sub in opcodes():
        code = bytes((opcode,)) + (b"" if sub is None else unsigned(sub))
        wasm = body(code, bytes(24), dead=dead)
        verdict = ""
        try:
            wasmtime.Module.validate(theirs, wasm)
        except wasmtime.WasmtimeError as error:
            verdict = str(error)
        illegal = ("illegal opcode" in verdict or "subopcode" in verdict) and (opcode, sub) not in NOT_IN_WASMTIME
        for found in outcomes(engine, wasm):
            words = found.message if found else ""
            if is_built(opcode, sub):
                assert "illegal opcode" not in words, code.hex()
                assert "(opcode" not in words, code.hex()
            elif illegal:
                assert type(found) is DecodeError, code.hex()
                assert words.startswith(f"illegal opcode {code.hex(' ')}"), code.hex()
            else:
                assert type(found) is ValidationError, code.hex()
                assert words.partition(f"(opcode {code.hex(' ')}) ")[2] in (
                    "is not supported yet",
                    "are not supported yet",
                ), code.hex()


def is_built(opcode: int, sub: int | None) -> bool:
    return row_of(opcode if sub is None else prefixed(opcode, sub)) is not None


@pytest.mark.parametrize(
    "wasm",
    [
        module(section("memory", b"\1\x08\0")),
        module(section("memory", b"\1\x08\0\x80")),
        module(section("memory", b"\1\x10\0\0")),
        module(section("memory", b"\1\x88\0\0\0")),
        module(section("table", b"\1\x70\x08\0\0")),
        module(section("import", b"\1\1m\1a\x7f\0\0")),
        module(section("type", b"\1\x51\0")),
        module(section("type", b"\1\x60\1\x60\0")),
        module(section("global", b"\1\x63\x40\0\x0b")),
        HEADER + b"\x0e\1\0",
        b"\0asm\2\0\0\0",
        b"\0asm\0\0\1\1",
    ],
)
def test_what_is_no_proposals_stays_malformed(wasm: bytes) -> None:
    for use in (lambda: Module.validate(Engine(), wasm), lambda: wasm2wat(wasm)):
        with pytest.raises(DecodeError) as caught:
            use()
        assert type(caught.value) is DecodeError
        assert "not supported" not in caught.value.message


@pytest.mark.parametrize(
    "text",
    ["(pages)", "(memory 1 (page 1))", "(modul)", "(func i64.add256)", "(func v129.load)", "(func item)"],
)
def test_words_that_no_proposal_has_stay_malformed(text: str) -> None:
    with pytest.raises(DecodeError):
        wat2wasm(text)


def test_hints_are_stepped_over() -> None:
    hints = custom("metadata.code.branch_hint", b"\1\0\1\0\1\1")
    priority = custom("metadata.code.compilation_priority", b"\1\0\1\0")
    wasm = wat2wasm('(func (@metadata.code.branch_hint "\\01") (if (i32.const 1) (then)))')
    assert wasm == wat2wasm("(func (if (i32.const 1) (then)))")
    Module.validate(Engine(), wasm[:8] + hints + priority + wasm[8:])
    assert wasm2wat(wasm + hints) == wasm2wat(wasm)


def test_extended_constant_expressions_are_built() -> None:
    Module.validate(Engine(), "(global i32 (i32.add (i32.const 1) (i32.mul (i32.const 2) (i32.const 3))))")
