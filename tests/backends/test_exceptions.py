"""Exceptions as bytes, for both processors; tests/instances runs them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.backends.test_boundary_stubs import decode
from vibewasm.backends import TARGETS, backend
from vibewasm.types import EXNREF, F32, F64, I32, I64, V128

TYPES = st.lists(st.sampled_from([I32, I64, F32, F64, V128, EXNREF]), max_size=30).map(tuple)
WIDTHS = st.sampled_from([8, 16])


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", ["throw", "throw_reference", "make_exception", "preserved_registers"])
def test_stubs_decode_and_are_always_the_same(target: str, name: str) -> None:
    stub = getattr(backend(target).stubs, name)
    code = stub()
    decode(target, code)
    assert stub() == code


@pytest.mark.parametrize("target", TARGETS)
def test_what_restores_registers_loads_them_and_returns(target: str) -> None:
    choices = backend(target).target
    restore = backend(target).stubs.restore_pinned
    assert len({restore(ints, 0) for ints in range(len(choices.PINNED_INTS) + 1)}) == len(choices.PINNED_INTS) + 1
    for ints in range(len(choices.PINNED_INTS) + 1):
        for floats in range(len(choices.PINNED_FLOATS) + 1):
            instructions = [mnemonic for _, mnemonic, _ in decode(target, restore(ints, floats))]
            assert instructions.pop() == "ret"
            assert set(instructions) <= {"mov", "movups", "ldr", "ldp"}


@pytest.mark.parametrize("target", TARGETS)
@given(TYPES, WIDTHS, st.integers(0, 1 << 20))
def test_code_of_throws_and_catches_decodes(target: str, types: tuple[int, ...], width: int, tag: int) -> None:
    exceptions = backend(target).exceptions
    step = backend(target).frames.STEP
    first = (-64 if step < 0 else 64) - (-64 if step < 0 else 64) % width
    decode(target, exceptions.describe(len(types), first, 32 + 8 * tag, width))
    decode(target, exceptions.caught_values(len(types), first, width))
    for type_ in types:
        decode(target, exceptions.caught_value(type_))
    for code in (exceptions.throw(), exceptions.throw_reference(), exceptions.caught_reference()):
        decode(target, code)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("width", [8, 16])
def test_code_does_not_grow_with_the_number_of_values(target: str, width: int) -> None:
    """A hostile module throws a thousand values in a few bytes."""
    exceptions = backend(target).exceptions
    types = (I32, F32, I64, EXNREF, F64) * 200
    first = -160 if backend(target).frames.STEP < 0 else 160
    assert len(exceptions.describe(len(types), first, 32, width)) < 200
    assert len(exceptions.caught_values(len(types), first, width)) < 200


@pytest.mark.parametrize("target", TARGETS)
def test_a_call_that_throws_is_the_last_instruction(target: str) -> None:
    """A return address tells which scope is in force by the byte before it."""
    exceptions = backend(target).exceptions
    for code in (exceptions.throw(), exceptions.throw_reference(), exceptions.caught_reference()):
        assert decode(target, code)[-1][1] in ("call", "blr")
