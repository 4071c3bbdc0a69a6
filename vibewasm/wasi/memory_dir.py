"""``MemoryDir``: a directory that is in memory and nowhere on the host, and the nodes that it consists of."""

from __future__ import annotations

import itertools
import time
from _thread import RLock
from errno import ENOSPC as HOST_ENOSPC
from os import strerror
from stat import S_IFDIR, S_IFREG

from .. import hold_over_fork

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Never

    Files = dict[str, "bytes | Files"]
    #: A node as a pickle has it: mode, data, times, and the numbers of those that are in it.
    _Flat = tuple[int, bytes, tuple[int, int, int], dict[bytes, int]]
    Given = Mapping[str, "bytes | bytearray | memoryview | str | Given"]

#: What a directory may take where nothing else is said.
DEFAULT_MAX_SIZE = 64 << 20
#: What counts for each name, besides a file's bytes: more than what it takes.
NAME_SIZE = 512
#: The longest name, as on Linux.
MAX_NAME = 255

#: Held while anything is looked at or changed, in whichever directory: several threads may run programs that share one.
#: No code of others is called meanwhile.
LOCK = RLock()
hold_over_fork(LOCK)

#: Numbers of directories in memory, by which programs see that files of two are not on one device.
_DEVICES = itertools.count(1)


class Node:
    """A file, directory or symbolic link.

    Attributes:
        mode: as in ``st_mode``: which of these it is.
        inode: its number.
        links: how many names it has. A directory that is removed has none.
        opened: how many descriptors stand for it.
        data: a file's bytes, or what a link says.
        entries: what is in a directory.
        atim, mtim, ctim: nanoseconds since 1970.
    """

    __slots__ = ("atim", "ctim", "data", "entries", "inode", "links", "mode", "mtim", "opened")

    def __init__(self, mode: int, inode: int, now: int, data: bytes = b"") -> None:
        self.mode = mode
        self.inode = inode
        self.links = 0
        self.opened = 0
        self.data = bytearray(data)
        self.entries: dict[bytes, Node] = {}
        self.atim = self.mtim = self.ctim = now


class Tree:
    """All the nodes of one directory in memory, and how much they take.

    Attributes:
        root: the directory itself.
        used, max_size: bytes that are taken, and that may be.
        device: its number, as in ``st_dev``.
    """

    __slots__ = ("_inodes", "device", "max_size", "root", "used")

    def __init__(self, max_size: int) -> None:
        self._inodes = 0
        self.device = next(_DEVICES)
        self.max_size = max_size
        self.used = 0
        self.root = self.new(S_IFDIR, time.time_ns())
        self.root.links = 1

    def new(self, mode: int, now: int, data: bytes = b"") -> Node:
        """Make a node, which has no name yet."""
        self._inodes += 1
        return Node(mode, self._inodes, now, data)

    def check(self, size: int) -> None:
        """See whether there are so many more bytes.

        Raises:
            OSError: ``ENOSPC``: there are not.
        """
        # What takes less is always good, also where more than all is taken.
        if size > 0 and self.used + size > self.max_size:
            raise OSError(HOST_ENOSPC, strerror(HOST_ENOSPC))

    def take(self, size: int) -> None:
        """Count what is about to be taken, as :meth:`check`."""
        self.check(size)
        self.used += size

    def put(self, folder: Node, name: bytes, node: Node) -> None:
        """Give a node a name that is free, and count the name and what is new with it."""
        self.take(NAME_SIZE + (0 if node.links else len(node.data)))
        folder.entries[name] = node
        node.links += 1

    def drop(self, folder: Node, name: bytes) -> None:
        """Take a name away, and the node with the last one, unless it is open."""
        node = folder.entries.pop(name)
        node.links -= 1
        self.used -= NAME_SIZE
        self.let_go(node)

    def let_go(self, node: Node) -> None:
        """Forget the bytes of a node that nobody can reach any more."""
        if not node.links and not node.opened:
            self.used -= len(node.data)
            node.data.clear()


class MemoryDir:
    """A directory in memory that WASI programs may use.

    Programs find the files that are given here, and :attr:`files` has what they leave. All programs of all
    configurations that are given the same object share the directory.

    Args:
        files: what is in it: ``{"in.txt": b"...", "folder": {"name": b"..."}}``. Strings are encoded in UTF-8. A name
            may be a path, ``"folder/name"``, whose folders are made.
        max_size: how many bytes all files may have together, with 512 added for each name. A program that writes more
            gets the error ``ENOSPC``.
        read_only: nothing in it can be made, changed or removed; what tries gets the error ``EPERM``.

    Raises:
        TypeError: something is of the wrong type, or there is no parameter of that name.
        ValueError: a name is none, occurs twice, or is longer than 255 bytes; a string cannot be encoded; a folder is
            in itself; the files are more than ``max_size``, or that is no number of bytes.
    """

    __slots__ = ("_tree", "read_only")

    def __init__(
        self,
        files: Given | None = None,
        *,
        max_size: int = DEFAULT_MAX_SIZE,
        read_only: bool = False,
        **unknown: Never,
    ) -> None:
        from ..arguments import unknown_keywords, wrong

        if unknown:
            raise unknown_keywords("MemoryDir", unknown, ("files", "max_size", "read_only"))
        if type(max_size) is not int:
            raise wrong("MemoryDir", "max_size", "a number of bytes, an int", max_size)
        if not 0 <= max_size < 1 << 63:
            from ..arguments import number

            raise ValueError(f"MemoryDir: max_size is a number of bytes from 0 to 2**63 - 1, not {number(max_size)}")
        if not isinstance(read_only, bool):
            raise wrong("MemoryDir", "read_only", "True or False", read_only)
        self.read_only = read_only
        self._tree = Tree(max_size)
        _fill(self._tree, {} if files is None else files)

    @property
    def files(self) -> Files:
        """What is in it now, in a new dict: bytes for a file, a dict for a folder. Symbolic links are left out."""
        found: Files = {}
        todo = [(self._tree.root, found)]
        with LOCK:
            while todo:
                folder, into = todo.pop()
                for name, node in sorted(folder.entries.items()):
                    if node.mode == S_IFREG:
                        into[name.decode()] = bytes(node.data)
                    elif node.mode == S_IFDIR:
                        below = into[name.decode()] = {}
                        todo.append((node, below))
        return found

    @property
    def size(self) -> int:
        """How many bytes of ``max_size`` are taken."""
        return self._tree.used

    @property
    def max_size(self) -> int:
        """How many bytes may be taken."""
        return self._tree.max_size

    def __reduce__(self) -> tuple[object, ...]:
        return _made, (_nodes(self._tree), self.max_size, self.read_only)

    def __repr__(self) -> str:
        end = ", read_only=True" if self.read_only else ""
        return f"MemoryDir(<{self.size} of {self.max_size} bytes>{end})"


def tree_of(directory: MemoryDir) -> Tree:
    """The nodes of a directory."""
    return directory._tree


def _nodes(tree: Tree) -> list[_Flat]:
    """All that can be reached from the root, which is first. Nothing of it is nested, as deep as folders may be."""
    found: list[_Flat] = []
    nodes = [tree.root]
    numbers = {tree.root: 0}
    with LOCK:
        # It grows meanwhile.
        for node in nodes:
            entries = {}
            for name, child in node.entries.items():
                if child not in numbers:
                    numbers[child] = len(nodes)
                    nodes.append(child)
                entries[name] = numbers[child]
            found.append((node.mode, bytes(node.data), (node.atim, node.mtim, node.ctim), entries))
    return found


def _made(nodes: list[_Flat], max_size: int, read_only: bool) -> MemoryDir:
    """What :func:`_nodes` has taken apart."""
    made = MemoryDir(max_size=max_size, read_only=read_only)
    tree = made._tree
    numbered = [tree.root, *[tree.new(mode, 0, data) for mode, data, _, _ in nodes[1:]]]
    for folder, (_, _, times, entries) in zip(numbered, nodes, strict=True):
        folder.atim, folder.mtim, folder.ctim = times
        for name, number in entries.items():
            tree.put(folder, name, numbered[number])
    return made


def _fill(tree: Tree, files: object) -> None:
    now = time.time_ns()
    # ``None`` where all that is in the last one has been done.
    todo: list[tuple[Node, object, str] | None] = [(tree.root, files, "")]
    #: The dicts that the present one is in.
    around: dict[int, object] = {}
    while todo:
        item = todo.pop()
        if item is None:
            around.popitem()
            continue
        folder, given, where = item
        if id(given) in around:
            raise ValueError(f"MemoryDir: {where.removesuffix('/')!r} is one of the folders that it is in")
        if not (hasattr(given, "keys") and hasattr(given, "__getitem__")):
            from ..arguments import wrong

            raise wrong("MemoryDir", "files", "a dict", given, "such as {'in.txt': b'data'}")
        around[id(given)] = given
        todo.append(None)
        for name in given.keys():
            _add(tree, folder, where, name, given[name], todo, now)


def _add(
    tree: Tree,
    folder: Node,
    where: str,
    name: object,
    given: object,
    todo: list[tuple[Node, object, str] | None],
    now: int,
) -> None:
    if not isinstance(name, str):
        from ..arguments import wrong

        raise wrong("MemoryDir", "the name of a file", "a string", name)
    path = where + name
    *folders, last = name.removeprefix("/").split("/")
    for component in folders:
        folder = _made_folder(tree, folder, _component(component, path), path, now)
    encoded = _component(last, path)
    if isinstance(given, str):
        try:
            given = given.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise ValueError(f"MemoryDir: the text of {path!r} cannot be encoded in UTF-8") from None
    if isinstance(given, bytes | bytearray | memoryview):
        if encoded in folder.entries:
            raise ValueError(f"MemoryDir: {path!r} is there twice")
        _put(tree, folder, encoded, tree.new(S_IFREG, now, bytes(given)))
    elif hasattr(given, "keys"):
        todo.append((_made_folder(tree, folder, encoded, path, now), given, path + "/"))
    else:
        from ..arguments import wrong

        raise wrong("MemoryDir", f"files[{path!r}]", "bytes, a string or a dict", given)


def _made_folder(tree: Tree, folder: Node, name: bytes, path: str, now: int) -> Node:
    found = folder.entries.get(name)
    if found is None:
        found = tree.new(S_IFDIR, now)
        _put(tree, folder, name, found)
    elif found.mode != S_IFDIR:
        raise ValueError(f"MemoryDir: {path!r} is both a file and a folder")
    return found


def _put(tree: Tree, folder: Node, name: bytes, node: Node) -> None:
    try:
        tree.put(folder, name, node)
    except OSError:
        limit = f"max_size={tree.max_size}, {NAME_SIZE} bytes a name included"
        raise ValueError(f"MemoryDir: the files are more than {limit}") from None


def _component(name: str, path: str) -> bytes:
    try:
        encoded = name.encode()
    except UnicodeEncodeError:
        raise ValueError(f"MemoryDir: {path!r} is not UTF-8") from None
    if name in ("", ".", "..") or "\0" in name or len(encoded) > MAX_NAME:
        raise ValueError(f"MemoryDir: {path!r} cannot be the name of a file")
    return encoded
