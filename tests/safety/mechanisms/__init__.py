"""All mechanisms, a file for each subject; a file that is put here is found."""

from __future__ import annotations

import importlib
import pkgutil

from tests.safety.mechanism import Mechanism


def all_mechanisms() -> list[Mechanism]:
    """Those of every file, by the files' names and then as they stand there."""
    found: list[Mechanism] = []
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        found += importlib.import_module(f"{__name__}.{module.name}").MECHANISMS
    return found
