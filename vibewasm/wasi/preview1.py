"""The functions of ``wasi_snapshot_preview1``: each one's name, signature and code, said once."""

from __future__ import annotations

from . import clocks, directories, files, path_calls, poll, process, sockets
from .errnos import Errno, from_host
from .process import Process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .config import WasiConfig
    from .process import Check

FUNCTIONS: dict[str, tuple[str, Callable[..., int | None]]] = {
    "args_get": ("ii:i", process.args_get),
    "args_sizes_get": ("ii:i", process.args_sizes_get),
    "clock_res_get": ("ii:i", clocks.clock_res_get),
    "clock_time_get": ("iIi:i", clocks.clock_time_get),
    "environ_get": ("ii:i", process.environ_get),
    "environ_sizes_get": ("ii:i", process.environ_sizes_get),
    "fd_advise": ("iIIi:i", files.fd_advise),
    "fd_allocate": ("iII:i", files.fd_allocate),
    "fd_close": ("i:i", files.fd_close),
    "fd_datasync": ("i:i", files.fd_datasync),
    "fd_fdstat_get": ("ii:i", files.fd_fdstat_get),
    "fd_fdstat_set_flags": ("ii:i", files.fd_fdstat_set_flags),
    "fd_fdstat_set_rights": ("iII:i", files.fd_fdstat_set_rights),
    "fd_filestat_get": ("ii:i", files.fd_filestat_get),
    "fd_filestat_set_size": ("iI:i", files.fd_filestat_set_size),
    "fd_filestat_set_times": ("iIIi:i", files.fd_filestat_set_times),
    "fd_pread": ("iiiIi:i", files.fd_pread),
    "fd_prestat_dir_name": ("iii:i", directories.fd_prestat_dir_name),
    "fd_prestat_get": ("ii:i", directories.fd_prestat_get),
    "fd_pwrite": ("iiiIi:i", files.fd_pwrite),
    "fd_read": ("iiii:i", files.fd_read),
    "fd_readdir": ("iiiIi:i", directories.fd_readdir),
    "fd_renumber": ("ii:i", files.fd_renumber),
    "fd_seek": ("iIii:i", files.fd_seek),
    "fd_sync": ("i:i", files.fd_sync),
    "fd_tell": ("ii:i", files.fd_tell),
    "fd_write": ("iiii:i", files.fd_write),
    "path_create_directory": ("iii:i", path_calls.path_create_directory),
    "path_filestat_get": ("iiiii:i", path_calls.path_filestat_get),
    "path_filestat_set_times": ("iiiiIIi:i", path_calls.path_filestat_set_times),
    "path_link": ("iiiiiii:i", path_calls.path_link),
    "path_open": ("iiiiiIIii:i", path_calls.path_open),
    "path_readlink": ("iiiiii:i", path_calls.path_readlink),
    "path_remove_directory": ("iii:i", path_calls.path_remove_directory),
    "path_rename": ("iiiiii:i", path_calls.path_rename),
    "path_symlink": ("iiiii:i", path_calls.path_symlink),
    "path_unlink_file": ("iii:i", path_calls.path_unlink_file),
    "poll_oneoff": ("iiii:i", poll.poll_oneoff),
    "proc_exit": ("i:", process.proc_exit),
    "proc_raise": ("i:i", process.proc_raise),
    "random_get": ("ii:i", process.random_get),
    "sched_yield": (":i", process.sched_yield),
    "sock_accept": ("iii:i", sockets.sock_accept),
    "sock_recv": ("iiiiii:i", sockets.sock_recv),
    "sock_send": ("iiiii:i", sockets.sock_send),
    "sock_shutdown": ("ii:i", sockets.sock_shutdown),
}


def bind(config: WasiConfig, check: Check | None) -> dict[str, tuple[str, Callable[..., int | None]]]:
    """The functions for a new program; see :func:`vibewasm.wasi.functions`."""
    program = Process(config, check)
    return {name: (signature, _bound(function, program)) for name, (signature, function) in FUNCTIONS.items()}


def _bound(function: Callable[..., int | None], program: Process) -> Callable[..., int | None]:
    def call(memory: memoryview, *arguments: int) -> int | None:
        try:
            return function(program, memory, *arguments)
        except Errno as error:
            return error.number
        except OSError as error:
            # The kernel gives a number. Without one it is Python's: the TimeoutError of a signal handler, say.
            if error.errno is None:
                raise
            return from_host(error.errno)

    return call
