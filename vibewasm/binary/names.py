"""The ``name`` custom section (specification, "Appendix / Custom Sections / Name Section").

Kinds of names beyond the specification's come from the extended-name-section proposal. A fault in the section is never
an error: what can be read is used. Each subsection is decoded when it is first asked for.
"""

from __future__ import annotations

from ..errors import DecodeError
from .leb128 import u32

#: Subsections by number; "local", "label" and "field" have names within each function or type.
_KINDS = (
    "module", "func", "local", "label", "type", "table", "memory", "global", "elem", "data", "field", "tag"
)  # fmt: skip


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
        self._direct: dict[str, dict[int, str]] = {}
        self._indirect: dict[str, dict[int, dict[int, str]]] = {}

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
            return _name(self._data, start, end)[0]
        except (DecodeError, IndexError):
            return None

    def of(self, kind: str) -> dict[int, str]:
        """Names by index, of one of the kinds func, type, table, memory, global, elem, data, tag."""
        if kind not in self._direct:
            start, end = self._ranges.get(kind, (0, 0))
            self._direct[kind] = _name_map(self._data, start, end)[0]
        return self._direct[kind]

    def within(self, kind: str) -> dict[int, dict[int, str]]:
        """Names by function index ("field": by type index) and index in it, of one of the kinds local, label, field."""
        if kind not in self._indirect:
            start, end = self._ranges.get(kind, (0, 0))
            self._indirect[kind] = _indirect_name_map(self._data, start, end)
        return self._indirect[kind]


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


def _name(data: bytes, pos: int, end: int) -> tuple[str | None, int]:
    """A name, or ``None`` if it is not UTF-8. Raises IndexError if it does not end before ``end``."""
    size, pos = u32(data, pos)
    after = pos + size
    if after > end:
        raise IndexError
    try:
        return str(data[pos:after], "utf-8"), after
    except UnicodeDecodeError:
        return None, after


def _name_map(data: bytes, pos: int, end: int) -> tuple[dict[int, str], int | None]:
    """The names that can be read, and the position after the map or ``None`` if it breaks off."""
    names: dict[int, str] = {}
    if pos >= end:
        return names, None
    try:
        count, pos = u32(data, pos)
        for _ in range(count):
            index, pos = u32(data, pos)
            name, pos = _name(data, pos, end)
            if name is not None:
                names.setdefault(index, name)
    except (DecodeError, IndexError):
        return names, None
    return names, pos


def _indirect_name_map(data: bytes, pos: int, end: int) -> dict[int, dict[int, str]]:
    """The names that can be read from a map of maps."""
    names: dict[int, dict[int, str]] = {}
    if pos >= end:
        return names
    try:
        count, pos = u32(data, pos)
        for _ in range(count):
            outer, pos = u32(data, pos)
            inner, after = _name_map(data, pos, end)
            if inner:
                names.setdefault(outer, inner)
            if after is None:
                break
            pos = after
    except (DecodeError, IndexError):
        return names
    return names
