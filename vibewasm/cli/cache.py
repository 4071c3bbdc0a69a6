"""``vibewasm cache``: what is kept of compiled code, how much of it, and since when."""

from __future__ import annotations

import os
import sys
from time import time

from vibewasm.cache.folder import SKEW, Folder, default_path, is_off
from vibewasm.counting import counted
from vibewasm.names import escaped, hint

from .options import Arguments, Command, CommandError, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vibewasm.cache.contents import Entry

_HOUR = 3600
_DAY = 24 * _HOUR
#: No file is older, and seconds are no numbers beyond what a float has.
_MOST_DAYS = 1_000_000
#: Files that are shown, and of each key so many digits.
_SHOWN = 20
_DIGITS = 12
#: So many columns of the table hold numbers.
_NUMBERS = 3
_UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def _cache(arguments: Arguments) -> int:
    if arguments.operands:
        word = arguments.operands[0]
        options = [option.name for option in COMMAND.options]
        meant = f"--{word}"
        raise arguments.error(f"it takes options only, not {word!r}{hint(meant, {meant} & set(options) or options)}")
    actions = [name for name in ("--path", "--limit", "--clean") if arguments.flag(name)]
    if len(actions) > 1:
        raise arguments.error(f"{actions[0]} and {actions[1]} do not go together")
    days = arguments.number("--older-than", most=_MOST_DAYS)
    if days is not None and actions != ["--clean"]:
        raise arguments.error("--older-than says what --clean removes, and goes with it only")
    limit = arguments.size("--limit")
    if limit is not None and limit >= 1 << 63:
        raise arguments.error(f"--limit is too large: {arguments.one('--limit')}; it takes fewer than 2^63 bytes")
    path = default_path()
    if not actions:
        print(_off() if path is None else _unknown_version() or _shown(Folder(path)))
        return 0
    if path is None:
        raise CommandError(_off())
    folder = Folder(path)
    if limit is not None:
        _set_limit(folder, limit)
    elif arguments.flag("--clean"):
        _clean(folder, days or 0)
    else:
        _print_path(folder.path)
    return 0


def _off() -> str:
    """Why no folder is used."""
    if is_off():
        return f"no code is kept: VIBEWASM_CACHE is {os.environ['VIBEWASM_CACHE']!r}"
    return "no code is kept: VIBEWASM_CACHE names no folder, and neither XDG_CACHE_HOME nor HOME is an absolute path"


def _unknown_version() -> str:
    """Why no folder is used where it is not known which version's code it would take; empty if it is known."""
    from vibewasm.cache.key import source_digest

    try:
        source_digest()
    except OSError as error:
        return (
            "no code is kept: it would be for one version of vibewasm, and which one this is cannot be told, as its "
            f"source cannot be read ({error.strerror}); install it from a wheel"
        )
    return ""


def _shown(folder: Folder) -> str:
    path = escaped(folder.path)
    problem = folder.problem()
    try:
        os.close(folder.opened())
    except FileNotFoundError:
        if problem is not None:
            return f"{path}: not used: {_advised(folder, problem)}"
        return f"{path}: not there yet; the first program whose code is kept makes it"
    except OSError as error:
        # What is in it is not read, so it does not count.
        return f"{path}: not used: {_advised(folder, problem or str(error.strerror))}"
    entries = folder.entries()
    size = sum(entry.size for entry in entries)
    if entries:
        lines = [f"{path}: {counted(len(entries), 'file', ',')}, {_bytes(size)} of at most {_bytes(folder.limit)}"]
    else:
        lines = [f"{path}: empty; at most {_bytes(folder.limit)} are kept in it"]
    if problem is not None:
        lines.append(problem)
    if entries:
        lines += ["", *_table(folder, entries[:_SHOWN])]
    if len(entries) > _SHOWN:
        rest = entries[_SHOWN:]
        size = sum(entry.size for entry in rest)
        lines += ["", f"and {counted(len(rest), 'file', ',')} that were used earlier, {_bytes(size)}"]
    return "\n".join(lines)


def _table(folder: Folder, entries: list[Entry]) -> list[str]:
    """A row for each file; numbers stand at the right, the last two columns at the left."""
    now = time()
    rows = [("size", "functions", "module size", "last used", "key")]
    for entry in entries:
        rows.append((_bytes(entry.size), *_contents(folder, entry), _ago(now - entry.used), entry.name[:_DIGITS]))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  "
        + "  ".join(
            [
                cell.rjust(width) if place < _NUMBERS else cell.ljust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
        ).rstrip()
        for row in rows
    ]


def _contents(folder: Folder, entry: Entry) -> tuple[str, str]:
    """What the columns of functions and of their module have of a file."""
    from vibewasm.cache.summary import summary

    found = summary(folder, entry.name)
    if found.stubs is not None:
        return counted(found.stubs, "stub", ","), "all modules"
    if found.functions is None:
        return "unusable", ""
    return f"{found.functions:,} of {found.defined:,}", _bytes(found.module_size or 0)


def _bytes(size: int) -> str:
    """A number of bytes as people read it; the units are those of ``--limit``."""
    if size < 1 << 10:
        return counted(size, "byte")
    unit, name = next((unit, name) for unit, name in _UNITS if size >= unit)
    return f"{size / unit:,.1f}".removesuffix(".0") + f" {name}"


def _ago(seconds: float) -> str:
    """How long ago a file was used: its time is exact to an hour."""
    if seconds <= -SKEW:
        return "at a time to come (a clock was wrong)"
    if seconds < 2 * _HOUR:
        return "within two hours"
    if seconds < 2 * _DAY:
        return f"{seconds // _HOUR:.0f} hours ago"
    return f"{seconds // _DAY:,.0f} days ago"


def _advised(folder: Folder, problem: str) -> str:
    return (
        f"{problem}; see that {escaped(folder.path)} is a folder of your own with mode 0700, "
        "or name another in VIBEWASM_CACHE"
    )


def _set_limit(folder: Folder, limit: int) -> None:
    if not folder.set_limit(limit):
        reason = folder.problem()
        raise CommandError(
            "the limit cannot be kept: "
            + ("its file cannot be written" if reason is None else _advised(folder, reason))
        )
    _report(folder)


def _clean(folder: Folder, days: int) -> None:
    before = len(folder.entries())
    reason = folder.problem()
    if reason is not None and not before:
        raise CommandError(f"nothing can be removed: {_advised(folder, reason)}")
    count, size = folder.clear(days * _DAY)
    print(f"removed: {counted(count, 'file', ',')}, {_bytes(size)}")
    if not days and count < before:
        left = before - count
        why = "" if reason is None else f": {_advised(folder, reason)}"
        raise CommandError(f"{counted(left, 'file', ',')} cannot be removed{why}")
    _report(folder)


def _report(folder: Folder) -> None:
    size = sum(entry.size for entry in folder.entries())
    print(f"{escaped(folder.path)}: {_bytes(size)} of at most {_bytes(folder.limit)}")


def _print_path(path: str) -> None:
    """For scripts the bytes that it has, for a terminal what can be shown."""
    if sys.stdout is None:
        return
    if sys.stdout.isatty():
        print(escaped(path))
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(os.fsencode(path) + b"\n")


COMMAND = Command(
    "cache",
    "",
    "show what is kept of compiled code; clean or limit it",
    [
        Option("--clean", "", "remove all files"),
        Option("--older-than", "DAYS", "let --clean keep what was used in so many days", wants="a number of days"),
        Option("--limit", "BYTES", "let all files have at most so many bytes; K, M and G are powers of 1024"),
        Option("--path", "", "print the folder's path and nothing else"),
    ],
    _cache,
    minimum=0,
    maximum=None,
    notes=(
        "Without options, lists what is kept, what was used last first: of how many functions of a module, and\n"
        "that module's size. VIBEWASM_CACHE in the environment names another folder, or is 'off'."
    ),
)
