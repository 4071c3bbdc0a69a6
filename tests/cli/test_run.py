"""``vibewasm run``: what it runs, with what, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.api.wasm import FOREVER
from tests.spec.suite import HOW_TO_GET
from vibewasm.cli import main
from vibewasm.wasi.errnos import EACCES, EPERM

from . import modules
from .command import command, prepared

Save = Callable[[bytes], str]
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Writes a module to a file and gives its path."""

    def write(data: bytes) -> str:
        path = tmp_path / "module.wasm"
        path.write_bytes(data)
        return str(path)

    return write


@pytest.fixture
def library(save: Save) -> str:
    return save(modules.library())


# -- invoke ------------------------------------------------------------------------------------------------------------


def test_invoke_prints_the_result(library: str, capsys: Capture) -> None:
    assert main(["run", "--invoke", "add", library, "2", "-5"]) == 0
    assert capsys.readouterr().out == "-3\n"


def test_invoke_prints_several_results_one_a_line(library: str, capsys: Capture) -> None:
    assert main(["run", "--invoke", "turn", library, "0xffffffffffffffff", "0.1", "1e300"]) == 0
    assert capsys.readouterr().out == "1e+300\n0.1\n-1\n"


def test_invoke_passes_null_references(library: str, capsys: Capture) -> None:
    assert main(["run", "--invoke", "same", library, "null"]) == 0
    assert capsys.readouterr().out == "null\n"


def test_invoke_initialises_a_reactor_first(save: Save, capsys: Capture) -> None:
    assert main(["run", "--invoke", "value", save(modules.reactor())]) == 0
    assert capsys.readouterr().out == "42\n"


def test_a_name_that_looks_like_a_signature_is_quoted_where_its_types_follow(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "names.wat"
    path.write_text('(module (func (export "gc: func() -> bool") (export "plain-name.1") (param i32)))')
    assert main(["run", "--invoke", "gc", str(path)]) == 2
    assert "exported functions:\n  'gc: func() -> bool'(i32)\n  plain-name.1(i32)\n" in capsys.readouterr().err
    assert main(["run", "--invoke", "gc: func() -> bool", str(path)]) == 2
    assert "'gc: func() -> bool'(i32) takes 1 argument, 0 given" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ad"], "there is no exported function 'ad'; did you mean 'add'?\nexported functions:\n  abort()\n  add(i32,"),
        (["memory"], "the export 'memory' is not a function\nexported functions:"),
        (["add", "1"], "add(i32, i32) takes 2 arguments, 1 given"),
        (["abort", "1"], "abort() takes 0 arguments, 1 given"),
        (["grow"], "grow(i32) takes 1 argument, 0 given"),
        (["add", "1", "two"], "argument 2 of add(i32, i32): 'two' is not a whole number, which i32 wants"),
        (["add", "1", "4294967296"], "argument 2 of add(i32, i32): 4294967296 does not fit in i32"),
        (["same", "7"], "argument 1 of same(externref): '7' cannot be passed as externref"),
    ],
)
def test_a_wrong_invocation_is_a_usage_error(library: str, capsys: Capture, words: list[str], message: str) -> None:
    name, *arguments = words
    assert main(["run", "--invoke", name, library, *arguments]) == 2
    assert capsys.readouterr().err.startswith(f"vibewasm run: {message}")


# -- commands ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "shown"), [(0, 0), (1, 1), (42, 42), (255, 255), (256, 1), (259, 3)])
def test_the_exit_code_is_the_programs_own_and_failure_stays_failure(save: Save, code: int, shown: int) -> None:
    assert main(["run", save(modules.exits(code))]) == shown


def test_a_program_of_preview_0_runs_too(save: Save) -> None:
    assert main(["run", save(modules.exits(3, "wasi_unstable"))]) == 3


def test_what_follows_the_file_belongs_to_the_program(save: Save, tmp_path: Path) -> None:
    save(modules.writes(("args_sizes_get", "args_get")))
    outcome = command("run", "module.wasm", "--help", "-x", "", "ä", "--", "--fuel=1", cwd=tmp_path)
    assert outcome.stdout.decode().split("\0") == ["module.wasm", "--help", "-x", "", "ä", "--", "--fuel=1", ""]


def test_the_program_gets_its_files_base_name_only(save: Save) -> None:
    outcome = command("run", save(modules.writes(("args_sizes_get", "args_get"))))
    assert outcome.stdout == b"module.wasm\0"
    path = save(modules.writes(("args_sizes_get", "args_get")))
    assert command("run", "--argv0", "/bin/tool", path, "-x").stdout == b"/bin/tool\0-x\0"


def test_the_program_sees_no_environment_but_what_it_is_given(save: Save) -> None:
    path = save(modules.writes(("environ_sizes_get", "environ_get")))
    outcome = command("run", "--env", "A=1", "--env", "B=x=y", "--env", "HERE", "--env", "GONE", path, HERE="yes")
    assert outcome.stdout == b"A=1\0B=x=y\0HERE=yes\0"


def test_the_program_may_have_the_whole_environment(save: Save) -> None:
    path = save(modules.writes(("environ_sizes_get", "environ_get")))
    outcome = command("run", "--env", "A=1", "--inherit-env", path, A="0", HERE="yes")
    seen = outcome.stdout.decode().split("\0")
    assert {"A=1", "HERE=yes"} < set(seen)
    assert any(variable.startswith("PATH=") for variable in seen)


def test_a_module_can_come_from_standard_input() -> None:
    assert command("run", "--invoke", "add", "-", "1", "2", stdin=modules.library()).stdout == b"3\n"


def test_a_folder_is_seen_under_the_name_it_is_given(programs: Path) -> None:
    folder = programs / "bz2"
    if not folder.is_dir():
        pytest.skip(f"NOT RUN: no bz2 in {programs}; {HOW_TO_GET}")
    expected = (folder / "benchmark.stdout.expected").read_bytes()
    assert command("run", "--stub-imports", f"--dir={folder}::.", folder / "benchmark.wasm").stdout == expected


def test_a_folder_that_is_read_only_is_not_changed(tmp_path: Path) -> None:
    program = tmp_path / "mkdir.wat"
    program.write_text(
        """(module
          (import "wasi_snapshot_preview1" "path_create_directory" (func $mkdir (param i32 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
          (memory (export "memory") 1)
          (data (i32.const 0) "new")
          (func (export "_start") (call $exit (call $mkdir (i32.const 3) (i32.const 0) (i32.const 3)))))"""
    )
    folder = tmp_path / "folder"
    folder.mkdir()
    assert main(["run", f"--dir={folder}::/data::ro", str(program)]) == EPERM
    assert not (folder / "new").exists()
    # This folder's name for the program is "ro".
    assert main(["run", f"--dir={folder}::ro::", str(program)]) == 0
    assert (folder / "new").is_dir()


@pytest.mark.parametrize(("mode", "expected"), [("", EACCES), ("::ro", EACCES), ("::special", 0), ("::ro,special", 0)])
def test_a_fifo_is_opened_only_where_the_folder_allows_it(tmp_path: Path, mode: str, expected: int) -> None:
    program = tmp_path / "open.wat"
    program.write_text(
        """(module
          (import "wasi_snapshot_preview1" "path_open"
            (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
          (memory (export "memory") 1)
          (data (i32.const 0) "fifo")
          (func (export "_start") (call $exit (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 4)
            (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 8)))))"""
    )
    folder = tmp_path / "folder"
    folder.mkdir()
    os.mkfifo(folder / "fifo")
    assert main(["run", f"--dir={folder}::/data{mode}", str(program)]) == expected


def test_a_module_that_is_no_command_says_what_it_is(library: str, save: Save, capsys: Capture) -> None:
    assert main(["run", library]) == 1
    error = capsys.readouterr().err
    assert "exports no function '_start': it is no WASI command. Call one with --invoke NAME." in error
    assert "add(i32, i32)" in error
    assert main(["run", save(modules.reactor())]) == 1
    assert "it is a reactor, a library of functions." in capsys.readouterr().err


def test_unknown_imports_are_named_with_what_to_do(save: Save, capsys: Capture) -> None:
    path = save(modules.wants_host())
    assert main(["run", "--invoke", "g", path]) == 1
    error = capsys.readouterr().err
    assert "unknown import: env.f (() -> i32)" in error
    assert "--stub-imports" in error
    assert main(["run", "--stub-imports", "--invoke", "g", path]) == 0
    assert capsys.readouterr().out == "0\n"


def test_what_cannot_be_stubbed_gets_no_advice_to_stub_it(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "module.wat"
    kinds = ("(memory 1)", "(table 1 funcref)", "(global i32)", "(global (mut i64))")
    for kind in kinds:
        path.write_text(f'(module (import "env" "memory_" (func)) (import "env" "memory" {kind}) (func (export "f")))')
        for options in ([], ["--stub-imports"]):
            assert main(["run", *options, "--invoke", "f", str(path)]) == 1
            error = capsys.readouterr().err
            assert "env.memory (" in error
            assert "did you mean" not in error, "a function is no memory"
            assert error.endswith(
                "\n'vibewasm run' provides WASI only. Memories, tables and globals cannot be stubbed; "
                "give them from Python with vibewasm.Linker.\n"
            )


# -- traps and limits --------------------------------------------------------------------------------------------------


def test_a_trap_shows_its_frames_and_ends_with_134(library: str, capsys: Capture) -> None:
    assert main(["run", "--invoke", "div", library, "1", "0"]) == 134
    first, frame = capsys.readouterr().err.splitlines()
    assert first == "vibewasm: trap: integer divide by zero"
    assert frame.startswith("  at quotient (at byte offset 0x")


def test_fuel_runs_out(library: str, capsys: Capture) -> None:
    assert main(["run", "--fuel", "1000", "--invoke", "spin", library]) == 134
    assert "all fuel consumed" in capsys.readouterr().err
    assert main(["run", "--fuel", "1000", "--invoke", "add", library, "1", "2"]) == 0


def test_a_timeout_ends_with_124(library: str, capsys: Capture) -> None:
    assert main(["run", "--timeout", "0.1", "--invoke", "spin", library]) == 124
    assert "stopped after 0.1 seconds" in capsys.readouterr().err


def test_memory_grows_no_further_than_allowed(library: str, capsys: Capture) -> None:
    assert main(["run", "--max-memory", "128K", "--invoke", "grow", library, "1"]) == 0
    assert main(["run", "--max-memory", "128K", "--invoke", "grow", library, "2"]) == 0
    assert capsys.readouterr().out == "1\n-1\n"


def test_a_module_whose_memory_is_too_large_is_refused(library: str, capsys: Capture) -> None:
    assert main(["run", "--max-memory", "1K", "--invoke", "add", library, "1", "2"]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"vibewasm: {library}: ")
    assert "is more than --max-memory allows: 1024 bytes" in error
    assert "Store." not in error


def test_limits_beyond_all_measure_are_no_tracebacks(library: str, capsys: Capture) -> None:
    assert main(["run", "--fuel", str(1 << 63), "--invoke", "add", library, "1", "2"]) == 2
    assert "--fuel is too large" in capsys.readouterr().err
    assert main(["run", "--max-memory", "9" * 5000 + "G", "--invoke", "add", library, "1", "2"]) == 0


def test_eager_finds_an_invalid_body_that_lazy_does_not_reach(save: Save, capsys: Capture) -> None:
    path = save(modules.invalid_body())
    assert main(["run", "--invoke", "good", path]) == 0
    assert main(["run", "--invoke", "bad", path]) == 1
    assert main(["run", "--eager", "--invoke", "good", path]) == 1
    assert "in function 0 <broken>" in capsys.readouterr().err


# -- the command line --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--dir", "no/such/folder"], "--dir no/such/folder: 'no/such/folder' does not exist"),
        (
            ["--dir", ".:/x"],
            "--dir .:/x: '.:/x' does not exist; HOST and GUEST have two colons between them: .::/x\n",
        ),
        (["--dir", "no/such:/x"], "--dir no/such:/x: 'no/such:/x' does not exist\n"),
        (["--dir", ".::x", "--dir", "..::x"], "--dir ..::x: the program sees '.' as 'x' already"),
        (["--dir", ".::x::ro", "--dir", "..::x::ro"], "--dir ..::x::ro: the program sees '.' as 'x' already"),
        (
            ["--dir", ".::x::ro", "--dir", "./.::y::special"],
            "--dir ./.::y::special: the program sees this folder as 'x' already, and only one of the two is read-only",
        ),
        (["--dir", ".::/::RO"], "--dir .::/::RO: 'RO' is no mode: there are ro, special and ro,special\n"),
        (["--dir", ".::/::ro::x"], "--dir .::/::ro::x: 'ro::x' is no mode: "),
        (["--dir", ".::/::ro,rw"], "--dir .::/::ro,rw: 'ro,rw' is no mode: "),
        (
            ["--dir", ".::ro"],
            "--dir .::ro: a mode comes after GUEST: .::.::ro; for a folder that the program sees as 'ro', write .::",
        ),
        (["--dir", ".::special,ro"], "--dir .::special,ro: a mode comes after GUEST: .::.::special,ro; "),
        (["--dir", ".::"], "--dir .::: GUEST is empty; / is the program's root, . where it begins\n"),
        (["--dir", ".::::ro"], "--dir .::::ro: GUEST is empty"),
        (["--env", "=1"], "--env wants NAME=VALUE or NAME, not '=1'"),
        (["--fuel", "-1"], "--fuel wants a whole number of at least 0, not '-1'"),
        (["--timeout", "soon"], "--timeout wants a positive number of seconds, such as 2 or 0.5, not 'soon'"),
        (["--max-memory", "much"], "--max-memory wants a number of bytes"),
        (["--feul", "1"], "unknown option --feul; did you mean '--fuel' or '--help'?"),
    ],
)
def test_a_wrong_option_is_a_usage_error(library: str, capsys: Capture, words: list[str], message: str) -> None:
    assert main(["run", *words, library]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"vibewasm run: {message}")
    assert error.endswith("\nTry 'vibewasm run --help'.\n")


def test_a_file_is_no_folder(library: str, capsys: Capture) -> None:
    assert main(["run", "--dir", library, library]) == 2
    assert "is not a directory" in capsys.readouterr().err


# -- signals and pipes -------------------------------------------------------------------------------------------------


def test_control_c_ends_with_130(save: Save) -> None:
    path = save(modules.writes(("args_sizes_get", "args_get"), after=FOREVER))
    line, environment = prepared("run", path)
    with subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            # From now on the program runs; earlier, Ctrl-C would end the interpreter's own start.
            assert process.stdout.read(1) == b"m"
            process.send_signal(signal.SIGINT)
            _, error = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 130
    assert error == b""


SCRIPT = "from vibewasm.__main__ import script; script()"
MODULE = "import runpy; runpy.run_module('vibewasm', run_name='__main__')"


def run_after(first: str, then: str, path: str | Path) -> subprocess.CompletedProcess[bytes]:
    """A process in which something is prepared before the command is run as its script or as a module."""
    (python, _, *words), environment = prepared("run", path)
    line = [python, "-c", f"{first}\n{then}", *words]
    return subprocess.run(line, env=environment, capture_output=True, timeout=60, check=False)


@pytest.mark.parametrize("way", [SCRIPT, MODULE])
def test_control_c_at_the_end_shows_no_traceback(save: Save, way: str) -> None:
    path = save(modules.writes(("args_sizes_get", "args_get")))
    interrupt = "import atexit, os, signal; atexit.register(os.kill, os.getpid(), signal.SIGINT)"
    outcome = run_after(interrupt, way, path)
    assert outcome.stderr == b""
    assert outcome.returncode == -signal.SIGINT
    assert outcome.stdout.startswith(b"m")


@pytest.mark.parametrize("way", [SCRIPT, MODULE])
def test_control_c_at_the_end_that_is_ignored(save: Save, way: str) -> None:
    path = save(modules.writes(("args_sizes_get", "args_get")))
    ignore = "import atexit, os, signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
    outcome = run_after(f"{ignore}; atexit.register(os.kill, os.getpid(), signal.SIGINT)", way, path)
    assert (outcome.returncode, outcome.stderr) == (0, b"")


@pytest.mark.parametrize("way", [SCRIPT, MODULE])
@pytest.mark.parametrize("loading", ["vibewasm.bundle", "vibewasm.bundled", "vibewasm.cli", "vibewasm.cli.run"])
def test_control_c_while_the_command_is_loaded_ends_with_130(save: Save, way: str, loading: str) -> None:
    interrupt = f"""
import sys
class Interrupting:
    def find_spec(self, name, *_):
        if name == {loading!r}:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupting())"""
    outcome = run_after(interrupt, way, save(modules.writes(("args_sizes_get", "args_get"))))
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (130, b"", b"")


@pytest.mark.parametrize("words", [["inspect"], ["run", "--invoke", "add"], ["--help"]])
def test_a_reader_that_goes_away_is_no_error(library: str, words: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    line, environment = prepared(*words, library, "1", "2") if "add" in words else prepared(*words, library)
    try:
        outcome = subprocess.run(line, env=environment, stdout=write, stderr=subprocess.PIPE, timeout=60, check=False)
    finally:
        os.close(write)
    assert outcome.returncode == 141
    assert outcome.stderr == b""


def test_a_full_disk_is_reported(library: str, tmp_path: Path) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full on this system")
    # Both what stands in the buffer until the end, and what is written on the way.
    many = tmp_path / "many.wat"
    many.write_text("(module" + "".join(f'(func (export "function number {index}"))' for index in range(5000)) + ")")
    for words in (
        ["inspect", library],
        ["inspect", many],
        ["wasm2wat", many],
        ["run", "--invoke", "add", library, "1", "2"],
    ):
        line, environment = prepared(*words)
        with open("/dev/full", "wb") as full:
            outcome = subprocess.run(
                line, env=environment, stdout=full, stderr=subprocess.PIPE, timeout=60, check=False
            )
        assert outcome.returncode == 1
        assert outcome.stderr == b"vibewasm: standard output could not be written: No space left on device\n"


def test_no_standard_output_is_no_error(library: str) -> None:
    line, environment = prepared("inspect", library)
    closed = ["bash", "-c", '"$@" >&-', "bash", *line]
    assert subprocess.run(closed, env=environment, timeout=60, check=False).returncode == 0


def test_names_that_the_terminal_cannot_show_are_escaped(tmp_path: Path) -> None:
    path = tmp_path / "\udcff.wasm"
    path.write_bytes(modules.library())
    line, environment = prepared("validate", path)
    outcome = subprocess.run(line, env=environment, capture_output=True, timeout=60, check=False)
    assert outcome.stdout.endswith(b"/\\udcff.wasm: valid\n")
    assert outcome.returncode == 0
