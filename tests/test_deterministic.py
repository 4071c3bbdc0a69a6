"""Real programs are the same on both processors and in every mode; `python -m tests.deterministic` runs them all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import deterministic
from tests.spec.suite import HOW_TO_GET

#: Programs that are short; one has floating-point numbers.
PROGRAMS = ["shootout/shootout-random", "quicksort/benchmark"]
_FUEL = 10_000_000


@pytest.fixture(autouse=True)
def _there(programs: Path) -> None:
    for program in PROGRAMS:
        if not (programs / f"{program}.wasm").is_file():
            pytest.skip(f"NOT RUN: no {program}.wasm in {programs}; {HOW_TO_GET}")


def test_a_program_that_is_cut_off_by_its_fuel_is_cut_off_there_in_every_mode() -> None:
    runs = [deterministic.run(PROGRAMS[0], mode, _FUEL // 10) for mode in deterministic.MODES]
    assert runs[0].ended.startswith("out_of_fuel")
    assert runs == runs[:1] * len(runs)


@pytest.mark.ci
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_does_the_same_under_emulation(program: str) -> None:
    if missing := deterministic.cannot_emulate():
        pytest.skip(f"NOT RUN: AArch64 cannot be emulated: {missing}")
    differences = [*deterministic.compare(program, _FUEL, modes=["lazy"], there=["lazy"])]
    assert not differences, "\n".join(differences)
