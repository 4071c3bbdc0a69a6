"""A C program that runs Python with the engine in it, ends it, goes on with its own faults, and begins again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.native import not_emulated

pytestmark = [pytest.mark.ci, not_emulated("a program is compiled for this processor")]

USE = """
import vibewasm as vw
exports = vw.instantiate('''(module (import "h" "f" (func $h (param i32) (result i32))) (memory 1)
  (func (export "host") (param i32) (result i32) local.get 0 call $h)
  (func $forever (export "forever") call $forever)
  (func (export "loop") (param i32) (loop local.get 0 i32.const 1 i32.sub local.tee 0 br_if 0))
  (func (export "out") i32.const -1 i32.load drop))''', {"h": {"f": lambda number: number + 1}}).exports
assert exports.host(1) == 2
# Long enough for the watcher's thread to begin.
exports.loop(50_000_000)
for f in (exports.forever, exports.out):
    try: f()
    except vw.Trap: pass
    else: raise AssertionError
"""
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Run:
    """Runs the program with Python source, how often, and perhaps that it crashes at its end."""
    compiler = shutil.which("cc")
    include, libraries = sysconfig.get_path("include"), str(sysconfig.get_config_var("LIBDIR"))
    if compiler is None or not (Path(include) / "Python.h").exists():
        pytest.skip("no C compiler, or no headers of Python: install gcc and python3-dev")
    version = sysconfig.get_config_var("LDVERSION")
    program = tmp_path_factory.mktemp("embedding") / "embedding"
    source = Path(__file__).with_name("embedding.c")
    built = subprocess.run(
        [compiler, source, "-o", program, f"-I{include}", f"-L{libraries}", f"-Wl,-rpath,{libraries}",
         f"-lpython{version}", "-lm", "-ldl", "-lpthread", "-rdynamic"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    if built.returncode and "-lpython" in built.stderr:
        pytest.skip("this Python is in no library that a C program can be linked with: install python3-dev")
    assert not built.returncode, built.stderr
    root = Path(__file__).parents[2]
    environment = os.environ | {
        "PYTHONHOME": f"{sys.base_prefix}:{sys.base_exec_prefix}",
        "PYTHONPATH": os.pathsep.join([str(root), *filter(None, sys.path)]),
    }

    def embedded(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    plain = embedded("import ctypes", "1")
    if plain.returncode:
        pytest.skip(f"this Python cannot be initialised again once ctypes was imported: {plain.stderr}")
    return embedded


@pytest.mark.parametrize("times", [1, 4])
def test_python_can_be_ended_and_begun_again_and_faults_are_the_programs_own_in_between(run: Run, times: int) -> None:
    done = run(USE, str(times))
    assert (done.stdout, done.stderr, done.returncode) == ("finalised\n" * (times + 1) + "status 0\n", "", 0)


def test_a_fault_of_the_program_after_python_has_ended_kills(run: Run) -> None:
    done = run(USE, "1", "crash")
    assert (done.stdout, done.returncode) == ("finalised\nfinalised\nstatus 0\n", -signal.SIGSEGV)
