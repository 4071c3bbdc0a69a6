"""Making an instance in a store of its own and dropping both, as hosts of plug-ins do for every request.

The module is compiled and the linker made before, on both sides, in this very process; so what is timed is
``Linker.instantiate`` in a new ``Store``, and what dropping the instance costs, the collector's share included.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from .modules import EMPTY, table_of
from .peers import require_wasmtime
from .report import Figure, Report
from .session import Session

#: To wasmtime-py.
BAR = 2.5
#: Microseconds.
BAR_OF_EMPTY = 60

#: Instances made at once.
_INSTANCES = 300

MODULES = {
    "empty module": EMPTY,
    "a page, a table, 10 functions": table_of(10),
    "a page, a table, 100 functions": table_of(100),
}


def measure(session: Session) -> Report:
    """Medians, in seconds an instance."""
    require_wasmtime()
    report = Report("instances", ["vibewasm", "wasmtime-py", "ratio"], reference="wasmtime-py")
    for name, data in session.progress.each(MODULES.items()):
        sides = {"vibewasm": _ours(data), "wasmtime-py": _wasmtime(data)}
        # What is made at the first instance of a module stays with the module.
        for side in sides.values():
            side()
        report.compare(name, {side: value / _INSTANCES for side, value in session.medians(sides, name).items()})
    (empty, *others) = MODULES
    report.figures = [Figure(name, report.column("ratio", [name])[0], BAR) for name in others]
    (seconds,) = report.column("vibewasm", [empty])
    report.figures.append(Figure(f"{empty}, microseconds", seconds * 1e6, BAR_OF_EMPTY))
    return report


def _repeat(make: Callable[[], object]) -> Callable[[], float]:
    def run() -> float:
        start = perf_counter()
        for _ in range(_INSTANCES):
            make()
        return perf_counter() - start

    return run


def _ours(data: bytes) -> Callable[[], float]:
    import vibewasm

    engine = vibewasm.Engine(vibewasm.Config(compilation="eager"))
    module = vibewasm.Module(engine, data)
    linker = vibewasm.Linker(engine)
    return _repeat(lambda: linker.instantiate(vibewasm.Store(engine), module))


def _wasmtime(data: bytes) -> Callable[[], float]:
    import wasmtime

    engine = wasmtime.Engine()
    module = wasmtime.Module(engine, data)
    linker = wasmtime.Linker(engine)
    return _repeat(lambda: linker.instantiate(wasmtime.Store(engine), module))
