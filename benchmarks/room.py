"""How much memory a module takes for each of its bytes, by what it is full of, what many instances take,
and what stays when modules and instances are gone.

Each family of modules (:mod:`tests.binary.dense`) is measured in a process of its own, once for the resident memory of
the process and once for what Python's allocator was asked for; both are peaks, above what the process had before.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from subprocess import run
from typing import Any

from tests.binary.dense import COMPILED, DECODED, NAMED

from .report import Figure, Report
from .session import Session

#: Bytes for each byte of a module, whatever it is full of.
BAR = 40
#: Bytes that may be left of each of many modules when all are gone.
BAR_OF_LEFT = 16
#: Of 10,000 instances of one module, megabytes.
BAR_OF_INSTANCES = 700
#: Megabytes that may be more when 10,000 are made once more, and after 100,000 that were dropped one by one.
BAR_OF_MORE = 8
#: About so many things in each module.
_THINGS = 200_000
_MODULES = 300_000

#: What is done with the modules of each set, by what a row calls it, and whether the bar is for it.
WORK = {
    "module": (DECODED, True),
    "names": (NAMED, True),
    "inspect": (DECODED, False),
    "image": (DECODED, False),
    "text": (DECODED, False),
    "eager": (COMPILED, False),
    "validate": (COMPILED, False),
    "serialize": (COMPILED, False),
}


def measure(session: Session) -> Report:
    """Peaks, in bytes for each byte of the module."""
    report = Report("room", ["bytes", "resident ratio", "traced ratio", "kept ratio"], unit="B")
    tasks = [(work, family) for work, (families, _) in WORK.items() for family in families]
    for work, family in session.progress.each(tasks):
        found = child("family", work, family, str(_THINGS))
        # Text of a module that is invalid cannot be had.
        if found:
            report.rows.append((f"{work}: {family}", [found["bytes"], *found["ratios"]]))
    for work, (_, barred) in WORK.items():
        rows = [row for row, _ in report.rows if row.startswith(f"{work}: ")]
        for column in ("resident ratio", "traced ratio"):
            worst, name = max(zip(report.column(column, rows), rows, strict=True))
            what = f"{name}, bytes for a byte ({column.removesuffix(' ratio')})"
            report.figures.append(Figure(what, worst, BAR if barred else None))
    for work, what in (("instantiate", "made into an instance"), ("call", "called, and calling Python")):
        found = child("left", work, str(_MODULES))
        name = f"{_MODULES:,} modules, each of another type and {what}: bytes left of each"
        report.figures.append(Figure(name, found["left"], BAR_OF_LEFT))
        report.figures.append(
            Figure(f"the same, microseconds each (all of them: {found['seconds']:.0f} s)", found["each"], None)
        )
    for functions in ("10", "100"):
        found = child("instances", functions, "10000")
        what = f"10,000 instances with a page and a table of {functions} functions, megabytes"
        report.figures.append(Figure(what, found["megabytes"], BAR_OF_INSTANCES))
        report.figures.append(
            Figure("  more after the same again, and all gone, megabytes", found["more"], BAR_OF_MORE)
        )
        found = child("cycles", functions, "100000")
        report.figures.append(Figure("  more after 100,000 one by one, megabytes", found["more"], BAR_OF_MORE))
    return report


def child(*arguments: str) -> dict[str, Any]:
    """What :mod:`.room_child` finds."""
    command = [sys.executable, "-m", "benchmarks.room_child", *arguments]
    done = run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
    found: dict[str, Any] = json.loads(done.stdout)
    return found
