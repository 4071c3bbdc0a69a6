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
