"""Small programs that begin with a file, and all that can be seen of them: for `tests.cache.tampered_files`.

Nothing here runs code when it is imported.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, NamedTuple
from zlib import crc32

from tests.spec.suite import PROJECT_ROOT
from vibewasm import Config, Engine, Linker, Module, Store, Trap, WasmError
from vibewasm.api import code_cache, kept_stubs
from vibewasm.cache.folder import Folder
from vibewasm.calls.process import known_stubs
from vibewasm.wat import wat2wasm

#: Something of what code, images and stubs are about.
_VARIED = """(module $varied
  (type $binary (func (param i32 i32) (result i32)))
  (import "env" "host" (func $host (param i32 i64) (result f64)))
  (import "env" "base" (global $base i32))
  (memory (export "memory") 1 4) (table $table (export "table") 6 funcref)
  (global $count (export "count") (mut i32) (i32.const 5)) (global $real f64 (f64.const 1.25))
  (elem (table $table) (i32.const 1) func $add $div $host)
  (elem $passive func $div $add)
  (data (i32.const 8) "kept") (data (global.get $base) "based") (data $later "later")
  (start $begin)
  (func $begin (global.set $count (i32.add (global.get $count) (i32.const 1))))
  (func $add (export "add") (type $binary) (i32.add (local.get 0) (local.get 1)))
  (func $div (export "div") (type $binary) (i32.div_s (local.get 0) (local.get 1)))
  (func (export "indirect") (param i32 i32 i32) (result i32)
    (call_indirect (type $binary) (local.get 1) (local.get 2) (local.get 0)))
  (func (export "pair") (param i64 f32) (result f32 i64) (local.get 1) (local.get 0))
  (func (export "asks") (param i32) (result f64)
    (f64.mul (global.get $real) (call $host (local.get 0) (i64.extend_i32_s (local.get 0)))))
  (func (export "fill") (param i32)
    (memory.init $later (local.get 0) (i32.const 0) (i32.const 5))
    (table.init $table $passive (i32.const 4) (i32.const 0) (i32.const 2)))
  (func (export "sum") (param i32) (result i64) (local i64)
    (loop
      (local.set 1 (i64.add (local.get 1) (i64.extend_i32_u (i32.load8_u (local.get 0)))))
      (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get 1))
  (func (export "grow") (result i32) (memory.grow (i32.const 1)))
  (func (export "same") (param externref) (result externref) (local.get 0))
  (func (export "stop") unreachable))"""
#: A file of this one is so large that it has the other kind of checksum.
_LARGE = """(module (memory (export "memory") 8)
  (data (i32.const 100) "{data}")
  (func (export "get") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "put") (param i32 i32) (i32.store (local.get 0) (local.get 1))))"""

Calls = list[tuple[str, list[Any]]]


class Program(NamedTuple):
    """A module, what is called in it, and what is imported by it."""

    data: bytes
    calls: Calls
    imports: dict[tuple[str, str], Any]


PROGRAMS = [
    Program(
        wat2wasm(_VARIED),
        [
            ("add", [2, 3]), ("div", [7, -2]), ("div", [1, 0]), ("indirect", [1, 4, 5]), ("indirect", [2, 9, 3]),
            ("indirect", [3, 1, 1]), ("indirect", [0, 1, 1]), ("indirect", [99, 1, 1]), ("pair", [1 << 40, 0.5]),
            ("asks", [3]), ("fill", [64]), ("fill", [1 << 20]), ("indirect", [4, 9, 2]), ("sum", [128]), ("grow", []),
            ("sum", [70_000]), ("same", ["object"]), ("stop", []),
        ],
        {("env", "host"): lambda one, other: one / 4 + other, ("env", "base"): 32},
    ),
    Program(
        wat2wasm(_LARGE.format(data="".join(f"\\{number % 251:02x}" for number in range(300_000)))),
        [("get", [104]), ("put", [300_000, -1]), ("get", [299_998]), ("get", [1 << 20])],
        {},
    ),
    Program(
        (PROJECT_ROOT / "examples" / "plugin.wasm").read_bytes(),
        [("divide", [8]), ("input", []), ("count_words", [0]), ("divide", [0])],
        {("env", "log"): lambda address, size: None},
    ),
]  # fmt: skip


class Made(NamedTuple):
    """Of each program what is right, and it compiled ahead of time; and the modules of the engine that it took."""

    results: list[list[str]]
    precompiled: list[bytes]
    modules: list[str]
    number: int = 0


class Used(NamedTuple):
    """Whether a file was used, and what came of the program; nothing if it was refused."""

    used: bool
    results: list[str] | None


def folder(root: str, program: int) -> str:
    """Where the cache's files of a program are."""
    return os.path.join(root, f"program{program}")


def made(root: str) -> Made:
    """Run all programs without a cache, and with one that is kept."""
    results = []
    precompiled = []
    for number, program in enumerate(PROGRAMS):
        engine = Engine(Config())
        module = Module(engine, program.data)
        results.append(_results(program, module))
        precompiled.append(module.serialize())
        kept = Module(Engine(Config(cache=folder(root, number))), program.data)
        assert _results(program, kept) == results[-1]
        code_cache._save_all()
    return Made(results, precompiled, [name for name in sys.modules if name.startswith("vibewasm.")])


def deserialized(number: int, data: bytes) -> Used:
    """What comes of a precompiled program."""
    engine = Engine(Config())
    try:
        module = Module.deserialize(engine, data)
    except WasmError:
        return Used(False, None)
    return Used(True, _results(PROGRAMS[number], module))


def started(number: int, path: str, stubs: bool) -> Used:
    """What comes of a program that begins with a folder of the cache; it is kept there in the end.

    Args:
        stubs: whether it is asked if the stubs of the folder were used, rather than the code.
    """
    program = PROGRAMS[number]
    engine = Engine(Config(cache=path))
    module = Module(engine, program.data)
    kept = module._kept
    assert kept is not None
    used = bool(known_stubs.kept) if stubs else kept.info is not None
    results = _results(program, module)
    code_cache._save_all()
    # Whatever was there, the next one begins with files that are right.
    place = Folder(path)
    assert kept_stubs._stubs_in(place, kept_stubs._key()), "the stubs were not written anew"
    again = kept.cache.find(program.data)
    assert again is not None
    assert len(again.functions) == len(kept.sizes), "the code was not written anew"
    return Used(used, results)


def _results(program: Program, module: Module) -> list[str]:
    """All that can be seen of a module and a run of it."""
    seen = [str(module.name), *[f"{item.module} {item.name} {item.type}" for item in module.imports]]
    seen += [f"{item.name} {item.type}" for item in module.exports]
    linker = Linker(module.engine)
    with Store(module.engine) as store:
        for (of, name), item in program.imports.items():
            linker.define(of, name, item)
        instance = linker.instantiate(store, module)
        for name, arguments in program.calls:
            seen.append(f"{name}: {_outcome(instance.exports[name], arguments)}")
        seen.append(f"memory: {crc32(bytes(instance.exports['memory'][:]))}")
    return seen


def _outcome(function: Callable[..., Any], arguments: list[Any]) -> str:
    try:
        return repr(function(*arguments))
    except Trap as trap:
        return f"{trap.message} in {[frame.func_name for frame in trap.frames]}"
