"""The file table: numbers, closing, renumbering, rights."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.wasi.program import READ_WRITE, ROOT, Program, fails
from vibewasm.wasi import abi
from vibewasm.wasi.errnos import EBADF, EINVAL, ENOTCAPABLE, ENOTDIR, ENOTSOCK, SUCCESS

BAD = [4, 5, 99, 1 << 31, (1 << 32) - 1]


@pytest.mark.parametrize("fd", BAD)
def test_every_function_refuses_a_descriptor_that_is_not_open(program: Program, fd: int) -> None:
    path = program.put(0x1000, b"path")
    for name, arguments in {
        "fd_advise": (fd, 0, 0, 0),
        "fd_allocate": (fd, 0, 1),
        "fd_close": (fd,),
        "fd_datasync": (fd,),
        "fd_fdstat_get": (fd, 0),
        "fd_fdstat_set_flags": (fd, 0),
        "fd_fdstat_set_rights": (fd, 0, 0),
        "fd_filestat_get": (fd, 0),
        "fd_filestat_set_size": (fd, 0),
        "fd_filestat_set_times": (fd, 0, 0, 0),
        "fd_pread": (fd, 0, 0, 0, 0),
        "fd_prestat_get": (fd, 0),
        "fd_prestat_dir_name": (fd, 0, 100),
        "fd_pwrite": (fd, 0, 0, 0, 0),
        "fd_read": (fd, 0, 0, 0),
        "fd_readdir": (fd, 0, 0, 0, 0),
        "fd_renumber": (fd, ROOT),
        "fd_seek": (fd, 0, 0, 0),
        "fd_sync": (fd,),
        "fd_tell": (fd, 0),
        "fd_write": (fd, 0, 0, 0),
        "path_create_directory": (fd, *path),
        "path_filestat_get": (fd, 0, *path, 0),
        "path_filestat_set_times": (fd, 0, *path, 0, 0, 0),
        "path_link": (fd, 0, *path, ROOT, *path),
        "path_open": (fd, 0, *path, 0, 0, 0, 0, 0),
        "path_readlink": (fd, *path, 0, 0, 0),
        "path_remove_directory": (fd, *path),
        "path_rename": (fd, *path, ROOT, *path),
        "path_symlink": (*path, fd, *path),
        "path_unlink_file": (fd, *path),
        "sock_accept": (fd, 0, 0),
        "sock_recv": (fd, 0, 0, 0, 0, 0),
        "sock_send": (fd, 0, 0, 0, 0),
        "sock_shutdown": (fd, 0),
    }.items():
        assert program.raw(name, *arguments) == EBADF, name
    assert program.raw("fd_renumber", ROOT, fd) == EBADF
    assert program.raw("path_link", ROOT, 0, *path, fd, *path) == EBADF
    assert program.raw("path_rename", ROOT, *path, fd, *path) == EBADF


def test_nothing_is_a_socket(program: Program) -> None:
    program.create("file")
    for fd in (0, 1, 2, ROOT, program.open("file")):
        assert program.raw("sock_accept", fd, 0, 0) == ENOTSOCK
        assert program.raw("sock_recv", fd, 0, 0, 0, 0, 0) == ENOTSOCK
        assert program.raw("sock_send", fd, 0, 0, 0, 0) == ENOTSOCK
        assert program.raw("sock_shutdown", fd, 0) == ENOTSOCK


def test_a_new_file_gets_the_lowest_free_number(program: Program) -> None:
    program.create("file")
    assert [program.open("file") for _ in range(4)] == [4, 5, 6, 7]
    program.close(6)
    program.close(5)
    assert [program.open("file") for _ in range(3)] == [5, 6, 8]


def test_a_new_file_gets_the_number_of_a_closed_stream_only_if_no_other_was_closed(program: Program) -> None:
    program.create("file")
    first, second = program.open("file"), program.open("file")
    for fd in (0, 1, 2, first):
        program.close(fd)
    assert [program.open("file") for _ in range(5)] == [first, 2, 1, 0, second + 1]
    program.close(1)
    program.close(second + 1)
    program.close(second)
    assert [program.open("file") for _ in range(4)] == [second, second + 1, 1, second + 2]


def test_a_closed_number_is_bad_at_once(program: Program) -> None:
    program.create("file")
    fd = program.open("file")
    program.close(fd)
    with fails(EBADF):
        program.close(fd)
    with fails(EBADF):
        program.read(fd, 1)


def test_renumbering_moves_a_file_and_closes_what_was_there(program: Program, folder: Path) -> None:
    (folder / "one").write_bytes(b"one")
    (folder / "two").write_bytes(b"two")
    one, two = program.open("one"), program.open("two")
    program.call("fd_renumber", one, two)
    assert program.read(two, 10) == b"one"
    with fails(EBADF):
        program.read(one, 1)
    with fails(EBADF):
        program.call("fd_renumber", two, one)
    assert program.open("two") == one


def test_renumbering_onto_itself_changes_nothing(program: Program) -> None:
    program.create("file", b"data")
    fd = program.open("file")
    program.call("fd_renumber", fd, fd)
    assert program.read(fd, 10) == b"data"


def test_standard_streams_and_preopened_directories_can_be_renumbered(program: Program) -> None:
    program.mkdir("dir")
    fd = program.open("dir", abi.OFLAG_DIRECTORY)
    inode = program.fstat(fd).ino
    program.call("fd_renumber", fd, ROOT)
    assert program.fstat(ROOT).ino == inode
    with fails(EBADF):
        program.call("fd_prestat_get", ROOT, 0)
    program.create("file")
    fd = program.open("file")
    program.call("fd_renumber", 1, fd)
    program.write(fd, b"to what was stdout")
    assert program.open("file") == 1


def test_opening_until_the_host_has_no_more_is_an_error_that_passes(program: Program) -> None:
    import resource

    from vibewasm.wasi.errnos import EMFILE

    program.create("file")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free + 30, hard))
    try:
        opened = []
        with fails(EMFILE):
            for _ in range(100):
                opened.append(program.open("file"))
        for fd in opened:
            program.close(fd)
        program.open("file")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_rights_can_be_given_up_and_not_taken_back(program: Program) -> None:
    program.create("file", b"data")
    fd = program.open("file", rights=READ_WRITE)
    before = program.fdstat(fd)
    assert before.rights & READ_WRITE == READ_WRITE
    program.call("fd_fdstat_set_rights", fd, before.rights, before.inheriting)
    program.call("fd_fdstat_set_rights", fd, before.rights & ~READ_WRITE, before.inheriting)
    assert program.fdstat(fd).rights == before.rights & ~READ_WRITE
    with fails(EBADF):
        program.read(fd, 1)
    with fails(EBADF):
        program.write(fd, b"x")
    with fails(ENOTCAPABLE):
        program.call("fd_fdstat_set_rights", fd, before.rights, before.inheriting)
    with fails(ENOTCAPABLE):
        program.call("fd_fdstat_set_rights", fd, 0, abi.FD_READ)
    program.seek(fd, 1)
    program.call("fd_fdstat_set_rights", fd, 0, 0)
    with fails(ENOTCAPABLE):
        program.seek(fd, 0)
    with fails(ENOTCAPABLE):
        program.fstat(fd)
    program.close(fd)


@pytest.mark.parametrize(
    ("right", "call", "arguments"),
    [
        (abi.PATH_CREATE_DIRECTORY, "path_create_directory", (ROOT, 0, 1)),
        (abi.PATH_FILESTAT_GET, "path_filestat_get", (ROOT, 0, 0, 1, 64)),
        (abi.PATH_FILESTAT_SET_TIMES, "path_filestat_set_times", (ROOT, 0, 0, 1, 0, 0, 0)),
        (abi.PATH_LINK_SOURCE, "path_link", (ROOT, 0, 0, 1, ROOT, 2, 1)),
        (abi.PATH_LINK_TARGET, "path_link", (ROOT, 0, 0, 1, ROOT, 2, 1)),
        (abi.PATH_OPEN, "path_open", (ROOT, 0, 0, 1, 0, 0, 0, 0, 64)),
        (abi.PATH_CREATE_FILE, "path_open", (ROOT, 0, 0, 1, abi.OFLAG_CREAT, 0, 0, 0, 64)),
        (abi.PATH_FILESTAT_SET_SIZE, "path_open", (ROOT, 0, 0, 1, abi.OFLAG_TRUNC, 0, 0, 0, 64)),
        (abi.PATH_READLINK, "path_readlink", (ROOT, 0, 1, 64, 10, 128)),
        (abi.PATH_REMOVE_DIRECTORY, "path_remove_directory", (ROOT, 0, 1)),
        (abi.PATH_RENAME_SOURCE, "path_rename", (ROOT, 0, 1, ROOT, 2, 1)),
        (abi.PATH_RENAME_TARGET, "path_rename", (ROOT, 0, 1, ROOT, 2, 1)),
        (abi.PATH_SYMLINK, "path_symlink", (0, 1, ROOT, 2, 1)),
        (abi.PATH_UNLINK_FILE, "path_unlink_file", (ROOT, 0, 1)),
        (abi.FD_READDIR, "fd_readdir", (ROOT, 64, 10, 0, 128)),
        (abi.FD_FILESTAT_GET, "fd_filestat_get", (ROOT, 64)),
        (abi.FD_FILESTAT_SET_TIMES, "fd_filestat_set_times", (ROOT, 0, 0, 0)),
        (abi.FD_SYNC, "fd_sync", (ROOT,)),
        (abi.FD_DATASYNC, "fd_datasync", (ROOT,)),
        (abi.FD_FDSTAT_SET_FLAGS, "fd_fdstat_set_flags", (ROOT, 0)),
    ],
)
def test_a_right_that_was_given_up_is_missed_by_its_function(
    program: Program, folder: Path, right: int, call: str, arguments: tuple[int, ...]
) -> None:
    (folder / "a").write_bytes(b"data")
    program.put(0, b"a b")
    before = program.fdstat(ROOT)
    program.call("fd_fdstat_set_rights", ROOT, before.rights & ~right, before.inheriting)
    assert program.raw(call, *arguments) == ENOTCAPABLE
    assert (folder / "a").read_bytes() == b"data"
    assert len(list(folder.iterdir())) == 1


def test_what_a_directory_does_not_let_inherit_cannot_be_asked_for_and_is_not_given(program: Program) -> None:
    program.create("file", b"data")
    program.mkdir("dir")
    before = program.fdstat(ROOT)
    limited = before.inheriting & ~(abi.FD_WRITE | abi.FD_SEEK | abi.PATH_UNLINK_FILE)
    program.call("fd_fdstat_set_rights", ROOT, before.rights, limited)
    with fails(ENOTCAPABLE):
        program.open("file", rights=READ_WRITE)
    fd = program.open("file", rights=abi.FD_READ)
    assert program.read(fd, 10) == b"data"
    assert program.fdstat(fd).rights & (abi.FD_WRITE | abi.FD_SEEK) == 0
    inner = program.open("dir", abi.OFLAG_DIRECTORY)
    assert program.fdstat(inner).inheriting == limited
    with fails(ENOTCAPABLE):
        program.unlink("file", fd=inner)
    program.unlink("file")


def test_rights_that_do_not_exist_are_ignored_when_opening(program: Program) -> None:
    program.create("file", b"data")
    fd = program.open("file", rights=(1 << 64) - 1)
    assert program.fdstat(fd).rights == abi.FILE_RIGHTS


def test_a_preopened_directory_has_the_rights_that_libraries_ask_for(program: Program) -> None:
    stat = program.fdstat(ROOT)
    assert stat.type == abi.DIRECTORY
    assert stat.flags == 0
    assert stat.rights == abi.DIRECTORY_RIGHTS
    assert stat.inheriting & (abi.DIRECTORY_RIGHTS | abi.FILE_RIGHTS) == abi.DIRECTORY_RIGHTS | abi.FILE_RIGHTS
    # The directory can be opened again with the same.
    fd = program.open(".", rights=stat.rights)
    assert program.fdstat(fd).rights == stat.rights


def test_paths_need_a_directory_to_start_from(program: Program) -> None:
    program.create("file")
    fd = program.open("file")
    for refused in (
        lambda: program.open("x", fd=fd),
        lambda: program.stat("x", fd=fd),
        lambda: program.mkdir("x", fd=fd),
        lambda: program.rename("file", "x", new_fd=fd),
        lambda: program.unlink("x", fd=0),
    ):
        with fails(ENOTDIR):
            refused()


def test_unknown_flags_are_invalid(program: Program) -> None:
    program.create("file")
    for oflags, fdflags in ((16, 0), (1 << 15, 0), (0, 32), (0, 1 << 15)):
        with fails(EINVAL):
            program.open("file", oflags, fdflags=fdflags)


def test_files_can_be_opened_non_blocking(program: Program) -> None:
    assert program.raw("path_open", ROOT, 0, *program.put(0, b"."), 0, 0, 0, abi.FDFLAG_NONBLOCK, 64) == SUCCESS
