"""Canonical NaNs: a test of a result after the instruction, and what makes it canonical, out of line.

The canonical NaN is positive, and of its payload only the highest bit is set. Loaded where code is to give no other.
"""

from __future__ import annotations

from . import asm
from . import asm_vector as v
from .packed import emit, emit_1, emit_i, emit_shift
from .selection import Selection
from .vector_floats import UNORDERED

#: Of shapes with narrow and with wide lanes: the comparison, shifts to the right and left, and by how many bits a NaN's
#: payload, but for its highest bit, and a sign are moved.
_LANES = {
    "f32x4": (v.CMPPS, v.PSRLD_I, v.PSLLD_I, 10, 31),
    "f64x2": (v.CMPPD, v.PSRLQ_I, v.PSLLQ_I, 13, 63),
}


def canonical(shape: str, reg: int, scratch: int) -> tuple[bytes, bytes]:
    """See :meth:`.contract.Target.canonical_nans`."""
    if shape in _LANES:
        return _in_lanes(shape, reg, scratch)
    double = shape == "f64"
    test = asm.ucomis_rr(double, reg, reg) + asm.jcc_rel32(asm.CC_P, 0)
    # Ones, as many as the exponent has and one, moved to where the exponent and the highest bit of the payload are.
    if double:
        return test, asm.pcmpeqd_rr(reg, reg) + asm.psrlq_ri(reg, 52) + asm.psllq_ri(reg, 51)
    return test, asm.pcmpeqd_rr(reg, reg) + asm.psrld_ri(reg, 23) + asm.pslld_ri(reg, 22)


def _in_lanes(shape: str, reg: int, scratch: int) -> tuple[bytes, bytes]:
    compare, right, left, payload, sign = _LANES[shape]
    test, fix = Selection(0), Selection(0)
    # All ones in the lanes that are NaNs.
    emit_i(test, compare, scratch, reg, reg, UNORDERED)
    emit_1(test, v.PTEST, scratch, scratch)
    test.code += asm.jcc_rel32(asm.CC_NE, 0)
    # All bits are set there, and then those cleared that have to be 0: the rest of the payload, and the sign.
    emit(fix, v.ORPS, reg, reg, scratch)
    emit_shift(fix, right, scratch, scratch, payload)
    emit(fix, v.PXOR, reg, reg, scratch)
    emit_shift(fix, left, scratch, scratch, sign)
    emit(fix, v.PXOR, reg, reg, scratch)
    return bytes(test.code), bytes(fix.code)
