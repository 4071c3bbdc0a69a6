"""How far a benchmark is, as one line on a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from time import monotonic
from typing import TextIO, TypeVar

_Part = TypeVar("_Part")

# Narrow enough that the counts and most names fit beside the bar in 80 columns.
_WIDTH = 12
_EIGHTHS = " ▏▎▍▌▋▊▉"
_USUAL_COLUMNS = 80


class Progress:
    """A bar on ``stream``, standard error if none is given; nothing at all where that is no terminal.

    A benchmark is a number of *parts* (the rows of its table), each of which is a number of measurements, or runs.
    Beside the bar stand the part and the run that is being made, of how many: ``part 6/6, run 5/14: bz2: winch``. Parts
    count alike, so the time that is left is a guess.
    """

    def __init__(self, title: str, stream: TextIO | None = None) -> None:
        self._title = title
        self._stream = stream or sys.stderr
        self._shown = self._stream.isatty()
        self._begun = monotonic()
        self._part = 0
        self._parts = 1

    def each(self, parts: Iterable[_Part]) -> Iterator[_Part]:
        """The parts in turn; measurements count for the part that was given last."""
        every = list(parts)
        self._parts = len(every)
        for self._part, part in enumerate(every):
            yield part

    def say(self, what: str, done: int = 0, total: int = 1) -> None:
        """Show that ``what`` is at work, and that ``done`` of this part's ``total`` measurements are made."""
        if not self._shown:
            return
        share = (self._part + done / total) / self._parts
        full, eighths = divmod(int(share * _WIDTH * 8), 8)
        bar = ("█" * full + (_EIGHTHS[eighths] if full < _WIDTH else "")).ljust(_WIDTH)
        gone = monotonic() - self._begun
        left = f", {_clock(gone / share - gone)} left" if share > 0.05 else ""
        # The counts come first, so that a narrow terminal cuts names off and not these.
        counts = [f"part {self._part + 1}/{self._parts}"] if self._parts > 1 else []
        counts += [f"run {done + 1}/{total}"] if total > 1 else []
        place = ", ".join(counts) + ": " if counts else ""
        line = f"{self._title} {bar} {share:4.0%}{left}  {place}{what}"
        self._stream.write("\r" + line[: _columns(self._stream) - 1] + "\x1b[K")
        self._stream.flush()

    def close(self) -> None:
        """Take the line away."""
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


def _columns(terminal: TextIO) -> int:
    """How wide the stream's own terminal is, which need not be that of standard output."""
    try:
        return os.get_terminal_size(terminal.fileno()).columns or _USUAL_COLUMNS
    except OSError:  # io.UnsupportedOperation is one: the stream has no descriptor
        return _USUAL_COLUMNS


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes}:{seconds:02}"
