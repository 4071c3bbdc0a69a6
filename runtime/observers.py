"""Telling profilers and debuggers which functions were published, and where.

Loaded only when a configuration asks for it.
"""

from __future__ import annotations

import _thread
import ctypes
import os
import time
from struct import pack
from weakref import WeakSet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from .code_memory import CodeMemory
    from .elf import Processor

    class Observer(Protocol):
        """Is told of machine code; may be called in several threads at once."""

        def published(self, functions: list[Function]) -> object:
            """Functions can be called from now on; they are gone when what is returned here is let go."""


#: Name, address and size of a function.
Function = tuple[str, int, int]

#: Both files may not be a link that somebody else put there, and belong to this user only.
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_MODE = 0o600


class _Published:
    """Functions that can be called as long as this object is there."""

    __slots__ = ("__weakref__", "functions")

    def __init__(self, functions: list[Function]) -> None:
        self.functions = functions


class _FileOfProcess:
    """A file per process that is written to. A forked child makes its own, and begins it with what it inherited."""

    def __init__(self) -> None:
        self._lock = _thread.allocate_lock()
        self._process = 0
        self._file = -1
        self._known: WeakSet[_Published] = WeakSet()

    def published(self, functions: list[Function]) -> _Published:
        """Write the functions to the file."""
        found = _Published(functions)
        if self._process not in (0, os.getpid()):
            # The lock may have been held by a thread that does not exist here.
            self._lock = _thread.allocate_lock()
        with self._lock:
            new = functions
            if self._process != os.getpid():
                if self._file >= 0:
                    os.close(self._file)
                    self._file = -1
                self._file = self._open(os.getpid())
                self._process = os.getpid()
                # Of what was published before, only what is still there.
                new = [function for known in self._known for function in known.functions] + functions
            self._known.add(found)
            data = b"".join(map(self._record, new))
            while data:
                data = data[os.write(self._file, data) :]
        return found

    def _open(self, process: int) -> int:
        raise NotImplementedError

    def _record(self, function: Function) -> bytes:
        raise NotImplementedError


class PerfMap(_FileOfProcess):
    """Writes ``/tmp/perf-PID.map``, where perf looks for symbols of code that is in no file.

    A line is the address and the size, both hexadecimal, and the name (Linux,
    ``tools/perf/Documentation/jit-interface.txt``). CPython writes to the same file with ``-X perf``, so lines are
    appended.
    """

    def _open(self, process: int) -> int:
        file = os.open(f"/tmp/perf-{process}.map", _FLAGS | os.O_APPEND, _MODE)
        if os.fstat(file).st_uid != os.geteuid():
            os.close(file)
            raise PermissionError(f"/tmp/perf-{process}.map belongs to another user")
        return file

    def _record(self, function: Function) -> bytes:
        name, address, size = function
        return f"{address:x} {size:x} {_one_line(name)}\n".encode(errors="replace")


class JitDump(_FileOfProcess):
    """Writes ``jit-PID.dump`` in the current directory, or where the environment variable ``JITDUMPDIR`` says.

    The format is that of ``tools/perf/Documentation/jitdump-specification.txt`` (Linux), version 1: a header, then a
    record for each function with its name and its code. perf notices the file because this process maps a page of it
    as executable. Times are those of ``CLOCK_MONOTONIC``, so perf has to record with ``-k mono``.
    """

    _MAGIC = 0x4A695444
    _CODE_LOAD = 0

    def __init__(self, processor: Processor) -> None:
        super().__init__()
        self._machine = processor.ELF_MACHINE
        self._count = 0
        self._mapping: object = None

    def _open(self, process: int) -> int:
        import mmap

        folder = os.environ.get("JITDUMPDIR") or "."
        file = os.open(os.path.join(folder, f"jit-{process}.dump"), _FLAGS | os.O_TRUNC, _MODE)
        os.write(file, pack("<IIIIIIQQ", self._MAGIC, 1, 40, self._machine, 0, process, time.monotonic_ns(), 0))
        protection = mmap.PROT_READ | mmap.PROT_EXEC
        # Kept: the mapping is how perf finds the file, also where it attaches later.
        self._mapping = mmap.mmap(file, 0, flags=mmap.MAP_PRIVATE, prot=protection)
        self._count = 0
        return file

    def _record(self, function: Function) -> bytes:
        name, address, size = function
        text = _one_line(name).encode(errors="replace") + b"\0"
        code = ctypes.string_at(address, size)
        head = pack("<IIQ", self._CODE_LOAD, 56 + len(text) + size, time.monotonic_ns())
        place = pack("<IIQQQQ", os.getpid(), _thread.get_native_id(), address, address, size, self._count)
        self._count += 1
        return head + place + text + code


def _one_line(name: str) -> str:
    """A name without what ends a line or a string in these files."""
    return "".join([character if character.isprintable() else "?" for character in name])


def _perfmap(processor: Processor) -> Observer:
    return PerfMap()


def _gdb(processor: Processor) -> Observer:
    from .gdb import Gdb

    return Gdb(processor)


_MAKERS: dict[str, Callable[[Processor], Observer]] = {"perfmap": _perfmap, "jitdump": JitDump, "gdb": _gdb}
_observers: dict[str, Observer] = {}


def observer(name: str, processor: Processor) -> Observer:
    """The observer of that name, one for the whole process: "perfmap", "jitdump" or "gdb".

    Args:
        name: of the observer.
        processor: the processor of this process, which all code is for.
    """
    found = _observers.get(name)
    if found is None:
        # setdefault is atomic, so that two threads get the same one.
        found = _observers.setdefault(name, _MAKERS[name](processor))
    return found


#: Stretches of stubs that observers were told of, and what they gave for them: stubs stay as long as the process.
_stubs: dict[tuple[int, int], object] = {}


def tell_of_stubs(observer: Observer, memory: CodeMemory) -> None:
    """Tell an observer of the code between Python and wasm, each stretch once, so that backtraces pass through it."""
    for address, size in memory.ranges():
        if (id(observer), address) not in _stubs:
            _stubs[id(observer), address] = observer.published([("vibewasm adapters", address, size)])
