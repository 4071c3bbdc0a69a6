"""Large numbers of things of a module, in a few bytes each.

An object takes some hundred bytes, and what it is made of may be two bytes of a module. So of each kind of thing only
the first 1024 are kept as objects: of the others there is the position, and each is read again when it is asked
for. Modules of usual size have fewer of everything, and do not load this.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import TypeVar, overload

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..types import FuncType

T = TypeVar("T")

__all__ = ["Source", "Spread", "column"]


class Source:
    """What is read again: the module's bytes, and its types. Not the module, which has what holds this."""

    __slots__ = ("data", "types")

    def __init__(self, data: bytes, types: Sequence[FuncType]) -> None:
        self.data = data
        self.types = types


def column(data: bytes) -> array[int]:
    """An empty array for positions in a module."""
    return array("I" if len(data) < 1 << 32 else "Q")


class Spread(Sequence[T]):
    """A sequence whose first items are objects, and whose others are read when they are asked for.

    Args:
        kept: the first items.
        data: the module.
        read: gives the item at a position.
    """

    __slots__ = ("_kept", "_large", "_positions", "_read")

    def __init__(self, kept: list[T], data: bytes, read: Callable[[int], T]) -> None:
        self._kept = kept
        self._read = read
        self._positions = column(data)
        #: Items that are worth to be kept, by index.
        self._large: dict[int, T] = {}

    def append(self, position: int) -> None:
        """Add the item at a position."""
        self._positions.append(position)

    def keep(self, item: T, position: int) -> None:
        """Add an item whose bytes in the module are so many that it may stay."""
        self._large[len(self)] = item
        self._positions.append(position)

    def __len__(self) -> int:
        return len(self._kept) + len(self._positions)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        kept = self._kept
        if 0 <= index < len(kept):
            return kept[index]
        if index < 0:
            index += len(self)
            if index < 0:
                raise IndexError(index)
            return self[index]
        found = self._large.get(index)
        return self._read(self._positions[index - len(kept)]) if found is None else found

    def __iter__(self) -> Iterator[T]:
        yield from self._kept
        read, large = self._read, self._large
        for index, position in enumerate(self._positions, len(self._kept)):
            found = large.get(index) if large else None
            yield read(position) if found is None else found

    def __repr__(self) -> str:
        return f"<Spread: {len(self)}>"
