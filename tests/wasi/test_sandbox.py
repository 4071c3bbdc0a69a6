"""Nothing outside a preopened directory can be read, changed, or seen, whatever a program does with paths.

A tree with a canary beside it: hypothesis draws paths and links with everything that could lead out. The oracle does
not know about paths: after each operation the outside is as it was, and nothing from outside is open.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.wasi.program import READ_WRITE, ROOT, Failed, Program
from vibewasm.wasi import WasiConfig, abi

SECRET = b"the canary's secret"

# Names: of what is there (inside and outside), of links, and what a walk could trip over.
COMPONENTS = ["..", ".", "", "a", "b", "dir", "root", "outside", "canary", "up", "out", "abs", "loop", "new", "..."]
# Ways out: each would reach something outside if the kernel were left to follow it.
WAYS_OUT = ["out", "abs", "up", "loop", "dir/out", "dir/up", "dir/abs", "up/canary", "dir/out/canary", "abs/canary"]
WAYS_OUT += ["out/", "dir/abs/", "../canary", "dir/../../canary", "dir/b/../../up/outside/canary"]
PATHS = st.sampled_from([*WAYS_OUT, "a", "dir", "new", "dir/new"]) | st.builds(
    lambda absolute, parts, slash: ("/" if absolute else "") + "/".join(parts) + ("/" if slash else ""),
    st.booleans(),
    st.lists(st.sampled_from(COMPONENTS), min_size=1, max_size=7),
    st.booleans(),
)
KINDS = ["open", "create", "truncate", "stat", "times", "mkdir", "rmdir", "unlink", "rename", "link", "symlink", "list"]
#: kind, path, second path, follow, descriptor: the root, a directory in it, or what was opened last.
OPERATIONS = st.tuples(st.sampled_from(KINDS), PATHS, PATHS, st.booleans(), st.integers(0, 2))


class Sandbox:
    """A directory ``base`` with ``root``, which a program gets, and ``outside``, which it must not touch."""

    def __init__(self, base: Path) -> None:
        self.base = base
        outside = base / "outside"
        outside.mkdir()
        (outside / "canary").write_bytes(SECRET)
        (base / "canary").write_bytes(SECRET)
        self.root = base / "root"
        (self.root / "dir/b").mkdir(parents=True)
        (self.root / "a").write_bytes(b"inside")
        (self.root / "up").symlink_to("..")
        (self.root / "dir/up").symlink_to("../..")
        (self.root / "out").symlink_to("../outside/canary")
        (self.root / "dir/out").symlink_to("../../outside")
        (self.root / "abs").symlink_to(outside)
        (self.root / "dir/abs").symlink_to(outside / "canary")
        (self.root / "loop").symlink_to("loop/x")
        self.before = self._state()
        self.inodes = {
            os.lstat(Path(where) / name).st_ino
            for where in (outside, base)
            for name in [".", *os.listdir(where)]
            if (Path(where) / name) != self.root
        }

    def _state(self) -> dict[str, tuple[object, ...]]:
        state: dict[str, tuple[object, ...]] = {}
        for where in (self.base, self.base / "outside"):
            for entry in os.scandir(where):
                status = entry.stat(follow_symlinks=False)
                # The root's own times and links change with its contents.
                inside = entry.name == "root"
                state[entry.path] = (status.st_ino, status.st_mode) + (
                    () if inside else (status.st_size, status.st_mtime_ns, status.st_nlink)
                )
        return state

    def check(self, program: Program) -> None:
        """Fail if anything outside was changed or is open."""
        assert self._state() == self.before
        for path in (self.base / "canary", self.base / "outside/canary"):
            assert path.read_bytes() == SECRET
        for fd in range(ROOT + 1, 64):
            with suppress(Failed):
                assert program.fstat(fd).ino not in self.inodes

    def program(self) -> Program:
        """A new program with the root, and a descriptor of a directory below it."""
        program = Program(WasiConfig(preopens={"/": self.root}, stdin=b"", stdout="/dev/null", stderr="/dev/null"))
        program.open("dir", abi.OFLAG_DIRECTORY)
        return program


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with tempfile.TemporaryDirectory() as base:
        yield Sandbox(Path(base))


def perform(program: Program, kind: str, path: str, other: str, follow: bool, fd: int) -> None:
    """One operation; it may fail with an error."""
    fd += ROOT
    if kind == "open":
        opened = program.open(path, rights=abi.FD_READ, fd=fd, follow=follow)
        if program.fdstat(opened).type == abi.REGULAR_FILE:
            assert SECRET not in program.read(opened, 1000)
    elif kind == "create":
        program.write(program.open(path, abi.OFLAG_CREAT, READ_WRITE, fd=fd, follow=follow), b"overwritten")
    elif kind == "truncate":
        program.open(path, abi.OFLAG_TRUNC, READ_WRITE, fd=fd, follow=follow)
    elif kind == "stat":
        assert program.stat(path, fd=fd, follow=follow).size != len(SECRET)
    elif kind == "times":
        program.set_times(path, 1, 2, abi.SET_ATIM | abi.SET_MTIM, follow=follow)
    elif kind == "mkdir":
        program.mkdir(path, fd=fd)
    elif kind == "rmdir":
        program.rmdir(path, fd=fd)
    elif kind == "unlink":
        program.unlink(path, fd=fd)
    elif kind == "rename":
        program.rename(path, other, fd=fd)
    elif kind == "link":
        program.link(path, other, fd=fd, follow=follow)
    elif kind == "symlink":
        program.symlink(path, other, fd=fd)
    else:
        program.names(program.open(path, abi.OFLAG_DIRECTORY, fd=fd, follow=follow))


@pytest.mark.parametrize("kind", KINDS)
def test_no_operation_takes_a_way_out(kind: str) -> None:
    for path in WAYS_OUT:
        for other in ("new", path):
            for follow in (False, True):
                for fd in (0, 1):
                    with tempfile.TemporaryDirectory() as base:
                        sandbox = Sandbox(Path(base))
                        program = sandbox.program()
                        with suppress(Failed):
                            perform(program, kind, path, other, follow, fd)
                        sandbox.check(program)


@settings(deadline=None, max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(OPERATIONS, min_size=1, max_size=25))
@pytest.mark.ci
def test_no_series_of_operations_reaches_the_outside(operations: list[tuple[str, str, str, bool, int]]) -> None:
    base = tempfile.mkdtemp()
    try:
        sandbox = Sandbox(Path(base))
        program = sandbox.program()
        for operation in operations:
            with suppress(Failed):
                perform(program, *operation)
            sandbox.check(program)
    finally:
        shutil.rmtree(base)


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=PATHS, follow=st.booleans())
def test_a_path_opens_what_the_kernel_finds_below_the_directory_or_nothing(
    sandbox: Sandbox, path: str, follow: bool
) -> None:
    program = sandbox.program()
    try:
        fd = program.open(path, follow=follow)
    except Failed:
        return
    inode = program.fstat(fd).ino
    assert inode == os.stat(sandbox.root / path.lstrip("/")).st_ino
    inside = {sandbox.root.stat().st_ino}
    inside |= {entry.lstat().st_ino for entry in sandbox.root.rglob("*")}
    assert inode in inside


def test_a_directory_moved_out_while_open_does_not_give_its_new_surroundings(sandbox: Sandbox) -> None:
    program = sandbox.program()
    fd = program.open("dir/b", abi.OFLAG_DIRECTORY)
    os.rename(sandbox.root / "dir/b", sandbox.base / "outside/moved")
    for path in ("..", "../canary", "../../canary"):
        for follow in (False, True):
            number = program.raw("path_open", fd, int(follow), *program.put(0, path.encode()), 0, 2, 0, 0, 64)
            assert number != 0


def test_swapping_a_directory_for_a_link_while_it_is_walked_never_leads_out(sandbox: Sandbox) -> None:
    # One thread swaps, the other walks: the window that a check of the whole path beforehand would leave open.
    program = sandbox.program()
    (sandbox.root / "evil").symlink_to("../outside")
    (sandbox.root / "victim").mkdir()
    (sandbox.root / "victim/canary").write_bytes(b"inside")
    stop = threading.Event()

    def swap() -> None:
        names = [sandbox.root / name for name in ("victim", "evil", "spare")]
        while not stop.is_set():
            os.rename(names[0], names[2])
            os.rename(names[1], names[0])
            os.rename(names[0], names[1])
            os.rename(names[2], names[0])

    thread = threading.Thread(target=swap)
    thread.start()
    outcomes = {0: 0}
    try:
        for attempt in range(100_000):
            # On a busy machine the other thread may stand between two renames for a long time.
            if attempt >= 3000 and outcomes[0]:
                break
            number = program.raw(
                "path_open", ROOT, 1, *program.put(0x1000, b"victim/canary"), 0, abi.FD_READ, 0, 0, 0x40
            )
            assert isinstance(number, int)
            outcomes[number] = outcomes.get(number, 0) + 1
            if number == 0:
                fd = program.u32(0x40)
                assert program.read(fd, 100) == b"inside"
                program.close(fd)
    finally:
        stop.set()
        thread.join()
    assert outcomes[0]
    sandbox.check(program)


def test_links_of_the_kernel_to_open_files_are_not_followed() -> None:
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("needs /proc, whose links lead anywhere")
    program = Program(WasiConfig(preopens={"/": "/proc/self"}, stdin=b""))
    with open("/etc/passwd", "rb") as file:
        for path in (f"fd/{file.fileno()}", "root/etc/passwd", "cwd/pyproject.toml", "exe"):
            for fdflags in (0, abi.FDFLAG_NONBLOCK):
                number = program.raw("path_open", ROOT, 1, *program.put(0, path.encode()), 0, 2, 0, fdflags, 0x40)
                assert number != 0
