"""Names that come from modules: how they are shown, and suggestions for one that is not there."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

#: The longest name that messages have whole, in characters, and how much they have of the start of a longer one.
#: Names of templates have hundreds.
_WHOLE = 1000
_HEAD = 750

#: Comparing takes the product of two names' lengths, and a module may have any number of names of any length: the most
#: of it that is done, some hundredths of a second.
_LONGEST = 100
_MOST_COMPARED = 300_000


def escaped(name: str) -> str:
    """A name as it may be shown in a line of a terminal, a message or a listing.

    A module's names are any Unicode that a stranger chose. What does not print is replaced by the escape sequence that
    Python has for it: control characters (which move the cursor, end the line, or command a terminal), what changes
    the direction of writing, what has no width, line and paragraph separators and spaces other than the ASCII one,
    surrogates, private and unassigned characters. All others stay as they are.
    """
    if name.isprintable():
        return name
    return "".join([character if character.isprintable() else repr(character)[1:-1] for character in name])


def brief(name: str) -> str:
    """A name as :func:`escaped` shows it, without its middle if it is long: for messages, which may have it often.

    A module's names are of any length, and a backtrace has one for each frame.
    """
    if len(name) <= _WHOLE:
        return escaped(name)
    return f"{escaped(name[:_HEAD])}[... {len(name)} characters ...]{escaped(name[_HEAD - _WHOLE :])}"


def hint(name: str, candidates: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` for the candidates most like ``name``, or an empty string.

    They are shown as Python's ``repr`` has them, which escapes what :func:`escaped` does.
    """
    from difflib import get_close_matches  # costly to import, and needed only where something is wrong

    if len(name) > _LONGEST:
        return ""
    left = _MOST_COMPARED
    short = []
    for candidate in candidates:
        if len(candidate) <= _LONGEST:
            left -= len(name) * len(candidate) + 1
            if left < 0:
                break
            short.append(candidate)
    near = get_close_matches(name, short, n=2)
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
