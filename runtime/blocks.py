"""Small zeroed memory that machine code reads: contexts, records, descriptors, table cells."""

from __future__ import annotations

from . import system

TYPE_CHECKING = False
if TYPE_CHECKING:
    import mmap

#: From this size on memory comes from the system, zero and untouched, rather than from Python's allocator.
_LARGE = 1 << 16


class Block:
    """``size`` zeroed bytes that never move, at an address that is a multiple of 16.

    The memory lives as long as the object or one of its views.

    Args:
        size: bytes; rounded up to a multiple of 16.

    Attributes:
        address: of the first byte.
        size: in bytes.
        cells: all of it, as a writable view of unsigned 64-bit cells.

    Raises:
        MemoryError: there is no room for it.
    """

    __slots__ = ("address", "cells", "size")

    def __init__(self, size: int) -> None:
        self.size = size = (size + 15) & -16 or 16
        owner: bytearray | mmap.mmap
        if size < _LARGE:
            owner = bytearray(size + 16)
        else:
            try:
                owner = system.anonymous(size)
            except (OSError, OverflowError, ValueError) as error:
                raise MemoryError(f"no room for {size} bytes: {error}") from None
        # Taking a view first pins the buffer, so its address stays.
        whole = memoryview(owner)
        address = system.address_of(owner)
        skip = -address & 15
        self.address = address + skip
        self.cells = whole[skip : skip + size].cast("Q")

    @property
    def bytes(self) -> memoryview:
        """All of it, as a writable view of bytes."""
        return self.cells.cast("B")
