"""Faults: which are traps of wasm code, and what becomes of the others.

The handler itself is machine code from the backend, since no Python may run in a signal. It reads the *fault table*, a
block that this module fills: address ranges of code and of reservations, and what handled each signal before. The
handler may read at any moment in any thread, so every write leaves the table valid: a slot of a range is filled first
address first and end last, and emptied in the opposite order; a new chunk of slots is linked in when it is complete.
Nothing that it reads is ever unmapped, and neither is the handler, since nobody knows who has kept its address: where
an interpreter has ended, its handler has nothing in its table and passes everything on.

Whoever installs a handler after ours gets faults first, and would report a trap as a crash. So ours is put on top
again (:meth:`_Signal.ensure`): at once where Python installed it, by functions around those of ``signal`` and
``faulthandler`` (:func:`_wrap_installers`); at the next call, or at the end of a callback, where faulthandler is not as
it was (:func:`notice`), which somebody may have kept the functions of, or another interpreter has turned on, as there
is one faulthandler in a process; else when the next instance is made, and by :mod:`.watcher` while wasm code runs.

That must not make a circle, since the newer handler may call or restore the one that it replaced, which is ours. So the
handler has several entries, the *levels*, each with a "previous" cell of its own: level 1 passes on to the newer
handler, that to level 0, and that to what there was before both. Which levels a handler may lead to is known: those
that were on top when it was seen to have been installed. A level that it cannot lead to is put above it. A lower level
that is on top again (``faulthandler.disable`` restores it) makes the upper ones free, so what comes and goes leaves no
trace. When all levels are taken, they are made to pass on to what the lowest does, and one of them to the newest.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # what signal is made of; it is there from the start
import _thread
from sys import is_finalizing, platform

try:
    from faulthandler import is_enabled as is_enabled
except ImportError:
    # Not every build of Python has it. This is as quick, and says False.
    is_enabled = bool

from .. import hold_over_fork
from ..abi import (
    CHUNK_COUNT,
    CHUNK_NEXT,
    CHUNK_PAIRS,
    FAULT_CODE,
    FAULT_ENTRY_MARK,
    FAULT_ENTRY_PREVIOUS,
    FAULT_ENTRY_SIZE,
    FAULT_LEVEL_SIZE,
    FAULT_LEVEL_TABLE,
    FAULT_LEVELS,
    FAULT_MARK,
    FAULT_RAISE,
    FAULT_RESERVATIONS,
    FAULT_SIGNAL,
    FAULT_TABLE_SIZE,
)
from . import UnsupportedPlatform, system
from .ffi import c_char

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from .code_memory import CodeMemory
    from .os_linux import SignalContext

    HandlerMaker = Callable[[SignalContext], bytes]
    Cells = memoryview[int]

_CHUNK_SLOTS = 63
#: Memory that stays mapped as long as the process is taken from the system by the piece of so many bytes.
_PIECE = 1 << 16

_lock = _thread.RLock()
hold_over_fork(_lock)
#: The rest of the last piece, its address, and how much of it is taken.
_piece: list[tuple[memoryview, int, int]] = []
#: The fault table, once something has been written to it, and its address.
_tables: list[tuple[Cells, int]] = []


def _for_ever(size: int) -> tuple[Cells, int]:
    """Zeroed cells that nobody unmaps, and their address; ``size`` is a multiple of 16. The caller has the lock."""
    if not _piece or _piece[0][2] + size > _PIECE:
        start = system.anonymous_for_ever(_PIECE)
        _piece[:] = [(memoryview((c_char * _PIECE).from_address(start)).cast("B"), start, 0)]
    view, start, used = _piece[0]
    _piece[0] = (view, start, used + size)
    return view[used : used + size].cast("Q"), start + used


def _fault_table() -> tuple[Cells, int]:
    with _lock:
        if not _tables:
            table = _for_ever(FAULT_TABLE_SIZE)
            table[0][FAULT_SIGNAL // 8] = system.function_address("signal")
            table[0][FAULT_RAISE // 8] = system.function_address("raise")
            _tables.append(table)
        return _tables[0]


class _Ranges:
    """Address ranges that the handler looks through.

    Slots are taken from and given back to a list, which is one step for other threads, for signal handlers and for
    finalisers, all of which may come in between anywhere here.
    """

    __slots__ = ("_free", "_head", "_taken")

    def __init__(self, head: int) -> None:
        self._head = head // 8
        self._free: list[tuple[Cells, int]] = []
        self._taken: dict[int, tuple[Cells, int]] = {}

    def add(self, start: int, end: int) -> None:
        while True:
            try:
                slot = self._free.pop()
                break
            except IndexError:
                self._grow()
        cells, index = slot
        self._taken[start] = slot
        cells[index] = start
        cells[index + 1] = end

    def remove(self, start: int) -> None:
        slot = self._taken.get(start)
        if slot is not None:
            cells, index = slot
            cells[index + 1] = 0
            cells[index] = 0
            # One step, so that it is given back once, and in the end, whatever comes in between.
            self._free.extend(map(self._taken.pop, (start,)))

    def _grow(self) -> None:
        head = self._head
        table = _fault_table()[0]
        with _lock:
            cells, address = _for_ever(CHUNK_PAIRS + 16 * _CHUNK_SLOTS)
            cells[CHUNK_COUNT // 8] = _CHUNK_SLOTS
            slots = [(cells, CHUNK_PAIRS // 8 + 2 * index) for index in reversed(range(_CHUNK_SLOTS))]
            # Linking is two steps between which nothing calls, so no signal handler or finaliser comes in between.
            cells[CHUNK_NEXT // 8] = table[head]
            table[head] = address
        self._free += slots


_code = _Ranges(FAULT_CODE)
_reservations = _Ranges(FAULT_RESERVATIONS)


def register_code(start: int, end: int) -> None:
    """Faults in this range of code may be traps."""
    _code.add(start, end)


def unregister_code(start: int, end: int, _remove: Callable[[int], None] = _code.remove) -> None:
    """Faults in this range of code, which :func:`register_code` named, are no traps any more.

    ``_remove`` is bound here because finalisers call this when the interpreter has already cleared this module.
    """
    _remove(start)


def register_reservation(start: int, end: int) -> None:
    """An access by wasm code to this range that fails is out of bounds of a linear memory."""
    _reservations.add(start, end)


def unregister_reservation(start: int, end: int) -> None:
    """Accesses to this range, which :func:`register_reservation` named, are no traps any more."""
    _reservations.remove(start)


class _Handler:
    """The published handler, and the cells that say what its levels pass signals on to."""

    __slots__ = ("base", "cells", "end")

    def __init__(self, make: HandlerMaker, memory: CodeMemory, context: SignalContext) -> None:
        with _lock:
            self.cells, address = _for_ever(FAULT_LEVELS * FAULT_LEVEL_SIZE)
        code = bytearray(make(context))
        for level in range(FAULT_LEVELS):
            start = level * FAULT_LEVEL_SIZE
            self.cells[(start + FAULT_LEVEL_TABLE) // 8] = _fault_table()[1]
            at = level * FAULT_ENTRY_SIZE + FAULT_ENTRY_PREVIOUS
            code[at : at + 8] = (address + start).to_bytes(8, "little")
        self.base = memory.publish(code)
        self.end = self.base + FAULT_LEVELS * FAULT_ENTRY_SIZE


#: Handlers that are no functions of anybody (SIG_DFL and SIG_IGN): they lead nowhere.
_NOBODY = (0, 1)


class _Signal:
    """One signal: its levels, and where each passes it on to."""

    __slots__ = ("_handler", "_led", "_number", "_present", "_usual", "top")

    def __init__(self, number: int, handler: _Handler) -> None:
        self._number = number
        self._handler = handler
        self._present = system.handler_reader(number)
        #: The level that is on top, or was when we last looked; -1 before the first is.
        self.top = -1
        #: By handler, the levels that were on top when it came, as it was seen first and last: it may have kept either
        #: and pass on to it.
        self._led: dict[int, tuple[int, int]] = {}
        #: The level that was on top when faulthandler came last, and the one that was put above it.
        self._usual = (-2, -2)

    def get(self, level: int) -> tuple[int, int]:
        """Handler and flags of what the level passes on to."""
        index = (level * FAULT_LEVEL_SIZE + 16 * self._number) // 8
        cells = self._handler.cells
        return cells[index], cells[index + 1]

    def set(self, level: int, handler: int, flags: int) -> None:
        """Let the level pass on to this handler."""
        index = (level * FAULT_LEVEL_SIZE + 16 * self._number) // 8
        cells = self._handler.cells
        cells[index + 1] = flags
        cells[index] = handler

    def ensure(self) -> None:
        """Have the signal come to us first.

        Raises:
            UnsupportedPlatform: the system forbids to look, or to install a handler.
        """
        # The usual case, which is looked for whenever an instance is made.
        if self._present() == self._handler.base + self.top * FAULT_ENTRY_SIZE:
            return
        current = system.disposition(self._number)
        while True:
            handler = current.handler
            level = self._level_below(handler)
            if level >= 0:
                # If it is not the highest, who was above has been taken away.
                self.top = level
                return
            level = self._level_above(handler)
            self.set(level, handler, current.flags)
            entry = self._handler.base + level * FAULT_ENTRY_SIZE
            replaced = system.set_handler(self._number, entry, system.FAULT_FLAGS)
            self.top = level
            if replaced.handler == handler:
                return
            # Another one has come meanwhile, and is not installed now, so it is asked after us like the first.
            current = replaced
            system.restore_handler(self._number, current)

    def ensure_above_faulthandler(self) -> None:
        """As :meth:`ensure`, just after faulthandler was enabled, in one step if things are as they were last time.

        A trap in another thread before that is a crash to faulthandler, so this has to be quick.
        """
        top = self.top
        before, level = self._usual
        if top == before:
            handler = self.get(level)[0]
            entry = self._handler.base + level * FAULT_ENTRY_SIZE
            replaced = system.set_handler(self._number, entry, system.FAULT_FLAGS)
            if replaced.handler == handler:
                self.top = level
                return
            system.restore_handler(self._number, replaced)
        self.ensure()
        if self.top != top:
            self._usual = (top, self.top)

    def _level_below(self, handler: int) -> int:
        """Our level that this handler is, or passes on to if it is that of vibewasm in another interpreter; or -1."""
        ours = self._handler
        for _ in range(_LONGEST_CHAIN):
            if ours.base <= handler < ours.end:
                return (handler - ours.base) // FAULT_ENTRY_SIZE
            previous = _previous_of(handler)
            if not previous:
                break
            handler = system.read_cell(previous + 16 * self._number)
        return -1

    def _level_above(self, handler: int) -> int:
        """A level that this handler, which has been installed since we were on top, does not lead to."""
        top = self.top
        if top < 0:
            # What was there before us cannot know us.
            return 0
        if handler not in _NOBODY and handler not in _leads_nowhere:
            led = self._led
            if len(led) >= _MOST_KNOWN and handler not in led:
                passed_on = {self.get(level)[0] for level in range(FAULT_LEVELS)}
                for old in [old for old in led if old not in passed_on]:
                    del led[old]
            first = led.get(handler, (top,))[0]
            led[handler] = (first, top)
            self._cut_circles(handler, first)
        reached = self._reach(handler)
        # Where it leads nowhere it has replaced all that was below us, as it would have done without us.
        levels: tuple[int, ...] = (top, *range(FAULT_LEVELS))
        for level in levels:
            if not reached >> level & 1:
                return level
        lowest = self._lowest()
        for level in range(FAULT_LEVELS):
            self.set(level, *lowest)
        # At most the two that it may lead to, and the two of what the lowest passes on to.
        reached = self._reach(handler)
        return next(level for level in range(FAULT_LEVELS) if not reached >> level & 1)

    def _reach(self, handler: int) -> int:
        """The levels that a handler may lead to, as bits."""
        reached = 0
        ours = self._handler
        waiting = [handler]
        seen = set()
        while waiting:
            handler = waiting.pop()
            if handler in seen:
                continue
            seen.add(handler)
            if ours.base <= handler < ours.end:
                level = (handler - ours.base) // FAULT_ENTRY_SIZE
                reached |= 1 << level
                waiting.append(self.get(level)[0])
                continue
            waiting += [ours.base + level * FAULT_ENTRY_SIZE for level in self._led.get(handler, ())]
            previous = _previous_of(handler)
            if previous:
                waiting.append(system.read_cell(previous + 16 * self._number))
        return reached

    def _cut_circles(self, handler: int, first: int) -> None:
        """See that no level that ``handler`` may lead to passes on to it: it has been installed anew."""
        for level in range(FAULT_LEVELS):
            if self.get(level)[0] == handler and self._reach(handler) >> level & 1:
                self.set(level, system.SIG_DFL, 0)
                below = self.get(first)
                if level != first and below[0] != handler and not self._reach(below[0]) >> level & 1:
                    self.set(level, *below)

    def _lowest(self) -> tuple[int, int]:
        """What all that we know of pass on to in the end."""
        level = self.top
        for _ in range(FAULT_LEVELS):
            below = self.get(level)
            led = self._led.get(below[0])
            if led is None:
                return below
            level = led[0]
        return system.SIG_DFL, 0


#: More handlers of vibewasm than this do not stand one above the other: each interpreter that ends takes its own away.
_LONGEST_CHAIN = 64
#: So many handlers are remembered before those are forgotten that nothing passes on to any more.
_MOST_KNOWN = 64
#: Handlers that are known to pass nothing on: CPython's.
_leads_nowhere: set[int] = set()


def _previous_of(handler: int) -> int:
    """Where a handler of vibewasm, in whatever interpreter, has its "previous" cells; 0 if it is none."""
    if handler in _NOBODY or not system.is_mapped(handler, FAULT_ENTRY_SIZE):
        return 0
    if system.read_cell(handler + FAULT_ENTRY_MARK) != int.from_bytes(FAULT_MARK, "little"):
        return 0
    return system.read_cell(handler + FAULT_ENTRY_PREVIOUS)


_handlers: list[_Handler] = []
_signals: list[_Signal] = []


def install(make: HandlerMaker, memory: CodeMemory, contexts: dict[str, tuple[tuple[int, ...], int]]) -> None:
    """Install the handler that the backend makes; does nothing but :func:`ensure_on_top` if that was done before.

    Args:
        make: takes the layout of a signal's context, and returns machine code that begins with one entry per level,
            FAULT_ENTRY_SIZE bytes each, in which the address of the level's cells is missing.
        memory: where to publish it. It must stay mapped as long as the process: someone may keep an entry's address as
            the one to call next.
        contexts: by operating system, as ``sys.platform`` has it, where it keeps the general registers of what was
            interrupted, and the program counter.

    Raises:
        OSError: executable memory cannot be had.
        UnsupportedPlatform: the system forbids to install handlers.
    """
    with _lock:
        if not _handlers:
            handler = _Handler(make, memory, system.SignalContext(*contexts[platform]))
            _signals.extend(_Signal(number, handler) for number in system.FAULT_SIGNALS)
            _handlers.append(handler)
            _guards.append(_Guard(handler))
            _wrap_installers()
    notice()


def ensure_on_top() -> None:
    """See that faults come to us first, even if someone else has installed handlers since; takes about 3 µs.

    Raises:
        UnsupportedPlatform: the system forbids to look, or to install a handler.
    """
    with _lock:
        for signal in _signals:
            signal.ensure()


#: What :func:`is_enabled` said when our handler was on top. Calls and callbacks compare it, which costs no system call,
#: and have :func:`notice` called where it says something else.
seen = [False]


def notice() -> None:
    """As :func:`ensure_on_top`, because faulthandler has been enabled or disabled.

    Raises:
        UnsupportedPlatform: the system forbids to look, or to install a handler.
    """
    now = is_enabled()
    ensure_on_top()
    seen[0] = now


def look_again() -> None:
    """As :func:`ensure_on_top`, from :mod:`.watcher`: does not wait for another thread, and leaves things as they are
    where the system forbids to look.
    """
    lock = _lock
    if lock.acquire(blocking=False):
        try:
            for signal in _signals:
                signal.ensure()
        except UnsupportedPlatform:
            # What could be installed before is forbidden now, to others as well.
            pass
        finally:
            lock.release()


# -- what Python installs ----------------------------------------------------------------------------------------------

#: Whether the thread runs wasm code, so that it must not block fault signals.
_local = _thread._local()
#: Module, name, what was there, and what is there now.
_wrapped: list[tuple[ModuleType, str, Any, Any]] = []


def let_through() -> None:
    """Before the calling thread runs wasm code: see that it blocks no fault signal, now or later.

    A fault whose signal is blocked kills, whoever handles it.

    Raises:
        UnsupportedPlatform: the system forbids it.
    """
    system.unblock(system.FAULT_SIGNALS)
    _local.runs_wasm = True


def _wrap_installers() -> None:
    """Let the functions with which Python installs handlers and sets masks put things right afterwards.

    ``signal.signal`` and the rest of the standard library find them as attributes of their modules at each call.
    """
    try:
        import faulthandler
    except ImportError:
        # Not every build of Python has it.
        pass
    else:
        _wrap(faulthandler, "enable", _after_enabling)
        _wrap(faulthandler, "disable", _after_disabling)
    _wrap(_signal, "signal", _after_signal)
    _wrap(_signal, "pthread_sigmask", _after_mask)


def _wrap(module: ModuleType, name: str, afterwards: Callable[..., None]) -> None:
    original = getattr(module, name)

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        done = False
        try:
            result = original(*args, **kwargs)
            done = True
            return result
        finally:
            try:
                afterwards(done, *args)
            except BaseException:
                # Perhaps Ctrl-C came in between. It comes once, so the second time leaves things as they have to be.
                afterwards(done, *args)
                raise

    for attribute in ("__module__", "__name__", "__qualname__", "__doc__"):
        setattr(wrapper, attribute, getattr(original, attribute))
    wrapper.__wrapped__ = original  # type: ignore[attr-defined]  # inspect.signature() looks for it
    setattr(module, name, wrapper)
    _wrapped.append((module, name, original, wrapper))


def _after_enabling(done: bool, *_: Any) -> None:
    with _lock:
        for signal in _signals:
            signal.ensure_above_faulthandler()
        seen[0] = is_enabled()


def _after_disabling(done: bool, *_: Any) -> None:
    notice()


def _after_signal(done: bool, signal: Any = 0, *_: Any) -> None:
    if done and signal in system.FAULT_SIGNALS:
        with _lock:
            _leads_nowhere.add(system.disposition(signal).handler)
            ensure_on_top()


def _after_mask(done: bool, *_: Any) -> None:
    if hasattr(_local, "runs_wasm"):
        system.unblock(system.FAULT_SIGNALS)


class _Guard:
    """Takes back what this interpreter has put in place, when its modules are taken down.

    Not earlier: wasm code may run in any ``atexit`` function. The handler is taken back only where a subinterpreter
    ends. At the end of the process, threads may still run wasm code, whose traps have to be taken for what they are.
    There, and where another handler is above ours, it stays and passes on what is none. All that :meth:`__del__` needs
    is here, since other modules may be gone.
    """

    __slots__ = ("_at_flags", "_base", "_cells", "_end", "_read", "_sigaction", "_signals", "_there", "_wrapped")

    def __init__(self, handler: _Handler) -> None:
        self._base, self._end, self._cells = handler.base, handler.end, handler.cells
        self._sigaction = system.sigaction
        self._signals = system.FAULT_SIGNALS
        self._at_flags = system.SIGACTION_FLAGS
        self._there = bytearray(system.SIGACTION_SIZE)
        self._read = system.address_of(self._there)
        self._wrapped = _wrapped

    def __del__(
        self,
        entry_size: int = FAULT_ENTRY_SIZE,
        level_size: int = FAULT_LEVEL_SIZE,
        is_finalizing: Callable[[], bool] = is_finalizing,
    ) -> None:
        for module, name, original, wrapper in self._wrapped:
            if getattr(module, name, None) is wrapper:
                setattr(module, name, original)
        if is_finalizing():
            return
        there = self._there
        at_flags = self._at_flags
        for signal in self._signals:
            if self._sigaction(signal, None, self._read):
                continue
            handler = int.from_bytes(there[:8], "little")
            if self._base <= handler < self._end:
                level = (handler - self._base) // entry_size
                index = (level * level_size + 16 * signal) // 8
                there[:8] = self._cells[index].to_bytes(8, "little")
                there[at_flags : at_flags + 4] = (self._cells[index + 1] & 0xFFFF_FFFF).to_bytes(4, "little")
                self._sigaction(signal, self._read, None)


_guards: list[_Guard] = []
