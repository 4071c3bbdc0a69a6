"""Listings of machine code."""

from __future__ import annotations

import pytest

import vibewasm
from tests.api.wasm import gets, instance_of
from tests.binary.builder import ModuleBuilder
from tests.binary.encode import i32_const, unsigned
from vibewasm.disasm.listing import disassemble_function, listing
from vibewasm.errors import TRAPS


def bytes_of(lines: list[str]) -> bytes:
    """The machine code that lines of a listing show, where none is too long to be shown."""
    return b"".join(bytes.fromhex(line[8 : 8 + 33].strip()) for line in lines)


def switch(ways: int) -> ModuleBuilder:
    """A module whose function 0 has a jump table with so many ways."""
    m = ModuleBuilder()
    branch = b"\x20\x00\x0e" + unsigned(ways) + b"".join(map(unsigned, range(ways))) + unsigned(ways)
    body = b"\x02\x40" * (ways + 1) + branch + b"\x0b"
    body += b"".join(i32_const(way) + b"\x0f\x0b" for way in range(ways)) + i32_const(-1)
    m.func(["i32"], ["i32"], body, export="switch")
    return m


def test_every_byte_is_shown_in_order() -> None:
    m = ModuleBuilder()
    m.func(["i32", "i32"], ["i32"], gets(2) + b"\x6a", export="add")
    m.func([], [], b"\x03\x40\x0c\x00\x0b")
    module = vibewasm.Module(vibewasm.Engine(), m.build())
    for index in (0, 1):
        head, sizes, *lines = disassemble_function(module, index).splitlines()
        code = module.compiler.compile(index)
        assert bytes_of(lines) == code
        assert head.startswith(f"function {index}")
        assert sizes.endswith(f"{len(code)} bytes of machine code")
        assert int(lines[0].split()[0], 16) == 0
        assert lines[-1].split()[-1] != "(bad)"


@pytest.mark.parametrize("number", TRAPS)
def test_a_trap_is_named(number: int) -> None:
    (line,) = listing(bytes([0x0F, 0xB9, 0x40, number]), "x86_64")
    assert line.endswith(f"; trap: {TRAPS[number][1]}")
    assert "ud1 eax, dword ptr [rax + " in line


def test_a_ud1_with_another_number_is_no_trap() -> None:
    (line,) = listing(b"\x0f\xb9\x40\x70", "x86_64")
    assert "trap" not in line


def test_bytes_that_are_no_instruction_are_shown_as_bytes() -> None:
    lines = list(listing(b"\x90\x06\x90\x48\x8b", "x86_64"))
    assert [line[42:] for line in lines] == ["nop", ".byte 0x06", "nop", ".byte 0x48", ".byte 0x8b"]


def test_nothing_has_no_lines() -> None:
    assert list(listing(b"", "x86_64")) == []


@pytest.mark.parametrize("ways", [8, 13, 40])
def test_a_jump_table_is_no_code(ways: int) -> None:
    module = vibewasm.Module(vibewasm.Engine(), switch(ways).build())
    lines = disassemble_function(module, 0).splitlines()[2:]
    assert bytes_of(lines) == module.compiler.compile(0)
    starts = {int(line.split()[0], 16) for line in lines}
    entries = [line for line in lines if ".long" in line]
    assert len(entries) == ways
    # An entry leads to an instruction.
    assert all(int(line.rpartition("; ")[2], 16) in starts for line in entries)
    address = int(entries[0].split()[0], 16)
    assert sum(line.endswith(f"; jump table at {address:#x}") for line in lines) == 1
    assert not any(".byte" in line for line in lines)


def test_functions_disassemble_themselves() -> None:
    exports = instance_of(switch(8)).exports
    assert exports["switch"].disassemble().startswith("function 0 'switch': (i32) -> i32\n")


def test_a_function_that_is_not_defined_is_an_index_error() -> None:
    module = vibewasm.Module(vibewasm.Engine(), switch(8).build())
    with pytest.raises(IndexError, match="function 1 is not defined"):
        disassemble_function(module, 1)
