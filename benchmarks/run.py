"""Run time of real programs, compiled eagerly, against wasmtime's baseline compiler, Winch.

Both engines run in this very process, taking turns. What is timed is what lies between the program's calls of the host
functions ``bench.start`` and ``bench.end``; compiling and instantiating lie outside.
"""

from __future__ import annotations

from .peers import programs, require_wasmtime
from .report import Figure, Report, geometric_mean
from .session import Session
from .timed import Program, ours, seconds, with_wasmtime

PROGRAMS = {
    "shootout-sieve": "shootout/shootout-sieve.wasm",
    "shootout-heapsort": "shootout/shootout-heapsort.wasm",
    "shootout-matrix": "shootout/shootout-matrix.wasm",
    "shootout-fib2": "shootout/shootout-fib2.wasm",
    "shootout-ctype": "shootout/shootout-ctype.wasm",
    "bz2": "bz2/benchmark.wasm",
}
BAR = 0.9


def measure(session: Session) -> Report:
    """Medians of runs; with ``peers`` Cranelift, the optimising compiler, is shown too."""
    require_wasmtime()
    strategies = ["winch"] + (["cranelift"] if session.peers else [])
    ratios = [f"{strategy} ratio" for strategy in strategies]
    report = Report("run", ["vibewasm", *strategies, *ratios], reference="winch")
    for name, path in session.progress.each(PROGRAMS.items()):
        program = Program(name, programs() / path)
        runs = {"vibewasm": ours(program)}
        for strategy in strategies:
            runs[strategy] = with_wasmtime(program, strategy)
        sides = {side: seconds(run) for side, run in runs.items()}
        report.compare(name, session.medians(sides, name))
    for strategy in strategies:
        mean = geometric_mean(report.column(f"{strategy} ratio"))
        bar = BAR if strategy == "winch" else None
        report.figures.append(Figure(f"geometric mean, to {strategy}", mean, bar))
    return report
