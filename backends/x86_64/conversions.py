"""Rules of the conversions between integers and floats; what a rule is says :mod:`.integers`."""

from __future__ import annotations

from ...abi import TRAP_BAD_CONVERSION, TRAP_INTEGER_OVERFLOW
from ..operand import F32, F64, I32, I64, Operand
from ..rules import conversion_rules
from . import asm
from .selection import Selection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..types import Rule

#: The trap of a NaN that is converted, as `ud1` carries it.

#: Bits of powers of two as f32 and f64, indexed by "double".
_TWO_TO_32 = (0x4F800000, 0x41F0000000000000)
_TWO_TO_63 = (0x5F000000, 0x43E0000000000000)
_MINUS_TWO_TO_63 = (0xDF000000, 0xC3E0000000000000)
_TWO_TO_64 = (0x5F800000, 0x43F0000000000000)
_MINUS_ONE = (0xBF800000, 0xBFF0000000000000)
#: The largest f64 below -2**31 that truncates to less than -2**31 (-2**31 - 1), and the next f32 below -2**31.
_BELOW_I32 = (0xCF000001, 0xC1E0000000200000)


def _trap_unless_between(s: Selection, double: int, source: int, low: int, low_inclusive: bool, high: int) -> None:
    """Trap if the float ``source`` is a NaN, below ``low`` (given by its bits) or not below ``high``."""
    limit = s.scratch_float()
    s.code += asm.ucomis_rr(double, source, source)
    s.code += asm.jcc_rel8(asm.CC_NP, 4)
    s.code += asm.ud1(TRAP_BAD_CONVERSION)
    s.load_float_bits(double, limit, low)
    s.code += asm.ucomis_rr(double, source, limit)
    s.code += asm.jcc_rel8(asm.CC_AE if low_inclusive else asm.CC_A, 4)
    s.code += asm.ud1(TRAP_INTEGER_OVERFLOW)
    s.load_float_bits(double, limit, high)
    s.code += asm.ucomis_rr(double, source, limit)
    s.code += asm.jcc_rel8(asm.CC_B, 4)
    s.code += asm.ud1(TRAP_INTEGER_OVERFLOW)


def _truncate(wide: int, is_signed: bool, double: int) -> Rule:
    """Truncation that traps. The hardware's conversion answers with its most negative number where the value does not
    fit.
    """
    type_ = I64 if wide else I32

    def rule(s: Selection, sink: Operand | None, a: Operand) -> Operand:
        source = s.in_float_register(a)
        dst = s.destination(sink, a)
        if is_signed:
            s.code += asm.cvtts2si(double, wide, dst, source)
            check = Selection(s.free)
            if wide:
                _trap_unless_between(check, double, source, _MINUS_TWO_TO_63[double], True, _TWO_TO_63[double])
            else:
                high = (0x4F000000, 0x41E0000000000000)[double]
                _trap_unless_between(check, double, source, _BELOW_I32[double], False, high)
            s.code += asm.alu_ri(asm.CMP, wide, dst, 1)
            s.code += asm.jcc_rel8(asm.CC_NO, len(check.code))
            s.code += check.code
        elif not wide:
            # Every u32 fits an i64, so one conversion and one look at the upper half do.
            s.code += asm.cvtts2si(double, 1, dst, source)
            high_half = s.scratch()
            check = Selection(s.free | 1 << high_half)  # its value is no longer needed where the check begins
            _trap_unless_between(check, double, source, _MINUS_ONE[double], False, _TWO_TO_32[double])
            s.code += asm.mov_rr(1, high_half, dst)
            s.code += asm.shift_ri(asm.SHR, 1, high_half, 32)
            s.code += asm.jcc_rel8(asm.CC_E, len(check.code))
            s.code += check.code
            # Values between -1 and 0 truncate to 0, so what passes the check is right in the lower half.
            s.code += asm.mov_rr(0, dst, dst)
        else:
            _trap_unless_between(s, double, source, _MINUS_ONE[double], False, _TWO_TO_64[double])
            _to_u64(s, double, dst, source)
        return s.result(type_, dst, sink, a.bit)

    return rule


def _to_u64(s: Selection, double: int, dst: int, source: int) -> None:
    """Convert a float in [0, 2**64): the upper half of the range is converted 2**63 lower, its top bit set after."""
    limit = s.scratch_float()
    s.load_float_bits(double, limit, _TWO_TO_63[double])
    reduced = s.scratch_float()
    small = asm.cvtts2si(double, 1, dst, source)
    large = asm.movaps_rr(reduced, source)
    large += asm.sse_rr(asm.SSE_SUB, double, reduced, limit)
    large += asm.cvtts2si(double, 1, dst, reduced)
    large += bytes((0x48 | dst >> 3, 0x0F, 0xBA, 0xF8 | dst & 7, 63))  # BTC r/m64, imm8 (0F BA /7 ib)
    s.code += asm.ucomis_rr(double, source, limit)
    small += asm.jmp_rel8(len(large))
    s.code += asm.jcc_rel8(asm.CC_AE, len(small))
    s.code += small + large


def _truncate_saturating(wide: int, is_signed: bool, double: int) -> Rule:
    type_ = I64 if wide else I32
    bits = 64 if wide else 32

    def rule(s: Selection, sink: Operand | None, a: Operand) -> Operand:
        source = s.in_float_register(a)
        dst = s.destination(sink, a)
        if is_signed:
            # Only NaN and overflow give the most negative number wrongly.
            fix = Selection(s.free)
            zero = fix.take_float()
            fix.code += asm.xorps_rr(zero, zero)
            fix.code += asm.ucomis_rr(double, source, zero)
            maximum = asm.mov_ri(dst, (1 << (bits - 1)) - 1)
            nan = asm.zero(dst)
            # ucomis of a NaN sets carry as well, so parity is asked first.
            not_nan = asm.jcc_rel8(asm.CC_B, len(maximum) + 2 + len(nan)) + maximum + asm.jmp_rel8(len(nan))
            fix.code += asm.jcc_rel8(asm.CC_P, len(not_nan))
            fix.code += not_nan
            fix.code += nan
            s.code += asm.cvtts2si(double, wide, dst, source)
            s.code += asm.alu_ri(asm.CMP, wide, dst, 1)
            s.code += asm.jcc_rel8(asm.CC_NO, len(fix.code))
            s.code += fix.code
            return s.result(type_, dst, sink, a.bit)
        # Unsigned: NaN and negative values give 0, values from 2**bits on give all ones.
        limit = s.scratch_float()
        s.code += asm.xorps_rr(limit, limit)
        body = Selection(s.free)
        body.load_float_bits(double, limit, (_TWO_TO_64 if wide else _TWO_TO_32)[double])
        body.code += asm.ucomis_rr(double, source, limit)
        inside = Selection(body.free)
        if wide:
            _to_u64(inside, double, dst, source)
        else:
            inside.code += asm.cvtts2si(double, 1, dst, source)
            inside.code += asm.mov_rr(0, dst, dst)
        ones = asm.mov_ri(dst, (1 << bits) - 1)
        ones += asm.jmp_rel8(len(inside.code))
        body.code += asm.jcc_rel8(asm.CC_B, len(ones))
        body.code += ones
        body.code += inside.code
        nothing = asm.zero(dst) + asm.jmp_rel8(len(body.code))
        s.code += asm.ucomis_rr(double, source, limit)
        # "Above" is false for NaN, for zero and for what is negative: all of them give 0.
        s.code += asm.jcc_rel8(asm.CC_A, len(nothing))
        s.code += nothing
        s.code += body.code
        return s.result(type_, dst, sink, a.bit)

    return rule


def _convert(wide: int, is_signed: bool, double: int) -> Rule:
    type_ = F64 if double else F32

    def rule(s: Selection, sink: Operand | None, a: Operand) -> Operand:
        dst = s.float_destination(sink, a)
        source = s.in_register(a)
        # cvtsi2s merges into its destination: clearing it first breaks a dependency on the old value.
        s.code += asm.xorps_rr(dst, dst)
        if is_signed:
            s.code += asm.cvtsi2s(double, wide, dst, source)
        elif not wide:
            # A zero-extended u32 is a non-negative i64.
            s.code += asm.cvtsi2s(double, 1, dst, source)
        else:
            # From 2**63 on: halve, keeping the lowest bit so that rounding sees it, convert, and double.
            half = s.scratch()
            low = s.scratch() if a.reg >= 0 else source
            direct = asm.cvtsi2s(double, 1, dst, source)
            halved = asm.mov_rr(1, half, source)
            halved += asm.shift_ri(asm.SHR, 1, half, 1)
            if low != source:
                halved += asm.mov_rr(0, low, source)
            halved += asm.alu_ri(asm.AND, 0, low, 1)
            halved += asm.alu_rr(asm.OR, 1, half, low)
            halved += asm.cvtsi2s(double, 1, dst, half)
            halved += asm.sse_rr(asm.SSE_ADD, double, dst, dst)
            direct += asm.jmp_rel8(len(halved))
            s.code += asm.test_rr(1, source, source)
            s.code += asm.jcc_rel8(asm.CC_S, len(direct))
            s.code += direct + halved
        return s.result(type_, dst, sink, a.bit)

    return rule


def _demote(s: Selection, sink: Operand | None, a: Operand) -> Operand:
    dst = s.float_destination(sink, a)
    s.code += asm.cvtsd2ss_rr(dst, s.in_float_register(a))
    return s.result(F32, dst, sink, a.bit)


def _promote(s: Selection, sink: Operand | None, a: Operand) -> Operand:
    dst = s.float_destination(sink, a)
    s.code += asm.cvtss2sd_rr(dst, s.in_float_register(a))
    return s.result(F64, dst, sink, a.bit)


def _reinterpret_to_int(double: int) -> Rule:
    def rule(s: Selection, sink: Operand | None, a: Operand) -> Operand:
        dst = s.destination(sink, a)
        s.code += asm.movd_from_xmm(double, dst, s.in_float_register(a))
        return s.result(I64 if double else I32, dst, sink, a.bit)

    return rule


def _reinterpret_to_float(double: int) -> Rule:
    def rule(s: Selection, sink: Operand | None, a: Operand) -> Operand:
        dst = s.float_destination(sink, a)
        s.code += asm.movd_to_xmm(double, dst, s.in_register(a))
        return s.result(F64 if double else F32, dst, sink, a.bit)

    return rule


RULES = {
    "f32.demote_f64": _demote,
    "f64.promote_f32": _promote,
    **conversion_rules(_truncate, _truncate_saturating, _convert, _reinterpret_to_int, _reinterpret_to_float),
}
