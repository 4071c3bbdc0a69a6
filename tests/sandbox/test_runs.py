"""Runs in processes of their own: what comes back, and what becomes of those that go wrong."""

from __future__ import annotations

import asyncio
import io
import os
import pickle
import signal
import sys
import threading
import warnings
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import vibewasm as vw
from tests.native import not_emulated
from vibewasm import sandbox
from vibewasm.sandbox import pipes, process, running
from vibewasm.sandbox.errors import SandboxCrash, SandboxError, SandboxLimit

pytestmark = pytest.mark.filterwarnings("ignore::vibewasm.sandbox.SandboxWarning")

#: Writes its arguments, a line each, and what it reads; from examples/.
ENDLESS = '(module (func (export "run") (loop (br 0))) (func (export "_start") (loop (br 0))))'
WRITER = """(module (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1) (data (i32.const 100) "0123456789abcdef")
    (func (export "_start") (i32.store (i32.const 0) (i32.const 0)) (i32.store (i32.const 4) (i32.const 60000))
        (loop $again
            (br_if $again (i32.eqz (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))))"""


def test_a_program_gives_its_output_and_its_exit_code(project: Path) -> None:
    outcome = sandbox.run(project / "examples" / "hello.wasm", args=["Ada"])
    assert (outcome.stdout, outcome.stderr, outcome.exit_code, outcome.error) == (b"Hello, Ada!\n", b"", 0, None)
    assert outcome.check() is outcome
    assert 0 < outcome.resources.user_seconds
    assert 1 << 20 < outcome.resources.max_resident < 1 << 30
    assert "exit_code=0" in repr(outcome)


def test_functions_traps_and_errors_of_modules_come_back() -> None:
    text = """(module (func (export "swap") (param i32 f64) (result f64 i32) (local.get 1) (local.get 0))
        (func $inner (unreachable)) (func (export "trap") (call $inner)))"""
    assert sandbox.run(text, invoke="swap", values=[-5, 0.5]).results == (0.5, -5)
    outcome = sandbox.run(text, invoke="trap")
    assert isinstance(outcome.error, vw.Trap)
    assert [frame.func_name for frame in outcome.error.frames] == ["inner", "trap"]
    with pytest.raises(vw.Trap, match="unreachable"):
        outcome.check()


def test_a_timeout_may_be_longer_than_a_selector_waits() -> None:
    outcome = sandbox.run('(module (func (export "f")))', invoke="f", timeout=30 * 86400)
    assert outcome.check().results == ()


@pytest.mark.ci
def test_whatever_is_wrong_with_a_module_is_an_error_of_the_outcome() -> None:
    for source, kind, text in (
        (b"\0asm\1\0\0\0\xff", vw.DecodeError, "malformed section id"),
        ('(module (import "a" "b" (func)))', vw.LinkError, "unknown import"),
        ("(module (func (export", vw.WasmError, ""),
        ("(module)", vw.WasmError, "there is no export '_start'"),
        ('(module (memory (export "_start") 1))', vw.WasmError, "is not a function"),
        ("(module (memory 60000))", vw.LinkError, "max_memory"),
    ):
        outcome = sandbox.run(source)
        assert isinstance(outcome.error, kind), source
        assert text in str(outcome.error)
        assert outcome.exit_code is None


def test_a_run_that_takes_too_long_is_stopped_and_says_where() -> None:
    outcome = sandbox.run(ENDLESS, timeout=1.5)
    assert isinstance(outcome.error, SandboxLimit)
    assert outcome.limits == ("timeout",)
    assert str(outcome.error).startswith("stopped after 1.5 seconds")


def test_a_deadline_ends_a_run_that_is_begun_in_its_block() -> None:
    with pytest.raises(
        vw.Interrupted, match=r"^stopped by a deadline of 0.3 seconds, while running the module in a proc"
    ):
        with vw.deadline(0.3):
            sandbox.run(ENDLESS, timeout=3)
    # One whose block is over is none of a run's, and the one that is over first counts.
    with vw.deadline(60):
        assert sandbox.run(ENDLESS, timeout=0.5).limits == ("timeout",)


@pytest.mark.ci
def test_the_deadline_of_a_store_ends_a_run_too() -> None:
    with vw.Store() as store, pytest.raises(vw.Interrupted), store.deadline(0.1):
        sandbox.run(ENDLESS)
    with pytest.raises(vw.Interrupted), vw.deadline(0):
        sandbox.run(ENDLESS)


@pytest.mark.ci
def test_deadlines_of_a_task_hold_in_the_threads_that_it_awaits() -> None:
    async def both() -> tuple[object, object]:
        async def one(seconds: float) -> object:
            with vw.deadline(seconds):
                return await asyncio.to_thread(sandbox.run, '(module (func (export "_start")))')

        return await asyncio.gather(one(60), one(0.001), return_exceptions=True)

    well, late = asyncio.run(both())
    assert isinstance(well, sandbox.Outcome)
    assert isinstance(late, vw.Interrupted)


def test_output_is_limited_and_goes_where_it_is_wanted() -> None:
    pieces: list[bytes] = []
    outcome = sandbox.run(WRITER, stdout=pieces.append, max_output=100_000, timeout=60)
    assert outcome.limits == ("output",)
    assert sum(map(len, pieces)) == 100_000
    assert outcome.stdout == b""


def test_folders_are_those_that_were_given(project: Path, tmp_path: Path) -> None:
    upper = project / "examples" / "upper.wat"
    (tmp_path / "in").write_text("text")
    outcome = sandbox.run(upper, argv0="upper", args=["in", "out"], preopens={"/": tmp_path})
    assert (outcome.exit_code, outcome.error, outcome.stderr) == (0, None, b"")
    assert (tmp_path / "out").read_text() == "TEXT"
    fixed = sandbox.run(upper, argv0="upper", args=["in", "new"], preopens={"/": vw.Dir(tmp_path, read_only=True)})
    assert fixed.exit_code
    assert not (tmp_path / "new").exists()


@pytest.mark.ci
def test_input_may_be_bytes_or_a_descriptor(project: Path, tmp_path: Path) -> None:
    upper = project / "examples" / "upper.wat"
    text = b"text" * 100_000
    assert sandbox.run(upper, argv0="upper", stdin=text).stdout == text.upper()
    (tmp_path / "file").write_bytes(text)
    with open(tmp_path / "file", "rb") as given, open(tmp_path / "out", "wb") as taken:
        assert sandbox.run(upper, argv0="upper", stdin=given.fileno(), stdout=taken.fileno()).exit_code == 0
    assert (tmp_path / "out").read_bytes() == text.upper()


def test_limits_that_a_program_has_met_are_told() -> None:
    """Also where it was refused by -1 or an error number, and came to its end."""
    grower = '(module (memory 1) (func (export "f") (result i32) (memory.grow (i32.const 1000))))'
    outcome = sandbox.run(grower, invoke="f", limits=vw.ResourceLimits(max_memory=1 << 20))
    assert (outcome.results, outcome.error, outcome.limits) == ((-1,), None, ("max_memory",))


@pytest.mark.ci
def test_limits_that_a_program_has_met_are_told_however_it_ends() -> None:
    for end, kind in (("unreachable", vw.Trap), ("(loop (br 0))", vw.OutOfFuel), ("(drop (i32.const 1))", type(None))):
        grower = f'(module (memory 1) (func (export "f") (drop (memory.grow (i32.const 1000))) {end}))'
        limits = vw.ResourceLimits(max_memory=1 << 20)
        outcome = sandbox.run(grower, invoke="f", config=vw.Config(fuel=True, limits=limits), fuel=100_000)
        assert isinstance(outcome.error, kind)
        assert "max_memory" in outcome.limits


def test_what_nobody_limits_has_the_limits_of_the_command() -> None:
    settings = running._config(None, None, None)
    assert settings.limits == vw.ResourceLimits.usual(max_memory=None)
    assert settings.max_memory == running.DEFAULT_MEMORY
    fueled = running._config(vw.Config(fuel=True), None, None)
    assert fueled == running._config(None, None, None, fuel=5)
    assert (fueled.fuel, fueled.limits, fueled.max_memory) == (True, settings.limits, settings.max_memory)
    assert running._config(vw.Config(fuel=True), 3 << 30, None).max_memory == 3 << 30
    given = vw.ResourceLimits(max_memory=1 << 30)
    # Somebody has said how much.
    assert running._config(None, None, given).max_memory is None
    assert running._config(None, None, given.replace(max_memory=None)).max_memory == running.DEFAULT_MEMORY
    for config, least in (
        (vw.Config(limits=given), 1 << 30),
        (vw.Config(limits=given, max_memory=5), 5),
        (vw.Config(), running.DEFAULT_MEMORY),
    ):
        assert running._least(config, "max_memory", running.DEFAULT_MEMORY) == least


def test_the_process_may_have_as_much_as_the_program() -> None:
    limits = running.system_limits(1 << 30, 5, None, None, 5000)
    assert limits["DATA"] == (1 << 30) + 5
    assert limits["NOFILE"] > 5000


def test_imports_of_a_host_are_stubbed_or_told_of(project: Path) -> None:
    plugin = vw.Module(project / "examples" / "plugin.wasm")
    assert sandbox.run(plugin, invoke="divide", values=[8], stub_imports=True).results == (125,)


@pytest.mark.ci
def test_with_the_least_of_everything_a_module_is_run() -> None:
    """Of any size: its bytes come on top."""
    least = running._LEAST_OVERHEAD
    custom = b"\0\x84\x80\x80\x20\0" + bytes((64 << 20) + 3)
    wrong = sandbox.run(b"\0asm\1\0\0\0" + custom, overhead=least, max_file_size=running._LEAST_FILE_SIZE, max_memory=0)
    assert "no export '_start'" in str(wrong.error)


@pytest.mark.ci
def test_errors_of_text_have_their_places() -> None:
    outcome = sandbox.run("(module\n\t(func (i32.ad)))")
    assert isinstance(outcome.error, vw.WatError)
    assert (outcome.error.line, outcome.error.column) == (2, 9)
    with pytest.raises(vw.WatError) as here:
        vw.Module("(module\n\t(func (i32.ad)))")
    assert str(here.value) == str(outcome.error) == str(pickle.loads(pickle.dumps(outcome.error)))
    long = sandbox.run("(module" + " " * 20_000 + "(func (i32.ad)))")
    assert type(long.error) is vw.DecodeError
    assert "line 1, column 20015" in str(long.error)


@pytest.mark.ci
def test_settings_that_write_to_other_files_have_no_effect() -> None:
    text = '(module (func (export "f") (result i32) (i32.const 7)))'
    for config in (vw.Config(profile="perfmap"), vw.Config(debug="gdb"), vw.Config(cache=True)):
        assert sandbox.run(text, invoke="f", config=config).results == (7,)


@pytest.mark.ci
def test_machine_code_is_run_where_that_is_allowed(tmp_path: Path) -> None:
    text = '(module (func (export "f") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1))))'
    config = vw.Config(fuel=True)
    code = vw.Module(vw.Engine(config), text).serialize()
    arguments: Any = {"invoke": "f", "values": [6], "config": config, "fuel": 100}
    assert sandbox.run(code, allow_precompiled=True, **arguments).results == (7,)
    assert sandbox.run(text, allow_precompiled=True, **arguments).results == (7,)
    (tmp_path / "text.wat").write_text(text)
    (tmp_path / "code.vwc").write_bytes(code)
    for name in ("text.wat", "code.vwc"):
        assert sandbox.run(tmp_path / name, allow_precompiled=True, **arguments).results == (7,)
    assert isinstance(sandbox.run(code, **arguments).error, vw.DecodeError)
    other = sandbox.run(code, allow_precompiled=True, invoke="f", values=[6])
    assert isinstance(other.error, vw.WasmError)
    assert "fuel" in str(other.error)


@pytest.mark.ci
def test_what_cannot_be_run_is_told_with_what_can(project: Path) -> None:
    plugin = project / "examples" / "plugin.wasm"
    for given, kind, text in (
        (
            {"invoke": "divide", "values": [8]},
            vw.LinkError,
            "unknown import: env.log .*\n.*; stub_imports=True has such",
        ),
        (
            {"stub_imports": True},
            vw.WasmError,
            "no export '_start': it is no WASI program. Name a function with invoke=",
        ),
        ({"stub_imports": True}, vw.WasmError, "; it exports .*count_words"),
        ({"stub_imports": True, "invoke": "divid"}, vw.WasmError, "no export 'divid'; did you mean 'divide'"),
        ({"stub_imports": True, "invoke": "memory"}, vw.WasmError, "the export 'memory' is not a function"),
    ):
        arguments: Any = given
        with pytest.raises(kind, match=text):
            sandbox.run(plugin, **arguments).check()


@pytest.mark.parametrize(
    ("given", "kind", "text"),
    [
        ({"values": [1]}, ValueError, "values are for the function that invoke=... names; a program has args"),
        ({"imports": {}}, TypeError, "no parameter 'imports': functions of this process cannot be called from another"),
        ({"wasi": None}, TypeError, "no parameter 'wasi': args, env, preopens, stdin and so on are given to run"),
        ({"stdn": b""}, TypeError, "run has no parameter 'stdn'; did you mean 'stdin'"),
        ({"max_stack": 1}, TypeError, r"no parameter 'max_stack': write Config\(limits=ResourceLimits\(max_stack="),
        ({"timeout": "1"}, TypeError, "run: timeout has to be a number or None, not str '1'"),
        (
            {"timeout": timedelta(1)},
            TypeError,
            r"timeout has to be a number or None, not timedelta \(its total_seconds",
        ),
        ({"timeout": 0}, ValueError, "timeout is a positive number of seconds"),
        ({"timeout": float("nan")}, ValueError, "timeout has to be a number, and NaN is none"),
    ],
)
def test_what_is_given_in_vain_is_refused(given: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        sandbox.run("(module)", **given)


@pytest.mark.ci
def test_fuel_and_memory_are_limited(project: Path) -> None:
    outcome = sandbox.run(ENDLESS, config=vw.Config(fuel=True), fuel=1000)
    assert isinstance(outcome.error, vw.OutOfFuel)
    assert outcome.limits == ("fuel",)
    limited = sandbox.run("(module (type (func)) (type (func)))", limits=vw.ResourceLimits(max_types=1))
    assert limited.limits == ("max_types",)
    assert isinstance(limited.error, vw.WasmError)
    assert limited.error.limit == "max_types"
    grower = '(module (memory 1) (func (export "_start") (drop (memory.grow (i32.const 1000)))))'
    assert sandbox.run(grower, max_memory=1 << 20).error is None
    fill = "(memory.fill (i32.const 0) (i32.const 1) (i32.const 131072000))"
    big = f'(module (memory 2000) (func (export "_start") {fill}))'
    assert sandbox.run(big, config=vw.Config()).error is None


# -- crashes -----------------------------------------------------------------------------------------------------------


def crashed(code: str, monkeypatch: pytest.MonkeyPatch, **arguments: object) -> SandboxCrash:
    """What a run raises whose process does this in place of a run, after its first line."""
    begin = process._BEGIN
    body = f"import os, sys; os.write(int(sys.argv[4]), b'{{\"missing\": {{}}}}' + b'\\n'); {code}"
    monkeypatch.setattr(process, "_BEGIN", body)
    try:
        with pytest.raises(SandboxCrash) as caught:
            sandbox.run("(module)", **arguments)  # type: ignore[arg-type]  # as the test says
    finally:
        monkeypatch.setattr(process, "_BEGIN", begin)
    return caught.value


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGKILL", "SIGSYS", "SIGABRT", "SIGTERM"])
def test_a_process_that_a_signal_ends_is_a_crash_that_says_which(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    number = getattr(signal, name)
    crash = crashed(f"os.write(1, b'before'); os.kill(os.getpid(), {int(number)})", monkeypatch)
    assert crash.signal == number
    assert name in str(crash)
    assert crash.outcome is not None
    assert crash.outcome.stdout == b"before"
    assert isinstance(crash, vw.WasmError)
    copy = pickle.loads(pickle.dumps(crash))
    assert (str(copy), copy.signal, copy.exit_code) == (str(crash), number, None)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("os._exit(0)", "gave no answer"),
        ("os._exit(3)", "exited with code 3"),
        ("os.write(int(sys.argv[4]), b'{\"exit\": 0}'); os._exit(0)", "gave no answer"),
        ("os.write(int(sys.argv[4]), b'{\"exit\": \"0\"}' + b'\\n'); os._exit(0)", "gave no answer"),
        ("os.write(int(sys.argv[4]), b'\\n\\n\\n'); os._exit(0)", "gave no answer"),
    ],
)
def test_a_process_that_does_not_answer_as_it_should_is_a_crash(
    code: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash = crashed(code, monkeypatch)
    assert crash.signal is None
    assert text in str(crash)


@pytest.mark.ci
def test_a_process_that_says_too_much_or_goes_on_silently_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = process._BEGIN
    for code, limit, seconds in (
        ("import os, sys\nwhile True: os.write(int(sys.argv[4]), bytes(65536))", "output", 60),
        (
            "import os, sys, time\n[os.close(end) for end in (0, 1, 2, int(sys.argv[4]))]\ntime.sleep(60)",
            "timeout",
            0.5,
        ),
        # One that it has started holds the pipes.
        ("import os, time\nif not os.fork(): time.sleep(60)\ntime.sleep(60)", "timeout", 0.5),
    ):
        monkeypatch.setattr(process, "_BEGIN", code)
        assert sandbox.run("(module)", timeout=seconds).limits == (limit,)
    monkeypatch.setattr(process, "_BEGIN", begin)


def test_processes_and_descriptors_do_not_pile_up(project: Path) -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    sandbox.run("(module)")
    with pytest.raises(TypeError):
        sandbox.run("(module)", stdin=5.0)  # type: ignore[arg-type]  # that is what is tested
    with pytest.raises(SandboxError, match="cannot be started"):
        sandbox.run("(module)", python="/no/such/python")
    assert sorted(os.listdir("/proc/self/fd")) == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_what_ends_the_parents_wait_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(data: bytes) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sandbox.run(WRITER, stdout=interrupt, timeout=60)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


# -- what is asked for -------------------------------------------------------------------------------------------------


def test_a_mechanism_that_is_missing_is_told_and_an_error_if_it_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = process._BEGIN
    monkeypatch.setattr(
        process,
        "_BEGIN",
        "import sys; sys.path.append(sys.argv[1]); from vibewasm.sandbox import landlock, seccomp\n"
        "landlock.version = lambda machine: 0\n"
        "def none(*arguments): raise LookupError('no such processor')\n"
        "seccomp.program = none\n"
        "from vibewasm.sandbox.child import main; main(*map(int, sys.argv[3:]))",
    )
    module = '(module (func (export "_start")))'
    with pytest.warns(sandbox.SandboxWarning, match=r"landlock: .*; seccomp: no such processor"):
        outcome = sandbox.run(module)
    assert outcome.exit_code == 0
    assert {"landlock", "seccomp"} <= set(outcome.missing)
    with pytest.raises(SandboxError, match=r"nothing was run: .*seccomp: no such processor") as caught:
        sandbox.run(module, require={"seccomp"})
    assert list(caught.value.missing) == ["seccomp"]
    assert pickle.loads(pickle.dumps(caught.value)).missing == caught.value.missing
    with warnings.catch_warnings(), pytest.raises(SandboxError):
        sandbox.run(module, require="all")
    monkeypatch.setattr(process, "_BEGIN", begin)


def test_arguments_that_make_no_sense_are_refused_before_anything_starts(tmp_path: Path) -> None:
    for arguments, kind, text in (
        ({"require": {"seccom"}}, ValueError, "did you mean 'seccomp'"),
        ({"timeout": 0}, ValueError, "positive number of seconds"),
        ({"timeout": True}, TypeError, "a number or None, not bool True"),
        ({"config": vw.Config(), "fuel": 5}, ValueError, r"Config\(fuel=True\)"),
        ({"config": vw.Config(max_memory=5), "max_memory": 5}, ValueError, "both"),
        ({"config": vw.Config(limits=vw.ResourceLimits()), "limits": vw.ResourceLimits()}, ValueError, "both"),
        ({"invoke": "f", "values": [1, "2"]}, TypeError, r"run: values\[1\] has to be a number or None, not str '2'"),
        ({"limits": 5}, TypeError, "a ResourceLimits"),
        ({"config": 5}, TypeError, "a Config"),
        ({"preopens": {"/": {"a": b""}}}, TypeError, "not in that of the run"),
        ({"preopens": {"/": tmp_path / "gone"}}, NotADirectoryError, "no directory"),
        ({"stdout": "file"}, TypeError, "stdout"),
        ({"max_output": -1}, ValueError, "run: max_output is a number of bytes from 0 to"),
        ({"max_output": "1M"}, TypeError, "run: max_output has to be a number of bytes, an int, not str '1M'"),
        ({"max_file_size": 1000}, ValueError, "run: max_file_size is a number of bytes from 67108864 to"),
        ({"overhead": 1000}, ValueError, "run: overhead is a number of bytes from 67108864 to"),
        ({"overhead": None}, TypeError, "run: overhead has to be a number of bytes, an int, not None"),
        ({"fuel": -1}, ValueError, "run: fuel is an amount from 0 to"),
        ({"fuel": 1.5}, TypeError, "run: fuel has to be an amount, an int, not float 1.5"),
        ({"invoke": 3}, TypeError, "run: invoke has to be the name of an export or None, not int 3"),
        ({"values": 3}, TypeError, "run: values has to be a sequence of numbers, not int 3"),
        ({"invoke": "f", "values": "12"}, TypeError, "run: values has to be a sequence of numbers, not str '12'"),
        ({"preopens": ["."]}, TypeError, "run: preopens has to be a dict, not list"),
        ({"require": 5}, TypeError, "run: require has to be names of mechanisms, not int 5"),
        ({"python": 5}, TypeError, "run: python has to be the path of an interpreter or None, not int 5"),
        ({"stdin": "text"}, TypeError, r"not str 'text' \(text.encode\(\) is\)"),
        ({"stdin": io.BytesIO(b"text")}, TypeError, r"not BytesIO \(file.read\(\) gives them\)"),
        ({"stdin": -1}, ValueError, "run: stdin is no descriptor: -1"),
        ({"stdout": -3}, ValueError, "run: stdout is no descriptor: -3"),
        ({"stderr": True}, ValueError, "run: stderr is no descriptor: True"),
        ({"args": "text"}, TypeError, "args"),
    ):
        with pytest.raises(kind, match=text):
            sandbox.run("(module)", **arguments)
    with pytest.raises(FileNotFoundError):
        sandbox.run(tmp_path / "gone.wasm")
    with pytest.raises(TypeError, match="bytes, a path or text"):
        sandbox.run(5)  # type: ignore[arg-type]  # the same


def test_a_process_that_does_not_read_its_input_sends_the_host_no_signal() -> None:
    caught: list[int] = []
    before = signal.signal(signal.SIGPIPE, lambda number, _: caught.append(number))
    reader, writer = os.pipe()
    os.close(reader)
    try:
        with pytest.raises(BrokenPipeError):
            pipes._written(writer, memoryview(b"x"))
        assert signal.SIGPIPE not in signal.sigpending() | signal.pthread_sigmask(signal.SIG_BLOCK, ())
    finally:
        signal.signal(signal.SIGPIPE, before)
        os.close(writer)
    assert not caught


@pytest.mark.ci
def test_a_frozen_program_has_to_name_a_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    with pytest.raises(SandboxError, match="python=PATH"):
        sandbox.run("(module)")
    assert sandbox.run('(module (func (export "_start")))', python=sys.executable).exit_code == 0


@pytest.mark.ci
@not_emulated("without a variable of the emulator a process does not start there")
def test_it_works_from_an_archive(project: Path, tmp_path: Path) -> None:
    import subprocess

    archive = tmp_path / "program.pyz"
    with zipfile.ZipFile(archive, "w") as file:
        for source in (project / "vibewasm").rglob("*"):
            if "__pycache__" not in source.parts and source.is_file():
                file.write(source, source.relative_to(project))
        for room in ("backends", "runtime", "disasm"):
            for source in (project / room).rglob("*"):
                if "__pycache__" not in source.parts and source.is_file():
                    file.write(source, Path("vibewasm") / source.relative_to(project))
        file.writestr(
            "__main__.py",
            "import vibewasm.sandbox as s\n"
            "print(s.run('(module (func (export \"f\") (result i32) (i32.const 6)))', invoke='f').results)\n",
        )
    done = subprocess.run(
        [sys.executable, str(archive)], capture_output=True, text=True, cwd=tmp_path, env={}, check=False
    )
    assert done.stdout == "(6,)\n", done.stderr


@pytest.mark.ci
def test_threads_may_each_have_a_run() -> None:
    found: list[tuple[float | None, ...]] = []

    def work(number: int) -> None:
        text = f'(module (func (export "f") (result i32) (i32.const {number})))'
        found.append(sandbox.run(text, invoke="f").results)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [(0,), (1,), (2,)]


def test_the_process_has_no_descriptors_and_no_variables_of_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    secret = os.open("/etc/passwd", os.O_RDONLY)
    # As C code opens files.
    os.set_inheritable(secret, True)
    monkeypatch.setattr(
        process,
        "_BEGIN",
        "import os, sys; found = [os.readlink(f'/proc/self/fd/{end}') for end in os.listdir('/proc/self/fd') "
        "if os.path.exists(f'/proc/self/fd/{end}')]; "
        "print([end for end in found if 'pipe:' not in end and '/proc' not in end], "
        "sorted(set(os.environ) - {'LC_CTYPE', 'PWD'}))",
    )
    try:
        with pytest.raises(SandboxCrash) as caught:
            sandbox.run("(module)")
    finally:
        os.close(secret)
    assert caught.value.outcome is not None
    known = [name for name in ("LD_LIBRARY_PATH", "TMPDIR", "VIBEWASM_CPU") if name in os.environ]
    assert caught.value.outcome.stdout.decode() == f"[] {known}\n"


def test_nothing_runs_where_what_is_required_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process itself looks, before its parent does."""
    monkeypatch.setattr(
        process,
        "_BEGIN",
        "import sys; sys.path.append(sys.argv[1]); from vibewasm.sandbox import landlock\n"
        "landlock.version = lambda machine: 0\n"
        "from vibewasm.sandbox.child import main; main(*map(int, sys.argv[3:]))",
    )
    written: list[bytes] = []
    with pytest.raises(SandboxError, match="landlock"):
        sandbox.run(WRITER, stdout=written.append, max_output=1000, require={"landlock"}, timeout=60)
    assert not written
