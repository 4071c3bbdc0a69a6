"""The differential check finds faults: a few of them here, all by `python -m tests.differential.faults`."""

from __future__ import annotations

import pytest

from tests.differential.faults import FAULTS, Found, in_process, line
from tests.differential.planting import PROJECT, Fault, plant

# One of each part of the engine, found within so many modules.
SAMPLE = [
    "branch-values-from-wrong-slots",
    "clz-of-zero",
    "f64-spilled-as-f32",
    "stale-local",
    "call-indirect-type",
    "table-bound",
    "bitselect-exchanged",
    "upper-half-not-saved",
    "unaligned-slot",
    "landing-with-pinned-registers-of-others",
]
COUNT = 400


def test_there_are_many_faults_and_each_fits_the_source() -> None:
    assert len([fault for fault in FAULTS if fault.simd]) >= 20
    assert len([fault for fault in FAULTS if fault.control]) >= 15
    assert len([fault for fault in FAULTS if not (fault.simd or fault.control)]) >= 30
    assert len({fault.name for fault in FAULTS}) == len({(fault.file, fault.old) for fault in FAULTS}) == len(FAULTS)
    for fault in FAULTS:
        compile(fault.changed_source(), fault.file, "exec")


@pytest.mark.parametrize("name", SAMPLE)
def test_a_planted_fault_is_found(name: str) -> None:
    (fault,) = [fault for fault in FAULTS if fault.name == name]
    found = in_process(fault, 1, COUNT, 1, False)
    assert found.module is not None
    assert found.what


def test_the_report_has_a_line_for_each_fault() -> None:
    text = line(FAULTS[0], Found(None, "", "i32.wast line 849", True))
    assert text.startswith("unsigned-less-is-signed          check: not found      suite: i32.wast line 849  ")
    assert text.endswith("a wrong condition code in the table of comparisons")
    assert "check: module 7       suite: not asked" in line(FAULTS[0], Found(7, "a difference", None, False))


def test_a_fault_is_planted_before_the_engine_is_imported_or_not_at_all() -> None:
    with pytest.raises(RuntimeError, match="imported without the fault"):
        plant(FAULTS[0])
    with pytest.raises(LookupError, match="stands 0 times"):
        Fault("gone", "nothing", "instances/bulk.py", "no such text", "").changed_source()


def test_the_process_of_a_fault_that_fails_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.differential.faults.PROJECT", PROJECT.parent)
    with pytest.raises(RuntimeError, match="the process of clz-of-zero failed"):
        in_process(next(f for f in FAULTS if f.name == "clz-of-zero"), 1, 1, 1, False)
