"""Judges many mutants in child processes, so that a crash or hang of the engine is a finding, not the end."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, NamedTuple

from tests.fuzz.corpus import Corpus
from tests.fuzz.judge import Judge, Verdict
from tests.fuzz.make import Made, make
from tests.fuzz.workers import find_all


class Finding(NamedTuple):
    """What came of mutant `number`: a verdict, or a `problem` of the engine.

    A problem is how the process died, that it hung, or an exception that is no `WasmError`.
    """

    number: int
    source: str
    kinds: tuple[str, ...]
    verdict: Verdict | None
    problem: str | None = None


def run(seed: int, indices: range, jobs: int, corpus: Corpus, options: dict[str, Any]) -> Iterator[Finding]:
    """Judges the mutants of `indices`, in no particular order."""

    def start() -> Callable[[int], Finding]:
        judge = Judge(**options)
        return lambda index: find(seed, index, corpus, judge)

    def dead(index: int, problem: str) -> Finding:
        made = make(seed, index, corpus)
        return Finding(index, made.source, made.kinds, None, problem)

    return find_all(start, dead, indices, jobs)


def find(seed: int, index: int, corpus: Corpus, judge: Judge) -> Finding:
    """Makes and judges one mutant in this process."""
    made = make(seed, index, corpus)
    return find_made(seed, index, made, judge)


def find_made(seed: int, index: int, made: Made, judge: Judge) -> Finding:
    """Judges a mutant in this process; what is drawn for its calls depends on `seed` and `index`."""
    try:
        verdict = judge.judge(made, Random(f"calls {seed}:{index}"))
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        file = "/".join(place.filename.rsplit("/", 3)[1:])
        problem = f"{type(error).__name__}: {error} ({file}:{place.lineno} in {place.name})"
        return Finding(index, made.source, made.kinds, None, problem)
    return Finding(index, made.source, made.kinds, verdict)
