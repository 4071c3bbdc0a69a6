"""What the README and the command's documentation show is what happens."""

from __future__ import annotations

import doctest
import re
import shlex
import sys
from pathlib import Path

import pytest

from tests.cli.command import command

DOCUMENTS = (
    "README.md",
    "docs/arrays.md",
    "docs/asyncio.md",
    "docs/cli.md",
    "docs/console.md",
    "docs/disasm.md",
    "docs/exceptions.md",
    "docs/guests.md",
    "docs/importing.md",
    "docs/isolation.md",
    "docs/moving-from-wasmtime.md",
    "docs/native.md",
    "docs/numpy.md",
    "docs/objects.md",
    "docs/processes.md",
    "docs/sandboxing.md",
    "docs/security.md",
    "docs/simd.md",
    "docs/troubleshooting.md",
    "docs/wasi-tools.md",
    "docs/wasmtime.md",
    "SECURITY.md",
    "examples/README.md",
)
#: Those with a session of Python's prompt.
SESSIONS = (
    "README.md",
    "docs/arrays.md",
    "docs/asyncio.md",
    "docs/console.md",
    "docs/determinism.md",
    "docs/exceptions.md",
    "docs/fuel.md",
    "docs/importing.md",
    "docs/isolation.md",
    "docs/native.md",
    "docs/numpy.md",
    "docs/objects.md",
    "docs/processes.md",
    "docs/sandboxing.md",
    "docs/security.md",
    "docs/simd.md",
    "docs/troubleshooting.md",
    "docs/wasi-tools.md",
    "docs/wasmtime.md",
)


def blocks(project: Path, document: str, language: str) -> list[str]:
    """The fenced blocks of a language in a document."""
    text = (project / document).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def runs(project: Path) -> list[tuple[str, str]]:
    """Every command that a document shows, with the output that it shows."""
    found: list[tuple[str, str]] = []
    for document in DOCUMENTS:
        for block in blocks(project, document, "console"):
            for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
                line, _, output = part.partition("\n")
                found.append((line, output))
    return found


def test_commands_print_what_the_documents_show(project: Path) -> None:
    shown = runs(project)
    assert len(shown) >= 7
    for line, output in shown:
        name, *words = shlex.split(line)
        assert name == "vibewasm"
        outcome = command(*words, cwd=project)
        printed = (outcome.stdout + outcome.stderr).decode()
        # Where the system lacks a part of the lockdown, it says so.
        assert re.sub(r"^vibewasm: warning: --isolate .*\n", "", printed, flags=re.MULTILINE) == output, line


@pytest.mark.parametrize("document", SESSIONS)
def test_python_examples_do_what_the_documents_show(
    project: Path, monkeypatch: pytest.MonkeyPatch, document: str
) -> None:
    monkeypatch.chdir(project)
    monkeypatch.setattr(sys, "path", [*sys.path])
    # All blocks are one session, as they are to a reader.
    session = "".join(blocks(project, document, "pycon"))
    test = doctest.DocTestParser().get_doctest(session, {}, document, document, 0)
    assert len(test.examples) >= 8
    report: list[str] = []
    outcome = doctest.DocTestRunner(verbose=False).run(test, out=report.append)
    assert outcome.failed == 0, "".join(report)


def test_there_is_one_command_to_start_and_one_to_test(project: Path) -> None:
    start, test = (block.strip() for block in blocks(project, "README.md", "sh"))
    assert start.endswith("vibewasm run examples/hello.wasm")
    assert test.startswith("python3 -m venv ")
    assert " -m pytest -n 2 " in test
    # .ci/run looks for the second one by this.
    (pattern,) = re.findall(r"grep -E '(.*)' README.md", (project / ".ci" / "run").read_text(encoding="utf-8"))
    assert re.findall(pattern + ".*", (project / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert [line for line in (start, test) if re.search(pattern, line)] == [test]


def test_what_a_command_needs_is_said_before_the_command(project: Path) -> None:
    readme = (project / "README.md").read_text(encoding="utf-8")
    before, _, shown = readme.partition("```console\n")
    assert "activate" in before
    assert ".venv/bin/vibewasm`" in before
    before, _, shown = shown.partition("$ vibewasm disasm")
    assert shown
    assert "pip install 'vibewasm[disasm]'" in before


def test_files_that_documents_link_to_exist(project: Path) -> None:
    for document in DOCUMENTS:
        folder = (project / document).parent
        # In code, `](` is no link.
        code = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
        text = code.sub("", (project / document).read_text(encoding="utf-8"))
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
            assert (folder / target).exists(), f"{document} links to {target}"
