"""Two writers, a reader and kills at random moments; ``python -m tests.cache.race`` does it as often as wanted."""

from __future__ import annotations

import os
from collections.abc import Iterable

import pytest

from vibewasm.cache import writing

from .race import race


@pytest.mark.ci
def test_writers_that_are_killed_do_no_harm() -> None:
    assert race(30, 1).startswith("30 rounds: ")


def test_a_writer_that_is_seen_writing_is_found(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The check of the check: files that are not written aside are seen before they are whole."""

    def in_place(folder: int, file: str, views: Iterable[memoryview], mode: int, prefix: str) -> None:
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode, dir_fd=folder)
        with open(opened, "wb", buffering=0) as output:
            for view in views:
                output.write(view)

    monkeypatch.setattr(writing, "replace", in_place)
    with pytest.raises(AssertionError, match=r"ended by itself|nobody wrote"):
        race(500, 1)
