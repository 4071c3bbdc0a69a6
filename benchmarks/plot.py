"""A report as a picture: an SVG file with one line a row and one mark a side.

Marks stand at the ratio to the report's reference, on a logarithmic axis, where half and double are equally far from
it. The file has a background of its own, and colours for light and for dark surroundings, between which the reader's
setting (``prefers-color-scheme``) chooses; sides differ in shape as well as in colour. The text depends on nothing but
the report, so a picture changes in a diff only where a figure does.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil, floor, log10
from pathlib import Path
from xml.sax.saxutils import escape

from .peers import TITLES
from .report import Report, measure_text

_WIDTH = 800
_ROW = 22
_MARGIN = 16
#: About the width of a letter, which decides where columns begin.
_LETTER = 6.6
#: Width of the column of numbers.
_NUMBERS = 64

#: Colours by side, in light and in dark surroundings, and shapes: told apart by most colour-blind readers, too.
_MARKS = [
    ("#0b62c4", "#58a6ff", "M-5,0a5,5 0 1,0 10,0a5,5 0 1,0 -10,0z"),  # circle
    ("#c2410c", "#f0883e", "M-4.5,-4.5h9v9h-9z"),  # square
    ("#15803d", "#56d364", "M0,-6l6,6l-6,6l-6,-6z"),  # diamond
    ("#7e3ac8", "#bc8cff", "M0,-6l5.6,10h-11.2z"),  # triangle
    ("#a1126e", "#ff7bc0", "M0,6l5.6,-10h-11.2z"),  # triangle, upside down
]

_STYLE = """\
text {{ font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #24292f }}
.title {{ font-size: 15px; font-weight: 600 }}
.quiet {{ fill: #57606a }}
.number {{ font-variant-numeric: tabular-nums; text-anchor: end }}
.ground {{ fill: #ffffff; stroke: #d0d7de }}
.grid {{ stroke: #d8dee4 }}
.one {{ stroke: #57606a; stroke-width: 1.5 }}
{light}
@media (prefers-color-scheme: dark) {{
text {{ fill: #e6edf3 }}
.quiet {{ fill: #9198a1 }}
.ground {{ fill: #0d1117; stroke: #30363d }}
.grid {{ stroke: #262c36 }}
.one {{ stroke: #9198a1 }}
{dark}
}}"""


def write(folder: Path, report: Report) -> None:
    """Draw a report as ``NAME.svg`` in a folder, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{report.benchmark}.svg").write_text(svg(report), encoding="utf-8")


def svg(report: Report) -> str:
    """The picture of a report: its ratios to the reference; without one, what was measured."""
    sides = [side for side in report.sides if side != report.reference]
    values = {name: {side: _value(report, cells, side) for side in sides} for name, cells in report.rows}
    # What is nothing at all has no place on the axis, and no mark.
    low, high = _range(
        [value for row in values.values() for value in row.values() if value > 0]
        + ([1.0] if report.reference else [])
        + [*report.bars.values()]
    )
    left = _MARGIN + max(len(name) for name in values) * _LETTER + 14
    right = _WIDTH - _MARGIN - _NUMBERS
    top = 84
    bottom = top + _ROW * len(values)

    def across(value: float) -> float:
        return left + (log10(value) - low) / (high - low) * (right - left)

    lines = [
        _text(_MARGIN, 28, _headline(report), "title"),
        *_legend(report, sides, 50),
        _text(right + _NUMBERS, top - 10, "vibewasm" if "vibewasm" in sides else sides[0], "quiet number"),
    ]
    for tick in _ticks(low, high):
        kind = "one" if report.reference and tick == 1 else "grid"
        x = _number(across(tick))
        lines.append(f'<path class="{kind}" d="M{x},{top - 4}V{bottom + 4}"/>')
        label = f"{tick:g}" if report.reference else measure_text(tick, report.unit)
        lines.append(_text(across(tick), bottom + 20, label, "quiet", anchor="middle"))
    for side, bar in report.bars.items():
        x = _number(across(bar))
        kind = f"bar b{sides.index(side)}"
        lines.append(
            f'<path class="{kind}" d="M{x},{top - 4}V{bottom + 4}"><title>{escape(side)}: bar {bar:g}</title></path>'
        )
    for number, (name, row) in enumerate(values.items()):
        y = top + _ROW * number + _ROW / 2
        lines.append(f'<path class="grid" d="M{_number(left)},{_number(y)}H{_number(right)}"/>')
        lines.append(_text(_MARGIN, y + 4, name))
        # The first side is the one that is looked for: it lies above the others.
        for side in reversed(sides):
            if row[side] <= 0:
                continue
            measured = report.column(side, [name])[0]
            hint = f"{name}, {TITLES.get(side, side)}: {measure_text(measured, report.unit)}"
            lines.append(_mark(sides, side, across(row[side]), y, hint))
        value = row[sides[0]]
        shown = f"{value:.2f}" if report.reference else measure_text(value, report.unit)
        lines.append(_text(right + _NUMBERS, y + 4, shown, "number"))
    height = bottom + 20 + _MARGIN
    colours = range(len(sides))
    style = _STYLE.format(
        light="\n".join(f".s{side} {{ fill: {_MARKS[side][0]} }}" for side in colours),
        dark="\n".join(f".s{side} {{ fill: {_MARKS[side][1]} }}" for side in colours),
    )
    if report.bars:
        style += _bar_style(sides, report.bars)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
    ground = f'<rect class="ground" x="0.5" y="0.5" width="{_WIDTH - 1}" height="{height - 1}" rx="6"/>'
    title = f"<title>{escape(_headline(report))}</title>"
    return "\n".join([f'{head} role="img">', title, f"<style>\n{style}\n</style>", ground, *lines, "</svg>", ""])


def _bar_style(sides: list[str], bars: Iterable[str]) -> str:
    """What draws bars, each in the colour of its side."""
    numbers = [sides.index(side) for side in bars]
    light = "\n".join(f".b{number} {{ stroke: {_MARKS[number][0]} }}" for number in numbers)
    dark = "\n".join(f".b{number} {{ stroke: {_MARKS[number][1]} }}" for number in numbers)
    return f"\n.bar {{ stroke-dasharray: 5 4 }}\n{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}"


def _value(report: Report, cells: list[float], side: str) -> float:
    value = cells[report.columns.index(side)]
    return value / cells[report.columns.index(report.reference)] if report.reference else value


def _headline(report: Report) -> str:
    what = {"s": "time", "B": "peak memory", "1": "dashed lines are bars"}[report.unit]
    if not report.reference:
        return f"{report.benchmark}: {what}"
    return f"{report.benchmark}: {what}, {TITLES.get(report.reference, report.reference)} = 1 (further left is better)"


def _legend(report: Report, sides: list[str], y: float) -> Iterable[str]:
    x = float(_MARGIN)
    for side in sides:
        title = TITLES.get(side, side)
        yield _mark(sides, side, x + 6, y - 4)
        yield _text(x + 17, y, title)
        x += 17 + len(title) * _LETTER + 18


def _mark(sides: list[str], side: str, x: float, y: float, hint: str = "") -> str:
    number = sides.index(side)
    path = f'path class="s{number}" transform="translate({_number(x)},{_number(y)})" d="{_MARKS[number][2]}"'
    return f"<{path}><title>{escape(hint)}</title></path>" if hint else f"<{path}/>"


def _range(values: list[float]) -> tuple[float, float]:
    """Where the axis begins and ends, as powers of ten, with some room around the values."""
    low, high = log10(min(values)), log10(max(values))
    room = max(0.06 * (high - low), 0.05)
    return low - room, high + room


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers between two powers of ten: 1, 2, 5 of each, and more where that gives few."""
    for steps in ((1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9), tuple(tenth / 10 for tenth in range(10, 100))):
        found = [
            float(f"{step * 10.0**power:.6g}")
            for power in range(floor(low), ceil(high))
            for step in steps
            if low <= log10(step * 10.0**power) <= high
        ]
        if len(found) > 2:
            break
    return found


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "") -> str:
    attributes = (f' class="{kind}"' if kind else "") + (f' text-anchor="{anchor}"' if anchor else "")
    return f'<text x="{_number(x)}" y="{_number(y)}"{attributes}>{escape(text)}</text>'


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
