"""What running is: executable memory, the context that code reads, linear memory, traps and signals, host calls.

Here is the only place that asks which operating system this is. :data:`system` is the module that talks to it, with the
same names whatever the system is. Importing this on a platform that is not supported does no harm: :func:`check`,
called when an engine is made, says so.
"""

from __future__ import annotations

import sys


class UnsupportedPlatform(RuntimeError):
    """The engine cannot run on this operating system, processor or Python; the message says why."""


if sys.platform == "linux":
    from . import os_linux as system
    from .os_linux import unmap_all as unmap_all
else:
    system = None
    #: What finalisers bind when they are made.
    unmap_all = None


def free_threaded() -> bool:
    """Whether threads of this process run Python code at the same time.

    What counts is whether the global interpreter lock is on, not whether this Python could do without: with the lock,
    which an extension module may turn on as well, such a build is like any other. It is never turned off later.
    """
    gil_enabled = getattr(sys, "_is_gil_enabled", None)
    return gil_enabled is not None and not gil_enabled()


def check() -> None:
    """Make sure that the engine can run here.

    Raises:
        UnsupportedPlatform: it cannot.
    """
    if sys.platform != "linux":
        raise UnsupportedPlatform(
            f"vibewasm runs on Linux (glibc or musl) so far, and this is {sys.platform!r}; a Linux virtual machine "
            "or container works"
        )
    if free_threaded():
        from ..errors import FREE_THREADED

        raise UnsupportedPlatform(FREE_THREADED)
    if sys.maxsize < 1 << 32:
        raise UnsupportedPlatform(
            "vibewasm needs a 64-bit Python, and this is a 32-bit one; install a 64-bit build of Python"
        )
    missing = system.missing()
    if missing:
        raise UnsupportedPlatform(missing)


__all__ = ["UnsupportedPlatform", "check", "free_threaded", "system"]
