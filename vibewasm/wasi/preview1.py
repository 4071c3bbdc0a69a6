"""The functions of ``wasi_snapshot_preview1``: each one's name, signature and place, said once.

``wasi_unstable`` has them too; :mod:`.preview0` says what differs there.
"""

from __future__ import annotations

from . import PREVIEW0
from .errnos import Errno, from_host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .process import Process

#: name → (signature, module of this package that holds the function of this name)
FUNCTIONS = {
    "args_get": ("ii:i", "process"),
    "args_sizes_get": ("ii:i", "process"),
    "clock_res_get": ("ii:i", "clocks"),
    "clock_time_get": ("iIi:i", "clocks"),
    "environ_get": ("ii:i", "process"),
    "environ_sizes_get": ("ii:i", "process"),
    "fd_advise": ("iIIi:i", "files"),
    "fd_allocate": ("iII:i", "files"),
    "fd_close": ("i:i", "files"),
    "fd_datasync": ("i:i", "files"),
    "fd_fdstat_get": ("ii:i", "files"),
    "fd_fdstat_set_flags": ("ii:i", "files"),
    "fd_fdstat_set_rights": ("iII:i", "files"),
    "fd_filestat_get": ("ii:i", "files"),
    "fd_filestat_set_size": ("iI:i", "files"),
    "fd_filestat_set_times": ("iIIi:i", "files"),
    "fd_pread": ("iiiIi:i", "files"),
    "fd_prestat_dir_name": ("iii:i", "directories"),
    "fd_prestat_get": ("ii:i", "directories"),
    "fd_pwrite": ("iiiIi:i", "files"),
    "fd_read": ("iiii:i", "files"),
    "fd_readdir": ("iiiIi:i", "directories"),
    "fd_renumber": ("ii:i", "files"),
    "fd_seek": ("iIii:i", "files"),
    "fd_sync": ("i:i", "files"),
    "fd_tell": ("ii:i", "files"),
    "fd_write": ("iiii:i", "files"),
    "path_create_directory": ("iii:i", "path_calls"),
    "path_filestat_get": ("iiiii:i", "path_calls"),
    "path_filestat_set_times": ("iiiiIIi:i", "path_calls"),
    "path_link": ("iiiiiii:i", "path_calls"),
    "path_open": ("iiiiiIIii:i", "path_calls"),
    "path_readlink": ("iiiiii:i", "path_calls"),
    "path_remove_directory": ("iii:i", "path_calls"),
    "path_rename": ("iiiiii:i", "path_calls"),
    "path_symlink": ("iiiii:i", "path_calls"),
    "path_unlink_file": ("iii:i", "path_calls"),
    "poll_oneoff": ("iiii:i", "poll"),
    "proc_exit": ("i:", "process"),
    "proc_raise": ("i:i", "process"),
    "random_get": ("ii:i", "process"),
    "sched_yield": (":i", "process"),
    "sock_accept": ("iii:i", "sockets"),
    "sock_recv": ("iiiiii:i", "sockets"),
    "sock_send": ("iiiii:i", "sockets"),
    "sock_shutdown": ("ii:i", "sockets"),
}


def find(name: str) -> Callable[..., int | None]:
    """The code of a function, called as ``function(process, memory, *arguments)``. Loads its module."""
    module = __import__(f"{__package__}.{FUNCTIONS[name][1]}", fromlist=[name])
    function: Callable[..., int | None] = getattr(module, name)
    return function


def bind(process: Process, module: str, name: str) -> tuple[str, Callable[..., int | None]] | None:
    """A function for a program; see :func:`vibewasm.wasi.bind`."""
    if name not in FUNCTIONS:
        return None
    different: dict[str, Any] = {}
    if module == PREVIEW0:
        from .preview0 import DIFFERENCES, MISSING

        if name in MISSING:
            return None
        different = DIFFERENCES.get(name, different)
    return FUNCTIONS[name][0], _bound(process, name, different)


def _bound(process: Process, name: str, different: dict[str, Any]) -> Callable[..., int | None]:
    # Looked up by the first call: most programs use few of the modules, and their start is not to pay for the others.
    function: Callable[..., int | None] | None = None

    def call(memory: memoryview, *arguments: int) -> int | None:
        nonlocal function
        try:
            if function is None:
                function = find(name)
                if process.charge is not None:
                    from .metering import metered

                    function = metered(process, name, function)
            return function(process, memory, *arguments, **different)
        except Errno as error:
            return error.number
        except OSError as error:
            # The kernel gives a number. Without one it is Python's: the TimeoutError of a signal handler, say.
            if error.errno is None:
                raise
            return from_host(error.errno)

    return call
