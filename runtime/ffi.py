"""C types, prototypes and the C library: what the runtime needs of ctypes, and no more.

Importing :mod:`ctypes` takes a millisecond, a tenth of what a small module takes from ``import vibewasm`` to its first
result: for forty types, each in both byte orders, and for ``struct`` and ``types``. All that works is in the C module
underneath, which is loaded in a quarter of that time, so the few names that the engine uses are made of it here. They
are called and behave as in :mod:`ctypes`, and do not get in its way; where an implementation of Python has no such
module under its ctypes, they are those of ctypes itself.
"""

from __future__ import annotations

from _weakref import ref
from sys import version_info

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from ctypes import (
        CDLL,
        CFUNCTYPE,
        PYFUNCTYPE,
        Array,
        addressof,
        byref,
        c_char,
        c_double,
        c_float,
        c_int,
        c_size_t,
        c_uint32,
        c_uint64,
        c_void_p,
        get_errno,
        py_object,
    )
    from typing import Any
else:
    try:
        from _ctypes import (
            FUNCFLAG_CDECL,
            FUNCFLAG_PYTHONAPI,
            FUNCFLAG_USE_ERRNO,
            Array,
            CFuncPtr,
            _SimpleCData,
            addressof,
            byref,
            dlopen,
            dlsym,
            get_errno,
        )
    except ImportError:
        from ctypes import (
            CDLL,
            CFUNCTYPE,
            PYFUNCTYPE,
            Array,
            addressof,
            byref,
            c_char,
            c_double,
            c_float,
            c_int,
            c_size_t,
            c_uint32,
            c_uint64,
            c_void_p,
            get_errno,
            py_object,
        )
    else:

        class c_char(_SimpleCData):
            _type_ = "c"

        class c_int(_SimpleCData):
            _type_ = "i"

        class c_uint64(_SimpleCData):
            _type_ = "L"

        c_size_t = c_uint64

        class c_void_p(_SimpleCData):
            _type_ = "P"

        class py_object(_SimpleCData):
            _type_ = "O"

        #: Types that few programs need, with their codes: made when they are first imported, for making one takes as
        #: long as loading a small module.
        _rare = {"c_double": "d", "c_float": "f", "c_uint32": "I"}

        def __getattr__(name):
            code = _rare.get(name)
            if code is None:
                raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
            made = globals()[name] = type(_SimpleCData)(name, (_SimpleCData,), {"_type_": code})
            return made

        def CFUNCTYPE(restype, *argtypes):
            class CFunctionType(CFuncPtr):
                _flags_ = FUNCFLAG_CDECL
                _restype_ = restype
                _argtypes_ = argtypes

            return CFunctionType

        def PYFUNCTYPE(restype, *argtypes):
            class CFunctionType(CFuncPtr):
                _flags_ = FUNCFLAG_CDECL | FUNCFLAG_PYTHONAPI
                _restype_ = restype
                _argtypes_ = argtypes

            return CFunctionType

        class _CFunction(CFuncPtr):
            _flags_ = FUNCFLAG_CDECL | FUNCFLAG_USE_ERRNO
            _restype_ = c_int

        class CDLL:
            def __init__(self, name, use_errno):
                self._handle = dlopen(name, 0)

            def __getattr__(self, name):
                try:
                    address = dlsym(self._handle, name)
                except OSError as error:
                    raise AttributeError(str(error)) from None
                function = self.__dict__[name] = _CFunction(address)
                return function


def c_library() -> CDLL:
    """What this process has loaded, the C library above all. Its functions keep ``errno`` for :func:`get_errno`.

    A function that is not there is an :class:`AttributeError`.
    """
    return CDLL(None, use_errno=True)


#: Have Python's collector leave an object alone, which has to be one that refers to nothing but its class.
#:
#: The collector calls the finalisers of all that it is about to take apart before it takes anything apart, so that a
#: program's finaliser can still use memory whose own finaliser has given it to somebody else. An object that the
#: collector does not know is finalised when the last reference to it goes, and only then.
untrack = PYFUNCTYPE(None, py_object)(("PyObject_GC_UnTrack", c_library()))


class Note(ref):  # type: ignore[type-arg]  # to whatever owns memory
    """What is known of the memory that an object owns, for when the object has gone: made with a list's ``append``, it
    is in that list then.

    A finaliser written in Python may not run at all: CPython calls the handlers of signals where it enters a function,
    and what one of them raises ends the finaliser before its first line. This is C code, which nothing comes in front
    of. So finalisers are for giving back at once, and the list for what one has left undone.

    Attributes:
        addresses: where each mapping begins that is not unmapped yet.
        size: that of each.
        clean: whether nothing of what was in the memory is left.
    """

    __slots__ = ("addresses", "clean", "size")

    addresses: list[int]
    size: int
    clean: bool


def settle(notes: list[Note], give_back: Callable[[Note], object]) -> None:
    """Give back what a list of notes says, and take them off it. One that an exception comes up for is in it again."""
    while notes:
        taken: list[Note] = []
        try:
            # One step, so that no other thread has it as well, and nothing comes in between.
            taken.extend(map(notes.pop, (-1,)))
            # Without addresses, its making was ended.
            if hasattr(taken[0], "addresses"):
                give_back(taken[0])
        except BaseException as error:
            notes.extend(taken)
            if taken or not isinstance(error, IndexError):
                raise
            # Another thread has taken the last one.


def _keep_subclasses() -> None:
    """See that each C type that classes are derived from here has a subclass that stays when the interpreter has ended.

    In CPython 3.12 these types are shared by all interpreters, and each has a dict of its subclasses, which goes with
    the last of them. The collector has the dict in the list of the interpreter that made the first subclass. Once that
    has ended, the list leads to memory that is free, and an interpreter that takes the dict off it writes there or
    crashes (gh-116510 of CPython). So the dict may not go, which costs some kilobytes for each interpreter that ends.
    Python 3.11 empties the lists of an interpreter that ends, and from 3.13 on each interpreter has types of its own.
    """
    keep = type(untrack)(("Py_IncRef", c_library()))

    # These refer to no module, so nothing else stays with them.
    class Kept(Array):  # type: ignore[type-arg]  # what a C type is made of says it
        _type_ = c_char
        _length_ = 0

    for kept in (Kept, c_char, type(untrack)):
        keep(kept)


if version_info[:2] == (3, 12):
    _keep_subclasses()


def code_address(function: Any) -> int:
    """Address of the machine code of a C function or of a callback; that of a callback is good as long as it lives."""
    return c_size_t.from_buffer(function).value


__all__ = [
    "CFUNCTYPE",
    "PYFUNCTYPE",
    "Array",
    "Note",
    "addressof",
    "byref",
    "c_char",
    "c_double",
    "c_float",
    "c_int",
    "c_library",
    "c_size_t",
    "c_uint32",
    "c_uint64",
    "c_void_p",
    "code_address",
    "get_errno",
    "py_object",
    "settle",
    "untrack",
]
