"""What is in the cache's folder: listing it, making room in it, cleaning it.

Only two kinds of names are ours, whatever else somebody has put there: hexadecimal digits with the suffix of
:mod:`.folder`, and those under which :mod:`vibewasm.aside` writes. No other file is looked at or touched.
"""

from __future__ import annotations

import os
from stat import S_ISDIR
from time import time

from ..aside import ASIDE, is_abandoned
from .folder import LARGEST, SHARE, SKEW, SUFFIX, Folder, is_hexadecimal

#: Files that are kept at most, and names that are looked at before one is written, which takes bounded time so.
MOST_FILES = 4096
MOST_NAMES = 1 << 14
#: Files that are removed at most before one is written.
MOST_REMOVED = 1024


class Entry:
    """One file: the name that it was written under, its size in bytes, and when it was last used.

    That is in seconds since 1970, exact to an hour, and whatever the file says.
    """

    __slots__ = ("name", "size", "used")

    def __init__(self, name: str, size: int, used: float) -> None:
        self.name = name
        self.size = size
        self.used = used

    def __repr__(self) -> str:
        return f"Entry({self.name!r}, {self.size}, {self.used})"


class Contents:
    """What was found in an open folder.

    ``entries`` has the files that are in place, ``aside`` those that are being written, or were when their writer was
    killed. ``complete`` says whether all names were looked at.
    """

    __slots__ = ("aside", "complete", "entries")

    def __init__(self, folder: int, most_files: int | None = None, most_names: int | None = None) -> None:
        self.entries: list[Entry] = []
        self.aside: list[Entry] = []
        self.complete = True
        with os.scandir(folder) as names:
            for count, found in enumerate(names):
                if count == most_names or len(self.entries) + len(self.aside) == most_files:
                    self.complete = False
                    break
                file = found.name
                if is_entry(file):
                    name, kind = file[: -len(SUFFIX)], self.entries
                elif is_aside(file):
                    name, kind = file, self.aside
                else:
                    continue
                try:
                    status = found.stat(follow_symlinks=False)
                except OSError:
                    continue  # renamed or removed since
                if S_ISDIR(status.st_mode):
                    continue
                kind.append(Entry(name, status.st_size, status.st_mtime))

    def least_used_first(self, now: float) -> list[Entry]:
        """The entries in the order in which they are to go. Where a clock was wrong, times to come are among the times:
        they go first, else they would never go.
        """
        return sorted(self.entries, key=lambda entry: (entry.used < now + SKEW, entry.used))


def is_entry(file: str) -> bool:
    """Whether a file of this name was written by us."""
    return file.endswith(SUFFIX) and is_hexadecimal(file[: -len(SUFFIX)])


def is_aside(file: str) -> bool:
    """Whether a file of this name is being written, or was."""
    process, _, number = file.removesuffix(ASIDE).partition("-")
    return file.endswith(ASIDE) and is_hexadecimal(process) and is_hexadecimal(number)


def entries(place: Folder) -> list[Entry]:
    """What :meth:`.Folder.entries` says."""
    try:
        folder = place.opened()
        try:
            found = Contents(folder).entries
        finally:
            os.close(folder)
    except OSError:
        return []
    return sorted(found, key=lambda entry: (-entry.used, entry.name))


def clear(place: Folder, older_than: float) -> tuple[int, int]:
    """What :meth:`.Folder.clear` says."""
    count = size = 0
    now = time()
    try:
        folder = place.opened()
        try:
            found = Contents(folder)
            _remove_leftovers(folder, found, now if older_than else None)
            for entry in found.entries:
                # A time to come says nothing about when it was used.
                kept = older_than and -SKEW < now - entry.used < older_than
                if not kept and _unlink(folder, entry.name + SUFFIX):
                    count += 1
                    size += entry.size
        finally:
            os.close(folder)
    except OSError:
        pass  # not used, or no longer to be listed: then nothing more is removed
    return count, size


def make_room(folder: int, limit: int, name: str, size: int) -> bool:
    """Let there be room for a file, which may take the place of another.

    The least recently used files go, and what killed writers have left.

    Returns:
        Whether there is room. If not, it is that the folder holds very many files: some were removed, and the next one
        who wants to write removes more.
    """
    if size > min(limit // SHARE, LARGEST):
        return False
    # Twice as many files as there may be: what several writers at once leave is seen.
    found = Contents(folder, 2 * MOST_FILES, MOST_NAMES)
    now = time()
    kept = [entry for entry in found.least_used_first(now) if entry.name != name]
    room = limit - size - _remove_leftovers(folder, found, now)
    if room < 0:
        return False
    room -= sum([entry.size for entry in kept])
    excess = len(kept) + 1 - MOST_FILES
    removed = 0
    while (room < 0 or removed < excess) and removed < min(MOST_REMOVED, len(kept)):
        # Whether it was removed by us or by another writer, it is gone; what cannot be removed, cannot be replaced.
        if not _unlink(folder, kept[removed].name + SUFFIX):
            return False
        room += kept[removed].size
        removed += 1
    return found.complete and room >= 0 and removed >= excess


def _remove_leftovers(folder: int, found: Contents, now: float | None) -> int:
    """Remove files aside that nobody writes any more, or all of them without a ``now``.

    Returns how many bytes the others have.
    """
    left = 0
    for number, entry in enumerate(found.aside):
        old = now is None or is_abandoned(entry.used, now)
        if not old or number >= MOST_REMOVED or not _unlink(folder, entry.name):
            left += entry.size
    return left


def _unlink(folder: int, file: str) -> bool:
    """Whether a file is gone."""
    try:
        os.unlink(file, dir_fd=folder)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
