"""A store with functions made by hand."""

from __future__ import annotations

import pytest

from tests.instances.hand import World
from tests.instances.objects import Replaceable
from vibewasm.instances import exceptions


@pytest.fixture(autouse=True)
def _replaceable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exceptions, "Exceptions", Replaceable)


@pytest.fixture
def world(_replaceable: None) -> World:
    return World()
