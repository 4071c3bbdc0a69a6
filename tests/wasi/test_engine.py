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
