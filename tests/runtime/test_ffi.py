"""The part of ctypes that the runtime makes itself, next to ctypes."""

from __future__ import annotations

import ctypes
import errno

import pytest

from vibewasm.runtime import ffi, system

from .machine import python

ADD = "AGFzbQEAAAABBwFgAn9/AX8DAgEABwcBA2FkZAAACgkBBwAgACABags="
CALL = f"""
import base64, vibewasm
print(vibewasm.instantiate(base64.b64decode({ADD!r}), {{}}).exports.add(2, 3))
"""
HOST_CALL = """
linker = vibewasm.Linker(vibewasm.Engine())
store = vibewasm.Store(linker.engine)
double = vibewasm.Func(store, vibewasm.FuncType(["f64", "f32"], ["f64"]), lambda a, b: a * b)
print(double(2, 3.5))
"""


def test_ctypes_is_not_loaded() -> None:
    done = python("import sys" + CALL + HOST_CALL + "print('ctypes' in sys.modules)")
    assert done.stdout == "5\n7.0\nFalse\n", done.stderr


@pytest.mark.parametrize("source", ["import ctypes" + CALL, CALL + "import ctypes"])
def test_a_program_may_use_ctypes_as_well(source: str) -> None:
    use = """
@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
def compare(a, b):
    return a[0] - b[0]
numbers = (ctypes.c_int * 3)(3, 1, 2)
ctypes.CDLL(None).qsort(numbers, 3, 4, compare)
print(list(numbers), ctypes.string_at(b"abc"), ctypes.c_size_t is ctypes.c_uint64)
"""
    done = python(source + use + HOST_CALL)
    assert done.stdout == "5\n[1, 2, 3] b'abc' True\n7.0\n", done.stderr


def test_where_the_module_under_ctypes_has_other_names_it_is_ctypes_itself() -> None:
    hide = "import ctypes, _ctypes\ndel _ctypes.dlsym\n"
    check = "from vibewasm.runtime import ffi\nprint(ffi.c_void_p is ctypes.c_void_p)\n"
    done = python(hide + CALL + HOST_CALL + check)
    assert done.stdout == "5\n7.0\nTrue\n", done.stderr


def test_addresses_are_those_that_ctypes_gives() -> None:
    theirs = ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p).value
    assert ffi.code_address(ffi.c_library().getpid) == theirs
    callback = ffi.CFUNCTYPE(ffi.c_size_t, ffi.c_size_t)(lambda number: number + 1)
    assert ctypes.CFUNCTYPE(ctypes.c_size_t, ctypes.c_size_t)(ffi.code_address(callback))(41) == 42


def test_what_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_function"):
        ffi.c_library().no_such_function  # noqa: B018 - the access is what is tested
    with pytest.raises(AttributeError, match="c_longdouble"):
        ffi.c_longdouble  # type: ignore[attr-defined]  # noqa: B018 - the access is what is tested


def test_sizes_are_those_of_c() -> None:
    for name in ("c_char", "c_int", "c_uint32", "c_uint64", "c_size_t", "c_float", "c_double", "c_void_p"):
        assert ctypes.sizeof(getattr(ffi, name)) == ctypes.sizeof(getattr(ctypes, name)), name


def test_a_failed_system_call_says_why() -> None:
    with pytest.raises(OSError, match="Invalid argument") as caught:
        system.forbid(1, 1)
    assert caught.value.errno == errno.EINVAL
