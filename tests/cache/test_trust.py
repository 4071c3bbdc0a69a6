"""What is not to be trusted is not used: neither a folder nor a file that somebody else could have made or changed."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from vibewasm.cache.folder import LIMIT, SUFFIX, Folder

from .processes import NOBODY, in_child, owner_of_tests, unprivileged, wants_root


def assert_unused(folder: Folder, why: str) -> None:
    assert folder.read("a") is None
    assert not folder.write("a", [b"1"])
    assert not folder.set_limit(1 << 20)
    folder.remove("a")
    assert folder.entries() == []
    assert folder.clear() == (0, 0)
    problem = folder.problem()
    assert problem is not None
    assert why in problem


# Folders


@pytest.mark.parametrize("bit", [1 << bit for bit in range(6)], ids=oct)
def test_a_folder_that_others_may_use(folder: Folder, bit: int) -> None:
    assert folder.write("a", [b"1"])
    os.chmod(folder.path, 0o700 | bit)
    assert_unused(folder, f"its mode is {0o700 | bit:04o}, not 0700")
    os.chmod(folder.path, 0o700)
    assert folder.read("a") == b"1"


def test_a_folder_of_somebody_else(folder: Folder) -> None:
    wants_root()
    assert folder.write("a", [b"1"])
    os.chown(folder.path, NOBODY, NOBODY)
    assert_unused(folder, f"it belongs to user {NOBODY}, and this process runs as user 0")


def test_a_folder_of_root(folder: Folder) -> None:
    wants_root()
    assert folder.write("a", [b"1"])

    def work() -> None:
        assert_unused(folder, "Permission denied")

    unprivileged(work)
    assert folder.read("a") == b"1"


def test_root_makes_nothing_in_the_folder_of_somebody_else(above: Path) -> None:
    """sudo may keep HOME."""
    wants_root()
    os.chown(above, NOBODY, NOBODY)
    folder = Folder(str(above / "not" / "there"))
    assert_unused(folder, f"root makes none in a folder of user {NOBODY}")
    assert os.listdir(above) == []
    in_child(lambda: _assert_used(folder), user=NOBODY)


def _assert_used(folder: Folder) -> None:
    assert folder.problem() is None
    assert folder.write("a", [b"1"])
    assert folder.read("a") == b"1"


def test_a_link_to_a_folder(above: Path) -> None:
    target = Folder(str(above / "target"))
    assert target.write("a", [b"1"])
    (above / "link").symlink_to("target")
    for path in ("link", "link/", "link//"):
        assert_unused(Folder(f"{above}/{path}"), "it is a symbolic link")
    assert target.read("a") == b"1"


@pytest.mark.parametrize("target", ["nothing", "link", "/dev/null"])
def test_a_link_to_no_folder(above: Path, target: str) -> None:
    (above / "link").symlink_to(target)
    assert_unused(Folder(f"{above}/link"), "it is a symbolic link")
    assert os.listdir(above) == ["link"]


def test_links_above_the_folder_are_followed(above: Path) -> None:
    (above / "home").mkdir()
    (above / "link").symlink_to("home")
    _assert_used(Folder(f"{above}/link/x/cache"))


def test_what_is_no_folder(above: Path) -> None:
    (above / "file").write_bytes(b"")
    os.mkfifo(above / "fifo")
    for path in ("file", "fifo", "file/below", "file/below/it"):
        assert_unused(Folder(f"{above}/{path}"), "it is no folder, or one above it is none")
    assert (above / "file").read_bytes() == b""


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("", "its path is empty"),
        ("/", ""),
        ("/nul\0", "no file system has such a name"),
        ("/surrogate\ud800", "no file system has such a name"),
        ("/" + "long" * 100, "File name too long"),
        ("/tmp/" + "long/" * 2000, "File name too long"),
        ("/proc/vibewasm", ""),
    ],
    ids=["empty", "root", "nul", "surrogate", "long name", "long path", "proc"],
)
def test_a_path_that_nothing_can_have(path: str, why: str) -> None:
    folder = Folder(path)
    assert folder.read("a") is None
    assert not folder.write("a", [b"1"])
    assert folder.entries() == []
    # The folder /proc looks to root as if a folder could be made in it.
    assert why in (folder.problem() or "")


def test_a_working_directory_that_is_gone(above: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (above / "gone").mkdir()
    monkeypatch.chdir(above / "gone")
    (above / "gone").rmdir()
    assert_unused(Folder("cache"), "working directory that is gone")


def test_a_home_that_is_read_only(above: Path) -> None:
    home = above / "home"
    home.mkdir()
    os.chown(home, owner_of_tests(), -1)
    home.chmod(0o500)
    unprivileged(
        lambda: assert_unused(Folder(f"{home}/.cache/vibewasm/code"), "in the folder above it none can be made")
    )
    home.chmod(0)
    unprivileged(lambda: assert_unused(Folder(f"{home}/.cache/vibewasm/code"), "Permission denied"))
    assert list(home.iterdir()) == []


def test_a_folder_that_is_read_only_is_read(above: Path) -> None:
    path = above / "cache"
    path.mkdir(0o700)
    os.chown(path, owner_of_tests(), -1)
    folder = Folder(str(path))
    unprivileged(lambda: _assert_used(folder))
    path.chmod(0o500)

    def work() -> None:
        assert folder.read("a") == b"1"
        assert not folder.write("b", [b"2"])
        assert not folder.write("a", [b"2"])
        assert not folder.set_limit(5)
        folder.remove("a")
        assert folder.clear() == (0, 0)
        assert folder.problem() == "it is read-only: what is in it is used, and nothing is added"
        assert folder.read("a") == b"1"

    unprivileged(work)
    path.chmod(0o300)

    def blind() -> None:
        assert folder.read("a") is None
        assert not folder.write("a", [b"2"])
        assert folder.problem() == "Permission denied"

    unprivileged(blind)


# Files


def _linked(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def _twice(path: Path) -> None:
    os.link(path, path.with_name("again"))


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def _socket(path: Path) -> None:
    path.unlink()
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))


def _foreign(path: Path) -> None:
    wants_root()
    os.chown(path, NOBODY, NOBODY)


def _device(path: Path) -> None:
    wants_root()
    path.unlink()
    try:
        os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("NOT RUN: no device files can be made here")


#: What may have become of a file, and whether one that is written anew takes its place.
DISTRUSTED: dict[str, Callable[[Path], None]] = {
    "symbolic link": _linked,
    "two names": _twice,
    "fifo": _fifo,
    "socket": _socket,
    "of somebody else": _foreign,
    "device": _device,
    "group may write": lambda path: path.chmod(0o620),
    "others may write": lambda path: path.chmod(0o602),
    # Nobody can, in such a folder; but so a file is that was not made by us.
    "others may read": lambda path: path.chmod(0o644),
    "too large": lambda path: os.truncate(path, (64 << 20) + 1),
    "far too large": lambda path: os.truncate(path, 1 << 42),
}


@pytest.mark.parametrize("what", DISTRUSTED)
def test_a_file_that_is_not_to_be_trusted(folder: Folder, what: str) -> None:
    assert folder.write("a", [b"old"])
    DISTRUSTED[what](Path(folder.path, f"a{SUFFIX}"))
    assert folder.read("a") is None
    assert folder.write("a", [b"new"])
    assert folder.read("a") == b"new"
    if what == "symbolic link":
        assert Path(folder.path, "elsewhere").read_bytes() == b"old"


@pytest.mark.parametrize("what", DISTRUSTED)
def test_a_limit_that_is_not_to_be_trusted(folder: Folder, what: str) -> None:
    assert folder.set_limit(5)
    assert folder.limit == 5
    DISTRUSTED[what](Path(folder.path, LIMIT))
    assert folder.limit == 256 << 20


def test_a_folder_in_the_place_of_a_file(folder: Folder) -> None:
    assert folder.write("a", [b"1"])
    Path(folder.path, f"b{SUFFIX}").mkdir()
    assert folder.read("b") is None
    assert not folder.write("b", [b"2"])
    assert [entry.name for entry in folder.entries()] == ["a"]
    assert folder.clear() == (1, 1)
    assert os.listdir(folder.path) == [f"b{SUFFIX}"]


def test_a_file_that_its_owner_may_not_read(above: Path) -> None:
    path = above / "cache"
    path.mkdir(0o700)
    os.chown(path, owner_of_tests(), -1)

    def work() -> None:
        folder = Folder(str(path))
        assert folder.write("a", [b"1"])
        (path / f"a{SUFFIX}").chmod(0)
        assert folder.read("a") is None
        assert folder.write("a", [b"2"])
        assert folder.read("a") == b"2"

    unprivileged(work)


def test_a_folder_that_is_exchanged_after_it_was_opened(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was checked is what is read."""
    assert folder.write("a", [b"trusted"])
    opened = Folder.opened

    def exchanging(self: Folder) -> int:
        descriptor = opened(self)
        os.rename(self.path, f"{self.path}.moved")
        os.mkdir(self.path, 0o777)
        Path(self.path, f"a{SUFFIX}").write_bytes(b"planted")
        return descriptor

    monkeypatch.setattr(Folder, "opened", exchanging)
    assert folder.read("a") == b"trusted"
    monkeypatch.undo()
    shutil.rmtree(folder.path)
    os.rename(f"{folder.path}.moved", folder.path)
    assert folder.read("a") == b"trusted"
