"""Executable memory: written at one address, executed at another, never both at the same (W^X)."""

from __future__ import annotations

import _thread

from . import faults, system, unmap_all
from .ffi import Note, c_char, settle, untrack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

#: Size of the first arena where nothing is known of the amount of code.
DEFAULT_HINT = 1 << 16
#: Arenas do not become larger than this unless one piece of code is.
_LARGEST = 1 << 26
#: Bytes at the end of an arena that stay empty: the fault handler reads a few bytes after an instruction.
_TAIL = 16
#: What has to be done before written code is run: ``f(address written to, address executed from, size)``, or nothing;
#: see :mod:`.instruction_cache`.
synchronize: list[Callable[[int, int, int], None]] = []


#: What is known of arenas whose owners have gone, and which may not be unmapped yet.
_gone: list[Note] = []


def _give_back(
    note: Note,
    unmap_all: Callable[[list[int], int], None] = unmap_all,
    unregister: Callable[[int, int], None] = faults.unregister_code,
) -> None:
    """Unmap what a note says. What that calls is bound here, since it may be a finaliser's work when modules have been
    taken down.
    """
    addresses, size = note.addresses, note.size
    if len(addresses) == 2:
        # The second is where it is executed.
        unregister(addresses[1], addresses[1] + size)
    unmap_all(addresses, size)


class _Owner:
    """The mappings of code, which go when this object goes: when no finaliser can call the code any more
    (:data:`.ffi.untrack`).
    """

    __slots__ = ("__weakref__", "note")

    note: Note

    def __init__(self, size: int) -> None:
        note = Note(self, _gone.append)
        note.addresses, note.size = [], size
        self.note = note
        untrack(self)

    def __del__(self, give_back: Callable[[Note], None] = _give_back) -> None:
        if not hasattr(self, "note"):
            # An exception of a signal's handler has ended the making of it.
            return
        give_back(self.note)
        # Nothing is left undone, so the list need not have it.
        del self.note


class _Arena:
    __slots__ = ("end", "executable", "owner", "process", "size", "used", "view", "writable")

    def __init__(self, size: int, process: int, anonymous: bool, populate: bool) -> None:
        self.size = size
        self.process = process
        self.owner = _Owner(size)
        map_code = system.map_anonymous_code if anonymous else system.map_code
        self.writable, self.executable = map_code(size, populate, self.owner.note.addresses)
        self.end = size - _TAIL
        self.used = 0
        self.view = memoryview((c_char * size).from_address(self.writable)).cast("B")

    def stay(self) -> None:
        """Have it stay when the object goes."""
        self.owner.note.addresses = []


class CodeMemory:
    """Memory for machine code, which grows by further arenas; code never moves.

    Args:
        hint: expected amount of code in bytes.
        traps: whether faults in this code are traps of wasm code; not so for stubs.
        anonymous: take memory that belongs to no file, for perf.
        permanent: never give it back. Stubs may be running, and someone may know their addresses, as long as the
            process exists, whatever becomes of the interpreter that made them.
        failure: the exception to raise where executable memory cannot be had.

    Raises:
        OSError: executable memory cannot be had (or another exception, see ``failure``); the message says what the
            system forbids.
    """

    __slots__ = (
        "_anonymous",
        "_arena",
        "_arenas",
        "_lock",
        "_next_size",
        "_permanent",
        "_process",
        "_traps",
        "failure",
    )

    def __init__(
        self,
        hint: int = DEFAULT_HINT,
        traps: bool = True,
        anonymous: bool = False,
        permanent: bool = False,
        failure: type[Exception] = OSError,
    ) -> None:
        self._permanent = permanent
        self.failure = failure
        self._anonymous = anonymous
        self._arenas: list[_Arena] = []
        self._traps = traps
        self._next_size = hint
        self._process = system.process_id()
        self._lock = _thread.RLock()
        self._arena: _Arena | None = None

    def publish(self, code: bytes | bytearray | memoryview) -> int:
        """Make code executable; may be called in several threads at once.

        Returns:
            its address, a multiple of 16. Only then can anyone know it, so nothing half-written is ever visible.

        Raises:
            OSError: there is no room, or executable memory is forbidden (or another exception, see ``failure``).
        """
        if system.process_id() != self._process:
            # In a forked child: the parent goes on writing to the arenas that the two share, so the child must not.
            # Nothing is done in the parent: of a shared arena a child only uses what was published before the fork. The
            # parent's lock may have been held by a thread that does not exist here.
            self._lock = _thread.RLock()
            self._process = system.process_id()
        with self._lock:
            arena = self._arena
            size = len(code)
            while arena is None or arena.used + size > arena.end or arena.process != self._process:
                arena = self._new_arena(size)
            # The place is taken before it is written: a signal handler or a finaliser may publish in between.
            start = arena.used
            end = start + size
            arena.used = (end + 15) & -16
            arena.view[start:end] = code
            if synchronize:
                synchronize[0](arena.writable + start, arena.executable + start, size)
            return arena.executable + start

    def _new_arena(self, least: int) -> _Arena:
        if _gone:
            # What finalisers have left undone.
            settle(_gone, _give_back)
        page = system.PAGE_SIZE
        size = (max(self._next_size, least + _TAIL) + page - 1) // page * page
        # What is about to be filled had better be there: a fault for each page costs more than writing it.
        try:
            arena = _Arena(size, self._process, self._anonymous, least > size >> 1)
        except OSError as error:
            if error.errno is None:
                raise  # not the system's: a signal's handler, with a TimeoutError, say
            raise self.failure(error.strerror) from None
        if self._permanent:
            arena.stay()
        self._arenas.append(arena)
        if self._traps:
            faults.register_code(arena.executable, arena.executable + size)
        self._next_size = min(2 * size, _LARGEST)
        self._arena = arena
        return arena

    @property
    def used(self) -> int:
        """Bytes that code has taken, up to where more can begin."""
        return sum([arena.used for arena in self._arenas])

    def ranges(self) -> list[tuple[int, int]]:
        """Address and size of each stretch of memory that code is in or will be."""
        return [(arena.executable, arena.size) for arena in self._arenas]

    def read(self, address: int, size: int) -> bytes:
        """What was published, from an address on."""
        for arena in self._arenas:
            start = address - arena.executable
            if 0 <= start and start + size <= arena.used:
                return bytes(arena.view[start : start + size])
        raise ValueError(f"there is no code at {address:#x}")

    def contains(self, address: int) -> bool:
        """Whether ``address`` lies in this memory."""
        return any(arena.executable <= address < arena.executable + arena.size for arena in self._arenas)

    def close(self) -> None:
        """Give the memory back. None of its code may be running, or be called later."""
        self._arena = None
        self._arenas.clear()
