"""Files that are large enough to be read while other things are done."""

from __future__ import annotations

import _thread
import io
from pathlib import Path

import pytest

from vibewasm.cli import wasmfile
from vibewasm.cli.options import CommandError

#: A module with a custom section of five megabytes.
MODULE = b"\0asm\1\0\0\0" + b"\0\x85\x80\xc0\x02" + b"\4much" + bytes(5 << 20)


@pytest.fixture
def without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> int:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_thread, "start_new_thread", refused)


@pytest.mark.parametrize("hashed", [False, True])
def test_it_is_the_file(tmp_path: Path, hashed: bool) -> None:
    for data in (MODULE, MODULE[:13]):
        file = tmp_path / "file.wasm"
        file.write_bytes(data)
        assert wasmfile.load_ahead(str(file), False, hashed)() == data


@pytest.mark.usefixtures("without_threads")
def test_it_is_the_file_where_there_can_be_no_thread(tmp_path: Path) -> None:
    file = tmp_path / "file.wasm"
    file.write_bytes(MODULE)
    assert wasmfile.load_ahead(str(file), False, True)() == MODULE


def test_what_is_wrong_with_it_is_said_when_it_is_wanted(tmp_path: Path) -> None:
    file = tmp_path / "file.wasm"
    file.write_bytes(b"\x7fELF" + MODULE)
    loaded = wasmfile.load_ahead(str(file), False, True)
    with pytest.raises(CommandError, match="an ELF"):
        loaded()
    with pytest.raises(CommandError, match="no such file"):
        wasmfile.load_ahead(str(tmp_path / "none.wasm"), False, True)


def test_no_thread_reads_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would hold a lock that the interpreter wants at its end, after Ctrl-C, and dies without."""
    (tmp_path / "-").write_bytes(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(MODULE[:8])))
    started: list[object] = []
    monkeypatch.setattr(_thread, "start_new_thread", lambda *given: started.append(given))
    loaded = wasmfile.load_ahead("-", False, True)
    assert not started
    assert loaded() == MODULE[:8]
