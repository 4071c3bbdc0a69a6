"""The storage of linear memories: reserved address space that never moves, of which the used part can be accessed."""

from __future__ import annotations

from _weakref import ref

from ..abi import MAX_PAGES, MEMORY_BASE, MEMORY_DESCRIPTOR_SIZE, MEMORY_RESERVED, MEMORY_SIZE, PAGE_SIZE
from . import reservations, system
from .blocks import Block
from .ffi import addressof

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .reservations import Reservation, Unguarded

GUARDED_RESERVATION = reservations.SIZE

#: The system's number of the error that there is no room.
_ENOMEM = 12

_BASE, _SIZE, _RESERVED = MEMORY_BASE // 8, MEMORY_SIZE // 8, MEMORY_RESERVED // 8


class LinearMemory:
    """A run of 64 KiB pages of bytes, zero at first, at a fixed address.

    Args:
        minimum: size in pages.
        maximum: pages to which it may grow, or None: as far as a 32-bit memory can.
        guarded: reserve so much address space that an access out of bounds by a 32-bit index and a 32-bit offset is a
            fault. Otherwise only what growing can need is reserved, or less where that cannot be had, and code must
            check bounds.
        limit: bytes that the host allows, or None.

    Attributes:
        base: address of the first byte.
        descriptor: address of the descriptor that machine code reads: base, size, reserved bytes.
        reserved: bytes of address space.
        guarded: as given.

    Raises:
        MemoryError: the memory is larger than the host allows, or there is no room for it.
    """

    __slots__ = ("_cells", "_most", "_reservation", "base", "descriptor", "guarded", "reserved")

    def __init__(
        self, minimum: int, maximum: int | None = None, guarded: bool = True, limit: int | None = None
    ) -> None:
        most = MAX_PAGES if maximum is None else min(maximum, MAX_PAGES)
        size = minimum * PAGE_SIZE
        if minimum > most:
            raise MemoryError(f"a memory of {minimum} pages is more than the {most} pages that it may have at most")
        if limit is not None:
            if size > limit:
                raise MemoryError(
                    f"a memory of {minimum} pages needs {size} bytes, and the host allows {limit}; allow more, or use "
                    "a module that asks for less"
                )
            most = min(most, limit // PAGE_SIZE)
        self._most = most * PAGE_SIZE
        self.guarded = guarded
        # What is allowed now but not mapped for want of address space stays out of reach, so growing fails then.
        self._reservation: Reservation | Unguarded | None  # nothing once it is closed
        if guarded:
            self._reservation = reservation = _reserve_guarded(size)
            self.reserved = GUARDED_RESERVATION
            self.base = base = addressof(reservation)
        else:
            self._reservation = unguarded = _reserve(size, self._most)
            self.reserved = unguarded.note.size
            self.base = base = addressof(unguarded)
        block = Block(MEMORY_DESCRIPTOR_SIZE)
        self._cells = block.cells
        self.descriptor = block.address
        self._cells[_BASE] = base
        self._cells[_SIZE] = size
        self._cells[_RESERVED] = self.reserved

    @property
    def size(self) -> int:
        """Present size in bytes."""
        size: int = self._cells[_SIZE]
        return size

    def grow(self, delta: int) -> int:
        """Add ``delta`` pages of zeros.

        Returns:
            the former size in pages, or -1 if the memory may not or cannot become so large.
        """
        old = self.size
        new = old + delta * PAGE_SIZE
        if delta < 0 or new > self._most or new > self.reserved or self._reservation is None:
            return -1
        try:
            if self.guarded:
                reservations.make_accessible(self.base, new)
            else:
                system.allow(self.base + old, new - old)
            self._cells[_SIZE] = new
        except OSError as error:
            if error.errno is None:
                self._stay()
                raise  # not the system's: a signal's handler, with a TimeoutError, say
            return -1
        except BaseException:
            self._stay()
            raise
        return old // PAGE_SIZE

    def _stay(self) -> None:
        """After growing was interrupted: see that no more can be accessed than the size says."""
        if self.guarded:
            reservations.make_accessible(self.base, self.size)

    def view(self) -> memoryview:
        """The bytes of the present size, writable, without a copy; it stays good when the memory grows.

        Raises:
            ValueError: the memory is closed.
        """
        reservation = self._reservation
        if reservation is None:
            raise ValueError("this memory is closed")
        return memoryview(reservation).cast("B")[: self.size]

    def close(self) -> None:
        """Give the address space back.

        Raises:
            BufferError: a view is in use.
        """
        reservation = self._reservation
        if reservation is None:
            return
        there = ref(reservation)
        # If no view refers to it, it is gone when this is done.
        self._reservation = reservation = None
        used = there()
        if used is not None:
            self._reservation = used
            raise BufferError("a view of the memory is in use")
        self._cells[_BASE] = self._cells[_SIZE] = self._cells[_RESERVED] = 0


def _advice(error: OSError, where_full: str) -> str:
    """What to do: where there is no room, as given."""
    if error.errno == _ENOMEM:
        return where_full
    return "allow mmap() and mprotect() in the sandbox that this process runs in (its seccomp profile)"


def _reserve_guarded(size: int) -> Reservation:
    try:
        return reservations.reserve(size)
    except OSError as error:
        if error.errno is None:
            raise  # not the system's: a signal's handler, with a TimeoutError, say
        raise MemoryError(
            f"{GUARDED_RESERVATION} bytes of address space cannot be reserved ({error.strerror}): "
            + _advice(
                error,
                "close memories that are not used any more, raise the limit (ulimit -v, vm.overcommit_memory), or have "
                "code check bounds explicitly",
            )
        ) from None


def _reserve(size: int, most: int) -> Unguarded:
    """Reserve ``most`` bytes, or as many as can be had, down to ``size``, and have the first ``size`` be accessible."""
    wanted = most
    while True:
        try:
            # A mapping cannot be empty; one page that stays inaccessible does no harm.
            unguarded = reservations.reserve_unguarded(max(wanted, PAGE_SIZE))
            system.allow(addressof(unguarded), size)
            return unguarded
        except OSError as error:
            if error.errno is None:
                raise  # not the system's: a signal's handler, with a TimeoutError, say
            if wanted <= size:
                raise MemoryError(
                    f"a memory of {size} bytes cannot be had ({error.strerror}): "
                    + _advice(error, "free memory, or raise the limit (ulimit -v, ulimit -d, vm.overcommit_memory)")
                ) from None
            wanted = max(wanted // 2 & -PAGE_SIZE, size)
