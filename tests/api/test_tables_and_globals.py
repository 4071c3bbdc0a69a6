"""Tables and globals as Python sees them, and the bulk instructions on tables."""

from __future__ import annotations

import math
from typing import Any

import pytest

import vibewasm as vw
from tests.binary.builder import FUNC, TABLE, ModuleBuilder
from tests.binary.encode import f32_const, f64_const, global_get, i32_const, i64_const, ref_func, ref_null

from .wasm import bulk, call_indirect, gets, global_set, instance_of, table_get


def store(**settings: Any) -> vw.Store:
    """A store of its own."""
    return vw.Store(vw.Engine(vw.Config(**settings)))


def table(minimum: int, maximum: int | None = None, element: str = "externref", init: object = None) -> vw.Table:
    """A table in a store of its own."""
    return vw.Table(store(), vw.TableType(element, vw.Limits(minimum, maximum)), init)


def test_elements_are_any_objects() -> None:
    t = table(3, init="first")
    assert list(t) == ["first"] * 3
    t[1] = None
    t[2] = t
    assert t[1] is None
    assert t[2] is t
    assert len(t) == 3


def test_what_lies_outside_a_table_is_an_index_error_that_says_the_size() -> None:
    t = table(3)
    for index in (3, -1, 10**20):
        with pytest.raises(IndexError, match=f"{index} is outside the table of 3 elements"):
            t[index]
        with pytest.raises(IndexError, match=f"{index} is outside the table of 3 elements"):
            t[index] = 1


def test_a_table_of_functions_takes_functions_of_its_store() -> None:
    t = table(2, element="funcref")
    f = vw.Func(t.store, vw.FuncType(), lambda: None)
    t[0] = f
    assert t[0] is f
    with pytest.raises(TypeError, match=r"a table of funcref wants a vibewasm\.Func or None, not int 5"):
        t[0] = 5
    with pytest.raises(ValueError, match="a table of funcref wants a function of the same store"):
        t[0] = vw.Func(store(), vw.FuncType(), lambda: None)
    with pytest.raises(TypeError):
        table(1, element="funcref", init="x")
    assert t[0] is f


def test_growing_a_table() -> None:
    t = table(1, 100_000)
    t[0] = "kept"
    assert t.grow(2, "new") == 1
    assert list(t) == ["kept", "new", "new"]
    for _ in range(2000):
        t.grow(1)
    assert t.grow(90_000, "many") == 2003
    assert t[0] == "kept"
    assert t[2002] is None
    assert t[92_002] == "many"
    assert t.grow(0) == 92_003
    assert t.type == vw.TableType("externref", vw.Limits(92_003, 100_000))


def test_growing_a_table_that_fails_says_why() -> None:
    with pytest.raises(vw.WasmError, match="table of 1 element cannot grow by 2: its type allows 2 elements"):
        table(1, 2).grow(2)
    with pytest.raises(vw.WasmError, match=r"Store\.max_table_elements is 10000000"):
        table(1).grow(10_000_000)
    with pytest.raises(ValueError, match="cannot shrink"):
        table(1).grow(-1)
    with pytest.raises(vw.LinkError, match=r"more than Store.max_table_elements allows: 10$") as caught:
        vw.Table(store(max_table_elements=10), vw.TableType("funcref", vw.Limits(11)))
    assert caught.value.limit == "max_table_elements"


def bulk_tables(config: vw.Config | None = None) -> Any:
    """Exports of a module with three tables of functions that return 0 to 3, and an instruction in each export."""
    m = ModuleBuilder()
    m.table(6, 20, export="a")
    m.table(6, 6, export="b")
    m.table(2, 8, element="externref", export="c")
    functions = [m.func([], ["i32"], i32_const(n)) for n in range(4)]
    m.elem(functions, None)
    m.elem_exprs("funcref", [ref_null(), ref_func(1), ref_null()], None)
    three = ["i32"] * 3
    m.func(three, [], gets(3) + bulk(12, 0, 0), export="init_a")
    m.func(three, [], gets(3) + bulk(12, 1, 0), export="init_exprs")
    m.func(three, [], gets(3) + bulk(14, 0, 0), export="copy_a_a")
    m.func(three, [], gets(3) + bulk(14, 1, 0), export="copy_b_a")
    m.func(["i32", "funcref", "i32"], [], gets(3) + bulk(17, 0), export="fill_a")
    m.func(["i32", "externref", "i32"], [], gets(3) + bulk(17, 2), export="fill_c")
    m.func(["funcref", "i32"], ["i32"], gets(2) + bulk(15, 0), export="grow_a")
    m.func(["externref", "i32"], ["i32"], gets(2) + bulk(15, 2), export="grow_c")
    m.func([], [], bulk(13, 0), export="drop")
    m.func(["i32"], ["i32"], gets(1) + call_indirect(m.type([], ["i32"])), export="call_a")
    m.func(["i32"], ["externref"], gets(1) + table_get(2), export="get_c")
    return instance_of(m, config=config).exports


def numbers(t: vw.Table) -> list[int | None]:
    """What each function of a table returns."""
    return [f and f() for f in t]


def test_table_init_copies_functions_of_a_segment() -> None:
    e = bulk_tables()
    e.init_a(1, 0, 4)
    assert numbers(e.a) == [None, 0, 1, 2, 3, None]
    assert e.call_a(4) == 3
    e.init_exprs(0, 0, 3)
    assert numbers(e.a) == [None, 1, None, 2, 3, None]
    e.init_a(6, 4, 0)
    for arguments in ((0, 0, 5), (0, 5, 0), (7, 0, 0), (3, 0, 4), (-1, 0, 1), (0, -1, 1), (0, 0, -1)):
        with pytest.raises(vw.Trap, match="out of bounds table access") as caught:
            e.init_a(*arguments)
        assert caught.value.code == "table_out_of_bounds"
        assert caught.value.frames[0].func_name == "init_a"
    assert numbers(e.a) == [None, 1, None, 2, 3, None]


def test_a_dropped_segment_is_empty() -> None:
    e = bulk_tables()
    e.drop()
    e.drop()
    e.init_a(0, 0, 0)
    for arguments in ((0, 0, 1), (0, 1, 0)):
        with pytest.raises(vw.Trap, match="out of bounds table access"):
            e.init_a(*arguments)


def test_table_copy_may_overlap() -> None:
    e = bulk_tables()
    e.init_a(0, 0, 4)
    e.copy_a_a(1, 0, 4)
    assert numbers(e.a) == [0, 0, 1, 2, 3, None]
    e.copy_a_a(0, 1, 5)
    assert numbers(e.a) == [0, 1, 2, 3, None, None]
    e.copy_b_a(2, 0, 4)
    assert numbers(e.b) == [None, None, 0, 1, 2, 3]
    e.copy_a_a(6, 6, 0)
    for arguments in ((0, 0, 7), (7, 0, 0), (0, 7, 0), (3, 0, 4), (0, 3, 4), (-1, 0, 1), (0, 0, -1)):
        with pytest.raises(vw.Trap, match="out of bounds table access"):
            e.copy_a_a(*arguments)


def test_table_fill_and_grow() -> None:
    e = bulk_tables()
    e.init_a(0, 3, 1)
    three = e.a[0]
    e.fill_a(2, three, 2)
    assert numbers(e.a) == [3, None, 3, 3, None, None]
    thing = object()
    e.fill_c(0, thing, 2)
    assert e.get_c(1) is thing
    e.fill_a(6, three, 0)
    for arguments in ((7, None, 0), (0, None, 7), (-1, None, 1), (0, None, -1)):
        with pytest.raises(vw.Trap, match="out of bounds table access"):
            e.fill_a(*arguments)
    assert e.grow_a(three, 2) == 6
    assert numbers(e.a) == [3, None, 3, 3, None, None, 3, 3]
    assert e.call_a(7) == 3
    assert e.grow_c(thing, 6) == 2
    assert e.grow_c(thing, 1) == -1
    assert e.grow_c(thing, -1) == -1
    assert e.get_c(7) is thing


def test_a_store_limits_table_grow() -> None:
    e = bulk_tables(vw.Config(max_table_elements=20))
    others = sum(len(table) for table in e.a.store._tables) - len(e.a)
    assert e.grow_a(None, 20 - others - 6 + 1) == -1
    assert e.grow_a(None, 20 - others - 6) == 6
    with pytest.raises(vw.WasmError, match=r"Store\.max_table_elements is 20, of which 20 are in use"):
        e.a.grow(1)


def test_a_function_in_a_table_is_the_one_that_was_exported() -> None:
    m = ModuleBuilder()
    m.table(2, export="t")
    f = m.func([], [], b"", export="f")
    hidden = m.func([], ["i32"], i32_const(9))
    m.elem([f, hidden])
    instance = instance_of(m)
    assert instance.exports.t[0] is instance.exports.f
    assert instance.exports.t[1]() == 9
    assert instance.exports.t[1] is instance.exports.t[1]
    assert instance.exports.t[1].name == "function 1"


def test_the_identity_of_a_function_survives_export_and_import() -> None:
    m = ModuleBuilder()
    m.func([], ["i32"], i32_const(1), export="f")
    first = instance_of(m)
    m = ModuleBuilder()
    f = m.import_func("a", "f", [], ["i32"])
    m.table(1, export="t")
    m.elem([f])
    m.export("again", FUNC, f)
    m.export("t2", TABLE, 0)
    second = instance_of(m, {"a": first.exports})
    assert second.exports.again is first.exports.f
    assert second.exports.t[0] is first.exports.f
    assert second.exports.t2 is second.exports.t
    assert second.store is first.store


def test_globals_of_every_type() -> None:
    m = ModuleBuilder()
    m.global_("i32", i32_const(-1), export="i32")
    m.global_("i64", i64_const(-(2**63)), mutable=True, export="i64")
    m.global_("f32", f32_const(1.5), mutable=True, export="f32")
    m.global_("f64", f64_const(math.inf), mutable=True, export="f64")
    m.global_("externref", ref_null("externref"), mutable=True, export="externref")
    m.global_("funcref", ref_null(), mutable=True, export="funcref")
    e = instance_of(m).exports
    assert [e[name].value for name in e] == [-1, -(2**63), 1.5, math.inf, None, None]
    assert e.i32.raw == 0xFFFF_FFFF
    assert e.f32.raw == 0x3FC0_0000
    e.i64.value = 2**64 - 1
    assert e.i64.value == -1
    e.f32.value = 0.1
    assert e.f32.value != 0.1
    assert math.isclose(e.f32.value, 0.1, rel_tol=1e-7)
    e.externref.value = e
    assert e.externref.value is e
    with pytest.raises(TypeError, match="a global of type i64 wants an int, not str 'x'"):
        e.i64.value = "x"
    with pytest.raises(OverflowError, match="a global of type i64 wants an int from"):
        e.i64.value = 2**64
    assert e.i64.value == -1
    assert e.i64.type == vw.GlobalType("i64", True)
    assert e["i64"] is e.i64
    assert repr(e.i64) == "<vibewasm.Global i64 -1>"


def test_an_immutable_global_cannot_be_set() -> None:
    g = vw.Global(store(), vw.GlobalType("i32"), 5)
    with pytest.raises(AttributeError, match="this global is immutable"):
        g.value = 6
    assert g.value == 5
    assert g.raw == 5


def test_a_global_takes_only_values_of_its_type() -> None:
    with pytest.raises(TypeError, match=r"a global of type i32 wants an int, not float 1\.5"):
        vw.Global(store(), vw.GlobalType("i32"), 1.5)
    assert vw.Global(store(), vw.GlobalType("externref"), None).value is None


def test_a_mutable_global_is_shared() -> None:
    m = ModuleBuilder()
    m.import_global("env", "g", "i64", mutable=True)
    m.import_global("env", "c", "i32")
    m.export("g", 3, 0)
    m.func(["i64"], ["i64", "i32"], gets(1) + global_set(0) + global_get(0) + global_get(1), export="set")
    g = vw.Global(store(), vw.GlobalType("i64", True), 1)
    c = vw.Global(g.store, vw.GlobalType("i32"), -3)
    first, second = (instance_of(m, {"env": {"g": g, "c": c}}) for _ in range(2))
    assert first.exports.set(-7) == (-7, -3)
    assert g.value == -7
    assert second.exports.g is g
    g.value = 8
    m = ModuleBuilder()
    m.import_global("other", "g", "i64", mutable=True)
    m.func([], ["i64"], global_get(0), export="get")
    third = instance_of(m, {"other": {"g": first.exports.g}})
    assert third.exports["get"]() == 8


def test_constant_expressions_compute_and_read_imported_globals() -> None:
    m = ModuleBuilder()
    m.import_global("env", "base", "i32")
    m.global_("i32", global_get(0) + i32_const(3) + b"\x6c" + i32_const(1) + b"\x6b", export="i32")
    m.global_("i64", i64_const(2**62) + i64_const(4) + b"\x7e" + i64_const(-1) + b"\x7c", export="i64")
    f = m.func([], [], b"")
    m.global_("funcref", ref_func(f), export="funcref")
    e = instance_of(m, {"env": {"base": 7}}).exports
    assert e.i32.value == 20
    assert e.i64.value == -1
    assert e.funcref.value() is None


def test_the_bits_of_an_f32_are_these_whatever_was_on_the_stack_in_its_place() -> None:
    # One place on the stack has an i64 first, and then the f32 that becomes the global's.
    text = """(module (global $g (export "g") (mut f32) (f32.const 0)) (func $f)
        (func (export "set") (param f32 i64)
            (local.get 1) (call $f) (drop)
            (f32.add (local.get 0) (local.get 0)) (call $f) (global.set $g)))"""
    for config in (vw.Config(), vw.Config(checked=True), vw.Config(compilation="eager")):
        exports = vw.instantiate(text, config=config).exports
        exports.set(1.0, -1)
        assert exports.g.value == 2.0
        assert exports.g.raw == 0x4000_0000
