"""What calls take their cells from, and whose calls they are."""

from __future__ import annotations

from _thread import _local

from ..abi import READY_ARGC, READY_ARGV, READY_ENTER, READY_RECORD, READY_SIZE
from ..runtime.blocks import Block
from ..runtime.calls import address_of, argument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: Cells from which calls take their arguments, where they do not do so the fast way.
AREA_CELLS = 2048


class _Thread(_local):
    """The calling thread's ``token``. No two threads ever have the same one, while thread numbers are used again.

    In a thread that runs a call for an event loop, ``wait`` has the loop run a coroutine, and gives what it returns.
    """

    token: object
    wait: Callable[[Any, str], Any] | None = None

    def __init__(self) -> None:
        self.token = object()


#: Whose thread this is.
current = _Thread()

#: Stands in a store's state where the right to start a call does: first let go of objects that wasm code does not hold.
DUE = object()


class Area:
    """A block of cells with a view for each numeric type. Its memory is taken when it is first looked at: many a store
    makes no call that needs it.
    """

    __slots__ = ("_blocks", "_size", "_views", "used")

    def __init__(self, size: int) -> None:
        self._size = size
        self._blocks: list[Block] = []
        self._views: tuple[tuple[Any, int], ...] | None = None
        #: Cells that are in use.
        self.used = 0

    def _memory(self) -> Block:
        blocks = self._blocks
        if not blocks:
            # Two threads may come here at once: both go on with the first one in the list.
            blocks.append(Block(8 * self._size))
        return blocks[0]

    @property
    def address(self) -> int:
        """Address of the first cell."""
        return self._memory().address

    @property
    def cells(self) -> memoryview:
        """The cells, as unsigned numbers."""
        return self._memory().cells

    @property
    def views(self) -> tuple[tuple[Any, int], ...]:
        """(view, items per cell) of i32, i64, f32 and f64: the index is the type's code."""
        views = self._views
        if views is None:
            data = self.cells.cast("B")
            views = (data.cast("i"), 2), (data.cast("q"), 1), (data.cast("f"), 2), (data.cast("d"), 1)
            self._views = views
        return views


#: Cells of each of the blocks that areas of fast calls are cut from.
_FAST_CELLS = 512


class FastPlaces:
    """Where the fast calls of a store have their cells, by signature.

    No two such calls are active at once, since each takes the right to make them away until it is over.
    """

    __slots__ = ("_areas", "_places")

    def __init__(self) -> None:
        #: All of them, since calls know addresses only; the last one has room.
        self._areas: list[Area] = []
        self._places: dict[str, tuple[Area, int]] = {}

    def place(self, signature: str, size: int) -> tuple[Area, int]:
        """The area that calls of a signature use, and the first of their ``size`` cells in it."""
        place = self._places.get(signature)
        if place is None:
            place = self._places[signature] = self._take(size)
        return place

    def _take(self, size: int) -> tuple[Area, int]:
        areas = self._areas
        if not areas or areas[-1].used + size > _FAST_CELLS:
            areas.append(Area(max(size, _FAST_CELLS)))
        area = areas[-1]
        first = area.used
        area.used += size
        return area, first

    def ready(self, enter: Callable[..., int], record: int, argc: int, argv: int) -> Any:
        """The argument that calls a function of this record again and again, see :data:`..abi.READY_ENTER`."""
        area, first = self._take(READY_SIZE >> 3)
        cells = area.cells
        for offset, word in (
            (READY_ENTER, address_of(enter)),
            (READY_RECORD, record),
            (READY_ARGC, argc),
            (READY_ARGV, argv),
        ):
            cells[first + (offset >> 3)] = word
        return argument(area.address + 8 * first)
