"""Files in a cache's folder that were last used at a chosen time, and what is in it."""

from __future__ import annotations

import os
import time

from vibewasm.cache.folder import SUFFIX, Folder

#: Seconds.
HOUR = 3600
DAY = 24 * HOUR


def put(folder: Folder, name: str, size: int, age: float = 0) -> None:
    """Write a file that was last used so many seconds ago."""
    assert folder.write(name, [bytes(size)])
    used = time.time() - age
    os.utime(f"{folder.path}/{name}{SUFFIX}", (used, used))


def names(folder: Folder) -> list[str]:
    """The names under which something is kept."""
    return sorted(entry.name for entry in folder.entries())
