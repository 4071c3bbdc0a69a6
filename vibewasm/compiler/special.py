"""What happens before every instruction in the rarer modes.

Recording, checking the engine's invariants, and counting fuel.
"""

from __future__ import annotations

from ..backends.operand import FLAGS, I32, LOCAL, REGISTER, lowest_register
from .discipline import Discipline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .function import FunctionCompiler

TRAP_OUT_OF_FUEL = 11
#: Opcodes behind which, or at which, control can leave or enter straight-line code: fuel is taken for each stretch
#: between them.
_BOUNDARIES = frozenset((0x00, 0x03, 0x04, 0x05, 0x0B, 0x0C, 0x0D, 0x0E, 0x0F, 0x10, 0x11))
#: Instructions that cost nothing, since they leave no code of their own.
_FREE_OF_CHARGE = frozenset((0x01, 0x02, 0x03, 0x05, 0x0B, 0x1A))


class Special:
    """Called by the hot loop before every instruction."""

    def __init__(self, c: FunctionCompiler, marks: list[tuple[int, int]] | None, checked: bool, fuel: bool) -> None:
        self.c = c
        self.marks = marks
        self.discipline = Discipline(c) if checked else None
        self.fuel = fuel
        self._site = -1
        self._cost = 0
        self._ended = True

    def __call__(self, pc: int) -> None:
        c = self.c
        if self.marks is not None:
            self.marks.append((len(c.out), pc))
        top = c.stack[-1]
        if self.discipline is not None:
            self.discipline.verify(pc)
            if top.type == I32 and top.reg >= 0 and top.kind in (REGISTER, LOCAL):
                self._check(top.reg)
        if self.fuel:
            self._meter(pc, top.kind == FLAGS)

    def _check(self, reg: int) -> None:
        """Verify that an i32 in a register is zero-extended."""
        c = self.c
        free = c.free & c.target.INT_TEMPORARIES
        if free:
            c.out += c.env.control.check_zero_extended(reg, lowest_register(free))

    def _meter(self, pc: int, flags_live: bool) -> None:
        """Count an instruction, and take fuel at the beginning of each stretch of straight-line code."""
        c = self.c
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
