"""Plants a fault in the engine: lines of its source are exchanged when Python imports it.

The files stay as they are. Since everything is made from the changed source, no table, closure or memoised choice can
hold what was there before; that is why a fault has to be planted before `vibewasm` is imported.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import NamedTuple

PROJECT = Path(__file__).resolve().parents[2]


class Fault(NamedTuple):
    """A miscompile: what real bug it is like, and the source text that it exchanges.

    `file` is relative to the folder `vibewasm`, and `old` must stand in it exactly once. `simd` says that modules rich
    in vector instructions are to find it, `control` that modules about control are, and `cpu` is what `VIBEWASM_CPU` is
    to be then.
    """

    name: str
    like: str
    file: str
    old: str
    new: str
    simd: bool = False
    cpu: str = ""
    control: bool = False

    @property
    def module(self) -> str:
        """The module that the file is imported as."""
        return "vibewasm." + self.file.removesuffix(".py").replace("/", ".")

    def changed_source(self) -> str:
        """The file's text with the fault; raises `LookupError` where it does not fit any more."""
        text = (PROJECT / "vibewasm" / self.file).read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            raise LookupError(f"{self.name}: the text stands {text.count(self.old)} times in {self.file}: {self.old!r}")
        return text.replace(self.old, self.new)


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads a module from the changed source; nothing is cached."""

    def __init__(self, fault: Fault, path: str) -> None:
        super().__init__(fault.module, path)
        self._fault = fault

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._fault.changed_source(), self.path, "exec", dont_inherit=True)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, fault: Fault) -> None:
        self._fault = fault

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._fault.module:
            return None
        file = str(PROJECT / "vibewasm" / self._fault.file)
        return importlib.util.spec_from_file_location(fullname, file, loader=_Loader(self._fault, file))


def plant(fault: Fault) -> None:
    """Lets the engine be imported with the fault; raises `RuntimeError` where it has been imported already."""
    if any(name.partition(".")[0] == "vibewasm" for name in sys.modules):
        raise RuntimeError("the engine has been imported without the fault")
    fault.changed_source()
    if fault.cpu:
        os.environ["VIBEWASM_CPU"] = fault.cpu
    # A rule with a fault is not asked for what the package carries already.
    os.environ["VIBEWASM_USUAL_CHOICES"] = "off"
    sys.meta_path.insert(0, _Finder(fault))
