"""The kernels: programs that use SIMD, of which README.md tells."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def expected() -> dict[str, bytes]:
    """What each kernel has to print, by its name."""
    lines = (FOLDER / "expected.txt").read_bytes().splitlines(keepends=True)
    return {line.split()[0].decode(): line for line in lines}
