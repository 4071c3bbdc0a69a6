"""The peak of resident memory of a whole process that compiles and runs a program, against wasmtime-py.

Processes are those of :mod:`.first` and :mod:`.warm`; the system tells the peak when one ends (``ru_maxrss``).
"""

from __future__ import annotations

from dataclasses import replace

from . import processes
from .report import Figure, Report
from .session import Session

#: SQLite, all of it compiled on both sides, to wasmtime-py's default.
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
    sqlite = processes.sqlite()
    # The peers compile all of it; we do when asked to.
    eager = replace(sqlite, name="sqlite3, eager", options=("--eager",))
    processes.compare(
        session, report, [sqlite, eager], lambda program: {name: side.peak(program) for name, side in sides.items()}
    )
    for name, bar in ((sqlite.name, None), (eager.name, BAR)):
        (ratio,) = report.column("ratio", [name])
        report.figures.append(Figure(f"{name}, to cranelift", ratio, bar))
    for side in ("vibewasm", "vibewasm, warm"):
        for peak in report.column(side, ["CPython"]):
            report.figures.append(Figure(f"CPython, {side}, megabytes", peak / 1e6, BAR_OF_CPYTHON))
    report.notes += ours.notes()
    return report
