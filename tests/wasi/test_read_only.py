"""Directories that a program may read and not change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import vibewasm as vw
from tests.wasi.program import READ_WRITE, ROOT, Program, fails
from vibewasm.wasi import WasiConfig, abi
from vibewasm.wasi.errnos import EBADF, EPERM

READ_ONLY, WRITABLE = ROOT, ROOT + 1


@pytest.fixture
def program(folder: Path, tmp_path: Path) -> Program:
    """A program with ``folder``, which has a file and a folder in it, read-only as 3, and another directory as 4."""
    (folder / "file").write_bytes(b"data")
    (folder / "sub").mkdir()
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine").write_bytes(b"mine")
    preopens: dict[str, Path | vw.Dir] = {"/": vw.Dir(folder, read_only=True), "/other": other}
    return Program(WasiConfig(["program"], preopens=preopens, stdin=b"", stdout="/dev/null", stderr="/dev/null"))


def contents(folder: Path) -> dict[str, tuple[bytes, float]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes() if path.is_file() else b"", path.stat().st_mtime)
        for path in folder.rglob("*")
    }


def open_sub(program: Program) -> int:
    return program.open("sub", oflags=abi.OFLAG_DIRECTORY)


CHANGES: list[Callable[[Program], object]] = [
    lambda p: p.open("file", rights=abi.FD_WRITE),
    lambda p: p.open("file", rights=READ_WRITE),
    lambda p: p.open("file", rights=abi.FD_READ, oflags=abi.OFLAG_TRUNC),
    lambda p: p.open("file", rights=abi.FD_READ, oflags=abi.OFLAG_CREAT),
    lambda p: p.open("new", rights=READ_WRITE, oflags=abi.OFLAG_CREAT),
    lambda p: p.mkdir("new"),
    lambda p: p.rmdir("sub"),
    lambda p: p.unlink("file"),
    lambda p: p.symlink("file", "new"),
    lambda p: p.rename("file", "new"),
    lambda p: p.rename("file", "new", new_fd=WRITABLE),
    lambda p: p.rename("mine", "new", fd=WRITABLE),
    lambda p: p.link("file", "new"),
    # Through a link elsewhere the file could be changed.
    lambda p: p.link("file", "new", new_fd=WRITABLE),
    lambda p: p.link("mine", "new", fd=WRITABLE),
    lambda p: p.set_times("file", 1, 1, abi.SET_ATIM | abi.SET_MTIM),
    lambda p: p.call("fd_filestat_set_times", READ_ONLY, 1, 1, abi.SET_MTIM),
    lambda p: p.call("fd_filestat_set_times", p.open("file", rights=abi.FD_READ), 1, 1, abi.SET_MTIM),
    lambda p: p.call("fd_filestat_set_size", p.open("file", rights=abi.FD_READ), 1),
    lambda p: p.mkdir("new", fd=open_sub(p)),
    lambda p: p.create("new", fd=open_sub(p)),
]


@pytest.mark.parametrize("change", CHANGES, ids=range(len(CHANGES)))
def test_whatever_changes_something_is_not_permitted(
    change: Callable[[Program], object], program: Program, folder: Path
) -> None:
    before = contents(folder)
    with fails(EPERM):
        change(program)
    assert contents(folder) == before


def test_an_open_file_can_be_read_and_not_written(program: Program) -> None:
    fd = program.open("file", rights=abi.FD_READ)
    assert program.read(fd, 10) == b"data"
    with fails(EBADF):
        program.write(fd, b"x")
    with fails(EBADF):
        program.pwrite(fd, b"x", 0)
    assert program.stat("file").size == 4
    assert set(program.names(READ_ONLY)) == {b".", b"..", b"file", b"sub"}


def test_a_directory_beside_it_can_be_written(program: Program, tmp_path: Path) -> None:
    program.create("new", b"written", fd=WRITABLE)
    program.mkdir("dir", fd=WRITABLE)
    program.rename("mine", "yours", fd=WRITABLE, new_fd=WRITABLE)
    assert (tmp_path / "other" / "new").read_bytes() == b"written"


def test_a_program_cannot_get_around_it_by_another_number(program: Program) -> None:
    program.call("fd_renumber", READ_ONLY, WRITABLE)
    with fails(EPERM):
        program.mkdir("new", fd=WRITABLE)


def test_a_dir_is_compared_and_shown_by_what_it_says(tmp_path: Path) -> None:
    assert vw.Dir("x", read_only=True) == vw.Dir(Path("x"), read_only=True) != vw.Dir("x")
    assert len({vw.Dir("x"), vw.Dir("x")}) == 1
    assert vw.Dir("x") != "x"
    assert repr(vw.Dir("x", read_only=True)) == "Dir('x', read_only=True)"
    assert repr(vw.Dir("x")) == "Dir('x')"
    with pytest.raises(TypeError, match=r"^Dir: path has to be the path of a directory, not int 3$"):
        vw.Dir(3)  # type: ignore[arg-type]  # what is tested
    with pytest.raises(TypeError, match=r"^Dir: read_only has to be True or False, not int 1$"):
        vw.Dir("x", read_only=1)  # type: ignore[arg-type]  # what is tested
