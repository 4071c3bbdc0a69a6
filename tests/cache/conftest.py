"""Folders for the tests of the cache, and that no test leaves a descriptor open."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from vibewasm.cache.folder import Folder


@pytest.fixture(autouse=True)
def no_descriptor_is_left() -> Iterator[None]:
    before = {*os.listdir("/proc/self/fd")}
    yield
    # There may be fewer: what other tests have left is collected at any moment.
    assert {*os.listdir("/proc/self/fd")} <= before


@pytest.fixture
def above() -> Iterator[Path]:
    """A folder that all users may enter, which pytest's own is not."""
    path = Path(tempfile.mkdtemp(prefix="vibewasm-cache-"))
    path.chmod(0o755)
    yield path
    for folder, _, _ in os.walk(path):
        os.chmod(folder, 0o700)
    shutil.rmtree(path)


@pytest.fixture
def folder(above: Path) -> Folder:
    """A folder that is not there yet."""
    return Folder(str(above / "cache"))
