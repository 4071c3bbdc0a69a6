"""Vector instructions and the settings for them, compared with wasmtime-py, which has no values of type v128."""

from __future__ import annotations

from typing import Any

import pytest

import vibewasm.compat.wasmtime as wasmtime
from tests.compat.both import attempts, called, instance, kinds, outcome, same

#: Modules by what they use of which proposal; nothing the last.
USES = {
    "simd in an instruction": "(module (func (result i32) (i8x16.all_true (v128.const i32x4 0 0 0 0))))",
    "simd in a parameter": "(module (func (param v128)))",
    "simd in a local": "(module (func (local v128)))",
    "simd in a block": "(module (func (block (result v128) unreachable) drop))",
    "simd in a select": "(module (func unreachable (select (result v128)) drop))",
    "simd in a global": "(module (global v128 (v128.const i64x2 0 0)))",
    "simd in dead code": "(module (func return (drop (v128.const i64x2 0 0))))",
    "relaxed": """(module (func (param v128) (result v128)
        (f32x4.relaxed_madd (local.get 0) (local.get 0) (local.get 0))))""",
    "nothing": """(module (func $v128 (param i32) (result i32) (i32.add (i32.const -3) (i32.const 0x7b)))
        (func (result i64) (i64.const 0x7bfd_fd7b)))""",
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("off", [[], ["wasm_relaxed_simd"], ["wasm_relaxed_simd", "wasm_simd"]])
def test_a_module_that_uses_what_is_off_is_refused(use: str, off: list[str]) -> None:
    def case(w: Any) -> object:
        config = w.Config()
        for name in off:
            setattr(config, name, False)
        engine = w.Engine(config)
        data = w.wat2wasm(USES[use])
        return kinds(lambda: w.Module(engine, data), lambda: w.Module.validate(engine, bytes(data)))

    same(case)()
    refused = {"relaxed": len(off) > 0, "nothing": False}.get(use, len(off) > 1)
    assert ("WasmtimeError" in str(outcome(case, wasmtime))) == refused


def test_what_is_off_is_named_with_its_place() -> None:
    config = wasmtime.Config()
    config.wasm_relaxed_simd = False
    with pytest.raises(wasmtime.WasmtimeError, match=r"^relaxed SIMD support is not enabled \(in function 0\)$"):
        wasmtime.Module(wasmtime.Engine(config), USES["relaxed"])
    config = wasmtime.Config()
    config.wasm_simd = config.wasm_relaxed_simd = False
    engine = wasmtime.Engine(config)
    for use, where in (("relaxed", "type section"), ("simd in a local", "function 0"), ("simd in a global", "global")):
        with pytest.raises(wasmtime.WasmtimeError, match=f"^SIMD support is not enabled .*{where}"):
            wasmtime.Module(engine, USES[use])
    made = wasmtime.Module(wasmtime.Engine(), USES["simd in an instruction"]).serialize()
    with pytest.raises(wasmtime.WasmtimeError, match="SIMD support is not enabled"):
        wasmtime.Module.deserialize(engine, made)


def test_a_switch_may_be_turned_on_again_and_relaxed_simd_needs_simd() -> None:
    config = wasmtime.Config()
    config.wasm_simd = False
    # wasmtime-py ends the process here.
    with pytest.raises(wasmtime.WasmtimeError, match="cannot disable the simd proposal but enable the relaxed simd"):
        wasmtime.Engine(config)
    config.wasm_simd = True
    wasmtime.Module(wasmtime.Engine(config), USES["relaxed"])


@same
def test_modules_with_vectors_run(w: Any) -> object:
    text = """(module (memory (export "m") 1)
        (func (export "dot") (param i32 i32) (result i32) (local $sum v128)
            (local.set $sum (i32x4.dot_i16x8_s (v128.load (local.get 0)) (v128.load (local.get 1))))
            (i32.add (i32x4.extract_lane 0 (local.get $sum)) (i32x4.extract_lane 3 (local.get $sum)))))"""
    store, exports = instance(w, text)
    exports["m"].write(store, bytes(range(64)), 0)
    return attempts(*[lambda at=at: exports["dot"](store, at, 64 - at) for at in (0, 3, 48, 65536)])


@pytest.mark.parametrize("deterministic", [True, False])
def test_relaxed_simd_may_be_deterministic(deterministic: bool) -> None:
    def case(w: Any) -> object:
        config = w.Config()
        config.wasm_relaxed_simd_deterministic = deterministic
        text = """(module (func (export "f") (param f32) (result f32) (f32x4.extract_lane 1 (f32x4.relaxed_madd
            (f32x4.splat (local.get 0)) (f32x4.splat (local.get 0)) (f32x4.splat (f32.const 1))))))"""
        store = w.Store(w.Engine(config))
        return instance(w, text, store=store)[1]["f"](store, 3.5)

    same(case)()


def test_there_are_no_vectors_in_python() -> None:
    # wasmtime-py ends the process where a function has one.
    with pytest.raises(TypeError, match="wasmtime-py has no values of type v128"):
        called(wasmtime, '(module (func (export "f") (param v128)))', 1)
