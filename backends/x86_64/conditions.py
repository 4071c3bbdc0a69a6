"""Conditions: Intel's sixteen, and the two that comparing floats for equality takes two flags for."""

from __future__ import annotations

from .asm import CC_A, CC_AE, CC_B, CC_BE, CC_E, CC_G, CC_GE, CC_L, CC_LE, CC_NE

#: `ucomis` says equal by "zero and not parity", since unordered sets zero, parity and carry.
FLOAT_EQUAL = 16
FLOAT_NOT_EQUAL = 17

#: Condition after exchanging the operands of a comparison of integers.
SWAPPED = {
    CC_E: CC_E,
    CC_NE: CC_NE,
    CC_L: CC_G,
    CC_G: CC_L,
    CC_LE: CC_GE,
    CC_GE: CC_LE,
    CC_B: CC_A,
    CC_A: CC_B,
    CC_BE: CC_AE,
    CC_AE: CC_BE,
}


def invert(condition: int) -> int:
    """The condition that holds exactly when ``condition`` does not."""
    return condition ^ 1
