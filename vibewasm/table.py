"""Tables of references (core specification, "Table Instances")."""

from __future__ import annotations

from .binary.module_info import TABLE
from .errors import LinkError, WasmError
from .extern_types import Limits, TableType
from .runtime.blocks import Block
from .runtime.context import TABLE_BASE, TABLE_DESCRIPTOR_SIZE, TABLE_LENGTH
from .store import Extern
from .values import from_bits, prefixed, to_bits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from .store import Store

#: Elements of a table whose indices have 32 bits, at most.
MAX_ELEMENTS = 0xFFFF_FFFF
#: Cells that are filled at once.
_CHUNK = 0x10000


class Table(Extern):
    """A table: references by index. ``table[i]`` reads, ``table[i] = x`` writes, ``len(table)`` is its size.

    An element is ``None`` or, in a table of funcref, a :class:`~vibewasm.Func`, in one of externref any Python object.

    Args:
        store: the store that the table belongs to.
        type: what its elements are, and its size in elements.
        init: the first value of every element.

    Raises:
        LinkError: the table is larger than :attr:`Store.max_table_elements` allows.
        TypeError: ``init`` is no such reference.
    """

    __slots__ = ("_cells", "_descriptor", "_size", "_store", "_type")

    _kind = TABLE

    def __init__(self, store: Store, type: TableType, init: object = None) -> None:
        size = type.limits.minimum
        if size > store.max_table_elements:
            raise LinkError(
                f"a table of {size} elements is more than Store.max_table_elements allows: {store.max_table_elements}"
            )
        self._store = store
        self._type = type
        self._size = 0
        self._cells = memoryview(b"").cast("Q")
        # The machine code's view of the table.
        self._descriptor = Block(TABLE_DESCRIPTOR_SIZE)
        store._tables.append(self)
        self._resize(size)
        if init is not None:
            self._fill_with(0, size, init)

    @property
    def store(self) -> Store:
        """The store that the table belongs to."""
        return self._store

    @property
    def type(self) -> TableType:
        """The table's type, whose minimum is the present size."""
        limits = self._type.limits
        return TableType(self._type.element, Limits(self._size, limits.maximum, limits.shared, limits.is64))

    def __len__(self) -> int:
        return self._size

    def __repr__(self) -> str:
        return f"<vibewasm.Table of {self._size} {self._type.element}>"

    def __getitem__(self, index: int) -> Any:
        return from_bits(self._store, self._type.element.code, self._cells[self._check(index)])

    def __setitem__(self, index: int, value: object) -> None:
        self._fill_with(self._check(index), 1, value)

    def __iter__(self) -> Iterator[Any]:
        for index in range(self._size):
            yield self[index]

    def grow(self, delta: int, init: object = None) -> int:
        """Add ``delta`` elements with the value ``init`` and return the former size (specification, "Growing tables").

        Raises:
            ValueError: ``delta`` is negative.
            WasmError: the table cannot become as large, and the message says what forbids it; or the store is closed,
                or runs in another thread.
        """
        if delta < 0:
            raise ValueError(f"a table cannot shrink (grow by {delta})")
        # Growing may move the cells, which running code must not miss.
        self._store._check_usable()
        self._to_cell(init)
        old, why = self._grow(delta, 0)
        if old < 0:
            raise WasmError(f"table of {self._size} elements cannot grow by {delta}: {why}")
        if init is not None:
            self._fill_with(old, delta, init)
        return old

    def _check(self, index: int) -> int:
        if not 0 <= index < self._size:
            raise IndexError(f"{index} is outside the table of {self._size} elements")
        return index

    def _to_cell(self, value: object) -> int:
        try:
            return to_bits(self._store, self._type.element.code, value)
        except (TypeError, ValueError) as error:
            raise prefixed(f"a table of {self._type.element}", error) from None

    def _fill_with(self, start: int, count: int, value: object) -> None:
        """Set ``count`` elements, which exist, to a Python value."""
        cell = self._to_cell(value)
        while True:
            if count == 1:
                self._cells[start] = cell
            else:
                self._fill(start, count, cell)
            # Another thread may have let go of an object before it was in the table, see vibewasm.references.
            again = self._to_cell(value)
            if again == cell:
                return
            cell = again

    def _grow(self, delta: int, cell: int) -> tuple[int, str]:
        """The former size, or -1 and the reason."""
        old = self._size
        size = old + delta
        maximum = self._type.limits.maximum
        if maximum is not None and size > maximum:
            return -1, f"its type allows {maximum} elements"
        if size > min(MAX_ELEMENTS, self._store.max_table_elements):
            return -1, f"Store.max_table_elements is {self._store.max_table_elements}"
        try:
            self._resize(size)
        except (OSError, MemoryError):
            return -1, "the system has no more memory to give"
        if cell:
            self._fill(old, delta, cell)
        return old, ""

    def _resize(self, size: int) -> None:
        """Make room for ``size`` elements; new ones are null."""
        old = self._size
        if size > len(self._cells):
            # Room for more than is asked for, so that growing one by one takes linear time.
            room = max(size, min(2 * len(self._cells), self._store.max_table_elements))
            block = Block(8 * room)
            block.cells[:old] = self._cells[:old]
            self._cells = block.cells
            self._descriptor.cells[TABLE_BASE >> 3] = block.address
        self._size = size
        self._descriptor.cells[TABLE_LENGTH >> 3] = size

    def _fill(self, start: int, count: int, cell: int) -> None:
        """Set ``count`` elements, which exist, to the same cell."""
        cells = self._cells
        chunk = memoryview(cell.to_bytes(8, "little") * min(count, _CHUNK)).cast("Q")
        while count > 0:
            step = min(count, _CHUNK)
            cells[start : start + step] = chunk[:step]
            start += step
            count -= step
