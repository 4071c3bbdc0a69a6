"""Eight threads, each with a store of its own, against one thread that does the same work: how much more they do in the
same time. Wasm code runs without the interpreter's lock, so on two cores it may be twice as much; what is Python, as
host functions and compiling are, is done by one thread at a time.

All threads share an engine and a module. Each piece of work is an instance in a new store, whose functions are compiled
with the first one, and a hundred calls of about a millisecond.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from time import perf_counter

from .report import Figure, Report
from .session import Session

THREADS = 8
#: Of the time that one thread takes: 1.8 times its throughput, on two cores.
BAR = 0.556
#: Calls of each thread.
_CALLS = 100

_TEXT = """(module (import "host" "f" (func $host (param i32) (result i32)))
  (memory 2)
  (func $work (export "work") (param $rounds i32) (result i32) (local $at i32) (local $sum i32)
    (loop $again
      (local.set $at (i32.and (i32.add (local.get $at) (i32.const 68)) (i32.const 0xfffc)))
      (i32.store (local.get $at) (i32.add (i32.load (local.get $at)) (local.get $rounds)))
      (local.set $sum (i32.xor (local.get $sum) (i32.load offset=4 (local.get $at))))
      (br_if $again (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
    (local.get $sum))
  (func (export "with_host") (param $rounds i32) (result i32) (local $count i32) (local $sum i32)
    (local.set $count (i32.const 4))
    (loop $again
      (local.set $sum (i32.add (local.get $sum)
        (call $host (call $work (i32.shr_u (local.get $rounds) (i32.const 2))))))
      (br_if $again (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))
    (local.get $sum)))"""
_ROUNDS = 1_000_000


def measure(session: Session) -> Report:
    """Medians, in seconds for the work of all threads."""
    together = f"{THREADS} threads"
    report = Report("threads", [together, "1 thread", "ratio"], reference="1 thread")
    cores = len(os.sched_getaffinity(0))
    for name, export in session.progress.each([("calls", "work"), ("calls with host functions", "with_host")]):
        work = _work(export)
        report.compare(name, session.medians({together: _timed(work, THREADS), "1 thread": _timed(work, 1)}, name))
        (ratio,) = report.column("ratio", [name])
        report.figures.append(Figure(f"{name}, to one thread's time", ratio, BAR if cores > 1 else None))
    if cores < 2:
        report.notes.append("One core: threads gain nothing there, and there is no bar.")
    return report


def _work(export: str) -> Callable[[], None]:
    import vibewasm

    engine = vibewasm.Engine()
    module = vibewasm.Module(engine, _TEXT)

    def work() -> None:
        imports = {"host": {"f": lambda number: number}}
        with vibewasm.instantiate(module, imports, store=vibewasm.Store(engine)) as instance:
            function = instance.exports[export]
            for _ in range(_CALLS):
                function(_ROUNDS)

    return work


def _timed(work: Callable[[], None], count: int) -> Callable[[], float]:
    """All of the work, by so many threads."""

    def each() -> None:
        for _ in range(THREADS // count):
            work()

    def run() -> float:
        threads = [threading.Thread(target=each) for _ in range(count)]
        start = perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return perf_counter() - start

    return run
