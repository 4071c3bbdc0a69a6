"""Memories, tables, globals and tags, compared with wasmtime-py's."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest

import vibewasm.compat.wasmtime as wasmtime
from tests.compat.both import attempts, instance, kinds, same


def memory_of(w: Any, least: int = 1, most: int | None = None) -> tuple[Any, Any]:
    store = w.Store()
    return store, w.Memory(store, w.MemoryType(w.Limits(least, most)))


@same
def test_a_memory_grows_within_its_type(w: Any) -> object:
    store, memory = memory_of(w, 1, 3)
    sizes = [
        memory.size(store),
        memory.grow(store, 1),
        memory.grow(store, 0),
        memory.size(store),
        memory.data_len(store),
    ]
    limits = memory.type(store).limits
    return (
        sizes,
        (limits.min, limits.max),
        (memory.page_size(store), memory.page_size_log2(store)),
        attempts(lambda: memory.grow(store, 2), lambda: memory.grow(store, -1)),
        kinds(lambda: memory.grow(store, "")),
    )


@pytest.mark.parametrize(
    ("start", "stop"),
    [(0, 3), (0, None), (None, 2), (-3, None), (-3, -1), (5, 5), (5, 2), (65530, 70000), (70000, None), (-100000, 2)],
)
def test_bytes_are_read_as_a_slice_of_a_list_is(start: int | None, stop: int | None) -> None:
    def case(w: Any) -> object:
        store, memory = memory_of(w)
        memory.write(store, bytes(range(100)), 0)
        memory.write(store, b"end", -3)
        found = memory.read(store, start, stop)
        return len(found), found[:8], found[-8:]

    same(case)()


@pytest.mark.parametrize("value", [b"", b"ab", bytearray(b"abc"), [1, 2], "x", [256], 3, None, b"x" * 65537])
@pytest.mark.parametrize("start", [None, 0, 5, -2, -1, 65535, 65536, 70000, -100000])
def test_bytes_are_written_where_they_fit(value: Any, start: int | None) -> None:
    def case(w: Any) -> object:
        store, memory = memory_of(w)
        found = attempts(lambda: memory.write(store, value, start))
        return found, memory.read(store, 0, 8), memory.read(store, -8)

    same(case)()


@same
def test_pointers_and_buffers_share_the_bytes(w: Any) -> object:
    store, memory = memory_of(w)
    pointer = memory.data_ptr(store)
    pointer[3] = 7
    buffer = memory.get_buffer_ptr(store, 4, 2)
    buffer[2] = 9
    memory.grow(store, 1)
    whole = memory.get_buffer_ptr(store)
    return (
        memory.read(store, 0, 6),
        bytes(buffer),
        (len(whole), whole[3], whole[4]),
        isinstance(pointer, ctypes.POINTER(ctypes.c_ubyte)),
        isinstance(buffer, ctypes.Array),
        type(pointer[3]),
    )


def test_buffers_end_where_the_memory_does_and_outlive_its_store() -> None:
    # wasmtime's may reach anywhere, and lead nowhere when the store is closed.
    store, memory = memory_of(wasmtime)
    buffer, pointer = memory.get_buffer_ptr(store, 10, 65526), memory.data_ptr(store)
    buffer[9] = 5
    for size, offset in ((11, 65526), (1, -1), (-1, 0)):
        with pytest.raises(ValueError, match="not inside the memory of 65536 bytes"):
            memory.get_buffer_ptr(store, size, offset)
    store.close()
    assert (buffer[9], pointer[65535]) == (5, 5)
    with pytest.raises(ValueError, match="already closed"):
        memory.size(store)


def test_an_empty_memory_has_an_empty_buffer() -> None:
    store, memory = memory_of(wasmtime, 0)
    assert len(memory.get_buffer_ptr(store)) == 0
    assert memory.data_ptr(store) is not None
    assert memory.read(store) == b""


@pytest.mark.parametrize("options", [{"is_64": True}, {"shared": True}, {"page_size_log2": 0}])
def test_memories_that_the_engine_does_not_have_are_refused_by_name(options: dict[str, Any]) -> None:
    type_ = wasmtime.MemoryType(wasmtime.Limits(1, 2), **options)
    with pytest.raises(wasmtime.WasmtimeError, match="not supported"):
        wasmtime.Memory(wasmtime.Store(), type_)


def test_shared_memories_are_refused_by_name() -> None:
    config = wasmtime.Config()
    config.shared_memory = True
    engine = wasmtime.Engine(config)
    with pytest.raises(wasmtime.WasmtimeError, match="threads proposal, is not supported"):
        wasmtime.SharedMemory(engine, wasmtime.MemoryType(wasmtime.Limits(1, 2), shared=True))
    unmade = wasmtime.SharedMemory.__new__(wasmtime.SharedMemory)
    for use in (unmade.type, unmade.size, unmade.data_ptr, unmade.data_len, lambda: unmade.grow(1)):
        with pytest.raises(ValueError, match="never initialized"):
            use()
    with pytest.raises(wasmtime.WasmtimeError, match="importing a SharedMemory is not supported"):
        wasmtime.Linker(engine).define(wasmtime.Store(engine), "a", "b", unmade)


@same
def test_only_what_is_shared_is_a_shared_memory(w: Any) -> object:
    config = w.Config()
    config.shared_memory = True
    engine = w.Engine(config)
    return kinds(
        lambda: w.SharedMemory(engine, w.MemoryType(w.Limits(1, 2))),
        lambda: w.SharedMemory(1, w.MemoryType(w.Limits(1, 2), shared=True)),
        lambda: w.SharedMemory(engine, 1),
    )


@same
def test_a_table_has_its_elements_and_null_is_a_value(w: Any) -> object:
    store = w.Store()
    funcs = w.Table(store, w.TableType(w.ValType.funcref(), w.Limits(1, 3)), None)
    f = w.Func(store, w.FuncType([], [w.ValType.i32()]), lambda: 7)
    before = funcs.get(store, 0)
    funcs.set(store, 0, f)
    grown = funcs.grow(store, 1, f)
    limits = funcs.type(store).limits
    return (
        before,
        funcs.get(store, 0)(store),
        grown,
        funcs.size(store),
        (limits.min, limits.max, str(funcs.type(store).element)),
        funcs.get(store, 5),
        attempts(
            lambda: funcs.set(store, 5, f),
            lambda: funcs.set(store, 0, "x"),
            lambda: funcs.set(store, 0, w.Val.funcref(None)),
            lambda: funcs.get(store, 0),
            lambda: funcs.grow(store, 2, None),
            lambda: funcs.grow(store, 1 << 40, None),
            lambda: funcs.grow(store, 1, 3),
        ),
        kinds(lambda: funcs.grow(store, "x", None)),
    )


@pytest.mark.parametrize("value", [0, 1, "", "x", False, [], [1], None, 1.5])
def test_a_table_of_objects_gives_a_value_for_what_counts_as_false(value: object) -> None:
    def case(w: Any) -> object:
        store = w.Store()
        table = w.Table(store, w.TableType(w.ValType.externref(), w.Limits(2, None)), "init")
        table.set(store, 1, value)
        return table.get(store, 0), table.get(store, 1)

    same(case)()


@same
def test_a_global_is_set_if_it_is_mutable(w: Any) -> object:
    store = w.Store()
    number = w.Global(store, w.GlobalType(w.ValType.i64(), True), 1 << 63)
    fixed = w.Global(store, w.GlobalType(w.ValType.f32(), False), 0.1)
    thing = w.Global(store, w.GlobalType(w.ValType.externref(), True), None)
    before = thing.value(store)
    thing.set_value(store, {"a": 1}["a"])
    number_before = number.value(store)
    number.set_value(store, w.Val.i64(-5))
    return (
        (number_before, number.value(store), fixed.value(store)),
        (before, thing.value(store)),
        (str(number.type(store).content), number.type(store).mutable, fixed.type(store).mutable),
        attempts(
            lambda: fixed.set_value(store, 0.5),
            lambda: fixed.set_value(store, 1),
            lambda: number.set_value(store, 1.5),
            lambda: w.Global(store, w.GlobalType(w.ValType.i32(), False), "x"),
            lambda: number.set_value(store, w.Val.i32(1)),
        ),
    )


@same
def test_globals_and_memories_of_modules_are_the_modules_own(w: Any) -> object:
    text = """(module (global (export "g") (mut i32) (i32.const 3)) (memory (export "m") 1)
      (table (export "t") 2 externref)
      (func (export "set") (global.set 0 (i32.const 9)) (i32.store8 (i32.const 1) (i32.const 5))))"""
    store, exports = instance(w, text)
    exports["g"].set_value(store, 4)
    before = exports["g"].value(store)
    exports["set"](store)
    exports["t"].set(store, 1, "x")
    return before, exports["g"].value(store), exports["m"].read(store, 0, 3), exports["t"].get(store, 1)


@same
def test_a_tag_is_equal_to_itself(w: Any) -> object:
    store = w.Store()

    def type_() -> Any:
        return w.TagType(w.FuncType([w.ValType.i32()], []))

    one, two = w.Tag(store, type_()), w.Tag(store, type_())
    results = w.FuncType([], [w.ValType.i32()])
    return (
        (one.eq(store, one), one.eq(store, two)),
        list(map(str, one.type(store).functype.params)),
        attempts(lambda: w.Tag(store, w.TagType(results))),
    )


TAGS = """(module
  (import "a" "t" (tag $i (param i32)))
  (tag $t (export "t") (param i64))
  (export "i" (tag $i))
  (func $thrower (export "f") (throw $t (i64.const 1))))"""


@same
def test_tags_are_imported_and_exported(w: Any) -> object:
    store = w.Store()

    def tag(type_: Any) -> Any:
        return w.Tag(store, w.TagType(w.FuncType([type_], [])))

    given = tag(w.ValType.i32())
    module = w.Module(store.engine, TAGS)
    exports = w.Instance(store, module, [given]).exports(store)
    linker = w.Linker(store.engine)
    linker.define(store, "a", "t", given)
    linked = linker.instantiate(store, module).exports(store)
    types = [item.type for item in [*module.imports, *module.exports][:2]]
    return (
        exports["i"].eq(store, given),
        exports["t"].eq(store, exports["t"]),
        exports["t"].eq(store, linked["t"]),
        linked["i"].eq(store, given),
        [[str(param) for param in type_.functype.params] for type_ in types],
        attempts(
            lambda: w.Instance(store, module, [tag(w.ValType.i64())]),
            lambda: w.Instance(store, module, [w.Func(store, w.FuncType([], []), lambda: None)]),
            lambda: w.Linker(store.engine).instantiate(store, module),
        ),
    )


@same
def test_an_exception_that_nobody_catches_is_a_trap(w: Any) -> object:
    store = w.Store()
    tag = w.Tag(store, w.TagType(w.FuncType([w.ValType.i32()], [])))
    exports = w.Instance(store, w.Module(store.engine, TAGS), [tag]).exports(store)
    try:
        exports["f"](store)
    except w.Trap as trap:
        return str(trap), trap.trap_code, [(frame.func_index, frame.func_name) for frame in trap.frames]
    return None


def test_sizes_below_zero_are_errors_of_wasmtime() -> None:
    for make in (wasmtime.MemoryType, lambda limits: wasmtime.TableType(wasmtime.ValType.funcref(), limits)):
        with pytest.raises(wasmtime.WasmtimeError):
            make(wasmtime.Limits(-1, None))
