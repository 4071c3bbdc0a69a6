"""Any bytes as a module: both engines have to accept it or refuse it, and its exports have to do the same in both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from zlib import crc32

from tests.fuzz import corpus
from tests.fuzz.campaign import Finding
from tests.fuzz.corpus import parts_of
from tests.fuzz.instructions import NotParsed
from tests.fuzz.judge import Judge
from tests.fuzz.make import Made, make
from tests.fuzz.mutant import Mutant
from tests.fuzz.mutations import WEIGHTS
from tests.fuzz.report import Report
from tests.guided.altering import LONGEST, altered
from tests.guided.target import Wrong

_SEEDS = 400
_WAYS, _WEIGHTS = [*WEIGHTS], [*WEIGHTS.values()]


def seeds() -> list[bytes]:
    """Modules of the official suite, parts of programs, and generated ones."""
    given = corpus.load()
    found = {make(1, index, given).data for index in range(_SEEDS)}
    return [data for data in sorted(found) if len(data) <= LONGEST]


def start(folder: Path) -> Callable[[bytes], None]:
    """Judge with wasmtime."""
    judge = Judge()

    def run(data: bytes) -> None:
        verdict = judge.judge(Made(data, "guided", ()), Random(crc32(data)))
        report = Report()
        if report.add(Finding(0, "guided", (), verdict)):
            raise Wrong(report.text().partition("crashes, hangs")[2])

    return run


def alter(data: bytes, others: Sequence[bytes], rng: Random) -> bytes:
    """By what the module means, or by its bytes."""
    if rng.random() < 0.7:
        try:
            mutant = Mutant(parts_of(data), rng, corpus.Corpus([], [], []))
            for _ in range(rng.choice((1, 1, 2, 3))):
                rng.choices(_WAYS, _WEIGHTS)[0](mutant)
            return mutant.parts.encode()
        except (NotParsed, IndexError):
            # It cannot be taken apart, or not any more.
            pass
    return altered(data, others, rng)
