"""Rules of single lanes: splats, and lanes that are taken out of vectors and put into them."""

from __future__ import annotations

from ..operand import CONSTANT, F32, F64, I32, I64, V128, Operand, constant
from . import asm, features, packed
from . import asm_vector as v
from .packed import emit
from .regs import FRAME
from .selection import Selection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..types import Rule


# -- splats ----------------------------------------------------------------------------------------------------------


def _to_vector(s: Selection, dst: int, wide: bool, a: Operand) -> None:
    """``dst`` = the integer ``a`` in the lowest lane."""
    if a.reg >= 0:
        packed.emit_1(s, v.MOVQ_TO if wide else v.MOVD_TO, dst, a.reg)
    else:
        packed.emit_1(s, v.MOVQ if wide else v.MOVD_TO, dst, a)


def _integer_splat(bits: int, broadcast: int) -> Rule:
    def rule(s: Selection, sink: Operand | None, a: Operand) -> Operand:
        dst = s.take_float() if sink is None else sink.reg
        if a.kind == CONSTANT:
            s.load_float(dst, packed.repeated(a.value, bits))
        elif bits == 64 and a.reg < 0:
            packed.emit_1(s, v.MOVDDUP, dst, a)
        elif features.AVX2 and a.reg < 0:
            packed.emit_1(s, broadcast, dst, a)
        else:
            _to_vector(s, dst, bits == 64, a)
            if bits == 64:
                emit(s, v.PUNPCKLQDQ, dst, dst, dst)
            elif features.AVX2:
                packed.emit_1(s, broadcast, dst, dst)
            elif bits == 8:
                zero = s.scratch_float()
                packed.zeros(s, zero)
                emit(s, v.PSHUFB, dst, dst, zero)
            else:
                if bits == 16:
                    packed.emit_1i(s, v.PSHUFLW, dst, dst, 0)
                packed.emit_1i(s, v.PSHUFD, dst, dst, 0)
        return s.result(V128, dst, sink, a.bit)

    return rule


def _float_splat(s: Selection, sink: Operand | None, a: Operand) -> Operand:
    dst = s.float_destination(sink, a)
    if a.kind == CONSTANT:
        s.load_float(dst, packed.repeated(a.value, 32 if a.type == F32 else 64))
    elif a.type == F64:
        packed.emit_1(s, v.MOVDDUP, dst, a)
    elif features.AVX2 or (features.AVX and a.reg < 0):
        packed.emit_1(s, v.VBROADCASTSS, dst, a)
    else:
        source = packed.copied(s, dst, a)
        if features.AVX or source == dst:
            packed.emit_i(s, v.SHUFPS, dst, source, source, 0)
        else:
            packed.emit_1i(s, v.PSHUFD, dst, source, 0)
    return s.result(V128, dst, sink, a.bit)


# -- lanes out of vectors --------------------------------------------------------------------------------------------


def _extract_integer(
    bits: int, op: int, load: Callable[[int, int, int], bytes], extend: Callable[[int, int, int], bytes] | None
) -> Rule:
    """A lane of the frame is loaded alone.

    Args:
        bits: of a lane.
        op: takes a lane out of a register.
        load: takes it from memory.
        extend: extends its sign.
    """
    type_ = I64 if bits == 64 else I32

    def rule(s: Selection, sink: Operand | None, a: Operand, lane: int) -> Operand:
        dst = s.take() if sink is None else sink.reg
        if a.reg < 0 and a.kind != CONSTANT:
            s.code += load(dst, FRAME, a.offset + lane * bits // 8)
            return s.result(type_, dst, sink, a.bit)
        source = s.in_float_register(a)
        if bits >= 32 and lane == 0:
            move = v.MOVQ_FROM if bits == 64 else v.MOVD_FROM
            s.code += v.vex_rr(move, source, 0, dst) if features.AVX else v.packed_rr(move, source, dst)
        elif bits == 16:
            packed.emit_1i(s, op, dst, source, lane)
        else:
            s.code += v.vex_rri(op, source, 0, dst, lane) if features.AVX else v.packed_rri(op, source, dst, lane)
        if extend is not None:
            s.code += extend(0, dst, dst)
        return s.result(type_, dst, sink, a.bit)

    return rule


def _extract_float(double: int) -> Rule:
    type_ = F64 if double else F32

    def rule(s: Selection, sink: Operand | None, a: Operand, lane: int) -> Operand:
        dst = s.float_destination(sink, a)
        if a.reg < 0 and a.kind != CONSTANT:
            s.code += asm.movs_rm(double, dst, FRAME, a.offset + lane * (8 if double else 4))
            return s.result(type_, dst, sink, a.bit)
        # What is above the lane in its register does not matter.
        source = packed.copied(s, dst, a)
        if lane == 0:
            if source != dst:
                s.code += asm.movaps_rr(dst, source)
        elif double or lane == 2:
            if source == dst:
                emit(s, v.MOVHLPS, dst, dst, dst)
            else:
                packed.emit_1i(s, v.PSHUFD, dst, source, 0xEE)
        elif lane == 1:
            packed.emit_1(s, v.MOVSHDUP, dst, source)
        else:
            packed.emit_1i(s, v.PSHUFD, dst, source, 0xFF)
        return s.result(type_, dst, sink, a.bit)

    return rule


# -- lanes into vectors ----------------------------------------------------------------------------------------------


def _replace_integer(op: int) -> Rule:
    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand, lane: int) -> Operand:
        dst = s.float_destination(sink, a)
        source = packed.copied(s, dst, a)
        if b.kind == CONSTANT or b.reg >= 0:
            value = s.in_register(b)
            if features.AVX:
                s.code += v.vex_rri(op, dst, source, value, lane)
            else:
                packed.settle(s, dst, source)
                s.code += v.packed_rri(op, dst, value, lane)
        else:
            packed.emit_i(s, op, dst, source, b, lane)
        return s.result(V128, dst, sink, a.bit | b.bit)

    return rule


def _replace_f32(s: Selection, sink: Operand | None, a: Operand, b: Operand, lane: int) -> Operand:
    dst = s.float_destination(sink, a)
    source = packed.first_source(s, dst, a, b)
    if lane == 0 and b.reg >= 0:
        packed.emit_i(s, v.BLENDPS, dst, source, b.reg, 1)
    else:
        packed.emit_i(s, v.INSERTPS, dst, source, b, lane << 4)
    return s.result(V128, dst, sink, a.bit | b.bit)


def _replace_f64(s: Selection, sink: Operand | None, a: Operand, b: Operand, lane: int) -> Operand:
    dst = s.float_destination(sink, a)
    source = packed.first_source(s, dst, a, b)
    if b.reg < 0 and b.kind != CONSTANT:
        emit(s, v.MOVHPS if lane else v.MOVLPS, dst, source, b)
    else:
        emit(s, v.MOVLHPS if lane else v.MOVSD, dst, source, s.in_float_register(b))
    return s.result(V128, dst, sink, a.bit | b.bit)


# -- swizzles --------------------------------------------------------------------------------------------------------

#: Makes 0x80 and more of an index that is too large, which ``pshufb`` then makes 0 of.
_TOO_LARGE = constant(V128, 0x70707070_70707070_70707070_70707070)


def _swizzle(s: Selection, sink: Operand | None, a: Operand, b: Operand) -> Operand:
    dst = s.float_destination(sink, a)
    indices = s.scratch_float()
    emit(s, v.PADDUSB, indices, packed.copied(s, indices, b), _TOO_LARGE)
    emit(s, v.PSHUFB, dst, packed.copied(s, dst, a), indices)
    return s.result(V128, dst, sink, a.bit | b.bit)


RULES: dict[str, Rule] = {
    "i8x16.splat": _integer_splat(8, v.VPBROADCASTB),
    "i16x8.splat": _integer_splat(16, v.VPBROADCASTW),
    "i32x4.splat": _integer_splat(32, v.VPBROADCASTD),
    "i64x2.splat": _integer_splat(64, v.VPBROADCASTQ),
    "f32x4.splat": _float_splat,
    "f64x2.splat": _float_splat,
    "i8x16.extract_lane_s": _extract_integer(
        8, v.PEXTRB, lambda dst, base, disp: asm.movsx8_rm(0, dst, base, disp), asm.movsx8_rr
    ),
    "i8x16.extract_lane_u": _extract_integer(8, v.PEXTRB, asm.movzx8_rm, None),
    "i16x8.extract_lane_s": _extract_integer(
        16, v.PEXTRW_TO, lambda dst, base, disp: asm.movsx16_rm(0, dst, base, disp), asm.movsx16_rr
    ),
    "i16x8.extract_lane_u": _extract_integer(16, v.PEXTRW_TO, asm.movzx16_rm, None),
    "i32x4.extract_lane": _extract_integer(32, v.PEXTRD, lambda dst, base, disp: asm.mov_rm(0, dst, base, disp), None),
    "i64x2.extract_lane": _extract_integer(64, v.PEXTRQ, lambda dst, base, disp: asm.mov_rm(1, dst, base, disp), None),
    "f32x4.extract_lane": _extract_float(0),
    "f64x2.extract_lane": _extract_float(1),
    "i8x16.replace_lane": _replace_integer(v.PINSRB),
    "i16x8.replace_lane": _replace_integer(v.PINSRW),
    "i32x4.replace_lane": _replace_integer(v.PINSRD),
    "i64x2.replace_lane": _replace_integer(v.PINSRQ),
    "f32x4.replace_lane": _replace_f32,
    "f64x2.replace_lane": _replace_f64,
    "i8x16.swizzle": _swizzle,
    "i8x16.relaxed_swizzle": packed.binary(v.PSHUFB),
}
#: What relaxed instructions are where every processor has to have the same results.
DETERMINISTIC: dict[str, Rule] = {"i8x16.relaxed_swizzle": _swizzle}
