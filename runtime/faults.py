"""Signals: which faults are traps of wasm code, and what becomes of the others.

The handler itself is machine code from the backend, since no Python may run in a signal. It reads the *fault table*, a
block that this module fills: address ranges of code and of reservations, addresses of store blocks, and what handled
each signal before. The handler may read at any moment in any thread, so every write leaves the table valid: a slot of a
range is filled first address first and end last, and emptied in the opposite order; a new chunk of slots is linked in
when it is complete.

Whoever installs a handler after ours gets faults first (``faulthandler.enable`` does, and would report a trap as a
crash). So :func:`ensure_on_top` looks, and installs ours again above the newer one. That must not make a circle,
because the newer one may call or restore the handler that it replaced, which is ours. So each installation is a *level*
with an entry stub and with "previous" cells of its own: level 1 passes on to the newer handler, and that to level 0,
which passes on to what there was before both. SIGINT is handled alike, but only where someone handles it already, as
CPython does: ours marks all stores as interrupted and passes it on.

SIGINT's handler stays in place all the time. Installing it for the time of each call would take two system calls, 1 µs
together, while a call takes 0.15 µs; and a process replaces its handlers of SIGINT rarely, but calls often.
"""

from __future__ import annotations

import _thread

from ..abi import (
    CHUNK_COUNT,
    CHUNK_NEXT,
    CHUNK_PAIRS,
    FAULT_CODE,
    FAULT_ENTRY_SIZE,
    FAULT_LEVEL_SIZE,
    FAULT_LEVELS,
    FAULT_RAISE,
    FAULT_RESERVATIONS,
    FAULT_SIGNAL,
    FAULT_STORES,
    FAULT_TABLE_SIZE,
)
from . import system
from .blocks import Block

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .code_memory import CodeMemory
    from .os_linux import SignalContext

    HandlerMaker = Callable[[int, int, SignalContext], bytes]

_CHUNK_SLOTS = 63

_lock = _thread.RLock()
#: The fault table, once something has been written to it.
_tables: list[Block] = []


def _fault_table() -> Block:
    with _lock:
        if not _tables:
            table = Block(FAULT_TABLE_SIZE)
            table.cells[FAULT_SIGNAL // 8] = system.function_address("signal")
            table.cells[FAULT_RAISE // 8] = system.function_address("raise")
            system.at_fork(_renew_lock)
            _tables.append(table)
        return _tables[0]


def _renew_lock() -> None:
    """In a forked child: the thread that held the lock may not exist here."""
    global _lock
    _lock = _thread.RLock()


class _Ranges:
    """Address ranges that the handler looks through.

    Slots are taken from and given back to a list, which is one step for other threads, for signal handlers and for
    finalisers, all of which may come in between anywhere here.
    """

    __slots__ = ("_chunks", "_free", "_head", "_taken")

    def __init__(self, head: int) -> None:
        self._head = head // 8
        self._chunks: list[Block] = []
        self._free: list[tuple[memoryview, int]] = []
        self._taken: dict[int, tuple[memoryview, int]] = {}

    def add(self, start: int, end: int) -> None:
        while True:
            try:
                slot = self._free.pop()
                break
            except IndexError:
                self._grow()
        cells, index = slot
        cells[index] = start
        cells[index + 1] = end
        self._taken[start] = slot

    def remove(self, start: int) -> None:
        slot = self._taken.pop(start, None)
        if slot is not None:
            cells, index = slot
            cells[index + 1] = 0
            cells[index] = 0
            self._free.append(slot)

    def _grow(self) -> None:
        chunk = Block(CHUNK_PAIRS + 16 * _CHUNK_SLOTS)
        cells = chunk.cells
        cells[CHUNK_COUNT // 8] = _CHUNK_SLOTS
        slots = [(cells, CHUNK_PAIRS // 8 + 2 * index) for index in reversed(range(_CHUNK_SLOTS))]
        self._chunks.append(chunk)
        address = chunk.address
        head = self._head
        table = _fault_table().cells
        with _lock:
            # Linking is two steps between which nothing calls, so no signal handler or finaliser comes in between.
            cells[CHUNK_NEXT // 8] = table[head]
            table[head] = address
        self._free += slots


_code = _Ranges(FAULT_CODE)
_reservations = _Ranges(FAULT_RESERVATIONS)
_stores = _Ranges(FAULT_STORES)


def register_code(start: int, end: int) -> None:
    """Faults in this range of code may be traps."""
    _code.add(start, end)


def unregister_code(start: int, end: int) -> None:
    """Faults in this range of code, which :func:`register_code` named, are no traps any more."""
    _code.remove(start)


def register_reservation(start: int, end: int) -> None:
    """An access by wasm code to this range that fails is out of bounds of a linear memory."""
    _reservations.add(start, end)


def unregister_reservation(start: int, end: int) -> None:
    """Accesses to this range, which :func:`register_reservation` named, are no traps any more."""
    _reservations.remove(start)


def register_store(address: int) -> None:
    """SIGINT interrupts wasm code of the store whose block is at ``address``; the block must stay mapped for ever."""
    _stores.add(address, address + 1)


class _Handler:
    """A published handler: entries for some levels, and what each of them passes signals on to."""

    __slots__ = ("_previous", "base", "cells")

    def __init__(self, make: HandlerMaker, memory: CodeMemory) -> None:
        self._previous = Block(FAULT_LEVELS * FAULT_LEVEL_SIZE)
        self.cells = self._previous.cells
        self.base = memory.publish(make(_fault_table().address, self._previous.address, system.signal_context()))


class _Levels:
    """The levels of one signal, and where each passes it on to."""

    __slots__ = ("_signal", "count")

    def __init__(self, signal: int) -> None:
        self._signal = signal
        self.count = 0

    def _place(self, level: int) -> tuple[memoryview, int]:
        cells = _handlers[level // FAULT_LEVELS].cells
        return cells, (level % FAULT_LEVELS * FAULT_LEVEL_SIZE + 16 * self._signal) // 8

    def get(self, level: int) -> tuple[int, int]:
        """Handler and flags of what the level passes on to; the default action below the lowest level."""
        if level < 0:
            return system.SIG_DFL, 0
        cells, index = self._place(level)
        return cells[index], cells[index + 1]

    def set(self, level: int, handler: int, flags: int) -> None:
        cells, index = self._place(level)
        cells[index + 1] = flags
        cells[index] = handler

    def ensure(self) -> None:
        """Have the signal come to us first."""
        signal = self._signal
        current = system.disposition(signal)
        handler = current.handler
        if any(ours.base <= handler < ours.base + FAULT_LEVELS * FAULT_ENTRY_SIZE for ours in _handlers):
            return
        flags = system.FAULT_FLAGS
        like = None
        if signal == system.SIGINT:
            if handler in (system.SIG_DFL, system.SIG_IGN):
                return
            flags = current.flags
            like = current
        for level in range(self.count):
            if self.get(level)[0] == handler and signal != system.SIGINT:
                # That handler has been installed anew since, so now it may pass on to any level, this one too. This one
                # passes on to what the level below it does, which cannot lead back up. SIGINT is nearly always
                # CPython's, which passes nothing on but is installed anew by every signal.signal().
                self.set(level, *self.get(level - 1))
        level = self.count
        if level // FAULT_LEVELS == len(_handlers):
            _handlers.append(_Handler(*_makers[0]))
        self.set(level, handler, current.flags)
        self.count = level + 1
        entry = _handlers[level // FAULT_LEVELS].base + level % FAULT_LEVELS * FAULT_ENTRY_SIZE
        system.set_handler(signal, entry, flags, like)


_handlers: list[_Handler] = []
_makers: list[tuple[HandlerMaker, CodeMemory]] = []
_levels: list[_Levels] = []


def install(make: HandlerMaker, memory: CodeMemory) -> None:
    """Install the handler that the backend makes; does nothing but :func:`ensure_on_top` if that was done before.

    Args:
        make: takes the address of the fault table, the address of the cells for what handled signals before, and the
            layout of a signal's context, and returns machine code that begins with one entry per level,
            FAULT_ENTRY_SIZE bytes each.
        memory: where to publish it. It must never be closed: someone may keep an entry's address as the one to call
            next.

    Raises:
        OSError: executable memory cannot be had.
    """
    with _lock:
        if not _levels:
            _makers.append((make, memory))
            _handlers.append(_Handler(make, memory))
            _levels.extend(_Levels(signal) for signal in (*system.FAULT_SIGNALS, system.SIGINT))
    ensure_on_top()


def ensure_on_top() -> None:
    """See that signals come to us first, even if someone else has installed handlers since; takes about 2 µs."""
    with _lock:
        for levels in _levels:
            levels.ensure()
