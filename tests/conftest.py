"""What tests of every folder use, and which of them wait for `--all`."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path

import hypothesis
import pytest

from tests.spec.suite import HOW_TO_GET, PROJECT_ROOT, shared_folder
from tests.spec.summary import Summary

# Tests are not timed: how long an example takes is up to what else the machine does.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

# No test begins with what another run has left in the user's folder, nor leaves something there. Those that are about
# the code cache choose a folder.
_cache = tempfile.TemporaryDirectory(prefix="vibewasm-tests-cache-")
os.environ["VIBEWASM_CACHE"] = os.path.join(_cache.name, "code")

# A shell's background job ignores SIGINT, and Python leaves it so; tests that send it would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Summary())


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="also the tests marked ci, which .ci/run runs")


def _all_wanted(config: pytest.Config) -> bool:
    # An expression of marks says itself what is wanted.
    return bool(config.getoption("--all") or config.getoption("markexpr"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out tests marked ci, but not those of a file that the command line names."""
    if _all_wanted(config):
        return
    folder = config.invocation_params.dir
    named = {(folder / argument.partition("::")[0]).resolve() for argument in config.args if ".py" in argument}
    left = [item for item in items if item.get_closest_marker("ci") and item.path not in named]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in set(left)]


def pytest_report_header(config: pytest.Config) -> str | None:
    if _all_wanted(config):
        return None
    return "tests marked ci are left to .ci/run; --all runs them, and so does naming their file"


@pytest.fixture(scope="session")
def project() -> Path:
    """The project's root."""
    return PROJECT_ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder that stands beside the project; a test that wants it is skipped, and says so, where it is missing."""
    folder = shared_folder()
    if not folder.is_dir():
        pytest.skip(f"no ../shared and no folder in VIBEWASM_SHARED: {HOW_TO_GET}")
    return folder


@pytest.fixture(scope="session")
def programs(shared: Path) -> Path:
    """The folder of real programs."""
    return _part(shared, "programs")


@pytest.fixture(scope="session")
def prepared_suite(shared: Path) -> Path:
    """The folder of the official suite, as text and assembled."""
    _part(shared, "spec/binary")
    _part(shared, "spec/text")
    return shared / "spec"


def _part(shared: Path, name: str) -> Path:
    if not (shared / name).is_dir():
        pytest.skip(f"NOT RUN: no {name} in {shared}; {HOW_TO_GET}")
    return shared / name
