"""The peak of resident memory of a whole process that compiles and runs a program, against wasmtime-py.

Processes are those of :mod:`.first` and :mod:`.warm`; the system tells the peak when one ends (``ru_maxrss``).
"""

from __future__ import annotations

from . import processes
from .report import Figure, Report
from .session import Session

#: SQLite, to wasmtime-py's default.
BAR = 0.52
#: CPython, megabytes.
BAR_OF_CPYTHON = 100


def measure(session: Session) -> Report:
    """Medians of processes."""
    ours = processes.FilledCache(session)
    sides: dict[str, processes.Side] = {"vibewasm": processes.FirstRun(session), "vibewasm, warm": ours}
    sides |= {strategy: processes.compiling(session, strategy) for strategy in ("cranelift", "winch")}
    sides["serialized"] = processes.serialized(session)
    report = Report("memory", [*sides, "ratio"], unit="B", reference="cranelift")
    for program in session.progress.each([processes.HELLO, processes.sqlite(), *processes.cpython(session)]):
        session.progress.say(f"{program.name}: checking what it prints")
        runs = {name: side.peak(program) for name, side in sides.items()}
        report.compare(program.name, session.medians(runs, program.name))
    (ratio,) = report.column("ratio", ["sqlite3"])
    report.figures.append(Figure("sqlite3, to cranelift", ratio, BAR))
    for side in ("vibewasm", "vibewasm, warm"):
        for peak in report.column(side, ["CPython"]):
            report.figures.append(Figure(f"CPython, {side}, megabytes", peak / 1e6, BAR_OF_CPYTHON))
    report.notes += [] if session.cpython else [processes.NO_CPYTHON]
    report.notes += ours.notes()
    return report
