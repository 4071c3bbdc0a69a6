"""Modules and their instances: sources, exports, segments, start functions, compilation modes."""

from __future__ import annotations

import gc
import pathlib
import threading
import weakref
from functools import partial
from operator import add
from typing import Any

import pytest

import vibewasm as vw
from tests.binary.builder import ModuleBuilder
from tests.binary.encode import call, global_get, i32_const
from tests.native import not_emulated
from vibewasm.instances import segments

from .wasm import FOREVER, I32_STORE, UNREACHABLE, adder, bulk, call_indirect, divider, gets, global_set, instance_of

MODES = ["lazy", "lazy-translation", "eager"]


def test_a_module_is_made_of_bytes_or_of_a_path(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "add.wasm"
    path.write_bytes(adder())
    for source in (adder(), bytearray(adder()), memoryview(adder()), path, str(path)):
        assert vw.instantiate(source).exports.add(1, 2) == 3


def test_what_is_no_module_is_said(tmp_path: pathlib.Path) -> None:
    with pytest.raises(FileNotFoundError):
        vw.instantiate(tmp_path / "missing.wasm")
    path = tmp_path / "tool"
    path.write_bytes(b"\x7fELF" + bytes(20))
    with pytest.raises(vw.DecodeError, match=r"magic header not detected: .*tool: it looks like an ELF file"):
        vw.instantiate(path)
    with pytest.raises(vw.DecodeError, match="it starts with the bytes 01 02 03 04, a module with 00 61 73 6d"):
        vw.instantiate(b"\1\2\3\4\5")
    with pytest.raises(vw.DecodeError, match="unexpected end"):
        vw.instantiate(b"")
    with pytest.raises(TypeError, match=r"a module is made from bytes, a path or text, not float 1\.5"):
        vw.instantiate(1.5)  # type: ignore[arg-type]  # what is tested


def test_text_is_taken_from_files_strings_and_bytes(tmp_path: pathlib.Path) -> None:
    text = '(module $m (func $f (export "f") (result i32) (i32.const 42)))'
    path = tmp_path / "answer.wat"
    path.write_text(text)
    for source in (path, str(path), text, "  " + text, ";; comment\n" + text, text.encode()):
        instance = vw.instantiate(source)
        assert instance.exports.f() == 42
        assert instance.module.name == "m"
    path.write_text("")
    assert not vw.instantiate(path).exports


def test_a_fault_in_text_says_where_and_shows_it() -> None:
    with pytest.raises(vw.WatError) as caught:
        vw.instantiate("(module\n  (func (i32.cnst 1)))")
    assert str(caught.value) == (
        "unknown operator i32.cnst (line 2, column 10)\n    (func (i32.cnst 1)))\n           ^"
    )
    assert (caught.value.line, caught.value.column, caught.value.offset) == (2, 10, 17)


def test_a_fault_in_a_file_of_text_names_the_file(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "broken.wat"
    path.write_text("(func")
    with pytest.raises(vw.WatError) as caught:
        vw.instantiate(path)
    assert caught.value.__notes__ == [f"in {path}"]


def test_a_module_says_what_it_imports_and_exports() -> None:
    m = ModuleBuilder()
    m.import_func("a", "f", ["i32"])
    m.import_memory("a", "m", 1, 2)
    m.import_table("b", "t", 1)
    m.import_global("b", "g", "f64", mutable=True)
    m.func([], ["i64"], b"\x42\x00", export="x")
    m.export("m", 2, 0)
    m.name("name of it")
    module = vw.Module(vw.Engine(), m.build())
    assert module.name == "name of it"
    assert module.imports == [
        vw.ImportType("a", "f", vw.FuncType(["i32"])),
        vw.ImportType("a", "m", vw.MemoryType(vw.Limits(1, 2))),
        vw.ImportType("b", "t", vw.TableType("funcref", vw.Limits(1))),
        vw.ImportType("b", "g", vw.GlobalType("f64", True)),
    ]
    assert module.exports == [
        vw.ExportType("x", vw.FuncType([], ["i64"])),
        vw.ExportType("m", vw.MemoryType(vw.Limits(1, 2))),
    ]
    assert repr(module) == "<vibewasm.Module 'name of it' with 1 function>"


def test_exports_are_like_a_mapping() -> None:
    m = ModuleBuilder()
    for name in ("first", "second", "keys", "not an identifier", "", " instance"):
        m.func([], [], b"", export=name)
    exports = instance_of(m).exports
    names = ["first", "second", "keys", "not an identifier", "", " instance"]
    assert list(exports) == names
    assert len(exports) == 6
    assert "first" in exports
    assert "third" not in exports
    assert exports.first is exports["first"]
    # An export comes before a method of its name.
    assert exports["keys"] is exports.keys
    assert exports.keys() is None
    assert exports["not an identifier"]() is None
    assert exports[""]() is None
    assert exports[" instance"]() is None
    assert [name for name, item in exports.items() if isinstance(item, vw.Func)] == names
    assert exports.values() == [exports[name] for name in names]
    assert exports.get("third") is None
    assert exports.get("first") is exports.first
    assert {"first", "second"} <= set(dir(exports))
    with pytest.raises(AttributeError, match=r"there is no export 'frist'; did you mean 'first'\?"):
        _ = exports.frist
    with pytest.raises(KeyError, match="there is no export 'zzz'"):
        _ = exports["zzz"]
    with pytest.raises(AttributeError, match="cannot be set"):
        exports.first = 1
    with pytest.raises(AttributeError, match="the module exports nothing"):
        _ = instance_of(ModuleBuilder()).exports.anything


def test_exports_without_such_names_have_the_methods_of_a_mapping() -> None:
    exports = vw.instantiate(adder()).exports
    assert exports.keys() == ["add"]
    assert dict(exports) == {"add": exports.add}
    assert repr(exports) == "<vibewasm.Exports: add>"


def test_a_missing_name_among_very_many_and_very_long_ones_is_said_soon() -> None:
    m = ModuleBuilder()
    f = m.func()
    for n in range(20_000):
        m.export(f"name{n}", 0, f)
    m.export("x" * 100_000, 0, f)
    exports = instance_of(m).exports
    with pytest.raises(KeyError, match="did you mean 'name1"):
        _ = exports["name1x"]
    with pytest.raises(KeyError, match="there is no export 'xxxx"):
        _ = exports["x" * 99_999]
    assert f == 0
    assert exports.name19999.name == "name0"


def test_segments_are_applied_in_order_and_what_was_written_stays() -> None:
    store = vw.Store(vw.Engine())
    memory = vw.Memory(store, vw.MemoryType(vw.Limits(1)))
    table = vw.Table(store, vw.TableType("funcref", vw.Limits(4)))
    m = ModuleBuilder()
    m.import_table("env", "t", 4)
    m.import_memory("env", "m", 1)
    f = m.func([], ["i32"], i32_const(77))
    m.elem([f, f], 1)
    m.data(b"abc", 10)
    m.data(b"XY", 11)
    m.data(b"no", 65535)
    m.data(b"never", 20)
    with pytest.raises(
        vw.Trap, match=r"^out of bounds memory access: data segment 2 \(65535 to 65537 in a memory of 65536"
    ):
        instance_of(m, {"env": {"m": memory, "t": table}})
    assert memory[10:13] == b"aXY"
    assert memory[20:25] == bytes(5)
    # The function lives on in the table, though its instance never came to be.
    assert table[2]() == 77


def test_only_the_data_segments_before_the_one_that_does_not_fit_are_dropped() -> None:
    engine = vw.Engine()
    store = vw.Store(engine)
    memory, table = (
        vw.Memory(store, vw.MemoryType(vw.Limits(1))),
        vw.Table(store, vw.TableType("funcref", vw.Limits(4))),
    )
    linker = vw.Linker(engine)
    linker.define("env", "memory", memory)
    linker.define("env", "table", table)
    inits = "".join(
        f"(func $f{n} (memory.init {n} (i32.const {100 + n}) (i32.const 0) (i32.const 1)))" for n in range(4)
    )
    text = f"""(module (import "env" "memory" (memory 1)) (import "env" "table" (table 4 funcref))
        (elem (i32.const 0) $f0 $f1 $f2 $f3) {inits}
        (data (i32.const 0) "a") (data (i32.const 65536) "b") (data (i32.const 2) "c") (data "d"))"""
    with pytest.raises(vw.Trap, match=r"data segment 1 \(65536 to 65537 in a memory of 65536 bytes\)"):
        linker.instantiate(store, vw.Module.from_text(engine, text))
    assert memory[0:3] == b"a\0\0"
    with pytest.raises(vw.Trap, match="out of bounds memory access"):
        table[0]()
    for index in (1, 2, 3):
        table[index]()
    assert memory[100:104] == b"\0bcd"


@pytest.mark.parametrize("prepared", [True, False])
def test_tables_have_what_segments_say(prepared: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not prepared:
        monkeypatch.setattr(segments, "_prepare_elements", lambda info: None)
    text = """(module (import "env" "f" (func $f (result i32))) (func $g (export "g") (result i32) (i32.const 1))
        (func $h (result i32) (i32.const 2))
        (table (export "a") 6 funcref) (table (export "b") 3 funcref) (table (export "c") 2 externref)
        (elem (table 0) (i32.const 1) func $g $f $h)
        (elem (table 1) (i32.const 0) funcref (ref.func $h) (ref.null func))
        (elem (table 0) (i32.add (i32.const 1) (i32.const 2)) func $g $g) (elem (table 0) (i32.const 6) func)
        (elem (table 2) (i32.const 1) externref (ref.null extern))
        (elem $p func $h) (elem declare func $f)
        (func (export "late") (table.init 1 $p (i32.const 2) (i32.const 0) (i32.const 1))))"""
    engine = vw.Engine()
    module = vw.Module.from_text(engine, text)
    for number in range(3):
        linker = vw.Linker(engine)
        linker.define("env", "f", partial(add, 10, number))
        exports = linker.instantiate(vw.Store(engine), module).exports
        exports.late()
        assert [f and f() for f in exports.a] == [None, 1, 10 + number, 1, 1, None]
        assert [f and f() for f in exports.b] == [2, None, 2]
        assert list(exports.c) == [None, None]
        assert exports.a[1] is exports.a[3] is exports.g


def test_a_new_instance_begins_with_what_has_been_compiled() -> None:
    module = vw.Module.from_text(
        vw.Engine(), '(module (func (export "f") (result i32) (call $g)) (func $g (result i32) (i32.const 7)))'
    )
    linker = vw.Linker(module.engine)
    first = linker.instantiate(vw.Store(module.engine), module)
    assert first.exports.f() == 7
    second = linker.instantiate(vw.Store(module.engine), module)
    slots = [second._cells[module.layout.slot(defined) >> 3] for defined in (0, 1)]
    assert slots == module._addresses
    assert second._cells[module.layout.record(0) >> 3] == module._addresses[0]
    assert second.exports.f() == 7


def test_threads_may_instantiate_a_module_while_it_is_compiled() -> None:
    engine = vw.Engine()
    count = 60
    bodies = "".join(f'(func (export "f{n}") (result i32) (i32.const {n}))' for n in range(count))
    items = " ".join(map(str, range(count)))
    text = f'(module (memory 1) (table (export "t") {count} funcref) (elem (i32.const 0) func {items}) {bodies})'
    module = vw.Module.from_text(engine, text)
    wrong = []

    def work(first: int) -> None:
        for n in range(first, first + count):
            exports = vw.Linker(engine).instantiate(vw.Store(engine), module).exports
            if exports[f"f{n % count}"]() != n % count or exports.t[-n % count]() != -n % count:
                wrong.append(n)

    threads = [threading.Thread(target=work, args=(first,)) for first in (0, 7, 30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    instance = vw.Linker(engine).instantiate(vw.Store(engine), module)
    assert [instance._cells[module.layout.slot(defined) >> 3] for defined in range(count)] == module._addresses


def test_an_element_segment_that_does_not_fit_comes_before_data() -> None:
    store = vw.Store(vw.Engine())
    memory = vw.Memory(store, vw.MemoryType(vw.Limits(1)))
    m = ModuleBuilder()
    m.import_memory("env", "m", 1)
    m.table(2)
    f = m.func([], [], b"")
    m.elem([f], 2)
    m.data(b"abc", 0)
    with pytest.raises(vw.Trap, match="out of bounds table access: element segment 0") as caught:
        instance_of(m, {"env": {"m": memory}})
    assert caught.value.code == "table_out_of_bounds"
    assert memory[0:3] == bytes(3)


@pytest.mark.parametrize("offset", [65537, -1])
def test_an_empty_segment_beyond_the_end_traps_too(offset: int) -> None:
    m = ModuleBuilder()
    m.memory(1)
    m.data(b"", 65536)
    instance_of(m)
    m.data(b"", offset)
    with pytest.raises(vw.Trap, match="out of bounds memory access"):
        instance_of(m)


def test_offsets_may_come_from_imported_globals() -> None:
    m = ModuleBuilder()
    m.import_global("env", "base", "i32")
    m.memory(1, export="memory")
    m.data(b"here", global_get(0))
    assert instance_of(m, {"env": {"base": 100}}).exports.memory[100:104] == b"here"


def test_memory_init_and_data_drop() -> None:
    m = ModuleBuilder()
    m.memory(1, export="memory")
    m.data(b"0123456789", None)
    m.data(b"active", 0)
    m.func(["i32"] * 3, [], gets(3) + bulk(8, 0, 0), export="init")
    m.func(["i32"] * 3, [], gets(3) + bulk(8, 1, 0), export="init_active")
    m.func([], [], bulk(9, 0), export="drop")
    e = instance_of(m).exports
    e.init(100, 2, 5)
    assert e.memory[99:106] == b"\x0023456\0"
    e.init(65536, 10, 0)
    for arguments in ((0, 0, 11), (0, 11, 0), (65537, 0, 0), (65530, 0, 7), (-1, 0, 1), (0, -1, 1), (0, 0, -1)):
        with pytest.raises(vw.Trap, match="out of bounds memory access") as caught:
            e.init(*arguments)
        assert caught.value.frames[0].func_name == "init"
    e.init_active(0, 0, 0)
    with pytest.raises(vw.Trap):
        e.init_active(0, 0, 1)
    e.drop()
    e.drop()
    e.init(0, 0, 0)
    with pytest.raises(vw.Trap, match="out of bounds memory access"):
        e.init(0, 0, 1)
    # A segment is dropped for one instance only.
    assert instance_of(m).exports.init(0, 0, 10) is None


def test_the_start_function_is_called() -> None:
    m = ModuleBuilder()
    m.memory(1, export="memory")
    m.start(m.func([], [], i32_const(0) + i32_const(9) + I32_STORE))
    assert instance_of(m).exports.memory[0] == 9
    called: list[int] = []
    m = ModuleBuilder()
    m.start(m.import_func("env", "f"))
    instance_of(m, {"env": {"f": lambda: called.append(1)}})
    assert called == [1]


def test_a_start_function_that_traps_makes_no_instance() -> None:
    m = ModuleBuilder()
    m.start(m.func([], [], UNREACHABLE, name="main"))
    with pytest.raises(vw.Trap, match="unreachable") as caught:
        instance_of(m)
    assert caught.value.frames[0].func_name == "main"


@pytest.mark.parametrize("compilation", MODES)
def test_an_invalid_body_is_found_when_the_mode_says(compilation: str) -> None:
    m = ModuleBuilder()
    m.func([], ["i32"], i32_const(1), export="good")
    m.func([], ["i32"], b"", export="bad", name="culprit")
    engine = vw.Engine(vw.Config(compilation=compilation))
    if compilation != "lazy":
        with pytest.raises(vw.ValidationError, match="culprit"):
            vw.Module(engine, m.build())
        return
    exports = vw.instantiate(vw.Module(engine, m.build())).exports
    assert exports.good() == 1
    for _ in range(2):
        with pytest.raises(vw.ValidationError, match="type mismatch") as caught:
            exports.bad()
        assert caught.value.func_index == 1
        assert caught.value.func_name == "culprit"
    assert exports.good() == 1


@pytest.mark.parametrize("compilation", MODES)
def test_validate_checks_everything(compilation: str) -> None:
    engine = vw.Engine(vw.Config(compilation=compilation))
    vw.Module.validate(engine, adder())
    m = ModuleBuilder()
    m.func([], ["i32"], b"")
    with pytest.raises(vw.ValidationError, match="type mismatch"):
        vw.Module.validate(engine, m.build())
    with pytest.raises(vw.DecodeError):
        vw.Module.validate(engine, adder()[:-1])


def test_an_invalid_body_reached_from_wasm_code_comes_out_of_the_call() -> None:
    m = ModuleBuilder()
    bad = m.func([], [], b"\x1a", name="bad")
    m.func([], [], call(bad), export="direct")
    m.table(1)
    m.elem([bad])
    m.func([], [], i32_const(0) + call_indirect(m.type()), export="indirect")
    m.func([], ["i32"], i32_const(4), export="good")
    exports = instance_of(m).exports
    for name in ("direct", "indirect", "direct"):
        with pytest.raises(vw.ValidationError, match="bad"):
            exports[name]()
        assert exports.good() == 4


@pytest.mark.parametrize("compilation", MODES)
def test_instances_of_a_module_share_code_and_nothing_else(compilation: str) -> None:
    m = ModuleBuilder()
    m.global_("i32", i32_const(0), mutable=True)
    m.func(["i32"], ["i32"], global_get(0) + gets(1) + global_set(0), export="swap")
    module = vw.Module(vw.Engine(vw.Config(compilation=compilation)), m.build())
    first = vw.instantiate(module)
    assert first.exports.swap(5) == 0
    second = vw.instantiate(module)
    assert second.exports.swap(6) == 0
    assert first.exports.swap(0) == 5
    assert second.exports.swap(0) == 6


def test_a_function_is_compiled_once_for_all_instances(monkeypatch: pytest.MonkeyPatch) -> None:
    module = vw.Module(vw.Engine(), divider().build())
    compiled: list[int] = []
    compile_ = module.compiler.compile

    class Recording:
        def compile(self, defined: int) -> bytes:
            compiled.append(defined)
            return compile_(defined)

    monkeypatch.setattr(module, "_compiler", Recording())
    first, second = vw.instantiate(module), vw.instantiate(module)
    for instance in (first, second, vw.instantiate(module)):
        for _ in range(2):
            assert instance.exports.outer(8, 2) == 5
    assert compiled == [1, 0]


def test_a_compile_that_is_cut_off_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    module = vw.Module(vw.Engine(), adder())
    real = module.compiler
    attempts: list[int] = []

    class CutOff:
        def compile(self, defined: int) -> bytes:
            attempts.append(defined)
            if len(attempts) == 1:
                raise KeyboardInterrupt
            return real.compile(defined)

    monkeypatch.setattr(module, "_compiler", CutOff())
    add = vw.instantiate(module).exports.add
    with pytest.raises(KeyboardInterrupt):
        add(1, 2)
    assert add(1, 2) == 3
    assert add(1, 2) == 3
    assert attempts == [0, 0]


def test_a_trap_names_functions_and_offsets_innermost_first() -> None:
    m = divider()
    m.name("calc")
    wasm = m.build()
    instance = vw.instantiate(wasm)
    with pytest.raises(vw.Trap, match="integer divide by zero") as caught:
        instance.exports.outer(1, 0)
    trap = caught.value
    assert trap.code == "integer_divide_by_zero"
    assert [(f.func_index, f.func_name, f.module_name) for f in trap.frames] == [
        (0, "divide", "calc"),
        (1, "outer", "calc"),
    ]
    assert [wasm[f.wasm_offset or 0] for f in trap.frames] == [0x6D, 0x10]
    assert "divide" in str(trap)
    with pytest.raises(vw.Trap, match="integer overflow"):
        instance.exports.outer(-(2**31), -1)


def test_a_trap_across_instances_names_functions_of_both() -> None:
    first = instance_of(divider())
    m = ModuleBuilder()
    f = m.import_func("a", "outer", ["i32", "i32"], ["i32"])
    m.func([], ["i32"], i32_const(1) + i32_const(0) + call(f), name="third", export="go")
    second = instance_of(m, {"a": first.exports})
    with pytest.raises(vw.Trap) as caught:
        second.exports.go()
    assert [frame.func_name for frame in caught.value.frames] == ["divide", "outer", "third"]


def test_endless_recursion_is_a_trap_again_and_again() -> None:
    m = ModuleBuilder()
    m.func([], [], call(0), export="f")
    f = instance_of(m).exports.f
    for _ in range(3):
        with pytest.raises(vw.Trap, match="call stack exhausted") as caught:
            f()
        assert len(caught.value.frames) == 64


def test_a_closed_store_gives_its_memory_back_and_runs_nothing() -> None:
    m = ModuleBuilder()
    m.memory(1, export="memory")
    m.func([], ["i32"], i32_const(1), export="f")
    with vw.Store(vw.Engine()) as store:
        linker = vw.Linker(store.engine)
        instance = linker.instantiate(store, vw.Module(store.engine, m.build()))
        exports = instance.exports
        memory = exports.memory
        assert exports.f() == 1
        view = memory.view()
        with pytest.raises(BufferError, match="a view of one of its memories is in use"):
            store.close()
        view[0] = 1
        assert view[0] == 1
        with pytest.raises(vw.WasmError, match="this store is closed"):
            memory[0]
        view.release()
    store.close()
    for attempt in (exports.f, lambda: exports.f.call_raw([])):
        with pytest.raises(vw.WasmError, match="this store is closed"):
            attempt()
    with pytest.raises(vw.WasmError, match="this store is closed"):
        linker.instantiate(store, instance.module)
    with pytest.raises(vw.WasmError):
        memory.grow(1)
    assert "closed" in repr(store)


def test_a_store_cannot_be_closed_from_within() -> None:
    m = ModuleBuilder()
    host = m.import_func("env", "host")
    m.func([], [], call(host), export="f")
    instance: vw.Instance = instance_of(m, {"env": {"host": lambda: instance.store.close()}})
    with pytest.raises(vw.WasmError, match="while a call is active"):
        instance.exports.f()


def test_everything_goes_when_nothing_refers_to_it() -> None:
    m = ModuleBuilder()
    host = m.import_func("env", "host", [], ["i32"])
    m.memory(1, export="memory")
    m.func([], ["i32"], call(host), export="f")
    instance = instance_of(m, {"env": {"host": lambda: 5}})
    assert instance.exports.f() == 5
    gone = weakref.ref(instance.store)
    view = instance.exports.memory.view()
    view[0] = 3
    del instance
    gc.collect()
    assert gone() is None
    # The view keeps its bytes.
    assert view[0] == 3
    view[1] = 4


def test_a_function_keeps_alive_what_it_needs() -> None:
    f = instance_of(divider()).exports.outer
    gc.collect()
    assert f(8, 2) == 5


@not_emulated("thousands of reservations of 8 GiB take minutes there")
def test_many_stores_one_after_another_do_not_use_the_address_space_up() -> None:
    m = ModuleBuilder()
    m.memory(1, export="memory")
    module = vw.Module(vw.Engine(), m.build())
    keep: list[Any] = []
    for n in range(3000):
        instance = vw.instantiate(module)
        instance.exports.memory[0] = 1
        if n % 1000 == 0:
            keep.append(instance)
    assert [instance.exports.memory[0] for instance in keep] == [1, 1, 1]


def test_an_unused_loop_does_no_harm() -> None:
    m = ModuleBuilder()
    m.func([], [], FOREVER, export="never")
    m.func([], ["i32"], i32_const(2), export="f")
    assert instance_of(m, config=vw.Config(compilation="eager")).exports.f() == 2


def test_instantiating_uses_no_identity_of_a_type_up() -> None:
    """Machine code compares 32 bits of an identity: if each look-up took one, two types would have the same at last."""
    engine = vw.Engine()
    module = vw.Module(
        engine, "(module (type (func (param i32))) (type (func (result i64))) (func) (func (param f32)))"
    )
    for _ in range(100):
        vw.Linker(engine).instantiate(vw.Store(engine), module)
    assert next(engine._new_type_ids) == len(engine._type_ids) + 1


def test_an_engine_that_has_no_identity_left_for_a_type_says_so() -> None:
    engine = vw.Engine()
    first = vw.Module(engine, '(module (func (export "f") (param i32)))')
    engine._new_type_ids = iter(range(1, 2))
    store = vw.Store(engine)
    linker = vw.Linker(engine)
    linker.instantiate(store, first).exports.f(1)
    with pytest.raises(vw.WasmError, match=r"has met 2\*\*32 function types"):
        linker.instantiate(store, vw.Module(engine, "(module (func (param i64)))"))
    # What it knows goes on.
    linker.instantiate(store, first).exports.f(1)
