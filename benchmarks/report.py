"""Numbers of a benchmark, and what to say of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, log
from statistics import median
from typing import Any

__all__ = ["Figure", "Report", "geometric_mean", "median", "take_turns"]


@dataclass
class Figure:
    """What a benchmark comes down to: a ratio, or a number whose unit ``name`` says.

    ``bar`` is the highest value that will do, ``None`` where there is no bar.
    """

    name: str
    value: float
    bar: float | None

    @property
    def met(self) -> bool | None:
        """Whether the bar is met; ``None`` where there is none."""
        return None if self.bar is None else self.value <= self.bar

    @property
    def verdict(self) -> str:
        """The bar and whether it is met, in words; empty where there is none."""
        return "" if self.bar is None else f"bar {self.bar:g}: {'met' if self.met else 'NOT MET'}"


@dataclass
class Report:
    """One benchmark's table and its figures.

    A column whose name ends in ``ratio`` holds ratios; the others are *sides* and hold what was measured of them, in
    ``unit``: seconds (``s``), bytes (``B``), or numbers that their names explain (``1``).
    """

    benchmark: str
    columns: list[str]
    rows: list[tuple[str, list[float]]] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    unit: str = "s"
    #: The side that the others are compared with, and 1 in a plot.
    reference: str | None = None
    #: The highest value that will do of sides that have such a bar in each row.
    bars: dict[str, float] = field(default_factory=dict)
    #: What a reader has to know besides: what was skipped, and why.
    notes: list[str] = field(default_factory=list)
    #: How it was measured: machine, versions, rounds.
    conditions: dict[str, str] = field(default_factory=dict)

    @property
    def sides(self) -> list[str]:
        """The columns that hold measured values."""
        return [column for column in self.columns if not column.endswith("ratio")]

    def compare(self, name: str, measured: Mapping[str, float]) -> None:
        """Add a row: what was measured of each side, and the ratios of the first one to those that a column asks for.

        The column ``X ratio`` asks for the ratio to the side ``X``; plain ``ratio``, for that to :attr:`reference`.
        """
        first = measured[self.columns[0]]
        cells = []
        for column in self.columns:
            side = column.removesuffix("ratio").rstrip() or self.reference or ""
            cells.append(first / measured[side] if column.endswith("ratio") else measured[column])
        self.rows.append((name, cells))

    def column(self, name: str, rows: Sequence[str] | None = None) -> list[float]:
        """The cells of a column, of all rows or of those named."""
        at = self.columns.index(name)
        return [cells[at] for row, cells in self.rows if rows is None or row in rows]

    def shown(self, column: str, cell: float) -> str:
        """A cell as people read it."""
        return f"{cell:.3f}" if column.endswith("ratio") else measure_text(cell, self.unit)

    def as_json(self) -> dict[str, object]:
        """The report as plain data."""
        return {
            "benchmark": self.benchmark,
            "unit": self.unit,
            "reference": self.reference,
            "columns": self.columns,
            "rows": [{"name": name, **dict(zip(self.columns, cells, strict=True))} for name, cells in self.rows],
            "figures": [
                {"name": figure.name, "value": figure.value, "bar": figure.bar, "met": figure.met}
                for figure in self.figures
            ],
            "notes": self.notes,
            "conditions": self.conditions,
            **({"bars": self.bars} if self.bars else {}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Report:
        """What :meth:`as_json` gave."""
        columns = list(data["columns"])
        return cls(
            data["benchmark"],
            columns,
            [(row["name"], [row[column] for column in columns]) for row in data["rows"]],
            [Figure(figure["name"], figure["value"], figure["bar"]) for figure in data["figures"]],
            data["unit"],
            data["reference"],
            dict(data.get("bars", {})),
            list(data["notes"]),
            dict(data["conditions"]),
        )

    def as_text(self) -> str:
        """The report as a table for people."""
        width = max(len(name) for name in (self.benchmark, *(name for name, _ in self.rows)))
        lines = [f"{self.benchmark:<{width}}" + "".join(f"{column:>18}" for column in self.columns)]
        for name, cells in self.rows:
            shown = (f"{self.shown(column, cell):>18}" for column, cell in zip(self.columns, cells, strict=True))
            lines.append(f"{name:<{width}}" + "".join(shown))
        for figure in self.figures:
            lines.append(f"{figure.name}: {figure.value:.3f}" + (f"  ({figure.verdict})" if figure.verdict else ""))
        return "\n".join(lines + self.notes)


def measure_text(value: float, unit: str) -> str:
    """Seconds (``s``) or bytes (``B``), in the unit that gives a short number, or a number (``1``); a megabyte is 10^6
    bytes.
    """
    if unit == "1":
        return f"{value:.2f}"
    if unit == "B":
        return f"{value / 1e6:.1f} MB"
    for name, factor in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        if value * factor >= 1:
            return f"{value * factor:.2f} {name}"
    return f"{value * 1e9:.0f} ns"


def geometric_mean(values: Sequence[float]) -> float:
    """The geometric mean, which is what a mean of ratios has to be."""
    return exp(sum(map(log, values)) / len(values))


def take_turns(
    sides: dict[str, Callable[[], float]],
    rounds: int,
    before: Callable[[str, int, int], None] | None = None,
) -> dict[str, list[float]]:
    """Call every side once a round, so that a slow moment of the machine hits them alike; all measured values.

    ``before`` is told of each call: the side, how many calls were made, and how many there will be.
    """
    measured: dict[str, list[float]] = {name: [] for name in sides}
    made = 0
    for number in range(rounds):
        order = list(sides) if number % 2 == 0 else list(reversed(sides))
        for name in order:
            if before:
                before(name, made, rounds * len(sides))
            measured[name].append(sides[name]())
            made += 1
    return measured
