"""The fuzzer finds what is hidden behind lines, and a crash or a hang is a finding; each target takes its inputs."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.guided import kept, loop, targets
from tests.guided.altering import LONGEST, altered
from tests.guided.coverage import Coverage
from tests.guided.drawing import BytesRandom
from tests.guided.loop import State, Wrong, fuzz
from tests.guided.targets import api

_HERE = str(Path(__file__).parent)


def _behind_lines(data: bytes) -> int:
    if len(data) > 2 and data[0] == ord("b"):
        if data[1] == ord("u"):
            if data[2] == ord("g"):
                return 3
            return 2
        return 1
    return 0


class _Target:
    """A target that does something with an input."""

    def __init__(self, run: Callable[[bytes], None]) -> None:
        self._run = run

    def seeds(self) -> list[bytes]:
        return [b"aaaa"]

    def start(self, folder: Path) -> Callable[[bytes], None]:
        return self._run

    def alter(self, data: bytes, others: Sequence[bytes], rng: Random) -> bytes:
        return altered(data, others, rng)


def _found(run: Callable[[bytes], None], monkeypatch: pytest.MonkeyPatch, seconds: float = 60) -> Wrong:
    """The first thing that is wrong."""
    monkeypatch.setattr(loop, "FOLDERS", (_HERE,))
    target = _Target(run)
    for found in fuzz(target, State(target.seeds()), seconds, "test"):
        if isinstance(found, Wrong):
            return found
    pytest.fail("nothing was found")


def test_what_is_behind_lines_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(data: bytes) -> None:
        if _behind_lines(data) == 3:
            raise ValueError("bug")

    found = _found(run, monkeypatch)
    assert found.data[:3] == b"bug"
    assert found.text.endswith("ValueError: bug\n")


def test_a_crash_is_found_with_its_input(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(data: bytes) -> None:
        if data != b"aaaa":
            os.kill(os.getpid(), signal.SIGSEGV)

    found = _found(run, monkeypatch)
    assert found.data != b"aaaa"
    assert found.text == "crash: SIGSEGV"


def test_a_hang_is_found_with_its_input(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(data: bytes) -> None:
        if data != b"aaaa":
            time.sleep(1000)

    monkeypatch.setattr(loop, "HANG_SECONDS", 0.5)
    found = _found(run, monkeypatch)
    assert found.data != b"aaaa"
    assert found.text.startswith("hang")


def test_a_line_is_noted_once() -> None:
    coverage = Coverage((_HERE,))
    coverage.on()
    _behind_lines(b"")
    _behind_lines(b"")
    first = [*coverage.fresh]
    _behind_lines(b"bu...")
    coverage.off()
    _behind_lines(b"bug")
    start = _behind_lines.__code__.co_firstlineno
    mine = [line - start for file, line in coverage.fresh if file == __file__ and 0 < line - start < 8]
    assert first
    assert sorted(mine) == [1, 2, 3, 5, 7]


def test_numbers_are_drawn_from_the_bytes_and_then_go_on() -> None:
    one, other = BytesRandom(b"\1\2\3\4rest"), BytesRandom(b"\1\2\3\4and another end")
    assert one.getrandbits(16) == other.getrandbits(16) == 0x201
    assert one.random() == other.random() == 0x403 / 65536
    assert [one.randrange(1 << 30) for _ in range(9)] != [other.randrange(1 << 30) for _ in range(9)]
    assert [BytesRandom(b"x").random() for _ in range(3)] == [BytesRandom(b"x").random() for _ in range(3)]


def test_inputs_stay_short_and_change() -> None:
    rng = Random(1)
    data = b""
    seen = set()
    for _ in range(1000):
        data = altered(data, [b"other", bytes(LONGEST)], rng)
        assert len(data) <= LONGEST
        seen.add(data)
    assert len(seen) > 900


@pytest.mark.parametrize("name", targets.NAMES)
def test_inputs_that_were_kept_show_nothing_wrong(name: str, tmp_path: Path) -> None:
    target = targets.named(name)
    run = target.start(tmp_path)
    rng = Random(name)
    inputs = kept.load(name)
    assert inputs
    for data in rng.sample(inputs, min(len(inputs), 6)):
        run(data)
        run(target.alter(data, inputs, rng))


def test_what_is_kept_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "FOLDER", tmp_path / "kept")
    assert kept.load("module") == []
    kept.save("module", [b"one", b"", b"two" * 1000])
    assert kept.load("module") == [b"one", b"", b"two" * 1000]


def test_errors_that_nobody_raised_on_purpose_are_accidents() -> None:
    space: dict[str, Any] = {"__name__": "vibewasm.tested"}
    exec("def refuse(): raise TypeError('no')\ndef fail(): None.store\ndef number(): int('x')", space)

    def is_accident(name: str) -> bool:
        try:
            space[name]()
        except Exception as error:
            return api._is_accident(error)
        raise AssertionError(name)

    assert [is_accident(name) for name in ("refuse", "fail", "number")] == [False, True, True]
    with pytest.raises(ValueError, match="invalid literal") as of_others:
        int("x")
    assert not api._is_accident(of_others.value)
