"""What WASI does for a program ends soon after its deadline, however much it was asked to do."""

from __future__ import annotations

import os
import pty
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import vibewasm as vw
from tests.wasi.program import READ_WRITE, Program
from vibewasm.wasi import abi, guest
from vibewasm.wasi.directories import host_entries
from vibewasm.wasi.memory_dir import tree_of
from vibewasm.wasi.streams import ProcessStream
from vibewasm.wasi.waiting import ENTRIES, TURN, in_order, in_turns

LONG = 10.0


class Enough(Exception):
    """Nobody wants to go on."""


def _after(calls: int) -> Callable[[], None]:
    """A check that bears so many calls."""
    left = [calls]

    def check() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Enough

    return check


def _stopped(config: vw.WasiConfig, body: str, memory: int = 1, engine: vw.Config | None = None) -> None:
    """A program that calls WASI is stopped in the middle of it."""
    text = f"""(module
        (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") {memory})
        (func (export "_start") {body}))"""
    instance = vw.instantiate(text, wasi=config, config=engine)
    begun = time.monotonic()
    with pytest.raises(vw.Interrupted, match=r"deadline of 0\.1 seconds"), vw.deadline(0.1):
        instance.exports._start()
    assert time.monotonic() - begun < LONG


#: A buffer of 1 MiB at 64 KiB.
_IOVEC = "(i32.store (i32.const 0) (i32.const 65536)) (i32.store (i32.const 4) (i32.const 1048576))"
_WRITE = f"{_IOVEC} (loop (br_if 0 (i32.eqz (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"
_READ = f"{_IOVEC} (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))"


def test_random_bytes_for_all_of_a_memory() -> None:
    body = "(drop (call $random_get (i32.const 0) (i32.const 0xFFFF0000)))"
    for config in (vw.WasiConfig(random_seed=1),):
        _stopped(config, body, 65535)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_a_pipe_that_nobody_reads(pipe: tuple[int, int]) -> None:
    _stopped(vw.WasiConfig(stdout=pipe[1]), _WRITE, 20)


def test_a_pipe_that_nobody_writes(pipe: tuple[int, int]) -> None:
    _stopped(vw.WasiConfig(stdin=pipe[0]), _READ, 20)


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    ends = pty.openpty()
    yield ends
    for end in ends:
        os.close(end)


@pytest.mark.parametrize("deterministic", [False, True])
def test_a_terminal_that_nobody_reads(terminal: tuple[int, int], deterministic: bool) -> None:
    # At last it takes some of these bytes, and not all. A deterministic program is not told that it is a terminal.
    config = vw.Config(deterministic=deterministic)
    _stopped(vw.WasiConfig(stdout=terminal[1]), _WRITE.replace("1048576", "700"), 20, config)


def test_a_terminal_at_which_nobody_types(terminal: tuple[int, int]) -> None:
    _stopped(vw.WasiConfig(stdin=terminal[1]), _READ, 20)


def test_what_is_written_to_a_terminal_arrives(terminal: tuple[int, int]) -> None:
    keyboard, screen = terminal
    program = Program(vw.WasiConfig(stdin=b""), lambda: None)
    program.close(1)
    assert program.process.files.add(ProcessStream(screen, lambda: None, writing=True)) == 1
    assert program.write(1, b"hello") == 5
    assert os.read(keyboard, 10) == b"hello"
    before = len(os.listdir("/proc/self/fd"))
    program.close(1)
    assert len(os.listdir("/proc/self/fd")) == before - 1
    assert os.get_blocking(screen)


def test_a_fifo_as_standard_input(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    keeper = os.open(tmp_path / "fifo", os.O_RDWR)
    _stopped(vw.WasiConfig(stdin=tmp_path / "fifo"), _READ, 20)
    os.close(keeper)


def test_much_of_a_file_is_read_and_written_in_turns(folder: Path) -> None:
    asked: list[bool] = []
    program = Program(vw.WasiConfig(preopens={"/": folder}, stdin=b""), lambda: asked.append(True), size=0x40000)
    fd = program.open("file", oflags=abi.OFLAG_CREAT, rights=READ_WRITE)
    file = program.process.files.get(fd)
    data = os.urandom(1 << 20) * 50
    asked.clear()
    assert file.write([memoryview(data)[:1], memoryview(data)[1:]]) == len(data)
    assert asked
    assert (folder / "file").read_bytes() == data
    found = bytearray(len(data) + 100)
    asked.clear()
    assert file.pread([memoryview(found)[:7], memoryview(found)[7:]], 0) == len(data)
    assert asked
    assert found[: len(data)] == data
    asked.clear()
    assert file.pwrite([memoryview(data)], 10) == len(data)
    assert asked
    assert (folder / "file").read_bytes() == data[:10] + data
    asked.clear()
    file.allocate(0, 100 << 20)
    assert asked
    assert (folder / "file").stat().st_size == 100 << 20


def test_a_device_that_takes_and_gives_any_amount_is_asked_for_a_turn_at_most() -> None:
    program = Program(vw.WasiConfig(stdin="/dev/zero", stdout="/dev/null"), lambda: None)
    shared = os.open("/dev/null", os.O_WRONLY), os.open("/dev/zero", os.O_RDONLY)
    streams = [
        *map(program.process.files.get, (1, 0)),
        ProcessStream(shared[0], lambda: None, writing=True),
        ProcessStream(shared[1], lambda: None, writing=False),
    ]
    many = [memoryview(bytearray(TURN))] * 100
    assert [streams[at].write(many) for at in (0, 2)] == [TURN] * 2
    assert [streams[at].read(many) for at in (1, 3)] == [TURN] * 2
    for fd in shared:
        os.close(fd)


def test_buffers_that_overlap_are_no_more_than_can_be_counted() -> None:
    memory = memoryview(bytearray(1 << 20))
    iovecs = abi.IOVEC.pack(0, 1 << 20) * guest.MAX_BUFFERS
    memory[: len(iovecs)] = iovecs
    assert sum(map(len, guest.buffers(memory, 0, guest.MAX_BUFFERS))) == 1 << 30
    memory = memoryview(bytearray(8 << 20))
    memory[: len(iovecs)] = abi.IOVEC.pack(0, 8 << 20) * guest.MAX_BUFFERS
    assert sum(map(len, guest.buffers(memory, 0, guest.MAX_BUFFERS))) == guest.MAX_BYTES


def test_much_of_a_file_in_memory_is_read_and_written_in_turns() -> None:
    left = [1000]

    def check() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Enough

    directory = vw.MemoryDir({}, max_size=1 << 30)
    program = Program(vw.WasiConfig(preopens={"/": directory}, stdin=b""), check, size=0x40000)
    file = program.process.files.get(program.open("file", oflags=abi.OFLAG_CREAT, rights=READ_WRITE))
    data = os.urandom(1 << 20) * 50
    assert file.write([memoryview(data)[:1], memoryview(data)[1:]]) == len(data)
    found = bytearray(len(data) + 100)
    assert file.pread([memoryview(found)[:7], memoryview(found)[7:]], 0) == len(data)
    assert found[: len(data)] == data
    file.truncate(60 << 20)
    for operation in (
        lambda: file.truncate(200 << 20),
        lambda: file.allocate(0, 200 << 20),
        lambda: file.pwrite([memoryview(data)], 0),
        lambda: file.pread([memoryview(found)], 0),
    ):
        left[0] = 1
        with pytest.raises(Enough):
            operation()
    # What it has grown by until then counts.
    stat = file.stat()
    assert stat is not None
    assert stat.st_size == 60 + 2 * 32 << 20
    file.truncate(0)
    assert tree_of(directory).used < 1 << 20


def test_an_error_in_the_middle_of_many_bytes_does_not_hide_what_was_done() -> None:
    parts: list[int] = []

    def operation(buffers: list[memoryview], done: int) -> int:
        if done:
            raise OSError(28, "full")
        parts.append(done)
        return sum(map(len, buffers))

    data = memoryview(bytes(40 << 20))
    assert in_turns(operation, [data], lambda: None) == 1 << 24
    with pytest.raises(Enough):
        in_turns(lambda buffers, done: sum(map(len, buffers)), [data], _after(0))


def test_a_large_directory_is_listed_in_order_and_can_be_given_up(tmp_path: Path) -> None:
    count = 9 * ENTRIES
    for index in range(count):
        os.link(tmp_path / "0", tmp_path / str(index)) if index else (tmp_path / "0").touch()
    fd = os.open(tmp_path, os.O_RDONLY)
    asked: list[bool] = []
    found = host_entries(fd, None, lambda: asked.append(True))
    # While it is read, while parts are sorted, and while these are merged.
    assert len(asked) == 9 + 2 + 9
    assert [name for name, _, _ in found] == [b".", b"..", *sorted(str(index).encode() for index in range(count))]
    with pytest.raises(Enough):
        host_entries(fd, None, _after(3))
    with pytest.raises(Enough):
        host_entries(fd, None, _after(count // ENTRIES + 1))
    os.close(fd)
    with pytest.raises(Enough):
        in_order([*range(20 * ENTRIES)], _after(4))


def test_many_subscriptions_can_be_given_up() -> None:
    program = Program(vw.WasiConfig(stdin=b""), _after(3), size=8 << 20)
    count = 60_000
    function: Any = program.functions["poll_oneoff"][1]
    with pytest.raises(Enough):
        function(memoryview(program.memory), 0, 4 << 20, count, 0x10)
