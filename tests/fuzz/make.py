"""Mutant number `index` of a campaign: a function of the seed, the index and the corpus."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from tests.fuzz.control import generate_control
from tests.fuzz.corpus import Corpus, parts_of
from tests.fuzz.generate import generate
from tests.fuzz.instructions import NotParsed
from tests.fuzz.mutant import Mutant
from tests.fuzz.mutations import WEIGHTS, WHOLE
from tests.fuzz.operations import NUMERIC, RICH

_MUTATIONS = list(WEIGHTS)
_MUTATION_WEIGHTS = list(WEIGHTS.values())
_ATTEMPTS = 20


class Made(NamedTuple):
    """A mutant: its bytes, where it comes from, and the names of the mutations in order."""

    data: bytes
    source: str
    kinds: tuple[str, ...]


def make(seed: int, index: int, corpus: Corpus) -> Made:
    """Makes mutant `index` of the campaign `seed`."""
    rng = Random(f"{seed}:{index}")
    source = rng.choices(["generated", "programs", "suite", "invalid"], [30, 40, 25, 5])[0]
    seeds: list[bytes] = getattr(corpus, source, [])
    if seeds:
        parts = parts_of(rng.choice(seeds))
    else:
        source, repertoire = "generated", rng.choice([NUMERIC, RICH])
        if rng.random() < 0.6:
            source, parts = "control", generate_control(rng, small=rng.random() < 0.7, repertoire=repertoire)
        else:
            parts = generate(rng, repertoire=repertoire)
    mutant = Mutant(parts, rng, corpus)
    wanted = rng.choices([0, 1, 2, 3, 6], [12 if source in ("generated", "control") else 0, 55, 20, 10, 3])[0]
    kinds: list[str] = []
    for _ in range(_ATTEMPTS):
        if len(kinds) == wanted:
            break
        mutation = rng.choices(_MUTATIONS, _MUTATION_WEIGHTS)[0]
        try:
            changed = bool(mutant.parts.sections) and mutation(mutant)
        except (NotParsed, IndexError):
            # An earlier mutation took away what this one needs; another one is drawn.
            continue
        if changed:
            kinds.append(mutation.__name__)
    data = mutant.parts.encode()
    if rng.random() < 0.03:
        whole = rng.choice(WHOLE)
        data = whole(data, rng)
        kinds.append(whole.__name__)
    return Made(data, source, tuple(kinds) or ("none",))
