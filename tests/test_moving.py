"""What docs/moving-from-wasmtime.md shows is the same with wasmtime-py, our stand-in for it, and our own API."""

from __future__ import annotations

import contextlib
import io
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

import vibewasm.compat.wasmtime as stand_in

GUIDE = Path(__file__).resolve().parents[1] / "docs" / "moving-from-wasmtime.md"
_BLOCK = re.compile(r"^```(python|text)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def patterns() -> dict[str, list[tuple[str, str]]]:
    """The blocks of each section that has some, with their languages."""
    sections = GUIDE.read_text(encoding="utf-8").split("\n## ")[1:]
    found = {section.partition("\n")[0]: _BLOCK.findall(section) for section in sections}
    return {title: blocks for title, blocks in found.items() if blocks}


PATTERNS = patterns()


def output(source: str, title: str) -> str:
    """What a block prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(source, title, "exec"), {"__name__": "__main__"})
    return printed.getvalue()


@pytest.mark.parametrize("title", PATTERNS)
def test_old_and_new_print_what_the_guide_shows(title: str, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wasmtime: ModuleType = pytest.importorskip("wasmtime", reason="wasmtime is not installed: nothing was COMPARED")
    monkeypatch.chdir(project)
    (old, old_source), (new, new_source), (last, shown) = PATTERNS[title]
    assert (old, new, last) == ("python", "python", "text")
    assert "wasmtime" in old_source
    assert "wasmtime" not in new_source
    for implementation in (wasmtime, stand_in):
        monkeypatch.setitem(sys.modules, "wasmtime", implementation)
        assert output(old_source, title) == shown, implementation.__name__
    assert output(new_source, title) == shown


def test_the_guide_has_the_usual_patterns() -> None:
    assert len(PATTERNS) >= 13
