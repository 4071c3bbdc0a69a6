"""Reservations of address space for guarded linear memories, and the pool that they go back to.

Mapping eight gigabytes, making the rest of them inaccessible, and having the kernel take all that down again takes
longer than everything else that a small instance needs, and so do the faults by which the kernel hands out zeroed pages
one by one. So some reservations that nobody uses are kept, zeroed as soon as they are given back: nothing of what was
in a memory is left where the next one is made.
"""

from __future__ import annotations

from sys import is_finalizing

from ..abi import PAGE_SIZE
from . import faults, system, unmap_all
from .ffi import Array, Note, c_char, settle, untrack

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

    What finalisers need is bound here with the first one: they may run when modules have been taken down. Each of them
    may be ended at any point, by what a signal's handler raises; what it leaves undone is done by who takes a
    reservation next.
    """

    __slots__ = ("_forget", "_free", "_has_limit", "_settle", "_unmap_all", "_zero", "accessible", "append", "extend")

    def __init__(self) -> None:
        #: Of reservations that nobody uses, most of which are zero. Some may be unmapped.
        self._free: list[Note] = []
        self.append, self.extend = self._free.append, self._free.extend
        #: By address, how many bytes from there on can be accessed: of those that are used, and of those that are not.
        #: One of which that is not known is not used again.
        self.accessible: dict[int, int] = {}

    def take(self, taken: list[Note]) -> list[int]:
        """The address of a reservation that is zero, in a list.

        Args:
            taken: gets what goes back to the pool if nobody comes to own it (:meth:`append`).

        Raises:
            OSError: there is no room for one.
        """
        while True:
            try:
                # One step, so that no other thread has it as well, and nothing comes in between.
                taken.extend(map(self._free.pop, (-1,)))
            except IndexError:
                return self._new()
            addresses = taken[0].addresses
            if self._clean(taken[0]):
                return addresses
            self.unmap(addresses)
            taken.clear()

    def _new(self) -> list[int]:
        addresses: list[int] = []
        self._settle = settle
        self._zero = system.zero
        self._unmap_all = system.unmap_all
        self._forget = faults.unregister_reservation
        self._has_limit = system.address_space_has_limit
        try:
            system.reserve(SIZE, addresses)
            address = addresses[0]
            self.accessible[address] = 0
            faults.register_reservation(address, address + SIZE)
        except BaseException:
            self.unmap(addresses)
            raise
        return addresses

    def give_back(self, note: Note) -> bool:
        """Make ready for the next who takes it what nobody uses any more, or unmap it, which it returns.

        Where the address space has a limit, others may want what is kept here.
        """
        if is_finalizing():
            return False
        if self._has_limit():
            self.drain()
        elif len(self._free) < MOST_KEPT and self._clean(note):
            return False
        self.unmap(note.addresses)
        return True

    def _clean(self, note: Note) -> bool:
        """Zero what nobody uses any more, unless it is; whether it may be used again."""
        if not note.addresses:
            return False
        address = note.addresses[0]
        size = self.accessible.get(address)
        if size is None:
            # Who was about to unmap it, or to change how much can be accessed, was interrupted.
            return False
        if not note.clean:
            try:
                self._zero(address, size, size <= MOST_ZEROED)
            except OSError as error:
                if error.errno is None:
                    raise  # not the system's: a signal's handler, with a TimeoutError, say
                return False
            note.clean = True
        return True

    def unmap(self, addresses: list[int]) -> None:
        """Unmap a reservation, whose address is taken off the list in the same step."""
        if addresses:
            address = addresses[0]
            self.accessible.pop(address, None)
            # Unregistered before it goes: whoever gets the addresses next registers them anew.
            self._forget(address, address + SIZE)
            self._unmap_all(addresses, SIZE)

    def drain(self) -> None:
        """Unmap what is kept."""
        if self._free:
            self._settle(self._free, self._unmap_noted)

    def _unmap_noted(self, note: Note) -> None:
        self.unmap(note.addresses)

    def __del__(self) -> None:
        # At the end of a process the system does this faster.
        if not is_finalizing():
            self.drain()


_pool = _Pool()


class Reservation(Array):  # type: ignore[type-arg]  # what a C type is made of says it
    """The bytes of a reservation. Views keep it alive; when the last has gone it goes back to the pool."""

    __slots__ = ("__weakref__", "note")

    _type_ = c_char
    _length_ = SIZE

    note: Note

    def __del__(self, give_back: Callable[[Note], bool] = _pool.give_back) -> None:
        try:
            note = self.note
        except AttributeError:
            # An exception of a signal's handler has ended the making of it.
            return
        if give_back(note):
            # The pool need not have it.
            del note, self.note


def reserve(size: int) -> Reservation:
    """A reservation that is zero, of which the first ``size`` bytes can be accessed.

    Raises:
        OSError: there is no room for it.
    """
    taken: list[Note] = []
    addresses: list[int] = []
    reservation = note = None
    try:
        try:
            addresses = _pool.take(taken)
        except OSError as error:
            if error.errno is None:
                raise  # not the system's: a signal's handler, with a TimeoutError, say
            # What nobody uses any more may be waiting for the collector, which counts objects, not address space.
            import gc

            gc.collect()
            addresses = _pool.take(taken)
        address = addresses[0]
        reservation = Reservation.from_address(address)
        untrack(reservation)
        note = Note(reservation, _pool.append)
        note.addresses = addresses
        note.clean = False
        reservation.note = note
        make_accessible(address, size)
        return reservation
    except BaseException:
        if not hasattr(reservation, "note"):
            # Before what it refers to, so that nobody gets it.
            note = None
            if taken:
                _pool.extend(taken)
            else:
                _pool.unmap(addresses)
        raise


class Unguarded(Array):  # type: ignore[type-arg]  # what a C type is made of says it
    """The bytes of a memory whose bounds code checks: as many as its note says, and not what the type says. Views keep
    it alive; when the last has gone it is unmapped.
    """

    __slots__ = ("__weakref__", "note")

    _type_ = c_char
    _length_ = SIZE

    note: Note

    def __del__(self, unmap_all: Callable[[list[int], int], None] = unmap_all) -> None:
        if hasattr(self, "note"):
            unmap_all(self.note.addresses, self.note.size)
            # Nothing is left undone, so the list need not have it.
            del self.note


#: What finalisers of such have left undone.
_gone: list[Note] = []


def reserve_unguarded(size: int) -> Unguarded:
    """So many bytes of address space, none of which can be accessed yet, and which take no memory.

    They are not mapped as writable: what could be written to counts where the system keeps account of memory that is
    promised (vm.overcommit_memory=2, RLIMIT_DATA).

    Raises:
        OSError: there is no room for it.
    """
    settle(_gone, lambda note: system.unmap_all(note.addresses, note.size))
    addresses: list[int] = []
    reservation = note = None
    try:
        system.reserve(size, addresses)
        reservation = Unguarded.from_address(addresses[0])
        untrack(reservation)
        note = Note(reservation, _gone.append)
        note.addresses, note.size = addresses, size
        reservation.note = note
        return reservation
    except BaseException:
        if not hasattr(reservation, "note"):
            # Before what it refers to, so that nobody gets it.
            note = None
            system.unmap_all(addresses, size)
        raise


def make_accessible(address: int, size: int) -> None:
    """Have exactly the first ``size`` bytes of a reservation be accessible.

    Raises:
        OSError: there is no room for so many.
    """
    accessible = _pool.accessible
    before = accessible.get(address)
    if before == size:
        return
    # While it changes, and where a signal's handler ends the change, nobody knows.
    accessible.pop(address, None)
    try:
        if before is None:
            system.forbid(address + size, SIZE - size)
            system.allow(address, size)
        elif size > before:
            system.allow(address + before, size - before)
        else:
            system.forbid(address + size, before - size)
    except OSError as error:
        if error.errno is not None and before is not None:
            accessible[address] = before
        raise
    accessible[address] = size
