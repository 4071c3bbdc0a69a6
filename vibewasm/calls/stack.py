"""How much stack wasm code may use, where there is a limit besides the thread's."""

from __future__ import annotations

from ..runtime.ffi import CFUNCTYPE, c_uint64
from .process import stub_memory, stubs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

#: What gives the stack pointer, once it was asked for.
_pointer: list[Callable[[], int]] = []


def lowest(limit: int, size: int) -> int:
    """The lowest stack pointer at which wasm code may still call, if it may use ``size`` bytes from here on.

    Args:
        limit: the lowest that the thread's own stack allows.
    """
    if not _pointer:
        # Two threads may both make one.
        _pointer.append(CFUNCTYPE(c_uint64)(stub_memory().publish(stubs.stack_pointer())))
    return max(limit, _pointer[0]() - size)
