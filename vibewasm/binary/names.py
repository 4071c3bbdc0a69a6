"""The ``name`` custom section (specification, "Appendix / Custom Sections / Name Section").

Kinds of names beyond the specification's come from the extended-name-section proposal. A fault in the section is never
an error: what can be read is used. Each subsection is gone through when it is first asked for, which finds where names
are; a name is made when it is asked for itself, since most never are and a section may have millions.
"""

from __future__ import annotations

# What collections.abc consists of, without what it loads besides.
from _collections_abc import Mapping
from bisect import bisect_left

from ..errors import DecodeError
from .leb128 import u32

TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterator

    Numbers = list[int] | array[int]

#: Subsections by number; "local", "label" and "field" have names within each function or type.
_KINDS = (
    "module", "func", "local", "label", "type", "table", "memory", "global", "elem", "data", "field", "tag"
)  # fmt: skip
#: Of more names than this numbers are kept in arrays, which take less room and have to be loaded.
_MANY = 1024
#: So many numbers are sorted at once: a few milliseconds' work.
_SORTED_AT_ONCE = 1 << 14


class Names:
    """What a name section says.

    Args:
        data: the module.
        start, end: range of the section's contents after its own name.
    """

    __slots__ = ("_data", "_direct", "_indirect", "_ranges")

    def __init__(self, data: bytes, start: int, end: int) -> None:
        self._data = data
        self._ranges = _subsections(data, start, end)
        self._direct: dict[str, NameMap] = {}
        self._indirect: dict[str, NameMaps] = {}

    @property
    def kinds(self) -> list[str]:
        """The kinds that the section has names of, in the order of their numbers."""
        return [kind for kind in _KINDS if kind in self._ranges]

    @property
    def module(self) -> str | None:
        """The module's own name, or ``None``."""
        start, end = self._ranges.get("module", (0, 0))
        if start == end:
            return None
        try:
            position, after = _place(self._data, start, end)
        except (DecodeError, IndexError):
            return None
        return _text(self._data, position, after)

    def of(self, kind: str) -> NameMap:
        """Names by index, of one of the kinds func, type, table, memory, global, elem, data, tag."""
        found = self._direct.get(kind)
        if found is None:
            found = self._direct[kind] = NameMap(self._data, *self._ranges.get(kind, (0, 0)))
        return found

    def within(self, kind: str) -> NameMaps:
        """Names by function index ("field": by type index) and index in it, of one of the kinds local, label, field."""
        found = self._indirect.get(kind)
        if found is None:
            found = self._indirect[kind] = NameMaps(self._data, *self._ranges.get(kind, (0, 0)))
        return found


class NameMap(Mapping[int, str]):
    """Names by index: of one index the first name that is UTF-8.

    Args:
        data: the module.
        start, end: the map begins at ``start``, and ends at ``end`` or before it.

    Attributes:
        after: the position after the map, or ``None`` if it breaks off.
    """

    __slots__ = ("_data", "_end", "_indices", "_positions", "after")

    def __init__(self, data: bytes, start: int, end: int) -> None:
        self._data = data
        self._end = end
        indices: Numbers = []
        #: Where the size of each name is.
        positions: Numbers = []
        self.after: int | None = None
        try:
            count, pos = u32(data, start) if start < end else (0, start)
            for _ in range(count):
                index, pos = u32(data, pos)
                _, after = _place(data, pos, end)
                if len(indices) == _MANY:
                    indices, positions = _as_array(indices), _as_array(positions)
                indices.append(index)
                positions.append(pos)
                pos = after
            if start < end:
                self.after = pos
        except (DecodeError, IndexError):
            pass
        self._indices, self._positions = _in_order(indices, positions)

    def __getitem__(self, index: int) -> str:
        indices = self._indices
        at = bisect_left(indices, index)
        while at < len(indices) and indices[at] == index:
            name = self._name(at)
            if name is not None:
                return name
            at += 1
        raise KeyError(index)

    def _name(self, at: int) -> str | None:
        return _text(self._data, *_place(self._data, self._positions[at], self._end))

    def _pairs(self) -> Iterator[tuple[int, str]]:
        last = None
        for at, index in enumerate(self._indices):
            if index != last:
                name = self._name(at)
                if name is not None:
                    last = index
                    yield index, name

    def __iter__(self) -> Iterator[int]:
        for index, _ in self._pairs():
            yield index

    def __len__(self) -> int:
        return sum(1 for _ in self._pairs())

    def __bool__(self) -> bool:
        return any(True for _ in self._pairs())

    def __repr__(self) -> str:
        return f"NameMap({dict(self)!r})"


class NameMaps(Mapping[int, NameMap]):
    """Maps of names by index: of one index the first that has a name. Those without any are not in it.

    Args:
        data, start, end: as of a :class:`NameMap`.
    """

    __slots__ = ("_data", "_end", "_indices", "_positions")

    def __init__(self, data: bytes, start: int, end: int) -> None:
        self._data = data
        self._end = end
        indices: Numbers = []
        #: Where each map begins.
        positions: Numbers = []
        try:
            count, pos = u32(data, start) if start < end else (0, start)
            for _ in range(count):
                index, pos = u32(data, pos)
                if len(indices) == _MANY:
                    indices, positions = _as_array(indices), _as_array(positions)
                indices.append(index)
                positions.append(pos)
                inside, pos = u32(data, pos) if pos < end else (0, end + 1)
                for _ in range(inside):
                    _, pos = u32(data, pos)
                    _, pos = _place(data, pos, end)
                if pos > end:
                    break
        except (DecodeError, IndexError):
            pass
        self._indices, self._positions = _in_order(indices, positions)

    def __getitem__(self, index: int) -> NameMap:
        indices = self._indices
        at = bisect_left(indices, index)
        while at < len(indices) and indices[at] == index:
            found = NameMap(self._data, self._positions[at], self._end)
            if found:
                return found
            at += 1
        raise KeyError(index)

    def __iter__(self) -> Iterator[int]:
        last = None
        for index, position in zip(self._indices, self._positions, strict=True):
            if index != last and NameMap(self._data, position, self._end):
                last = index
                yield index

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        return any(True for _ in self)

    def __repr__(self) -> str:
        return f"NameMaps({dict(self)!r})"


def _as_array(numbers: Numbers) -> array[int]:
    from array import array

    return array("Q", numbers)


def _in_order(indices: Numbers, positions: Numbers) -> tuple[Numbers, Numbers]:
    """Both, by index; what has the same index stays in its order. Mostly it is so (the specification demands it)."""
    before = -1
    for index in indices:
        if index < before:
            break
        before = index
    else:
        return indices, positions
    from heapq import merge

    numbers = range(len(indices))
    runs = [
        sorted(numbers[first : first + _SORTED_AT_ONCE], key=indices.__getitem__)
        for first in numbers[::_SORTED_AT_ONCE]
    ]
    sorted_indices, sorted_positions = indices[:0], positions[:0]
    for number in merge(*runs, key=indices.__getitem__):
        sorted_indices.append(indices[number])
        sorted_positions.append(positions[number])
    return sorted_indices, sorted_positions


def _subsections(data: bytes, pos: int, end: int) -> dict[str, tuple[int, int]]:
    """The ranges of the subsections that are there; the first of each kind counts."""
    ranges: dict[str, tuple[int, int]] = {}
    while pos < end:
        number = data[pos]
        try:
            size, start = u32(data, pos + 1)
        except (DecodeError, IndexError):
            break
        pos = start + size
        if number < len(_KINDS):
            ranges.setdefault(_KINDS[number], (start, min(pos, end)))
    return ranges


def _place(data: bytes, pos: int, end: int) -> tuple[int, int]:
    """Where a name's bytes begin and end. Raises IndexError if it does not end before ``end``."""
    size, pos = u32(data, pos)
    after = pos + size
    if after > end:
        raise IndexError
    return pos, after


def _text(data: bytes, pos: int, after: int) -> str | None:
    """A name, or ``None`` if it is not UTF-8."""
    try:
        return str(data[pos:after], "utf-8")
    except UnicodeDecodeError:
        return None
