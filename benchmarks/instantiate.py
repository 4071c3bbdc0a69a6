"""Instantiating a compiled module in a new store, and dropping both, as hosts of plug-ins do it for every request.

The modules have nothing; or a page of memory, a data segment and a table of 10 or 100 functions, all of them exported.
Both sides have compiled them before, and leave it to Python to find what nobody uses any more.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from time import perf_counter

from .modules import EMPTY, plugin
from .peers import require_wasmtime
from .report import Figure, Report, median, take_turns

#: Functions of the modules, and how many times wasmtime-py's time instantiating them may take.
SIZES = {10: 2.5, 100: 2.5}
#: Microseconds that a module of nothing may take, on a machine of 2026.
EMPTY_BAR = 60.0

#: Instances timed at once: some collections are among them.
_INSTANCES = 200


def measure(rounds: int, peers: bool) -> Report:
    """Medians over ``rounds``, in seconds an instance."""
    require_wasmtime()
    report = Report("instantiate", ["vibewasm", "wasmtime-py", "ratio"])
    modules = {"empty": EMPTY, **{f"{count} functions": plugin(count) for count in SIZES}}
    bars = {f"{count} functions": bar for count, bar in SIZES.items()}
    for name, wasm in modules.items():
        sides = {"vibewasm": _ours(wasm), "wasmtime-py": _theirs(wasm)}
        times = {side: median(values) / _INSTANCES for side, values in take_turns(sides, rounds).items()}
        ratio = times["vibewasm"] / times["wasmtime-py"]
        report.rows.append((name, [*times.values(), ratio]))
        if name in bars:
            report.figures.append(Figure(f"{name}, to wasmtime-py", ratio, bars[name]))
        else:
            report.figures.append(Figure(f"{name}, microseconds", times["vibewasm"] * 1e6, EMPTY_BAR))
    return report


def _repeat(instantiate: Callable[[], object]) -> Callable[[], float]:
    def run() -> float:
        # Neither side pays for what the other one has left.
        gc.collect()
        start = perf_counter()
        for _ in range(_INSTANCES):
            instantiate()
        return perf_counter() - start

    return run


def _ours(wasm: bytes) -> Callable[[], float]:
    import vibewasm

    engine = vibewasm.Engine(vibewasm.Config(compilation="eager"))
    module, linker = vibewasm.Module(engine, wasm), vibewasm.Linker(engine)
    return _repeat(lambda: linker.instantiate(vibewasm.Store(engine), module))


def _theirs(wasm: bytes) -> Callable[[], float]:
    import wasmtime

    engine = wasmtime.Engine()
    module, linker = wasmtime.Module(engine, wasm), wasmtime.Linker(engine)
    return _repeat(lambda: linker.instantiate(wasmtime.Store(engine), module))
