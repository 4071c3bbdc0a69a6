"""Writing: whatever goes wrong in the middle, the old file stays and nothing else does."""

from __future__ import annotations

import errno
import gc
import io
import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from vibewasm import aside
from vibewasm.cache.folder import SUFFIX, Folder
from vibewasm.runtime import reservations

from .processes import in_child

OLD = [f"a{SUFFIX}"]


@pytest.fixture
def filled(folder: Folder) -> Folder:
    """A folder with one file that holds ``old``."""
    assert folder.write("a", [b"old"])
    return folder


def assert_only_the_old(folder: Folder) -> None:
    assert os.listdir(folder.path) == OLD
    assert folder.read("a") == b"old"


@pytest.mark.parametrize("where", ["open", "write", "close", "rename"])
@pytest.mark.parametrize("code", ["ENOSPC", "EDQUOT", "EROFS", "EIO", "EFBIG", "EMFILE", "ESTALE"])
def test_a_file_system_that_refuses(filled: Folder, monkeypatch: pytest.MonkeyPatch, where: str, code: str) -> None:
    refused = OSError(getattr(errno, code), code)

    class Refusing(io.FileIO):
        def write(self, data: object) -> int:
            raise refused

    class Closing(io.FileIO):
        def close(self) -> None:
            if not self.closed:
                super().close()
                raise refused

    def raising(*_: object, **__: object) -> int:
        raise refused

    if where == "rename":
        monkeypatch.setattr(os, "rename", raising)
    elif where == "open":
        monkeypatch.setattr(aside, "_new_name", raising)
    else:
        kind = Refusing if where == "write" else Closing
        monkeypatch.setattr(aside, "open", lambda opened, mode: io.BufferedWriter(kind(opened, mode)), raising=False)
    for size in (1, 100_000):
        assert not filled.write("a", [bytes(size)])
    assert_only_the_old(filled)


def test_an_interrupt_leaves_nothing_and_comes_out(filled: Folder) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "rename", interrupted)
        with pytest.raises(KeyboardInterrupt):
            filled.write("a", [b"new"])
    assert_only_the_old(filled)


def test_what_gives_the_parts_fails_before_anything_is_written(filled: Folder) -> None:
    def parts() -> Iterator[bytes]:
        yield b"one"
        raise RuntimeError

    with pytest.raises(RuntimeError):
        filled.write("a", parts())
    assert_only_the_old(filled)


@pytest.mark.parametrize(
    "handler", [signal.SIG_IGN, signal.SIG_DFL, lambda *_: None], ids=["ignored", "default", "own"]
)
def test_a_limit_of_file_sizes(filled: Folder, handler: signal.Handlers) -> None:
    """By default SIGXFSZ ends the process, and Python ignores it; a program that embeds Python may not."""

    def child() -> None:
        signal.signal(signal.SIGXFSZ, handler)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))
        assert not filled.write("a", [bytes(3000), bytes(3000)])
        assert_only_the_old(filled)
        assert filled.write("b", [bytes(5000)])
        assert filled.read("b") == bytes(5000)
        filled.remove("b")

    in_child(child)
    assert_only_the_old(filled)


def test_a_process_that_may_open_no_more_files(filled: Folder) -> None:
    def child() -> None:
        free = os.dup(2)
        os.close(free)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        # The folder cannot be opened, then the folder but no file.
        for more in (0, 1):
            resource.setrlimit(resource.RLIMIT_NOFILE, (free + more, hard))
            assert filled.read("a") is None
            assert not filled.write("a", [b"new"])
            assert filled.entries() == []
            assert filled.clear() == (0, 0)
            assert filled.problem() == os.strerror(errno.EMFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert_only_the_old(filled)

    in_child(child)
    assert_only_the_old(filled)


def test_little_memory(filled: Folder) -> None:
    """A file that the process has no memory for is one that is not there."""
    # So much is always asked of the system, whatever the process has at hand.
    assert filled.write("b", [bytes(60 << 20)])

    def child() -> None:
        # What other tests have left would be given back when there is a limit, or is free without the system's doing.
        gc.collect()
        reservations._pool.drain()
        with open("/proc/self/statm") as status:
            used = int(status.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (16 << 20), resource.RLIM_INFINITY))
        taken = []
        try:
            while True:
                taken.append(bytes(1 << 20))
        except MemoryError:
            del taken[-8:]
        assert filled.read("b") is None
        assert filled.read("a") == b"old"

    in_child(child)


def test_a_disk_that_is_full(above: Path) -> None:
    if (
        os.geteuid()
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", above], check=False).returncode
    ):
        pytest.skip("NOT RUN: no file system of 64 KiB can be mounted here")
    try:
        folder = Folder(str(above / "cache"))
        assert folder.write("a", [b"old"])
        assert not folder.write("a", [bytes(100_000)])
        assert_only_the_old(folder)
        assert folder.write("b", [bytes(30_000)])
        assert not folder.write("b", [bytes(50_000)])
        assert folder.read("b") == bytes(30_000)
        folder.remove("b")
        # No room for a name, or an inode, either.
        subprocess.run(["mount", "-o", "remount,size=64k,nr_inodes=4", "none", above], check=True)
        folder.write("b", [b"1"])
        assert not folder.write("c", [b"1"])
        folder.remove("b")
        assert_only_the_old(folder)
        subprocess.run(["mount", "-o", "remount,ro", "none", above], check=True)
        assert not folder.write("a", [b"new"])
        assert_only_the_old(folder)
        assert folder.problem() == "it is read-only: what is in it is used, and nothing is added"
    finally:
        subprocess.run(["umount", above], check=True)


@pytest.mark.parametrize("call", ["open", "rename", "scandir", "unlink"])
def test_a_folder_that_vanishes_in_the_middle(filled: Folder, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    real = getattr(os, call)

    with monkeypatch.context() as patch:

        def vanishing(*words: object, **more: object) -> object:
            # Opening the folder itself is the beginning, not the middle.
            if call != "open" or "dir_fd" in more:
                patch.undo()  # removing the folder takes the same calls
                shutil.rmtree(filled.path)
            return real(*words, **more)

        patch.setattr(os, call, vanishing)
        if call == "unlink":
            assert filled.set_limit(0) or not os.path.exists(filled.path)
        else:
            assert not filled.write("a", [b"new"])
    assert filled.read("a") is None
    assert filled.write("a", [b"again"])
    assert filled.read("a") == b"again"


def test_two_that_make_the_folder_at_once(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    make = os.makedirs

    def slower(path: str, mode: int) -> None:
        monkeypatch.undo()
        make(path, mode)
        make(path, mode)

    monkeypatch.setattr(os, "makedirs", slower)
    assert folder.write("a", [b"1"])


def test_a_folder_of_somebody_else_that_is_there_before_ours(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def faster(path: str, mode: int) -> None:
        os.mkdir(path)
        os.chmod(path, 0o777)
        raise FileExistsError

    monkeypatch.setattr(os, "makedirs", faster)
    assert not folder.write("a", [b"1"])
    assert os.listdir(folder.path) == []
