"""``vibewasm run --isolate`` does what ``vibewasm run`` does, in a process of its own."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.command import command, prepared
from vibewasm.sandbox import landlock

#: Command lines, of which most come out of the engine in a way of its own.
LINES = [
    ("examples/hello.wasm",),
    ("examples/hello.wasm", "Ada", "--timeout"),
    ("--argv0", "other", "examples/hello.wasm"),
    ("--stub-imports", "--invoke", "divide", "examples/plugin.wasm", "8"),
    ("--stub-imports", "--invoke", "divide", "examples/plugin.wasm", "0"),
    ("--stub-imports", "--invoke", "divide", "examples/plugin.wasm"),
    ("--stub-imports", "--invoke", "divide", "examples/plugin.wasm", "x"),
    ("--stub-imports", "--invoke", "divid", "examples/plugin.wasm", "8"),
    ("--fuel", "1000", "--stub-imports", "--invoke", "spin", "examples/plugin.wasm"),
    ("--timeout", "0.7", "--stub-imports", "--invoke", "spin", "examples/plugin.wasm"),
    ("--max-memory", "1K", "examples/hello.wasm"),
    ("--eager", "examples/hello.wasm"),
    ("examples/plugin.wasm",),
    ("examples/nothing.wasm",),
    ("README.md",),
    ("--dir", "nowhere", "examples/hello.wasm"),
    ("examples/upper.wat", "in", "out"),
]
QUICK = {4, 9, 16}


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(line, marks=() if index in QUICK else pytest.mark.ci, id=" ".join(line))
        for index, line in enumerate(LINES)
    ],
)
def test_output_and_exit_code_are_the_same(line: tuple[str, ...], project: Path) -> None:
    plain = command("run", *line, cwd=project, stdin=b"some input")
    apart = command("run", "--isolate", *line, cwd=project, stdin=b"some input")
    # Where the system lacks a part of the lockdown, it says so.
    said = [part for part in apart.stderr.splitlines(True) if not part.startswith(b"vibewasm: warning: --isolate")]
    assert (apart.stdout, b"".join(said), apart.returncode) == (plain.stdout, plain.stderr, plain.returncode)


@pytest.mark.ci
def test_folders_variables_and_input_are_passed_on(tmp_path: Path, project: Path) -> None:
    upper = project / "examples" / "upper.wat"
    (tmp_path / "in").write_text("text")
    done = command("run", "--isolate", "--dir", f"{tmp_path}::/", upper, "in", "out")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out").read_text() == "TEXT"
    fixed = command("run", "--isolate", "--dir", f"{tmp_path}::/::ro", upper, "in", "new")
    assert fixed.returncode
    assert not (tmp_path / "new").exists()


@pytest.mark.ci
def test_a_precompiled_module_is_run_as_well(tmp_path: Path, project: Path) -> None:
    """Which version it is for can be told, though the source is out of reach."""
    assert command("compile", project / "examples" / "hello.wasm", "-o", tmp_path / "hello.vwc").returncode == 0
    done = command("run", "--isolate", "--allow-precompiled", tmp_path / "hello.vwc", "Ada")
    assert (done.stdout, done.stderr) == (b"Hello, Ada!\n", b"")
    assert command("run", "--isolate", tmp_path / "hello.vwc").returncode == 1


@pytest.mark.ci
def test_a_module_may_come_from_standard_input(project: Path) -> None:
    done = command("run", "--isolate", "-", "Ada", stdin=(project / "examples" / "hello.wasm").read_bytes())
    assert done.stdout == b"Hello, Ada!\n"


@pytest.mark.ci
def test_what_writes_for_others_is_refused(project: Path) -> None:
    for option, value in (("--profile", "perfmap"), ("--debug", "gdb")):
        done = command("run", "--isolate", option, value, project / "examples" / "hello.wasm")
        assert done.returncode == 2
        assert b"which an isolated process cannot" in done.stderr


def test_strict_is_quiet_where_all_is_there_and_says_what_is_not(project: Path) -> None:
    done = command("run", "--isolate-strict", project / "examples" / "hello.wasm")
    if landlock.version(platform.machine()):
        assert (done.stdout, done.stderr, done.returncode) == (b"Hello, WebAssembly!\n", b"", 0)
    else:
        assert b"the system lacks" in done.stderr
        assert done.returncode == 1


@pytest.mark.ci
def test_ctrl_c_ends_the_process_too(project: Path) -> None:
    line, variables = prepared(
        "run", "--isolate", "--stub-imports", "--invoke", "spin", project / "examples" / "plugin.wasm"
    )
    process = subprocess.Popen(line, env=variables, stdout=subprocess.PIPE)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while not (found := children.read_text().split()):
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    with pytest.raises(ProcessLookupError):
        os.kill(int(found[0]), 0)
