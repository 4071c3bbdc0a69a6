"""Exceptions: what a throw costs, what the first one costs, and that a handler which nothing reaches costs nothing.

A throw is caught one frame up, or ten, once everything is compiled; wasmtime-py runs the same module in the same
process. The first throw through functions looks at their code once more, so it is compared with compiling them.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from .peers import require_wasmtime
from .report import Figure, Report
from .session import Session

#: Microseconds of a throw that will do where wasmtime takes less.
ENOUGH = {1: 3.0, 10: 10.0}
BAR_OF_FIRST = 1.2
BAR_OF_NOTHING = 1.02

_THROWS = 20_000
_TURNS = 20_000_000
#: Functions that the first throw goes through, and how many additions are in each.
_FUNCTIONS, _ADDITIONS = 20, 500


def measure(session: Session) -> Report:
    """Medians, in seconds: of a throw, of compiling or a first throw, of a loop. ``peers`` changes nothing."""
    require_wasmtime()
    report = Report("exceptions", ["vibewasm", "wasmtime-py", "ratio"], reference="wasmtime-py")
    for frames in session.progress.each([*ENOUGH]):
        name = f"a throw, caught {frames} frame{'s' * (frames > 1)} up"
        text = throwing(frames)
        sides = {"vibewasm": _ours(text, _THROWS), "wasmtime-py": _wasmtime(text, _THROWS)}
        times = {side: seconds / _THROWS for side, seconds in session.medians(sides, name).items()}
        report.compare(name, times)
        enough = max(times["wasmtime-py"], ENOUGH[frames] / 1e6)
        report.figures.append(Figure(f"{name}, to wasmtime or {ENOUGH[frames]:g} us", times["vibewasm"] / enough, 1.0))
    first = session.medians({"thrown": lambda: first_throw()[1], "compiled": lambda: first_throw()[0]}, "first throw")
    report.figures.append(Figure("the first throw, to compiling", first["thrown"] / first["compiled"], BAR_OF_FIRST))
    loops = {"with": _ours(loop(True), _TURNS), "without": _ours(loop(False), _TURNS)}
    turns = session.medians(loops, "a handler that nothing reaches")
    report.figures.append(
        Figure("a loop with a handler, to one without", turns["with"] / turns["without"], BAR_OF_NOTHING)
    )
    report.notes.append(
        f"Throw: {_THROWS:,} in one call. First throw: through {_FUNCTIONS} functions. Loop: {_TURNS:,} turns."
    )
    return report


def throwing(frames: int) -> str:
    """A module whose `run` throws so many times, each caught so many frames up."""
    functions = [
        f"(func $f{at} (param i32) (result i32) (i32.add (call $f{at - 1} (local.get 0)) (i32.const {at})))"
        for at in range(1, frames)
    ]
    return f"""(module (tag $e (param i32))
        (func $f0 (param i32) (result i32) (throw $e (i32.add (local.get 0) (i32.const 1))))
        {" ".join(functions)}
        (func (export "run") (param $n i32) (result i32) (local $sum i32)
            (loop $next
                (local.set $sum (block $caught (result i32)
                    (try_table (result i32) (catch $e $caught) (call $f{frames - 1} (local.get $sum)))))
                (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (local.get $sum)))"""


def loop(with_handler: bool) -> str:
    """A module whose `run` goes round a loop so many times, with a handler in it or without."""
    body = "(local.set $sum (i32.add (i32.xor (local.get $sum) (local.get $n)) (i32.const 7)))"
    if with_handler:
        body = f"(block $caught (try_table (catch_all $caught) {body}))"
    return f"""(module (tag $e)
        (func $rare (param i32) (if (i32.eqz (local.get 0)) (then (throw $e))))
        (func (export "run") (param $n i32) (result i32) (local $sum i32)
            (loop $next {body} (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (local.get $sum)))"""


def large() -> str:
    """A module with functions of some size, which call each other; the last one throws if `run` is given 1."""
    work = " ".join(
        f"(local.set $x (i64.add (i64.mul (local.get $x) (i64.const {at})) (i64.extend_i32_u (local.get $y))))"
        f"(local.set $y (i32.xor (local.get $y) (i32.wrap_i64 (local.get $x))))"
        for at in range(1, _ADDITIONS)
    )
    functions = "".join(
        f"(func $f{at} (param $y i32) (param $throws i32) (result i32) (local $x i64) {work}"
        f" (i32.add (call $f{at + 1} (local.get $y) (local.get $throws)) (local.get $y)))"
        for at in range(_FUNCTIONS)
    )
    return f"""(module (tag $e) {functions}
        (func $f{_FUNCTIONS} (param $y i32) (param $throws i32) (result i32)
            (if (local.get $throws) (then (throw $e))) (local.get $y))
        (func (export "run") (param i32) (result i32)
            (block $caught (return (try_table (result i32) (catch_all $caught) (call $f0 (i32.const 5) (local.get 0)))))
            (i32.const -1)))"""


def first_throw() -> tuple[float, float]:
    """Seconds of a first call, which compiles functions, and of the first one that throws through them."""
    import vibewasm

    module = vibewasm.Module(vibewasm.Engine(vibewasm.Config(cache=False)), large())
    run = vibewasm.Linker(module.engine).instantiate(vibewasm.Store(module.engine), module).exports["run"]
    start = perf_counter()
    run(0)
    compiled = perf_counter()
    caught = run(1)
    end = perf_counter()
    if caught != -1:
        raise SystemExit(f"benchmarks: an exception was not caught: {caught}")
    return compiled - start, end - compiled


def _ours(text: str, count: int) -> Callable[[], float]:
    import vibewasm

    engine = vibewasm.Engine(vibewasm.Config(compilation="eager"))
    module = vibewasm.Module(engine, text)
    run = vibewasm.Linker(engine).instantiate(vibewasm.Store(engine), module).exports["run"]
    _check(text, run(10))
    return _timed(lambda: run(count))


def _check(text: str, sum_: object) -> None:
    """Each throw adds 1."""
    if text != loop(True) and text != loop(False) and sum_ != 10:
        raise SystemExit(f"benchmarks: 10 throws gave {sum_}")


def _wasmtime(text: str, count: int) -> Callable[[], float]:
    import wasmtime

    from vibewasm.wat import wat2wasm

    config = wasmtime.Config()
    config.wasm_exceptions = True
    store = wasmtime.Store(wasmtime.Engine(config))
    module = wasmtime.Module(store.engine, wat2wasm(text))
    run = wasmtime.Instance(store, module, []).exports(store)["run"]
    assert isinstance(run, wasmtime.Func)
    _check(text, run(store, 10))
    return _timed(lambda: run(store, count))


def _timed(call: Callable[[], object]) -> Callable[[], float]:
    def run() -> float:
        start = perf_counter()
        call()
        return perf_counter() - start

    return run
