"""The types that users and the engine share."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vibewasm import types
from vibewasm.extern_types import ExportType, GlobalType, ImportType, Limits, MemoryType, TableType
from vibewasm.types import FuncType, ValType, type_name, val_type

NAMES = ["i32", "i64", "f32", "f64", "v128", "funcref", "externref", "exnref"]
type_names = st.lists(st.sampled_from(NAMES), max_size=4)


def test_value_types_are_one_object_each() -> None:
    for code, name in enumerate(NAMES):
        type_ = ValType(name)
        assert type_ is getattr(ValType, name)
        assert type_ is val_type(code) is val_type(name) is val_type(type_)
        assert (type_.code, type_.name, str(type_), type_name(code)) == (code, name, name, name)
        assert getattr(types, name.upper()) == code
        assert pickle.loads(pickle.dumps(type_)) is type_
        assert copy.deepcopy(type_) is type_
        assert type_.is_ref == (code >= types.FUNCREF)
    assert type_name(-1) == "unknown"


@pytest.mark.parametrize(
    "wrong",
    [
        "i31",
        "",
        11,
        20,
        27,
        63,
        2**40,
        -1,
        -16,
        "(ref)",
        "(ref any)",
        "(ref  func)",
        "(ref null)",
        "(ref func null)",
        "null",
        "nullref",
        "none",
    ],
)
def test_unknown_value_types(wrong: str | int) -> None:
    with pytest.raises(ValueError, match="unknown value type"):
        val_type(wrong)


@pytest.mark.parametrize("wrong", [None, 1.0, True, b"i32"])
def test_what_is_no_value_type_at_all(wrong: object) -> None:
    with pytest.raises(TypeError, match="expected a ValType"):
        val_type(wrong)


@given(params=type_names, results=type_names)
def test_function_types_are_made_of_objects_names_or_codes(params: list[str], results: list[str]) -> None:
    type_ = FuncType(params, results)
    codes = [NAMES.index(name) for name in params], [NAMES.index(name) for name in results]
    same = [
        FuncType(*codes),
        FuncType([ValType(name) for name in params], (ValType(name) for name in results)),
        FuncType.from_codes(tuple(codes[0]), tuple(codes[1])),
        pickle.loads(pickle.dumps(type_)),
    ]
    for other in same:
        assert other == type_
        assert hash(other) == hash(type_)
        assert (other.params, other.results) == (type_.params, type_.results)
    assert type_ != FuncType([*params, "i32"], results)
    assert type_ != FuncType(params, [*results, "i32"])
    assert [str(param) for param in type_.params] == params


def test_how_function_types_read() -> None:
    assert str(FuncType()) == "() -> ()"
    assert str(FuncType(["i32", "i64"], ["f32"])) == "(i32, i64) -> f32"
    assert str(FuncType(["externref"], ["i32", "i32"])) == "(externref) -> (i32, i32)"
    assert repr(FuncType(["i32"], ["f32"])) == "FuncType(['i32'], ['f32'])"


def test_a_bare_string_is_no_list_of_types() -> None:
    with pytest.raises(TypeError, match="a sequence of value types: write"):
        FuncType("i32")


EXTERNS = [
    (Limits(1, 2), "1 2", "Limits(1, 2)"),
    (Limits(1, shared=True, is64=True), "i64 1 shared", "Limits(1, None, shared=True, is64=True)"),
    (MemoryType(Limits(1)), "memory 1", "MemoryType(Limits(1, None))"),
    (TableType("funcref", Limits(0, 9)), "table 0 9 funcref", "TableType('funcref', Limits(0, 9))"),
    (GlobalType("i32"), "global i32", "GlobalType('i32', False)"),
    (GlobalType("f64", True), "global (mut f64)", "GlobalType('f64', True)"),
    (FuncType(), "() -> ()", "FuncType([], [])"),
]


@pytest.mark.parametrize(("type_", "text", "shown"), EXTERNS)
def test_types_read_and_compare_by_value(type_: object, text: str, shown: str) -> None:
    assert (str(type_), repr(type_)) == (text, shown)
    twin = copy.deepcopy(pickle.loads(pickle.dumps(type_)))
    assert twin == type_
    assert hash(twin) == hash(type_)
    for other, _, _ in EXTERNS:
        assert (other == type_) == (other is type_)
    assert type_ != 1


def test_a_table_of_numbers_is_refused() -> None:
    with pytest.raises(ValueError, match="a table holds references, not i32"):
        TableType("i32", Limits(0))


def test_imports_and_exports_compare_by_value() -> None:
    first = ImportType("env", "f", FuncType())
    assert pickle.loads(pickle.dumps(first)) == first
    assert hash(first) == hash(ImportType("env", "f", FuncType()))
    assert first != ImportType("env", "g", FuncType())
    assert repr(first) == "ImportType('env', 'f', FuncType([], []))"
    export = ExportType("m", MemoryType(Limits(1)))
    assert pickle.loads(pickle.dumps(export)) == export
    assert export != ExportType("m", MemoryType(Limits(2)))
    assert hash(export) == hash(ExportType("m", MemoryType(Limits(1))))
    assert repr(export) == "ExportType('m', MemoryType(Limits(1, None)))"
