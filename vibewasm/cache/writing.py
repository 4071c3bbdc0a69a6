"""Writing into the cache's folder: aside, as a whole, and then renamed into place.

Whoever reads sees the old file or the new one. Nothing is forced out to the disk (``fsync``): a machine that loses
power may leave a file with a wrong content under a right name, which its checksum tells.
"""

from __future__ import annotations

import os
from itertools import count

from .contents import ASIDE, make_room
from .folder import LIMIT, SUFFIX, Folder, limit_of
from .problem import unmakeable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
#: Names that are tried before writing is given up.
_MOST_TRIES = 64

# Counts in a child of a fork as well: its process number is another.
_numbers = count()


def write(place: Folder, file: str, parts: Iterable[bytes | bytearray | memoryview]) -> bool:
    """What :meth:`.Folder.write` says, of a file's name."""
    views = [memoryview(part) for part in parts]
    size = sum([view.nbytes for view in views])
    try:
        folder = _made(place)
        try:
            if not make_room(folder, limit_of(folder), file.removesuffix(SUFFIX), size):
                return False
            _replace(folder, file, views, size)
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
            _replace(folder, LIMIT, [memoryview(text)], len(text))
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


def _replace(folder: int, file: str, views: list[memoryview], size: int) -> None:
    """Write a file aside and rename it into place. Raises :class:`OSError`, and leaves nothing then."""
    _check_file_size(size)
    aside, opened = _new(folder)
    try:
        with open(opened, "wb") as output:
            for view in views:
                output.write(view)
        os.rename(aside, file, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        try:
            os.unlink(aside, dir_fd=folder)
        except OSError:
            pass  # with the folder, or by somebody who cleaned it
        raise


def _new(folder: int) -> tuple[str, int]:
    """A new file: its name and a descriptor of it.

    A name may be in use, by a process that had this number and was killed, or that has it in another container. Which
    of them it is cannot be told, so the file stays, and another number is taken.
    """
    process = os.getpid()
    for tried in range(_MOST_TRIES):
        aside = f"{process:x}-{next(_numbers):x}{ASIDE}"
        try:
            return aside, os.open(aside, _FLAGS, 0o600, dir_fd=folder)
        except FileExistsError:
            if tried == _MOST_TRIES - 1:
                raise
    raise AssertionError


def _check_file_size(size: int) -> None:
    """Raise :class:`OSError` where the process may not make files of such a size, and would be killed for it.

    Python ignores the signal SIGXFSZ, so that writing fails; a program that embeds it may not.
    """
    # Not `signal`, which makes enumerations of them.
    from _signal import SIG_IGN, SIGXFSZ, getsignal  # type: ignore[import-not-found]

    if getsignal(SIGXFSZ) == SIG_IGN:
        return
    from resource import RLIM_INFINITY, RLIMIT_FSIZE, getrlimit

    limit = getrlimit(RLIMIT_FSIZE)[0]
    if limit != RLIM_INFINITY and size > limit:
        raise OSError(27, "File too large")
