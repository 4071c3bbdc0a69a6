"""Vector instructions take the instructions that Arm has for them, and no more."""

from __future__ import annotations

import pytest

from tests.backends.aarch64.judges import disassemble
from vibewasm.backends.aarch64.target import TARGET as target
from vibewasm.backends.operand import ALL_ONES, I32, V128, WANT_FLAGS, Operand, constant, register, slot

A, B = register(V128, 1), register(V128, 4)
ZERO, ONES = constant(V128, 0), constant(V128, ALL_ONES)


def code(name: str, *operands: object, sink: Operand | None = None) -> list[str]:
    free = target.ALL_FREE
    for operand in operands:
        free &= ~(operand.bit if isinstance(operand, Operand) else 0)
    return disassemble(target.vectors.lower(target.vectors.rule(name), operands, free, sink)[0])


def lanes(size: int, *places: int) -> bytes:
    return bytes([place * size + byte for place in places for byte in range(size)])


@pytest.mark.parametrize(
    ("operands", "shuffled", "wanted"),
    [
        ((A, B), bytes(range(16)), []),
        ((A, B), bytes(range(3, 19)), ["ext v1.16b, v1.16b, v4.16b, #3"]),
        ((A, B), bytes([*range(19, 32), 0, 1, 2]), ["ext v1.16b, v4.16b, v1.16b, #3"]),
        ((A, A), bytes([*range(5, 16), *range(5)]), ["ext v1.16b, v1.16b, v1.16b, #5"]),
        ((A, B), lanes(4, 0, 4, 1, 5), ["zip1 v1.4s, v1.4s, v4.4s"]),
        ((A, B), lanes(4, 6, 2, 7, 3), ["zip2 v1.4s, v4.4s, v1.4s"]),
        ((A, B), lanes(2, *range(1, 16, 2)), ["uzp2 v1.8h, v1.8h, v4.8h"]),
        ((A, B), lanes(8, 0, 2), ["zip1 v1.2d, v1.2d, v4.2d"]),
        ((A, B), lanes(4, 0, 4, 2, 6), ["trn1 v1.4s, v1.4s, v4.4s"]),
        ((A, B), lanes(4, 7, 7, 7, 7), ["dup v1.4s, v4.s[3]"]),
        ((A, B), bytes([*range(7, -1, -1), *range(15, 7, -1)]), ["rev64 v1.16b, v1.16b"]),
        ((A, B), lanes(2, 1, 0, 3, 2, 5, 4, 7, 6), ["rev32 v1.8h, v1.8h"]),
        ((A, B), lanes(8, 0, 3), ["mov v1.d[1], v4.d[1]"]),
        ((A, B), lanes(8, 3, 1), ["zip2 v1.2d, v4.2d, v1.2d"]),
        ((A, B), lanes(4, 0, 6, 2, 5), ["mov v1.s[1], v4.s[2]", "mov v1.s[3], v4.s[1]"]),
        ((A, ZERO), lanes(1, *[lane for at in range(8) for lane in (at, 16)]), ["ushll v1.8h, v1.8b, #0"]),
        ((A, ZERO), lanes(2, 4, 9, 5, 9, 6, 9, 7, 9), ["ushll2 v1.4s, v1.8h, #0"]),
    ],
)
def test_a_shuffle_that_an_instruction_is_made_for_is_that_instruction(
    operands: tuple[Operand, Operand], shuffled: bytes, wanted: list[str]
) -> None:
    assert code("i8x16.shuffle", *operands, shuffled) == wanted


def test_any_other_shuffle_is_a_table() -> None:
    odd = bytes([5, 3, 20, 1, 9, 31, 2, 2, 7, 16, 0, 11, 30, 4, 4, 8])
    assert [line.split()[0] for line in code("i8x16.shuffle", A, B, odd)] == ["mov", "mov", "ldr", "tbl"]
    neighbours = code("i8x16.shuffle", register(V128, 3), B, odd)
    assert neighbours[1:] == ["tbl v3.16b, {v3.16b, v4.16b}, v31.16b"]
    assert neighbours[0].startswith("ldr q31, ")
    of_one = bytes([lane & 15 for lane in odd])
    assert [line.split()[0] for line in code("i8x16.shuffle", A, B, of_one)] == ["ldr", "tbl"]
    # Of a zero no register is needed: what is beyond the table is one.
    assert [line.split()[0] for line in code("i8x16.shuffle", A, ZERO, odd)] == ["ldr", "tbl"]


@pytest.mark.parametrize(
    ("name", "operands", "wanted"),
    [
        ("i8x16.eq", (A, ZERO), ["cmeq v1.16b, v1.16b, #0"]),
        ("i8x16.ne", (A, ZERO), ["cmtst v1.16b, v1.16b, v1.16b"]),
        ("i32x4.gt_s", (ZERO, A), ["cmlt v1.4s, v1.4s, #0"]),
        ("i32x4.gt_s", (A, ONES), ["cmge v1.4s, v1.4s, #0"]),
        ("i16x8.lt_u", (A, B), ["cmhi v1.8h, v4.8h, v1.8h"]),
        ("i64x2.sub", (ZERO, A), ["neg v1.2d, v1.2d"]),
        ("v128.xor", (A, ONES), ["mvn v1.16b, v1.16b"]),
        ("i16x8.shr_s", (A, constant(I32, 3)), ["sshr v1.8h, v1.8h, #3"]),
        ("i16x8.shl", (A, constant(I32, 0)), []),
        ("i32x4.splat", (constant(I32, 0xFFFF_00FF),), ["mvni v0.4s, #255, lsl #8"]),
        ("i16x8.splat", (constant(I32, 0x4141),), ["movi v0.16b, #65"]),
        ("i32x4.splat", (slot(I32, 16),), ["ldr s31, [x29, #16]", "dup v0.4s, v31.s[0]"]),
        ("i16x8.extract_lane_s", (slot(V128, 32), 3), ["ldrsh w0, [x29, #38]"]),
    ],
)
def test_constants_and_the_frame_go_into_the_instruction(
    name: str, operands: tuple[object, ...], wanted: list[str]
) -> None:
    assert code(name, *operands) == wanted


@pytest.mark.parametrize("name", ["v128.any_true", "i8x16.all_true", "i64x2.all_true", "i16x8.bitmask"])
def test_a_condition_takes_no_more_than_three_instructions_before_its_branch(name: str) -> None:
    assert len(code(name, A, sink=WANT_FLAGS)) <= 3
