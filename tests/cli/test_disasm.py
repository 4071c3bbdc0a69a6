"""``vibewasm disasm``."""

from __future__ import annotations

import builtins
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from vibewasm.backends import TARGETS
from vibewasm.cli import main

from . import modules

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def path(tmp_path: Path) -> str:
    file = tmp_path / "module.wasm"
    file.write_bytes(modules.library())
    return str(file)


class Terminal(io.TextIOWrapper):
    """Standard output or standard error that is a terminal."""

    def __init__(self, encoding: str = "utf-8") -> None:
        self._written = io.BytesIO()
        super().__init__(self._written, encoding=encoding, write_through=True)

    def isatty(self) -> bool:
        return True

    def text(self) -> str:
        return self._written.getvalue().decode(self.encoding)


def test_all_functions_are_listed(path: str, capsys: Capture) -> None:
    assert main(["disasm", path]) == 0
    text = capsys.readouterr().out
    heads = [line for line in text.splitlines() if line.startswith("func ")]
    assert heads[:2] == ["func $add (;0;): (i32, i32) -> i32", "func $quotient (;1;): (i32, i32) -> i32"]
    assert len(heads) == 7


def test_text_modules_are_listed(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "module.wat"
    file.write_text('(module (func $f (export "f") (param $n i32) (result i32) (local.get $n)))')
    assert main(["disasm", str(file)]) == 0
    assert "local.get $n" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["1", "div", "quotient"])
def test_a_function_is_found_by_index_export_or_name(path: str, capsys: Capture, name: str) -> None:
    assert main(["disasm", "--func", name, path]) == 0
    text = capsys.readouterr().out
    assert text.startswith("func $quotient (;1;): (i32, i32) -> i32\n")
    assert text.count("func ") == 1
    assert "i32.div_s" in text


def test_several_functions(path: str, capsys: Capture) -> None:
    assert main(["disasm", path, "--func", "spin", "--func", "add", "--func", "spin"]) == 0
    text = capsys.readouterr().out
    assert [line.split()[1] for line in text.splitlines() if line.startswith("func ")] == ["$spin", "$add"]


def test_a_pattern_means_all_that_fit(path: str, capsys: Capture) -> None:
    assert main(["disasm", path, "--func", "*d*"]) == 0
    text = capsys.readouterr().out
    names = [line.split()[1] for line in text.splitlines() if line.startswith("func ")]
    assert names[:2] == ["$add", "$quotient"]
    assert main(["disasm", path, "--func", "x*z"]) == 2
    assert "no function is called like 'x*z'" in capsys.readouterr().err


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


@pytest.mark.parametrize("name", ["nope", "nope*"])
def test_an_unknown_function_is_told_with_those_there_are(
    path: str, tmp_path: Path, capsys: Capture, name: str
) -> None:
    assert main(["disasm", "--func", name, path]) == 2
    error = capsys.readouterr().err
    assert f"{name!r}\nfunctions:\n  quotient\n  add\n  div\n" in error
    file = tmp_path / "module.wat"
    file.write_text("(module" + "".join(f'(func (export "f\\1b{i}"))' for i in range(23)) + ")")
    assert main(["disasm", "--func", name, str(file)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n  f\\x1b") == 20
    assert "\n  ... and 3 more\n" in error
    file.write_text("(module (func))")
    assert main(["disasm", "--func", name, str(file)]) == 2
    assert "(no function of the module has a name; --func takes indices too)" in capsys.readouterr().err


def test_a_module_without_functions_has_no_listing(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "empty.wat"
    file.write_text("(module)")
    assert main(["disasm", str(file)]) == 0
    assert capsys.readouterr().out == ""
    assert main(["disasm", "--func", "0", str(file)]) == 2
    assert "the module defines none" in capsys.readouterr().err


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


@pytest.mark.parametrize("target", TARGETS)
def test_the_target_can_be_another_than_the_host(path: str, capsys: Capture, target: str) -> None:
    assert main(["disasm", "--target", target, "--func", "add", path]) == 0
    assert {"x86_64": "of x86-64", "aarch64": "of AArch64"}[target] in capsys.readouterr().out


def test_wrong_choices_are_usage_errors(path: str, capsys: Capture) -> None:
    for words in (
        ["--target", "z80"],
        ["--diff", "x86_64", "z80"],
        ["--diff", "x86_64"],
        ["--format", "pdf"],
        ["--syntax", "masm"],
        ["--diff", "x86_64", "x86_64", "--format", "json"],
        ["--summary", "--format", "html"],
    ):
        assert main(["disasm", path, *words]) == 2, words
        assert capsys.readouterr().err.startswith("vibewasm disasm: ")


def test_bytes_and_syntax(path: str, capsys: Capture) -> None:
    assert main(["disasm", path, "--func", "add", "--target", "x86_64", "--bytes", "--syntax", "att"]) == 0
    text = capsys.readouterr().out
    assert "48 89 e5" in text
    assert "movq    %rsp, %rbp" in text


def test_the_summary_is_by_size(path: str, capsys: Capture) -> None:
    assert main(["disasm", path, "--summary"]) == 0
    head, *rows, total = capsys.readouterr().out.splitlines()
    assert head.split() == ["index", "function", "wasm", "machine", "times", "frame"]
    sizes = [int(row.split()[-3]) for row in rows]
    assert sizes == sorted(sizes, reverse=True)
    assert total.split()[:2] == ["7", "functions"]
    assert int(total.split()[-2]) == sum(sizes)
    assert main(["disasm", path, "--summary", "--format", "json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 7


def test_json_holds_everything(path: str, capsys: Capture) -> None:
    assert main(["disasm", path, "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["functions"]) == 7
    function = found["functions"][1]
    assert function["name"] == "quotient"
    machine = [item for group in function["groups"] for item in group["machine"]]
    assert sum(len(item["bytes"]) // 2 for item in machine) == function["machine_size"]
    assert any("integer divide by zero" in item["traps"] for item in machine)


def test_html_is_written_to_a_file(path: str, tmp_path: Path, capsys: Capture) -> None:
    output = tmp_path / "listing.html"
    assert main(["disasm", path, "--format", "html", "--output", str(output)]) == 0
    assert capsys.readouterr().out == ""
    page = output.read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page


def test_two_targets_stand_side_by_side(path: str, capsys: Capture) -> None:
    assert main(["disasm", path, "--func", "add", "--diff", TARGETS[0], TARGETS[-1]]) == 0
    text = capsys.readouterr().out
    assert text.startswith("func $add (;0;): (i32, i32) -> i32\n")
    assert "i32.add" in text
    assert all(len(line) <= 160 for line in text.splitlines())


def test_a_terminal_gets_colours_unless_no_color_is_set(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured, plain = Terminal(), Terminal()
    monkeypatch.setattr(sys, "stdout", coloured)
    assert main(["disasm", "--func", "add", path]) == 0
    assert "\x1b[" in coloured.text()
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys, "stdout", plain)
    assert main(["disasm", "--func", "add", path]) == 0
    assert "\x1b[" not in plain.text()


def test_a_pipe_gets_no_colours_unless_asked_to(path: str, capsys: Capture) -> None:
    assert main(["disasm", path]) == 0
    assert "\x1b[" not in capsys.readouterr().out
    assert main(["disasm", path, "--color"]) == 0
    assert "\x1b[" in capsys.readouterr().out


def test_an_output_that_knows_ascii_only_gets_ascii_arrows(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal("ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("NO_COLOR", "1")
    assert main(["disasm", "--func", "spin", path]) == 0
    text = terminal.text()
    assert text.isascii()
    assert "->" in text


def test_progress_is_shown_on_a_terminal_only(path: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr("vibewasm.cli.progress._PATIENCE", 0)
    monkeypatch.setattr("vibewasm.cli.progress._INTERVAL", 0)
    assert main(["disasm", path]) == 0
    assert capsys.readouterr().err == ""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert main(["disasm", path]) == 0
    assert "0/7 functions" in terminal.text()
    assert terminal.text().endswith("\r\x1b[K")


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
    # Sizes take no reading of machine code.
    assert main(["disasm", "--summary", path]) == 0
