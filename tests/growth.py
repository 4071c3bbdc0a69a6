"""Whether work grows in proportion to its input, measured against itself: a slow or busy machine changes nothing."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, TypeVar

Input = TypeVar("Input")

#: Four times the input is tried. Linear work then takes 4 times as long, quadratic work 16 times.
TIMES = 4
MOST_GROWTH = 9.0
#: CPU seconds below which a measurement says little; growth from less than this is not looked at.
LEAST_SECONDS = 0.005
#: One measurement may show anything on a machine that does something else too: the least of several counts.
ATTEMPTS = 6


def assert_linear(make: Callable[[int], Input], work: Callable[[Input], object], size: int) -> None:
    """``work`` on ``make(4 * size)`` takes no more than some four times as long as on ``make(size)``.

    Making the input is not measured.
    """
    small, large = make(size), make(TIMES * size)
    # Objects of other tests would be walked by each full collection.
    gc.collect()
    gc.freeze()
    try:
        least, most = _seconds(work, small), _seconds(work, large)
        for _ in range(ATTEMPTS):
            if most < MOST_GROWTH * max(least, LEAST_SECONDS):
                return
            least, most = min(least, _seconds(work, small)), min(most, _seconds(work, large))
    finally:
        gc.unfreeze()
    raise AssertionError(f"{TIMES} times the input takes {most:.3f} s instead of {least:.3f} s of CPU time")


def _seconds(work: Callable[[Input], object], given: Input) -> float:
    start = time.process_time()
    work(given)
    return time.process_time() - start


def steps(work: Callable[[], object]) -> int:
    """How many instructions of the interpreter some work takes: the same each time, however busy the machine is.

    What one of them does in C counts as one, so what takes long in C has to be timed.
    """
    counts: dict[CodeType, int] = {}

    def count(frame: FrameType, event: str, arg: Any) -> Any:
        if event == "call":
            frame.f_trace_opcodes = True
            frame.f_trace_lines = False
        elif event == "opcode":
            code = frame.f_code
            counts[code] = counts.get(code, 0) + 1
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        work()
    finally:
        sys.settrace(before)
    return sum(counts.values())
