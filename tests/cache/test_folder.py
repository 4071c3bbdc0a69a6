"""The cache's folder: what is written is read again, one file at a time, as a whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vibewasm.aside import ASIDE
from vibewasm.cache import folder as folder_module
from vibewasm.cache.contents import is_aside
from vibewasm.cache.folder import DEFAULT_LIMIT, SHARE, SUFFIX, Folder, default_path

from .filling import HOUR
from .processes import in_child

VARIABLES = ("VIBEWASM_CACHE", "XDG_CACHE_HOME", "HOME")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((None, None, "/home/u"), "/home/u/.cache/vibewasm/code"),
        ((None, "/var/c", "/home/u"), "/var/c/vibewasm/code"),
        ((None, "relative", "/home/u"), "/home/u/.cache/vibewasm/code"),
        ((None, "", "/home/u"), "/home/u/.cache/vibewasm/code"),
        ((None, None, None), None),
        ((None, None, ""), None),
        ((None, None, "home"), None),
        ((None, "/var/c", None), "/var/c/vibewasm/code"),
        (("off", "/var/c", "/home/u"), None),
        (("", None, "/home/u"), "/home/u/.cache/vibewasm/code"),
        (("/my/own", "/var/c", "/home/u"), "/my/own"),
        (("own", None, None), "own"),
        (("./off", None, None), "./off"),
    ],
)
def test_where_the_folder_is(
    monkeypatch: pytest.MonkeyPatch, values: tuple[str | None, ...], expected: str | None
) -> None:
    for name, value in zip(VARIABLES, values, strict=True):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert default_path() == expected


def test_making_a_folder_and_reading_touch_nothing(folder: Folder) -> None:
    assert folder.read("ab") is None
    folder.remove("ab")
    assert folder.entries() == []
    assert folder.clear() == (0, 0)
    assert folder.limit == DEFAULT_LIMIT
    assert folder.problem() is None
    assert not os.path.exists(folder.path)


def test_what_is_written_is_read(folder: Folder) -> None:
    parts: list[bytes | bytearray | memoryview] = [b"", b"one", bytearray(b"two"), memoryview(b"three"), bytes(100_000)]
    assert folder.write("0123456789abcdef", parts)
    assert folder.read("0123456789abcdef") == b"onetwothree" + bytes(100_000)
    assert folder.read("0123456789abcde") is None
    assert os.listdir(folder.path) == ["0123456789abcdef" + SUFFIX]
    assert folder.write("0123456789abcdef", iter([b"new"]))
    assert folder.read("0123456789abcdef") == b"new"
    assert folder.write("0123456789abcdef", [])
    assert folder.read("0123456789abcdef") == b""
    folder.remove("0123456789abcdef")
    assert folder.read("0123456789abcdef") is None
    assert os.listdir(folder.path) == []


def test_parts_of_larger_items_are_counted_in_bytes(folder: Folder) -> None:
    assert folder.set_limit(SHARE * 8)
    assert folder.write("a", [memoryview(bytes(8)).cast("Q")])
    assert not folder.write("b", [memoryview(bytes(16)).cast("Q")])


def test_the_folder_is_made_for_its_owner_only(above: Path) -> None:
    path = above / "x" / "y" / "z"
    before = os.umask(0)
    try:
        assert Folder(str(path)).write("a", [b"1"])
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o7777 == 0o700
    assert (path / f"a{SUFFIX}").stat().st_mode & 0o7777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o777  # as mkdir makes them


def test_a_relative_path_means_the_working_directory_of_its_moment(
    above: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(above)
    folder = Folder("here")
    monkeypatch.chdir("/")
    assert folder.path == str(above / "here")
    assert folder.write("a", [b"1"])
    assert (above / "here" / f"a{SUFFIX}").read_bytes() == b"1"


@pytest.mark.parametrize("name", ["", "A", "g", "a.b", "../a", "a/b", "a\0", " a", "a\n", "a.code", "٣", "a" * 129])
def test_names_are_hexadecimal(folder: Folder, name: str) -> None:
    for use in (folder.read, folder.remove, lambda name: folder.write(name, [b""])):
        with pytest.raises(ValueError, match="hexadecimal digits"):
            use(name)


def test_a_file_system_that_gives_little_at_a_time(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert folder.write("a", [bytes(range(100))])
    read = os.read
    monkeypatch.setattr(os, "read", lambda opened, size: read(opened, min(size, 7)))
    assert folder.read("a") == bytes(range(100))


@pytest.mark.parametrize("size", [0, 5, 99, 101, 5000])
def test_a_file_that_changes_its_size_while_it_is_read(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    assert folder.write("a", [bytes(100)])
    read = os.read

    def changing(opened: int, count: int) -> bytes:
        os.truncate(f"{folder.path}/a{SUFFIX}", size)
        return read(opened, count)

    monkeypatch.setattr(os, "read", changing)
    assert folder.read("a") is None


def test_a_file_that_is_replaced_while_it_is_read_is_the_old_one(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert folder.write("a", [b"old"])
    read = os.read

    def replacing(opened: int, count: int) -> bytes:
        monkeypatch.undo()
        assert folder.write("a", [b"newer"])
        return read(opened, count)

    monkeypatch.setattr(os, "read", replacing)
    # The old one has no name any more, but the descriptor was checked before.
    assert folder.read("a") == b"old"
    assert folder.read("a") == b"newer"


def test_last_use_is_noted_once_an_hour_and_whatever_the_clock_says(folder: Folder) -> None:
    assert folder.write("a", [b"1"])
    path = f"{folder.path}/a{SUFFIX}"
    now = os.stat(path).st_mtime
    for before, noted in ((now - HOUR / 2, False), (now - 2 * HOUR, True), (now + 2 * HOUR, True), (0, True)):
        os.utime(path, (before, before))
        assert folder.read("a") == b"1"
        assert (os.stat(path).st_mtime != pytest.approx(before, abs=1)) == noted


@pytest.mark.parametrize("name", ["PRECISION", "SKEW"])
def test_how_exact_and_how_wrong_times_may_be_are_told_apart(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    assert folder.write("a", [b"1"])
    path = f"{folder.path}/a{SUFFIX}"
    now = os.stat(path).st_mtime
    monkeypatch.setattr(folder_module, name, 3 * HOUR)
    for before, side in ((now - 2 * HOUR, "PRECISION"), (now + 2 * HOUR, "SKEW")):
        os.utime(path, (before, before))
        assert folder.read("a") == b"1"
        assert (os.stat(path).st_mtime == pytest.approx(before, abs=1)) == (side == name)


def test_last_use_that_cannot_be_noted(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert folder.write("a", [b"1"])
    os.utime(f"{folder.path}/a{SUFFIX}", (0, 0))

    def refused(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "utime", refused)
    assert folder.read("a") == b"1"


def test_descriptors_are_not_inherited(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert folder.write("a", [b"1"])
    seen = []
    real = os.open

    def noting(*words: object, **more: object) -> int:
        opened: int = real(*words, **more)  # type: ignore[arg-type]
        seen.append(os.get_inheritable(opened))
        return opened

    monkeypatch.setattr(os, "open", noting)
    assert folder.read("a") == b"1"
    assert folder.write("a", [b"2"])
    assert len(seen) >= 4
    assert not any(seen)


def test_a_child_of_a_fork_goes_on_with_the_same_object(folder: Folder) -> None:
    assert folder.write("a", [b"1"])

    def child() -> None:
        assert folder.read("a") == b"1"
        assert folder.write("b", [b"2"])

    in_child(child)
    assert folder.read("b") == b"2"


def test_reading_loads_nothing_else(folder: Folder) -> None:
    assert folder.write("a", [b"1"])
    program = (
        "import os, sys\n"
        "before = set(sys.modules)\n"
        "from vibewasm.cache.folder import Folder\n"
        f"assert Folder({folder.path!r}).read('a') == b'1'\n"
        "print(sorted(set(sys.modules) - before - {'__future__', 'vibewasm'}))\n"
    )
    line = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(Path.cwd())!r})\n{program}"]
    loaded = subprocess.run(line, capture_output=True, check=True, text=True).stdout
    assert loaded == "['vibewasm.cache', 'vibewasm.cache.folder']\n"


def test_a_name_aside_that_is_taken_is_left_alone(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a process of the same number in another container, which then even draws the same number at random."""
    monkeypatch.setattr(os, "urandom", bytes)
    assert folder.write("a", [b"1"])
    taken = Path(folder.path, f"{os.getpid():x}-{bytes(8).hex()}{ASIDE}")
    taken.write_bytes(b"somebody's")
    assert not folder.write("a", [b"2"])
    assert taken.read_bytes() == b"somebody's"
    assert folder.read("a") == b"1"
    monkeypatch.undo()
    assert folder.write("a", [b"2"])
    assert folder.read("a") == b"2"


def test_names_aside_are_different_ones_whatever_the_process(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    rename = os.rename

    def noting(name: str, target: str, **folders: int) -> None:
        seen.append(name)
        rename(name, target, **folders)

    monkeypatch.setattr(os, "getpid", lambda: 7)
    monkeypatch.setattr(os, "rename", noting)
    for _ in range(100):
        assert folder.write("a", [b"1"])
    assert len(set(seen)) == 100
    assert all(is_aside(name) for name in seen)
