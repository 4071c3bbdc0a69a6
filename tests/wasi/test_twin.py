"""Paths do what Linux does: one operation on two equal trees, through WASI and through the system's own calls.

Error numbers and what the trees are afterwards must be the same. What the sandbox refuses on its own is left out: paths
and links that leave it, and absolute ones.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wasi.program import READ_WRITE, Failed, Program
from vibewasm.wasi import WasiConfig, abi
from vibewasm.wasi.errnos import EACCES, EPERM, SUCCESS, from_host
from vibewasm.wasi.memory_dir import MemoryDir, tree_of

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="compares with Linux, whose errors docs/wasi.md promises"
)

NAMES = ["a", "b", "c", "d/a", "d/b"]
TARGETS = ["a", "b", "b/", "c", "c/.", "d", "d/", "d/a", "../a", "../d", ".", "..", "nothing", "nothing/", "d/nothing"]
#: What a name may be: nothing, a file, a directory that is empty, has a file in it, or has one and may not be searched,
#: or a link and what it says.
ENTRIES = st.sampled_from(["", "file", "empty", "full", "closed", *(f"-> {target}" for target in TARGETS)])
TREES = st.tuples(*[ENTRIES] * len(NAMES)).map(lambda entries: dict(zip(NAMES, entries, strict=True)))

COMPONENTS = ["a", "b", "c", "d", "inside", "new", ".", "..", "", "n" * 256]
PATHS = st.builds(
    lambda parts, end: "/".join(parts) + end,
    st.lists(st.sampled_from(COMPONENTS), max_size=3),
    st.sampled_from(["", "", "/", "//", "/.", "/.."]),
).filter(lambda path: not path.startswith("/"))


def make(root: Path, tree: dict[str, str]) -> None:
    """Make a tree below an empty directory."""
    (root / "d").mkdir(parents=True)
    for name, entry in tree.items():
        path = root / name
        if entry == "file":
            path.write_text(name)
        elif entry.startswith("-> "):
            path.symlink_to(entry[3:])
            # pathlib takes a slash at the end away.
            path.unlink()
            os.symlink(entry[3:], path)
        elif entry:
            path.mkdir()
            if entry != "empty":
                (path / "inside").write_text("inside")
    for name, entry in reversed(tree.items()):
        if entry == "closed":
            (root / name).chmod(0)


def look(root: Path) -> dict[str, tuple[object, ...]]:
    """What there is below a directory: type, link count of files, and what a file or link says."""
    found: dict[str, tuple[object, ...]] = {}
    for where, directories, files in os.walk(root):
        for name in directories:
            if not os.path.islink(os.path.join(where, name)):
                os.chmod(os.path.join(where, name), 0o755)
        for name in directories + files:
            path = Path(where) / name
            status = path.lstat()
            key = str(path.relative_to(root))
            if path.is_symlink():
                found[key] = ("link", os.readlink(path))
            elif path.is_dir():
                found[key] = ("directory",)
            else:
                found[key] = ("file", status.st_nlink, path.read_bytes())
    return found


#: One operation: what WASI is asked, and what the system is.
Operation = tuple[Callable[[Program], object], Callable[[int], object]]


def opening(path: str, oflags: int, rights: int, follow: bool) -> Operation:
    flags = os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    # A file to be truncated is opened for writing, whatever else is to be done with it.
    if not (rights & abi.FD_WRITE or oflags & abi.OFLAG_TRUNC):
        flags |= os.O_RDONLY
    elif rights & abi.FD_READ:
        flags |= os.O_RDWR
    else:
        flags |= os.O_WRONLY
    for oflag, flag in ((1, os.O_CREAT), (2, os.O_DIRECTORY), (4, os.O_EXCL), (8, os.O_TRUNC)):
        flags |= flag if oflags & oflag else 0
    return (
        lambda program: program.close(program.open(path, oflags, rights, follow=follow)),
        lambda root: os.close(os.open(path, flags, 0o666, dir_fd=root)),
    )


def stating(path: str, follow: bool) -> Operation:
    return (
        lambda program: program.stat(path, follow=follow).type,
        lambda root: os.stat(path, dir_fd=root, follow_symlinks=follow),
    )


def timing(path: str, follow: bool) -> Operation:
    return (
        lambda program: program.set_times(path, 1, 2, abi.SET_ATIM | abi.SET_MTIM, follow=follow),
        lambda root: os.utime(path, ns=(1, 2), dir_fd=root, follow_symlinks=follow),
    )


def making(path: str) -> Operation:
    return lambda program: program.mkdir(path), lambda root: os.mkdir(path, dir_fd=root)


def removing(path: str) -> Operation:
    return lambda program: program.rmdir(path), lambda root: os.rmdir(path, dir_fd=root)


def unlinking(path: str) -> Operation:
    return lambda program: program.unlink(path), lambda root: os.unlink(path, dir_fd=root)


def reading(path: str) -> Operation:
    return lambda program: program.readlink(path), lambda root: os.readlink(path, dir_fd=root)


def symlinking(target: str, path: str) -> Operation:
    # Linux says EEXIST of whatever has the name; the tests of WASI want ENOTDIR of a file with a slash.
    plain = path + "." if path.endswith("/") else path
    return lambda program: program.symlink(target, path), lambda root: os.symlink(target, plain, dir_fd=root)


def renaming(old: str, new: str) -> Operation:
    return (
        lambda program: program.rename(old, new),
        lambda root: os.rename(old, new, src_dir_fd=root, dst_dir_fd=root),
    )


def linking(old: str, new: str, follow: bool) -> Operation:
    return (
        lambda program: program.link(old, new, follow=follow),
        lambda root: os.link(old, new, src_dir_fd=root, dst_dir_fd=root, follow_symlinks=follow),
    )


# Creating with the wish for a directory is left out: Linux changed its mind about that, and WASI has EINVAL.
OFLAGS = st.sampled_from([0, 1, 2, 4, 5, 8, 9, 10, 13])
RIGHTS = st.sampled_from([abi.FD_READ, abi.FD_WRITE, READ_WRITE, 0])
OPERATIONS = st.one_of(
    st.tuples(st.just(opening), PATHS, OFLAGS, RIGHTS, st.booleans()),
    st.tuples(st.sampled_from([stating, timing]), PATHS, st.booleans()),
    st.tuples(st.sampled_from([making, removing, unlinking, reading]), PATHS),
    st.tuples(st.just(symlinking), st.sampled_from([*TARGETS, ""]), PATHS),
    st.tuples(st.just(renaming), PATHS, PATHS),
    st.tuples(st.just(linking), PATHS, PATHS, st.booleans()),
)


def make_in_memory(tree: dict[str, str]) -> MemoryDir:
    """Make a tree in memory."""
    directory = MemoryDir({"d": {}})
    program = Program(WasiConfig(preopens={"/": directory}, stdin=b""))
    for name, entry in tree.items():
        if entry == "file":
            program.create(name, name.encode())
        elif entry.startswith("-> "):
            program.symlink(entry[3:], name)
        elif entry:
            program.mkdir(name)
            if entry != "empty":
                program.create(f"{name}/inside", b"inside")
    return directory


def look_in_memory(directory: MemoryDir) -> dict[str, tuple[object, ...]]:
    """As :func:`look`; and what is counted as taken must be what is there."""
    found: dict[str, tuple[object, ...]] = {}
    todo = [("", tree_of(directory).root)]
    seen: dict[int, int] = {}
    while todo:
        where, node = todo.pop()
        for encoded, entry in node.entries.items():
            key = where + encoded.decode()
            seen[entry.inode] = len(entry.data)
            if entry.mode == stat.S_IFLNK:
                found[key] = ("link", entry.data.decode())
            elif entry.mode == stat.S_IFDIR:
                found[key] = ("directory",)
                todo.append((key + "/", entry))
            else:
                found[key] = ("file", entry.links, bytes(entry.data))
    assert directory.size == 512 * len(found) + sum(seen.values())
    return found


def outcomes(
    tree: dict[str, str], operation: tuple[object, ...], *, memory: bool = False
) -> tuple[tuple[object, object], tuple[object, object]]:
    """Error number and tree, through WASI and as the system has it."""
    make_operation, *arguments = operation
    assert callable(make_operation)
    through_wasi, plain = make_operation(*arguments)
    base = Path(tempfile.mkdtemp())
    try:
        ours, twin = base / "ours", base / "twin"
        make(twin, tree)
        preopened: Path | MemoryDir = ours
        if memory:
            preopened = make_in_memory(tree)
        else:
            make(ours, tree)
        program = Program(WasiConfig(preopens={"/": preopened}, stdin=b"", stdout="/dev/null", stderr="/dev/null"))
        number = expected = SUCCESS
        try:
            through_wasi(program)
        except Failed as failed:
            number = failed.number
        root = os.open(twin, os.O_RDONLY | os.O_DIRECTORY)
        try:
            plain(root)
        except OSError as error:
            expected = from_host(error.errno or 0)
        finally:
            os.close(root)
        after = look(preopened) if isinstance(preopened, Path) else look_in_memory(preopened)
        return (number, after), (expected, look(twin))
    finally:
        shutil.rmtree(base)


LONG = "n" * 256
#: Where two things are wrong at once, or the last component is special: each was wrong once.
CASES: list[tuple[dict[str, str], tuple[object, ...]]] = [
    ({}, (removing, "d/..")),
    ({}, (opening, LONG + "/", abi.OFLAG_CREAT, abi.FD_READ, True)),
    ({"c": "-> c"}, (opening, "c/", abi.OFLAG_CREAT | abi.OFLAG_EXCL, abi.FD_READ, True)),
    ({"c": "-> nothing/"}, (opening, "c", abi.OFLAG_CREAT, abi.FD_READ, True)),
    ({"b": "-> c/."}, (opening, "b/", abi.OFLAG_CREAT, abi.FD_WRITE, False)),
    ({}, (opening, ".//", abi.OFLAG_CREAT | abi.OFLAG_EXCL, READ_WRITE, True)),
    ({}, (symlinking, "", LONG + "/b")),
    ({"a": "-> d/"}, (symlinking, "", "a/")),
    ({"a": "file"}, (symlinking, "x", "a/")),
    ({"a": "-> nothing"}, (symlinking, "x", "a/")),
    ({}, (renaming, "new/", ".")),
    ({}, (renaming, LONG, "./")),
    ({"c": "file"}, (renaming, "c//", LONG)),
    ({"c": "file"}, (renaming, "c", "./")),
    ({}, (linking, "new", f"./{LONG}//", True)),
    ({"b": "-> d/"}, (linking, "new", "b//", False)),
    ({"b": "file"}, (linking, LONG, "b/inside/c/", False)),
    ({"a": "file"}, (linking, "a//", "new/./..", True)),
]


@pytest.mark.parametrize("memory", [False, True], ids=["host", "memory"])
@pytest.mark.parametrize(("tree", "operation"), CASES)
def test_the_error_is_the_one_that_linux_gives_first(
    tree: dict[str, str], operation: tuple[object, ...], memory: bool
) -> None:
    ours, linux = outcomes(tree, operation, memory=memory)
    assert ours == linux


#: With ``a`` a directory that may not be searched. All but the first two end with EACCES.
DENIED: list[tuple[object, ...]] = [
    (stating, "a", False),
    (renaming, "a", "new"),
    (stating, "a/.", False),
    (stating, "a/..", False),
    (stating, "a/inside", True),
    (timing, "a/..//", True),
    (opening, "a/..", 0, abi.FD_READ, False),
    (opening, "a/../b", 0, abi.FD_READ, False),
    (unlinking, "a/.."),
    (removing, "a/.."),
    (removing, "a/."),
    (making, "a/.."),
    (making, "a/new"),
    (renaming, "a/.", "new"),
    (renaming, "a/inside", "./"),
    (renaming, "b", "a/new"),
    (linking, "b", "a/./..", True),
    (symlinking, "x", "a/"),
    (symlinking, "x", "a/."),
]


def compare_denied() -> None:
    """What the test below runs in a process that is not root's, to whom everything is permitted."""
    if os.geteuid() == 0:
        os.setgid(65534)
        os.setuid(65534)
    for operation in DENIED:
        ours, linux = outcomes({"a": "closed", "b": "file"}, operation)
        assert ours == linux, operation
        assert (linux[0] == EACCES) == (operation not in DENIED[:2]), operation


def test_what_may_not_be_searched_is_not_gone_through() -> None:
    code = "from tests.wasi.test_twin import compare_denied; compare_denied()"
    environment = os.environ | {"TMPDIR": "/tmp"}
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], env=environment, check=True, timeout=60)


@settings(deadline=None, max_examples=400)
@given(tree=TREES, operation=OPERATIONS)
def test_an_operation_ends_as_it_does_on_linux(tree: dict[str, str], operation: tuple[object, ...]) -> None:
    ours, linux = outcomes(tree, operation)
    # Only what goes up can leave.
    if ours[0] == EPERM and ".." in f"{tree} {operation}":
        return
    assert ours == linux


@settings(deadline=None, max_examples=400)
@given(tree=TREES, operation=OPERATIONS)
def test_an_operation_in_memory_ends_as_it_does_on_linux(tree: dict[str, str], operation: tuple[object, ...]) -> None:
    # There are no permissions in memory.
    tree = {name: "full" if entry == "closed" else entry for name, entry in tree.items()}
    ours, linux = outcomes(tree, operation, memory=True)
    # Only what goes up can leave.
    if ours[0] == EPERM and ".." in f"{tree} {operation}":
        return
    assert ours == linux
