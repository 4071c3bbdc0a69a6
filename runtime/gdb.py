"""gdb's interface for code that is made at run time (gdb manual, "JIT Compilation Interface").

gdb puts a breakpoint on a function of a fixed name, in whatever shared object has it, and reads a list of ELF files in
memory from a variable of a fixed name each time that function is called.
"""

from __future__ import annotations

import _thread
import ctypes
import os
import sys

from .elf import functions_object, shared_object

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .elf import Processor
    from .observers import Function

_FUNCTION = "__jit_debug_register_code"
_VARIABLE = "__jit_debug_descriptor"
_REGISTER, _UNREGISTER = 1, 2


class _Entry(ctypes.Structure):
    """``struct jit_code_entry``: one ELF file in memory, in a list of all."""


_Entry._fields_ = [
    ("next", ctypes.POINTER(_Entry)),
    ("previous", ctypes.POINTER(_Entry)),
    ("address", ctypes.c_char_p),
    ("size", ctypes.c_uint64),
]


class _Descriptor(ctypes.Structure):
    """``struct jit_descriptor``."""

    _fields_ = [
        ("version", ctypes.c_uint32),
        ("action", ctypes.c_uint32),
        ("relevant", ctypes.POINTER(_Entry)),
        ("first", ctypes.POINTER(_Entry)),
    ]


class Registration:
    """Functions that gdb knows until this object is gone."""

    __slots__ = ("_entry", "_gdb", "_object")

    def __init__(self, gdb: Gdb, entry: _Entry, object_: bytes) -> None:
        self._gdb = gdb
        self._entry = entry
        self._object = object_

    def __del__(self, _ending: Callable[[], bool] = sys.is_finalizing) -> None:
        # When the interpreter ends, what telling gdb takes may be gone; so is the code, soon.
        if not _ending():
            self._gdb.forget(self._entry, self._object)


class Gdb:
    """Tells gdb of functions.

    Args:
        processor: the processor of this process.

    Raises:
        OSError: the shared object with gdb's hooks cannot be loaded.
    """

    def __init__(self, processor: Processor) -> None:
        self._lock = _thread.allocate_lock()
        #: Entries to be taken from the list, and the files that they lead to. A registration may be collected at any
        #: moment, also while another one is being made.
        self._gone: list[tuple[_Entry, bytes]] = []
        self._processor = processor
        version = (1).to_bytes(4, "little") + bytes(ctypes.sizeof(_Descriptor) - 4)
        # gdb reads the object through the name under which it was loaded, so that has to lead somewhere from outside.
        self._file = os.memfd_create("vibewasm-gdb", os.MFD_CLOEXEC)
        with open(self._file, "wb", closefd=False) as file:
            file.write(shared_object(processor, _FUNCTION, _VARIABLE, version))
        self._library = ctypes.CDLL(f"/proc/{os.getpid()}/fd/{self._file}")
        self._changed = self._library[_FUNCTION]
        self._descriptor = _Descriptor.in_dll(self._library, _VARIABLE)

    def published(self, functions: list[Function]) -> Registration:
        """Tell gdb of functions, until the registration is gone."""
        object_ = functions_object(self._processor, functions)
        entry = _Entry(address=object_, size=len(object_))
        descriptor = self._descriptor
        with self._lock:
            entry.next = descriptor.first
            if descriptor.first:
                descriptor.first.contents.previous = ctypes.pointer(entry)
            descriptor.first = ctypes.pointer(entry)
            self._tell(_REGISTER, entry)
        self._clean()
        return Registration(self, entry, object_)

    def forget(self, entry: _Entry, object_: bytes) -> None:
        """Take an entry from the list: now, or when whoever is changing the list is done."""
        self._gone.append((entry, object_))
        self._clean()

    def _clean(self) -> None:
        while self._gone and self._lock.acquire(blocking=False):
            try:
                # The file in memory is kept until gdb has been told.
                entry, _object = self._gone.pop()
                self._unlink(entry)
            except IndexError:
                # Another thread has done it.
                return
            finally:
                self._lock.release()

    def _unlink(self, entry: _Entry) -> None:
        if entry.previous:
            entry.previous.contents.next = entry.next
        else:
            self._descriptor.first = entry.next
        if entry.next:
            entry.next.contents.previous = entry.previous
        self._tell(_UNREGISTER, entry)

    def _tell(self, action: int, entry: _Entry) -> None:
        self._descriptor.action = action
        self._descriptor.relevant = ctypes.pointer(entry)
        self._changed()
        self._descriptor.action = 0
