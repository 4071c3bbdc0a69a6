"""Rules of integers in lanes; what a rule is says :mod:`.integers`.

Where the processor has an instruction for it, the table at the end names it. A count of a shift that is no constant is
taken modulo the width of a lane, and goes to the low half of a vector register: the shift itself would take a larger
one for what leaves nothing.
"""

from __future__ import annotations

from ..operand import CONSTANT, V128, Operand, constant
from . import asm, features, packed
from . import asm_vector as v
from .packed import apply, copied, emit, emit_1, emit_1i, emit_shift, readable, repeated, separate, settle
from .selection import Selection
from .vector_products import DETERMINISTIC as _DETERMINISTIC_PRODUCTS
from .vector_products import RULES as _PRODUCTS
from .vector_products import widen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..types import Rule


# -- comparisons -----------------------------------------------------------------------------------------------------


def _invert(s: Selection, dst: int) -> None:
    mask = s.scratch_float()
    packed.ones(s, mask)
    emit(s, v.PXOR, dst, dst, mask)


def _not_equal(op: int) -> Rule:
    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand) -> Operand:
        result = apply(s, sink, op, a, b, commutative=True)
        _invert(s, result.reg)
        return result

    return rule


def _signed_not(op: int, exchanged: bool) -> Rule:
    """At most or at least, as not greater or not less: for 64 bits, which have no minimum."""

    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand) -> Operand:
        result = apply(s, sink, op, b, a) if exchanged else apply(s, sink, op, a, b)
        _invert(s, result.reg)
        return result

    return rule


def _by_extreme(extreme: int, equal: int, inverted: bool) -> Rule:
    """Whether ``a`` is the minimum or the maximum of both, or is not."""

    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand) -> Operand:
        dst = s.float_destination(sink, b)
        work = separate(s, dst, a)
        first = readable(s, a)
        if isinstance(first, int):
            emit(s, extreme, work, first, b, commutative=True)
        else:
            emit(s, extreme, work, copied(s, work, b), first)
        emit(s, equal, work, work, first, commutative=True)
        if inverted:
            _invert(s, work)
        settle(s, dst, work)
        return s.result(V128, dst, sink, a.bit | b.bit)

    return rule


# -- signs -----------------------------------------------------------------------------------------------------------


def _negate(subtract: int) -> Rule:
    def rule(s: Selection, sink: Operand | None, a: Operand) -> Operand:
        dst = s.float_destination(sink, a)
        work = separate(s, dst, a)
        packed.zeros(s, work)
        # With AVX the result need not be where the zeros are.
        emit(s, subtract, dst if features.AVX else work, work, a)
        settle(s, dst, dst if features.AVX else work)
        return s.result(V128, dst, sink, a.bit)

    return rule


def _absolute_of_64_bits(s: Selection, sink: Operand | None, a: Operand) -> Operand:
    dst = s.float_destination(sink, a)
    source = copied(s, dst, a)
    other = s.scratch_float()
    if features.AVX:
        # The negative value, where the sign is set.
        packed.zeros(s, other)
        emit(s, v.PSUBQ, other, other, source)
        packed.emit_i(s, v.VBLENDVPD, dst, source, other, source << 4)
    else:
        # The sign in all bits: flipping by it, and subtracting it, negates.
        emit_1i(s, v.PSHUFD, other, source, 0xF5)
        emit_shift(s, v.PSRAD_I, other, other, 31)
        emit(s, v.PXOR, dst, source, other)
        emit(s, v.PSUBQ, dst, dst, other)
    return s.result(V128, dst, sink, a.bit)


# -- shifts ----------------------------------------------------------------------------------------------------------


def _count(s: Selection, count: Operand, bits: int, add: int = 0) -> int:
    """A vector register with the count modulo ``bits``, and ``add`` more."""
    reg = count.reg
    if not count.bit:
        reg = s.scratch()
        s.load(reg, count)
    s.code += asm.alu_ri(asm.AND, 0, reg, bits - 1)
    if add:
        s.code += asm.alu_ri(asm.ADD, 0, reg, add)
    vector = s.scratch_float()
    emit_1(s, v.MOVD_TO, vector, reg)
    return vector


def _shift(bits: int, by_register: int, by_constant: int) -> Rule:
    def rule(s: Selection, sink: Operand | None, a: Operand, count: Operand) -> Operand:
        dst = s.float_destination(sink, a)
        source = copied(s, dst, a)
        if count.kind != CONSTANT:
            emit(s, by_register, dst, source, _count(s, count, bits))
        elif count.value:
            emit_shift(s, by_constant, dst, source, count.value)
        else:
            settle(s, dst, source)
        return s.result(V128, dst, sink, a.bit | count.bit)

    return rule


def _shift_of_bytes(left: bool) -> Rule:
    """As words, and then without the bits that came from the other byte."""

    def rule(s: Selection, sink: Operand | None, a: Operand, count: Operand) -> Operand:
        dst = s.float_destination(sink, a)
        source = copied(s, dst, a)
        if count.kind == CONSTANT:
            _byte_shift_by_constant(s, dst, source, count.value, left)
            return s.result(V128, dst, sink, a.bit)
        places = _count(s, count, 8)
        mask = s.scratch_float()
        packed.ones(s, mask)
        if left:
            emit(s, v.PSLLW, dst, source, places)
            # The low byte has what remains of all ones.
            emit(s, v.PSLLW, mask, mask, places)
            if features.AVX2:
                emit_1(s, v.VPBROADCASTB, mask, mask)
            else:
                packed.zeros(s, places)
                emit(s, v.PSHUFB, mask, mask, places)
        else:
            emit(s, v.PSRLW, dst, source, places)
            # The high byte has it.
            emit(s, v.PSRLW, mask, mask, places)
            emit_shift(s, v.PSRLW_I, mask, mask, 8)
            emit(s, v.PACKUSWB, mask, mask, mask)
        emit(s, v.PAND, dst, dst, mask)
        return s.result(V128, dst, sink, a.bit | count.bit)

    return rule


def _byte_shift_by_constant(s: Selection, dst: int, source: int, count: int, left: bool) -> None:
    if count == 0:
        settle(s, dst, source)
    elif left and count == 1:
        emit(s, v.PADDB, dst, source, source)
    elif left:
        emit_shift(s, v.PSLLW_I, dst, source, count)
        emit(s, v.PAND, dst, dst, repeated(0xFF << count, 8))
    else:
        emit_shift(s, v.PSRLW_I, dst, source, count)
        emit(s, v.PAND, dst, dst, repeated(0xFF >> count, 8))


def _signed_shift_of_bytes(s: Selection, sink: Operand | None, a: Operand, count: Operand) -> Operand:
    dst = s.float_destination(sink, a)
    source = copied(s, dst, a)
    if count.kind == CONSTANT:
        places = count.value
        if places == 7:
            zero = s.scratch_float()
            packed.zeros(s, zero)
            emit(s, v.PCMPGTB, zero, zero, source)
            settle(s, dst, zero)
        else:
            _byte_shift_by_constant(s, dst, source, places, left=False)
            if places:
                # The sign is in the middle now: flipping it and subtracting it extends it.
                sign = repeated(0x80 >> places, 8)
                emit(s, v.PXOR, dst, dst, sign)
                emit(s, v.PSUBB, dst, dst, sign)
        return s.result(V128, dst, sink, a.bit)
    # As the high bytes of words, which go to the low ones.
    places_of_words = _count(s, count, 8, add=8)
    high = s.scratch_float()
    emit(s, v.PUNPCKHBW, high, source, source)
    emit(s, v.PUNPCKLBW, dst, source, source)
    emit(s, v.PSRAW, high, high, places_of_words)
    emit(s, v.PSRAW, dst, dst, places_of_words)
    emit(s, v.PACKSSWB, dst, dst, high)
    return s.result(V128, dst, sink, a.bit | count.bit)


_SIGNS = constant(V128, 1 << 127 | 1 << 63)


def _signed_shift_of_64_bits(s: Selection, sink: Operand | None, a: Operand, count: Operand) -> Operand:
    dst = s.float_destination(sink, a)
    source = copied(s, dst, a)
    if count.kind == CONSTANT:
        _signed_shift_by_constant(s, dst, source, count.value)
        return s.result(V128, dst, sink, a.bit)
    places = _count(s, count, 64)
    sign = s.scratch_float()
    s.load_float(sign, _SIGNS)
    emit(s, v.PSRLQ, sign, sign, places)
    emit(s, v.PSRLQ, dst, source, places)
    emit(s, v.PXOR, dst, dst, sign)
    emit(s, v.PSUBQ, dst, dst, sign)
    return s.result(V128, dst, sink, a.bit | count.bit)


def _signed_shift_by_constant(s: Selection, dst: int, source: int, count: int) -> None:
    if count == 0:
        settle(s, dst, source)
    elif count < 32:
        # Upper halves by a shift of 32 bits, which extends signs, lower ones by one of 64.
        upper = s.scratch_float()
        emit_shift(s, v.PSRAD_I, upper, source, count)
        emit_shift(s, v.PSRLQ_I, dst, source, count)
        packed.emit_i(s, v.PBLENDW, dst, dst, upper, 0xCC)
    elif count == 63:
        emit_1i(s, v.PSHUFD, dst, source, 0xF5)
        emit_shift(s, v.PSRAD_I, dst, dst, 31)
    else:
        sign = repeated(1 << 63 - count, 64)
        emit_shift(s, v.PSRLQ_I, dst, source, count)
        emit(s, v.PXOR, dst, dst, sign)
        emit(s, v.PSUBQ, dst, dst, sign)


# -- widths ----------------------------------------------------------------------------------------------------------


def _extend_high_signed(op: int) -> Rule:
    def rule(s: Selection, sink: Operand | None, a: Operand) -> Operand:
        dst = s.float_destination(sink, a)
        widen(s, dst, a, op, high=True)
        return s.result(V128, dst, sink, a.bit)

    return rule


def _extend_high_unsigned(op: int, interleave: int) -> Rule:
    def rule(s: Selection, sink: Operand | None, a: Operand) -> Operand:
        dst = s.float_destination(sink, a)
        if a.reg < 0 and a.kind != CONSTANT:
            emit_1(s, op, dst, Operand(a.kind, V128, offset=a.offset + 8))
        else:
            zero = s.scratch_float()
            packed.zeros(s, zero)
            emit(s, interleave, dst, copied(s, dst, a), zero)
        return s.result(V128, dst, sink, a.bit)

    return rule


# -- bits ------------------------------------------------------------------------------------------------------------

_LOW_NIBBLES = repeated(0x0F, 8)
#: How many bits are set in each number from 0 to 15.
_BITS_SET = constant(V128, int.from_bytes(map(int.bit_count, range(16)), "little"))


def _popcnt(s: Selection, sink: Operand | None, a: Operand) -> Operand:
    """The sum of what a table of 16 bytes has for each half of a byte."""
    dst = s.float_destination(sink, a)
    source = copied(s, dst, a)
    high, counts = s.scratch_float(), s.scratch_float()
    emit_shift(s, v.PSRLW_I, high, source, 4)
    emit(s, v.PAND, dst, source, _LOW_NIBBLES)
    emit(s, v.PAND, high, high, _LOW_NIBBLES)
    if features.AVX:
        s.load_float(counts, _BITS_SET)
        emit(s, v.PSHUFB, dst, counts, dst)
        emit(s, v.PSHUFB, high, counts, high)
        emit(s, v.PADDB, dst, dst, high)
    else:
        # The table is overwritten by what it is asked for.
        s.load_float(counts, _BITS_SET)
        emit(s, v.PSHUFB, counts, counts, high)
        s.load_float(high, _BITS_SET)
        emit(s, v.PSHUFB, high, high, dst)
        emit(s, v.PADDB, high, high, counts)
        settle(s, dst, high)
    return s.result(V128, dst, sink, a.bit)


# -- the tables ------------------------------------------------------------------------------------------------------

_SHAPES = ("i8x16", "i16x8", "i32x4", "i64x2")


def _comparisons() -> dict[str, Rule]:
    rules = {}
    equals = (v.PCMPEQB, v.PCMPEQW, v.PCMPEQD, v.PCMPEQQ)
    greaters = (v.PCMPGTB, v.PCMPGTW, v.PCMPGTD, v.PCMPGTQ)
    for shape, equal, greater in zip(_SHAPES, equals, greaters, strict=True):
        rules[f"{shape}.eq"] = packed.binary(equal, commutative=True)
        rules[f"{shape}.ne"] = _not_equal(equal)
        rules[f"{shape}.gt_s"] = packed.binary(greater)
        rules[f"{shape}.lt_s"] = packed.swapped(greater)
    rules["i64x2.le_s"] = _signed_not(v.PCMPGTQ, exchanged=False)
    rules["i64x2.ge_s"] = _signed_not(v.PCMPGTQ, exchanged=True)
    for sign, minima, maxima in (
        ("s", (v.PMINSB, v.PMINSW, v.PMINSD), (v.PMAXSB, v.PMAXSW, v.PMAXSD)),
        ("u", (v.PMINUB, v.PMINUW, v.PMINUD), (v.PMAXUB, v.PMAXUW, v.PMAXUD)),
    ):
        for shape, equal, minimum, maximum in zip(_SHAPES[:3], equals[:3], minima, maxima, strict=True):
            rules[f"{shape}.min_{sign}"] = packed.binary(minimum, commutative=True)
            rules[f"{shape}.max_{sign}"] = packed.binary(maximum, commutative=True)
            rules[f"{shape}.le_{sign}"] = _by_extreme(minimum, equal, inverted=False)
            rules[f"{shape}.ge_{sign}"] = _by_extreme(maximum, equal, inverted=False)
            if sign == "u":
                rules[f"{shape}.gt_u"] = _by_extreme(minimum, equal, inverted=True)
                rules[f"{shape}.lt_u"] = _by_extreme(maximum, equal, inverted=True)
    return rules


def _arithmetic() -> dict[str, Rule]:
    rules: dict[str, Rule] = {}
    adds = (v.PADDB, v.PADDW, v.PADDD, v.PADDQ)
    subtracts = (v.PSUBB, v.PSUBW, v.PSUBD, v.PSUBQ)
    for shape, add, subtract in zip(_SHAPES, adds, subtracts, strict=True):
        rules[f"{shape}.add"] = packed.binary(add, commutative=True)
        rules[f"{shape}.sub"] = packed.binary(subtract)
        rules[f"{shape}.neg"] = _negate(subtract)
    for shape, op in zip(_SHAPES[:3], (v.PABSB, v.PABSW, v.PABSD), strict=True):
        rules[f"{shape}.abs"] = packed.unary(op)
    rules["i64x2.abs"] = _absolute_of_64_bits
    for name, op, commutative in (
        ("i8x16.add_sat_s", v.PADDSB, True),
        ("i8x16.add_sat_u", v.PADDUSB, True),
        ("i8x16.sub_sat_s", v.PSUBSB, False),
        ("i8x16.sub_sat_u", v.PSUBUSB, False),
        ("i8x16.avgr_u", v.PAVGB, True),
        ("i8x16.narrow_i16x8_s", v.PACKSSWB, False),
        ("i8x16.narrow_i16x8_u", v.PACKUSWB, False),
        ("i16x8.add_sat_s", v.PADDSW, True),
        ("i16x8.add_sat_u", v.PADDUSW, True),
        ("i16x8.sub_sat_s", v.PSUBSW, False),
        ("i16x8.sub_sat_u", v.PSUBUSW, False),
        ("i16x8.avgr_u", v.PAVGW, True),
        ("i16x8.narrow_i32x4_s", v.PACKSSDW, False),
        ("i16x8.narrow_i32x4_u", v.PACKUSDW, False),
    ):
        rules[name] = packed.binary(op, commutative)
    rules["i8x16.popcnt"] = _popcnt
    return rules


def _shifts() -> dict[str, Rule]:
    return {
        "i8x16.shl": _shift_of_bytes(left=True),
        "i8x16.shr_u": _shift_of_bytes(left=False),
        "i8x16.shr_s": _signed_shift_of_bytes,
        "i16x8.shl": _shift(16, v.PSLLW, v.PSLLW_I),
        "i16x8.shr_u": _shift(16, v.PSRLW, v.PSRLW_I),
        "i16x8.shr_s": _shift(16, v.PSRAW, v.PSRAW_I),
        "i32x4.shl": _shift(32, v.PSLLD, v.PSLLD_I),
        "i32x4.shr_u": _shift(32, v.PSRLD, v.PSRLD_I),
        "i32x4.shr_s": _shift(32, v.PSRAD, v.PSRAD_I),
        "i64x2.shl": _shift(64, v.PSLLQ, v.PSLLQ_I),
        "i64x2.shr_u": _shift(64, v.PSRLQ, v.PSRLQ_I),
        "i64x2.shr_s": _signed_shift_of_64_bits,
    }


def _extensions() -> dict[str, Rule]:
    rules = {}
    for to, source, signed, unsigned, interleave in (
        ("i16x8", "i8x16", v.PMOVSXBW, v.PMOVZXBW, v.PUNPCKHBW),
        ("i32x4", "i16x8", v.PMOVSXWD, v.PMOVZXWD, v.PUNPCKHWD),
        ("i64x2", "i32x4", v.PMOVSXDQ, v.PMOVZXDQ, v.PUNPCKHDQ),
    ):
        rules[f"{to}.extend_low_{source}_s"] = packed.unary(signed)
        rules[f"{to}.extend_low_{source}_u"] = packed.unary(unsigned)
        rules[f"{to}.extend_high_{source}_s"] = _extend_high_signed(signed)
        rules[f"{to}.extend_high_{source}_u"] = _extend_high_unsigned(unsigned, interleave)
    return rules


RULES: dict[str, Rule] = {**_comparisons(), **_arithmetic(), **_shifts(), **_extensions(), **_PRODUCTS}
#: What relaxed instructions are where every processor has to have the same results.
DETERMINISTIC: dict[str, Rule] = _DETERMINISTIC_PRODUCTS
