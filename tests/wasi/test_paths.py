"""Functions on paths: what each does, and which error says why not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import vibewasm as vw
from tests.wasi.program import READ_WRITE, ROOT, Program, fails
from vibewasm.wasi import abi, paths
from vibewasm.wasi.errnos import (
    EBUSY,
    EEXIST,
    EILSEQ,
    EINVAL,
    EISDIR,
    ELOOP,
    ENAMETOOLONG,
    ENOENT,
    ENOTDIR,
    ENOTEMPTY,
    EPERM,
)

CREATE, DIRECTORY, EXCLUSIVE, TRUNCATE = abi.OFLAG_CREAT, abi.OFLAG_DIRECTORY, abi.OFLAG_EXCL, abi.OFLAG_TRUNC

# Opening


def test_opening_what_is_not_there_fails_unless_it_is_to_be_created(program: Program, folder: Path) -> None:
    with fails(ENOENT):
        program.open("file")
    program.open("file", CREATE)
    assert (folder / "file").read_bytes() == b""
    program.open("file", CREATE)
    with fails(EEXIST):
        program.open("file", CREATE | EXCLUSIVE)


def test_truncating_empties_a_file_even_if_it_is_only_to_be_read(program: Program, folder: Path) -> None:
    (folder / "file").write_bytes(b"data")
    fd = program.open("file", TRUNCATE, abi.FD_READ)
    assert program.read(fd, 10) == b""
    assert program.fdstat(fd).rights & abi.FD_WRITE == 0
    assert (folder / "file").read_bytes() == b""


def test_a_directory_opens_with_and_without_saying_so_but_not_for_writing(program: Program) -> None:
    program.mkdir("dir")
    for oflags in (0, DIRECTORY):
        assert program.fdstat(program.open("dir", oflags)).type == abi.DIRECTORY
        assert program.fdstat(program.open(".", oflags)).type == abi.DIRECTORY
        with fails(EISDIR):
            program.open("dir", oflags, READ_WRITE)
    with fails(EISDIR):
        program.open("dir", CREATE, READ_WRITE)


def test_a_file_is_no_directory(program: Program) -> None:
    program.create("file")
    with fails(ENOTDIR):
        program.open("file", DIRECTORY)
    with fails(ENOTDIR):
        program.open("file/below")
    with fails(ENOTDIR):
        program.open("file/..")
    with fails(ENOTDIR):
        program.stat("file/.")


def test_creating_a_directory_by_opening_it_is_invalid(program: Program) -> None:
    with fails(EINVAL):
        program.open("new", CREATE | DIRECTORY)
    assert program.names(ROOT) == [b".", b".."]


def test_dots_and_slashes_inside_the_directory_are_allowed(program: Program) -> None:
    program.mkdir("dir")
    program.mkdir("dir/nested")
    program.create("dir/nested/file", b"x")
    fd = program.open("dir/.//nested/../../dir/nested/../nested///./file")
    assert program.read(fd, 10) == b"x"


@pytest.mark.parametrize("slashes", ["/", "///"])
def test_a_slash_at_the_end_demands_a_directory(program: Program, slashes: str) -> None:
    program.mkdir("dir")
    program.create("file")
    program.open("dir" + slashes)
    assert program.stat("dir" + slashes).type == abi.DIRECTORY
    with fails(ENOTDIR):
        program.open("file" + slashes)
    with fails(ENOTDIR):
        program.stat("file" + slashes)
    with fails(EISDIR):
        program.open("new" + slashes, CREATE)
    with fails(ENOENT):
        program.open("new" + slashes)


@pytest.mark.parametrize("path", ["/", "/dir", "..", "dir/../..", "dir/nested/../../../x", "../root/dir", "//"])
def test_a_path_that_leaves_the_directory_is_not_permitted(program: Program, path: str) -> None:
    program.mkdir("dir")
    program.mkdir("dir/nested")
    inner = program.open("dir", DIRECTORY)
    for fd in (ROOT, inner):
        for refused in (
            lambda fd=fd: program.open(path, fd=fd),
            lambda fd=fd: program.stat(path, fd=fd),
            lambda fd=fd: program.mkdir(path, fd=fd),
            lambda fd=fd: program.symlink("x", path, fd=fd),
            lambda fd=fd: program.rename("dir", path, new_fd=fd),
        ):
            with fails(EPERM, ENOENT):
                refused()
    with fails(EPERM):
        program.open(path)


def test_paths_that_are_no_paths_are_refused(program: Program) -> None:
    program.create("file")
    with fails(ENOENT):
        program.open("")
    for path in (b"file\0", b"\0", b"fi\0le"):
        with fails(EINVAL):
            program.open(path)
    for path in (b"\xff", b"file\xc0\x80", b"\xed\xa0\x80"):
        with fails(EILSEQ):
            program.open(path, CREATE)
    with fails(ENAMETOOLONG):
        program.open(b"n" * 256)
    with fails(ENAMETOOLONG):
        program.open(b"./" * 2048)
    program.open(b"./" * 2040 + b"file")


def test_a_path_through_very_many_directories_is_too_long(program: Program) -> None:
    # A walk holds each open, so that no program can use up the host's descriptors with one call.
    fd = ROOT
    for _ in range(300):
        program.mkdir("d", fd=fd)
        below = program.open("d", DIRECTORY, fd=fd)
        if fd != ROOT:
            program.close(fd)
        fd = below
    assert program.stat("d/" * 200).type == abi.DIRECTORY
    with fails(ENAMETOOLONG):
        program.stat("d/" * 300)


# Symbolic links


def test_a_link_is_followed_only_when_asked(program: Program) -> None:
    program.create("target", b"data")
    program.symlink("target", "link")
    assert program.read(program.open("link", follow=True), 10) == b"data"
    with fails(ELOOP):
        program.open("link")
    assert program.stat("link").type == abi.SYMBOLIC_LINK
    assert program.stat("link", follow=True).type == abi.REGULAR_FILE


def test_a_link_to_a_directory_is_followed_in_the_middle_and_before_a_slash(program: Program) -> None:
    program.mkdir("dir")
    program.create("dir/file", b"data")
    program.symlink("dir", "link")
    assert program.read(program.open("link/file"), 10) == b"data"
    assert program.stat("link/").type == abi.DIRECTORY
    assert program.fdstat(program.open("link", DIRECTORY, follow=True)).type == abi.DIRECTORY
    with fails(ELOOP, ENOTDIR):
        program.open("link", DIRECTORY)
    program.create("file")
    program.symlink("file", "other")
    with fails(ENOTDIR):
        program.open("other", DIRECTORY, follow=True)
    with fails(ENOTDIR):
        program.open("other/file")


def test_links_may_go_up_inside_the_directory_and_not_out_of_it(program: Program) -> None:
    program.mkdir("dir")
    program.create("file", b"data")
    program.symlink("../file", "dir/up")
    program.symlink("../../root/file", "dir/out")
    program.symlink("..", "parent")
    assert program.read(program.open("dir/up", follow=True), 10) == b"data"
    for path in ("dir/out", "parent", "parent/root"):
        with fails(EPERM):
            program.open(path, follow=True)
    inner = program.open("dir", DIRECTORY)
    with fails(EPERM):
        program.open("up", follow=True, fd=inner)


def test_absolute_links_are_not_made_followed_or_told(program: Program, folder: Path) -> None:
    with fails(EPERM):
        program.symlink("/etc/passwd", "link")
    (folder / "link").symlink_to("/etc/passwd")
    (folder / "root").symlink_to("/")
    for path in ("link", "root", "root/etc/passwd"):
        with fails(EPERM):
            program.open(path, follow=True)
        with fails(EPERM):
            program.stat(path, follow=True)
    with fails(EPERM):
        program.readlink("link")
    assert program.stat("link").type == abi.SYMBOLIC_LINK


def test_links_in_a_circle_are_too_many(program: Program) -> None:
    program.symlink("self", "self")
    program.symlink("pong", "ping")
    program.symlink("ping", "pong")
    for path in ("self", "ping", "self/x", "ping/"):
        with fails(ELOOP):
            program.open(path, follow=True)
    with fails(ELOOP):
        program.open("self")


def test_a_chain_of_forty_links_is_followed_and_no_longer_one(program: Program) -> None:
    program.create("0", b"end")
    for index in range(41):
        program.symlink(str(index), str(index + 1))
    assert program.read(program.open("40", follow=True), 10) == b"end"
    with fails(ELOOP):
        program.open("41", follow=True)


@pytest.mark.parametrize("walked", ["on the host", "in memory"])
def test_links_do_not_make_a_path_longer_than_is_walked(
    walked: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths.HOST, "walks", False)
    preopen = folder if walked == "on the host" else vw.MemoryDir({})
    program = Program(vw.WasiConfig(preopens={"/": preopen}, stdin=b""), lambda: None)
    program.create("end", b"end")
    for name, steps, target in (("b", 2000, "end"), ("a", 2000, "b"), ("longer", 200, "a")):
        program.symlink("./" * steps + target, name)
    assert program.read(program.open("a", follow=True), 10) == b"end"
    with fails(ELOOP):
        program.open("longer", follow=True)


def test_creating_through_a_dangling_link_creates_its_target_inside(program: Program, folder: Path) -> None:
    program.mkdir("dir")
    program.symlink("dir/new", "link")
    with fails(EEXIST):
        program.open("link", CREATE | EXCLUSIVE, follow=True)
    with fails(ELOOP):
        program.open("link", CREATE)
    with fails(ENOENT):
        program.open("link", follow=True)
    program.open("link", CREATE, follow=True)
    assert (folder / "dir/new").is_file()


def test_readlink_gives_what_there_is_room_for(program: Program) -> None:
    program.symlink("target/ä", "link")
    assert program.readlink("link") == "target/ä".encode()
    assert program.readlink("link", 4) == b"targ"
    assert program.readlink("link", 0) == b""
    program.create("file")
    with fails(EINVAL):
        program.readlink("file")
    with fails(ENOENT):
        program.readlink("nothing")
    with fails(ENOTDIR):
        program.readlink("file/")


def test_a_symbolic_link_needs_a_free_name_and_a_target(program: Program) -> None:
    program.create("file")
    program.mkdir("dir")
    for name in ("file", "dir", "dir/", "."):
        with fails(EEXIST):
            program.symlink("x", name)
    with fails(ENOTDIR):
        program.symlink("x", "file/")
    with fails(ENOENT):
        program.symlink("x", "new/")
    with fails(ENOENT):
        program.symlink("", "new")
    with fails(ENOENT):
        program.symlink("x", "")
    with fails(EINVAL):
        program.symlink("x\0", "new")
    assert program.names(ROOT) == [b".", b"..", b"dir", b"file"]


def test_times_of_a_link_and_of_its_target_are_set_apart(program: Program) -> None:
    program.create("file")
    program.symlink("file", "link")
    program.set_times("link", 1, 2, abi.SET_ATIM | abi.SET_MTIM)
    assert program.stat("link").mtim == 2
    assert program.stat("file").mtim != 2
    program.set_times("link", 3, 4, abi.SET_ATIM | abi.SET_MTIM, follow=True)
    assert program.stat("file").mtim == 4
    assert program.stat("link").mtim == 2
    with fails(ENOTDIR):
        program.set_times("file/", 1, 2, abi.SET_ATIM)


def test_a_symbolic_link_in_the_place_of_another_is_judged_by_its_slash(program: Program) -> None:
    program.create("file")
    program.mkdir("dir")
    program.symlink("nothing", "dangling")
    program.symlink("file", "to_file")
    program.symlink("dir", "to_dir")
    program.symlink("loop", "loop")
    for name in ("dangling", "to_file", "to_dir", "to_dir/", "to_dir/.", "loop"):
        with fails(EEXIST):
            program.symlink("x", name)
    with fails(ENOENT):
        program.symlink("x", "dangling/")
    with fails(ENOTDIR):
        program.symlink("x", "to_file/")
    with fails(ELOOP):
        program.symlink("x", "loop/")
    assert program.readlink("dangling") == b"nothing"


def test_no_path_that_ends_in_dots_can_be_removed_or_renamed(program: Program) -> None:
    program.mkdir("dir")
    program.mkdir("dir/nested")
    with fails(EINVAL):
        program.rmdir("dir/nested/.")
    with fails(ENOTEMPTY):
        program.rmdir("dir/nested/..")
    for old, new in (("dir/nested/..", "x"), ("dir", "dir/nested/.."), ("nothing/", "."), ("dir/.", "dir/")):
        with fails(EBUSY):
            program.rename(old, new)


# Making and removing


def test_directories_are_made_and_removed(program: Program, folder: Path) -> None:
    program.mkdir("dir")
    program.mkdir("dir/nested/")
    assert (folder / "dir/nested").is_dir()
    for name in ("dir", "dir/", ".", "dir/nested/.."):
        with fails(EEXIST):
            program.mkdir(name)
    with fails(ENOENT):
        program.mkdir("nothing/dir")
    with fails(ENOTEMPTY):
        program.rmdir("dir")
    with fails(EINVAL):
        program.rmdir("dir/.")
    program.rmdir("dir/nested/")
    program.rmdir("dir")
    with fails(ENOENT):
        program.rmdir("dir")


def test_removing_a_file_as_a_directory_or_a_directory_as_a_file_fails(program: Program) -> None:
    program.create("file")
    program.mkdir("dir")
    program.symlink("dir", "link")
    for path in ("file", "file/", "link", "link/"):
        with fails(ENOTDIR):
            program.rmdir(path)
    for path in ("dir", "dir/", "."):
        with fails(EISDIR):
            program.unlink(path)
    for path in ("file/", "link/"):
        with fails(ENOTDIR):
            program.unlink(path)
    program.unlink("link")
    program.unlink("file")
    assert program.names(ROOT) == [b".", b"..", b"dir"]


def test_an_open_file_outlives_its_name(program: Program) -> None:
    program.create("file", b"data")
    fd = program.open("file")
    program.unlink("file")
    assert program.read(fd, 10) == b"data"
    assert program.fstat(fd).nlink == 0


def test_renaming_replaces_what_may_be_replaced(program: Program, folder: Path) -> None:
    program.create("one", b"one")
    program.create("two", b"two")
    program.rename("one", "two")
    assert (folder / "two").read_bytes() == b"one"
    program.mkdir("dir")
    program.mkdir("empty")
    program.create("dir/file")
    program.rename("dir", "empty")
    assert (folder / "empty/file").exists()
    program.mkdir("dir")
    with fails(ENOTEMPTY):
        program.rename("dir", "empty")
    with fails(ENOTDIR):
        program.rename("dir", "two")
    with fails(EISDIR):
        program.rename("two", "dir")
    with fails(ENOENT):
        program.rename("nothing", "x")
    with fails(EINVAL):
        program.rename("empty", "empty/below")
    with fails(EBUSY):
        program.rename(".", "x")
    with fails(EBUSY):
        program.rename("dir", ".")


def test_renaming_with_slashes_is_for_directories(program: Program, folder: Path) -> None:
    program.mkdir("source")
    program.rename("source/", "target")
    program.rename("target", "source/")
    program.rename("source/", "target/")
    program.create("file")
    for old, new in (("file/", "new"), ("file", "new/"), ("file", "target/")):
        with fails(ENOTDIR):
            program.rename(old, new)
    assert sorted(os.listdir(folder)) == ["file", "target"]


def test_renaming_a_link_renames_the_link(program: Program, folder: Path) -> None:
    program.create("file")
    program.symlink("file", "link")
    program.rename("link", "moved")
    assert (folder / "moved").is_symlink()
    assert (folder / "file").exists()


def test_renaming_works_between_directories(program: Program, folder: Path) -> None:
    program.mkdir("one")
    program.mkdir("two")
    program.create("one/file", b"data")
    one, two = program.open("one", DIRECTORY), program.open("two", DIRECTORY)
    program.rename("file", "moved", fd=one, new_fd=two)
    assert (folder / "two/moved").read_bytes() == b"data"


def test_links_give_a_file_further_names(program: Program, folder: Path) -> None:
    program.create("file", b"data")
    program.mkdir("dir")
    program.link("file", "dir/name")
    assert program.stat("dir/name").ino == program.stat("file").ino
    assert program.stat("file").nlink == 2
    for new in ("file", "dir", "dir/name", "dir/", "."):
        with fails(EEXIST):
            program.link("file", new)
    with fails(ENOENT):
        program.link("file", "new/")
    with fails(ENOENT):
        program.link("nothing", "new")
    with fails(EPERM):
        program.link("dir", "new")
    with fails(EPERM):
        program.link("dir/", "new")
    with fails(ENOTDIR):
        program.link("file/", "new")


def test_linking_a_symbolic_link_links_the_link_unless_told_to_follow(program: Program) -> None:
    program.create("file")
    program.symlink("file", "link")
    program.link("link", "one")
    assert program.stat("one").type == abi.SYMBOLIC_LINK
    program.link("link", "two", follow=True)
    assert program.stat("two").ino == program.stat("file").ino
    program.symlink("nothing", "dangling")
    program.link("dangling", "three")
    with fails(ENOENT):
        program.link("dangling", "four", follow=True)
    with fails(EEXIST):
        program.link("file", "dangling")
