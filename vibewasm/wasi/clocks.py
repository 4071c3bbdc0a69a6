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
    """The time of a WASI clock in nanoseconds."""
    return time.clock_gettime_ns(_host_clock(clock))


def clock_res_get(process: Process, memory: memoryview, clock: int, result: int) -> int:
    """Write the resolution of a clock in nanoseconds."""
    resolution = round(time.clock_getres(_host_clock(clock)) * 1_000_000_000)
    guest.store(memory, abi.U64, result, max(resolution, 1))
    return SUCCESS


def clock_time_get(process: Process, memory: memoryview, clock: int, precision: int, result: int) -> int:
    """Write the time of a clock in nanoseconds. The precision asked for is what the host gives in any case."""
    guest.store(memory, abi.U64, result, now(clock))
    return SUCCESS


def _host_clock(clock: int) -> int:
    host = _CLOCKS.get(clock)
    if host is None:
        raise Errno(EINVAL)
    return host
