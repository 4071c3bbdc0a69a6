"""Functions on open files: read, write, seek, status, flags and rights."""

from __future__ import annotations

import os

from . import abi, guest
from .clocks import file_time
from .errnos import EFBIG, EINVAL, ENOTCAPABLE, SUCCESS, Errno
from .fds import file_type

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from struct import Struct

    from .process import Process

#: The largest offset or size that the host knows (off_t).
MAX_OFFSET = (1 << 63) - 1

_U32 = (1 << 32) - 1
_U64 = (1 << 64) - 1

#: WASI's numbers of seek origins and advice are these lists' indices.
_WHENCE = (os.SEEK_SET, os.SEEK_CUR, os.SEEK_END)
_ADVICE = (
    os.POSIX_FADV_NORMAL,
    os.POSIX_FADV_SEQUENTIAL,
    os.POSIX_FADV_RANDOM,
    os.POSIX_FADV_WILLNEED,
    os.POSIX_FADV_DONTNEED,
    os.POSIX_FADV_NOREUSE,
)


def fd_read(process: Process, memory: memoryview, fd: int, iovecs: int, count: int, result: int) -> int:
    """Read at the file's position."""
    file = process.files.no_directory(fd, abi.FD_READ)
    guest.check(memory, result, abi.U32.size)
    buffers = guest.buffers(memory, iovecs, count)
    abi.U32.pack_into(memory, result, file.read(buffers) if buffers else 0)
    return SUCCESS


def fd_write(process: Process, memory: memoryview, fd: int, iovecs: int, count: int, result: int) -> int:
    """Write at the file's position."""
    file = process.files.no_directory(fd, abi.FD_WRITE)
    guest.check(memory, result, abi.U32.size)
    buffers = guest.buffers(memory, iovecs, count)
    abi.U32.pack_into(memory, result, _written(process, file.write, buffers))
    return SUCCESS


def _written(process: Process, write: Callable[[list[memoryview]], int], buffers: list[memoryview]) -> int:
    """Write, as far as there is room; no buffers are written in no time."""
    if not buffers:
        return 0
    return write(buffers) if process.room is None else process.room.write(write, buffers)


def fd_pread(process: Process, memory: memoryview, fd: int, iovecs: int, count: int, offset: int, result: int) -> int:
    """Read at an offset; the position stays."""
    file = process.files.no_directory(fd, abi.FD_READ | abi.FD_SEEK)
    guest.check(memory, result, abi.U32.size)
    buffers = guest.buffers(memory, iovecs, count)
    if offset > MAX_OFFSET:
        raise Errno(EINVAL)
    abi.U32.pack_into(memory, result, file.pread(buffers, offset) if buffers else 0)
    return SUCCESS


def fd_pwrite(process: Process, memory: memoryview, fd: int, iovecs: int, count: int, offset: int, result: int) -> int:
    """Write at an offset; the position stays. A file in append mode is appended to, as Linux does it."""
    file = process.files.no_directory(fd, abi.FD_WRITE | abi.FD_SEEK)
    guest.check(memory, result, abi.U32.size)
    buffers = guest.buffers(memory, iovecs, count)
    if offset > MAX_OFFSET:
        raise Errno(EINVAL)
    abi.U32.pack_into(memory, result, _written(process, lambda parts: file.pwrite(parts, offset), buffers))
    return SUCCESS


def fd_seek(
    process: Process,
    memory: memoryview,
    fd: int,
    offset: int,
    whence: int,
    result: int,
    *,
    origins: Sequence[int] = _WHENCE,
) -> int:
    """Move the position, and write the new one."""
    file = process.files.no_directory(fd, abi.FD_SEEK)
    guest.check(memory, result, abi.U64.size)
    if whence >= len(origins):
        raise Errno(EINVAL)
    # The only offset of the interface that is signed.
    signed = offset - (1 << 64) if offset > MAX_OFFSET else offset
    abi.U64.pack_into(memory, result, file.seek(signed, origins[whence]))
    return SUCCESS


def fd_tell(process: Process, memory: memoryview, fd: int, result: int) -> int:
    """Write the position."""
    file = process.files.no_directory(fd, abi.FD_TELL)
    guest.check(memory, result, abi.U64.size)
    abi.U64.pack_into(memory, result, file.seek(0, os.SEEK_CUR))
    return SUCCESS


def fd_close(process: Process, memory: memoryview, fd: int) -> int:
    """Close a descriptor, preopened directories and standard streams included."""
    process.files.close(fd)
    return SUCCESS


def fd_renumber(process: Process, memory: memoryview, source: int, target: int) -> int:
    """Give an open file another open file's number, which is closed."""
    process.files.renumber(source, target)
    return SUCCESS


def fd_sync(process: Process, memory: memoryview, fd: int) -> int:
    """Write data and status through to the disk."""
    process.files.get(fd, abi.FD_SYNC).sync()
    return SUCCESS


def fd_datasync(process: Process, memory: memoryview, fd: int) -> int:
    """Write data through to the disk."""
    process.files.get(fd, abi.FD_DATASYNC).datasync()
    return SUCCESS


def fd_advise(process: Process, memory: memoryview, fd: int, offset: int, size: int, advice: int) -> int:
    """Say how a part of a file will be used."""
    file = process.files.no_directory(fd, abi.FD_ADVISE)
    if advice >= len(_ADVICE) or offset > MAX_OFFSET or size > MAX_OFFSET:
        raise Errno(EINVAL)
    file.advise(offset, size, _ADVICE[advice])
    return SUCCESS


def fd_allocate(process: Process, memory: memoryview, fd: int, offset: int, size: int) -> int:
    """Make sure that a part of a file has room on the disk; the file grows if it is shorter."""
    file = process.files.no_directory(fd, abi.FD_ALLOCATE)
    if not size:
        raise Errno(EINVAL)
    if offset + size > MAX_OFFSET:
        raise Errno(EFBIG)
    if process.room is None:
        file.allocate(offset, size)
    else:
        # A part that was a hole takes room as well, so all of it counts.
        process.room.lengthen(size, lambda: file.allocate(offset, size))
    return SUCCESS


def fd_fdstat_get(process: Process, memory: memoryview, fd: int, result: int, *, known: int = abi.ALL_RIGHTS) -> int:
    """Write file type, flags and rights of a descriptor."""
    file = process.files.get(fd)
    guest.store(memory, abi.FDSTAT, result, file.file_type, file.flags, file.rights & known, file.inheriting & known)
    return SUCCESS


def fd_fdstat_set_flags(process: Process, memory: memoryview, fd: int, flags: int) -> int:
    """Set append and non-blocking mode."""
    file = process.files.get(fd, abi.FD_FDSTAT_SET_FLAGS)
    if flags & ~abi.FDFLAGS:
        raise Errno(EINVAL)
    file.set_flags(flags)
    return SUCCESS


def fd_fdstat_set_rights(process: Process, memory: memoryview, fd: int, rights: int, inheriting: int) -> int:
    """Give up rights. They do not come back."""
    file = process.files.get(fd)
    if rights & ~file.rights or inheriting & ~file.inheriting:
        raise Errno(ENOTCAPABLE)
    file.rights = rights
    file.inheriting = inheriting
    return SUCCESS


def fd_filestat_get(
    process: Process, memory: memoryview, fd: int, result: int, *, layout: Struct = abi.FILESTAT
) -> int:
    """Write the status of an open file."""
    file = process.files.get(fd, abi.FD_FILESTAT_GET)
    guest.check(memory, result, layout.size)
    status = file.stat()
    if status is None or (process.stable is not None and file.file_type == abi.UNKNOWN):
        layout.pack_into(memory, result, 0, 0, file.file_type, 1, 0, 0, 0, 0)
    else:
        store_status(memory, layout, result, process.status(status))
    return SUCCESS


def fd_filestat_set_size(process: Process, memory: memoryview, fd: int, size: int) -> int:
    """Cut a file off, or lengthen it with zeros."""
    file = process.files.no_directory(fd, abi.FD_FILESTAT_SET_SIZE)
    if size > MAX_OFFSET:
        raise Errno(EFBIG)
    if process.room is None:
        file.truncate(size)
    else:
        status = file.stat()
        process.room.lengthen(size - (status.st_size if status is not None else 0), lambda: file.truncate(size))
    return SUCCESS


def fd_filestat_set_times(process: Process, memory: memoryview, fd: int, atim: int, mtim: int, flags: int) -> int:
    """Set the times of an open file."""
    file = process.files.get(fd, abi.FD_FILESTAT_SET_TIMES)
    check_time_flags(flags)
    status = file.stat()
    if status is None:
        raise Errno(EINVAL)
    file.set_times(new_times(process, status, atim, mtim, flags))
    return SUCCESS


def store_status(memory: memoryview, layout: Struct, address: int, status: os.stat_result) -> None:
    """Write a filestat structure in one of its layouts. Times before 1970 cannot be said in it and become 0."""
    guest.store(
        memory,
        layout,
        address,
        status.st_dev & _U64,
        status.st_ino & _U64,
        file_type(status.st_mode),
        # Preview 0 has no room for more, and no file system that anyone met has so many.
        min(status.st_nlink, _U32),
        max(status.st_size, 0),
        max(status.st_atime_ns, 0),
        max(status.st_mtime_ns, 0),
        max(status.st_ctime_ns, 0),
    )


def check_time_flags(flags: int) -> None:
    """Fail with ``EINVAL`` for unknown flags, and for a time that is given and to be now at once."""
    if (
        flags & ~abi.FSTFLAGS
        or (flags & abi.SET_ATIM and flags & abi.SET_ATIM_NOW)
        or (flags & abi.SET_MTIM and flags & abi.SET_MTIM_NOW)
    ):
        raise Errno(EINVAL)


def new_times(process: Process, status: os.stat_result, atim: int, mtim: int, flags: int) -> tuple[int, int]:
    """Access and modification time to be set, in nanoseconds: those that are not to change as they are."""
    now = file_time(process)
    if not flags & abi.SET_ATIM:
        atim = now if flags & abi.SET_ATIM_NOW else status.st_atime_ns
    if not flags & abi.SET_MTIM:
        mtim = now if flags & abi.SET_MTIM_NOW else status.st_mtime_ns
    return atim, mtim
