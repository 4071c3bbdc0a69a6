"""Counts what a run found and puts it into words."""

from __future__ import annotations

from collections import Counter

from tests.differential import locations
from tests.differential.judge import Finding
from vibewasm.opcodes import name_of

_SHOWN = 10


class Report:
    """Findings, counted; `wrong` are those that must not be."""

    def __init__(self) -> None:
        self.modules = 0
        self.calls = 0
        self.modes: Counter[str] = Counter()
        self.traps: Counter[str] = Counter()
        self.exceptions = 0
        self.nan_bits = 0
        self.wrong: list[Finding] = []
        self.met: set[locations.Place] = set()

    def add(self, finding: Finding) -> None:
        """Counts a finding."""
        self.modules += 1
        self.calls += finding.calls
        self.modes[finding.mode] += 1
        self.traps.update(finding.traps)
        self.exceptions += finding.exceptions
        self.nan_bits += finding.nan_bits
        self.met |= finding.met
        if finding.wrong:
            self.wrong.append(finding)

    def text(self) -> str:
        """The report for people."""
        lines = [
            f"{self.modules} modules, {self.calls} calls compared, {len(self.wrong)} differences; "
            f"{self.nan_bits} modules judged with canonical NaNs only, since bits of a NaN count in them",
            "modes: " + _counts(self.modes),
            "traps: " + _counts(self.traps),
            *([f"exceptions that nobody caught: {self.exceptions}"] if self.exceptions else []),
        ]
        for finding in self.wrong[:_SHOWN]:
            lines.append(f"  {show(finding)}")
        return "\n".join(lines)


def show(finding: Finding) -> str:
    """What is wrong, on a few lines."""
    text = f"module {finding.number} ({finding.source}, {finding.mode}): "
    if finding.difference is None:
        return text + (finding.problem or "nothing is wrong")
    kind, where, ours, theirs = finding.difference
    return f"{text}{kind} of {where}\n    vibewasm: {ours[:300]}\n    wasmtime: {theirs[:300]}"


def places(met: set[locations.Place], vectors: bool = False) -> tuple[str, bool]:
    """Which places of operands were met, and whether all that can be were; with `vectors` those of vectors."""
    lines: list[str] = []
    reachable = unreachable = 0
    missing: list[locations.Place] = []
    reasons: Counter[str] = Counter()
    refuted: list[locations.Place] = []
    for place in locations.all_places(vectors):
        why = locations.why_unreachable(place)
        if why is None:
            reachable += 1
            if place not in met:
                missing.append(place)
        else:
            unreachable += 1
            reasons[why] += 1
            if place in met:
                refuted.append(place)
    lines.append(
        f"{reachable - len(missing)} of {reachable} reachable (opcode, operand, location) places were met; "
        f"{unreachable} cannot be:"
    )
    lines += [f"  {count}: {why}" for why, count in reasons.most_common()]
    lines += [f"  not met: {_show_place(place)}" for place in missing]
    lines += [f"  met, though it is listed as unreachable: {_show_place(place)}" for place in refuted]
    return "\n".join(lines), not missing and not refuted


def table(met: set[locations.Place], vectors: bool = False) -> str:
    """A line for each operand of each instruction: where it was met; a dot where it was not, - where it cannot be."""
    heads = [name.replace(" local", "") for name in locations.LOCATIONS]
    lines = [f"{'instruction':24}{'operand':22}" + "".join(f"{head:>10}" for head in heads)]
    rows: dict[tuple[int, str], list[str]] = {}
    for place in locations.all_places(vectors):
        mark = "yes" if place in met else "-" if locations.why_unreachable(place) else "."
        rows.setdefault((place.code, place.operand), []).append(f"{mark:>10}")
    lines += [f"{name_of(code):24}{operand:22}" + "".join(marks) for (code, operand), marks in rows.items()]
    return "\n".join(lines)


def _show_place(place: locations.Place) -> str:
    return f"{name_of(place.code)} (0x{place.code:X}), operand {place.operand}: {place.location}"


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counter.most_common()) or "none"
