"""Moves of a signature's values between registers and cells, at the boundary to the host.

Where the values are is said in :mod:`vibewasm.backends.convention`.
"""

from __future__ import annotations

from ..convention import FLOATS, WIDE, Place, signature_parameters
from . import asm
from .regs import FLOAT_PARAMS, INT_PARAMS


def parameters(letters: str) -> tuple[list[Place], int]:
    """Where parameters travel, and the size of the argument area."""
    return signature_parameters(letters, INT_PARAMS, FLOAT_PARAMS)


def load(place: Place, base: int, disp: int) -> bytes:
    """Load a register from cells. An i32 is zero-extended whoever wrote the cell: the sandbox rests on it."""
    if place.letter == WIDE:
        return asm.movups_rm(place.reg, base, disp)
    if place.letter in FLOATS:
        return asm.movs_rm(int(place.letter == "d"), place.reg, base, disp)
    return asm.mov_rm(int(place.letter != "i"), place.reg, base, disp)


def store(place: Place, base: int, disp: int) -> bytes:
    """Store a register to cells; the upper half of an f32's cell becomes zero."""
    if place.letter == WIDE:
        return asm.movups_mr(base, disp, place.reg)
    if place.letter == "f":
        return asm.mov_mi(1, base, disp, 0) + asm.movs_mr(0, base, disp, place.reg)
    if place.letter == "d":
        return asm.movs_mr(1, base, disp, place.reg)
    return asm.mov_mr(1, base, disp, place.reg)


def copy(letter: str, to: int, to_disp: int, base: int, disp: int, scratch: int) -> bytes:
    """Copy a value from cells to cells."""
    narrow = letter in "if"
    code = asm.mov_rm(int(not narrow), scratch, base, disp) + asm.mov_mr(1, to, to_disp, scratch)
    if letter == WIDE:
        code += asm.mov_rm(1, scratch, base, disp + 8) + asm.mov_mr(1, to, to_disp + 8, scratch)
    return code
