"""Devices, FIFOs and sockets of the host: not opened unless the host says so, and never waited for in vain."""

from __future__ import annotations

import functools
import gc
import os
import select
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import vibewasm as vw
from tests.wasi.program import READ_WRITE, Program, fails
from vibewasm.wasi import WasiConfig, abi, opening
from vibewasm.wasi.errnos import EACCES, EAGAIN, EISDIR, ELOOP, ENOTDIR, ENXIO


def given(folder: Path | str, check: Callable[[], object] | None = None, **how: Any) -> Program:
    config = WasiConfig(preopens={"/": vw.Dir(folder, **how)}, stdin=b"", stdout="/dev/null", stderr="/dev/null")
    return Program(config, check)


@pytest.fixture
def special(folder: Path) -> Path:
    """A folder with a FIFO that nobody has open, a socket and a link to the FIFO."""
    os.mkfifo(folder / "fifo")
    (folder / "link").symlink_to("fifo")
    (folder / "file").write_bytes(b"data")
    (folder / "dir").mkdir()
    with socket.socket(socket.AF_UNIX) as bound:
        here = os.getcwd()
        # A socket's path has at most 107 bytes.
        os.chdir(folder)
        try:
            bound.bind("socket")
        finally:
            os.chdir(here)
    return folder


WAYS = [
    *((rights, oflags) for rights in (abi.FD_READ, abi.FD_WRITE, READ_WRITE) for oflags in (0, abi.OFLAG_CREAT)),
    (READ_WRITE, abi.OFLAG_TRUNC),
]


@pytest.mark.parametrize(("rights", "oflags"), WAYS)
@pytest.mark.parametrize("fdflags", [0, abi.FDFLAG_NONBLOCK])
def test_a_fifo_is_not_opened_nor_waited_for(special: Path, rights: int, oflags: int, fdflags: int) -> None:
    program = given(special)
    for path, follow in (("fifo", False), ("fifo", True), ("link", True), ("dir/../fifo", False)):
        with fails(EACCES):
            program.open(path, oflags, rights, follow=follow, fdflags=fdflags)
    with fails(EACCES):
        program.open("fifo", oflags, rights, fd=program.open(".", abi.OFLAG_DIRECTORY), fdflags=fdflags)


def test_nobody_at_the_other_end_notices_that_a_fifo_was_looked_at(special: Path) -> None:
    program = given(special)
    reader = os.open(special / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    for rights in (abi.FD_WRITE, READ_WRITE):
        with fails(EACCES):
            program.open("fifo", rights=rights)
    # A writer that came and went would be the end of the input.
    poll = select.poll()
    poll.register(reader, select.POLLIN | select.POLLHUP)
    assert poll.poll(0) == []
    os.close(reader)


@pytest.mark.parametrize("allowed", [False, True])
def test_a_socket_cannot_be_opened(special: Path, allowed: bool) -> None:
    program = given(special, special_files=allowed)
    for rights, oflags in WAYS:
        with fails(ENXIO):
            program.open("socket", oflags, rights)


@pytest.mark.parametrize("name", ["null", "zero", "full", "urandom", "tty"])
def test_a_device_is_opened_only_where_the_host_allows_it(name: str) -> None:
    if not os.path.exists(f"/dev/{name}"):
        pytest.skip(f"needs /dev/{name}")
    with fails(EACCES):
        given("/dev").open(name, rights=READ_WRITE)
    program = given("/dev", special_files=True)
    if name == "tty":
        # Which process of a test has one?
        return
    fd = program.open(name, rights=READ_WRITE)
    assert program.fdstat(fd).type == abi.CHARACTER_DEVICE
    assert len(program.read(fd, 3)) == (0 if name == "null" else 3)


def test_a_device_of_which_there_is_none_is_not_there(folder: Path) -> None:
    try:
        os.mknod(folder / "tape", 0o20666, os.makedev(9, 250))
        os.mknod(folder / "disk", 0o60666, os.makedev(259, 250))
    except PermissionError:
        pytest.skip("needs the right to make devices")
    for name in ("tape", "disk"):
        with fails(EACCES):
            given(folder).open(name)
        with fails(ENXIO):
            given(folder, special_files=True).open(name)


def test_it_can_be_looked_at_moved_and_removed_all_the_same(special: Path) -> None:
    program = given(special)
    assert program.stat("fifo").type == abi.UNKNOWN
    program.rename("fifo", "dir/fifo")
    program.unlink("dir/fifo")


class Enough(Exception):
    """Nobody wants to wait any longer."""


def third_time() -> Callable[[], None]:
    calls: list[int] = []

    def check() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise Enough

    return check


@pytest.mark.parametrize("rights", [abi.FD_READ, abi.FD_WRITE])
def test_waiting_for_the_other_end_of_a_fifo_can_be_given_up(special: Path, rights: int) -> None:
    program = given(special, third_time(), special_files=True)
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    # What it waits with: to open it to write, or to read from it.
    fd = program.open("fifo") if rights == abi.FD_READ else -1
    wait = functools.partial(program.read, fd, 1) if fd >= 0 else functools.partial(program.open, "fifo", rights=rights)
    with pytest.raises(Enough):
        wait()
    assert len(os.listdir("/proc/self/fd")) == before + (fd >= 0)


@pytest.mark.parametrize("check", [None, lambda: None], ids=["nobody asks", "somebody asks"])
def test_a_fifo_is_written_to_once_somebody_reads(special: Path, check: Callable[[], None] | None) -> None:
    found: list[bytes] = []
    timer = threading.Timer(0.1, lambda: found.append((special / "fifo").read_bytes()))
    timer.start()
    program = given(special, check, special_files=True)
    fd = program.open("fifo", rights=abi.FD_WRITE)
    assert not program.fdstat(fd).flags & abi.FDFLAG_NONBLOCK
    program.write(fd, b"late")
    program.close(fd)
    timer.join()
    assert found == [b"late"]


def test_a_fifo_is_read_once_somebody_writes(special: Path) -> None:
    timer = threading.Timer(0.1, (special / "fifo").write_bytes, [b"late"])
    timer.start()
    program = given(special, lambda: None, special_files=True)
    fd = program.open("fifo")
    assert program.read(fd, 10) == b"late"
    assert program.read(fd, 10) == b""
    timer.join()


def test_a_file_that_becomes_a_fifo_while_it_is_opened_is_not_opened(
    special: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look and the opening somebody exchanges them."""
    real = opening._may_open

    def exchange(mode: int, flags: int, special_files: bool) -> None:
        real(mode, flags, special_files)
        if (special / "file").is_file():
            os.rename(special / "file", special / "away")
            os.rename(special / "fifo", special / "file")

    monkeypatch.setattr(opening, "_may_open", exchange)
    program = given(special)
    # It is the file that was seen.
    assert program.read(program.open("file"), 10) == b"data"
    with fails(EACCES):
        program.open("file")


@pytest.mark.parametrize("becomes", ["fifo", "link", "dir", "nothing"])
def test_without_proc_the_name_is_opened_and_compared(
    special: Path, monkeypatch: pytest.MonkeyPatch, becomes: str
) -> None:
    monkeypatch.setattr(opening, "_LINKS", b"/nowhere/%d")
    program = given(special)
    assert program.read(program.open("file", rights=READ_WRITE), 10) == b"data"
    real = opening._may_open
    exchanged: list[int] = []

    def exchange(mode: int, flags: int, special_files: bool) -> None:
        real(mode, flags, special_files)
        if not exchanged:
            exchanged.append(1)
            os.rename(special / "file", special / "away")
            if becomes != "nothing":
                os.rename(special / becomes, special / "file")

    monkeypatch.setattr(opening, "_may_open", exchange)
    if becomes == "dir":
        assert program.fdstat(program.open("file")).type == abi.DIRECTORY
    else:
        with fails({"fifo": EACCES, "link": ELOOP, "nothing": 44}[becomes]):
            program.open("file")


def test_a_name_that_always_means_another_file_is_given_up(special: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_LINKS", b"/nowhere/%d")
    real = opening._may_open

    def exchange(mode: int, flags: int, special_files: bool) -> None:
        real(mode, flags, special_files)
        (special / "new").write_bytes(b"another")
        os.rename(special / "new", special / "file")

    monkeypatch.setattr(opening, "_may_open", exchange)
    program = given(special)
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    with fails(EAGAIN):
        program.open("file")
    assert len(os.listdir("/proc/self/fd")) == before


def test_errors_come_in_the_hosts_order(special: Path) -> None:
    program = given(special)
    for path, oflags, number in (
        ("link", 0, ELOOP),
        ("link", abi.OFLAG_DIRECTORY, ENOTDIR),
        ("fifo", abi.OFLAG_DIRECTORY, ENOTDIR),
        ("dir", abi.OFLAG_CREAT, EISDIR),
        ("dir", abi.OFLAG_TRUNC, EISDIR),
    ):
        with fails(number):
            program.open(path, oflags)
