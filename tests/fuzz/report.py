"""Counts the findings of a campaign and puts them into words."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import TypeVar

from tests.fuzz.campaign import Finding

K = TypeVar("K")
V = TypeVar("V")

_EXAMPLES = 6


class Report:
    """Findings by what they are; `wrong` counts those that must not be."""

    def __init__(self) -> None:
        self.total = 0
        self.by_kind: Counter[str] = Counter()
        self.accepted_by_kind: Counter[str] = Counter()
        self.by_source: Counter[str] = Counter()
        self.accepted_by_source: Counter[str] = Counter()
        self.accepted = 0
        self.called = 0
        self.calls = 0
        self.stopped = 0
        self.nan_bits = 0
        self.relaxed = 0
        self.not_run: Counter[str] = Counter()
        self.explained: dict[str, list[int]] = defaultdict(list)
        self.problems: dict[str, list[int]] = defaultdict(list)
        self.disagreements: dict[tuple[str, str], list[int]] = defaultdict(list)
        self.differences: dict[str, list[tuple[int, str]]] = defaultdict(list)
        self.late: list[int] = []

    def add(self, finding: Finding) -> bool:
        """Counts a finding; returns whether it is one that must not be."""
        self.total += 1
        self.by_source[finding.source] += 1
        self.by_kind.update(set(finding.kinds))
        verdict = finding.verdict
        if verdict is None:
            self.problems[finding.problem or "no verdict"].append(finding.number)
            return True
        if verdict.ours is None and verdict.theirs is None:
            self.accepted += 1
            self.accepted_by_kind.update(set(finding.kinds))
            self.accepted_by_source[finding.source] += 1
        elif verdict.explained:
            self.explained[verdict.explained].append(finding.number)
        elif verdict.ours is None or verdict.theirs is None:
            self.disagreements[verdict.ours or "accepted", verdict.theirs or "accepted"].append(finding.number)
            return True
        self.calls += verdict.calls
        self.called += verdict.calls > 0
        self.stopped += verdict.stopped
        self.nan_bits += verdict.nan_bits
        self.relaxed += verdict.relaxed
        if verdict.not_run:
            self.not_run[verdict.not_run] += 1
        if verdict.difference:
            kind, where, ours, theirs = verdict.difference
            text = f"{where}\n        vibewasm: {ours[:200]}\n        wasmtime: {theirs[:200]}"
            self.differences[kind].append((finding.number, text))
            return True
        if verdict.late:
            self.late.append(finding.number)
            return True
        return False

    @property
    def wrong(self) -> int:
        """How many mutants showed something that must not be."""
        return (
            sum(map(len, self.problems.values()))
            + sum(map(len, self.disagreements.values()))
            + sum(map(len, self.differences.values()))
            + len(self.late)
        )

    def text(self) -> str:
        """The report for people."""
        total = max(1, self.total)
        lines = [
            f"{self.total} mutants: {self.accepted} accepted by both ({100 * self.accepted / total:.1f} %), "
            f"{self.called} of them called ({100 * self.called / total:.1f} %), {self.calls} calls compared; "
            f"{self.stopped} stopped because a call did not end, {self.nan_bits} judged with canonical NaNs, since "
            f"bits of a NaN count in them, {self.relaxed} with settled operands of relaxed instructions",
        ]
        lines += [f"not run, {why}: {count}" for why, count in self.not_run.items()]
        lines.append("by source: " + self._shares(self.by_source, self.accepted_by_source))
        lines.append("by mutation (accepted): " + self._shares(self.by_kind, self.accepted_by_kind))
        lines.append(f"crashes, hangs and exceptions: {sum(map(len, self.problems.values()))}")
        lines += [f"    {len(found)} x {problem}: {_some(found)}" for problem, found in _largest(self.problems)]
        lines.append(f"accepted by one engine only: {sum(map(len, self.disagreements.values()))}")
        for (ours, theirs), found in _largest(self.disagreements):
            lines.append(f"    {len(found)} x: {_some(found)}\n        vibewasm: {ours}\n        wasmtime: {theirs}")
        for why, found in _largest(self.explained):
            lines.append(f"    besides, {len(found)} x explained: {why}: {_some(found)}")
        lines.append(f"different results: {sum(map(len, self.differences.values()))}")
        for kind, examples in _largest(self.differences):
            lines.append(f"    {len(examples)} x {kind}: {_some([index for index, _ in examples])}")
            lines += [f"      {index}: {text}" for index, text in examples[:3]]
        lines.append(f"ended in wasmtime and not in time in vibewasm: {len(self.late)} {_some(self.late)}")
        return "\n".join(lines)

    @staticmethod
    def _shares(all_: Counter[str], accepted: Counter[str]) -> str:
        return ", ".join(f"{name} {count} ({100 * accepted[name] // count} %)" for name, count in all_.most_common())


def _largest(groups: Mapping[K, list[V]]) -> list[tuple[K, list[V]]]:
    return sorted(groups.items(), key=lambda item: -len(item[1]))


def _some(indices: list[int]) -> str:
    shown = ", ".join(map(str, sorted(indices)[:_EXAMPLES]))
    return f"[{shown}{', …' if len(indices) > _EXAMPLES else ''}]"
