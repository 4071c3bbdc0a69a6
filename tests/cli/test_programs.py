"""Real programs give exactly the output that they are known to give.

Each is run in its own folder, which it sees as ``.``, as ``vibewasm run --stub-imports --dir . PROGRAM.wasm``.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.spec.suite import HOW_TO_GET
from vibewasm import Config, Engine, Module
from vibewasm.binary.decoder import decode
from vibewasm.cache.image import pack

from .command import Outcome, command

#: Programs with an expected output, ``folder/name``.
CHECKED = [
    "blake3-scalar/benchmark",
    "bz2/benchmark",
    "pulldown-cmark/benchmark",
    "quicksort/benchmark",
    "rust-json/benchmark",
    *(
        f"shootout/shootout-{name}"
        for name in (
            *("ackermann", "base64", "ctype", "ed25519", "fib2", "gimli", "heapsort", "keccak", "matrix", "memmove"),
            *("minicsv", "nestedloop", "random", "ratelimit", "seqhash", "sieve", "switch", "xblabla20", "xchacha20"),
        )
    ),
]


def path_of(programs: Path, program: str) -> Path:
    """A program's path without its suffix; skips the test where it is missing."""
    path = programs / program
    if not path.with_suffix(".wasm").is_file():
        pytest.skip(f"NOT RUN: no {program}.wasm in {programs}; {HOW_TO_GET}")
    return path


@pytest.fixture(scope="module", autouse=True)
def coremark(request: pytest.FixtureRequest, programs: Path) -> Iterator[Future[Outcome] | None]:
    """CoreMark runs for ten seconds at the least, by its own rules: beside the other programs, on another core."""
    with ThreadPoolExecutor(1) as pool:
        wanted = any(item.name == test_coremark_validates_its_results.__name__ for item in request.session.items)
        yield pool.submit(command, "run", programs / "coremark/coremark.wasm") if wanted else None


@pytest.mark.parametrize("program", CHECKED)
def test_a_program_prints_what_it_should(programs: Path, program: str) -> None:
    path = path_of(programs, program)
    folder, name = path.parent, path.name
    outcome = command("run", "--stub-imports", "--dir", ".", f"{name}.wasm", cwd=folder)
    assert outcome.stdout == (folder / f"{name}.stdout.expected").read_bytes()
    assert outcome.stderr == (folder / f"{name}.stderr.expected").read_bytes()
    assert outcome.returncode == 0


@pytest.mark.ci
@pytest.mark.parametrize("program", [*CHECKED, "sqlite3/sqlite3", "richards/benchmark"])
def test_a_program_from_the_code_cache_is_the_same(programs: Path, program: str, tmp_path: Path) -> None:
    path = path_of(programs, program)
    line = ("run", "--stub-imports", "--dir", ".", f"{path.name}.wasm")
    first, second = [command(*line, cwd=path.parent, VIBEWASM_CACHE=str(tmp_path)) for _ in range(2)]
    assert (first.stdout, first.stderr, first.returncode) == (second.stdout, second.stderr, second.returncode)
    assert first.returncode == 0
    # What was kept is what compiling gives, each byte of it.
    kept = Module(Engine(Config(cache=tmp_path)), path.with_suffix(".wasm"))
    assert kept._kept is not None
    assert kept._kept.functions
    compiler = Module(Engine(), path.with_suffix(".wasm")).compiler
    for number, _, size in kept._kept.functions:
        assert kept._code_of(number, size) == compiler.compile(number)
    assert pack(kept.info) == pack(decode(kept.info.data))


@pytest.mark.parametrize("program", ["sqlite3/sqlite3", "richards/benchmark"])
def test_a_program_that_checks_itself_ends_with_success(programs: Path, program: str) -> None:
    path = path_of(programs, program)
    outcome = command("run", "--stub-imports", "--dir", ".", f"{path.name}.wasm", cwd=path.parent)
    assert outcome.returncode == 0, outcome.stderr.decode()


@pytest.mark.ci
def test_coremark_validates_its_results(programs: Path, coremark: Future[Outcome]) -> None:
    path_of(programs, "coremark/coremark")
    outcome = coremark.result()
    assert b"Correct operation validated" in outcome.stdout
    assert outcome.returncode == 0


def test_every_program_of_the_folder_is_tested(programs: Path) -> None:
    there = {str(file.relative_to(programs).with_suffix("")) for file in programs.rglob("*.wasm")}
    others = {"sqlite3/sqlite3", "richards/benchmark", "coremark/coremark"}
    # coremark-minimal is no WASI program: it wants a clock from its host, which the command does not give.
    assert there - {"coremark/coremark-minimal"} <= {*CHECKED, *others}
