"""Waiting for files that may keep one waiting, so that whoever runs the program is asked meanwhile."""

from __future__ import annotations

import os
import time
from errno import ENXIO

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .process import Check

#: Seconds between two calls of the check.
CHECK_INTERVAL = 0.05

#: What a pipe that is ready takes without waiting (Linux's PIPE_BUF).
_PIECE = 4096


def is_ready(fd: int, *, writing: bool, seconds: float = 0.0) -> bool:
    """Whether a descriptor of the host can be read or written without waiting, now or within some seconds."""
    import select

    poll = select.poll()
    poll.register(fd, select.POLLOUT if writing else select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def wait(fd: int, check: Check | None, *, writing: bool) -> None:
    """Wait until a descriptor of the host can be read or written; what the check raises ends the wait."""
    while not is_ready(fd, writing=writing, seconds=CHECK_INTERVAL):
        if check is not None:
            check()


def write_ready(fd: int, buffers: list[memoryview]) -> int:
    """Write as much as a descriptor that is ready takes without waiting; give the number of bytes.

    The kernel would not come back before all of it is written, and nobody could end that.
    """
    if sum(map(len, buffers)) <= _PIECE:
        return os.writev(fd, buffers)
    done = 0
    for piece in _pieces(buffers):
        if done and not is_ready(fd, writing=True):
            break
        try:
            written = os.writev(fd, piece)
        except OSError:
            # What has been written must be told; the error comes again with the next call.
            if done:
                break
            raise
        done += written
        if written < sum(map(len, piece)):
            break
    return done


def _pieces(buffers: list[memoryview]) -> Iterator[list[memoryview]]:
    piece: list[memoryview] = []
    room = _PIECE
    for buffer in buffers:
        while len(buffer):
            piece.append(buffer[:room])
            buffer = buffer[room:]
            room -= len(piece[-1])
            if not room:
                yield piece
                piece, room = [], _PIECE
    if piece:
        yield piece


def open_waiting(path: bytes, flags: int, directory: int | None, check: Check | None, *, fifo: bool) -> int:
    """Open a file as the host's ``open`` does, and ask meanwhile where that waits for somebody.

    The reading end of a FIFO is there at once; what is then read waits for whoever writes.

    Args:
        path, flags, directory: as for ``os.open``.
        check: called from time to time while a FIFO is opened for writing and nobody reads it.
        fifo: it is a FIFO; another file of which the host says ``ENXIO`` has no device.
    """
    while True:
        try:
            opened = os.open(path, flags | os.O_NONBLOCK, dir_fd=directory)
            break
        except OSError as error:
            if not fifo or error.errno != ENXIO or flags & os.O_NONBLOCK:
                raise
        if check is not None:
            check()
        time.sleep(CHECK_INTERVAL)
    if not flags & os.O_NONBLOCK:
        os.set_blocking(opened, True)
    return opened
