"""``vibewasm stubs``: what it writes is Python that type checkers take, whatever the names of a module are."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import vibewasm as vw
from tests.spec.suite import PROJECT_ROOT, shared_folder
from vibewasm.api.type_stubs import type_stub
from vibewasm.cli import main

PROGRAMS = shared_folder() / "programs"
HOSTILE = r"""(module $app
  (import "env" "log" (func (param i32 i32)))
  (import "env" "pair" (func (param i32 f64 funcref externref) (result i32 i64)))
  (import "env" "twice" (func (param i32)))
  (import "env" "twice" (func))
  (import "e\1b]0;x\07\"\n'\u{202e}" "a b" (global i32))
  (import "env" "changing" (global (mut i32)))
  (import "env" "memory" (memory 1))
  (import "env" "table" (table 1 funcref))
  (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
  (func (export "f") (param $self i32) (param $_self i32) (param $int f32) (result f32) (local.get 2))
  (func (export "int") (export "self") (export "Exports") (export "Imports") (export "_int") (export "__new")
    (export "class") (export "a\1b\nb\"\"\"'\\") (export "__getitem__") (export "__init__") (export "_Function0")
    (export "property") (export "match") (export "__all__") (param $__x i32) (param $b i64))
  (func (export "both") (param funcref externref) (result externref funcref) (local.get 1) (local.get 0))
  (func (export "_") (export "get") (export "na\u{ef}ve") (export "\u{fb01}x") (export ""))
  (global (export "g") (mut f64) (f64.const 1))
  (global (export "constant") i32 (i32.const 1))
  (export "memory" (memory 0))
  (table (export "references") 1 externref))"""


def stub(text: str) -> str:
    return type_stub(vw.Module(text), "some.wat")


def checked(folder: Path, *files: str) -> list[str]:
    """What mypy --strict says of files in a folder."""
    pytest.importorskip("mypy")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--follow-imports=silent", *files],
        cwd=folder,
        env={"MYPYPATH": str(PROJECT_ROOT), "MYPY_CACHE_DIR": str(PROJECT_ROOT / ".mypy_cache" / "stubs")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr
    return done.stdout.splitlines()


def test_functions_have_the_types_and_names_that_the_module_gives_them() -> None:
    text = stub('(module (func (export "add") (param $left i32) (param $class f64) (result i64) (i64.const 0)))')
    assert "def __call__(self, left: _int, class_: _float) -> _int: ..." in text
    assert "    add: _Function0\n" in text
    assert "\nadd: _Function0\n" in text
    assert "def __call__(self, p0: _int, /) -> None: ..." in stub('(func (export "f") (param i32))')


def test_it_is_printed_or_written_where_it_is_wanted(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "f.wat").write_text('(module (func (export "f")))')
    assert main(["stubs", str(tmp_path / "f.wat")]) == 0
    printed = capfd.readouterr().out
    assert printed == type_stub(vw.Module(tmp_path / "f.wat"), "f.wat")
    assert main(["stubs", "--output", str(tmp_path / "f.pyi"), str(tmp_path / "f.wat")]) == 0
    assert (tmp_path / "f.pyi").read_text() == printed
    (tmp_path / "bad.wasm").write_bytes(b"\0asm\1\0\0\0\1")
    assert main(["stubs", str(tmp_path / "bad.wasm")]) == 1


def test_mypy_takes_what_it_writes_and_finds_mistakes(tmp_path: Path) -> None:
    (tmp_path / "hostile.pyi").write_text(stub(HOSTILE), encoding="utf-8")
    (tmp_path / "empty.pyi").write_text(stub("(module)"), encoding="utf-8")
    (tmp_path / "use.py").write_text(
        """from typing import TYPE_CHECKING, cast

import vibewasm

if TYPE_CHECKING:
    import hostile

exports = cast("hostile.Exports_", vibewasm.instantiate("hostile.wasm").exports)
result: float = exports.f(1, int=3.0, _self=2)
exports["class"](1, 2)
exports["anything else"].is_any
both: tuple[object, vibewasm.Func | None] = exports.both(None, exports)
env: "hostile.Imports_env" = {
    "log": lambda pointer, size: None,
    "pair": lambda a, b, c, d: (1, 2),
    "twice": print,
    "changing": exports.g,
    "memory": exports.memory,
    "table": exports.references,
}
exports.g.value = 2.5
exports["class"]("x", 2)
exports.nope
exports.constant.value = 3
text: str = exports.g.value
"""
    )
    found = checked(tmp_path, "hostile.pyi", "empty.pyi", "use.py")
    assert [line.rpartition("[")[2] for line in found] == ["arg-type]", "attr-defined]", "misc]", "assignment]"]
    assert all(line.startswith("use.py:") for line in found)


@pytest.mark.skipif(not PROGRAMS.exists(), reason="the shared programs are not on this machine")
def test_mypy_takes_what_it_writes_of_every_shared_program(tmp_path: Path) -> None:
    written = []
    for number, path in enumerate(sorted(PROGRAMS.rglob("*.wasm"))):
        try:
            module = vw.Module(path)
        except vw.WasmError:
            continue
        written.append(f"m{number}.pyi")
        (tmp_path / written[-1]).write_text(type_stub(module, path.name), encoding="utf-8")
    assert written
    assert not checked(tmp_path, *written)


def test_no_name_is_more_than_a_name() -> None:
    names = ["\x1b[2J", "\u202e", "'''", '"""', "\\", "x: int\nimport os", "#", "{0}", "%s", "\u2028", "\x00"]
    exports = "".join(f"(export {quoted(name)})" for name in names)
    imports = "".join(f"(import {quoted(name)} {quoted(name)} (func))" for name in names)
    text = stub(f"(module {imports} (func {exports} (param $x i32)))")
    assert text.isascii()
    assert text.replace("\n", "").isprintable()
    for node in ast.walk(ast.parse(text)):
        assert not isinstance(node, ast.Import)
    assert not any(line.startswith("import os") for line in text.splitlines())


def test_a_small_module_makes_no_huge_text() -> None:
    """Nine hundred functions with a thousand parameters, of which one has a name."""
    params = "i32 " * 1000
    funcs = "".join(f'(func (export "f{n}") (type $t) (param $x{n} i32) (param {params[4:]}))' for n in range(900))
    text = stub(f"(module (type $t (func (param {params}))) {funcs})")
    assert text.count("def __call__") == 1
    assert len(text) < 100_000


def quoted(name: str) -> str:
    return '"' + "".join(f"\\{byte:02x}" for byte in name.encode()) + '"'
