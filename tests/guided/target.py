"""What a target of the fuzzer has to have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Protocol


class Wrong(Exception):
    """What must not be: the text says what it is."""


class Target(Protocol):
    """A module of :mod:`tests.guided.targets`.

    ``seeds`` gives inputs to begin with; ``start`` is called in each worker, with an empty folder for it, and gives
    what takes an input and raises if something is wrong; ``alter`` makes a new input of one, and of others.
    """

    def seeds(self) -> list[bytes]: ...

    def start(self, folder: Path) -> Callable[[bytes], None]: ...

    def alter(self, data: bytes, others: Sequence[bytes], rng: Random) -> bytes: ...
