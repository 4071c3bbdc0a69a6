"""The processor's extensions: asked for once, when first needed, and left out where the environment says so."""

from __future__ import annotations

import ctypes
import itertools
import mmap
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.spec import suite
from vibewasm.backends.x86_64 import asm, features
from vibewasm.backends.x86_64.regs import RAX, RBX, RCX
from vibewasm.backends.x86_64.target import TARGET

ROOT = Path(__file__).resolve().parents[3]

SHIFT = """
import vibewasm
from vibewasm.backends.x86_64 import features
shift = vibewasm.instantiate('(module (func (export "f") (param i64 i64) (result i64) '
    '(i64.shl (local.get 0) (local.get 1))))', {}).exports.f
result = shift(3, 70)
print("asked" if "BMI2" in vars(features) else "not asked", result, features.BMI1, features.BMI2, features.LZCNT)
"""
VECTORS = """
from vibewasm.backends.x86_64 import features
from vibewasm.calls import process
process.prepare()
print(features.AVX, features.AVX2, features.FMA)
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
    # The system shows those of vectors only where it saves their registers.
    expected = " ".join(str(name in flags) for name in ("avx", "avx2", "fma"))
    assert run(VECTORS).stdout.strip() == expected


def test_nobody_asks_for_a_module_that_has_no_use_for_it() -> None:
    assert run(ADD).stdout.strip() == "not asked"


def test_baseline_uses_none() -> None:
    assert run(SHIFT, "baseline").stdout.strip().endswith("192 False False False")


def test_baseline_uses_none_of_vectors() -> None:
    assert run(VECTORS, "baseline").stdout.strip() == "False False False"


@pytest.fixture
def _kept() -> Iterator[None]:
    """What this process knows of its processor, put back."""
    before = [bool(getattr(features, name)) for name in ("BMI1", "BMI2", "LZCNT", "AVX", "AVX2", "FMA")]
    yield
    TARGET.configure(*before)


@pytest.mark.usefixtures("_kept")
def test_extensions_of_vectors_do_not_change_which_usual_choices_are_taken() -> None:
    for bits in range(8):
        scalar = [bool(bits >> at & 1) for at in range(3)]
        for vectors in itertools.product((False, True), repeat=3):
            TARGET.configure(*scalar, *vectors)
            assert TARGET.variant() == bits


@pytest.mark.usefixtures("_kept")
def test_there_is_nothing_of_vectors_without_avx() -> None:
    TARGET.configure(True, True, True, False, True, True)
    assert [features.AVX, features.AVX2, features.FMA] == [False] * 3


def _leaf(number: int, ebx: int, ecx: int) -> bytes:
    """Code that loads what a leaf has if it is asked for."""
    loads = asm.mov_ri(RBX, ebx) + asm.mov_ri(RCX, ecx)
    number -= (number & 1 << 31) << 1
    return asm.alu_ri(asm.CMP, 0, RAX, number) + asm.jcc_rel8(asm.CC_NE, len(loads)) + loads


@pytest.mark.parametrize("saved", [0, 1, 2, 3, 4, 6, 7, 0xE7])
@pytest.mark.parametrize("tells", [False, True])
def test_extensions_of_vectors_need_a_system_that_saves_their_registers(
    saved: int, tells: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up = (
        _leaf(7, 1 << 3 | 1 << 5 | 1 << 8, 0)
        + _leaf(1, 0, 1 << 12 | 1 << 28 | tells << 27)
        + _leaf(0x8000_0001, 0, 1 << 5)
    )
    monkeypatch.setattr(asm, "cpuid", lambda: made_up)
    # Where the system does not tell, asking is a fault; here it is an answer that would show.
    monkeypatch.setattr(asm, "xgetbv", lambda: asm.mov_ri(RAX, saved if tells else 7))
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(features.cpuid_code())
    found = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()
    assert found == (0b111111 if tells and saved & 6 == 6 else 0b111)


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
