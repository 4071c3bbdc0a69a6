"""Run time of real programs, compiled eagerly, against wasmtime's baseline compiler, Winch.

Both engines run in this very process, taking turns. What is timed is what lies between the program's calls of the host
functions ``bench.start`` and ``bench.end``; compiling and instantiating lie outside.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from .peers import programs, require_wasmtime, wasmtime_engine
from .report import Figure, Report, geometric_mean
from .session import Session

PROGRAMS = {
    "shootout-sieve": "shootout/shootout-sieve.wasm",
    "shootout-heapsort": "shootout/shootout-heapsort.wasm",
    "shootout-matrix": "shootout/shootout-matrix.wasm",
    "shootout-fib2": "shootout/shootout-fib2.wasm",
    "shootout-ctype": "shootout/shootout-ctype.wasm",
    "bz2": "bz2/benchmark.wasm",
}
BAR = 0.9


class Stopwatch:
    """``bench.start`` and ``bench.end``; adds up what lies between them."""

    def __init__(self) -> None:
        self.total = 0.0
        self._started = 0.0

    def start(self) -> None:
        self._started = perf_counter()

    def end(self) -> None:
        self.total += perf_counter() - self._started


def measure(session: Session) -> Report:
    """Medians of runs; with ``peers`` Cranelift, the optimising compiler, is shown too."""
    require_wasmtime()
    strategies = ["winch"] + (["cranelift"] if session.peers else [])
    ratios = [f"{strategy} ratio" for strategy in strategies]
    report = Report("run", ["vibewasm", *strategies, *ratios], reference="winch")
    for name, path in session.progress.each(PROGRAMS.items()):
        file = programs() / path
        sides = {"vibewasm": _ours(file)}
        for strategy in strategies:
            sides[strategy] = _wasmtime(file, strategy)
        report.compare(name, session.medians(sides, name))
    for strategy in strategies:
        mean = geometric_mean(report.column(f"{strategy} ratio"))
        bar = BAR if strategy == "winch" else None
        report.figures.append(Figure(f"geometric mean, to {strategy}", mean, bar))
    return report


def _ours(file: Path) -> Callable[[], float]:
    import vibewasm

    engine = vibewasm.Engine(vibewasm.Config(compilation="eager"))
    module = vibewasm.Module(engine, file.read_bytes())

    def run() -> float:
        watch = Stopwatch()
        with tempfile.TemporaryFile() as output:
            wasi = vibewasm.WasiConfig(args=[file.name], preopens={".": str(file.parent)}, stdout=output)
            linker = vibewasm.Linker(engine)
            linker.define_wasi(wasi)
            linker.define("bench", "start", watch.start)
            linker.define("bench", "end", watch.end)
            try:
                linker.instantiate(vibewasm.Store(engine), module).exports["_start"]()
            except vibewasm.ExitTrap as exit:
                if exit.code:
                    raise
        return watch.total

    return run


def _wasmtime(file: Path, strategy: str) -> Callable[[], float]:
    import wasmtime

    engine = wasmtime_engine(strategy)
    module = wasmtime.Module(engine, file.read_bytes())

    def run() -> float:
        watch = Stopwatch()
        with tempfile.TemporaryDirectory() as folder:
            wasi = wasmtime.WasiConfig()
            wasi.argv = [file.name]
            wasi.preopen_dir(str(file.parent), ".")
            wasi.stdout_file = os.path.join(folder, "stdout")
            store = wasmtime.Store(engine)
            store.set_wasi(wasi)
            linker = wasmtime.Linker(engine)
            linker.define_wasi()
            nothing = wasmtime.FuncType([], [])
            linker.define_func("bench", "start", nothing, watch.start)
            linker.define_func("bench", "end", nothing, watch.end)
            start = linker.instantiate(store, module).exports(store)["_start"]
            assert isinstance(start, wasmtime.Func)
            try:
                start(store)
            except wasmtime.ExitTrap as exit:
                if exit.code:
                    raise
        return watch.total

    return run
