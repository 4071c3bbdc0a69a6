"""vibewasm and wasmtime as a user has them: installed in an environment of their own, outside the checkout.

The wheel is built from a copy of this checkout and installed with pip, which compiles its modules, into a fresh
environment made by :mod:`venv` from the interpreter that runs the benchmarks. wasmtime is copied there from where this
interpreter finds it, and compiled too: both sides are packages in the same folder, started by the same interpreter.
"""

from __future__ import annotations

import compileall
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .children import ROOT, child_environment
from .peers import require_wasmtime


@dataclass(frozen=True)
class Installed:
    """An environment. ``folder`` is for whatever else a benchmark keeps while it runs."""

    folder: Path

    @property
    def python(self) -> str:
        """The environment's interpreter."""
        return str(self.folder / "environment" / "bin" / "python")

    @property
    def vibewasm(self) -> str:
        """The script that installing the wheel has made."""
        return str(self.folder / "environment" / "bin" / "vibewasm")


@contextmanager
def installed() -> Iterator[Installed]:
    """Make the environment, which takes pip some seconds and its package index; it is gone at the end."""
    require_wasmtime()
    with tempfile.TemporaryDirectory(prefix="vibewasm-benchmarks-") as name:
        folder = Path(name)
        # Building leaves files behind, so it is done in a copy.
        shutil.copytree(ROOT, folder / "checkout", symlinks=True, ignore=_no_source)
        venv.create(folder / "environment", with_pip=True)
        here = Installed(folder)
        _run(here.python, "-m", "pip", "install", "--quiet", "--no-deps", str(folder / "checkout"))
        _copy_wasmtime(here)
        yield here


def _no_source(folder: str, names: list[str]) -> list[str]:
    """What is not copied: hidden files, environments, and what was built or compiled."""
    return [
        name
        for name in names
        if name.startswith(".")
        or name in ("__pycache__", "build", "dist")
        or os.path.exists(os.path.join(folder, name, "pyvenv.cfg"))
    ]


def _copy_wasmtime(here: Installed) -> None:
    found = importlib.util.find_spec("wasmtime")
    assert found is not None
    assert found.origin is not None
    paths = _run(here.python, "-c", "import sysconfig; print(sysconfig.get_path('platlib'))")
    target = Path(paths.strip()) / "wasmtime"
    shutil.copytree(Path(found.origin).parent, target, ignore=shutil.ignore_patterns("__pycache__"))
    compileall.compile_dir(target, quiet=1)


def _run(*command: str) -> str:
    """Run a command and give what it prints; ends the process with that if it fails."""
    outcome = subprocess.run(
        command, env=child_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if outcome.returncode:
        sys.exit(f"benchmarks: {' '.join(command)} failed:\n{outcome.stdout}")
    return outcome.stdout
