"""The cost of one call, from Python to wasm and from wasm to Python, against bare ctypes in the same process.

Bare ctypes means: a call of a native function through a prototype with three words (``memcmp`` of nothing), and a
native loop (``lfind``) that calls a Python function through a ``CFUNCTYPE`` with three words. With ``--peers``,
wasmtime-py's calls are shown too.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from time import perf_counter
from typing import Any

from .modules import ADD, CALL_LOOP
from .peers import require_wasmtime
from .report import Figure, Report
from .session import Session

BARS = {"Python to wasm": 1.2, "wasm to Python": 2.0, "wasm to Python, with its caller": 2.0}

#: Calls timed at once.
_CALLS = 20_000


def measure(session: Session) -> Report:
    """Medians, in seconds a call."""
    out = {"vibewasm": _python_to_wasm(), "ctypes": _python_to_native()}
    back = {"vibewasm": _wasm_to_python(), "ctypes": _native_to_python()}
    with_caller = {"vibewasm": _wasm_to_python_with_caller(), "ctypes": back["ctypes"]}
    if session.peers:
        require_wasmtime()
        out["wasmtime-py"], back["wasmtime-py"] = _wasmtime_calls()
    report = Report("calls", [*out, "ratio"], reference="ctypes")
    for name, sides in session.progress.each([*zip(BARS, (out, back, with_caller), strict=True)]):
        times = {side: value / _CALLS for side, value in session.medians(sides, name).items()}
        report.compare(name, times)
        ratio = times["vibewasm"] / times["ctypes"]
        report.figures.append(Figure(f"{name}, to bare ctypes", ratio, BARS[name]))
    return report


def _repeat(call: Callable[..., Any], *arguments: object) -> Callable[[], float]:
    def run() -> float:
        start = perf_counter()
        for _ in range(_CALLS):
            call(*arguments)
        return perf_counter() - start

    return run


def _once(call: Callable[..., Any], *arguments: object) -> Callable[[], float]:
    """For a callee that loops by itself."""

    def run() -> float:
        start = perf_counter()
        call(*arguments)
        return perf_counter() - start

    return run


def _host_function(a: int, b: int) -> int:
    return 0


def _python_to_wasm() -> Callable[[], float]:
    import vibewasm

    return _repeat(vibewasm.instantiate(ADD).exports["add"], 2, 3)


def _wasm_to_python() -> Callable[[], float]:
    import vibewasm

    return _once(vibewasm.instantiate(CALL_LOOP, {"env": {"f": _host_function}}).exports["loop"], _CALLS)


def _wasm_to_python_with_caller() -> Callable[[], float]:
    import vibewasm

    def host_function(caller: vibewasm.Caller, a: int, b: int) -> int:
        return 0

    linker = vibewasm.Linker()
    linker.define("env", "f", host_function, caller=True)
    instance = linker.instantiate(vibewasm.Store(), vibewasm.Module(CALL_LOOP))
    return _once(instance.exports["loop"], _CALLS)


def _python_to_native() -> Callable[[], float]:
    prototype = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)
    libc = ctypes.CDLL(None)
    # memcmp(a, b, 0) returns at once; its three words are given as the prototype of a wasm entry has them.
    function = prototype(ctypes.cast(libc.memcmp, ctypes.c_void_p).value or 0)
    return _repeat(function, 0, 0, 0)


def _native_to_python() -> Callable[[], float]:
    # lfind calls compare(key, element) for every element until it returns 0; the third word of the prototype is
    # whatever its register holds, and costs what a third word costs.
    prototype = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_uint64, ctypes.c_size_t, ctypes.c_uint64)

    def compare(context: int, count: int, cells: int) -> int:
        return 1

    lfind = ctypes.CDLL(None).lfind
    lfind.restype = ctypes.c_void_p
    lfind.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.POINTER(ctypes.c_size_t), ctypes.c_size_t, prototype]
    elements = ctypes.create_string_buffer(_CALLS)
    return _once(lfind, elements, elements, ctypes.c_size_t(_CALLS), 1, prototype(compare))


def _wasmtime_calls() -> tuple[Callable[[], float], Callable[[], float]]:
    import wasmtime

    store = wasmtime.Store()
    add = wasmtime.Instance(store, wasmtime.Module(store.engine, ADD), []).exports(store)["add"]
    i32 = wasmtime.ValType.i32()
    function = wasmtime.Func(store, wasmtime.FuncType([i32, i32], [i32]), _host_function)
    loop = wasmtime.Instance(store, wasmtime.Module(store.engine, CALL_LOOP), [function]).exports(store)["loop"]
    assert isinstance(add, wasmtime.Func)
    assert isinstance(loop, wasmtime.Func)
    return _repeat(add, store, 2, 3), _once(loop, store, _CALLS)
