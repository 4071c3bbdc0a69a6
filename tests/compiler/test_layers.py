"""Inside the compiler each file knows only those below it, and of the package only what lies under the compiler."""

from __future__ import annotations

import pytest

from tests.imports import files, imports

#: From the bottom up. A folder stands for its files, which may know each other.
LAYERS = [
    "state",
    "vectors_needed",
    "index_spaces",
    "immediates",
    "locals",
    "runs",
    "operand_stack",
    "literals",
    "control_state",
    "choices",
    "instructions",
    "environment",
    "modes",
    "loop",
    "",
]
#: What the compiler may use of the package, with what is in it.
GROUND = (
    "abi",
    "backends",
    "binary",
    "errors",
    "fuel_costs",
    "names",
    "opcodes",
    "proposals",
    "reference_types",
    "types",
)
MODULES = [name for name in files() if name.startswith("vibewasm.compiler")]


def layer_of(module: str) -> str:
    """In which layer a module of the compiler is."""
    return (*module.split("."), "")[2]


@pytest.mark.parametrize("module", MODULES)
def test_a_file_knows_only_those_below_it(module: str) -> None:
    layer = layer_of(module)
    for target in imports(module):
        if not target.startswith("vibewasm.compiler"):
            assert target.split(".")[1] in GROUND, f"{module} imports {target}: the compiler does not know of it"
            continue
        below = layer_of(target)
        if below == layer and layer in ("instructions", "modes"):
            continue
        assert LAYERS.index(below) < LAYERS.index(layer), f"{module} imports {target}, which is above it"


def test_handlers_do_not_know_each_other_in_circles() -> None:
    handlers = {name for name in MODULES if name.startswith("vibewasm.compiler.instructions.")}
    known = {name: imports(name) & handlers for name in handlers}
    while known:
        free = {name for name, others in known.items() if not others & known.keys()}
        assert free, f"these import each other: {sorted(known)}"
        known = {name: others for name, others in known.items() if name not in free}


@pytest.mark.parametrize("module", MODULES)
def test_no_file_is_long(module: str) -> None:
    assert len(files()[module].read_text(encoding="utf-8").splitlines()) <= 500
