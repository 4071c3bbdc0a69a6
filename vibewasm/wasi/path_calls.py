"""Functions on paths. Each walks its paths with :mod:`.paths` and hands the kernel a directory and one name in it."""

from __future__ import annotations

import os

from . import abi, guest
from .errnos import EBUSY, EEXIST, EINVAL, EISDIR, ENOENT, ENOTCAPABLE, ENOTDIR, ENOTEMPTY, EPERM, EXDEV, SUCCESS, Errno
from .fds import Descriptor, Directory, HostDescriptor, HostFile, file_type
from .files import check_time_flags, new_times, store_status
from .paths import HostSystem, Place, locate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from struct import Struct

    from .process import Process

#: For every file that is opened: links are not for the kernel to follow, and a terminal must not become ours.
_OPEN = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY

_HOST_FDFLAGS = (
    (abi.FDFLAG_APPEND, os.O_APPEND),
    (abi.FDFLAG_DSYNC, os.O_DSYNC),
    (abi.FDFLAG_NONBLOCK, os.O_NONBLOCK),
    (abi.FDFLAG_RSYNC, os.O_RSYNC),
    (abi.FDFLAG_SYNC, os.O_SYNC),
)


def path_open(
    process: Process,
    memory: memoryview,
    fd: int,
    lookup: int,
    path: int,
    length: int,
    oflags: int,
    rights: int,
    inheriting: int,
    fdflags: int,
    result: int,
    *,
    known: int = abi.ALL_RIGHTS,
) -> int:
    """Open or create a file, or open a directory.

    Of the rights asked for, reading and writing count: they decide how the host opens the file. A file has every other
    right that fits its type and that the directory lets it inherit, as in other engines, since programs ask carelessly.
    """
    needed = abi.PATH_OPEN
    if oflags & abi.OFLAG_CREAT:
        needed |= abi.PATH_CREATE_FILE
    if oflags & abi.OFLAG_TRUNC:
        needed |= abi.PATH_FILESTAT_SET_SIZE
    directory = process.files.directory(fd, needed)
    guest.check(memory, result, abi.U32.size)
    name = guest.path(memory, path, length)
    room = process.room
    if room is not None:
        room.open()
    if oflags & ~abi.OFLAGS or fdflags & ~abi.FDFLAGS:
        raise Errno(EINVAL)
    rights &= known
    if directory.read_only and rights & abi.FD_WRITE:
        raise Errno(EPERM)
    if (rights | inheriting & known) & ~directory.inheriting:
        raise Errno(ENOTCAPABLE)
    creating = bool(oflags & abi.OFLAG_CREAT)
    if creating and oflags & abi.OFLAG_DIRECTORY:
        raise Errno(EINVAL)
    exclusive = creating and bool(oflags & abi.OFLAG_EXCL)
    follow = bool(lookup & abi.SYMLINK_FOLLOW) and not exclusive
    # Nothing that can be created has a slash at its end.
    slash_error = EISDIR if creating else SUCCESS
    changing = bool(rights & abi.FD_WRITE or needed & abi.CHANGING)
    with locate(directory, name, follow=follow, slash_error=slash_error, changing=changing) as place:
        flags = _host_flags(place, oflags, rights, fdflags)
        opened: Descriptor
        if room is not None and creating and not place.exists():
            opened = room.create(lambda: _open(process, place, flags, rights, directory, fdflags))
        else:
            opened = _open(process, place, flags, rights, directory, fdflags)
        opened.read_only = opened.read_only or directory.read_only or place.read_only
    abi.U32.pack_into(memory, result, process.files.add(opened))
    return SUCCESS


def _open(process: Process, place: Place, flags: int, rights: int, through: Directory, fdflags: int) -> Descriptor:
    if isinstance(place.system, HostSystem):
        from .opening import open_file

        found = open_file(place.directory, place.name, flags, through.special_files, process.check)
        return _opened(process, *found, rights, through, fdflags)
    from .memory_files import opened_in

    return opened_in(place, flags, _granted(rights, through.inheriting), through.inheriting, fdflags)


def _host_flags(place: Place, oflags: int, rights: int, fdflags: int) -> int:
    writing = bool(rights & abi.FD_WRITE or oflags & abi.OFLAG_TRUNC)
    if not writing:
        flags = _OPEN | os.O_RDONLY
    elif rights & abi.FD_READ:
        flags = _OPEN | os.O_RDWR
    else:
        flags = _OPEN | os.O_WRONLY
    if oflags & abi.OFLAG_CREAT:
        flags |= os.O_CREAT
        if oflags & abi.OFLAG_EXCL:
            flags |= os.O_EXCL
    elif oflags & abi.OFLAG_DIRECTORY or place.slash:
        flags |= os.O_DIRECTORY
    if oflags & abi.OFLAG_TRUNC:
        flags |= os.O_TRUNC
    for flag, host in _HOST_FDFLAGS:
        if fdflags & flag:
            flags |= host
    return flags


def _opened(process: Process, host: int, mode: int, rights: int, through: Directory, fdflags: int) -> HostDescriptor:
    kind = file_type(mode)
    inheriting = through.inheriting
    if kind != abi.DIRECTORY:
        return HostFile(host, kind, _granted(rights, inheriting), fdflags, process.check)
    directory = Directory(host, abi.DIRECTORY_RIGHTS & inheriting, inheriting, fdflags)
    directory.special_files = through.special_files
    directory.guard = through.guard
    directory.read_only = through.guard is not None and through.guard.holds(host)
    return directory


def _granted(rights: int, inheriting: int) -> int:
    """What may be done with a file that was opened with these rights."""
    granted = abi.FILE_RIGHTS & inheriting
    if not rights & abi.FD_READ:
        granted &= ~abi.FD_READ
    if not rights & abi.FD_WRITE:
        granted &= ~abi.WRITING
    return granted


def path_filestat_get(
    process: Process,
    memory: memoryview,
    fd: int,
    lookup: int,
    path: int,
    length: int,
    result: int,
    *,
    layout: Struct = abi.FILESTAT,
) -> int:
    """Write the status of what a path names."""
    directory = process.files.directory(fd, abi.PATH_FILESTAT_GET)
    guest.check(memory, result, layout.size)
    name = guest.path(memory, path, length)
    with locate(directory, name, follow=bool(lookup & abi.SYMLINK_FOLLOW)) as place:
        if place.slash:
            place.require_directory()
        store_status(memory, layout, result, process.status(place.stat()))
    return SUCCESS


def path_filestat_set_times(
    process: Process,
    memory: memoryview,
    fd: int,
    lookup: int,
    path: int,
    length: int,
    atim: int,
    mtim: int,
    flags: int,
) -> int:
    """Set the times of what a path names."""
    directory = process.files.directory(fd, abi.PATH_FILESTAT_SET_TIMES)
    name = guest.path(memory, path, length)
    check_time_flags(flags)
    with locate(directory, name, follow=bool(lookup & abi.SYMLINK_FOLLOW), changing=True) as place:
        if place.slash:
            place.require_directory()
        place.may_change()
        times = new_times(process, place.stat(), atim, mtim, flags)
        place.system.set_times(place.directory, place.name, times)
    return SUCCESS


def path_create_directory(process: Process, memory: memoryview, fd: int, path: int, length: int) -> int:
    """Make a directory."""
    directory = process.files.directory(fd, abi.PATH_CREATE_DIRECTORY)
    name = guest.path(memory, path, length)
    with locate(directory, name, follow=False, follow_slash=False, changing=True) as place:
        _make(process, lambda: place.system.mkdir(place.directory, place.name))
    return SUCCESS


def _make(process: Process, make: Callable[[], None]) -> None:
    """Make a name, if there may be one more."""
    if process.room is None:
        make()
    else:
        process.room.create(make)


def path_remove_directory(process: Process, memory: memoryview, fd: int, path: int, length: int) -> int:
    """Remove an empty directory."""
    directory = process.files.directory(fd, abi.PATH_REMOVE_DIRECTORY)
    name = guest.path(memory, path, length)
    with locate(directory, name, follow=False, follow_slash=False, changing=True) as place:
        if place.up:
            raise Errno(ENOTEMPTY)
        place.may_move()
        place.system.rmdir(place.directory, place.name)
    return SUCCESS


def path_unlink_file(process: Process, memory: memoryview, fd: int, path: int, length: int) -> int:
    """Remove a name that is not a directory's."""
    directory = process.files.directory(fd, abi.PATH_UNLINK_FILE)
    name = guest.path(memory, path, length)
    with locate(directory, name, follow=False, follow_slash=False, changing=True) as place:
        if place.slash:
            place.require_directory()
            raise Errno(EISDIR)
        place.system.unlink(place.directory, place.name)
    return SUCCESS


def path_rename(
    process: Process,
    memory: memoryview,
    fd: int,
    old_path: int,
    old_length: int,
    new_fd: int,
    new_path: int,
    new_length: int,
) -> int:
    """Give a file or directory another name, replacing what had it."""
    old_directory = process.files.directory(fd, abi.PATH_RENAME_SOURCE)
    new_directory = process.files.directory(new_fd, abi.PATH_RENAME_TARGET)
    old_name = guest.path(memory, old_path, old_length)
    new_name = guest.path(memory, new_path, new_length)
    with locate(old_directory, old_name, follow=False, follow_slash=False, changing=True) as old:
        old.search()
        with locate(new_directory, new_name, follow=False, follow_slash=False, changing=True) as new:
            new.search()
            if old.system.device is not new.system.device:
                raise Errno(EXDEV)
            if b"." in (old.name, new.name):
                raise Errno(EBUSY)
            if (old.slash or new.slash) and not old.is_directory():
                # Linux looks at both names before it says what it thinks of the slash.
                new.exists()
                raise Errno(ENOTDIR)
            old.may_move()
            new.may_move()
            old.system.rename(old.directory, old.name, new.directory, new.name)
    return SUCCESS


def path_link(
    process: Process,
    memory: memoryview,
    fd: int,
    lookup: int,
    old_path: int,
    old_length: int,
    new_fd: int,
    new_path: int,
    new_length: int,
) -> int:
    """Give a file a further name."""
    old_directory = process.files.directory(fd, abi.PATH_LINK_SOURCE)
    new_directory = process.files.directory(new_fd, abi.PATH_LINK_TARGET)
    old_name = guest.path(memory, old_path, old_length)
    new_name = guest.path(memory, new_path, new_length)
    # Through its new name the file could be changed.
    with locate(old_directory, old_name, follow=bool(lookup & abi.SYMLINK_FOLLOW), changing=True) as old:
        # What is wrong with the old path is said before anything is wrong with the new one.
        if not old.is_directory() and old.slash:
            raise Errno(ENOTDIR)
        with locate(new_directory, new_name, follow=False, follow_slash=False, changing=True) as new:
            if new.slash:
                # What is made here is no directory, so a path with a slash at its end cannot name it.
                raise Errno(EEXIST if new.exists() else ENOENT)
            if old.system.device is not new.system.device:
                raise Errno(EEXIST if new.exists() else EXDEV)
            _make(process, lambda: old.system.link(old.directory, old.name, new.directory, new.name))
    return SUCCESS


def path_symlink(
    process: Process, memory: memoryview, target: int, target_length: int, fd: int, path: int, length: int
) -> int:
    """Make a symbolic link. An absolute one could not be followed here, but by others outside, so it is refused.

    A slash at the end of the path stands for ``/.``, as POSIX has it and the tests of WASI want: ``file/`` is no
    directory and ``dangling/`` is not there, where Linux says of both that they exist.
    """
    directory = process.files.directory(fd, abi.PATH_SYMLINK)
    content = guest.path(memory, target, target_length)
    name = guest.path(memory, path, length)
    if content.startswith(b"/"):
        raise Errno(EPERM)
    if not content:
        raise Errno(ENOENT)
    if name.endswith(b"/"):
        name += b"."
    with locate(directory, name, follow=False, changing=True) as place:
        _make(process, lambda: place.system.symlink(content, place.directory, place.name))
    return SUCCESS


def path_readlink(
    process: Process, memory: memoryview, fd: int, path: int, length: int, buffer: int, size: int, result: int
) -> int:
    """Write what a symbolic link says, as much as there is room for.

    An absolute one can only be the host's, and is none of the program's business.
    """
    directory = process.files.directory(fd, abi.PATH_READLINK)
    guest.check(memory, buffer, size)
    guest.check(memory, result, abi.U32.size)
    name = guest.path(memory, path, length)
    with locate(directory, name, follow=False) as place:
        if place.slash:
            place.require_directory()
        content = place.system.readlink(place.directory, place.name)
    if content.startswith(b"/"):
        raise Errno(EPERM)
    used = min(len(content), size)
    memory[buffer : buffer + used] = content[:used]
    abi.U32.pack_into(memory, result, used)
    return SUCCESS
