"""Typed references between Python and wasm code: what is checked, and what messages say."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

import vibewasm as vw

INT = vw.FuncType(["i32"], ["i32"])
NO_NULL = vw.ValType.ref("func", nullable=False)
TO_INT = vw.ValType.ref(INT, nullable=False)
TO_INT_OR_NULL = vw.ValType.ref(INT)


def host(store: vw.Store, type: vw.FuncType, name: str = "host") -> vw.Func:
    return vw.Func(store, type, lambda *arguments: arguments[0] if arguments else None, name=name)


ECHO = """(module
  (type $int (func (param i32) (result i32)))
  (func (export "any") (param (ref func)) (result (ref func)) (local.get 0))
  (func (export "int") (param (ref $int)) (result (ref $int)) (local.get 0))
  (func (export "maybe") (param (ref null $int)) (result (ref null $int)) (local.get 0))
  (func (export "object") (param (ref extern)) (result (ref extern)) (local.get 0))
  (func (export "nothing") (param nullexnref) (result nullexnref) (local.get 0))
  (func (export "own") (type $int) (local.get 0))
  (func (export "other") (param i64)))"""


def test_values_of_typed_references_go_in_and_come_out() -> None:
    exports = vw.instantiate(ECHO).exports
    assert exports.any(exports.other) is exports.other
    assert exports.int(exports.own) is exports.own
    assert exports.maybe(exports.own) is exports.own
    assert exports.maybe(None) is None
    thing = object()
    assert exports.object(thing) is thing
    function = host(exports.own.store, INT)
    assert exports.int(function) is function


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("any", None, r"parameter 1 wants a vibewasm\.Func, not None: null does not belong to \(ref func\)$"),
        ("any", 5, r"parameter 1 wants a vibewasm\.Func, not int 5$"),
        ("int", None, r"wants a vibewasm\.Func of type \(i32\) -> i32, not None: null does not belong to \(ref \(i32"),
        ("int", "f", r"wants a vibewasm\.Func of type \(i32\) -> i32, not str 'f'$"),
        ("maybe", "f", r"wants a vibewasm\.Func of type \(i32\) -> i32 or None, not str 'f'$"),
        ("object", None, r"wants an object, not None: null does not belong to \(ref extern\)$"),
        ("nothing", "x", r"wants None, the only value of nullexnref, not str 'x'$"),
    ],
)
def test_what_does_not_belong_to_the_type_is_refused(name: str, value: object, message: str) -> None:
    exports = vw.instantiate(ECHO).exports
    with pytest.raises(TypeError, match=message):
        exports[name](value)


def test_a_function_of_another_type_is_refused() -> None:
    exports = vw.instantiate(ECHO).exports
    with pytest.raises(TypeError, match=r"wants a function of type \(i32\) -> i32, not other\(i64\) -> \(\)$"):
        exports.int(exports.other)
    with pytest.raises(ValueError, match="of the same store"):
        exports.int(host(vw.Store(), INT))


def test_results_of_python_functions_are_checked() -> None:
    text = """(module
      (type $int (func (param i32) (result i32)))
      (import "env" "f" (func $f (result (ref $int))))
      (func (export "call") (result (ref null $int)) (call $f)))"""
    given: list[object] = [None]
    exports = vw.instantiate(text, {"env": {"f": lambda: given[0]}}).exports
    store = exports.call.store
    with pytest.raises(TypeError, match=r"env\.f\(\) -> .*: result 1 wants .*, not None: null does not belong to"):
        exports.call()
    given[0] = host(store, vw.FuncType())
    with pytest.raises(TypeError, match=r"result 1 wants a function of type \(i32\) -> i32, not host\(\) -> \(\)"):
        exports.call()
    given[0] = host(store, INT)
    assert exports.call() is given[0]


def test_raw_references_are_checked() -> None:
    exports = vw.instantiate(ECHO).exports
    for name in ("any", "int", "object"):
        with pytest.raises(ValueError, match="0x0 is no reference of type"):
            exports[name].call_raw([0])
    assert exports.maybe.call_raw([0]) == [0]
    [raw] = exports.any.call_raw(exports.any.call_raw([exports.other._address]))
    assert raw == exports.other._address
    with pytest.raises(ValueError, match="is no reference of type"):
        exports.int.call_raw([raw])
    with pytest.raises(ValueError, match="is no reference of type"):
        exports.nothing.call_raw([raw])
    assert exports.int.call_raw([exports.own._address]) == [exports.own._address]


def test_tables_of_typed_references() -> None:
    store = vw.Store()
    function = host(store, INT)
    with pytest.raises(TypeError, match=r"a table of \(ref func\) wants a vibewasm\.Func, not None"):
        vw.Table(store, vw.TableType(NO_NULL, vw.Limits(1)))
    table = vw.Table(store, vw.TableType(TO_INT, vw.Limits(2)), function)
    assert list(table) == [function] * 2
    with pytest.raises(TypeError, match="not None: null does not belong to"):
        table[0] = None
    with pytest.raises(TypeError, match=r"wants a function of type \(i32\) -> i32, not host\(i64\) -> \(\)"):
        table[0] = host(store, vw.FuncType(["i64"]))
    with pytest.raises(TypeError, match="not None: null does not belong to"):
        table.grow(1)
    assert table.grow(1, function) == 2
    assert table[2] is function
    nullable = vw.Table(store, vw.TableType(TO_INT_OR_NULL, vw.Limits(1)))
    assert nullable[0] is None
    assert nullable.grow(1) == 1


def test_globals_of_typed_references() -> None:
    store = vw.Store()
    function = host(store, INT)
    with pytest.raises(TypeError, match=r"a global of type \(ref func\) needs a first value"):
        vw.Global(store, vw.GlobalType(NO_NULL))
    with pytest.raises(TypeError, match=r"a global of type \(ref func\) wants a vibewasm\.Func, not None"):
        vw.Global(store, vw.GlobalType(NO_NULL), None)
    variable = vw.Global(store, vw.GlobalType(TO_INT, mutable=True), function)
    assert variable.value is function
    with pytest.raises(TypeError, match="wants a function of type"):
        variable.value = host(store, vw.FuncType())
    assert vw.Global(store, vw.GlobalType(TO_INT_OR_NULL)).value is None


def test_objects_in_tables_and_globals_without_null_are_held() -> None:
    class Thing:
        pass

    store = vw.Store()
    type_ = vw.ValType.ref("extern", nullable=False)
    first, second, third = Thing(), Thing(), Thing()
    refs = [weakref.ref(thing) for thing in (first, second, third)]
    table = vw.Table(store, vw.TableType(type_, vw.Limits(1)), first)
    variable = vw.Global(store, vw.GlobalType(type_, mutable=True), second)
    instance = vw.instantiate(
        """(module (import "a" "b" (global (ref extern)))
             (global (export "g") (ref extern) (global.get 0))
             (table (export "t") 3 (ref extern) (global.get 0)))""",
        {"a": {"b": vw.Global(store, vw.GlobalType(type_), third)}},
    )
    del first, second, third
    store.gc()
    gc.collect()
    assert all(ref() is not None for ref in refs)
    assert instance.exports.g.value is refs[2]()
    assert [item is refs[2]() for item in instance.exports.t] == [True] * 3
    table[0] = variable.value = "else"
    store.gc()
    assert [ref() is None for ref in refs] == [True, True, False]


def test_tables_have_their_first_value_before_segments_are_copied() -> None:
    instance = vw.instantiate(
        """(module
          (func $a (export "a"))
          (func $b (export "b"))
          (table (export "t") 4 (ref func) (ref.func $a))
          (table (export "n") 2 funcref (ref.null func))
          (elem (i32.const 1) func $b))"""
    )
    a, b = instance.exports.a, instance.exports.b
    assert list(instance.exports.t) == [a, b, a, a]
    assert list(instance.exports.n) == [None, None]


def test_a_first_value_may_be_an_imported_global() -> None:
    store = vw.Store()
    function = host(store, INT)
    variable = vw.Global(store, vw.GlobalType(TO_INT), function)
    instance = vw.instantiate(
        """(module (type $int (func (param i32) (result i32)))
          (import "a" "g" (global $g (ref $int)))
          (table (export "t") 600 (ref null $int) (global.get $g))
          (elem (i32.const 1) (ref null $int) (ref.null $int)))""",
        {"a": {"g": variable}},
    )
    assert list(instance.exports.t) == [function, None, *[function] * 598]


# -- linking -----------------------------------------------------------------------------------------------------------

DECLARED = """(module
  (type $base (sub (func (param i32) (result i32))))
  (type $derived (sub final $base (func (param i32) (result i32))))
  (func (export "base") (type $base) (local.get 0))
  (func (export "derived") (type $derived) (local.get 0))
  (global (export "g") (ref $derived) (ref.func 1))
  (global $m (export "m") (mut (ref null $derived)) (ref.func 1))
  (table (export "t") 1 (ref null $derived))
  (tag (export "tag") (type $tag))
  (type $tag (func (param i32))))"""


def importing(what: str) -> str:
    return f"""(module
      (type $base (sub (func (param i32) (result i32))))
      (type $derived (sub final $base (func (param i32) (result i32))))
      (type $plain (func (param i32) (result i32)))
      (import "a" "x" {what}))"""


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("base", "(func (type $base))"),
        ("derived", "(func (type $base))"),
        ("derived", "(func (type $derived))"),
        ("g", "(global (ref $derived))"),
        ("g", "(global (ref null $base))"),
        ("g", "(global (ref func))"),
        ("g", "(global funcref)"),
        ("m", "(global (mut (ref null $derived)))"),
        ("t", "(table 1 (ref null $derived))"),
    ],
)
def test_subtypes_fit(name: str, wanted: str) -> None:
    exports = vw.instantiate(DECLARED).exports
    vw.instantiate(importing(wanted), {"a": {"x": exports[name]}})


@pytest.mark.parametrize(
    ("name", "wanted", "message"),
    [
        ("base", "(func (type $derived))", "declared with another supertype or in another group of types"),
        ("base", "(func (type $plain))", "declared with another supertype or in another group of types"),
        ("g", "(global (mut (ref $derived)))", r"it is a global \(ref .*, not a global \(mut"),
        ("m", "(global (mut (ref null $base)))", "what can be set has the same type on both sides|declared with"),
        ("m", "(global (mut funcref))", "what can be set has the same type on both sides"),
        ("m", "(global (ref null $derived))", r"not a global \(ref null"),
        ("t", "(table 1 funcref)", "it is a table 1 .*, not a table 1 funcref"),
        ("t", "(table 1 (ref null $base))", "declared with another supertype"),
        ("tag", "(tag (param i64))", r"it is a tag \(i32\), not a tag \(i64\)"),
    ],
)
def test_what_is_no_subtype_does_not_fit(name: str, wanted: str, message: str) -> None:
    exports = vw.instantiate(DECLARED).exports
    with pytest.raises(vw.LinkError, match=message):
        vw.instantiate(importing(wanted), {"a": {"x": exports[name]}})


def test_a_function_of_python_has_a_final_plain_type() -> None:
    store = vw.Store()
    function = host(store, INT)
    vw.instantiate(importing("(func (type $plain))"), {"a": {"x": function}})
    with pytest.raises(vw.LinkError, match="declared with another supertype or in another group of types"):
        vw.instantiate(importing("(func (type $base))"), {"a": {"x": function}})
    # What has no type of its own gets that of the import.
    vw.instantiate(importing("(func (type $base))"), {"a": {"x": lambda number: number}})


def test_a_function_of_a_declared_subtype_is_a_value_of_its_supertype() -> None:
    store = vw.Store()
    exports = vw.instantiate(DECLARED, store=store).exports
    table = exports.t
    table[0] = exports.derived
    with pytest.raises(TypeError, match="that a module declares with more than parameters and results, and base"):
        table[0] = exports.base


def test_null_cannot_stand_for_a_result_that_is_not_null() -> None:
    module = vw.Module('(module (import "a" "b" (func (result (ref func)))))')
    linker = vw.Linker()
    linker.define_unknown_imports_as_zero(module)
    with pytest.raises(vw.LinkError, match=r"a\.b cannot be defined as zero: null does not belong to its result type"):
        linker.instantiate(vw.Store(), module)


def test_annotations_may_be_typed_references() -> None:
    linker = vw.Linker()

    def f(function: Any, caught: Any) -> Any:
        return None

    f.__annotations__.update({"function": "(ref func)", "caught": "exnref", "return": "(ref null extern)"})
    linker.function("env")(f)
    assert linker.get(vw.Store(), "env", "f").type == vw.FuncType(["(ref func)", "exnref"], ["externref"])


# -- traps -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ("(call_ref $void (ref.null $void))", "null_reference", "null function reference"),
        ("(return_call_ref $void (ref.null $void))", "null_reference", "null function reference"),
        ("(drop (ref.as_non_null (ref.null func)))", "null_reference", "null reference"),
        ("(throw_ref (ref.null exn))", "null_reference", "null exception reference"),
        ("(call_indirect (type $void) (i32.const 0))", "indirect_call_to_null", "uninitialized element"),
        ("(return_call_indirect (type $void) (i32.const 0))", "indirect_call_to_null", "uninitialized element"),
        ("(call_indirect $typed (type $void) (i32.const 0))", "indirect_call_to_null", "uninitialized element"),
    ],
)
@pytest.mark.parametrize("compilation", ["lazy", "eager"])
def test_a_null_reference_is_named_by_what_met_it(body: str, code: str, message: str, compilation: str) -> None:
    text = f"""(module (type $void (func)) (table 1 funcref) (table $typed 1 (ref null $void))
      (func (export "f") {body}))"""
    exports = vw.instantiate(text, config=vw.Config(compilation=compilation)).exports
    with pytest.raises(vw.Trap, match=f"^{message}\n") as caught:
        exports.f()
    assert caught.value.code == code
    assert [frame.func_name for frame in caught.value.frames] == ["f"]
