"""What programs may take of the host: each limit at its edge, and what is given back."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import vibewasm as vw
from tests.wasi.program import READ_WRITE, ROOT, Program, fails
from vibewasm.wasi import abi
from vibewasm.wasi.errnos import EMFILE, ENOENT, ENOMEM, ENOSPC, EXDEV
from vibewasm.wasi.memory_dir import NAME_SIZE
from vibewasm.wasi.room import LISTED, Room


class Limited:
    """A program with limits, and what it has met of them."""

    def __init__(
        self, directory: Any, memory: int | None, output: Any, limits: dict[str, Any], config: dict[str, Any]
    ) -> None:
        self.met: list[str] = []

        def left() -> int | None:
            return None if memory is None else memory - self.room.held()

        self.room = Room(vw.ResourceLimits(**limits), left, self.met.append)
        given = vw.WasiConfig(stdin=b"", stdout=output, stderr=io.BytesIO(), preopens={"/": directory}, **config)
        self.program = Program(given, room=self.room)


@pytest.fixture(params=["host", "memory"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Limited]:
    """Makes programs whose directory is on the host, or in memory."""
    directory: Any = tmp_path if request.param == "host" else vw.MemoryDir()

    def made(memory: int | None = None, output: Any = None, config: Any = None, **limits: Any) -> Limited:
        return Limited(directory, memory, output or io.BytesIO(), limits, config or {})

    return made


def test_a_program_opens_no_more_than_it_may(make: Callable[..., Limited]) -> None:
    limited = make(max_open_files=6)
    program = limited.program
    program.create("file")
    first, second = program.open("file"), program.open(".", abi.OFLAG_DIRECTORY)
    with fails(EMFILE):
        program.open("file")
    with fails(EMFILE):
        # It is not made either.
        program.open("other", abi.OFLAG_CREAT, READ_WRITE)
    with fails(ENOENT):
        program.stat("other")
    assert limited.met[0] == "max_open_files"
    # What is closed, and what renumbering closes, makes room.
    program.close(first)
    third = program.open("file")
    program.call("fd_renumber", third, second)
    assert program.open("file") == first
    with fails(EMFILE):
        program.open("file")


def test_programs_of_a_store_share_its_descriptors(tmp_path: Path) -> None:
    room = Room(vw.ResourceLimits(max_open_files=9), lambda: None, lambda name: None)

    def program() -> Program:
        config = vw.WasiConfig(stdin=b"", stdout=io.BytesIO(), stderr=io.BytesIO(), preopens={"/": tmp_path})
        return Program(config, room=room)

    one, other = program(), program()
    one.open(".", abi.OFLAG_DIRECTORY)
    with fails(EMFILE):
        other.open(".", abi.OFLAG_DIRECTORY)
    with pytest.raises(vw.LinkError, match=r"4 descriptors would be more than .*max_open_files allows: 9, of which 9"):
        program()


def test_arguments_and_environment_have_a_limit(make: Callable[..., Limited]) -> None:
    config = {"args": ["ab", "c"], "env": {"X": "y"}}
    make(config=config, max_arguments=9)
    with pytest.raises(vw.LinkError, match=r"9 bytes of arguments .*max_arguments allows: 8, of which 0") as caught:
        make(config=config, max_arguments=8)
    assert caught.value.limit == "max_arguments"


def test_a_program_writes_no_more_than_it_may(make: Callable[..., Limited]) -> None:
    output = io.BytesIO()
    limited = make(output=output, max_written=10)
    program = limited.program
    file = program.open("file", abi.OFLAG_CREAT, READ_WRITE)
    assert program.write(file, b"abc") == 3
    assert program.write(1, b"de") == 2
    assert program.pwrite(file, b"f", 0) == 1
    assert limited.met == []
    # What of it fits, over several buffers.
    assert program.write(1, b"gh", b"ijkl") == 4
    for fd in (1, 2, file):
        with fails(ENOSPC):
            program.write(fd, b"m")
        assert program.write(fd) == 0
    assert output.getvalue() == b"deghij"
    assert limited.met[0] == "max_written"
    # Overwriting counts, and nothing is given back by removing.
    program.unlink("file")
    with fails(ENOSPC):
        program.pwrite(file, b"m", 0)


def test_what_fails_to_be_written_does_not_count(make: Callable[..., Limited]) -> None:
    class Full:
        def write(self, data: bytes) -> int:
            raise OSError(28, "full")

    class Half:
        def write(self, data: bytes) -> int:
            return len(data) // 2

    limited = make(output=Full(), max_written=10)
    for _ in range(5):
        with fails(ENOSPC):
            limited.program.write(1, b"123456")
    assert limited.room.written == 0
    limited = make(output=Half(), max_written=10)
    assert limited.program.write(1, b"123456") == 3
    assert limited.room.written == 3


def test_files_made_longer_count_as_written(make: Callable[..., Limited]) -> None:
    program = make(max_written=100).program
    file = program.open("file", abi.OFLAG_CREAT, READ_WRITE)
    program.call("fd_filestat_set_size", file, 60)
    program.call("fd_filestat_set_size", file, 10)
    with fails(ENOSPC):
        program.call("fd_filestat_set_size", file, 51)
    with fails(ENOSPC):
        program.call("fd_allocate", file, 0, 41)
    assert program.fstat(file).size == 10
    program.call("fd_allocate", file, 0, 40)
    assert program.fstat(file).size == 40
    with fails(ENOSPC):
        program.write(file, b"a")


def test_a_program_makes_no_more_names_than_it_may(make: Callable[..., Limited]) -> None:
    limited = make(max_created=4)
    program = limited.program
    program.mkdir("folder")
    program.create("file")
    program.symlink("file", "link")
    program.link("file", "twin")
    # What is there already, what fails, and another name for something, make none.
    program.create("file", b"again")
    program.rename("twin", "other")
    with fails(ENOSPC):
        program.mkdir("a")
    with fails(ENOSPC):
        program.create("b")
    with fails(ENOSPC):
        program.symlink("file", "c")
    with fails(ENOSPC):
        program.link("file", "d")
    assert set(limited.met) == {"max_created"}
    assert sorted(program.names(program.open(".", abi.OFLAG_DIRECTORY)))[2:] == [b"file", b"folder", b"link", b"other"]


def test_a_name_that_could_not_be_made_does_not_count(make: Callable[..., Limited]) -> None:
    program = make(max_created=1).program
    for _ in range(3):
        with fails(ENOENT):
            program.mkdir("missing/folder")
        with fails(ENOENT):
            program.create("missing/file")
    program.mkdir("folder")


def test_listings_that_are_held_have_a_limit(make: Callable[..., Limited]) -> None:
    for name in "abc":
        make().program.create(name)
    limited = make(max_directory_entries=10)
    program = limited.program
    one, two, three = (program.open(".", abi.OFLAG_DIRECTORY) for _ in range(3))
    assert len(program.names(one)) == len(program.names(two)) == 5
    with fails(ENOMEM):
        program.readdir(three)
    assert limited.met == ["max_directory_entries"]
    # To list one again takes the place of what it listed before.
    assert len(program.names(one)) == 5
    program.close(two)
    assert len(program.names(three)) == 5
    program.call("fd_renumber", one, three)
    assert sum(limited.room.listed.values()) == 5
    program.close(three)
    assert sum(limited.room.listed.values()) == 0
    with fails(ENOMEM):
        make(max_directory_entries=4).program.readdir(ROOT)


def test_listings_of_the_host_count_as_memory(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).touch()
    for kind, name in (({"max_host_memory": 5 * LISTED}, "max_host_memory"), ({"memory": 5 * LISTED}, "max_memory")):
        limits: dict[str, Any] = {**kind}
        memory = limits.pop("memory", None)
        limited = Limited(tmp_path, memory, io.BytesIO(), limits, {})
        program = limited.program
        other = program.open(".", abi.OFLAG_DIRECTORY)
        assert len(program.names(ROOT)) == len(program.names(ROOT)) == 5
        assert limited.room.held() == 5 * LISTED
        with fails(ENOMEM):
            program.readdir(other)
        assert limited.met == [name]
        program.close(ROOT)
        assert limited.room.held() == 0
        assert len(program.names(other)) == 5


def test_a_very_long_listing_is_refused_before_all_of_it_is_held(tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / str(number)).touch()
    program = Limited(tmp_path, None, io.BytesIO(), {"max_directory_entries": 302}, {}).program
    assert len(program.names(ROOT)) == 302
    (tmp_path / "300").touch()
    with fails(ENOMEM):
        program.readdir(ROOT)


@pytest.mark.parametrize("by", ["max_host_memory", "max_memory"])
def test_what_a_directory_in_memory_grows_by_counts_as_memory(by: str) -> None:
    directory = vw.MemoryDir({"given": b"x" * 10_000})
    size = NAME_SIZE + 1000
    memory = size if by == "max_memory" else None
    limited = Limited(directory, memory, io.BytesIO(), {"max_host_memory": size} if memory is None else {}, {})
    program, room = limited.program, limited.room
    file = program.open("file", abi.OFLAG_CREAT, READ_WRITE)
    assert program.write(file, b"a" * 600) == 600
    # As much as fits.
    assert program.write(file, b"b" * 600) == 400
    assert room.held() == size
    with fails(ENOSPC):
        program.write(file, b"c")
    with fails(ENOSPC):
        program.mkdir("folder")
    with fails(ENOSPC):
        program.call("fd_allocate", file, 0, 1001)
    assert set(limited.met) == {by}
    # What is there may be overwritten, and what is removed gives room.
    assert program.pwrite(file, b"d" * 1000, 0) == 1000
    program.call("fd_filestat_set_size", file, 0)
    assert room.held() == NAME_SIZE
    program.close(file)
    program.unlink("file")
    assert room.held() == 0
    # What the host has given does not count, and to remove it gives nothing.
    program.unlink("given")
    assert room.held() == 0
    program.mkdir("folder")


def test_a_store_counts_what_is_held_for_its_programs(tmp_path: Path) -> None:
    """Memory that a program has grown is not there for files, and the other way round."""
    text = """(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "path_open"
            (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "file")
        (func (export "open") (result i32)
            (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 1)
                (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 8)))
        (func (export "write") (param i32) (result i32)
            (i32.store (i32.const 20) (local.get 0))
            (call $write (i32.load (i32.const 8)) (i32.const 16) (i32.const 1) (i32.const 12)))
        (func (export "written") (result i32) (i32.load (i32.const 12)))
        (func (export "grow") (result i32) (memory.grow (i32.const 1))))"""
    directory = vw.MemoryDir()
    most = 2 * 65536 + NAME_SIZE + 100
    store = vw.Store(vw.Engine(vw.Config(max_memory=most)))
    config = vw.WasiConfig(stdin=b"", preopens={"/": directory})
    exports = vw.instantiate(text, wasi=config, store=store).exports
    assert exports.open() == 0
    assert exports.write(101) == 0
    assert exports.grow() == -1
    store.max_memory = most + 1
    assert exports.grow() == 1
    assert exports.write(1) == ENOSPC
    assert store.limits_met == ("max_memory",)
    assert store._memory_in_use() == 2 * 65536 + directory.size == most + 1
    with pytest.raises(vw.LinkError, match=rf"allows: {most + 1} bytes, of which {most + 1} are in use"):
        vw.Memory(store, vw.MemoryType(vw.Limits(1)))


def test_an_interrupted_write_leaves_the_count_no_lower_than_what_was_written() -> None:
    class Stopped:
        def __init__(self) -> None:
            self.data = b""

        def write(self, data: bytes) -> int:
            self.data += data
            raise KeyboardInterrupt

    output = Stopped()
    limited = Limited(vw.MemoryDir(), None, output, {"max_written": 8}, {})
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            limited.program.write(1, b"1234")
        assert limited.room.written == len(output.data)
    with fails(ENOSPC):
        limited.program.write(1, b"1")


def test_without_limits_nothing_is_looked_at() -> None:
    directory = vw.MemoryDir()
    store = vw.Store()
    vw.instantiate(
        '(module (import "wasi_snapshot_preview1" "fd_close" (func (param i32) (result i32))))',
        wasi=vw.WasiConfig(stdin=b"", preopens={"/": directory}),
        store=store,
    )
    assert store._room is None
    assert [process.room for process in store._wasi.values()] == [None]


def test_files_of_a_directory_are_on_one_device_with_limits_too(tmp_path: Path) -> None:
    os.mkdir(tmp_path / "one")
    config = vw.WasiConfig(stdin=b"", stdout=io.BytesIO(), preopens={"/": tmp_path, "/m": vw.MemoryDir()})
    room = Room(vw.ResourceLimits(max_created=5), lambda: None, lambda name: None)
    program = Program(config, room=room)
    program.create("file")
    with fails(EXDEV):
        program.link("file", "file", new_fd=ROOT + 1)
    assert room.created == 1
