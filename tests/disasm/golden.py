"""Golden listings: ``python -m tests.disasm.golden`` writes those of all targets, to be read before they are kept."""

from __future__ import annotations

from pathlib import Path

import vibewasm
from vibewasm.disasm.machine import targets

FOLDER = Path(__file__).parent / "golden"
SOURCE = FOLDER / "shapes.wat"


def path(target: str) -> Path:
    """Where a target's listing is kept."""
    return FOLDER / f"shapes.{target}.txt"


def listing(target: str) -> str:
    """The listing as it is now."""
    engine = vibewasm.Engine(vibewasm.Config(target=target, explicit_bounds=False))
    return str(vibewasm.Module(engine, SOURCE).disassemble())


def main() -> None:
    """Write all listings."""
    for target in targets():
        path(target).write_text(listing(target), encoding="utf-8")
        print(f"wrote {path(target)}")


if __name__ == "__main__":
    main()
