"""Paths that cannot leave a directory.

The host is asked for two things only: to find the directory that a path's last component is in, and to do something
with that one name there, without following a link.

Where the kernel can keep a walk below a directory (``openat2`` with ``RESOLVE_BENEATH``), it walks to that directory in
one call. Elsewhere, and whenever it gives an error, the path is walked here, component by component from an open
directory (``openat`` with ``O_NOFOLLOW``): links are read and walked by the same loop, and ``..`` goes back to the
directory that the walk came from. What a race can change (a directory becomes a link, or is moved away) is therefore
only which directory inside is reached, or that an error is given. Both ways end in the same place or in the same error,
but where links make a path longer than is walked here.
"""

from __future__ import annotations

import os
from errno import EAGAIN as HOST_EAGAIN
from errno import EINVAL as HOST_EINVAL
from errno import ELOOP as HOST_ELOOP
from errno import ENOENT as HOST_ENOENT
from errno import ENOSYS as HOST_ENOSYS
from errno import ENOTDIR as HOST_ENOTDIR
from stat import S_ISDIR

from .errnos import EBUSY, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, EPERM, SUCCESS, Errno

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, TypeAlias

    from .fds import Directory
    from .memory_files import MemorySystem
    from .overlaps import Guard

    System: TypeAlias = "HostSystem | MemorySystem"

#: As Linux: links in one path before ELOOP.
MAX_LINKS = 40
#: Directories that a walk holds open at a time, so that one path cannot use up the host's descriptors.
MAX_DEPTH = 256

#: Components that are walked here for one path, those of links included: some milliseconds' work. Each link may say
#: another two thousand.
MAX_STEPS = 4096

#: How a directory in the middle of a path is opened. O_PATH (Linux) asks for no permission to list it.
_BENEATH = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_STEP = _BENEATH | os.O_NOFOLLOW

#: The longest path that the kernel takes; one that links have made longer is walked here.
_KERNEL_PATH = 4095
#: How often the kernel is asked again when directories are moved while it walks.
_ATTEMPTS = 4


class Place:
    """Where a path ends: an open directory and one name in it. To be used in a ``with``, which closes the directory.

    Attributes:
        system: the host, or a directory in memory.
        directory: what the system knows the directory by: the host by a descriptor.
        name: one component: no slash, not ``..``; ``.`` where the path ends in the directory itself. It may name
            nothing, or a symbolic link: whoever uses it must not let the kernel follow links.
        slash: the path ended in a slash, so what it names must be a directory.
        up: the path ended in ``..``; the name is ``.`` then.
        read_only: the directory is one of those that only their own preopen decides about, and is read-only.
    """

    __slots__ = ("_guard", "_held", "directory", "name", "read_only", "slash", "system", "up")

    def __init__(
        self,
        system: System,
        root: Any,
        held: list[Any],
        name: bytes,
        slash: bool,
        guard: Guard | None,
        read_only: bool,
    ) -> None:
        self.system = system
        self.read_only = read_only
        self._guard = guard
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
        _close(self.system, self._held)

    def search(self) -> None:
        """Fail unless names in the directory may be looked up."""
        self.system.search(self.directory)

    def stat(self) -> os.stat_result:
        """The status of what is named, not of what a link points at."""
        return self.system.stat(self.directory, self.name)

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

    def may_change(self) -> None:
        """Fail with ``EPERM`` if a read-only directory is named, one whose own status must not change."""
        if self._guard is not None:
            status = self.stat()
            if (status.st_dev, status.st_ino) in self._guard.roots:
                raise Errno(EPERM)

    def may_move(self) -> None:
        """Fail with ``EBUSY``, as for a mount, if a read-only directory is named or one that such a one is in."""
        if self._guard is not None:
            try:
                status = self.stat()
            except FileNotFoundError:
                return
            if (status.st_dev, status.st_ino) in self._guard.fixed:
                raise Errno(EBUSY)

    def require_directory(self) -> None:
        """Fail unless a directory is named; with the host's error if nothing is."""
        if not self.is_directory():
            raise Errno(ENOTDIR)


def locate(
    start: Directory,
    path: bytes,
    *,
    follow: bool,
    follow_slash: bool = True,
    slash_error: int = SUCCESS,
    changing: bool = False,
) -> Place:
    """Walk ``path`` from a directory to its last component.

    Args:
        start: an open directory, which the path cannot leave.
        path: as the program gave it, without NUL.
        follow: follow a symbolic link in the last component.
        follow_slash: follow it also where a slash comes after it.
        slash_error: what to fail with where a slash comes after the last component, or after that of a link that is
            followed, before looking whether it is there; ``.`` and ``..`` may have one.
        changing: something in the directory is to be changed.

    Raises:
        Errno: ``EPERM`` where the path or a link in it would leave (absolute, or too many ``..``) and where something
            read-only is to be changed, ``ELOOP``, ``ENOTDIR``, ``ENOENT``, ``ENAMETOOLONG``.
        OSError: the host's error.
    """
    system: System = start.system or HOST
    root = start.handle
    guard = start.guard
    held: list[Any] = []
    try:
        # The kernel does not say which directories it came through.
        if not (
            guard is None
            and system is HOST
            and HOST.walks
            and b"/" in path
            and (found := _walk_in_kernel(root, path, follow, follow_slash, slash_error, held))
        ):
            found = _walk(system, root, path, follow, follow_slash, slash_error, held, guard)
        name, slash, read_only = found
        if read_only and changing:
            raise Errno(EPERM)
    except BaseException:
        _close(system, held)
        raise
    return Place(system, root, held, name, slash, guard, read_only)


def _walk_in_kernel(
    root: int, path: bytes, follow: bool, follow_slash: bool, slash_error: int, held: list[Any]
) -> tuple[bytes, bool, bool] | None:
    """As :func:`_walk`, with one call for all directories; None, and nothing held, where it has to be walked here."""
    slash = path.endswith(b"/")
    links = 0
    while True:
        if path.startswith(b"/") or len(path) > _KERNEL_PATH or path.count(b"/") > MAX_DEPTH:
            return None
        above, _, name = path.rstrip(b"/").rpartition(b"/")
        if name == b"..":
            # Where that leads depends on all of the path.
            above = path
        here = root
        if above:
            found = HOST.beneath(root, above)
            if found is None:
                return None
            held.append(found)
            here = found
        if name == b"..":
            return name, slash, False
        if name == b".":
            HOST.search(here)
            return name, slash, False
        if slash and slash_error:
            HOST.search(here)
            raise Errno(slash_error)
        if not (follow or (slash and follow_slash)):
            return name, slash, False
        target = _link_target(HOST, here, name)
        if target is None:
            return name, slash, False
        slash = slash or target.endswith(b"/")
        links += 1
        if links > MAX_LINKS:
            raise Errno(ELOOP)
        if target.startswith(b"/"):
            raise Errno(EPERM)
        path = above + b"/" + target if above else target
        _close(HOST, held)


def _walk(
    system: System,
    root: Any,
    path: bytes,
    follow: bool,
    follow_slash: bool,
    slash_error: int,
    held: list[Any],
    guard: Guard | None,
) -> tuple[bytes, bool, bool]:
    pending = _components(path)
    slash = path.endswith(b"/")
    links = 0
    # How many directories were held when the walk came into a read-only one; 0 outside.
    read_only = 0
    left = MAX_STEPS
    while True:
        name = pending.pop()
        left -= 1
        if left < 0:
            raise Errno(ELOOP)
        here = held[-1] if held else root
        last = not pending
        if name == b"." or name == b"..":
            # Also to stay or to go back takes the permission to search.
            system.search(here)
            if name == b"..":
                if not held:
                    raise Errno(EPERM)
                if len(held) == read_only:
                    read_only = 0
                system.leave(held.pop())
            if last:
                return name, slash, bool(read_only)
            continue
        if last:
            if slash and slash_error:
                system.search(here)
                raise Errno(slash_error)
            if not (follow or (slash and follow_slash)):
                return name, slash, bool(read_only)
            target = _link_target(system, here, name)
            if target is None:
                return name, slash, bool(read_only)
            slash = slash or target.endswith(b"/")
        else:
            try:
                held.append(system.step(here, name))
            except OSError as error:
                # A link gives ENOTDIR on Linux, ELOOP elsewhere.
                if error.errno not in (HOST_ENOTDIR, HOST_ELOOP):
                    raise
                target = _link_target(system, here, name)
                if target is None:
                    raise Errno(ENOTDIR) from None
            else:
                if len(held) > MAX_DEPTH:
                    raise Errno(ENAMETOOLONG)
                if guard is not None and not read_only and guard.holds(held[-1]):
                    read_only = len(held)
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


def _link_target(system: System, directory: Any, name: bytes) -> bytes | None:
    """What a symbolic link says; None if there is no link of this name."""
    try:
        return system.readlink(directory, name)
    except OSError as error:
        if error.errno in (HOST_EINVAL, HOST_ENOENT):
            return None
        raise


def _close(system: System, held: list[Any]) -> None:
    while held:
        system.leave(held.pop())


class HostSystem:
    """The host's kernel. A directory is a descriptor here, and every name is one component; no link is followed.

    :class:`.memory_files.MemorySystem` has the same methods. All of them fail with the host's errors.

    Attributes:
        device: what has to be the same for a file to be moved or linked: the kernel looks for itself.
        walks: the kernel can walk a path below a directory, as far as is known. ``VIBEWASM_OPENAT2=off`` in the
            environment says that it cannot.
    """

    __slots__ = ("device", "walks")

    def __init__(self) -> None:
        self.device: object = None
        self.walks = os.environ.get("VIBEWASM_OPENAT2") != "off"

    def beneath(self, directory: int, path: bytes) -> int | None:
        """Open a directory at a path that stays below another one; None where the kernel does not do that.

        Raises:
            FileNotFoundError: something on the path is not there.
        """
        from ..runtime.openat2 import open_beneath

        for _ in range(_ATTEMPTS):
            try:
                return open_beneath(directory, path, _BENEATH)
            except FileNotFoundError:
                raise
            except OSError as error:
                if error.errno == HOST_ENOSYS:
                    self.walks = False
                if error.errno != HOST_EAGAIN:
                    # Among them EPERM, which may be a sandbox's word for a call that it does not know, or about this
                    # one file: a walk from here finds out.
                    break
        return None

    def step(self, directory: int, name: bytes) -> int:
        """Open a directory to go on from."""
        return os.open(name, _STEP, dir_fd=directory)

    def leave(self, directory: int) -> None:
        """Close it."""
        os.close(directory)

    def search(self, directory: int) -> None:
        """Fail unless names in a directory may be looked up."""
        os.stat(b".", dir_fd=directory, follow_symlinks=False)

    def stat(self, directory: int, name: bytes) -> os.stat_result:
        """The status of what has this name."""
        return os.stat(name, dir_fd=directory, follow_symlinks=False)

    def readlink(self, directory: int, name: bytes) -> bytes:
        """What a symbolic link says."""
        return os.readlink(name, dir_fd=directory)

    def set_times(self, directory: int, name: bytes, times: tuple[int, int]) -> None:
        """Set access and modification time, in nanoseconds."""
        os.utime(name, ns=times, dir_fd=directory, follow_symlinks=False)

    def mkdir(self, directory: int, name: bytes) -> None:
        """Make a directory."""
        os.mkdir(name, dir_fd=directory)

    def symlink(self, content: bytes, directory: int, name: bytes) -> None:
        """Make a symbolic link."""
        os.symlink(content, name, dir_fd=directory)

    def rmdir(self, directory: int, name: bytes) -> None:
        """Remove an empty directory."""
        os.rmdir(name, dir_fd=directory)

    def unlink(self, directory: int, name: bytes) -> None:
        """Remove a name that is not a directory's."""
        os.unlink(name, dir_fd=directory)

    def link(self, directory: int, name: bytes, new_directory: int, new_name: bytes) -> None:
        """Give a file a further name."""
        os.link(name, new_name, src_dir_fd=directory, dst_dir_fd=new_directory, follow_symlinks=False)

    def rename(self, directory: int, name: bytes, new_directory: int, new_name: bytes) -> None:
        """Give a file or directory another name, replacing what had it."""
        os.rename(name, new_name, src_dir_fd=directory, dst_dir_fd=new_directory)


HOST = HostSystem()
