"""Making room: the limit holds, what was used least recently goes first, and what is not ours is never touched."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from vibewasm import aside
from vibewasm.aside import ASIDE
from vibewasm.cache import contents
from vibewasm.cache.folder import DEFAULT_LIMIT, LIMIT, SUFFIX, Folder

from .filling import DAY, HOUR, names, put

#: Names that look much like ours.
FOREIGN = [
    "README",
    "notes.code.txt",
    "x.code",
    "A.code",
    ".code",
    "a.code~",
    "a.cod",
    "1-2-3.new",
    "1.new",
    "-.new",
    "a-.new",
    "-a.new",
    "x-1.new",
    "limit.new",
    "a-1.NEW",
]


def leave(folder: Folder, name: str, size: int, age: float = 0) -> Path:
    """A file that a killed writer left so many seconds ago."""
    path = Path(folder.path, name + ASIDE)
    path.write_bytes(bytes(size))
    used = time.time() - age
    os.utime(path, (used, used))
    return path


def test_entries_say_what_is_there_the_last_used_first(folder: Folder) -> None:
    put(folder, "a", 10, 3 * HOUR)
    put(folder, "b", 20, 1 * HOUR)
    put(folder, "c", 30, 2 * HOUR)
    found = folder.entries()
    assert [(entry.name, entry.size) for entry in found] == [("b", 20), ("c", 30), ("a", 10)]
    assert found[0].used == pytest.approx(time.time() - HOUR, abs=60)
    assert repr(found[0]).startswith("Entry('b', 20, ")


def test_the_least_recently_used_go_first(folder: Folder) -> None:
    assert folder.set_limit(100)
    for age, name in enumerate("abcd"):
        put(folder, name, 25, (4 - age) * DAY)
    assert folder.read("a") is not None  # used now
    assert folder.write("e", [bytes(25)])
    assert names(folder) == ["a", "c", "d", "e"]
    assert folder.write("f", [bytes(1)])
    assert names(folder) == ["a", "d", "e", "f"]


def test_a_file_that_is_replaced_makes_room_itself(folder: Folder) -> None:
    assert folder.set_limit(100)
    for name in "abcd":
        put(folder, name, 25)
    assert folder.write("a", [bytes(25)])
    assert names(folder) == list("abcd")


def test_one_file_has_at_most_a_quarter(folder: Folder) -> None:
    assert folder.set_limit(100)
    put(folder, "a", 25)
    assert not folder.write("b", [bytes(20), bytes(6)])
    assert not folder.write("a", [bytes(26)])
    assert names(folder) == ["a"]


def test_what_is_too_large_by_default_is_read_where_the_limit_allows_it(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = DEFAULT_LIMIT // 4 + 1
    assert not folder.write("a", [bytes(size)])
    assert folder.set_limit(4 * size)
    assert folder.write("a", [bytes(size)])
    data = folder.read("a")
    assert data is not None
    assert len(data) == size
    assert folder.set_limit(4 * size - 4)
    assert folder.read("a") is None


def test_a_limit_of_nothing(folder: Folder) -> None:
    put(folder, "a", 1)
    assert folder.set_limit(0)
    assert names(folder) == []
    assert not folder.write("a", [b"1"])
    assert os.listdir(folder.path) == [LIMIT]


def test_a_lower_limit_holds_at_once(folder: Folder) -> None:
    for age, name in enumerate("abcd"):
        put(folder, name, 25, age * DAY)
    assert folder.set_limit(60)
    assert names(folder) == ["a", "b"]


@pytest.mark.parametrize("limit", [-1, 1 << 63])
def test_a_limit_that_is_no_size(folder: Folder, limit: int) -> None:
    with pytest.raises(ValueError, match="from 0 to 2\\^63 - 1"):
        folder.set_limit(limit)


@pytest.mark.parametrize("limit", [0, 1, (1 << 63) - 1])
def test_a_limit_is_kept(folder: Folder, limit: int) -> None:
    assert folder.set_limit(limit)
    assert Folder(folder.path).limit == limit


@pytest.mark.parametrize("text", [b"", b"-1", b"1\n2", b" 1", b"1K", b"\xff", "٣".encode(), b"1" * 20, b"0x10", b"1_0"])
def test_a_limit_that_is_no_number(folder: Folder, text: bytes) -> None:
    assert folder.set_limit(5)
    Path(folder.path, LIMIT).write_bytes(text)
    assert folder.limit == DEFAULT_LIMIT


def test_what_killed_writers_left_goes_after_an_hour(folder: Folder) -> None:
    put(folder, "a", 1)
    young = [leave(folder, "1-1", 5), leave(folder, "1-2", 5, HOUR / 2), leave(folder, "1-3", 5, -HOUR / 2)]
    old = [
        leave(folder, "2-1", 5, 2 * HOUR),
        leave(folder, "2-2", 5, -2 * HOUR),
        leave(folder, "ffff-2", 5, 9999 * DAY),
    ]
    assert folder.write("b", [b"1"])
    assert all(path.exists() for path in young)
    assert not any(path.exists() for path in old)
    assert names(folder) == ["a", "b"]


def test_how_long_a_writer_may_take_is_a_time_of_its_own(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    put(folder, "b", 1)
    monkeypatch.setattr(aside, "ABANDONED", 3 * HOUR)
    young, old = leave(folder, "1-1", 5, 2 * HOUR), leave(folder, "1-2", 5, 4 * HOUR)
    assert folder.write("a", [b"1"])
    assert (young.exists(), old.exists()) == (True, False)


def test_how_much_clocks_differ_is_a_time_of_its_own(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    put(folder, "a", 1, -2 * HOUR)
    put(folder, "b", 1, -4 * HOUR)
    monkeypatch.setattr(contents, "SKEW", 3 * HOUR)
    assert folder.clear(older_than=DAY) == (1, 1)
    assert names(folder) == ["a"]


def test_what_is_being_written_counts(folder: Folder) -> None:
    assert folder.set_limit(100)
    put(folder, "a", 25, DAY)
    put(folder, "b", 25)
    leave(folder, "1-1", 40)
    assert folder.write("c", [bytes(25)])
    assert names(folder) == ["b", "c"]
    leave(folder, "1-2", 40)
    assert not folder.write("d", [bytes(25)])
    assert names(folder) == ["b", "c"]  # it would have been of no use


def test_times_to_come_go_first(folder: Folder) -> None:
    """A clock was wrong, and is right again: what it called the last used must not stay for ever."""
    assert folder.set_limit(100)
    for name, age in (("a", -400 * DAY), ("b", 10 * DAY), ("c", -300 * DAY), ("d", 5 * DAY)):
        put(folder, name, 25, age)
    assert folder.write("e", [bytes(1)])
    assert names(folder) == ["a", "b", "d", "e"]
    assert folder.write("e", [bytes(25)])
    assert folder.write("f", [bytes(25)])
    assert names(folder) == ["b", "d", "e", "f"]
    assert folder.write("9", [bytes(1)])
    assert names(folder) == ["9", "d", "e", "f"]


@pytest.mark.parametrize("name", FOREIGN)
def test_other_files_are_never_touched(folder: Folder, name: str) -> None:
    put(folder, "a", 1, 99 * DAY)
    path = Path(folder.path, name)
    path.write_bytes(b"mine")
    os.utime(path, (0, 0))
    assert folder.set_limit(0)
    assert not folder.write("a", [b"1"])
    assert folder.clear() == (0, 0)
    assert path.read_bytes() == b"mine"
    assert sorted(os.listdir(folder.path)) == sorted([name, LIMIT])


def test_clearing_takes_what_is_ours(folder: Folder) -> None:
    put(folder, "a", 10)
    put(folder, "b", 20)
    Path(folder.path, f"c{SUFFIX}").symlink_to("/etc/passwd")
    leave(folder, "1-1", 5)
    assert folder.set_limit(1000)
    count, _ = folder.clear()
    assert count == 3
    assert os.listdir(folder.path) == [LIMIT]
    assert os.path.exists("/etc/passwd")


def test_clearing_what_is_old(folder: Folder) -> None:
    put(folder, "a", 10, 1 * DAY)
    put(folder, "b", 20, 3 * DAY)
    put(folder, "c", 40, -5 * DAY)
    young, old = leave(folder, "1-1", 5), leave(folder, "1-2", 5, 2 * HOUR)
    assert folder.clear(older_than=2 * DAY) == (2, 60)
    assert names(folder) == ["a"]
    assert young.exists()
    assert not old.exists()


def test_the_number_of_files_is_limited(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "MOST_FILES", 10)
    for number in range(15):
        put(folder, f"{number:x}", 1, (20 - number) * DAY)
        assert len(folder.entries()) <= 10
    assert names(folder) == sorted(f"{number:x}" for number in range(5, 15))


def test_a_crowded_folder_takes_bounded_work_and_gets_empty(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(100):
        put(folder, f"{number:x}", 1)
    monkeypatch.setattr(contents, "MOST_FILES", 10)
    monkeypatch.setattr(contents, "MOST_REMOVED", 7)
    removed = 0
    while not folder.write("abc", [b"1"]):
        problem = folder.problem()
        assert len(folder.entries()) == 100 - removed - 7
        removed += 7
    assert problem is None or "more than" in problem
    assert removed >= 80
    assert folder.problem() is None
    while len(folder.entries()) > 10:
        folder.write("abc", [b"1"])
    assert folder.read("abc") == b"1"


def test_a_folder_with_many_files_of_others(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    put(folder, "a", 1)
    for number in range(30):
        Path(folder.path, f"other {number}").write_bytes(b"")
    monkeypatch.setattr(contents, "MOST_NAMES", 20)
    assert not folder.write("b", [b"1"])
    assert folder.read("a") == b"\0"
    assert len(os.listdir(folder.path)) == 31


def test_what_another_writer_removed_is_room(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert folder.set_limit(100)
    for name in "abcd":
        put(folder, name, 25, DAY)
    unlink = os.unlink

    def faster(path: str, *, dir_fd: int) -> None:
        unlink(path, dir_fd=dir_fd)
        unlink(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", faster)
    assert folder.write("e", [bytes(25)])
    assert len(folder.entries()) == 4


def test_what_cannot_be_removed_is_not_added_to(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert folder.set_limit(100)
    for name in "abcd":
        put(folder, name, 25, DAY)

    def refused(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "unlink", refused)
    assert not folder.write("e", [bytes(25)])
    assert folder.clear() == (0, 0)
    assert names(folder) == list("abcd")
