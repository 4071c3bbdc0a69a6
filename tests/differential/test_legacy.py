"""A part of the campaign about exceptions of the older form, which Node judges."""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.differential import legacy
from tests.fuzz.instructions import read_body
from tests.fuzz.parts import CODE, read_parts
from vibewasm.opcodes import name_of

SEED = 3
COUNT = 400


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Node, that of npm where there is none that is new enough."""
    found = legacy.find_node()
    if found is not None:
        return found
    machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine())
    if machine is None or shutil.which("npm") is None:
        pytest.skip(
            f"no Node from version {legacy.OLDEST} on, and no npm: the older exceptions were compared with NOTHING"
        )
    folder: Path = tmp_path_factory.mktemp("node")
    package = f"node-linux-{machine}"
    line = ["npm", "install", "--no-fund", "--no-audit", "--prefix", str(folder), f"{package}@24"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        pytest.skip(f"npm has no {package}, so the older exceptions were NOT compared: {done.stderr[-300:]}")
    return str(folder / "node_modules" / package / "bin" / "node")


@pytest.mark.ci
def test_modules_with_the_older_exceptions_do_what_they_do_in_node(node: str) -> None:
    print(f"seed {SEED}; VIBEWASM_NODE={node} python -m tests.differential.legacy --seed {SEED} --only N shows one")
    calls, wrong, ends = legacy.compare(node, SEED, range(COUNT))
    assert not wrong, "\n".join(wrong[:5])
    # A check in which nothing is thrown, or everything traps, checks little.
    assert calls > 10 * COUNT
    assert ends["exception"] > calls // 50
    assert ends["values"] > calls // 2


def test_arguments_have_no_bits_that_a_number_of_javascript_loses() -> None:
    # An argument of this module was another NaN.
    steps = legacy.make(15, 7885).steps
    singles = [payload for step in steps for type_, payload in step.arguments if type_ == "f32"]
    assert {bits for bits in singles if isinstance(bits, int) and bits & 0x7FFF_FFFF > 0x7F80_0000} == {0x7FC0_0000}


def test_modules_with_the_older_exceptions_have_all_of_its_instructions_and_none_of_the_newer_ones() -> None:
    made: set[str] = set()
    for number in range(60):
        for raw in read_parts(legacy.make(SEED, number).data).items(CODE):
            made |= {name_of(instruction.code) for instruction in read_body(raw).instructions}
    assert {"try", "catch", "catch_all", "delegate", "rethrow", "throw", "return_call"} <= made
    assert not {"try_table", "throw_ref"} & made
