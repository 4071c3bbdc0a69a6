"""One large module (SQLite) compiled eagerly for each target on this host: time and machine code, AArch64 to x86-64.

Each measurement is a child process of its own, and the children take turns. Time is that of the first module of its
process, see :mod:`.compile`.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from .children import child_output
from .peers import programs
from .report import Figure, Report
from .session import Session

BAR_OF_TIME = 1.15
BAR_OF_SIZE = 1.25
TARGETS = ("aarch64", "x86_64")

_CHILD = """
import json, sys
from time import perf_counter
from vibewasm import Config, Engine, Module
data = open(sys.argv[1], "rb").read()
engine = Engine(Config(compilation="eager", target=sys.argv[2]))
start = perf_counter()
module = Module(engine, data)
took = perf_counter() - start
print(json.dumps([took, sum(len(module.compiler.compile(defined)) for defined in range(len(module.info.bodies)))]))
"""


def measure(session: Session) -> Report:
    """Medians of child processes. ``peers`` changes nothing."""
    file = str(programs() / "sqlite3" / "sqlite3.wasm")
    sizes: dict[str, int] = {}

    def child(target: str) -> Callable[[], float]:
        def run() -> float:
            took, sizes[target] = json.loads(child_output(_CHILD, file, target))
            return float(took)

        run()
        return run

    report = Report("cross", [*TARGETS, "ratio"], reference="x86_64")
    report.compare("sqlite3", session.medians({target: child(target) for target in TARGETS}))
    report.figures = [
        Figure("compile time, aarch64 to x86_64", report.column("ratio")[0], BAR_OF_TIME),
        Figure("code size, aarch64 to x86_64", sizes["aarch64"] / sizes["x86_64"], BAR_OF_SIZE),
    ]
    return report
