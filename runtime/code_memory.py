"""Executable memory: written at one address, executed at another, never both at the same (W^X)."""

from __future__ import annotations

import _thread

from . import faults, system
from .ffi import c_char, untrack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: Size of the first arena where nothing is known of the amount of code.
DEFAULT_HINT = 1 << 16
#: Arenas do not become larger than this unless one piece of code is.
_LARGEST = 1 << 26
#: Bytes at the end of an arena that stay empty: the fault handler reads a few bytes after an instruction.
_TAIL = 16
#: What has to be done before written code is run: ``f(address written to, address executed from, size)``, or nothing;
#: see :mod:`.instruction_cache`.
synchronize: list[Callable[[int, int, int], None]] = []


#: By the address where code is executed: where it is written, the size, what unmaps either, and what says that faults
#: there are no traps any more. A finaliser may run when modules have been taken down.
_mapped: dict[int, tuple[int, int, Callable[[int, int], None], Callable[[int, int], None]]] = {}


class _Owner(int):
    """The address of a mapping of code, which goes when this object goes: when no finaliser can call the code any more
    (:data:`.ffi.untrack`).
    """

    __slots__ = ()

    def __del__(self, mapped: dict[int, Any] = _mapped) -> None:
        executable = self + 0
        writable, size, unmap, unregister = mapped.pop(executable)
        unregister(executable, executable + size)
        unmap(executable, size)
        unmap(writable, size)


class _Arena:
    __slots__ = ("end", "executable", "owner", "process", "size", "used", "view", "writable")

    #: Nobody, where it stays for ever.
    owner: _Owner | None

    def __init__(self, size: int, process: int, anonymous: bool, populate: bool) -> None:
        self.size = size
        self.process = process
        map_code = system.map_anonymous_code if anonymous else system.map_code
        self.writable, self.executable = map_code(size, populate)
        self.end = size - _TAIL
        self.used = 0
        self.view = memoryview((c_char * size).from_address(self.writable)).cast("B")
        self.owner = None

    def own(self) -> None:
        """Have it given back when the object goes."""
        _mapped[self.executable] = (self.writable, self.size, system.unmap, faults.unregister_code)
        self.owner = _Owner(self.executable)
        untrack(self.owner)


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
        page = system.PAGE_SIZE
        size = (max(self._next_size, least + _TAIL) + page - 1) // page * page
        # What is about to be filled had better be there: a fault for each page costs more than writing it.
        try:
            arena = _Arena(size, self._process, self._anonymous, least > size >> 1)
        except OSError as error:
            raise self.failure(str(error)) from None
        if not self._permanent:
            arena.own()
        self._arenas.append(arena)
        if self._traps:
            faults.register_code(arena.executable, arena.executable + size)
        self._next_size = min(2 * size, _LARGEST)
        self._arena = arena
        return arena

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
