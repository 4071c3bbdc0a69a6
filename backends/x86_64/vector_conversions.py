"""Rules of conversions between vectors; what a rule is says :mod:`.integers`, and how it emits says :mod:`.packed`.

Of the relaxed instructions :data:`RULES` has the processor's own behaviour for NaN and for what is out of range:
2**31 from a truncation to signed numbers (in "Numerics / Relaxed Operations" of the specification, R_trunc_s is 1),
and from one to unsigned numbers where there is AVX (R_trunc_u is 3); without AVX that would take as many instructions
as to saturate does (R_trunc_u is 0). All shapes agree, as they must. :data:`DETERMINISTIC` has those that differ
under the deterministic profile, where these parameters are 0: relaxed truncations saturate, and NaN becomes 0.
"""

from __future__ import annotations

from ..operand import V128, Operand
from . import asm_vector as v
from . import features
from .packed import copied, emit, emit_1, emit_1i, emit_i, emit_shift, repeated, unary
from .selection import Selection
from .vector_floats import LESS_EQUAL, ORDERED, ROUND_TO_ZERO

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..types import Rule

#: 2**31, -2**31 and 2**52 as floats, and the greatest integers, of which f32 has none.
_F32_2_31, _F32_NEGATIVE_2_31 = repeated(0x4F000000, 32), repeated(0xCF000000, 32)
_F64_NEGATIVE_2_31 = repeated(0xC1E00000_00000000, 64)
_F64_2_52, _F64_NEGATIVE_2_52 = repeated(0x43300000_00000000, 64), repeated(0xC3300000_00000000, 64)
_F64_MOST_S32, _F64_MOST_U32 = repeated(0x41DFFFFF_FFC00000, 64), repeated(0x41EFFFFF_FFE00000, 64)
_TOP_BITS = repeated(1 << 31, 32)

#: The upper halves of the f64 2**52.
_UPPER_2_52 = repeated(0x43300000, 32)
#: 2**23 and 2**39 as f32, and minus their sum.
_F32_2_23, _F32_2_39, _F32_NEGATIVE_SUM = (repeated(bits, 32) for bits in (0x4B000000, 0x53000000, 0xD3000080))


def _truncate_f32_signed(s: Selection, sink: Operand | None, a: Operand) -> Operand:
    """The processor gives 2**31 for what it cannot convert, which is right for what is too small. NaN is made 0
    before, and what is too large is complemented after.
    """
    dst = s.float_destination(sink, a)
    source = s.in_float_register(a)
    too_large = s.scratch_float()
    ordered = dst if dst != source else s.scratch_float()
    s.load_float(too_large, _F32_2_31)
    emit_i(s, v.CMPPS, too_large, too_large, source, LESS_EQUAL)
    emit_i(s, v.CMPPS, ordered, source, source, ORDERED)
    emit(s, v.ANDPS, dst, ordered, source, commutative=True)
    emit_1(s, v.CVTTPS2DQ, dst, dst)
    emit(s, v.PXOR, dst, dst, too_large)
    return s.result(V128, dst, sink, a.bit)


def _truncate_f32_unsigned(s: Selection, sink: Operand | None, a: Operand) -> Operand:
    """A number below 2**31 is converted, and what it has beyond 2**31, which is 0 for others, is converted and added:
    the processor gives 2**31 for the first part then, just what the second is to be added to. For a second part that
    is too large, too, it gives 2**31, whose complement is 2**31 - 1.
    """
    dst = s.float_destination(sink, a)
    zeros, low, limit = s.scratch_float(), s.scratch_float(), s.scratch_float()
    emit(s, v.XORPS, zeros, zeros, zeros)
    # The maximum gives its second operand for NaN.
    emit(s, v.MAXPS, dst, copied(s, dst, a), zeros)
    emit_1(s, v.CVTTPS2DQ, low, dst)
    s.load_float(limit, _F32_2_31)
    emit(s, v.SUBPS, dst, dst, limit)
    emit_i(s, v.CMPPS, limit, limit, dst, LESS_EQUAL)
    emit_1(s, v.CVTTPS2DQ, dst, dst)
    emit(s, v.PXOR, dst, dst, limit)
    emit(s, v.PMAXSD, dst, dst, zeros)
    emit(s, v.PADDD, dst, dst, low)
    return s.result(V128, dst, sink, a.bit)


def _truncate_f64_signed(s: Selection, sink: Operand | None, a: Operand) -> Operand:
    """The minimum gives its second operand for NaN: the limit, but 0 there."""
    dst = s.float_destination(sink, a)
    limit = s.scratch_float()
    source = copied(s, dst, a)
    emit_i(s, v.CMPPD, limit, source, source, ORDERED)
    emit(s, v.ANDPD, limit, limit, _F64_MOST_S32)
    emit(s, v.MINPD, dst, source, limit)
    emit_1(s, v.CVTTPD2DQ, dst, dst)
    return s.result(V128, dst, sink, a.bit)


def _truncate_f64_unsigned(s: Selection, sink: Operand | None, a: Operand) -> Operand:
    """Integers from 2**52 to 2**53 have their last bits at the end of an f64: after 2**52 is added to one below
    2**32, it is the lower half.
    """
    dst = s.float_destination(sink, a)
    zeros = s.scratch_float()
    emit(s, v.XORPS, zeros, zeros, zeros)
    # The maximum gives its second operand for NaN.
    emit(s, v.MAXPD, dst, copied(s, dst, a), zeros)
    emit(s, v.MINPD, dst, dst, _F64_MOST_U32)
    emit_1i(s, v.ROUNDPD, dst, dst, ROUND_TO_ZERO)
    emit(s, v.ADDPD, dst, dst, _F64_2_52)
    # Lanes 0 and 2 of each.
    emit_i(s, v.SHUFPS, dst, dst, zeros, 0x88)
    return s.result(V128, dst, sink, a.bit)


def _relaxed_unsigned(truncate: int, add: int, subtrahend: Operand, saturating: Rule) -> Rule:
    """A relaxed truncation to unsigned numbers.

    The processor's signed one is right below 2**31, and negative for all else. There the truncation of what the
    number has beyond 2**31 is taken, with the top bit set: this is 2**31 wherever the number is out of range, as the
    second truncation fails too.
    """

    def rule(s: Selection, sink: Operand | None, a: Operand) -> Operand:
        if not features.AVX:
            return saturating(s, sink, a)
        dst = s.float_destination(sink, a)
        source = copied(s, dst, a)
        low, high = s.scratch_float(), s.scratch_float()
        emit(s, add, high, source, subtrahend)
        emit_1(s, truncate, low, source)
        emit_1(s, truncate, high, high)
        emit(s, v.ORPS, high, high, _TOP_BITS)
        s.code += v.vex_rri(v.VBLENDVPS, dst, low, high, low << 4)
        return s.result(V128, dst, sink, a.bit)

    return rule


def _convert_unsigned(s: Selection, sink: Operand | None, a: Operand) -> Operand:
    """``f32x4.convert_i32x4_u`` with one rounding: as the last bits of the f32 2**23, and of 2**39, the lower and the
    upper 16 bits are exact, and so is the upper part without 2**39 and 2**23. Then the parts are added.
    """
    dst = s.float_destination(sink, a)
    source = copied(s, dst, a)
    low = s.scratch_float()
    s.load_float(low, _F32_2_23)
    # Each lane's lower 16 bits.
    emit_i(s, v.PBLENDW, low, low, source, 0x55)
    emit_shift(s, v.PSRLD_I, dst, source, 16)
    emit(s, v.POR, dst, dst, _F32_2_39)
    emit(s, v.ADDPS, dst, dst, _F32_NEGATIVE_SUM)
    emit(s, v.ADDPS, dst, dst, low)
    return s.result(V128, dst, sink, a.bit)


def _convert_low_unsigned(s: Selection, sink: Operand | None, a: Operand) -> Operand:
    """``f64x2.convert_low_i32x4_u``: a number is made the last bits of 2**52, which is subtracted then."""
    dst = s.float_destination(sink, a)
    emit(s, v.PUNPCKLDQ, dst, copied(s, dst, a), _UPPER_2_52)
    emit(s, v.ADDPD, dst, dst, _F64_NEGATIVE_2_52)
    return s.result(V128, dst, sink, a.bit)


RULES: dict[str, Rule] = {
    "f32x4.demote_f64x2_zero": unary(v.CVTPD2PS),
    "f64x2.promote_low_f32x4": unary(v.CVTPS2PD),
    "f32x4.convert_i32x4_s": unary(v.CVTDQ2PS),
    "f32x4.convert_i32x4_u": _convert_unsigned,
    "f64x2.convert_low_i32x4_s": unary(v.CVTDQ2PD),
    "f64x2.convert_low_i32x4_u": _convert_low_unsigned,
    "i32x4.trunc_sat_f32x4_s": _truncate_f32_signed,
    "i32x4.trunc_sat_f32x4_u": _truncate_f32_unsigned,
    "i32x4.trunc_sat_f64x2_s_zero": _truncate_f64_signed,
    "i32x4.trunc_sat_f64x2_u_zero": _truncate_f64_unsigned,
    "i32x4.relaxed_trunc_f32x4_s": unary(v.CVTTPS2DQ),
    "i32x4.relaxed_trunc_f32x4_u": _relaxed_unsigned(v.CVTTPS2DQ, v.ADDPS, _F32_NEGATIVE_2_31, _truncate_f32_unsigned),
    "i32x4.relaxed_trunc_f64x2_s_zero": unary(v.CVTTPD2DQ),
    "i32x4.relaxed_trunc_f64x2_u_zero": _relaxed_unsigned(
        v.CVTTPD2DQ, v.ADDPD, _F64_NEGATIVE_2_31, _truncate_f64_unsigned
    ),
}
DETERMINISTIC: dict[str, Rule] = {
    "i32x4.relaxed_trunc_f32x4_s": _truncate_f32_signed,
    "i32x4.relaxed_trunc_f32x4_u": _truncate_f32_unsigned,
    "i32x4.relaxed_trunc_f64x2_s_zero": _truncate_f64_signed,
    "i32x4.relaxed_trunc_f64x2_u_zero": _truncate_f64_unsigned,
}
