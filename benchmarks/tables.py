"""``python -m benchmarks.tables``: write the tables and plots of docs/performance.md from docs/performance.json.

In the document, ``<!-- measured: NAME -->`` and ``<!-- end -->`` enclose what is written here. Nothing in between is
typed by hand, and a test compares it with the results.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from pathlib import Path

from . import plot, results
from .children import ROOT
from .peers import TITLES
from .report import Report

DOCUMENT = ROOT / "docs" / "performance.md"
RESULTS = ROOT / "docs" / "performance.json"

_MEASURED = re.compile(r"(?<=<!-- measured: )(\w+) -->\n.*?(?=<!-- end -->)", re.DOTALL)


def main() -> None:
    """Write the document and the plots beside it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tables", description=main.__doc__)
    parser.add_argument("--json", type=Path, default=RESULTS, help="what `python -m benchmarks --json` kept")
    parser.add_argument("document", type=Path, nargs="?", default=DOCUMENT)
    options = parser.parse_args()
    reports = results.load(options.json)
    options.document.write_text(fill(options.document.read_text(encoding="utf-8"), reports), encoding="utf-8")
    for report in reports.values():
        plot.write(options.document.parent / "plots", report)


def fill(document: str, reports: Mapping[str, Report]) -> str:
    """The document with what was measured put between its marks."""

    def section(match: re.Match[str]) -> str:
        name = match[1]
        report = reports.get(name)
        body = markdown(report) if report else "Not measured yet.\n"
        return f"{name} -->\n\n{body}\n"

    return _MEASURED.sub(section, document)


def markdown(report: Report) -> str:
    """A report as it stands in the document: plot, table, figures, notes, and how it was measured."""
    figures = [
        [figure.name, f"{figure.value:.3f}", figure.verdict.removeprefix("bar ").replace("NOT MET", "**not met**")]
        for figure in report.figures
    ]
    rows = [
        [name, *(report.shown(column, cell) for column, cell in zip(report.columns, cells, strict=True))]
        for name, cells in report.rows
    ]
    conditions = ", ".join(f"{name} {value}" for name, value in report.conditions.items())
    parts = [
        f"![{report.benchmark}, as a plot of the table below](plots/{report.benchmark}.svg)\n",
        _table(["", *(TITLES.get(column, column) for column in report.columns)], rows),
        _table(["figure", "value", "bar"], figures),
        *(f"{note}\n" for note in report.notes),
        f"Measured: {conditions}.\n",
    ]
    return "\n".join(parts)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


if __name__ == "__main__":
    main()
