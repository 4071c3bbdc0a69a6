"""Which tests the README's command takes, and how to get the others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def collected(project: Path, *words: str) -> str:
    """The tests that pytest takes for this command line, one a line."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *words]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=300, check=False).stdout


@pytest.mark.ci
def test_tests_marked_ci_wait_for_all_a_mark_or_their_file(project: Path) -> None:
    bombs = "tests/fuzz/test_bombs.py::test_costs_grow_with_the_module_and_no_faster"
    left, taken = f"{bombs}[types]\n", f"{bombs}[exports]\n"
    quick = collected(project, "tests/fuzz")
    assert taken in quick
    assert left not in quick
    for words in (["--all", "tests/fuzz"], ["tests/fuzz/test_bombs.py"]):
        everything = collected(project, *words)
        assert taken in everything
        assert left in everything
    ci = collected(project, "-m", "ci", "tests/fuzz")
    assert left in ci
    assert taken not in ci


@pytest.mark.ci
def test_no_build_with_pip_is_among_the_quick_tests(project: Path) -> None:
    quick = collected(project)
    assert "tests/api/" in quick
    assert "tests/test_packaging.py" not in quick
    assert "tests/emulated/" not in quick
    assert "tests/disasm/test_browser.py" not in quick
