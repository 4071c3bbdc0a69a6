"""The second run of a program: whole processes with a filled code cache, against wasmtime-py from a serialized file.

What :mod:`.first` says holds here. The peer's script maps code that Cranelift has made and ``Module.serialize`` has
given. Programs that run for long say nothing of how a run begins: those that run for more than
:data:`.processes.BRIEF` are left out.
"""

from __future__ import annotations

from . import processes
from .report import Figure, Report, geometric_mean
from .session import Session

BAR = 0.5
BAR_OF_HELLO = 0.38
BAR_OF_CPYTHON = 1.2
#: Seconds: who runs for less does little else than start.
AT_ONCE = 0.05


def measure(session: Session) -> Report:
    """Medians of processes."""
    ours = processes.FilledCache(session)
    sides = {"vibewasm": ours, "serialized": processes.serialized(session)}
    report = Report("warm", [*sides, "ratio"], reference="serialized")
    tools = processes.tools()
    lasting = processes.run_times(session, tools)
    brief = [program for program in tools if lasting[program.name] <= processes.BRIEF]
    processes.compare(
        session, report, brief, lambda program: {name: side.time(program) for name, side in sides.items()}
    )
    for most, bar in ((processes.BRIEF, BAR), (AT_ONCE, None)):
        names = [program.name for program in brief if lasting[program.name] <= most]
        mean = geometric_mean(report.column("ratio", names))
        report.figures.append(Figure(f"geometric mean where running takes {most} s at most", mean, bar))
    for name, bar in (("hello", BAR_OF_HELLO), ("CPython", BAR_OF_CPYTHON)):
        for ratio in report.column("ratio", [name]):
            report.figures.append(Figure(name, ratio, bar))
    left_out = ", ".join(program.name for program in tools if program not in brief)
    if left_out:
        report.notes.append(f"Left out, since they run for more than {processes.BRIEF} s: {left_out}.")
    report.notes += ours.notes()
    return report
