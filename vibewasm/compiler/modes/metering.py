"""Counting fuel: it is taken at the beginning of each stretch of straight-line code, as much as the stretch costs.

What instructions cost is said in :mod:`vibewasm.fuel_costs`. ``memory.copy`` and ``memory.fill`` take more right before
they are carried out, as their operands say; what Python carries out does so itself (:mod:`vibewasm.calls.fuel`).
"""

from __future__ import annotations

from ...abi import TRAP_OUT_OF_FUEL
from ...backends.operand import lowest_register
from ...fuel_costs import BYTES, INSTRUCTIONS, VALUES
from ...opcodes import CODE, PREFIXES, codes_with, row_of
from ..immediates import CHECKED_KINDS, check_immediate, heap_type, read_opcode, read_unsigned, select_type
from ..state import Compilation

#: Instructions after which, or at which, control can leave or enter straight-line code.
_BOUNDARIES = codes_with("boundary")
_FREE_OF_CHARGE = codes_with("free")
#: By opcode; and of those that a byte says, free ones too.
_COSTS = {CODE[name]: cost for name, cost in INSTRUCTIONS.items()}
_BYTE_COSTS = tuple([0 if code in _FREE_OF_CHARGE else _COSTS.get(code, 1) for code in range(256)])
#: What goes to a label, which its first immediate names, or at the end of whose block it stands.
_BRANCHES = frozenset([CODE[name] for name in ("br", "br_if", "br_on_null", "br_on_non_null")])
_BR_TABLE, _RETURN = CODE["br_table"], CODE["return"]
_ASSIGNMENTS = (CODE["local.set"], CODE["local.tee"])
#: What no assignment is taken along with.
_GIVE_NOTHING = _BOUNDARIES | codes_with("opens")
_ENDS = codes_with("ends")
#: More than this is not taken at once, so that no amount is too large for its place in the code.
_MOST = 1 << 30
_SHIFT = BYTES.bit_length() - 1


class Meter:
    """Counts the instructions of one compilation."""

    def __init__(self, c: Compilation) -> None:
        self._c = c
        self._site = -1
        # What making the frame costs, and what comes and goes with a call.
        self._cost = self._entry = (c.locals.count + len(c.labels[0].results)) // VALUES
        self._ended = True
        # The instruction before, if there may have been an assignment after it that was taken along.
        self._last = -1

    def count(self, pc: int, flags_live: bool) -> None:
        """Count an instruction, and take fuel at the beginning of each stretch of straight-line code."""
        c = self._c
        op = c.code[pc]
        if self._last >= 0 and pc - self._last > 2 and c.code[pc - 2] in _ASSIGNMENTS and self._taken_along(pc - 2):
            self._cost += 1
            c.env.control.set_fuel(c.out, self._site, self._cost)
        self._last = -1 if op in _GIVE_NOTHING else pc
        cost = _BYTE_COSTS[op]
        if op in PREFIXES:
            c.pc = pc
            cost = _COSTS.get(read_opcode(c, pc)[1], 1)
        elif op in _ENDS or op in _BRANCHES or op == _BR_TABLE or op == _RETURN:
            cost += self._values(pc, op) // VALUES
        if self._ended and not flags_live:
            if not cost and not self._entry:
                # Nothing to take as yet: what is free leaves no code.
                return
            self._ended = False
            free = c.free & c.target.INT_TEMPORARIES
            take, jump = c.env.control.use_fuel(lowest_register(free), c.env.reach)
            c.out += take
            self._site = len(c.out)
            self._cost, self._entry = self._entry, 0
            c.out += jump
            c.cold.append((len(c.out), TRAP_OUT_OF_FUEL, pc, 0))
        self._cost += cost
        if self._site >= 0:
            c.env.control.set_fuel(c.out, self._site, self._cost)
        if op in _BOUNDARIES or self._cost > _MOST:
            self._ended = True

    def _taken_along(self, end: int) -> bool:
        """Whether the last instruction ends at ``end``: then what stands there is an assignment of its result, which
        was compiled with it. Which ones are depends on the registers that locals have, and so on the processor.
        """
        c = self._c
        pc, code = read_opcode(c, self._last)
        row = row_of(code)
        assert row is not None
        for kind in row[2].split():
            if kind in CHECKED_KINDS:
                pc = check_immediate(c, pc, kind, code)
            elif kind == "types":
                pc = select_type(c, pc)[0]
            elif kind == "heap":
                pc = heap_type(c, pc)[0]
            else:
                pc = read_unsigned(c, pc)[0]
        return pc == end

    def _values(self, pc: int, op: int) -> int:
        """How many values a branch, or the end of a block, may have to move."""
        c = self._c
        labels = c.labels
        if op in _ENDS:
            return len(labels[-1].results)
        if op == _RETURN:
            return len(labels[0].types)
        c.pc = pc
        pc, depth = read_unsigned(c, pc + 1)
        if op == _BR_TABLE:
            # That was how many labels there are besides the default; all take the same number of values.
            depth = read_unsigned(c, pc)[1]
        return len(labels[-1 - depth].types) if depth < len(labels) else 0

    def charge_bulk(self) -> None:
        """Take fuel for the bytes of a memory.copy or memory.fill, whose operands are where its stub expects them."""
        c = self._c
        take, jump = c.env.calls.use_fuel_for_bulk(_SHIFT, c.env.reach)
        c.out += take + jump
        c.cold.append((len(c.out), TRAP_OUT_OF_FUEL, c.pc, 0))
