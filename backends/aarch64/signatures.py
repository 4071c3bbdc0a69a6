"""Moves of a signature's values between registers and cells, at the boundary to the host.

Where the values are is said in :mod:`vibewasm.backends.convention`.
"""

from __future__ import annotations

from ..convention import FLOATS, WIDE, Place, signature_parameters
from . import asm
from .addresses import add, at
from .regs import FLOAT_PARAMS, INT_PARAMS, SCRATCH2


def parameters(letters: str) -> tuple[list[Place], int]:
    """Where parameters travel, and the size of the argument area."""
    return signature_parameters(letters, INT_PARAMS, FLOAT_PARAMS)


def load(place: Place, base: int, disp: int) -> bytes:
    """Load a register from cells. An i32 is zero-extended whoever wrote the cell: the sandbox rests on it."""
    if place.letter == WIDE:
        # Cells are aligned to 8 bytes, and a load of 16 counts its offset in units of 16.
        return add(SCRATCH2, base, disp) + asm.access(asm.LDR_Q, place.reg, SCRATCH2, 0)
    if place.letter in FLOATS:
        return at(asm.LDR_D if place.letter == "d" else asm.LDR_S, place.reg, base, disp)
    return at(asm.LDR_W if place.letter == "i" else asm.LDR_X, place.reg, base, disp)


def store(place: Place, base: int, disp: int) -> bytes:
    """Store a register to cells; the upper half of an f32's cell becomes zero."""
    if place.letter == WIDE:
        return add(SCRATCH2, base, disp) + asm.access(asm.STR_Q, place.reg, SCRATCH2, 0)
    if place.letter == "f":
        return asm.fmov_from(0, SCRATCH2, place.reg) + at(asm.STR_X, SCRATCH2, base, disp)
    return at(asm.STR_D if place.letter == "d" else asm.STR_X, place.reg, base, disp)


def copy(letter: str, to: int, to_disp: int, base: int, disp: int) -> bytes:
    """Copy a value from cells to cells."""
    code = at(asm.LDR_W if letter in "if" else asm.LDR_X, SCRATCH2, base, disp) + at(asm.STR_X, SCRATCH2, to, to_disp)
    if letter == WIDE:
        code += at(asm.LDR_X, SCRATCH2, base, disp + 8) + at(asm.STR_X, SCRATCH2, to, to_disp + 8)
    return code
