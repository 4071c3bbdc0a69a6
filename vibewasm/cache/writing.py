"""Writing into the cache's folder: as a whole, see :mod:`vibewasm.aside`.

What a machine that loses power leaves under a right name, with a wrong content, a file's checksum tells.
"""

from __future__ import annotations

import os

from ..aside import replace
from .contents import make_room
from .folder import LIMIT, SUFFIX, Folder, limit_of
from .problem import unmakeable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

#: Permissions of a file: its owner's.
_MODE = 0o600


def write(place: Folder, file: str, parts: Iterable[bytes | bytearray | memoryview]) -> bool:
    """What :meth:`.Folder.write` says, of a file's name."""
    views = [memoryview(part) for part in parts]
    size = sum([view.nbytes for view in views])
    try:
        folder = _made(place)
        try:
            if not make_room(folder, limit_of(folder), file.removesuffix(SUFFIX), size):
                return False
            replace(folder, file, views, _MODE, "")
        finally:
            os.close(folder)
    except OSError:
        return False
    return True


def set_limit(place: Folder, limit: int) -> bool:
    """What :meth:`.Folder.set_limit` says."""
    text = b"%d" % limit
    try:
        folder = _made(place)
        try:
            replace(folder, LIMIT, [text], _MODE, "")
            make_room(folder, limit, "", 0)
        finally:
            os.close(folder)
    except OSError:
        return False
    return True


def _made(place: Folder) -> int:
    """A descriptor of the folder, which is made if it is not there.

    Raises:
        OSError: it cannot be made, or is not to be trusted.
    """
    try:
        return place.opened()
    except FileNotFoundError:
        if unmakeable(place.path) is not None:
            raise
    try:
        os.makedirs(place.path, 0o700)
    except FileExistsError:
        pass  # another process was faster
    return place.opened()
