"""What tests of every folder use."""

from __future__ import annotations

import signal
from pathlib import Path

import hypothesis
import pytest

from tests.native import EMULATED
from tests.spec.suite import PROJECT_ROOT, shared_folder

# An emulator takes its time for code that it meets first.
hypothesis.settings.register_profile("emulated", deadline=None)
if EMULATED:
    hypothesis.settings.load_profile("emulated")

# A shell's background job ignores SIGINT, and Python leaves it so; tests that send it would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def project() -> Path:
    """The project's root."""
    return PROJECT_ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder that stands beside the project; a test that wants it is skipped, and says so, where it is missing."""
    folder = shared_folder()
    if not folder.is_dir():
        pytest.skip("no ../shared and no folder in VIBEWASM_SHARED")
    return folder
