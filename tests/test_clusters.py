"""Workers of Dask and Ray run wasm functions, compile them once each, and hand exceptions back as they were raised.

Environments with these are made, which takes a while.
"""

from __future__ import annotations

import os
import re
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


RAY = """
import pickle

import ray
from tests.api.raising import RAISING, raised, told

@ray.remote(max_retries=0)
def task(function):
    function()

if __name__ == "__main__":
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    for function, kind in RAISING.items():
        here = raised(function)
        try:
            ray.get(task.remote(function))
        except kind as error:
            if told(error.cause) != told(here):
                raise SystemExit(f"{function.__name__}: {told(error.cause)} is not {told(here)}")
            # What is of a store is told by copies of it.
            here = pickle.loads(pickle.dumps(here))
            for name in vars(here):
                if not name.startswith("_") and getattr(error, name) != getattr(here, name):
                    raise SystemExit(f"{function.__name__}.{name}: {getattr(error, name)} is not {getattr(here, name)}")
        else:
            raise SystemExit(f"{function.__name__} has raised nothing")
    ray.shutdown()
    print(len(RAISING), "exceptions")
"""


def environment_with(folder: Path, *packages: str) -> Path:
    """The interpreter of a new environment with these packages, but without vibewasm."""
    venv.create(folder, with_pip=True)
    interpreter = folder / "bin" / "python"
    outcome = subprocess.run(
        [interpreter, "-m", "pip", "install", "--quiet", *packages],
        capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip
    if "No matching distribution found" in outcome.stderr:
        pytest.skip(f"pip cannot install {' and '.join(packages)} here, so NOTHING was run with that")
    assert outcome.returncode == 0, outcome.stderr
    return interpreter


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that has Dask."""
    return environment_with(tmp_path_factory.mktemp("dask"), "dask", "distributed")


@pytest.fixture(scope="module")
def python_with_ray(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that has Ray."""
    return environment_with(tmp_path_factory.mktemp("ray"), "ray")


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


def test_the_guide_s_program_for_ray_prints_what_the_guide_shows(
    python_with_ray: Path, project: Path, tmp_path: Path
) -> None:
    text = (project / "docs" / "processes.md").read_text(encoding="utf-8")
    section = text[text.index("## Ray") : text.index("## The code cache")]
    code, output = re.findall(r"^```(?:python|text)\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    program = tmp_path / "program.py"
    program.write_text(code, encoding="utf-8")
    record = Record(tmp_path)
    assert run(python_with_ray, program, project, tmp_path) == output
    compiled = record.compiled().values()
    assert 1 <= len(compiled) <= 2
    assert all(functions == [0] for functions in compiled)


def test_exceptions_come_from_a_worker_of_ray_with_all_that_they_say(
    python_with_ray: Path, project: Path, tmp_path: Path
) -> None:
    program = tmp_path / "program.py"
    program.write_text(RAY, encoding="utf-8")
    count = run(python_with_ray, program, project)
    assert int(count.removesuffix(" exceptions\n")) >= 29
