"""Directories in memory: what programs find and leave there, and what they cannot take."""

from __future__ import annotations

import copy
import gc
import inspect
import os
import pickle
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import vibewasm as vw
from tests.wasi import test_directories, test_fd_table, test_files, test_paths
from tests.wasi.program import READ_WRITE, ROOT, Program, fails, file_subscription
from tests.wasi.test_read_only import CHANGES
from vibewasm.wasi import WasiConfig, abi
from vibewasm.wasi.errnos import EFBIG, EINVAL, EMFILE, ENOENT, ENOMEM, ENOSPC, EPERM, EXDEV, SUCCESS
from vibewasm.wasi.memory_dir import LOCK
from vibewasm.wasi.memory_files import MAX_OPEN

#: The API as users without a type checker call it.
api: Any = vw
OTHER = ROOT + 1


def program_of(*directories: Any, **settings: Any) -> Program:
    """A program with directories, as 3, 4 and so on."""
    preopens = {f"/{index}": directory for index, directory in enumerate(directories)}
    return Program(WasiConfig(["program"], preopens=preopens, stdin=b"", stdout="/dev/null", **settings))


SAME = [
    function
    for module in (test_files, test_directories, test_fd_table, test_paths)
    for name, function in vars(module).items()
    if name.startswith("test_")
    and list(inspect.signature(function).parameters) == ["program"]
    # A limit of the host's; that of memory is tested below.
    and name != "test_opening_until_the_host_has_no_more_is_an_error_that_passes"
]


@pytest.mark.parametrize("test", SAME)
def test_what_holds_on_the_host_holds_in_memory(test: Callable[[Program], None]) -> None:
    preopens: dict[str, Any] = {"/": {}}
    test(Program(WasiConfig(["program"], preopens=preopens, stdin=b"", stdout="/dev/null", stderr="/dev/null")))


def test_files_are_found_and_come_back() -> None:
    given: dict[str, Any] = {
        "in.txt": b"input",
        "sub": {"text": "wörter", "empty": {}},
        "/a/b": bytearray(b"deep"),
        "a/c": b"",
    }
    before = copy.deepcopy(given)
    config = WasiConfig(preopens={"/work": given}, stdin=b"")
    program = Program(config)
    assert program.read(program.open("in.txt"), 100) == b"input"
    assert program.names(program.open("a", abi.OFLAG_DIRECTORY)) == [b".", b"..", b"b", b"c"]
    program.create("sub/empty/out", b"output")
    program.unlink("in.txt")
    program.symlink("out", "sub/empty/link")
    assert given == before
    left = {"sub": {"text": "wörter".encode(), "empty": {"out": b"output"}}, "a": {"b": b"deep", "c": b""}}
    assert config.preopens["/work"].files == left
    # It is a copy.
    config.preopens["/work"].files.clear()
    program = Program(config)
    assert program.read(program.open("sub/empty/link", follow=True), 100) == b"output"


def test_programs_share_a_directory_and_see_what_others_do() -> None:
    work = vw.MemoryDir({"file": b"one"})
    first, second = program_of(work), program_of(work, work)
    fd = second.open("file", rights=READ_WRITE)
    first.unlink("file")
    assert (second.fstat(fd).nlink, second.fstat(fd).size, second.read(fd, 9)) == (0, 3, b"one")
    assert second.write(fd, b" more") == 5
    assert work.files == {}
    assert work.size == 8
    first.create("new", b"x")
    second.link("new", "again", new_fd=OTHER)
    assert first.stat("again").nlink == 2
    second.close(fd)
    assert work.files == {"new": b"x", "again": b"x"}
    assert work.size == 2 * 512 + 1


def test_what_a_program_that_has_ended_left_open_is_let_go() -> None:
    work = vw.MemoryDir({"file": b"data"})
    program = program_of(work)
    program.open("file")
    program.unlink("file")
    program.names(ROOT)
    assert work.size > 0
    del program
    gc.collect()
    assert work.size == 0


def test_nothing_is_moved_between_directories_of_different_kinds(tmp_path: Path) -> None:
    program = program_of({"a": b"1", "d": {}}, {"b": b"2"}, tmp_path)
    (tmp_path / "c").write_bytes(b"3")
    for source, name in ((ROOT, "a"), (ROOT + 1, "b"), (ROOT + 2, "c")):
        for target in {ROOT, ROOT + 1, ROOT + 2} - {source}:
            with fails(EXDEV):
                program.rename(name, "new", fd=source, new_fd=target)
            with fails(EXDEV):
                program.link(name, "new", fd=source, new_fd=target)
    assert program.stat("a").dev != program.stat("b", fd=OTHER).dev


def test_a_program_cannot_take_more_than_there_is() -> None:
    work = vw.MemoryDir({"a": b"123"}, max_size=2 * 512 + 10)
    program = program_of(work)
    fd = program.open("a", rights=READ_WRITE)
    assert program.pwrite(fd, bytes(1000), 3) == 512 + 7
    with fails(ENOSPC):
        program.pwrite(fd, b"x", 522)
    assert program.pwrite(fd, b"over", 0) == 4
    for attempt in (
        lambda: program.call("fd_filestat_set_size", fd, 523),
        lambda: program.call("fd_filestat_set_size", fd, 1 << 62),
        lambda: program.call("fd_allocate", fd, 0, 523),
        lambda: program.pwrite(fd, b"x", 1 << 62),
        lambda: program.create("b"),
        lambda: program.mkdir("b"),
        lambda: program.symlink("a", "b"),
        lambda: program.link("a", "b"),
    ):
        with fails(ENOSPC):
            attempt()
    with fails(EFBIG):
        program.call("fd_filestat_set_size", fd, 1 << 63)
    assert work.size == work.max_size
    assert set(work.files) == {"a"}
    # Moving and replacing need no room.
    program.rename("a", "c" * 255)
    program.call("fd_filestat_set_size", fd, 10)
    assert program.pwrite(fd, b"x", 20) == 1
    assert work.files == {"c" * 255: b"over" + bytes(16) + b"x"}
    with fails(ENOSPC):
        program.create("b")
    program.call("fd_filestat_set_size", fd, 10)
    program.create("b")
    program.unlink("c" * 255)
    assert work.size == 512 + 10
    program.close(fd)
    assert work.size == 512


def test_open_files_and_listings_are_limited_too() -> None:
    work = vw.MemoryDir({str(index): b"" for index in range(100)}, max_size=100 * 512 + 250 * 128)
    program = program_of(work)
    listing = [program.open(".", abi.OFLAG_DIRECTORY) for _ in range(3)]
    for fd in listing[:2]:
        # A new listing takes the place of the old one.
        assert len(program.names(fd)) == len(program.names(fd)) == 102
    with fails(ENOMEM):
        program.readdir(listing[2])
    program.close(listing[0])
    assert len(program.names(listing[2])) == 102
    program = program_of({"a": b""})
    with fails(EMFILE):
        for _ in range(MAX_OPEN + 1):
            program.open("a")
    with fails(EMFILE):
        program.open("new", abi.OFLAG_CREAT, abi.FD_WRITE)
    with fails(ENOENT):
        program.stat("new")
    program.close(ROOT + 1)
    program.open("a")


def test_positions_append_mode_and_polling_are_as_on_the_host() -> None:
    program = program_of({"file": b"0123456789"})
    fd = program.open("file", rights=READ_WRITE)
    assert (program.seek(fd, -3, 2), program.read(fd, 2, 5), program.tell(fd)) == (7, b"789", 10)
    for offset, whence in ((-1, 0), (-11, 1), ((1 << 63) - 1, 1)):
        with fails(EINVAL):
            program.seek(fd, offset, whence)
    assert (program.seek(fd, 20), program.read(fd, 5), program.pread(fd, 5, 1 << 40)) == (20, b"", b"")
    assert program.poll(file_subscription(1, abi.EVENT_FD_READ, fd)) == [(1, SUCCESS, abi.EVENT_FD_READ, 0, 0)]
    program.seek(fd, 4)
    assert program.poll(file_subscription(1, abi.EVENT_FD_READ, fd)) == [(1, SUCCESS, abi.EVENT_FD_READ, 6, 0)]
    assert program.poll(file_subscription(1, abi.EVENT_FD_READ, ROOT))[0][:2] == (1, SUCCESS)
    program.call("fd_fdstat_set_flags", fd, abi.FDFLAG_APPEND)
    assert (program.write(fd, b"a", b"b"), program.tell(fd)) == (2, 12)
    assert program.pwrite(fd, b"c", 0) == 1
    assert program.pread(fd, 50, 0) == b"0123456789abc"
    for name in ("fd_sync", "fd_datasync"):
        program.call(name, fd)
        program.call(name, ROOT)
    program.call("fd_advise", fd, 0, 10, 0)


def test_times_are_those_of_the_programs_clock() -> None:
    program = program_of({}, clock=10**18)
    program.create("file", b"x")
    assert program.stat("file").mtim == 10**18
    program.set_times("file", 5, 6, abi.SET_ATIM | abi.SET_MTIM)
    program.call("fd_filestat_set_times", ROOT, 7, 8, abi.SET_MTIM)
    assert (program.stat("file").atim, program.stat("file").mtim, program.fstat(ROOT).mtim) == (5, 6, 8)


def test_a_directory_that_is_removed_takes_nothing_more() -> None:
    program = program_of({"d": {}})
    fd = program.open("d", abi.OFLAG_DIRECTORY)
    program.rmdir("d")
    for attempt in (
        lambda: program.create("new", fd=fd),
        lambda: program.mkdir("new", fd=fd),
        lambda: program.symlink("x", "new", fd=fd),
        lambda: program.stat("new", fd=fd),
    ):
        with fails(ENOENT):
            attempt()
    assert program.names(fd) == [b".", b".."]


@pytest.mark.parametrize("change", CHANGES, ids=range(len(CHANGES)))
def test_what_is_read_only_is_not_changed(change: Callable[[Program], object]) -> None:
    directory = vw.MemoryDir({"file": b"data", "sub": {}}, read_only=True)
    program = program_of(directory, {"mine": b"mine"})
    with fails(EPERM):
        change(program)
    assert directory.files == {"file": b"data", "sub": {}}
    assert program.read(program.open("file"), 9) == b"data"


def test_deep_folders_are_no_trouble() -> None:
    work = vw.MemoryDir()
    program = program_of(work)
    fd = ROOT
    for _ in range(3000):
        program.mkdir("d", fd=fd)
        fd = program.open("d", abi.OFLAG_DIRECTORY, fd=fd)
    program.create("end", b"x", fd=fd)
    with fails(EINVAL):
        program.rename("d", "d", new_fd=fd)
    files: Any = work.files
    for _ in range(3000):
        files = files["d"]
    assert files == {"end": b"x"}


def test_a_directory_is_copied_pickled_and_shown() -> None:
    directory = vw.MemoryDir({"a": {"b": b"c"}}, max_size=5000, read_only=True)
    for made in (copy.deepcopy(directory), pickle.loads(pickle.dumps(directory))):
        assert (made.files, made.max_size, made.read_only) == (directory.files, 5000, True)
    assert repr(directory) == "MemoryDir(<1025 of 5000 bytes>, read_only=True)"
    config = WasiConfig(preopens={"/": {"a": b"b"}})
    assert pickle.loads(pickle.dumps(config)).preopens["/"].files == {"a": b"b"}


def test_what_is_no_directory_is_refused() -> None:
    for files, error, message in (
        (3, TypeError, "MemoryDir: files has to be a dict, not int 3"),
        ({3: b""}, TypeError, "MemoryDir: the name of a file has to be a string, not int 3"),
        ({"a": {"b": 3}}, TypeError, r"MemoryDir: files\['a/b'\] has to be bytes, a string or a dict, not int 3"),
        ({"a": None}, TypeError, r"MemoryDir: files\['a'\] has to be bytes, a string or a dict, not None"),
        ({"..": b""}, ValueError, "MemoryDir: '..' cannot be the name of a file"),
        ({"a//b": b""}, ValueError, "MemoryDir: 'a//b' cannot be"),
        ({"": b""}, ValueError, "MemoryDir: '' cannot be"),
        ({"a\0": b""}, ValueError, r"MemoryDir: 'a\\x00' cannot be"),
        ({"ä" * 128: b""}, ValueError, "cannot be the name of a file"),
        ({"\ud800": b""}, ValueError, "is not UTF-8"),
        ({"a": b"", "/a": b""}, ValueError, "MemoryDir: '/a' is there twice"),
        ({"a": b"", "a/b": b""}, ValueError, "MemoryDir: 'a/b' is both a file and a folder"),
        ({"a": {}, "/a": b""}, ValueError, "MemoryDir: '/a' is there twice"),
        ({"a": bytes(65 << 20)}, ValueError, "MemoryDir: the files are more than max_size=67108864, 512 bytes a name"),
    ):
        with pytest.raises(error, match=message):
            api.MemoryDir(files)
        with pytest.raises(error, match=message if files != 3 else "preopens"):
            api.WasiConfig(preopens={"/": files})
    with pytest.raises(TypeError, match=r"^MemoryDir: max_size has to be a number of bytes, an int, not str"):
        api.MemoryDir(max_size="1G")
    with pytest.raises(TypeError, match=r"^MemoryDir: read_only has to be True or False, not int 1"):
        api.MemoryDir(read_only=1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here, so no thread is left behind")
def test_a_forked_child_does_not_wait_for_a_thread_that_it_does_not_have() -> None:
    directory = vw.MemoryDir({"file": b"contents"})
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with LOCK:
            held.set()
            over.wait(0.1)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = os.fork()
    if not child:
        signal.alarm(20)
        os._exit(0 if directory.files == {"file": b"contents"} else 1)
    over.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0
    # And the lock is free again in both.
    assert directory.size == 8 + 512
    with LOCK:
        pass


def test_the_hosts_clock_is_not_asked_while_others_wait() -> None:
    directory = vw.MemoryDir({"file": b"contents", "other": b""})
    found: list[Any] = []

    def clock() -> int:
        thread = threading.Thread(target=lambda: found.append(sorted(directory.files)), daemon=True)
        thread.start()
        thread.join(20)
        assert not thread.is_alive()
        return 5

    program = program_of(directory, clock=clock)
    fd = program.open("new", abi.OFLAG_CREAT, rights=READ_WRITE)
    program.write(fd, b"output")
    program.pwrite(fd, b"again", 3)
    program.call("fd_filestat_set_size", fd, 3)
    program.call("fd_allocate", fd, 0, 9)
    program.mkdir("folder")
    program.symlink("new", "link")
    program.link("new", "same")
    program.rename("same", "renamed")
    program.set_times("new", 1, 2, abi.SET_ATIM | abi.SET_MTIM)
    program.unlink("other")
    program.rmdir("folder")
    assert found[-1] == ["file", "folder", "new", "renamed"]


def test_room_that_the_host_does_not_have_is_an_error_of_the_program() -> None:
    directory = vw.MemoryDir(max_size=(1 << 63) - 1)
    program = program_of(directory)
    fd = program.open("file", abi.OFLAG_CREAT, rights=READ_WRITE)
    for size in (1 << 50, (1 << 63) - 2000):
        with fails(ENOSPC):
            program.call("fd_filestat_set_size", fd, size)
        with fails(ENOSPC):
            program.call("fd_allocate", fd, 0, size)
        program.seek(fd, size)
        with fails(ENOSPC):
            program.write(fd, b"x")
        assert directory.size == 512


def test_the_size_of_a_directory_is_a_number_of_bytes() -> None:
    for size in (-1, 1 << 63, 10**6000):
        with pytest.raises(ValueError, match=r"MemoryDir: max_size is a number of bytes from 0 to 2\*\*63 - 1, not "):
            vw.MemoryDir(max_size=size)


def test_a_folder_that_is_in_itself_is_refused() -> None:
    folder: dict[str, Any] = {}
    twice = {"both": {"a": folder, "b": folder}}
    assert vw.MemoryDir(twice).files == twice
    folder["long name" * 10] = {"again": folder}
    with pytest.raises(ValueError, match=r"MemoryDir: 'both/b/.*/again' is one of the folders that it is in"):
        vw.MemoryDir(twice)


def test_a_pickle_has_all_that_a_program_has_left() -> None:
    directory = vw.MemoryDir({"file": bytes(3000)}, max_size=10_000)
    program = program_of(directory, clock=7)
    program.link("file", "same")
    program.symlink("file", "link")
    program.mkdir("folder")
    for made in (copy.deepcopy(directory), pickle.loads(pickle.dumps(directory))):
        assert (made.files, made.size) == (directory.files, directory.size)
        again = program_of(made)
        assert again.stat("same").nlink == 2
        assert again.stat("folder").mtim == 7
        assert again.read(again.open("link", follow=True), 9) == bytes(9)


def test_folders_as_deep_as_programs_make_them_are_pickled() -> None:
    directory = vw.MemoryDir()
    program = program_of(directory)
    at = ROOT
    for _ in range(3000):
        program.mkdir("a", fd=at)
        at = program.open("a", abi.OFLAG_DIRECTORY, fd=at)
    for made in (copy.deepcopy(directory), pickle.loads(pickle.dumps(directory))):
        assert made.size == directory.size == 3000 * 512
