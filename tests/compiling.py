"""Which functions are compiled in the processes that a program starts.

What is compiled once more to tell where a trap was does not count.
"""

from __future__ import annotations

from pathlib import Path

#: Python runs a module of this name at its start, in each process.
_AT_START = """import os
from vibewasm.compiler import Compiler

inner = Compiler.compile

def recorded(self, defined):
    with open({record!r}, "a") as file:
        file.write(f"{{os.getpid()}} {{defined}}\\n")
    return inner(self, defined)

Compiler.compile = recorded
"""


class Record:
    """A record of what is compiled, kept in a folder that has to be in ``PYTHONPATH``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = folder / "compiled"
        (folder / "sitecustomize.py").write_text(_AT_START.format(record=str(self._file)), encoding="utf-8")

    def compiled(self) -> dict[int, list[int]]:
        """The functions that each process has compiled, in order, without imports; by the process's ID."""
        found: dict[int, list[int]] = {}
        for line in self._file.read_text(encoding="utf-8").splitlines():
            process, defined = map(int, line.split())
            found.setdefault(process, []).append(defined)
        return found
