"""Python functions that wasm code calls: values, exceptions, nesting."""

from __future__ import annotations

import functools
import math
import sys
import traceback
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import vibewasm as vw
from tests.binary.builder import ModuleBuilder
from tests.binary.encode import call, i32_const

from .wasm import DROP, UNREACHABLE, bulk, calls_host, gets, instance_of

NUMBERS = ["i32", "i64", "f32", "f64"]


@given(st.lists(st.sampled_from([*NUMBERS, "externref"]), max_size=11), st.data())
def test_arguments_and_results_of_any_signature_arrive(types: list[str], data: st.DataObject) -> None:
    strategies: dict[str, st.SearchStrategy[Any]] = {
        "i32": st.integers(-(2**31), 2**31 - 1),
        "i64": st.integers(-(2**63), 2**63 - 1),
        "f32": st.floats(width=32, allow_nan=False),
        "f64": st.floats(allow_nan=False),
        "externref": st.sampled_from([None, "text", (1, 2)]),
    }
    arguments = [data.draw(strategies[type_]) for type_ in types]
    seen: list[Any] = []

    def host(*values: Any) -> Any:
        seen.extend(values)
        return values[0] if len(values) == 1 else values

    got = calls_host(types, types, host)(*arguments)
    assert repr(seen) == repr(arguments)
    expected = None if not types else arguments[0] if len(types) == 1 else tuple(arguments)
    assert repr(got) == repr(expected)


@pytest.mark.parametrize("type_", NUMBERS)
@pytest.mark.parametrize("count", range(6))
def test_few_numbers_and_one_result_arrive(type_: str, count: int) -> None:
    f = calls_host([type_] * count, [type_], lambda *values: sum(values) + 1)
    assert f(*range(count)) == sum(range(count)) + 1


def test_results_may_be_unsigned_or_of_a_near_type() -> None:
    assert calls_host([], ["i32"], lambda: 2**32 - 1)() == -1
    assert calls_host([], ["i64"], lambda: 2**64 - 2)() == -2
    assert calls_host([], ["i32"], lambda: True)() == 1
    assert calls_host([], ["f64"], lambda: 3)() == 3.0
    assert calls_host([], ["f32"], lambda: 1e300)() == math.inf
    assert calls_host([], ["i32", "f64"], lambda: [1, 2])() == (1, 2.0)


def test_what_a_function_without_results_returns_is_ignored() -> None:
    assert calls_host(["i32"], [], lambda x: x)(1) is None


@pytest.mark.parametrize(
    ("results", "value", "message"),
    [
        (["i32"], None, r"env.host\(\) -> i32: result 1 wants an int, not None"),
        (["i32"], 1.5, r"env.host\(\) -> i32: result 1 wants an int, not float 1.5"),
        (["f64"], "x", r"env.host\(\) -> f64: result 1 wants a number, not str 'x'"),
        (["funcref"], 1, r"result 1 wants a vibewasm.Func or None, not int 1"),
        (["i32", "i32"], 7, r"has 2 results, and the Python function returned one int"),
        (["i32", "i32"], None, r"has 2 results, and the Python function returned None"),
        (["i32", "i32"], (1,), r"has 2 results, and the Python function returned 1"),
        (["i32", "i32"], "ab", r"has 2 results, and the Python function returned one str"),
        (["i32", "i32"], (1, "x"), r"env.host\(\) -> \(i32, i32\): result 2 wants an int, not str 'x'"),
    ],
)
def test_a_wrong_result_is_an_error_that_names_the_import(results: list[str], value: object, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        calls_host([], results, lambda: value)()


def test_a_result_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(OverflowError, match=r"env.host\(\) -> i32: result 1 wants an int from"):
        calls_host([], ["i32"], lambda: 2**32)()


class CustomError(Exception):
    """Something that no part of vibewasm knows."""


@pytest.mark.parametrize(
    "error", [CustomError("x"), KeyboardInterrupt(), SystemExit(3), GeneratorExit(), MemoryError()]
)
@pytest.mark.parametrize("params", [[], ["i32"], ["i32", "i32", "f64"], ["externref"]])
def test_an_exception_comes_out_unchanged_with_its_traceback(error: BaseException, params: list[str]) -> None:
    def culprit(*_: object) -> None:
        raise error

    f = calls_host(params, [], culprit)
    for _ in range(2):
        with pytest.raises(type(error)) as caught:
            f(*[1] * len(params))
        assert caught.value is error
        assert "culprit" in [frame.name for frame in traceback.extract_tb(caught.tb)]
        error.__traceback__ = None


def test_a_chained_exception_keeps_its_cause() -> None:
    def culprit() -> None:
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise CustomError("outer") from error

    with pytest.raises(CustomError) as caught:
        calls_host([], [], culprit)()
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.parametrize("depth", [1, 2, 3, 30])
def test_an_exception_crosses_any_number_of_activations(depth: int) -> None:
    def host(n: int) -> int:
        if n == 0:
            raise CustomError(str(depth))
        return int(f(n - 1))

    f = calls_host(["i32"], ["i32"], host)
    for _ in range(3):
        with pytest.raises(CustomError, match=str(depth)):
            f(depth)


def test_an_exception_that_a_host_function_catches_is_over() -> None:
    def host(n: int) -> int:
        if n == 0:
            raise CustomError
        try:
            return int(f(n - 1))
        except CustomError:
            return 100 + n

    f = calls_host(["i32"], ["i32"], host)
    assert f(1) == 101
    assert f(3) == 101


def test_a_trap_in_an_inner_activation_can_be_caught_by_the_host_function() -> None:
    m = ModuleBuilder()
    host = m.import_func("env", "host", [], ["i32"])
    m.func([], ["i32"], call(host) + i32_const(1) + b"\x6a", export="outer")
    m.func([], [], UNREACHABLE, export="inner")

    def catch() -> int:
        with pytest.raises(vw.Trap, match="unreachable") as caught:
            instance.exports.inner()
        assert [frame.func_name for frame in caught.value.frames] == ["inner"]
        return 41

    instance = instance_of(m, {"env": {"host": catch}})
    assert instance.exports.outer() == 42


def test_a_trap_in_an_inner_activation_passes_through_the_outer_one() -> None:
    m = ModuleBuilder()
    host = m.import_func("env", "host")
    m.func([], [], call(host), export="outer")
    m.func([], [], UNREACHABLE, export="inner")
    instance: vw.Instance = instance_of(m, {"env": {"host": lambda: instance.exports.inner()}})
    with pytest.raises(vw.Trap, match="unreachable"):
        instance.exports.outer()


def test_mutual_recursion_without_end_is_a_recursion_error_and_the_store_lives_on() -> None:
    def host(n: int) -> int:
        return int(f(n + 1)) if n < 10**6 else 0

    f = calls_host(["i32"], ["i32"], host)
    for _ in range(3):
        with pytest.raises((RecursionError, vw.Trap)):
            f(0)
    assert f(10**6) == 0


def test_mutual_recursion_until_the_stack_is_used_up_is_a_trap() -> None:
    def host(n: int) -> int:
        return int(f(n + 1))

    f = calls_host(["i32"], ["i32"], host)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10**6)
    try:
        # Since 3.12 CPython counts calls from C apart, and comes first.
        with pytest.raises((vw.Trap, RecursionError), match=r"call stack exhausted|maximum recursion depth exceeded"):
            f(0)
    finally:
        sys.setrecursionlimit(limit)


def test_python_code_can_call_a_host_function_through_its_func() -> None:
    f = calls_host([], [], lambda: None)
    func = vw.Func(f.store, vw.FuncType(["i32", "f64"], ["f64"]), lambda a, b: a + b, name="sum")
    assert func(1, 2.5) == 3.5
    assert func.name == "sum"
    with pytest.raises(TypeError, match="sum"):
        func("x", 1)
    with pytest.raises(TypeError, match="callable"):
        vw.Func(f.store, vw.FuncType(), 5)  # type: ignore[arg-type]  # what is tested


@pytest.mark.parametrize(
    ("params", "results"),
    [
        ([], []),
        (["i32"], []),
        ([], ["i32"]),
        (["i32"], ["i32"]),
        (["f64", "f64"], ["f64"]),
        (["i32", "i64"], ["f32"]),
        (["i32"] * 9, ["i32"]),
        (["i32"], ["i32", "i32"]),
        (["externref"], ["externref"]),
        (["v128"], ["v128"]),
    ],
)
def test_a_function_of_another_arity_is_said_to_be_one(params: list[str], results: list[str]) -> None:
    class WithOne:
        def __call__(self, only: object) -> object:
            return only

    count = len(params)
    values = [None if type_ == "externref" else 1 for type_ in params]
    type_ = vw.FuncType(params, results)
    store = vw.Store(vw.Engine())
    arguments = f"{count} argument" + "s" * (count != 1)
    wrong: list[Any] = [lambda a, b, c, d: 0, lambda *, keyword: 0, math.sin if count != 1 else math.atan2]
    if count:
        wrong += [lambda: 0, functools.partial(lambda a: 0, 1)]
    if count != 1:
        wrong += [WithOne(), lambda a, *, b=1: 0]
    for function in wrong:
        f = vw.Func(store, type_, function, name="env.f")
        for _ in range(2):
            with pytest.raises(TypeError) as caught:
                f(*values)
            assert str(caught.value).startswith(
                f"env.f{type_}: the Python function for it cannot be called with {arguments}: "
            )
            assert isinstance(caught.value.__cause__, TypeError)


def test_the_message_about_an_arity_names_the_import() -> None:
    module = (
        '(module (import "env" "log" (func (param i32 i32))) (func (export "f") (call 0 (i32.const 1) (i32.const 2))))'
    )
    with pytest.raises(TypeError) as caught:
        vw.instantiate(module, {"env": {"log": lambda message: None}}).exports.f()
    assert str(caught.value).startswith(
        "env.log(i32, i32) -> (): the Python function for it cannot be called with 2 arguments: "
    )
    assert "takes 1 positional argument but 2 were given" in str(caught.value)


def test_a_type_error_of_the_function_itself_stays_what_it_is() -> None:
    def inner(a: int) -> int:
        return a

    def calls_wrongly(a: int) -> int:
        return inner()  # type: ignore[call-arg]  # what is tested

    @functools.wraps(inner)
    def wrapper(*arguments: Any) -> int:
        return inner(*arguments, 2)  # type: ignore[call-arg]  # what is tested

    class OfItsOwn(TypeError):
        pass

    def raises(a: int) -> int:
        raise OfItsOwn("its own")

    def adds(a: Any) -> Any:
        return a + "x"

    for function, message in (
        (calls_wrongly, r"missing 1 required positional argument: 'a'(?m:$)"),
        (wrapper, r"takes 1 positional argument but 2 were given(?m:$)"),
        (raises, r"^its own(?m:$)"),
        (adds, r"^unsupported operand"),
        # One of C has no frame: what it takes decides.
        (len, r"^object of type 'int' has no len\(\)(?m:$)"),
    ):
        f = calls_host(["i32"], ["i32"], function)
        with pytest.raises(TypeError, match=message) as caught:
            f(1)
        assert caught.value.__cause__ is None
        assert all(note.startswith("wasm frames") for note in caught.value.__notes__)


def test_a_callable_that_cannot_be_asked_what_it_takes_raises_its_own_error() -> None:
    class Strange:
        @property
        def __signature__(self) -> object:
            raise RuntimeError("asked")

        def __call__(self) -> int:
            return 1

    with pytest.raises(TypeError, match="takes 1 positional argument but 2 were given") as caught:
        calls_host(["i32"], ["i32"], Strange())(1)
    assert caught.value.__notes__[0] == "in the call of the Python function for env.host(i32) -> i32"


def test_where_a_function_does_not_say_what_it_takes_a_note_names_the_import() -> None:
    f = vw.Func(vw.Store(vw.Engine()), vw.FuncType(["i32"], ["i32"]), max, name="env.max")
    with pytest.raises(TypeError, match="'int' object is not iterable") as caught:
        f(1)
    assert caught.value.__notes__ == ["in the call of the Python function for env.max(i32) -> i32"]


def test_a_func_without_a_name_has_that_of_its_function() -> None:
    def some_name() -> None:
        pass

    store = vw.Store(vw.Engine())
    assert vw.Func(store, vw.FuncType(), some_name).name == "some_name"
    assert vw.Func(store, vw.FuncType(), print).name == "print"


def test_a_host_function_may_grow_memory_that_its_caller_uses() -> None:
    m = ModuleBuilder()
    host = m.import_func("env", "host")
    m.memory(1, export="memory")
    # Store beyond the first page after the call.
    m.func([], ["i32"], call(host) + i32_const(70000) + i32_const(7) + b"\x36\x02\x00\x3f\x00", export="f")
    instance: vw.Instance = instance_of(m, {"env": {"host": lambda: instance.exports.memory.grow(1)}})
    assert instance.exports.f() == 2
    assert instance.exports.memory[70000] == 7


def test_a_funcref_that_python_returns_can_be_called_by_wasm() -> None:
    m = ModuleBuilder()
    pick = m.import_func("env", "pick", ["i32"], ["funcref"])
    table = m.table(1)
    m.func(
        ["i32"],
        ["i32"],
        i32_const(0)
        + gets(1)
        + call(pick)
        + b"\x26\x00"
        + i32_const(0)
        + b"\x11"
        + bytes([m.type([], ["i32"]), table]),
        export="f",
    )
    m.func([], ["i32"], i32_const(11), export="eleven")
    instance = instance_of(m, {"env": {"pick": lambda n: choices[n]}})
    store = instance.store
    choices: list[Any] = [
        instance.exports.eleven,
        vw.Func(store, vw.FuncType([], ["i32"]), lambda: 12),
        None,
        vw.Func(store, vw.FuncType(["i32"], ["i32"]), lambda x: x),
    ]
    assert instance.exports.f(0) == 11
    assert instance.exports.f(1) == 12
    with pytest.raises(vw.Trap, match="uninitialized element"):
        instance.exports.f(2)
    with pytest.raises(vw.Trap, match="indirect call type mismatch"):
        instance.exports.f(3)


def test_many_host_calls_in_a_row_and_builtins_in_between() -> None:
    m = ModuleBuilder()
    host = m.import_func("env", "host", ["i32"], ["i32"])
    m.memory(1, 100, export="memory")
    m.table(1, 10, element="externref", export="table")
    body = i32_const(5) + call(host) + DROP + i32_const(1) + b"\x40\x00" + DROP
    body += b"\xd0\x6f" + i32_const(2) + bulk(15, 0) + DROP + i32_const(6) + call(host)
    m.func([], ["i32"], body, export="f")
    seen: list[int] = []

    def twice(n: int) -> int:
        seen.append(n)
        return n * 2

    instance = instance_of(m, {"env": {"host": twice}})
    for _ in range(3):
        assert instance.exports.f() == 12
    assert seen == [5, 6] * 3
    assert instance.exports.memory.pages == 4
    assert len(instance.exports.table) == 7
