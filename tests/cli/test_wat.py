"""``vibewasm wat2wasm`` and ``wasm2wat``, and text where other commands take modules."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vibewasm.cli import main
from vibewasm.wat import wat2wasm

TEXT = '(module (func $f (export "f") (result i32) (i32.const 42)))'


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "answer.wat"
    path.write_text(TEXT)
    return path


def test_a_binary_is_written_beside_the_text(text: Path, tmp_path: Path) -> None:
    assert main(["wat2wasm", str(text)]) == 0
    assert (tmp_path / "answer.wasm").read_bytes() == wat2wasm(TEXT)
    other = tmp_path / "other"
    assert main(["wat2wasm", "--names", "--output", str(other), str(text)]) == 0
    assert other.read_bytes() == wat2wasm(TEXT, names=True)


def test_faults_in_text_end_with_1_and_write_nothing(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text.write_text("(module (fun))")
    assert main(["wat2wasm", str(text)]) == 1
    assert capsys.readouterr().err.startswith(f"vibewasm: {text}: unknown operator fun (line 1, column 10)")
    text.write_text("(func i32.const 1)")
    assert main(["wat2wasm", "--validate", str(text)]) == 1
    assert "type mismatch" in capsys.readouterr().err
    assert not (tmp_path / "answer.wasm").exists()
    assert main(["wat2wasm", str(text), "--output", str(tmp_path / "no" / "folder")]) == 1
    assert "cannot write" in capsys.readouterr().err


def test_a_binary_is_shown_as_text(text: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    binary = tmp_path / "answer.wasm"
    binary.write_bytes(wat2wasm(TEXT, names=True))
    assert main(["wasm2wat", str(binary)]) == 0
    shown = capfdbinary.readouterr().out.decode()
    assert "(func $f (type 0) (result i32)\n    i32.const 42)" in shown
    assert wat2wasm(shown, names=True) == binary.read_bytes()
    binary.write_bytes(b"\0asm\1\0\0\0\1")
    assert main(["wasm2wat", str(binary)]) == 1


def test_text_runs_as_a_module(text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--invoke", "f", str(text)]) == 0
    assert capsys.readouterr().out.strip() == "42"


def test_a_text_whose_name_is_that_of_its_binary_is_not_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    binary = wat2wasm(TEXT)
    Path("in.wasm").write_bytes(binary)
    Path("in.wat").write_text(TEXT)
    Path("src.wasm").write_text(TEXT)
    assert main(["wat2wasm", "src.wasm"]) == 1
    assert "src.wasm is the file that is read; name another with --output FILE" in capsys.readouterr().err
    assert Path("src.wasm").read_text() == TEXT
    assert main(["wat2wasm", "in.wasm"]) == 1
    assert "in.wasm is a binary module already; vibewasm wasm2wat shows it as text" in capsys.readouterr().err
    assert Path("in.wasm").read_bytes() == binary
    os.symlink("in.wat", "link.wat")
    os.symlink("in.wat", "link.wasm")
    assert main(["wat2wasm", "link.wat"]) == 1
    assert "link.wasm is the file that is read (link.wat)" in capsys.readouterr().err
    assert Path("in.wat").read_text() == TEXT
