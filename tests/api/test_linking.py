"""Imports: what may be given for them, and what is said when they do not fit."""

from __future__ import annotations

from typing import Any

import pytest

import vibewasm as vw
from tests.binary.builder import ModuleBuilder
from tests.binary.encode import call, global_get, i32_const

from .wasm import adder, gets, instance_of


def importer() -> ModuleBuilder:
    """Imports one of each kind."""
    m = ModuleBuilder()
    f = m.import_func("env", "f", ["i32"], ["i32"])
    m.import_table("env", "t", 2, 5)
    m.import_memory("env", "m", 2, 4)
    m.import_global("env", "g", "i32")
    m.func([], ["i32"], global_get(0) + call(f), export="go")
    return m


def fitting(store: vw.Store) -> dict[str, Any]:
    """What fits that module."""
    return {
        "f": vw.Func(store, vw.FuncType(["i32"], ["i32"]), lambda x: x + 1),
        "t": vw.Table(store, vw.TableType("funcref", vw.Limits(2, 5))),
        "m": vw.Memory(store, vw.MemoryType(vw.Limits(2, 4))),
        "g": vw.Global(store, vw.GlobalType("i32"), 41),
    }


def test_objects_functions_and_numbers_are_taken() -> None:
    store = vw.Store(vw.Engine())
    items = fitting(store)
    assert instance_of(importer(), {"env": items}).exports.go() == 42
    assert instance_of(importer(), {"env": items | {"f": lambda x: x * 2, "g": 21}}).exports.go() == 42


@pytest.mark.parametrize(
    ("name", "make", "why"),
    [
        (
            "f",
            lambda s: vw.Func(s, vw.FuncType(["i64"], ["i32"]), print),
            r"it is a \(i64\) -> i32, not a \(i32\)",
        ),
        ("f", lambda s: vw.Global(s, vw.GlobalType("i32"), 1), "it is a global, not a function"),
        ("t", lambda s: vw.Table(s, vw.TableType("externref", vw.Limits(2, 5))), "it is a table 2 5 externref, not a"),
        ("t", lambda s: vw.Table(s, vw.TableType("funcref", vw.Limits(1, 5))), "it is a table 1 5 funcref, not a"),
        ("t", lambda s: vw.Table(s, vw.TableType("funcref", vw.Limits(2, 6))), "it is a table 2 6 funcref, not a"),
        ("t", lambda s: vw.Table(s, vw.TableType("funcref", vw.Limits(2))), "it is a table 2 funcref, not a"),
        ("m", lambda s: vw.Memory(s, vw.MemoryType(vw.Limits(1, 4))), "it is a memory 1 4, not a memory 2 4"),
        ("m", lambda s: vw.Memory(s, vw.MemoryType(vw.Limits(2))), "it is a memory 2, not a memory 2 4"),
        ("g", lambda s: vw.Global(s, vw.GlobalType("i64"), 1), "it is a global i64, not a global i32"),
        ("g", lambda s: vw.Global(s, vw.GlobalType("i32", True), 1), r"it is a global \(mut i32\), not a global i32"),
        ("g", lambda s: 1.5, "a global of type i32 wants an int, not float 1.5"),
        ("g", lambda s: 2**32, "wants an int from"),
        ("f", lambda s: 5, r"it is the number 5, not a \(i32\) -> i32"),
        ("m", lambda s: print, "it is a Python function, not a memory 2 4"),
    ],
)
def test_what_does_not_fit_is_a_link_error(name: str, make: Any, why: str) -> None:
    store = vw.Store(vw.Engine())
    with pytest.raises(vw.LinkError, match=rf"^incompatible import type: env\.{name}: .*{why}"):
        instance_of(importer(), {"env": fitting(store) | {name: make(store)}})


def test_the_present_size_of_a_memory_or_table_counts() -> None:
    store = vw.Store(vw.Engine())
    items = fitting(store)
    items["m"] = vw.Memory(store, vw.MemoryType(vw.Limits(1, 3)))
    items["t"] = vw.Table(store, vw.TableType("funcref", vw.Limits(1, 4)))
    items["m"].grow(1)
    items["t"].grow(2)
    assert instance_of(importer(), {"env": items}).exports.go() == 42


def test_what_is_near_is_of_the_kind_that_is_missing() -> None:
    engine = vw.Engine()
    store = vw.Store(engine)
    items: dict[str, Any] = {
        "func": vw.Func(store, vw.FuncType(), print),
        "plain": print,
        "memory": vw.Memory(store, vw.MemoryType(vw.Limits(1))),
        "table": vw.Table(store, vw.TableType("funcref", vw.Limits(1))),
        "global": vw.Global(store, vw.GlobalType("i32"), 1),
        "number": 1,
    }
    near = {
        "(func)": {"func", "plain"},
        "(memory 1)": {"memory"},
        "(table 1 funcref)": {"table"},
        "(global i32)": {"global", "number"},
    }
    for wanted, fitting in near.items():
        module = vw.Module(engine, f'(module (import "environment" "item" {wanted}))')
        for name, item in items.items():
            linker = vw.Linker(engine)
            linker.define("environment", "item_", item)
            with pytest.raises(vw.LinkError) as caught:
                linker.instantiate(store, module)
            assert ("did you mean" in str(caught.value)) == (name in fitting), (wanted, name)


def test_all_missing_imports_are_listed_with_what_is_near() -> None:
    with pytest.raises(vw.LinkError) as caught:
        instance_of(importer(), {"env": {"ff": print, "m": print}, "Env": {"g": 1}})
    message = str(caught.value)
    assert message.startswith("incompatible import type: env.m")
    with pytest.raises(vw.LinkError) as caught:
        instance_of(importer(), {"enw": {"f": print}, "Env": {"g": 1}})
    message = str(caught.value)
    assert message.startswith("unknown import: 4 imports are missing\n")
    assert [(wanted.module, wanted.name) for wanted in caught.value.missing] == [
        ("env", name) for name in ("f", "t", "m", "g")
    ]
    assert "\n  env.f ((i32) -> i32); did you mean 'enw.f'" in message
    assert "\n  env.g (global i32); did you mean 'Env.g'" in message
    m = ModuleBuilder()
    m.import_func("env", "log")
    with pytest.raises(vw.LinkError, match=r"^unknown import: env.log \(\(\) -> \(\)\)$"):
        instance_of(m)


def test_missing_wasi_says_what_to_do() -> None:
    m = ModuleBuilder()
    m.import_func("wasi_snapshot_preview1", "proc_exit", ["i32"])
    with pytest.raises(
        vw.LinkError, match=r"^[^;]*proc_exit [^;]*; instantiate\(\.\.\., wasi=WasiConfig\(\.\.\.\)\) defines it$"
    ):
        instance_of(m)
    m.import_func("wasi_snapshot_preview1", "args_get", ["i32", "i32"], ["i32"])
    with pytest.raises(vw.LinkError) as caught:
        instance_of(m)
    first, *others = str(caught.value).split("\n")
    assert first == (
        "unknown import: 2 imports are missing; instantiate(..., wasi=WasiConfig(...)) defines those of WASI"
    )
    assert [line.split(" ((")[0] for line in others] == [
        "  wasi_snapshot_preview1.proc_exit",
        "  wasi_snapshot_preview1.args_get",
    ]
    engine = vw.Engine()
    with pytest.raises(
        vw.LinkError, match=r"^unknown import: 2 imports are missing; Linker\.define_wasi defines those of WASI\n"
    ):
        vw.Linker(engine).instantiate(vw.Store(engine), vw.Module(engine, m.build()))
    m = ModuleBuilder()
    m.import_func("wasi_snapshot_preview1", "proc_exitt", ["i32"])
    with pytest.raises(vw.LinkError, match=r"did you mean 'wasi_snapshot_preview1.proc_exit'"):
        instance_of(m, wasi=vw.WasiConfig())


def test_a_name_is_defined_once_unless_shadowing_is_allowed() -> None:
    linker = vw.Linker(vw.Engine())
    linker.define("a", "b", 1)
    with pytest.raises(vw.LinkError, match=r"a\.b is defined already"):
        linker.define("a", "b", 2)
    linker.define_wasi(vw.WasiConfig())
    with pytest.raises(vw.LinkError, match="WASI is defined already"):
        linker.define_wasi(vw.WasiConfig())
    linker.allow_shadowing = True
    linker.define("a", "b", 2)
    linker.define_wasi(vw.WasiConfig())
    m = ModuleBuilder()
    m.import_global("a", "b", "i32")
    m.export("b", 3, 0)
    module = vw.Module(linker.engine, m.build())
    assert linker.instantiate(vw.Store(linker.engine), module).exports.b.value == 2


def test_what_cannot_be_an_import_is_a_type_error() -> None:
    linker = vw.Linker(vw.Engine())
    for wrong in ("text", None, object()):
        with pytest.raises(TypeError, match=r"a\.b: an import is a function"):
            linker.define("a", "b", wrong)  # type: ignore[arg-type]  # what is tested
    with pytest.raises(TypeError, match="only a Python function is given a type"):
        linker.define("a", "b", 5, vw.FuncType())


def test_a_function_may_be_defined_with_its_type() -> None:
    linker = vw.Linker(vw.Engine())
    linker.define("env", "f", lambda x: x, vw.FuncType(["i32"], ["i32"]))
    store = vw.Store(linker.engine)
    for name in "tmg":
        linker.define("env", name, fitting(store)[name])
    assert linker.instantiate(store, vw.Module(linker.engine, importer().build())).exports.go() == 41
    m = ModuleBuilder()
    m.import_func("env", "f", ["f64"])
    with pytest.raises(vw.LinkError, match=r"incompatible import type: env\.f"):
        linker.instantiate(store, vw.Module(linker.engine, m.build()))


def test_one_instance_can_be_defined_for_others() -> None:
    engine = vw.Engine()
    linker, store = vw.Linker(engine), vw.Store(engine)
    linker.define_instance("math", linker.instantiate(store, vw.Module(engine, adder())))
    m = ModuleBuilder()
    add = m.import_func("math", "add", ["i32", "i32"], ["i32"])
    m.func([], ["i32"], i32_const(20) + i32_const(22) + call(add), export="f")
    assert linker.instantiate(store, vw.Module(engine, m.build())).exports.f() == 42
    with pytest.raises(vw.LinkError, match=r"math\.add belongs to another store"):
        linker.instantiate(vw.Store(engine), vw.Module(engine, m.build()))


def test_unknown_functions_can_return_zeros() -> None:
    m = ModuleBuilder()
    known = m.import_func("env", "known", [], ["i32"])
    params = ["i32", "f64", "externref"]
    unknown = m.import_func("bench", "start", params, ["i64", "f32", "externref"])
    plain = m.import_func("bench", "end")
    m.func(params, ["i64", "f32", "externref"], gets(3) + call(plain) + call(unknown), export="f")
    m.func([], ["i32"], call(known), export="known")
    engine = vw.Engine()
    module = vw.Module(engine, m.build())
    linker = vw.Linker(engine)
    linker.define("env", "known", lambda: 5)
    linker.define_unknown_imports_as_zero(module)
    exports = linker.instantiate(vw.Store(engine), module).exports
    assert exports.f(1, 2, "x") == (0, 0.0, None)
    assert exports.known() == 5


def test_unknown_imports_that_are_no_functions_stay_unknown() -> None:
    m = ModuleBuilder()
    m.import_memory("env", "memory", 1)
    engine = vw.Engine()
    module = vw.Module(engine, m.build())
    linker = vw.Linker(engine)
    linker.define_unknown_imports_as_zero(module)
    with pytest.raises(vw.LinkError, match=r"unknown import: env.memory \(memory 1\)"):
        linker.instantiate(vw.Store(engine), module)


def test_a_stub_for_a_function_is_no_memory_of_the_same_name() -> None:
    m = ModuleBuilder()
    m.import_func("env", "both")
    m.import_memory("env", "both", 1)
    engine = vw.Engine()
    module = vw.Module(engine, m.build())
    linker = vw.Linker(engine)
    linker.define_unknown_imports_as_zero(module)
    with pytest.raises(vw.LinkError, match="it is a stub for functions, not a memory 1"):
        linker.instantiate(vw.Store(engine), module)


def test_parts_of_different_engines_do_not_go_together() -> None:
    one, other = vw.Engine(), vw.Engine()
    module = vw.Module(one, adder())
    for linker, store in ((vw.Linker(one), vw.Store(other)), (vw.Linker(other), vw.Store(one))):
        with pytest.raises(vw.LinkError, match="belong to different engines"):
            linker.instantiate(store, module)
    with pytest.raises(ValueError, match="config cannot be given"):
        vw.instantiate(module, config=vw.Config())


def test_wasi_functions_reach_the_memory_of_their_caller() -> None:
    m = ModuleBuilder()
    sizes = m.import_func("wasi_snapshot_preview1", "args_sizes_get", ["i32", "i32"], ["i32"])
    leave = m.import_func("wasi_snapshot_preview1", "proc_exit", ["i32"])
    m.memory(1, export="memory")
    m.func([], ["i32"], i32_const(8) + i32_const(12) + call(sizes), export="sizes")
    m.func(["i32"], [], gets(1) + call(leave), export="leave")
    instance = instance_of(m, wasi=vw.WasiConfig(args=["prog", "x"]))
    assert instance.exports.sizes() == 0
    assert instance.exports.memory[8:16] == b"\2\0\0\0\7\0\0\0"
    instance.exports.memory.grow(3)
    assert instance.exports.sizes() == 0
    with pytest.raises(vw.ExitTrap, match="exited with code 7") as caught:
        instance.exports.leave(7)
    assert caught.value.code == 7


def test_a_wasi_function_without_a_memory_to_work_on_reports_a_fault() -> None:
    m = ModuleBuilder()
    sizes = m.import_func("wasi_snapshot_preview1", "args_sizes_get", ["i32", "i32"], ["i32"])
    m.export("again", 0, sizes)
    m.func([], ["i32"], i32_const(8) + i32_const(12) + call(sizes), export="sizes")
    exports = instance_of(m, wasi=vw.WasiConfig(args=["prog"])).exports
    assert exports.sizes() == 21
    assert exports.again(0, 0) == 21


def test_a_wasi_function_of_the_wrong_type_is_a_link_error() -> None:
    m = ModuleBuilder()
    m.import_func("wasi_snapshot_preview1", "proc_exit", ["i64"])
    with pytest.raises(vw.LinkError, match=r"^incompatible import type: wasi_snapshot_preview1.proc_exit"):
        instance_of(m, wasi=vw.WasiConfig())
