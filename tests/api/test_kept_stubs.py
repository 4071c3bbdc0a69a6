"""The stubs that processes keep: each folder has its own, and a file of them is checked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vibewasm.api import kept_stubs
from vibewasm.cache.code import pack_stubs, unpack_stubs
from vibewasm.cache.container import STUBS, Damaged, pack
from vibewasm.cache.folder import Folder
from vibewasm.calls.process import known_stubs


@pytest.fixture(autouse=True)
def a_process_that_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_stubs, "_folders", {})
    monkeypatch.setattr(known_stubs, "made", {})
    monkeypatch.setattr(known_stubs, "kept", {})


def folder(path: Path, **stubs: bytes) -> Folder:
    """A folder in which an earlier process has kept these."""
    made = Folder(str(path))
    if stubs:
        key = kept_stubs._key()
        assert made.write(key.hex(), pack(STUBS, key, pack_stubs(stubs)))
    return made


def kept_in(place: Folder) -> dict[str, bytes]:
    return kept_stubs._stubs_in(place, kept_stubs._key())


def test_what_one_folder_gave_is_written_to_no_other(tmp_path: Path) -> None:
    one, other = folder(tmp_path / "one", first=b"1"), folder(tmp_path / "other", second=b"2")
    for place in (one, other):
        kept_stubs.use_stubs(place)
    assert known_stubs.kept == {"first": b"1", "second": b"2"}
    known_stubs.made["third"] = b"3"
    kept_stubs.save_stubs()
    assert kept_in(one) == {"first": b"1", "third": b"3"}
    assert kept_in(other) == {"second": b"2", "third": b"3"}


def test_processes_that_overlap_keep_what_both_made(tmp_path: Path) -> None:
    place = folder(tmp_path)
    kept_stubs.use_stubs(place)
    folder(tmp_path, theirs=b"1")
    known_stubs.made["ours"] = b""
    kept_stubs.save_stubs()
    assert kept_in(place) == {"theirs": b"1", "ours": b""}


def test_what_could_not_be_written_is_written_later(tmp_path: Path) -> None:
    path = tmp_path / "cache"
    place = folder(path)
    kept_stubs.use_stubs(place)
    known_stubs.made["stub"] = b"1"
    path.write_bytes(b"in the way")
    kept_stubs.save_stubs()
    path.unlink()
    kept_stubs.save_stubs()
    assert kept_in(place) == {"stub": b"1"}


def test_nothing_is_written_where_nothing_is_new(tmp_path: Path) -> None:
    place = folder(tmp_path, stub=b"1")
    [file] = tmp_path.iterdir()
    before = file.stat().st_ino
    kept_stubs.use_stubs(place)
    known_stubs.made["stub"] = b"1"
    kept_stubs.save_stubs()
    assert file.stat().st_ino == before
    os.unlink(file)
    kept_stubs.save_stubs()
    assert not file.exists()


def test_of_more_than_are_kept_the_first_ones_are(tmp_path: Path) -> None:
    place = folder(tmp_path)
    kept_stubs.use_stubs(place)
    known_stubs.made.update({"long": bytes(1 << 20), "n" * 1000: b"1"})
    known_stubs.made.update({str(number): b"1" for number in range(5000)})
    kept_stubs.save_stubs()
    assert [*kept_in(place)] == [str(number) for number in range(512)]


@pytest.mark.parametrize("place", range(16))
def test_a_label_that_was_altered_is_found(place: int) -> None:
    names, packed = pack_stubs({"one": b"\x90" * 20, "two": b"", "three": b"\xc3"})
    assert unpack_stubs(memoryview(names), memoryview(packed)) == {"one": b"\x90" * 20, "two": b"", "three": b"\xc3"}
    for label in (0, 48, 64):
        altered = bytearray(packed)
        altered[label + place] ^= 1
        with pytest.raises(Damaged):
            unpack_stubs(memoryview(names), memoryview(altered))


@pytest.mark.parametrize(
    ("names", "fault"),
    [(b"one\ntwo", "label"), (b"one", "label"), (b"one\none\none", "label"), (b"\xff\n\n", "text"), (b"", "label")],
)
def test_names_of_other_stubs_are_found(names: bytes, fault: str) -> None:
    _, packed = pack_stubs({"one": b"1", "two": b"2", "three": b"3"})
    with pytest.raises(Damaged, match=fault):
        unpack_stubs(memoryview(names), memoryview(packed))


@pytest.mark.parametrize(("names", "count"), [("a\na", 2), ("a\nb\nc", 2), ("a", 2)])
def test_one_name_for_each_stub(names: str, count: int) -> None:
    from vibewasm.cache.code import pack_functions

    packed = pack_functions([(number, b"1") for number in range(count)], names.encode())
    with pytest.raises(Damaged, match=r"one name for each|number or length"):
        unpack_stubs(memoryview(names.encode()), memoryview(packed))
