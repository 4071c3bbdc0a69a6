"""WASI preview 1 and preview 0: what a program sees of the system it runs on.

``WasiConfig`` says what a program gets: arguments, environment, standard streams, directories. ``start`` makes a
program of it, ``bind`` the functions that the program imports. ``docs/wasi.md`` says what is supported and what the
sandbox promises.

Importing this package costs next to nothing; the functions are loaded where they are first called.
"""

from __future__ import annotations

from .config import Dir, WasiConfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .process import Charge, Check, Process
    from .room import Room

__all__ = ["MODULES", "PREVIEW0", "PREVIEW1", "Dir", "WasiConfig", "bind", "names", "start"]

PREVIEW1 = "wasi_snapshot_preview1"
PREVIEW0 = "wasi_unstable"

#: The modules that programs import WASI functions from, and what each is called. One program may import from both.
MODULES = {PREVIEW1: "preview 1", PREVIEW0: "preview 0"}


def start(
    config: WasiConfig,
    check: Check | None = None,
    charge: Charge | None = None,
    room: Room | None = None,
    deterministic: bool = False,
) -> Process:
    """Make a new program, with a file table of its own: one configuration serves any number of them.

    Args:
        config: what the program gets.
        check: called from time to time, at least every 0.1 s, while a function sleeps or waits for a standard
            stream; what it raises ends the wait and comes out of the function. So a timeout reaches a program that
            sleeps.
        charge: takes units of fuel before a function does what they are for; what it raises comes out of the function.
        room: how much it and others that are given the same may take of the host's; None for as much as they like.
        deterministic: let the program find nothing of the host but what is in files and what it is given: clocks and
            random bytes that ``config`` leaves open are the same in every run, and so is what files are said to be.

    Raises:
        OSError: a preopened directory or a file for a standard stream cannot be opened.
        LinkError: it would begin with more descriptors, arguments or variables than it may have.
    """
    from .process import Process

    return Process(config, check, charge, room, deterministic)


def bind(process: Process, module: str, name: str) -> tuple[str, Callable[..., int | None]] | None:
    """A WASI function for a program.

    Args:
        process: the program, from :func:`start`.
        module: one of :data:`MODULES`.
        name: such as ``"fd_write"``.

    Returns:
        The signature and the function; None where the module has none of this name. A signature is such as
        ``"iiIi:i"``: a letter a parameter (``i`` for i32, ``I`` for i64), a colon, the results. A function is called as
        ``function(memory, *arguments)`` with a writable memoryview of bytes of the caller's memory 0 and unsigned ints,
        and gives the WASI error number; ``proc_exit`` gives nothing and raises :class:`vibewasm.ExitTrap`.
    """
    from .preview1 import bind

    return bind(process, module, name)


def names(module: str) -> list[str]:
    """The names of the functions that one of :data:`MODULES` has."""
    from .preview0 import MISSING
    from .preview1 import FUNCTIONS

    return [name for name in FUNCTIONS if module == PREVIEW1 or name not in MISSING]
