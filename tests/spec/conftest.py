"""Reports the official suite's counts in pytest's terminal summary."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.spec import suite
from tests.spec.runner import Outcome

# Outcomes of this session by mode and script name.
COUNTS = pytest.StashKey[dict[str, dict[str, Outcome]]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[COUNTS] = {}


@pytest.fixture
def record_outcome(pytestconfig: pytest.Config) -> object:
    """A function (mode, script name, outcome) that puts an outcome in the summary."""

    def record(mode: str, name: str, outcome: Outcome) -> None:
        pytestconfig.stash[COUNTS].setdefault(mode, {})[name] = outcome

    return record


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    counts = config.stash[COUNTS]
    if why := suite.missing():
        terminalreporter.section("official WebAssembly suite")
        terminalreporter.line(f"NOT RUN: {why}")
    if not counts:
        return
    terminalreporter.section("official WebAssembly suite")
    every = list(suite.scripts())
    for mode, outcomes in counts.items():
        passed, failed = (sum(getattr(o, name) for o in outcomes.values()) for name in ("passed", "failed"))
        terminalreporter.line(f"{mode}: {len(outcomes)} scripts, {passed} assertions passed, {failed} failed")
    waiting = [script for script in every if script.waits_for]
    if waiting:
        proposals = Counter(proposal for script in waiting for proposal in script.waits_for)
        terminalreporter.line(
            f"not yet: {len(waiting)} of {len(every)} scripts with {sum(s.assertions for s in waiting)} of "
            f"{sum(s.assertions for s in every)} assertions need "
            + ", ".join(f"{name} ({suite.NOT_YET[name]}: {number} scripts)" for name, number in proposals.most_common())
        )
