"""Arithmetic in constant expressions (core specification, "Constant Expressions"), which few modules have."""

from __future__ import annotations

from ..binary.const_expr import ARITHMETIC
from ..calls.values import MASK32, MASK64
from ..opcodes import CODE
from ..types import I32

_ADD = (CODE["i32.add"], CODE["i64.add"])
_SUB = (CODE["i32.sub"], CODE["i64.sub"])
_MUL = (CODE["i32.mul"], CODE["i64.mul"])


def arithmetic(opcode: int, a: int, b: int) -> int:
    """The bits of what an instruction in :data:`ARITHMETIC` makes of the bits of two values."""
    if opcode in _ADD:
        value = a + b
    elif opcode in _SUB:
        value = a - b
    else:
        assert opcode in _MUL
        value = a * b
    return value & (MASK32 if ARITHMETIC[opcode] == I32 else MASK64)
