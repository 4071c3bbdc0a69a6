"""Counts in sentences: ``1 page``, ``2 pages``. Loaded only where something is shown or wrong."""

from __future__ import annotations


def counted(count: float, noun: str, form: str = "") -> str:
    """A count with what is counted, whose plural ends in s.

    Args:
        form: how the number is written, as :func:`format` takes it: ``","`` groups digits, ``"g"`` is for a float.
    """
    return f"{count:{form}} {noun}{'' if count == 1 else 's'}"
