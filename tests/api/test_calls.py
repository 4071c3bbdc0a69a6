"""Calls from Python: what arguments may be, what results are, at any depth."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import vibewasm as vw
from tests.binary.builder import ModuleBuilder
from tests.binary.encode import i32_const, i64_const

from .wasm import DROP, adder, calls_host, gets, identity, instance_of

NUMBERS = ["i32", "i64", "f32", "f64"]


def test_add() -> None:
    add = vw.instantiate(adder()).exports.add
    assert add(2, 3) == 5
    assert add(-2, 1) == -1
    assert add(2**31 - 1, 1) == -(2**31)


@pytest.mark.parametrize(("type_", "bits"), [("i32", 32), ("i64", 64)])
def test_integers_may_be_signed_or_unsigned_and_come_back_signed(type_: str, bits: int) -> None:
    f = identity(type_)
    for value in (0, 1, -1, 2 ** (bits - 1) - 1, -(2 ** (bits - 1)), True):
        assert f(value) == value
    assert f(2**bits - 1) == -1
    assert f(2 ** (bits - 1)) == -(2 ** (bits - 1))
    for value in (2**bits, -(2 ** (bits - 1)) - 1, 10**30):
        with pytest.raises(OverflowError, match=rf"parameter 1 wants an int from -2\*\*{bits - 1} to 2\*\*{bits}-1"):
            f(value)


@pytest.mark.parametrize("type_", ["i32", "i64"])
@pytest.mark.parametrize("value", [1.0, "1", None, b"1", [1]])
def test_integers_are_made_of_nothing_else(type_: str, value: object) -> None:
    with pytest.raises(TypeError, match=rf"f\({type_}\) -> {type_}: parameter 1 wants an int, not "):
        identity(type_)(value)


def test_whatever_has_an_index_is_an_integer() -> None:
    class Seven:
        def __index__(self) -> int:
            return 7

    assert identity("i32")(Seven()) == 7
    assert identity("i64")(Seven()) == 7


def test_floats_take_any_number() -> None:
    f32, f64 = identity("f32"), identity("f64")
    assert f64(0.1) == 0.1
    assert f64(3) == 3.0
    assert isinstance(f64(3), float)
    assert f32(0.1) == struct.unpack("f", struct.pack("f", 0.1))[0]
    assert math.isnan(f32(math.nan))
    assert f64(-math.inf) == -math.inf
    assert math.copysign(1, f32(-0.0)) == -1
    for wrong in ("1.5", None, 1j):
        for f in (f32, f64):
            with pytest.raises(TypeError, match="parameter 1 wants a number, not "):
                f(wrong)
    with pytest.raises(OverflowError, match="too large for any float"):
        f64(10**400)


def test_a_number_beyond_the_range_of_f32_becomes_infinite() -> None:
    f = identity("f32")
    assert f(1e39) == math.inf
    assert f(-1e300) == -math.inf


def test_a_wrong_number_of_arguments_is_said() -> None:
    add = vw.instantiate(adder()).exports.add
    for arguments, given_ in (((), 0), ((1,), 1), ((1, 2, 3), 3), ((1, 2, 3, 4, 5), 5)):
        with pytest.raises(TypeError, match=rf"add\(i32, i32\) -> i32 takes 2 arguments, {given_} given"):
            add(*arguments)
    with pytest.raises(TypeError, match=r"takes 1 argument, 0 given"):
        identity("i32")()
    with pytest.raises(TypeError, match=r"takes 6 arguments, 5 given"):
        identity(*["i32"] * 6)(1, 2, 3, 4, 5)


@pytest.mark.parametrize("types", [(), ("i32",), ("i32",) * 4, ("i32",) * 7, ("externref",), ("i64", "f64", "funcref")])
def test_an_argument_with_a_name_is_said_to_have_no_place(types: tuple[str, ...]) -> None:
    values = tuple(None if type_.endswith("ref") else 1 for type_ in types)
    f = identity(*types)
    host = vw.Func(f.store, vw.FuncType(types), lambda *arguments: None)
    for function in (f, host):
        # The first call makes what later ones use.
        for _ in range(2):
            for name in ("a", "x", "type"):
                with pytest.raises(
                    TypeError, match=r"^wasm functions take arguments by position only, as in f\(1\) and not f\(a=1\): "
                ):
                    function(*values[1:], **{name: 1})
            function(*values)


def test_a_value_that_is_too_long_to_be_shown_is_described() -> None:
    add = vw.instantiate(adder()).exports.add
    for value in (10**6000, -(10**6000)):
        with pytest.raises(OverflowError, match=r"parameter 1 wants an int from .*, not a number of 19932 bits$"):
            add(value, 1)
    with pytest.raises(TypeError, match=r"parameter 2 wants an int, not str 'x{30,40}\.\.\.$"):
        add(1, "x" * 10**6)


def test_an_error_in_an_argument_leaves_the_function_usable() -> None:
    add = vw.instantiate(adder()).exports.add
    for _ in range(3):
        with pytest.raises(TypeError):
            add(1, "x")
        assert add(1, 2) == 3


def test_no_result_is_none_and_several_are_a_tuple() -> None:
    m = ModuleBuilder()
    m.func([], [], b"", export="none")
    m.func([], ["i32", "i64"], i32_const(1) + i64_const(-2), export="two")
    exports = instance_of(m).exports
    assert exports.none() is None
    assert exports.two() == (1, -2)


@given(st.lists(st.sampled_from(NUMBERS), max_size=12), st.data())
def test_values_of_any_signature_come_back(types: list[str], data: st.DataObject) -> None:
    strategies: dict[str, st.SearchStrategy[Any]] = {
        "i32": st.integers(-(2**31), 2**31 - 1),
        "i64": st.integers(-(2**63), 2**63 - 1),
        "f32": st.floats(width=32, allow_nan=False),
        "f64": st.floats(allow_nan=False),
    }
    arguments = [data.draw(strategies[type_]) for type_ in types]
    got = identity(*types)(*arguments)
    expected = None if not types else arguments[0] if len(types) == 1 else tuple(arguments)
    assert repr(got) == repr(expected)


def test_raw_calls_take_and_give_bits() -> None:
    nan = 0x7FF0_0000_0000_0001
    f = identity("i32", "i64", "f32", "f64")
    cells = [0xFFFF_FFFF, 2**64 - 1, 0x7FA0_0001, nan]
    assert f.call_raw(cells) == cells
    assert identity("f32").call_raw([0x1234_5678_7FA0_0001]) == [0x7FA0_0001]
    assert identity("i32").call_raw([0x1_0000_0001]) == [1]
    with pytest.raises(TypeError, match="takes 4 cells, 3 were given"):
        f.call_raw(cells[:3])
    with pytest.raises(OverflowError, match="a cell is an int from 0"):
        f.call_raw([0, 0, 0, -1])
    m = ModuleBuilder()
    m.func(["i32", "i64"], [], b"", export="f")
    assert instance_of(m).exports.f.call_raw([1, 2]) == []


def test_raw_calls_take_no_references_but_those_that_the_store_gave_out() -> None:
    f = identity("funcref", "externref")
    store = f.store
    host = vw.Func(store, vw.FuncType(), lambda: None)
    table = vw.Table(store, vw.TableType("externref", vw.Limits(1)), "thing")
    assert f.call_raw([0, 0]) == [0, 0]
    assert f.call_raw([host._address, 1]) == [host._address, 1]
    assert table[0] == "thing"
    for cells in ([host._address + 8, 0], [0, 2], [0, 2**64 - 1]):
        with pytest.raises(ValueError, match=r"is no reference of type (funcref|externref) that this store gave out"):
            f.call_raw(cells)


def test_a_function_with_as_many_parameters_as_there_may_be() -> None:
    f = identity(*["i64"] * 1000)
    arguments = tuple(range(1000))
    assert f(*arguments) == arguments


def test_calls_within_calls_do_not_touch_each_others_arguments() -> None:
    def host(n: int) -> int:
        return n + (f(n - 1) if n else 0)

    f = calls_host(["i32"], ["i32"], host)
    assert f(20) == sum(range(21))
    assert f(20) == sum(range(21))


def test_calls_within_calls_with_many_cells() -> None:
    width = 300

    def host(*values: int) -> tuple[int, ...]:
        return f(*[v - 1 for v in values]) if values[0] else values

    f = calls_host(["i32"] * width, ["i32"] * width, host)
    assert f(*[20] * width) == (0,) * width


def test_an_argument_whose_conversion_calls_the_same_function() -> None:
    add = vw.instantiate(adder()).exports.add

    class Sly:
        def __index__(self) -> int:
            return int(add(40, 1))

    assert add(1, Sly()) == 42
    assert add(Sly(), 1) == 42


def test_references_go_through_unchanged() -> None:
    externref = identity("externref")
    thing = object()
    assert externref(thing) is thing
    assert externref(None) is None
    assert externref(0) == 0
    funcref = identity("funcref")
    assert funcref(None) is None
    assert funcref(funcref) is funcref
    mixed = identity("i32", "externref", "f64", "funcref", "externref")
    store = mixed.store
    func = vw.Func(store, vw.FuncType(), lambda: None)
    assert mixed(1, thing, 2.5, func, "text") == (1, thing, 2.5, func, "text")


def test_a_funcref_is_a_func_of_the_same_store() -> None:
    f = identity("funcref")
    with pytest.raises(TypeError, match=r"parameter 1 wants a vibewasm\.Func or None, not function"):
        f(test_add)
    other = vw.instantiate(adder()).exports.add
    with pytest.raises(ValueError, match="same store"):
        f(other)


def test_objects_that_wasm_code_does_not_hold_are_let_go() -> None:
    import gc
    import weakref

    class Thing:
        pass

    m = ModuleBuilder()
    m.table(4, element="externref", export="table")
    m.global_("externref", b"\xd0\x6f", mutable=True, export="global")
    m.func(["externref"], [], gets(1) + DROP, export="take")
    exports = instance_of(m).exports
    in_table, in_global = Thing(), Thing()
    exports.table[1] = in_table
    exports["global"].value = in_global
    gone = weakref.ref(first := Thing())
    exports.take(first)
    del first
    for _ in range(10_001):
        exports.take(Thing())
    gc.collect()
    assert gone() is None
    assert exports.table[1] is in_table
    assert exports["global"].value is in_global


def test_a_func_is_one_object_and_says_what_it_is() -> None:
    instance = vw.instantiate(adder())
    add = instance.exports.add
    assert instance.exports["add"] is add
    assert callable(add)
    assert add.name == "add"
    assert add.type == vw.FuncType(["i32", "i32"], ["i32"])
    assert add.store is instance.store
    assert repr(add) == "<vibewasm.Func add(i32, i32) -> i32>"


def test_disassemble_shows_the_machine_code() -> None:
    pytest.importorskip("capstone", reason="capstone reads machine code")
    add = vw.instantiate(adder()).exports.add
    assert "ret" in str(add.disassemble())
    host = vw.Func(add.store, vw.FuncType(), lambda: None, name="host")
    with pytest.raises(vw.WasmError, match="host is a Python function"):
        host.disassemble()
