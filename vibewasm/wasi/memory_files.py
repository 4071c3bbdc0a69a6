"""Directories in memory, as programs see them: open files, and what :mod:`.paths` asks of a system.

Errors are those that Linux gives, in its order, as ``tests/wasi/test_twin.py`` compares.
"""

from __future__ import annotations

import errno
import os
from stat import S_IFDIR, S_IFLNK, S_IFREG

from . import abi
from .errnos import EINVAL, EMFILE, ENOMEM, Errno
from .fds import Descriptor, Directory, file_type
from .memory_dir import LOCK, MAX_NAME, NAME_SIZE, Node, tree_of
from .waiting import ENTRIES, TURN, in_order, in_turns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .memory_dir import MemoryDir, Tree
    from .paths import Place
    from .process import Check, Process
    from .room import Room

#: Files and directories that one program may have open at a time, which the host's kernel does not count.
MAX_OPEN = 4096
#: What counts for each entry of a listing that an open directory keeps.
_LISTED = 128
_MAX_OFFSET = (1 << 63) - 1


def preopened(process: Process, directory: MemoryDir) -> MemoryDirectory:
    """A directory for a program that starts."""
    from .clocks import file_time

    tree = tree_of(directory)
    system = MemorySystem(tree, lambda: file_time(process), process.room, process.check)
    if process.room is not None:
        process.room.trees.setdefault(tree, tree.used)
    return MemoryDirectory(system, tree.root, abi.DIRECTORY_RIGHTS, abi.ALL_RIGHTS)


def opened_in(place: Place, flags: int, granted: int, inheriting: int, fdflags: int) -> MemoryFile | MemoryDirectory:
    """Open or make what a place in memory names, by the flags of the host's ``open``."""
    system = place.system
    assert isinstance(system, MemorySystem)
    now = system.now()
    with LOCK:
        if system.opened >= MAX_OPEN:
            raise Errno(EMFILE)
        node = system.open(place.directory, place.name, flags, now)
        if node.mode == S_IFDIR:
            return MemoryDirectory(system, node, abi.DIRECTORY_RIGHTS & inheriting, inheriting, fdflags)
        return MemoryFile(system, node, granted, fdflags)


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def _status(tree: Tree, node: Node) -> os.stat_result:
    # A directory's size is how many names are in it.
    size = len(node.entries) if node.mode == S_IFDIR else len(node.data)
    plain = (node.mode, node.inode, tree.device, node.links, 0, 0, size, 0, 0, 0)
    return os.stat_result(plain, {"st_atime_ns": node.atim, "st_mtime_ns": node.mtim, "st_ctime_ns": node.ctim})


class MemorySystem:
    """What the host's kernel is elsewhere: a directory is a :class:`.memory_dir.Node` here.

    Attributes:
        device: what has to be the same for a file to be moved.
        now: gives the time. It may be a function of the host's, which must not be called with the lock held: it could
            wait for a thread that wants the lock.
        opened: how many files and directories the program has open.
        room: how much may be taken, besides what the directory itself has room for; None for any amount.
        turn: called now and then in what takes long; what it raises ends that.
    """

    __slots__ = ("device", "now", "opened", "room", "turn")

    def __init__(self, tree: Tree, now: Callable[[], int], room: Room | None = None, turn: Check | None = None) -> None:
        self.room = room
        self.turn: Check = turn or _nothing
        self.device = tree
        self.now = now
        self.opened = 0

    def step(self, directory: Node, name: bytes) -> Node:
        """The directory of this name."""
        with LOCK:
            found = self._find(directory, name)
        if found.mode != S_IFDIR:
            raise _error(errno.ENOTDIR)
        return found

    def leave(self, directory: Node) -> None:
        """Nothing was opened."""

    def search(self, directory: Node) -> None:
        """Everything may be searched."""

    def stat(self, directory: Node, name: bytes) -> os.stat_result:
        with LOCK:
            return _status(self.device, self._find(directory, name))

    def readlink(self, directory: Node, name: bytes) -> bytes:
        with LOCK:
            found = self._find(directory, name)
            if found.mode != S_IFLNK:
                raise _error(errno.EINVAL)
            return bytes(found.data)

    def set_times(self, directory: Node, name: bytes, times: tuple[int, int]) -> None:
        now = self.now()
        with LOCK:
            self.touch(self._find(directory, name), times, now)

    def touch(self, node: Node, times: tuple[int, int], now: int) -> None:
        """Set access and modification time."""
        node.atim, node.mtim = times
        node.ctim = now

    def mkdir(self, directory: Node, name: bytes) -> None:
        now = self.now()
        with LOCK:
            self._free(directory, name)
            self._put(directory, name, self.device.new(S_IFDIR, now), now)

    def symlink(self, content: bytes, directory: Node, name: bytes) -> None:
        now = self.now()
        with LOCK:
            self._free(directory, name)
            self._put(directory, name, self.device.new(S_IFLNK, now, content), now)

    def rmdir(self, directory: Node, name: bytes) -> None:
        now = self.now()
        with LOCK:
            if name == b".":
                raise _error(errno.EINVAL)
            found = self._find(directory, name)
            if found.mode != S_IFDIR:
                raise _error(errno.ENOTDIR)
            if found.entries:
                raise _error(errno.ENOTEMPTY)
            self._drop(directory, name, now)

    def unlink(self, directory: Node, name: bytes) -> None:
        now = self.now()
        with LOCK:
            if self._find(directory, name).mode == S_IFDIR:
                raise _error(errno.EISDIR)
            self._drop(directory, name, now)

    def link(self, directory: Node, name: bytes, new_directory: Node, new_name: bytes) -> None:
        now = self.now()
        with LOCK:
            found = self._find(directory, name)
            self._free(new_directory, new_name)
            if found.mode == S_IFDIR:
                raise _error(errno.EPERM)
            self._put(new_directory, new_name, found, now)
            found.ctim = now

    def rename(self, directory: Node, name: bytes, new_directory: Node, new_name: bytes) -> None:
        now = self.now()
        with LOCK:
            found = self._find(directory, name)
            replaced = self._look(new_directory, new_name)
            if _is_within(new_directory, found):
                raise _error(errno.EINVAL)
            if replaced is not None and _is_within(directory, replaced):
                raise _error(errno.ENOTEMPTY)
            if replaced is found:
                return
            if replaced is not None:
                if found.mode == S_IFDIR and replaced.mode != S_IFDIR:
                    raise _error(errno.ENOTDIR)
                if found.mode != S_IFDIR and replaced.mode == S_IFDIR:
                    raise _error(errno.EISDIR)
                if replaced.entries:
                    raise _error(errno.ENOTEMPTY)
                self._drop(new_directory, new_name, now)
            elif not new_directory.links:
                raise _error(errno.ENOENT)
            # What a name takes does not depend on how long it is, so moving one needs no room.
            del directory.entries[name]
            new_directory.entries[new_name] = found
            for node in (directory, new_directory):
                node.mtim = node.ctim = now
            found.ctim = now

    def open(self, directory: Node, name: bytes, flags: int, now: int) -> Node:
        """The node that the host's ``open`` with these flags would open or make; it is not counted as open yet."""
        with LOCK:
            found = self._look(directory, name)
            if found is None:
                if not flags & os.O_CREAT or not directory.links:
                    raise _error(errno.ENOENT)
                found = self.device.new(S_IFREG, now)
                self._put(directory, name, found, now)
                return found
            if flags & os.O_CREAT:
                if flags & os.O_EXCL:
                    raise _error(errno.EEXIST)
                if found.mode == S_IFDIR:
                    raise _error(errno.EISDIR)
            if flags & os.O_DIRECTORY and found.mode != S_IFDIR:
                raise _error(errno.ENOTDIR)
            if found.mode == S_IFLNK:
                raise _error(errno.ELOOP)
            if found.mode == S_IFDIR and flags & os.O_ACCMODE != os.O_RDONLY:
                raise _error(errno.EISDIR)
            if flags & os.O_TRUNC:
                self.resize(found, 0, now)
            return found

    def resize(self, file: Node, size: int, now: int) -> None:
        """Cut a file off, or lengthen it with zeros, if there is room."""
        before = len(file.data)
        self.check(size - before)
        if size <= before:
            del file.data[size:]
            self.device.used -= before - size
        try:
            # Whether there is room for all of it: zeros take none before somebody looks at them.
            bytes(max(0, size - before))
            while len(file.data) < size:
                more = min(size - len(file.data), TURN)
                file.data += bytes(more)
                self.device.used += more
                if len(file.data) < size:
                    self.turn()
        except (MemoryError, OverflowError):
            # There is room by the directory's own count, and the host has none.
            self.device.used -= len(file.data) - before
            del file.data[before:]
            raise _error(errno.ENOSPC) from None
        file.mtim = file.ctim = now

    def check(self, size: int) -> None:
        """See whether there are so many more bytes; ``ENOSPC`` if not."""
        self.device.check(size)
        if self.room is not None:
            self.room.hold(size)

    def _find(self, directory: Node, name: bytes) -> Node:
        found = self._look(directory, name)
        if found is None:
            raise _error(errno.ENOENT)
        return found

    def _look(self, directory: Node, name: bytes) -> Node | None:
        if name == b".":
            return directory
        if len(name) > MAX_NAME:
            raise _error(errno.ENAMETOOLONG)
        return directory.entries.get(name)

    def _free(self, directory: Node, name: bytes) -> None:
        """Fail unless a directory can be given a new entry of this name."""
        if self._look(directory, name) is not None:
            raise _error(errno.EEXIST)
        if not directory.links:
            raise _error(errno.ENOENT)

    def _put(self, directory: Node, name: bytes, node: Node, now: int) -> None:
        self.check(NAME_SIZE + (0 if node.links else len(node.data)))
        self.device.put(directory, name, node)
        directory.mtim = directory.ctim = now

    def _drop(self, directory: Node, name: bytes, now: int) -> None:
        directory.entries[name].ctim = directory.mtim = directory.ctim = now
        self.device.drop(directory, name)


def _nothing() -> None:
    pass


def _is_within(directory: Node, folder: Node) -> bool:
    """Whether a directory is another one or below it."""
    todo = [folder]
    while todo:
        here = todo.pop()
        if here is directory:
            return True
        todo += [node for node in here.entries.values() if node.mode == S_IFDIR]
    return False


class _Held:
    """That a descriptor stands for a node. A program that has ended leaves its files open: then it goes with this."""

    __slots__ = ("listed", "node", "system")

    def __init__(self, system: MemorySystem, node: Node) -> None:
        self.system: MemorySystem | None = system
        self.listed = 0
        self.node = node
        with LOCK:
            system.opened += 1
            node.opened += 1

    def list(self, count: int) -> None:
        """Count the entries of a listing that is kept, in the place of the one before."""
        assert self.system is not None
        with LOCK:
            more = (count - self.listed) * _LISTED
            try:
                self.system.check(more)
            except (Errno, OSError):
                raise Errno(ENOMEM) from None
            self.system.device.used += more
            self.listed = count

    def close(self) -> None:
        with LOCK:
            system, self.system = self.system, None
            if system is not None:
                system.opened -= 1
                self.node.opened -= 1
                system.device.used -= self.listed * _LISTED
                system.device.let_go(self.node)

    __del__ = close


class MemoryFile(Descriptor):
    """An open file in memory."""

    __slots__ = ("_held", "_node", "_position", "_system")

    def __init__(self, system: MemorySystem, node: Node, rights: int, flags: int) -> None:
        super().__init__(abi.REGULAR_FILE, rights, 0, flags)
        self._held = _Held(system, node)
        self._system = system
        self._node = node
        self._position = 0

    def read(self, buffers: list[memoryview]) -> int:
        with LOCK:
            done = self.pread(buffers, self._position)
            self._position += done
        return done

    def write(self, buffers: list[memoryview]) -> int:
        now = self._system.now()
        with LOCK:
            if self.flags & abi.FDFLAG_APPEND:
                self._position = len(self._node.data)
            done = self._write(buffers, self._position, now)
            self._position += done
        return done

    def pread(self, buffers: list[memoryview], offset: int) -> int:
        return in_turns(lambda part, done: self._read(part, offset + done), buffers, self._system.turn)

    def _read(self, buffers: list[memoryview], offset: int) -> int:
        done = 0
        with LOCK, memoryview(self._node.data) as data:
            for buffer in buffers:
                part = data[offset + done : offset + done + len(buffer)]
                buffer[: len(part)] = part
                done += len(part)
                if len(part) < len(buffer):
                    break
        return done

    def pwrite(self, buffers: list[memoryview], offset: int) -> int:
        now = self._system.now()
        with LOCK:
            if self.flags & abi.FDFLAG_APPEND:
                offset = len(self._node.data)
            return self._write(buffers, offset, now)

    def _write(self, buffers: list[memoryview], offset: int, now: int) -> int:
        """Write as much as there is room for, and fail where that is nothing."""
        return in_turns(lambda part, done: self._write_turn(part, offset + done, now), buffers, self._system.turn)

    def _write_turn(self, buffers: list[memoryview], offset: int, now: int) -> int:
        data = self._node.data
        end = offset + sum(map(len, buffers))
        tree = self._system.device
        end = min(end, max(len(data), len(data) + tree.max_size - tree.used))
        room = self._system.room
        if room is not None and end > len(data):
            # That of it for which there is room, or else what says that there is none.
            end = min(end, max(len(data), len(data) + room.left()[0]))
            room.hold(1 if end <= offset else 0)
        if end <= offset:
            raise _error(errno.ENOSPC)
        if end > len(data):
            # All of it first, so that nothing is written where the host has no room for it.
            self._system.resize(self._node, end, now)
        at = offset
        for buffer in buffers:
            part = buffer[: end - at]
            data[at : at + len(part)] = part
            at += len(part)
            if at == end:
                break
        self._node.mtim = self._node.ctim = now
        return end - offset

    def seek(self, offset: int, origin: int) -> int:
        base = 0
        if origin == os.SEEK_CUR:
            base = self._position
        elif origin == os.SEEK_END:
            base = len(self._node.data)
        if not 0 <= base + offset <= _MAX_OFFSET:
            raise Errno(EINVAL)
        self._position = base + offset
        return self._position

    def sync(self) -> None:
        """There is no disk."""

    def advise(self, offset: int, size: int, advice: int) -> None:
        """There is nothing to prepare."""

    def allocate(self, offset: int, size: int) -> None:
        now = self._system.now()
        with LOCK:
            if offset + size > len(self._node.data):
                self._system.resize(self._node, offset + size, now)

    def truncate(self, size: int) -> None:
        now = self._system.now()
        with LOCK:
            self._system.resize(self._node, size, now)

    def set_times(self, times: tuple[int, int]) -> None:
        now = self._system.now()
        with LOCK:
            self._system.touch(self._node, times, now)

    def stat(self) -> os.stat_result:
        with LOCK:
            return _status(self._system.device, self._node)

    def set_flags(self, flags: int) -> None:
        # As of the host's files: what was not asked for when it was opened cannot be had later.
        sync = abi.FDFLAG_DSYNC | abi.FDFLAG_RSYNC | abi.FDFLAG_SYNC
        if flags & sync & ~self.flags:
            raise Errno(EINVAL)
        self.flags = flags | self.flags & sync

    def available(self) -> tuple[int, bool]:
        return max(len(self._node.data) - self._position, 0), False

    def close(self) -> None:
        self._held.close()


class MemoryDirectory(Directory):
    """An open directory in memory."""

    __slots__ = ("_held", "_node", "_system")

    def __init__(self, system: MemorySystem, node: Node, rights: int, inheriting: int, flags: int = 0) -> None:
        super().__init__(-1, rights, inheriting, flags, system, node)
        self._held = _Held(system, node)
        self._node = node
        self._system = system

    def list(self, most: int | None, check: Check | None) -> list[tuple[bytes, int, int]]:
        with LOCK:
            if most is not None and len(self._node.entries) + 2 > most:
                raise Errno(ENOMEM)
            entries = [(name, node.inode, file_type(node.mode)) for name, node in self._node.entries.items()]
            self._held.list(len(entries))
        found = sorted(entries) if len(entries) < 8 * ENTRIES else in_order(entries, check or _nothing)
        return [(b".", self._node.inode, abi.DIRECTORY), (b"..", 0, abi.DIRECTORY), *found]

    def sync(self) -> None:
        """There is no disk."""

    def datasync(self) -> None:
        """There is no disk."""

    def set_times(self, times: tuple[int, int]) -> None:
        now = self._system.now()
        with LOCK:
            self._system.touch(self._node, times, now)

    def stat(self) -> os.stat_result:
        with LOCK:
            return _status(self._system.device, self._node)

    def fileno(self) -> int | None:
        return None

    def close(self) -> None:
        self._held.close()
