"""Rules of division; what a rule is says :mod:`.integers`."""

from __future__ import annotations

from ..assembly import signed
from ..operand import CONSTANT, I32, I64, Operand
from ..rules import division_rules
from . import asm
from .regs import RAX, RDX
from .selection import Selection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..types import Rule

_RAX, _RDX = 1 << RAX, 1 << RDX


def _is_power_of_two(value: int) -> bool:
    return value > 0 and value & (value - 1) == 0


def _unsigned_by_power(
    s: Selection, sink: Operand | None, wide: int, remainder: bool, a: Operand, b: Operand
) -> Operand:
    """Unsigned division or remainder by a constant power of two: a shift or a mask."""
    type_ = I64 if wide else I32
    dst = s.destination(sink, a)
    s.load(dst, a)
    if not remainder:
        if b.value > 1:
            s.code += asm.shift_ri(asm.SHR, wide, dst, b.value.bit_length() - 1)
    else:
        mask = b.value - 1
        if mask < 1 << 31:
            s.code += asm.alu_ri(asm.AND, wide, dst, mask)
        else:
            scratch = s.scratch()
            s.code += asm.mov_ri(scratch, mask)
            s.code += asm.alu_rr(asm.AND, wide, dst, scratch)
    return s.result(type_, dst, sink, a.bit | b.bit)


def _divide(wide: int, is_signed: bool, remainder: bool) -> Rule:
    type_ = I64 if wide else I32
    bits = 64 if wide else 32

    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand) -> Operand:
        if not is_signed and b.kind == CONSTANT and _is_power_of_two(b.value):
            return _unsigned_by_power(s, sink, wide, remainder, a, b)
        # rdx:rax is the dividend. The compiler has made sure that no temporary holds anything but the operands.
        # The divisor is always in a register: the trap's cause is found by reading it.
        divisor = b.reg
        if divisor in (RAX, RDX, -1):
            divisor = s.scratch(_RAX | _RDX)
            s.load(divisor, b)
        s.load(RAX, a)
        if not is_signed:
            s.code += asm.zero(RDX)
            s.code += asm.div_r(wide, divisor)
        else:
            extend = asm.cqo() if wide else asm.cdq()
            divide = extend + asm.idiv_r(wide, divisor)
            if remainder and not (b.kind == CONSTANT and signed(b.value, bits) != -1):
                # The most negative number modulo -1 is 0, but its quotient does not fit and would trap.
                minus_one = asm.zero(RDX)
                s.code += asm.alu_ri(asm.CMP, wide, divisor, -1)
                s.code += asm.jcc_rel8(asm.CC_NE, len(minus_one) + 2)
                s.code += minus_one
                s.code += asm.jmp_rel8(len(divide))
            s.code += divide
        out = RDX if remainder else RAX
        if sink is not None:
            s.code += asm.mov_rr(wide, sink.reg, out)
            return s.result(type_, out, sink, a.bit | b.bit)
        s.free &= ~(1 << out)
        s.released &= ~(1 << out)
        return s.result(type_, out, None, a.bit | b.bit)

    return rule


RULES = division_rules(_divide)
