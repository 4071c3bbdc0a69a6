"""Numbers of a benchmark, and what to say of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import exp, log
from statistics import median

__all__ = ["Figure", "Report", "geometric_mean", "median", "take_turns"]


@dataclass
class Figure:
    """One ratio that a bar is set for; ``bar`` is the highest value that meets it, ``None`` where there is no bar."""

    name: str
    value: float
    bar: float | None

    @property
    def met(self) -> bool | None:
        """Whether the bar is met; ``None`` where there is none."""
        return None if self.bar is None else self.value <= self.bar


@dataclass
class Report:
    """One benchmark's table (seconds or ratios) and its figures."""

    benchmark: str
    columns: list[str]
    rows: list[tuple[str, list[float]]] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        """The report as plain data."""
        return {
            "benchmark": self.benchmark,
            "rows": [{"name": name, **dict(zip(self.columns, cells, strict=True))} for name, cells in self.rows],
            "figures": [
                {"name": figure.name, "value": figure.value, "bar": figure.bar, "met": figure.met}
                for figure in self.figures
            ],
        }

    def as_text(self) -> str:
        """The report as a table for people."""
        width = max(len(name) for name, _ in self.rows)
        lines = [f"{self.benchmark:<{width}}" + "".join(f"{column:>18}" for column in self.columns)]
        for name, cells in self.rows:
            shown = (
                f"{cell:>18.3f}" if column.endswith("ratio") else f"{_time(cell):>18}"
                for column, cell in zip(self.columns, cells, strict=True)
            )
            lines.append(f"{name:<{width}}" + "".join(shown))
        for figure in self.figures:
            verdict = "" if figure.bar is None else f"  (bar {figure.bar:g}: {'met' if figure.met else 'NOT MET'})"
            lines.append(f"{figure.name}: {figure.value:.3f}{verdict}")
        return "\n".join(lines)


def _time(seconds: float) -> str:
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        if seconds * factor >= 1:
            return f"{seconds * factor:.2f} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def geometric_mean(values: Sequence[float]) -> float:
    """The geometric mean, which is what a mean of ratios has to be."""
    return exp(sum(map(log, values)) / len(values))


def take_turns(sides: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Call every side once a round, so that a slow moment of the machine hits them alike; all measured values."""
    measured: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        order = list(sides) if number % 2 == 0 else list(reversed(sides))
        for name in order:
            measured[name].append(sides[name]())
    return measured
