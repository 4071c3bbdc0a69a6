"""``vibewasm cache``: what is kept, how it is cleaned and limited, and why nothing is kept."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.cache.filling import DAY, HOUR, names, put
from tests.spec.suite import PROJECT_ROOT
from vibewasm.cache.folder import DEFAULT_LIMIT, SUFFIX, Folder
from vibewasm.cache.source import BUILT, BUILT_STUBS
from vibewasm.cli import main

from .command import command

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.setenv("VIBEWASM_CACHE", str(tmp_path / "cache"))
    return Folder(str(tmp_path / "cache"))


def test_a_folder_that_is_not_there_yet(folder: Folder, capsys: Capture) -> None:
    assert main(["cache"]) == 0
    assert capsys.readouterr().out == (f"{folder.path}: not there yet; the first program whose code is kept makes it\n")
    assert main(["cache", "--clean"]) == 0
    assert main(["cache", "--path"]) == 0
    assert not os.path.exists(folder.path)


def test_a_folder_that_is_empty(folder: Folder, capsys: Capture) -> None:
    os.mkdir(folder.path, 0o700)
    assert main(["cache"]) == 0
    assert capsys.readouterr().out == f"{folder.path}: empty; at most 256 MiB are kept in it\n"


def test_what_was_used_last_is_listed_first(folder: Folder, capsys: Capture) -> None:
    put(folder, "0123456789abcdef" * 4, 12_345, 3 * DAY)
    put(folder, "a", 1, 5 * HOUR + 60)
    put(folder, "b", 2_000_000)
    put(folder, "c", 1024, -DAY)
    put(folder, "d", 4, 400 * DAY)
    assert main(["cache"]) == 0
    assert capsys.readouterr().out == (
        f"{folder.path}: 5 files, 1.9 MiB of at most 256 MiB\n"
        "\n"
        "      size  functions  module size  last used                              key\n"
        "     1 KiB   unusable               at a time to come (a clock was wrong)  c\n"
        "   1.9 MiB   unusable               within two hours                       b\n"
        "    1 byte   unusable               5 hours ago                            a\n"
        "  12.1 KiB   unusable               3 days ago                             0123456789ab\n"
        "   4 bytes   unusable               400 days ago                           d\n"
    )


def test_many_files_are_not_all_listed(folder: Folder, capsys: Capture) -> None:
    for number in range(1, 24):
        put(folder, f"{number:x}", number, number * DAY)
    assert main(["cache"]) == 0
    first, table, rest = capsys.readouterr().out.split("\n\n")
    assert first == f"{folder.path}: 23 files, 276 bytes of at most 256 MiB"
    assert [line.split()[-1] for line in table.splitlines()[1:]] == [f"{number:x}" for number in range(1, 21)]
    assert rest == "and 3 files that were used earlier, 66 bytes\n"


def test_a_module_is_known_by_its_size_and_functions(folder: Folder, project: Path) -> None:
    plugin = project / "examples" / "plugin.wasm"
    words = ("run", "--stub-imports", "--invoke", "divide", plugin, "8")
    assert command(*words, VIBEWASM_CACHE=folder.path).returncode == 0
    files = {entry.name: entry.used for entry in folder.entries()}
    long_ago = 1_000_000_000
    for name in files:
        os.utime(f"{folder.path}/{name}{SUFFIX}", (long_ago, long_ago))
    for _ in range(2):
        shown = command("cache", VIBEWASM_CACHE=folder.path).stdout.decode()
        assert f"2 of 6    {plugin.stat().st_size} bytes" in shown
        assert " stubs  all modules" in shown
        assert "unusable" not in shown
    # Looking is no use.
    assert {entry.used for entry in folder.entries()} == {long_ago}
    for name in files:
        path = Path(f"{folder.path}/{name}{SUFFIX}")
        whole = path.read_bytes()
        path.write_bytes(whole[:-1])
    assert command("cache", VIBEWASM_CACHE=folder.path).stdout.decode().count("unusable") == len(files) == 2


def test_times_that_no_calendar_has(folder: Folder, capsys: Capture) -> None:
    put(folder, "a", 1)
    for used in (-(1 << 31), 0, 1 << 33):
        os.utime(f"{folder.path}/a{SUFFIX}", (used, used))
        assert main(["cache"]) == 0
    assert "at a time to come" in capsys.readouterr().out


def test_cleaning(folder: Folder, capsys: Capture) -> None:
    put(folder, "a", 1_000, 3 * DAY)
    put(folder, "b", 2_048)
    assert main(["cache", "--clean", "--older-than", "2"]) == 0
    assert capsys.readouterr().out == (f"removed: 1 file, 1000 bytes\n{folder.path}: 2 KiB of at most 256 MiB\n")
    assert names(folder) == ["b"]
    assert main(["cache", "--clean"]) == 0
    assert capsys.readouterr().out.startswith("removed: 1 file, 2 KiB\n")
    assert names(folder) == []
    assert main(["cache", "--clean"]) == 0
    assert capsys.readouterr().out.startswith("removed: 0 files, 0 bytes\n")


def test_limiting(folder: Folder, capsys: Capture) -> None:
    assert main(["cache", "--limit", "1G"]) == 0
    assert folder.limit == 1 << 30
    assert capsys.readouterr().out == f"{folder.path}: 0 bytes of at most 1 GiB\n"
    put(folder, "a", 1_000)
    put(folder, "b", 2_000, DAY)
    assert main(["cache", "--limit=2K"]) == 0
    assert names(folder) == ["a"]
    assert capsys.readouterr().out == f"{folder.path}: 1000 bytes of at most 2 KiB\n"


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
    unset = "VIBEWASM_CACHE names no folder, and neither XDG_CACHE_HOME nor HOME is an absolute path"
    for name, value, why in (
        ("VIBEWASM_CACHE", "off", "VIBEWASM_CACHE is 'off'"),
        ("VIBEWASM_CACHE", "No", "VIBEWASM_CACHE is 'No'"),
        ("VIBEWASM_CACHE", "", unset),
        ("XDG_CACHE_HOME", "relative", unset),
    ):
        for variable in ("HOME", "XDG_CACHE_HOME", "VIBEWASM_CACHE"):
            monkeypatch.delenv(variable, raising=False)
        monkeypatch.setenv(name, value)
        assert main(["cache"]) == 0
        assert capsys.readouterr().out == f"no code is kept: {why}\n"
        for words in (["--path"], ["--clean"], ["--limit", "1"]):
            assert main(["cache", *words]) == 1
            assert capsys.readouterr() == ("", f"vibewasm: no code is kept: {why}\n")


def test_why_it_is_not_used(folder: Folder, capsys: Capture) -> None:
    put(folder, "a", 1)
    os.chmod(folder.path, 0o750)
    why = (
        f"others may use it: its mode is 0750, not 0700; see that {folder.path} is a folder of your own with "
        "mode 0700, or name another in VIBEWASM_CACHE\n"
    )
    assert main(["cache"]) == 0
    # No counts: what is in it is not read.
    assert capsys.readouterr().out == f"{folder.path}: not used: {why}"
    assert main(["cache", "--clean"]) == 1
    assert capsys.readouterr() == ("", "vibewasm: nothing can be removed: " + why)
    assert main(["cache", "--limit", "1"]) == 1
    assert capsys.readouterr() == ("", "vibewasm: the limit cannot be kept: " + why)
    os.chmod(folder.path, 0o700)
    assert folder.read("a") == b"\0"
    assert folder.limit == DEFAULT_LIMIT


@pytest.mark.parametrize(
    ("kind", "why"),
    [("file", "it is no folder"), ("link", "it is a symbolic link"), ("below a file", "it is no folder")],
)
def test_what_is_no_folder_is_not_used(folder: Folder, tmp_path: Path, capsys: Capture, kind: str, why: str) -> None:
    if kind == "link":
        (tmp_path / "other").mkdir(0o700)
        os.symlink("other", folder.path)
    elif kind == "file":
        Path(folder.path).touch()
    else:
        os.environ["VIBEWASM_CACHE"] += "/below"
        Path(folder.path).touch()
    assert main(["cache"]) == 0
    shown = capsys.readouterr().out
    assert f": not used: {why}" in shown
    assert "bytes" not in shown


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give folders away")
def test_a_folder_of_another_user_is_not_used(folder: Folder, capsys: Capture) -> None:
    put(folder, "a", 1)
    os.chown(folder.path, 4321, -1)
    assert main(["cache"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"{folder.path}: not used: it belongs to user 4321, and this process runs as user 0; ")
    assert len(shown.splitlines()) == 1


def test_a_folder_that_cannot_be_made(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / ("x" * 300) / "cache"
    monkeypatch.setenv("VIBEWASM_CACHE", str(path))
    assert main(["cache"]) == 0
    assert capsys.readouterr().out.startswith(f"{path}: not used: ")


def test_a_folder_that_is_only_read_is_counted(
    folder: Folder, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder, "a", 1)
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    assert main(["cache"]) == 0
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first == f"{folder.path}: 1 file, 1 byte of at most 256 MiB"
    assert second == "it is read-only: what is in it is used, and nothing is added"


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


@pytest.mark.ci
def test_a_package_in_an_archive_that_is_of_no_wheel_runs_without_a_cache(tmp_path: Path) -> None:
    """Nothing in it tells which version it is, and its source is not there to be read."""
    archive = tmp_path / "package.zip"
    with zipfile.ZipFile(archive, "w") as made:
        for root, folders, names in os.walk(PROJECT_ROOT / "vibewasm", followlinks=True):
            folders[:] = [folder for folder in folders if folder != "__pycache__"]
            for name in names:
                if name not in (BUILT, BUILT_STUBS):
                    made.write(Path(root) / name, (Path(root) / name).relative_to(PROJECT_ROOT))
    module = tmp_path / "add.wat"
    module.write_text(
        '(module (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))'
    )

    def outcome(*words: str | Path) -> tuple[int, str, str]:
        way = f"import sys; sys.path.insert(0, {str(archive)!r}); from vibewasm.__main__ import script; script()"
        line = [sys.executable, "-c", way, *map(str, words)]
        variables = os.environ | {"VIBEWASM_CACHE": str(tmp_path / "cache")}
        done = subprocess.run(
            line, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=60, check=False
        )
        return done.returncode, done.stdout, done.stderr

    assert outcome("run", "--invoke", "add", module, "2", "3") == (0, "5\n", "")
    assert not (tmp_path / "cache").exists()
    code, shown, _ = outcome("cache")
    assert (code, shown.partition(":")[0]) == (0, "no code is kept")
    assert "its source cannot be read" in shown
    code, _, error = outcome("compile", module)
    assert code == 1
    assert error.startswith(f"vibewasm: {module}: precompiled modules are for one version of vibewasm, and which one ")
