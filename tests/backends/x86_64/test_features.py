"""The processor's extensions: asked for once, when first needed, and left out where the environment says so."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from tests.spec import suite

ROOT = Path(__file__).resolve().parents[3]

SHIFT = """
import vibewasm
from vibewasm.backends.x86_64 import features
shift = vibewasm.instantiate('(module (func (export "f") (param i64 i64) (result i64) '
    '(i64.shl (local.get 0) (local.get 1))))', {}).exports.f
result = shift(3, 70)
print("asked" if "BMI2" in vars(features) else "not asked", result, features.BMI1, features.BMI2, features.LZCNT)
"""
ADD = """
import vibewasm
from vibewasm.backends.x86_64 import features
add = vibewasm.instantiate('(module (func (export "f") (param i32 i32) (result i32) '
    '(i32.add (local.get 0) (local.get 1))))', {}).exports.f
print("asked" if add(1, 2) != 3 or "BMI2" in vars(features) else "not asked")
"""

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="asks an x86-64 processor")


def run(program: str, cpu: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "VIBEWASM_CPU"}
    if cpu is not None:
        environment["VIBEWASM_CPU"] = cpu
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True)


def test_the_processor_says_what_it_has() -> None:
    flags = Path("/proc/cpuinfo").read_text().partition("flags")[2].partition("\n")[0].split()
    expected = " ".join(str(name in flags) for name in ("bmi1", "bmi2", "abm"))
    assert run(SHIFT).stdout.strip() == f"asked 192 {expected}"


def test_nobody_asks_for_a_module_that_has_no_use_for_it() -> None:
    assert run(ADD).stdout.strip() == "not asked"


def test_baseline_uses_none() -> None:
    assert run(SHIFT, "baseline").stdout.strip().endswith("192 False False False")


def test_another_value_is_an_error_that_names_the_right_ones() -> None:
    error = run(SHIFT, "haswell").stderr
    assert "VIBEWASM_CPU is 'haswell'; it has to be 'native' or 'baseline'" in error


@pytest.mark.skipif(suite.missing() is not None, reason=str(suite.missing()))
@pytest.mark.ci
def test_the_suite_passes_without_extensions() -> None:
    command = [sys.executable, "-m", "tests.spec", "--mode", "eager"]
    ran = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "VIBEWASM_CPU": "baseline"}, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stdout
