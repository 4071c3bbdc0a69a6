"""``vibewasm compile``, and running what it makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cache.damage import of_another_version
from vibewasm.cache.container import MAGIC, PRECOMPILED

from .command import command

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
    assert b"precompiled with fuel=True" in outcome.stderr
    assert command("run", "--allow-precompiled", "--fuel", "100000", made).stdout.decode() == HELLO


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
