"""Pipes to and from the process of a run, and what goes through them."""

from __future__ import annotations

import os
import selectors
import signal

from .errors import SandboxLimit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

#: Bytes of a pipe that are read or written at once.
_PIECE = 1 << 16


class Output:
    """What comes out of a pipe.

    Args:
        who: the beginning of a sentence, as ``"the program wrote"``.
        most: bytes that may come; ``None`` for any number.
        sink: is called with what comes; ``None`` to keep it.

    Attributes:
        data: what has come, if it is kept.
    """

    __slots__ = ("_count", "_most", "_sink", "_who", "data")

    def __init__(self, who: str, most: int | None, sink: Callable[[bytes], object] | None) -> None:
        self._who = who
        self._most = most
        self._sink = sink
        self._count = 0
        self.data = bytearray()

    def take(self, piece: bytes) -> SandboxLimit | None:
        """Take in what has come, as far as it may, and return the limit that it goes beyond."""
        limit = None
        self._count += len(piece)
        if self._most is not None and self._count > self._most:
            piece = piece[: self._most - self._count]
            limit = SandboxLimit(f"{self._who} more than {self._most} bytes", "output")
        if self._sink is None:
            self.data += piece
        else:
            self._sink(piece)
        return limit


class Pipes:
    """All pipes of a process.

    Attributes:
        limit: the limit for which it has to be killed, once it has met one.
        watches: whether the system says here when it has ended.
        ended: whether it has said so.
    """

    __slots__ = ("_feeds", "_gone", "_here", "_outputs", "_selector", "_there", "ended", "limit", "watches")

    def __init__(self) -> None:
        #: Ends that this process has, and those that the other one gets.
        self._here: list[int] = []
        self._there: list[int] = []
        self._feeds: dict[int, memoryview] = {}
        self._outputs: dict[int, Output] = {}
        self._selector = selectors.DefaultSelector()
        self._gone = -1
        self.limit: SandboxLimit | None = None
        self.watches = False
        self.ended = False

    def feed(self, data: bytes) -> int:
        """A pipe from which the process reads these bytes: the descriptor that it gets."""
        there, here = os.pipe()
        self._there.append(there)
        self._here.append(here)
        self._feeds[here] = memoryview(data)
        return there

    def collect(self, output: Output) -> int:
        """A pipe to which the process writes what an output takes in: the descriptor that it gets."""
        here, there = os.pipe()
        self._there.append(there)
        self._here.append(here)
        self._outputs[here] = output
        return there

    def begin(self, process: int) -> None:
        """The process, of this number, has its ends."""
        _close(self._there)
        for ends, event in ((self._feeds, selectors.EVENT_WRITE), (self._outputs, selectors.EVENT_READ)):
            for end in ends:
                os.set_blocking(end, False)
                self._selector.register(end, event)
        try:
            self._gone = os.pidfd_open(process)
        except (OSError, AttributeError):
            # Before Linux 5.3.
            return
        self._here.append(self._gone)
        self._selector.register(self._gone, selectors.EVENT_READ)
        self.watches = True

    def turn(self, seconds: float) -> bool:
        """Wait for so long until there is something to do, and do it: whether there was something to read."""
        came = False
        for key, _ in self._selector.select(seconds):
            end = key.fd
            if end == self._gone:
                self.ended = True
            elif end in self._feeds:
                self._write(end)
            else:
                came = True
                self._read(end)
                if self.limit is not None:
                    break
        return came

    def _write(self, end: int) -> None:
        left = self._feeds[end]
        try:
            # Of nothing there is nothing to write.
            left = left[_written(end, left[:_PIECE]) :] if left else left
        except BlockingIOError:
            return
        except OSError:
            left = left[:0]  # it does not read any more
        self._feeds[end] = left
        if not left:
            self._selector.unregister(end)
            self._here.remove(end)
            os.close(end)

    def _read(self, end: int) -> None:
        try:
            piece = os.read(end, _PIECE)
        except BlockingIOError:
            return
        if piece:
            self.limit = self._outputs[end].take(piece)
        else:
            self._selector.unregister(end)

    def close(self) -> None:
        """Close all of them."""
        self._selector.close()
        _close(self._there)
        _close(self._here)


def _close(ends: list[int]) -> None:
    while ends:
        os.close(ends.pop())


def _written(end: int, data: memoryview) -> int:
    """``os.write`` to a pipe, also where SIGPIPE is not ignored: then it would end this process when the other one has
    ended without reading all.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGPIPE,))
    try:
        pending = signal.SIGPIPE in signal.sigpending()
        try:
            return os.write(end, data)
        except BrokenPipeError:
            if not pending:
                signal.sigtimedwait((signal.SIGPIPE,), 0)
            raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
