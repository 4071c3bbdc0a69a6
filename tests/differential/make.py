"""Module number `index` of a campaign: a function of the seed and the index."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from tests.differential import grid
from tests.fuzz.control import generate_control
from tests.fuzz.generate import REFUEL, generate
from tests.fuzz.instructions import read_uleb
from tests.fuzz.nans import CANONICAL, with_nans
from tests.fuzz.numbers import ALL_ONES, I32, WIDTHS, constant, splat
from tests.fuzz.operations import NUMERIC, RICH
from tests.fuzz.parts import EXPORT, FUNC_KIND, Index, Parts
from tests.fuzz.steps import Step
from tests.fuzz.surface import name_of_type
from tests.spec.values import Value

# Every so many modules one is of the grid, the others are random; and so where all modules have vectors.
_GRID_EVERY = 8
_VECTOR_GRID_EVERY = 4
# Of the others, those with this remainder have vectors as well.
_VECTORS_AT = 5
_CALLS = 4
_ADDRESSES = [0, 0, 1, 2, 3, 4, 5, 6, 8, 100, 0xFFF8, 0xFFFC, 0xFFFE, 0xFFFF, 0x1_0000, 0xFFFF_FFFC, 0xFFFF_FFFF]

_EDGES = {
    0x7F: [0, 1, 0xFFFF_FFFF, 0x8000_0000, 0x7FFF_FFFF],
    0x7E: [0, 1, (1 << 64) - 1, 1 << 63, (1 << 63) - 1],
    0x7D: [0, 0x8000_0000, 0x3F80_0000, 0x7F80_0000, 0x7FC0_0000],
    0x7C: [0, 1 << 63, 0x3FF0 << 48, 0x7FF0 << 48, 0x7FF8 << 48],
    0x7B: [0, ALL_ONES, splat(0x80, 8), splat(0x8000, 16), splat(1 << 31, 32), splat(0x7FFF, 16),
           int.from_bytes(bytes(range(0x78, 0x88)), "little")],
}  # fmt: skip


class Made(NamedTuple):
    """A module, where it comes from, whether all NaNs that it makes are canonical, and what is to be called."""

    data: bytes
    source: str
    canonical: bool
    steps: list[Step]

    def with_canonical_nans(self) -> Made:
        """The same, making canonical NaNs only."""
        return self._replace(data=with_nans(self.data, CANONICAL), canonical=True)


def make(seed: int, index: int, simd: bool = False, control: bool = False) -> Made:
    """Makes module `index` of the campaign `seed`: one that is rich in vector instructions if `simd`, and about
    exceptions, tail calls and typed references if `control`.
    """
    campaign = f"differential{' simd' * simd}{' control' * control}"
    return drawn(Random(f"{campaign} {seed}:{index}"), index, simd=simd, control=control)


def drawn(rng: Random, index: int, *, small: bool = False, simd: bool = False, control: bool = False) -> Made:
    """Makes a module of the given random numbers: number `index` says of which kind."""
    if control:
        vectors = simd or index % _GRID_EVERY == _VECTORS_AT
        parts = generate_control(rng, small=small, repertoire=RICH if vectors else NUMERIC)
        made = Made(parts.encode(), "control", False, plan(rng, parts))
        return made.with_canonical_nans() if index % 2 else made
    every = _VECTOR_GRID_EVERY if simd else _GRID_EVERY
    number, remainder = divmod(index, every)
    repertoire = RICH if simd or remainder == _VECTORS_AT else NUMERIC
    if remainder == 0:
        source = f"grid {number % (grid.VECTOR_COUNT if simd else grid.COUNT)}"
        parts = grid.generate_grid(rng, number, repertoire)
    else:
        source = "random"
        parts = generate(rng, small=small, repertoire=repertoire)
    made = Made(parts.encode(), source, False, plan(rng, parts))
    # Raw NaNs show more, where they are the same in both engines; canonical ones are always to be the same.
    return made.with_canonical_nans() if number % 2 else made


def plan(rng: Random, parts: Parts) -> list[Step]:
    """Calls of all exported functions with arguments at the edges, each after the fuel has been filled up."""
    index = Index(parts)
    functions: list[tuple[str, bytes]] = []
    for item in parts.items(EXPORT):
        size, start = read_uleb(item, 0)
        name = item[start : start + size].decode()
        if item[start + size] == FUNC_KIND and name != REFUEL:
            functions.append((name, index.signature(read_uleb(item, start + size + 1)[0]).params))
    steps: list[Step] = []
    for name, params in functions:
        for _ in range(_CALLS if params else 1):
            steps += [Step(REFUEL, []), Step(name, [_argument(rng, type_) for type_ in params])]
    return steps


def _argument(rng: Random, type_: int) -> Value:
    name = name_of_type(type_)
    if name == "funcref":
        return name, None
    if type_ not in WIDTHS:
        return name, rng.choice([None, 1, 2])
    kind = rng.random()
    if type_ == I32 and kind < 0.4:
        return name, rng.choice(_ADDRESSES)
    if kind < 0.6:
        # From so few that pairs of them come up.
        return name, rng.choice(_EDGES[type_])
    return name, constant(rng, type_).immediates[0] & ((1 << WIDTHS[type_]) - 1)
