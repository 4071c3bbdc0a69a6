"""Where the values of a signature are at the boundary to the host: in registers, in areas, and in cells.

Signatures are strings of letters, parameters before the colon and results after it: i32 ``i``, i64 ``l``, f32 ``f``,
f64 ``d``, v128 ``v``, reference ``r``.
"""

from __future__ import annotations

from .. import abi
from . import asm
from .regs import FLOAT_PARAMS, INT_PARAMS

_WIDE = "v"
_FLOATS = "fdv"


class Place:
    """Where a value is: its first cell, and a register, or -1 and an offset in the argument or results area."""

    __slots__ = ("area", "cell", "letter", "reg")

    def __init__(self, letter: str, cell: int, reg: int, area: int) -> None:
        self.letter = letter
        self.cell = cell
        self.reg = reg
        self.area = area


def cells(letters: str) -> int:
    """How many cells these values take."""
    return len(letters) + letters.count(_WIDE)


def parameters(letters: str) -> tuple[list[Place], int]:
    """Where parameters travel, and the size of the argument area."""
    ints = list(INT_PARAMS)
    floats = list(FLOAT_PARAMS)
    places = []
    cell = area = 0
    for letter in letters:
        size = 2 if letter == _WIDE else 1
        free = floats if letter in _FLOATS else ints
        if free:
            places.append(Place(letter, cell, free.pop(0), -1))
        else:
            places.append(Place(letter, cell, -1, area))
            area += 8 * size
        cell += size
    return places, (area + 15) & -16


def results(letters: str) -> list[Place]:
    """Where results travel: the first of each class in a register, the others in the store's results area."""
    used = {False: False, True: False}
    places = []
    cell = rest = 0
    for letter in letters:
        is_float = letter in _FLOATS
        if used[is_float]:
            places.append(Place(letter, cell, -1, abi.STORE_RESULTS + 16 * rest))
            rest += 1
        else:
            used[is_float] = True
            places.append(Place(letter, cell, 0, -1))
        cell += 2 if letter == _WIDE else 1
    return places


def load(place: Place, base: int, disp: int) -> bytes:
    """Load a register from cells. An i32 is zero-extended whoever wrote the cell: the sandbox rests on it."""
    if place.letter == _WIDE:
        return asm.movups_rm(place.reg, base, disp)
    if place.letter in _FLOATS:
        return asm.movs_rm(int(place.letter == "d"), place.reg, base, disp)
    return asm.mov_rm(int(place.letter != "i"), place.reg, base, disp)


def store(place: Place, base: int, disp: int) -> bytes:
    """Store a register to cells; the upper half of an f32's cell becomes zero."""
    if place.letter == _WIDE:
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
    if letter == _WIDE:
        code += asm.mov_rm(1, scratch, base, disp + 8) + asm.mov_mr(1, to, to_disp + 8, scratch)
    return code
