"""What a linker defines besides single items: by decorators, of whole modules, and for what nobody defines."""

from __future__ import annotations

import functools
import io
import operator
from typing import Any

import pytest

import vibewasm as vw
from vibewasm.api.annotations import annotated_type

TWICE = """(module (import "env" "twice" (func $twice (param i32) (result i32)))
  (func (export "go") (param i32) (result i32) (call $twice (local.get 0))))"""


def go(linker: vw.Linker, text: str = TWICE, *arguments: object) -> Any:
    return linker.instantiate(vw.Store(), vw.Module(text)).exports.go(*arguments)


def test_a_decorator_defines_a_function_by_its_name_and_gives_it_back() -> None:
    linker = vw.Linker()

    @linker.function("env")
    def twice(x: int) -> int:
        return 2 * x

    assert twice(4) == 8
    assert go(linker, TWICE, 21) == 42
    with pytest.raises(vw.LinkError, match=r"gets its type from the import"):
        linker.get(vw.Store(), "env", "twice")


def test_a_decorator_takes_types_from_annotations() -> None:
    linker = vw.Linker()

    @linker.function("env", "twice")
    def wrong_type(x: i64) -> i32:  # type: ignore[name-defined]  # noqa: F821 - a wasm type
        return 0

    with pytest.raises(vw.LinkError, match=r"incompatible import type: env\.twice: it is a \(i64\) -> i32"):
        go(linker, TWICE, 1)
    assert linker.get(vw.Store(), "env", "twice").type == vw.FuncType(["i64"], ["i32"])


def test_a_decorator_takes_a_type_and_gives_the_caller() -> None:
    linker = vw.Linker()

    @linker.function("env", "size", type=vw.FuncType(["i32"], ["i32"]), caller=True)
    def size_of(caller: vw.Caller, more: int) -> int:
        return caller.memory.size + more

    @linker.function("env", caller=True)
    def kept(caller, x: "i32") -> None:  # type: ignore[no-untyped-def,name-defined]  # noqa: F821, UP037 - a wasm type
        assert caller.memory.size == 65536
        seen.append(x)

    seen: list[int] = []
    text = """(module (import "env" "size" (func $size (param i32) (result i32)))
      (import "env" "kept" (func $kept (param i32))) (memory 1)
      (func (export "go") (result i32) (call $kept (i32.const 7)) (call $size (i32.const 1))))"""
    assert go(linker, text) == 65537
    assert seen == [7]
    assert linker.get(vw.Store(), "env", "kept").type == vw.FuncType(["i32"])


def test_a_decorator_says_what_is_wrong() -> None:
    linker = vw.Linker()
    linker.define("env", "f", print)
    with pytest.raises(vw.LinkError, match=r"env\.f is defined already"):
        linker.function("env", "f")(print)
    with pytest.raises(TypeError, match=r"Linker\.function: module has to be a str, not int 3"):
        linker.function(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"Linker\.function: name has to be a str, not int 3"):
        linker.function("env", 3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"what is decorated has to be a Python function, not int 3"):
        linker.function("env", "x")(3)  # type: ignore[type-var]

    def half(x: "i32", y: int) -> None:  # type: ignore[name-defined]  # noqa: F821, UP037
        pass

    with pytest.raises(TypeError, match=r"^half: parameter 'y' is not annotated with a wasm type as others are"):
        linker.function("env")(half)

    def no_result(x: "i32") -> int:  # type: ignore[name-defined,empty-body]  # noqa: F821, UP037
        pass

    with pytest.raises(TypeError, match=r"^no_result: the result is not annotated with a wasm type"):
        linker.function("env")(no_result)


def annotated(**annotations: object) -> Any:
    names = [name for name in annotations if name != "return"]
    function: Any = eval(f"lambda {', '.join(names)}: None")
    function.__annotations__ = annotations
    return function


def test_annotations_may_be_types_names_and_source_code() -> None:
    i32, f64 = vw.ValType("i32"), vw.ValType("f64")
    for given, params, results in (
        ({"x": i32, "y": f64, "return": i32}, "i32 f64", "i32"),
        ({"x": "i32", "y": "'f64'", "return": '"i64"'}, "i32 f64", "i64"),
        ({"x": "vw.ValType.i32", "y": "ValType.f32", "return": "None"}, "i32 f32", ""),
        ({"x": "externref"}, "externref", ""),
        ({"return": ("i32", f64)}, "", "i32 f64"),
        ({"return": "('i32', 'f64')"}, "", "i32 f64"),
        ({"return": "[ValType.i32, 'i64']"}, "", "i32 i64"),
    ):
        assert annotated_type(annotated(**given), 0) == vw.FuncType(params.split(), results.split()), given
    others: list[dict[str, Any]] = [{}, {"x": int}, {"x": "int", "return": "str"}, {"x": "i31"}, {"x": "'i32"}]
    for other in [*others, {"x": "module.i32"}]:
        assert annotated_type(annotated(**other), 0) is None, other
    assert annotated_type(annotated(caller="vw.Caller", x="i32"), 1) == vw.FuncType(["i32"])
    assert annotated_type(print, 0) is None
    assert annotated_type(max, 0) is None


def test_get_gives_what_is_defined_as_an_object() -> None:
    store, linker = vw.Store(), vw.Linker()
    output = io.BytesIO()
    linker.define_wasi(vw.WasiConfig(stdout=output))
    memory = vw.Memory(store, vw.MemoryType(vw.Limits(1)))
    linker.define("env", "memory", memory)
    linker.define("env", "typed", lambda x: x + 1, vw.FuncType(["i32"], ["i32"]))
    linker.define("env", "number", 3)
    assert linker.get(store, "env", "memory") is memory
    typed: Any = linker.get(store, "env", "typed")
    assert typed(1) == 2
    write = linker.get(store, "wasi_snapshot_preview1", "fd_write")
    assert write.type == vw.FuncType(["i32"] * 4, ["i32"])
    for name, message in (
        ("number", r"env\.number gets its type from the import that it meets"),
        ("memori", r"nothing is defined for env\.memori; did you mean 'env\.memory'"),
    ):
        with pytest.raises(vw.LinkError, match=message):
            linker.get(store, "env", name)
    with pytest.raises(vw.LinkError, match="belongs to another store"):
        linker.get(vw.Store(), "env", "memory")
    with pytest.raises(vw.LinkError, match="nothing is defined"):
        linker.get(store, "wasi_snapshot_preview1", "fd_wrong")
    with pytest.raises(TypeError, match=r"Linker\.get: store has to be a Store, not str 'env'"):
        linker.get("env", "memory", "x")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"Linker\.get: name has to be a str"):
        linker.get(store, "env", 1)  # type: ignore[arg-type]


def test_a_module_is_defined_by_its_exports() -> None:
    store, linker = vw.Store(), vw.Linker()
    linker.define_module(
        store,
        "lib",
        vw.Module("""(module (global $n (mut i32) (i32.const 0)) (memory (export "memory") 1)
          (func (export "_initialize") (global.set $n (i32.const 40)))
          (func (export "next") (result i32)
            (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n)))"""),
    )
    user = vw.Module("""(module (import "lib" "next" (func $next (result i32))) (import "lib" "memory" (memory 1))
      (func (export "go") (result i32) (call $next)))""")
    instance = linker.instantiate(store, user)
    assert [instance.exports.go() for _ in range(2)] == [41, 42]


def test_each_call_of_a_command_is_made_in_an_instance_of_its_own() -> None:
    store, linker = vw.Store(), vw.Linker()
    linker.define_module(
        store,
        "command",
        vw.Module("""(module (global $n (mut i32) (i32.const 0)) (memory (export "memory") 1)
          (func (export "_start"))
          (func (export "next") (param i32) (result i32)
            (global.set $n (i32.add (global.get $n) (local.get 0))) (global.get $n)))"""),
    )
    user = vw.Module("""(module (import "command" "next" (func $next (param i32) (result i32)))
      (import "command" "_start" (func $start))
      (func (export "go") (result i32)
        (call $start) (i32.add (call $next (i32.const 2)) (call $next (i32.const 3)))))""")
    assert linker.instantiate(store, user).exports.go() == 5
    with pytest.raises(vw.LinkError, match=r"unknown import: command\.memory"):
        linker.instantiate(store, vw.Module('(module (import "command" "memory" (memory 1)))'))


def test_define_module_says_what_is_wrong() -> None:
    store, linker = vw.Store(), vw.Linker()
    module = vw.Module('(module (func (export "f")))')
    linker.define_module(store, "lib", module)
    with pytest.raises(vw.LinkError, match=r"lib\.f is defined already"):
        linker.define_module(store, "lib", module)
    with pytest.raises(TypeError, match=r"Linker\.define_module: store has to be a Store, not str 'lib'"):
        linker.define_module("lib", "lib", module)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"Linker\.define_module: name has to be a str, not Module"):
        linker.define_module(store, module, "lib")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"Linker\.define_module: module has to be a Module, not str 'x'"):
        linker.define_module(store, "lib", "x")  # type: ignore[arg-type]
    with pytest.raises(vw.Trap, match="unreachable"):
        linker.define_module(store, "bad", vw.Module('(module (func (export "_initialize") unreachable))'))


def test_what_nobody_defines_can_trap_when_it_is_called() -> None:
    linker = vw.Linker()
    module = vw.Module("""(module (import "env" "f" (func $f (param i32) (result i64 funcref)))
      (import "env" "defined" (func $g (result i32)))
      (func (export "go") (drop (drop (call $f (i32.const 1))))) (func (export "well") (result i32) (call $g)))""")
    linker.define("env", "defined", lambda: 5)
    linker.define_unknown_imports_as_traps(module)
    exports = linker.instantiate(vw.Store(), module).exports
    assert exports.well() == 5
    with pytest.raises(vw.Trap, match=r"unknown import: env\.f was called, and nothing is defined for it") as caught:
        exports.go()
    assert caught.value.code == "unknown_import"
    other = vw.Module('(module (import "env" "f" (memory 1)))')
    with pytest.raises(vw.LinkError, match=r"env\.f: it is a stub for functions, not a memory"):
        linker.instantiate(vw.Store(), other)
    with pytest.raises(TypeError, match=r"Linker\.define_unknown_imports_as_traps: module has to be a Module"):
        linker.define_unknown_imports_as_traps("m")  # type: ignore[arg-type]


def test_what_is_decorated_has_a_name_or_is_given_one() -> None:
    linker = vw.Linker()
    plus = functools.partial(operator.add, 1)
    with pytest.raises(TypeError, match=r"partial objects have no name of their own: write @linker\.function"):
        linker.function("env")(plus)
    linker.function("env", "plus", type=vw.FuncType(["i32"], ["i32"]))(plus)
    linker.function("env", "")(lambda x: x + 2)
    text = """(module
      (import "env" "plus" (func (param i32) (result i32))) (import "env" "" (func (param i32) (result i32)))
      (func (export "f") (param i32) (result i32) (call 1 (call 0 (local.get 0)))))"""
    assert linker.instantiate(vw.Store(), vw.Module.from_text(text)).exports.f(4) == 7
