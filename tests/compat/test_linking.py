"""Instances, linkers and modules, compared with wasmtime-py's."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

import vibewasm.compat.wasmtime as wasmtime
from tests.compat.both import attempts, instance, kinds, same


@same
def test_exports_are_a_mapping_and_a_sequence(w: Any) -> object:
    text = """(module (func (export "a")) (global (export "") i32 (i32.const 0)) (memory (export "m") 1)
      (table (export "t") 1 funcref) (export "again" (func 0)))"""
    _, exports = instance(w, text)
    return (
        list(exports),
        len(exports),
        [exports[name] for name in exports],
        [exports[name] is by_index for name, by_index in zip(exports, exports.by_index, strict=True)],
        set(map(id, exports.values())) == set(map(id, exports.by_index)),
        ("a" in exports, "x" in exports, exports.get("x"), exports.get("x", 5)),
        attempts(lambda: exports["x"], lambda: exports[0], lambda: exports.by_index[9]),
        [name for name, _ in exports.items()],
        exports == {name: exports[name] for name in exports},
    )


MODULES = {
    "func": '(module (import "env" "x" (func (param i32) (result i64 f32))))',
    "global": '(module (import "env" "x" (global i32)))',
    "mutable global": '(module (import "env" "x" (global (mut i32))))',
    "memory": '(module (import "env" "x" (memory 2 4)))',
    "table": '(module (import "env" "x" (table 2 4 externref)))',
}


def candidates(w: Any, store: Any) -> list[Any]:
    """Objects of every kind, some of which fit each of these modules."""
    t = w.ValType
    return [
        w.Func(store, w.FuncType([], []), print),
        w.Func(store, w.FuncType([t.i32()], [t.i64(), t.f32()]), print),
        w.Global(store, w.GlobalType(t.i32(), False), 1),
        w.Global(store, w.GlobalType(t.i32(), True), 1),
        w.Global(store, w.GlobalType(t.i64(), True), 1),
        *[
            w.Memory(store, w.MemoryType(w.Limits(*limits)))
            for limits in ((1, None), (2, None), (2, 4), (3, 3), (2, 5))
        ],
        w.Table(store, w.TableType(t.funcref(), w.Limits(2, 4)), None),
        *[
            w.Table(store, w.TableType(t.externref(), w.Limits(*limits)), None)
            for limits in ((1, 4), (2, None), (2, 4))
        ],
    ]


@pytest.mark.parametrize("kind", MODULES)
def test_an_import_that_does_not_fit_is_said_to_in_the_same_words(kind: str) -> None:
    def case(w: Any) -> object:
        store = w.Store()
        module = w.Module(store.engine, MODULES[kind])
        found = []
        for item in candidates(w, store):
            linker = w.Linker(store.engine)
            linker.define(store, "env", "x", item)
            # Called before the loop goes on.
            given = attempts(lambda item=item: w.Instance(store, module, [item]))  # type: ignore[misc]  # its default
            found.append(given + attempts(partial(linker.instantiate, store, module)))
        return found, attempts(
            lambda: w.Instance(store, module, []), lambda: w.Linker(store.engine).instantiate(store, module)
        )

    same(case)()


@same
def test_what_has_grown_counts_with_its_present_size(w: Any) -> object:
    store = w.Store()
    memory = w.Memory(store, w.MemoryType(w.Limits(1, 4)))
    memory.grow(store, 1)
    return w.Instance(store, w.Module(store.engine, MODULES["memory"]), [memory])


@same
def test_imports_of_one_name_are_taken_in_order(w: Any) -> object:
    store = w.Store()
    f = w.Func(store, w.FuncType([], [w.ValType.i32()]), lambda: 3)
    memory = w.Memory(store, w.MemoryType(w.Limits(1, None)))
    text = """(module (import "" "" (func (result i32))) (import "" "" (memory 1)) (export "m" (memory 0))
      (func (export "f") (result i32) (call 0)))"""
    _, exports = instance(w, text, [f, memory], store)
    return exports["f"](store), exports["m"].size(store)


@same
def test_a_name_is_defined_once_unless_shadowing_is_allowed(w: Any) -> object:
    store = w.Store()
    linker = w.Linker(store.engine)
    one, two = (w.Func(store, w.FuncType([], [w.ValType.i32()]), lambda n=n: n) for n in (1, 2))
    linker.define(store, "a", "b", one)
    again = attempts(
        lambda: linker.define(store, "a", "b", two),
        lambda: linker.define_func("a", "b", w.FuncType([], []), print),
        lambda: linker.define(store, "a", "b", 5),
        lambda: linker.define(store, 2, "b", one),
        lambda: linker.define(store, "a", 2, one),
        lambda: linker.define_func("a", "c", 3, print),
        lambda: linker.define_instance(store, "a", 3),
        lambda: linker.define_module(store, "a", 3),
        lambda: linker.allow_shadowing,
    )
    linker.allow_shadowing = True
    linker.define(store, "a", "b", two)
    return again, linker.get(store, "a", "b")(store), attempts(lambda: linker.get(store, "a", "nothing"))


@same
def test_wasi_is_defined_once(w: Any) -> object:
    linker = w.Linker(w.Engine())
    linker.define_wasi()
    # Which of the names is met first is each engine's own.
    return kinds(linker.define_wasi)


@same
def test_an_instance_is_defined_by_its_exports(w: Any) -> object:
    store, _ = instance(w, "(module)")
    library = w.Instance(store, w.Module(store.engine, '(module (func (export "f") (result i32) (i32.const 8)))'), [])
    linker = w.Linker(store.engine)
    linker.define_instance(store, "lib", library)
    text = '(module (import "lib" "f" (func (result i32))) (func (export "g") (result i32) (call 0)))'
    exports = linker.instantiate(store, w.Module(store.engine, text)).exports(store)
    return exports["g"](store), attempts(lambda: linker.define_instance(store, "lib", library))


COUNTER = """(global $g (mut i32) (i32.const 0)) (memory (export "memory") 1)
  (func (export "next") (result i32) (global.set $g (i32.add (global.get $g) (i32.const 1))) (global.get $g))"""


@same
def test_a_library_is_one_instance_and_a_program_one_for_each_call(w: Any) -> object:
    store = w.Store()
    linker = w.Linker(store.engine)
    library = f'(module {COUNTER} (func (export "_initialize") (global.set $g (i32.const 10))))'
    linker.define_module(store, "library", w.Module(store.engine, library))
    linker.define_module(store, "program", w.Module(store.engine, f'(module {COUNTER} (func (export "_start")))'))
    linker.define_module(store, "plain", w.Module(store.engine, f"(module {COUNTER})"))
    found = []
    for name in ("library", "program", "plain"):
        function = linker.get(store, name, "next")
        found.append([function(store), function(store)])
        found.append(attempts(lambda name=name: linker.get(store, name, "memory")))  # type: ignore[misc]  # its default
    return found


@pytest.mark.parametrize(
    "text",
    [
        '(module (func (export "_start")) (func (export "_initialize")))',
        '(module (func (export "_start")) (global (export "g") i32 (i32.const 1)))',
        '(module (func (export "_start")) (global (export "__heap_base") i32 (i32.const 1)))',
        '(module (global (export "_start") i32 (i32.const 1)))',
        '(module (memory (export "_initialize") 1))',
        '(module (func (export "_initialize") unreachable))',
        '(module (func (export "_initialize") (param i32)))',
        '(module (func (export "_initialize") (result i32) (i32.const 1)))',
        '(module (import "a" "b" (func)))',
        '(module (import "a" "b" (func)) (func (export "_start")))',
    ],
)
def test_modules_that_cannot_be_defined_are_said_to_be_such(text: str) -> None:
    def case(w: Any) -> object:
        store = w.Store()
        return w.Linker(store.engine).define_module(store, "x", w.Module(store.engine, text))

    same(case)()


@same
def test_the_default_of_a_module_is_its_unnamed_function_or_its_start(w: Any) -> object:
    store = w.Store()
    linker = w.Linker(store.engine)
    for name, export in (("unnamed", ""), ("started", "_start"), ("neither", "other")):
        text = f'(module (func (export "{export}") (result i32) (i32.const 5)))'
        library = w.Instance(store, w.Module(store.engine, text), [])
        linker.define_instance(store, name, library)
    text = '(module (global (export "") i32 (i32.const 1)))'
    linker.define_instance(store, "global", w.Instance(store, w.Module(store.engine, text), []))
    return [linker.get_default(store, name)(store) for name in ("unnamed", "started", "neither", "nothing")], attempts(
        lambda: linker.get_default(store, "global")
    )


@same
def test_unknown_imports_may_be_zeros_and_nulls(w: Any) -> object:
    engine = w.Engine()
    store = w.Store(engine)
    linker = w.Linker(engine)
    text = """(module (import "a" "g" (global i32)) (import "a" "m" (memory 1)) (import "a" "t" (table 1 funcref))
      (import "a" "f" (func (result i64 f32 externref))) (import "a" "one" (func (param i32) (result f64)))
      (import "a" "none" (func)))"""
    module = w.Module(engine, text)
    linker.define_unknown_imports_as_default_values(store, module)
    linker.instantiate(store, module)
    return (
        linker.get(store, "a", "g").value(store),
        linker.get(store, "a", "m").size(store),
        linker.get(store, "a", "t").size(store),
        linker.get(store, "a", "f")(store),
        linker.get(store, "a", "one")(store, 1),
        linker.get(store, "a", "none")(store),
        attempts(lambda: linker.define_unknown_imports_as_default_values(store, 3)),
    )


@same
def test_unknown_imports_may_be_errors_when_they_are_called(w: Any) -> object:
    engine = w.Engine()
    store = w.Store(engine)
    linker = w.Linker(engine)
    linker.define_func("a", "known", w.FuncType([], []), lambda: None)
    text = '(module (import "a" "known" (func)) (import "a" "x" (func)) (func (export "f") (call 0) (call 1)))'
    module = w.Module(engine, text)
    linker.define_unknown_imports_as_traps(module)
    exports = linker.instantiate(store, module).exports(store)
    with pytest.raises(w.WasmtimeError) as caught:
        exports["f"](store)
    return str(caught.value).strip().splitlines()[-1].strip(), attempts(
        lambda: linker.define_unknown_imports_as_traps("x")
    )


@same
def test_imports_can_be_looked_up_before_there_is_a_store(w: Any) -> object:
    engine = w.Engine()
    linker = w.Linker(engine)
    module = w.Module(engine, '(module (import "a" "f" (func (result i32))) (func (export "g") (result i32) (call 0)))')
    missing = attempts(lambda: linker.instantiate_pre(module), lambda: linker.instantiate_pre("x"))
    linker.define_func("a", "f", w.FuncType([], []), lambda: None)
    wrong = attempts(lambda: linker.instantiate_pre(module))
    linker.allow_shadowing = True
    linker.define_func("a", "f", w.FuncType([], [w.ValType.i32()]), lambda: 6)
    pre = linker.instantiate_pre(module)
    linker.define_func("a", "f", w.FuncType([], [w.ValType.i32()]), lambda: 7)
    stores = [w.Store(engine) for _ in range(2)]
    found = [pre.instantiate(store).exports(store)["g"](store) for store in stores]
    exports = [export.name for export in pre.module.exports]
    pre.close()
    return missing, wrong, found, exports, attempts(lambda: pre.instantiate(stores[0]))


@same
def test_modules_say_what_they_import_and_export(w: Any) -> object:
    text = """(module (import "" "" (func (param i32) (result f64))) (import "a" "bcd" (global (mut i64)))
      (import "" "x" (table 1 2 externref)) (memory (export "m") 1 5) (export "f" (func 0)))"""
    module = w.Module(w.Engine(), text)
    found: list[Any] = [(item.module, item.name, item.type) for item in module.imports]
    found += [(item.name, item.type) for item in module.exports]
    limits = module.exports[0].type.limits
    params = module.imports[0].type.params
    return found, limits.min, limits.max, list(map(str, params)), module.imports[1].type.mutable


@same
def test_what_is_no_module_is_an_error(w: Any) -> object:
    engine = w.Engine()
    return kinds(
        lambda: w.Module(engine, b""),
        lambda: w.Module(engine, ""),
        lambda: w.Module(engine, b"\0"),
        lambda: w.Module(engine, b"\0asm\1\0\0\0\x63"),
        lambda: w.Module(engine, b"garbage"),
        lambda: w.Module(engine, "garbage"),
        lambda: w.Module(engine, "(module"),
        lambda: w.Module(engine, "\0asm\1\0\0\0"),
        lambda: w.Module(engine, memoryview(b"\0asm\1\0\0\0")),
        lambda: w.Module(engine, bytearray(b"(module)")),
        lambda: w.Module.validate(engine, b"(module)"),
        lambda: w.Module.validate(engine, b""),
        lambda: w.Module.validate(engine, w.wat2wasm("(module (func (result i32)))")),
        lambda: w.Module.validate(engine, w.wat2wasm("(module)")),
        lambda: w.Module.validate(engine, 3),
        lambda: w.Module.from_file(engine, "/nonexistent"),
        lambda: w.Module.deserialize(engine, b"x"),
        lambda: w.Module.deserialize(engine, "x"),
        lambda: w.Module.deserialize(engine, b""),
        lambda: w.Module.deserialize_file(engine, "/nonexistent"),
        lambda: w.Module.deserialize_file(engine, 3),
        lambda: w.wat2wasm("x"),
        lambda: w.wat2wasm("(module"),
    )


@same
def test_modules_are_bytes_text_and_files(w: Any) -> object:
    engine = w.Engine()
    binary = w.wat2wasm("(module)")
    return (
        binary,
        w.wat2wasm(b"(module)"),
        [w.Module(engine, source) for source in ("(module)", b"(module)", binary, bytes(binary))],
    )


@same
def test_a_module_is_serialized_and_closed(w: Any) -> object:
    engine = w.Engine()
    module = w.Module(engine, '(module (func (export "f") (result i32) (i32.const 4)))')
    encoded = module.serialize()
    with w.Module.deserialize(engine, encoded) as again:
        store = w.Store(engine)
        result = w.Instance(store, again, []).exports(store)["f"](store)
    module.close()
    return type(encoded), result, attempts(lambda: again.exports, lambda: module.serialize(), lambda: module.imports)


def test_a_serialized_module_is_a_file_too(tmp_path: Path) -> None:
    engine = wasmtime.Engine()
    path = tmp_path / "module"
    path.write_bytes(wasmtime.Module(engine, '(module (func (export "f")))').serialize())
    assert [export.name for export in wasmtime.Module.deserialize_file(engine, str(path)).exports] == ["f"]
    config = wasmtime.Config()
    config.consume_fuel = True
    with pytest.raises(wasmtime.WasmtimeError):
        wasmtime.Module.deserialize_file(wasmtime.Engine(config), str(path))


def test_an_invalid_body_is_found_when_it_is_called_or_validated() -> None:
    # wasmtime compiles all of a module at once, and finds it when the module is made.
    store = wasmtime.Store()
    text = '(module (func (export "good") (result i32) (i32.const 1)) (func (export "bad") (result i32)))'
    exports: Any = wasmtime.Instance(store, wasmtime.Module(store.engine, text), []).exports(store)
    assert exports["good"](store) == 1
    with pytest.raises(wasmtime.WasmtimeError, match="type mismatch"):
        exports["bad"](store)
    with pytest.raises(wasmtime.WasmtimeError, match="type mismatch"):
        wasmtime.Module.validate(store.engine, bytes(wasmtime.wat2wasm(text)))
