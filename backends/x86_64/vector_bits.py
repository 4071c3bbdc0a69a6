"""Rules of vectors as bits, and of what their lanes have in common; what a rule is says :mod:`.integers`."""

from __future__ import annotations

from ..operand import CONSTANT, I32, LITERAL, V128, WANT_FLAGS, Operand
from . import asm, features, packed
from . import asm_vector as v
from .floats import select_float
from .integers import materialise
from .packed import emit, zeros
from .selection import Selection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..types import Rule


def _not(s: Selection, sink: Operand | None, a: Operand) -> Operand:
    dst = s.float_destination(sink, a)
    mask = s.scratch_float() if dst == a.reg else dst
    packed.ones(s, mask)
    emit(s, v.PXOR, dst, mask, a, commutative=True)
    return s.result(V128, dst, sink, a.bit)


def _is_zero(operand: Operand) -> bool:
    return operand.kind == CONSTANT and operand is not LITERAL and not operand.value


def bitselect(s: Selection, sink: Operand | None, a: Operand, b: Operand, mask: Operand) -> Operand:
    """Bits of ``a`` where ``mask`` has ones, else of ``b``."""
    if _is_zero(b):
        return RULES["v128.and"](s, sink, a, mask)
    if _is_zero(a):
        return RULES["v128.andnot"](s, sink, b, mask)
    dst = s.float_destination(sink, a)
    work = packed.separate(s, dst, b, mask)
    first = packed.copied(s, work, a)
    if features.AVX and b.reg >= 0 and mask.reg >= 0:
        # Two of the three do not wait for each other.
        others = s.scratch_float()
        emit(s, v.PANDN, others, mask.reg, b)
        emit(s, v.PAND, work, first, mask)
        emit(s, v.POR, dst, others, work)
        return s.result(V128, dst, sink, a.bit | b.bit | mask.bit)
    other = packed.readable(s, b)
    emit(s, v.PXOR, work, first, other)
    emit(s, v.PAND, work, work, mask)
    emit(s, v.PXOR, work, work, other)
    packed.settle(s, dst, work)
    return s.result(V128, dst, sink, a.bit | b.bit | mask.bit)


def _laneselect(op: int) -> Rule:
    """By the top bit of each lane. The legacy form has its mask in xmm0, which may be anyone's: bits are as good."""

    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand, mask: Operand) -> Operand:
        if not features.AVX:
            return bitselect(s, sink, a, b, mask)
        dst = s.float_destination(sink, a, b)
        other, chooser = s.in_float_register(b), s.in_float_register(mask)
        packed.emit_i(s, op, dst, other, a, chooser << 4)
        return s.result(V128, dst, sink, a.bit | b.bit | mask.bit)

    return rule


def _any_true(s: Selection, sink: Operand | None, a: Operand) -> Operand:
    reg = s.in_float_register(a)
    packed.emit_1(s, v.PTEST, reg, reg)
    return materialise(s, sink, asm.CC_NE, a.bit)


def _all_true(equal: int) -> Rule:
    """No lane equals zero."""

    def rule(s: Selection, sink: Operand | None, a: Operand) -> Operand:
        found = s.scratch_float()
        zeros(s, found)
        emit(s, equal, found, found, a, commutative=True)
        packed.emit_1(s, v.PTEST, found, found)
        return materialise(s, sink, asm.CC_E, a.bit)

    return rule


def _bitmask(op: int, mask: int = 0) -> Rule:
    """Bits that an instruction collects; as flags, of those in ``mask`` alone, if there is one."""

    def rule(s: Selection, sink: Operand | None, a: Operand) -> Operand:
        reg = s.in_float_register(a)
        if sink is WANT_FLAGS:
            bits = s.scratch()
            packed.emit_1(s, op, bits, reg)
            s.code += asm.test_ri(0, bits, mask) if mask else asm.test_rr(0, bits, bits)
            return materialise(s, sink, asm.CC_NE, a.bit)
        dst = s.take() if sink is None else sink.reg
        if mask:
            # Each lane of 16 bits to one of 8, which keeps its sign.
            narrow = s.scratch_float()
            emit(s, v.PACKSSWB, narrow, reg, reg)
            packed.emit_1(s, op, dst, narrow)
            s.code += asm.movzx8_rr(dst, dst)
        else:
            packed.emit_1(s, op, dst, reg)
        return s.result(I32, dst, sink, a.bit)

    return rule


RULES: dict[str, Rule] = {
    "v128.not": _not,
    "v128.and": packed.binary(v.PAND, commutative=True),
    "v128.andnot": packed.swapped(v.PANDN),
    "v128.or": packed.binary(v.POR, commutative=True),
    "v128.xor": packed.binary(v.PXOR, commutative=True),
    "v128.bitselect": bitselect,
    "v128.select": select_float,
    "v128.any_true": _any_true,
    "i8x16.all_true": _all_true(v.PCMPEQB),
    "i16x8.all_true": _all_true(v.PCMPEQW),
    "i32x4.all_true": _all_true(v.PCMPEQD),
    "i64x2.all_true": _all_true(v.PCMPEQQ),
    "i8x16.bitmask": _bitmask(v.PMOVMSKB),
    # The upper byte of each lane has its sign.
    "i16x8.bitmask": _bitmask(v.PMOVMSKB, 0xAAAA),
    "i32x4.bitmask": _bitmask(v.MOVMSKPS),
    "i64x2.bitmask": _bitmask(v.MOVMSKPD),
    "i8x16.relaxed_laneselect": _laneselect(v.VPBLENDVB),
    "i16x8.relaxed_laneselect": _laneselect(v.VPBLENDVB),
    "i32x4.relaxed_laneselect": _laneselect(v.VBLENDVPS),
    "i64x2.relaxed_laneselect": _laneselect(v.VBLENDVPD),
}
#: What relaxed instructions are where every processor has to have the same results.
DETERMINISTIC: dict[str, Rule] = dict.fromkeys(
    [f"{shape}.relaxed_laneselect" for shape in ("i8x16", "i16x8", "i32x4", "i64x2")], bitselect
)
