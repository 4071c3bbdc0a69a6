"""Rules of vectors as bits, of lanes, shuffles and integers: run on drawn operands, against the model."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.backends import vector_model as model
from vibewasm.backends.operand import (
    CONSTANT,
    F32,
    F64,
    FLAGS,
    I32,
    I64,
    LITERAL,
    V128,
    WANT_FLAGS,
    Operand,
    constant,
    is_float,
    pinned_local,
    register,
    slot,
)
from vibewasm.backends.types import Rule
from vibewasm.backends.x86_64 import (
    asm,
    vector_bits,
    vector_integers,
    vector_lanes,
    vector_products,
    vector_shuffles,
)
from vibewasm.backends.x86_64.target import TARGET as target
from vibewasm.opcodes import CODE, row_of

from .vector_runner import ALL, RUNNER, VARIANTS, Case, cases, chosen, configured, run_rule

RULES: dict[str, Rule] = {**vector_bits.RULES, **vector_lanes.RULES, **vector_integers.RULES}
DETERMINISTIC: dict[str, Rule] = {
    **vector_bits.DETERMINISTIC,
    **vector_lanes.DETERMINISTIC,
    **vector_integers.DETERMINISTIC,
}
SHIFTS = [name for name in RULES if name.endswith((".shl", ".shr_s", ".shr_u"))]
CHECKS = [name for name in RULES if name.endswith(("_true", ".bitmask"))]
TYPES = {"v": V128, "i": I32, "l": I64, "f": F32, "d": F64}
BITS = {V128: 128, I32: 32, I64: 64, F32: 32, F64: 64}
#: What goes wrong first: zeros, ones, the least and the greatest of each width.
_EDGES = (0x00, 0x01, 0x7F, 0x80, 0x81, 0xFE, 0xFF)


@pytest.fixture(autouse=True, params=VARIANTS, scope="module")
def _processor(request: pytest.FixtureRequest) -> Iterator[None]:
    with configured(request.param):
        yield


def signature(name: str) -> tuple[list[int], int]:
    """The types of an instruction's operands, and of its result."""
    row = row_of(CODE[name])
    assert row is not None
    assert row[3] is not None
    assert row[4] is not None
    return [TYPES[letter] for letter in row[3]], TYPES[row[4]]


def draw(rng: random.Random, type_: int) -> int:
    """Bits of a value, whose bytes are often at an edge."""
    size = BITS[type_] // 8
    way = rng.randrange(4)
    if way == 0:
        return rng.getrandbits(8 * size)
    if way == 1:
        return int.from_bytes(bytes(rng.choice(_EDGES) for _ in range(size)), "little")
    # Lanes of one width that are all at an edge: the least, the greatest, and those next to 0.
    width = rng.choice([bits for bits in (8, 16, 32, 64) if bits <= 8 * size])
    edges = [0, 1, -1, 1 << width - 1, (1 << width - 1) - 1, (1 << width - 1) + 1, 1 << width // 2]
    return model.join([rng.choice(edges) for _ in range(8 * size // width)], width)


def lanes_of(name: str) -> list[int]:
    """The lanes that an instruction may name."""
    row = row_of(CODE[name])
    assert row is not None
    return [*range(128 // model.BITS[name.split(".")[0]])] if "lane" in row[2] else []


def check(name: str, rule: Rule, case: Case, rng: random.Random, deterministic: bool = False) -> None:
    """Run a rule's code for a case on a few drawn values."""
    types, _ = signature(name)
    lanes = lanes_of(name)
    immediates = [rng.choice(lanes)] if lanes else []
    choice = chosen(rule, case, *immediates)
    RUNNER.load(choice[0], choice[3])
    for _ in range(3):
        values = case.values([draw(rng, type_) for type_ in types])
        expected = model.expected(name, *values, *immediates, deterministic=deterministic)
        got = run_rule(case, choice, values)
        # What is above a lane in its register does not matter.
        got &= (1 << expected.bits * len(expected.lanes)) - 1
        assert expected.accepts(got), (case, [hex(value) for value in values], immediates, hex(got), expected)


def all_cases(name: str, count: int) -> Iterator[Case]:
    types, result = signature(name)
    for case in cases(types, result, count, seed=len(name)):
        # No place has values of two types.
        held = {(is_float(one.type), one.reg, one.offset): one for one in case.operands if one.kind != CONSTANT}
        if len(held) == len({*case.operands} - {one for one in case.operands if one.kind == CONSTANT}):
            yield case
    # Scalars may be constants too.
    for at, type_ in enumerate(types):
        if type_ != V128:
            for value in (0, 5, 0x8000_0000, 0x7FC0_1234):
                for first in (register(V128, 3), pinned_local(V128, 9), slot(V128, -48)):
                    operands = [first] * at + [constant(type_, value)]
                    own = sum(operand.bit for operand in operands)
                    sinks: list[Operand | None] = [None, pinned_local(result, 9)]
                    yield from [Case(tuple(operands), ALL & ~own, sink) for sink in sinks]


@pytest.mark.parametrize("name", [name for name in RULES if name not in {*SHIFTS, "v128.select"}])
def test_a_rule_computes_what_the_model_says(name: str) -> None:
    rng = random.Random(name)
    for case in all_cases(name, 24):
        check(name, RULES[name], case, rng)


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_a_deterministic_rule_computes_what_every_processor_has_to(name: str) -> None:
    rng = random.Random(name)
    for case in all_cases(name, 24):
        check(name, DETERMINISTIC[name], case, rng, deterministic=True)


@pytest.mark.parametrize("name", SHIFTS)
def test_a_shift_takes_its_count_modulo_the_width(name: str) -> None:
    rng = random.Random(name)
    for case in cases([V128, I32], V128, 30, seed=1):
        check(name, RULES[name], case, rng)


@pytest.mark.parametrize("name", SHIFTS)
def test_a_shift_by_a_constant_claims_no_general_register(name: str) -> None:
    rng = random.Random(name)
    ints = target.INT_TEMPORARIES
    for count in range(model.BITS[name.split(".")[0]]):
        for first in (register(V128, 3), pinned_local(V128, 9), slot(V128, -48), LITERAL, constant(V128, 0)):
            for sink in (None, pinned_local(V128, 9), pinned_local(V128, 12)):
                case = Case((first, constant(I32, count)), target.FLOAT_TEMPORARIES & ~first.bit & ~ints, sink)
                check(name, RULES[name], case, rng)


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_leaves_whether_it_is_not_zero_in_the_flags(name: str) -> None:
    rng = random.Random(name)
    for case in cases([V128], None, 30, seed=2):
        code, result, free, literals = chosen(RULES[name], Case(case.operands, case.free, WANT_FLAGS))
        assert result.kind == FLAGS
        # The flags as a number, in a register that no operand has.
        code += asm.setcc(result.value, 13) + asm.movzx8_rr(13, 13)
        RUNNER.load(code, literals)
        for _ in range(8):
            values = case.values([rng.choice([0, (1 << 128) - 1, draw(rng, V128)])])
            before, literal = case.state(values)
            after = RUNNER.run(before, literal)
            assert after.general[13] == (model.expected(name, *values).value != 0), (case, hex(values[0]))
            after.general[13] = before.general[13]
            case.check_kept(before, after, free, None)


def test_select_takes_the_first_where_its_condition_is_not_zero() -> None:
    rng = random.Random(1)
    for case in cases([V128, V128, I32], V128, 300, seed=3):
        # ``select`` never has a literal: its vectors are in registers by then, or constants that need none.
        if LITERAL in case.operands:
            continue
        choice = chosen(RULES["v128.select"], case)
        RUNNER.load(choice[0], choice[3])
        for condition in (0, 1, 0x8000_0000):
            values = case.values([draw(rng, V128), draw(rng, V128), condition])
            assert run_rule(case, choice, values) == values[0 if values[2] else 1], case


# -- shuffles --------------------------------------------------------------------------------------------------------


def masks() -> st.SearchStrategy[bytes]:
    """Masks of any kind: drawn bytes, lanes of a width in any order, and what stays in its place."""
    anything = st.binary(min_size=16, max_size=16).map(lambda data: bytes(byte % 32 for byte in data))
    of_one = st.binary(min_size=16, max_size=16).map(lambda data: bytes(byte % 16 for byte in data))

    def wide(width: int) -> st.SearchStrategy[bytes]:
        lanes = st.lists(st.integers(0, 32 // width - 1), min_size=16 // width, max_size=16 // width)
        return lanes.map(lambda units: bytes(unit * width + at for unit in units for at in range(width)))

    rotated = st.integers(0, 31).map(lambda first: bytes((first + at) % 32 for at in range(16)))
    blended = st.lists(st.booleans(), min_size=16, max_size=16).map(
        lambda places: bytes(at + 16 * second for at, second in enumerate(places))
    )
    known = st.sampled_from([*vector_shuffles._UNPACKS, *vector_shuffles._DOUBLED])
    exchanged = known.map(lambda mask: bytes(lane ^ 16 for lane in mask))
    return st.one_of(anything, of_one, wide(2), wide(4), wide(8), rotated, blended, known, exchanged)


SHUFFLES = [*cases([V128, V128], V128, 10_000, seed=4)]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mask=masks(), numbers=st.lists(st.integers(0, len(SHUFFLES) - 1), min_size=6, max_size=6), seed=st.integers())
@example(mask=bytes(range(16)), numbers=[*range(0, len(SHUFFLES), 8)], seed=1)
@example(mask=bytes(range(16, 32)), numbers=[*range(0, len(SHUFFLES), 8)], seed=1)
def test_a_shuffle_takes_the_bytes_that_its_mask_names(mask: bytes, numbers: list[int], seed: int) -> None:
    rng = random.Random(seed)
    for number in numbers:
        case = SHUFFLES[number]
        choice = chosen(vector_shuffles.shuffle, case, mask)
        RUNNER.load(choice[0], choice[3])
        values = case.values([rng.getrandbits(128), rng.getrandbits(128)])
        wanted = model.expected("i8x16.shuffle", *values, mask).value
        assert run_rule(case, choice, values) == wanted, (case, [*mask])


ZEROED = [
    *[(bytes([*range(count, 16), *[16] * count])) for count in range(1, 16)],
    *[(bytes([*[20] * count, *range(16 - count)])) for count in range(1, 16)],
    *[bytes(16 + lane % 16 if lane == 0x80 else lane for lane in mask) for mask in vector_shuffles._ZERO_EXTENSIONS],
]


@pytest.mark.parametrize("mask", ZEROED, ids=lambda mask: " ".join(map(str, mask)))
def test_a_shuffle_with_zeros_is_one_instruction_without_a_constant(mask: bytes) -> None:
    a = pinned_local(V128, 9)
    for operands, lanes in (
        ((a, constant(V128, 0)), mask),
        ((constant(V128, 0), a), bytes(lane ^ 16 for lane in mask)),
    ):
        case = Case(operands, ALL, pinned_local(V128, 9))
        choice = chosen(vector_shuffles.shuffle, case, lanes)
        assert choice[3] == []
        assert 0 < len(choice[0]) <= 6
        RUNNER.load(choice[0], choice[3])
        values = case.values([random.Random(1).getrandbits(128)] * 2)
        assert run_rule(case, choice, values) == model.expected("i8x16.shuffle", *values, lanes).value


def _mask(text: str) -> bytes:
    return bytes(map(int, text.split()))


@pytest.mark.parametrize(
    ("mask", "mnemonic"),
    [
        ("4 5 6 7 0 1 2 3 12 13 14 15 8 9 10 11", "pshufd"),
        ("2 3 0 1 6 7 4 5 8 9 10 11 12 13 14 15", "pshuflw"),
        ("0 1 2 3 4 5 6 7 14 15 12 13 10 11 8 9", "pshufhw"),
        ("3 4 5 6 7 8 9 10 11 12 13 14 15 0 1 2", "palignr"),
        ("3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18", "palignr"),
        ("29 30 31 0 1 2 3 4 5 6 7 8 9 10 11 12", "palignr"),
        ("0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23", "punpcklbw"),
        ("24 25 8 9 26 27 10 11 28 29 12 13 30 31 14 15", "punpckhwd"),
        ("0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 23", "punpcklqdq"),
        ("0 0 1 1 2 2 3 3 4 4 5 5 6 6 7 7", "punpcklbw"),
        ("0 1 18 19 4 5 22 23 24 25 10 11 12 13 14 15", "pblendw"),
        ("4 5 6 7 12 13 14 15 20 21 22 23 16 17 18 19", "shufps"),
        ("5 3 1 15 13 11 0 0 0 0 0 0 0 0 0 0", "pshufb"),
    ],
)
def test_a_mask_that_has_an_instruction_is_that_instruction(mask: str, mnemonic: str) -> None:
    from .judges import disassemble

    case = Case((register(V128, 0), register(V128, 1)), ALL & ~(3 << 16), None)
    code = chosen(vector_shuffles.shuffle, case, _mask(mask))[0]
    found = [instruction.mnemonic.removeprefix("v") for instruction in disassemble(code)]
    assert [name for name in found if name != "movaps"] == [mnemonic]


def test_a_shuffle_that_leaves_all_where_it_is_needs_no_code() -> None:
    case = Case((register(V128, 0), register(V128, 1)), ALL & ~(3 << 16), None)
    assert chosen(vector_shuffles.shuffle, case, bytes(range(16)))[0] == b""
    assert chosen(vector_shuffles.shuffle, case, bytes(range(16, 32)))[0] == b""


def test_every_module_of_rules_is_tested_here() -> None:
    assert vector_products.RULES.keys() <= RULES.keys()
    assert vector_products.DETERMINISTIC.keys() <= DETERMINISTIC.keys()
    assert vector_shuffles.RULES == {"i8x16.shuffle": vector_shuffles.shuffle}
