"""Rules of the conversions between integers and floats; what a rule is says :mod:`.integers`."""

from __future__ import annotations

from ...abi import TRAP_BAD_CONVERSION, TRAP_INTEGER_OVERFLOW
from ..operand import F32, F64, I32, I64, Operand
from ..rules import conversion_rules
from . import asm
from .regs import FLOAT_SCRATCH2
from .selection import Selection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..types import Rule

#: The trap of a NaN that is converted.

#: Bits of floats as f32 and f64, indexed by "double".
_TWO_TO_64 = (0x5F800000, 0x43F0000000000000)
_MINUS_TWO_TO_63 = (0xDF000000, 0xC3E0000000000000)
_MINUS_ONE = (0xBF800000, 0xBFF0000000000000)


def _truncate(wide: int, is_signed: bool, double: int) -> Rule:
    """Truncation that traps. The instructions themselves saturate, and answer 0 for NaN."""
    type_ = I64 if wide else I32

    def rule(s: Selection, sink: Operand | None, a: Operand) -> Operand:
        source = s.in_float_register(a)
        dst = s.destination(sink, a.bit)
        s.code += asm.fcmp(double, source, source)
        s.code += asm.b_cond(asm.CC_VC, 8)
        s.code += asm.udf(TRAP_BAD_CONVERSION)
        if not wide:
            # What fits 32 bits is what 64 bits convert to a number that its own lower half gives back.
            s.code += asm.fcvtzs(double, 1, dst, source)
            s.code += asm.alu_rrx(asm.SUBS, 1, 31, dst, dst, asm.SXTW if is_signed else asm.UXTW, 0)
            s.code += asm.b_cond(asm.CC_EQ, 8)
            s.code += asm.udf(TRAP_INTEGER_OVERFLOW)
            if is_signed:
                s.code += asm.mov_rr(0, dst, dst)
            return s.result(type_, dst, sink, a.bit)
        # Between the limits: the second comparison is made if the first one holds, else "less" is false.
        limit = FLOAT_SCRATCH2
        if is_signed:
            s.load_float_bits(double, limit, _MINUS_TWO_TO_63[double])
            s.code += asm.fcmp(double, source, limit)
            s.code += asm.fp_r(asm.FNEG, double, limit, limit)
        else:
            s.load_float_bits(double, limit, _MINUS_ONE[double])
            s.code += asm.fcmp(double, source, limit)
            s.load_float_bits(double, limit, _TWO_TO_64[double])
        s.code += asm.fccmp(asm.CC_GE if is_signed else asm.CC_GT, double, source, limit, 0)
        s.code += asm.b_cond(asm.CC_MI, 8)
        s.code += asm.udf(TRAP_INTEGER_OVERFLOW)
        s.code += (asm.fcvtzs if is_signed else asm.fcvtzu)(double, 1, dst, source)
        return s.result(type_, dst, sink, a.bit)

    return rule


def _truncate_saturating(wide: int, is_signed: bool, double: int) -> Rule:
    """Truncation that saturates and gives 0 for NaN, as the instructions do."""
    type_ = I64 if wide else I32
    convert = asm.fcvtzs if is_signed else asm.fcvtzu

    def rule(s: Selection, sink: Operand | None, a: Operand) -> Operand:
        dst = s.destination(sink, a.bit)
        s.code += convert(double, wide, dst, s.in_float_register(a))
        return s.result(type_, dst, sink, a.bit)

    return rule


def _convert(wide: int, is_signed: bool, double: int) -> Rule:
    type_ = F64 if double else F32
    convert = asm.scvtf if is_signed else asm.ucvtf

    def rule(s: Selection, sink: Operand | None, a: Operand) -> Operand:
        dst = s.float_destination(sink, a.bit)
        s.code += convert(double, wide, dst, s.in_register(a))
        return s.result(type_, dst, sink, a.bit)

    return rule


def _demote(s: Selection, sink: Operand | None, a: Operand) -> Operand:
    dst = s.float_destination(sink, a.bit)
    s.code += asm.fcvt(1, dst, s.in_float_register(a))
    return s.result(F32, dst, sink, a.bit)


def _promote(s: Selection, sink: Operand | None, a: Operand) -> Operand:
    dst = s.float_destination(sink, a.bit)
    s.code += asm.fcvt(0, dst, s.in_float_register(a))
    return s.result(F64, dst, sink, a.bit)


def _reinterpret_to_int(double: int) -> Rule:
    def rule(s: Selection, sink: Operand | None, a: Operand) -> Operand:
        dst = s.destination(sink, a.bit)
        s.code += asm.fmov_from(double, dst, s.in_float_register(a))
        return s.result(I64 if double else I32, dst, sink, a.bit)

    return rule


def _reinterpret_to_float(double: int) -> Rule:
    def rule(s: Selection, sink: Operand | None, a: Operand) -> Operand:
        dst = s.float_destination(sink, a.bit)
        s.code += asm.fmov_to(double, dst, s.in_register(a))
        return s.result(F64 if double else F32, dst, sink, a.bit)

    return rule


RULES = {
    "f32.demote_f64": _demote,
    "f64.promote_f32": _promote,
    **conversion_rules(_truncate, _truncate_saturating, _convert, _reinterpret_to_int, _reinterpret_to_float),
}
