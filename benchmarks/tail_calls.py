"""Tail calls: 10^9 between two functions with different signatures, against calls that return, and between instances.

A stack that grew by a word for each of them would overflow, so a run that ends shows that it does not grow.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from .peers import require_wasmtime
from .report import Figure, Report
from .session import Session

#: A tail call to a call and a return.
BAR = 1.3

_TAIL_CALLS = 1_000_000_000
_CALLS = 200_000_000
_ACROSS = 10_000_000

_ODD = "(param $n i64) (param $x i32) (result i64)"
_WORK = "(i32.add (i32.xor (local.get $x) (i32.wrap_i64 (local.get $n))) (i32.const 3))"
_LESS = "(i64.sub (local.get $n) (i64.const 1))"
_END = "(if (i64.eqz (local.get $n)) (then (return (i64.extend_i32_u (local.get $x)))))"
#: Parameters that one of the functions has more than the other, and arguments: in registers, or on the stack as well.
_MORE = {
    "in registers": ("(param f64)", "(f64.const 1)"),
    "with an argument area": (
        "(param f64 i64 i64 i64 i64)",
        "(f64.const 1) (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4)",
    ),
}


def measure(session: Session) -> Report:
    """Medians, in seconds a call."""
    require_wasmtime()
    report = Report("tail_calls", ["vibewasm", "wasmtime-py", "ratio"], reference="wasmtime-py")
    parts = []
    for how, more in _MORE.items():
        parts.append((f"tail calls {how}", tail_calls(*more), _TAIL_CALLS))
        parts.append((f"calls and returns {how}", calls(*more), _CALLS))
    parts.append(("tail calls between instances", "", _ACROSS))
    for name, text, count in session.progress.each(parts):
        ours = _ours(text, count) if text else _ours_across(count)
        theirs = _wasmtime(text, count) if text else _wasmtime_across(count)
        times = session.medians({"vibewasm": ours, "wasmtime-py": theirs}, name)
        report.compare(name, {side: seconds / count for side, seconds in times.items()})
    for how in _MORE:
        tail, plain = report.column("vibewasm", [f"tail calls {how}", f"calls and returns {how}"])
        report.figures.append(Figure(f"a tail call to a call and a return, {how}", tail / plain, BAR))
    counts = f"{_TAIL_CALLS:,} tail calls, {_CALLS:,} calls, {_ACROSS:,} between instances"
    report.notes.append(f"{counts}, each in one call, on the stack of the thread.")
    return report


def _even(parameters: str) -> str:
    return f"(param $n i64) (param $x i32) {parameters} (result i64)"


def tail_calls(parameters: str, arguments: str) -> str:
    """Two functions that call each other."""
    return f"""(module
        (func $even {_even(parameters)} {_END} (return_call $odd {_LESS} {_WORK}))
        (func $odd {_ODD} {_END} (return_call $even {_LESS} {_WORK} {arguments}))
        (func (export "run") (param i64) (result i64) (return_call $odd (local.get 0) (i32.const 1))))"""


def calls(parameters: str, arguments: str) -> str:
    """The same functions, each of which a loop calls once in each turn, and which return."""
    return f"""(module
        (func $even {_even(parameters)} {_END} (i64.extend_i32_u {_WORK}))
        (func $odd {_ODD} {_END} (i64.extend_i32_u {_WORK}))
        (func (export "run") (param $n i64) (result i64) (local $x i32)
            (loop $next
                (local.set $x (i32.wrap_i64 (call $odd (local.get $n) (local.get $x))))
                (local.set $x (i32.wrap_i64 (call $even (local.get $n) (local.get $x) {arguments})))
                (br_if $next (i64.gt_s (local.tee $n (i64.sub (local.get $n) (i64.const 2))) (i64.const 0))))
            (i64.extend_i32_u (local.get $x))))"""


_PARAMETERS, _ARGUMENTS = _MORE["with an argument area"]

# Each instance has its half; the first one finds the other's function in a table, which the second one fills.
FIRST = f"""(module
    (type $even (func {_even(_PARAMETERS)}))
    (table (export "t") 1 funcref)
    (func $odd (export "odd") {_ODD} {_END}
        (return_call_indirect (type $even) {_LESS} {_WORK} {_ARGUMENTS} (i32.const 0)))
    (func (export "run") (param i64) (result i64) (return_call $odd (local.get 0) (i32.const 1))))"""
SECOND = f"""(module
    (import "first" "t" (table 1 funcref))
    (import "first" "odd" (func $odd {_ODD}))
    (elem (i32.const 0) func $even)
    (func $even {_even(_PARAMETERS)} {_END} (return_call $odd {_LESS} {_WORK})))"""


def _timed(call: Callable[[int], object], count: int) -> Callable[[], float]:
    call(1000)

    def run() -> float:
        start = perf_counter()
        call(count)
        return perf_counter() - start

    return run


def _ours(text: str, count: int) -> Callable[[], float]:
    import vibewasm

    engine = vibewasm.Engine(vibewasm.Config(compilation="eager"))
    module = vibewasm.Module(engine, text)
    run = vibewasm.Linker(engine).instantiate(vibewasm.Store(engine), module).exports["run"]
    return _timed(run, count)


def _ours_across(count: int) -> Callable[[], float]:
    import vibewasm

    engine = vibewasm.Engine(vibewasm.Config(compilation="eager"))
    store, linker = vibewasm.Store(engine), vibewasm.Linker(engine)
    first = linker.instantiate(store, vibewasm.Module(engine, FIRST))
    linker.define("first", "t", first.exports["t"])
    linker.define("first", "odd", first.exports["odd"])
    linker.instantiate(store, vibewasm.Module(engine, SECOND))
    run = first.exports["run"]
    return _timed(run, count)


def _wasmtime(text: str, count: int) -> Callable[[], float]:
    import wasmtime

    from vibewasm.wat import wat2wasm

    store = wasmtime.Store()
    run = wasmtime.Instance(store, wasmtime.Module(store.engine, wat2wasm(text)), []).exports(store)["run"]
    assert isinstance(run, wasmtime.Func)
    return _timed(lambda calls: run(store, calls), count)


def _wasmtime_across(count: int) -> Callable[[], float]:
    import wasmtime

    from vibewasm.wat import wat2wasm

    store = wasmtime.Store()
    first = wasmtime.Instance(store, wasmtime.Module(store.engine, wat2wasm(FIRST)), []).exports(store)
    wasmtime.Instance(store, wasmtime.Module(store.engine, wat2wasm(SECOND)), [first["t"], first["odd"]])
    run = first["run"]
    assert isinstance(run, wasmtime.Func)
    return _timed(lambda calls: run(store, calls), count)
