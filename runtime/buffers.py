"""Where the elements of a buffer lie: what a memoryview knows and does not tell."""

from __future__ import annotations

from . import system
from .ffi import PYFUNCTYPE, c_int, c_library, c_size_t, py_object

#: Bytes of a Py_buffer, whose first cell is the address of the first element (CPython, "Buffer structure").
_SIZE = 80
#: PyBUF_FULL_RO: any strides, with a format, read-only or not.
_FULL_READ_ONLY = 0x11C

_get = PYFUNCTYPE(c_int, py_object, c_size_t, c_int)(("PyObject_GetBuffer", c_library()))
_release = PYFUNCTYPE(None, c_size_t)(("PyBuffer_Release", c_library()))


def first_element(view: memoryview) -> int:
    """Address of a view's first element. It is good until the view is released."""
    raw = bytearray(_SIZE)
    address = system.address_of(raw)
    _get(view, address, _FULL_READ_ONLY)
    try:
        return int.from_bytes(raw[:8], "little")
    finally:
        _release(address)
