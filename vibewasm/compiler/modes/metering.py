"""Counting fuel: it is taken at the beginning of each stretch of straight-line code, as much as the stretch costs."""

from __future__ import annotations

from ...abi import TRAP_OUT_OF_FUEL
from ...backends.operand import lowest_register
from ...opcodes import codes_with
from ..state import Compilation

#: Instructions after which, or at which, control can leave or enter straight-line code.
_BOUNDARIES = codes_with("boundary")
_FREE_OF_CHARGE = codes_with("free")


class Meter:
    """Counts the instructions of one compilation."""

    def __init__(self, c: Compilation) -> None:
        self._c = c
        self._site = -1
        self._cost = 0
        self._ended = True

    def count(self, pc: int, flags_live: bool) -> None:
        """Count an instruction, and take fuel at the beginning of each stretch of straight-line code."""
        c = self._c
        op = c.code[pc]
        if self._ended and not flags_live:
            self._ended = False
            free = c.free & c.target.INT_TEMPORARIES
            take, jump = c.env.control.use_fuel(lowest_register(free), c.env.reach)
            c.out += take
            self._site = len(c.out)
            self._cost = 0
            c.out += jump
            c.cold.append((len(c.out), TRAP_OUT_OF_FUEL, pc, 0))
        if op not in _FREE_OF_CHARGE:
            self._cost += 1
        if self._site >= 0:
            c.env.control.set_fuel(c.out, self._site, self._cost)
        if op in _BOUNDARIES:
            self._ended = True
