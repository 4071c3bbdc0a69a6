"""Modules that are compiled ahead of time: what they take, and what refuses them."""

from __future__ import annotations

import pickle
import random
from pathlib import Path

import pytest

import vibewasm as vw
from tests.cache.damage import of_another_version, repacked, sections_of
from tests.cli.command import command
from tests.native import HOST, OTHER
from vibewasm.cache.container import PRECOMPILED

TEXT = """(module (import "env" "host" (func $host (param i32) (result i32)))
  (memory (export "memory") 1) (data (i32.const 0) "data")
  (func (export "twice") (param i32) (result i32) (i32.add (call $host (local.get 0)) (call $host (local.get 0))))
  (func (export "trap") unreachable))"""


def precompiled(config: vw.Config | None = None, text: str = TEXT) -> bytes:
    return vw.Module(vw.Engine(config), text).serialize()


def test_it_runs_without_compiling() -> None:
    engine = vw.Engine()
    module = vw.Module.deserialize(engine, precompiled())
    exports = vw.instantiate(module, {"env": {"host": lambda number: number + 1}}).exports
    assert exports.twice(20) == 42
    assert bytes(exports.memory[:4]) == b"data"
    assert module._compiler is None
    with pytest.raises(vw.Trap) as caught:
        exports.trap()
    # Now it is compiled again, to see where.
    assert [frame.func_name for frame in caught.value.frames] == ["trap"]
    assert module.serialize() == precompiled()


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "module.vwc"
    path.write_bytes(precompiled())
    for given in (path, str(path)):
        assert len(vw.Module.deserialize_file(vw.Engine(), given).exports) == 3
    with pytest.raises(FileNotFoundError):
        vw.Module.deserialize_file(vw.Engine(), tmp_path / "nothing")
    with pytest.raises(IsADirectoryError):
        vw.Module.deserialize_file(vw.Engine(), tmp_path)


def test_what_takes_modules_refuses_it(tmp_path: Path) -> None:
    data = precompiled()
    path = tmp_path / "module.wasm"
    path.write_bytes(data)
    for attempt in (
        lambda: vw.Module(vw.Engine(), data),
        lambda: vw.Module(vw.Engine(), path),
        lambda: vw.instantiate(data),
        lambda: vw.Module.validate(vw.Engine(), data),
    ):
        with pytest.raises(vw.DecodeError, match=r"precompiled module .*machine code.*deserialize"):
            attempt()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "this is no precompiled module: it is empty"),
        (b"\0asm\1\0\0\0", r"this is a module, not a precompiled one: Module\(engine, source\) takes it"),
        (b"\x7fELF" + bytes(100), "this is no precompiled module: it looks like an ELF file"),
        (b"\0vwcode\1", "damaged"),
        (b"\0vwcode\2" + bytes(100), "damaged|another version"),
    ],
)
def test_what_is_no_precompiled_module(data: bytes, message: str) -> None:
    with pytest.raises(vw.WasmError, match=message):
        vw.Module.deserialize(vw.Engine(), data)


@pytest.mark.parametrize("given", [3, None, "text", Path("x"), [b""]])
def test_arguments_are_checked(given: object) -> None:
    with pytest.raises(TypeError, match=r"Module\.deserialize takes"):
        vw.Module.deserialize(vw.Engine(), given)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="engine has to be an Engine"):
        vw.Module.deserialize(given, precompiled())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("made", "used", "message"),
    [
        (
            vw.Config(fuel=True),
            vw.Config(),
            r"precompiled with fuel=True, and the engine has fuel=False: compile it again with "
            r"Config\(fuel=False\), or take an engine with Config\(fuel=True\)$",
        ),
        (vw.Config(), vw.Config(checked=True), "precompiled with checked=False, and the engine has checked=True"),
        (
            vw.Config(),
            vw.Config(deterministic=True),
            "precompiled with deterministic=False, and the engine has deterministic=True",
        ),
        (
            vw.Config(),
            vw.Config(explicit_bounds=True),
            "explicit_bounds=False, and the engine has .*=True",
        ),
        (
            vw.Config(),
            vw.Config(legacy_exceptions=False),
            "precompiled with legacy_exceptions=True, and the engine has legacy_exceptions=False",
        ),
        (vw.Config(target=OTHER), vw.Config(), f"precompiled for {OTHER}, and the engine is for {HOST}"),
        (vw.Config(), vw.Config(target=OTHER), f"precompiled for {HOST}, and the engine is for {OTHER}"),
    ],
)
def test_it_has_to_fit(made: vw.Config, used: vw.Config, message: str) -> None:
    with pytest.raises(vw.WasmError, match=message) as caught:
        vw.Module.deserialize(vw.Engine(used), precompiled(made))
    # As all exceptions are.
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), vars(again)) == (str(caught.value), vars(caught.value))


def test_code_that_checks_bounds_fits_every_memory() -> None:
    module = vw.Module.deserialize(vw.Engine(), precompiled(vw.Config(explicit_bounds=True)))
    assert vw.instantiate(module, {"env": {"host": lambda number: number}}).exports.twice(4) == 8


def test_a_module_that_was_accepted_without_older_exceptions_is_accepted_with_them() -> None:
    module = vw.Module.deserialize(vw.Engine(), precompiled(vw.Config(legacy_exceptions=False)))
    assert vw.instantiate(module, {"env": {"host": lambda number: number}}).exports.twice(4) == 8


def test_for_another_processor() -> None:
    engine = vw.Engine(vw.Config(target=OTHER))
    module = vw.Module.deserialize(engine, precompiled(vw.Config(target=OTHER)))
    assert module.serialize() == vw.Module(engine, TEXT).serialize()


def test_another_version_is_named() -> None:
    other = of_another_version(precompiled(), PRECOMPILED)
    with pytest.raises(vw.WasmError, match="another version of vibewasm; compile it again"):
        vw.Module.deserialize(vw.Engine(), other)


def test_an_invalid_module_is_not_serialized() -> None:
    with pytest.raises(vw.ValidationError):
        precompiled(text="(module (func (result i32)))")


def test_damage_is_found_whatever_it_is() -> None:
    data = precompiled()
    engine = vw.Engine()
    numbers = random.Random(12)
    for _ in range(300):
        at = numbers.randrange(len(data))
        damaged = bytearray(data)
        damaged[at] ^= 1 << numbers.randrange(8)
        with pytest.raises(vw.WasmError):
            vw.Module.deserialize(engine, damaged)
        with pytest.raises(vw.WasmError):
            vw.Module.deserialize(engine, data[:at])


def test_damage_with_a_right_checksum_is_found_where_it_is_structure() -> None:
    data = precompiled()
    sections = sections_of(data, PRECOMPILED)
    for broken in (
        [b"target x86_64", *sections[1:]],
        [b"\xff", *sections[1:]],
        [*sections[:2], sections[2][16:], sections[3]],
        [*sections[:2], sections[2][:-16], sections[3]],
        [*sections[:2], b"", sections[3]],
        [*sections[:2], b"\1" + sections[2][1:], sections[3]],
        [*sections[:3], sections[3][:-1]],
        sections[:3],
        [*sections, b""],
        [sections[0].replace(HOST.encode(), b"\x1b[31m"), *sections[1:]],
        [sections[0].replace(b"fuel 0", b"fuel 2"), *sections[1:]],
        [sections[0].replace(b"checked 0", b"checked -1"), *sections[1:]],
        [sections[0].replace(b"explicit_bounds 0", b"explicit_bounds \x1b[31m"), *sections[1:]],
    ):
        with pytest.raises(vw.WasmError, match="damaged"):
            vw.Module.deserialize(vw.Engine(), repacked(data, PRECOMPILED, broken))


#: Its code is other code where bounds are checked, and for a processor with other extensions.
CATCHES = f"""(module (memory 1) (tag $e (param i32)) (tag $other (param i32))
  (func $throws (param i32) (if (local.get 0) (then (throw $e (local.get 0)))))
  (func $passes (param i32) (local $x i64)
    {"(local.set $x (i64.shl (i64.load (i32.wrap_i64 (local.get $x))) (local.get $x)))" * 20}
    (call $throws (local.get 0)))
  (func (export "run") (param i32) (result i32) (local $x i64)
    (block $caught (result i32)
      (try_table (catch $other $caught) (call $passes (i32.const 0)))
      {"(local.set $x (i64.shl (i64.load (i32.wrap_i64 (local.get $x))) (local.get $x)))" * 20}
      (try_table (catch $e $caught)
        {"(local.set $x (i64.shl (i64.load (i32.wrap_i64 (local.get $x))) (local.get $x)))" * 20}
        (call $passes (local.get 0))
        {"(local.set $x (i64.shl (i64.load (i32.wrap_i64 (local.get $x))) (local.get $x)))" * 20})
      (return (i32.const -1)))))"""


def _catches(data: bytes) -> None:
    run = vw.instantiate(vw.Module.deserialize(vw.Engine(), data)).exports.run
    assert [run(number) for number in (0, 7, 8, 0)] == [-1, 7, 8, -1]


def test_exceptions_are_caught_by_code_that_checks_bounds_where_others_do_not() -> None:
    _catches(precompiled(vw.Config(explicit_bounds=True), CATCHES))
    _catches(precompiled(None, CATCHES))


def test_exceptions_are_caught_by_code_for_a_processor_without_extensions(tmp_path: Path) -> None:
    source, made = tmp_path / "module.wat", tmp_path / "module.vwc"
    source.write_text(CATCHES)
    outcome = command("compile", source, "-o", made, VIBEWASM_CPU="baseline")
    assert outcome.returncode == 0, outcome.stderr
    _catches(made.read_bytes())
