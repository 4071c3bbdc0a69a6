"""``vibewasm cache``: what is kept, how it is cleaned and limited, and why nothing is kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cache.filling import DAY, HOUR, names, put
from vibewasm.cache.folder import DEFAULT_LIMIT, SUFFIX, Folder
from vibewasm.cli import main

from .command import command

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.setenv("VIBEWASM_CACHE", str(tmp_path / "cache"))
    return Folder(str(tmp_path / "cache"))


def test_a_folder_that_is_not_there_yet(folder: Folder, capsys: Capture) -> None:
    assert main(["cache"]) == 0
    assert capsys.readouterr().out == (
        f"{folder.path}: 0 files, 0 of at most {DEFAULT_LIMIT:,} bytes\n"
        "it is not there yet; the first program that is run makes it\n"
    )
    assert main(["cache", "--clean"]) == 0
    assert main(["cache", "--path"]) == 0
    assert not os.path.exists(folder.path)


def test_a_few_files_are_listed_once(folder: Folder, capsys: Capture) -> None:
    put(folder, "0123456789abcdef" * 4, 12_345, 3 * DAY)
    put(folder, "a", 1, 5 * HOUR + 60)
    put(folder, "b", 2)
    put(folder, "c", 3, -DAY)
    put(folder, "d", 4, 400 * DAY)
    assert main(["cache"]) == 0
    assert capsys.readouterr().out == (
        f"{folder.path}: 5 files, 12,355 of at most {DEFAULT_LIMIT:,} bytes\n"
        "\n"
        "  c                              3 bytes, used at a time to come (a clock was wrong)\n"
        "  b                              2 bytes, used within two hours\n"
        "  a                              1 bytes, used 5 hours ago\n"
        "  0123456789abcdef          12,345 bytes, used 3 days ago\n"
        "  d                              4 bytes, used 400 days ago\n"
    )


def test_of_many_files_the_largest_and_the_last_used_are_listed(folder: Folder, capsys: Capture) -> None:
    for number in range(1, 10):
        put(folder, str(number), number, number * DAY)
    assert main(["cache"]) == 0
    _, largest, used = capsys.readouterr().out.split("\n\n")
    assert largest.startswith("largest:\n")
    assert used.startswith("used last:\n")
    assert [line.split()[0] for line in largest.splitlines()[1:]] == list("98765")
    assert [line.split()[0] for line in used.splitlines()[1:]] == list("12345")


def test_times_that_no_calendar_has(folder: Folder, capsys: Capture) -> None:
    put(folder, "a", 1)
    for used in (-(1 << 31), 0, 1 << 33):
        os.utime(f"{folder.path}/a{SUFFIX}", (used, used))
        assert main(["cache"]) == 0
    assert "used at a time to come" in capsys.readouterr().out


def test_cleaning(folder: Folder, capsys: Capture) -> None:
    put(folder, "a", 1_000, 3 * DAY)
    put(folder, "b", 2_000)
    assert main(["cache", "--clean", "--older-than", "2"]) == 0
    assert capsys.readouterr().out == (
        f"removed: 1 file, 1,000 bytes\n{folder.path}: 2,000 of at most {DEFAULT_LIMIT:,} bytes\n"
    )
    assert names(folder) == ["b"]
    assert main(["cache", "--clean"]) == 0
    assert capsys.readouterr().out.startswith("removed: 1 file, 2,000 bytes\n")
    assert names(folder) == []
    assert main(["cache", "--clean"]) == 0
    assert capsys.readouterr().out.startswith("removed: 0 files, 0 bytes\n")


def test_limiting(folder: Folder, capsys: Capture) -> None:
    assert main(["cache", "--limit", "1G"]) == 0
    assert folder.limit == 1 << 30
    assert capsys.readouterr().out == f"{folder.path}: 0 of at most 1,073,741,824 bytes\n"
    put(folder, "a", 1_000)
    put(folder, "b", 2_000, DAY)
    assert main(["cache", "--limit=2K"]) == 0
    assert names(folder) == ["a"]
    assert capsys.readouterr().out == f"{folder.path}: 1,000 of at most 2,048 bytes\n"


def test_the_path_for_scripts(folder: Folder, tmp_path: Path) -> None:
    assert command("cache", "--path").stdout == os.fsencode(folder.path) + b"\n"
    for name in (b"new\nline \xff", "\u202e".encode(), b"\x1b[31m"):
        outcome = command("cache", "--path", cwd=tmp_path, VIBEWASM_CACHE=os.fsdecode(name))
        assert outcome.stdout == os.fsencode(tmp_path) + b"/" + name + b"\n"


def test_a_path_is_shown_escaped(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    for mode in (0o700, 0o755):
        path = tmp_path / f"{mode:o}\x1b[31m\u202e\n"
        path.mkdir(mode)
        path.chmod(mode)
        monkeypatch.setenv("VIBEWASM_CACHE", str(path))
        for words in ([], ["--clean"], ["--limit", "1M"]):
            main(["cache", *words])
            shown = "".join(capsys.readouterr())
            assert "\\x1b[31m\\u202e\\n" in shown
            assert all(character.isprintable() or character == "\n" for character in shown)


def test_why_it_is_off(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("VIBEWASM_CACHE", "off"), ("VIBEWASM_CACHE", ""), ("XDG_CACHE_HOME", "relative")):
        monkeypatch.delenv("HOME", raising=False)
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setenv(name, value)
        assert main(["cache"]) == 0
        assert capsys.readouterr().out.startswith("no code is kept: VIBEWASM_CACHE is 'off', or ")
        for words in (["--path"], ["--clean"], ["--limit", "1"]):
            assert main(["cache", *words]) == 1
            shown, error = capsys.readouterr()
            assert shown == ""
            assert error.startswith("vibewasm: no code is kept: ")


def test_why_it_is_not_used(folder: Folder, capsys: Capture) -> None:
    put(folder, "a", 1)
    os.chmod(folder.path, 0o750)
    why = (
        f"others may use it: its mode is 0750, not 0700; see that {folder.path} is a folder of your own with "
        "mode 0700, or name another in VIBEWASM_CACHE\n"
    )
    assert main(["cache"]) == 0
    assert capsys.readouterr().out.splitlines(True)[1] == "not used as it should be: " + why
    assert main(["cache", "--clean"]) == 1
    assert capsys.readouterr() == ("", "vibewasm: nothing can be removed: " + why)
    assert main(["cache", "--limit", "1"]) == 1
    assert capsys.readouterr() == ("", "vibewasm: the limit cannot be kept: " + why)
    os.chmod(folder.path, 0o700)
    assert folder.read("a") == b"\0"
    assert folder.limit == DEFAULT_LIMIT


def test_what_cannot_be_removed(folder: Folder, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    put(folder, "a", 1)

    def refused(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "unlink", refused)
    assert main(["cache", "--clean"]) == 1
    shown, error = capsys.readouterr()
    assert shown == "removed: 0 files, 0 bytes\n"
    assert error == "vibewasm: 1 file cannot be removed\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["clean"], "it takes options only, not 'clean'; did you mean '--clean'?"),
        (["x.wasm"], "it takes options only, not 'x.wasm'"),
        (["--clean", "--limit", "1"], "--limit and --clean do not go together"),
        (["--path", "--clean"], "--path and --clean do not go together"),
        (["--older-than", "3"], "--older-than says what --clean removes, and goes with it only"),
        (["--clean", "--older-than", "x"], "--older-than wants a whole number of at least 0, not 'x'"),
        (["--clean", "--older-than", "1000001"], "--older-than is too large: 1000001; it takes numbers up to 1000000"),
        (["--limit", "many"], "--limit wants a number of bytes, such as 65536, 512K, 64M or 1G, not 'many'"),
        (["--limit", "9" * 30], f"--limit is too large: {'9' * 30}; it takes fewer than 2^63 bytes"),
    ],
)
def test_a_wrong_command_line(folder: Folder, capsys: Capture, words: list[str], message: str) -> None:
    assert main(["cache", *words]) == 2
    assert capsys.readouterr().err == f"vibewasm cache: {message}\nTry 'vibewasm cache --help'.\n"
    assert not os.path.exists(folder.path)
