"""What tests of work that is cut short share: test_stopping_work.py and test_cutting_short.py."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import vibewasm as vw
from benchmarks import stopping as hostile
from vibewasm.errors import works


@pytest.fixture(autouse=True, scope="module")
def all_is_loaded() -> None:
    """Load what such work takes: loading is waited for, and takes its time where there is no bytecode."""
    for mode in ("eager", "lazy-translation"):
        config = vw.Config(compilation=mode)
        vw.instantiate('(module (func (export "f") (param i32) (block)))', config=config).exports.f(1)
    with vw.deadline(60):
        vw.Module.validate(hostile._blocks(10))


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """No work is registered when a test has ended."""
    yield
    assert not works


def in_engine(source: str) -> Callable[..., Any]:
    """The function called ``function`` of some source, as if it were the engine's own."""
    space: dict[str, Any] = {"__name__": "vibewasm.tested", "time": time}
    exec(source, space)
    function: Callable[..., Any] = space["function"]
    return function


#: Takes as long as it is let.
ENDLESS = in_engine("def function(*arguments):\n    while True: pass")
