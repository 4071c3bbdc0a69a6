"""Writing a file aside, as a whole, and renaming it into place: for all that this package keeps for later starts.

Whoever reads sees the old file or the new one. Nothing is forced out to the disk (``fsync``): a machine that loses
power may leave a file with a wrong content under a right name.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

#: What the name of a file has that is being written.
ASIDE = ".new"
#: Seconds after which such a file is one that a killed writer has left. Its time may be as far in the future, where the
#: file system has another clock.
ABANDONED = 3600

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def replace(folder: int, file: str, parts: Iterable[bytes | bytearray | memoryview], mode: int, prefix: str) -> None:
    """Write a file aside and rename it into place.

    Args:
        folder: a descriptor of the folder of both.
        file: the name of the file.
        parts: its contents, one after the other.
        mode: its permissions, of which the process's mask takes some away.
        prefix: what the name aside begins with.

    Raises:
        OSError: it cannot be written; nothing is left of it then.
    """
    views = [memoryview(part) for part in parts]
    check_file_size(sum([view.nbytes for view in views]))
    aside = _new_name(prefix)
    # A file that is there already is somebody else's, and stays.
    opened = os.open(aside, _FLAGS, mode, dir_fd=folder)
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


def is_abandoned(written: float, now: float) -> bool:
    """Whether nobody writes a file aside any more that was last written to at this time, in seconds since 1970."""
    return not -ABANDONED < now - written < ABANDONED


def _new_name(prefix: str) -> str:
    """A name that no other process and no other thread draws.

    The number of a process does not do, since one in another container may have it; it tells people who wrote a file.
    """
    return f"{prefix}{os.getpid():x}-{os.urandom(8).hex()}{ASIDE}"


def check_file_size(size: int) -> None:
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
