"""Compile time of one large module (SQLite), eagerly, on one thread, against wasmtime's two compilers.

Each measurement is a child process of its own, and the children of the three sides take turns. A child reads the file
and imports its engine first, then times compiling the whole module three times, with a fresh engine each. The first
time is the *cold* one, which the bars count: what vibewasm memoises is empty then. The median of the others is *warm*.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

from .peers import ROOT, programs, require_wasmtime
from .report import Figure, Report, median, take_turns

BARS = {"cranelift": 0.5, "winch": 2.5}

_TIMING = """
import json, sys
from time import perf_counter
data = open(sys.argv[1], "rb").read()
times = []
for _ in range(3):
    engine = make()
    start = perf_counter()
    module = Module(engine, data)
    times.append(perf_counter() - start)
    del module, engine
print(json.dumps(times))
"""
_OURS = """
from vibewasm import Config, Engine, Module
make = lambda: Engine(Config(compilation="eager"))
"""
_PEER = """
from wasmtime import Module
from benchmarks.peers import wasmtime_engine
make = lambda: wasmtime_engine({strategy!r})
"""


def measure(rounds: int, peers: bool) -> Report:
    """Medians of ``rounds`` child processes a side. ``peers`` changes nothing: both are always shown."""
    require_wasmtime()
    file = str(programs() / "sqlite3" / "sqlite3.wasm")
    warm: dict[str, list[float]] = {"vibewasm": [], "cranelift": [], "winch": []}

    def child(side: str, prelude: str) -> Callable[[], float]:
        def run() -> float:
            command = [sys.executable, "-c", prelude + _TIMING, file]
            output = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout
            cold, *rest = json.loads(output)
            warm[side].append(median(rest))
            return float(cold)

        return run

    sides = {"vibewasm": child("vibewasm", _OURS)}
    sides |= {side: child(side, _PEER.format(strategy=side)) for side in BARS}
    colds = {side: median(values) for side, values in take_turns(sides, rounds).items()}
    warms = {side: median(values) for side, values in warm.items()}
    report = Report("compile", ["cold", "warm"])
    report.rows = [(side, [colds[side], warms[side]]) for side in sides]
    for side, bar in BARS.items():
        report.figures.append(Figure(f"cold, to {side}", colds["vibewasm"] / colds[side], bar))
        report.figures.append(Figure(f"warm, to {side}", warms["vibewasm"] / warms[side], None))
    return report
