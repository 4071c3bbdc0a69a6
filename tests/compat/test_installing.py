"""Ways in: ``import``, ``install``, and running whole programs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import os, sys
import wasmtime
from wasmtime import Store, Module, Instance
store = Store()
module = Module(store.engine, '(module (func (export "f") (result i32) (i32.const 42)))')
exports = Instance(store, module, []).exports(store)
print(exports["f"](store), __name__, wasmtime.__name__, sys.argv, os.path.basename(sys.path[0]), sys.orig_argv[1:])
"""


def python(*arguments: str, cwd: Path = ROOT, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run Python with the package to be found."""
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), "PATH": f"{cwd}:/usr/bin:/bin"},
    )
    assert done.returncode == code, done.stderr
    return done


RUN = ("-m", "vibewasm.compat.wasmtime")


def test_a_program_runs_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "program.py").write_text(PROGRAM)
    path = str(folder / "program.py")
    expected = f"42 __main__ vibewasm.compat.wasmtime {[path, '-x', 'y']} folder {[path, '-x', 'y']}\n"
    assert python(*RUN, path, "-x", "y").stdout == expected


def test_a_module_runs_as_a_program(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text(PROGRAM)
    out = python(*RUN, "-m", "package", "-x", cwd=tmp_path).stdout
    assert out.startswith("42 __main__ vibewasm.compat.wasmtime ")
    assert "package/__main__.py', '-x']" in out


def test_a_command_on_the_path_is_found(tmp_path: Path) -> None:
    command = tmp_path / "command"
    command.write_text("import sys, wasmtime; print(wasmtime.__package__, sys.argv[1:]); sys.exit(7)")
    command.chmod(0o755)
    assert python(*RUN, "command", "a", cwd=tmp_path, code=7).stdout == "vibewasm.compat.wasmtime ['a']\n"


def test_without_a_program_it_says_how_it_is_used(tmp_path: Path) -> None:
    for arguments, code in (([], 2), (["--help"], 0), (["-h"], 0), (["-m"], 2)):
        done = python(*RUN, *arguments, code=code)
        assert (done.stderr if code else done.stdout).startswith("usage: python -m vibewasm.compat.wasmtime PROGRAM")


def test_installing_is_done_once_and_before_wasmtime_is_imported() -> None:
    code = """
import sys, vibewasm.compat.wasmtime as ours
ours.install(); ours.install()
import wasmtime
assert wasmtime is ours
assert [getattr(finder, "__name__", "") for finder in sys.meta_path].count("_Refuser") == 1
"""
    python("-c", code)
    code = """
import sys, types
sys.modules["wasmtime"] = types.ModuleType("wasmtime")
import vibewasm.compat.wasmtime as ours
try:
    ours.install()
except ImportError as error:
    print(error)
"""
    assert "wasmtime has been imported already" in python("-c", code).stdout


@pytest.mark.parametrize(
    "statement",
    [
        "import wasmtime._ffi",
        "import wasmtime._bindings as bindings",
        "from wasmtime import _ffi",
        "from wasmtime._ffi import wasm_engine_new",
        "import wasmtime.component",
        "from wasmtime import component",
        "from wasmtime.component import Component",
        "import wasmtime.loader",
        "from wasmtime import bindgen",
    ],
)
def test_inner_parts_are_refused_with_a_sentence(statement: str) -> None:
    code = f"""
import vibewasm.compat.wasmtime
vibewasm.compat.wasmtime.install()
try:
    {statement}
except ImportError as error:
    print(error)
"""
    out = python("-c", code).stdout
    assert out.startswith("there is no wasmtime.")
    assert "vibewasm stands in for wasmtime" in out


def test_names_that_there_are_not_are_the_usual_errors() -> None:
    code = """
import vibewasm.compat.wasmtime as w
w.install()
for statement in ("w.Nothing", "from wasmtime import Nothing"):
    try:
        exec(statement)
    except (AttributeError, ImportError) as error:
        print(type(error).__name__, "Nothing" in str(error))
from wasmtime import *
print("Store" in globals(), "install" in globals(), sorted(dir(w))[-1])
"""
    assert python("-c", code).stdout == "AttributeError True\nImportError True\nTrue False wat2wasm\n"


def test_nothing_of_it_is_loaded_unless_it_is_asked_for() -> None:
    code = """
import sys, vibewasm
vibewasm.instantiate('(module (func (export "f")))').exports.f()
assert not [name for name in sys.modules if "compat" in name]
import vibewasm.compat.wasmtime
print([name for name in sys.modules if name.startswith("vibewasm.compat")])
"""
    assert python("-c", code).stdout == "['vibewasm.compat', 'vibewasm.compat.wasmtime']\n"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_worker_processes_have_it_too(method: str, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "import wasmtime\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "from multiprocessing import get_context\n"
        "def name(_):\n"
        "    return wasmtime.__name__\n"
        "if __name__ == '__main__':\n"
        f"    with ProcessPoolExecutor(1, get_context({method!r})) as pool:\n"
        "        print(*pool.map(name, [1, 2]))\n"
    )
    expected = "vibewasm.compat.wasmtime vibewasm.compat.wasmtime\n"
    assert python(*RUN, str(tmp_path / "program.py")).stdout == expected
    assert python(*RUN, "-m", "program", cwd=tmp_path).stdout == expected


def test_a_program_that_there_is_not_is_said_in_a_sentence(tmp_path: Path) -> None:
    for name in ("nothing", str(tmp_path / "nothing.py"), ""):
        done = python(*RUN, name, cwd=tmp_path, code=2)
        assert f"there is no file {name!r}, and no such command on the PATH" in done.stderr


def test_a_safe_path_stays_safe(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("import sys; print(sys.path)")
    plain = python("-P", "-c", "import sys; print(sys.path)").stdout
    assert python("-P", *RUN, str(tmp_path / "program.py")).stdout == plain
