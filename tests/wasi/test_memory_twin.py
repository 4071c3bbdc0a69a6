"""A directory in memory does what one of the host does: the same calls, one after the other, with the same results.

``test_twin.py`` compares single operations on paths with the system's; here files stay open between the calls.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wasi.program import Failed, Program
from tests.wasi.test_hostile import taken
from vibewasm.wasi import WasiConfig, abi
from vibewasm.wasi.memory_dir import MemoryDir

PATHS = st.sampled_from(["a", "b", "d", "d/a", "d/b", "d/e", "b/.", "nothing/x"])
FDS = st.sampled_from([4, 4, 5, 5, 3, 6, 7, 8])
SIZES = st.integers(0, 40)
RIGHTS = [abi.FD_READ, abi.FD_WRITE, abi.FD_READ | abi.FD_WRITE]

#: One call: it is made of both programs, and what it gives compared.
Call = Callable[[Program], object]


def opening(path: str, oflags: int, rights: int, fdflags: int) -> Call:
    return lambda program: program.open(path, oflags, rights, fdflags=fdflags)


def moving(fd: int, offset: int, whence: int) -> Call:
    return lambda program: program.seek(fd, offset, whence)


def status(program: Program, fd: int) -> tuple[int, ...]:
    found = program.fstat(fd)
    # How large a directory is and how many links it has is told differently by each file system.
    return (found.type,) if found.type == abi.DIRECTORY else (found.type, found.size, found.nlink)


CALLS: st.SearchStrategy[tuple[Callable[..., Call], tuple[Any, ...]]] = st.one_of(
    st.tuples(
        st.just(opening),
        st.tuples(
            PATHS, st.sampled_from([0, 1, 1, 1, 2, 5, 8, 9]), st.sampled_from(RIGHTS), st.sampled_from([0, 0, 1])
        ),
    ),
    st.tuples(st.just(lambda fd, size: lambda p: p.read(fd, size, 3)), st.tuples(FDS, SIZES)),
    st.tuples(st.just(lambda fd, data: lambda p: p.write(fd, data, b"+")), st.tuples(FDS, st.binary(max_size=20))),
    st.tuples(st.just(lambda fd, size, at: lambda p: p.pread(fd, size, at)), st.tuples(FDS, SIZES, SIZES)),
    st.tuples(
        st.just(lambda fd, data, at: lambda p: p.pwrite(fd, data, at)), st.tuples(FDS, st.binary(max_size=20), SIZES)
    ),
    st.tuples(st.just(moving), st.tuples(FDS, st.integers(-30, 60), st.integers(0, 3))),
    st.tuples(st.just(lambda fd: lambda p: p.tell(fd)), st.tuples(FDS)),
    st.tuples(st.just(lambda fd: lambda p: p.close(fd)), st.tuples(FDS)),
    st.tuples(st.just(lambda fd: lambda p: status(p, fd)), st.tuples(FDS)),
    st.tuples(st.just(lambda fd: lambda p: p.names(fd)), st.tuples(FDS)),
    st.tuples(st.just(lambda fd: lambda p: p.call("fd_sync", fd)), st.tuples(FDS)),
    st.tuples(st.just(lambda fd, size: lambda p: p.call("fd_filestat_set_size", fd, size)), st.tuples(FDS, SIZES)),
    st.tuples(
        st.just(lambda fd, at, size: lambda p: p.call("fd_allocate", fd, at, size)), st.tuples(FDS, SIZES, SIZES)
    ),
    st.tuples(
        st.just(lambda fd, flags: lambda p: p.call("fd_fdstat_set_flags", fd, flags)),
        st.tuples(FDS, st.sampled_from([0, 1, 4, 5, 16])),
    ),
    st.tuples(st.just(lambda one, two: lambda p: p.call("fd_renumber", one, two)), st.tuples(FDS, FDS)),
    st.tuples(st.just(lambda path: lambda p: p.unlink(path)), st.tuples(PATHS)),
    st.tuples(st.just(lambda path: lambda p: p.mkdir(path)), st.tuples(PATHS)),
    st.tuples(st.just(lambda path: lambda p: p.rmdir(path)), st.tuples(PATHS)),
    st.tuples(st.just(lambda fd, path: lambda p: p.create(path, b"in", fd=fd)), st.tuples(FDS, st.just("e"))),
    st.tuples(st.just(lambda old, new: lambda p: p.rename(old, new)), st.tuples(PATHS, PATHS)),
    st.tuples(st.just(lambda old, new: lambda p: p.link(old, new)), st.tuples(PATHS, PATHS)),
    st.tuples(st.just(lambda old, new: lambda p: p.symlink(old, new)), st.tuples(st.just("a"), PATHS)),
)


def result_of(call: Call, program: Program) -> object:
    try:
        return call(program)
    except Failed as failed:
        return failed


def contents(folder: Path) -> dict[str, Any]:
    return {
        path.name: contents(path) if path.is_dir() else path.read_bytes()
        for path in folder.iterdir()
        if not path.is_symlink()
    }


@settings(deadline=None, max_examples=300)
@given(st.lists(CALLS, min_size=12, max_size=40))
@pytest.mark.ci
def test_calls_on_a_directory_in_memory_give_what_they_give_on_the_host(
    calls: list[tuple[Callable[..., Call], tuple[Any, ...]]],
) -> None:
    with tempfile.TemporaryDirectory() as base:
        folder, memory = Path(base), MemoryDir({"a": b"0123456789", "d": {"a": b"a"}})
        (folder / "d").mkdir()
        (folder / "d" / "a").write_bytes(b"a")
        (folder / "a").write_bytes(b"0123456789")
        host, ours = (Program(WasiConfig(preopens={"/": directory}, stdin=b"")) for directory in (folder, memory))
        for program in (host, ours):
            assert program.open("a", rights=RIGHTS[2]) == 4
            assert program.open("a", rights=RIGHTS[2], fdflags=abi.FDFLAG_APPEND) == 5
            assert program.open("d", abi.OFLAG_DIRECTORY) == 6
        for make, arguments in calls:
            call = make(*arguments)
            expected, given = result_of(call, host), result_of(call, ours)
            if isinstance(expected, Failed):
                assert isinstance(given, Failed), (arguments, expected)
                assert given.number == expected.number, arguments
            else:
                assert given == expected, arguments
        assert memory.files == contents(folder)
        # What is left when nothing is open is what the files take.
        for fd in range(20):
            ours.raw("fd_close", fd)
        assert memory.size == taken(memory)
