"""Reports the official suite's counts in pytest's terminal summary."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.spec import suite

#: Name of the property of a test's report that holds its mode, and how many assertions passed and failed.
PROPERTY = "official suite"


class Summary:
    """A plugin that adds up what reports bring, which come from other processes where tests run in several."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call":
            return
        for name, value in report.user_properties:
            if name == PROPERTY:
                assert isinstance(value, list)
                mode, passed, failed = value
                self.counts.setdefault(mode, Counter()).update({"scripts": 1, "passed": passed, "failed": failed})

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        why = suite.missing()
        if why or self.counts:
            terminalreporter.section("official WebAssembly suite")
        if not self.counts:
            if why:
                terminalreporter.line(f"NOT RUN: {why}")
            return
        every = list(suite.scripts())
        for mode, count in self.counts.items():
            terminalreporter.line(
                f"{mode}: {count['scripts']} scripts, {count['passed']} assertions passed, {count['failed']} failed"
            )
        waiting = [script for script in every if script.waits_for]
        if waiting:
            proposals = Counter(proposal for script in waiting for proposal in script.waits_for)
            terminalreporter.line(
                f"not yet: {len(waiting)} of {len(every)} scripts with {sum(s.assertions for s in waiting)} of "
                f"{sum(s.assertions for s in every)} assertions need "
                + ", ".join(
                    f"{name} ({suite.NOT_YET[name]}: {number} scripts)" for name, number in proposals.most_common()
                )
            )
