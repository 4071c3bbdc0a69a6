"""`wasi_unstable`, the interface from before preview 1: where it differs, and that nothing else does.

The numbers here are those of its specification, not of the code.
"""

from __future__ import annotations

import os
import struct
import time
from pathlib import Path

import pytest

from tests.wasi.program import READ_WRITE, ROOT, Program, clock_subscription, file_subscription
from vibewasm.wasi import PREVIEW0, PREVIEW1, WasiConfig, abi
from vibewasm.wasi.errnos import EFAULT, EINVAL, SUCCESS

MILLISECOND = 1_000_000


@pytest.fixture
def old(folder: Path) -> Program:
    """A program of preview 0 with ``folder`` preopened as ``/``, and a file of ten bytes in it."""
    (folder / "file").write_bytes(b"0123456789")
    return Program(WasiConfig(preopens={"/": folder}, stdin=b"input"), module=PREVIEW0)


# Seeking: from the position, from the end, from the start.


def test_seek_origins_are_position_end_start_in_this_order(old: Program) -> None:
    file = old.open("file")
    old.read(file, 3)
    assert old.seek(file, 2, 0) == 5
    assert old.seek(file, -4, 1) == 6
    assert old.seek(file, 1, 2) == 1
    assert old.tell(file) == 1
    assert old.raw("fd_seek", file, 0, 3, 0x5000) == EINVAL
    assert old.raw("fd_seek", file, (1 << 64) - 1, 2, 0x5000) == EINVAL


def test_both_interfaces_move_the_same_position(old: Program) -> None:
    new = Program(WasiConfig(), beside=old)
    file = old.open("file")
    assert new.seek(file, -1, 2) == 9
    assert old.seek(file, -1, 0) == 8
    assert new.tell(file) == 8


# The status of a file: 56 bytes, with a link count of 32 bits.


def test_the_status_of_a_file_has_56_bytes_and_a_short_link_count(old: Program, folder: Path) -> None:
    os.link(folder / "file", folder / "other")
    os.utime(folder / "file", ns=(111, 222))
    status = (folder / "file").stat()
    expected = struct.pack(
        "<QQB3xIQQQQ", status.st_dev, status.st_ino, 4, 2, 10, status.st_atime_ns, 222, status.st_ctime_ns
    )
    assert len(expected) == 56
    address, sentinel = 0x9000, b"\xee" * 16
    file = old.open("file")
    for name, arguments in (
        ("fd_filestat_get", (file,)),
        ("path_filestat_get", (ROOT, 0, *old.put(0x100, b"file"))),
    ):
        old.put(address, b"\xee" * 80)
        old.call(name, *arguments, address)
        assert bytes(old.memory[address : address + 72]) == expected + sentinel
        # It may end where the memory ends, and no byte later.
        end = len(old.memory)
        assert old.raw(name, *arguments, end - 56) == SUCCESS
        assert old.raw(name, *arguments, end - 55) == EFAULT


def test_a_stream_without_a_file_has_a_status_too(old: Program) -> None:
    old.put(0x9000, b"\xee" * 80)
    old.call("fd_filestat_get", 0, 0x9000)
    assert bytes(old.memory[0x9000:0x9048]) == struct.pack("<QQB3xIQQQQ", 0, 0, 0, 1, 0, 0, 0, 0) + b"\xee" * 16


def test_each_interface_writes_its_own_status_of_the_same_file(old: Program) -> None:
    new = Program(WasiConfig(), beside=old)
    file = old.open("file")
    assert vars(old.fstat(file)) == vars(new.fstat(file))
    assert vars(old.stat("file")) == vars(new.stat("file"))


# Waiting: a subscription has 56 bytes, and a clock a name before its number.


def clock(userdata: int, timeout: int, which: int = 1, flags: int = 0) -> bytes:
    """A subscription to a clock. The clock's name is a number that would be no clock."""
    return struct.pack("<QB7xQI4xQQHxxxxxx", userdata, 0, 0x7777_7777_7777_7777, which, timeout, 0, flags)


def descriptor(userdata: int, kind: int, fd: int) -> bytes:
    """A subscription to a file descriptor."""
    return struct.pack("<QB7xI36x", userdata, kind, fd)


def test_subscriptions_have_56_bytes_and_events_32(old: Program) -> None:
    assert len(clock(0, 0)) == len(descriptor(0, 1, 0)) == 56
    events = old.poll(clock(1, 10**15), descriptor(2, 1, 0), descriptor(3, 1, 99), clock(4, 10**15, 0))
    assert events == [(2, SUCCESS, abi.EVENT_FD_READ, 5, 0), (3, 8, abi.EVENT_FD_READ, 0, 0)]


def test_a_clock_is_waited_for(old: Program) -> None:
    start = time.monotonic_ns()
    assert old.poll(clock(7, 20 * MILLISECOND)) == [(7, SUCCESS, abi.EVENT_CLOCK, 0, 0)]
    assert time.monotonic_ns() - start >= 20 * MILLISECOND
    old.call("clock_time_get", 0, 0, 0x5000)
    deadline = old.u64() + 20 * MILLISECOND
    assert old.poll(clock(8, deadline, 0, 1)) == [(8, SUCCESS, abi.EVENT_CLOCK, 0, 0)]
    old.call("clock_time_get", 0, 0, 0x5000)
    assert old.u64() >= deadline
    assert old.poll(clock(9, 1, 2)) == [(9, EINVAL, abi.EVENT_CLOCK, 0, 0)]


def test_subscriptions_may_end_where_the_memory_ends(old: Program) -> None:
    end = len(old.memory)
    old.put(end - 56, descriptor(2, 1, 0))
    assert old.raw("poll_oneoff", end - 56, 0x5000, 1, 0x6000) == SUCCESS
    assert old.raw("poll_oneoff", end - 48, 0x5000, 1, 0x6000) == EFAULT


def test_one_program_may_wait_through_both_interfaces(old: Program) -> None:
    new = Program(WasiConfig(), beside=old)
    both = [(1, SUCCESS, abi.EVENT_FD_READ, 5, 0), (2, SUCCESS, abi.EVENT_CLOCK, 0, 0)]
    assert old.poll(descriptor(1, 1, 0), clock(2, 0)) == both
    assert new.poll(file_subscription(1, abi.EVENT_FD_READ, 0), clock_subscription(2, 0)) == both


# Rights: there is none to accept a connection.


def test_rights_are_those_that_there_were(old: Program) -> None:
    new = Program(WasiConfig(), beside=old)
    accept = 1 << 29
    assert new.fdstat(ROOT).inheriting & accept
    assert old.fdstat(ROOT).inheriting == (1 << 29) - 1
    for program in (old, new):
        for fd in (0, ROOT, program.open("file", rights=READ_WRITE)):
            assert program.fdstat(fd).rights & accept == 0


def test_a_right_that_came_later_is_as_unknown_as_any_other(old: Program) -> None:
    stat = old.fdstat(ROOT)
    old.call("fd_fdstat_set_rights", ROOT, stat.rights, stat.inheriting)
    assert old.fdstat(old.open("file", rights=(1 << 64) - 1)).rights & READ_WRITE == READ_WRITE


# Everything else is the same.


def test_files_are_made_read_listed_and_removed(old: Program, folder: Path) -> None:
    old.mkdir("dir")
    old.create("dir/new", b"data")
    assert (folder / "dir/new").read_bytes() == b"data"
    old.symlink("dir/new", "link")
    assert old.readlink("link") == b"dir/new"
    old.rename("dir/new", "moved")
    old.unlink("link")
    old.rmdir("dir")
    assert old.names(ROOT) == [b".", b"..", b"file", b"moved"]


@pytest.mark.parametrize("module", [PREVIEW0, PREVIEW1])
def test_a_descriptor_of_one_interface_is_one_of_the_other(folder: Path, module: str) -> None:
    one = Program(WasiConfig(preopens={"/": folder}, stdin=b""), module=module)
    other = Program(WasiConfig(), beside=one, module=PREVIEW1 if module == PREVIEW0 else PREVIEW0)
    file = one.open("file", abi.OFLAG_CREAT, READ_WRITE)
    other.write(file, b"data")
    assert one.pread(file, 10, 0) == b"data"
    other.close(file)
    assert one.raw("fd_tell", file, 0) == 8
