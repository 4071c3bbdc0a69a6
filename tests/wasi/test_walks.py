"""Two ways to walk a path, by the kernel (``openat2``) and here: both end in the same place, and neither leads out."""

from __future__ import annotations

import errno
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.wasi.program import READ_WRITE, ROOT, Failed, Program, fails
from tests.wasi.test_sandbox import SECRET, Sandbox
from vibewasm.runtime import openat2
from vibewasm.wasi import WasiConfig, abi, paths
from vibewasm.wasi.errnos import EISDIR, ELOOP, EPERM, Errno
from vibewasm.wasi.fds import Directory
from vibewasm.wasi.overlaps import identity
from vibewasm.wasi.paths import locate


def kernel_walks() -> bool:
    """Whether this system has the call and lets this process use it."""
    here = os.open(".", os.O_PATH)
    try:
        os.close(openat2.open_beneath(here, b".", os.O_PATH))
    except OSError:
        return False
    finally:
        os.close(here)
    return True


needs_kernel = pytest.mark.skipif(not kernel_walks(), reason="needs a kernel with openat2, and leave to use it")


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    sandbox = Sandbox(tmp_path)
    root = sandbox.root
    (root / "dir/file").write_bytes(b"inside")
    (root / "in").symlink_to("dir/b")
    (root / "in-slash").symlink_to("dir/b/")
    (root / "to-file").symlink_to("dir/file")
    (root / "to-link").symlink_to("to-file")
    (root / "dangling").symlink_to("dir/nothing")
    (root / "dir/back").symlink_to("../dir/back2")
    (root / "dir/back2").symlink_to("../a")
    (root / "dir/b/dots").symlink_to("../../dir/./b/..")
    (root / "dir/b/root").symlink_to("../..")
    (root / "self").symlink_to("self")
    (root / "ring1").symlink_to("dir/ring2")
    (root / "dir/ring2").symlink_to("../ring1")
    for number in range(45):
        (root / f"chain{number}").symlink_to(f"chain{number + 1}" if number < 44 else "dir")
    (root / ("n" * 255)).mkdir()
    (root / "long").symlink_to("/".join(["."] * 2000) + "/dir")
    os.mkfifo(root / "dir/fifo")
    return sandbox


#: Each alone, and before and after others.
PARTS = [
    *("a", "dir", "dir/b", "dir/file", "in", "in-slash", "to-file", "to-link", "dangling", "dir/back", "dir/back2"),
    *("dir/b/dots", "dir/b/root", "self", "ring1", "chain0", "chain5", "chain30", "out", "dir/out", "abs", "dir/abs"),
    *("up", "dir/up", "loop", ".", "..", "dir/..", "dir/b/../..", "dir/b/../../..", "nothing", "n" * 255, "n" * 256),
    *("long", "dir/fifo", "é", "\udcff", "a\0b", "", "dir//b", "./dir/./b/."),
]
RESTS = ["..", ".", "../canary", "canary", "b", "file", "../dir/b"]
TRICKS = list(
    dict.fromkeys(
        [
            *PARTS,
            *(f"{part}/" for part in PARTS),
            *(f"/{part}" for part in PARTS),
            *(f"{part}/{rest}" for part in PARTS for rest in RESTS),
            *(f"dir/{part}" for part in PARTS),
            *(f"dir/b/../../{part}" for part in PARTS),
            "/".join(["dir/.."] * 200) + "/a",
            "/".join(["dir/.."] * 600) + "/a",
            "/".join(["."] * 2047) + "/a",
            "dir/b/" + "../b/" * 400 + "dots/file",
            "in/" * 20 + "x",
            "dir/b/root/" * 20 + "a",
            "dir/b/root/" * 45 + "a",
        ]
    )
)  # fmt: skip


def found(start: Directory, path: bytes, **how: Any) -> tuple[object, ...]:
    """Where a walk ends: the directory, the name in it and what the path said of it; or the error."""
    try:
        with locate(start, path, **how) as place:
            return (*identity(place.directory), place.name, place.slash, place.up, place.read_only)
    except Errno as error:
        return ("WASI", error.number)
    except OSError as error:
        return ("host", error.errno)


@needs_kernel
def test_both_walks_come_to_the_same_end_on_every_path(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    program = sandbox.program()
    asked: list[bytes] = []
    real = openat2.open_beneath

    def ask(directory: int, path: bytes, flags: int) -> int:
        asked.append(path)
        return real(directory, path, flags)

    monkeypatch.setattr(openat2, "open_beneath", ask)
    for path in map(os.fsencode, TRICKS):
        if b"\0" in path:
            continue
        for fd in (ROOT, ROOT + 1):
            start = program.process.files.directory(fd, 0)
            for follow, follow_slash, slash_error in itertools.product((True, False), (True, False), (0, EISDIR)):
                how = {"follow": follow, "follow_slash": follow_slash, "slash_error": slash_error}
                ends = []
                for walks in (True, False):
                    monkeypatch.setattr(paths.HOST, "walks", walks)
                    ends.append(found(start, path, **how))
                # Links are counted by path in the kernel, and the ones at its end here.
                assert ends[0] == ends[1] or (path.count(b"chain") and ends[1] == ("WASI", ELOOP)), (path, how)
    assert len(asked) > 1000
    assert sandbox._state() == sandbox.before


@pytest.mark.parametrize("walks", [pytest.param(True, marks=needs_kernel), False], ids=["kernel", "here"])
def test_no_trick_leads_out(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, walks: bool) -> None:
    monkeypatch.setattr(paths.HOST, "walks", walks)
    program = sandbox.program()
    for path in TRICKS:
        for follow in (False, True):
            with suppress(Failed):
                assert program.stat(path, follow=follow).ino not in sandbox.inodes
            with suppress(Failed):
                fd = program.open(path, follow=follow)
                assert program.fstat(fd).ino not in sandbox.inodes
                program.close(fd)
    sandbox.check(program)


@needs_kernel
@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EPERM, errno.EINVAL, errno.E2BIG, errno.EAGAIN, errno.EXDEV])
def test_what_the_kernel_does_not_walk_is_walked_here(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    calls: list[bytes] = []

    def refuse(directory: int, path: bytes, flags: int) -> int:
        calls.append(path)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(openat2, "open_beneath", refuse)
    monkeypatch.setattr(paths.HOST, "walks", True)
    program = sandbox.program()
    for _ in range(2):
        assert program.read(program.open("dir/file"), 10) == b"inside"
    # What the kernel does not have it will not have later; what changes meanwhile is tried again.
    assert len(calls) == {errno.ENOSYS: 1, errno.EAGAIN: 8}.get(number, 2)
    with fails(EPERM):
        program.open("dir/../../canary")


#: Refuses openat2 by a filter of system calls, and then uses it; see seccomp(2), ``linux/filter.h``.
_FILTERED = """
import ctypes, struct, sys
from tests.wasi.program import Failed, Program
from vibewasm.wasi import WasiConfig, paths
number = int(sys.argv[2])
load, equal, give = 0x20, 0x15, 0x06
lines = [(load, 0, 0, 0), (equal, 0, 1, 437), (give, 0, 0, 0x50000 | number), (give, 0, 0, 0x7FFF0000)]
filter = b"".join(struct.pack("HBBI", *line) for line in lines)
program = struct.pack("HxxxxxxP", len(lines), ctypes.addressof(kept := ctypes.create_string_buffer(filter)))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.create_string_buffer(program), 0, 0):
    print("no filters here")
    raise SystemExit
program = Program(WasiConfig(preopens={"/": sys.argv[1]}, stdin=b""))
assert paths.HOST.walks
assert program.read(program.open("dir/file"), 10) == b"inside"
assert paths.HOST.walks == (number == 1)
for path in ("../canary", "dir/out/canary", "dir/../../canary", "abs/canary"):
    try:
        program.open(path)
    except Failed as error:
        assert error.number == 63
    else:
        raise AssertionError(path)
print("walked")
"""


@needs_kernel
@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EPERM], ids=errno.errorcode.get)
def test_a_sandbox_that_refuses_the_call_is_no_obstacle(sandbox: Sandbox, number: int) -> None:
    command = [sys.executable, "-c", _FILTERED, str(sandbox.root), str(number)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.stdout == "no filters here\n":
        pytest.skip("needs a kernel that filters system calls (seccomp)")
    assert (done.returncode, done.stdout) == (0, "walked\n"), done.stderr


def test_the_environment_turns_the_call_off(sandbox: Sandbox) -> None:
    program = "from vibewasm.wasi.paths import HOST; print(HOST.walks)"
    for value, expected in (("off", "False"), ("", "True")):
        environment = os.environ | {"VIBEWASM_OPENAT2": value}
        done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
        assert done.stdout.strip() == expected, done.stderr


# -- the race ----------------------------------------------------------------------------------------------------------

#: Exchanges what paths go through, again and again, in a process of its own: a directory for a link that leads out, and
#: back; a directory for a file; and moves one with all that is in it to the outside and back.
_SWAPPER = """
import os, sys
root, outside = sys.argv[1:]
os.chdir(root)
print("ready", flush=True)
def rename(old, new):
    try:
        os.rename(old, new)
    except OSError:
        pass
while True:
    rename("victim", "spare"); rename("evil", "victim"); rename("victim", "evil"); rename("spare", "victim")
    rename("way/d", outside + "/moved"); rename(outside + "/moved", "way/d")
    rename("flat", "hold"); rename("thing", "flat"); rename("flat", "thing"); rename("hold", "flat")
"""


def raced(program: Program) -> list[Callable[[], object]]:
    """One operation of each kind, on paths that are exchanged meanwhile; all of them would do something outside."""

    def read(path: str) -> None:
        fd = program.open(path, follow=True)
        assert SECRET not in program.read(fd, 100)
        program.close(fd)

    def look(path: str) -> None:
        assert program.stat(path, follow=True).size != len(SECRET)

    def made(path: str) -> None:
        program.close(program.open(path, abi.OFLAG_CREAT, READ_WRITE, follow=True))

    return [
        *(lambda path=path: read(path) for path in ("victim/canary", "way/d/../canary", "way/d/e/../../canary")),
        *(lambda path=path: look(path) for path in ("victim/canary", "way/d/../canary", "flat/canary")),
        lambda: look("victim/../canary"),
        lambda: made("victim/new"),
        lambda: made("way/d/../new"),
        lambda: made("flat/../victim/new2"),
        lambda: program.mkdir("victim/folder"),
        lambda: program.mkdir("way/d/e/../../folder"),
        lambda: program.symlink("canary", "victim/link"),
        lambda: program.link("victim/canary", "victim/second"),
        lambda: program.link("victim/canary", "stolen"),
        lambda: program.rename("victim/new", "victim/newer"),
        lambda: program.rename("victim/canary2", "taken"),
        lambda: program.rename("way/d/../canary", "taken2"),
        lambda: program.set_times("victim/canary", 1, 1, abi.SET_MTIM, follow=True),
        lambda: program.set_times("way/d/../canary", 1, 1, abi.SET_MTIM, follow=True),
        lambda: program.unlink("victim/canary2"),
        lambda: program.unlink("way/d/../canary"),
        lambda: program.rmdir("victim/empty"),
        lambda: program.rmdir("way/d/../empty"),
        lambda: program.names(program.open("victim", abi.OFLAG_DIRECTORY, follow=True)),
        lambda: made("victim/canary2"),
        *(lambda name=name: program.unlink(name) for name in ("taken", "taken2", "stolen", "victim/second")),
        lambda: program.unlink("victim/link"),
        *(lambda name=name: program.rmdir(name) for name in ("victim/folder", "way/folder")),
        *(lambda name=name: program.mkdir(name) for name in ("victim/empty", "way/empty")),
        lambda: made("way/canary"),
    ]  # fmt: skip


@pytest.fixture
def arena(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """``root``, in which a process exchanges things all the time, and ``outside``."""
    root, outside = tmp_path / "root", tmp_path / "outside"
    for folder in (root / "victim", root / "way", root / "thing", outside):
        folder.mkdir(parents=True)
        (folder / "canary").write_bytes(SECRET if folder == outside else b"inside")
        (folder / "canary2").write_bytes(SECRET if folder == outside else b"inside")
        (folder / "empty").mkdir()
    (root / "way/d/e").mkdir(parents=True)
    (root / "evil").symlink_to("../outside")
    (root / "flat").write_bytes(b"inside")
    swapper = subprocess.Popen([sys.executable, "-c", _SWAPPER, root, outside], stdout=subprocess.PIPE)
    assert swapper.stdout is not None
    assert swapper.stdout.readline() == b"ready\n"
    yield root, outside
    swapper.kill()
    swapper.wait()
    swapper.stdout.close()


def outside_state(outside: Path) -> dict[str, tuple[object, ...]]:
    """All of the outside but what is moved there and back."""
    state: dict[str, tuple[object, ...]] = {}
    for entry in os.scandir(outside):
        if entry.name != "moved":
            status = entry.stat(follow_symlinks=False)
            content = Path(entry.path).read_bytes() if entry.is_file() else b""
            state[entry.name] = (status.st_ino, status.st_mode, status.st_mtime_ns, status.st_nlink, content)
    return state


def race(arena: tuple[Path, Path], seconds: float) -> int:
    """Try everything again and again; how often something succeeded. Nothing may have come of it outside."""
    root, outside = arena
    before = outside_state(outside)
    program = Program(WasiConfig(preopens={"/": root}, stdin=b"", stdout="/dev/null", stderr="/dev/null"))
    operations = raced(program)
    done = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end or not done:
        for operation in operations:
            with suppress(Failed):
                operation()
                done += 1
        for fd in range(ROOT + 1, ROOT + 8):
            with suppress(Failed):
                program.close(fd)
    assert outside_state(outside) == before
    return done


WALKS = pytest.mark.parametrize("walks", [pytest.param(True, marks=needs_kernel), False], ids=["kernel", "here"])


@WALKS
def test_nothing_outside_is_touched_while_directories_are_exchanged(
    arena: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, walks: bool
) -> None:
    monkeypatch.setattr(paths.HOST, "walks", walks)
    assert race(arena, 0.7)


@pytest.mark.ci
@WALKS
def test_nothing_outside_is_touched_while_directories_are_exchanged_for_long(
    arena: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, walks: bool
) -> None:
    monkeypatch.setattr(paths.HOST, "walks", walks)
    assert race(arena, 20) > 100
