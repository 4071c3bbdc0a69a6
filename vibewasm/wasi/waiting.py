"""Waiting for files that may keep one waiting, so that whoever runs the program is asked meanwhile."""

from __future__ import annotations

import os
import time
from errno import ENXIO

from .errnos import Errno

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from .process import Check

#: Seconds between two calls of the check.
CHECK_INTERVAL = 0.02
#: Bytes of a file, and entries of a directory or subscriptions, between two calls of the check: some milliseconds.
TURN, ENTRIES = 1 << 24, 1 << 12

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

    The kernel would not come back before all of it is written, and nobody could end that. Some take any amount without
    waiting, as /dev/null does, so it is a turn's at most.
    """
    if sum(map(len, buffers)) <= _PIECE:
        return os.writev(fd, buffers)
    done = 0
    for piece in _pieces(buffers):
        if done >= TURN or (done and not is_ready(fd, writing=True)):
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


def own_terminal(fd: int) -> int:
    """A descriptor for writing to the terminal of another one, which never waits; -1 where there can be none.

    A terminal is ready if it takes one byte, and then waits for whoever reads the rest. Whether it waits is a setting
    of the open file, which others may share, so it is opened once more.
    """
    try:
        return os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return -1


def in_turns(
    operation: Callable[[list[memoryview], int], int], buffers: list[memoryview], check: Callable[[], object]
) -> int:
    """Read or write a file that nobody waits for, with the check now and then: the kernel takes a second for a GiB.

    Args:
        operation: is given some of the buffers, and how many bytes come before them; it gives the number of bytes.
        buffers: all of them.
        check: what it raises ends this.
    """
    done = 0
    for piece in _pieces(buffers, TURN):
        if done:
            check()
        try:
            count = operation(piece, done)
        except (Errno, OSError):
            # What has been done must be told; the error comes again with the next call.
            if done:
                break
            raise
        done += count
        if count < sum(map(len, piece)):
            break
    return done


def one_turn(buffers: list[memoryview]) -> list[memoryview]:
    """The first of buffers, as many bytes as one reads or writes in one turn."""
    return next(_pieces(buffers, TURN), [])


def in_order(items: list[Any], check: Callable[[], object]) -> list[Any]:
    """The items of a long list in order, with the check now and then."""
    from heapq import merge

    parts = []
    for start in range(0, len(items), 8 * ENTRIES):
        parts.append(sorted(items[start : start + 8 * ENTRIES]))
        check()
    found = []
    for item in merge(*parts):
        found.append(item)
        if not len(found) % ENTRIES:
            check()
    return found


def _pieces(buffers: list[memoryview], size: int = _PIECE) -> Iterator[list[memoryview]]:
    piece: list[memoryview] = []
    room = size
    for buffer in buffers:
        while len(buffer):
            piece.append(buffer[:room])
            buffer = buffer[room:]
            room -= len(piece[-1])
            if not room:
                yield piece
                piece, room = [], size
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
