"""Compile time of whole modules, eagerly, on one thread, against wasmtime's two compilers.

Each measurement is a child process of its own, and the children of the three sides take turns. A child reads the file
and imports its engine first, then times compiling the whole module three times, with a fresh engine each. The first
time is the *cold* one, which the bars count: what vibewasm memoises is empty then. The median of the others is *warm*.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from .children import child_output
from .peers import require_wasmtime
from .processes import Program, sqlite, tools
from .report import Figure, Report, geometric_mean, median
from .session import Session

BARS = {"cranelift": 0.45, "winch": 2.2}
BARS_OF_SQLITE = {"cranelift": 0.38, "winch": 2.3}

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


def measure(session: Session) -> Report:
    """Medians of child processes. ``peers`` changes nothing: both are always shown."""
    require_wasmtime()
    report = Report("compile", ["vibewasm", *BARS, *(f"{side} ratio" for side in BARS)], reference="cranelift")
    small = tools()
    for program in session.progress.each([sqlite(), *small]):
        warm: dict[str, list[float]] = {}
        sides = {"vibewasm": _child("vibewasm", _OURS, program, warm)}
        sides |= {side: _child(side, _PEER.format(strategy=side), program, warm) for side in BARS}
        report.compare(program.name, session.medians(sides, program.name))
        if program not in small:
            report.compare(f"{program.name}, warm", {side: median(values) for side, values in warm.items()})
    for side, bar in BARS.items():
        mean = geometric_mean(report.column(f"{side} ratio", [program.name for program in small]))
        report.figures.append(Figure(f"cold, geometric mean but for sqlite3, to {side}", mean, bar))
        cold, again = report.column(f"{side} ratio", ["sqlite3", "sqlite3, warm"])
        report.figures.append(Figure(f"cold, sqlite3, to {side}", cold, BARS_OF_SQLITE[side]))
        report.figures.append(Figure(f"warm, sqlite3, to {side}", again, None))
    return report


def _child(side: str, prelude: str, program: Program, warm: dict[str, list[float]]) -> Callable[[], float]:
    def run() -> float:
        cold, *rest = json.loads(child_output(prelude + _TIMING, str(program.file)))
        warm.setdefault(side, []).append(median(rest))
        return float(cold)

    return run
