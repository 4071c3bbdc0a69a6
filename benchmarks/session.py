"""What the benchmarks of one command share: how often to measure, with which peers, and what is installed for it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from .progress import Progress
from .report import median, take_turns

if TYPE_CHECKING:
    from .installed import Installed


class Session:
    """One command's choices. ``rounds`` and ``progress`` are those of the benchmark at hand.

    ``peers`` asks for further engines, for reference; ``cpython`` is CPython for WASI, where there is one.
    """

    def __init__(self, stack: ExitStack, peers: bool = False, cpython: Path | None = None) -> None:
        self.peers = peers
        self.cpython = cpython
        self.rounds = 1
        self.progress = Progress("")
        self._stack = stack

    @cached_property
    def installed(self) -> Installed:
        """An environment with this checkout's wheel, made once and gone when the command ends."""
        from .installed import installed

        self.progress.say("building and installing the wheel")
        return self._stack.enter_context(installed())

    def medians(self, sides: dict[str, Callable[[], float]], part: str = "") -> dict[str, float]:
        """Let the sides take turns; the median of each. ``part`` is shown with the progress."""

        def before(side: str, made: int, calls: int) -> None:
            self.progress.say(f"{part}: {side}" if part else side, made, calls)

        return {side: median(values) for side, values in take_turns(sides, self.rounds, before).items()}
