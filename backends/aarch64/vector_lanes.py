"""Rules of the vector instructions that put scalars into lanes and take them out, and of swizzles; what a rule is says
:mod:`.integers`.

A scalar in the frame is loaded into a vector register at once, and a lane of a vector in the frame alone.
"""

from __future__ import annotations

from ..operand import CONSTANT, F32, F64, I32, I64, V128, Operand
from . import asm
from . import asm_vector as v
from .addresses import at
from .regs import FLOAT_SCRATCH, FRAME, SCRATCH
from .selection import Selection
from .vector_bits import binary, is_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..types import Rule

#: Each shape, the size of a lane, and the type of what a lane is outside the vector.
_SHAPES = (
    ("i8x16", 0, I32),
    ("i16x8", 1, I32),
    ("i32x4", 2, I32),
    ("i64x2", 3, I64),
    ("f32x4", 2, F32),
    ("f64x2", 3, F64),
)


def _is_integer(type_: int) -> bool:
    return type_ in (I32, I64)


def _immediate(dst: int, size: int, bits: int) -> bytes:
    """The one instruction that puts a number into all lanes, or nothing if there is none (DDI 0487,
    ``AdvSIMDExpandImm``).
    """
    if bits == 0:
        return asm.movi_zero(dst)
    while size and bits == (bits & (1 << (4 << size)) - 1) * ((1 << (4 << size)) + 1):
        # Both halves are equal: as lanes of half the width.
        size -= 1
        bits &= (1 << (8 << size)) - 1
    if size == 0:
        return v.movi_b(dst, bits)
    if size < 3:
        for op, number in ((v.MOVI, bits), (v.MVNI, bits ^ (1 << (8 << size)) - 1)):
            for shift in range(0, 8 << size, 8):
                if number >> shift << shift == number and number >> shift < 256:
                    return v.immediate(op, size, dst, number >> shift, shift)
        short = asm.float_immediate(0, bits) if size == 2 else -1
        return v.fmov_lanes(0, dst, short) if short >= 0 else b""
    parts = [bits >> 8 * part & 255 for part in range(8)]
    if all(part in (0, 255) for part in parts):
        return v.movi_mask(dst, sum([(part & 1) << index for index, part in enumerate(parts)]))
    short = asm.float_immediate(1, bits)
    return v.fmov_lanes(1, dst, short) if short >= 0 else b""


def _load_scalar(s: Selection, a: Operand) -> None:
    """Put a scalar of any type that is in the frame into the first vector scratch."""
    s.load_float(FLOAT_SCRATCH, Operand(a.kind, F32 if a.type in (I32, F32) else F64, offset=a.offset))


def _splat(size: int, type_: int) -> Rule:
    def rule(s: Selection, sink: Operand | None, a: Operand) -> Operand:
        dst = s.float_destination(sink, a.bit)
        if a.kind == CONSTANT:
            bits = a.value & (1 << (8 << size)) - 1
            one = _immediate(dst, size, bits)
            s.code += one or asm.mov_ri(SCRATCH, bits) + v.dup(size, dst, SCRATCH)
        elif a.reg < 0:
            _load_scalar(s, a)
            s.code += v.dup_lane(size, dst, FLOAT_SCRATCH, 0)
        elif _is_integer(type_):
            s.code += v.dup(size, dst, a.reg)
        else:
            s.code += v.dup_lane(size, dst, a.reg, 0)
        return s.result(V128, dst, sink, a.bit)

    return rule


#: Loads of a lane by its size and whether it is sign-extended, and by its size of a float.
_LOADS = {
    (0, True): asm.LDRSB_W,
    (0, False): asm.LDRB,
    (1, True): asm.LDRSH_W,
    (1, False): asm.LDRH,
    (2, False): asm.LDR_W,
    (3, False): asm.LDR_X,
}
_FLOAT_LOADS = {2: asm.LDR_S, 3: asm.LDR_D}


def _extract(size: int, type_: int, is_signed: bool) -> Rule:
    def rule(s: Selection, sink: Operand | None, a: Operand, lane: int) -> Operand:
        dst = s.destination(sink, 0)
        if a.reg < 0 and a.kind != CONSTANT:
            s.code += at(_LOADS[size, is_signed], dst, FRAME, a.offset + (lane << size))
            return s.result(type_, dst, sink, a.bit)
        source = s.in_float_register(a)
        if is_signed:
            s.code += v.smov(size, 0, dst, source, lane)
        elif size > 1 and not lane:
            s.code += asm.fmov_from(size - 2, dst, source)
        else:
            s.code += v.umov(size, dst, source, lane)
        return s.result(type_, dst, sink, a.bit)

    return rule


def _extract_float(size: int, type_: int) -> Rule:
    def rule(s: Selection, sink: Operand | None, a: Operand, lane: int) -> Operand:
        dst = s.float_destination(sink, a.bit)
        if a.reg < 0 and a.kind != CONSTANT:
            s.code += at(_FLOAT_LOADS[size], dst, FRAME, a.offset + (lane << size))
            return s.result(type_, dst, sink, a.bit)
        source = s.in_float_register(a)
        # Either clears what is above the float.
        if lane:
            s.code += v.dup_scalar(size, dst, source, lane)
        else:
            s.code += asm.fp_r(asm.FMOV, size - 2, dst, source)
        return s.result(type_, dst, sink, a.bit)

    return rule


def _replace(size: int, type_: int) -> Rule:
    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand, lane: int) -> Operand:
        # Not where the scalar is: the vector comes there first.
        dst = s.float_destination(sink, a.bit)
        bits = a.bit | b.bit
        if size > 1 and not lane and is_all(a, 0) and b.reg >= 0:
            # What a scalar move leaves above it is zero.
            move = asm.fmov_to if _is_integer(type_) else _move_float
            s.code += move(size - 2, dst, b.reg)
            return s.result(V128, dst, sink, bits)
        s.load_float(dst, a)
        if b.kind == CONSTANT:
            scalar = Operand(CONSTANT, I64, value=b.value & (1 << (8 << size)) - 1)
            s.code += v.ins(size, dst, lane, s.in_register(scalar))
        elif b.reg < 0:
            _load_scalar(s, b)
            s.code += v.ins_lane(size, dst, lane, FLOAT_SCRATCH, 0)
        elif _is_integer(type_):
            s.code += v.ins(size, dst, lane, b.reg)
        else:
            s.code += v.ins_lane(size, dst, lane, b.reg, 0)
        return s.result(V128, dst, sink, bits)

    return rule


def _move_float(d: int, dst: int, src: int) -> bytes:
    return asm.fp_r(asm.FMOV, d, dst, src)


def _rules() -> dict[str, Rule]:
    # An index beyond the table gives 0, as it should.
    swizzle = binary(lambda dst, a, b: v.table(v.TBL, 1, dst, a, b))
    rules: dict[str, Rule] = {"i8x16.swizzle": swizzle, "i8x16.relaxed_swizzle": swizzle}
    for shape, size, type_ in _SHAPES:
        rules[f"{shape}.splat"] = _splat(size, type_)
        rules[f"{shape}.replace_lane"] = _replace(size, type_)
        if size < 2:
            rules[f"{shape}.extract_lane_s"] = _extract(size, type_, True)
            rules[f"{shape}.extract_lane_u"] = _extract(size, type_, False)
        elif _is_integer(type_):
            rules[f"{shape}.extract_lane"] = _extract(size, type_, False)
        else:
            rules[f"{shape}.extract_lane"] = _extract_float(size, type_)
    return rules


RULES = _rules()
#: Relaxed instructions whose rule is another one in the deterministic profile: none here.
DETERMINISTIC: dict[str, Rule] = {}
