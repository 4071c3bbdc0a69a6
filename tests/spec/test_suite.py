"""The official WebAssembly core suite, a test for each script and mode (see `tests.spec.engine.MODES`)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.spec import engine, suite
from tests.spec.isolate import run_isolated
from tests.spec.runner import Outcome

# A script takes well under a second; the limit only turns a hang into a failure.
TIMEOUT_SECONDS = 120.0

# Newer than WebAssembly 2.0 without SIMD. A proposal leaves `suite.NOT_YET` when it is implemented, not this set.
KNOWN_PROPOSALS = {
    "simd",
    "relaxed-simd",
    "function-references",
    "gc",
    "multi-memory",
    "memory64",
    "exceptions",
    "tail-call",
}

RUN = [script for script in suite.scripts() if not script.waits_for]


@pytest.mark.parametrize("mode", engine.MODES)
@pytest.mark.parametrize("script", RUN, ids=lambda script: script.name)
def test_every_assertion_of_the_script_passes(
    script: suite.Script, mode: str, record_outcome: Callable[[str, str, Outcome], None]
) -> None:
    outcome = run_isolated(script, lambda: engine.VibewasmAdapter(mode), TIMEOUT_SECONDS)
    record_outcome(mode, script.name, outcome)
    shown = "\n".join(map(str, outcome.failures[:10]))
    assert not outcome.failures, f"{outcome.failed} assertions and {outcome.broken} other commands failed:\n{shown}"
    assert outcome.assertions == script.assertions, "the runner does not count as the manifest does"


@pytest.mark.parametrize("script", RUN, ids=[script.name for script in RUN])
def test_every_assertion_of_the_text_passes(
    script: suite.Script, record_outcome: Callable[[str, str, Outcome], None]
) -> None:
    original = script.original()
    outcome = run_isolated(original, lambda: engine.VibewasmAdapter("lazy"), TIMEOUT_SECONDS)
    record_outcome("lazy, from text", script.name, outcome)
    shown = "\n".join(map(str, outcome.failures[:10]))
    assert not outcome.failures, f"{outcome.failed} assertions and {outcome.broken} other commands failed:\n{shown}"
    assert outcome.assertions == original.assertions, "the runner does not count as the manifest does"


def test_every_script_is_run_or_waits_for_a_known_proposal() -> None:
    if why := suite.missing():
        pytest.skip(f"NOT RUN: {why}")
    assert len(RUN) >= 82
    needed = {proposal for script in suite.scripts() for proposal in script.needs}
    assert needed <= KNOWN_PROPOSALS, "the manifest needs a proposal that is neither implemented nor in NOT_YET"
    assert suite.NOT_YET.keys() <= needed, "NOT_YET has an entry that nothing needs"
