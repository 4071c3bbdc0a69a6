"""Whole programs: the WASI conformance cases and the real programs beside the project, through the public API.

They are in ``../shared`` or where ``VIBEWASM_SHARED`` points, and are skipped by name where they are missing.
"""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import vibewasm as vw
from tests.wanted import or_skip

SHARED = Path(os.environ.get("VIBEWASM_SHARED") or Path(__file__).parents[3] / "shared")
CASES = sorted((SHARED / "wasi").glob("*/*.wasm"))
# coremark-minimal has no WASI: it wants a clock from its host and gives a number.
PROGRAMS = sorted(
    (path for path in (SHARED / "programs").glob("*/*.wasm") if path.stem != "coremark-minimal"),
    # The longest one last, see the fixture of that name.
    key=lambda path: (path.stem == "coremark", path),
)


def name_of(path: Path | None) -> str:
    return f"{path.parent.name}/{path.stem}" if path else "missing"


@pytest.fixture(scope="module")
def engine() -> vw.Engine:
    return vw.Engine()


class Outcome:
    """What a program did."""

    def __init__(self, engine: vw.Engine, path: Path, config: dict[str, Any]) -> None:
        out, err = io.BytesIO(), io.BytesIO()
        module = vw.Module(engine, path)
        store = vw.Store(engine)
        linker = vw.Linker(engine)
        linker.define_wasi(vw.WasiConfig(stdin=b"", stdout=out, stderr=err, **config))
        self.brackets: list[str] = []
        linker.define("bench", "start", lambda: self.brackets.append("start"))
        linker.define("bench", "end", lambda: self.brackets.append("end"))
        instance = linker.instantiate(store, module)
        self.exit_code = 0
        try:
            instance.exports["_start"]()
        except vw.ExitTrap as exit:
            self.exit_code = exit.code
        self.stdout, self.stderr = out.getvalue(), err.getvalue()


def run_program(engine: vw.Engine, path: Path) -> Outcome:
    return Outcome(engine, path, {"args": [path.name], "preopens": {".": path.parent}})


@pytest.fixture(scope="module", autouse=True)
def coremark(request: pytest.FixtureRequest, engine: vw.Engine) -> Iterator[dict[Path, Future[Outcome]]]:
    """CoreMark runs for ten seconds at the least, by its own rules: in a thread beside the other programs."""
    selected = [item.name for item in request.session.items]
    with ThreadPoolExecutor(1) as pool:
        yield {
            path: pool.submit(run_program, engine, path)
            for path in PROGRAMS
            if path.stem == "coremark" and f"{test_a_program_prints_what_it_must.__name__}[{name_of(path)}]" in selected
        }


def in_memory(folder: Path) -> dict[str, Any]:
    """What is in a folder, as a dict."""
    return {entry.name: in_memory(entry) if entry.is_dir() else entry.read_bytes() for entry in folder.iterdir()}


def case_of(path: Path) -> dict[str, Any]:
    """What a conformance case needs, and how it ends."""
    sidecar = path.with_suffix(".json")
    case: dict[str, Any] = json.loads(sidecar.read_text(encoding="utf-8")) if sidecar.exists() else {}
    return case


def check_case(engine: vw.Engine, path: Path, preopens: dict[str, Any]) -> None:
    """Run a conformance case with directories of its own."""
    case = case_of(path)
    outcome = Outcome(
        engine, path, {"args": [path.name, *case.get("args", [])], "env": case.get("env"), "preopens": preopens}
    )
    assert outcome.stderr.decode() == case.get("stderr", "")
    assert outcome.stdout.decode() == case.get("stdout", "")
    assert outcome.exit_code == case.get("exit_code", 0)


WITH_FILES = [path for path in CASES if "root" in case_of(path)]


@pytest.mark.parametrize("path", or_skip(WITH_FILES, "conformance programs"), ids=name_of)
def test_a_conformance_case_ends_as_it_must_in_memory(engine: vw.Engine, path: Path) -> None:
    check_case(engine, path, {"/": in_memory(path.parent / case_of(path)["root"])})


def copied_root(path: Path, folder: Path) -> dict[str, Any]:
    """The preopened directory of a case, if it has one: a copy, since cases write into it."""
    case = case_of(path)
    if "root" not in case:
        return {}
    root = folder / "root"
    shutil.copytree(path.parent / case["root"], root)
    for entry in [root, *root.rglob("*")]:
        entry.chmod(0o755 if entry.is_dir() else 0o644)
    return {"/": root}


@pytest.mark.parametrize("path", or_skip(CASES, "conformance programs"), ids=name_of)
def test_a_conformance_case_ends_as_it_must(engine: vw.Engine, tmp_path: Path, path: Path) -> None:
    check_case(engine, path, copied_root(path, tmp_path))


# tests/cli/test_programs.py runs the same programs by the command.
@pytest.mark.ci
@pytest.mark.parametrize("path", or_skip(PROGRAMS, "programs"), ids=name_of)
def test_a_program_prints_what_it_must(engine: vw.Engine, coremark: dict[Path, Future[Outcome]], path: Path) -> None:
    outcome = coremark[path].result() if path in coremark else run_program(engine, path)
    assert outcome.exit_code == 0
    if path.stem == "coremark":
        assert b"Correct operation validated" in outcome.stdout
    else:
        assert outcome.brackets == ["start", "end"]
    for stream, text in (("stdout", outcome.stdout), ("stderr", outcome.stderr)):
        expected = path.with_name(f"{path.stem}.{stream}.expected")
        if expected.exists():
            assert text == expected.read_bytes()
