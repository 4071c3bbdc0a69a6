"""Rules of floats and conversions on vectors compute what the specification says, wherever operands are."""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.native import runs_on
from vibewasm.backends.operand import V128
from vibewasm.backends.types import Rule
from vibewasm.backends.x86_64 import vector_conversions, vector_floats
from vibewasm.opcodes import CODE, signature

from .. import vector_model as model
from .vector_runner import RUNNER, VARIANTS, cases, chosen, configured, in_registers, run_rule

pytestmark = runs_on("x86_64")

RULES: dict[str, Rule] = vector_floats.RULES | vector_conversions.RULES
DETERMINISTIC: dict[str, Rule] = vector_floats.DETERMINISTIC | vector_conversions.DETERMINISTIC


def count(name: str) -> int:
    """How many operands an instruction has."""
    return len(signature(CODE[name])[0])


#: Bits of floats that differ from others in what is done with them.
F32 = (
    *(0, 0x80000000, 1, 0x80000001, 0x7FFFFF, 0x800000, 0x3F800000, 0xBF800000, 0x3F000000, 0xBF000000, 0x3F7FFFFF),
    *(0xBF7FFFFF, 0x3FC00000, 0x40200000, 0xC0200000, 0x7F7FFFFF, 0xFF7FFFFF, 0x7F800000, 0xFF800000),
    *(0x7FC00000, 0xFFC00000, 0x7F800001, 0xFFA00000, 0x7FC12345, 0xFFFFFFFF, 0x7FFFFFFF),
    *(0x4EFFFFFF, 0x4F000000, 0x4F000001, 0xCF000000, 0xCF000001, 0xCEFFFFFF, 0x4F7FFFFF, 0x4F800000, 0x4F800001),
    *(0x4B000000, 0x4B000001, 0x4AFFFFFF, 0xCAFFFFFF, 0x4B7FFFFF, 0xC0A00000, 0x40A00000, 0x42280000),
)
F64 = (
    *(0, 1 << 63, 1, 1 << 63 | 1, 0x000FFFFF_FFFFFFFF, 0x00100000_00000000, 0x3FF00000_00000000, 0xBFF00000_00000000),
    *(0x3FE00000_00000000, 0xBFE00000_00000000, 0x3FEFFFFF_FFFFFFFF, 0xBFEFFFFF_FFFFFFFF, 0x40040000_00000000),
    *(0x7FEFFFFF_FFFFFFFF, 0xFFEFFFFF_FFFFFFFF, 0x7FF00000_00000000, 0xFFF00000_00000000),
    *(0x7FF80000_00000000, 0xFFF80000_00000000, 0x7FF00000_00000001, 0xFFF40000_00000000, 0xFFFFFFFF_FFFFFFFF),
    *(0x41DFFFFF_FFC00000, 0x41DFFFFF_FFFFFFFF, 0x41E00000_00000000, 0xC1E00000_00000000, 0xC1E00000_00200000),
    *(0xC1E00000_001FFFFF, 0x41EFFFFF_FFE00000, 0x41EFFFFF_FFFFFFFF, 0x41F00000_00000000, 0x41F00000_00100000),
    *(0x41E00000_00300000, 0x43300000_00000000, 0x43300000_00000001, 0x432FFFFF_FFFFFFFF, 0x4045_0000_0000_0000),
    # What f32 rounds: halfway cases, and the edges of its range.
    *(0x3FF00000_10000000, 0x3FF00000_30000000, 0x47EFFFFF_E0000000, 0x47EFFFFF_F0000000, 0x47EFFFFF_EFFFFFFF),
    *(0x36A00000_00000000, 0x36900000_00000000, 0x36900000_00000001, 0x380FFFFF_E0000000),
)
I32 = (
    *(0, 1, 0x7FFFFFFF, 0x80000000, 0x80000001, 0xFFFFFFFF, 0xFFFFFF80, 0xFFFFFF7F, 0x01000001, 0x01000003, 0x10000),
    *(0xFFFF, 0x8000, 0x7FFFFFC0, 0x7FFFFFBF, 0x80000080, 0x80000081, 0xFEFFFFFF, 0x02000002),
)


def lane(bits: int) -> st.SearchStrategy[int]:
    """Bits of a lane: special ones more often than others."""
    special = F32 + I32 if bits == 32 else F64
    return st.one_of(st.sampled_from(special), st.sampled_from(special), st.integers(0, (1 << bits) - 1))


def vectors(bits: int) -> st.SearchStrategy[int]:
    lanes = st.lists(lane(bits), min_size=128 // bits, max_size=128 // bits)
    return lanes.map(lambda found: model.join(found, bits))


def width(name: str) -> int:
    """Bits of the operands' lanes."""
    return 64 if (name.startswith("f64x2") and "low" not in name) or "f64x2" in name.split(".")[1] else 32


def drawn(name: str, number: int) -> list[tuple[int, ...]]:
    """Operands of an instruction, the same in each run."""
    bits = width(name)
    special = F32 + I32 if bits == 32 else F64
    source = random.Random(name)

    def one() -> int:
        found = source.choices([*special, source.getrandbits(bits)], k=128 // bits)
        return model.join(found, bits)

    return [tuple(one() for _ in range(count(name))) for _ in range(number)]


@pytest.fixture(params=VARIANTS, name="variant", autouse=True, scope="module")
def _variant(request: pytest.FixtureRequest) -> Iterator[str]:
    with configured(request.param):
        yield request.param


# The model computes with fractions.
@functools.lru_cache(maxsize=1 << 12)
def _expected(name: str, values: tuple[int, ...], deterministic: bool) -> model.Expected:
    return model.expected(name, *values, deterministic=deterministic)


def judge(name: str, values: tuple[int, ...], got: int, deterministic: bool) -> None:
    allowed = _expected(name, values, deterministic)
    assert allowed.accepts(got), f"{name}{tuple(map(hex, values))} gave {got:#034x}, not {allowed}"


ALL = [(name, RULES[name], False) for name in RULES] + [(name, DETERMINISTIC[name], True) for name in DETERMINISTIC]
IDS = [name + "-deterministic" * deterministic for name, _, deterministic in ALL]


@pytest.mark.parametrize(("name", "rule", "deterministic"), ALL, ids=IDS)
def test_every_place_of_the_operands_gives_the_same_right_results(name: str, rule: Rule, deterministic: bool) -> None:
    values = itertools.cycle(drawn(name, 23))
    for case in cases([V128] * count(name), V128, 160, seed=7):
        choice = chosen(rule, case)
        RUNNER.load(choice[0], choice[3])
        for _ in range(2):
            given_values = tuple(case.values(next(values)))
            judge(name, given_values, run_rule(case, choice, given_values), deterministic)


@pytest.mark.parametrize(("name", "rule", "deterministic"), ALL, ids=IDS)
@pytest.mark.ci
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_drawn_values_give_what_the_specification_says(
    name: str, rule: Rule, deterministic: bool, data: st.DataObject
) -> None:
    values = data.draw(st.tuples(*[vectors(width(name))] * count(name)))
    case = next(iter(cases([V128] * count(name), V128, 1, seed=3)))
    choice = chosen(rule, case)
    RUNNER.load(choice[0], choice[3])
    given_values = tuple(case.values(values))
    judge(name, given_values, run_rule(case, choice, given_values), deterministic)


#: Instructions for which special values matter in pairs.
PAIRED = [
    name for name in RULES if name.split(".")[1] in ("min", "max", "pmin", "pmax", "eq", "ne", "lt", "gt", "le", "ge")
]


def special_pairs(bits: int) -> list[tuple[int, int]]:
    """Vectors in which each special float meets each other one."""
    pairs = list(itertools.product(F32 if bits == 32 else F64, repeat=2))
    count = 128 // bits
    pairs += pairs[: -len(pairs) % count]
    found = []
    for at in range(0, len(pairs), count):
        first, second = zip(*pairs[at : at + count], strict=True)
        found.append((model.join(first, bits), model.join(second, bits)))
    return found


@pytest.mark.parametrize("name", PAIRED)
def test_each_pair_of_special_floats_gives_what_the_specification_says(name: str) -> None:
    case = in_registers(2)
    choice = chosen(RULES[name], case)
    RUNNER.load(choice[0], choice[3])
    for pair in special_pairs(width(name)):
        judge(name, pair, run_rule(case, choice, pair), False)


@pytest.mark.parametrize("shape", ["f32x4", "f64x2"])
def test_relaxed_instructions_choose_the_same_way_in_all_cases(shape: str) -> None:
    """The parameters of the specification are global: the second operand for NaN and zeros of different signs."""
    bits = model.BITS[shape]
    nan, zero, negative, one = (
        (0x7FC00000, 0, 1 << 31, 0x3F800000) if bits == 32 else (0x7FF8 << 48, 0, 1 << 63, 0x3FF << 52)
    )
    for first, second in ((nan, one), (one, nan), (zero, negative), (negative, zero)):
        values = [model.join([lane] * (128 // bits), bits) for lane in (first, second)]
        for name in ("relaxed_min", "relaxed_max"):
            for case in cases([V128, V128], V128, 40, seed=5):
                if case.values(values) != values:
                    continue
                choice = chosen(RULES[f"{shape}.{name}"], case)
                RUNNER.load(choice[0], choice[3])
                assert run_rule(case, choice, values) == values[1]


def test_relaxed_truncations_to_unsigned_give_one_number_for_all_that_is_out_of_range(variant: str) -> None:
    for name, values, count in (
        ("i32x4.relaxed_trunc_f32x4_u", (0x7FC00000, 0xBF800000, 0xC0A00000, 0x4F800000, 0xFF800000, 0x7F800000), 4),
        (
            "i32x4.relaxed_trunc_f64x2_u_zero",
            (0x7FF8 << 48, 0xBFF << 52, 0xC014 << 48, 0x41F << 52, 0xFFF << 52, 0x7FF << 52),
            2,
        ),
    ):
        case = in_registers(1)
        choice = chosen(RULES[name], case)
        RUNNER.load(choice[0], choice[3])
        for bits in values:
            got = run_rule(case, choice, [model.join([bits] * count, 128 // count)])
            if variant == "baseline":
                judge(name, (model.join([bits] * count, 128 // count),), got, True)
            else:
                assert got == model.join([1 << 31] * count, 32)
