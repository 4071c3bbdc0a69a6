"""What tests of every folder use."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.spec.suite import PROJECT_ROOT, shared_folder


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
