"""Conditions: Arm's own, and those that a branch tests by itself.

A condition below 16 is one of the flags. A larger one says that a register is zero, or a bit of it clear, which `cbz`
and `tbz` test without touching the flags. Inverting the lowest bit gives the opposite condition.

Comparing floats sets the flags so that each comparison takes one condition, which is false for NaN, and its opposite
true: "less" is `mi` and "less or equal" is `ls` (DDI 0487, "Floating-point comparison").
"""

from __future__ import annotations

from .asm import CC_EQ, CC_GE, CC_GT, CC_HI, CC_HS, CC_LE, CC_LO, CC_LS, CC_LT, CC_NE

#: Bits of a condition that a branch tests by itself: the kind, then the bit's number from bit 10 up, the register from
#: bit 1 up, and whether it has 64 bits.
COMPARE_AND_BRANCH = 0x100
TEST_AND_BRANCH = 0x200
_WIDE = 0x40

#: Condition after exchanging the operands of a comparison of integers.
SWAPPED = {
    CC_EQ: CC_EQ,
    CC_NE: CC_NE,
    CC_LT: CC_GT,
    CC_GT: CC_LT,
    CC_LE: CC_GE,
    CC_GE: CC_LE,
    CC_LO: CC_HI,
    CC_HI: CC_LO,
    CC_LS: CC_HS,
    CC_HS: CC_LS,
}


def zero(w: int, reg: int) -> int:
    """The condition that a register is zero."""
    return COMPARE_AND_BRANCH | (_WIDE if w else 0) | reg << 1


def bit_clear(reg: int, bit: int) -> int:
    """The condition that a bit of a register is clear."""
    return TEST_AND_BRANCH | bit << 10 | (_WIDE if bit > 31 else 0) | reg << 1


def tested(condition: int) -> tuple[int, int, int]:
    """What a condition from 16 up tests: whether the register has 64 bits, its number, and the bit's number."""
    return condition >> 6 & 1, condition >> 1 & 31, condition >> 10


def invert(condition: int) -> int:
    """The condition that holds exactly when ``condition`` does not."""
    return condition ^ 1
