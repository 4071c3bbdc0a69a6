"""What docs/troubleshooting.md quotes and no session can provoke on this machine is what the engine says elsewhere.

The sessions of that page run in tests/test_readme.py.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from vibewasm import runtime
from vibewasm.errors import FREE_THREADED


def quoted(project: Path) -> list[str]:
    """Messages of the table in "It does not start at all"; ``...`` stands for what differs."""
    page = (project / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    table = page.split("## It does not start at all\n")[1]
    return re.findall(r"^\| (?!message|---)(.*?) \|", table, re.MULTILINE)


def is_quoted(message: str, project: Path) -> bool:
    return any(
        re.fullmatch(".*".join(map(re.escape, line.split("..."))), message, re.DOTALL) for line in quoted(project)
    )


def other_system(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sys, "platform", "darwin")


def free_threads(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)


def small_words(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sys, "maxsize", 2**31 - 1)


def refusal(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        runtime.system, "missing", lambda: str(runtime.system._refused("sigaction()", runtime.system._WHY_SIGACTION, 1))
    )


@pytest.mark.parametrize("pretend", [other_system, free_threads, small_words, refusal])
def test_what_refuses_to_start_is_in_the_table(
    project: Path, monkeypatch: pytest.MonkeyPatch, pretend: Callable[[pytest.MonkeyPatch], None]
) -> None:
    with monkeypatch.context() as patch:
        pretend(patch)
        with pytest.raises(runtime.UnsupportedPlatform) as refused:
            runtime.check()
    assert is_quoted(str(refused.value), project)


def test_the_other_messages_of_the_table_are_in_the_source(project: Path) -> None:
    texts = [path.read_text(encoding="utf-8") for path in (project / "vibewasm").rglob("*.py")]
    processor = "vibewasm makes machine code for x86-64 and AArch64, and this processor is"
    for beginning in (processor, "there is no room for another store ("):
        assert any(beginning in text for text in texts), beginning
        assert any(line.startswith(beginning) for line in quoted(project)), beginning


def test_a_message_that_nobody_prints_is_not_taken_for_a_quoted_one(project: Path) -> None:
    assert len(quoted(project)) == 10
    assert is_quoted(FREE_THREADED, project)
    assert not is_quoted("vibewasm runs nowhere", project)


def test_the_list_of_contents_is_the_list_of_sections(project: Path) -> None:
    page = (project / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    assert re.findall(r"^- \[(.*?)\]\(#", page, re.MULTILINE) == re.findall(r"^## (.*)$", page, re.MULTILINE)
