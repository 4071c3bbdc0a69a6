"""``vibewasm compile``, and running what it makes."""

from __future__ import annotations

import os
import pty
import resource
import subprocess
from pathlib import Path

import pytest

import vibewasm as vw
from tests.cache.damage import of_another_version
from tests.native import not_emulated
from vibewasm.api.config import CODE_SETTINGS
from vibewasm.api.precompiled import OtherSettings
from vibewasm.backends import TARGETS
from vibewasm.cache.container import MAGIC, PRECOMPILED
from vibewasm.calls.process import HOST, extensions
from vibewasm.cli.precompiled import misfit

from .command import command, prepared

HELLO = "Hello, WebAssembly!\n"


@pytest.fixture
def hello(project: Path, tmp_path: Path) -> Path:
    path = tmp_path / "hello.wasm"
    path.write_bytes((project / "examples" / "hello.wasm").read_bytes())
    return path


def test_it_writes_beside_the_module_or_where_it_is_told(hello: Path) -> None:
    assert command("compile", hello).returncode == 0
    first = hello.with_suffix(".vwc").read_bytes()
    assert first.startswith(MAGIC)
    for option in ("-o", "--output"):
        other = hello.with_name(f"other{option}")
        assert command("compile", hello, option, other).returncode == 0
        assert other.read_bytes() == first
    assert command("compile", "-", stdin=hello.read_bytes()).stdout == first
    assert command("compile", hello, "-o", "-").stdout == first


def test_only_those_who_allow_it_run_it(hello: Path) -> None:
    command("compile", hello)
    made = hello.with_suffix(".vwc")
    outcome = command("run", "--allow-precompiled", made)
    assert (outcome.returncode, outcome.stdout.decode()) == (0, HELLO)
    # What is allowed is not asked for.
    assert command("run", "--allow-precompiled", hello).stdout.decode() == HELLO
    for name in ("run", "validate", "inspect", "wasm2wat", "compile"):
        outcome = command(name, made)
        assert outcome.returncode == 1
        assert b"precompiled module (machine code)" in outcome.stderr, outcome.stderr


def test_settings_have_to_fit(hello: Path) -> None:
    command("compile", "--fuel", hello)
    made = hello.with_suffix(".vwc")
    outcome = command("run", "--allow-precompiled", made)
    assert outcome.returncode == 1
    advice = "cannot be run without it: give vibewasm run --fuel N as well, or compile it again without --fuel"
    assert outcome.stderr.decode() == f"vibewasm: {made} was compiled with --fuel, and {advice}\n"
    assert command("run", "--allow-precompiled", "--fuel", "100000", made).stdout.decode() == HELLO
    command("compile", hello)
    outcome = command("run", "--allow-precompiled", "--fuel", "100000", made)
    assert outcome.returncode == 1
    advice = "cannot be run with it: compile it again with vibewasm compile --fuel, or leave --fuel out"
    assert outcome.stderr.decode() == f"vibewasm: {made} was compiled without --fuel, and {advice}\n"


def run_where_little_can_be_reserved(path: Path) -> tuple[int, str, str]:
    """``vibewasm run`` in a process that has no room for unmapped address space behind memories."""
    line, environment = prepared("run", "--allow-precompiled", path)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))

    outcome = subprocess.run(
        line, env=environment, preexec_fn=limit, capture_output=True, text=True, timeout=300, check=False
    )
    return outcome.returncode, outcome.stdout, outcome.stderr


@not_emulated("address space has no limit there")
def test_bounds_that_are_not_checked_want_address_space(hello: Path) -> None:
    made = hello.with_suffix(".vwc")
    command("compile", hello)
    code, _, error = run_where_little_can_be_reserved(made)
    assert code == 1
    assert f"{made} was compiled without --explicit-bounds, and needs more address space" in error
    assert "compile it again with vibewasm compile --explicit-bounds" in error
    command("compile", "--explicit-bounds", hello)
    assert run_where_little_can_be_reserved(made) == (0, HELLO, "")


def test_every_setting_that_differs_is_told_in_terms_of_the_command_line(hello: Path) -> None:
    other = next(target for target in TARGETS if target != HOST)
    made = hello.with_suffix(".vwc")
    command("compile", "--target", other, hello)
    outcome = command("run", "--allow-precompiled", made)
    assert outcome.returncode == 1
    assert f"{made} was compiled for {other}" in outcome.stderr.decode()
    assert f"compile it again with vibewasm compile --target {HOST}\n" in outcome.stderr.decode()
    made.write_bytes(vw.Module(vw.Engine(vw.Config(checked=True)), hello).serialize())
    outcome = command("run", "--allow-precompiled", made)
    assert outcome.returncode == 1
    assert f"{made} was made in Python with Config(checked=True)" in outcome.stderr.decode()
    assert "vibewasm compile" in outcome.stderr.decode()
    for setting in ("target", "extensions", *CODE_SETTINGS):
        for value in "01":
            wanted = "10"[int(value)]
            # Code that checks bounds fits every engine, and so does a module without the older form of exceptions; no
            # option makes an engine that checks itself.
            if (setting, value) not in (("explicit_bounds", "1"), ("legacy_exceptions", "0"), ("checked", "0")):
                assert "vibewasm " in misfit(OtherSettings("x", setting, value, wanted))


def test_extensions_that_are_not_there(hello: Path) -> None:
    if not extensions():
        pytest.skip("NOT RUN: this processor has no extension that code could use")
    command("compile", hello)
    outcome = command("run", "--allow-precompiled", hello.with_suffix(".vwc"), VIBEWASM_CPU="baseline")
    assert outcome.returncode == 1
    assert b"VIBEWASM_CPU=baseline vibewasm compile" in outcome.stderr


def on_a_terminal(*words: str | Path, stdin: bytes = b"") -> tuple[int, bytes, bytes]:
    """The exit code of the command with a terminal for standard output, what it showed there, and its errors."""
    line, environment = prepared(*words)
    terminal, end = pty.openpty()
    try:
        outcome = subprocess.run(
            line, env=environment, input=stdin, stdout=end, stderr=subprocess.PIPE, timeout=300, check=False
        )
        os.close(end)
        try:
            shown = os.read(terminal, 1 << 16)
        except OSError:  # EIO: nothing was written, and nobody can any more
            shown = b""
    finally:
        os.close(terminal)
    return outcome.returncode, shown, outcome.stderr


REFUSED = (
    b"vibewasm: standard output is a terminal, and a binary file is not written to one; "
    b"name a file with --output FILE, or send standard output to a file or a pipe\n"
)


@pytest.mark.parametrize("name", ["compile", "wat2wasm"])
def test_no_binary_file_is_written_to_a_terminal(hello: Path, name: str) -> None:
    path = hello
    if name == "wat2wasm":
        path = hello.with_suffix(".wat")
        path.write_text("(module)")
    assert on_a_terminal(name, path, "-o", "-") == (1, b"", REFUSED)
    # Refused before anything is read: what would have to be typed, or takes long.
    assert on_a_terminal(name, "-") == (1, b"", REFUSED)
    assert on_a_terminal(name, "nothing", "-o", "-") == (1, b"", REFUSED)
    code, shown, error = on_a_terminal(name, path, "-o", "/dev/stdout")
    assert (code, shown) == (1, b"")
    assert b"/dev/stdout is a terminal" in error
    # Text is what terminals are for, and a file is no terminal.
    assert on_a_terminal("wasm2wat", hello, "-o", "-")[:1] == (0,)
    assert on_a_terminal(name, path, "-o", hello.with_name("out")) == (0, b"", b"")
    assert command(name, path, "-o", "-").stdout == hello.with_name("out").read_bytes()


def test_for_the_other_processor(hello: Path) -> None:
    sizes = set()
    for target in ("x86_64", "aarch64"):
        assert command("compile", "--target", target, hello).returncode == 0
        sizes.add(hello.with_suffix(".vwc").stat().st_size)
    assert len(sizes) == 2
    assert command("compile", "--target", "z80", hello).returncode == 2


def test_bad_modules_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.wat"
    path.write_text("(module (func (result i32)))")
    outcome = command("compile", path)
    assert outcome.returncode == 1
    assert b"type mismatch" in outcome.stderr
    assert not path.with_suffix(".vwc").exists()


@pytest.mark.parametrize("damage", ["cut", "flip", "other version"])
def test_damaged_files_are_refused(hello: Path, damage: str) -> None:
    command("compile", hello)
    made = hello.with_suffix(".vwc")
    data = bytearray(made.read_bytes())
    if damage == "cut":
        del data[-1]
    elif damage == "flip":
        data[len(data) // 2] ^= 1
    else:
        data[:] = of_another_version(bytes(data), PRECOMPILED)
    made.write_bytes(data)
    outcome = command("run", "--allow-precompiled", made)
    assert outcome.returncode == 1
    assert (b"another version" if damage == "other version" else b"damaged") in outcome.stderr


def test_the_cache_makes_no_difference_but_time(hello: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    for words in ([], [], ["--no-cache"], ["--eager"], ["--fuel", "100000"]):
        outcome = command("run", *words, hello, VIBEWASM_CACHE=str(folder))
        assert (outcome.returncode, outcome.stdout.decode(), outcome.stderr) == (0, HELLO, b"")
    assert len([*folder.glob("*.code")]) >= 2
    assert command("run", hello, VIBEWASM_CACHE="off").stdout.decode() == HELLO
    assert command("run", "--no-cache", hello, VIBEWASM_CACHE=str(tmp_path / "none")).stdout.decode() == HELLO
    assert not (tmp_path / "none").exists()
