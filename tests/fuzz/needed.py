"""What the commands that compare with wasmtime say where it is not installed."""

from __future__ import annotations


def not_installed(error: ModuleNotFoundError) -> str:
    """What to do about an import that failed; one that is not of wasmtime is raised again."""
    if (error.name or "").partition(".")[0] != "wasmtime":
        raise error
    return "this compares vibewasm with wasmtime, which is not installed: pip install '.[test]'"
