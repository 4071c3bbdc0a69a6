"""Functions on open directories: listing one, and finding the preopened ones."""

from __future__ import annotations

import os

from . import abi, guest
from .errnos import EBADF, ENAMETOOLONG, ENOMEM, SUCCESS, Errno
from .fds import file_type
from .waiting import ENTRIES, in_order

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .process import Check, Process


def fd_readdir(process: Process, memory: memoryview, fd: int, buffer: int, size: int, cookie: int, result: int) -> int:
    """Write directory entries from a cookie on, as many as there is room for; the last one may be cut off.

    A cookie is an index into the list made when the directory was last read from the start, so entries made or removed
    meanwhile neither repeat nor hide others.
    """
    directory = process.files.directory(fd, abi.FD_READDIR)
    guest.check(memory, buffer, size)
    guest.check(memory, result, abi.U32.size)
    entries = directory.entries
    if entries is None or cookie == 0:
        room = process.room
        entries = directory.list(None, process.check) if room is None else room.entries(directory, process.check)
        if process.charge is not None:
            # How many there are is not known before.
            from ..fuel_costs import WASI_ENTRY

            process.charge(WASI_ENTRY * len(entries))
        if room is not None:
            room.listed[directory] = len(entries)
        if process.stable is not None:
            status = directory.stat()
            assert status is not None
            entries = process.stable.entries(status.st_dev, entries)
        directory.entries = entries
    data = bytearray()
    given = 0
    for index in range(cookie, len(entries)):
        if len(data) >= size:
            break
        if not index % ENTRIES and process.check is not None:
            process.check()
        name, inode, kind = entries[index]
        data += abi.DIRENT.pack(index + 1, inode, len(name), kind) + name
        given += 1
    if process.charge is not None:
        from ..fuel_costs import WASI_LISTED

        process.charge(WASI_LISTED * given)
    used = min(len(data), size)
    memory[buffer : buffer + used] = data[:used]
    abi.U32.pack_into(memory, result, used)
    return SUCCESS


def fd_prestat_get(process: Process, memory: memoryview, fd: int, result: int) -> int:
    """Write what a preopened descriptor is: a directory with a name of some length."""
    guest.store(memory, abi.PRESTAT, result, abi.PREOPENTYPE_DIR, len(_preopen(process, fd)))
    return SUCCESS


def fd_prestat_dir_name(process: Process, memory: memoryview, fd: int, buffer: int, size: int) -> int:
    """Write the name of a preopened directory, without a NUL."""
    name = _preopen(process, fd)
    if size < len(name):
        raise Errno(ENAMETOOLONG)
    guest.write(memory, buffer, name)
    return SUCCESS


def _preopen(process: Process, fd: int) -> bytes:
    name = process.files.get(fd).preopen
    if name is None:
        raise Errno(EBADF)
    return name


def host_entries(fd: int, most: int | None = None, check: Check | None = None) -> list[tuple[bytes, int, int]]:
    """What a directory of the host lists; see :meth:`.fds.Directory.list`.

    The parent's inode is 0, "unknown", since it may be outside. Names that are not UTF-8 cannot be said in WASI.
    """
    entries = []
    with os.scandir(fd) as found:
        for entry in found:
            name = os.fsencode(entry.name)
            try:
                name.decode()
            except UnicodeDecodeError:
                continue
            entries.append((name, entry.inode(), _type_of(entry)))
            # Two more come to these.
            if most is not None and len(entries) + 2 > most:
                raise Errno(ENOMEM)
            if not len(entries) % ENTRIES and check is not None:
                check()
    if most is not None and most < 2:
        raise Errno(ENOMEM)
    if check is not None and len(entries) > 8 * ENTRIES:
        entries = in_order(entries, check)
    else:
        entries.sort()
    return [(b".", os.fstat(fd).st_ino, abi.DIRECTORY), (b"..", 0, abi.DIRECTORY), *entries]


def _type_of(entry: os.DirEntry[str]) -> int:
    # These three ask the kernel nothing where the directory itself tells the type.
    if entry.is_symlink():
        return abi.SYMBOLIC_LINK
    if entry.is_dir(follow_symlinks=False):
        return abi.DIRECTORY
    if entry.is_file(follow_symlinks=False):
        return abi.REGULAR_FILE
    try:
        return file_type(entry.stat(follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return abi.UNKNOWN
