"""Opening a file of the host: only what the program may have, and without touching what it may not.

To open a device can have effects (a tape rewinds, a watchdog starts), and to open a FIFO waits for somebody. So a file
that exists is looked at first by a descriptor that opens nothing (``O_PATH``), and then that very file is opened
through the descriptor's link in ``/proc``, whatever has got its name meanwhile.
"""

from __future__ import annotations

import os
from errno import EACCES as HOST_EACCES
from errno import ENOENT as HOST_ENOENT
from errno import ENOTDIR as HOST_ENOTDIR
from stat import S_ISBLK, S_ISCHR, S_ISDIR, S_ISFIFO, S_ISLNK, S_ISREG

from .errnos import EACCES, EAGAIN, EISDIR, ELOOP, ENOTDIR, ENXIO, Errno

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .process import Check

#: The links of what this process has open, which lead to the file itself and not to its name.
_LINKS = b"/proc/self/fd/%d"
#: How often it is tried again when a name comes to mean another file between two calls.
_ATTEMPTS = 40
#: Of a file that exists, these say nothing; nor is there a link that is not to be followed but the one in /proc.
_ONLY_BY_NAME = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


def open_file(directory: int, name: bytes, flags: int, special_files: bool, check: Check | None) -> tuple[int, int]:
    """Open or create what one name in a directory stands for.

    Args:
        directory: a descriptor.
        name: one component, which is not followed if it is a symbolic link.
        flags: of the host's ``open``.
        special_files: open a device or a FIFO, too.
        check: called from time to time while a FIFO is waited for.

    Returns:
        The descriptor, and its ``st_mode``.

    Raises:
        Errno: ``EACCES`` for a device or a FIFO that may not be opened, ``ENXIO`` for a socket, which nobody can open;
            ``ELOOP`` for a symbolic link, ``EISDIR``, ``ENOTDIR``; ``EAGAIN`` if the name means another file each time.
        OSError: the host's error.
    """
    if flags & os.O_CREAT and flags & os.O_EXCL:
        return _created(directory, name, flags)
    for _ in range(_ATTEMPTS):
        try:
            seen = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        except FileNotFoundError:
            if not flags & os.O_CREAT:
                raise
            try:
                return _created(directory, name, flags | os.O_EXCL)
            except FileExistsError:
                # Somebody else has made it.
                continue
        try:
            status = os.fstat(seen)
            _may_open(status.st_mode, flags, special_files)
            opened = _open_seen(seen, directory, name, status, flags, check)
        finally:
            os.close(seen)
        if opened is not None:
            return opened, status.st_mode
    raise Errno(EAGAIN)


def _created(directory: int, name: bytes, flags: int) -> tuple[int, int]:
    opened = os.open(name, flags, 0o666, dir_fd=directory)
    try:
        return opened, os.fstat(opened).st_mode
    except BaseException:
        os.close(opened)
        raise


def _may_open(mode: int, flags: int, special_files: bool) -> None:
    """Fail as the host would, in its order, and where the program may not have the file."""
    if flags & os.O_CREAT and S_ISDIR(mode):
        raise Errno(EISDIR)
    if flags & os.O_DIRECTORY and not S_ISDIR(mode):
        raise Errno(ENOTDIR)
    if S_ISLNK(mode):
        raise Errno(ELOOP)
    if S_ISREG(mode) or S_ISDIR(mode):
        return
    if not (S_ISFIFO(mode) or S_ISCHR(mode) or S_ISBLK(mode)):
        raise Errno(ENXIO)
    if not special_files:
        raise Errno(EACCES)


def _open_seen(
    seen: int, directory: int, name: bytes, status: os.stat_result, flags: int, check: Check | None
) -> int | None:
    """Open the file that a descriptor of the kind ``O_PATH`` stands for; None if its name means another one now."""
    flags &= ~_ONLY_BY_NAME
    try:
        opened = _open(_LINKS % seen, flags, None, status, check)
    except OSError as error:
        # Where /proc is not to be had, the name has to do.
        if error.errno not in (HOST_ENOENT, HOST_ENOTDIR, HOST_EACCES):
            raise
    else:
        if opened is not None:
            return opened
    return _open(name, flags | os.O_NOFOLLOW, directory, status, check)


def _open(path: bytes, flags: int, directory: int | None, status: os.stat_result, check: Check | None) -> int | None:
    """Open a file, if it is the one of this status."""
    if directory is None and (S_ISREG(status.st_mode) or S_ISDIR(status.st_mode)):
        opened = os.open(path, flags)
    else:
        # What is there now may keep one waiting.
        from .waiting import open_waiting

        opened = open_waiting(path, flags, directory, check, fifo=S_ISFIFO(status.st_mode))
    try:
        found = os.fstat(opened)
    except BaseException:
        os.close(opened)
        raise
    if (found.st_dev, found.st_ino) == (status.st_dev, status.st_ino):
        return opened
    os.close(opened)
    return None
