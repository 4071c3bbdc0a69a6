"""Operands of relaxed vector instructions, settled so that one result is allowed."""

from __future__ import annotations

from random import Random

import pytest

import vibewasm as vw
from tests.differential.make import make
from tests.fuzz.nans import CANONICAL, with_nans
from tests.fuzz.numbers import vector
from tests.fuzz.operations import BY_CODE
from tests.fuzz.ours import run
from tests.fuzz.peer import Peer
from tests.fuzz.relaxed import RELAXED, SETTLE, has_relaxed, with_settled
from tests.fuzz.steps import Step, first_difference
from vibewasm.opcodes import name_of
from vibewasm.wat import wat2wasm


def module(name: str, operands: int) -> bytes:
    """A module whose function does one instruction."""
    gets = " ".join([f"local.get {at}" for at in range(operands)])
    return wat2wasm(f'(module (func (export "f") (param {"v128 " * operands}) (result v128) {gets} {name}))')


@pytest.mark.parametrize("code", sorted(RELAXED), ids=name_of)
def test_settled_operands_give_the_same_in_all_engines(code: int) -> None:
    count = len(BY_CODE[code].operands)
    assert len(SETTLE[code]) == count
    rng = Random(code)
    data = module(name_of(code), count)
    settled = with_nans(with_settled(data), CANONICAL)
    assert has_relaxed(data)
    assert has_relaxed(settled)
    steps = [Step("f", [("v128", vector(rng)) for _ in range(count)]) for _ in range(400)]
    one, other = Peer().run(settled, steps), Peer(deterministic=True).run(settled, steps)
    assert first_difference(steps, settled, one, other) is None
    for deterministic in (False, True):
        engine = vw.Engine(vw.Config(deterministic=deterministic))
        assert first_difference(steps, settled, run(engine, vw.Module(engine, settled), steps), one) is None
    # Not everything is settled to the same.
    assert len({str(result.detail) for result in one.results}) > 20


@pytest.mark.parametrize("code", sorted(RELAXED), ids=name_of)
def test_constants_of_relaxed_instructions_are_settled(code: int) -> None:
    rng = Random(code)
    data = module(name_of(code), len(SETTLE[code]))
    steps = [Step("f", [("v128", settle.constant(rng)) for settle in SETTLE[code]]) for _ in range(200)]
    data = with_nans(data, CANONICAL)
    traces = [Peer(deterministic=deterministic).run(data, steps) for deterministic in (False, True)]
    engine = vw.Engine()
    traces.append(run(engine, vw.Module(engine, data), steps))
    for trace in traces[1:]:
        assert first_difference(steps, data, traces[0], trace) is None


@pytest.mark.ci
def test_generated_code_settles_operands_by_itself() -> None:
    one, other = Peer(fuel=1 << 32), Peer(fuel=1 << 32, deterministic=True)
    found = 0
    for number in range(120):
        made = make(5, number, simd=True).with_canonical_nans()
        found += has_relaxed(made.data)
        traces = [peer.run(made.data, made.steps) for peer in (one, other)]
        assert first_difference(made.steps, made.data, *traces) is None
    assert found > 20
