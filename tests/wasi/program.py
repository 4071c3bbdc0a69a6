"""A stand-in for a WASI program: a memory of plain bytes, and the calls a libc would make on it.

Methods give results and raise :class:`Failed`; :func:`fails` says which error numbers a block must end with.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from struct import Struct

import pytest

from vibewasm.wasi import PREVIEW0, PREVIEW1, WasiConfig, abi, bind, names, start
from vibewasm.wasi.errnos import SUCCESS
from vibewasm.wasi.process import Process
from vibewasm.wasi.room import Room

ROOT = 3
READ_WRITE = abi.FD_READ | abi.FD_WRITE

# Where in memory a call's arguments and results are put.
_PATH, _PATH2, _RESULT, _IOVECS, _DATA = 0x1000, 0x3000, 0x5000, 0x6000, 0x10000


class Failed(Exception):
    """A call gave an error number."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def fails(*numbers: int) -> Iterator[None]:
    """The block must end with one of these error numbers."""
    with pytest.raises(Failed) as raised:
        yield
    number = raised.value.number
    assert number in numbers, f"error {number}, expected {' or '.join(map(str, numbers))}"


class Stat:
    """A filestat structure."""

    def __init__(self, raw: bytearray, layout: Struct = abi.FILESTAT) -> None:
        fields = layout.unpack(raw)
        self.dev, self.ino, self.type, self.nlink, self.size, self.atim, self.mtim, self.ctim = fields


class FdStat:
    """A fdstat structure."""

    def __init__(self, raw: memoryview) -> None:
        self.type, self.flags, self.rights, self.inheriting = abi.FDSTAT.unpack(raw)


class Program:
    """Calls WASI functions of one of the modules.

    ``beside`` makes a second view of the same program, which calls the functions of another module.
    """

    #: Whether the engine is to be a deterministic one.
    deterministic = False

    def __init__(
        self,
        config: WasiConfig,
        check: Callable[[], object] | None = None,
        size: int = 0x40000,
        module: str = PREVIEW1,
        beside: Program | None = None,
        room: Room | None = None,
    ) -> None:
        self.memory: bytearray = beside.memory if beside else bytearray(size)
        if beside is None:
            self.process: Process = start(config, check, room=room, deterministic=self.deterministic)
        else:
            self.process = beside.process
        self.functions = {}
        for name in names(module):
            found = bind(self.process, module, name)
            assert found
            self.functions[name] = found
        self.filestat, self.clock = abi.FILESTAT, abi.SUBSCRIPTION_CLOCK
        if module == PREVIEW0:
            self.filestat, self.clock = abi.PREVIEW0_FILESTAT, abi.PREVIEW0_SUBSCRIPTION_CLOCK

    def raw(self, name: str, *arguments: int) -> int | None:
        """Call a function as an engine would."""
        with memoryview(self.memory) as view:
            return self.functions[name][1](view, *arguments)

    def call(self, name: str, *arguments: int) -> None:
        """Call a function that must succeed."""
        number = self.raw(name, *arguments)
        if number != SUCCESS:
            assert isinstance(number, int)
            raise Failed(number)

    def put(self, address: int, data: bytes) -> tuple[int, int]:
        """Write bytes; their address and length."""
        self.memory[address : address + len(data)] = data
        return address, len(data)

    def u32(self, address: int = _RESULT) -> int:
        """Read a u32."""
        return int.from_bytes(self.memory[address : address + 4], "little")

    def u64(self, address: int = _RESULT) -> int:
        """Read a u64."""
        return int.from_bytes(self.memory[address : address + 8], "little")

    def _path(self, path: str | bytes, address: int = _PATH) -> tuple[int, int]:
        return self.put(address, os.fsencode(path))

    def open(
        self,
        path: str | bytes,
        oflags: int = 0,
        rights: int = abi.FD_READ,
        *,
        fd: int = ROOT,
        follow: bool = False,
        fdflags: int = 0,
    ) -> int:
        self.call("path_open", fd, int(follow), *self._path(path), oflags, rights, 0, fdflags, _RESULT)
        return self.u32()

    def create(self, path: str | bytes, data: bytes = b"", *, fd: int = ROOT) -> None:
        file = self.open(path, abi.OFLAG_CREAT | abi.OFLAG_TRUNC, READ_WRITE, fd=fd)
        if data:
            assert self.write(file, data) == len(data)
        self.close(file)

    def close(self, fd: int) -> None:
        self.call("fd_close", fd)

    def _iovecs(self, sizes: list[int]) -> tuple[int, int]:
        address, data = _IOVECS, _DATA
        for size in sizes:
            abi.IOVEC.pack_into(self.memory, address, data, size)
            address += abi.IOVEC.size
            data += size
        return _IOVECS, len(sizes)

    def write(self, fd: int, *parts: bytes) -> int:
        self.put(_DATA, b"".join(parts))
        self.call("fd_write", fd, *self._iovecs([len(part) for part in parts]), _RESULT)
        return self.u32()

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        self.put(_DATA, data)
        self.call("fd_pwrite", fd, *self._iovecs([len(data)]), offset, _RESULT)
        return self.u32()

    def read(self, fd: int, *sizes: int) -> bytes:
        self.call("fd_read", fd, *self._iovecs(list(sizes)), _RESULT)
        return bytes(self.memory[_DATA : _DATA + self.u32()])

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        self.call("fd_pread", fd, *self._iovecs([size]), offset, _RESULT)
        return bytes(self.memory[_DATA : _DATA + self.u32()])

    def seek(self, fd: int, offset: int, whence: int = 0) -> int:
        self.call("fd_seek", fd, offset & (1 << 64) - 1, whence, _RESULT)
        return self.u64()

    def tell(self, fd: int) -> int:
        self.call("fd_tell", fd, _RESULT)
        return self.u64()

    def fdstat(self, fd: int) -> FdStat:
        self.call("fd_fdstat_get", fd, _RESULT)
        return FdStat(memoryview(self.memory)[_RESULT : _RESULT + abi.FDSTAT.size])

    def fstat(self, fd: int) -> Stat:
        self.call("fd_filestat_get", fd, _RESULT)
        return Stat(self.memory[_RESULT : _RESULT + self.filestat.size], self.filestat)

    def stat(self, path: str | bytes, *, fd: int = ROOT, follow: bool = False) -> Stat:
        self.call("path_filestat_get", fd, int(follow), *self._path(path), _RESULT)
        return Stat(self.memory[_RESULT : _RESULT + self.filestat.size], self.filestat)

    def set_times(self, path: str | bytes, atim: int, mtim: int, flags: int, *, follow: bool = False) -> None:
        self.call("path_filestat_set_times", ROOT, int(follow), *self._path(path), atim, mtim, flags)

    def mkdir(self, path: str | bytes, *, fd: int = ROOT) -> None:
        self.call("path_create_directory", fd, *self._path(path))

    def rmdir(self, path: str | bytes, *, fd: int = ROOT) -> None:
        self.call("path_remove_directory", fd, *self._path(path))

    def unlink(self, path: str | bytes, *, fd: int = ROOT) -> None:
        self.call("path_unlink_file", fd, *self._path(path))

    def symlink(self, target: str | bytes, path: str | bytes, *, fd: int = ROOT) -> None:
        self.call("path_symlink", *self._path(target, _PATH2), fd, *self._path(path))

    def readlink(self, path: str | bytes, size: int = 256, *, fd: int = ROOT) -> bytes:
        self.call("path_readlink", fd, *self._path(path), _DATA, size, _RESULT)
        return bytes(self.memory[_DATA : _DATA + self.u32()])

    def rename(self, old: str | bytes, new: str | bytes, *, fd: int = ROOT, new_fd: int = ROOT) -> None:
        self.call("path_rename", fd, *self._path(old), new_fd, *self._path(new, _PATH2))

    def link(
        self, old: str | bytes, new: str | bytes, *, fd: int = ROOT, new_fd: int = ROOT, follow: bool = False
    ) -> None:
        self.call("path_link", fd, int(follow), *self._path(old), new_fd, *self._path(new, _PATH2))

    def readdir(self, fd: int, cookie: int = 0, size: int = 4096) -> tuple[list[tuple[bytes, int, int, int]], bool]:
        """Whole entries (name, type, inode, cookie of the next), and whether these are the last ones."""
        self.call("fd_readdir", fd, _DATA, size, cookie, _RESULT)
        used = self.u32()
        assert used <= size
        entries = []
        at, end = _DATA, _DATA + used
        while at + abi.DIRENT.size <= end:
            following, inode, length, kind = abi.DIRENT.unpack_from(self.memory, at)
            at += abi.DIRENT.size
            if at + length > end:
                break
            entries.append((bytes(self.memory[at : at + length]), kind, inode, following))
            at += length
        return entries, used < size

    def names(self, fd: int, size: int = 4096) -> list[bytes]:
        """All names in a directory, read in pieces."""
        names = []
        cookie = 0
        while True:
            entries, last = self.readdir(fd, cookie, size)
            names += [entry[0] for entry in entries]
            if last:
                return names
            cookie = entries[-1][3]

    def poll(self, *subscriptions: bytes) -> list[tuple[int, int, int, int, int]]:
        """Events: (userdata, error, type, bytes, flags)."""
        address, _ = self.put(_DATA, b"".join(subscriptions))
        events = 0x20000
        self.call("poll_oneoff", address, events, len(subscriptions), _RESULT)
        return [abi.EVENT.unpack_from(self.memory, events + abi.EVENT.size * index) for index in range(self.u32())]


def clock_subscription(userdata: int, timeout: int, clock: int = abi.CLOCK_MONOTONIC, flags: int = 0) -> bytes:
    """A subscription to a clock."""
    return abi.SUBSCRIPTION_CLOCK.pack(userdata, abi.EVENT_CLOCK, clock, timeout, 0, flags)


def file_subscription(userdata: int, kind: int, fd: int) -> bytes:
    """A subscription to a file descriptor."""
    return abi.SUBSCRIPTION_FD.pack(userdata, kind, fd)
