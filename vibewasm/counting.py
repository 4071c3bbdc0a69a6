"""Counts in sentences: ``1 page``, ``2 pages``. Loaded only where something is shown or wrong."""

from __future__ import annotations


def counted(count: int, noun: str, form: str = "") -> str:
    """A count with what is counted, whose plural ends in s. ``form`` is that of the number: ``","`` groups digits."""
    return f"{count:{form}} {noun}{'' if count == 1 else 's'}"
