"""Engines, their settings, and stores with fuel, epochs and limits, compared with wasmtime-py's."""

from __future__ import annotations

import gc
import threading
import weakref
from pathlib import Path
from typing import Any

import pytest

import vibewasm.compat.wasmtime as wasmtime
from tests.compat.both import attempts, instance, kinds, same

BOOLS = """cranelift_debug_verifier cranelift_nan_canonicalization debug_info gc_support macos_use_mach_ports
    memory_init_cow memory_may_move native_unwind_info parallel_compilation shared_memory signals_based_traps
    wasm_bulk_memory wasm_component_model wasm_component_model_implements wasm_component_model_map
    wasm_custom_page_sizes wasm_exceptions wasm_function_references wasm_gc wasm_memory64 wasm_multi_memory
    wasm_multi_value wasm_reference_types wasm_relaxed_simd wasm_relaxed_simd_deterministic wasm_simd
    wasm_stack_switching wasm_tail_call wasm_threads wasm_wide_arithmetic consume_fuel""".split()
NUMBERS = "max_wasm_stack memory_guard_size memory_reservation memory_reservation_for_growth".split()


@pytest.mark.parametrize("name", [*BOOLS, *NUMBERS, "cache", "epoch_interruption", "profiler", "strategy", "target"])
@pytest.mark.parametrize("value", [True, 1, 1 << 20, "x", None, 1.5])
def test_a_setting_takes_what_it_takes_there(name: str, value: object) -> None:
    def case(w: Any) -> object:
        config = w.Config()
        found = kinds(lambda: setattr(config, name, value))
        # What cannot be read says which it is.
        reading = attempts(lambda: getattr(config, name))
        config.close()
        return found, reading, kinds(lambda: setattr(config, name, True)) if name in BOOLS else None

    same(case)()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("strategy", ["auto", "cranelift", "winch", ""]),
        ("cranelift_opt_level", ["none", "speed", "speed_and_size", "x"]),
        ("profiler", ["none", "jitdump", "perfmap", "vtune", "x"]),
    ],
)
def test_a_setting_that_is_a_word_takes_the_same_words(name: str, words: list[str]) -> None:
    def case(w: Any) -> object:
        config = w.Config()
        return attempts(*[lambda word=word: setattr(config, name, word) for word in words])

    same(case)()


@same
def test_other_settings_take_what_they_take_there(w: Any) -> object:
    config = w.Config()
    return attempts(
        lambda: setattr(config, "cache", False),
        lambda: setattr(config, "cache", "/nonexistent/file.toml"),
        lambda: setattr(config, "consume_fuel", 1),
        lambda: config.cranelift_flag_enable(3),
        lambda: config.cranelift_flag_enable("preserve_frame_pointers"),
        lambda: config.cranelift_flag_set(3, "x"),
        lambda: config.cranelift_flag_set("x", 3),
        lambda: setattr(config, "target", 1),
        lambda: setattr(config, "target", "aarch64-unknown-linux-gnu"),
    ) + kinds(lambda: setattr(config, "target", "not-a-real-target"))


@same
def test_an_engine_takes_its_settings_away(w: Any) -> object:
    config = w.Config()
    w.Engine(config)
    return attempts(lambda: w.Engine(config), lambda: setattr(config, "consume_fuel", True)), w.Engine().is_pulley()


@same
def test_what_is_closed_says_so_and_may_be_closed_again(w: Any) -> object:
    def closed(item: Any) -> Any:
        item.close()
        item.close()
        return item

    store, engine = closed(w.Store()), closed(w.Engine())
    config, wasi = closed(w.Config()), closed(w.WasiConfig())
    type_, linker = closed(w.FuncType([], [])), closed(w.Linker(w.Engine()))
    with w.Store() as other:
        pass
    return attempts(
        lambda: store.set_fuel(1),
        lambda: store.data(),
        lambda: store.gc(),
        lambda: store.set_epoch_deadline(1),
        lambda: store.set_limits(),
        lambda: w.Memory(store, w.MemoryType(w.Limits(1, None))),
        lambda: w.Func(store, w.FuncType([], []), print),
        lambda: other.data(),
        lambda: w.Store(engine),
        lambda: engine.increment_epoch(),
        lambda: w.Module(engine, "(module)"),
        lambda: w.Engine(config),
        lambda: setattr(wasi, "argv", []),
        lambda: wasi.inherit_env(),
        lambda: w.Store().set_wasi(wasi),
        lambda: type_.params,
        lambda: linker.define_wasi(),
        lambda: linker.ptr(),
    )


def test_there_are_no_pointers_to_objects_of_a_c_library() -> None:
    for item in (wasmtime.Store(), wasmtime.Engine(), wasmtime.Config(), wasmtime.ValType.i32()):
        with pytest.raises(wasmtime.WasmtimeError, match="vibewasm has no C library"):
            item.ptr()


@same
def test_a_store_keeps_what_it_is_given(w: Any) -> object:
    return [w.Store(data=data).data() for data in ({"x": 1}["x"], "text", None, 0, "")], w.Store(engine=None).data()


LOOP = '(module (func (export "f") (loop (br 0))) (func (export "leaf")))'


def fueled(w: Any) -> Any:
    config = w.Config()
    config.consume_fuel = True
    return w.Store(w.Engine(config))


@same
def test_fuel_is_set_used_and_runs_out(w: Any) -> object:
    store = fueled(w)
    found: list[Any] = [store.get_fuel()]
    for amount in (1, 2, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, -1, 0):
        store.set_fuel(amount)
        found.append(store.get_fuel())
    _, exports = instance(w, LOOP, store=store)
    for name, amount in (("leaf", 0), ("f", 1000)):
        store.set_fuel(amount)
        with pytest.raises(w.Trap) as caught:
            exports[name](store)
        found.append((caught.value.trap_code, store.get_fuel(), "all fuel consumed" in str(caught.value)))
    store.set_fuel(1000)
    exports["leaf"](store)
    return found, 0 < store.get_fuel() <= 1000, attempts(lambda: w.Store().set_fuel(1), lambda: w.Store().get_fuel())


def with_epochs(w: Any) -> tuple[Any, Any]:
    config = w.Config()
    config.epoch_interruption = True
    engine = w.Engine(config)
    return engine, w.Store(engine)


@pytest.mark.parametrize("ticks", [None, 0, 1, 2])
@pytest.mark.parametrize("name", ["f", "leaf"])
def test_code_stops_when_its_epoch_has_come(ticks: int | None, name: str) -> None:
    def case(w: Any) -> object:
        engine, store = with_epochs(w)
        if ticks is not None:
            store.set_epoch_deadline(ticks)
        _, exports = instance(w, LOOP, store=store)
        engine.increment_epoch()
        if ticks == 2 and name == "f":
            threading.Timer(0.05, engine.increment_epoch).start()
        try:
            return exports[name](store)
        except w.Trap as trap:
            return trap.trap_code, "wasm trap: interrupt" in str(trap)

    same(case)()


@same
def test_a_later_deadline_lets_code_run_again(w: Any) -> object:
    engine, store = with_epochs(w)
    store.set_epoch_deadline(1)
    text = """(module (import "" "" (func)) (func (export "f") (call 0) (loop $l (br_if $l (i32.const 0))))
      (func (export "leaf")))"""
    extended: list[int] = []

    def host() -> None:
        engine.increment_epoch()
        store.set_epoch_deadline(1)
        extended.append(1)

    _, exports = instance(w, text, [w.Func(store, w.FuncType([], []), host)], store)
    found = [exports["f"](store)]
    engine.increment_epoch()
    found += attempts(lambda: exports["leaf"](store))[0][:1]
    store.set_epoch_deadline(5)
    return found, exports["f"](store), exports["leaf"](store), extended


@same
def test_without_the_setting_epochs_stop_nothing(w: Any) -> object:
    store = w.Store()
    store.set_epoch_deadline(0)
    store.engine.increment_epoch()
    _, exports = instance(w, LOOP, store=store)
    return exports["leaf"](store)


@same
def test_epochs_are_the_engines_and_deadlines_the_stores(w: Any) -> object:
    engine, store = with_epochs(w)
    other = w.Store(engine)
    store.set_epoch_deadline(1)
    other.set_epoch_deadline(2)
    exports = [instance(w, LOOP, store=each)[1] for each in (store, other)]
    engine.increment_epoch()
    return [
        attempts(lambda e=e, s=s: e["leaf"](s))[0][0]  # type: ignore[misc]  # mypy sees no defaults
        for e, s in zip(exports, (store, other), strict=True)
    ]


@pytest.mark.parametrize(
    ("limits", "texts"),
    [
        ({"memory_size": 65536}, ["(module (memory 2))"]),
        ({"memory_size": 65536}, ["(module (memory 1))", "(module (memory 1))"]),
        ({"table_elements": 1}, ["(module (table 2 funcref))"]),
        ({"table_elements": 1}, ["(module (table 1 funcref))"]),
        ({"instances": 0}, ["(module)"]),
        ({"instances": 2}, ["(module)", "(module)", "(module)"]),
        ({"memories": 0}, ["(module)", "(module (memory 1))"]),
        ({"memories": 1}, ["(module (memory 1))", "(module (memory 1))"]),
        ({"tables": 1}, ["(module (table 1 funcref) (table 1 funcref))"]),
        ({"memory_size": -1, "tables": -5}, ["(module (memory 2) (table 1 funcref))"]),
    ],
)
def test_a_store_has_no_more_than_its_limits(limits: dict[str, int], texts: list[str]) -> None:
    def case(w: Any) -> object:
        store = w.Store()
        store.set_limits(**limits)
        return attempts(*[lambda text=text: instance(w, text, store=store) for text in texts])

    same(case)()


@same
def test_what_python_makes_and_what_grows_has_limits_too(w: Any) -> object:
    store = w.Store()
    store.set_limits(memory_size=131072, table_elements=2, memories=0, tables=0)
    memory = w.Memory(store, w.MemoryType(w.Limits(1, None)))
    table = w.Table(store, w.TableType(w.ValType.funcref(), w.Limits(1, None)), None)
    return (
        attempts(
            lambda: memory.grow(store, 1),
            lambda: memory.grow(store, 1),
            lambda: w.Memory(store, w.MemoryType(w.Limits(3, None))),
            lambda: table.grow(store, 1, None),
            lambda: table.grow(store, 1, None),
            lambda: w.Table(store, w.TableType(w.ValType.funcref(), w.Limits(3, None)), None),
        ),
        memory.size(store),
        table.size(store),
    )


def test_features_that_are_always_there_cannot_be_turned_off() -> None:
    config = wasmtime.Config()
    for name in (
        "wasm_bulk_memory",
        "wasm_exceptions",
        "wasm_function_references",
        "wasm_multi_value",
        "wasm_reference_types",
        "wasm_tail_call",
    ):
        with pytest.raises(wasmtime.WasmtimeError, match="cannot be turned off"):
            setattr(config, name, False)
    with pytest.raises(wasmtime.WasmtimeError, match="signals_based_traps cannot be turned off"):
        config.signals_based_traps = False
    for name in ("wasm_gc", "wasm_threads", "wasm_memory64"):
        setattr(config, name, False)
    config.profiler = "vtune"
    with pytest.raises(wasmtime.WasmtimeError, match="VTune"):
        wasmtime.Engine(config)
    with pytest.raises(wasmtime.WasmtimeError, match="WASI HTTP, which is for components, is not supported"):
        wasmtime.Store().set_wasi_http()


def test_settings_reach_our_engine(tmp_path: Path) -> None:
    config = wasmtime.Config()
    config.consume_fuel = True
    config.debug_info = True
    config.profiler = "perfmap"
    ours = wasmtime.Engine(config)._ours.config
    assert (ours.fuel, ours.debug, ours.profile) == (True, "gdb", "perfmap")
    config = wasmtime.Config()
    config.cache = True
    assert wasmtime.Engine(config)._ours.config.cache is True
    config = wasmtime.Config()
    config.target = "aarch64-unknown-linux-gnu"
    assert wasmtime.Engine(config)._ours.target == "aarch64"


@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        ("", True),
        ("[cache]", True),
        ("[cache]\nenabled = true", True),
        ("[cache]\nenabled = false\ndirectory = '/x'", False),
        ("[cache]\ndirectory = '{folder}'", "{folder}"),
        ("[cache]\ndirectory = 'relative'", None),
        ("[cache]\nenabled = 3", None),
        ("cache = 3", None),
        ("no toml", None),
        ("\xff", None),
    ],
)
def test_a_configuration_file_says_where_code_is_kept(contents: str, expected: object, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(contents.replace("{folder}", str(tmp_path)), encoding="latin-1")
    config = wasmtime.Config()
    if expected is None:
        with pytest.raises(wasmtime.WasmtimeError, match="failed to parse config file"):
            config.cache = str(path)
        return
    config.cache = str(path)
    wanted = str(expected).replace("{folder}", str(tmp_path)) if isinstance(expected, str) else expected
    assert config._settings["cache"] == wanted


def test_epochs_of_many_threads_are_all_counted_and_no_stop_stays_behind() -> None:
    engine, store = with_epochs(wasmtime)
    _, exports = instance(wasmtime, LOOP, store=store)
    store.set_epoch_deadline(1 << 40)

    def tick() -> None:
        for _ in range(2000):
            engine.increment_epoch()

    threads = [threading.Thread(target=tick) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        # Reached now and then, and moved on at once.
        store.set_epoch_deadline(1)
        store.set_epoch_deadline(1 << 40)
    for thread in threads:
        thread.join()
    assert exports["leaf"](store) is None
    text = '(module (func (export "count") (local i32) (loop $l (br_if $l (i32.lt_u (local.tee 0 (i32.add (local.get 0)'
    text += " (i32.const 1))) (i32.const 100000))))))"
    assert instance(wasmtime, text, store=store)[1]["count"](store) is None
    store.set_epoch_deadline(1)
    before = engine._epoch
    engine.increment_epoch()
    assert (before, engine._epoch) == (8000, 8001)
    with pytest.raises(wasmtime.Trap):
        exports["leaf"](store)


def test_a_store_that_nobody_uses_any_more_is_let_go() -> None:
    engine, store = with_epochs(wasmtime)
    store.set_epoch_deadline(10)
    store.set_wasi(wasmtime.WasiConfig())
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    linker.define_func("", "f", wasmtime.FuncType([], []), lambda caller: None, access_caller=True)
    text = """(module (import "" "f" (func $f)) (import "wasi_snapshot_preview1" "sched_yield" (func $y (result i32)))
      (memory (export "memory") 1) (func (export "g") (call $f) (drop (call $y))))"""
    exports: Any = linker.instantiate(store, wasmtime.Module(engine, text)).exports(store)
    exports["g"](store)
    # A circle through a Python function, and a pointer into a memory.
    held: list[Any] = [store, exports["memory"].data_ptr(store)]
    held.append(wasmtime.Func(store, wasmtime.FuncType([], []), held.clear))
    gone = weakref.ref(store), weakref.ref(store._ours)
    engine.increment_epoch()
    del exports, store, held
    gc.collect()
    assert [reference() for reference in gone] == [None, None]
    engine.increment_epoch()
