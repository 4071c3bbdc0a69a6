"""Linear memories (core specification, "Memory Instances")."""

from __future__ import annotations

from .binary.module_info import MEMORY
from .errors import LinkError, WasmError
from .extern_types import Limits, MemoryType
from .store import Extern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import overload

    from .runtime.linear_memory import LinearMemory
    from .store import Store

PAGE_SIZE = 0x10000
#: Pages of a memory whose addresses have 32 bits, at most.
MAX_PAGES = 0x10000


class Memory(Extern):
    """A linear memory: bytes that wasm code and Python share.

    ``memory[a:b]`` is a copy as ``bytes``, ``memory[a:b] = data`` writes, ``memory[a]`` is one byte. Unlike those of
    a Python sequence, addresses are never counted from the end and slices are never cut to fit: what lies outside
    raises ``IndexError``. :meth:`view` gives all bytes without a copy.

    Args:
        store: the store that the memory belongs to.
        type: its size in pages of 65536 bytes.

    Raises:
        LinkError: the memory is larger than :attr:`Store.max_memory` allows, or there is no room for it.
    """

    __slots__ = ("_bytes", "_limits", "_linear", "_store")

    _kind = MEMORY

    def __init__(self, store: Store, type: MemoryType) -> None:
        limits = type.limits
        wanted = limits.minimum * PAGE_SIZE
        if limits.minimum > MAX_PAGES or (limits.maximum or 0) > MAX_PAGES:
            raise LinkError(f"a memory has at most {MAX_PAGES} pages of {PAGE_SIZE} bytes, not {limits}")
        if store.max_memory is not None and store._memory_used + wanted > store.max_memory:
            raise LinkError(
                f"a memory of {limits.minimum} pages ({wanted} bytes) is more than Store.max_memory allows: "
                f"{store.max_memory} bytes, of which {store._memory_used} are in use"
            )
        self._store = store
        self._limits = limits
        self._linear: LinearMemory = store._new_linear_memory(limits.minimum, limits.maximum)
        store._memory_used += wanted
        store._memories.append(self)
        self._bytes = self._linear.view()

    @property
    def store(self) -> Store:
        """The store that the memory belongs to."""
        return self._store

    @property
    def type(self) -> MemoryType:
        """The memory's type, whose minimum is the present size."""
        limits = self._limits
        return MemoryType(Limits(self.pages, limits.maximum, limits.shared, limits.is64))

    @property
    def pages(self) -> int:
        """The present size in pages of 65536 bytes."""
        return self._linear.size // PAGE_SIZE

    @property
    def size(self) -> int:
        """The present size in bytes."""
        return self._linear.size

    def __len__(self) -> int:
        return self._linear.size

    def __repr__(self) -> str:
        return f"<vibewasm.Memory of {self.pages} pages>"

    def view(self) -> memoryview:
        """All bytes of the memory at its present size: a writable view, not a copy (``numpy.frombuffer`` takes it).

        The memory never moves, so the view stays good for the bytes that it covers when the memory grows. While a view
        is in use the store cannot be closed.
        """
        return self._linear.view()

    def grow(self, delta: int) -> int:
        """Add ``delta`` pages of zeros and return the former size in pages (specification, "Growing memories").

        Raises:
            ValueError: ``delta`` is negative.
            WasmError: the memory cannot become as large; the message says what forbids it.
        """
        if delta < 0:
            raise ValueError(f"a memory cannot shrink (grow by {delta})")
        old, why = self._grow(delta)
        if old < 0:
            raise WasmError(f"memory of {self.pages} pages cannot grow by {delta}: {why}")
        return old

    def _grow(self, delta: int) -> tuple[int, str]:
        """The former size in pages, or -1 and the reason."""
        store = self._store
        pages = self.pages + delta
        if pages > MAX_PAGES:
            return -1, f"a memory has at most {MAX_PAGES} pages"
        maximum = self._limits.maximum
        if maximum is not None and pages > maximum:
            return -1, f"its type allows {maximum} pages"
        added = delta * PAGE_SIZE
        if store.max_memory is not None and store._memory_used + added > store.max_memory:
            return -1, f"Store.max_memory is {store.max_memory} bytes, of which {store._memory_used} are in use"
        old = self._linear.grow(delta)
        if old < 0:
            return -1, "the system has no more memory to give"
        store._memory_used += added
        return old, ""

    def read(self, offset: int, size: int) -> bytes:
        """``size`` bytes from ``offset`` on. Raises ``IndexError`` where they lie outside the memory."""
        if size < 0:
            raise ValueError(f"cannot read {size} bytes")
        return self._view_to(offset, offset + size)[offset : offset + size].tobytes()

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Write ``data`` from ``offset`` on. Raises ``IndexError`` where it does not fit in the memory."""
        source = memoryview(data).cast("B")
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
        return self._view_to(key, key + 1)[key]

    def __setitem__(self, key: int | slice, value: bytes | bytearray | memoryview | int) -> None:
        if not isinstance(key, slice):
            if not isinstance(value, int):
                raise TypeError(f"memory[{key}] takes an int from 0 to 255, not {type(value).__name__}")
            self._view_to(key, key + 1)[key] = value
            return
        if isinstance(value, int):
            raise TypeError("a slice of a memory takes bytes, not an int")
        start, stop = self._range(key)
        source = memoryview(value).cast("B")
        if len(source) != stop - start:
            raise ValueError(f"memory[{start}:{stop}] has {stop - start} bytes, the data has {len(source)}")
        self._view_to(start, stop)[start:stop] = source

    def _range(self, key: slice) -> tuple[int, int]:
        if key.step not in (None, 1):
            raise ValueError("a slice of a memory has step 1; memory.view() takes any")
        start = 0 if key.start is None else key.start
        return start, max(start, self.size if key.stop is None else key.stop)

    def _view_to(self, start: int, end: int) -> memoryview:
        """The bytes, after a check that those from ``start`` to ``end`` are among them."""
        view = self._bytes
        if end > len(view):
            # The memory may have grown since the view was made.
            view = self._current()
        if start < 0 or end > len(view):
            where = str(start) if end == start + 1 else f"{start} to {end}"
            advice = f" (as an unsigned address, {start} is {start & 0xFFFF_FFFF})" if start < 0 else ""
            raise IndexError(f"{where} is outside the memory of {len(view)} bytes{advice}")
        return view

    def _current(self) -> memoryview:
        """All bytes, as a view that is made anew only when the memory has grown. Nobody may release it."""
        view = self._bytes
        if len(view) != self._linear.size:
            view = self._bytes = self._linear.view()
        return view

    def _close(self) -> None:
        """Give the memory back, or raise ``BufferError`` and leave it as it is. No code can run any more."""
        self._bytes.release()
        self._bytes = memoryview(bytearray())
        try:
            self._linear.close()
        except BufferError:
            self._bytes = self._linear.view()
            raise
