"""The measure by which other tests say that something takes linear time."""

from __future__ import annotations

import pytest

from tests.growth import assert_linear


@pytest.mark.ci
def test_linear_work_passes_and_quadratic_work_does_not() -> None:
    assert_linear(range, lambda numbers: [str(number) for number in numbers], 20_000)
    with pytest.raises(AssertionError, match="4 times the input takes"):
        assert_linear(range, lambda numbers: [sum(numbers) for _ in numbers], 800)


def test_what_takes_no_time_is_not_looked_at() -> None:
    assert_linear(range, len, 1)
