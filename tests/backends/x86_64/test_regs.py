"""The roles of registers."""

from __future__ import annotations

from vibewasm.backends.x86_64 import regs


def test_every_general_register_has_exactly_one_role() -> None:
    roles = [*regs.TEMPORARIES, *regs.PINNED, regs.CONTEXT, regs.MEMORY_BASE, regs.FRAME, regs.RSP]
    assert sorted(roles) == list(range(16))


def test_every_vector_register_has_exactly_one_role() -> None:
    assert sorted([*regs.FLOAT_TEMPORARIES, *regs.FLOAT_PINNED]) == list(range(16))


def test_parameters_travel_in_temporaries() -> None:
    assert set(regs.INT_PARAMS) < set(regs.TEMPORARIES)
    assert set(regs.FLOAT_PARAMS) <= set(regs.FLOAT_TEMPORARIES)


def test_an_integer_result_register_carries_no_parameter() -> None:
    """rax carries the record of a function that is called through one."""
    assert regs.RAX not in regs.INT_PARAMS


def test_names_are_in_the_order_of_the_numbers() -> None:
    for number, name in enumerate(regs.NAMES_64):
        assert getattr(regs, name.upper()) == number
