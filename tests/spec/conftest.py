"""What tests of the suite use."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.spec.runner import Outcome
from tests.spec.summary import PROPERTY


@pytest.fixture
def record_outcome(record_property: Callable[[str, object], None]) -> object:
    """A function (mode, outcome) that puts a script's outcome in the summary."""

    def record(mode: str, outcome: Outcome) -> None:
        record_property(PROPERTY, [mode, outcome.passed, outcome.failed])

    return record
