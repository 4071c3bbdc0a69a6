"""The types of a module that has more of them than are kept as objects, see :mod:`.compact`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

from ..reference_types import concrete
from ..type_groups import group_of
from ..types import FIRST_CONCRETE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..type_groups import Group, Plain
    from ..types import FuncType

__all__ = ["Types"]


class Types(Sequence["FuncType"]):
    """All types of a module, of which only the first are objects; others are made when they are asked for.

    Args:
        data: the module.
        kept: the first types.
    """

    __slots__ = ("_data", "_entries", "_kept", "_owned")

    def __init__(self, data: bytes, kept: list[FuncType]) -> None:
        self._data = data
        self._kept = kept
        #: The group of a type that is the first of one, how many places before a member of a group its first one is,
        #: and ``~position`` in the module of a plain type that has no number (yet).
        self._entries: list[Plain | int] = []
        #: What keeps the numbers of types that somebody has asked for otherwise.
        self._owned: set[Plain] = set()

    def append_at(self, position: int) -> None:
        """Add the plain type at a position in the module."""
        self._entries.append(~position)

    def append_group(self, group: Group) -> None:
        """Add the types of a group."""
        self._entries.append(group)
        self._entries.extend(range(1, len(group.depths)))

    def reference(self, index: int) -> int:
        """The code of the nullable reference to a type."""
        at = index - len(self._kept)
        if at < 0:
            return concrete(self._kept[index], True)
        entry = self._entries[at]
        if isinstance(entry, int) and entry < 0:
            entry = self._entries[at] = group_of(self._plain(~entry))
        group, position = self._place(at, entry)
        return FIRST_CONCRETE + 2 * (group.first + position)

    def _place(self, at: int, entry: Plain | int) -> tuple[Plain, int]:
        """The group of an entry, and the position in it."""
        if not isinstance(entry, int):
            return entry, 0
        group = self._entries[at - entry]
        assert not isinstance(group, int)
        return group, entry

    def own(self, group: Plain) -> None:
        """Keep a group whose number somebody has asked for."""
        self._owned.add(group)

    def __len__(self) -> int:
        return len(self._kept) + len(self._entries)

    @overload
    def __getitem__(self, index: int) -> FuncType: ...
    @overload
    def __getitem__(self, index: slice) -> list[FuncType]: ...
    def __getitem__(self, index: int | slice) -> FuncType | list[FuncType]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        at = index - len(self._kept)
        if at < 0:
            # Also from the end, as of a list.
            return self._kept[index] if index >= 0 else self[range(len(self))[index]]
        entry = self._entries[at]
        if not isinstance(entry, int) or entry > 0:
            group, position = self._place(at, entry)
            return group.member(position)
        made = self._plain(~entry)
        # It is not there for long.
        made._uses = self
        return made

    def _plain(self, position: int) -> FuncType:
        from .recursive_types import plain_type_at

        return plain_type_at(self._data, position, self)

    def __repr__(self) -> str:
        return f"<Types: {len(self)}>"
