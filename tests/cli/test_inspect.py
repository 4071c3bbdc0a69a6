"""``vibewasm inspect``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.binary.builder import ModuleBuilder
from tests.binary.encode import i32_const
from vibewasm.cli import main

from . import modules

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def path(tmp_path: Path) -> str:
    m = ModuleBuilder()
    m.import_func("env", "log", ["i32"])
    m.import_global("env", "base", "i32")
    m.memory(1, 2, export="memory")
    m.table(3, export="table")
    m.func(["i32", "i64"], ["f32"], b"\x43\0\0\0\0", export="f", name="first")
    m.func([], ["i32"], i32_const(1))
    m.name("example")
    m.custom("note", b"hello")
    file = tmp_path / "module.wasm"
    file.write_bytes(m.build())
    return str(file)


def test_json_holds_everything(path: str, capsys: Capture) -> None:
    assert main(["inspect", "--json", path]) == 0
    facts = json.loads(capsys.readouterr().out)
    size = Path(path).stat().st_size
    assert facts["file"] == path
    assert facts["size"] == size
    assert facts["name"] == "example"
    assert facts["imports"] == [
        {"module": "env", "name": "log", "kind": "func", "type": "(i32) -> ()"},
        {"module": "env", "name": "base", "kind": "global", "type": "global i32"},
    ]
    assert [(item["kind"], item["name"]) for item in facts["exports"]] == [
        ("memory", "memory"),
        ("table", "table"),
        ("func", "f"),
    ]
    assert facts["functions"] == {"imported": 1, "defined": 2, "code_size": 11, "largest": 7}
    assert facts["start"] is None
    sections = facts["sections"]
    assert {section["name"] for section in sections} >= {"type", "import", "code", "custom 'note'", "custom 'name'"}
    # Sections fill the module: each one's contents come after its number and its size.
    ends = [8, *(section["offset"] + section["size"] for section in sections)]
    assert all(2 <= section["offset"] - end <= 6 for section, end in zip(sections, ends, strict=False))
    assert ends[-1] == size


def test_text_shows_the_same(path: str, capsys: Capture) -> None:
    assert main(["inspect", path]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"{path}: WebAssembly module, {Path(path).stat().st_size} bytes, named 'example'\n")
    assert "functions: 1 imported, 2 defined (11 bytes of code, the largest 7)" in text
    lines = [" ".join(line.split()) for line in text.splitlines()]
    for line in (
        "imports: 2",
        "func env.log (i32) -> ()",
        "global env.base i32",
        "exports: 3",
        "memory memory 1 2",
        "func f (i32, i64) -> f32",
    ):
        assert line in lines


def test_the_version_of_wasi_is_told(tmp_path: Path, capsys: Capture) -> None:
    for wasi, version in (("wasi_snapshot_preview1", "preview 1"), ("wasi_unstable", "preview 0")):
        file = tmp_path / "module.wasm"
        file.write_bytes(modules.exits(0, wasi))
        assert main(["inspect", str(file)]) == 0
        assert f"WASI: {version}\n" in capsys.readouterr().out
        assert main(["inspect", "--json", str(file)]) == 0
        assert json.loads(capsys.readouterr().out)["wasi"] == [version]
    file.write_bytes(modules.library())
    assert main(["inspect", str(file)]) == 0
    assert "WASI" not in capsys.readouterr().out


CONTROL = """(module
  (type $plain (func (param i32)))
  (rec (type $a (func (param (ref null $b)))) (type $b (sub (func (result (ref $a))))))
  (type $self (func (param (ref $self))))
  (type $sub (sub final $b (func (result (ref $a)))))
  (import "env" "__cpp_exception" (tag $cpp (type $plain)))
  (tag $e (export "e") (param i64 exnref))
  (global (export "g") (ref null $plain) (ref.null $plain))
  (func)
  (func $f (export "f") (param (ref null func)) CODE))"""


def test_tags_and_declared_types_are_shown(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "module.wat"
    file.write_text(CONTROL.replace("CODE", "(block (try_table (catch_all 0) (throw $cpp (i32.const 1))))"))
    assert main(["inspect", "--json", str(file)]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["imports"] == [{"module": "env", "name": "__cpp_exception", "kind": "tag", "type": "tag (i32)"}]
    assert facts["exports"][0] == {"name": "e", "kind": "tag", "type": "tag (i64, exnref)"}
    assert (facts["exceptions"], facts["legacy_exceptions"]) == (1, None)
    group = "(rec\n  (type $a (func (param (ref null $b))))\n  (type $b (sub (func (result (ref $a))))))"
    assert facts["types"] == [
        group,
        "(type $self (func (param (ref $self))))",
        "(type $sub (sub final $b (func (result (ref $a)))))",
    ]
    assert main(["inspect", str(file)]) == 0
    text = capsys.readouterr().out
    lines = text.splitlines()
    start = lines.index("types that are recursive or have subtypes:") + 1
    assert lines[start : start + 5] == [f"  {line}" for entry in facts["types"] for line in entry.splitlines()]
    assert "  tag     env.__cpp_exception  (i32)" in lines
    assert "  tag     e  (i64, exnref)" in lines
    assert "exceptions: with try_table (first in function 1)\n" in text
    assert "older form" not in text


def test_both_forms_of_exceptions_are_named_where_a_module_has_both(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "module.wat"
    file.write_text(CONTROL.replace("CODE", "(try (do))) (func (throw_ref (ref.null exn))"))
    assert main(["inspect", str(file)]) == 0
    text = capsys.readouterr().out
    assert "exceptions: with try_table (first in function 2)\n" in text
    assert "exceptions: in their older form, with try and catch (first in function 1)\n" in text


@pytest.mark.parametrize("code", ["(try (do) (catch $cpp drop))", "try delegate 0", "(block (loop (try (do))))"])
def test_the_older_form_of_exceptions_is_named(tmp_path: Path, capsys: Capture, code: str) -> None:
    file = tmp_path / "module.wat"
    file.write_text(CONTROL.replace("CODE", code))
    assert main(["inspect", str(file)]) == 0
    assert "exceptions: in their older form, with try and catch (first in function 1)\n" in capsys.readouterr().out
    assert main(["inspect", "--json", str(file)]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["exceptions"], facts["legacy_exceptions"]) == (None, 1)


def test_a_module_without_such_things_has_no_lines_about_them(path: str, capsys: Capture) -> None:
    assert main(["inspect", path]) == 0
    text = capsys.readouterr().out
    assert "exceptions:" not in text
    assert "types that" not in text
