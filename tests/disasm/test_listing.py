"""Listings: every byte is there, belongs to a wasm instruction, and its operands have names."""

from __future__ import annotations

from typing import Any

import pytest

import vibewasm
from tests.api.wasm import gets, instance_of
from tests.binary.builder import ModuleBuilder
from tests.binary.encode import i32_const, unsigned
from vibewasm.backends import TARGETS
from vibewasm.disasm.diff import side_by_side
from vibewasm.disasm.machine import Reader, target_named
from vibewasm.disasm.model import FunctionListing, Group, Instruction
from vibewasm.traps import TRAPS

from . import golden


def module_of(text: str | bytes, **config: object) -> vibewasm.Module:
    return vibewasm.Module(vibewasm.Engine(vibewasm.Config(**config)), text)  # type: ignore[arg-type]  # by keyword


def bytes_of(listing: FunctionListing) -> bytes:
    """The machine code that a listing shows."""
    return b"".join(item.bytes for group in listing.groups for item in group.machine)


def switch(ways: int) -> ModuleBuilder:
    """A module whose function 0 has a jump table with so many ways."""
    m = ModuleBuilder()
    branch = b"\x20\x00\x0e" + unsigned(ways) + b"".join(map(unsigned, range(ways))) + unsigned(ways)
    body = b"\x02\x40" * (ways + 1) + branch + b"\x0b"
    body += b"".join(i32_const(way) + b"\x0f\x0b" for way in range(ways)) + i32_const(-1)
    m.func(["i32"], ["i32"], body, export="switch")
    return m


@pytest.mark.parametrize("target", TARGETS)
def test_listings_are_the_golden_ones(target: str) -> None:
    # Where the compiler has changed on purpose: python -m tests.disasm.golden, and read what it writes.
    assert golden.listing(target) == golden.path(target).read_text(encoding="utf-8")


@pytest.mark.parametrize("target", TARGETS)
def test_every_byte_is_shown_in_order(target: str) -> None:
    m = ModuleBuilder()
    m.func(["i32", "i32"], ["i32"], gets(2) + b"\x6a", export="add")
    m.func([], [], b"\x03\x40\x0c\x00\x0b")
    module = module_of(m.build(), target=target)
    for listing in module.disassemble():
        assert bytes_of(listing) == listing.code == module.compiler.compile(listing.index)
        assert next(iter(listing)).address == 0
        assert all(item.flow != "bad" for item in listing)


@pytest.mark.parametrize("number", TRAPS)
def test_a_trap_is_named(number: int) -> None:
    code = bytes([0x0F, 0xB9, 0x40, number])
    ((offset, raw, shape),) = Reader("x86_64").read(code, 0, 4)
    assert (offset, raw, shape.trap, shape.mnemonic) == (0, code, number, "ud1")


def test_a_ud1_with_another_number_is_no_trap() -> None:
    ((_, _, shape),) = Reader("x86_64").read(b"\x0f\xb9\x40\x70", 0, 4)
    assert shape.trap == 0


def test_what_looks_like_a_trap_inside_an_instruction_is_none() -> None:
    # mov rax, imm64 with the bytes of a trap in the immediate, then a real trap.
    code = b"\x48\xb8\x00\x0f\xb9\x40\x01\x00\x00\x00" + b"\x90\x0f\xb9\x40\x02\xc3"
    read = list(Reader("x86_64").read(code, 0, len(code)))
    assert [shape.mnemonic for _, _, shape in read] == ["movabs", "nop", "ud1", "ret"]
    assert b"".join(raw for _, raw, _ in read) == code


def test_bytes_that_are_no_instruction_are_shown_as_bytes() -> None:
    shapes = [shape for _, _, shape in Reader("x86_64").read(b"\x90\x06\x90\x48\x8b", 0, 5)]
    assert [f"{shape.mnemonic} {shape.operands}".strip() for shape in shapes] == [
        "nop",
        ".byte 0x06",
        "nop",
        ".byte 0x48",
        ".byte 0x8b",
    ]
    assert [shape.flow for shape in shapes] == ["", "bad", "", "bad", "bad"]


def test_a_distance_amid_code_is_no_instruction() -> None:
    words = (
        0x1000_0090,  # adr x16, #16
        0xB980_0208,  # ldrsw x8, [x16]
        0x8B08_0210,  # add x16, x16, x8
        0x1400_0002,  # b #8
        0x0012_3458,  # how far away the table is
        0xD503_201F,  # nop
    )
    code = b"".join(word.to_bytes(4, "little") for word in words)
    spans = list(target_named("aarch64").spans(None, code, 0, len(code)))
    assert spans == [(offset, 4, offset == 16) for offset in range(0, 24, 4)]
    # Without the jump over it, or its address taken, it is code.
    for place in (0, 12):
        other = code[:place] + words[5].to_bytes(4, "little") + code[place + 4 :]
        assert not any(is_data for _, _, is_data in target_named("aarch64").spans(None, other, 0, len(code)))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("ways", [8, 13, 40])
def test_a_jump_table_is_no_code(ways: int, target: str) -> None:
    (listing,) = module_of(switch(ways).build(), target=target).disassemble()
    assert bytes_of(listing) == listing.code
    starts = {item.address for item in listing}
    (table,) = (group for group in listing.groups if group.kind == "table")
    entries = [item for item in table.machine if item.mnemonic == ".long"]
    assert len(entries) == ways
    assert all(item.target in starts for item in entries)
    assert table.wasm.startswith("br_table")
    (address,) = listing.tables
    assert entries[0].address == address
    assert not any(item.flow == "bad" for item in listing)
    # Every way is a successor of the block that ends with the jump through the table.
    reached = {to for block in listing.blocks for to, kind in block.successors if kind == "table"}
    assert reached == {item.target for item in entries}


VECTORS = """(module (memory 1) (global $g (mut v128) (v128.const i32x4 1 2 3 4))
    (func $f (param $a v128) (param $way i32) (result v128) (local $b v128)
        (local.set $b (i8x16.add (local.get $a) (v128.const i8x16 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16)))
        (global.set $g (local.get $b))
        (block (block (block (block (br_table 0 1 2 3 (local.get $way)))
            (return (i32x4.add (local.get $a) (v128.const i32x4 0x12345678 2 3 4))))
            (return (i32x4.sub (local.get $b) (v128.const i32x4 0x12345678 2 3 4)))))
        (f64x2.add (local.get $b) (v128.const f64x2 1 2))))"""


@pytest.mark.parametrize("target", TARGETS)
def test_vectors_have_registers_of_vectors_and_their_constants_are_data_with_labels(target: str) -> None:
    module = module_of(VECTORS, target=target)
    [listing] = module.disassemble()
    assert bytes_of(listing) == listing.code == module.compiler.compile(0)
    assert all(item.flow != "bad" for item in listing)
    letter = {"x86_64": "xmm", "aarch64": "q"}[target]
    registers = {home.name: home.register for home in listing.locals}
    assert str(registers["$a"]).startswith(letter)
    assert str(registers["$b"]).startswith(letter)
    data = [item for group in listing.groups if group.kind == "literals" for item in group.machine]
    constants = {item.operands: item for item in data if item.mnemonic == ".octa"}
    # One that two instructions read is there once.
    assert constants.keys() == {
        "0x100f0e0d0c0b0a090807060504030201",
        "0x00000004000000030000000212345678",
        "0x40000000000000003ff0000000000000",
    }
    assert not {item.address for item in data} & {item.address for item in listing}
    for operand, item in constants.items():
        assert item.bytes == int(operand, 16).to_bytes(16, "little")
        assert item.address % 16 == 0
        label = listing.labels[item.address]
        readers = [other for other in listing if other.target == item.address]
        assert readers
        assert all(label in (*other.symbols, *other.operands.split(", ")) for other in readers)
        assert item.wasm_offset == readers[0].wasm_offset
    [shared] = [item for operand, item in constants.items() if operand.endswith("12345678")]
    assert shared.symbols == ("i32x4 0x12345678 0x00000002 0x00000003 0x00000004",)
    assert len([other for other in listing if other.target == shared.address]) == 2
    assert any("$g" in item.symbols for item in listing)
    addresses = [item.address for group in listing.groups for item in group.machine]
    assert addresses == sorted(addresses)
    text = str(listing)
    assert ";; constants" in text
    assert ";; jump table" in text
    assert '"literals"' in str(listing.as_dict()).replace("'", '"')
    assert "i32x4 0x12345678" in side_by_side(listing, listing)
    assert "i32x4 0x12345678" in listing._repr_html_()
    blocks = listing.blocks
    assert blocks[-1].end <= min(item.address for item in data)


def test_a_long_mnemonic_stands_apart_from_its_operands() -> None:
    listing = FunctionListing(0, None, "f", vibewasm.FuncType([], []), "x86_64", "x86-64", (0, 1), b"\x90", 0, [])
    item = Instruction(0, b"\x90", "vpblendvb", "xmm0, xmm1", ("$a",), (), "", None, 0)
    listing.groups = [Group("body", 0, 0, "nop", [item])]
    assert f"{'vpblendvb xmm0, xmm1':<45}; $a" in str(listing)
    assert "vpblendvb xmm0" in listing._repr_html_()


@pytest.mark.parametrize("target", TARGETS)
def test_operands_are_named(target: str) -> None:
    module = module_of(golden.SOURCE.read_text(), target=target)
    symbols = {
        listing.name: {symbol for item in listing for symbol in item.symbols} for listing in module.disassemble()
    }
    assert {"$from", "$length", "$total", "interrupt word", "poll"} <= symbols["sum"]
    assert {"$which", "$count", "$log", "$handlers", "length of $handlers", "$unary"} <= symbols["dispatch"]
    assert "stack limit" in symbols["dispatch"]


@pytest.mark.parametrize("target", TARGETS)
def test_faulting_instructions_say_their_trap(target: str) -> None:
    module = module_of(golden.SOURCE.read_text(), target=target)

    def traps(name: str) -> set[str]:
        return {trap for item in module.disassemble(name)[0] for trap in item.traps}

    assert "out of bounds memory access" in traps("sum")
    assert {"integer divide by zero", "integer overflow"} <= traps("divide")
    assert {"undefined element", "indirect call type mismatch", "uninitialized element"} <= traps("dispatch")
    assert traps("twice") == set()


def test_a_remainder_cannot_overflow() -> None:
    module = module_of("(module (func (param i32 i32) (result i32) (i32.rem_s (local.get 0) (local.get 1))))")
    assert {trap for item in module.disassemble()[0] for trap in item.traps} == {"integer divide by zero"}


def test_with_explicit_bounds_no_access_faults() -> None:
    module = module_of(golden.SOURCE.read_text(), explicit_bounds=True)
    (listing,) = module.disassemble("sum")
    faulting = [item for item in listing if "out of bounds memory access" in item.traps]
    assert all(item.flow == "trap" for item in faulting)
    assert faulting


@pytest.mark.parametrize("target", TARGETS)
def test_wasm_instructions_are_all_there_and_in_order(target: str) -> None:
    (listing,) = module_of(golden.SOURCE.read_text(), target=target).disassemble("factorial")
    body = [group for group in listing.groups if group.kind == "body"]
    assert [group.wasm.split("  ;;")[0] for group in body] == [
        "local.get $n",
        "i64.eqz",
        "if (result i64)",
        "i64.const 1",
        "else",
        "local.get $n",
        "local.get $n",
        "i64.const 1",
        "i64.sub",
        "call $factorial",
        "i64.mul",
        "end",
        "end",
    ]
    offsets = [group.wasm_offset for group in body]
    assert offsets == sorted(offset for offset in offsets if offset is not None)
    for group in listing.groups:
        assert all(item.wasm_offset == group.wasm_offset for item in group.machine)


@pytest.mark.parametrize("target", TARGETS)
def test_spills_and_reloads_are_counted(target: str) -> None:
    calls = "(i32.add " * 6 + "(call $f)" + "(call $f))" * 6
    module = module_of(
        f'(module (func $f (import "m" "f") (result i32)) (func (export "g") (result i32) {calls}))', target=target
    )
    (listing,) = module.disassemble("g")
    assert listing.spills >= 6
    assert listing.reloads >= 6
    assert module_of(golden.SOURCE.read_text(), target=target).disassemble("mean")[0].spills == 0


def test_many_locals_are_shown_as_runs() -> None:
    (listing,) = module_of(f"(module (func (local {'i32 ' * 3000} {'f64 ' * 1000})))").disassemble()
    assert sum(home.count for home in listing.locals) == 4000
    assert len(listing.locals) < 140
    assert str(listing).startswith("func (;0;): () -> ()\n")


def test_things_are_called_as_they_are_exported_where_they_have_no_other_name() -> None:
    m = ModuleBuilder()
    m.func(["i32", "i32"], ["i32"], gets(2) + b"\x6a", export="add up")
    (listing,) = module_of(m.build()).disassemble()
    assert listing.symbol == '$"add up"'


def test_functions_disassemble_themselves() -> None:
    listing = instance_of(switch(8)).exports["switch"].disassemble()
    assert str(listing).startswith("func $switch (;0;): (i32) -> i32\n")
    assert "L1:" in str(listing)
    assert next(iter(listing)).text
    assert 'class="vw-listing"' in listing._repr_html_()


def test_modules_disassemble_what_is_asked_for() -> None:
    module = module_of(golden.SOURCE.read_text())
    assert len(module.disassemble()) == 7
    assert [listing.name for listing in module.disassemble("mean", 1)] == ["mean", "twice"]
    assert module.disassemble("mean").function(5).name == "mean"
    assert "movl" in str(module.disassemble("twice", syntax="att"))
    assert 'class="vw-listing"' in module.disassemble()._repr_html_()
    with pytest.raises(KeyError, match="did you mean 'mean'"):
        module.disassemble("meen")
    with pytest.raises(KeyError):
        module.disassemble("mean").function(1)
    with pytest.raises(ValueError, match="no syntax"):
        module.disassemble(syntax="masm")


@pytest.mark.parametrize("index", [0, 8])
def test_a_function_that_is_not_defined_is_an_index_error(index: int) -> None:
    with pytest.raises(IndexError, match=f"function {index} is not defined"):
        module_of(golden.SOURCE.read_text()).disassemble(index)


@pytest.mark.parametrize("config", [{"fuel": True}, {"checked": True}, {"explicit_bounds": True}])
@pytest.mark.parametrize("target", TARGETS)
def test_other_configurations_are_read_too(config: dict[str, bool], target: str) -> None:
    module = module_of(golden.SOURCE.read_text(), target=target, **config)
    for listing in module.disassemble():
        assert bytes_of(listing) == module.compiler.compile(listing.index - 1)
        assert not any(item.flow == "bad" for item in listing)
        assert listing.blocks


def test_a_function_is_given_by_index_or_name_and_what_is_defined_is_said() -> None:
    engine = vibewasm.Engine()
    f, imported = "(func)", '(import "m" "f" (func))'
    for text, defined in (
        ("(module)", "defines none"),
        (f"(module {f})", "defines function 0"),
        (f"(module {f * 3})", "defines functions 0 to 2"),
        (f"(module {imported} {f})", "imports function 0 and defines function 1"),
        (f"(module {imported * 2} {f * 2})", "imports functions 0 to 1 and defines functions 2 to 3"),
    ):
        with pytest.raises(IndexError, match=f"^function 5 is not defined in this module, which {defined}$"):
            vibewasm.Module(engine, text).disassemble(5)
    module: Any = vibewasm.Module(engine, "(module (func) (func))")
    for wrong in (3.5, None, True, [1]):
        with pytest.raises(
            TypeError, match=r"^Module\.disassemble: a function has to be its name, .* index, an int, not "
        ):
            module.disassemble(wrong)
