"""Recording compiles once more: the bytes are the same, and every instruction that can trap is found again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.spec.suite import shared_folder
from tests.wanted import or_skip
from vibewasm.backends import TARGETS
from vibewasm.binary.decoder import decode
from vibewasm.compiler import Compiler
from vibewasm.layout import ContextLayout

PROGRAMS = sorted((shared_folder() / "programs").glob("*/*.wasm"))


@pytest.mark.parametrize("path", or_skip(PROGRAMS, "programs"), ids=lambda path: path.stem)
@pytest.mark.parametrize("target", TARGETS)
def test_recording_gives_the_same_bytes(path: Path, target: str) -> None:
    info = decode(path.read_bytes())
    plain = Compiler(info, ContextLayout(info), target=target)
    again = Compiler(info, ContextLayout(info), target=target)
    # The largest program has thousands of functions: a sample of it is as good.
    step = max(1, len(info.bodies) // 300)
    for defined in range(0, len(info.bodies), step):
        record = again.record(defined)
        assert record.code == plain.compile(defined)
        start, end = info.bodies[defined]
        assert all(start <= offset <= end for _, offset in record.marks)
        assert record.wasm_offset(len(record.code) - 1) is not None
