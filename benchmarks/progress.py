"""How far a benchmark is, as one line on a terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator
from time import monotonic
from typing import TextIO, TypeVar

_Part = TypeVar("_Part")

_WIDTH = 24
_EIGHTHS = " ▏▎▍▌▋▊▉"


class Progress:
    """A bar on ``stream``, standard error if none is given; nothing at all where that is no terminal.

    A benchmark is a number of *parts*, of which each is a number of calls. Parts count alike, so the time that is left
    is a guess.
    """

    def __init__(self, title: str, stream: TextIO | None = None) -> None:
        self._title = title
        self._stream = stream or sys.stderr
        self._shown = self._stream.isatty()
        self._begun = monotonic()
        self._part = 0
        self._parts = 1

    def each(self, parts: Iterable[_Part]) -> Iterator[_Part]:
        """The parts in turn; calls count for the part that was given last."""
        every = list(parts)
        self._parts = len(every)
        for self._part, part in enumerate(every):
            yield part

    def say(self, what: str, done: int = 0, total: int = 1) -> None:
        """Show that ``what`` is at work, and how many calls of this part are made."""
        if not self._shown:
            return
        share = (self._part + done / total) / self._parts
        full, eighths = divmod(int(share * _WIDTH * 8), 8)
        bar = ("█" * full + (_EIGHTHS[eighths] if full < _WIDTH else "")).ljust(_WIDTH)
        gone = monotonic() - self._begun
        left = f", {_clock(gone / share - gone)} left" if share > 0.05 else ""
        columns = shutil.get_terminal_size().columns
        self._stream.write("\r" + f"{self._title} {bar} {share:4.0%}{left}  {what}"[: columns - 1] + "\x1b[K")
        self._stream.flush()

    def close(self) -> None:
        """Take the line away."""
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes}:{seconds:02}"
