"""Rules of products of integers in lanes, and of sums of neighbours: a part of those in :mod:`.vector_integers`."""

from __future__ import annotations

from ..operand import CONSTANT, V128, Operand
from . import asm_vector as v
from . import features, packed
from .packed import apply, copied, emit, emit_1, emit_1i, emit_shift, readable, repeated, separate, settle
from .selection import Selection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..types import Rule

_ONES_OF_8, _ONES_OF_16 = repeated(1, 8), repeated(1, 16)


def _product_of_64_bits(s: Selection, sink: Operand | None, a: Operand, b: Operand) -> Operand:
    """Of halves of 32 bits: both products of a low and a high one, moved up, and that of the low ones."""
    dst = s.float_destination(sink, a, b)
    first = s.in_float_register(a)
    second = s.in_float_register(b)
    cross, other = s.scratch_float(), s.scratch_float() if dst in (first, second) else dst
    emit_shift(s, v.PSRLQ_I, cross, first, 32)
    emit(s, v.PMULUDQ, cross, cross, second)
    emit_shift(s, v.PSRLQ_I, other, second, 32)
    emit(s, v.PMULUDQ, other, other, first)
    emit(s, v.PADDQ, cross, cross, other)
    emit_shift(s, v.PSLLQ_I, cross, cross, 32)
    emit(s, v.PMULUDQ, dst, first, second, commutative=True)
    emit(s, v.PADDQ, dst, dst, cross)
    return s.result(V128, dst, sink, a.bit | b.bit)


# -- products of twice the width -------------------------------------------------------------------------------------


def widen(s: Selection, dst: int, a: Operand, op: int, high: bool) -> None:
    """``dst`` = one half of ``a``, each lane in twice the width."""
    if not high:
        emit_1(s, op, dst, a)
    elif a.reg < 0 and a.kind != CONSTANT:
        emit_1(s, op, dst, Operand(a.kind, V128, offset=a.offset + 8))
    else:
        emit_1i(s, v.PSHUFD, dst, copied(s, dst, a), 0xEE)
        emit_1(s, op, dst, dst)


def _product_of_bytes(extend: int, high: bool) -> Rule:
    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand) -> Operand:
        dst = s.float_destination(sink, a)
        other = s.scratch_float()
        widen(s, other, b, extend, high)
        widen(s, dst, a, extend, high)
        emit(s, v.PMULLW, dst, dst, other)
        return s.result(V128, dst, sink, a.bit | b.bit)

    return rule


def _product_of_words(upper: int, interleave: int) -> Rule:
    """Lower and upper halves of products, brought together."""

    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand) -> Operand:
        if a.reg < 0 <= b.reg:
            a, b = b, a
        dst = s.float_destination(sink, a, b)
        first, second = s.in_float_register(a), readable(s, b)
        halves = s.scratch_float()
        emit(s, upper, halves, first, second)
        emit(s, v.PMULLW, dst, first, second, commutative=True)
        emit(s, interleave, dst, dst, halves)
        return s.result(V128, dst, sink, a.bit | b.bit)

    return rule


def _product_of_32_bits(multiply: int, high: bool) -> Rule:
    """The instruction has even lanes as its operands."""
    lanes = 0xFA if high else 0x50

    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand) -> Operand:
        dst = s.float_destination(sink, a)
        other = s.scratch_float()
        emit_1i(s, v.PSHUFD, other, b, lanes)
        emit_1i(s, v.PSHUFD, dst, a, lanes)
        emit(s, multiply, dst, dst, other)
        return s.result(V128, dst, sink, a.bit | b.bit)

    return rule


def _rounded_product(s: Selection, sink: Operand | None, a: Operand, b: Operand) -> Operand:
    """The processor's does not saturate: the one product that has to, that of the least numbers, is -0x8000."""
    result = apply(s, sink, v.PMULHRSW, a, b, commutative=True)
    wrong = s.scratch_float()
    emit(s, v.PCMPEQW, wrong, result.reg, repeated(0x8000, 16))
    emit(s, v.PXOR, result.reg, result.reg, wrong)
    return result


# -- sums of neighbours ----------------------------------------------------------------------------------------------


def _pairs_of_signed_bytes(s: Selection, sink: Operand | None, a: Operand) -> Operand:
    """The processor's products are of unsigned and signed bytes, in this order."""
    dst = s.float_destination(sink, a)
    work = separate(s, dst, a)
    s.load_float(work, _ONES_OF_8)
    emit(s, v.PMADDUBSW, dst if features.AVX else work, work, a)
    settle(s, dst, dst if features.AVX else work)
    return s.result(V128, dst, sink, a.bit)


def _pairs_by(op: int, factors: Operand) -> Rule:
    def rule(s: Selection, sink: Operand | None, a: Operand) -> Operand:
        dst = s.float_destination(sink, a)
        emit(s, op, dst, copied(s, dst, a), factors)
        return s.result(V128, dst, sink, a.bit)

    return rule


def _pairs_of_unsigned_words(s: Selection, sink: Operand | None, a: Operand) -> Operand:
    dst = s.float_destination(sink, a)
    source = copied(s, dst, a)
    upper, zero = s.scratch_float(), s.scratch_float()
    emit_shift(s, v.PSRLD_I, upper, source, 16)
    packed.zeros(s, zero)
    packed.emit_i(s, v.PBLENDW, dst, source, zero, 0xAA)
    emit(s, v.PADDD, dst, dst, upper)
    return s.result(V128, dst, sink, a.bit)


def _dot_and_add(s: Selection, sink: Operand | None, a: Operand, b: Operand, c: Operand) -> Operand:
    """The second operand has no signs, which makes it the first one of the processor's instruction."""
    work = s.scratch_float()
    emit(s, v.PMADDUBSW, work, copied(s, work, b), a)
    return _add_pairs(s, sink, work, c, a.bit | b.bit)


def _add_pairs(s: Selection, sink: Operand | None, words: int, c: Operand, bits: int) -> Operand:
    """``c`` and the sums of neighbouring words."""
    emit(s, v.PMADDWD, words, words, _ONES_OF_16)
    dst = s.float_destination(sink, c)
    emit(s, v.PADDD, dst, copied(s, dst, c), words)
    return s.result(V128, dst, sink, bits | c.bit)


def _signed_products(s: Selection, work: int, a: Operand, b: Operand) -> None:
    """``work`` = saturated sums of neighbouring products of signed bytes. It takes two more registers."""
    odd, other = s.scratch_float(), s.scratch_float()
    emit_shift(s, v.PSLLW_I, work, copied(s, work, a), 8)
    emit_shift(s, v.PSRAW_I, work, work, 8)
    emit_shift(s, v.PSLLW_I, other, copied(s, other, b), 8)
    emit_shift(s, v.PSRAW_I, other, other, 8)
    emit(s, v.PMULLW, work, work, other)
    emit_shift(s, v.PSRAW_I, odd, copied(s, odd, a), 8)
    emit_shift(s, v.PSRAW_I, other, copied(s, other, b), 8)
    emit(s, v.PMULLW, odd, odd, other)
    emit(s, v.PADDSW, work, work, odd)


def _signed_dot(s: Selection, sink: Operand | None, a: Operand, b: Operand) -> Operand:
    dst = s.float_destination(sink, a)
    work = separate(s, dst, a, b)
    _signed_products(s, work, a, b)
    settle(s, dst, work)
    return s.result(V128, dst, sink, a.bit | b.bit)


def _signed_dot_and_add(s: Selection, sink: Operand | None, a: Operand, b: Operand, c: Operand) -> Operand:
    work = s.scratch_float()
    _signed_products(s, work, a, b)
    return _add_pairs(s, sink, work, c, a.bit | b.bit)


RULES: dict[str, Rule] = {
    "i16x8.mul": packed.binary(v.PMULLW, commutative=True),
    "i32x4.mul": packed.binary(v.PMULLD, commutative=True),
    "i64x2.mul": _product_of_64_bits,
    "i16x8.extmul_low_i8x16_s": _product_of_bytes(v.PMOVSXBW, high=False),
    "i16x8.extmul_high_i8x16_s": _product_of_bytes(v.PMOVSXBW, high=True),
    "i16x8.extmul_low_i8x16_u": _product_of_bytes(v.PMOVZXBW, high=False),
    "i16x8.extmul_high_i8x16_u": _product_of_bytes(v.PMOVZXBW, high=True),
    "i32x4.extmul_low_i16x8_s": _product_of_words(v.PMULHW, v.PUNPCKLWD),
    "i32x4.extmul_high_i16x8_s": _product_of_words(v.PMULHW, v.PUNPCKHWD),
    "i32x4.extmul_low_i16x8_u": _product_of_words(v.PMULHUW, v.PUNPCKLWD),
    "i32x4.extmul_high_i16x8_u": _product_of_words(v.PMULHUW, v.PUNPCKHWD),
    "i64x2.extmul_low_i32x4_s": _product_of_32_bits(v.PMULDQ, high=False),
    "i64x2.extmul_high_i32x4_s": _product_of_32_bits(v.PMULDQ, high=True),
    "i64x2.extmul_low_i32x4_u": _product_of_32_bits(v.PMULUDQ, high=False),
    "i64x2.extmul_high_i32x4_u": _product_of_32_bits(v.PMULUDQ, high=True),
    "i16x8.q15mulr_sat_s": _rounded_product,
    "i16x8.relaxed_q15mulr_s": packed.binary(v.PMULHRSW, commutative=True),
    "i32x4.dot_i16x8_s": packed.binary(v.PMADDWD, commutative=True),
    "i16x8.extadd_pairwise_i8x16_s": _pairs_of_signed_bytes,
    "i16x8.extadd_pairwise_i8x16_u": _pairs_by(v.PMADDUBSW, _ONES_OF_8),
    "i32x4.extadd_pairwise_i16x8_s": _pairs_by(v.PMADDWD, _ONES_OF_16),
    "i32x4.extadd_pairwise_i16x8_u": _pairs_of_unsigned_words,
    "i16x8.relaxed_dot_i8x16_i7x16_s": packed.swapped(v.PMADDUBSW),
    "i32x4.relaxed_dot_i8x16_i7x16_add_s": _dot_and_add,
}
#: What relaxed instructions are where every processor has to have the same results.
DETERMINISTIC: dict[str, Rule] = {
    "i16x8.relaxed_q15mulr_s": _rounded_product,
    "i16x8.relaxed_dot_i8x16_i7x16_s": _signed_dot,
    "i32x4.relaxed_dot_i8x16_i7x16_add_s": _signed_dot_and_add,
}
