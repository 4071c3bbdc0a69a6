"""Functions on paths. Each walks its paths with :mod:`.paths` and hands the kernel a directory and one name in it."""

from __future__ import annotations

import os

from . import abi, guest
from .errnos import EBUSY, EEXIST, EINVAL, EISDIR, ENOENT, ENOTCAPABLE, ENOTDIR, ENOTEMPTY, EPERM, SUCCESS, Errno
from .fds import Directory, HostDescriptor, HostFile, file_type
from .files import check_time_flags, new_times, store_status
from .paths import Place, locate

TYPE_CHECKING = False
if TYPE_CHECKING:
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
    with locate(directory.fd, name, follow=follow, slash_error=EISDIR if creating else SUCCESS) as place:
        flags = _host_flags(place, oflags, rights, fdflags)
        host = os.open(place.name, flags, 0o666, dir_fd=place.directory)
    opened = _opened(process, host, rights, directory.inheriting, fdflags)
    opened.read_only = directory.read_only
    abi.U32.pack_into(memory, result, process.files.add(opened))
    return SUCCESS


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


def _opened(process: Process, host: int, rights: int, inheriting: int, fdflags: int) -> HostDescriptor:
    try:
        kind = file_type(os.fstat(host).st_mode)
    except BaseException:
        os.close(host)
        raise
    if kind == abi.DIRECTORY:
        return Directory(host, abi.DIRECTORY_RIGHTS & inheriting, inheriting, fdflags)
    granted = abi.FILE_RIGHTS & inheriting
    if not rights & abi.FD_READ:
        granted &= ~abi.FD_READ
    if not rights & abi.FD_WRITE:
        granted &= ~abi.WRITING
    return HostFile(host, kind, granted, fdflags, process.check)


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
    with locate(directory.fd, name, follow=bool(lookup & abi.SYMLINK_FOLLOW)) as place:
        if place.slash:
            place.require_directory()
        store_status(memory, layout, result, place.stat())
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
    with locate(directory.fd, name, follow=bool(lookup & abi.SYMLINK_FOLLOW)) as place:
        if place.slash:
            place.require_directory()
        times = new_times(process, place.stat(), atim, mtim, flags)
        os.utime(place.name, ns=times, dir_fd=place.directory, follow_symlinks=False)
    return SUCCESS


def path_create_directory(process: Process, memory: memoryview, fd: int, path: int, length: int) -> int:
    """Make a directory."""
    directory = process.files.directory(fd, abi.PATH_CREATE_DIRECTORY)
    name = guest.path(memory, path, length)
    with locate(directory.fd, name, follow=False, follow_slash=False) as place:
        os.mkdir(place.name, dir_fd=place.directory)
    return SUCCESS


def path_remove_directory(process: Process, memory: memoryview, fd: int, path: int, length: int) -> int:
    """Remove an empty directory."""
    directory = process.files.directory(fd, abi.PATH_REMOVE_DIRECTORY)
    name = guest.path(memory, path, length)
    with locate(directory.fd, name, follow=False, follow_slash=False) as place:
        if place.up:
            raise Errno(ENOTEMPTY)
        os.rmdir(place.name, dir_fd=place.directory)
    return SUCCESS


def path_unlink_file(process: Process, memory: memoryview, fd: int, path: int, length: int) -> int:
    """Remove a name that is not a directory's."""
    directory = process.files.directory(fd, abi.PATH_UNLINK_FILE)
    name = guest.path(memory, path, length)
    with locate(directory.fd, name, follow=False, follow_slash=False) as place:
        if place.slash:
            place.require_directory()
            raise Errno(EISDIR)
        os.unlink(place.name, dir_fd=place.directory)
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
    with locate(old_directory.fd, old_name, follow=False, follow_slash=False) as old:
        old.search()
        with locate(new_directory.fd, new_name, follow=False, follow_slash=False) as new:
            new.search()
            if b"." in (old.name, new.name):
                raise Errno(EBUSY)
            if (old.slash or new.slash) and not old.is_directory():
                # Linux looks at both names before it says what it thinks of the slash.
                new.exists()
                raise Errno(ENOTDIR)
            os.rename(old.name, new.name, src_dir_fd=old.directory, dst_dir_fd=new.directory)
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
    with locate(old_directory.fd, old_name, follow=bool(lookup & abi.SYMLINK_FOLLOW)) as old:
        # What is wrong with the old path is said before anything is wrong with the new one.
        if not old.is_directory() and old.slash:
            raise Errno(ENOTDIR)
        with locate(new_directory.fd, new_name, follow=False, follow_slash=False) as new:
            if new.slash:
                # What is made here is no directory, so a path with a slash at its end cannot name it.
                raise Errno(EEXIST if new.exists() else ENOENT)
            os.link(old.name, new.name, src_dir_fd=old.directory, dst_dir_fd=new.directory, follow_symlinks=False)
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
    with locate(directory.fd, name, follow=False) as place:
        os.symlink(content, place.name, dir_fd=place.directory)
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
    with locate(directory.fd, name, follow=False) as place:
        if place.slash:
            place.require_directory()
        content = os.readlink(place.name, dir_fd=place.directory)
    if content.startswith(b"/"):
        raise Errno(EPERM)
    used = min(len(content), size)
    memory[buffer : buffer + used] = content[:used]
    abi.U32.pack_into(memory, result, used)
    return SUCCESS
