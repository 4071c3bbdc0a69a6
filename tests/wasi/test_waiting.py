"""Nobody who runs a program has to wait for what it waits for: a file that is not ready can be given up."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import vibewasm as vw
from tests.wasi.program import READ_WRITE, Program, fails, file_subscription
from vibewasm.wasi import WasiConfig, abi
from vibewasm.wasi.errnos import EAGAIN, SUCCESS
from vibewasm.wasi.streams import ProcessStream

MUCH = b"0123456789abcdef" * 10_000


class Enough(Exception):
    """Nobody wants to wait any longer."""


@pytest.fixture
def give_up() -> Callable[[], None]:
    """A check that bears the first three waits."""
    waits = []

    def check() -> None:
        waits.append(1)
        if len(waits) > 3:
            raise Enough

    return check


@pytest.fixture
def fifo(folder: Path) -> Iterator[Path]:
    """A FIFO that somebody has open in both directions, so that nothing ends and opening does not wait."""
    path = folder / "fifo"
    os.mkfifo(path)
    keeper = os.open(path, os.O_RDWR)
    yield path
    os.close(keeper)


def test_a_read_from_a_fifo_can_be_given_up(folder: Path, fifo: Path, give_up: Callable[[], None]) -> None:
    program = Program(WasiConfig(preopens={"/": vw.Dir(folder, special_files=True)}, stdin=b""), give_up)
    fd = program.open("fifo")
    with pytest.raises(Enough):
        program.read(fd, 10)


def test_standard_input_from_a_fifo_can_be_given_up(fifo: Path, give_up: Callable[[], None]) -> None:
    program = Program(WasiConfig(stdin=fifo), give_up)
    with pytest.raises(Enough):
        program.read(0, 10)


def test_what_comes_late_is_read(folder: Path, fifo: Path) -> None:
    program = Program(WasiConfig(preopens={"/": vw.Dir(folder, special_files=True)}, stdin=b""), lambda: None)
    fd = program.open("fifo", rights=READ_WRITE)
    timer = threading.Timer(0.15, fifo.write_bytes, [b"late"])
    timer.start()
    assert program.read(fd, 10) == b"late"
    timer.join()


@pytest.mark.parametrize("where", ["file", "stdout", "process"])
def test_a_write_that_nobody_reads_is_short_and_then_given_up(
    folder: Path, fifo: Path, give_up: Callable[[], None], where: str
) -> None:
    # The kernel would take all of it or not come back.
    program = Program(WasiConfig(preopens={"/": vw.Dir(folder, special_files=True)}, stdin=b"", stdout=fifo), give_up)
    fd = 1
    reader, writer = os.pipe()
    if where == "file":
        fd = program.open("fifo", rights=READ_WRITE)
    elif where == "process":
        program.close(1)
        assert program.process.files.add(ProcessStream(writer, give_up)) == 1
    written = []

    def write_for_ever() -> None:
        while True:
            written.append(program.write(fd, MUCH))

    with pytest.raises(Enough):
        write_for_ever()
    assert written
    assert all(0 < count < len(MUCH) for count in written)
    os.close(reader)
    os.close(writer)


def test_a_large_write_arrives_whole_and_in_order(folder: Path, fifo: Path) -> None:
    program = Program(WasiConfig(preopens={"/": vw.Dir(folder, special_files=True)}, stdin=b""), lambda: None)
    fd = program.open("fifo", rights=abi.FD_WRITE)
    found = bytearray()

    def read() -> None:
        with fifo.open("rb", buffering=0) as file:
            while len(found) < len(MUCH):
                found.extend(file.read(3000))

    thread = threading.Thread(target=read)
    thread.start()
    left = MUCH
    while left:
        # Pieces of all sizes, across the borders of what is written at once.
        count = program.write(fd, left[:1], left[1:5000], left[5000:5003], left[5003:])
        assert count
        left = left[count:]
    thread.join()
    assert bytes(found) == MUCH


def test_a_file_that_is_not_to_block_does_not(folder: Path, fifo: Path, give_up: Callable[[], None]) -> None:
    program = Program(WasiConfig(preopens={"/": vw.Dir(folder, special_files=True)}, stdin=b""), give_up)
    fd = program.open("fifo", rights=READ_WRITE, fdflags=abi.FDFLAG_NONBLOCK)
    with fails(EAGAIN):
        program.read(fd, 10)
    with fails(EAGAIN):
        while program.write(fd, MUCH):
            pass


def test_past_the_end_of_a_file_nothing_is_to_be_read(program: Program, folder: Path) -> None:
    (folder / "file").write_bytes(b"1234567")
    fd = program.open("file")
    program.seek(fd, 100)
    assert program.poll(file_subscription(1, abi.EVENT_FD_READ, fd)) == [(1, SUCCESS, abi.EVENT_FD_READ, 0, 0)]


def test_more_than_32_bits_are_to_be_read(program: Program, folder: Path) -> None:
    with (folder / "file").open("wb") as file:
        file.truncate((1 << 32) + 5)
    fd = program.open("file")
    assert program.poll(file_subscription(1, abi.EVENT_FD_READ, fd)) == [
        (1, SUCCESS, abi.EVENT_FD_READ, (1 << 32) + 5, 0)
    ]


def test_random_bytes_without_end_can_be_given_up() -> None:
    calls = []

    def check() -> None:
        calls.append(1)
        raise Enough

    program = Program(WasiConfig(stdin=b""), check, size=1 << 25)
    program.call("random_get", 0, 1 << 20)
    assert not calls
    with pytest.raises(Enough):
        program.call("random_get", 0, 1 << 25)
