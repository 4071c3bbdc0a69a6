"""Reservations of address space for guarded linear memories, and the pool that they go back to.

Mapping eight gigabytes, making the rest of them inaccessible, and having the kernel take all that down again takes
longer than everything else that a small instance needs, and so do the faults by which the kernel hands out zeroed pages
one by one. So some reservations that nobody uses are kept, zeroed as soon as they are given back: nothing of what was
in a memory is left where the next one is made.
"""

from __future__ import annotations

from sys import is_finalizing

from ..abi import PAGE_SIZE
from . import faults, system
from .ffi import Array, addressof, c_char, untrack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

#: A 32-bit index plus a 32-bit offset plus the 16 bytes of the largest access stay below this.
SIZE = (8 << 30) + PAGE_SIZE
#: So many reservations are kept. Stores wait for the collector, which finds some tens of them at a time.
MOST_KEPT = 48
#: A memory of at most so many bytes is zeroed in place, and keeps its pages; the pages of a larger one are given back.
MOST_ZEROED = 1 << 17


class _Pool:
    """The reservations of this interpreter.

    What finalisers need is bound here with the first one: they may run when modules have been taken down.
    """

    __slots__ = ("_forget", "_free", "_has_limit", "_unmap", "_zero", "accessible")

    def __init__(self) -> None:
        #: Addresses of reservations that nobody uses and that are zero.
        self._free: list[int] = []
        #: By address, how many bytes from there on can be accessed: of those that are used, and of those that are not.
        self.accessible: dict[int, int] = {}

    def take(self) -> int:
        """The address of a reservation that is zero.

        Raises:
            OSError: there is no room for one.
        """
        try:
            return self._free.pop()
        except IndexError:
            address = system.reserve(SIZE)
            self._zero = system.zero
            self._unmap = system.unmap
            self._forget = faults.unregister_reservation
            self._has_limit = system.address_space_has_limit
            self.accessible[address] = 0
            faults.register_reservation(address, address + SIZE)
            return address

    def give_back(self, address: int) -> None:
        """Keep a reservation that nobody uses any more, or unmap it.

        Where the address space has a limit, others may want what is kept here.
        """
        if is_finalizing():
            return
        if self._has_limit():
            self.drain()
        elif len(self._free) < MOST_KEPT:
            try:
                size = self.accessible[address]
                self._zero(address, size, size <= MOST_ZEROED)
            except OSError:
                pass
            else:
                self._free.append(address)
                return
        self.unmap(address)

    def unmap(self, address: int) -> None:
        """Unmap a reservation."""
        del self.accessible[address]
        # Unregistered before it goes: whoever gets the addresses next registers them anew.
        self._forget(address, address + SIZE)
        self._unmap(address, SIZE)

    def drain(self) -> None:
        """Unmap what is kept."""
        free = self._free
        while free:
            try:
                address = free.pop()
            except IndexError:
                return
            self.unmap(address)

    def __del__(self) -> None:
        # At the end of a process the system does this faster.
        if not is_finalizing():
            self.drain()


_pool = _Pool()


class Reservation(Array):  # type: ignore[type-arg]  # what a C type is made of says it
    """The bytes of a reservation. Views keep it alive; when the last has gone it goes back to the pool."""

    __slots__ = ("__weakref__",)

    _type_ = c_char
    _length_ = SIZE

    def __del__(self, give_back: Callable[[int], None] = _pool.give_back) -> None:
        give_back(addressof(self))


def reserve(size: int) -> Reservation:
    """A reservation that is zero, of which the first ``size`` bytes can be accessed.

    Raises:
        OSError: there is no room for it.
    """
    try:
        address = _pool.take()
    except OSError:
        # What nobody uses any more may be waiting for the collector, which counts objects, not address space.
        import gc

        gc.collect()
        address = _pool.take()
    try:
        make_accessible(address, size)
    except OSError:
        _pool.unmap(address)
        raise
    reservation = Reservation.from_address(address)
    untrack(reservation)
    return reservation


def make_accessible(address: int, size: int) -> None:
    """Have exactly the first ``size`` bytes of a reservation be accessible.

    Raises:
        OSError: there is no room for so many.
    """
    accessible = _pool.accessible
    before = accessible[address]
    if size > before:
        system.allow(address + before, size - before)
    elif size < before:
        system.forbid(address + size, before - size)
    accessible[address] = size
