"""Reports the official suite's counts in pytest's terminal summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from tests.spec import suite
from tests.spec.runner import Outcome

# Scripts, assertions passed and assertions failed of this session, by mode.
COUNTS = pytest.StashKey[dict[str, Counter[str]]]()
PROPERTY = "official suite"


def pytest_configure(config: pytest.Config) -> None:
    config.stash[COUNTS] = {}
    config.pluginmanager.register(_Collector(config.stash[COUNTS]))


@pytest.fixture
def record_outcome(record_property: Callable[[str, object], None]) -> object:
    """A function (mode, outcome) that puts a script's outcome in the summary."""

    def record(mode: str, outcome: Outcome) -> None:
        record_property(PROPERTY, [mode, outcome.passed, outcome.failed])

    return record


class _Collector:
    """Adds up what reports of tests bring, which come from other processes where tests run in several."""

    def __init__(self, counts: dict[str, Counter[str]]) -> None:
        self.counts = counts

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call":
            return
        for name, value in report.user_properties:
            if name == PROPERTY:
                assert isinstance(value, list)
                mode, passed, failed = value
                self.counts.setdefault(mode, Counter()).update({"scripts": 1, "passed": passed, "failed": failed})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    counts = config.stash[COUNTS]
    if why := suite.missing():
        terminalreporter.section("official WebAssembly suite")
        terminalreporter.line(f"NOT RUN: {why}")
    if not counts:
        return
    terminalreporter.section("official WebAssembly suite")
    every = list(suite.scripts())
    for mode, count in counts.items():
        terminalreporter.line(
            f"{mode}: {count['scripts']} scripts, {count['passed']} assertions passed, {count['failed']} failed"
        )
    waiting = [script for script in every if script.waits_for]
    if waiting:
        proposals = Counter(proposal for script in waiting for proposal in script.waits_for)
        terminalreporter.line(
            f"not yet: {len(waiting)} of {len(every)} scripts with {sum(s.assertions for s in waiting)} of "
            f"{sum(s.assertions for s in every)} assertions need "
            + ", ".join(f"{name} ({suite.NOT_YET[name]}: {number} scripts)" for name, number in proposals.most_common())
        )
