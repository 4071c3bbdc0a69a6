"""The limits of ``vibewasm run``: the same in the code, in its help and in the documentation, and each met."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import vibewasm as vw
from tests.spec.suite import PROJECT_ROOT
from vibewasm.cli import main
from vibewasm.cli.options import option_of
from vibewasm.limits import LIMITS
from vibewasm.wat import wat2wasm

Save = Callable[[bytes], str]
Capture = pytest.CaptureFixture[str]
UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def number(text: str) -> int | None:
    """A number of the table, which a dash is none."""
    if text == "-":
        return None
    digits = text.strip("`")
    return int(digits[:-1]) * UNITS[digits[-1]] if digits[-1] in UNITS else int(digits)


def test_the_documentation_has_every_limit_as_it_is() -> None:
    text = (PROJECT_ROOT / "docs" / "limits.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(max_\w+)` \| (.*?) \| (.*?) \| (.*?) \| (.*?) \|$", text, re.MULTILINE)
    assert {name: number(usual) for name, _, _, usual, _ in rows} == {
        name: usual for name, (_, usual) in LIMITS.items()
    }
    assert [name for name, *_ in rows] == [*LIMITS]
    store = vw.Store()
    assert {name: number(given) for name, _, given, _, _ in rows} == {
        name: getattr(store.limits, name) for name in LIMITS
    }


def test_help_has_every_limit_with_what_it_begins_with(capsys: Capture) -> None:
    assert main(["run", "--help"]) == 0
    limits = capsys.readouterr().out.partition("\nlimits (")[2].partition("\n\n")[0]
    for name, (unit, usual) in LIMITS.items():
        [line] = [line for line in limits.splitlines() if line.startswith(f"  {option_of(name)} ")]
        assert ("BYTES" in line) == (unit == "a number of bytes")
        found = re.search(r"\[(\w+)\]$", line)
        assert (number(found[1]) if found else None) == usual
        assert len(line) < 120


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Writes a module to a file and gives its path."""

    def write(data: bytes) -> str:
        path = tmp_path / "a.wasm"
        path.write_bytes(data)
        return str(path)

    return write


#: What most modules here end with.
START = '(func (export "_start")))'
#: A program of WASI.
PROGRAM = '(module (import "wasi_snapshot_preview1" "sched_yield" (func (result i32))) ' + START

#: A module, the limit that it meets, the most that it may not have, and the words that say so.
REFUSED = [
    ("(module (memory 1) " + START, "max_memory", 65535, "is more than --max-memory allows: 65535 bytes"),
    ("(module (memory 1) " + START, "max_memory_each", 65535, "is more than --max-memory-each allows: 65535 bytes"),
    ("(module (table 3 funcref) " + START, "max_table_elements", 2, "is more than --max-table-elements allows: 2"),
    ("(module (table 3 funcref) " + START, "max_table_elements_each", 2, "more than --max-table-elements-each allows"),
    ("(module " + START, "max_instances", 0, "--max-instances allows: 0"),
    ("(module (memory 0) " + START, "max_memories", 0, "--max-memories allows: 0"),
    ("(module (table 0 funcref) " + START, "max_tables", 0, "--max-tables allows: 0"),
    ("(module (global i32 (i32.const 0)) " + START, "max_globals", 0, "--max-globals allows: 0"),
    ("(module (tag) " + START, "max_tags", 0, "--max-tags allows: 0"),
    (PROGRAM, "max_host_functions", 0, "--max-host-functions allows: 0"),
    (PROGRAM, "max_open_files", 2, "--max-open-files allows: 2"),
    (PROGRAM, "max_arguments", 6, "--max-arguments allows: 6"),
    ("(module " + START, "max_module_size", 10, "--max-module-size allows 10"),
    ("(module (func) " + START, "max_functions", 1, "--max-functions allows 1"),
    ("(module (type (func (param i32))) " + START, "max_types", 1, "--max-types allows 1"),
    ("(module (type (func (param i32 i32))) " + START, "max_params", 1, "--max-params allows 1"),
    ("(module (type (func (result i32 i32))) " + START, "max_results", 1, "--max-results allows 1"),
    ('(module (func (export "_start") (local i32 i64)))', "max_locals", 1, "--max-locals allows 1"),
    ("(module " + START, "max_code", 1, "--max-code allows a module: 1"),
]


@pytest.mark.parametrize(("text", "name", "most", "words"), REFUSED, ids=[name for _, name, _, _ in REFUSED])
def test_what_is_beyond_a_limit_is_refused_with_the_option(
    text: str, name: str, most: int, words: str, save: Save, capsys: Capture
) -> None:
    file = save(wat2wasm(text))
    assert main(["run", "--no-cache", f"{option_of(name)}={most}", file]) == 1
    assert words in capsys.readouterr().err
    assert main(["run", "--no-cache", option_of(name), "none", file]) == 0
    assert main(["run", "--no-cache", "--no-limits", file]) == 0


def test_recursion_meets_the_limit_of_the_stack(save: Save, capsys: Capture) -> None:
    text = """(module (func $f (export "f") (param i32) (if (local.get 0)
        (then (call $f (i32.sub (local.get 0) (i32.const 1)))))))"""
    file = save(wat2wasm(text))
    assert main(["run", "--no-cache", "--invoke", "f", file, "1000"]) == 0
    assert main(["run", "--no-cache", "--max-stack", "8K", "--invoke", "f", file, "1000"]) == 134
    error = capsys.readouterr().err
    assert "call stack exhausted" in error
    assert error.endswith("note: the program met limits, which can be raised: --max-stack\n")


GROWS = """(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32))) (memory 1)
    (func (export "_start") (call $exit (i32.add (memory.grow (i32.const 1)) (i32.const 5)))))"""


def test_a_program_that_fails_is_told_of_the_limits_that_it_met(save: Save, capsys: Capture) -> None:
    file = save(wat2wasm(GROWS))
    assert main(["run", "--no-cache", "--max-memory", "128K", file]) == 6
    assert capsys.readouterr().err == ""
    assert main(["run", "--no-cache", "--max-memory", "64K", file]) == 4
    note = "vibewasm: note: the program met limits, which can be raised: --max-memory\n"
    assert capsys.readouterr().err == note


@pytest.mark.parametrize("value", ["x", "-1", "1.5", "", "None", "64Q"])
def test_a_value_that_is_no_number_is_refused(value: str, save: Save, capsys: Capture) -> None:
    file = save(wat2wasm("(module)"))
    for option in ("--max-memory", "--max-tables"):
        assert main(["run", f"{option}={value}", file]) == 2
        assert f"{option} wants a" in capsys.readouterr().err


def test_a_file_beyond_the_limit_is_refused(save: Save, tmp_path: Path, capsys: Capture) -> None:
    data = wat2wasm('(module (func (export "_start")))')
    file = save(data)
    assert main(["run", "--no-cache", f"--max-module-size={len(data)}", file]) == 0
    assert main(["run", "--no-cache", f"--max-module-size={len(data) - 1}", file]) == 1
    assert f"a module of {len(data)} bytes, and --max-module-size allows {len(data) - 1}" in capsys.readouterr().err
