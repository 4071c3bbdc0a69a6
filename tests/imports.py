"""What the engine's modules import, read from their source: for the tests that say what may import what."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "vibewasm"

#: Modules that load others by names which are not written where they are loaded, and what these are.
LOADERS = {
    "vibewasm": "homes of public names, by its table",
    "vibewasm.backends": "parts of a backend",
    "vibewasm.backends.assembly": "what late_names names",
    "vibewasm.backends.choices": "modules of the backend's own folder",
    "vibewasm.cli": "modules of its own folder, by its table",
    "vibewasm.compat.wasmtime": "homes of public names, by its table",
    "vibewasm.bundle": "packages of modules that an earlier start has loaded",
    "vibewasm.compiler.instructions": "modules of its own folder, by its table",
    "vibewasm.compiler.state": "what Late names",
    "vibewasm.importer.loading": "Python modules that WebAssembly imports from",
    "vibewasm.importer.pickling": "WebAssembly files",
    "vibewasm.disasm.machine": "modules of its own folder and of a backend, by the processor's name",
    "vibewasm.sandbox": "modules of its own folder, by its table",
    "vibewasm.sandbox.child": "what its job names, as the command's own modules",
    "vibewasm.sandbox.preloading": "what any run may need: it walks through the rooms",
    "vibewasm.sandbox.process": "in a process of its own, the module that is its entry",
    "vibewasm.wasi.preview1": "modules of its own folder, by its table",
}
#: Functions that load a module of the caller's package, or of the one that is named here, when something in it is first
#: asked for: which argument is its name.
_LATE = {"Late": (0, "vibewasm.compiler"), "late_names": (1, "")}
#: Functions that load a module whose name they are given.
_BY_NAME = ("__import__", "import_module")


@cache
def files() -> dict[str, Path]:
    """The engine's modules by their names."""
    found = {}
    for path in sorted(_walk(ROOT / PACKAGE)):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def _walk(folder: Path) -> Iterator[Path]:
    # Three of the folders are symbolic links, which Path.rglob follows in some Pythons only.
    for path in folder.iterdir():
        if path.is_dir():
            yield from _walk(path)
        elif path.suffix == ".py":
            yield path


@cache
def imports(module: str, types: bool = False) -> frozenset[str]:
    """The modules of the engine that a module imports, wherever in it that is written.

    Args:
        module: its name.
        types: whether what stands under ``TYPE_CHECKING`` counts, which never runs.
    """
    path = files()[module]
    return imports_of(path.read_text(encoding="utf-8"), module, path.name == "__init__.py", types) - {module}


def imports_of(source: str, module: str, is_package: bool, types: bool = False) -> frozenset[str]:
    """The same of the source of a module of this name.

    Raises:
        AssertionError: it loads a module whose name is not written there, and is not in :data:`LOADERS`.
    """
    package = module.split(".") if is_package else module.split(".")[:-1]
    found: set[str] = set()
    for node in _running(ast.parse(source), types):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            parent = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                name = f"{parent}.{alias.name}"
                found.add(name if name in files() else parent)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _LATE:
            which, home = _LATE[node.func.id]
            named = node.args[which]
            assert isinstance(named, ast.Constant), f"{module}: {ast.unparse(node)} has to name the module"
            found.add(f"{home or '.'.join(package)}.{named.value!s}")
        elif isinstance(node, (ast.Name, ast.Attribute)) and ast.unparse(node).split(".")[-1] in _BY_NAME:
            assert module in LOADERS, f"{module} has {ast.unparse(node)}: write what it may load by it into LOADERS"
    return frozenset(found & files().keys())


def _running(node: ast.AST, types: bool) -> Iterator[ast.AST]:
    """All nodes of code that may run, and if wanted those under ``TYPE_CHECKING``."""
    for child in ast.iter_child_nodes(node):
        if not types and isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            for other in child.orelse:
                yield other
                yield from _running(other, types)
            continue
        yield child
        yield from _running(child, types)
