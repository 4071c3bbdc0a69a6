"""Deterministic runs of real programs: `python -m tests.deterministic [PROGRAM ...]`.

Each program runs with `Config(deterministic=True, fuel=True)` on this processor and, by `tools/arm64.py`, on AArch64
under emulation, in several modes of compiling each. What it prints, how it ends, the fuel that it has used and the
bytes of its memory have to be the same in all of them. One that takes longer is cut off by its fuel, at the same
instruction.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import vibewasm as vw
from tests.spec.suite import PROJECT_ROOT, shared_folder

MODES: dict[str, dict[str, Any]] = {
    "lazy": {},
    "lazy-translation": {"compilation": "lazy-translation"},
    "eager": {"compilation": "eager"},
    "checked": {"checked": True},
    "explicit-bounds": {"explicit_bounds": True},
}
#: Modes under emulation, where a compile takes long.
EMULATED_MODES = ("lazy", "explicit-bounds")
FUEL = 200_000_000
_HERE, _THERE = platform.machine(), "aarch64, emulated"
#: Seconds after which a process counts as hung.
_SECONDS = 1800.0


class Ran(NamedTuple):
    """What a run has come to; all of it has to be the same everywhere."""

    ended: str
    fuel: int
    pages: int
    memory: str
    stdout: str
    stderr: str


def programs() -> list[str]:
    """The programs of the shared folder, as `folder/name`."""
    folder = shared_folder() / "programs"
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.glob("*/*.wasm"))


def run(program: str, mode: str, fuel: int) -> Ran:
    """Runs a program in a copy of its folder."""
    path = shared_folder() / "programs" / f"{program}.wasm"
    with tempfile.TemporaryDirectory(prefix="vibewasm-deterministic-") as temporary:
        folder = Path(temporary) / "folder"
        shutil.copytree(path.parent, folder, ignore=shutil.ignore_patterns("*.wasm", "*.expected"))
        stdout, stderr = Path(temporary) / "stdout", Path(temporary) / "stderr"
        # A program without WASI opens neither.
        for stream in (stdout, stderr):
            stream.touch()
        engine = vw.Engine(vw.Config(deterministic=True, fuel=True, **MODES[mode]))
        module = vw.Module.from_file(engine, path)
        store = vw.Store(engine)
        store.fuel = fuel
        linker = vw.Linker(engine)
        config = vw.WasiConfig(argv0="program", preopens={".": str(folder)}, stdin=b"", stdout=stdout, stderr=stderr)
        linker.define_wasi(config)
        linker.define_unknown_imports_as_zero(module)
        instance = linker.instantiate(store, module)
        ended = "returned"
        try:
            # One program is no command, and has a function to be called.
            instance.exports["_start" if "_start" in instance.exports else "run"]()
        except vw.ExitTrap as error:
            ended = f"exit {error.code}"
        except vw.Trap as error:
            frames = [(frame.func_index, frame.wasm_offset) for frame in error.frames]
            ended = f"{error.code} {frames}"
        memory = instance.exports["memory"]
        digest = hashlib.sha256(memory.view()).hexdigest()
        left = store.fuel
        pages = memory.pages
        store.close()
        texts = [hashlib.sha256(stream.read_bytes()).hexdigest() for stream in (stdout, stderr)]
        return Ran(ended, fuel - left, pages, digest, texts[0], texts[1])


def here(program: str, modes: Sequence[str], fuel: int) -> dict[str, Ran]:
    """Runs a program on this processor, in a process of its own."""
    return _in_process([sys.executable], program, modes, fuel)


def emulated(program: str, modes: Sequence[str], fuel: int) -> dict[str, Ran]:
    """Runs a program on AArch64 under emulation."""
    return _in_process([sys.executable, str(PROJECT_ROOT / "tools" / "arm64.py")], program, modes, fuel)


def cannot_emulate() -> str:
    """Why AArch64 cannot be emulated here, or nothing."""
    if _HERE == "aarch64":
        return "this is AArch64"
    command = [sys.executable, str(PROJECT_ROOT / "tools" / "arm64.py"), "--missing"]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout.strip()


def _in_process(python: list[str], program: str, modes: Sequence[str], fuel: int) -> dict[str, Ran]:
    command = [*python, "-m", "tests.deterministic", "--one", program, "--modes", *modes, "--fuel", str(fuel)]
    environment = os.environ | {"PYTHONPATH": str(PROJECT_ROOT), "VIBEWASM_SHARED": str(shared_folder())}
    done = subprocess.run(
        command, cwd=PROJECT_ROOT, env=environment, stdout=subprocess.PIPE, text=True, timeout=_SECONDS, check=True
    )
    return {mode: Ran(*ran) for mode, ran in json.loads(done.stdout).items()}


def compare(
    program: str, fuel: int, *, modes: Sequence[str] = tuple(MODES), there: Sequence[str] = ()
) -> Iterator[str]:
    """Runs a program everywhere; a line for each thing that differs from the first run."""
    found = {f"{_HERE} {mode}": ran for mode, ran in here(program, modes, fuel).items()}
    if there:
        found |= {f"{_THERE} {mode}": ran for mode, ran in emulated(program, there, fuel).items()}
    (first, expected), *others = found.items()
    for where, ran in others:
        for name, one, other in zip(Ran._fields, expected, ran, strict=True):
            if one != other:
                yield f"{program}: {name}: {first}: {one}; {where}: {other}"
    print(f"{program:34} {expected.ended[:40]:40} {expected.fuel:>13,} fuel, {len(found)} runs", flush=True)


def main() -> int:
    """Does what the command line asks for; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.deterministic", description=__doc__)
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help="such as bz2/benchmark (default: all)")
    parser.add_argument("--fuel", type=int, default=FUEL, help="where a run is cut off")
    parser.add_argument("--modes", nargs="+", default=list(MODES), choices=[*MODES], help="on this processor")
    parser.add_argument("--jobs", type=int, default=2, help="programs that run at a time")
    parser.add_argument("--one", metavar="PROGRAM", help="run it in this process, and print what it has come to")
    options = parser.parse_args()
    if options.one is not None:
        print(json.dumps({mode: run(options.one, mode, options.fuel) for mode in options.modes}))
        return 0
    chosen = options.programs or programs()
    if not chosen:
        print(f"no programs in {shared_folder()}", file=sys.stderr)
        return 2
    missing = cannot_emulate()
    if missing:
        print(f"NOT RUN under emulation: {missing}")
    start = time.monotonic()
    with ThreadPoolExecutor(options.jobs) as pool:
        there = () if missing else EMULATED_MODES
        searches = [
            pool.submit(lambda name: [*compare(name, options.fuel, modes=options.modes, there=there)], program)
            for program in chosen
        ]
        differences = [line for search in searches for line in search.result()]
    for line in differences:
        print(line)
    print(f"{len(chosen)} programs, {len(differences)} differences, {time.monotonic() - start:.0f} s")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
