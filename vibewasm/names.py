"""Suggestions for a name that is not there."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

#: Comparing takes the product of two names' lengths, and a module may have any number of names of any length.
_LONGEST = 100
_MOST = 2000


def hint(name: str, candidates: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` for the candidates most like ``name``, or an empty string."""
    from difflib import get_close_matches  # costly to import, and needed only where something is wrong

    if len(name) > _LONGEST:
        return ""
    short = [candidate for candidate in candidates if len(candidate) <= _LONGEST]
    near = get_close_matches(name, short[:_MOST], n=2)
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
