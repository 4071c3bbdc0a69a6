"""The peers, and where the programs are that all sides run."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from .children import ROOT

if TYPE_CHECKING:
    import wasmtime

#: ``wasmtime_strategy_t`` of wasmtime's C API. Its Python binding does not offer Winch in ``Config.strategy``.
STRATEGIES = {"cranelift": 1, "winch": 2}

#: Options by which Node compiles with one of its compilers alone.
NODE_OPTIONS = {"liftoff": "--liftoff-only", "turbofan": "--no-liftoff"}

#: What sides are called in documents.
TITLES = {
    "cranelift": "wasmtime-py, Cranelift",
    "winch": "wasmtime-py, Winch",
    "serialized": "wasmtime-py, serialized file",
    "liftoff": "Node, Liftoff",
    "turbofan": "Node, TurboFan",
    "ctypes": "bare ctypes",
    "vibewasm, warm": "vibewasm, filled cache",
}


class MissingError(Exception):
    """What a benchmark needs is not here; the message says what, and where to get it."""


def require_wasmtime() -> None:
    """Raises :class:`MissingError` where the peer is not installed."""
    if importlib.util.find_spec("wasmtime") is None:
        raise MissingError("wasmtime is not installed: pip install 'vibewasm[test]'")


def wasmtime_engine(strategy: str) -> wasmtime.Engine:
    """A new engine that compiles with ``cranelift`` or ``winch``, on one thread."""
    import wasmtime
    from wasmtime._bindings import wasmtime_config_strategy_set

    config = wasmtime.Config()
    config.parallel_compilation = False
    wasmtime_config_strategy_set(config.ptr(), STRATEGIES[strategy])
    return wasmtime.Engine(config)


def node() -> str | None:
    """The command of Node, if there is one that has ``node:wasi``."""
    command = shutil.which("node")
    if command is None:
        return None
    probe = subprocess.run([command, "--no-warnings", "-e", "require('node:wasi')"], capture_output=True, check=False)
    return None if probe.returncode else command


def programs() -> Path:
    """The folder of benchmark programs; raises :class:`MissingError` where it is missing."""
    folder = Path(os.environ.get("VIBEWASM_SHARED") or ROOT.parent / "shared") / "programs"
    if not folder.is_dir():
        raise MissingError(f"no {folder}; set VIBEWASM_SHARED to the folder that holds programs/")
    return folder


def cpython(path: str | None) -> Path | None:
    """CPython for WASI: the file ``path``, or the one ``python*.wasm`` somewhere in that folder.

    Without a path, what the environment variable VIBEWASM_CPYTHON names; without that, there is none. Raises
    :class:`MissingError` where a name leads to no such file.
    """
    path = path or os.environ.get("VIBEWASM_CPYTHON")
    if not path:
        return None
    there = Path(path).resolve()
    found = [there] if there.is_file() else sorted(there.rglob("python*.wasm"))
    if len(found) != 1:
        raise MissingError(f"{path}: neither a file nor a folder with one python*.wasm in it")
    return found[0]
