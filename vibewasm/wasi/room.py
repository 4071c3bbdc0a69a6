"""How much of the host's the WASI programs of one store may take, where there are limits: see :mod:`vibewasm.limits`.

What can be found out when it is asked for is not counted anywhere, so that it is right whatever happens: descriptors
are those in the tables, and what a directory in memory has grown by is seen from its size.
"""

from __future__ import annotations

from ..limits import refused
from .errnos import EMFILE, ENOMEM, ENOSPC, Errno

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from ..limits import ResourceLimits
    from .fds import Directory, FileTable
    from .memory_dir import Tree
    from .process import Check

    Result = TypeVar("Result")

#: Bytes that count for each entry of a listing of a directory of the host.
LISTED = 256
#: More than there is of anything.
_NO_LIMIT = 1 << 64


class Room:
    """What there is, and what is taken.

    Args:
        limits: those of the store.
        memory_left: how many bytes the store may take, or None for any.
        refuse: is told the name of a limit that a program has met.

    Attributes:
        tables: of all programs.
        listed: how many entries of each open directory are held.
        trees: directories in memory, and how large each was when a program was first given it.
        written: bytes that were written, or may have been: what was interrupted in the middle counts.
        created: names that were made.
    """

    __slots__ = ("_memory_left", "_refuse", "created", "limits", "listed", "tables", "trees", "written")

    def __init__(
        self, limits: ResourceLimits, memory_left: Callable[[], int | None], refuse: Callable[[str], None]
    ) -> None:
        self.limits = limits
        self._memory_left = memory_left
        self._refuse = refuse
        self.tables: list[FileTable] = []
        self.listed: dict[Directory, int] = {}
        self.trees: dict[Tree, int] = {}
        self.written = 0
        self.created = 0

    def begin(self, files: FileTable, strings: list[bytes]) -> None:
        """Take in a program that begins, with its descriptors, arguments and environment.

        Raises:
            LinkError: there are more than there may be.
        """
        size = sum(map(len, strings)) + len(strings)
        most = self.limits.max_arguments
        if most is not None and size > most:
            raise refused(f"{size} bytes of arguments and environment", "max_arguments", most, 0)
        most, used = self.limits.max_open_files, self._open()
        if most is not None and used + len(files) > most:
            raise refused(f"a program that begins with {len(files)} descriptors", "max_open_files", most, used)
        self.tables.append(files)

    def _open(self) -> int:
        return sum(map(len, self.tables))

    def open(self) -> None:
        """See that one descriptor more may be opened; ``EMFILE`` if not."""
        most = self.limits.max_open_files
        if most is not None and self._open() >= most:
            self._refuse("max_open_files")
            raise Errno(EMFILE)

    # -- what the host holds ------------------------------------------------------------------------------------------

    def held(self) -> int:
        """Bytes that the host holds for programs."""
        entries = sum([count for directory, count in self.listed.items() if directory.system is None])
        return LISTED * entries + sum([max(0, tree.used - begun) for tree, begun in self.trees.items()])

    def left(self) -> tuple[int, str]:
        """How many bytes more the host may hold, and the limit that says so."""
        memory, most = self._memory_left(), self.limits.max_host_memory
        if most is None:
            return (_NO_LIMIT if memory is None else memory), "max_memory"
        own = most - self.held()
        return (own, "max_host_memory") if memory is None or own <= memory else (memory, "max_memory")

    def hold(self, size: int) -> None:
        """See that the host may hold so many bytes more; ``ENOSPC`` if not."""
        left, name = self.left()
        if size > 0 and size > left:
            self._refuse(name)
            raise Errno(ENOSPC)

    def entries(self, directory: Directory, check: Check | None) -> list[tuple[bytes, int, int]]:
        """What a directory lists, in the place of what it has listed before; ``ENOMEM`` if that is too much to be held.

        It counts from when it is put in :attr:`listed`.
        """
        before = self.listed.get(directory, 0)
        most, name = _NO_LIMIT, ""
        if self.limits.max_directory_entries is not None:
            most = self.limits.max_directory_entries - sum(self.listed.values()) + before
            name = "max_directory_entries"
        if directory.system is None:
            left, which = self.left()
            if left // LISTED + before < most:
                most, name = left // LISTED + before, which
        try:
            return directory.list(most, check)
        except Errno as error:
            if error.number == ENOMEM and name:
                self._refuse(name)
            raise

    # -- what is written ----------------------------------------------------------------------------------------------

    def write(self, write: Callable[[list[memoryview]], int], buffers: list[memoryview]) -> int:
        """Write buffers, or as much of them as may be; ``ENOSPC`` if that is nothing."""
        most = self.limits.max_written
        if most is None:
            return write(buffers)
        size = sum(map(len, buffers))
        left = most - self.written
        if size > left:
            self._refuse("max_written")
            if left <= 0:
                raise Errno(ENOSPC)
            buffers, size = _cut(buffers, left), left
        return self._taking(size, lambda: write(buffers))

    def lengthen(self, size: int, lengthen: Callable[[], None]) -> None:
        """Have a file get so many bytes more; ``ENOSPC`` if it may not."""
        most = self.limits.max_written
        if most is None or size <= 0:
            lengthen()
            return
        if self.written + size > most:
            self._refuse("max_written")
            raise Errno(ENOSPC)

        def all_of_it() -> int:
            lengthen()
            return size

        self._taking(size, all_of_it)

    def _taking(self, size: int, operation: Callable[[], int]) -> int:
        """Do what takes so many bytes, or as many as it returns; none if it fails with an error number."""
        self.written += size
        try:
            done = operation()
        except (Errno, OSError):
            self.written -= size
            raise
        self.written -= size - done
        return done

    def create(self, make: Callable[[], Result]) -> Result:
        """Do what makes a name; ``ENOSPC`` if there may be no more."""
        most = self.limits.max_created
        if most is not None and self.created >= most:
            self._refuse("max_created")
            raise Errno(ENOSPC)
        self.created += 1
        try:
            return make()
        except (Errno, OSError):
            self.created -= 1
            raise


def _cut(buffers: list[memoryview], size: int) -> list[memoryview]:
    """The first bytes of buffers."""
    found: list[memoryview] = []
    for buffer in buffers:
        if size:
            part = buffer[:size]
            size -= len(part)
            found.append(part)
        # A view keeps the program's memory.
        buffer.release()
    return found
