"""``import`` of WebAssembly files with :mod:`vibewasm.importer`."""

from __future__ import annotations

import copy
import importlib
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import vibewasm as vw
from tests.spec.suite import PROJECT_ROOT
from vibewasm import importer
from vibewasm.wat import wat2wasm

ADD = """(module $calc
  (func (export "add") (param $left i32) (param $right i32) (result i32)
    (i32.add (local.get $left) (local.get $right)))
  (global (export "answer") i32 (i32.const 42)) (memory (export "memory") 1)
  (func (export "two words")) (func (export "get")) (func (export "_inner"))
  (func (export "__init__") unreachable) (func (export "__name__")) (func (export "__dir__") unreachable))"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(tmp_path)
    before = {*sys.modules}
    importer.install()
    yield tmp_path
    importer.uninstall()
    for name in {*sys.modules} - before:
        if not name.startswith("vibewasm"):
            del sys.modules[name]


def load(name: str) -> Any:
    importlib.invalidate_caches()
    return importlib.import_module(name)


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".wasm":
        path.write_bytes(wat2wasm(text, names=True))
    else:
        path.write_text(text)
    return path


@pytest.mark.parametrize("suffix", [".wasm", ".wat"])
def test_exports_are_attributes(folder: Path, suffix: str) -> None:
    path = write(folder, f"wcalc{suffix}", ADD)
    calc = load("wcalc")
    assert calc.add(2, right=3) == 5
    assert calc.answer.value == 42
    assert calc.__name__ == "wcalc"
    assert calc.__file__ == calc.__spec__.origin == str(path)
    assert calc.__spec__.has_location
    assert calc.__instance__.exports["__init__"].type == vw.FuncType([], [])
    assert calc.__doc__.startswith(f"The WebAssembly module 'calc' in wcalc{suffix}.\n\nExports:\n")
    assert "\n  add(left: i32, right: i32) -> i32\n" in calc.__doc__
    assert {name for name in dir(calc) if name[:2] != "__"} == {"add", "answer", "memory", "get", "_inner"}
    namespace: dict[str, Any] = {}
    exec("from wcalc import *", namespace)
    assert {*namespace} - {"__builtins__"} == {"add", "answer", "memory", "get"}
    assert importlib.import_module("wcalc") is calc


def test_packages_have_them_too_and_python_comes_first(folder: Path) -> None:
    write(folder, "wpack/__init__.py", "from . import inner")
    write(folder, "wpack/inner.wasm", ADD)
    write(folder, "wpack/both.wasm", ADD)
    write(folder, "wpack/both.py", "here = 'python'")
    assert load("wpack").inner.add(1, 1) == 2
    assert load("wpack.inner").__package__ == "wpack"
    assert load("wpack.both").here == "python"
    (folder / "json.wasm").write_text("no module")
    assert load("json").dumps(1) == "1"


def test_imports_come_from_python_modules_and_from_wasm(folder: Path) -> None:
    write(folder, "wenv.py", "seen = []\nlog = seen.append\nlimit = 7")
    write(folder, "wlow.wat", '(module (memory (export "m") 1) (func (export "f") (result i32) (i32.const 5)))')
    write(folder, "wother.wat", '(module (func (export "g") (param i32) (result i32) (local.get 0)))')
    write(
        folder,
        "whigh.wat",
        """(module (import "wenv" "log" (func $log (param i32))) (import "wenv" "limit" (global $limit i32))
          (import "wlow" "f" (func $f (result i32))) (import "wlow" "m" (memory 1))
          (import "wother" "g" (func $g (param i32) (result i32)))
          (func (export "run") (result i32)
            (call $log (global.get $limit)) (i32.store (i32.const 8) (i32.const 9))
            (call $g (i32.add (call $f) (i32.const 1)))))""",
    )
    assert load("whigh").run() == 6
    assert sys.modules["wenv"].seen == [7]
    assert sys.modules["wlow"].m[8] == 9


def test_an_import_from_a_python_module_that_is_not_there_says_what_to_write(folder: Path) -> None:
    write(folder, "whole.wat", '(module (import "wnone" "log" (func)) (import "wnone" "limit" (global i32)))')
    write(folder, "odd.wat", '(module (import "./a b" "f" (func)))')
    write(folder, "bound.wat", '(module (import "./x_bg.js" "__wbindgen_throw" (func (param i32 i32))))')
    write(folder, "inner.py", "import wnone")
    write(folder, "deep.wat", '(module (import "inner" "f" (func)))')
    many = "".join(f'(import "wnone" "f{number}" (func))' for number in range(30))
    write(folder, "many.wat", f"(module {many})")
    for name, end in (
        ("whole", "Write a module wnone that defines log, limit, or use vibewasm.instantiate(path, imports)."),
        (
            "odd",
            "No Python module can have that name: use vibewasm.instantiate(path, imports), which takes f from a dict.",
        ),
        ("bound", "or give the imports from Python with vibewasm.Linker."),
        ("deep", "imports from a Python module 'inner': No module named 'wnone'"),
        ("many", "f8, f9 and 20 more, or use vibewasm.instantiate(path, imports)."),
    ):
        with pytest.raises(ImportError) as caught:
            load(name)
        assert str(caught.value).endswith(end), name


def test_what_is_missing_or_wrong_is_an_import_error_with_its_cause(folder: Path) -> None:
    write(folder, "wenv2.py", "number = 'none'\ndef f(): pass")
    cases: list[tuple[str, str, type | None]] = [
        ("(module", "ends too early", vw.WatError),
        ("(module (func i32.add))", "type mismatch", vw.ValidationError),
        ('(module (import "wenv2" "nope" (func)))', "imports 'nope' from the Python module 'wenv2'", None),
        ('(module (import "wenv2" "number" (global i32)))', "an import is a function", TypeError),
        ('(module (import "wenv2" "f" (memory 1)))', "incompatible import type", vw.LinkError),
        ('(module (import "no such\\0a\\1b" "f" (func)))', r"No module named", ImportError),
        ('(module (import "" "f" (func)))', "it is no name", ImportError),
        ('(module (import ".x" "f" (func)))', "it is no name", ImportError),
        ('(module (import "wasi_snapshot_preview1" "nope" (func)))', "unknown import", vw.LinkError),
        ("(module (func $s unreachable) (start $s))", "unreachable", vw.Trap),
        ('(module (func (export "_initialize") unreachable))', "unreachable", vw.Trap),
        ('(module (memory 65536) (data (i32.const -1) "xx"))', "wbad", vw.WasmError),
    ]
    for number, (text, message, cause) in enumerate(cases):
        name = f"wbad{number}"
        path = write(folder, f"{name}.wat", text)
        with pytest.raises(ImportError, match=message) as caught:
            load(name)
        assert (caught.value.name, caught.value.path) == (name, str(path))
        assert str(path) in str(caught.value)
        assert str(caught.value).splitlines()[0].isprintable()
        if cause is not None:
            assert isinstance(caught.value.__cause__, cause)
        assert name not in sys.modules
    for number, data in enumerate(
        [b"", b"\0asm", b"\0asm\1\0\0\0\1", b"\0asm\1\0\0\0\1\xff\xff\xff\xff\x0f", b"\xff" * 99]
    ):
        (folder / f"wraw{number}.wasm").write_bytes(data)
        with pytest.raises(ImportError, match=f"wraw{number}.wasm"):
            load(f"wraw{number}")
    os.mkfifo(folder / "wfifo.wasm")
    with pytest.raises(ModuleNotFoundError):
        load("wfifo")
    with pytest.raises(ModuleNotFoundError):
        load("no/wfifo")


def test_what_modules_may_import_from_can_be_said(folder: Path) -> None:
    write(folder, "wgreedy.wat", '(module (import "os" "_exit" (func (param i32))))')
    importer.install(imports={"wenv"})
    with pytest.raises(ImportError, match=r"a Python module 'os': install\(imports=\.\.\.\) does not name 'os'"):
        load("wgreedy")
    importer.install()
    load("wgreedy")


@pytest.mark.parametrize(
    "text",
    [
        "(module (func $s (loop (br 0))) (start $s))",
        '(module (func (export "_initialize") (loop (br 0))))',
    ],
)
def test_a_deadline_that_is_over_is_no_fault_of_the_file(folder: Path, text: str) -> None:
    write(folder, "endless.wasm", text)
    with pytest.raises(vw.Interrupted, match="stopped by a deadline"), vw.deadline(0.05):
        load("endless")


def test_an_exception_of_a_python_module_passes_through(folder: Path) -> None:
    write(folder, "wbroken.py", "1 / 0")
    write(folder, "wuser.wat", '(module (import "wbroken" "f" (func)))')
    with pytest.raises(ZeroDivisionError):
        load("wuser")


HELLO = r"""(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1) (data (i32.const 0) "\08\00\00\00\03\00\00\00hi\n")
  (func (export "count") (result i32) (drop (call $sizes (i32.const 64) (i32.const 68))) (i32.load (i32.const 64)))
  (func (export "greet") (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32))))
  (func (export "_start")
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))
    (drop (call $sizes (i32.const 64) (i32.const 68))) (call $exit (i32.load (i32.const 64)))))"""


def test_wasi_gives_nothing_unless_it_is_told_to(
    folder: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    write(folder, "whello.wat", HELLO)
    hello = load("whello")
    hello.greet()
    assert hello.count() == 0
    assert capfd.readouterr().out == ""
    importer.install(wasi=vw.WasiConfig(args=["a", "b"]))
    hello = importlib.reload(hello)
    hello.greet()
    assert hello.count() == 2
    assert capfd.readouterr().out == "hi\n"


def test_reloading_gives_the_new_exports_or_leaves_the_old(folder: Path) -> None:
    write(folder, "wnew.wat", '(module (func (export "f") (result i32) (i32.const 1)) (func (export "old")))')
    module = load("wnew")
    write(folder, "wnew.wat", '(module (func (export "f") (result i32) (i32.const 2)))')
    assert importlib.reload(module) is module
    assert module.f() == 2
    assert not hasattr(module, "old")
    write(folder, "wnew.wat", "(module")
    with pytest.raises(ImportError):
        importlib.reload(module)
    assert module.f() == 2


def test_functions_are_pickled_by_name(folder: Path) -> None:
    write(folder, "wpickled.wat", ADD)
    module = load("wpickled")
    for function in (module.add, getattr(module, "two words")):
        data = pickle.dumps(function)
        assert pickle.loads(data) is function
        assert copy.copy(function) is function
    program = "import pickle, sys; print(pickle.loads(bytes.fromhex(sys.argv[1]))(2, 3))"
    path = os.pathsep.join([str(PROJECT_ROOT), str(folder)])
    done = subprocess.run(
        [sys.executable, "-c", program, pickle.dumps(module.add).hex()],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("5\n", "")
    other = vw.instantiate(ADD).exports.add
    for refused in (other, module.__instance__.exports["__init__"]):
        with pytest.raises(TypeError, match="cannot be copied or pickled"):
            pickle.dumps(refused)
    importer.uninstall()
    with pytest.raises(TypeError, match="cannot be copied or pickled"):
        pickle.dumps(module.add)


def test_programs_run_as_main(folder: Path) -> None:
    write(folder, "whello.wasm", HELLO)
    write(folder, "wlibrary.wat", ADD)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(PROJECT_ROOT), str(folder)])}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "vibewasm.importer", *words]
        return subprocess.run(line, env=environment, capture_output=True, text=True, check=False)

    done = run("whello", "one", "two")
    assert (done.stdout, done.stderr, done.returncode) == ("hi\n", "", 3)
    assert "exports no function _start" in run("wlibrary").stderr
    assert "usage:" in run().stderr
    path = str(folder / "whello.wasm")
    assert run(path).stderr == (
        f"{path} is a file, and MODULE is a name, as after `import`: leave the suffix out, and the folder, which has "
        f"to be in sys.path; or run the file: vibewasm run {path}\n"
    )


def test_nothing_is_found_any_more_once_it_is_uninstalled(folder: Path) -> None:
    write(folder, "wgone.wat", "(module)")
    assert importer.install() is importer.install()
    assert sum(isinstance(finder, importer.Finder) for finder in sys.meta_path) == 1
    importer.uninstall()
    importer.uninstall()
    with pytest.raises(ModuleNotFoundError):
        load("wgone")


def test_settings_of_a_wrong_kind_are_refused() -> None:
    wrong: list[dict[str, Any]] = [{"wasi": {}}, {"config": 1}, {"imports": "env"}, {"imports": 3}, {"engine": 1}]
    for settings in wrong:
        with pytest.raises(TypeError, match="install"):
            importer.install(**settings)
    assert not any(isinstance(finder, importer.Finder) for finder in sys.meta_path)


def test_a_name_with_very_many_dots_is_an_import_error(folder: Path) -> None:
    write(folder, "wdots.wasm", f'(module (import "{"a." * 30_000}a" "f" (func)))')
    with pytest.raises(ImportError, match="imports from a Python module 'a"):
        load("wdots")


def test_names_that_modules_may_import_from_are_strings() -> None:
    api: Any = importer
    refused: list[Any] = [[3], [[]], [None]]
    for imports in refused:
        with pytest.raises(TypeError, match="install: a name of imports has to be a str, not "):
            api.install(imports=imports)
