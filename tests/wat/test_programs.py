"""Real programs to text and back, with wasmtime's assembler as a second reader."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.spec.suite import HOW_TO_GET
from tests.wat.sections import sections, without_data_count
from vibewasm.wat import wasm2wat, wat2wasm

wasmtime = pytest.importorskip("wasmtime", reason="wasmtime is not installed")


@pytest.fixture(scope="module")
def files(shared: Path) -> list[Path]:
    found = sorted((shared / "programs").rglob("*.wasm")) + sorted((shared / "wasi").rglob("*.wasm"))
    if not found:
        pytest.skip(f"NOT RUN: no programs in {shared}; {HOW_TO_GET}")
    return found


@pytest.mark.ci
def test_programs_come_back_from_text(files: list[Path]) -> None:
    # Linkers pad integers in bodies, and some write a data count that nothing needs; text can say neither.
    for path in files:
        data = path.read_bytes()
        text = wasm2wat(data)
        again = wat2wasm(text, names=True)
        assert wasm2wat(again) == text, path
        outside = [section for section in without_data_count(sections(data)) if section[0] != 10]
        assert [section for section in without_data_count(sections(again)) if section[0] != 10] == outside, path


@pytest.mark.ci
def test_wasmtime_reads_the_same_from_the_text_of_a_program(files: list[Path]) -> None:
    for path in files:
        text = wasm2wat(path.read_bytes())
        assert sections(wat2wasm(text)) == sections(bytes(wasmtime.wat2wasm(text))), path
