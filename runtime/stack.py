"""How far down machine code may use the stack of the calling thread."""

from __future__ import annotations

import _thread

from .platform import system

#: Bytes below the limit that are kept for Python callbacks and signal handlers.
RESERVE = 256 * 1024
#: A stack that is too small for that keeps this part of itself.
_PART = 2

_local = _thread._local()


def stack_limit() -> int:
    """The lowest stack pointer at which wasm code of the calling thread may still call.

    Raises:
        OSError: the bounds of the stack cannot be had.
    """
    try:
        return _local.limit  # type: ignore[no-any-return]  # a thread-local's attributes are untyped
    except AttributeError:
        low, end = system.stack_bounds()
        # The lowest page may be a guard page.
        _local.limit = limit = low + system.PAGE_SIZE + min(RESERVE, (end - low) // _PART)
        return limit
