"""Preopened directories of the host of which one lies in another.

A read-only one stays so on every way to it: where a program may change the directory around it, it is like a read-only
mount in there. What is in it cannot be changed, and it cannot be moved or removed, nor can a directory that it is in. A
writable one in a read-only one is the host's wish, and may be changed by its own number.

Directories are known by device and inode, so it does not matter by which path, link or bind mount one comes to them. A
bind mount of a part of a read-only directory shows another root, hence the look at the system's list of mounts.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TypeAlias

    from .fds import Directory

    Identity: TypeAlias = tuple[int, int]

_MOUNTS = "/proc/self/mountinfo"
_LOOK = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


class Guard:
    """What a program must not change although it may change what is around it.

    Attributes:
        roots: device and inode of each read-only directory, and of each mount of a part of one.
        fixed: those, and of the directories that they are in: names that must stay.
    """

    __slots__ = ("fixed", "roots")

    def __init__(self, roots: frozenset[Identity], fixed: frozenset[Identity]) -> None:
        self.roots = roots
        self.fixed = fixed

    def holds(self, fd: int) -> bool:
        """Whether this is the descriptor of a read-only directory."""
        return identity(fd) in self.roots


def guard(preopens: Sequence[Directory]) -> None:
    """See that read-only directories of the host hold in the writable ones of the same program.

    Args:
        preopens: all directories of the host that the program gets, in the order of their numbers.

    Raises:
        ValueError: two are one directory, and only one of them is read-only.
    """
    writable = {identity(directory.fd): directory for directory in preopens if not directory.read_only}
    read_only = [directory for directory in preopens if directory.read_only]
    for directory in read_only:
        same = writable.get(identity(directory.fd))
        if same is not None:
            names = [os.fsdecode(other.preopen or b"") for other in (directory, same)]
            raise ValueError(
                f"WasiConfig: preopens[{names[0]!r}] and preopens[{names[1]!r}] are the same directory, and only the "
                "first is read-only: make both of them read-only, or none"
            )
    roots = {identity(directory.fd) for directory in read_only}
    fixed: set[Identity] = set()
    for directory in read_only:
        fixed.update(_ancestors(directory.fd))
        for mount in _mounts_of_a_part(directory.fd):
            try:
                fd = os.open(mount, _LOOK)
            except OSError:
                # Covered by another mount, or not for this user to enter: no path of the program's gets there.
                continue
            try:
                # A writable one that is preopened itself is the host's wish here too.
                if identity(fd) not in writable:
                    roots.add(identity(fd))
                    fixed.update(_ancestors(fd))
            finally:
                os.close(fd)
    found = Guard(frozenset(roots), frozenset(fixed | roots))
    for directory in preopens:
        # What is opened through a read-only one is read-only anyway.
        if not directory.read_only:
            directory.guard = found


def identity(fd: int) -> Identity:
    """Device and inode of what a descriptor stands for."""
    status = os.fstat(fd)
    return status.st_dev, status.st_ino


def _ancestors(fd: int) -> Iterator[Identity]:
    """Each directory that a directory is in, up to the root."""
    below = identity(fd)
    held = os.dup(fd)
    try:
        while True:
            try:
                above = os.open(b"..", _LOOK, dir_fd=held)
            except PermissionError:
                # Nor does a path of the program's lead down from there.
                return
            os.close(held)
            held = above
            here = identity(held)
            if here == below:
                return
            yield here
            below = here
    finally:
        os.close(held)


def _mounts_of_a_part(fd: int) -> Iterator[str]:
    """Where parts of a directory, not all of it, are mounted: bind mounts.

    See proc_pid_mountinfo(5): each line has a mount's number, its parent's, the device, which directory of the file
    system is mounted, and where.
    """
    try:
        with open(f"/proc/self/fdinfo/{fd}", "rb") as file:
            number = next(line.split()[1] for line in file if line.startswith(b"mnt_id:"))
        with open(_MOUNTS, "rb") as file:
            mounts = [line.split() for line in file]
    except (OSError, StopIteration):
        # Without /proc nobody tells.
        return
    mine = next((fields for fields in mounts if fields[0] == number), None)
    if mine is None:
        return
    path = os.fsencode(os.readlink(f"/proc/self/fd/{fd}"))
    at = _unescaped(mine[4]).rstrip(b"/")
    if path != at and not path.startswith(at + b"/"):
        return
    # The directory's own path in its file system.
    inside = _unescaped(mine[3]).rstrip(b"/") + path[len(at) :].rstrip(b"/") + b"/"
    for fields in mounts:
        if fields[2] == mine[2] and _unescaped(fields[3]).startswith(inside):
            yield os.fsdecode(_unescaped(fields[4]))


def _unescaped(field: bytes) -> bytes:
    """A field of the list of mounts, in which white space and backslashes are octal numbers."""
    parts = field.split(b"\\")
    return parts[0] + b"".join([bytes([int(part[:3], 8)]) + part[3:] for part in parts[1:]])
