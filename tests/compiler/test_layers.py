"""Inside the compiler each file knows only those below it, and of the package only what lies under the compiler."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import vibewasm.compiler

FOLDER = Path(vibewasm.compiler.__file__).parent
#: From the bottom up. A folder stands for its files, which may know each other.
LAYERS = [
    "state",
    "index_spaces",
    "immediates",
    "locals",
    "operand_stack",
    "choices",
    "instructions",
    "environment",
    "modes",
    "loop",
    "",
]
#: What the compiler may use of the package, with what is in it.
GROUND = ("abi", "backends", "binary", "errors", "later", "opcodes", "types")
FILES = sorted(FOLDER.rglob("*.py"))


def module_of(path: Path) -> tuple[str, ...]:
    """The parts of a file's module name below the compiler; none for its ``__init__``."""
    parts = path.relative_to(FOLDER).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


def imports(path: Path) -> set[tuple[str, ...]]:
    """What a file loads of the package, as parts of names below ``vibewasm``, also late; types apart."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = ("compiler", *path.relative_to(FOLDER).parts[:-1])
    found: set[tuple[str, ...]] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for statement in node.orelse:
                visit(statement)
            return
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            if node.module:
                found.add((*base, *node.module.split(".")))
            else:
                found.update((*base, alias.name) for alias in node.names)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Late":
            (name,) = node.args
            assert isinstance(name, ast.Constant)
            found.add(("compiler", str(name.value)))
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(tree)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_a_file_knows_only_those_below_it(path: Path) -> None:
    own = module_of(path)
    layer = own[0] if own else ""
    for target in imports(path):
        if target[0] != "compiler":
            assert target[0] in GROUND, f"{path} imports {'.'.join(target)}: the compiler does not know of it"
            continue
        below = target[1] if len(target) > 1 else ""
        if below == layer == "instructions":
            continue
        if below == layer == "modes":
            continue
        assert LAYERS.index(below) < LAYERS.index(layer), f"{path} imports {'.'.join(target)}, which is above it"


def test_handlers_do_not_know_each_other_in_circles() -> None:
    folder = FOLDER / "instructions"
    known = {
        path.stem: {
            target[2] for target in imports(path) if target[:2] == ("compiler", "instructions") and len(target) > 2
        }
        for path in folder.glob("*.py")
        if path.stem != "__init__"
    }
    while known:
        free = {name for name, others in known.items() if not others & known.keys()}
        assert free, f"these import each other: {sorted(known)}"
        known = {name: others for name, others in known.items() if name not in free}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_no_file_is_long(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 500
