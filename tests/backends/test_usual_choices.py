"""The choices that the package carries are those that would be made."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vibewasm import Config, Engine, Module
from vibewasm.backends import TARGETS, backend, choices, usual

#: Compiles all functions of a module, and prints the hash of their code and how many choices had to be made.
COMPILE = """
import sys, hashlib
from vibewasm import Config, Engine, Module
from vibewasm.backends import backend
target = backend(sys.argv[2]).target
made = []
remember = target.remember
target.remember = lambda key, value: (made.append(key), remember(key, value))
engine = Engine(Config(target=sys.argv[2]))
module = Module(engine, open(sys.argv[1], "rb").read())
code = b"".join(bytes(module.compiler.compile(number)) for number in range(len(module.info.bodies)))
print(hashlib.sha256(code).hexdigest(), len(made))
"""


@pytest.fixture(params=TARGETS)
def target(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A target as in a new process."""
    found: Any = backend(request.param).target
    found._forget()
    yield found
    found._forget()


def run(project: Path, *line: str, **environment: str) -> str:
    """What a child process prints that runs in the project."""
    settings = {name: value for name, value in os.environ.items() if name != "VIBEWASM_USUAL_CHOICES"}
    return subprocess.run(
        [sys.executable, *line], cwd=project, env=settings | environment, check=True, capture_output=True, text=True
    ).stdout


def test_made_again_they_are_the_same(project: Path) -> None:
    """For every case that is carried, a rule chooses what is carried; ``python tools/usual_choices.py`` sees to it."""
    outcome = subprocess.run(
        [sys.executable, "tools/usual_choices.py", "--check"], cwd=project, capture_output=True, text=True, check=False
    )
    assert outcome.returncode == 0, f"run python tools/usual_choices.py:\n{outcome.stdout}{outcome.stderr}"


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("cpu", ["native", "baseline"])
def test_machine_code_is_the_same_with_them_and_most_choices_need_not_be_made(
    project: Path, programs: Path, name: str, cpu: str
) -> None:
    file = str(programs / "shootout" / "shootout-base64.wasm")
    code, made = run(project, "-c", COMPILE, file, name, VIBEWASM_CPU=cpu).split()
    other_code, all_made = run(
        project, "-c", COMPILE, file, name, VIBEWASM_CPU=cpu, VIBEWASM_USUAL_CHOICES="off"
    ).split()
    assert code == other_code
    assert int(made) < int(all_made) / 4


def test_a_tier_is_loaded_when_so_many_choices_had_to_be_made(target: Any) -> None:
    for number in range(choices.TIERS[0]):
        target.remember((-1, number), ())
    assert len(target.MEMO) == choices.TIERS[0]
    target.remember((-1, -1), ())
    first = len(target.MEMO)
    assert first > 1000
    for number in range(choices.TIERS[1]):
        target.remember((-2, number), ())
    assert len(target.MEMO) > first + choices.TIERS[1] + 1000


def test_the_memo_still_starts_anew_when_it_is_large(target: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choices, "MEMO_LIMIT", 6000)
    for number in range(10_000):
        target.remember((-1, number), ())
        assert len(target.MEMO) <= 6000
    assert (-1, 9_999) in target.MEMO


def test_making_an_engine_loads_none(target: Any) -> None:
    Engine(Config(target=target.folder, compilation="eager"))
    assert not target.MEMO


def test_a_module_that_is_small_loads_none(target: Any, project: Path) -> None:
    module = Module(Engine(Config(target=target.folder)), (project / "examples" / "plugin.wasm").read_bytes())
    assert len(module.info.bodies) >= 1
    module.compiler.compile(0)
    assert len(target.MEMO) <= choices.TIERS[0]


def test_without_their_files_choices_are_made(target: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(backend: str, tier: int) -> bytes:
        raise FileNotFoundError(backend, tier)

    monkeypatch.setattr(usual, "read", missing)
    for number in range(choices.TIERS[0] + choices.TIERS[1] + 1):
        target.remember((-1, number), ())
    assert len(target.MEMO) == choices.TIERS[0] + choices.TIERS[1] + 1


def test_entries_are_the_interned_ones(target: Any) -> None:
    """Keys are found by identity: loaded again, all are keys that are there."""
    usual.load(target, 0)
    usual.load(target, 1)
    before = dict(target.MEMO)
    usual.load(target, 0)
    usual.load(target, 1)
    assert target.MEMO == before


def test_threads_that_load_at_once_lose_nothing(target: Any) -> None:
    def fill(number: int) -> None:
        for index in range(choices.TIERS[0] + choices.TIERS[1]):
            target.remember((-1 - number, index), ())

    threads = [threading.Thread(target=fill, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made = sum(key[0] < 0 for key in target.MEMO)
    assert made == 4 * (choices.TIERS[0] + choices.TIERS[1])
    assert target._room == choices.MEMO_LIMIT


def test_the_size_of_what_is_carried_is_kept_small() -> None:
    for name in TARGETS:
        assert sum(len(usual.read(name, tier)) for tier in range(len(choices.TIERS))) < 500_000
