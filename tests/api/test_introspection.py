"""What Python's own tools learn of functions: names, signatures, documentation; and arguments by name."""

from __future__ import annotations

import inspect
import pydoc
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import vibewasm as vw
from tests.binary import encode
from tests.binary.builder import ModuleBuilder
from tests.binary.encode import section, unsigned, vector

from .wasm import gets, instance_of

TEXT = """(module $calc
  (func (export "sub") (export "minus") (param $left i32) (param $from i32) (result i32)
    (i32.sub (local.get 0) (local.get 1)))
  (func (export "same") (param $object externref) (param $n i32) (result externref) (local.get 0))
  (func (export "fifth") (param $a i32) (param $b i32) (param $c i32) (param $d i32) (param $e i32) (result i32)
    (local.get 4))
  (func (export "some") (param $a i32) (param i64) (result i64 i32) (local.get 1) (local.get 0))
  (func (export "unnamed") (param i32) (result i32) (local.get 0))
  (func (export "none") (local $only_a_local i32)))"""


@pytest.fixture
def exports() -> Any:
    return vw.instantiate(TEXT).exports


def test_arguments_can_be_given_by_name(exports: Any) -> None:
    assert exports.sub(left=5, from_=1) == 4
    assert exports.sub(from_=1, left=5) == 4
    assert exports.sub(5, from_=1) == 4
    assert exports.sub(5, 1) == 4
    assert exports.fifth(1, 2, d=3, c=4, e=5) == 5
    thing = object()
    assert exports.same(n=1, object=thing) is thing
    assert exports.some(p1=2, a=1) == (2, 1)
    # Values that views do not take, and calls from within calls, go other ways.
    assert exports.sub(left=2**32 - 1, from_=0) == -1


def test_calls_from_within_take_names_too() -> None:
    instance: Any = None

    def inner() -> int:
        result: int = instance.exports.sub(from_=3, left=5)
        return result

    instance = vw.instantiate(
        """(module (import "env" "inner" (func $inner (result i32))) (export "inner" (func $inner))
          (func (export "sub") (param $left i32) (param $from i32) (result i32)
            (i32.sub (local.get 0) (local.get 1)))
          (func (export "outer") (param $more i32) (result i32) (i32.add (call $inner) (local.get 0))))""",
        {"env": {"inner": inner}},
    )
    assert instance.exports.sub(1, 1) == 0
    assert instance.exports.outer(more=10) == 12


@pytest.mark.parametrize("named", [True, False])
def test_a_keyword_that_does_not_fit_is_said_to_by_its_name(exports: Any, named: bool) -> None:
    if named:
        # What the first call made is used.
        exports.sub(left=1, from_=1)
        exports.fifth(1, 2, 3, 4, 5)
    attempts: list[tuple[Callable[[], object], str]] = [
        (lambda: exports.sub(1, nope=2), r"^sub\(\) got an unexpected keyword argument 'nope'"),
        (lambda: exports.sub(1, left=2), r"^sub\(\) got multiple values for argument 'left'"),
        (lambda: exports.sub(left=2), r"takes 2 arguments, 1 given"),
        (lambda: exports.sub(1, 2, 3), r"takes 2 arguments, 3 given"),
        (lambda: exports.fifth(1, 2, 3, 4, nope=3), r"^fifth\(\): missing a required argument: 'e'"),
        (lambda: exports.fifth(1, 2, 3, 4, 5, nope=3), r"^fifth\(\): got an unexpected keyword argument 'nope'"),
        (lambda: exports.unnamed(p0=3), r"^wasm functions take arguments by position only"),
        (lambda: exports.none(only_a_local=3), r"^wasm functions take arguments by position only"),
    ]
    for attempt, message in attempts:
        with pytest.raises(TypeError, match=message):
            attempt()


@pytest.mark.parametrize("names", [("rest", "token"), ("token", "number"), ("self", "cls"), ("b", "a")])
def test_parameters_may_have_any_name_also_that_of_a_variable_of_the_caller(names: tuple[str, str]) -> None:
    """Also those of the variables of the function that makes the calls."""
    first, second = names
    f = vw.instantiate(
        f'(module (func (export "f") (param ${first} i32) (param ${second} i32) (result i32) (local.get 1)))'
    ).exports.f
    for _ in range(2):
        assert f(**{second: 2, first: 1}) == 2
        assert f(1, 2) == 2
        with pytest.raises(TypeError, match="parameter 2 wants an int"):
            f(**{first: 1, second: "x"})


def test_two_parameters_of_one_name_have_none() -> None:
    text = '(module (func (export "f") (param $from_ i32) (param $from i32)))'
    f = vw.instantiate(text).exports.f
    with pytest.raises(TypeError, match="by position only"):
        f(from_=1)
    assert str(inspect.signature(f)) == "(p0: int, p1: int, /) -> None"


@given(st.lists(st.text(max_size=4) | st.sampled_from(["a", "if", "if_", "p0", "p1"]), min_size=1, max_size=3))
def test_whatever_a_module_calls_its_parameters_they_have_a_signature(names: list[str]) -> None:
    builder = ModuleBuilder()
    index = builder.func(["i32"] * len(names), ["i32"], gets(len(names))[-2:], export="f")
    named = vector(unsigned(at) + encode.name(given_) for at, given_ in enumerate(names))
    builder.custom("name", section(2, vector([unsigned(index) + named])))
    f = instance_of(builder).exports.f
    signature = inspect.signature(f)
    arguments = range(len(names))
    assert f(*arguments) == len(names) - 1
    kinds = {parameter.kind for parameter in signature.parameters.values()}
    if kinds == {inspect.Parameter.POSITIONAL_OR_KEYWORD}:
        assert f(**dict(zip(signature.parameters, arguments, strict=True))) == len(names) - 1
    else:
        assert kinds == {inspect.Parameter.POSITIONAL_ONLY}


def test_functions_have_names_signatures_and_documentation(exports: Any) -> None:
    assert exports.sub.__name__ == exports.sub.name == "sub"
    assert type.__dict__["__name__"].__get__(vw.Func) == "Func"
    assert str(inspect.signature(exports.sub)) == "(left: int, from_: int) -> int"
    assert str(inspect.signature(exports.some)) == "(a: int, p1: int) -> tuple[int, int]"
    assert str(inspect.signature(exports.unnamed)) == "(p0: int, /) -> int"
    assert exports.sub.__doc__ == (
        "sub(left: i32, from_: i32) -> i32\n\nFunction 0 of the module 'calc', exported as 'sub' and 'minus'."
    )
    assert exports.unnamed.__doc__.splitlines()[0] == "unnamed(i32) -> i32"
    host = vw.Func(exports.sub.store, vw.FuncType(["i64"]), print)
    assert host.__doc__ == "print(i64) -> ()\n\nA Python function that wasm code can call."
    assert inspect.getdoc(vw.Func) is not None


def test_help_shows_the_function_and_not_its_class(exports: Any) -> None:
    shown = pydoc.plain(pydoc.render_doc(exports.sub))
    assert "sub(left: i32, from_: i32) -> i32" in shown
    assert "call_raw" not in shown
    assert "call_raw" in pydoc.plain(pydoc.render_doc(vw.Func))


def test_exports_are_a_mapping_and_can_be_matched(exports: Any) -> None:
    assert issubclass(vw.Exports, Mapping)
    assert dict(exports)["sub"] is exports.sub
    match exports:
        case {"nope": _}:
            raise AssertionError
        case {"sub": sub, "none": vw.Func()}:
            assert sub(3, 2) == 1
        case _:
            raise AssertionError
    match exports:
        case vw.Exports(minus=vw.Func(name=name)):
            assert name == "sub"
        case _:
            raise AssertionError
