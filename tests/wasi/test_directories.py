"""Listing directories, and preopened ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.wasi.program import ROOT, Program, fails
from vibewasm.wasi import WasiConfig, abi
from vibewasm.wasi.errnos import EBADF, ENAMETOOLONG, ENOTDIR


def test_an_empty_directory_holds_itself_and_its_parent(program: Program) -> None:
    entries, last = program.readdir(ROOT)
    assert last
    assert [(name, kind) for name, kind, _, _ in entries] == [(b".", abi.DIRECTORY), (b"..", abi.DIRECTORY)]
    assert entries[0][2] == program.fstat(ROOT).ino
    # The parent is outside.
    assert entries[1][2] == 0


def test_entries_have_their_inode_and_type(program: Program, folder: Path) -> None:
    (folder / "file").touch()
    (folder / "dir").mkdir()
    (folder / "link").symlink_to("file")
    os.mkfifo(folder / "fifo")
    entries, last = program.readdir(ROOT)
    assert last
    assert {name: (kind, inode) for name, kind, inode, _ in entries[2:]} == {
        b"file": (abi.REGULAR_FILE, (folder / "file").stat().st_ino),
        b"dir": (abi.DIRECTORY, (folder / "dir").stat().st_ino),
        b"link": (abi.SYMBOLIC_LINK, (folder / "link").lstat().st_ino),
        b"fifo": (abi.UNKNOWN, (folder / "fifo").stat().st_ino),
    }


@pytest.mark.parametrize("size", [64, 100, 256, 4096, 100_000])
def test_a_large_directory_is_read_in_pieces_of_any_size(program: Program, folder: Path, size: int) -> None:
    names = {f"file.{index}" for index in range(500)}
    for name in names:
        (folder / name).touch()
    assert sorted(program.names(ROOT, size)) == sorted([b".", b".."] + [name.encode() for name in names])


def test_a_cookie_continues_after_its_entry(program: Program, folder: Path) -> None:
    for name in "abc":
        (folder / name).touch()
    entries, _ = program.readdir(ROOT)
    for index, entry in enumerate(entries):
        rest, last = program.readdir(ROOT, entry[3])
        assert last
        assert rest == entries[index + 1 :]
    assert program.readdir(ROOT, 1 << 63) == ([], True)


def test_a_buffer_without_room_for_an_entry_is_filled_with_its_beginning(program: Program) -> None:
    for size in (0, 1, 24):
        assert program.readdir(ROOT, 0, size) == ([], False)


def test_removing_what_was_read_does_not_hide_what_comes(program: Program, folder: Path) -> None:
    for index in range(100):
        (folder / f"{index}").touch()
    seen = []
    cookie = 0
    while True:
        entries, last = program.readdir(ROOT, cookie, 200)
        for name, kind, _, following in entries:
            cookie = following
            if kind == abi.REGULAR_FILE:
                seen.append(name)
                program.unlink(name)
        if last:
            break
    assert len(seen) == 100
    assert list(folder.iterdir()) == []


def test_reading_from_the_start_sees_what_was_added(program: Program) -> None:
    program.readdir(ROOT)
    program.create("new")
    entries, _ = program.readdir(ROOT, 2)
    assert entries == []
    entries, _ = program.readdir(ROOT)
    assert [entry[0] for entry in entries] == [b".", b"..", b"new"]


def test_names_that_are_not_utf_8_are_left_out(program: Program, folder: Path) -> None:
    (folder / os.fsdecode(b"bad\xff")).touch()
    (folder / "gut é").touch()
    assert program.names(ROOT) == [b".", b"..", "gut é".encode()]


def test_a_file_cannot_be_listed(program: Program) -> None:
    program.create("file")
    with fails(ENOTDIR):
        program.readdir(program.open("file"))


def preopens(program: Program) -> dict[int, bytes]:
    found = {}
    fd = 3
    while program.raw("fd_prestat_get", fd, 0) == 0:
        assert program.u32(0) == abi.PREOPENTYPE_DIR
        length = program.u32(4)
        program.memory[0x100 : 0x100 + length + 1] = b"#" * (length + 1)
        program.call("fd_prestat_dir_name", fd, 0x100, length + 1)
        assert program.memory[0x100 + length] == ord("#")
        found[fd] = bytes(program.memory[0x100 : 0x100 + length])
        fd += 1
    assert program.raw("fd_prestat_get", fd, 0) == EBADF
    return found


def test_preopened_directories_are_found_from_3_on(tmp_path: Path) -> None:
    program = Program(WasiConfig(preopens={"/": tmp_path, ".": str(tmp_path), "/dé": tmp_path}, stdin=b""))
    assert preopens(program) == {3: b"/", 4: b".", 5: "/dé".encode()}


def test_only_preopened_directories_have_a_name(program: Program) -> None:
    for fd in (0, 1, 2, 99):
        with fails(EBADF):
            program.call("fd_prestat_get", fd, 0)
    program.mkdir("dir")
    fd = program.open("dir", abi.OFLAG_DIRECTORY)
    with fails(EBADF):
        program.call("fd_prestat_get", fd, 0)
    with fails(EBADF):
        program.call("fd_prestat_dir_name", fd, 0, 100)


def test_a_name_is_not_cut(tmp_path: Path) -> None:
    program = Program(WasiConfig(preopens={"/sandbox": tmp_path}, stdin=b""))
    with fails(ENAMETOOLONG):
        program.call("fd_prestat_dir_name", 3, 0, 7)
    program.call("fd_prestat_dir_name", 3, 0, 8)
    assert program.memory[:9] == b"/sandbox\0"


def test_a_preopened_directory_can_be_closed(program: Program) -> None:
    program.mkdir("dir")
    fd = program.open("dir", abi.OFLAG_DIRECTORY)
    program.close(ROOT)
    with fails(EBADF):
        program.fdstat(ROOT)
    program.create("inside", fd=fd)
    assert program.names(fd) == [b".", b"..", b"inside"]
