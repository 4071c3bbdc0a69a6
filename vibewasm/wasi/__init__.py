"""WASI preview 1 (``wasi_snapshot_preview1``): what a program sees of the system it runs on.

``WasiConfig`` says what a program gets: arguments, environment, standard streams, directories. ``functions`` makes the
46 functions of the interface for one program. ``docs/wasi.md`` says what is supported and what the sandbox promises.

Importing this package costs next to nothing; the functions are loaded by the first call of ``functions``.
"""

from __future__ import annotations

from .config import WasiConfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .process import Check

__all__ = ["WasiConfig", "functions"]


def functions(config: WasiConfig, check: Check | None = None) -> dict[str, tuple[str, Callable[..., int | None]]]:
    """Make the functions of WASI preview 1 for one new program.

    Args:
        config: what the program gets. It may be used again: each call makes a new program with a file table of its own.
        check: called from time to time, at least every 0.1 s, while a function sleeps or waits for a standard
            stream; what it raises ends the wait and comes out of the function. So a timeout reaches a program that
            sleeps.

    Returns:
        name → (signature, function). A signature is such as ``"iiIi:i"``: a letter a parameter (``i`` for i32, ``I``
        for i64), a colon, the results. A function is called as ``function(memory, *arguments)`` with a writable
        memoryview of bytes of the caller's memory 0 and unsigned ints, and gives the WASI error number; ``proc_exit``
        gives nothing and raises :class:`vibewasm.ExitTrap`.

    Raises:
        OSError: a preopened directory or a file for a standard stream cannot be opened.
    """
    from .preview1 import bind

    return bind(config, check)
