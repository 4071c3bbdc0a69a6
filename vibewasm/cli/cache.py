"""``vibewasm cache``: what is kept of compiled code, how much of it, and since when."""

from __future__ import annotations

import os
import sys
from time import time

from vibewasm.cache.folder import SKEW, Folder, default_path
from vibewasm.names import escaped, hint

from .options import Arguments, Command, CommandError, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vibewasm.cache.contents import Entry

_HOUR = 3600
_DAY = 24 * _HOUR
#: No file is older, and seconds are no numbers beyond what a float has.
_MOST_DAYS = 1_000_000
#: Files that are shown of each kind.
_SHOWN = 5


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
        print(_OFF if path is None else _shown(Folder(path)))
        return 0
    if path is None:
        raise CommandError(_OFF)
    folder = Folder(path)
    if limit is not None:
        _set_limit(folder, limit)
    elif arguments.flag("--clean"):
        _clean(folder, days or 0)
    else:
        _print_path(folder.path)
    return 0


_OFF = (
    "no code is kept: VIBEWASM_CACHE is 'off', or it is not set and neither XDG_CACHE_HOME nor HOME is an absolute path"
)


def _shown(folder: Folder) -> str:
    entries = folder.entries()
    size = sum(entry.size for entry in entries)
    files = f"{len(entries):,} file{'' if len(entries) == 1 else 's'}"
    lines = [f"{escaped(folder.path)}: {files}, {size:,} of at most {folder.limit:,} bytes"]
    problem = folder.problem()
    if problem is not None:
        lines.append(f"not used as it should be: {_advised(folder, problem)}")
    elif not os.path.lexists(folder.path):
        lines.append("it is not there yet; the first program that is run makes it")
    now = time()
    if len(entries) > _SHOWN:
        largest = sorted(entries, key=lambda entry: -entry.size)
        lines += ["", "largest:", *_table(largest[:_SHOWN], now)]
        lines += ["", "used last:", *_table(entries[:_SHOWN], now)]
    elif entries:
        lines += ["", *_table(entries, now)]
    return "\n".join(lines)


def _table(entries: list[Entry], now: float) -> list[str]:
    return [f"  {entry.name[:16]:<16}  {entry.size:>14,} bytes, used {_ago(now - entry.used)}" for entry in entries]


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
    print(f"removed: {count:,} file{'' if count == 1 else 's'}, {size:,} bytes")
    if not days and count < before:
        left = before - count
        why = "" if reason is None else f": {_advised(folder, reason)}"
        raise CommandError(f"{left:,} file{'' if left == 1 else 's'} cannot be removed{why}")
    _report(folder)


def _report(folder: Folder) -> None:
    size = sum(entry.size for entry in folder.entries())
    print(f"{escaped(folder.path)}: {size:,} of at most {folder.limit:,} bytes")


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
        Option("--limit", "BYTES", "let all files have at most so many bytes; K, M and G are understood"),
        Option("--path", "", "print the folder's path and nothing else"),
    ],
    _cache,
    minimum=0,
    maximum=None,
    notes="VIBEWASM_CACHE in the environment names another folder, or is 'off'. Without options, shows what is there.",
)
