"""The roles of registers."""

from __future__ import annotations

from vibewasm.backends.aarch64 import regs


def test_every_general_register_but_the_platforms_has_exactly_one_role() -> None:
    fixed = [regs.CONTEXT, regs.MEMORY_BASE, regs.FRAME, regs.LINK, regs.SCRATCH, regs.SCRATCH2, regs.CALLEE, regs.SP]
    roles = [*regs.TEMPORARIES, *regs.PINNED, *fixed]
    assert sorted(roles) == [number for number in range(32) if number != 18]


def test_no_vector_register_has_two_roles() -> None:
    roles = [*regs.FLOAT_TEMPORARIES, *regs.FLOAT_PINNED, regs.FLOAT_SCRATCH, regs.FLOAT_SCRATCH2]
    assert len(set(roles)) == len(roles)
    assert set(roles) < set(range(32))


def test_parameters_travel_in_temporaries() -> None:
    assert set(regs.INT_PARAMS) <= set(regs.TEMPORARIES)
    assert set(regs.FLOAT_PARAMS) <= set(regs.FLOAT_TEMPORARIES)


def test_temporaries_fit_the_masks_of_free_ones() -> None:
    """An integer temporary has the bit of its number, a float temporary the bit 16 above, in one mask."""
    assert max(regs.TEMPORARIES) < 16
    assert max(regs.FLOAT_TEMPORARIES) < 16


def test_names_are_in_the_order_of_the_numbers() -> None:
    for number, name in enumerate(regs.NAMES_64[:31]):
        assert getattr(regs, name.upper()) == number
    assert regs.NAMES_64[regs.ZR] == "xzr"
    assert [name[1:] for name in regs.NAMES_64] == [name[1:] for name in regs.NAMES_32]
