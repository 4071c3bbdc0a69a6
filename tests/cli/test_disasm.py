"""``vibewasm disasm``."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest

from vibewasm.cli import main

from . import modules

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def path(tmp_path: Path) -> str:
    file = tmp_path / "module.wasm"
    file.write_bytes(modules.library())
    return str(file)


def test_all_functions_are_listed(path: str, capsys: Capture) -> None:
    assert main(["disasm", path]) == 0
    text = capsys.readouterr().out
    heads = [line for line in text.splitlines() if line.startswith("function ")]
    assert heads[:2] == ["function 0 'add': (i32, i32) -> i32", "function 1 'quotient': (i32, i32) -> i32"]
    assert len(heads) == 7


@pytest.mark.parametrize("name", ["1", "div", "quotient"])
def test_a_function_is_found_by_index_export_or_name(path: str, capsys: Capture, name: str) -> None:
    assert main(["disasm", "--func", name, path]) == 0
    text = capsys.readouterr().out
    assert text.startswith("function 1 'quotient': (i32, i32) -> i32\n")
    assert text.count("function ") == 1
    assert "idiv" in text


def test_several_functions(path: str, capsys: Capture) -> None:
    assert main(["disasm", path, "--func", "spin", "--func", "add"]) == 0
    text = capsys.readouterr().out
    assert [line.split("'")[1] for line in text.splitlines() if line.startswith("function ")] == ["spin", "add"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("quotien", "there is no function 'quotien'; did you mean 'quotient'?"),
        ("99", "there is no function 99; the defined ones are 0 to 6"),
    ],
)
def test_an_unknown_function_is_a_usage_error(path: str, capsys: Capture, name: str, message: str) -> None:
    assert main(["disasm", "--func", name, path]) == 2
    assert capsys.readouterr().err.startswith(f"vibewasm disasm: {message}")


def test_an_imported_function_has_no_code(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "module.wasm"
    file.write_bytes(modules.wants_host())
    assert main(["disasm", "--func", "0", str(file)]) == 2
    assert "function 0 is imported" in capsys.readouterr().err


def test_an_invalid_body_is_reported(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "module.wasm"
    file.write_bytes(modules.invalid_body())
    assert main(["disasm", str(file)]) == 1
    assert "in function 0 <broken>" in capsys.readouterr().err


def test_without_capstone_it_says_how_to_get_it(path: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without_capstone(name: str, *rest: Any, **options: Any) -> Any:
        if name == "capstone":
            raise ModuleNotFoundError("No module named 'capstone'", name="capstone")
        return imported(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without_capstone)
    assert main(["disasm", path]) == 1
    assert capsys.readouterr().err == (
        "vibewasm: a listing of machine code needs capstone: pip install 'vibewasm[disasm]'\n"
    )
