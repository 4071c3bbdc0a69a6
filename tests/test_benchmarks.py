"""The benchmarks' own parts; that their figures are right is for people to judge."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.report import Figure, Report, geometric_mean, take_turns


def test_a_mean_of_ratios_is_geometric() -> None:
    assert geometric_mean([0.5, 2.0]) == pytest.approx(1.0)
    assert geometric_mean([4.0]) == pytest.approx(4.0)


def test_sides_take_turns() -> None:
    order: list[str] = []

    def side(name: str) -> float:
        order.append(name)
        return float(len(order))

    measured = take_turns({"a": lambda: side("a"), "b": lambda: side("b")}, 3)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert measured == {"a": [1, 4, 5], "b": [2, 3, 6]}


def test_a_report_says_whether_a_bar_is_met() -> None:
    report = Report("calls", ["vibewasm", "ratio"], [("out", [0.0025, 0.5])])
    report.figures = [Figure("a", 0.5, 0.5), Figure("b", 0.6, 0.5), Figure("c", 0.7, None)]
    assert [figure.met for figure in report.figures] == [True, False, None]
    text = report.as_text()
    assert "2.50 ms" in text
    assert "a: 0.500  (bar 0.5: met)" in text
    assert "b: 0.600  (bar 0.5: NOT MET)" in text
    assert text.endswith("c: 0.700")


@pytest.mark.parametrize("name", ["start", "calls", "instantiate"])
def test_a_benchmark_runs(project: Path, name: str) -> None:
    line = [sys.executable, "-m", "benchmarks", name, "--rounds", "1", "--json"]
    output = subprocess.run(line, cwd=project, capture_output=True, check=True, timeout=120).stdout
    report = json.loads(output)
    assert report["benchmark"] == name
    assert report["figures"]
    assert all(figure["value"] > 0 for figure in report["figures"])
