"""Dead code is refused with the same words, at the same place, as the same code where it is reached."""

from __future__ import annotations

import pytest

import vibewasm
from tests.binary.encode import unsigned
from tests.compiler import example
from tests.compiler.test_opcodes import compile_
from vibewasm.compiler.immediates import lane_limit
from vibewasm.opcodes import CODE, PREFIXES, VECTOR_PREFIX, Row, opcode_bytes, prefixed, row_of
from vibewasm.proposals import proposal_of
from vibewasm.types import F32, F64, I32

UNREACHABLE, BLOCK, END = CODE["unreachable"], CODE["block"], CODE["end"]
_BLOCK, _TRY = bytes((BLOCK, 0x40)), bytes((CODE["try"], 0x40))
_INDICES = ("label", "func", "type", "table", "local", "global", "memory", "data", "elem", "tag")


def refused(body: bytes, *, whole: bool = False) -> tuple[str, str, int]:
    """How a body is refused: the error's class, its message without the place, and the byte in the module."""
    data = example.module(body, whole=whole)
    with pytest.raises(vibewasm.WasmError) as info:
        compile_(data)
    error = info.value
    assert isinstance(error, (vibewasm.DecodeError, vibewasm.ValidationError))
    assert error.offset is not None
    return type(error).__name__, error.message, error.offset - (data.index(body) if body in data else 0)


def compare(bad: bytes) -> str:
    """The message of bad code in a block, which is the same where the block is not reached."""
    live = refused(_BLOCK + bad)
    dead = refused(bytes((UNREACHABLE,)) + _BLOCK + bad)
    assert dead == (live[0], live[1], live[2] + 1), bad.hex(" ")
    return live[1]


def used(row: Row, operands: tuple[int, ...], instruction: bytes | None = None) -> bytes:
    """An instruction with operands in a block that ends."""
    encoded = example.encoded(row) if instruction is None else instruction
    return example.closed(row, example.pushed(operands) + encoded) + bytes((END,))


ROWS = [row for row in example.rows() if row[1] not in ("else", "end")]


@pytest.mark.parametrize("row", ROWS, ids=example.name_of)
def test_operands_of_wrong_types(row: Row) -> None:
    types = example.operands_of(row)
    for at, type_ in enumerate(types):
        if example.name_of(row) in ("drop", "ref.is_null") or (row[1] == "select" and at < 2 and not row[2]):
            continue
        wrong = F64 if type_ != F64 else F32
        assert "type mismatch: " + row[1] in compare(used(row, (*types[:at], wrong, *types[at + 1 :])))


@pytest.mark.parametrize("row", ROWS, ids=example.name_of)
def test_operands_that_are_not_there(row: Row) -> None:
    types = example.operands_of(row)
    for count in range(len(types)):
        message = compare(used(row, types[len(types) - count :] if count else ()))
        assert message.startswith("type mismatch: " + row[1])


def test_operands_of_no_fixed_type() -> None:
    select, is_null = bytes((CODE["select"],)), bytes((CODE["ref.is_null"],))
    compare(example.pushed((I32, F64, I32)) + select + bytes((END,)))
    compare(example.pushed((5, 5, I32)) + select + bytes((END,)))
    compare(example.pushed((I32,)) + is_null + bytes((END,)))
    compare(example.pushed((I32,)) + bytes((END,)))


@pytest.mark.parametrize("row", [row for row in ROWS if set(row[2].split()) & set(_INDICES)], ids=example.name_of)
def test_indices_of_nothing(row: Row) -> None:
    kinds = row[2].split()
    for at, kind in enumerate(kinds):
        instruction = opcode_bytes(row[0])
        for place, _ in enumerate(kinds):
            instruction += b"\x63" if place == at else b"\0"
        message = compare(used(row, example.operands_of(row), instruction))
        assert message.startswith("unknown ") and message.endswith(" 99"), kind  # noqa: PT018


@pytest.mark.parametrize("depth", [2, 3, 5, 127, 128, 2**32 - 1])
def test_a_label_that_is_not_there_has_the_number_that_was_written(depth: int) -> None:
    number = unsigned(depth)
    assert compare(bytes((CODE["br"],)) + number + bytes((END,))) == f"unknown label {depth}"
    assert (
        compare(example.pushed((I32,)) + bytes((CODE["br_if"],)) + number + bytes((END,))) == f"unknown label {depth}"
    )
    table = example.pushed((I32,)) + bytes((CODE["br_table"],))
    assert compare(table + b"\0" + number + bytes((END,))) == f"unknown label {depth}"
    assert compare(table + b"\1" + number + b"\0" + bytes((END,))) == f"unknown label {depth}"


@pytest.mark.parametrize("row", [row for row in ROWS if row[2]], ids=example.name_of)
def test_immediates_that_are_malformed(row: Row) -> None:
    opcode = opcode_bytes(row[0])
    if row[2] not in ("f32", "f64"):
        compare(used(row, example.operands_of(row), opcode + b"\x80" * 10 + b"\0"))
        compare(used(row, example.operands_of(row), opcode + b"\xff" * 4 + b"\x7f" + b"\xff" * 6))
    # The body ends inside the instruction, which live code may only notice at the next one.
    head = (_TRY if "ends" in row[6].split() else _BLOCK) + example.pushed(example.operands_of(row))
    live = refused(head + opcode, whole=True)
    dead = refused(bytes((UNREACHABLE,)) + head + opcode, whole=True)
    assert dead[:2] == live[:2] == ("DecodeError", "unexpected end in function 1")


@pytest.mark.parametrize("row", [row for row in ROWS if "memarg" in row[2]], ids=example.name_of)
def test_accesses_that_are_wrong(row: Row) -> None:
    opcode, types = opcode_bytes(row[0]), example.operands_of(row)
    assert compare(used(row, types, opcode + b"\x05\0")) == "alignment must not be larger than natural"
    assert "malformed memop flags" in compare(used(row, types, opcode + b"\x80\x01\0"))
    assert compare(used(row, types, opcode + b"\x40\x01\0")) == "unknown memory 1"
    assert compare(used(row, types, opcode + b"\0\x80\x80\x80\x80\x10")).startswith("offset out of range: 4294967296")


NO_INSTRUCTIONS = [
    code for code in range(256) if code not in PREFIXES and not any(r[0] == code for r in example.rows())
]
NO_SUBS = [0x12, 0x13, 0x17, 0xFF, 0x100, 0xFFF, 0x1000, 0x2000, 2**28, 2**31, 2**32 - 1]


@pytest.mark.parametrize("code", NO_INSTRUCTIONS)
def test_bytes_that_are_no_instruction(code: int) -> None:
    message = compare(bytes((code, END)))
    assert f"opcode {code:02x}" in message


NO_CODES = [
    (prefix, sub) for prefix in sorted(PREFIXES) for sub in NO_SUBS if row_of(prefixed(prefix, sub)) is None
] + [(VECTOR_PREFIX, 0xA2), (VECTOR_PREFIX, 0x114), (VECTOR_PREFIX, 0x120)]


@pytest.mark.parametrize(("prefix", "sub"), NO_CODES, ids=lambda number: f"{number:x}")
def test_what_is_after_a_prefix_is_named_as_it_was_written(prefix: int, sub: int) -> None:
    written = opcode_bytes(prefixed(prefix, sub))
    message = compare(written + bytes((END,)))
    assert f"opcode {written.hex(' ')}" in message
    assert "-1" not in message
    if proposal_of(prefixed(prefix, sub)) is None:
        assert message.startswith(f"illegal opcode {written.hex(' ')}")


def test_a_number_after_a_prefix_that_is_malformed() -> None:
    for prefix in PREFIXES:
        assert compare(bytes((prefix,)) + b"\x80" * 5 + b"\0").startswith("integer representation too long")
        assert compare(bytes((prefix,)) + b"\xff" * 4 + b"\x1f").startswith("integer too large")
        assert refused(bytes((prefix,)), whole=True)[1] == "unexpected end in function 1"
        assert refused(bytes((UNREACHABLE, prefix)), whole=True)[1] == "unexpected end in function 1"


def test_a_longer_encoding_than_need_be_is_the_same_instruction() -> None:
    copy = example.pushed((I32, I32, I32)) + b"\xfc\x8a\x80\x80\x00\0\0"
    compile_(example.module(copy))
    compile_(example.module(bytes((UNREACHABLE,)) + copy))


@pytest.mark.parametrize("body", [b"\x05", b"\x02\x40\x05\x0b", b"\x03\x40\x05\x0b"])
def test_an_else_without_an_if(body: bytes) -> None:
    assert "else without if" in compare(body + bytes((END,)))


def test_values_that_remain_at_the_end_of_a_block() -> None:
    for end in (b"\x0b", b"\x05\x0b"):
        for remaining in ((I32, I32), (F64,)):
            then = example.pushed((I32,)) + b"\x04\x40" + example.pushed(remaining) + end
            assert "values remain on the stack" in compare(then + bytes((END,)))
    few: list[tuple[int, ...]] = [(), (F64,)]
    for types in few:
        for end in (b"\x0b", b"\x05\x41\x00\x0b"):
            then = example.pushed((I32,)) + b"\x04\x7f" + example.pushed(types) + end
            assert compare(then + bytes((END,))).startswith("type mismatch: ")


@pytest.mark.parametrize("row", [row for row in ROWS if "lane" in row[2]], ids=example.name_of)
def test_lanes_that_are_not_there(row: Row) -> None:
    types = example.operands_of(row)
    access = b"\0\0" if "memarg" in row[2] else b""
    limit = lane_limit(row[0])
    others = bytes(15) if row[2] == "lanes" else b""
    for lane in (limit, 255):
        instruction = opcode_bytes(row[0]) + access + others + bytes((lane,))
        assert compare(used(row, types, instruction)) == f"invalid lane index {lane}: there are {limit} lanes"
    last = example.pushed(types) + opcode_bytes(row[0]) + access + others + bytes((limit - 1,))
    compile_(example.module(last + bytes((UNREACHABLE,))))
