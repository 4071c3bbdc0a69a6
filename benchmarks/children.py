"""Child processes: where they run, and in what environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

#: The project's root: child processes that are not installed run there, so that they import this vibewasm.
ROOT = Path(__file__).resolve().parent.parent


def child_environment(**more: str) -> dict[str, str]:
    """A child process's environment: ours without what is set for Python, Node and vibewasm's cache, and with ``more``.

    PYTHONDONTWRITEBYTECODE alone would make every start compile all modules again. VIBEWASM_CPU is passed on: it says
    what is to be measured.
    """
    ours = ("PYTHON", "NODE_", "VIBEWASM_CACHE")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | more


def child_output(code: str, *arguments: str) -> bytes:
    """What a program prints that this interpreter runs in a process of its own, with this checkout's vibewasm."""
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=ROOT, env=child_environment(), check=True, capture_output=True).stdout
