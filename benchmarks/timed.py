"""Programs that mark themselves what is to be timed, by calls of ``bench.start`` and ``bench.end``.

They are compiled eagerly, and compiling and instantiating lie outside of the marks. vibewasm and wasmtime run in this
very process; Node in a process of its own for each run, which tells what it measured.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from .children import child_environment
from .peers import NODE_OPTIONS, wasmtime_engine

_NODE = str(Path(__file__).resolve().parent / "scripts" / "node_timed.cjs")


@dataclass(frozen=True)
class Program:
    """A program, which sees its own folder, and what it has to print if that is known."""

    name: str
    file: Path
    stdout: bytes | None = None
    stderr: bytes | None = None


@dataclass(frozen=True)
class Outcome:
    """One run: seconds between the marks, and what was printed."""

    seconds: float
    stdout: bytes
    stderr: bytes


#: Runs a program once.
Run = Callable[[], Outcome]


class Stopwatch:
    """``bench.start`` and ``bench.end``; adds up what lies between them."""

    def __init__(self) -> None:
        self.total = 0.0
        self._started = 0.0

    def start(self) -> None:
        self._started = perf_counter()

    def end(self) -> None:
        self.total += perf_counter() - self._started


def seconds(run: Run) -> Callable[[], float]:
    """What gives the seconds of a run."""
    return lambda: run().seconds


def checked(program: Program, side: str, run: Run) -> Callable[[], float]:
    """What gives the seconds of a run. The program runs once before; each run has to print what it should."""

    def measured() -> float:
        outcome = run()
        for printed, wanted in ((outcome.stdout, program.stdout), (outcome.stderr, program.stderr)):
            if wanted not in (None, printed):
                raise SystemExit(f"benchmarks: {program.name} with {side} printed wrongly: {printed[-2000:]!r}")
        return outcome.seconds

    measured()
    return measured


def ours(program: Program) -> Run:
    """With vibewasm."""
    import vibewasm

    engine = vibewasm.Engine(vibewasm.Config(compilation="eager"))
    module = vibewasm.Module(engine, program.file.read_bytes())

    def run() -> Outcome:
        watch = Stopwatch()
        with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
            folder, name = program.file.parent, program.file.name
            wasi = vibewasm.WasiConfig(args=[name], preopens={".": str(folder)}, stdout=stdout, stderr=stderr)
            linker = vibewasm.Linker(engine)
            linker.define_wasi(wasi)
            linker.define("bench", "start", watch.start)
            linker.define("bench", "end", watch.end)
            try:
                linker.instantiate(vibewasm.Store(engine), module).exports["_start"]()
            except vibewasm.ExitTrap as exit:
                if exit.code:
                    raise
            stdout.seek(0)
            stderr.seek(0)
            return Outcome(watch.total, stdout.read(), stderr.read())

    return run


def with_wasmtime(program: Program, strategy: str) -> Run:
    """With one of wasmtime's compilers."""
    import wasmtime

    engine = wasmtime_engine(strategy)
    module = wasmtime.Module(engine, program.file.read_bytes())

    def run() -> Outcome:
        watch = Stopwatch()
        with tempfile.TemporaryDirectory() as folder:
            stdout, stderr = Path(folder, "stdout"), Path(folder, "stderr")
            wasi = wasmtime.WasiConfig()
            wasi.argv = [program.file.name]
            wasi.preopen_dir(str(program.file.parent), ".")
            wasi.stdout_file, wasi.stderr_file = str(stdout), str(stderr)
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
            return Outcome(watch.total, stdout.read_bytes(), stderr.read_bytes())

    return run


def refusal(strategy: str, programs: Sequence[Program]) -> str:
    """What a compiler of wasmtime's says of the first program that it does not compile; empty if it compiles all.

    Winch has vector instructions for processors with AVX2 only.
    """
    import wasmtime

    for program in programs:
        try:
            wasmtime.Module(wasmtime_engine(strategy), program.file.read_bytes())
        except wasmtime.WasmtimeError as error:
            return f"{program.name}: {' '.join(str(error).split())}"
    return ""


def in_node(program: Program, command: str, compiler: str) -> Run:
    """With one of Node's compilers."""
    line = [command, "--no-warnings", NODE_OPTIONS[compiler], "--no-wasm-lazy-compilation", _NODE, program.file.name]

    def run() -> Outcome:
        reading, writing = os.pipe()
        with open(reading, "rb") as told:
            try:
                done = subprocess.run(
                    [*line, str(writing)],
                    cwd=program.file.parent,
                    env=child_environment(),
                    capture_output=True,
                    pass_fds=[writing],
                    check=True,
                )
            finally:
                os.close(writing)
            return Outcome(float(told.read()) / 1000, done.stdout, done.stderr)

    return run
