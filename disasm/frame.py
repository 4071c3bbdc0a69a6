"""Where a function keeps its locals, and what else lies in its frame."""

from __future__ import annotations

from bisect import bisect_right

from vibewasm.backends.operand import I64, V128, is_float
from vibewasm.compiler.locals import SHORT_INDICES
from vibewasm.types import type_name

from .model import LocalHome
from .symbols import CONTEXT, Cell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vibewasm.compiler.modes.recording import Record

    from .machine import Reader

#: From a vector register's number to its key.
_VECTORS = 64


class FrameNames:
    """Names of what is in a function's registers and in its frame.

    Attributes:
        homes: where the locals live.
        registers: names of the locals that live in registers, by the registers' keys.
        kept: what the function saves of its caller's, by the registers' keys.
    """

    def __init__(self, record: Record, reader: Reader, local_names: dict[int, str]) -> None:
        self._names = local_names
        self._first_slot = record.first_slot
        self._step = record.step
        self.homes: list[LocalHome] = []
        self.registers: dict[int, str] = {}
        self.kept: dict[int, str] = {}
        self._cells: dict[int, Cell] = {reader.frames.CONTEXT_SLOT: ("context", CONTEXT)}
        #: Runs of locals by how many steps their first one is from the frame pointer.
        self._runs: list[tuple[int, LocalHome]] = []
        self._find_homes(record, reader)
        self._find_kept(record, reader)

    def _name(self, index: int) -> str:
        return self._names.get(index) or f"local {index}"

    def _find_homes(self, record: Record, reader: Reader) -> None:
        locals_ = record.homes
        for index in range(min(locals_.count, SHORT_INDICES)):
            entry = locals_.entry(index)
            assert entry is not None
            name = self._name(index)
            register = None
            if entry.reg >= 0:
                self.registers[entry.reg + (_VECTORS if is_float(entry.type) else 0)] = name
                register = reader.target.register_name(entry.type, entry.reg)
            else:
                self._cells[entry.offset] = (name, None)
            self.homes.append(LocalHome(index, 1, name, type_name(entry.type), register, entry.offset))
        for first, count, entry in locals_.runs():
            home = LocalHome(first, count, self._name(first), type_name(entry.type), None, entry.offset)
            self.homes.append(home)
            self._runs.append((entry.offset * self._step, home))
        self._runs.sort(key=lambda run: run[0])

    def _find_kept(self, record: Record, reader: Reader) -> None:
        registers, locals_ = reader.registers, record.homes
        name = reader.target.register_name
        for number in registers.PINNED[: locals_.pinned_ints]:
            self.kept[number] = f"caller's {name(I64, number)}"
        for number in registers.FLOAT_PINNED[: locals_.pinned_floats]:
            self.kept[number + _VECTORS] = f"caller's {name(V128, number)}"

    def cell(self, offset: int) -> Cell | None:
        """What lies at an offset from the frame pointer, but for the operand stack and what is kept."""
        found = self._cells.get(offset)
        if found is None and self._runs:
            place = bisect_right(self._runs, offset * self._step, key=lambda run: run[0]) - 1
            if place >= 0:
                home = self._runs[place][1]
                number, rest = divmod(offset - home.offset, self._step)
                if number < home.count and not rest:
                    return self._name(home.index + number), None
        return found

    def slot(self, offset: int) -> int | None:
        """Which slot of the operand stack lies at an offset from the frame pointer."""
        number, rest = divmod(offset - self._first_slot, self._step)
        return number if number >= 0 and not rest else None
