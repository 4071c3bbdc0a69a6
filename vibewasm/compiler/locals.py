"""Locals: declared as runs, ranked by a count of byte patterns, the hottest pinned to registers.

The count is approximate, since bytes that only look like an access count as well: that only changes the ranking.

``(local 50000 i32)`` is four bytes of module, so nothing here takes time or memory per local that is only declared.
"""

from __future__ import annotations

from ..backends.operand import Operand, frame_local, is_float, pinned_local

#: Locals whose index takes one byte are the only ones that can be pinned: compilers number the hottest low.
SHORT_INDICES = 128
#: A use inside a loop counts as this many.
LOOP_WEIGHT = 8
#: A local that is used less than this is not worth saving and restoring a register.
WORTH_PINNING = 3

_GET, _SET, _TEE = b"\x20", b"\x21", b"\x22"
_LOOP = b"\x03\x40"


def accessed(body: bytes) -> bytes:
    """The byte behind each byte that looks like the opcode of ``local.get``, ``local.set`` or ``local.tee``."""
    chunks = body.split(_GET)[1:] + body.split(_SET)[1:] + body.split(_TEE)[1:]
    return b"".join([chunk[:1] for chunk in chunks])


class Locals:
    """The homes of a function's locals.

    Attributes:
        count: how many there are, parameters included.
        entries: homes of the locals whose index takes one byte; 256 items, ``None`` where there is no such local.
        pinned_ints, pinned_floats: how many pinned registers of each class are in use.
        frame_cells: 8-byte frame cells of the locals that are not pinned (parameters in the argument area not counted).
        first_cell: frame offset of the first of them.
        zero_cells: ``(frame offset of the highest cell, count)`` of those to be zeroed at entry, which are neighbours.
        zero_pinned: pinned locals that are not parameters.
    """

    __slots__ = (
        "_run_cells",
        "_run_ends",
        "_run_types",
        "count",
        "entries",
        "first_cell",
        "frame_cells",
        "pinned_floats",
        "pinned_ints",
        "zero_cells",
        "zero_pinned",
    )

    def __init__(
        self,
        params: tuple[int, ...],
        places: tuple[tuple[int, int], ...],
        runs: list[tuple[int, int]],
        body: bytes,
        pinnable_ints: tuple[int, ...],
        pinnable_floats: tuple[int, ...],
        locals_base: int,
    ) -> None:
        """Find homes for parameters of the types ``params``, which arrive at ``places``, and for ``runs`` of (count, type)."""
        types = list(params[:SHORT_INDICES])
        count = len(params)
        for run_count, type_ in runs:
            room = SHORT_INDICES - len(types)
            if room > 0:
                types += [type_] * min(run_count, room)
            count += run_count
        self.count = count
        entries: list[Operand | None] = [None] * 256
        pinned = self._pin(types, body, pinnable_ints, pinnable_floats)
        for index, reg in pinned.items():
            entries[index] = pinned_local(types[index], reg)
        base = -(locals_base + 16 * self.pinned_floats)
        self.first_cell = base - 8
        param_count = len(params)
        cells = 0
        for index in range(min(param_count, SHORT_INDICES)):
            if entries[index] is None:
                reg, area = places[index]
                if reg >= 0:
                    cells += 1
                    entries[index] = frame_local(types[index], base - 8 * cells)
                else:
                    entries[index] = frame_local(types[index], 16 + area)
        zero_from = cells
        self.zero_pinned = [e for e in entries[param_count:SHORT_INDICES] if e is not None]
        for index in range(param_count, len(types)):
            if entries[index] is None:
                cells += 1
                entries[index] = frame_local(types[index], base - 8 * cells)
        self._run_ends: list[int] = []
        self._run_types: list[int] = []
        self._run_cells: list[int] = []
        if count > SHORT_INDICES:
            cells = self._place_long_parameters(params, places, cells)
            if param_count > SHORT_INDICES:
                zero_from = cells
            cells = self._place_runs(param_count, runs, cells)
        self.entries = entries
        self.frame_cells = cells
        self.zero_cells = (base - 8 * (zero_from + 1), cells - zero_from)

    def _pin(
        self, types: list[int], body: bytes, pinnable_ints: tuple[int, ...], pinnable_floats: tuple[int, ...]
    ) -> dict[int, int]:
        """Choose the locals to pin: the hottest of each class, hottest first."""
        if not types:
            self.pinned_ints = self.pinned_floats = 0
            return {}
        first_loop = body.find(_LOOP)
        if first_loop < 0:
            outside = accessed(body).count
            inside = b"".count
        else:
            outside = accessed(body[:first_loop]).count
            inside = accessed(body[first_loop:]).count
        ints = []
        floats = []
        for index, type_ in enumerate(types):
            uses = outside(index) + LOOP_WEIGHT * inside(index)
            if uses >= WORTH_PINNING:
                (floats if is_float(type_) else ints).append((-uses, index))
        ints.sort()
        floats.sort()
        pinned = {index: reg for (_, index), reg in zip(ints, pinnable_ints, strict=False)}
        self.pinned_ints = len(pinned)
        pinned_floats = {index: reg for (_, index), reg in zip(floats, pinnable_floats, strict=False)}
        self.pinned_floats = len(pinned_floats)
        pinned.update(pinned_floats)
        return pinned

    def _place_long_parameters(self, params: tuple[int, ...], places: tuple[tuple[int, int], ...], cells: int) -> int:
        """Lay out the parameters from SHORT_INDICES on, each a run of its own."""
        for position in range(SHORT_INDICES, len(params)):
            reg, area = places[position]
            self._run_ends.append(position + 1)
            self._run_types.append(params[position])
            if reg >= 0:
                self._run_cells.append(cells)
                cells += 1
            else:
                # One in the argument area stays there: a negative number says where.
                self._run_cells.append(-1 - area)
        return cells

    def _place_runs(self, param_count: int, runs: list[tuple[int, int]], cells: int) -> int:
        """Lay out the declared locals from SHORT_INDICES on: a home is computed from its run when it is asked for."""
        end = param_count
        for run_count, type_ in runs:
            start = max(end, SHORT_INDICES)
            end += run_count
            if end > start:
                self._run_ends.append(end)
                self._run_types.append(type_)
                self._run_cells.append(cells)
                cells += end - start
        return cells

    def entry(self, index: int) -> Operand | None:
        """The home of any local, or ``None`` if there is no local of that index."""
        if index >= self.count:
            return None
        if index < SHORT_INDICES:
            return self.entries[index]
        from bisect import bisect_right  # most modules never get here

        run = bisect_right(self._run_ends, index)
        start = self._run_ends[run - 1] if run else SHORT_INDICES
        cell = self._run_cells[run]
        type_ = self._run_types[run]
        if cell < 0:
            return frame_local(type_, 16 + (-1 - cell))
        return frame_local(type_, self.first_cell - 8 * (cell + index - start))
