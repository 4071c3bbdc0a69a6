"""Open files: reading, writing, positions, status, flags."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import vibewasm as vw
from tests.wasi.program import READ_WRITE, ROOT, Program, fails
from vibewasm.wasi import WasiConfig, abi
from vibewasm.wasi.errnos import EBADF, EFAULT, EFBIG, EINVAL, EISDIR, ENOTSUP, ESPIPE

CREATE = abi.OFLAG_CREAT


def test_writing_moves_the_position_and_reading_back_gives_what_was_written(program: Program, folder: Path) -> None:
    fd = program.open("file", CREATE, READ_WRITE)
    assert program.tell(fd) == 0
    assert program.write(fd, b"01234", b"", b"56789") == 10
    assert program.tell(fd) == 10
    assert program.seek(fd, -4, 1) == 6
    assert program.read(fd, 2, 100) == b"6789"
    assert program.read(fd, 100) == b""
    assert program.seek(fd, 0) == 0
    assert program.read(fd, 0, 3, 0) == b"012"
    assert (folder / "file").read_bytes() == b"0123456789"


def test_a_read_of_nothing_is_no_end_of_file(program: Program, folder: Path) -> None:
    (folder / "file").write_bytes(b"x")
    fd = program.open("file")
    assert program.read(fd) == b""
    assert program.read(fd, 0) == b""
    assert program.read(fd, 5) == b"x"


def test_seeking_beyond_the_end_leaves_a_hole_and_before_the_start_is_invalid(program: Program, folder: Path) -> None:
    fd = program.open("file", CREATE, READ_WRITE)
    assert program.seek(fd, 100, 2) == 100
    program.write(fd, b"x")
    assert (folder / "file").read_bytes() == bytes(100) + b"x"
    with fails(EINVAL):
        program.seek(fd, -2000, 1)
    with fails(EINVAL):
        program.seek(fd, 0, 3)
    with fails(EINVAL):
        program.seek(fd, -1, 0)
    assert program.tell(fd) == 101


def test_pread_and_pwrite_leave_the_position(program: Program) -> None:
    fd = program.open("file", CREATE, READ_WRITE)
    assert program.pwrite(fd, b"0123456789", 5) == 10
    assert program.pread(fd, 4, 7) == b"2345"
    assert program.pread(fd, 4, 100) == b""
    assert program.tell(fd) == 0
    for offset in (1 << 63, (1 << 64) - 1):
        with fails(EINVAL):
            program.pread(fd, 4, offset)
        with fails(EINVAL):
            program.pwrite(fd, b"x", offset)


def test_append_mode_writes_at_the_end_until_it_is_turned_off(program: Program, folder: Path) -> None:
    fd = program.open("file", CREATE, READ_WRITE, fdflags=abi.FDFLAG_APPEND)
    assert program.fdstat(fd).flags == abi.FDFLAG_APPEND
    program.write(fd, b"aaaa")
    program.seek(fd, 0)
    program.write(fd, b"bbbb")
    program.call("fd_fdstat_set_flags", fd, 0)
    assert program.fdstat(fd).flags == 0
    program.seek(fd, 0)
    program.write(fd, b"cc")
    program.call("fd_fdstat_set_flags", fd, abi.FDFLAG_APPEND)
    program.write(fd, b"dd")
    assert (folder / "file").read_bytes() == b"ccaabbbbdd"


def test_synchronous_mode_is_kept_and_cannot_be_set_later(program: Program) -> None:
    fd = program.open("file", CREATE, READ_WRITE, fdflags=abi.FDFLAG_SYNC | abi.FDFLAG_APPEND)
    assert program.fdstat(fd).flags == abi.FDFLAG_SYNC | abi.FDFLAG_APPEND
    program.call("fd_fdstat_set_flags", fd, abi.FDFLAG_NONBLOCK)
    assert program.fdstat(fd).flags == abi.FDFLAG_SYNC | abi.FDFLAG_NONBLOCK
    program.write(fd, b"x")
    other = program.open("file", rights=READ_WRITE)
    for flags in (abi.FDFLAG_SYNC, abi.FDFLAG_DSYNC, abi.FDFLAG_RSYNC, 32, 1 << 16):
        with fails(EINVAL):
            program.call("fd_fdstat_set_flags", other, flags)


def test_a_file_opened_for_one_direction_refuses_the_other(program: Program, folder: Path) -> None:
    (folder / "file").write_bytes(b"data")
    reader = program.open("file", rights=abi.FD_READ)
    assert program.read(reader, 10) == b"data"
    for refused in (
        lambda: program.write(reader, b"x"),
        lambda: program.pwrite(reader, b"x", 0),
        lambda: program.call("fd_filestat_set_size", reader, 0),
        lambda: program.call("fd_allocate", reader, 0, 1),
    ):
        with fails(EBADF):
            refused()
    writer = program.open("file", rights=abi.FD_WRITE)
    with fails(EBADF):
        program.read(writer, 1)
    with fails(EBADF):
        program.pread(writer, 1, 0)
    assert program.write(writer, b"D") == 1
    assert (folder / "file").read_bytes() == b"Data"


def test_a_file_that_the_program_may_only_read_can_be_opened_with_every_right_but_writing(
    program: Program, folder: Path
) -> None:
    # Go asks for FD_FILESTAT_SET_SIZE even to read; that must not open the file for writing.
    file = folder / "file"
    file.write_bytes(b"data")
    file.chmod(0o444)
    fd = program.open("file", rights=abi.ALL_RIGHTS & ~abi.FD_WRITE)
    assert program.read(fd, 10) == b"data"


def test_status_of_an_open_file_is_the_hosts(program: Program, folder: Path) -> None:
    file = folder / "file"
    file.write_bytes(b"data")
    os.link(file, folder / "again")
    host = file.stat()
    stat = program.fstat(program.open("file"))
    assert (stat.dev, stat.ino, stat.nlink, stat.size) == (host.st_dev, host.st_ino, 2, 4)
    assert stat.type == abi.REGULAR_FILE
    assert (stat.mtim, stat.ctim) == (host.st_mtime_ns, host.st_ctime_ns)
    assert program.fstat(ROOT).type == abi.DIRECTORY


def test_times_before_1970_are_told_as_0(program: Program, folder: Path) -> None:
    file = folder / "file"
    file.touch()
    os.utime(file, ns=(-1_000_000_000, -5_000_000_000))
    stat = program.stat("file")
    assert (stat.atim, stat.mtim) == (0, 0)


def test_the_size_can_be_set_both_ways(program: Program, folder: Path) -> None:
    fd = program.open("file", CREATE, READ_WRITE)
    program.write(fd, b"0123456789")
    program.call("fd_filestat_set_size", fd, 4)
    assert (folder / "file").read_bytes() == b"0123"
    program.call("fd_filestat_set_size", fd, 6)
    assert (folder / "file").read_bytes() == b"0123\0\0"
    with fails(EFBIG):
        program.call("fd_filestat_set_size", fd, 1 << 63)


def test_allocating_only_ever_lengthens_a_file(program: Program) -> None:
    fd = program.open("file", CREATE, READ_WRITE)
    number = program.raw("fd_allocate", fd, 0, 100)
    if number == ENOTSUP:
        pytest.skip("this file system cannot allocate")
    assert program.fstat(fd).size == 100
    program.call("fd_allocate", fd, 10, 10)
    assert program.fstat(fd).size == 100
    program.call("fd_allocate", fd, 90, 20)
    assert program.fstat(fd).size == 110
    with fails(EINVAL):
        program.call("fd_allocate", fd, 0, 0)
    with fails(EFBIG):
        program.call("fd_allocate", fd, 1 << 63, 1)
    with fails(EFBIG):
        program.call("fd_allocate", fd, 1, (1 << 63) - 1)


@pytest.mark.parametrize("advice", range(6))
def test_advice_changes_nothing(program: Program, advice: int) -> None:
    fd = program.open("file", CREATE, READ_WRITE)
    program.write(fd, b"data")
    program.call("fd_advise", fd, 1, 2, advice)
    assert program.fstat(fd).size == 4


def test_senseless_advice_is_invalid(program: Program) -> None:
    fd = program.open("file", CREATE, READ_WRITE)
    for offset, size, advice in ((0, 0, 6), (1 << 63, 0, 0), (0, 1 << 63, 0)):
        with fails(EINVAL):
            program.call("fd_advise", fd, offset, size, advice)


def test_files_and_directories_can_be_synchronised(program: Program) -> None:
    fd = program.open("file", CREATE, READ_WRITE)
    for descriptor in (fd, ROOT):
        program.call("fd_sync", descriptor)
        program.call("fd_datasync", descriptor)


def test_times_are_set_as_the_flags_say(program: Program, folder: Path) -> None:
    program.create("file")
    fd = program.open("file", rights=READ_WRITE)
    program.call("fd_filestat_set_times", fd, 1000, 2000, abi.SET_ATIM | abi.SET_MTIM)
    assert (program.fstat(fd).atim, program.fstat(fd).mtim) == (1000, 2000)
    program.call("fd_filestat_set_times", fd, 5, 3000, abi.SET_MTIM)
    assert (program.fstat(fd).atim, program.fstat(fd).mtim) == (1000, 3000)
    program.call("fd_filestat_set_times", fd, 4000, 5, abi.SET_ATIM)
    assert (program.fstat(fd).atim, program.fstat(fd).mtim) == (4000, 3000)
    program.call("fd_filestat_set_times", fd, 5, 5, 0)
    assert (program.fstat(fd).atim, program.fstat(fd).mtim) == (4000, 3000)
    program.call("fd_filestat_set_times", fd, 5, 5, abi.SET_MTIM_NOW)
    assert program.fstat(fd).atim == 4000
    assert program.fstat(fd).mtim > 10**18
    program.call("fd_filestat_set_times", fd, 5, 5, abi.SET_ATIM_NOW)
    assert program.fstat(fd).atim > 10**18


@pytest.mark.parametrize("flags", [3, 12, 15, 16, 1 << 15])
def test_times_that_contradict_each_other_are_invalid_and_change_nothing(program: Program, flags: int) -> None:
    program.create("file")
    program.set_times("file", 1, 2, abi.SET_ATIM | abi.SET_MTIM)
    fd = program.open("file", rights=READ_WRITE)
    with fails(EINVAL):
        program.call("fd_filestat_set_times", fd, 100, 200, flags)
    with fails(EINVAL):
        program.set_times("file", 100, 200, flags)
    assert (program.fstat(fd).atim, program.fstat(fd).mtim) == (1, 2)


@pytest.mark.parametrize("time", [0, 1 << 62, (1 << 64) - 1])
def test_any_time_is_taken_or_refused(program: Program, time: int) -> None:
    program.create("file")
    number = program.raw("path_filestat_set_times", ROOT, 0, *program.put(0, b"file"), time, time, 5)
    assert isinstance(number, int)


def test_a_directory_is_no_file(program: Program) -> None:
    for refused in (
        lambda: program.read(ROOT, 1),
        lambda: program.write(ROOT, b"x"),
        lambda: program.pread(ROOT, 1, 0),
        lambda: program.pwrite(ROOT, b"x", 0),
        lambda: program.seek(ROOT, 0, 1),
        lambda: program.tell(ROOT),
        lambda: program.call("fd_allocate", ROOT, 0, 1),
        lambda: program.call("fd_advise", ROOT, 0, 1, 0),
        lambda: program.call("fd_filestat_set_size", ROOT, 0),
    ):
        with fails(EISDIR):
            refused()
    assert program.fdstat(ROOT).rights & (abi.FD_SEEK | abi.FD_FILESTAT_SET_SIZE) == 0


def test_a_fifo_cannot_seek(folder: Path) -> None:
    os.mkfifo(folder / "fifo")
    program = Program(WasiConfig(preopens={"/": vw.Dir(folder, special_files=True)}, stdin=b""))
    fd = program.open("fifo", rights=READ_WRITE)
    with fails(ESPIPE):
        program.seek(fd, 0)
    program.write(fd, b"through")
    assert program.read(fd, 100) == b"through"


def test_more_buffers_than_the_host_takes_make_a_short_write(program: Program, folder: Path) -> None:
    fd = program.open("file", CREATE, READ_WRITE)
    address = 0x20000
    for index in range(3000):
        # Every third is empty.
        abi.IOVEC.pack_into(program.memory, address + 8 * index, 0, 0 if index % 3 == 0 else 1)
    program.call("fd_write", fd, address, 3000, 0)
    assert program.u32(0) == 1024
    assert (folder / "file").stat().st_size == 1024


def test_an_array_of_empty_buffers_reads_nothing_or_is_invalid_when_senselessly_long(program: Program) -> None:
    program.create("file", b"data")
    fd = program.open("file")
    program.memory[:] = bytes(1 << 20)
    program.call("fd_read", fd, 8, 1 << 16, 0)
    assert program.u32(0) == 0
    assert program.raw("fd_read", fd, 8, (1 << 16) + 1, 0) == EINVAL
    assert program.raw("fd_read", fd, 8, (1 << 32) - 1, 0) == EFAULT


def test_a_bad_buffer_after_good_ones_is_found_before_anything_is_read(program: Program) -> None:
    program.create("file", b"data")
    fd = program.open("file")
    abi.IOVEC.pack_into(program.memory, 0, 0x20000, 2)
    abi.IOVEC.pack_into(program.memory, 8, len(program.memory) - 1, 2)
    assert program.raw("fd_read", fd, 0, 2, 0x100) == EFAULT
    assert program.tell(fd) == 0
    assert not any(program.memory[0x20000:0x20002])
