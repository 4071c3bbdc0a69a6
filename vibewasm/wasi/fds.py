"""The file table of a program, and the descriptors in it that the host's kernel knows."""

from __future__ import annotations

import os
import stat

from . import abi
from .errnos import EBADF, EINVAL, EISDIR, ENOTCAPABLE, ENOTDIR, EPERM, ESPIPE, Errno

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from .memory_files import MemorySystem
    from .overlaps import Guard
    from .process import Check
    from .room import Room

# File types in a host's st_mode, and what WASI calls them.
_FILE_TYPES = {
    stat.S_IFCHR: abi.CHARACTER_DEVICE,
    stat.S_IFDIR: abi.DIRECTORY,
    stat.S_IFBLK: abi.BLOCK_DEVICE,
    stat.S_IFREG: abi.REGULAR_FILE,
    stat.S_IFLNK: abi.SYMBOLIC_LINK,
    stat.S_IFSOCK: abi.SOCKET_STREAM,
}


def file_type(mode: int) -> int:
    """WASI's file type for a host's ``st_mode``."""
    return _FILE_TYPES.get(stat.S_IFMT(mode), abi.UNKNOWN)


def may_wait(file_type: int) -> bool:
    """Whether reading or writing a file of this type can take as long as somebody else likes."""
    return file_type not in (abi.REGULAR_FILE, abi.BLOCK_DEVICE, abi.DIRECTORY)


def is_terminal(stream: object) -> bool:
    """Whether a Python stream says that it is a terminal; most objects that take its place say nothing."""
    isatty = getattr(stream, "isatty", None)
    return bool(callable(isatty) and isatty())


class Descriptor:
    """What a file descriptor of the program stands for.

    Attributes:
        file_type: of the open file.
        flags: fdflags.
        rights: what may be done with it.
        inheriting: the most that may be done with what is opened through it.
        preopen: the name of a preopened directory, or None.
        read_only: nothing may be changed through it, nor through what is opened through it.
    """

    __slots__ = ("file_type", "flags", "inheriting", "preopen", "read_only", "rights")

    def __init__(self, file_type: int, rights: int, inheriting: int = 0, flags: int = 0) -> None:
        self.file_type = file_type
        self.flags = flags
        self.rights = rights
        self.inheriting = inheriting
        self.preopen: bytes | None = None
        self.read_only = False

    def read(self, buffers: list[memoryview]) -> int:
        """Fill buffers, at least one byte unless at the end; give the number of bytes."""
        raise Errno(EBADF)

    def write(self, buffers: list[memoryview]) -> int:
        """Write buffers or a part of them, from their start; give the number of bytes."""
        raise Errno(EBADF)

    def stat(self) -> os.stat_result | None:
        """The status that the host has of it, if any."""
        return None

    def set_flags(self, flags: int) -> None:
        """Change the fdflags as far as the kind of file lets one."""
        self.flags = flags

    def fileno(self) -> int | None:
        """A host descriptor to poll; None for what is always ready and then has :meth:`available`."""
        return None

    # What follows is only called where the rights for it are there.

    def pread(self, buffers: list[memoryview], offset: int) -> int:
        """As :meth:`read`, at an offset; the position stays."""
        raise Errno(ESPIPE)

    def pwrite(self, buffers: list[memoryview], offset: int) -> int:
        """As :meth:`write`, at an offset; the position stays."""
        raise Errno(ESPIPE)

    def seek(self, offset: int, origin: int) -> int:
        """Move the position, from one of the host's origins, and give the new one."""
        raise Errno(ESPIPE)

    def sync(self) -> None:
        """Write data and status through to the disk."""
        raise Errno(EINVAL)

    def datasync(self) -> None:
        """Write data through to the disk."""
        self.sync()

    def advise(self, offset: int, size: int, advice: int) -> None:
        """Take the host's number for how a part will be used."""
        raise Errno(ESPIPE)

    def allocate(self, offset: int, size: int) -> None:
        """Make sure that there is room for a part; the file grows if it is shorter."""
        raise Errno(ESPIPE)

    def truncate(self, size: int) -> None:
        """Cut the file off, or lengthen it with zeros."""
        raise Errno(EINVAL)

    def set_times(self, times: tuple[int, int]) -> None:
        """Set access and modification time, in nanoseconds."""
        raise Errno(EINVAL)

    def available(self) -> tuple[int, bool]:
        """Bytes that can be read without waiting, as far as known, and whether there will be no more."""
        return 1, False

    def close(self) -> None:
        """Give up what it holds."""


class HostDescriptor(Descriptor):
    """A descriptor of the host.

    Attributes:
        fd: its number; -1 when closed.
        owned: it is to be closed with the program's.
    """

    __slots__ = ("fd", "owned")

    def __init__(
        self, fd: int, file_type: int, rights: int, inheriting: int = 0, flags: int = 0, owned: bool = True
    ) -> None:
        super().__init__(file_type, rights, inheriting, flags)
        self.fd = fd
        self.owned = owned

    def stat(self) -> os.stat_result | None:
        return os.fstat(self.fd)

    def fileno(self) -> int | None:
        return self.fd

    def pread(self, buffers: list[memoryview], offset: int) -> int:
        return os.preadv(self.fd, buffers, offset)

    def pwrite(self, buffers: list[memoryview], offset: int) -> int:
        return os.pwritev(self.fd, buffers, offset)

    def seek(self, offset: int, origin: int) -> int:
        return os.lseek(self.fd, offset, origin)

    def sync(self) -> None:
        os.fsync(self.fd)

    def datasync(self) -> None:
        os.fdatasync(self.fd)

    def advise(self, offset: int, size: int, advice: int) -> None:
        os.posix_fadvise(self.fd, offset, size, advice)

    def allocate(self, offset: int, size: int) -> None:
        os.posix_fallocate(self.fd, offset, size)

    def truncate(self, size: int) -> None:
        os.ftruncate(self.fd, size)

    def set_times(self, times: tuple[int, int]) -> None:
        os.utime(self.fd, ns=times)

    def close(self) -> None:
        fd, self.fd = self.fd, -1
        if self.owned and fd >= 0:
            os.close(fd)

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        # A program that has ended leaves its files open. The default keeps os.close for the interpreter's last moments.
        if self.owned and self.fd >= 0:
            close(self.fd)


#: Bytes from which on reading and writing files takes a while.
_MUCH = 1 << 24


class HostFile(HostDescriptor):
    """Anything on the host that is not a directory. ``check`` is called from time to time while it is waited for."""

    __slots__ = ("_check",)

    def __init__(
        self, fd: int, file_type: int, rights: int, flags: int = 0, check: Check | None = None, owned: bool = True
    ) -> None:
        super().__init__(fd, file_type, rights, 0, flags, owned)
        self._check = check

    def read(self, buffers: list[memoryview]) -> int:
        if self._asks():
            from .waiting import wait

            wait(self.fd, self._check, writing=False)
        return self._in_turns(lambda part, _: os.readv(self.fd, part), buffers)

    def write(self, buffers: list[memoryview]) -> int:
        if self._asks():
            from .waiting import wait, write_ready

            wait(self.fd, self._check, writing=True)
            return write_ready(self.fd, buffers)
        return self._in_turns(lambda part, _: os.writev(self.fd, part), buffers)

    def pread(self, buffers: list[memoryview], offset: int) -> int:
        return self._in_turns(lambda part, done: os.preadv(self.fd, part, offset + done), buffers)

    def pwrite(self, buffers: list[memoryview], offset: int) -> int:
        return self._in_turns(lambda part, done: os.pwritev(self.fd, part, offset + done), buffers)

    def allocate(self, offset: int, size: int) -> None:
        if self._check is not None:
            from .waiting import TURN

            while size > TURN:
                os.posix_fallocate(self.fd, offset, TURN)
                self._check()
                offset, size = offset + TURN, size - TURN
        os.posix_fallocate(self.fd, offset, size)

    def _in_turns(self, operation: Callable[[list[memoryview], int], int], buffers: list[memoryview]) -> int:
        """Read or write, and ask now and then whether to go on where there is much. Of what is no plain file nobody
        expects that all of it is done at once, so there it is not.
        """
        if self._check is None or sum(map(len, buffers)) < _MUCH:
            return operation(buffers, 0)
        from .waiting import in_turns, one_turn

        if may_wait(self.file_type):
            return operation(one_turn(buffers), 0)
        return in_turns(operation, buffers, self._check)

    def _asks(self) -> bool:
        """Whether to ask somebody while the program waits for this file."""
        return self._check is not None and not self.flags & abi.FDFLAG_NONBLOCK and may_wait(self.file_type)

    def set_flags(self, flags: int) -> None:
        # Linux can only change these two of an open file; a wish for more synchronisation must not be lost in silence.
        sync = abi.FDFLAG_DSYNC | abi.FDFLAG_RSYNC | abi.FDFLAG_SYNC
        if flags & sync & ~self.flags:
            raise Errno(EINVAL)
        from fcntl import F_GETFL, F_SETFL, fcntl

        host = fcntl(self.fd, F_GETFL) & ~(os.O_APPEND | os.O_NONBLOCK)
        if flags & abi.FDFLAG_APPEND:
            host |= os.O_APPEND
        if flags & abi.FDFLAG_NONBLOCK:
            host |= os.O_NONBLOCK
        fcntl(self.fd, F_SETFL, host)
        self.flags = flags & ~sync | self.flags & sync


class Directory(HostDescriptor):
    """A directory.

    Attributes:
        entries: what ``fd_readdir`` lists, as it was when the program started to read it.
        guard: what is read-only in it or below it, though it is not itself; None for nothing.
        special_files: devices and FIFOs below it may be opened.
        system: what the directory is in: None for the host.
        handle: what the system knows it by; the host by its descriptor.
    """

    __slots__ = ("entries", "guard", "handle", "special_files", "system")

    def __init__(
        self,
        fd: int,
        rights: int,
        inheriting: int,
        flags: int = 0,
        system: MemorySystem | None = None,
        handle: Any = None,
    ) -> None:
        super().__init__(fd, abi.DIRECTORY, rights, inheriting, flags, owned=system is None)
        self.entries: list[tuple[bytes, int, int]] | None = None
        self.guard: Guard | None = None
        self.special_files = False
        self.system = system
        self.handle: Any = fd if system is None else handle

    def list(self, most: int | None, check: Check | None) -> list[tuple[bytes, int, int]]:
        """Name, inode and file type of each entry, sorted by name after ``.`` and ``..``. ``check`` is called from time
        to time.

        Raises:
            Errno: ``ENOMEM`` if there are more than ``most``.
        """
        from .directories import host_entries

        return host_entries(self.fd, most, check)


#: The numbers of standard streams, the first last.
_STREAMS = (2, 1, 0)


class FileTable:
    """The program's file descriptors. ``room`` is told of what goes with one that is closed."""

    __slots__ = ("_end", "_free", "_room", "_table")

    def __init__(self, room: Room | None = None) -> None:
        self._room = room
        self._table: dict[int, Descriptor] = {}
        #: No number below it is free, but for those of standard streams.
        self._free = 0
        #: No number from here on was ever given.
        self._end = 0

    def __iter__(self) -> Iterator[Descriptor]:
        return iter(self._table.values())

    def __len__(self) -> int:
        return len(self._table)

    def add(self, descriptor: Descriptor) -> int:
        """Give a descriptor the lowest number that was closed, as POSIX does, or else a new one.

        The number of a closed standard stream is given only if no other was closed, the highest first. Programs that
        move standard output away and fail to move it back print on, and that must not get into the next file that they
        open: Yosys calls ABC so. wasmtime, for which they are tested, gives the highest number that was closed.
        """
        fd = self._free
        while fd in self._table:
            fd += 1
        if fd < self._end:
            self._free = fd + 1
        else:
            self._free = self._end
            fd = next((n for n in _STREAMS if n < self._end and n not in self._table), self._end)
            if fd == self._end:
                self._free = self._end = fd + 1
        self._table[fd] = descriptor
        return fd

    def get(self, fd: int, rights: int = 0) -> Descriptor:
        """The descriptor of this number.

        Raises:
            Errno: ``EBADF`` if there is none or it was not opened for reading or writing, ``EPERM`` if it was reached
                through a read-only directory and something is to be changed, ``ESPIPE`` if it cannot seek,
                ``ENOTCAPABLE`` if another of the rights is missing.
        """
        descriptor = self._table.get(fd)
        if descriptor is None:
            raise Errno(EBADF)
        if descriptor.read_only and rights & abi.CHANGING:
            raise Errno(EPERM)
        missing = rights & ~descriptor.rights
        if missing:
            if missing & (abi.FD_READ | abi.WRITING):
                raise Errno(EBADF)
            if missing & (abi.FD_SEEK | abi.FD_TELL) and descriptor.file_type != abi.REGULAR_FILE:
                raise Errno(ESPIPE)
            raise Errno(ENOTCAPABLE)
        return descriptor

    def no_directory(self, fd: int, rights: int) -> Descriptor:
        """As :meth:`get`, and ``EISDIR`` for a directory."""
        if isinstance(self._table.get(fd), Directory):
            raise Errno(EISDIR)
        return self.get(fd, rights)

    def directory(self, fd: int, rights: int) -> Directory:
        """As :meth:`get`, and ``ENOTDIR`` for what is not a directory."""
        descriptor = self._table.get(fd)
        if descriptor is not None and not isinstance(descriptor, Directory):
            raise Errno(ENOTDIR)
        descriptor = self.get(fd, rights)
        assert isinstance(descriptor, Directory)
        return descriptor

    def close(self, fd: int) -> None:
        """Close a descriptor; its number is free then even if the host reports an error."""
        descriptor = self._table.pop(fd, None)
        if descriptor is None:
            raise Errno(EBADF)
        self._freed(fd)
        self._close(descriptor)

    def renumber(self, source: int, target: int) -> None:
        """Move a descriptor onto another one's number, which is closed."""
        if source not in self._table or target not in self._table:
            raise Errno(EBADF)
        if source == target:
            return
        replaced = self._table[target]
        self._table[target] = self._table.pop(source)
        self._freed(source)
        self._close(replaced)

    def _close(self, descriptor: Descriptor) -> None:
        if self._room is not None:
            self._room.listed.pop(descriptor, None)  # type: ignore[call-overload]  # of others there is none
        descriptor.close()

    def _freed(self, fd: int) -> None:
        if fd not in _STREAMS:
            self._free = min(self._free, fd)
