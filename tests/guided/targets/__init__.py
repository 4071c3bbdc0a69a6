"""What is fuzzed, by name: see :class:`~tests.guided.target.Target` about what these modules have."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from tests.guided.target import Target

NAMES = ("api", "compiler", "image", "module", "text", "wasi")


def named(name: str) -> Target:
    """The target of this name."""
    return cast(Target, import_module(f"{__name__}.{name}"))
