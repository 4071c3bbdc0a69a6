"""Rules of division; what a rule is says :mod:`.integers`."""

from __future__ import annotations

from ..abi import TRAP_DIVIDE_BY_ZERO, TRAP_INTEGER_OVERFLOW
from ..assembly import signed
from ..operand import CONSTANT, I32, I64, Operand
from ..rules import division_rules
from . import asm
from .regs import SCRATCH, SCRATCH2
from .selection import Selection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..types import Rule


def _unsigned_by_power(
    s: Selection, sink: Operand | None, wide: int, remainder: bool, a: Operand, b: Operand
) -> Operand:
    """Unsigned division or remainder by a constant power of two: a shift or a mask."""
    dst = s.destination(sink, a.bit)
    source = s.in_register(a)
    if not remainder:
        s.code += asm.shift_ri(asm.LSR, wide, dst, source, b.value.bit_length() - 1)
    elif b.value == 1:
        s.code += asm.mov_ri(dst, 0)
    else:
        s.code += asm.logic_ri(asm.AND, wide, dst, source, b.value - 1)
    return s.result(I64 if wide else I32, dst, sink, a.bit | b.bit)


def _divide(wide: int, is_signed: bool, remainder: bool) -> Rule:
    """Division; what traps is tested first, since the instruction itself answers with a number in any case."""
    type_ = I64 if wide else I32
    bits = 64 if wide else 32
    divide = asm.sdiv if is_signed else asm.udiv

    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand) -> Operand:
        if not is_signed and b.kind == CONSTANT and b.value and not b.value & (b.value - 1):
            return _unsigned_by_power(s, sink, wide, remainder, a, b)
        dividend = s.in_register(a)
        divisor = s.in_register(b, SCRATCH2)
        if b.kind != CONSTANT or b.value == 0:
            s.code += asm.cbnz(wide, divisor, 8)
            s.code += asm.udf(TRAP_DIVIDE_BY_ZERO)
        if is_signed and not remainder and (b.kind != CONSTANT or signed(b.value, bits) == -1):
            # The most negative number less 1 overflows; of any other divisor than -1 the flags are cleared.
            s.code += asm.cmp_ri(wide, divisor, -1)
            s.code += asm.ccmp_ri(asm.CC_EQ, wide, dividend, 1, 0)
            s.code += asm.b_cond(asm.CC_VC, 8)
            s.code += asm.udf(TRAP_INTEGER_OVERFLOW)
        dst = s.destination(sink, a.bit | b.bit)
        if not remainder:
            s.code += divide(wide, dst, dividend, divisor)
            return s.result(type_, dst, sink, a.bit | b.bit)
        # The most negative number modulo -1 comes out as 0, since its quotient wraps around. With both operands in
        # scratches, neither is in the destination.
        quotient = SCRATCH if dividend != SCRATCH else SCRATCH2 if divisor != SCRATCH2 else dst
        s.code += divide(wide, quotient, dividend, divisor)
        s.code += asm.msub(wide, dst, quotient, divisor, dividend)
        return s.result(type_, dst, sink, a.bit | b.bit)

    return rule


RULES = division_rules(_divide)
