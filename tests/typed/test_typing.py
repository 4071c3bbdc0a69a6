"""Type checkers find nothing in the sample program and the examples, and an editor knows what can stand after a dot."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import vibewasm as vw

SAMPLE = "tests/typed/sample.py"


def test_the_sample_program_runs(project: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.typed.sample"], cwd=project, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr, done.returncode) == ("hello\nhello\nhello\nunreachable 0\n", "", 0)


@pytest.mark.ci
def test_pyright_finds_nothing(project: Path) -> None:
    pyright = shutil.which("pyright", path=str(Path(sys.executable).parent))
    if pyright is None:
        pytest.skip("pyright is not installed: what it makes of the package is NOT checked")
    tried = subprocess.run([pyright, "--version"], capture_output=True, text=True, timeout=300)
    if tried.returncode:
        pytest.skip("pyright cannot be fetched: what it makes of the package is NOT checked")
    done = subprocess.run(
        [pyright, "--pythonpath", sys.executable, SAMPLE, "examples"],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout


def completed(source: str, **names: object) -> set[str]:
    """What jedi offers at the end of a source: of an interpreter with these names, or of a program."""
    jedi: Any = pytest.importorskip("jedi", reason="jedi is not installed: what editors complete is NOT checked")
    script = jedi.Interpreter(source, [names]) if names else jedi.Script(source)
    return {found.name for found in script.complete() if not found.name.startswith("_")}


def test_an_editor_completes_the_public_names() -> None:
    assert completed("import vibewasm as vw\nvw.") >= {*vw.__all__} - {"__version__"}


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("vw.Engine()", {"config", "target"}),
        ("vw.Module('')", {"exports", "imports", "serialize", "disassemble"}),
        ("vw.Store()", {"fuel", "deadline", "close"}),
        ("vw.Linker()", {"define", "define_wasi", "function", "instantiate"}),
        ("vw.instantiate('')", {"exports", "store", "module"}),
        ("vw.Memory(vw.Store(), vw.MemoryType(vw.Limits(1)))", {"view", "read", "write", "grow"}),
    ],
)
def test_an_editor_completes_what_an_object_has(expression: str, names: set[str]) -> None:
    assert completed(f"import vibewasm as vw\n{expression}.") >= names


def test_a_prompt_completes_exports_and_shows_what_they_take() -> None:
    text = '(module (func (export "add") (param $left i32) (param $right i32) (result i32) (local.get 0)))'
    instance = vw.instantiate(text)
    assert completed("instance.exports.", instance=instance) == {"add"}
    jedi: Any = pytest.importorskip("jedi")
    (signature,) = jedi.Interpreter("instance.exports.add(", [{"instance": instance}]).get_signatures()
    assert [parameter.name for parameter in signature.params] == ["left", "right"]
