"""Traps, exits and their frames, compared with wasmtime-py's."""

from __future__ import annotations

from typing import Any

import pytest

from tests.compat.both import attempts, instance, same

TRAPS = {
    "unreachable": "unreachable",
    "division": "(drop (i32.div_s (i32.const 1) (i32.const 0)))",
    "overflow": "(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))",
    "nan": "(drop (i32.trunc_f32_s (f32.const nan)))",
    "large": "(drop (i32.trunc_f32_s (f32.const 1e20)))",
    "element": "(call_indirect (i32.const 5))",
    "table": "(drop (table.get (i32.const 5)))",
    "null": "(call_indirect (i32.const 0))",
    "signature": "(call_indirect (param i32) (i32.const 1) (i32.const 1))",
    "fill": "(memory.fill (i32.const 65530) (i32.const 0) (i32.const 100))",
}


def report(error: Any) -> object:
    """All that a trap says."""
    frames = [(f.func_index, f.func_name, f.module_name, f.module_offset, f.func_offset) for f in error.frames]
    code = error.trap_code
    return type(error).__name__, str(error), error.message, code and (code.name, code.value), frames


@pytest.mark.parametrize("name", TRAPS)
def test_a_trap_has_the_same_text_code_and_frames(name: str) -> None:
    def case(w: Any) -> object:
        text = f"""(module $module (memory 1) (table 2 funcref) (elem (i32.const 1) $outer_function)
          (func $outer_function (export "f") (local i32 i64) nop (call 1))
          (func (call $inner_function)) (func $inner_function nop {TRAPS[name]}))"""
        store, exports = instance(w, text)
        with pytest.raises(w.Trap) as caught:
            exports["f"](store)
        return report(caught.value)

    same(case)()


@same
def test_the_name_of_an_export_is_no_name_of_its_function_in_a_frame(w: Any) -> object:
    store, exports = instance(w, '(module (func (export "f") unreachable))')
    with pytest.raises(w.Trap) as caught:
        exports["f"](store)
    return report(caught.value)


@same
def test_of_a_deep_stack_as_many_frames_are_kept_as_wasmtime_keeps(w: Any) -> object:
    store, exports = instance(w, '(module (func $recursive (export "f") (call $recursive)))')
    with pytest.raises(w.Trap) as caught:
        exports["f"](store)
    return len(caught.value.frames), caught.value.trap_code.name


ACCESSES = {
    "load": "(drop (i32.load (local.get 0)))",
    "load with offset": "(drop (i64.load offset=70000 (local.get 0)))",
    "store": "(f64.store offset=5 (local.get 0) (f64.const 1))",
    "byte": "(i32.store8 (local.get 0) (i32.const 1))",
    "constant": "(drop (i32.load (i32.const 0xfffff)))",
    "after growing": "(drop (memory.grow (i32.const 2))) (drop (i32.load (i32.add (local.get 0) (i32.const 131072))))",
}


@pytest.mark.parametrize("name", ACCESSES)
@pytest.mark.parametrize("address", [0x10000, 0xFFFE, 0x1234567, -1, -65536])
def test_an_access_outside_is_a_trap_that_says_where(name: str, address: int) -> None:
    def case(w: Any) -> object:
        store, exports = instance(w, f'(module (memory 1 3) (func (export "f") (param i32) {ACCESSES[name]}))')
        try:
            exports["f"](store, address)
        except w.Trap as trap:
            return report(trap)
        return None

    same(case)()


@same
def test_segments_that_do_not_fit_are_traps_without_frames(w: Any) -> object:
    found = []
    for text in (
        '(module (memory 1) (data (i32.const 65536) "x"))',
        "(module (table 1 funcref) (func $f) (elem (i32.const 5) $f))",
    ):
        with pytest.raises(w.Trap) as caught:
            instance(w, text)
        found.append(report(caught.value))
    return found


@same
def test_a_trap_in_a_start_function_is_one(w: Any) -> object:
    with pytest.raises(w.Trap) as caught:
        instance(w, "(module (func $start_function unreachable) (start $start_function))")
    return report(caught.value)


@same
def test_traps_and_errors_can_be_made(w: Any) -> object:
    trap, error = w.Trap("x"), w.WasmtimeError("y")
    return (
        report(trap),
        repr(trap),
        str(error),
        repr(error),
        [issubclass(w.ExitTrap, w.WasmtimeError), issubclass(w.Trap, w.WasmtimeError), issubclass(w.Trap, Exception)],
        [code.name for code in w.TrapCode],
        [code.value for code in w.TrapCode],
    )


@same
def test_a_closed_trap_says_so(w: Any) -> object:
    trap = w.Trap("x")
    trap.close()
    trap.close()
    return attempts(lambda: trap.message, lambda: trap.trap_code, lambda: trap.frames)


@pytest.mark.parametrize("code", [0, 1, 5, 125, 126, 255, 256, -1])
def test_an_exit_has_its_code_where_wasmtime_gives_it(code: int) -> None:
    def case(w: Any) -> object:
        linker = w.Linker(w.Engine())
        linker.define_wasi()
        text = """(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
          (memory (export "memory") 1) (func (export "f") (param i32) (call $exit (local.get 0))))"""
        store = w.Store(linker.engine)
        store.set_wasi(w.WasiConfig())
        exports = linker.instantiate(store, w.Module(linker.engine, text)).exports(store)
        with pytest.raises(w.WasmtimeError) as caught:
            exports["f"](store, code)
        error = caught.value
        # wasmtime's text also has the frames before its last line.
        return type(error).__name__, getattr(error, "code", None), str(error).strip().splitlines()[-1].strip()

    same(case)()
