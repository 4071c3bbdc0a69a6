"""Read-only directories in writable ones, and the other way round: they stay read-only on every way to them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import vibewasm as vw
from tests.wasi.program import READ_WRITE, ROOT, Program, fails
from vibewasm.wasi import WasiConfig, abi
from vibewasm.wasi.errnos import EBUSY, EPERM

#: The numbers of the writable directory around and of the read-only one in it.
AROUND, LIB = ROOT, ROOT + 1


def given(preopens: dict[str, Path | vw.Dir]) -> Program:
    return Program(WasiConfig(preopens=preopens, stdin=b"", stdout="/dev/null", stderr="/dev/null"))


@pytest.fixture(params=[True, False], ids=["around first", "around last"])
def program(folder: Path, request: pytest.FixtureRequest) -> Program:
    """A program with ``folder`` and, read-only, ``folder/up/lib``."""
    lib = folder / "up/lib"
    (lib / "sub/deep").mkdir(parents=True)
    (lib / "file").write_bytes(b"data")
    (lib / "sub/file").write_bytes(b"data")
    (folder / "mine").write_bytes(b"mine")
    (folder / "dir").mkdir()
    (folder / "link").symlink_to("up/lib/sub")
    (folder / "file-link").symlink_to("up/lib/file")
    (folder / "up/empty").mkdir()
    around: dict[str, Path | vw.Dir] = {"/": folder}
    inside: dict[str, Path | vw.Dir] = {"/lib": vw.Dir(lib, read_only=True)}
    if request.param:
        return given(around | inside)
    program = given(inside | around)
    # The numbers are the same for the tests.
    program.process.files._table[ROOT], program.process.files._table[ROOT + 1] = (
        program.process.files._table[ROOT + 1],
        program.process.files._table[ROOT],
    )
    return program


def state(folder: Path) -> dict[str, tuple[object, ...]]:
    """All that a program could change of the read-only directory."""
    found: dict[str, tuple[object, ...]] = {}
    for path in [folder, *folder.rglob("*")]:
        status = path.lstat()
        content = path.read_bytes() if path.is_file() else b""
        found[str(path)] = (status.st_ino, status.st_mode, status.st_mtime_ns, status.st_nlink, content)
    return found


def directory(program: Program, path: str, fd: int = AROUND) -> int:
    return program.open(path, abi.OFLAG_DIRECTORY, fd=fd, follow=True)


#: What changes something in the directory, by all ways to it that there are.
CHANGES: dict[str, Callable[[Program], object]] = {
    "open to write": lambda p: p.open("up/lib/file", rights=READ_WRITE),
    "open to write only": lambda p: p.open("up/lib/file", rights=abi.FD_WRITE),
    "open by a link": lambda p: p.open("file-link", rights=READ_WRITE, follow=True),
    "open in a link": lambda p: p.open("link/file", rights=READ_WRITE),
    "truncate": lambda p: p.open("up/lib/file", abi.OFLAG_TRUNC),
    "create": lambda p: p.open("up/lib/new", abi.OFLAG_CREAT, READ_WRITE),
    "create without writing": lambda p: p.open("up/lib/new", abi.OFLAG_CREAT),
    "create deeper": lambda p: p.open("up/lib/sub/deep/new", abi.OFLAG_CREAT, READ_WRITE),
    "create by a detour": lambda p: p.open("up/lib/sub/../new", abi.OFLAG_CREAT, READ_WRITE),
    "create in from above": lambda p: p.open("up/../up/./lib//new", abi.OFLAG_CREAT, READ_WRITE),
    "create below a directory opened": lambda p: p.create("new", fd=directory(p, "up/lib")),
    "create below one opened by a link": lambda p: p.create("new", fd=directory(p, "link")),
    "create below one above it": lambda p: p.create("lib/new", fd=directory(p, "up")),
    "create below two opened": lambda p: p.create("new", fd=directory(p, "sub", directory(p, "up/lib"))),
    "mkdir": lambda p: p.mkdir("up/lib/new"),
    "mkdir in a directory opened": lambda p: p.mkdir("new", fd=directory(p, "up/lib/.")),
    "rmdir": lambda p: p.rmdir("up/lib/sub/deep"),
    "unlink": lambda p: p.unlink("up/lib/file"),
    "unlink by a link": lambda p: p.unlink("link/file"),
    "symlink": lambda p: p.symlink("x", "up/lib/new"),
    "symlink with a slash": lambda p: p.symlink("x", "up/lib/"),
    "rename in it": lambda p: p.rename("up/lib/file", "up/lib/new"),
    "rename out of it": lambda p: p.rename("up/lib/file", "new"),
    "rename into it": lambda p: p.rename("mine", "up/lib/new"),
    "rename over": lambda p: p.rename("mine", "up/lib/file"),
    "rename out by its own number": lambda p: p.rename("file", "new", fd=LIB, new_fd=AROUND),
    "rename in by its own number": lambda p: p.rename("mine", "new", fd=AROUND, new_fd=LIB),
    "link out of it": lambda p: p.link("up/lib/file", "new"),
    "link out of it by a link": lambda p: p.link("file-link", "new", follow=True),
    "link into it": lambda p: p.link("mine", "up/lib/new"),
    "link out by its own number": lambda p: p.link("file", "new", fd=LIB, new_fd=AROUND),
    "times of a file": lambda p: p.set_times("up/lib/file", 1, 1, abi.SET_ATIM | abi.SET_MTIM),
    "times of a file by a link": lambda p: p.set_times("file-link", 1, 1, abi.SET_MTIM, follow=True),
    "times of the directory": lambda p: p.set_times("up/lib", 1, 1, abi.SET_MTIM),
    "times of the directory itself": lambda p: p.set_times("up/lib/.", 1, 1, abi.SET_MTIM),
    "times of the directory by a link": lambda p: p.set_times("link/..", 1, 1, abi.SET_MTIM, follow=True),
    "times of it, opened": lambda p: p.call("fd_filestat_set_times", directory(p, "up/lib"), 1, 1, abi.SET_MTIM),
    "size of a file, opened": lambda p: p.call("fd_filestat_set_size", p.open("up/lib/file"), 1),
    "times of a file, opened": lambda p: p.call("fd_filestat_set_times", p.open("up/lib/file"), 1, 1, abi.SET_MTIM),
}  # fmt: skip

#: What would take the directory away, or put another one in its place.
MOVES: dict[str, Callable[[Program], object]] = {
    "rename": lambda p: p.rename("up/lib", "new"),
    "rename with slashes": lambda p: p.rename("up/lib/", "new/"),
    "rename what it is in": lambda p: p.rename("up", "new"),
    "rename by a descriptor": lambda p: p.rename("lib", "new", fd=directory(p, "up")),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_is_read_only_cannot_be_changed_through_what_is_around_it(
    change: Callable[[Program], object], program: Program, folder: Path
) -> None:
    before = state(folder / "up/lib")
    with fails(EPERM):
        change(program)
    assert state(folder / "up/lib") == before
    assert not (folder / "new").exists()


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
def test_it_cannot_be_moved_nor_what_it_is_in(
    move: Callable[[Program], object], program: Program, folder: Path
) -> None:
    before = state(folder / "up/lib")
    with fails(EBUSY):
        move(program)
    assert state(folder / "up/lib") == before


def test_an_empty_one_cannot_be_removed_or_replaced(folder: Path) -> None:
    (folder / "lib").mkdir()
    (folder / "dir").mkdir()
    program = given({"/": folder, "/lib": vw.Dir(folder / "lib", read_only=True)})
    before = state(folder / "lib")
    with fails(EBUSY):
        program.rmdir("lib")
    with fails(EBUSY):
        program.rename("dir", "lib")
    assert state(folder / "lib") == before


def test_what_is_around_it_can_be_changed(program: Program, folder: Path) -> None:
    program.create("up/new", b"x")
    program.create("up/lib/../beside", b"x")
    program.create("link/../../beside2", b"x")
    program.rename("up/empty", "dir/moved")
    program.rename("mine", "yours")
    program.set_times("up", 1, 1, abi.SET_MTIM)
    program.unlink("link")
    program.create("new", b"x", fd=directory(program, "up"))
    assert sorted(os.listdir(folder)) == ["dir", "file-link", "up", "yours"]
    assert sorted(os.listdir(folder / "up")) == ["beside", "beside2", "lib", "new"]
    assert os.listdir(folder / "dir") == ["moved"]


def test_it_can_be_read_by_every_way(program: Program) -> None:
    for path in ("up/lib/file", "link/file", "up/lib/sub/../file"):
        assert program.read(program.open(path), 10) == b"data"
    assert program.read(program.open("file-link", follow=True), 10) == b"data"
    assert b"sub" in program.names(directory(program, "up/lib"))
    assert program.stat("up/lib").type == abi.DIRECTORY


def test_rights_do_not_come_back(program: Program) -> None:
    fd = directory(program, "up/lib")
    rights = program.fdstat(fd).rights
    program.call("fd_fdstat_set_rights", fd, rights, program.fdstat(fd).inheriting)
    program.call("fd_renumber", fd, AROUND)
    attempts: list[Callable[[], object]] = [
        lambda: program.create("new"),
        lambda: program.mkdir("new"),
        lambda: program.unlink("file"),
    ]
    for attempt in attempts:
        with fails(EPERM):
            attempt()


def test_a_writable_one_in_a_read_only_one_is_the_hosts_wish(folder: Path) -> None:
    (folder / "out/sub").mkdir(parents=True)
    (folder / "file").write_bytes(b"data")
    out = ROOT + 1
    program = given({"/": vw.Dir(folder, read_only=True), "/out": folder / "out"})
    program.create("new", b"x", fd=out)
    before = state(folder)
    attempts: list[Callable[[], object]] = [
        lambda: program.create("out/other"),
        lambda: program.create("../other", fd=out),
        lambda: program.rename("file", "file", new_fd=out),
        lambda: program.link("file", "file", new_fd=out),
        lambda: program.rename("new", "new", fd=out, new_fd=ROOT),
        lambda: program.rmdir("out/sub"),
    ]
    for attempt in attempts:
        with fails(EPERM):
            attempt()
    assert state(folder) == before


@pytest.mark.parametrize("way", ["path", "link", "detour"])
def test_one_directory_given_in_both_ways_is_refused(folder: Path, tmp_path: Path, way: str) -> None:
    (folder / "x").mkdir()
    (tmp_path / "link").symlink_to(folder)
    other = {"path": folder, "link": tmp_path / "link", "detour": folder / "x/.."}[way]
    preopens: dict[str, Path | vw.Dir] = {"/a": vw.Dir(folder, read_only=True), "/b": other}
    with pytest.raises(ValueError, match=r"preopens\['/a'\] and preopens\['/b'\] are the same directory, and only the"):
        given(preopens)
    with pytest.raises(ValueError, match="are the same directory"):
        given(dict(reversed(preopens.items())))
    for read_only in (True, False):
        given({"/a": vw.Dir(folder, read_only=read_only), "/b": vw.Dir(other, read_only=read_only)})


#: What is done where a directory may be mounted. ``base/lib`` is read-only; of it or of what it is in something is
#: mounted in the writable ``base/around``.
_MOUNTED = """
import os, sys
from pathlib import Path
import vibewasm as vw
from tests.wasi.program import Failed, Program
from tests.wasi.test_overlaps import given
base, what = Path(sys.argv[1]), sys.argv[2]
program = given({"/": base / "around", "/lib": vw.Dir(base / "up/lib", read_only=True)})
inside = {"all": "at it", "part": "at it", "above": "at it/lib"}[what]
for attempt in (
    lambda: program.create(f"{inside}/new"),
    lambda: program.open(f"{inside}/file", 0, 0x42),
    lambda: program.unlink(f"{inside}/file"),
    lambda: program.link(f"{inside}/file", "new"),
):
    try:
        attempt()
    except Failed as error:
        assert error.number == 63, error.number
    else:
        raise AssertionError("it was changed")
assert program.read(program.open(f"{inside}/file"), 10) == b"data"
program.create("beside")
print("held")
"""


@pytest.mark.parametrize(("what", "source"), [("all", "up/lib"), ("part", "up/lib/sub"), ("above", "up")])
def test_a_bind_mount_is_no_way_around_it(tmp_path: Path, what: str, source: str) -> None:
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("needs unshare(1)")
    (tmp_path / "up/lib/sub").mkdir(parents=True)
    (tmp_path / "around/at it").mkdir(parents=True)
    for name in ("up/lib/file", "up/lib/sub/file"):
        (tmp_path / name).write_bytes(b"data")
    mount = [unshare, "--user", "--map-root-user", "--mount", "sh", "-c"]
    if subprocess.run([*mount, "true"], capture_output=True).returncode:
        pytest.skip("needs a system that lets one make a namespace of mounts")
    script = f'mount --bind "$0/{source}" "$0/around/at it" && exec "$1" -c "$2" "$0" {what}'
    done = subprocess.run(
        [*mount, script, tmp_path, sys.executable, _MOUNTED], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "held\n"), done.stderr
    assert (tmp_path / "up/lib/sub/file").read_bytes() == b"data"
