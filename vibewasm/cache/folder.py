"""The folder of the code cache: where it is, whether it is to be trusted, and reading from it.

A cache makes nothing possible that is not possible without it, so what the file system refuses is never an error here:
nothing is read then, or nothing is written, and :meth:`Folder.problem` says why. What is read is machine code that will
run, so it has to be what this user has written: a folder that is theirs and that nobody else may enter, opened once for
each operation, and in it only regular files that are theirs as well, reached through the descriptor of that folder.
Nothing is held between two operations: no descriptor, no lock, nothing that a fork would have to know of.

A start that finds its file loads this module and no other of the room.
"""

from __future__ import annotations

import os
from stat import S_ISREG
from time import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from .contents import Entry

#: Bytes that all files together may have, where the folder does not say otherwise.
DEFAULT_LIMIT = 256 << 20
#: One file may have at most the limit divided by this, and never more than these bytes.
SHARE = 4
LARGEST = 1 << 30
#: The file that holds another limit, as decimal digits; nothing else in the folder is called so.
LIMIT = "limit"
_LIMIT_DIGITS = 19
#: What a file's name has after the hexadecimal digits that it was asked for by.
SUFFIX = ".code"
_MOST_DIGITS = 128

#: Seconds to which a file's time of last use is exact: it is set anew when it is off by so much.
PRECISION = 3600
#: Seconds by which this machine's clock may differ from the one that the file system has. What is further in the future
#: says nothing about when a file was used.
SKEW = 3600

#: Values of ``VIBEWASM_CACHE`` that are no folder's name: what means the same elsewhere is not to make a folder here.
_OFF = ("off", "0", "no", "none", "false")

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: Without O_NONBLOCK, opening a FIFO would wait for somebody to write into it.
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

#: Permissions of all but the owner (inode(7)).
_OTHERS = 0o077


def is_off() -> bool:
    """Whether the environment forbids to keep anything, in whatever folder: ``VIBEWASM_CACHE=off``."""
    return os.environ.get("VIBEWASM_CACHE", "").lower() in _OFF


def default_path() -> str | None:
    """The folder that the environment asks for; ``None``: none.

    ``VIBEWASM_CACHE`` names it, and may be ``off``. Without it, it is ``vibewasm/code`` in the user's cache folder,
    which is ``XDG_CACHE_HOME`` where that is absolute (XDG Base Directory Specification), else ``.cache`` in ``HOME``.
    """
    variables = os.environ
    path = variables.get("VIBEWASM_CACHE")
    if path:
        return None if is_off() else path
    path = variables.get("XDG_CACHE_HOME", "")
    if path[:1] != "/":
        path = variables.get("HOME", "")
        if path[:1] != "/":
            return None
        path += "/.cache"
    return path + "/vibewasm/code"


class Folder:
    """The cache's folder at a path. Making one touches nothing; the folder is made when something is written.

    Args:
        path: may be relative to the working directory of this moment.
    """

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        if path and path[0] != "/":
            try:
                path = f"{os.getcwd()}/{path}"
            except FileNotFoundError:
                pass  # a working directory that was removed: nothing can be made in it, which `problem` says
        # A link with a slash after it would be followed.
        self.path = path.rstrip("/") or path[:1]

    def __repr__(self) -> str:
        return f"Folder({self.path!r})"

    def read(self, name: str, noted: bool = True) -> bytes | None:
        """What was written under a name; ``None`` if that is not there, or not to be trusted.

        The bytes are those of one :meth:`write`, unless the disk changed them, or the user did: what they hold is to be
        checked.

        Args:
            name: hexadecimal digits, in lower case.
            noted: reading it counts as use.
        """
        file = file_name(name)
        try:
            folder = self.opened()
            try:
                opened = os.open(file, _FILE_FLAGS, dir_fd=folder)
                try:
                    status = os.fstat(opened)
                    size = status.st_size
                    if size > DEFAULT_LIMIT // SHARE and size > min(limit_of(folder) // SHARE, LARGEST):
                        return None
                    data = _whole(opened, status)
                    if noted and data is not None and not -SKEW < time() - status.st_mtime < PRECISION:
                        _used(opened)
                    return data
                finally:
                    os.close(opened)
            finally:
                os.close(folder)
        except (OSError, MemoryError):
            return None

    def write(self, name: str, parts: Iterable[bytes | bytearray | memoryview]) -> bool:
        """Keep bytes under a name, in place of what was there. Returns whether they are kept.

        Room is made for them first, and the file appears as a whole or not at all.

        Args:
            name: hexadecimal digits, in lower case.
            parts: the bytes, one after the other.
        """
        from .writing import write

        return write(self, file_name(name), parts)

    def remove(self, name: str) -> None:
        """Remove what was written under a name, if it is there."""
        file = file_name(name)
        try:
            folder = self.opened()
            try:
                os.unlink(file, dir_fd=folder)
            finally:
                os.close(folder)
        except OSError:
            pass  # not there, or not ours to remove: then it is not read either

    def entries(self) -> list[Entry]:
        """All files that were written, the one used last first; none where the folder is not used."""
        from .contents import entries

        return entries(self)

    def clear(self, older_than: float = 0) -> tuple[int, int]:
        """Remove all files, or those that were not used for ``older_than`` seconds.

        Returns:
            How many were removed, and how many bytes they had. Files of other names stay, and so does the limit.
        """
        from .contents import clear

        return clear(self, older_than)

    @property
    def limit(self) -> int:
        """Bytes that all files together may have."""
        try:
            folder = self.opened()
        except OSError:
            return DEFAULT_LIMIT
        try:
            return limit_of(folder)
        finally:
            os.close(folder)

    def set_limit(self, limit: int) -> bool:
        """Let all files together have at most so many bytes (fewer than 2^63), from here on.

        Returns whether that is kept.
        """
        from .writing import set_limit

        if not 0 <= limit < 1 << 63:
            raise ValueError(f"a limit is a number of bytes from 0 to 2^63 - 1, not {limit}")
        return set_limit(self, limit)

    def problem(self) -> str | None:
        """Why nothing is read or written here, as a part of a sentence; ``None`` if nothing is in the way."""
        from .problem import problem

        return problem(self)

    def opened(self) -> int:
        """A descriptor of the folder, to be closed.

        Raises:
            OSError: it is not there, or not to be trusted; ``strerror`` says why.
        """
        try:
            folder = os.open(self.path, _FOLDER_FLAGS)
        except ValueError as error:  # a NUL character, or what the file system's encoding has not
            raise OSError(22, "no file system has such a name") from error
        try:
            status = os.fstat(folder)
            if status.st_uid != os.geteuid():
                raise OSError(1, f"it belongs to user {status.st_uid}, and this process runs as user {os.geteuid()}")
            if status.st_mode & _OTHERS:
                raise OSError(1, f"others may use it: its mode is {status.st_mode & 0o7777:04o}, not 0700")
        except OSError:
            os.close(folder)
            raise
        return folder


def file_name(name: str) -> str:
    """The file for a name. Raises :class:`ValueError` for a name that is not made of hexadecimal digits."""
    if len(name) > _MOST_DIGITS or not is_hexadecimal(name):
        raise ValueError(f"a name in the code cache has 1 to {_MOST_DIGITS} hexadecimal digits, not {name!r}")
    return name + SUFFIX


def is_hexadecimal(text: str) -> bool:
    """Whether a text is made of hexadecimal digits, in lower case, of which there is one at least."""
    return bool(text) and not text.strip("0123456789abcdef")


def limit_of(folder: int) -> int:
    """The limit of an open folder: what its file says, or the default where there is none that can be used."""
    try:
        opened = os.open(LIMIT, _FILE_FLAGS, dir_fd=folder)
        try:
            status = os.fstat(opened)
            text = _whole(opened, status) if status.st_size <= _LIMIT_DIGITS else None
        finally:
            os.close(opened)
    except OSError:
        return DEFAULT_LIMIT
    # bytes.isdigit knows the ASCII digits only.
    return int(text) if text is not None and text.isdigit() else DEFAULT_LIMIT


def _whole(opened: int, status: os.stat_result) -> bytes | None:
    """All of an open file; ``None`` if it is not to be trusted, or has become shorter or longer meanwhile."""
    if not S_ISREG(status.st_mode) or status.st_mode & _OTHERS or status.st_uid != os.geteuid() or status.st_nlink != 1:
        return None
    size = status.st_size
    # One byte more than there should be: a file that grows is noticed, without asking a second time.
    data = os.read(opened, size + 1)
    while len(data) < size:  # more than 2 GiB, or a file system that gives what it has at hand
        more = os.read(opened, size + 1 - len(data))
        if not more:
            return None
        data += more
    return data if len(data) == size else None


def _used(opened: int) -> None:
    """Note that a file was used; what comes of it is only an order."""
    try:
        os.utime(opened)
    except OSError:
        pass  # a file system that is mounted read-only
