"""`python -m tests.differential` and `python -m tests.differential.faults`, from outside."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.differential import __main__ as command
from tests.differential import recording
from tests.differential.cases import from_wat
from tests.spec.suite import PROJECT_ROOT


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["tests.differential", *words])
    return command.main()


def test_a_campaign_reports_what_it_compared(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--count", "12", "--seed", "4", "--jobs", "2", "--mode", "checked-lazy") == 0
    out = capsys.readouterr().out
    assert "seed 4, modules 0 to 11" in out
    assert "12 modules, " in out
    assert "modes: checked-lazy 12\n" in out
    # Twelve modules do not meet every place.
    assert run(monkeypatch, "--count", "12", "--seed", "4", "--place-table") == 1
    out = capsys.readouterr().out
    assert "  not met: " in out
    assert "instruction             operand " in out


def test_one_module_is_shown_and_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(recording, "SAVED", tmp_path / "saved")
    assert run(monkeypatch, "--seed", "4", "--only", "3", "--save-case", "kept", "--reduce") == 0
    out = capsys.readouterr().out
    assert "module 3 (random, " in out
    assert "): nothing is wrong" in out
    text = (tmp_path / "saved" / "kept.wat").read_text()
    assert text.startswith(";; Module 3 of seed 4.\n;; mode: ")
    assert from_wat(text).steps


def test_modules_are_recorded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "cases.gz"
    assert run(monkeypatch, "--seed", "4", "--count", "5", "--start", "7", "--record", str(path)) == 0
    assert run(monkeypatch, "--check", str(path), "--jobs", "2") == 0
    out = capsys.readouterr().out
    assert "5 modules of seed 4 recorded" in out
    assert "5 modules checked, 0 differences" in out


@pytest.mark.parametrize("module", ["tests.differential", "tests.fuzz.mutants"])
def test_without_wasmtime_the_commands_say_what_to_install(module: str) -> None:
    code = (
        "import runpy, sys\n"
        "sys.modules['wasmtime'] = None\n"
        "sys.argv[1:] = ['--count', '1', '--seed', '4']\n"
        f"runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PROJECT_ROOT, check=False)
    assert done.returncode == 1
    assert done.stderr == ("this compares vibewasm with wasmtime, which is not installed: pip install '.[test]'\n")


def test_a_wrong_name_of_a_mode_or_fault_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run(monkeypatch, "--mode", "eagre")
    assert "no mode eagre; there are lazy, " in capsys.readouterr().err
    words = [sys.executable, "-m", "tests.differential.faults", "no-such-fault"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=PROJECT_ROOT, check=False)
    assert done.returncode == 2
    assert "no fault no-such-fault; there are " in done.stderr
    assert " address-wraps, " in done.stderr
