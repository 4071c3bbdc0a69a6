"""Locals: declared as runs, ranked by a count of byte patterns, the hottest pinned to registers.

The count is approximate, since bytes that only look like an access count as well: that only changes the ranking.

``(local 50000 i32)`` is four bytes of module, so nothing here takes time or memory per local that is only declared.
"""

from __future__ import annotations

from ..backends.operand import F32, REFERENCE, Operand, frame_local, is_float, pinned_local
from ..opcodes import CODE
from ..types import EMPTY_BLOCK_TYPE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..backends.contract import Frames
    from ..backends.convention import ParameterPlaces

    #: Homes by index; homes of those whose index takes more than a byte; the frame offset of the cell after them; and
    #: where those are that arrived in the argument area, and from one to the next.
    LaidOut = tuple[list["Operand | None"], list[tuple[int, Operand]], int, int, int]

#: Locals whose index takes one byte are the only ones that can be pinned: compilers number the hottest low.
SHORT_INDICES = 128
#: A read inside a loop counts as this many.
LOOP_WEIGHT = 8
#: So few locals are looked at one by one, whether they are read or not.
_FEW_LOCALS = 24
#: A local that is read less than this is not worth saving and restoring a register.
WORTH_PINNING = 2

_LOOP = bytes((CODE["loop"], EMPTY_BLOCK_TYPE))
_GET = bytes((CODE["local.get"],))
#: Turns each byte that looks like the opcode of ``local.get`` into 0, and every other into 255.
_NO_GET = bytes(0 if byte == _GET[0] else 0xFF for byte in range(256))


def read_locals(body: bytes) -> bytes:
    """The byte after each byte that looks like the opcode of ``local.get``: mostly, the locals that are read.

    As numbers, the body and what is no ``local.get`` one byte before are or-ed at once: what is not 255 then is wanted.
    """
    size = len(body)
    before = b"\xff" + body.translate(_NO_GET)
    marked = int.from_bytes(body, "little") | int.from_bytes(before[:size], "little")
    return marked.to_bytes(size, "little").translate(None, b"\xff")


def rank(body: bytes, count: int) -> list[int]:
    """Indices of the first ``count`` locals that are worth pinning, the hottest first."""
    if not count:
        return []
    found = read_locals(body)
    reads = found.count
    heat: dict[int, int] = {}
    first_loop = body.find(_LOOP)
    indices: Iterable[int] = range(count)
    if count > _FEW_LOCALS and count > len(found):
        # There are fewer reads than locals: only those are looked at that are read.
        indices = [index for index in sorted(set(found)) if index < count]
    if first_loop < 0:
        for index in indices:
            uses = reads(index)
            if uses >= WORTH_PINNING:
                heat[index] = uses
    else:
        outside = body.count(_GET, 0, first_loop)
        for index in indices:
            uses = reads(index) + (LOOP_WEIGHT - 1) * reads(index, outside)
            if uses >= WORTH_PINNING:
                heat[index] = uses
    return sorted(heat, key=heat.__getitem__, reverse=True)


class Pins(dict[int, tuple[Operand, ...]]):
    """The homes in registers that locals of a type may have, in the order in which they are given out.

    Args:
        ints, floats: the registers of each class.
    """

    __slots__ = ("_floats", "_ints")

    def __init__(self, ints: tuple[int, ...], floats: tuple[int, ...]) -> None:
        self._ints = ints
        self._floats = floats

    def __missing__(self, type_: int) -> tuple[Operand, ...]:
        registers = self._floats if is_float(type_) else self._ints
        found = self[type_] = tuple([pinned_local(type_, reg) for reg in registers])
        return found


class ManyParameters:
    """The parameters of a type that has many: what is found of them once for all functions of the type.

    Attributes:
        types: what they are.
        places: where they arrive.
        laid_out: where functions have them that pin no locals, by the frame offset of the first cell and the step from
            one to the next.
        received: code that receives them there, by the frame offset of the first cell, the frame's size if that counts,
            and the width of cells.
    """

    __slots__ = ("_homes", "laid_out", "places", "received", "types")

    def __init__(self, types: tuple[int, ...], places: ParameterPlaces) -> None:
        self.types = types
        self.places = places
        self._homes: dict[tuple[int, int], list[Operand | None]] = {}
        self.laid_out: dict[tuple[int, int], LaidOut] = {}
        self.received: dict[tuple[int, int, int], bytes] = {}

    def homes(self, first: int, step: int) -> list[Operand | None]:
        """Homes in the frame of those that arrive in the argument area and whose index takes one byte, the area's first
        cell being at ``first``; 256 items, ``None`` for all others.
        """
        found = self._homes.get((first, step))
        if found is None:
            found = self._homes[first, step] = [None] * 256
            for position, start, count in self.places.stretches:
                for index in range(start, min(start + count, SHORT_INDICES)):
                    found[index] = frame_local(self.types[index], first + step * (position + index - start))
        return found


class Locals:
    """The homes of a function's locals.

    Attributes:
        count: how many there are, parameters included.
        entries: homes of the locals whose index takes one byte; 256 items, ``None`` where there is no such local.
        many: what is known of the parameters, where they or the results are many; else ``None``.
        base: how many bytes of the frame come before the locals that are not pinned.
        pinned_ints, pinned_floats: how many pinned registers of each class are in use.
        frame_cells: frame cells of the locals that are not pinned, but for parameters that stay in the argument
            area.
        first_cell: frame offset of the first of them.
        zero_cells: ``(frame offset of the first cell, count)``, and the width if it is 16, of those to be zeroed at
            entry, which are neighbours.
        zero_pinned: pinned locals that are not parameters.
    """

    __slots__ = (
        "_area",
        "_area_step",
        "_known",
        "_long",
        "_pinned_in_area",
        "_run_cells",
        "_run_ends",
        "_run_types",
        "_step",
        "base",
        "count",
        "entries",
        "first_cell",
        "frame_cells",
        "many",
        "pinned_floats",
        "pinned_ints",
        "zero_cells",
        "zero_pinned",
    )

    zero_cells: tuple[int, ...]

    def __init__(
        self,
        params: tuple[int, ...],
        places: tuple[tuple[int, int], ...],
        runs: list[tuple[int, int]],
        count: int,
        hottest: list[int],
        pins: Pins,
        frames: Frames,
        width: int = 8,
        many: ManyParameters | None = None,
    ) -> None:
        """Find homes for parameters and declared locals.

        Args:
            params, places: types of the parameters, and where they arrive, see the backend's ``parameter_places``.
            many: what is known of the parameters where they are laid out as many; then ``places`` is of no interest.
            runs: declared locals as ``(count, type)``.
            count: how many there are, parameters included.
            hottest: what :func:`rank` gave.
            pins: registers to pin locals to.
            frames: the backend's module of that name, which says how frames are laid out.
            width: bytes of a cell of the frame: 16 if the function has vectors.
        """
        param_count = len(params)
        types = [*params] if many is None else [*params[:SHORT_INDICES]]
        for run_count, type_ in runs:
            types += [type_] * (run_count if run_count < SHORT_INDICES else SHORT_INDICES)
        self.count = count
        short = count
        if count > SHORT_INDICES:
            short = SHORT_INDICES
            del types[SHORT_INDICES:]
        entries: list[Operand | None] = [None] * 256
        # The hottest get registers.
        ints = floats = 0
        for index in hottest:
            type_ = types[index]
            homes = pins[type_]
            if F32 <= type_ < REFERENCE:
                if floats < len(homes):
                    entries[index] = homes[floats]
                    floats += 1
            elif ints < len(homes):
                entries[index] = homes[ints]
                ints += 1
        self.pinned_ints = ints
        self.pinned_floats = floats
        step = frames.STEP
        if width == 8:
            self.base = frames.locals_base(ints, floats)
            first = offset = frames.cell(self.base)
        else:
            step *= 2
            self.base = frames.locals_base(ints, floats, width)
            first = offset = frames.cell(self.base, width)
        self._step = step
        self.first_cell = first
        stay = frames.ARGUMENT_AREA
        self.many = many
        if count > SHORT_INDICES:
            self._long: dict[int, Operand] = {}
            self._known: set[Operand] = set()
        self._pinned_in_area: list[int] = []
        if many is not None:
            entries, offset = self._place_many(many, entries, hottest, stay)
        else:
            for index in range(param_count):
                if entries[index] is None:
                    reg, area = places[index]
                    if reg < 0 and stay:
                        entries[index] = frame_local(types[index], stay + area)
                    else:
                        entries[index] = frame_local(types[index], offset)
                        offset += step
        cells = zero_from = (offset - first) // step
        if short > param_count:
            self.zero_pinned = [entry for entry in entries[param_count:short] if entry is not None]
            if len(self.zero_pinned) != short - param_count:
                for index in range(param_count, short):
                    if entries[index] is None:
                        entries[index] = frame_local(types[index], offset)
                        offset += step
                cells = (offset - first) // step
        else:
            self.zero_pinned = []
        if count > SHORT_INDICES:
            self._run_ends: list[int] = []
            self._run_types: list[int] = []
            self._run_cells: list[int] = []
            cells = self._place_runs(param_count, runs, cells)
        self.entries = entries
        self.frame_cells = cells
        self.zero_cells = (first + step * zero_from, cells - zero_from)
        if width != 8:
            self.zero_cells += (width,)

    def _place_many(
        self, many: ManyParameters, pinned: list[Operand | None], hottest: list[int], stay: int
    ) -> tuple[list[Operand | None], int]:
        """Lay out many parameters: those that arrive in the argument area in one stretch, or where they are, and then
        those that arrive in registers. Returns the table of homes, and the frame offset of the cell after them.
        """
        places, params, step = many.places, many.types, self._step
        offset = self.first_cell
        if not hottest:
            known = many.laid_out.get((offset, step))
            if known is not None:
                homes, long, offset, self._area, self._area_step = known
                for index, entry in long:
                    self._keep(index, entry)
                return [*homes], offset
        if stay:
            self._area, self._area_step = stay, places.step
        else:
            self._area, self._area_step = offset, step
            offset += step * sum([count for _, _, count in places.stretches])
        entries = [*many.homes(self._area, self._area_step)]
        for index in hottest:
            home = pinned[index]
            if home is not None:
                if index < len(params) and entries[index] is not None:
                    self._pinned_in_area.append(index)
                entries[index] = home
        for index, type_, _ in places.in_registers:
            if index >= SHORT_INDICES:
                self._keep(index, frame_local(type_, offset))
                offset += step
            elif entries[index] is None:
                entries[index] = frame_local(type_, offset)
                offset += step
        if not hottest:
            long = list(self._long.items()) if self.count > SHORT_INDICES else []
            found = [*entries], long, offset, self._area, self._area_step
            many.laid_out[self.first_cell, step] = found
        return entries, offset

    def receive(self, frames: Frames, size: int, width: int) -> bytes:
        """Code that moves many parameters to their homes in a frame of ``size`` bytes."""
        many = self.many
        assert many is not None
        if self.pinned_ints or self.pinned_floats:
            return frames.receive_many(many.places, self.arriving(), self.first_cell, size, width)
        # Where they stay in the argument area the size does not count.
        key = self.first_cell, 0 if frames.ARGUMENT_AREA else size, width
        code = many.received.get(key)
        if code is None:
            code = frames.receive_many(many.places, self.arriving(), self.first_cell, size, width)
            many.received[key] = code
        return code

    def arriving(self) -> list[tuple[int, int, Operand]]:
        """Of many parameters those that have to be moved one by one: register or -1, byte offset in the argument area,
        and home.
        """
        many = self.many
        assert many is not None
        moved = []
        for index, _, reg in many.places.in_registers:
            home = self.entry(index)
            assert home is not None
            moved.append((reg, 0, home))
        for index in self._pinned_in_area:
            home = self.entries[index]
            assert home is not None
            moved.append((-1, many.places.step * many.places.position(index), home))
        return moved

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
        found = self._long.get(index)
        if found is None:
            found = self._long_entry(index)
            self._keep(index, found)
        return found

    def _keep(self, index: int, home: Operand) -> None:
        """Keep a home that was made, since the search for entries that refer to a local goes by identity."""
        self._long[index] = home
        self._known.add(home)

    def is_home(self, entry: Operand) -> bool:
        """Whether the entry is the home of a local that was asked for."""
        return entry in self.entries or (self.count > SHORT_INDICES and entry in self._known)

    def runs(self) -> Iterator[tuple[int, int, Operand]]:
        """The locals from SHORT_INDICES on, as runs: the index of the first, how many, and its home.

        The others of a run are in the next cells of the frame.
        """
        if self.count <= SHORT_INDICES:
            return
        start = SHORT_INDICES
        # Each parameter is a run of its own.
        params = len(self.many.types) if self.many is not None else 0
        for end in [*range(start + 1, params + 1), *self._run_ends]:
            home = self.entry(start)
            assert home is not None
            yield start, end - start, home
            start = end

    def _long_entry(self, index: int) -> Operand:
        from bisect import bisect_right  # most modules never get here

        many = self.many
        start = SHORT_INDICES
        if many is not None:
            if index < len(many.types):
                return frame_local(many.types[index], self._area + self._area_step * many.places.position(index))
            start = max(start, len(many.types))
        run = bisect_right(self._run_ends, index)
        if run:
            start = self._run_ends[run - 1]
        return frame_local(self._run_types[run], self.first_cell + self._step * (self._run_cells[run] + index - start))
