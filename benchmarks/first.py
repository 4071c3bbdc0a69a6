"""The first run of a program: whole processes, from their start to their end, with an empty code cache.

``vibewasm run`` stands against a script that does the same with wasmtime-py, compiling with Cranelift (its default) or
with Winch, on as many threads as it takes by default; Node is shown where there is one. The environment is
:mod:`.installed`. What a program prints is checked in a run before, which also fills the system's file cache.
"""

from __future__ import annotations

from collections.abc import Callable

from . import processes
from .report import Figure, Report, geometric_mean
from .session import Session

BARS = {"winch": 0.7, "cranelift": 0.5}
BAR_OF_WORST = 1.1
BAR_OF_HELLO = 0.5
BAR_OF_CPYTHON = 0.15


def measure(session: Session) -> Report:
    """Medians of processes."""
    tools = processes.tools()
    sides: dict[str, processes.Side] = {"vibewasm": processes.FirstRun(session)}
    sides |= {strategy: processes.compiling(session, strategy) for strategy in ("cranelift", "winch")}
    nodes = processes.node_sides()
    sides |= nodes
    report = Report("first", [*sides, "cranelift ratio", "winch ratio"], reference="cranelift")
    lasting = processes.run_times(session, tools)

    def runs(program: processes.Program) -> dict[str, Callable[[], float]]:
        found = {name: side.time(program) for name, side in sides.items()}
        if program is processes.HELLO:
            found["bare interpreter"] = processes.bare_interpreter(session).time(program)
        return found

    medians = processes.compare(session, report, tools, runs)
    bare = medians[processes.HELLO.name]["bare interpreter"]
    report.notes.append(f"Of each process with Python, the bare interpreter takes {bare * 1000:.1f} ms.")
    names = [program.name for program in tools]
    for side, bar in BARS.items():
        mean = geometric_mean(report.column(f"{side} ratio", names))
        report.figures.append(Figure(f"geometric mean, to {side}", mean, bar))
        brief = [name for name in names if lasting[name] <= processes.BRIEF]
        mean = geometric_mean(report.column(f"{side} ratio", brief))
        report.figures.append(
            Figure(f"geometric mean where running takes {processes.BRIEF} s at most, to {side}", mean, None)
        )
    worst = max(report.column("winch ratio", names))
    report.figures.append(Figure("worst, to winch", worst, BAR_OF_WORST))
    for name, bar in (("hello", BAR_OF_HELLO), ("CPython", BAR_OF_CPYTHON)):
        for ratio in report.column("cranelift ratio", [name]):
            report.figures.append(Figure(f"{name}, to cranelift", ratio, bar))
    if not nodes:
        report.notes.append(processes.NO_NODE)
    return report
