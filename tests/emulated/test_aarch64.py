"""AArch64 code runs, in an emulator. This is a small part of what ``.ci/run`` runs there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.spec.suite import PROJECT_ROOT
from tools import arm64

pytestmark = [
    pytest.mark.ci,
    pytest.mark.skipif(os.uname().machine == "aarch64", reason="this is an AArch64 machine: all tests run there"),
    pytest.mark.skipif(
        not arm64.is_set_up(), reason="no emulated Python: python tools/arm64.py --set-up makes one, without root"
    ),
]


def emulated(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """What Python does with these arguments in the emulator."""
    line, environment = arm64.command(list(arguments))
    return subprocess.run(
        line, env=environment, cwd=PROJECT_ROOT, input=stdin, capture_output=True, text=True, timeout=240, check=False
    )


def test_the_emulated_python_is_one_for_arm64() -> None:
    source = "import os, sys; print(os.uname().machine, 'vibewasm' in sys.modules)"
    assert emulated("-c", source).stdout == "aarch64 False\n"


def test_a_program_runs() -> None:
    done = emulated("-m", "vibewasm", "run", "examples/hello.wasm", "Ada")
    assert (done.stdout, done.stderr, done.returncode) == ("Hello, Ada!\n", "", 0)


def test_calls_traps_and_interruptions() -> None:
    source = """
import vibewasm

logged = []
plugin = vibewasm.instantiate("examples/plugin.wasm", {"env": {"log": lambda address, size: logged.append(size)}})
print(plugin.exports.divide(8))
address = plugin.exports.input()
plugin.exports.memory[address : address + 11] = b"hello wasm!"
print(plugin.exports.count_words(11))
for _ in range(3):
    try:
        plugin.exports.divide(0)
    except vibewasm.Trap as trap:
        print(trap.message, [frame.func_name for frame in trap.frames])
try:
    with plugin.store.deadline(0.2):
        plugin.exports.spin()
except vibewasm.Interrupted as reason:
    print(reason)
"""
    done = emulated("-", stdin=source)
    trap = "integer divide by zero ['divide_by', 'divide']\n"
    stopped = "stopped by a deadline of 0.2 seconds\n  at spin (at byte offset 0x116)\n"
    assert done.stdout == "125\n2\n" + 3 * trap + stopped, done.stderr
    assert done.returncode == 0


def test_code_for_the_other_processor_is_the_same_on_both(tmp_path: Path) -> None:
    source = """
import hashlib, sys, vibewasm
for target in ("x86_64", "aarch64"):
    module = vibewasm.Module(vibewasm.Engine(vibewasm.Config(target=target)), "examples/hello.wasm")
    code = b"".join(map(module.compiler.compile, range(len(module.info.bodies))))
    print(target, len(code), hashlib.sha256(code).hexdigest())
"""
    here = subprocess.run(
        [sys.executable, "-c", source], cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    done = emulated("-c", source)
    assert done.stdout == here.stdout, done.stderr
