"""Suggestions for a name that is not there."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def hint(name: str, candidates: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` for the candidates most like ``name``, or an empty string."""
    from difflib import get_close_matches  # costly to import, and needed only where something is wrong

    near = get_close_matches(name, list(candidates), n=2)
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
