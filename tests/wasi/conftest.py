"""Fixtures for the WASI tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.wasi.program import Program
from vibewasm.wasi import WasiConfig


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty directory, the only one that ``program`` has."""
    path = tmp_path / "root"
    path.mkdir()
    return path


@pytest.fixture
def program(folder: Path) -> Program:
    """A program with ``folder`` preopened as ``/``, no input, and output that is thrown away."""
    return Program(WasiConfig(["program"], preopens={"/": folder}, stdin=b"", stdout="/dev/null", stderr="/dev/null"))
