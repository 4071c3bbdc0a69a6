"""Functions of wasm and of Python, and callers, compared with wasmtime-py's."""

from __future__ import annotations

import threading
from typing import Any

import pytest

import vibewasm.compat.wasmtime as wasmtime
from tests.compat.both import attempts, instance, same

CALLS = (
    '(module (import "" "" (func)) (memory (export "memory") 1) (data (i32.const 0) "foo") (func (export "f") call 0))'
)


@same
def test_results_are_none_one_or_a_list(w: Any) -> object:
    text = """(module (func (export "a")) (func (export "b") (result f32) (f32.const 0.1))
      (func (export "c") (result i32 i64) (i32.const -1) (i64.const -2)))"""
    store, exports = instance(w, text)
    return [exports[name](store) for name in "abc"], [str(result) for result in exports["c"].type(store).results]


@same
def test_a_python_function_gets_plain_values(w: Any) -> object:
    seen: list[Any] = []

    def host(*given: Any) -> int:
        seen.append(given)
        return 1 << 63

    types = [w.ValType.i32(), w.ValType.i64(), w.ValType.f32(), w.ValType.f64()]
    store = w.Store()
    f = w.Func(store, w.FuncType(types, [w.ValType.i64()]), host)
    text = """(module (import "" "f" (func $f (param i32 i64 f32 f64) (result i64)))
      (func (export "a") (param i32 i64 f32 f64) (result i64)
        (call $f (local.get 0) (local.get 1) (local.get 2) (local.get 3))))"""
    _, exports = instance(w, text, [f], store)
    return exports["a"](store, -1, (1 << 64) - 1, 0.1, 0.1), f(store, 1, 2, 3.0, 4.0), seen


@same
def test_a_python_function_has_to_give_what_its_type_says(w: Any) -> object:
    store = w.Store()
    i32 = w.ValType.i32()

    def func(count: int, result: Any) -> Any:
        return w.Func(store, w.FuncType([], [i32] * count), lambda: result)

    return attempts(
        lambda: func(0, None)(store),
        lambda: func(0, 5)(store),
        lambda: func(1, None)(store),
        lambda: func(1, 1 << 33)(store),
        lambda: func(1, w.Val.i32(7))(store),
        lambda: func(1, w.Val.i64(7))(store),
        lambda: func(1, "x")(store),
        lambda: func(2, [1, 2])(store),
        lambda: func(2, (1, 2))(store),
        lambda: func(2, [1])(store),
        lambda: func(2, 1)(store),
        lambda: func(2, [1, None])(store),
    )


@same
def test_references_to_functions_go_in_and_out(w: Any) -> object:
    store = w.Store()
    both = [w.ValType.externref(), w.ValType.funcref()]
    f = w.Func(store, w.FuncType(both, both[::-1]), lambda extern, func: (func, extern))
    text = '(module (func (export "f") (param funcref) (result funcref) (local.get 0)))'
    _, exports = instance(w, text, store=store)
    one = w.Func(store, w.FuncType([], [w.ValType.i32()]), lambda: 42)
    back = exports["f"](store, one)
    return (
        f(store, "x", f),
        f(store, None, None),
        f(store, w.Val.externref(5), w.Val.funcref(None)),
        back(store),
        exports["f"](store, None),
        exports["f"](store, w.Val.funcref(one))(store),
        attempts(lambda: f(store, 1, 2)),
    )


class OfItsOwn(BaseException):
    """An exception that no part of an engine knows."""


@same
def test_an_exception_of_a_python_function_comes_out_as_it_is(w: Any) -> object:
    found: list[Any] = []
    for error in (KeyError("x"), KeyboardInterrupt(), OfItsOwn("y"), w.Trap("mine"), w.WasmtimeError("z")):

        def host(error: BaseException = error) -> None:
            raise error

        store = w.Store()
        f = w.Func(store, w.FuncType([], []), host)
        _, exports = instance(w, CALLS, [f], store)
        for call in (f, exports["f"]):
            try:
                call(store)
            except BaseException as caught:
                found.append((caught is error, type(caught).__name__))
    return found


@same
def test_the_caller_is_known_and_its_exports_are(w: Any) -> object:
    found: list[Any] = []

    def host(caller: Any) -> None:
        memory = caller["memory"]
        found.append((memory, caller.get("f"), caller.get("nothing"), bytes(memory.read(caller, 0, 3))))
        found.append(attempts(lambda: caller["nothing"], lambda: caller.get(3)))
        found.append(memory.data_ptr(caller)[1])
        found.append(caller)

    store = w.Store()
    f = w.Func(store, w.FuncType([], []), host, access_caller=True)
    _, exports = instance(w, CALLS, [f], store)
    exports["f"](store)
    caller = found.pop()
    return found, attempts(
        lambda: caller.get("memory"), lambda: caller["memory"], lambda: exports["memory"].size(caller)
    )


@same
def test_the_caller_is_known_in_a_start_function_and_after_an_exception(w: Any) -> object:
    found: list[Any] = []

    def host(caller: Any) -> None:
        found.append(caller)
        found.append(caller.get("memory"))
        raise KeyError

    text = '(module (import "" "" (func)) (memory (export "memory") 1) (start 0))'
    store = w.Store()
    f = w.Func(store, w.FuncType([], []), host, access_caller=True)
    attempt = attempts(lambda: instance(w, text, [f], store))
    return attempt, found[1], found[0].get("memory")


@same
def test_python_code_as_the_caller_exports_nothing(w: Any) -> object:
    store = w.Store()
    found: list[Any] = []
    w.Func(store, w.FuncType([], []), lambda caller: found.append(caller.get("memory")), access_caller=True)(store)
    return found


@same
def test_functions_may_be_called_through_the_caller(w: Any) -> object:
    store = w.Store()
    depth: list[int] = []

    def host(caller: Any) -> None:
        depth.append(len(depth))
        if len(depth) < 4:
            caller["f"](caller)

    f = w.Func(store, w.FuncType([], []), host, access_caller=True)
    _, exports = instance(w, CALLS, [f], store)
    exports["f"](store)
    return depth


@same
def test_a_function_of_a_linker_gets_its_caller_in_every_store(w: Any) -> object:
    engine = w.Engine()
    linker = w.Linker(engine)
    found: list[Any] = []
    linker.define_func(
        "", "", w.FuncType([], []), lambda caller: found.append(caller["memory"].size(caller)), access_caller=True
    )
    for pages in (1, 2):
        store = w.Store(engine)
        module = w.Module(engine, CALLS.replace('"memory") 1', f'"memory") {pages}'))
        linker.instantiate(store, module).exports(store)["f"](store)
    return found


def test_what_belongs_to_another_store_is_refused() -> None:
    # wasmtime ends the process.
    store, other = wasmtime.Store(), wasmtime.Store()
    f = wasmtime.Func(store, wasmtime.FuncType([], []), lambda: None)
    memory = wasmtime.Memory(store, wasmtime.MemoryType(wasmtime.Limits(1, None)))
    module = wasmtime.Module(store.engine, "(module)")
    linker = wasmtime.Linker(other.engine)
    for use in (
        lambda: f(other),
        lambda: memory.size(other),
        lambda: memory.data_ptr(other),
        lambda: linker.define(other, "a", "b", f),
        lambda: wasmtime.Instance(store, module, []).exports(other),
        lambda: wasmtime.Instance(other, wasmtime.Module(other.engine, CALLS), [f]),
    ):
        with pytest.raises(wasmtime.WasmtimeError, match="wrong store"):
            use()
    with pytest.raises(wasmtime.WasmtimeError, match="cross-`Engine`"):
        wasmtime.Instance(other, module, [])


def test_a_call_while_the_store_runs_in_another_thread_is_an_error() -> None:
    store = wasmtime.Store()
    inside, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        inside.set()
        assert go_on.wait(30)

    f = wasmtime.Func(store, wasmtime.FuncType([], []), wait)
    thread = threading.Thread(target=f, args=(store,))
    thread.start()
    try:
        assert inside.wait(30)
        with pytest.raises(wasmtime.WasmtimeError, match="another thread"):
            f(store)
        with pytest.raises(wasmtime.WasmtimeError, match="while a call is active"):
            store.close()
    finally:
        go_on.set()
        thread.join()
    f(store)
    store.close()
    with pytest.raises(ValueError, match="already closed"):
        f(store)


def test_callers_and_contexts_cannot_be_made() -> None:
    for cls in (wasmtime.Caller, wasmtime.StoreContext):
        with pytest.raises(wasmtime.WasmtimeError):
            cls(None)
