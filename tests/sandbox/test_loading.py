"""Nothing can be loaded after the lockdown, so all that a run may need is loaded before it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

#: Modules of the standard library that rooms of the engine import and no run does: what a test, a build or a host's own
#: program has them for.
NOT_OF_RUNS = {
    "copyreg",
    "_hashlib",  # for large modules in the code cache, which no such run has
    "hashlib",
    "multiprocessing.util",
    "pickle",
    "typing",
    "typing_extensions",
    "inspect",
}

_PROGRAM = """
import sys
sys.path.append({root!r})
from vibewasm.sandbox.preloading import modules, preload
preload()
before = set(sys.modules)
print(*modules())
print(*before)
"""


@pytest.fixture(scope="module")
def loaded(project: Path) -> tuple[list[str], set[str]]:
    """The engine's modules that are loaded, and all modules that are there then."""
    program = _PROGRAM.format(root=str(project))
    done = subprocess.run([sys.executable, "-I", "-S", "-B", "-c", program], capture_output=True, text=True, check=True)
    ours, everything = done.stdout.splitlines()
    return ours.split(), set(everything.split())


def imported(path: Path) -> set[str]:
    """What a file imports, by whole names; what stands under TYPE_CHECKING never runs."""
    tree: ast.AST = ast.parse(path.read_text(encoding="utf-8"))
    found: set[str] = set()

    def look(node: ast.AST) -> None:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for other in node.orelse:
                look(other)
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found.add(node.module)
        for child in ast.iter_child_nodes(node):
            look(child)

    look(tree)
    return found


@pytest.mark.ci
def test_what_the_engine_imports_late_is_loaded(project: Path, loaded: tuple[list[str], set[str]]) -> None:
    ours, everything = loaded
    assert {"vibewasm.compiler", "vibewasm.wasi.preview1", "vibewasm.instances.landings"} <= set(ours)
    missing: dict[str, list[str]] = {}
    for name in ours:
        path = project / Path(*name.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        for wanted in imported(path):
            if wanted.startswith("vibewasm") or wanted in everything or wanted in NOT_OF_RUNS:
                continue
            missing.setdefault(wanted, []).append(name)
    assert not missing


def test_nothing_is_loaded_that_shows_code_or_talks_to_people(loaded: tuple[list[str], set[str]]) -> None:
    _, everything = loaded
    rooms = ("vibewasm.cli", "vibewasm.disasm", "vibewasm.compat", "vibewasm.importer")
    assert not [name for name in everything if name.startswith(rooms)]
    assert not {"site", "socket", "subprocess", "http"} & everything


def test_the_package_does_not_load_the_sandbox() -> None:
    code = "import vibewasm, sys; vibewasm.instantiate('(module)'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not [name for name in done.stdout.split() if name.startswith("vibewasm.sandbox")]


def test_text_is_not_loaded_by_runs_that_have_none() -> None:
    program = "import sys, vibewasm.sandbox.report, vibewasm.sandbox.running; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not any(name.startswith("vibewasm.wat") for name in done.stdout.split())
