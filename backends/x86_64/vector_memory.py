"""Rules of loads and stores of vectors, and of their lanes, shaped like those of :mod:`.memory`.

Each is one access of exactly the size that the instruction has, so that it traps exactly where it should, and before
it has had an effect. Where the instruction that accesses memory has an immediate, the code after the displacement
begins with it; what else there is to do to the value follows.

Instructions with one source are in their legacy form, which is the shorter one here: the base of memory is a register
that the short VEX prefix cannot name.
"""

from __future__ import annotations

from ..operand import V128, Operand
from . import asm_vector as v
from . import features
from .memory import STAND_IN, is_static, split
from .regs import MEMORY_BASE
from .selection import Selection

#: Loads that are one instruction, which is the same on all processors.
_LOADS = {
    "v128.load": v.MOVUPS,
    "v128.load8x8_s": v.PMOVSXBW,
    "v128.load8x8_u": v.PMOVZXBW,
    "v128.load16x4_s": v.PMOVSXWD,
    "v128.load16x4_u": v.PMOVZXWD,
    "v128.load32x2_s": v.PMOVSXDQ,
    "v128.load32x2_u": v.PMOVZXDQ,
    "v128.load64_splat": v.MOVDDUP,
    "v128.load32_zero": v.MOVSS,
    "v128.load64_zero": v.MOVSD,
}

#: Moves of a lane from memory, and to it, by the name of the instruction; those of 64 bits have an instruction for each
#: lane, and no immediate.
_LANES_IN = {"v128.load8_lane": v.PINSRB, "v128.load16_lane": v.PINSRW, "v128.load32_lane": v.PINSRD}
_LANES_OUT = {"v128.store8_lane": v.PEXTRB, "v128.store16_lane": v.PEXTRW, "v128.store32_lane": v.PEXTRD}
_HALVES_IN = (v.MOVLPS, v.MOVHPS)
_HALVES_OUT = (v.MOVLPS_STORE, v.MOVHPS_STORE)


def _access(s: Selection, op: int, reg: int, a: Operand, form: int, first: int = -1) -> bytes:
    """An instruction on a vector register and memory 0 at ``a``: in its VEX form if it is given a first source, which
    is 0 where there is none.
    """
    disp = STAND_IN[form]
    if is_static(a):
        if first >= 0:
            return v.vex_rm(op, reg, first, MEMORY_BASE, disp)
        return v.packed_rm(op, reg, MEMORY_BASE, disp)
    index = s.in_register(a)
    if first >= 0:
        return v.vex_rx(op, reg, first, MEMORY_BASE, index, 0, disp)
    return v.packed_rx(op, reg, MEMORY_BASE, index, 0, disp)


def _lane(value: int) -> bytes:
    return bytes((value,))


def load(s: Selection, sink: Operand | None, name: str, a: Operand, form: int) -> tuple[bytes, bytes, Operand]:
    """A load from memory 0: code before and after the displacement, and the result."""
    dst = s.float_destination(sink, a)
    if name in _LOADS:
        instruction, rest = _access(s, _LOADS[name], dst, a, form), b""
    else:
        instruction, rest = _splat(s, name, dst, a, form)
    head, tail = split(instruction, form)
    return bytes(s.code) + head, tail + rest, s.result(V128, dst, sink, a.bit)


def _splat(s: Selection, name: str, dst: int, a: Operand, form: int) -> tuple[bytes, bytes]:
    """A lane in all lanes: the instruction that loads, without an immediate that it has, and what follows it."""
    if name == "v128.load32_splat":
        if features.AVX:
            return _access(s, v.VBROADCASTSS, dst, a, form, 0), b""
        return _access(s, v.MOVSS, dst, a, form), v.packed_rri(v.SHUFPS, dst, dst, 0)
    if name == "v128.load16_splat":
        if features.AVX2:
            return _access(s, v.VPBROADCASTW, dst, a, form, 0), b""
        spread = v.packed_rri(v.PSHUFLW, dst, dst, 0) + v.packed_rr(v.PUNPCKLQDQ, dst, dst)
        return _access(s, v.PINSRW, dst, a, form), _lane(0) + spread
    if name == "v128.load8_splat":
        if features.AVX2:
            return _access(s, v.VPBROADCASTB, dst, a, form, 0), b""
        zeros = s.scratch_float()
        spread = v.packed_rr(v.PXOR, zeros, zeros) + v.packed_rr(v.PSHUFB, dst, zeros)
        return _access(s, v.PINSRB, dst, a, form), _lane(0) + spread
    raise KeyError(name)


def store(s: Selection, name: str, a: Operand, b: Operand, form: int) -> tuple[bytes, bytes]:
    """``v128.store``: code before and after the displacement."""
    head, tail = split(_access(s, v.MOVUPS_STORE, s.in_float_register(b), a, form), form)
    s.release(a)
    s.release(b)
    return bytes(s.code) + head, tail


def load_lane(
    s: Selection, sink: Operand | None, name: str, a: Operand, b: Operand, lane: int, form: int
) -> tuple[bytes, bytes, Operand]:
    """A load of one lane of the vector ``b``: code before and after the displacement, and the result."""
    op = _HALVES_IN[lane] if name == "v128.load64_lane" else _LANES_IN[name]
    dst = s.float_destination(sink, b)
    if features.AVX and b.reg >= 0 and b.reg != dst:
        instruction = _access(s, op, dst, a, form, b.reg)
    else:
        s.load_float(dst, b)
        instruction = _access(s, op, dst, a, form)
    head, tail = split(instruction, form)
    if name in _LANES_IN:
        tail += _lane(lane)
    return bytes(s.code) + head, tail, s.result(V128, dst, sink, a.bit | b.bit)


def store_lane(s: Selection, name: str, a: Operand, b: Operand, lane: int, form: int) -> tuple[bytes, bytes]:
    """A store of one lane of the vector ``b``: code before and after the displacement."""
    source = s.in_float_register(b)
    immediate = b""
    if name == "v128.store64_lane":
        op = _HALVES_OUT[lane]
    elif name == "v128.store32_lane" and lane == 0:
        op = v.MOVSS_STORE
    else:
        op = _LANES_OUT[name]
        immediate = _lane(lane)
    head, tail = split(_access(s, op, source, a, form), form)
    s.release(a)
    s.release(b)
    return bytes(s.code) + head, tail + immediate


__all__ = ["load", "load_lane", "store", "store_lane"]
