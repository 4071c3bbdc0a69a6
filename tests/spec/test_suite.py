"""The official WebAssembly core suite, a test for each script and mode (see `tests.spec.engine.MODES`)."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.spec import engine, suite
from tests.spec.isolate import run_isolated
from tests.spec.runner import Outcome
from tests.wanted import or_skip

# A script takes well under a second; the limit only turns a hang into a failure.
TIMEOUT_SECONDS = 120.0

# SIMD, and what is newer than WebAssembly 2.0. A proposal leaves `suite.NOT_YET` when it is implemented, not this set.
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
OF_PROPOSALS = list(suite.of_proposals())


# The modes that pytest runs without --all. The rest takes longer and finds nothing in most changes.
QUICK_MODES = {"lazy"}
MODES = [mode if mode in QUICK_MODES else pytest.param(mode, marks=pytest.mark.ci) for mode in engine.MODES]

Record = Callable[[str, Outcome], None]


def check(mode: str, adapter_mode: str, script: suite.Script, record_outcome: Record) -> None:
    """Run a script whose every assertion has to pass."""
    outcome = run_isolated(script, lambda: engine.VibewasmAdapter(adapter_mode), TIMEOUT_SECONDS)
    record_outcome(mode, outcome)
    shown = "\n".join(map(str, outcome.failures[:10]))
    assert not outcome.failures, f"{outcome.failed} assertions and {outcome.broken} other commands failed:\n{shown}"
    if isinstance(script, suite.PlainScript) and script not in OF_PROPOSALS:
        assert outcome.assertions == script.counted().assertions
    else:
        assert not outcome.proposals, "the engine refuses what the manifest says needs no proposal"
        assert outcome.assertions == script.assertions, "the runner does not count as the manifest does"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("script", or_skip(RUN or suite.checkout(), "official suite"), ids=lambda script: script.name)
def test_every_assertion_of_the_script_passes(script: suite.Script, mode: str, record_outcome: Record) -> None:
    check(mode, mode, script, record_outcome)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("script", or_skip(OF_PROPOSALS, "suites of proposals"), ids=lambda script: script.name)
def test_every_assertion_of_a_proposals_script_passes(script: suite.Script, mode: str, record_outcome: Record) -> None:
    check(f"{mode}, proposals", mode, script, record_outcome)


@pytest.mark.ci
@pytest.mark.parametrize("script", or_skip(RUN, "prepared suite"), ids=lambda script: script.name)
def test_every_assertion_of_the_text_passes(script: suite.Script, record_outcome: Record) -> None:
    check("lazy, from text", "lazy", script.original(), record_outcome)


@pytest.mark.ci
@pytest.mark.parametrize("mode", ["lazy", "eager"])
def test_the_engine_finds_by_itself_what_the_manifest_says_of_needs_and_counts(mode: str) -> None:
    if why := suite.missing():
        pytest.skip(f"NOT RUN: {why}")
    known = {script.name: script for script in suite.scripts()}
    complete, assertions = set(), 0
    for plain in suite.plain_scripts(suite.shared_folder() / "spec" / "text"):
        script = known.pop(plain.name)
        outcome = run_isolated(plain, lambda: engine.VibewasmAdapter(mode), TIMEOUT_SECONDS)
        assert not outcome.failures, f"{plain.name}: {outcome.failures[0]}"
        assert outcome.assertions == plain.counted().assertions == script.original().assertions, plain.name
        if not outcome.proposals:
            complete.add(plain.name)
            assertions += script.assertions
    assert not known
    assert complete == {script.name for script in RUN}
    assert assertions == sum(script.assertions for script in RUN) >= 50_717


PROPOSALS = sorted(
    folder
    for folder in {path.parent for path in (suite.shared_folder() / "spec" / "proposals").rglob("*.wast")}
    if folder.name not in suite.PROPOSALS
)


@pytest.mark.parametrize("folder", or_skip(PROPOSALS, "suites of proposals"), ids=lambda folder: folder.name)
def test_what_a_proposal_that_is_not_built_adds_is_refused_by_its_name(folder: Path) -> None:
    for plain in suite.plain_scripts(folder):
        outcome = run_isolated(plain, lambda: engine.VibewasmAdapter("eager"), TIMEOUT_SECONDS)
        assert not outcome.failures, f"{plain.name}: {outcome.failures[0]}"
        assert outcome.assertions == plain.counted().assertions, plain.name


def test_every_script_is_run_or_waits_for_a_known_proposal() -> None:
    if why := suite.missing():
        pytest.skip(f"NOT RUN: {why}")
    assert len(RUN) >= 169
    needed = {proposal for script in suite.scripts() for proposal in script.needs}
    assert needed <= KNOWN_PROPOSALS, "the manifest needs a proposal that is neither implemented nor in NOT_YET"
    assert suite.NOT_YET.keys() <= needed, "NOT_YET has an entry that nothing needs"
    # Of what they call garbage collection these have nothing but types of functions.
    assert suite.NEEDS_NO_GC == {script.name for script in RUN if "gc" in script.needs}


def test_scripts_that_wait_with_something_in_them_that_is_built_are_listed_by_name() -> None:
    if why := suite.missing():
        pytest.skip(f"NOT RUN: {why}")
    built = {"function-references", "tail-call", "exceptions"}
    waiting = [script.name for script in suite.scripts() if script.waits_for and built & set(script.needs)]
    text = (suite.PROJECT_ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
    (_, _, listed) = text.partition("those with them are not run yet:")
    assert re.findall(r"`([\w./-]+\.wast)`", listed.partition("\n\n")[0]) == waiting
