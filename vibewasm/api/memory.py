"""Linear memories (core specification, "Memory Instances")."""

from __future__ import annotations

from _weakref import ref

from ..abi import MAX_PAGES, PAGE_SIZE
from ..binary.module_info import MEMORY
from ..errors import NO_MORE_MEMORY, LinkError, WasmError
from ..extern_types import Limits, MemoryType
from ..runtime.linear_memory import LinearMemory
from .extern import Extern
from .store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, overload

    from typing_extensions import Buffer


class Memory(Extern):
    """A linear memory: bytes that wasm code and Python share.

    ``memory[a:b]`` is a copy as ``bytes``, ``memory[a:b] = data`` writes, ``memory[a]`` is one byte. Unlike those of
    a Python sequence, addresses are never counted from the end and slices are never cut to fit: what lies outside
    raises ``IndexError``. :meth:`view` gives bytes without a copy, and so does ``numpy.asarray(memory)``. From Python
    3.12 on a memory is a buffer itself: ``memoryview(memory)``, ``struct.unpack_from("<I", memory, 8)``.

    Args:
        store: the store that the memory belongs to.
        type: its size in pages of 65536 bytes.

    Raises:
        TypeError: an argument is of another type.
        LinkError: the memory is larger than :attr:`Store.max_memory` or :attr:`Store.max_memory_each` allows, or there
            is no room for it.
        WasmError: the type takes a proposal that is not built; or the store is closed, or runs in another thread.
    """

    __slots__ = ("_bytes", "_limits", "_linear", "_outgrown", "_store")

    _kind = MEMORY

    def __init__(self, store: Store, type: MemoryType) -> None:
        if not isinstance(store, Store):
            from ..arguments import wrong

            raise wrong("Memory", "store", "a Store", store)
        if not isinstance(type, MemoryType):
            from ..arguments import wrong

            raise wrong("Memory", "type", "a MemoryType", type)
        store._check_usable()
        limits = type.limits
        check_proposals("memory", limits)
        wanted = limits.minimum * PAGE_SIZE
        if limits.minimum > MAX_PAGES or (limits.maximum or 0) > MAX_PAGES:
            raise LinkError(f"a memory has at most {MAX_PAGES} pages of {PAGE_SIZE} bytes, not {limits}")
        if store._no_memory(wanted):
            assert store.max_memory is not None
            raise LinkError(
                f"a memory of {_pages(limits.minimum)} ({wanted} bytes) is more than Store.max_memory allows: "
                f"{_bytes(store.max_memory)}, of which {store._memory_in_use()} are in use",
                limit="max_memory",
            )
        if store._max_memory_each is not None and wanted > store._max_memory_each:
            raise LinkError(
                f"a memory of {_pages(limits.minimum)} ({wanted} bytes) is more than Store.max_memory_each allows: "
                f"{_bytes(store._max_memory_each)}",
                limit="max_memory_each",
            )
        given = store._given_limits
        if given is not None and given.max_memories is not None and len(store._memories) >= given.max_memories:
            from ..limits import refused

            raise refused("one more memory", "max_memories", given.max_memories, len(store._memories))
        self._store = store
        self._limits = limits
        store._taking = True
        self._linear: LinearMemory = _new_linear_memory(store, limits.minimum, limits.maximum)
        self._bytes = self._linear.view()
        #: Views that :meth:`_current` has given before the memory grew, while anything refers to them.
        self._outgrown: tuple[ref[memoryview], ...] = ()
        store._memory_used += wanted
        # When all of it is there: another thread may close the store.
        store._memories.append(self)
        store._taking = False

    @property
    def store(self) -> Store:
        """The store that the memory belongs to."""
        return self._store

    @property
    def type(self) -> MemoryType:
        """The memory's type, whose minimum is the present size; the last one, when the store has been closed."""
        limits = self._limits
        if self._store._closed:
            return MemoryType(limits)
        return MemoryType(Limits(self.pages, limits.maximum, limits.shared, limits.is64))

    @property
    def pages(self) -> int:
        """The present size in pages of 65536 bytes."""
        return self.size // PAGE_SIZE

    @property
    def size(self) -> int:
        """The present size in bytes."""
        if self._store._closed:
            self._store._check_open()
        return self._linear.size

    def __len__(self) -> int:
        return self.size

    def __bytes__(self) -> bytes:
        return self[:]

    def __repr__(self) -> str:
        if self._store._closed:
            return "<vibewasm.Memory, closed>"
        return f"<vibewasm.Memory of {_pages(self.pages)}>"

    def view(self, start: int = 0, stop: int | None = None) -> memoryview:
        """The bytes from ``start`` to before ``stop``, or to the present end: a writable view, not a copy, which goes
        where bytes do (``hashlib.sha256(memory.view(8, 40))``, ``numpy.frombuffer(memory.view())``).

        The memory never moves, so the view stays good for the bytes that it covers when the memory grows. While a view
        is in use the memory cannot be given back: closing the store says so, and the view stays good.

        Raises:
            TypeError: an address is no int.
            IndexError: the range is not inside the memory.
        """
        if type(start) is not int:
            start = _address("view", "start", start)
        if stop is not None and type(stop) is not int:
            stop = _address("view", "stop", stop)
        self._store._check_open()
        try:
            view = self._linear.view()
        except ValueError:
            # Another thread has closed the store meanwhile.
            self._store._check_open()
            raise
        if start == 0 and stop is None:
            return view
        size = len(view)
        if stop is None:
            stop = size
        if not 0 <= start <= stop <= size:
            view.release()
            raise self._outside(start, stop, size)
        with view:
            return view[start:stop]

    def __buffer__(self, flags: int) -> memoryview:
        # PEP 688, from Python 3.12 on. It keeps the view, which protects the memory like any other.
        return self.view()

    @property
    def __array_interface__(self) -> dict[str, Any]:
        # What NumPy asks for: without it, it would copy the memory byte by byte as a sequence of ints. It keeps the
        # view, which protects the memory like any other.
        view = self.view()
        return {"version": 3, "shape": (len(view),), "typestr": "|u1", "data": view}

    def grow(self, delta: int) -> int:
        """Add ``delta`` pages of zeros and return the former size in pages (specification, "Growing memories").

        Raises:
            TypeError: ``delta`` is no int.
            ValueError: ``delta`` is negative.
            WasmError: the memory cannot become as large, and the message says what forbids it; or the store is closed,
                or runs in another thread.
        """
        if type(delta) is not int or delta < 0:
            from ..arguments import growth

            delta = growth("Memory", "pages", delta)
        # Two threads that grow it at once would count the same pages twice.
        old, why = self._store._alone(self._grow, delta)
        if old < 0:
            from ..arguments import number

            raise WasmError(f"memory of {_pages(self.pages)} cannot grow by {number(delta)}: {why}")
        return old

    def _grow(self, delta: int) -> tuple[int, str]:
        """The former size in pages, or -1 and the reason."""
        store = self._store
        pages = self.pages + delta
        if pages > MAX_PAGES:
            return -1, f"a memory has at most {MAX_PAGES} pages"
        maximum = self._limits.maximum
        if maximum is not None and pages > maximum:
            return -1, f"its type allows {_pages(maximum)}"
        added = delta * PAGE_SIZE
        if store._no_memory(added):
            assert store.max_memory is not None
            store._refuse("max_memory")
            used = store._memory_in_use()
            return -1, f"Store.max_memory is {_bytes(store.max_memory)}, of which {used} are in use"
        if store._max_memory_each is not None and pages * PAGE_SIZE > store._max_memory_each:
            store._refuse("max_memory_each")
            return -1, f"Store.max_memory_each is {_bytes(store._max_memory_each)}"
        store._taking = True
        old = self._linear.grow(delta)
        if old >= 0:
            store._memory_used += added
        store._taking = False
        return (old, "") if old >= 0 else (-1, NO_MORE_MEMORY)

    def read(self, offset: int, size: int) -> bytes:
        """``size`` bytes from ``offset`` on. Raises ``IndexError`` where they lie outside the memory."""
        if type(offset) is not int:
            offset = _address("read", "offset", offset)
        if type(size) is not int:
            size = _address("read", "size", size)
        if size < 0:
            raise ValueError(f"cannot read {size} bytes")
        return self._view_to(offset, offset + size)[offset : offset + size].tobytes()

    def write(self, offset: int, data: Buffer) -> None:
        """Write the bytes of ``data`` from ``offset`` on. Raises ``IndexError`` where they do not fit in the memory."""
        if type(offset) is not int:
            offset = _address("write", "offset", offset)
        source = _bytes_of("Memory.write: data", data)
        end = offset + len(source)
        self._view_to(offset, end)[offset:end] = source

    if TYPE_CHECKING:

        @overload
        def __getitem__(self, key: int) -> int: ...
        @overload
        def __getitem__(self, key: slice) -> bytes: ...

    def __getitem__(self, key: int | slice) -> bytes | int:
        if isinstance(key, slice):
            start, stop = self._range(key)
            return self._view_to(start, stop)[start:stop].tobytes()
        if type(key) is not int:
            key = _index(key)
        return self._view_to(key, key + 1)[key]

    def __setitem__(self, key: int | slice, value: Buffer | int) -> None:
        if not isinstance(key, slice):
            if type(key) is not int:
                key = _index(key)
            if type(value) is not int:
                value = _byte(key, value)
            view = self._view_to(key, key + 1)
            try:
                view[key] = value
            except ValueError:
                from ..arguments import shown

                raise ValueError(f"memory[{key}] takes an int from 0 to 255, not {shown(value)}") from None
            return
        start, stop = self._range(key)
        source = _bytes_of("a slice of a memory", value)
        if len(source) != stop - start:
            raise ValueError(f"memory[{start}:{stop}] has {_bytes(stop - start)}, the data has {len(source)}")
        self._view_to(start, stop)[start:stop] = source

    def _range(self, key: slice) -> tuple[int, int]:
        start, stop, step = key.start, key.stop, key.step
        if step is not None and step != 1:
            raise ValueError("a slice of a memory has step 1; memory.view() takes any")
        if start is None:
            start = 0
        elif type(start) is not int:
            start = _index(start)
        if stop is None:
            stop = self.size
        elif type(stop) is not int:
            stop = _index(stop)
        if stop < 0:
            # Cut to nothing it would be taken for Python's "so many before the end".
            raise self._outside(stop, stop + 1, self.size)
        return start, max(start, stop)

    def _view_to(self, start: int, end: int) -> memoryview:
        """The bytes, after a check that those from ``start`` to ``end`` are among them."""
        if self._store._closed:
            self._store._check_open()
        view = self._bytes
        try:
            size = len(view)
            if end > size:
                # The memory may have grown since the view was made.
                view = self._current()
                size = len(view)
        except ValueError:
            # Another thread has closed the store meanwhile. After the last look at the view, and until its caller has
            # used it, nothing is called, so that no thread comes in between.
            self._store._check_open()
            raise
        if start < 0 or end > size:
            raise self._outside(start, end, size)
        return view

    def _outside(self, start: int, end: int, size: int) -> IndexError:
        """The error for a range that is not inside the memory, unless the store has been closed."""
        self._store._check_open()
        if max(abs(start), abs(end)) >> 128:
            # Too long to be shown.
            return IndexError(f"an address of more than 128 bits is outside the memory of {size} bytes")
        if start > end:
            return IndexError(f"{start} to {end} is no range: it ends before it begins")
        where = str(start) if end == start + 1 else f"{start} to {end}"
        advice = f" (as an unsigned address, {start} is {start & 0xFFFF_FFFF})" if start < 0 else ""
        return IndexError(f"{where} is outside the memory of {size} bytes{advice}")

    def _current(self) -> memoryview:
        """All bytes, as a view that is made anew only when the memory has grown. Nobody may release it."""
        view = self._bytes
        if len(view) != self._linear.size:
            self._outgrown = (*[old for old in self._outgrown if old() is not None], ref(view))
            view = self._bytes = self._linear.view()
        return view

    def _close(self) -> None:
        """Give the memory back, or raise ``BufferError`` and leave it as it is. No code can run any more."""
        # The size goes with the memory, and its type can still be asked for.
        limits = self._limits
        self._limits = Limits(self._linear.size // PAGE_SIZE, limits.maximum, limits.shared, limits.is64)
        # What keeps one that was outgrown may be no more than the frames of an exception.
        for view in (*[old() for old in self._outgrown], self._bytes):
            if view is not None:
                view.release()
        self._bytes = memoryview(bytearray())
        try:
            self._linear.close()
        except BufferError:
            self._bytes = self._linear.view()
            raise


if not TYPE_CHECKING:
    # What is missing is said by ``wrong``; see vibewasm.arguments.
    Memory.__init__.__defaults__ = (..., ...)


def check_proposals(what: str, limits: Limits) -> None:
    """Refuse limits of proposals that are not built, for a memory or a table that is made in Python.

    Raises:
        WasmError: ``shared`` or ``is64`` is set.
    """
    if limits.shared:
        raise WasmError(f"a shared {what} (shared=True) takes the threads proposal, which is not supported yet")
    if limits.is64:
        raise WasmError(f"a 64-bit {what} (is64=True) takes the memory64 proposal, which is not supported yet")


def _index(key: object) -> int:
    """An address that is no plain int, as NumPy's ints."""
    if isinstance(key, slice) or not hasattr(type(key), "__index__"):
        from ..arguments import shown

        raise TypeError(f"a memory is indexed by ints and slices of ints, not by {shown(key)}")
    from _operator import index

    return index(key)  # type: ignore[arg-type]  # looked at above


def _byte(key: int, value: object) -> int:
    """A value for one byte that is no plain int. Its own methods are called before anything is looked up."""
    if not hasattr(type(value), "__index__"):
        from ..arguments import shown

        raise TypeError(f"memory[{key}] takes an int from 0 to 255, not {shown(value)}")
    from _operator import index

    return index(value)  # type: ignore[arg-type]  # looked at above


def _address(method: str, parameter: str, value: object) -> int:
    from ..arguments import whole

    return whole(f"Memory.{method}", parameter, "a number of bytes", value)


def _bytes_of(where: str, data: object) -> memoryview:
    """A view of bytes-like data as bytes, in the order in which a copy has them."""
    try:
        view = memoryview(data)  # type: ignore[arg-type]  # what is not bytes-like raises TypeError: that is the check
    except TypeError:
        from ..arguments import shown

        advice = ": encode it first" if isinstance(data, str) else ""
        raise TypeError(f"{where} takes bytes or what is like bytes, not {shown(data)}{advice}") from None
    if view.c_contiguous and view.nbytes:
        return view.cast("B")
    # A view with gaps, or of no items, can only be copied.
    return memoryview(view.tobytes())


def _new_linear_memory(store: Store, minimum: int, maximum: int | None) -> LinearMemory:
    """A linear memory of so many pages.

    Raises:
    LinkError: there is no room for it.
    """
    guarded = not store.engine.explicit_bounds
    try:
        return LinearMemory(minimum, maximum, guarded)
    except MemoryError:
        # Stores that nobody uses any more may hold address space until the next collection.
        import gc

        gc.collect()
    try:
        return LinearMemory(minimum, maximum, guarded)
    except MemoryError as error:
        raise LinkError(str(error)) from None


def _pages(count: int) -> str:
    from ..counting import counted

    return counted(count, "page")


def _bytes(count: int) -> str:
    from ..counting import counted

    return counted(count, "byte")
