"""What is said about a WASI program's settings: which setting, what it has to be, and what it is."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import vibewasm as vw

#: The API as users without a type checker call it.
api: Any = vw
IMPORTS = '(module (import "wasi_snapshot_preview1" "proc_exit" (func (param i32))))'

FAULTS: list[tuple[Callable[[], object], str]] = [
    (
        lambda: api.WasiConfig(args="program"),
        "args has to be a sequence of strings, not str 'program' (such as ['program', 'argument'])",
    ),
    (lambda: api.WasiConfig(args=5), "args has to be a sequence of strings, not int 5 (such as"),
    (lambda: api.WasiConfig(args=["a", None]), "args[1] has to be a string, not None"),
    (lambda: api.WasiConfig(env=[("A", "B")]), "env has to be a dict, not list (such as {'NAME': 'value'})"),
    (lambda: api.WasiConfig(env="A=B"), "env has to be a dict, not str 'A=B' (such as {'NAME': 'value'})"),
    (lambda: api.WasiConfig(env={"A": 3}), "env['A'] has to be a string, not int 3"),
    (lambda: api.WasiConfig(env={3: "A"}), "env: the name of a variable has to be a string, not int 3"),
    (lambda: api.WasiConfig(preopens=["/tmp"]), "preopens has to be a dict, not list (such as {'/': 'directory'})"),
    (lambda: api.WasiConfig(preopens="/tmp"), "preopens has to be a dict, not str '/tmp' (such as {'/': 'directory'})"),
    (
        lambda: api.WasiConfig(preopens={"/": 3}),
        "preopens['/'] has to be the path of a directory, a Dir, a MemoryDir or a dict of files, not int 3",
    ),
    (lambda: api.WasiConfig(preopens={3: "/"}), "preopens: the path that the program sees has to be a string, not int"),
    (
        lambda: api.WasiConfig(stdin=5.0),
        "stdin has to be None, bytes, a path, a file descriptor, a function or a file object with read(), not float",
    ),
    (
        lambda: api.WasiConfig(stdout=True),
        "stdout has to be None, a path, a file descriptor, a function or a file object with write(), not bool True",
    ),
    (
        lambda: api.WasiConfig(stderr=b"x"),
        "stderr has to be None, a path, a file descriptor, a function or a file object with write(), not bytes b'x'",
    ),
    (lambda: api.WasiConfig(arg=[]), "has no parameter 'arg'"),
    (
        lambda: api.WasiConfig(inherit_stdout=True),
        "has no parameter 'inherit_stdout': write stdout=1, the process's own",
    ),
    (
        lambda: api.WasiConfig(inherit_stderr=True),
        "has no parameter 'inherit_stderr': write stderr=2, the process's own",
    ),
]


def test_a_directory_that_was_to_be_read_only_is_told_how() -> None:
    with pytest.raises(TypeError, match=r"^Dir has no parameter 'readonly'; did you mean 'read_only'\?"):
        api.Dir(".", readonly=True)
    with pytest.raises(TypeError, match=r"^MemoryDir has no parameter 'ro'; there are files, max_size, read_only$"):
        api.MemoryDir(ro=True)


@pytest.mark.parametrize(("attempt", "message"), FAULTS, ids=[message for _, message in FAULTS])
def test_a_wrong_setting_is_refused_when_the_configuration_is_made(attempt: Callable[[], object], message: str) -> None:
    with pytest.raises(TypeError) as caught:
        attempt()
    assert str(caught.value).removeprefix("WasiConfig: ").removeprefix("WasiConfig ").startswith(message)
    assert str(caught.value).startswith("WasiConfig")


def test_values_that_no_program_can_be_given_are_refused() -> None:
    for settings, message in (
        ({"args": ["a\0b"]}, r"^WasiConfig: args\[0\] contains a NUL character: 'a\\x00b'$"),
        ({"env": {"A": "\0"}}, r"^WasiConfig: env\['A'\] contains a NUL character"),
        ({"env": {"A=B": ""}}, "^WasiConfig: env: 'A=B' cannot be the name of an environment variable$"),
        ({"env": {"": ""}}, "^WasiConfig: env: '' cannot be the name of an environment variable$"),
        ({"stderr": 1 << 200}, r"^WasiConfig: stderr: a number of 201 bits is no file descriptor"),
        ({"stdin": -3}, r"^WasiConfig: stdin: -3 is no file descriptor \(b'' is an empty input, os.devnull is the"),
        ({"stdout": subprocess.PIPE}, r"^WasiConfig: stdout: -1 is no file descriptor \(io.BytesIO\(\) keeps what is"),
    ):
        with pytest.raises(ValueError, match=message):
            api.WasiConfig(**settings)


def test_what_cannot_be_opened_is_said_with_its_setting_and_path(tmp_path: Path) -> None:
    gone = tmp_path / "gone" / "file"
    (tmp_path / "file").touch()
    attempts: list[tuple[dict[str, Any], str, Path, type[OSError]]] = [
        ({"preopens": {"/": gone}}, "preopens['/']", gone, FileNotFoundError),
        ({"preopens": {"/data": tmp_path / "file"}}, "preopens['/data']", tmp_path / "file", NotADirectoryError),
        ({"stdin": gone}, "stdin", gone, FileNotFoundError),
        ({"stdout": gone}, "stdout", gone, FileNotFoundError),
        ({"stderr": str(tmp_path)}, "stderr", tmp_path, IsADirectoryError),
    ]
    for settings, setting, path, kind in attempts:
        with pytest.raises(kind) as caught:
            vw.instantiate(IMPORTS, wasi=vw.WasiConfig(**settings))
        assert f"WasiConfig: {setting}: " in str(caught.value)
        assert caught.value.filename == str(path)
        assert repr(str(path)) in str(caught.value)
    with pytest.raises(ValueError, match=r"^WasiConfig: preopens\['/'\]: .*embedded null .*: 'a\\x00b'$"):
        vw.instantiate(IMPORTS, wasi=vw.WasiConfig(preopens={"/": "a\0b"}))


def test_a_configuration_shows_its_settings() -> None:
    assert repr(vw.WasiConfig(["hello", "Ada"], {"A": "B"}, {"/": "."}, stdin=b"x")) == (
        "WasiConfig(args=('hello', 'Ada'), env={'A': ...}, preopens={'/': '.'}, stdin=b'x', stdout=None, stderr=None)"
    )
    assert "stdin=<bytes of length 1000000>, stdout" in repr(vw.WasiConfig(stdin=bytes(10**6)))
