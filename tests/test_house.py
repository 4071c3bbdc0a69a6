"""The house keeps its shape: what may import what, no circle over several rooms, no file that has become two things.

A room is a folder; files that stand directly in ``vibewasm/`` are the ground floor, on which all others stand. Imports
are read from the source (:mod:`tests.imports`): those at the top of a file and those inside functions count alike, and
only what stands under ``TYPE_CHECKING`` does not, since it never runs. ``python -m tests.test_house`` prints which room
imports which.
"""

from __future__ import annotations

import ast

import pytest

from tests.imports import files, imports

GROUND = "ground"

#: What each room may import, beside itself and the ground floor. A room that is not here may not be there. What the
#: runtime and the backends need of each other is handed in: :mod:`vibewasm.calls.process` does it.
MAY_IMPORT: dict[str, set[str]] = {
    GROUND: set(),
    "backends": set(),
    "backends.x86_64": {"backends"},
    "backends.aarch64": {"backends"},
    "runtime": set(),
    "binary": set(),
    "cache": {"binary"},
    "wasi": {"runtime"},
    "wat": {"binary"},
    "compiler": {"binary", "backends"},
    "calls": {"backends", "runtime"},
    "instances": {"backends", "binary", "calls", "runtime"},
    "disasm": {"backends", "backends.x86_64", "binary", "compiler", "wat"},
    "api": {"backends", "binary", "cache", "calls", "compiler", "disasm", "instances", "runtime", "wasi", "wat"},
    "sandbox": {"api", "cache", "calls", "wasi", "wat"},
    "disasm.explorer": {"api", "backends", "disasm", "wat"},
    "compat": set(),
    "compat.wasmtime": {"api", "backends", "calls", "instances", "runtime", "wasi", "wat"},
    "importer": {"api", "wasi"},
    "cli": {"api", "backends", "cache", "disasm", "disasm.explorer", "sandbox", "wasi", "wat"},
}

#: Lines that a file may have; one that is longer holds a second thing.
MOST_LINES = 600


def room_of(module: str) -> str:
    """The room in which a module stands."""
    parts = module.split(".")[1:]
    if parts == ["__main__"]:
        # The door: it only calls the command line.
        return "cli"
    folder = parts if files()[module].name == "__init__.py" else parts[:-1]
    # The compiler's folders are layers of one room; tests/compiler/test_layers.py has their order.
    return "compiler" if folder[:1] == ["compiler"] else ".".join(folder) or GROUND


def arrows() -> dict[tuple[str, str], list[str]]:
    """Which room imports which, and the imports that make it so."""
    found: dict[tuple[str, str], list[str]] = {}
    for module in files():
        for target in imports(module):
            if room_of(module) != room_of(target):
                found.setdefault((room_of(module), room_of(target)), []).append(f"{module} -> {target}")
    return found


def test_every_room_is_in_the_plan() -> None:
    assert {room_of(module) for module in files()} == set(MAY_IMPORT)


def test_imports_run_one_way() -> None:
    forbidden = {
        arrow: lines for arrow, lines in arrows().items() if arrow[1] != GROUND and arrow[1] not in MAY_IMPORT[arrow[0]]
    }
    assert not forbidden, "\n".join(line for lines in forbidden.values() for line in lines)


def test_no_circle_of_files_runs_through_two_folders() -> None:
    """Files of one folder may need each other, as stores and functions do."""
    below = {module: imports(module) for module in files()}

    def reached(module: str) -> set[str]:
        found: set[str] = set()
        waiting = [module]
        while waiting:
            for target in below[waiting.pop()] - found:
                found.add(target)
                waiting.append(target)
        return found

    reach = {module: reached(module) for module in files()}
    for module, found in reach.items():
        folders = {files()[other].parent for other in found if module in reach[other]}
        assert len(folders) <= 1, f"{module} is in a circle over {', '.join(map(str, folders))}"


def test_the_plan_has_no_circle() -> None:
    """Each room stands above all that it may import: the rooms can be put in an order."""
    left = {room: set(below) for room, below in MAY_IMPORT.items()}
    while left:
        lowest = [room for room, below in left.items() if not below & set(left)]
        assert lowest, f"a circle over {', '.join(sorted(left))}"
        for room in lowest:
            del left[room]


def test_the_plan_allows_nothing_that_is_not_used() -> None:
    unused = {(room, below) for room, allowed in MAY_IMPORT.items() for below in allowed} - set(arrows())
    assert not unused


@pytest.mark.parametrize("module", sorted(files()))
def test_no_file_is_two_things(module: str) -> None:
    lines = len(files()[module].read_text().splitlines())
    assert lines <= MOST_LINES, f"{files()[module]} has {lines} lines: which second thing is in it?"


@pytest.mark.parametrize("module", sorted(files()))
def test_numbers_of_file_types_are_taken_from_the_standard_library(module: str) -> None:
    """``os`` loads the module ``stat`` anyway."""
    numbers = {0o170000, 0o040000, 0o100000, 0o120000}
    source = files()[module].read_text(encoding="utf-8")
    octal = [
        ast.get_source_segment(source, node)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and type(node.value) is int and node.value in numbers
    ]
    assert not [text for text in octal if text and text.startswith("0o")]


if __name__ == "__main__":
    for (upper, lower), lines in sorted(arrows().items()):
        print(f"{upper} -> {lower}: {len(lines)}")
