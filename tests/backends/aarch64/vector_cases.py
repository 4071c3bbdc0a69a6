"""Rules of vector instructions applied to operands in every kind of place, as cases to run, and judged."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import strategies as st

from tests.backends.vector_model import BITS, Expected, join
from vibewasm.backends.aarch64.selection import Selection
from vibewasm.backends.aarch64.target import TARGET as target
from vibewasm.backends.operand import (
    ALL_ONES,
    CONSTANT,
    I32,
    LITERAL,
    V128,
    Operand,
    constant,
    frame_local,
    is_float,
    pinned_local,
    register,
    slot,
)

from . import vector_machine
from .vector_machine import Case, Outcome, untouched_int, untouched_vector

Operands = Sequence[Operand]
Values = Sequence[int]

#: For tests that run code.
runs = [
    pytest.mark.ci,
    pytest.mark.skipif(bool(vector_machine.missing()), reason=vector_machine.missing()),
]

#: Frame offsets near, and out of reach of one instruction.
NEAR, FAR = 64, 0x10000
#: The first pinned registers of each class, and one that no operand is in.
_PINNED_INT, _PINNED_FLOAT, _OTHER_FLOAT = 19, 8, 20
#: What a choice may change without a word.
_SCRATCH_INTS, _SCRATCH_FLOATS = {16, 17}, {30, 31}


#: A vector constant that takes instructions.
MADE = constant(V128, 0x0123_4567_89AB_CDEF_0011_2233_4455_6677)


# -- values ----------------------------------------------------------------------------------------------------------

_EDGES = {
    # Zeros, the least and the largest subnormals and normals, infinities, NaNs that are quiet, canonical and signaling,
    # halves, numbers around one, and around the limits of integers.
    "f32": [
        *(0x0000_0000, 0x0000_0001, 0x007F_FFFF, 0x0080_0000, 0x7F7F_FFFF, 0x7F80_0000, 0x7FC0_0000, 0x7FC0_0001),
        *(0x7F80_0001, 0x7FA0_0000, 0x3F00_0000, 0x3FC0_0000, 0x4020_0000, 0x3F7F_FFFF, 0x3F80_0000, 0x3EFF_FFFF),
        *(0x4B00_0001, 0x4AFF_FFFF, 0x4EFF_FFFF, 0x4F00_0000, 0x4F7F_FFFF, 0x4F80_0000, 0x5F00_0000, 0x5F80_0000),
    ],
    "f64": [
        *(0x0000_0000_0000_0000, 0x0000_0000_0000_0001, 0x000F_FFFF_FFFF_FFFF, 0x0010_0000_0000_0000),
        *(0x7FEF_FFFF_FFFF_FFFF, 0x7FF0_0000_0000_0000, 0x7FF8_0000_0000_0000, 0x7FF8_0000_0000_0001),
        *(0x7FF0_0000_0000_0001, 0x7FF4_0000_0000_0000, 0x3FE0_0000_0000_0000, 0x3FF8_0000_0000_0000),
        *(0x4004_0000_0000_0000, 0x3FEF_FFFF_FFFF_FFFF, 0x3FF0_0000_0000_0000, 0x3FDF_FFFF_FFFF_FFFF),
        *(0x4330_0000_0000_0001, 0x432F_FFFF_FFFF_FFFF, 0x41DF_FFFF_FFC0_0000, 0x41DF_FFFF_FFFF_FFFF),
        *(0x41E0_0000_0000_0000, 0x41E0_0000_0010_0000, 0x41EF_FFFF_FFE0_0000, 0x41EF_FFFF_FFFF_FFFF),
        *(0x41F0_0000_0000_0000, 0x43E0_0000_0000_0000, 0x43F0_0000_0000_0000, 0x36A0_0000_0000_0000),
        *(0x3690_0000_0000_0001, 0x47EF_FFFF_E000_0000, 0x47EF_FFFF_F000_0000, 0x3810_0000_0000_0000),
    ],
}


def lanes(shape: str) -> st.SearchStrategy[int]:
    """What a lane of a shape may be: what is at an edge, near it, and anything."""
    bits = BITS[shape]
    edges = _EDGES.get(f"f{bits}", []) if shape[0] == "f" else [0, 1, (1 << bits - 1) - 1]
    top = 1 << bits - 1
    signs = st.sampled_from((0, top))
    near = st.tuples(st.sampled_from(edges), st.integers(-2, 2), signs).map(
        lambda drawn: (drawn[0] + drawn[1] ^ drawn[2]) & 2 * top - 1
    )
    at = st.tuples(st.sampled_from(edges), signs).map(lambda drawn: drawn[0] ^ drawn[1])
    # Numbers of like size, whose sums and products are rounded in every way.
    bias = 0x3F80_0000 if bits == 32 else 0x3FF0_0000_0000_0000
    like = st.tuples(st.integers(bias - (bias >> 4), bias + (bias >> 4)), signs).map(sum)
    return at | near | like | st.integers(0, 2 * top - 1)


def vectors(shape: str) -> st.SearchStrategy[int]:
    """A vector of these lanes."""
    bits = BITS[shape]
    return st.lists(lanes(shape), min_size=128 // bits, max_size=128 // bits).map(lambda drawn: join(drawn, bits))


# -- places ----------------------------------------------------------------------------------------------------------


def places(type_: int, number: int) -> list[Operand]:
    """The places of the operand with this number; LITERAL stands for any vector constant."""
    pinned = _PINNED_FLOAT if is_float(type_) else _PINNED_INT
    found = [
        register(type_, number),
        pinned_local(type_, pinned + number),
        frame_local(type_, NEAR + 16 * number),
        slot(type_, FAR + 16 * number),
    ]
    if number:
        # The same local as the first operand.
        found.append(pinned_local(type_, pinned))
    if type_ == V128:
        found += [LITERAL, MADE, constant(V128, 0), constant(V128, ALL_ONES)]
    return found


def combinations(types: Sequence[int], first: int = 0) -> Iterator[tuple[Operand, ...]]:
    """Operands of these types in all combinations of places, at most one of them a constant."""
    for operands in itertools.product(*[places(type_, first + number) for number, type_ in enumerate(types)]):
        if [operand.kind for operand in operands].count(CONSTANT) <= 1:
            yield operands


def sinks(operands: Operands) -> list[Operand | None]:
    """No destination, a pinned local of its own, and those that operands are in."""
    found: list[Operand | None] = [None, pinned_local(V128, _OTHER_FLOAT)]
    found += {operand: None for operand in operands if operand.type == V128 and not operand.bit and operand.reg >= 0}
    return found


def fewest(operands: Operands, upwards: bool) -> int:
    """Free temporaries at their fewest: all but two of each class in use, the operands' own among them."""
    used = 0
    for operand in operands:
        used |= operand.bit
    for mask in (target.INT_TEMPORARIES, target.FLOAT_TEMPORARIES):
        bits = [1 << number for number in range(32) if mask >> number & 1]
        for bit in bits if upwards else reversed(bits):
            if (used & mask).bit_count() < len(bits) - 2:
                used |= bit
    return target.ALL_FREE & ~used


def put(case: Case, operand: Operand, value: int) -> int:
    """Let the operand have a value, and return the one that it has: a constant may have one of its own."""
    if operand.kind == CONSTANT and operand is not LITERAL:
        return operand.value
    if operand.reg >= 0:
        registers = case.vectors if is_float(operand.type) else case.ints
        # Two operands may be the same local.
        return registers.setdefault(operand.reg, value)
    if operand is not LITERAL:
        case.frame[operand.offset] = value
    return value


def selection(free: int, operands: Operands) -> Selection:
    """What a rule gets: constants lie beside the code, but where an operand is one that it has to make."""
    made = Selection(free)
    if MADE not in operands:
        made.literals = []
    return made


class Applied:
    """What a rule made of a :func:`selection`: its code and its result."""

    def __init__(
        self, selection: Selection, free: int, code: bytes, result: Operand | None, operands: Operands, values: Values
    ) -> None:
        self.result = result
        own = 0
        for operand in operands:
            own |= operand.bit
        kept = self.result.bit if self.result is not None else 0
        assert selection.free | selection.released == (free | own) & ~kept
        self.case = Case(code)
        self.values = [put(self.case, operand, value) for operand, value in zip(operands, values, strict=True)]
        literal = [value for operand, value in zip(operands, self.values, strict=True) if operand is LITERAL]
        self.case.literals = [(end, literal[0] if bits is None else bits) for end, bits in selection.literals or ()]
        self.what = f"{operands} to {self.result}, {free=:#x}, {code.hex()}"

    def check(self, outcome: Outcome, expected: Expected | None) -> None:
        """The result is one that is allowed, and all else is as it was."""
        where = self.result.reg if self.result is not None else -1
        if expected is not None:
            assert self.result is not None
            assert self.result.type == V128
            got = outcome.vectors[where]
            assert expected.accepts(got), (
                f"{self.what}: {[hex(one) for one in self.values]} gave {got:#034x}, {expected}"
            )
        changed = [
            f"v{reg}"
            for reg, value in enumerate(outcome.vectors)
            if reg != where
            and reg not in _SCRATCH_FLOATS
            and value != self.case.vectors.get(reg, untouched_vector(reg))
        ]
        changed += [
            f"x{reg}"
            for reg, value in enumerate(outcome.ints)
            if reg not in _SCRATCH_INTS and value != self.case.ints.get(reg, untouched_int(reg))
        ]
        assert not changed, self.what
        assert not outcome.elsewhere, self.what


def index(value: int, number: int = 0) -> list[tuple[Operand, int]]:
    """An index in every kind of place, with the value that it has there."""
    found = [(place, value) for place in places(I32, number)]
    return [*found, (constant(I32, value), value)] if value else found
