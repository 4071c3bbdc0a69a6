"""Memory that no Python object owns, as words: stacks above all."""

from __future__ import annotations

from .ffi import PYFUNCTYPE, c_int, c_library, c_size_t, py_object

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

#: ``PyBUF_READ``: what the view is for.
_READ = 0x100

_view: Callable[[int, int, int], memoryview] = PYFUNCTYPE(py_object, c_size_t, c_size_t, c_int)(
    ("PyMemoryView_FromMemory", c_library())
)


def words(address: int, end: int) -> memoryview:
    """The 8-byte words from an address, a multiple of 8, to where they end. All of it has to stay mapped as long as the
    view is used.
    """
    return _view(address, end - address, _READ).cast("Q")
