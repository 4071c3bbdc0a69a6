"""Modules of the backends import one way only, wherever the import stands."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import vibewasm.backends
from vibewasm.backends import TARGETS

FOLDER = Path(vibewasm.backends.__file__).parent


def module_of(path: Path) -> str:
    """A module's name within the package; that of the package itself is empty."""
    return ".".join(path.relative_to(FOLDER).with_suffix("").parts).removesuffix("__init__").removesuffix(".")


MODULES = {module_of(path): path for path in FOLDER.rglob("*.py")}


def imported(name: str) -> set[str]:
    """Modules of the package that a module imports: at its top, in functions, and for types."""
    found = set()
    path = MODULES[name]
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    package = [part for part in package if part]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) + 1 - node.level]
            start = [*base, *(node.module.split(".") if node.module else [])]
            for alias in node.names:
                whole = ".".join([*start, alias.name])
                found.add(whole if whole in MODULES else ".".join(start))
    return found & MODULES.keys() - {name}


def test_no_module_leads_back_to_itself() -> None:
    order = TopologicalSorter({name: imported(name) for name in MODULES})
    # Raises CycleError, which says where.
    assert len([*order.static_order()]) == len(MODULES) > 40


def test_the_finder_of_imports_sees_those_in_functions_and_those_for_types() -> None:
    assert "x86_64.features" in imported("x86_64.target")
    assert "types" in imported("x86_64.integers")
    assert "contract" in imported("")


def test_what_processors_share_knows_no_processor_and_a_processor_no_other() -> None:
    for name in MODULES:
        own = name.split(".")[0]
        for other in imported(name):
            target = other.split(".")[0]
            assert target not in TARGETS or target == own, (name, other)
