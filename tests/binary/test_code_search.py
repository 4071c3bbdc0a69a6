"""Looking for instructions without validation: each is stepped over, and nothing inside one is taken for one."""

from __future__ import annotations

import pytest

from tests.growth import assert_linear
from vibewasm.binary.decoder import decode
from vibewasm.opcodes import CODE, all_rows, opcode_bytes
from vibewasm.wat import wat2wasm

_TRY = CODE["try"]

#: For each kind of immediates some that are unusual, full of bytes that are opcodes of the older exceptions.
_IMMEDIATES = {
    "": [b""],
    "block": [b"\x40", b"\x7f", b"\x86\x06", b"\x63\x06", b"\x64\x70", b"\x86\x80\x80\x80\x00"],
    "label": [b"\x06", b"\x86\x06"],
    "labels": [b"\x00\x06", b"\x03\x06\x06\x86\x06\x06"],
    "memarg": [b"\x06\x06", b"\x02\x86\x06", b"\x42\x06\x86\x06", b"\x86\x00\x06", b"\xc2\x00\x06\x06"],
    "memarg lane": [b"\x00\x06\x06", b"\x40\x06\x06\x06"],
    "f32": [b"\x06\x06\n\x06"],
    "f64": [b"\x06" * 7 + b"\n"],
    "i32": [b"\x06", b"\x86\x86\x06"],
    "i64": [b"\x06", b"\x86\x86\x86\x86\x86\x06"],
    "v128": [b"\x06" * 15 + b"\n"],
    "lanes": [b"\x06" * 16],
    "lane": [b"\x06", b"\n", b"\xff"],
    "heap": [b"\x70", b"\x06", b"\x86\x06"],
    "types": [b"\x01\x7f", b"\x02\x63\x06\x7f", b"\x06" + b"\x7f" * 6],
    "block catches": [b"\x40\x00", b"\x06\x02\x00\x06\x06\x03\x06", b"\x40\x01\x01\x86\x06\x06"],
}
_INDEX = [b"\x06", b"\x86\x06"]


def immediates(kinds: str) -> list[bytes]:
    found = _IMMEDIATES.get(kinds)
    if found is None:
        found = [b"".join(parts) for parts in zip(*[_INDEX for _ in kinds.split()], strict=True)]
    return found


def first(*bodies: bytes) -> int | None:
    info = decode(wat2wasm('(import "m" "f" (func))'))
    info.data = b"".join(bodies)
    ends = [sum(map(len, bodies[: index + 1])) for index in range(len(bodies))]
    info.bodies = list(zip([0, *ends], ends, strict=False))
    return info.first_function_with([_TRY])


@pytest.mark.parametrize("row", all_rows(), ids=lambda row: row[1])
def test_every_instruction_is_stepped_over(row: tuple[int, str, str, object, object, str, str]) -> None:
    code, _, kinds, *_ = row
    if code == _TRY:
        assert first(b"\0\x06\x40\x0b") == 1
        return
    for rest in immediates(kinds):
        instruction = opcode_bytes(code) + rest
        assert first(b"\0" + 3 * instruction + b"\x0b") is None, instruction.hex(" ")
        assert first(b"\0\x01" + 3 * instruction + b"\x06\x40\x0b\x0b") == 1, instruction.hex(" ")


def test_locals_are_no_instructions_and_the_first_function_counts() -> None:
    plain, other = b"\x03\x06\x7f\x86\x06\x63\x06\x06\x64\x70\x01\x0b", b"\0\x06\x40\x0b\x0b"
    assert first(plain) is None
    assert first(plain, other, other) == 2
    assert first() is None


@pytest.mark.parametrize(
    "body", [b"", b"\1", b"\0\x41", b"\0\xfd", b"\0\x0e\xff\xff\xff\xff\x0f", b"\0\xff\x06", b"\0\x1f\x40\x01\x05"]
)
def test_a_body_that_makes_no_sense_holds_nothing_more(body: bytes) -> None:
    assert first(body) is None
    assert first(body, b"\0\x06\x40\x0b\x0b") == 2


def test_prefixed_opcodes_may_be_longer_than_they_have_to() -> None:
    assert first(b"\0\xfc\x8b\x80\x00\x06\x06\x40\x0b\x0b") == 1
    assert first(b"\0\xfc\x8b\x80\x00\x06\x0b") is None


def test_looking_takes_linear_time() -> None:
    assert_linear(lambda n: b"\0" + b"\x41\x80\x80\x06\x1a\x0e\x01\x06\x06" * n, first, 20_000)
