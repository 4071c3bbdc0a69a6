"""Any arguments at all: a call gives an error number or `proc_exit` ends the program; nothing else ever comes out.

Pointers out of range are EFAULT, before anything is done.
"""

from __future__ import annotations

import io
import os
import resource
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wasi.program import READ_WRITE, ROOT, Program, clock_subscription
from vibewasm.traps import ExitTrap
from vibewasm.wasi import MODULES, PREVIEW1, WasiConfig, abi
from vibewasm.wasi.errnos import EFAULT, SUCCESS
from vibewasm.wasi.memory_dir import MemoryDir, tree_of
from vibewasm.wasi.preview1 import FUNCTIONS

SIZE = 0x20000
FILE = 4

#: In a call below: stands for a good pointer, each of which is replaced by bad ones in turn.
POINTER = -1

#: A call of each function that has pointers; with good pointers it would read or write at each of them.
CALLS: dict[str, tuple[int, ...]] = {
    "args_get": (POINTER, POINTER),
    "args_sizes_get": (POINTER, POINTER),
    "clock_res_get": (0, POINTER),
    "clock_time_get": (0, 0, POINTER),
    "environ_get": (POINTER, POINTER),
    "environ_sizes_get": (POINTER, POINTER),
    "fd_fdstat_get": (FILE, POINTER),
    "fd_filestat_get": (FILE, POINTER),
    "fd_pread": (FILE, POINTER, 1, 0, POINTER),
    "fd_prestat_dir_name": (ROOT, POINTER, 10),
    "fd_prestat_get": (ROOT, POINTER),
    "fd_pwrite": (FILE, POINTER, 1, 0, POINTER),
    "fd_read": (FILE, POINTER, 1, POINTER),
    "fd_readdir": (ROOT, POINTER, 100, 0, POINTER),
    "fd_seek": (FILE, 1, 0, POINTER),
    "fd_tell": (FILE, POINTER),
    "fd_write": (FILE, POINTER, 1, POINTER),
    "path_create_directory": (ROOT, POINTER, 4),
    "path_filestat_get": (ROOT, 0, POINTER, 4, POINTER),
    "path_filestat_set_times": (ROOT, 0, POINTER, 4, 0, 0, 5),
    "path_link": (ROOT, 0, POINTER, 4, ROOT, POINTER, 4),
    "path_open": (ROOT, 0, POINTER, 4, abi.OFLAG_CREAT, 0, 0, 0, POINTER),
    "path_readlink": (ROOT, POINTER, 4, POINTER, 100, POINTER),
    "path_remove_directory": (ROOT, POINTER, 4),
    "path_rename": (ROOT, POINTER, 4, ROOT, POINTER, 4),
    "path_symlink": (POINTER, 4, ROOT, POINTER, 4),
    "path_unlink_file": (ROOT, POINTER, 4),
    "poll_oneoff": (POINTER, POINTER, 1, POINTER),
    "random_get": (POINTER, 10),
}
NO_POINTERS = {
    *("fd_advise", "fd_allocate", "fd_close", "fd_datasync", "fd_fdstat_set_flags", "fd_fdstat_set_rights"),
    *("fd_filestat_set_size", "fd_filestat_set_times", "fd_renumber", "fd_sync", "proc_exit", "proc_raise"),
    *("sched_yield", "sock_accept", "sock_recv", "sock_send", "sock_shutdown"),
}
POINTERS = [
    (name, position)
    for name, arguments in CALLS.items()
    for position, argument in enumerate(arguments)
    if argument == POINTER
]


class Waited(Exception):
    """The program would have slept."""


def refuse_to_wait() -> None:
    raise Waited


def victim(base: Path, module: str = PREVIEW1, memory: MemoryDir | None = None) -> Program:
    """A program with something of each kind open, in a folder or, if it is given, in a directory in memory."""
    root = base / "root"
    root.mkdir()
    if memory is None:
        (root / "dir").mkdir()
        (root / "file").write_bytes(b"data")
        (root / "link").symlink_to("file")
    config = WasiConfig(
        ["program", "argument"],
        {"A": "B"},
        {"/sandboxed": root if memory is None else memory},
        stdin=b"input" * 10,
        stdout=io.BytesIO(),
        stderr=io.BytesIO(),
    )
    program = Program(config, refuse_to_wait, SIZE, module)
    if memory is not None:
        program.symlink("file", "link")
    assert program.open("file", rights=READ_WRITE) == FILE
    program.open("dir", abi.OFLAG_DIRECTORY)
    return program


@pytest.fixture(params=["host", "memory"])
def program(tmp_path: Path, request: pytest.FixtureRequest) -> Program:
    return victim(tmp_path, memory=small_memory() if request.param == "memory" else None)


def small_memory() -> MemoryDir:
    """A directory in memory with less room than some calls ask for."""
    return MemoryDir({"dir": {}, "file": b"data"}, max_size=1 << 16)


@pytest.fixture(autouse=True)
def _small_files() -> Iterator[None]:
    """No call may fill the disk: what asks for more than 1 MiB gets EFBIG."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, ignored)


def test_the_table_names_every_function() -> None:
    assert set(CALLS) | NO_POINTERS == set(FUNCTIONS)
    assert not set(CALLS) & NO_POINTERS


@pytest.mark.parametrize(("name", "position"), POINTERS)
def test_a_pointer_out_of_range_is_a_fault_before_anything_is_done(
    program: Program, tmp_path: Path, name: str, position: int
) -> None:
    program.put(0x100, b"name" + bytes(60))
    abi.IOVEC.pack_into(program.memory, 0x200, 0x300, 4)
    clock = clock_subscription(1, 0)
    program.put(0x400, clock)
    good = {"poll_oneoff": 0x400, "fd_read": 0x200, "fd_write": 0x200, "fd_pread": 0x200, "fd_pwrite": 0x200}
    arguments = [good.get(name, 0x100) if argument == POINTER else argument for argument in CALLS[name]]
    memory, tree = bytes(program.memory), sorted(os.walk(tmp_path))
    position_before = program.tell(FILE)
    program.memory[:] = memory
    for bad in (SIZE, SIZE - 1, SIZE - 3, 1 << 31, (1 << 32) - 1, (1 << 32) - 8):
        arguments[position] = bad
        assert program.raw(name, *arguments) == EFAULT, hex(bad)
        assert bytes(program.memory) == memory
    assert sorted(os.walk(tmp_path)) == tree
    assert program.tell(FILE) == position_before


@pytest.mark.parametrize("name", [name for name in CALLS if name.startswith("path_")])
def test_a_length_out_of_range_is_a_fault(program: Program, name: str) -> None:
    program.put(0x100, b"name")
    arguments = [0x100 if argument == POINTER else argument for argument in CALLS[name]]
    for position, argument in enumerate(CALLS[name]):
        if argument == 4 and CALLS[name][position - 1] == POINTER:
            for bad in (SIZE, (1 << 32) - 1):
                changed = list(arguments)
                changed[position] = bad
                assert program.raw(name, *changed) == EFAULT


@pytest.mark.parametrize("name", ["fd_read", "fd_write", "fd_pread", "fd_pwrite"])
@pytest.mark.parametrize(
    ("address", "size"), [(SIZE, 1), (SIZE - 3, 4), (0, SIZE + 1), ((1 << 32) - 1, (1 << 32) - 1), (1 << 31, 1)]
)
def test_a_buffer_out_of_range_is_a_fault(program: Program, name: str, address: int, size: int) -> None:
    abi.IOVEC.pack_into(program.memory, 0x200, address, size)
    offset = (0,) if name.startswith("fd_p") else ()
    assert program.raw(name, FILE, 0x200, 1, *offset, 0x300) == EFAULT


def test_nothing_may_lie_anywhere(program: Program) -> None:
    anywhere = 0xAAAA_AAAA
    abi.IOVEC.pack_into(program.memory, 0x200, anywhere, 0)
    for name, arguments in {
        "fd_write": (FILE, 0x200, 1, 0x300),
        "fd_read": (FILE, anywhere, 0, 0x300),
        "random_get": (anywhere, 0),
    }.items():
        assert program.raw(name, *arguments) == SUCCESS


# Numbers that mean something, are at an edge, or are anything.
EDGES = [0, 1, 2, 3, 4, 5, 6, 7, 8, 16, 31, 32, 64, 0x100, 0x200, 0xFFF, SIZE - 8, SIZE - 1, SIZE, SIZE + 1]
EDGES += [(1 << 31) - 1, 1 << 31, (1 << 32) - 8, (1 << 32) - 1]
U32 = st.sampled_from(EDGES) | st.integers(0, 12) | st.integers(0, (1 << 32) - 1)
U64 = U32 | st.sampled_from([1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]) | st.integers(0, (1 << 64) - 1)

# What pointers may find: names, structures of small numbers, anything.
MEMORY = st.lists(
    st.sampled_from(
        [b"file", b"dir", b"link", b"..", b"/", b".", b"new", b"dir/new", b"\xff", b"\0" * 8]
        + [number.to_bytes(4, "little") for number in EDGES]
    )
    | st.binary(max_size=16),
    max_size=40,
).map(b"".join)


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, tuple[int, ...]]:
    """A function and unsigned arguments for it."""
    name = draw(st.sampled_from(sorted(FUNCTIONS)))
    params = FUNCTIONS[name][0].partition(":")[0]
    return name, tuple(draw(U32 if letter == "i" else U64) for letter in params)


def taken(directory: MemoryDir) -> int:
    """What the files of a directory take. Those that are open and have no name come on top."""
    size, todo, seen = 0, [tree_of(directory).root], set()
    while todo:
        for node in todo.pop().entries.values():
            size += 512 + (0 if node.inode in seen else len(node.data))
            seen.add(node.inode)
            todo += [node] if node.entries else []
    return size


@settings(deadline=None, max_examples=400)
@given(
    memory=MEMORY,
    made=st.lists(calls(), min_size=1, max_size=20),
    module=st.sampled_from(sorted(MODULES)),
    directory=st.sampled_from([None, small_memory]),
)
def test_any_calls_give_an_error_number_or_exit(
    memory: bytes,
    made: list[tuple[str, tuple[int, ...]]],
    module: str,
    directory: Callable[[], MemoryDir] | None,
) -> None:
    with tempfile.TemporaryDirectory() as base:
        (Path(base) / "canary").write_bytes(b"canary")
        in_memory = directory and directory()
        program = victim(Path(base), module, in_memory)
        for start in range(0, 0x1000, max(len(memory), 64)):
            program.put(start, memory)
        for name, arguments in made:
            if name not in program.functions:
                continue
            try:
                number = program.raw(name, *arguments)
            except ExitTrap:
                assert name == "proc_exit"
            except Waited:
                assert name == "poll_oneoff"
            else:
                assert isinstance(number, int)
                assert 0 <= number <= 76
            assert len(program.memory) == SIZE
            assert in_memory is None or taken(in_memory) <= in_memory.size <= in_memory.max_size
        assert sorted(os.listdir(base)) == ["canary", "root"]
        assert (Path(base) / "canary").read_bytes() == b"canary"
