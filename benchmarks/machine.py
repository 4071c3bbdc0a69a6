"""On what, and with which versions, something was measured."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from importlib import metadata

from .children import ROOT
from .peers import node


def conditions(rounds: int) -> dict[str, str]:
    """What a reader of figures wants to know of how they came about, by name."""
    import vibewasm

    found = {
        "date": datetime.date.today().isoformat(),
        "rounds": str(rounds),
        "processor": f"{_processor()}, {len(os.sched_getaffinity(0))} cores",
        "system": f"Linux {platform.release()}, {platform.machine()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "vibewasm": vibewasm.__version__ + _commit(),
    }
    if features := os.environ.get("VIBEWASM_CPU"):
        found["VIBEWASM_CPU"] = features
    try:
        found["wasmtime-py"] = metadata.version("wasmtime")
    except metadata.PackageNotFoundError:
        pass  # A benchmark that needs it has said so.
    if command := node():
        found["Node"] = _output(command, "--version").removeprefix("v")
    return found


def _processor() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            name, _, value = line.partition(":")
            # AArch64 has no names there, only numbers of its parts.
            if name.strip() in ("model name", "CPU part"):
                return value.strip()
    return platform.machine()


def _commit() -> str:
    """Which commit is measured; empty where this is no git checkout."""
    try:
        return f", {_output('git', '-C', str(ROOT), 'describe', '--always', '--dirty', '--exclude=*')}"
    except (OSError, subprocess.CalledProcessError):
        return ""


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
