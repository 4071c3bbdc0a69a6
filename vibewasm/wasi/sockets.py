"""Socket functions. A program has no sockets: no descriptor it can have is one."""

from __future__ import annotations

from .errnos import ENOTSOCK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .process import Process


def sock_accept(process: Process, memory: memoryview, fd: int, flags: int, result: int) -> int:
    """``EBADF`` or ``ENOTSOCK``."""
    return _refuse(process, fd)


def sock_recv(
    process: Process,
    memory: memoryview,
    fd: int,
    iovecs: int,
    count: int,
    flags: int,
    size_result: int,
    flags_result: int,
) -> int:
    """``EBADF`` or ``ENOTSOCK``."""
    return _refuse(process, fd)


def sock_send(
    process: Process, memory: memoryview, fd: int, iovecs: int, count: int, flags: int, size_result: int
) -> int:
    """``EBADF`` or ``ENOTSOCK``."""
    return _refuse(process, fd)


def sock_shutdown(process: Process, memory: memoryview, fd: int, how: int) -> int:
    """``EBADF`` or ``ENOTSOCK``."""
    return _refuse(process, fd)


def _refuse(process: Process, fd: int) -> int:
    process.files.get(fd)
    return ENOTSOCK
