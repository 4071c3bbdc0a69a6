"""What some tests want from the folder beside the project, and what they say where it is missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.spec.suite import HOW_TO_GET, shared_folder


def or_skip(values: Sequence[Any], what: str) -> Sequence[Any]:
    """Parameters of a test; where there are none, one that is skipped and says what is wanted, as ``programs``."""
    reason = f"NOT RUN: no {what} in {shared_folder()}; {HOW_TO_GET}"
    return values or [pytest.param(None, id="missing", marks=pytest.mark.skip(reason=reason))]
