"""Standard streams that are text streams, functions, descriptors, or where ``print`` writes to."""

from __future__ import annotations

import builtins
import contextlib
import io
import os
import sys
from pathlib import Path
from typing import Any

import pytest

import vibewasm
from tests.wasi.program import Program, fails, file_subscription
from tests.wasi.test_stdio import run
from vibewasm.wasi import WasiConfig, abi
from vibewasm.wasi.errnos import EAGAIN, EBADF, ENOSPC, SUCCESS


def test_a_text_stream_without_bytes_gets_text() -> None:
    out, err = io.StringIO(), io.StringIO()
    program = Program(WasiConfig(stdin=b"", stdout=out, stderr=err))
    data = "Grüße, 世界\r\n".encode()
    for index in range(len(data)):
        assert program.write(1, data[index : index + 1]) == 1
    program.write(2, b"a\xffb")
    assert out.getvalue() == "Grüße, 世界\r\n"
    assert err.getvalue() == "a\ufffdb"


def test_a_function_gets_what_is_written_as_text_as_it_comes() -> None:
    pieces: list[str] = []
    program = Program(WasiConfig(stdin=b"", stdout=pieces.append))
    program.write(1, b"one, ", b"two\n")
    program.write(1, b"three \xe4")
    program.write(1, b"\xb8")
    assert pieces == ["one, two\n", "three "]
    program.write(1, b"\x96")
    assert pieces == ["one, two\n", "three ", "世"]
    assert program.fdstat(1).type == abi.UNKNOWN


def test_print_adds_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    program = Program(WasiConfig(stdin=b"", stdout=print))
    program.write(1, b"no line break, ")
    program.write(1, b"one line break\n")
    assert capsys.readouterr().out == "no line break, one line break\n"


def test_what_a_function_raises_is_the_callers_but_for_errors_of_the_system() -> None:
    error: Exception = KeyError("mine")

    def broken(text: str) -> None:
        raise error

    program = Program(WasiConfig(stdin=b"", stdout=broken))
    with pytest.raises(KeyError, match="mine"):
        program.write(1, b"x")
    error = OSError(28, "No space left on device")
    with fails(ENOSPC):
        program.write(1, b"x")


KEEPING = """(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 8) "\\20\\00\\00\\00\\04\\00\\00\\00text\\00")
  (data (i32.const 32) "text")
  (func (export "_start")
    (drop (call $read (i32.const 0) (i32.const 8) (i32.const 1) (i32.const 0)))
    (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 0)))
    (drop (memory.grow (i32.const 1)))
    (drop (call $read (i32.const 0) (i32.const 8) (i32.const 1) (i32.const 0)))
    (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 0)))))"""


def test_an_exception_that_a_stream_keeps_does_not_keep_the_memory() -> None:
    kept: list[Exception] = []

    def fails(given: object) -> str:
        # The exception has this function's frame, and so those of all that called it.
        try:
            raise KeyError(given)
        except KeyError as error:
            kept.append(error)
        return "in"

    with vibewasm.Store() as store:
        config = WasiConfig(stdin=fails, stdout=fails)
        vibewasm.instantiate(KEEPING, wasi=config, store=store).exports._start()
    assert [error.args for error in kept] == [(4,), ("inxt",), (4,), ("inxt",)]


def test_input_may_be_a_text_stream() -> None:
    program = Program(WasiConfig(stdin=io.StringIO("eins\nzwölf 世界")))
    assert program.read(0, 100) == b"eins\n"
    assert program.read(0, 4) == b"zw\xc3\xb6"
    pieces = []
    while piece := program.read(0, 1):
        pieces.append(piece)
    assert b"".join(pieces).decode() == "lf 世界"


def test_input_may_come_from_a_function() -> None:
    given: list[bytes | str | None] = [b"bytes", "wörter", None, memoryview(b"view").tobytes(), b""]
    sizes: list[int] = []

    def give(size: int) -> bytes | str | None:
        sizes.append(size)
        return given.pop(0)

    program = Program(WasiConfig(stdin=give))
    assert program.read(0, 3) == b"byt"
    assert program.read(0, 3) == b"es"
    assert program.read(0, 50, 50) == "wörter".encode()
    with fails(EAGAIN):
        program.read(0, 10)
    assert program.read(0, 10) == b"view"
    assert program.read(0, 10) == b""
    assert sizes == [3, 100, 10, 10, 10]


def test_input_itself_gives_lines_until_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["first", ""]

    def typed() -> str:
        if not lines:
            raise EOFError
        return lines.pop(0)

    monkeypatch.setattr(builtins, "input", typed)
    program = Program(WasiConfig(stdin=input))
    assert [program.read(0, 100) for _ in range(3)] == [b"first\n", b"\n", b""]


def test_a_function_that_gives_no_input_is_refused() -> None:
    program = Program(WasiConfig(stdin=lambda size: size))  # type: ignore[arg-type,return-value]  # the mistake under test
    with pytest.raises(TypeError, match=r"^stdin has to give bytes or a string, not int$"):
        program.read(0, 10)


def test_output_follows_sys_stdout_and_comes_back_from_it() -> None:
    code = (
        "import contextlib, io, sys\n"
        "p = Program(WasiConfig(stdin=b''))\n"
        "p.write(1, b'before\\n')\n"
        "out, err = io.StringIO(), io.StringIO()\n"
        "with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):\n"
        "    p.write(1, b'out'); print(' and', end=' '); p.write(1, b'more'); p.write(2, b'err')\n"
        "    p.fstat(1)\n"
        "p.write(1, b'after\\n')\n"
        "assert (out.getvalue(), err.getvalue()) == ('out and more', 'err')\n"
    )
    done = run(code)
    assert (done.stdout, done.stderr) == (b"before\nafter\n", b"")


def test_output_reaches_a_stream_that_only_prints() -> None:
    class Cell:
        """As a notebook's, or a class that somebody has put there."""

        def __init__(self) -> None:
            self.text = ""

        def write(self, text: str) -> int:
            self.text += text
            return len(text)

        def flush(self) -> None: ...

    cell = Cell()
    with contextlib.redirect_stdout(cell):
        program = Program(WasiConfig(stdin=b""))
        assert program.fdstat(1).type == abi.UNKNOWN
        assert not program.fdstat(1).rights & abi.FD_SEEK
        program.write(1, "wörter".encode())
        assert program.poll(file_subscription(1, abi.EVENT_FD_WRITE, 1))[0][:3] == (1, SUCCESS, abi.EVENT_FD_WRITE)
    assert cell.text == "wörter"


def test_output_that_is_redirected_keeps_its_bytes_where_there_are_any(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as file, contextlib.redirect_stdout(file):
        print("text, ", end="")
        Program(WasiConfig(stdin=b"")).write(1, b"\xff")
    assert (tmp_path / "out").read_bytes() == b"text, \xff"


def test_another_object_of_the_same_descriptor_is_no_redirection() -> None:
    code = (
        "import io, sys\n"
        "sys.stdout = io.TextIOWrapper(sys.stdout.buffer, 'utf-16')\n"
        "p = Program(WasiConfig(stdin=b''))\n"
        "p.write(1, b'bytes')\n"
        "assert p.fstat(1).type != 4 or p.fstat(1).size\n"
    )
    assert run(code).stdout == b"bytes"


def test_output_is_seen_where_the_process_has_none() -> None:
    code = (
        "import io, os, sys\n"
        "os.close(1)\n"
        "sys.stdout = io.StringIO()\n"
        "p = Program(WasiConfig(stdin=b''))\n"
        "p.write(1, b'seen')\n"
        "assert sys.stdout.getvalue() == 'seen'\n"
        "sys.stdout = None\n"
        "try: p.write(1, b'lost')\n"
        "except Failed as failed: assert failed.number == EBADF\n"
        "else: assert False\n"
    )
    run(code)


def test_descriptors_are_used_and_left_open(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"input")
    source = os.open(tmp_path / "in", os.O_RDONLY)
    reader, writer = os.pipe()
    program = Program(WasiConfig(stdin=source, stdout=writer, stderr=writer))
    # The program's descriptor is its own, so the number may mean something else now.
    os.close(source)
    assert program.read(0, 3) == b"inp"
    assert program.seek(0, 1) == 1
    assert program.read(0, 10) == b"nput"
    assert program.write(1, b"out") + program.write(2, b"err") == 6
    program.close(1)
    program.close(2)
    assert os.read(reader, 100) == b"outerr"
    os.write(writer, b"still open")
    del program
    os.close(writer)
    assert os.read(reader, 100) == b"still open"
    os.close(reader)


def test_standard_error_may_be_the_descriptor_of_standard_output() -> None:
    done = run("p = Program(WasiConfig(stderr=1))\nprint('a')\np.write(2, b'b\\n')\nprint('c')\n")
    assert (done.stdout, done.stderr) == (b"a\nb\nc\n", b"")


def test_a_descriptor_does_not_follow_sys_stdout() -> None:
    code = (
        "import contextlib, io\n"
        "p = Program(WasiConfig(stdin=b'', stdout=1))\n"
        "with contextlib.redirect_stdout(io.StringIO()): p.write(1, b'own')\n"
    )
    assert run(code).stdout == b"own"


def test_a_descriptor_that_is_not_open_or_the_other_way_is_refused() -> None:
    reader, writer = os.pipe()
    for settings, message in (
        ({"stdin": writer}, f"stdin: descriptor {writer}: not open for reading"),
        ({"stdout": reader}, f"stdout: descriptor {reader}: not open for writing"),
        ({"stderr": 1 << 30}, f"stderr: descriptor {1 << 30}: Bad file descriptor"),
    ):
        with pytest.raises(OSError, match=f"WasiConfig: {message}"):
            Program(WasiConfig(**settings))  # type: ignore[arg-type]  # settings of several types
    os.close(reader)
    os.close(writer)


def test_what_a_closed_text_stream_says_is_the_callers() -> None:
    closed = io.StringIO()
    closed.close()
    program = Program(WasiConfig(stdin=b""))
    with contextlib.redirect_stdout(closed), pytest.raises(ValueError, match="closed file"):
        program.write(1, b"x")
    assert sys.stdout is not closed
    with fails(EBADF):
        program.read(1, 1)


def test_text_that_is_none_is_said_to_be_so() -> None:
    wrong = "\ud800"
    settings: list[tuple[dict[str, Any], str]] = [
        ({"args": ["ok", wrong]}, r"args\[1\]"),
        ({"argv0": wrong}, "argv0"),
        ({"env": {wrong: "x"}}, "env: the name of a variable"),
        ({"env": {"x": wrong}}, r"env\['x'\]"),
        ({"preopens": {wrong: {}}}, "preopens: the path that the program sees"),
    ]
    for given, what in settings:
        with pytest.raises(ValueError, match=rf"^WasiConfig: {what} cannot be encoded in UTF-8: '\\ud800'$"):
            WasiConfig(**given)
    with pytest.raises(
        ValueError, match=r"^stdin gave a string that cannot be encoded in UTF-8: surrogates not allowed"
    ):
        Program(WasiConfig(stdin=lambda size: wrong)).read(0, 5)
