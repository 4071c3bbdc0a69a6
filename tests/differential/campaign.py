"""Judges many modules in child processes, so that a crash or a hang of the engine is a finding, not the end."""

from __future__ import annotations

from collections.abc import Callable, Generator

from tests.differential.judge import Finding, Judge
from tests.differential.make import make
from tests.differential.ours import mode_of
from tests.fuzz.workers import find_all


def run(
    seed: int,
    indices: range,
    jobs: int,
    *,
    mode: str | None = None,
    look: bool = False,
    simd: bool = False,
    control: bool = False,
) -> Generator[Finding, None, None]:
    """Judges the modules `indices` of the campaign `seed`, in no particular order.

    `mode` stands for that of each module. With `simd` all modules are rich in vector instructions, with
    `control` they are about exceptions, tail calls and typed references.
    """

    def start() -> Callable[[int], Finding]:
        judge = Judge(look=look, simd=simd, control=control)
        return lambda index: judge.find(seed, index, mode)

    def dead(index: int, problem: str) -> Finding:
        return Finding(index, mode or mode_of(index, simd), make(seed, index, simd, control).source, problem=problem)

    return find_all(start, dead, indices, jobs)
