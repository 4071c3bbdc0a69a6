"""``poll_oneoff``: wait for clocks and files."""

from __future__ import annotations

import os
import time

from . import abi, clocks, guest
from .errnos import EBADF, EINVAL, EIO, SUCCESS, Errno
from .fds import file_type
from .waiting import CHECK_INTERVAL, ENTRIES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from struct import Struct

    from .process import Clocks, Process

#: More subscriptions than any program has descriptors.
MAX_SUBSCRIPTIONS = 1 << 16

#: A wait is cut into parts of at most so many seconds, which every host function that waits can express.
_MAX_WAIT = 3600.0


class _Subscription:
    """One thing to wait for.

    Attributes:
        userdata: the program's name for it.
        kind: event type.
        clock, deadline: of a clock: which of the host's, and the time in nanoseconds at which it is ready.
        left: of a clock of the program's own: nanoseconds until it is ready.
        fd: host descriptor to poll, or None.
        available: what a read would find, if that is known beforehand.
        error: a WASI error number, which makes the event ready at once.
        ready: the event has come.
    """

    __slots__ = ("available", "clock", "deadline", "error", "fd", "kind", "left", "ready", "userdata")

    def __init__(self, userdata: int, kind: int) -> None:
        self.left = 0
        self.userdata = userdata
        self.kind = kind
        self.clock = abi.CLOCK_MONOTONIC
        self.deadline: int | None = None
        self.fd: int | None = None
        self.available = (0, False)
        self.error = SUCCESS
        self.ready = False


def poll_oneoff(
    process: Process,
    memory: memoryview,
    subscriptions: int,
    events: int,
    count: int,
    result: int,
    *,
    layout: Struct = abi.SUBSCRIPTION_CLOCK,
) -> int:
    """Wait until at least one subscription is ready, and write an event for each that is."""
    if not 0 < count <= MAX_SUBSCRIPTIONS:
        raise Errno(EINVAL)
    guest.check(memory, subscriptions, layout.size * count)
    guest.check(memory, events, abi.EVENT.size * count)
    guest.check(memory, result, abi.U32.size)
    wanted = []
    for index in range(count):
        if index and not index % ENTRIES and process.check is not None:
            process.check()
        wanted.append(_subscription(process, memory, layout, subscriptions + layout.size * index))
    _wait(process, wanted)
    written = 0
    for item in wanted:
        if item.ready:
            size, hangup = item.available
            flags = abi.EVENT_HANGUP if hangup else 0
            abi.EVENT.pack_into(
                memory, events + abi.EVENT.size * written, item.userdata, item.error, item.kind, size, flags
            )
            written += 1
    abi.U32.pack_into(memory, result, written)
    return SUCCESS


def _subscription(process: Process, memory: memoryview, layout: Struct, address: int) -> _Subscription:
    userdata, kind, clock, timeout, _precision, flags = layout.unpack_from(memory, address)
    if kind > abi.EVENT_FD_WRITE:
        raise Errno(EINVAL)
    item = _Subscription(userdata, kind)
    try:
        if kind == abi.EVENT_CLOCK:
            # The clocks of processor time stand still while one sleeps.
            if clock not in (abi.CLOCK_REALTIME, abi.CLOCK_MONOTONIC):
                raise Errno(EINVAL)
            absolute = flags & abi.SUBSCRIPTION_CLOCK_ABSTIME
            if process.clocks is not None:
                # How long it is by the program's clock is how long it takes by the host's, if it takes any time.
                item.left = max(timeout - process.clocks.now(clock), 0) if absolute else timeout
                item.deadline = clocks.now(abi.CLOCK_MONOTONIC) + item.left
            elif absolute:
                item.clock, item.deadline = clock, timeout
            else:
                # As POSIX has it of timers: setting the realtime clock does not change how long a wait is.
                item.deadline = clocks.now(abi.CLOCK_MONOTONIC) + timeout
        else:
            file = process.files.get(abi.SUBSCRIPTION_FD.unpack_from(memory, address)[2], abi.POLL_FD_READWRITE)
            item.fd = file.fileno()
            if item.fd is None:
                item.ready = True
                if kind == abi.EVENT_FD_READ:
                    item.available = file.available()
    except Errno as error:
        item.error = error.number
        item.ready = True
    return item


def _wait(process: Process, wanted: list[_Subscription]) -> None:
    """Mark what is ready; wait until something is."""
    files = [item for item in wanted if item.fd is not None]
    timers = [item for item in wanted if item.deadline is not None]
    poller = _Poller(files) if files else None
    if timers and process.clocks is not None and _passed(process.clocks, wanted, timers, poller):
        return
    waited = 0.0
    while True:
        left = _MAX_WAIT
        for item in timers:
            assert item.deadline is not None
            remaining = item.deadline - clocks.now(item.clock)
            item.ready = item.ready or remaining <= 0
            left = min(left, max(remaining, 0) / 1_000_000_000)
        ready = any(item.ready for item in wanted)
        if process.check is not None:
            if waited:
                process.check()
            left = min(left, CHECK_INTERVAL)
        waited = 0.0 if ready else left
        if poller is not None:
            poller.poll(waited)
            ready = ready or any(item.ready for item in files)
        elif waited:
            time.sleep(waited)
        if ready:
            return


def _passed(clocks: Clocks, wanted: list[_Subscription], timers: list[_Subscription], poller: _Poller | None) -> bool:
    """Mark what is ready if the program's own time can pass without waiting; false if it cannot."""
    if poller is not None:
        poller.poll(0)
    ready = any(item.ready for item in wanted)
    left = 0 if ready else min(item.left for item in timers)
    if not clocks.pass_by(left):
        return False
    for item in timers:
        item.ready = item.left <= left
    return True


class _Poller:
    """The host's poll over the descriptors of subscriptions."""

    __slots__ = ("_events", "_items", "_poll")

    def __init__(self, items: list[_Subscription]) -> None:
        import select

        self._events = {abi.EVENT_FD_READ: select.POLLIN, abi.EVENT_FD_WRITE: select.POLLOUT}
        self._items = items
        self._poll = select.poll()
        masks: dict[int, int] = {}
        for item in items:
            assert item.fd is not None
            if item.fd < 0:
                item.error = EBADF
                item.ready = True
            else:
                masks[item.fd] = masks.get(item.fd, 0) | self._events[item.kind]
        for fd, mask in masks.items():
            self._poll.register(fd, mask)

    def poll(self, seconds: float) -> None:
        """Wait so long, and mark what is ready."""
        from select import POLLERR, POLLHUP, POLLNVAL

        # Rounded up, so that a wait for a clock and a file does not spin through the last millisecond.
        found = dict(self._poll.poll(-(-seconds * 1000 // 1)))
        for item in self._items:
            assert item.fd is not None
            event = found.get(item.fd, 0)
            if not event & (self._events[item.kind] | POLLHUP | POLLERR | POLLNVAL):
                continue
            item.ready = True
            if event & POLLNVAL:
                item.error = EBADF
            elif event & POLLERR and not event & self._events[item.kind]:
                item.error = EIO
            elif item.kind == abi.EVENT_FD_READ:
                item.available = (_readable_bytes(item.fd), bool(event & POLLHUP))


def _readable_bytes(fd: int) -> int:
    """How many bytes a read would give now; 1 where the kernel does not tell."""
    status = os.fstat(fd)
    if file_type(status.st_mode) == abi.REGULAR_FILE:
        # The kernel would say it in 32 bits, and a negative number past the end.
        return max(status.st_size - os.lseek(fd, 0, os.SEEK_CUR), 0)
    from fcntl import ioctl
    from termios import FIONREAD

    try:
        answer = ioctl(fd, FIONREAD, b"\0\0\0\0")
    except OSError:
        return 1
    return int.from_bytes(answer, "little")
