#!/usr/bin/env python3
"""Hash the machine code of everything, to show that a change does not touch it.

``python tools/code_hash.py --save before.json``, then change what is to be changed, then
``python tools/code_hash.py --compare before.json``. Each function of each module is compiled for each target in each
mode; a line is printed for each set of modules, target and mode, and one for all. What differs is named, the first
functions of each line.

Sets are ``programs`` (every ``.wasm`` file of the shared folder), ``suite`` (modules of the official suite) and
``mutants`` (of the campaign in ``tests/fuzz``, a third of them generated). That a body is refused counts as its code;
messages are hashed apart, and a difference between them is told and is no failure. With ``--accepting`` that is so for
what was refused before as well: a change that lets the engine accept more is to leave alone what it accepted.

Of the package this needs ``Module(engine, data).compiler.compile(number)`` and ``Module.info.bodies``, so it can
hash other versions: ``--tree FOLDER`` takes ``vibewasm`` from another checkout, and the modules from this one.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SETS = ("programs", "suite", "mutants")
TARGETS = ("x86_64", "aarch64")
#: Arguments of ``Config`` by mode. ``lazy`` compiles functions one by one, the last one first; so do the options.
MODES: dict[str, dict[str, Any]] = {
    "eager": {"compilation": "eager"},
    "lazy": {},
    "fuel": {"fuel": True},
    "checked": {"checked": True},
    "bounds": {"explicit_bounds": True},
}
#: Differences that are named for each line.
_SHOWN = 5
#: Hexadecimal digits that are kept of each function's hash.
_DIGITS = 10
#: In place of a hash.
_REFUSED = "-" * _DIGITS

#: Hashes by line (set, target and mode), then by the module's name: the module's bytes, then each function's code, all
#: in one string; and the hash of all messages of refused functions.
Hashes = dict[str, dict[str, tuple[str, str]]]

#: Modules by set, which worker processes inherit.
_modules: dict[str, list[tuple[str, bytes]]] = {}


def modules_of(kind: str, count: int, seed: int) -> list[tuple[str, bytes]]:
    """Names and bytes of the modules of a set. In a process of its own: the tests import this checkout's package."""
    sys.path.insert(0, str(ROOT))
    return list(_modules_of(kind, count, seed))


def _modules_of(kind: str, count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    from tests.fuzz import corpus
    from tests.fuzz.make import make
    from tests.spec import suite

    folder = suite.shared_folder()
    if kind == "programs":
        for path in sorted(folder.rglob("*.wasm")):
            yield str(path.relative_to(folder)), path.read_bytes()
    elif kind == "suite":
        for script in suite.scripts():
            for number, (valid, data) in enumerate(corpus._script_modules(script.path)):
                if valid:
                    yield f"{script.name} #{number}", data
    else:
        seeds = corpus.load()
        for index in range(count):
            yield f"mutant {index} of seed {seed}", make(seed, index, seeds).data


def _short(data: bytes) -> str:
    return sha256(data).hexdigest()[:_DIGITS]


def hash_line(modules: list[tuple[str, bytes]], target: str, mode: str) -> dict[str, tuple[str, str]]:
    """Hashes of a set of modules for a target in a mode, by the module's name."""
    from vibewasm import Config, Engine, Module, WasmError

    engine = Engine(Config(target=target, **MODES[mode]))
    lazy = Engine(Config(target=target)) if mode == "eager" else engine
    found: dict[str, tuple[str, str]] = {}
    for name, data in modules:
        try:
            module: Any = Module(lazy, data)
        except WasmError as error:
            found[name] = _short(data) + _REFUSED, _short(repr(error).encode())
            continue
        number = len(module.info.bodies)
        code: dict[int, str] = {}
        messages = []
        if mode == "eager":
            found[name] = _short(data) + "".join(_eagerly(engine, data, type(module.compiler))), ""
            continue
        for defined in reversed(range(number)):
            try:
                code[defined] = _short(bytes(module.compiler.compile(defined)))
            except WasmError as error:
                code[defined] = _REFUSED
                messages.append(repr(error))
        found[name] = (
            _short(data) + "".join(code[defined] for defined in range(number)),
            _short("\n".join(messages).encode()),
        )
    return found


def _eagerly(engine: Any, data: bytes, compiler: Any) -> list[str]:
    """Hashes of functions as an eager engine compiles them, up to the first that is refused."""
    from vibewasm import Module, WasmError

    hashes: list[str] = []
    compile_ = compiler.compile

    def noted(self: object, defined: int) -> bytes:
        code: bytes = compile_(self, defined)
        hashes.append(_short(bytes(code)))
        return code

    compiler.compile = noted
    try:
        Module(engine, data)
    except WasmError:
        hashes.append(_REFUSED)
    finally:
        compiler.compile = compile_
    return hashes


def _work(job: tuple[str, str, str, str]) -> tuple[str, dict[str, tuple[str, str]], float]:
    kind, target, mode, tree = job
    sys.path.insert(0, tree)
    start = time.monotonic()
    found = hash_line(_modules[kind], target, mode)
    return f"{kind} {target} {mode}", found, time.monotonic() - start


def compare(before: Hashes, after: Hashes, accepting: bool) -> int:
    """Print what differs; the number of lines with a difference in code. ``accepting``: but for what was refused."""
    wrong = 0
    for line, found in after.items():
        reference = before.get(line)
        if reference is None:
            print(f"{line}: not in the reference")
            wrong += 1
            continue
        told = 0
        messages = []
        for name in {**reference, **found}:
            old, new = reference.get(name), found.get(name)
            if old is None or new is None or old[0][:_DIGITS] != new[0][:_DIGITS]:
                differing = ["the module itself is not the same"]
            else:
                if old[1] != new[1]:
                    messages.append(name)
                differing = _functions(old[0], new[0], accepting)
            for what in differing:
                told += 1
                if told <= _SHOWN:
                    print(f"{line}: {name}: {what}")
        if told > _SHOWN:
            print(f"{line}: and {told - _SHOWN} more")
        if messages:
            print(f"{line}: other messages (no failure): {', '.join(messages[:_SHOWN])}, {len(messages)} in all")
        wrong += told > 0
    return wrong


def _functions(old: str, new: str, accepting: bool) -> list[str]:
    """Which functions of a module differ, without those that the old one refused if it is ``accepting``."""
    count = max(len(old), len(new)) // _DIGITS
    if accepting:
        count = len(old) // _DIGITS
    return [
        f"defined function {place - 1}"
        for place in range(1, count)
        if old[place * _DIGITS : (place + 1) * _DIGITS] != new[place * _DIGITS : (place + 1) * _DIGITS]
        and not (accepting and old[place * _DIGITS : (place + 1) * _DIGITS] == _REFUSED)
    ]


def main() -> int:
    """Do what the command line asks for; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--save", type=Path, metavar="FILE", help="keep the hashes")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="compare with hashes that were kept")
    parser.add_argument("--accepting", action="store_true", help="what was refused before may be compiled")
    parser.add_argument("--tree", type=Path, default=ROOT, metavar="FOLDER", help="the checkout whose code is hashed")
    parser.add_argument("--set", action="append", choices=SETS, help="only these sets")
    parser.add_argument("--target", action="append", choices=TARGETS, help="only these targets")
    parser.add_argument("--mode", action="append", choices=MODES, help="only these modes")
    parser.add_argument("--count", type=int, default=1500, help="how many mutants")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    options = parser.parse_args()
    jobs = [
        (kind, target, mode, str(options.tree.resolve()))
        for kind in options.set or SETS
        for target in options.target or TARGETS
        for mode in options.mode or MODES
    ]
    hashes: Hashes = {}
    functions = 0
    fork = get_context("fork")
    with ProcessPoolExecutor(options.jobs, fork) as pool:
        for kind in options.set or SETS:
            _modules[kind] = pool.submit(modules_of, kind, options.count, options.seed).result()
    with ProcessPoolExecutor(options.jobs, fork) as pool:
        for line, found, took in pool.map(_work, jobs):
            hashes[line] = found
            count = sum(len(text) // _DIGITS - 1 for text, _ in found.values())
            functions += count
            print(f"{_total({line: found})}  {line}: {len(found)} modules, {count} functions, {took:.0f} s", flush=True)
    print(f"{_total(hashes)}  all: {functions} functions")
    if options.save:
        options.save.write_text(json.dumps(hashes), encoding="utf-8")
    if options.compare:
        wrong = compare(json.loads(options.compare.read_text(encoding="utf-8")), hashes, options.accepting)
        print("the machine code is the same" if not wrong else f"{wrong} lines differ")
        return 1 if wrong else 0
    return 0


def _total(hashes: Hashes) -> str:
    joined = "\n".join(f"{line} {name} {code}" for line, found in hashes.items() for name, (code, _) in found.items())
    return sha256(joined.encode()).hexdigest()[:16]


if __name__ == "__main__":
    sys.exit(main())
