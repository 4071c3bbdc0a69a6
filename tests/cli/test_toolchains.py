"""Modules that want the JavaScript which their toolchain writes beside them: whose it is, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

import vibewasm as vw

from .command import command

LINK = "or give the imports from Python with vibewasm.Linker."
#: Imports as toolchains name them, whose they are, and what the advice has to name.
WANTED = {
    "emscripten": ('(import "env" "emscripten_resize_heap" (func (param i32) (result i32)))', "Emscripten", "emcc"),
    "emscripten invoke": ('(import "env" "invoke_vi" (func (param i32 i32)))', "Emscripten", "STANDALONE_WASM"),
    "embind": ('(import "env" "_embind_register_void" (func (param i32 i32)))', "Emscripten", "emcc"),
    "emscripten dynamic": ('(import "GOT.mem" "x" (global (mut i32)))', "Emscripten", "emcc"),
    "minified": ('(import "a" "a" (func (param i32))) (import "a" "b" (func))', "Emscripten", "shortens names"),
    "wasm-bindgen": ('(import "wbg" "__wbg_log_1d3ae0273d8f4f8a" (func (param i32)))', "wasm-bindgen", "wasm32-wasip1"),
    "wasm-bindgen raw": (
        '(import "__wbindgen_placeholder__" "__wbindgen_describe" (func (param i32)))',
        "wasm-bindgen",
        "wasm32-wasip1",
    ),
    "wasm-bindgen bundler": ('(import "./x_bg.js" "__wbindgen_throw" (func (param i32 i32)))', "wasm-bindgen", "cargo"),
    "go": ('(import "gojs" "runtime.wasmExit" (func (param i32)))', "Go", "GOOS=wasip1"),
    "tinygo": ('(import "env" "syscall/js.valueGet" (func (param i32)))', "Go", "-target=wasip1"),
    "assemblyscript": ('(import "env" "abort" (func (param i32 i32 i32 i32)))', "AssemblyScript", "wasi-shim"),
}
#: What everybody may call so.
OTHERS = {
    "env": '(import "env" "log" (func (param i32)))',
    "abort": '(import "env" "abort" (func))',
    "long names": '(import "a" "write" (func (param i32)))',
    "other module": '(import "b" "a" (func))',
    "with WASI": '(import "a" "a" (func)) (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))',
}


@pytest.mark.parametrize("kind", WANTED)
@pytest.mark.parametrize("options", [[], ["--invoke", "f"]], ids=["command", "function"])
def test_it_is_said_whose_javascript_is_wanted(tmp_path: Path, kind: str, options: list[str]) -> None:
    imports, toolchain, how = WANTED[kind]
    path = tmp_path / "module.wat"
    path.write_text(f'(module {imports} (func (export "f")) (func (export "_start")))')
    outcome = command("run", *options, path)
    error = outcome.stderr.decode()
    assert outcome.returncode == 1
    assert "unknown import: " in error
    assert f"the JavaScript of {toolchain}" in error
    assert "Compile the program for WASI (" in error
    assert how in error
    assert LINK in error
    stubs = "With --stub-imports such functions return zeros." in error
    assert stubs == ("(global" not in imports), "what is no function is not stubbed"


@pytest.mark.parametrize("kind", WANTED)
def test_a_module_without_a_start_is_known_too(tmp_path: Path, kind: str) -> None:
    imports, toolchain, how = WANTED[kind]
    path = tmp_path / "module.wat"
    path.write_text(f'(module {imports} (func (export "main")))')
    error = command("run", path).stderr.decode()
    assert "exports no function '_start'" in error
    assert "Call one with --invoke NAME." in error
    assert f"the JavaScript of {toolchain}" in error
    assert how in error


@pytest.mark.parametrize("kind", OTHERS)
def test_no_toolchain_is_named_where_anybody_may_have_given_the_names(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "module.wat"
    path.write_text(f'(module {OTHERS[kind]} (memory (export "memory") 0) (func (export "_start")))')
    error = command("run", path).stderr.decode()
    assert "unknown import: " in error
    assert "JavaScript" not in error
    assert "'vibewasm run' provides WASI only." in error


def test_names_are_escaped(tmp_path: Path) -> None:
    path = tmp_path / "module.wat"
    path.write_text('(module (import "wbg" "\\1b[31m" (func)) (func (export "_start")))')
    error = command("run", path).stderr
    assert b"wbg.\\x1b[31m belongs to the JavaScript of wasm-bindgen" in error
    assert b"\x1b" not in error


@pytest.mark.parametrize("kind", WANTED)
def test_instantiation_from_python_names_the_toolchain_once(kind: str) -> None:
    imports, toolchain, how = WANTED[kind]
    with pytest.raises(vw.LinkError) as caught:
        vw.instantiate(f"(module {imports})")
    line = str(caught.value).splitlines()[-1]
    assert f"the JavaScript of {toolchain}" in line
    assert how in line
    assert caught.value.missing


@pytest.mark.parametrize("kind", OTHERS)
def test_instantiation_from_python_names_no_toolchain_without_reason(kind: str) -> None:
    with pytest.raises(vw.LinkError) as caught:
        vw.instantiate(f"(module {OTHERS[kind]})")
    assert "JavaScript" not in str(caught.value)


def test_the_command_line_names_the_toolchain_once(tmp_path: Path) -> None:
    path = tmp_path / "module.wat"
    path.write_text('(module (import "wbg" "f" (func)) (func (export "_start")))')
    assert command("run", path).stderr.decode().count("the JavaScript of") == 1
