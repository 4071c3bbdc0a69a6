"""Tables of references (core specification, "Table Instances")."""

from __future__ import annotations

from ..abi import TABLE_BASE, TABLE_DESCRIPTOR_SIZE, TABLE_LENGTH
from ..binary.module_info import TABLE
from ..calls.values import from_bits, prefixed, to_bits
from ..errors import NO_MORE_MEMORY, LinkError, WasmError
from ..extern_types import Limits, TableType
from ..runtime.blocks import Block
from .extern import LATER, Extern
from .store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

#: Elements of a table whose indices have 32 bits, at most.
MAX_ELEMENTS = 0xFFFF_FFFF
#: A table of no more elements than this has its first cells beside its descriptor.
_SMALL = 512
#: Cells that are filled at once.
_CHUNK = 0x10000


class Table(Extern):
    """A table: references by index. ``table[i]`` reads, ``table[i] = x`` writes, ``len(table)`` is its size.

    An element is ``None`` or, in a table of funcref, a :class:`~vibewasm.Func`, in one of externref any Python object,
    in one of exnref an :class:`~vibewasm.ExceptionRef`. Where null does not belong to the type, elements need a first
    value.

    Args:
        store: the store that the table belongs to.
        type: what its elements are, and its size in elements.
        init: the first value of every element.

    Raises:
        TypeError: an argument is of another type, or ``init`` is no such reference.
        LinkError: the table is larger than :attr:`Store.max_table_elements`, :attr:`Store.max_table_elements_each` or
            :attr:`Store.max_memory` allows.
        WasmError: the type takes a proposal that is not built; or the store is closed, or runs in another thread.
    """

    __slots__ = ("_begun", "_cells", "_descriptor", "_size", "_store", "_type")

    _kind = TABLE

    def __init__(self, store: Store, type: TableType, init: object = None) -> None:
        if not isinstance(store, Store):
            from ..arguments import wrong

            raise wrong("Table", "store", "a Store", store)
        if not isinstance(type, TableType):
            from ..arguments import wrong

            raise wrong("Table", "type", "a TableType", type)
        store._check_usable()
        if type.limits.shared or type.limits.is64:
            from .memory import check_proposals

            check_proposals("table", type.limits)
        size = type.limits.minimum
        if size > MAX_ELEMENTS or (type.limits.maximum or 0) > MAX_ELEMENTS:
            raise LinkError(f"a table has at most {MAX_ELEMENTS} elements, not {type.limits}")
        refusal = _refusal(store, size, size)
        if refusal:
            name, allowed = refusal
            raise LinkError(f"a table of {_elements(size)} is more than Store.{name} allows: {allowed}", limit=name)
        given = store._given_limits
        if given is not None and given.max_tables is not None and len(store._tables) >= given.max_tables:
            from ..limits import refused

            raise refused("one more table", "max_tables", given.max_tables, len(store._tables))
        self._store = store
        self._type = type
        self._size = 0
        #: Filling the cells of new elements was begun, and not brought to its end.
        self._begun = False
        store._taking = True
        # The machine code's view of the table, and after that the cells of a small one.
        room = size if size <= _SMALL else 0
        self._descriptor = block = Block(TABLE_DESCRIPTOR_SIZE + 8 * room)
        first = TABLE_DESCRIPTOR_SIZE >> 3
        self._cells = block.cells[first : first + room]
        block.cells[TABLE_BASE >> 3] = block.address + TABLE_DESCRIPTOR_SIZE
        self._resize(size)
        if init is LATER or (init is None and type.element.nullable):
            self._add()
        else:
            # References are kept in the store's own books.
            store._alone(self._begin, init)

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
        if self._store._closed:
            self._store._check_open()
        return self._size

    def __repr__(self) -> str:
        if self._store._closed:
            return f"<vibewasm.Table of {self._type.element}, closed>"
        return f"<vibewasm.Table of {self._size} {self._type.element}>"

    def __getitem__(self, index: int) -> Any:
        if type(index) is not int:
            index = _index(index)
        # References are kept in the store's own books, which running code uses too.
        return self._store._alone(self._get, index)

    def __setitem__(self, index: int, value: object) -> None:
        if type(index) is not int:
            index = _index(index)
        self._store._alone(self._set, index, value)

    def _begin(self, init: object) -> None:
        cell = self._to_cell(init)
        if cell:
            self._fill(0, self._size, cell)
        self._add()

    def _add(self) -> None:
        """Become one of the store's tables."""
        store = self._store
        store._table_elements += self._size
        store._memory_used += 8 * self._size
        store._tables.append(self)
        store._taking = False

    def _get(self, index: int) -> Any:
        self._check(index)
        return from_bits(self._store, self._type.element.code, self._cells[index])

    def _set(self, index: int, value: object) -> None:
        self._check(index)
        self._cells[index] = self._to_cell(value)

    def __iter__(self) -> Iterator[Any]:
        for index in range(len(self)):
            yield self[index]

    def grow(self, delta: int, init: object = None) -> int:
        """Add ``delta`` elements with the value ``init`` and return the former size (specification, "Growing tables").

        Raises:
            TypeError: ``delta`` is no int, or ``init`` is no such reference.
            ValueError: ``delta`` is negative.
            WasmError: the table cannot become as large, and the message says what forbids it; or the store is closed,
                or runs in another thread.
        """
        if type(delta) is not int or delta < 0:
            from ..arguments import growth

            delta = growth("Table", "elements", delta)
        # Growing may move the cells, and running code would go on with the old ones, which are gone.
        old, why = self._store._alone(self._grow_with, delta, init)
        if old < 0:
            from ..arguments import number

            raise WasmError(f"table of {_elements(self._size)} cannot grow by {number(delta)}: {why}")
        return old

    def _check(self, index: int) -> None:
        if not 0 <= index < self._size:
            from ..arguments import number

            raise IndexError(f"{number(index)} is outside the table of {_elements(self._size)}")

    def _to_cell(self, value: object) -> int:
        try:
            return to_bits(self._store, self._type.element.code, value)
        except (TypeError, ValueError) as error:
            raise prefixed(f"a table of {self._type.element}", error) from None

    def _grow_with(self, delta: int, init: object) -> tuple[int, str]:
        return self._grow(delta, self._to_cell(init))

    def _grow(self, delta: int, cell: int) -> tuple[int, str]:
        """The former size, or -1 and the reason."""
        old = self._size
        size = old + delta
        maximum = self._type.limits.maximum
        if maximum is not None and size > maximum:
            return -1, f"its type allows {_elements(maximum)}"
        if size > MAX_ELEMENTS:
            return -1, f"a table has at most {MAX_ELEMENTS} elements"
        store = self._store
        refusal = _refusal(store, delta, size)
        if refusal:
            store._refuse(refusal[0])
            return -1, f"Store.{refusal[0]} is {refusal[1]}"
        store._taking = True
        try:
            self._resize(size, cell)
        except (OSError, MemoryError) as error:
            if isinstance(error, OSError) and error.errno is None:
                raise  # not the system's: a signal's handler, with a TimeoutError, say
            return -1, NO_MORE_MEMORY
        store._table_elements += delta
        store._memory_used += 8 * delta
        store._taking = False
        return old, ""

    def _resize(self, size: int, cell: int = 0) -> None:
        """Make room for ``size`` elements, of which the new ones are ``cell``.

        Whatever stops this, the table has its old size, or the new one and all elements.
        """
        old = self._size
        if size > len(self._cells):
            # Room for more than is asked for, so that growing one by one takes linear time.
            # Memory that nobody has written to takes none of the machine's, so what is room only does not count.
            room = max(size, min(2 * len(self._cells), self._store.max_table_elements))
            block = Block(8 * room)
            cells = self._cells
            for start in range(0, old, _CHUNK):
                end = min(start + _CHUNK, old)
                block.cells[start:end] = cells[start:end]
                if end < old:
                    self._store._check_interrupt()
            self._cells = block.cells
            self._descriptor.cells[TABLE_BASE >> 3] = block.address
            self._begun = False
        if cell or self._begun:
            # Until this is done, there is something else than null where the table grows the next time.
            self._begun = True
            self._fill(old, size - old, cell)
            self._begun = False
        self._size = size
        self._descriptor.cells[TABLE_LENGTH >> 3] = size

    def _fill(self, start: int, count: int, cell: int) -> None:
        """Set ``count`` elements, for which there is room, to the same cell."""
        cells = self._cells
        chunk = memoryview(cell.to_bytes(8, "little") * min(count, _CHUNK)).cast("Q")
        while count > 0:
            step = min(count, _CHUNK)
            cells[start : start + step] = chunk[:step]
            start += step
            count -= step
            if count > 0:
                self._store._check_interrupt()

    def _copy(self, source: Table, start: int, target: int, count: int) -> None:
        """Take ``count`` elements over from a table, which may be this one, all of which exist."""
        backwards = source is self and start < target
        while count > 0:
            step = min(count, _CHUNK)
            skip = count - step if backwards else 0
            self._cells[target + skip : target + skip + step] = source._cells[start + skip : start + skip + step]
            count -= step
            if not backwards:
                start, target = start + step, target + step
            if count:
                self._store._check_interrupt()


def _refusal(store: Store, added: int, size: int) -> tuple[str, str] | None:
    """Which attribute of a store forbids so many more elements, in a table that would have ``size``, and what it
    allows.
    """
    if store._taking:
        store._count_anew()
    used = store._table_elements
    if used + added > store._max_table_elements:
        in_use = f", of which {used} are in use" if used else ""
        return "max_table_elements", f"{store._max_table_elements}{in_use}"
    each = store._max_table_elements_each
    if each is not None and size > each:
        return "max_table_elements_each", f"{each}"
    if store._no_memory(8 * added):
        return "max_memory", f"{store._max_memory} bytes, of which {store._memory_in_use()} are in use"
    return None


def _elements(count: int) -> str:
    from ..counting import counted

    return counted(count, "element")


if not TYPE_CHECKING:
    # What is missing is said by ``wrong``; see vibewasm.arguments.
    Table.__init__.__defaults__ = (..., ..., None)


def _index(key: object) -> int:
    """An index that is no plain int, as NumPy's ints."""
    if not hasattr(type(key), "__index__"):
        from ..arguments import shown

        raise TypeError(f"a table is indexed by ints, not by {shown(key)}")
    from _operator import index

    return index(key)  # type: ignore[arg-type]  # looked at above
