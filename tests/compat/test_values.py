"""Types and values, compared with wasmtime-py's."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

import vibewasm.compat.wasmtime as wasmtime
from tests.compat.both import attempts, called, kinds, same
from vibewasm.compat.wasmtime.values import converter

FIVE = ("i32", "i64", "f32", "f64", "externref", "funcref")


@same
def test_types_of_values_are_shown_and_compared(w: Any) -> object:
    types = [getattr(w.ValType, name)() for name in FIVE]
    return (
        [str(type_) for type_ in types],
        repr(types[0]),
        [one == other for one in types for other in types],
        types[0] != w.ValType.i32(),
        types[0] == 3,
        attempts(w.ValType, lambda: hash(types[0])),
    )


@same
def test_types_say_what_they_were_made_of(w: Any) -> object:
    func = w.FuncType([w.ValType.i32(), w.ValType.f64()], [w.ValType.externref()])
    table = w.TableType(w.ValType.funcref(), w.Limits(1, None))
    memory = w.MemoryType(w.Limits(2, 3))
    global_ = w.GlobalType(w.ValType.i64(), True)
    return (
        list(map(str, func.params)),
        list(map(str, func.results)),
        (str(table.element), table.limits.min, table.limits.max),
        (memory.limits.min, memory.limits.max, memory.is_64, memory.is_shared, memory.page_size, memory.page_size_log2),
        (str(global_.content), global_.mutable),
        [w.Limits(1, 2) == other for other in (w.Limits(1, 2), w.Limits(1, None), 3)],
    )


@same
def test_what_is_no_type_is_refused(w: Any) -> object:
    return attempts(
        lambda: w.FuncType([1], []),
        lambda: w.FuncType([], ["i32"]),
        lambda: w.GlobalType(3, True),
        lambda: w.TableType(3, w.Limits(1, 1)),
        lambda: w.TableType(w.ValType.funcref(), 3),
        lambda: w.MemoryType(3),
        lambda: w.MemoryType(w.Limits(1 << 32, None)),
        lambda: w.MemoryType(w.Limits(1, 1 << 32)),
        lambda: w.MemoryType(w.Limits(2, 1)),
        lambda: w.MemoryType(w.Limits(2, None), shared=True),
        lambda: w.MemoryType(w.Limits(70000, None)),
        lambda: w.TagType(3),
    )


@same
def test_types_of_memories_that_the_engine_has_none_of_can_be_made(w: Any) -> object:
    large = w.MemoryType(w.Limits(1 << 32, 1 << 33), is_64=True)
    shared = w.MemoryType(w.Limits(1, 2), shared=True)
    small = w.MemoryType(w.Limits(1, None), page_size_log2=0)
    return large.limits.min, large.is_64, shared.is_shared, small.page_size, small.page_size_log2


@same
def test_a_type_of_tags_takes_the_type_of_functions_over(w: Any) -> object:
    func = w.FuncType([w.ValType.i32()], [])
    tag = w.TagType(func)
    return [str(param) for param in tag.functype.params], attempts(lambda: func.params)


@same
def test_values_keep_their_low_bits(w: Any) -> object:
    ints = [0, 1, -1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 1 << 40, -(1 << 70), True]
    floats = [0.0, -0.0, 0.1, 1e300, float("inf"), float("nan")]
    return (
        [(w.Val.i32(value).value, w.Val.i64(value).value) for value in ints],
        [(w.Val.f32(value).value, w.Val.f64(value).value) for value in floats],
    )


@same
def test_values_give_what_they_are_and_nothing_else(w: Any) -> object:
    values = [w.Val.i32(1), w.Val.i64(2), w.Val.f32(0.5), w.Val.f64(0.25), w.Val.externref("x"), w.Val.externref(None)]
    ways = ["as_i32", "as_i64", "as_f32", "as_f64", "as_externref"]
    return [[str(value.type), value.value, *(getattr(value, way)() for way in ways)] for value in values]


@same
def test_what_is_no_such_value_is_refused(w: Any) -> object:
    return attempts(
        lambda: w.Val.i32(1.0),
        lambda: w.Val.i32("1"),
        lambda: w.Val.i64(None),
        lambda: w.Val.f32(1),
        lambda: w.Val.f64("1"),
        lambda: w.Val.ref_null(w.ValType.i32()),
        lambda: w.Val.ref_null(w.ValType.externref()),
        lambda: w.Val.ref_null(w.ValType.funcref()),
        lambda: hash(w.Val.i32(1)),
    )


@same
def test_values_equal_others_of_their_type_and_plain_objects(w: Any) -> object:
    values = [w.Val.i32(1), w.Val.i64(1), w.Val.f64(1.0), w.Val.externref(None), w.Val.funcref(None)]
    return [value == other for value in values for other in [*values, 1, 1.0, None, "x"]]


@pytest.mark.parametrize("name", ["i32", "i64", "f32", "f64", "externref", "funcref"])
@pytest.mark.parametrize(
    "value", [0, 1, -1, 1 << 31, 1 << 32, (1 << 40) + 5, 1 << 64, -(1 << 70), True, 1.5, 1e300, "x", None, (1, 2)]
)
def test_arguments_become_what_they_become_there(name: str, value: object) -> None:
    def case(w: Any) -> object:
        text = f"(module (func (export 'f') (param {name}) (result {name}) (local.get 0)))".replace("'", '"')
        return called(w, text, value)

    same(case)()


@same
def test_arguments_may_be_values_of_the_right_type(w: Any) -> object:
    text = '(module (func (export "f") (param i32 externref) (result i32 externref) (local.get 0) (local.get 1)))'
    return attempts(
        lambda: called(w, text, w.Val.i32(-3), w.Val.externref({"a": 1}) and w.Val.externref("a")),
        lambda: called(w, text, w.Val.i64(3), None),
        lambda: called(w, text, 3, w.Val.i32(3)),
        lambda: called(w, text, 3, w.Val.externref(None)),
    )


@same
def test_an_argument_too_many_or_too_few_is_counted(w: Any) -> object:
    text = '(module (func (export "f") (param i32 i32)))'
    return attempts(lambda: called(w, text), lambda: called(w, text, 1), lambda: called(w, text, 1, 2, 3))


def test_any_object_comes_back_as_itself_and_is_let_go() -> None:
    store = wasmtime.Store()
    text = '(module (func (export "f") (param externref) (result externref) (local.get 0)))'
    f: Any = wasmtime.Instance(store, wasmtime.Module(store.engine, text), []).exports(store)["f"]

    class Mine:
        pass

    mine = Mine()
    gone = weakref.ref(mine)
    assert f(store, mine) is mine
    assert f(store, wasmtime.Val.externref(mine)) is mine
    del mine
    store.gc()
    gc.collect()
    assert gone() is None


def test_vectors_have_no_values_in_python() -> None:
    # wasmtime-py has none either.
    with pytest.raises(TypeError, match="v128"):
        converter(4)(1)


@same
def test_errors_about_kinds_come_before_the_engine_looks(w: Any) -> object:
    store = w.Store()
    return kinds(
        lambda: w.Memory(1, w.MemoryType(w.Limits(1, 1))),
        lambda: w.Memory(store, 1),
        lambda: w.Global(store, 1, 1),
        lambda: w.Global(1, w.GlobalType(w.ValType.i32(), True), 1),
        lambda: w.Table(store, 1, None),
        lambda: w.Func(1, w.FuncType([], []), print),
        lambda: w.Func(store, 1, print),
        lambda: w.Linker(2),
        lambda: w.Engine(3),
        lambda: w.Store(3),
        lambda: w.Module(1, b""),
        lambda: w.Module(w.Engine(), 2),
        lambda: w.Module.validate(1, b""),
        lambda: w.Instance(store, 1, []),
        lambda: w.Instance(store, w.Module(store.engine, '(module (import "" "" (func)))'), [1]),
        lambda: w.Tag(store, 3),
    )
