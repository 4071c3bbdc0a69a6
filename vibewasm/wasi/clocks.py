"""Clocks, and sleeping."""

from __future__ import annotations

import time

from . import abi, guest
from .errnos import EINVAL, SUCCESS, Errno

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .process import Process

_CLOCKS = {
    abi.CLOCK_REALTIME: time.CLOCK_REALTIME,
    abi.CLOCK_MONOTONIC: time.CLOCK_MONOTONIC,
    abi.CLOCK_PROCESS_CPUTIME: time.CLOCK_PROCESS_CPUTIME_ID,
    abi.CLOCK_THREAD_CPUTIME: time.CLOCK_THREAD_CPUTIME_ID,
}


def now(clock: int) -> int:
    """The time of a WASI clock of the host in nanoseconds."""
    return time.clock_gettime_ns(_host_clock(clock))


def file_time(process: Process) -> int:
    """The time that a file is given which is changed now."""
    return time.time_ns() if process.clocks is None else process.clocks.now(abi.CLOCK_REALTIME)


def clock_res_get(process: Process, memory: memoryview, clock: int, result: int) -> int:
    """Write the resolution of a clock in nanoseconds."""
    resolution = round(time.clock_getres(_host_clock(clock)) * 1_000_000_000)
    if process.clocks is not None:
        resolution = process.clocks.resolution()
    guest.store(memory, abi.U64, result, max(resolution, 1))
    return SUCCESS


def clock_time_get(process: Process, memory: memoryview, clock: int, precision: int, result: int) -> int:
    """Write the time of a clock in nanoseconds. The precision asked for is what the host gives in any case."""
    if process.clocks is None:
        found = now(clock)
    else:
        # Time does not pass, and nobody is asked, for a call that fails.
        _host_clock(clock)
        guest.check(memory, result, abi.U64.size)
        found = process.clocks.look(clock)
    guest.store(memory, abi.U64, result, found)
    return SUCCESS


def _host_clock(clock: int) -> int:
    host = _CLOCKS.get(clock)
    if host is None:
        raise Errno(EINVAL)
    return host
