"""Workers of Dask run wasm functions, compile them once each, and hand exceptions back as they were raised.

An environment with Dask is made for this, which takes a while.
"""

from __future__ import annotations

import os
import subprocess
import venv
from pathlib import Path

import pytest

from tests.compiling import Record

pytestmark = pytest.mark.ci

EXCEPTIONS = """
from distributed import Client, LocalCluster
from tests.api.raising import RAISING, raised, told

if __name__ == "__main__":
    with LocalCluster(n_workers=1, host="127.0.0.1", dashboard_address=None, silence_logs=60) as cluster, \\
            Client(cluster) as client:
        for function in RAISING:
            here, there = raised(function), client.submit(function).exception(60)
            if told(there) != told(here):
                raise SystemExit(f"{function.__name__}: {told(there)} is not {told(here)}")
    print(len(RAISING), "exceptions")
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with Dask, but without vibewasm."""
    folder = tmp_path_factory.mktemp("dask")
    venv.create(folder, with_pip=True)
    interpreter = folder / "bin" / "python"
    outcome = subprocess.run(
        [interpreter, "-m", "pip", "install", "--quiet", "dask", "distributed"],
        capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip
    if "No matching distribution found" in outcome.stderr:
        pytest.skip("pip finds no distributed, so NOTHING was run on Dask")
    assert outcome.returncode == 0, outcome.stderr
    return interpreter


def run(python: Path, program: Path, *path: Path) -> str:
    """What a program prints, whose processes find modules in the folders of ``path``."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, path))}
    outcome = subprocess.run(
        [python, program], env=environment, capture_output=True, text=True, timeout=200, check=False
    )
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout


def test_each_worker_of_dask_compiles_once_and_its_trap_comes_back(python: Path, project: Path, tmp_path: Path) -> None:
    record = Record(tmp_path)
    assert run(python, project / "examples" / "dask_pool.py", project, tmp_path).splitlines() == [
        "sum: 212433",
        "trap at element 2: unreachable, in persistence",
    ]
    compiled = record.compiled().values()
    assert 1 <= len(compiled) <= 2
    assert all(sorted(functions) == [0, 1] for functions in compiled)


def test_exceptions_come_from_a_worker_of_dask_as_they_were_raised(python: Path, project: Path, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(EXCEPTIONS, encoding="utf-8")
    count = run(python, program, project)
    assert int(count.removesuffix(" exceptions\n")) >= 29
