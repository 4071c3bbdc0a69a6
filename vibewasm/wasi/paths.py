"""Paths that cannot leave a directory.

The kernel is never given more than one component of a program's path, and never follows a symbolic link: a path is
walked component by component from an open directory (``openat`` with ``O_NOFOLLOW``), links are read and walked by the
same loop, and ``..`` goes back to the directory that the walk came from. What a race can change (a directory becomes a
link, or is moved away) is therefore only which directory inside is reached, or that an error is given.
"""

from __future__ import annotations

import os
from errno import EINVAL as HOST_EINVAL
from errno import ELOOP as HOST_ELOOP
from errno import ENOENT as HOST_ENOENT
from errno import ENOTDIR as HOST_ENOTDIR
from stat import S_ISDIR

from .errnos import ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, EPERM, SUCCESS, Errno

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

#: As Linux: links in one path before ELOOP.
MAX_LINKS = 40
#: Directories that a walk holds open at a time, so that one path cannot use up the host's descriptors.
MAX_DEPTH = 256

#: How a directory in the middle of a path is opened. O_PATH (Linux) asks for no permission to list it.
_STEP = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Place:
    """Where a path ends: an open directory and one name in it. To be used in a ``with``, which closes the directory.

    Attributes:
        directory: host descriptor of the directory.
        name: one component: no slash, not ``..``; ``.`` where the path ends in the directory itself. It may name
            nothing, or a symbolic link: whoever uses it must not let the kernel follow links.
        slash: the path ended in a slash, so what it names must be a directory.
        up: the path ended in ``..``; the name is ``.`` then.
    """

    __slots__ = ("_held", "directory", "name", "slash", "up")

    def __init__(self, root: int, held: list[int], name: bytes, slash: bool) -> None:
        self._held = held
        self.directory = held[-1] if held else root
        self.up = name == b".."
        self.name = b"." if self.up else name
        self.slash = slash

    def __enter__(self) -> Place:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _close(self._held)

    def search(self) -> None:
        """Fail unless names in the directory may be looked up."""
        _search(self.directory)

    def stat(self) -> os.stat_result:
        """The status of what is named, not of what a link points at."""
        return os.stat(self.name, dir_fd=self.directory, follow_symlinks=False)

    def exists(self) -> bool:
        """Whether anything is named, be it a link to nothing; with the host's error if the name cannot be looked up."""
        try:
            self.stat()
        except FileNotFoundError:
            return False
        return True

    def is_directory(self) -> bool:
        """Whether a directory is named; with the host's error if nothing is."""
        return S_ISDIR(self.stat().st_mode)

    def require_directory(self) -> None:
        """Fail unless a directory is named; with the host's error if nothing is."""
        if not self.is_directory():
            raise Errno(ENOTDIR)


def locate(root: int, path: bytes, *, follow: bool, follow_slash: bool = True, slash_error: int = SUCCESS) -> Place:
    """Walk ``path`` from the directory ``root`` to its last component.

    Args:
        root: host descriptor of a directory, which the path cannot leave.
        path: as the program gave it, without NUL.
        follow: follow a symbolic link in the last component.
        follow_slash: follow it also where a slash comes after it.
        slash_error: what to fail with where a slash comes after the last component, or after that of a link that is
            followed, before looking whether it is there; ``.`` and ``..`` may have one.

    Raises:
        Errno: ``EPERM`` where the path or a link in it would leave (absolute, or too many ``..``), ``ELOOP``,
            ``ENOTDIR``, ``ENOENT``, ``ENAMETOOLONG``.
        OSError: the host's error.
    """
    held: list[int] = []
    try:
        name, slash = _walk(root, path, follow, follow_slash, slash_error, held)
    except BaseException:
        _close(held)
        raise
    return Place(root, held, name, slash)


def _walk(
    root: int, path: bytes, follow: bool, follow_slash: bool, slash_error: int, held: list[int]
) -> tuple[bytes, bool]:
    pending = _components(path)
    slash = path.endswith(b"/")
    links = 0
    while True:
        name = pending.pop()
        here = held[-1] if held else root
        last = not pending
        if name == b"." or name == b"..":
            # Also to stay or to go back takes the permission to search.
            _search(here)
            if name == b"..":
                if not held:
                    raise Errno(EPERM)
                os.close(held.pop())
            if last:
                return name, slash
            continue
        if last:
            if slash and slash_error:
                _search(here)
                raise Errno(slash_error)
            if not (follow or (slash and follow_slash)):
                return name, slash
            target = _link_target(here, name)
            if target is None:
                return name, slash
            slash = slash or target.endswith(b"/")
        else:
            try:
                held.append(os.open(name, _STEP, dir_fd=here))
            except OSError as error:
                # A link gives ENOTDIR on Linux, ELOOP elsewhere.
                if error.errno not in (HOST_ENOTDIR, HOST_ELOOP):
                    raise
                target = _link_target(here, name)
                if target is None:
                    raise Errno(ENOTDIR) from None
            else:
                if len(held) > MAX_DEPTH:
                    raise Errno(ENAMETOOLONG)
                continue
        links += 1
        if links > MAX_LINKS:
            raise Errno(ELOOP)
        pending += _components(target)


def _components(path: bytes) -> list[bytes]:
    """The components of a relative path, last one first."""
    if path.startswith(b"/"):
        raise Errno(EPERM)
    components = [component for component in path.split(b"/") if component]
    if not components:
        raise Errno(ENOENT)
    components.reverse()
    return components


def _link_target(directory: int, name: bytes) -> bytes | None:
    """What a symbolic link says; None if there is no link of this name."""
    try:
        return os.readlink(name, dir_fd=directory)
    except OSError as error:
        if error.errno in (HOST_EINVAL, HOST_ENOENT):
            return None
        raise


def _search(directory: int) -> None:
    """Fail with the host's error unless names in a directory may be looked up."""
    os.stat(b".", dir_fd=directory, follow_symlinks=False)


def _close(held: list[int]) -> None:
    while held:
        os.close(held.pop())
