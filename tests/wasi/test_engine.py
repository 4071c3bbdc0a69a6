"""WASI functions behind compiled code: what only the two together show."""

from __future__ import annotations

import gc
import io
from pathlib import Path

import pytest

import vibewasm as vw

wasmtime = pytest.importorskip("wasmtime", reason="wasmtime assembles the modules of these tests")

# Sleeps an hour: a subscription to the monotonic clock (1) with a relative timeout.
SLEEPER = """
(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (i32.store (i32.const 16) (i32.const 1))
    (i64.store (i32.const 24) (i64.const 3600000000000))
    (drop (call $poll (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 200)))))
"""

# Writes 5 bytes to stdout and gives the error number and the count.
WRITER = """
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 100) "hello")
  (func (export "run") (result i32 i32)
    (i32.store (i32.const 0) (i32.const 100))
    (i32.store (i32.const 4) (i32.const 5))
    (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 50))
    (i32.load (i32.const 50))))
"""


def instantiate(text: str, config: vw.WasiConfig) -> tuple[vw.Store, vw.Instance]:
    engine = vw.Engine()
    store = vw.Store(engine)
    linker = vw.Linker(engine)
    linker.define_wasi(config)
    return store, linker.instantiate(store, vw.Module(engine, bytes(wasmtime.wat2wasm(text))))


# Seeks one file through both interfaces: each knows the start of a file by another number.
BOTH = """
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_seek" (func $seek1 (param i32 i64 i32 i32) (result i32)))
  (import "wasi_unstable" "fd_seek" (func $seek0 (param i32 i64 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 100) "file")
  (func (export "run") (result i64 i64 i64)
    (drop (call $open (i32.const 3) (i32.const 0) (i32.const 100) (i32.const 4)
      (i32.const 0) (i64.const 6) (i64.const 0) (i32.const 0) (i32.const 0)))
    (drop (call $seek1 (i32.load (i32.const 0)) (i64.const -1) (i32.const 2) (i32.const 8)))
    (drop (call $seek0 (i32.load (i32.const 0)) (i64.const -2) (i32.const 0) (i32.const 16)))
    (drop (call $seek0 (i32.load (i32.const 0)) (i64.const 3) (i32.const 2) (i32.const 24)))
    (i64.load (i32.const 8)) (i64.load (i32.const 16)) (i64.load (i32.const 24))))
"""


def test_a_module_may_import_from_preview_1_and_preview_0(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(10))
    _, instance = instantiate(BOTH, vw.WasiConfig(stdin=b"", preopens={"/": tmp_path}))
    assert list(instance.exports["run"]()) == [9, 7, 3]


def test_a_program_of_preview_0_runs_to_its_exit_code() -> None:
    out = io.BytesIO()
    text = WRITER.replace("wasi_snapshot_preview1", "wasi_unstable")
    _, instance = instantiate(text, vw.WasiConfig(stdin=b"", stdout=out))
    assert list(instance.exports["run"]()) == [0, 5]
    assert out.getvalue() == b"hello"


# What Emscripten imports unless told that there are 64-bit numbers: an offset in two halves, the low one first.
HALVES = """
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "MODULE" "fd_seek" (func $seek (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 100) "file")
  (func (export "run") (param i32 i32 i32) (result i32 i64)
    (drop (call $open (i32.const 3) (i32.const 0) (i32.const 100) (i32.const 4) (i32.const 0)
      (i32.const 6) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
    (call $seek (i32.load (i32.const 0)) (local.get 0) (local.get 1) (local.get 2) (i32.const 8))
    (i64.load (i32.const 8))))
"""


@pytest.mark.parametrize(("module", "end"), [("wasi_snapshot_preview1", 2), ("wasi_unstable", 1)])
def test_a_program_of_emscripten_may_pass_64_bits_in_halves(tmp_path: Path, module: str, end: int) -> None:
    (tmp_path / "file").write_bytes(bytes(10))
    config = vw.WasiConfig(stdin=b"", preopens={"/": tmp_path})
    _, instance = instantiate(HALVES.replace("MODULE", module), config)
    run = instance.exports["run"]
    assert list(run(-3, -1, end)) == [0, 7]
    assert list(run(5, 3, end)) == [0, (3 << 32) + 15]


def test_what_came_after_preview_0_is_missing_there() -> None:
    text = '(module (import "wasi_unstable" "sock_accept" (func (param i32 i32 i32) (result i32))))'
    with pytest.raises(vw.LinkError, match=r"unknown import: wasi_unstable\.sock_accept"):
        instantiate(text, vw.WasiConfig())
    text = '(module (import "wasi_unstable" "fd_seek" (func (param i32 i64 i32) (result i32))))'
    with pytest.raises(vw.LinkError, match=r"incompatible import type: wasi_unstable\.fd_seek"):
        instantiate(text, vw.WasiConfig())


@pytest.mark.parametrize("module", ["wasi_snapshot_preview1", "wasi_unstable"])
def test_a_program_without_wasi_is_told_how_to_get_it(module: str) -> None:
    engine = vw.Engine()
    text = f'(module (import "{module}" "proc_exit" (func (param i32))))'
    with pytest.raises(vw.LinkError, match=rf"{module}\.proc_exit.*; Linker\.define_wasi defines it"):
        vw.Linker(engine).instantiate(vw.Store(engine), vw.Module(engine, bytes(wasmtime.wat2wasm(text))))


@pytest.mark.parametrize("module", ["wasi_snapshot_preview1", "wasi_unstable"])
def test_functions_of_the_callers_own_come_before_those_of_wasi(module: str) -> None:
    engine = vw.Engine()
    linker = vw.Linker(engine)
    linker.define_wasi(vw.WasiConfig())
    seen: list[int] = []
    linker.define(module, "proc_exit", seen.append)
    text = (
        f'(module (import "{module}" "proc_exit" (func $exit (param i32)))'
        " (start $go) (func $go (call $exit (i32.const 7))))"
    )
    linker.instantiate(vw.Store(engine), vw.Module(engine, bytes(wasmtime.wat2wasm(text))))
    assert seen == [7]


def test_a_deadline_reaches_a_program_that_sleeps() -> None:
    store, instance = instantiate(SLEEPER, vw.WasiConfig(stdin=b""))
    with pytest.raises(vw.Interrupted), store.deadline(0.1):
        instance.exports["_start"]()


def test_what_a_stream_raises_comes_out_of_the_call() -> None:
    class Broken:
        def write(self, data: bytes) -> int:
            raise KeyError("mine")

    _, instance = instantiate(WRITER, vw.WasiConfig(stdin=b"", stdout=Broken()))
    with pytest.raises(KeyError, match="mine"):
        instance.exports["run"]()


def test_an_error_of_the_system_reaches_the_program() -> None:
    class Full:
        def write(self, data: bytes) -> int:
            raise OSError(28, "No space left on device")

    _, instance = instantiate(WRITER, vw.WasiConfig(stdin=b"", stdout=Full()))
    assert list(instance.exports["run"]()) == [51, 0]


def test_a_configuration_serves_several_stores() -> None:
    out = io.BytesIO()
    config = vw.WasiConfig(stdin=b"", stdout=out)
    for _ in range(3):
        _, instance = instantiate(WRITER, config)
        assert list(instance.exports["run"]()) == [0, 5]
    assert out.getvalue() == b"hello" * 3


def test_the_programs_files_are_closed_with_its_store(tmp_path: Path) -> None:
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        pytest.skip("needs /proc/self/fd to see what is open")

    def opened() -> int:
        return sum(path.is_symlink() and path.readlink() == tmp_path for path in descriptors.iterdir())

    store, instance = instantiate(WRITER, vw.WasiConfig(stdin=b"", stdout=io.BytesIO(), preopens={"/": tmp_path}))
    assert opened() == 1
    del store, instance
    gc.collect()
    assert opened() == 0
