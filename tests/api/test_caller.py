"""Python functions that are given their caller."""

from __future__ import annotations

import copy
import threading
from typing import Any

import pytest

import vibewasm as vw

MODULE = """
(module
  (import "env" "log" (func $log (param i32 i32)))
  (import "env" "name" (func $name (param i32) (result i32)))
  (memory (export "{memory}") 1)
  (data (i32.const 16) "{text}\\00")
  (table (export "table") 1 funcref)
  (elem (i32.const 0) $log)
  (global (export "number") i32 (i32.const {number}))
  (func (export "log") (param i32 i32) (call $log (local.get 0) (local.get 1)))
  (func (export "name") (param i32) (result i32) (call $name (local.get 0)))
  (func (export "twice") (param i32) (result i32)
    (drop (call $name (local.get 0))) (call $name (local.get 0))))
"""


def linked(
    log: Any = lambda caller, pointer, size: None, name: Any = lambda caller, pointer: 0, **config: Any
) -> tuple[vw.Linker, vw.Store]:
    engine = vw.Engine(vw.Config(**config))
    linker = vw.Linker(engine)
    linker.define("env", "log", log, caller=True)
    linker.define("env", "name", name, vw.FuncType(["i32"], ["i32"]), caller=True)
    return linker, vw.Store(engine)


def module(engine: vw.Engine, text: str = "hello", number: int = 1, memory: str = "memory") -> vw.Module:
    return vw.Module.from_text(engine, MODULE.format(text=text, number=number, memory=memory))


@pytest.mark.parametrize("compilation", ["lazy", "eager"])
def test_the_caller_comes_before_the_arguments(compilation: str) -> None:
    seen: list[Any] = []

    def name(*given: Any) -> int:
        seen.append(given)
        return 7

    linker, store = linked(lambda *given: seen.append(given), name, compilation=compilation)
    instance = linker.instantiate(store, module(linker.engine))
    instance.exports.log(16, 5)
    assert instance.exports.name(16) == 7
    (caller, *first), (again, *second) = seen
    assert (first, second) == ([16, 5], [16])
    for given in (caller, again):
        assert isinstance(given, vw.Caller)
        assert given.instance is instance
        assert given.store is store
        assert given.exports is instance.exports
        assert given.memory is instance.exports.memory
    assert repr(caller) == f"<vibewasm.Caller: {instance!r}>"


@pytest.mark.parametrize("types", [[], ["i32"], ["i64"], ["f32"], ["f64"], ["i32", "f64"], ["externref"], ["v128"]])
@pytest.mark.parametrize("given", [[], ["i32"], ["f64", "i32"], ["v128", "externref"]])
def test_arguments_and_results_of_any_type_arrive(types: list[str], given: list[str]) -> None:
    store = vw.Store(vw.Engine())
    values = {"i32": -3, "i64": 1 << 40, "f32": 0.5, "f64": 0.1, "externref": {"x": 1}, "v128": 1 << 100}
    results = tuple(values[type_] for type_ in types)
    seen: list[Any] = []

    def host(caller: vw.Caller, *arguments: Any) -> Any:
        seen.append(arguments)
        return results[0] if len(results) == 1 else results

    f = vw.Func(store, vw.FuncType(given, types), host, caller=True)
    assert f(*[values[type_] for type_ in given]) == (None if not types else results[0] if len(types) == 1 else results)
    assert seen == [tuple(values[type_] for type_ in given)]


@pytest.mark.parametrize(
    ("results", "value", "error", "message"),
    [
        (["i32"], None, TypeError, r"f\(\) -> i32: result 1 wants an int, not None"),
        (["i32"], 1 << 32, OverflowError, r"f\(\) -> i32: result 1 wants an int from"),
        (["i32", "i32"], 7, TypeError, "has 2 results, and the Python function returned one int"),
        (["funcref"], 1, TypeError, "result 1 wants a vibewasm.Func or None"),
    ],
)
def test_a_wrong_result_is_said_to_be_one(results: list[str], value: object, error: Any, message: str) -> None:
    f = vw.Func(vw.Store(vw.Engine()), vw.FuncType([], results), lambda caller: value, name="f", caller=True)
    with pytest.raises(error, match=message):
        f()


def test_what_a_function_without_results_returns_is_ignored() -> None:
    assert vw.Func(vw.Store(vw.Engine()), vw.FuncType(), lambda caller: 5, caller=True)() is None


def test_it_reads_and_writes_the_memory_of_its_caller() -> None:
    texts: list[str] = []

    def log(caller: vw.Caller, pointer: int, size: int) -> None:
        assert caller.read(pointer, size) == caller.read_str(pointer, size).encode()
        texts.append(caller.read_str(pointer, size))
        caller.write(pointer, b"J")
        texts.append(caller.read_cstr(pointer))

    linker, store = linked(log)
    linker.instantiate(store, module(linker.engine, "häl")).exports.log(16, 4)
    assert texts == ["häl", "Jäl"]


def test_addresses_from_two_gibibytes_on_may_be_given_as_they_arrive() -> None:
    found: list[Any] = []

    def host(caller: vw.Caller, pointer: int) -> int:
        assert pointer < 0
        found.append((caller.read(pointer, 2), caller.read_str(pointer, 2), caller.read_cstr(pointer)))
        caller.write(pointer, b"xy")
        return 0

    linker, store = linked(name=host)
    text = """(module (import "env" "name" (func $name (param i32) (result i32))) (memory (export "memory") 32769)
      (data (i32.const 0x80000010) "ab\\00")
      (func (export "f") (drop (call $name (i32.const 0x80000010)))))"""
    instance = linker.instantiate(store, vw.Module(linker.engine, text))
    instance.exports.f()
    assert found == [(b"ab", "ab", "ab")]
    assert instance.exports.memory.read(0x80000010, 3) == b"xy\0"


def test_what_lies_outside_the_memory_is_an_index_error_and_the_store_lives_on() -> None:
    errors: list[str] = []

    def log(caller: vw.Caller, pointer: int, size: int) -> None:
        for read in (
            lambda: caller.read(pointer, size),
            lambda: caller.read_str(pointer, size),
            lambda: caller.write(pointer, b"x" * 100),
            lambda: caller.read_cstr(pointer),
        ):
            with pytest.raises(IndexError) as caught:
                read()
            errors.append(str(caught.value))

    linker, store = linked(log)
    instance = linker.instantiate(store, module(linker.engine))
    instance.exports.memory[65530:65536] = b"a" * 6
    instance.exports.log(65530, 100)
    assert errors[-1] == "the memory of 65536 bytes ends before the text that begins at 65530 does"
    instance.exports.log(-1, -1)
    assert errors[4] == "4294967295 to 8589934590 is outside the memory of 65536 bytes"
    assert errors[-1] == "4294967295 is outside the memory of 65536 bytes"


@pytest.mark.parametrize("length", [0, 1, 255, 256, 257, 5000])
def test_a_text_with_a_zero_byte_at_its_end_may_have_any_length(length: int) -> None:
    seen: list[str] = []

    def name(caller: vw.Caller, pointer: int) -> int:
        seen.append(caller.read_cstr(pointer))
        return 0

    linker, store = linked(name=name)
    instance = linker.instantiate(store, module(linker.engine))
    end = instance.exports.memory.size - 1
    instance.exports.memory[end - length : end] = b"z" * length
    instance.exports.name(end - length)
    assert seen == ["z" * length]


def test_what_is_no_utf8_and_no_int_is_said_to_be_none() -> None:
    def log(caller: vw.Caller, pointer: int, size: int) -> None:
        with pytest.raises(UnicodeDecodeError):
            caller.read_str(pointer, size)
        with pytest.raises(UnicodeDecodeError):
            caller.read_cstr(pointer)
        with pytest.raises(TypeError, match=r"Caller.read: size has to be a number of bytes, an int, not float 1.5"):
            caller.read(pointer, 1.5)  # type: ignore[arg-type]  # what is tested

    linker, store = linked(log)
    instance = linker.instantiate(store, module(linker.engine))
    instance.exports.memory[16] = 0xFF
    instance.exports.log(16, 1)


def test_it_knows_its_caller_inside_a_start_function() -> None:
    seen: list[str] = []

    def log(caller: vw.Caller, pointer: int, size: int) -> None:
        seen.append(caller.read_str(pointer, size))
        assert "f" in caller.exports

    linker, store = linked(log)
    text = """(module (import "env" "log" (func $log (param i32 i32))) (memory 1) (data (i32.const 3) "start")
      (func (export "f")) (func $main (call $log (i32.const 3) (i32.const 5))) (start $main))"""
    linker.instantiate(store, vw.Module(linker.engine, text))
    assert seen == ["start"]


def test_of_a_function_that_is_itself_the_start_function_the_new_instance_is_the_caller() -> None:
    seen: list[Any] = []
    engine = vw.Engine()
    store = vw.Store(engine)

    def inner(caller: vw.Caller) -> None:
        seen.append(caller.instance)

    def outer(caller: vw.Caller) -> None:
        seen.append(caller.read_cstr(1))
        # Python code calls this one.
        inner_function()
        if len(seen) > 2:
            raise KeyError

    inner_function = vw.Func(store, vw.FuncType(), inner, caller=True)
    outer_function = vw.Func(store, vw.FuncType(), outer, caller=True)
    linker = vw.Linker(engine)
    linker.define("", "", outer_function)
    module = vw.Module(engine, '(module (import "" "" (func)) (memory 1) (data (i32.const 1) "me") (start 0))')
    linker.instantiate(store, module)
    with pytest.raises(KeyError):
        linker.instantiate(store, module)
    assert seen == ["me", None, "me", None]
    inner_function()
    assert seen[-1] is None
    # One that does not ask leaves nothing behind for the next.
    linker.allow_shadowing = True
    linker.define("", "", lambda: None)
    linker.instantiate(store, module)
    inner_function()
    assert seen[-1] is None


def test_one_function_serves_several_instances_and_knows_which_one_calls() -> None:
    seen: list[int] = []

    def name(caller: vw.Caller, pointer: int) -> int:
        seen.append(caller.exports.number.value)
        return len(caller.read_cstr(pointer))

    linker, store = linked(name=name)
    shared = vw.Func(store, vw.FuncType(["i32"], ["i32"]), name, caller=True)
    linker.allow_shadowing = True
    linker.define("env", "name", shared)
    one = linker.instantiate(store, module(linker.engine, "one", 1))
    three = linker.instantiate(store, module(linker.engine, "three", 3))
    assert (one.exports.twice(16), three.exports.twice(16), one.exports.name(16)) == (3, 5, 3)
    assert seen == [1, 1, 3, 3, 1]
    # In a store of its own a plain function is another one.
    linker, store = linked(name=name)
    assert linker.instantiate(store, module(linker.engine, "four", 4)).exports.name(16) == 4


def test_the_caller_is_the_instance_whose_code_calls_it_also_through_a_table_of_another_one() -> None:
    seen: list[vw.Caller] = []
    linker, store = linked(lambda caller, pointer, size: seen.append(caller))
    owner = linker.instantiate(store, module(linker.engine, "owner"))
    linker.define("owner", "table", owner.exports.table)
    linker.define("owner", "log", owner.exports.log)
    text = """(module (import "owner" "table" (table 1 funcref)) (import "owner" "log" (func $log (param i32 i32)))
      (memory (export "own") 1)
      (func (export "through_table") (call_indirect (param i32 i32) (i32.const 1) (i32.const 2) (i32.const 0)))
      (func (export "through_owner") (call $log (i32.const 1) (i32.const 2))))"""
    other = linker.instantiate(store, vw.Module(linker.engine, text))
    other.exports.through_table()
    other.exports.through_owner()
    assert [caller.instance for caller in seen] == [other, owner]
    # Memory 0 does where no memory has that name.
    assert seen[0].memory is other.exports.own


def test_python_code_as_the_caller_has_neither_exports_nor_memory() -> None:
    seen: list[vw.Caller] = []
    store = vw.Store(vw.Engine())
    f = vw.Func(store, vw.FuncType(), seen.append, caller=True)
    f()
    (caller,) = seen
    assert caller.instance is None
    assert caller.store is store
    assert repr(caller) == "<vibewasm.Caller: Python code>"
    for use in (
        lambda: caller.exports,
        lambda: caller.memory,
        lambda: caller.read(0, 0),
        lambda: caller.read_cstr(0),
    ):
        with pytest.raises(
            vw.WasmError, match=r"^this function was called by Python code, not by that of an instance$"
        ):
            use()


def test_a_caller_without_a_memory_says_so() -> None:
    def host(caller: vw.Caller) -> None:
        with pytest.raises(vw.WasmError, match=r"^the module that called this function has no memory$"):
            caller.read(0, 1)

    engine = vw.Engine()
    linker = vw.Linker(engine)
    linker.define("", "", host, caller=True)
    text = '(module (import "" "" (func)) (func (export "f") (call 0)))'
    linker.instantiate(vw.Store(engine), vw.Module(engine, text)).exports.f()


def test_it_may_call_back_into_its_caller_and_exceptions_pass_through() -> None:
    def name(caller: vw.Caller, depth: int) -> int:
        if depth == 0:
            raise KeyError("the end")
        assert caller.exports.number.value == 9
        return int(caller.exports.name(depth - 1))

    linker, store = linked(name=name)
    instance = linker.instantiate(store, module(linker.engine, number=9))
    for _ in range(2):
        with pytest.raises(KeyError, match="the end"):
            instance.exports.name(5)


def test_a_memory_that_grows_meanwhile_is_read_to_its_end() -> None:
    def name(caller: vw.Caller, pointer: int) -> int:
        caller.memory.grow(1)
        caller.write(70000, b"new\0")
        return len(caller.read_cstr(70000))

    linker, store = linked(name=name)
    assert linker.instantiate(store, module(linker.engine)).exports.twice(0) == 3


def test_stores_of_several_threads_have_callers_of_their_own() -> None:
    wrong: list[Any] = []

    def name(caller: vw.Caller, number: int) -> int:
        if caller.exports.number.value != number or caller.store is not stores[number]:
            wrong.append((number, caller))
        return number

    linker, _ = linked(name=name)
    stores = [vw.Store(linker.engine) for _ in range(4)]
    instances = [linker.instantiate(stores[k], module(linker.engine, number=k)) for k in range(4)]

    def run(number: int) -> None:
        for _ in range(2000):
            if instances[number].exports.name(number) != number:
                wrong.append(number)

    threads = [threading.Thread(target=run, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_caller_outlives_its_call_but_not_its_store() -> None:
    seen: list[vw.Caller] = []
    linker, store = linked(lambda caller, pointer, size: seen.append(caller))
    linker.instantiate(store, module(linker.engine)).exports.log(0, 0)
    assert seen[0].read_cstr(16) == "hello"
    store.close()
    with pytest.raises(vw.WasmError, match="this store is closed"):
        seen[0].read_cstr(16)


def test_a_function_that_does_not_take_its_caller_is_said_not_to() -> None:
    linker, store = linked(log=lambda pointer, size: None)
    with pytest.raises(TypeError) as caught:
        linker.instantiate(store, module(linker.engine)).exports.log(0, 0)
    assert str(caught.value).startswith(
        "env.log(i32, i32) -> (): the Python function for it cannot be called with its caller and 2 arguments: "
    )
    with pytest.raises(TypeError, match=r"cannot be called with its caller: "):
        vw.Func(store, vw.FuncType(), lambda: None, caller=True)()


def test_only_python_functions_are_given_a_caller() -> None:
    linker, store = linked()
    f: Any = vw.Func(store, vw.FuncType(), lambda: None)
    for item in (f, 5):
        with pytest.raises(TypeError, match=r"^env.x: only a Python function is given its caller$"):
            linker.define("env", "x", item, caller=True)
    with pytest.raises(TypeError, match=r"^Linker.define: caller has to be True or False, not int 1$"):
        linker.define("env", "x", print, caller=1)  # type: ignore[arg-type]  # what is tested
    with pytest.raises(TypeError, match=r"^Func: caller has to be True or False, not str 'x'$"):
        vw.Func(store, vw.FuncType(), print, caller="x")  # type: ignore[arg-type]  # what is tested
    linker.define("env", "g", lambda caller: None, caller=True)
    with pytest.raises(vw.LinkError, match="it is a Python function, not a global i32"):
        linker.instantiate(store, vw.Module(linker.engine, '(module (import "env" "g" (global i32)))'))


def test_a_caller_can_neither_be_made_nor_copied() -> None:
    seen: list[vw.Caller] = []
    vw.Func(vw.Store(vw.Engine()), vw.FuncType(), seen.append, caller=True)()
    with pytest.raises(TypeError, match="a Caller is what a function that is defined with caller=True is given"):
        vw.Caller()
    with pytest.raises(TypeError, match="a Caller cannot be copied or pickled"):
        copy.copy(seen[0])


def test_python_code_that_a_start_function_runs_is_no_instance() -> None:
    seen: list[Any] = []
    store = vw.Store()
    told = vw.Func(store, vw.FuncType([], []), lambda caller: seen.append(caller.instance), caller=True)
    linker = vw.Linker()
    linker.define("env", "start", lambda: told())
    linker.instantiate(store, vw.Module.from_text('(module (import "env" "start" (func $f)) (start $f))'))
    assert seen == [None]


def test_only_the_start_itself_is_called_by_the_instance_that_starts() -> None:
    seen: list[Any] = []
    store = vw.Store()
    depth = 0

    def call(caller: Any) -> None:
        nonlocal depth
        seen.append(caller.instance)
        depth += 1
        if depth < 3:
            start()

    start = vw.Func(store, vw.FuncType([], []), call, caller=True)
    linker = vw.Linker()
    linker.define("env", "start", start)
    made = linker.instantiate(store, vw.Module.from_text('(module (import "env" "start" (func $f)) (start $f))'))
    assert seen == [made, None, None]
