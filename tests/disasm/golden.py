"""Golden listings: ``python -m tests.disasm.golden`` writes those of all targets, to be read before they are kept.

It also writes what the README and ``docs/disasm.md`` show, where a change of the compiler shows as well.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import vibewasm
from tests.cli.command import command
from vibewasm.backends import TARGETS

FOLDER = Path(__file__).parent / "golden"
SOURCE = FOLDER / "shapes.wat"
PROJECT = Path(__file__).resolve().parents[2]
DOCUMENTS = (PROJECT / "README.md", PROJECT / "docs" / "disasm.md")


def path(target: str) -> Path:
    """Where a target's listing is kept."""
    return FOLDER / f"shapes.{target}.txt"


def listing(target: str) -> str:
    """The listing as it is now."""
    engine = vibewasm.Engine(vibewasm.Config(target=target, explicit_bounds=False))
    return str(vibewasm.Module(engine, SOURCE).disassemble())


def _run(match: re.Match[str]) -> str:
    """A block of a document, with what its command prints now."""
    name, *words = shlex.split(match[1])
    assert name == "vibewasm"
    return f"```console\n$ {match[1]}\n{command(*words, cwd=PROJECT).stdout.decode()}```\n"


def main() -> None:
    """Write all listings."""
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        shown = r"```console\n\$ (vibewasm disasm [^\n]*)\n.*?```\n"
        document.write_text(re.sub(shown, _run, text, flags=re.DOTALL), encoding="utf-8")
        print(f"wrote {document}")
    for target in TARGETS:
        path(target).write_text(listing(target), encoding="utf-8")
        print(f"wrote {path(target)}")


if __name__ == "__main__":
    main()
