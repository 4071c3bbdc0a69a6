"""``--timeout`` counts from before the module is read."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import stopping as hostile
from vibewasm.wat import wat2wasm

LONG = 30.0


def _run(*arguments: str, stdin: int | None = subprocess.DEVNULL) -> subprocess.CompletedProcess[str]:
    begun = time.monotonic()
    command = [sys.executable, "-m", "vibewasm", *arguments]
    done = subprocess.run(command, stdin=stdin, capture_output=True, text=True, check=False, timeout=4 * LONG)
    assert time.monotonic() - begun < LONG
    return done


def _stopped(done: subprocess.CompletedProcess[str], path: str, *doings: str) -> None:
    """The command was stopped while it did one of these things; without any, it does not matter what it was."""
    before, after = f"vibewasm: {path}: stopped after 0.3 seconds (--timeout)", "\n"
    assert done.stderr.startswith(before)
    assert not doings or done.stderr in [before + doing + after for doing in doings]
    assert done.returncode == 124
    assert not done.stdout


@pytest.mark.parametrize("command", ["run", "validate", "compile", "inspect", "stubs", "wasm2wat", "wat2wasm"])
def test_a_module_that_comes_from_a_fifo_without_end(tmp_path: Path, command: str) -> None:
    path = tmp_path / "module.wasm"
    os.mkfifo(path)
    done = _run(command, "--timeout", "0.3", str(path))
    _stopped(done, str(path), "", ", while reading the module")


@pytest.mark.parametrize("begin", [b"", b"\0asm", b"\0asm\1\0\0\0" + b"\0\1\0" * 9000])
def test_a_module_that_comes_from_standard_input_without_end(begin: bytes) -> None:
    reader, writer = os.pipe()
    os.write(writer, begin)
    done = _run("run", "--timeout", "0.3", "-", stdin=reader)
    os.close(reader)
    os.close(writer)
    _stopped(done, "standard input", ", while reading the module")


def test_a_module_is_read_from_fifo_standard_input_and_file(tmp_path: Path) -> None:
    data = wat2wasm('(module (func (export "f") (result i32) (i32.const 5)))')
    path = tmp_path / "module.wasm"
    path.write_bytes(data)
    assert _run("run", "--timeout", "60", "--invoke", "f", str(path)).stdout == "5\n"
    with path.open("rb") as file:
        assert _run("run", "--timeout", "60", "--invoke", "f", "-", stdin=file.fileno()).stdout == "5\n"
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = subprocess.Popen(["/bin/cp", str(path), str(fifo)])
    assert _run("run", "--timeout", "60", "--invoke", "f", str(fifo)).stdout == "5\n"
    assert writer.wait() == 0
    large = tmp_path / "large.wasm"
    custom = b"\1x" + bytes(6_000_000)
    large.write_bytes(data + hostile._section(0, custom))
    assert _run("run", "--no-cache", "--timeout", "60", "--invoke", "f", str(large)).stdout == "5\n"


@pytest.mark.parametrize("command", ["run", "run --eager", "validate", "compile -o /dev/null"])
def test_a_module_that_takes_long_to_compile(tmp_path: Path, command: str) -> None:
    path = tmp_path / "blocks.wasm"
    path.write_bytes(hostile._blocks())
    invoke = ["--no-cache", "--invoke", "run"] if command.startswith("run") else []
    done = _run(*command.split(), "--timeout", "0.3", *invoke, str(path))
    doing = "checking" if command == "validate" else "compiling"
    # A busy machine may not come that far.
    _stopped(done, str(path), f", while {doing} function 0 <run>", ", while decoding the module", "")


def test_a_text_that_takes_long_to_assemble(tmp_path: Path) -> None:
    path = tmp_path / "long.wat"
    path.write_text(hostile._text())
    _stopped(
        _run("wat2wasm", "-o", "/dev/null", "--timeout", "0.3", str(path)), str(path), ", while assembling the text"
    )


def test_a_command_that_writes_text_is_stopped(tmp_path: Path) -> None:
    path = tmp_path / "code.wasm"
    path.write_bytes(hostile._code())
    done = _run("wasm2wat", "-o", str(tmp_path / "code.wat"), "--timeout", "0.3", str(path))
    _stopped(done, str(path))
    assert not (tmp_path / "code.wat").exists()


def test_an_isolated_run_is_stopped(tmp_path: Path) -> None:
    path = tmp_path / "blocks.wasm"
    path.write_bytes(hostile._blocks())
    done = _run("run", "--isolate", "--timeout", "0.3", "--invoke", "run", str(path))
    assert done.returncode == 124
    assert "stopped after 0.3 seconds (--timeout)" in done.stderr
    os.mkfifo(tmp_path / "fifo")
    _stopped(
        _run("run", "--isolate", "--timeout", "0.3", str(tmp_path / "fifo")),
        str(tmp_path / "fifo"),
        ", while reading the module",
    )
