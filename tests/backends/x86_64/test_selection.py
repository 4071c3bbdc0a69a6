"""Every rule finds the registers that it needs, wherever its operands are and however many temporaries are in use."""

from __future__ import annotations

import itertools

import pytest

from vibewasm.backends.operand import (
    F32,
    F64,
    I32,
    I64,
    WANT_FLAGS,
    Operand,
    constant,
    frame_local,
    is_float,
    pinned_local,
    register,
    slot,
)
from vibewasm.backends.x86_64 import division, features, memory
from vibewasm.backends.x86_64.target import DIVISIONS, SHIFTS
from vibewasm.backends.x86_64.target import TARGET as target
from vibewasm.compiler.instructions import KINDS, LOAD, STORE
from vibewasm.opcodes import CODE, TABLE, codes_with, signature

SIMPLE = [
    (code, name) for code, name, immediates, operands, results, *_ in TABLE if not immediates and operands and results
]
INTS = (0, 1, 2, 6, 7)
BIG = {I32: 0x89ABCDEF, I64: 0x123456789ABCDEF0, F32: 0x40490FDB, F64: 0x400921FB54442D18}


def places(type_: int, temporary: int) -> list[Operand]:
    """An operand of the type in every kind of place."""
    base = 8 if is_float(type_) else 3
    return [
        register(type_, temporary),
        pinned_local(type_, base),
        frame_local(type_, -88),
        slot(type_, -200),
        constant(type_, 0),
        constant(type_, 1),
        constant(type_, BIG[type_]),
    ]


def masks(operands: tuple[Operand, ...], claimed: int) -> list[int]:
    """Free temporaries at their fewest: three integers and four floats in use, the operands' own among them."""
    own = 0
    for operand in operands:
        own |= operand.bit
    result = []
    for order in (INTS, INTS[::-1]):
        used = own
        for reg in order:
            bit = 1 << reg
            if (used & target.INT_TEMPORARIES).bit_count() < 3 and not bit & claimed:
                used |= bit
        for reg in range(8):
            if (used & target.FLOAT_TEMPORARIES).bit_count() < 4:
                used |= 1 << 16 + reg
        result.append(target.ALL_FREE & ~used)
    return result


def sinks(type_: int) -> list[Operand | None]:
    """No destination, and pinned locals that are and are not among the operands."""
    base = 8 if is_float(type_) else 3
    return [None, pinned_local(type_, base), pinned_local(type_, base + 1 if is_float(type_) else 12)]


@pytest.fixture(params=[False, True], ids=["baseline", "bmi"])
def _features(request: pytest.FixtureRequest) -> object:
    before = (features.BMI1, features.BMI2, features.LZCNT, features.AVX, features.AVX2, features.FMA)
    target.configure(request.param, request.param, request.param)
    yield
    target.configure(*before)


def check(choice: tuple[bytes, Operand, int, bool], free: int, operands: tuple[Operand, ...]) -> None:
    """What a choice must satisfy: the operands' temporaries are free again, and no one else's became so."""
    code, result, after, _ = choice
    own = result.bit
    for operand in operands:
        own |= operand.bit
    assert after == (free | own) & ~result.bit
    assert isinstance(code, bytes)


def test_instructions_with_registers_of_their_own_are_those_that_the_rules_are_for() -> None:
    assert set(DIVISIONS) == division.RULES.keys()
    assert {CODE[name] for name in SHIFTS} == {code for code in codes_with("shift") if code < 256}


@pytest.mark.usefixtures("_features")
@pytest.mark.parametrize(("code", "name"), SIMPLE, ids=[name for _, name in SIMPLE])
def test_every_simple_instruction_finds_its_temporaries(code: int, name: str) -> None:
    types, results = signature(code)
    rule = target.rule(name)
    compares = results == (I32,) and name.split(".")[1][:2] in ("eq", "ne", "lt", "gt", "le", "ge")
    for temporaries in itertools.permutations((0, 1, 2), len(types)):
        for operands in itertools.product(*map(places, types, temporaries)):
            constant_shift = len(operands) == 2 and operands[1].kind == 2 and code in codes_with("shift")
            claimed = 0 if constant_shift else target.claims(name)
            own = 0
            for operand in operands:
                own |= operand.bit
            for free in masks(operands, claimed & ~own):
                for sink in [*sinks(results[0]), *([WANT_FLAGS] if compares else [])]:
                    check(target.lower(rule, operands, free, sink), free, operands)


@pytest.mark.parametrize("type_", [I32, I64, F32, F64])
def test_select_finds_its_temporaries(type_: int) -> None:
    for a, b in itertools.product(places(type_, 0), places(type_, 1)):
        for condition in places(I32, 2):
            for free in masks((a, b, condition), 0):
                for sink in sinks(type_):
                    check(target.lower_select((a, b, condition), free, sink), free, (a, b, condition))


@pytest.mark.parametrize(
    ("code", "name"),
    [(code, name) for code, name, *_ in TABLE if code < 256 and KINDS[code] in (LOAD, STORE)],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("checked", [False, True])
def test_loads_and_stores_find_their_temporaries(code: int, name: str, checked: bool) -> None:
    types, results = signature(code)
    for a in places(I32, 0):
        if results:
            for free in masks((a,), 0):
                for sink in sinks(results[0]):
                    for offset in (0, 9, 0xFFFF_FFFF):
                        check(target.lower_far_load(name, a, offset, 4, checked, free, sink), free, (a,))
                    head, tail, result, after, _ = target.lower_load(name, a, 2, free, sink)
                    check((head + tail, result, after, False), free, (a,))
        else:
            for b in places(types[1], 1):
                for free in masks((a, b), 0):
                    for offset in (0, 9, 0xFFFF_FFFF):
                        _, after = target.lower_far_store(name, a, b, offset, 4, checked, free)
                        assert after == free | a.bit | b.bit
                    assert target.lower_store(name, a, b, 2, free)[2] == free | a.bit | b.bit


def test_context_reads_and_writes_find_their_temporaries() -> None:
    for type_ in (I32, I64, F32, F64):
        for free in masks((), 0):
            for sink in sinks(type_):
                for by_pointer in (False, True):
                    check(target.lower_read("global_get", free, sink, type_, 4096, by_pointer), free, ())
            for value in places(type_, 0):
                for mask in masks((value,), 0):
                    for by_pointer in (False, True):
                        assert target.lower_write("global_set", mask, value, 64, by_pointer)[1] == mask | value.bit
    for index in places(I32, 0):
        for free in masks((index,), 0):
            check(target.lower_read("table_get", free, None, 5, 64, index), free, (index,))
        for value in [register(5, 1), pinned_local(5, 3), frame_local(5, -8), slot(5, -16), constant(5, 0)]:
            for free in masks((index, value), 0):
                assert target.lower_write("table_set", free, 64, index, value)[1] == free | index.bit | value.bit
    assert memory.MAX_DISPLACEMENT == 2**31 - 1
