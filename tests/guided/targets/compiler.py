"""Bytes as the random numbers of the generator: valid modules, which have to do what they do in wasmtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.differential.judge import Judge
from tests.differential.make import drawn
from tests.differential.ours import MODES
from tests.guided.altering import altered as alter
from tests.guided.drawing import BytesRandom
from tests.guided.target import Wrong

_SEEDS = 150


def seeds() -> list[bytes]:
    """Random numbers."""
    return [Random(index).randbytes(600) for index in range(_SEEDS)]


def start(folder: Path) -> Callable[[bytes], None]:
    """Judge with wasmtime."""
    judges = [Judge(control=control) for control in (False, True)]
    modes = [*MODES]

    def run(data: bytes) -> None:
        # The first bytes say what kind of module it is, and how it is compiled.
        kind, mode = (*data[:2], 0, 0)[:2]
        control = bool(kind & 1)
        made = drawn(BytesRandom(data[2:]), kind >> 1, small=True, simd=mode >= 128, control=control)
        judge = judges[control]
        finding = judge.judge(0, made, modes[mode % len(modes)])
        if finding.nan_bits:
            finding = judge.judge(0, made.with_canonical_nans(), modes[mode % len(modes)])
        if finding.problem or finding.difference:
            raise Wrong(finding.problem or str(finding.difference))

    return run


__all__ = ["alter", "seeds", "start"]
