"""``vibewasm`` itself, and what it says of files that are no modules."""

from __future__ import annotations

import io
import os
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import vibewasm
from tests.binary.encode import section
from vibewasm import reading
from vibewasm.cli import main
from vibewasm.lookalikes import describe
from vibewasm.names import escaped

from . import modules
from .command import command, prepared

Capture = pytest.CaptureFixture[str]


def test_help_lists_the_commands(capsys: Capture) -> None:
    assert main(["--help"]) == 0
    overview = capsys.readouterr().out
    assert main(["help"]) == 0
    assert main([]) == 2
    assert capsys.readouterr().out == 2 * overview
    for name in ("run", "validate", "inspect", "disasm"):
        assert f"\n  {name} " in overview


def test_help_of_a_command(capsys: Capture) -> None:
    assert main(["run", "--help"]) == 0
    text = capsys.readouterr().out
    assert main(["help", "run"]) == 0
    assert capsys.readouterr().out == text
    assert text.startswith("usage: vibewasm run [OPTIONS] FILE [ARGUMENT...]\n")


def test_version(capsys: Capture) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"vibewasm {vibewasm.__version__}\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rnu"], "vibewasm: unknown command 'rnu'; did you mean 'run'?"),
        (["program.wasm"], "vibewasm: 'program.wasm' is not a command; to run that file: vibewasm run program.wasm"),
        (["--verbose"], "vibewasm: unknown option --verbose"),
        (
            ["--invoke", "f", "f.wat"],
            "vibewasm: unknown option --invoke; options come after the command: vibewasm run --invoke ...",
        ),
        (
            ["--output=x", "wasm2wat", "f.wasm"],
            "vibewasm: unknown option --output=x; options come after the command: vibewasm wasm2wat --output ...",
        ),
        (["inspect"], "vibewasm inspect: no FILE given"),
        (
            ["disasm", "--diff", "x86_64", "f.wat"],
            "vibewasm disasm: --diff wants two targets, not 'x86_64' and 'f.wat'",
        ),
        (["run", "--timeout", "f.wat"], "vibewasm run: --timeout wants a number of seconds, not 'f.wat'"),
        (["run", "--max-memory", "f.wat"], "vibewasm run: --max-memory wants a number of bytes or none, not 'f.wat'"),
        (["inspect", "a", "b"], "vibewasm inspect: one operand too many: 'b'"),
    ],
)
def test_a_wrong_command_line_ends_with_2(capsys: Capture, words: list[str], message: str) -> None:
    assert main(words) == 2
    assert capsys.readouterr().err.splitlines()[0] == message


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "it is empty"),
        (b"\0as", "it is cut off"),
        (b"\x7fELF\2\1\1\0", "it looks like an ELF file (native code); compile the program for a WebAssembly target"),
        (b"\x1f\x8b\x08\0", "it looks like a gzip file; decompress it first: gzip -d"),
        (b"(module)", "it looks like WebAssembly text"),
        (b";; a comment\n(module)", "it looks like WebAssembly text"),
        (b"  \n(module $m)", "it looks like WebAssembly text"),
        (b"{}", "it looks like JSON text"),
        (b"<!doctype html>", "it looks like HTML or XML text; a download may have failed and left an error page"),
        (b"#!/bin/sh\n", "it looks like a script"),
        ("Grüße\n".encode(), "it looks like plain text"),
        (b"\1\2\3\4\5", "it starts with the bytes 01 02 03 04, a module with 00 61 73 6d"),
        (b"x" * 257 + b"ustar", "it looks like a tar archive"),
        ("ä".encode() * 3000, "it looks like plain text"),
    ],
)
def test_a_file_that_is_no_module_is_described(data: bytes, what: str) -> None:
    assert describe(data).startswith(what)


@pytest.mark.parametrize("name", ["run", "validate", "inspect", "disasm"])
def test_a_bad_file_ends_with_1(name: str, tmp_path: Path, capsys: Capture) -> None:
    text = tmp_path / "module.wat"
    text.write_text("(module (fun))")
    broken = tmp_path / "broken.wasm"
    broken.write_bytes(modules.library()[:-3])
    component = tmp_path / "component.wasm"
    component.write_bytes(b"\0asm\x0d\0\1\0")
    expected = {
        str(tmp_path / "modul.wat"): "no such file: {0}; did you mean 'module.wat'?",
        str(tmp_path / "nowhere" / "x.wasm"): "no such file: {0} (there is no folder ",
        str(tmp_path): "{0} is a directory; name the .wasm file in it: broken.wasm, component.wasm",
        str(text): "{0}: unknown operator fun (line 1, column 10)",
        str(broken): "{0}: ",
        str(component): "{0}: ",
        "nul\0": "cannot read {0}: ",
    }
    for path, message in expected.items():
        assert main([name, path]) == 1
        error = capsys.readouterr().err
        assert error.startswith("vibewasm: " + message.format(escaped(path)))
        assert "Traceback" not in error
    assert main([name, str(broken)]) == 1
    assert "byte offset" in capsys.readouterr().err
    assert main([name, str(component)]) == 1
    assert "component" in capsys.readouterr().err


READERS = ["run", "validate", "inspect", "disasm", "wasm2wat", "stubs", "wat2wasm", "explore"]


@pytest.mark.parametrize("stdin", [True, False])
@pytest.mark.parametrize("name", READERS)
def test_what_has_no_end_is_refused_by_its_beginning(name: str, stdin: bool) -> None:
    words, variables = prepared(name, "-" if stdin else "/dev/zero")
    with open("/dev/zero", "rb") as file:
        done = subprocess.run(
            words, stdin=file, capture_output=True, env=variables, timeout=60, preexec_fn=_little_memory, check=False
        )
    assert done.returncode == 1
    assert done.stderr.startswith(b"vibewasm: " + (b"standard input" if stdin else b"/dev/zero"))
    assert b"memory" not in done.stderr


def _little_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (1 << 29, 1 << 29))


@pytest.mark.parametrize("kind", ["binary", "text", "space"])
def test_what_begins_well_is_read_to_the_bound_and_no_further(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(reading, "MAX_SIZE", 100_000)
    piece = {"binary": b"\0asm\1\0\0\0" + b"\0" * 992, "text": b"(;" * 500, "space": b" " * 1000}[kind]
    path = tmp_path / "endless"
    os.mkfifo(path)
    broken = []

    def write() -> None:
        with open(path, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(piece)
            except BrokenPipeError:
                broken.append(True)

    writer = threading.Thread(target=write)
    writer.start()
    assert main(["validate", str(path)]) == 1
    writer.join(60)
    assert broken
    assert capsys.readouterr().err == (
        f"vibewasm: cannot read {path}: a module has at most 100000 bytes, and this file has more\n"
    )


def test_a_large_file_is_not_read(tmp_path: Path, capsys: Capture) -> None:
    large = tmp_path / "large.wasm"
    large.write_bytes(b"\0asm\1\0\0\0")
    os.truncate(large, 3 << 30)
    done = command("validate", large)
    assert (done.returncode, done.stderr) == (1, (
        f"vibewasm: cannot read {large}: a module has at most 1073741824 bytes, and this file has more\n"
    ).encode())  # fmt: skip


def test_too_little_memory_for_a_file_is_a_sentence(tmp_path: Path) -> None:
    large = tmp_path / "large.wasm"
    large.write_bytes(b"\0asm\1\0\0\0")
    os.truncate(large, 1 << 30)
    words, variables = prepared("validate", large)
    done = subprocess.run(words, capture_output=True, env=variables, timeout=60, preexec_fn=_little_memory, check=False)
    assert done.returncode == 1
    assert done.stderr == f"vibewasm: cannot read {large}: there is not enough memory for all of it\n".encode()


def test_too_little_memory_for_the_work_is_a_sentence(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: object, **__: object) -> bytes:
        raise MemoryError

    monkeypatch.setattr("vibewasm.cli.wat2wasm.assemble", read)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"(module)")))
    assert main(["wat2wasm", "-"]) == 1
    assert capsys.readouterr().err.startswith("vibewasm: there is not enough memory; ")


@pytest.mark.parametrize("way", ["FIFO", "pipe", "standard input", "/dev/stdin"])
def test_a_pipe_is_read_to_its_end(way: str, tmp_path: Path) -> None:
    module = modules.library() + section(0, b"\x03big" + bytes(100_000))
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader, writer = os.pipe()
    place = {"FIFO": str(path), "pipe": f"/dev/fd/{reader}", "standard input": "-", "/dev/stdin": "/dev/stdin"}[way]
    words, variables = prepared("validate", place)
    process = subprocess.Popen(words, stdin=reader, pass_fds=[reader], env=variables, stdout=subprocess.PIPE)
    os.close(reader)
    if way == "FIFO":
        os.close(writer)
        writer = os.open(path, os.O_WRONLY)
    with open(writer, "wb", buffering=0) as file:
        for start in range(0, len(module), 30_000):
            file.write(module[start : start + 30_000])
            time.sleep(0.02)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out.endswith(b": valid\n")


def test_without_a_standard_input_it_is_said(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    assert main(["validate", "-"]) == 1
    assert capsys.readouterr().err == "vibewasm: there is no standard input to read; name a file\n"


@pytest.mark.parametrize("name", ["run", "validate", "inspect", "disasm"])
def test_what_needs_an_unbuilt_proposal_is_told_what_to_do(name: str, tmp_path: Path, capsys: Capture) -> None:
    binary, text = tmp_path / "module.wasm", tmp_path / "module.wat"
    binary.write_bytes(b"\0asm\1\0\0\0" + b"\1\3\1\x5f\0")  # the type of a structure
    text.write_text("(module (func struct.new 0))")
    for path in (binary, text):
        assert main([name, str(path)]) == 1
        first, second = capsys.readouterr().err.splitlines()
        assert first.startswith(f"vibewasm: {path}: garbage collection (")
        assert second == (
            "Compile the program without garbage collection; the README lists what else is missing, "
            "under 'What is not there yet'."
        )
    component = tmp_path / "component.wasm"
    component.write_bytes(b"\0asm\x0d\0\1\0")
    assert main([name, str(component)]) == 1
    assert "Compile the program without" not in capsys.readouterr().err


@pytest.mark.parametrize("name", ["run", "validate", "compile"])
def test_what_no_legacy_exceptions_refuses_is_told_what_to_do(name: str, tmp_path: Path, capsys: Capture) -> None:
    text = tmp_path / "module.wat"
    text.write_text('(module (func (export "_start") (try (do) (catch_all))))')
    output = ["-o", str(tmp_path / "out")] if name == "compile" else []
    assert main([name, *output, str(text)]) == 0
    capsys.readouterr()
    assert main([name, *output, "--no-legacy-exceptions", str(text)]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(f"vibewasm: {text}: legacy exception handling is turned off: ")
    assert second == (
        "Leave out --no-legacy-exceptions, or make the form of the specification of it: Binaryen's "
        "wasm-opt --translate-to-exnref does, and so do newer compilers when they are told."
    )


def test_validate_checks_every_file(tmp_path: Path, capsys: Capture) -> None:
    good, bad = tmp_path / "good.wasm", tmp_path / "bad.wasm"
    good.write_bytes(modules.library())
    bad.write_bytes(modules.invalid_body())
    assert main(["validate", str(good)]) == 0
    assert capsys.readouterr().out == f"{good}: valid\n"
    assert main(["validate", str(bad), str(good)]) == 1
    output, error = capsys.readouterr()
    assert output == f"{good}: valid\n"
    assert error.startswith(f"vibewasm: {bad}: type mismatch")
    assert "in function 0 <broken>" in error


def test_run_does_not_import_what_is_dear(tmp_path: Path) -> None:
    path = tmp_path / "module.wasm"
    path.write_bytes(modules.library())
    code = (
        "import sys\n"
        "before = set(sys.modules)\n"
        "from vibewasm.cli import main\n"
        f"assert main(['run', '--invoke', 'add', {str(path)!r}, '1', '2']) == 0\n"
        "dear = ('argparse', 'dataclasses', 'typing', 'inspect', 're', 'enum', 'functools', 'threading', 'pathlib',\n"
        "        'contextlib', 'tempfile', 'logging', 'json', 'difflib')\n"
        "print([name for name in dear if name in set(sys.modules) - before])\n"
    )
    # -I and -S: nothing that a site-packages folder does at start blurs what the command itself imports.
    line = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(Path.cwd())!r})\n{code}"]
    _, environment = prepared()
    output = subprocess.run(line, env=environment, capture_output=True, check=True, text=True).stdout
    assert output == "3\n[]\n"


@pytest.mark.parametrize("how", [["-m", "vibewasm"], ["scripts/vibewasm"]], ids=["module", "script"])
def test_the_end_of_the_process_leaves_nothing_undone(project: Path, tmp_path: Path, how: list[str]) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import atexit, sys\natexit.register(lambda: sys.stdout.write('at exit'))\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(project)])}
    for words, code, said in ((["--version"], 0, f"vibewasm {vibewasm.__version__}\n"), (["run"], 2, "")):
        line = [sys.executable, *how, *words]
        outcome = subprocess.run(line, cwd=project, env=environment, capture_output=True, text=True, check=False)
        assert (outcome.returncode, outcome.stdout) == (code, said + "at exit")


@pytest.mark.parametrize("how", [["-m", "vibewasm"], ["scripts/vibewasm"]], ids=["module", "script"])
def test_a_profiler_of_the_process_gets_its_turn(project: Path, how: list[str]) -> None:
    line = [sys.executable, "-m", "cProfile", *how, "--version"]
    outcome = subprocess.run(line, cwd=project, capture_output=True, text=True, check=True)
    assert "function calls" in outcome.stdout
