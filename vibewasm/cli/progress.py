"""A progress bar on standard error, where that is a terminal."""

from __future__ import annotations

import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TextIO

#: Seconds before a bar appears, and between two changes of it.
_PATIENCE = 0.5
_INTERVAL = 0.1
_WIDTH = 30


class Progress:
    """Shows how much is done, as a context manager; the bar is gone afterwards.

    Args:
        total: how much there is to do.
        what: what is counted.
        quiet: show nothing.
    """

    def __init__(self, total: int, what: str, *, quiet: bool = False) -> None:
        self._total = total
        self._what = what
        self._shown = False
        self._on = not quiet and sys.stderr is not None and sys.stderr.isatty()
        self._next = time.monotonic() + _PATIENCE
        self._first = True

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def over(self, items: Iterable[int]) -> Iterator[int]:
        """The items, counted as they are taken."""
        for done, item in enumerate(items):
            if self._on and time.monotonic() >= self._next:
                self._show(done)
            yield item

    def flush(self, file: TextIO) -> None:
        """Let what was written first be seen at once."""
        if self._first:
            file.flush()
            self._first = False

    def _show(self, done: int) -> None:
        filled = _WIDTH * done // self._total
        bar = "#" * filled + "." * (_WIDTH - filled)
        print(f"\r[{bar}] {done}/{self._total} {self._what}", end="", file=sys.stderr, flush=True)
        self._shown = True
        self._next = time.monotonic() + _INTERVAL
