"""``python -m benchmarks NAME...``, from the project's root. What each one measures: docs/performance.md."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import ExitStack
from pathlib import Path

from . import (
    bombs,
    calls,
    compile,
    cross,
    exceptions,
    explore,
    first,
    instances,
    loops,
    memory,
    peers,
    plot,
    results,
    room,
    run,
    start,
    stopping,
    tail_calls,
    threads,
    vector_compile,
    vectors,
    warm,
)
from .machine import conditions
from .progress import Progress
from .report import Report
from .session import Session

#: Each benchmark and how many rounds it takes by default.
BENCHMARKS = {
    "first": (first.measure, 7),
    "warm": (warm.measure, 7),
    "memory": (memory.measure, 7),
    "run": (run.measure, 7),
    "vectors": (vectors.measure, 7),
    "compile": (compile.measure, 9),
    "vector_compile": (vector_compile.measure, 7),
    "cross": (cross.measure, 9),
    "start": (start.measure, 60),
    "instances": (instances.measure, 9),
    "room": (room.measure, 1),
    "stopping": (stopping.measure, 3),
    "calls": (calls.measure, 9),
    "arrays": (loops.measure_arrays, 9),
    "native": (loops.measure_native, 9),
    "exceptions": (exceptions.measure, 9),
    "tail_calls": (tail_calls.measure, 3),
    "bombs": (bombs.measure, 3),
    "threads": (threads.measure, 7),
    "explore": (explore.measure, 40),
}


def main() -> int:
    """Print the chosen benchmarks' reports.

    The exit code is 1 where what a benchmark needs is missing (``all`` leaves such a one out and says so), and with
    ``--check`` where a bar is not met.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("benchmark", nargs="+", choices=[*BENCHMARKS, "all"])
    parser.add_argument("--rounds", type=_count, help="measure so often, instead of the benchmark's own number")
    parser.add_argument("--peers", action="store_true", help="show further engines, for reference")
    parser.add_argument(
        "--json", metavar="FILE", help="keep the reports in FILE, where those of other benchmarks stay; - prints them"
    )
    parser.add_argument("--plot", metavar="DIR", type=Path, help="draw each benchmark as DIR/NAME.svg")
    parser.add_argument(
        "--cpython", metavar="PATH", help="CPython for WASI (or VIBEWASM_CPYTHON): the file or its folder"
    )
    parser.add_argument("--check", action="store_true", help="exit with 1 where a bar is not met")
    options = parser.parse_args()
    try:
        cpython = peers.cpython(options.cpython)
    except peers.MissingError as missing:
        parser.error(str(missing))
    met = True
    with ExitStack() as stack:
        session = Session(stack, options.peers, cpython)
        names = list(BENCHMARKS) if "all" in options.benchmark else options.benchmark
        for number, name in enumerate(names, 1):
            session.progress = Progress(f"{name} ({number} of {len(names)})" if len(names) > 1 else name)
            try:
                report = _measure(name, session, options.rounds)
            except peers.MissingError as missing:
                print(f"benchmarks: {name}: {missing}", file=sys.stderr)
                met = met and "all" in options.benchmark
                continue
            if options.json == "-":
                print(json.dumps(report.as_json()), flush=True)
            else:
                print(report.as_text() + "\n", flush=True)
                if options.json:
                    results.keep(Path(options.json), report)
            if options.plot:
                plot.write(options.plot, report)
            met = met and not (options.check and any(figure.met is False for figure in report.figures))
    return 0 if met else 1


def _measure(name: str, session: Session, rounds: int | None) -> Report:
    measure, usual = BENCHMARKS[name]
    session.rounds = rounds or usual
    try:
        report = measure(session)
    finally:
        session.progress.close()
    report.conditions = conditions(session.rounds)
    return report


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return count


if __name__ == "__main__":
    sys.exit(main())
