"""Functions of real programs: every byte of code is an instruction, and the recorded code is the one that runs.

With the environment variable ``VIBEWASM_ALL_FUNCTIONS`` set these are all functions, else a sample.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import vibewasm
from tests.spec.suite import shared_folder
from tests.wanted import or_skip
from vibewasm.backends import TARGETS
from vibewasm.disasm.text import TextRenderer

PROGRAMS = sorted((shared_folder() / "programs").glob("*/*.wasm"))
#: Compilers that differ made these; the others take half a minute.
FEW = {"quicksort", "richards", "rust-json"}
SOME_PROGRAMS = [path if path.parent.name in FEW else pytest.param(path, marks=pytest.mark.ci) for path in PROGRAMS]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("path", or_skip(SOME_PROGRAMS, "programs"), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_byte_of_a_program_is_read(path: Path, target: str) -> None:
    module = vibewasm.Module(vibewasm.Engine(vibewasm.Config(target=target)), path)
    plain = vibewasm.Module(vibewasm.Engine(vibewasm.Config(target=target)), path).compiler
    renderer = TextRenderer()
    bodies = module.info.bodies
    imported = module.info.imported_funcs
    # The longest functions and a sample of the others: all of them take minutes.
    step = 1 if "VIBEWASM_ALL_FUNCTIONS" in os.environ else max(1, len(bodies) // 60)
    longest = sorted(range(len(bodies)), key=lambda defined: bodies[defined][0] - bodies[defined][1])[:4]
    wanted = [imported + defined for defined in sorted({*longest, *range(0, len(bodies), step)})]
    for listing in module.disassemble(*wanted):
        assert listing.code == plain.compile(listing.index - imported)
        assert b"".join(item.bytes for group in listing.groups for item in group.machine) == listing.code
        # Instructions in groups of the body stand in the order of addresses, after the prologue.
        addresses = [item.address for group in listing.groups for item in group.machine]
        assert addresses == sorted(addresses)
        starts = set()
        for item in listing:
            assert item.flow != "bad", f"{listing.symbol}: {item}"
            starts.add(item.address)
        assert all(item.target in starts for item in listing if item.flow in ("jump", "branch") and item.target)
        covered = sum(block.end - block.start for block in listing.blocks)
        assert covered == sum(len(item.bytes) for item in listing)
        assert renderer.function(listing).count("\n") >= len(listing)
