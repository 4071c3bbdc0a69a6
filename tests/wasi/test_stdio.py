"""Standard streams: the process's own descriptors, Python objects, files."""

from __future__ import annotations

import array
import gc
import io
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from tests.wasi.program import Program, clock_subscription, fails, file_subscription
from vibewasm.wasi import WasiConfig, abi
from vibewasm.wasi.errnos import EAGAIN, EBADF, EINVAL, EPIPE, ESPIPE, SUCCESS

PROJECT = Path(__file__).parents[2]
PRELUDE = (
    "from tests.wasi.program import *\nfrom vibewasm.wasi import WasiConfig, abi\nfrom vibewasm.wasi.errnos import *\n"
)


def run(
    code: str, *, check: bool = True, input: bytes | None = None, stdin: IO[bytes] | int | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run code in a process of its own, whose standard streams it then has."""
    return subprocess.run(
        [sys.executable, "-c", PRELUDE + code],
        capture_output=True,
        check=check,
        input=input,
        stdin=stdin,
        timeout=60,
        cwd=PROJECT,
    )


def test_python_objects_get_what_is_written() -> None:
    out, err = io.BytesIO(), io.BytesIO()
    program = Program(WasiConfig(stdin=b"", stdout=out, stderr=err))
    assert program.write(1, b"hello ", b"", b"world\n") == 12
    assert program.write(2, b"oops") == 4
    assert out.getvalue() == b"hello world\n"
    assert err.getvalue() == b"oops"


def test_an_object_may_keep_what_it_is_given() -> None:
    kept: list[bytes] = []

    class Keeper:
        def write(self, data: bytes) -> None:
            kept.append(data)

    program = Program(WasiConfig(stdin=b"", stdout=Keeper()))
    assert program.write(1, b"one") == 3
    assert program.write(1, b"two") == 3
    assert kept == [b"one", b"two"]


def test_an_object_that_writes_less_makes_a_short_write() -> None:
    class Slow:
        def write(self, data: bytes) -> int:
            return min(len(data), 2)

    assert Program(WasiConfig(stdin=b"", stdout=Slow())).write(1, b"hello") == 2


def test_text_streams_are_used_by_their_binary_side_in_order_with_what_is_printed() -> None:
    binary = io.BytesIO()
    text = io.TextIOWrapper(binary)
    program = Program(WasiConfig(stdin=b"", stdout=text))
    print("first", file=text)
    program.write(1, b"second \xff\n")
    print("third", file=text, flush=True)
    assert binary.getvalue() == b"first\nsecond \xff\nthird\n"


@pytest.mark.parametrize("stream", ["stdin", "stdout", "stderr"])
def test_what_cannot_be_a_stream_is_refused(stream: str) -> None:
    for value in (3.0, True, ["list"], io.StringIO):
        arguments = {"stdin": b"", stream: value}
        with pytest.raises(TypeError, match=stream):
            Program(WasiConfig(**arguments))  # type: ignore[arg-type]  # the mistake under test


def test_an_error_of_the_system_in_an_object_is_the_programs_and_any_other_the_callers() -> None:
    class Broken:
        error: Exception

        def write(self, data: bytes) -> int:
            raise self.error

    broken = Broken()
    program = Program(WasiConfig(stdin=b"", stdout=broken))
    broken.error = BrokenPipeError(32, "Broken pipe")
    with fails(EPIPE):
        program.write(1, b"x")
    for error in (KeyError("mine"), TimeoutError("of a signal handler")):
        broken.error = error
        with pytest.raises(type(error)) as raised:
            program.write(1, b"x")
        assert raised.value is error


def test_input_is_read_in_the_pieces_asked_for_and_ends() -> None:
    program = Program(WasiConfig(stdin=b"hello world"))
    assert program.read(0, 3, 0, 3) == b"hello "
    assert program.read(0, 100) == b"world"
    assert program.read(0, 100) == b""
    assert program.read(0, 0) == b""


def test_input_objects_are_read_without_waiting_for_a_full_buffer() -> None:
    class Lines:
        def __init__(self) -> None:
            self.lines = [b"one\n", b"two\n"]

        def read(self, size: int) -> bytes | None:
            return self.lines.pop(0) if self.lines else None

    program = Program(WasiConfig(stdin=Lines()))
    assert program.read(0, 100) == b"one\n"
    assert program.read(0, 100) == b"two\n"
    with fails(EAGAIN):
        program.read(0, 100)


def test_an_input_object_that_gives_text_is_refused() -> None:
    class Text:
        def read(self, size: int) -> str:
            return "text"

    with pytest.raises(TypeError, match="binary"):
        Program(WasiConfig(stdin=Text())).read(0, 10)


@pytest.mark.parametrize(("taken", "problem"), [(6, ValueError), (-1, ValueError), (2.0, TypeError), ("5", TypeError)])
def test_an_output_object_that_says_the_impossible_is_refused(taken: object, problem: type[Exception]) -> None:
    class Liar:
        def write(self, data: bytes) -> object:
            return taken

    program = Program(WasiConfig(stdin=b"", stdout=Liar()))  # type: ignore[arg-type]
    with pytest.raises(problem, match=r"an output stream's write\(\)"):
        program.write(1, b"hello")


def test_an_input_object_that_gives_more_than_was_asked_for_is_refused() -> None:
    class Flood:
        def read(self, size: int) -> bytes:
            return bytes(size + 1)

    program = Program(WasiConfig(stdin=Flood()))
    with pytest.raises(ValueError, match=r"stdin's read\(10\) gave 11 bytes"):
        program.read(0, 4, 6)


def test_an_input_object_may_give_numbers_that_are_larger_than_bytes() -> None:
    class Words:
        def read(self, size: int) -> memoryview:
            return memoryview(array.array("H", [0x6261, 0x6463]))

    assert Program(WasiConfig(stdin=Words())).read(0, 3, 5) == b"abcd"  # type: ignore[arg-type]


def test_paths_are_opened(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"input")
    program = Program(WasiConfig(stdin=tmp_path / "in", stdout=str(tmp_path / "out"), stderr=tmp_path / "err"))
    assert program.read(0, 100) == b"input"
    program.write(1, b"out")
    program.write(2, b"err")
    assert (tmp_path / "out").read_bytes() == b"out"
    assert (tmp_path / "err").read_bytes() == b"err"


def test_directions_are_kept() -> None:
    program = Program(WasiConfig(stdin=b"", stdout=io.BytesIO(), stderr=io.BytesIO()))
    with fails(EBADF):
        program.write(0, b"x")
    for fd in (1, 2):
        with fails(EBADF):
            program.read(fd, 1)


def test_objects_cannot_seek_and_are_no_terminal() -> None:
    program = Program(WasiConfig(stdin=b"abc", stdout=io.BytesIO()))
    for fd in (0, 1):
        with fails(ESPIPE):
            program.seek(fd, 0)
        with fails(ESPIPE):
            program.tell(fd)
        assert program.fdstat(fd).type == abi.UNKNOWN
        assert program.fstat(fd).type == abi.UNKNOWN
    with fails(ESPIPE):
        program.pread(0, 1, 0)
    with fails(ESPIPE):
        program.pwrite(1, b"x", 0)


def test_streams_can_be_closed_and_their_numbers_used_again(program: Program) -> None:
    program.close(0)
    with fails(EBADF):
        program.read(0, 1)
    program.create("file")
    assert program.open("file") == 0


def test_a_huge_write_to_an_object_is_cut_and_not_copied_whole() -> None:
    out = io.BytesIO()
    program = Program(WasiConfig(stdin=b"", stdout=out))
    size = len(program.memory)
    for index in range(1024):
        abi.IOVEC.pack_into(program.memory, index * abi.IOVEC.size, 0, size)
    program.call("fd_write", 1, 0, 1024, 0x8000)
    assert 0 < program.u32(0x8000) == len(out.getvalue()) <= 64 << 20


def test_the_processs_own_streams_are_used_by_default_in_order_with_print() -> None:
    code = (
        "p = Program(WasiConfig(inherit_stdin=True))\n"
        "data = p.read(0, 100)\n"
        "print('printed first')\n"
        "p.write(1, data)\n"
        "print('printed last')\n"
        "p.write(2, b'to stderr')\n"
        "p.close(1)\n"
        "print('still open')\n"
    )
    done = run(code, input=b"from stdin\n")
    assert done.stdout == b"printed first\nfrom stdin\nprinted last\nstill open\n"
    assert done.stderr == b"to stderr"


def test_a_pipe_cannot_seek_and_a_file_can(tmp_path: Path) -> None:
    code = (
        "p = Program(WasiConfig(inherit_stdin=True))\n"
        "try: p.write(2, str(p.seek(0, 1)).encode() + p.read(0, 5))\n"
        "except Failed as error: p.write(2, str(error.number).encode())\n"
    )
    assert run(code, input=b"hello").stderr == str(ESPIPE).encode()
    (tmp_path / "in").write_bytes(b"hello")
    with (tmp_path / "in").open("rb") as stdin:
        assert run(code, stdin=stdin).stderr == b"1ello"


def test_a_closed_pipe_is_an_error_not_an_end() -> None:
    code = (
        "import os, sys\n"
        "r, w = os.pipe(); os.close(r); os.dup2(w, 1)\n"
        "p = Program(WasiConfig(inherit_stdin=True))\n"
        "try: p.write(1, b'x')\n"
        "except Failed as error: p.write(2, str(error.number).encode())\n"
    )
    assert run(code).stderr == str(EPIPE).encode()


def test_a_closed_stream_of_the_process_does_not_become_another_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    code = (
        "import os\n"
        "os.close(0)\n"
        "p = Program(WasiConfig(inherit_stdin=True))\n"
        f"assert os.open({str(tmp_path / 'secret')!r}, os.O_RDONLY) == 0\n"
        "try: p.read(0, 10)\n"
        "except Failed as error: p.write(1, str(error.number).encode())\n"
        "p.poll(file_subscription(1, abi.EVENT_FD_READ, 0))\n"
    )
    assert run(code, input=b"").stdout == str(EBADF).encode()


def test_non_blocking_input_asks_first_and_leaves_the_shared_file_alone() -> None:
    code = (
        "import os\n"
        "r, w = os.pipe(); os.dup2(r, 0)\n"
        "p = Program(WasiConfig(inherit_stdin=True))\n"
        "p.call('fd_fdstat_set_flags', 0, abi.FDFLAG_NONBLOCK)\n"
        "try: p.read(0, 10)\n"
        "except Failed as error: p.write(1, str(error.number).encode())\n"
        "assert os.get_blocking(0)\n"
        "os.write(w, b' data'); p.write(1, p.read(0, 10))\n"
    )
    assert run(code).stdout == f"{EAGAIN} data".encode()


def test_a_file_that_others_made_non_blocking_is_waited_for() -> None:
    code = (
        "import os, threading, time\n"
        "r, w = os.pipe(); os.dup2(r, 0); os.set_blocking(0, False)\n"
        "threading.Timer(0.2, lambda: os.write(w, b'late')).start()\n"
        "p = Program(WasiConfig(inherit_stdin=True)); p.write(1, p.read(0, 10))\n"
    )
    assert run(code).stdout == b"late"


def test_the_check_ends_a_wait_for_input() -> None:
    code = (
        "import os\n"
        "r, w = os.pipe(); os.dup2(r, 0)\n"
        "def check(): raise SystemExit('interrupted')\n"
        "Program(WasiConfig(inherit_stdin=True), check).read(0, 10)\n"
    )
    done = run(code, check=False)
    assert done.returncode == 1
    assert b"interrupted" in done.stderr


def test_a_terminal_is_a_character_device_without_seek_and_the_null_device_is_not() -> None:
    # What wasi-libc's isatty() looks at.
    code = (
        "p = Program(WasiConfig(inherit_stdin=True))\n"
        "for fd in (0, 2):\n"
        "    s = p.fdstat(fd); print(s.type, bool(s.rights & (abi.FD_SEEK | abi.FD_TELL)))\n"
    )
    parent, child = pty.openpty()
    try:
        with open(os.devnull, "wb") as null:
            done = subprocess.run(
                [sys.executable, "-c", PRELUDE + code],
                stdin=child,
                stdout=subprocess.PIPE,
                stderr=null,
                check=True,
                cwd=PROJECT,
            )
    finally:
        os.close(parent)
        os.close(child)
    assert done.stdout.split() == [b"2", b"False", b"2", b"True"]


def test_polling_python_objects_finds_them_ready() -> None:
    program = Program(WasiConfig(stdin=b"12345", stdout=io.BytesIO()))
    events = program.poll(
        clock_subscription(1, 10**15),
        file_subscription(2, abi.EVENT_FD_READ, 0),
        file_subscription(3, abi.EVENT_FD_WRITE, 1),
    )
    assert events == [(2, SUCCESS, abi.EVENT_FD_READ, 5, 0), (3, SUCCESS, abi.EVENT_FD_WRITE, 0, 0)]
    program.read(0, 5)
    assert program.poll(file_subscription(2, abi.EVENT_FD_READ, 0)) == [
        (2, SUCCESS, abi.EVENT_FD_READ, 0, abi.EVENT_HANGUP)
    ]


def test_polling_a_pipe_waits_for_it_or_for_the_clock() -> None:
    code = (
        "import os, threading\n"
        "r, w = os.pipe(); os.dup2(r, 0)\n"
        "p = Program(WasiConfig(inherit_stdin=True))\n"
        "both = clock_subscription(1, 30_000_000), file_subscription(2, abi.EVENT_FD_READ, 0)\n"
        "print([e[0] for e in p.poll(*both)])\n"
        "os.write(w, b'abc'); print(p.poll(*both))\n"
        "p.read(0, 3); os.close(w); print(p.poll(*both))\n"
        "print([e[0] for e in p.poll(file_subscription(3, abi.EVENT_FD_WRITE, 1))])\n"
    )
    assert run(code).stdout.decode().splitlines() == [
        "[1]",
        "[(2, 0, 1, 3, 0)]",
        "[(2, 0, 1, 0, 1)]",
        "[3]",
    ]


def test_polling_a_file_that_is_not_open_is_an_event_with_an_error(program: Program) -> None:
    events = program.poll(clock_subscription(1, 10**15), file_subscription(2, abi.EVENT_FD_READ, 77))
    assert events == [(2, EBADF, abi.EVENT_FD_READ, 0, 0)]


def test_polling_a_regular_file_finds_it_ready(program: Program, folder: Path) -> None:
    (folder / "file").write_bytes(b"1234567")
    fd = program.open("file")
    program.seek(fd, 3)
    assert program.poll(file_subscription(1, abi.EVENT_FD_READ, fd)) == [(1, SUCCESS, abi.EVENT_FD_READ, 4, 0)]


def test_too_many_subscriptions_are_invalid() -> None:
    program = Program(WasiConfig(stdin=b""), size=1 << 23)
    assert program.raw("poll_oneoff", 0, 0, (1 << 16) + 1, 0) == EINVAL


def test_views_with_gaps_are_input() -> None:
    class Gaps:
        def read(self, size: int) -> memoryview:
            return memoryview(b"abcdef")[::2]

    assert Program(WasiConfig(stdin=Gaps())).read(0, 3, 5) == b"ace"  # type: ignore[arg-type]
    assert Program(WasiConfig(stdin=memoryview(b"abcdef")[::-2])).read(0, 9) == b"fdb"  # type: ignore[arg-type]


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_what_the_hosts_stream_raises_at_the_start_is_all_that_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def fileno(self) -> int:
            raise RuntimeError("broken")

    monkeypatch.setattr("sys.stdout", Broken())
    with pytest.raises(RuntimeError, match="broken"):
        Program(WasiConfig())
    gc.collect()


# -- whose input -------------------------------------------------------------------------------------------------------


def test_nothing_is_read_from_the_process_unless_that_is_asked_for() -> None:
    code = (
        "from tests.wasi.program import Program\n"
        "from vibewasm.wasi import WasiConfig\n"
        "assert Program(WasiConfig()).read(0, 10) == b''\n"
        "assert Program(WasiConfig(inherit_stdin=False)).read(0, 10) == b''\n"
        "assert Program(WasiConfig(stdin=0)).read(0, 2) == b'ab'\n"
        "assert Program(WasiConfig(inherit_stdin=True)).read(0, 10) == b'cd'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], input=b"abcd", capture_output=True)
    assert done.returncode == 0, done.stderr


def test_an_input_that_nobody_gave_is_at_its_end() -> None:
    program = Program(WasiConfig())
    assert program.read(0, 10) == b""
    events = program.poll(file_subscription(1, abi.EVENT_FD_READ, 0))
    assert events == [(1, SUCCESS, abi.EVENT_FD_READ, 0, abi.EVENT_HANGUP)]
    assert program.fdstat(0).type == abi.UNKNOWN


def test_two_inputs_are_one_too_many() -> None:
    for stdin in (b"", b"x", 0, "file"):
        with pytest.raises(ValueError, match=r"^WasiConfig: stdin and inherit_stdin=True are two inputs: give one"):
            WasiConfig(stdin=stdin, inherit_stdin=True)
    with pytest.raises(TypeError, match=r"^WasiConfig: inherit_stdin has to be True or False, not int 1$"):
        WasiConfig(inherit_stdin=1)  # type: ignore[arg-type]  # the mistake under test
    assert "inherit_stdin=True" in repr(WasiConfig(inherit_stdin=True))
    assert "inherit_stdin" not in repr(WasiConfig())
