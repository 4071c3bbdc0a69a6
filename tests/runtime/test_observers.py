"""Profilers and debuggers see functions by name."""

from __future__ import annotations

import gc
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

import vibewasm
from tests.native import not_emulated
from vibewasm.backends import TARGETS, backend
from vibewasm.calls.process import HOST
from vibewasm.runtime.elf import frames, functions_object, shared_object

pytestmark = not_emulated("profilers and debuggers would see the emulator, and its mremap does not map twice")

ROOT = Path(__file__).resolve().parents[2]

TEXT = """
(module
  (import "env" "stop" (func $stop))
  (func $inner (call $stop))
  (func $middle (call $inner) (call $stop))
  (func (export "outer") (call $middle))
  (func $spin (export "spin") (param $n i32) (result i32)
    (loop $again
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $n)))
"""

#: Calls an export of the module above; its host function stops the process where a debugger can look at it.
PROGRAM = """
import os, signal, sys
import vibewasm
signal.signal(signal.SIGUSR1, lambda *_: None)
engine = vibewasm.Engine(vibewasm.Config(**eval(sys.argv[1])))
module = vibewasm.Module(engine, sys.argv[2])
stop = lambda: os.kill(os.getpid(), signal.SIGUSR1)
linker = vibewasm.Linker(engine)
linker.define("env", "stop", stop)
instance = linker.instantiate(vibewasm.Store(engine), module)
getattr(instance.exports, sys.argv[3])(*map(int, sys.argv[4:]))
"""


def command(config: dict[str, str], *words: str) -> list[str]:
    return [sys.executable, "-c", PROGRAM, repr(config), TEXT, *words]


def run(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


def make(**config: str) -> vibewasm.Instance:
    engine = vibewasm.Engine(vibewasm.Config(**config))  # type: ignore[arg-type]  # by keyword
    linker = vibewasm.Linker(engine)
    linker.define("env", "stop", lambda: None)
    return linker.instantiate(vibewasm.Store(engine), vibewasm.Module(engine, TEXT))


def test_other_names_are_refused() -> None:
    with pytest.raises(ValueError, match="profile is 'perfmap', 'jitdump' or None, not 'vtune'"):
        vibewasm.Config(profile="vtune")
    with pytest.raises(ValueError, match="debug is 'gdb' or None, not 'lldb'"):
        vibewasm.Config(debug="lldb")


@pytest.mark.parametrize("compilation", ["lazy", "eager"])
def test_a_perf_map_names_every_function_that_was_compiled(compilation: str) -> None:
    path = Path(f"/tmp/perf-{os.getpid()}.map")
    instance = make(profile="perfmap", compilation=compilation)
    instance.exports.outer()
    try:
        lines = [line.split(" ", 2) for line in path.read_text().splitlines()]
        names = {name: (int(address, 16), int(size, 16)) for address, size, name in lines}
        assert {"inner", "middle", "outer"} <= names.keys()
        assert ("spin" in names) or compilation == "lazy"
        assert path.stat().st_mode & 0o077 == 0
        for defined, name in enumerate(("inner", "middle", "outer")):
            address, size = names[name]
            code = instance.module.compiler.compile(defined)
            assert address == instance.module._code_address(defined, None)
            assert len(code) <= size <= len(code) + 15
    finally:
        path.unlink()
        # A file is opened once a process, so what comes later has to open it anew.
        forget_observers()


def forget_observers() -> None:
    from vibewasm.runtime import observers

    observers._observers.clear()
    observers._stubs.clear()


def test_a_forked_child_writes_a_map_of_its_own() -> None:
    instance = make(profile="perfmap")
    instance.exports.outer()
    path = Path(f"/tmp/perf-{os.getpid()}.map")
    child = os.fork()
    if not child:
        instance.exports.spin(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    other = Path(f"/tmp/perf-{child}.map")
    try:
        names = [line.split(" ", 2)[2] for line in other.read_text().splitlines()]
        assert {"outer", "inner", "spin"} <= set(names)
        assert "spin" not in path.read_text()
    finally:
        path.unlink()
        other.unlink()
        forget_observers()


def test_a_forked_child_does_not_read_code_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JITDUMPDIR", str(tmp_path))
    try:
        make(profile="jitdump").exports.outer()
        gc.collect()
        instance = make(profile="jitdump")
        child = os.fork()
        if not child:
            instance.exports.spin(1)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        dump = (tmp_path / f"jit-{child}.dump").read_bytes()
        assert b"spin\0" in dump
        assert b"middle\0" not in dump
    finally:
        forget_observers()


def test_a_jitdump_holds_names_and_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JITDUMPDIR", str(tmp_path))
    instance = make(profile="jitdump")
    instance.exports.outer()
    try:
        data = (tmp_path / f"jit-{os.getpid()}.dump").read_bytes()
        magic, version, size, _, _, pid, _, _ = struct.unpack_from("<IIIIIIQQ", data)
        assert (magic, version, size, pid) == (0x4A695444, 1, 40, os.getpid())
        found: dict[str, tuple[int, bytes]] = {}
        records = 0
        while size < len(data):
            kind, total, _, owner, _, _, address, length, index = struct.unpack_from("<IIQIIQQQQ", data, size)
            assert (kind, owner, index) == (0, os.getpid(), records)
            records += 1
            name, _, code = data[size + 56 : size + total].partition(b"\0")
            assert len(code) == length
            found[name.decode()] = (address, code)
            size += total
        assert found["middle"] == (instance.module._code_address(1, None), instance.module.compiler.compile(1))
        assert "vibewasm adapters" in found
    finally:
        forget_observers()


def test_perf_accepts_the_jitdump(tmp_path: Path) -> None:
    if not shutil.which("perf"):
        pytest.skip("perf is not installed")
    recorded = run(
        ["perf", "record", "-q", "-k", "mono", "-o", "data", *command({"profile": "jitdump"}, "spin", "300000000")],
        tmp_path,
    )
    if recorded.returncode or not (tmp_path / "data").exists():
        pytest.skip(f"perf cannot record here: {recorded.stderr.strip()}")
    injected = run(["perf", "inject", "--jit", "-i", "data", "-o", "jitted"], tmp_path)
    assert injected.returncode == 0, injected.stderr
    report = run(["perf", "report", "-i", "jitted", "--stdio", "--sort", "symbol"], tmp_path)
    assert "[.] spin" in report.stdout, report.stdout + report.stderr


def test_perf_finds_names_in_the_map(tmp_path: Path) -> None:
    if not shutil.which("perf"):
        pytest.skip("perf is not installed")
    recorded = run(
        ["perf", "record", "-q", "-o", "data", *command({"profile": "perfmap"}, "spin", "300000000")], tmp_path
    )
    if recorded.returncode or not (tmp_path / "data").exists():
        pytest.skip(f"perf cannot record here: {recorded.stderr.strip()}")
    report = run(["perf", "report", "-i", "data", "--stdio", "--sort", "symbol"], tmp_path)
    assert "[.] spin" in report.stdout, report.stdout + report.stderr


def test_gdb_shows_wasm_functions_in_backtraces(tmp_path: Path) -> None:
    if not shutil.which("gdb"):
        pytest.skip("gdb is not installed")
    commands = [word for text in ("set pagination off", "run", "bt -frame-arguments none") for word in ("-ex", text)]
    found = run(["gdb", "-batch", "-nx", "-q", *commands, "--args", *command({"debug": "gdb"}, "outer")], tmp_path)
    if "ptrace: Operation not permitted" in found.stderr + found.stdout:
        pytest.skip("gdb may not trace processes here")
    frames_shown = [line for line in found.stdout.splitlines() if line.startswith("#")]
    names = [name for line in frames_shown for name in ("inner", "middle", "outer") if f" in {name} ()" in line]
    assert names == ["inner", "middle", "outer"], found.stdout + found.stderr
    # The way back to Python's own main goes through the adapters.
    assert any("main" in line for line in frames_shown[-3:])


def test_functions_are_forgotten_with_their_module() -> None:
    from vibewasm.runtime.gdb import Gdb
    from vibewasm.runtime.observers import observer

    gdb = observer("gdb", backend(HOST).processor)
    assert isinstance(gdb, Gdb)

    def count() -> int:
        entries, entry = 0, gdb._descriptor.first
        while entry:
            entries, entry = entries + 1, entry.contents.next
        return entries

    make(debug="gdb").exports.outer()
    gc.collect()
    before = count()
    instance = make(debug="gdb")
    instance.exports.outer()
    assert count() >= before + 3
    del instance
    gc.collect()
    assert count() == before


@pytest.mark.parametrize("target", TARGETS)
def test_elf_files_are_well_formed(target: str, tmp_path: Path) -> None:
    processor = backend(target).processor
    if not shutil.which("readelf"):
        pytest.skip("readelf (binutils) is not installed")
    functions = [("first", 0x1000, 16), ("second one", 0x1010, 32)]
    files = {
        "functions": functions_object(processor, functions),
        "object": shared_object(processor, "__jit_debug_register_code", "__jit_debug_descriptor", bytes(24)),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        found = run(["readelf", "-aW", name], tmp_path)
        assert found.returncode == 0
        assert "Warning" not in found.stdout + found.stderr
        assert "Error" not in found.stdout + found.stderr
    text = run(["readelf", "-sW", "functions"], tmp_path).stdout
    assert "second one" in text
    assert "__jit_debug_descriptor" in run(["readelf", "--dyn-syms", "-W", "object"], tmp_path).stdout
    unwinding = run(["readelf", "--debug-dump=frames", "-W", "functions"], tmp_path)
    assert "0000000000001010..0000000000001030" in unwinding.stdout
    assert len(frames(processor, functions)) % 8 == 0
