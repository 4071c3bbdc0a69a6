"""Modules of the backends import one way only, also where it is for types."""

from __future__ import annotations

from graphlib import TopologicalSorter

from tests.imports import files, imports

MODULES = {name for name in files() if name.startswith("vibewasm.backends")}


def test_no_module_leads_back_to_itself() -> None:
    order = TopologicalSorter({name: imports(name, types=True) & MODULES for name in MODULES})
    # Raises CycleError, which says where.
    assert len([*order.static_order()]) == len(MODULES) > 40
