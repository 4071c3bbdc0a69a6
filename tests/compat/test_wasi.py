"""WASI programs, compared with wasmtime-py's."""

from __future__ import annotations

import copy
import pickle
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import vibewasm.compat.wasmtime as wasmtime
from tests.compat.both import attempts, kinds, outcome, same, theirs

#: Functions that the program passes on to Python, with their parameters: i for i32, I for i64.
FUNCTIONS = {
    "args_get": "ii",
    "args_sizes_get": "ii",
    "environ_get": "ii",
    "environ_sizes_get": "ii",
    "fd_fdstat_get": "ii",
    "fd_filestat_set_size": "iI",
    "fd_filestat_set_times": "iIIi",
    "fd_prestat_get": "ii",
    "fd_prestat_dir_name": "iii",
    "fd_read": "iiii",
    "fd_seek": "iIii",
    "fd_write": "iiii",
    "path_create_directory": "iii",
    "path_filestat_get": "iiiii",
    "path_filestat_set_times": "iiiiIIi",
    "path_link": "iiiiiii",
    "path_open": "iiiiiIIii",
    "path_remove_directory": "iii",
    "path_rename": "iiiiii",
    "path_symlink": "iiiii",
    "path_unlink_file": "iii",
}
_ALL_RIGHTS = (1 << 29) - 1


def program_text() -> str:
    """A module that exports each of the functions as it imports it."""
    imports, functions = [], []
    for name, letters in FUNCTIONS.items():
        params = " ".join("i64" if letter == "I" else "i32" for letter in letters)
        gets = " ".join(f"(local.get {index})" for index in range(len(letters)))
        imports.append(f'(import "wasi_snapshot_preview1" "{name}" (func ${name} (param {params}) (result i32)))')
        functions.append(f'(func (export "{name}") (param {params}) (result i32) {gets} call ${name})')
    return "\n".join(["(module", *imports, '(memory (export "memory") 1)', *functions, ")"])


TEXT = program_text()


class Program:
    """A program that does what it is told, with what a ``WasiConfig`` gives it."""

    def __init__(self, w: Any, set_up: Callable[[Any], object] = lambda config: None) -> None:
        linker = w.Linker(w.Engine())
        linker.define_wasi()
        self.store = w.Store(linker.engine)
        config = w.WasiConfig()
        set_up(config)
        self.store.set_wasi(config)
        module = w.Module(linker.engine, TEXT)
        self.exports = linker.instantiate(self.store, module).exports(self.store)
        self.memory = self.exports["memory"]

    def call(self, name: str, *arguments: int) -> int:
        number: int = self.exports[name](self.store, *arguments)
        return number

    def u32(self, address: int) -> int:
        return int(struct.unpack("<I", self.memory.read(self.store, address, address + 4))[0])

    def strings(self, what: str) -> tuple[int, bytes]:
        assert self.call(f"{what}_sizes_get", 0, 4) == 0
        assert self.call(f"{what}_get", 1000, 20000) == 0
        return self.u32(0), bytes(self.memory.read(self.store, 20000, 20000 + self.u32(4)))

    def write(self, fd: int, data: bytes) -> tuple[int, int]:
        self.memory.write(self.store, struct.pack("<II", 100, len(data)), 0)
        self.memory.write(self.store, data, 100)
        return self.call("fd_write", fd, 0, 1, 8), self.u32(8)

    def read(self, fd: int, size: int = 50) -> tuple[int, bytes]:
        self.memory.write(self.store, struct.pack("<II", 100, size), 0)
        number = self.call("fd_read", fd, 0, 1, 8)
        return number, bytes(self.memory.read(self.store, 100, 100 + self.u32(8)))

    def path(self, name: str, path: str, *after: int, before: tuple[int, ...] = (), fd: int = 3) -> int:
        self.memory.write(self.store, path.encode(), 100)
        return self.call(name, fd, *before, 100, len(path), *after)

    def open(self, path: str, flags: int, rights: int, fd: int = 3) -> int:
        return self.path("path_open", path, flags, rights, _ALL_RIGHTS, 0, 8, before=(1,), fd=fd)

    def two(self, name: str, old: str, new: str, *, follow: bool = False) -> int:
        self.memory.write(self.store, old.encode(), 100)
        self.memory.write(self.store, new.encode(), 200)
        flags = (0,) if follow else ()
        return self.call(name, 3, *flags, 100, len(old), 3, 200, len(new))


def arguments(*settings: tuple[str, Any]) -> Callable[[Any], None]:
    """Something that sets up a ``WasiConfig``: settings, and methods that are called without arguments."""

    def set_up(config: Any) -> None:
        for name, value in settings:
            if value is None:
                getattr(config, name)()
            else:
                setattr(config, name, value)

    return set_up


@pytest.mark.parametrize(
    "settings",
    [
        (),
        (("argv", ["a", "b"]),),
        (("argv", ["a"]), ("argv", ["b", ""])),
        (("argv", ["a\0b", "ä"]),),
        (("argv", []),),
        (("inherit_argv", None), ("argv", ["x"])),
    ],
)
def test_arguments_are_those_that_are_given(settings: tuple[tuple[str, Any], ...]) -> None:
    same(lambda w: Program(w, arguments(*settings)).strings("args"))()


@pytest.mark.parametrize(
    "settings",
    [
        (),
        (("env", [("A", "1"), ["B", "2"]]),),
        (("env", [("A", "1")]), ("env", [("A", "2")])),
        (("env", [("HOSTS", "2")]), ("inherit_env", None)),
        (("inherit_env", None), ("env", [("HOSTS", "2")])),
        (("env", [("A=B", "1"), ("", "2"), ("C", "3\0x")]),),
        (("env", {"AB": "x"}),),
    ],
)
def test_variables_are_those_that_are_given(
    settings: tuple[tuple[str, Any], ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PATH", "HOSTS"):
        monkeypatch.setenv(name, "here")

    def case(w: Any) -> object:
        count, strings = Program(w, arguments(*settings)).strings("environ")
        if "inherit_env" not in dict(settings):
            return count, strings
        # Libraries of C may have set variables that Python does not know of.
        return [string for string in strings.split(b"\0") if string.startswith((b"PATH=", b"HOSTS="))]

    same(case)()


@same
def test_at_first_there_is_no_input_and_nobody_sees_the_output(w: Any) -> object:
    program = Program(w)
    return program.read(0), program.write(1, b"x"), program.write(2, b"x"), program.write(0, b"x"), program.read(1)


@pytest.mark.parametrize("fd", [0, 1, 2])
def test_a_standard_stream_is_something_unknown_that_cannot_be_moved_in(fd: int, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("input")
    inherited = arguments(("inherit_stdin", None), ("inherit_stdout", None), ("inherit_stderr", None))
    files = arguments(
        ("stdin_file", tmp_path / "in"), ("stdout_file", tmp_path / "out"), ("stderr_custom", lambda data: None)
    )

    def case(w: Any) -> object:
        found = []
        for set_up in (inherited, files, lambda config: None):
            program = Program(w, set_up)
            stat = program.call("fd_fdstat_get", fd, 0)
            found.append((stat, program.memory.read(program.store, 0, 1), program.call("fd_seek", fd, 0, 0, 8)))
        return found

    same(case)()


def test_files_are_opened_when_they_are_named(tmp_path: Path) -> None:
    def case(w: Any) -> object:
        into, out, err = tmp_path / "in", tmp_path / "out", tmp_path / "err"
        into.write_text("input")
        out.write_text("old contents")
        config = w.WasiConfig()
        config.stdin_file = str(into)
        config.stdout_file = bytes(out)
        config.stderr_file = err
        found: list[object] = [out.read_bytes()]
        into.unlink()
        program = Program(w, lambda config: None)
        store = w.Store(program.store.engine)
        store.set_wasi(config)
        linker = w.Linker(store.engine)
        linker.define_wasi()
        program.store, program.exports = store, None
        program.exports = linker.instantiate(store, w.Module(store.engine, TEXT)).exports(store)
        program.memory = program.exports["memory"]
        found += [program.read(0, 3), program.read(0), program.read(0), program.write(1, b"ab"), program.write(2, b"c")]
        store.close()
        return [*found, out.read_bytes(), err.read_bytes()]

    same(case)()


@pytest.mark.parametrize(
    "settings",
    [("stdin_file", "/nonexistent"), ("stdout_file", "/nonexistent/x"), ("stderr_file", "/nonexistent/x")],
)
def test_a_file_that_cannot_be_opened_is_an_error(settings: tuple[str, str]) -> None:
    same(lambda w: attempts(lambda: setattr(w.WasiConfig(), *settings)))()


@pytest.mark.parametrize("result", [None, 5, -5, -1, -28])
def test_a_function_gets_the_output_and_says_how_much_it_took(result: int | None) -> None:
    def case(w: Any) -> object:
        seen: list[bytes] = []

        def take(data: bytes) -> int | None:
            seen.append(data)
            return result

        program = Program(w, lambda config: setattr(config, "stdout_custom", take))
        number, size = program.write(1, b"hello")
        # What is in memory after an error is each engine's own.
        return number, size if not number else None, seen, program.write(1, b"")[0]

    same(case)()


@same
def test_a_function_that_raises_is_an_error_for_the_program(w: Any) -> object:
    def fail(data: bytes) -> None:
        raise KeyError(data)

    return Program(w, lambda config: setattr(config, "stderr_custom", fail)).write(2, b"hello")[0]


def test_what_a_function_raises_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(data: bytes) -> None:
        raise KeyError(data)

    for take in (fail, lambda data: "x", lambda data: 100, lambda data: 0):
        number, _ = Program(wasmtime, lambda config, take=take: setattr(config, "stdout_custom", take)).write(1, b"abc")  # type: ignore[misc]
        assert number == 29
    assert capsys.readouterr().out.splitlines() == [
        "failed custom output, required to catch exception: b'abc'",
        "failed custom output, required to catch exception: it has to give a number of bytes or None, not str",
        "failed custom output, required to catch exception: it says that it took 100 bytes of 3",
    ]


def test_a_function_that_takes_a_part_is_called_again() -> None:
    seen: list[bytes] = []

    def take(data: bytes) -> int:
        seen.append(data)
        return min(2, len(data))

    assert Program(wasmtime, lambda config: setattr(config, "stdout_custom", take)).write(1, b"hello") == (0, 5)
    assert seen == [b"hello", b"llo", b"o"]


@pytest.mark.parametrize("mutable", [True, False])
@pytest.mark.parametrize("path", ["file", "sub", "new"])
def test_a_directory_may_be_read_only(mutable: bool, path: str, tmp_path: Path) -> None:
    number = 0

    def case(w: Any) -> object:
        nonlocal number
        found: list[Any] = []

        def tried(action: Callable[[Program], object]) -> None:
            nonlocal number
            number += 1
            folder = tmp_path / str(number)
            folder.mkdir()
            (folder / "file").write_text("data")
            (folder / "sub").mkdir()
            program = Program(w, lambda config: config.preopen_dir(str(folder), "/", mutable))
            found.append(action(program))
            found.append(sorted(item.name for item in folder.iterdir()))

        if path != "sub":
            for flags, rights in ((0, 2), (0, 64), (0, 66), (1, 2), (1, 66), (8, 64), (5, 64)):
                tried(lambda p, flags=flags, rights=rights: p.open(path, flags, rights))  # type: ignore[misc]
        tried(lambda p: p.open(path, 2, 2))
        tried(lambda p: p.path("path_create_directory", path))
        tried(lambda p: p.path("path_remove_directory", path))
        tried(lambda p: p.path("path_unlink_file", path))
        tried(lambda p: p.path("path_filestat_get", path, 8, before=(0,)))
        tried(lambda p: p.path("path_filestat_set_times", path, 0, 0, 10, before=(0,)))
        tried(lambda p: p.two("path_rename", path, "other"))
        tried(lambda p: p.two("path_link", path, "other", follow=True) if path == "file" else None)
        tried(lambda p: [p.open("sub", 2, 2), p.path("path_create_directory", "inner", fd=4)])
        tried(lambda p: p.call("fd_filestat_set_times", 3, 0, 0, 10))
        if path == "file":
            tried(
                lambda p: [
                    p.open(path, 0, 2),
                    p.read(4),
                    p.write(4, b"x")[0],
                    p.call("fd_filestat_set_times", 4, 0, 0, 10),
                ]
            )
        return found

    same(case)()


@same
def test_directories_keep_their_order_and_names(w: Any) -> object:
    def set_up(config: Any) -> None:
        for name in ("/a", "", ".", "/a", "/ä"):
            config.preopen_dir("/", name)

    program = Program(w, set_up)
    names = []
    for fd in range(3, 9):
        number = program.call("fd_prestat_get", fd, 0)
        if number == 0:
            assert program.call("fd_prestat_dir_name", fd, 100, program.u32(4)) == 0
            number = bytes(program.memory.read(program.store, 100, 100 + program.u32(4)))  # type: ignore[assignment]
        names.append(number)
    return names


@same
def test_what_cannot_be_given_is_an_error(w: Any) -> object:
    config = w.WasiConfig()
    return attempts(
        lambda: config.preopen_dir("/nonexistent", "/"),
        lambda: config.preopen_dir("/etc/passwd", "/"),
        lambda: config.argv,
        lambda: config.stdin_file,
    ) + kinds(
        lambda: config.preopen_dir(3, "/"),
        lambda: config.preopen_dir("/", 3),
        lambda: setattr(config, "argv", [3]),
        lambda: setattr(config, "env", [("a",)]),
        lambda: setattr(config, "env", [(1, 2)]),
        lambda: setattr(config, "stdin_file", 3),
        lambda: w.Store().set_wasi(3),
    )


@same
def test_a_store_takes_its_configuration_away(w: Any) -> object:
    config = w.WasiConfig()
    w.Store().set_wasi(config)
    return attempts(lambda: w.Store().set_wasi(config), lambda: setattr(config, "argv", ["x"]), config.inherit_env)


@same
def test_one_linker_serves_programs_of_many_stores(w: Any) -> object:
    linker = w.Linker(w.Engine())
    linker.define_wasi()
    module = w.Module(linker.engine, TEXT)
    found = []
    for name in ("one", "two"):
        store = w.Store(linker.engine)
        config = w.WasiConfig()
        config.argv = [name]
        store.set_wasi(config)
        exports = linker.instantiate(store, module).exports(store)
        exports["args_get"](store, 0, 100)
        found.append(bytes(exports["memory"].read(store, 100, 104)))
    return found


@same
def test_wasi_may_be_given_after_the_module_is_instantiated(w: Any) -> object:
    linker = w.Linker(w.Engine())
    linker.define_wasi()
    store = w.Store(linker.engine)
    exports = linker.instantiate(store, w.Module(linker.engine, TEXT)).exports(store)
    found = []
    for name in ("one", "two"):
        config = w.WasiConfig()
        config.argv = [name]
        store.set_wasi(config)
        exports["args_get"](store, 0, 100)
        found.append(bytes(exports["memory"].read(store, 100, 104)))
    return found


def test_a_program_without_wasi_is_told_so() -> None:
    # wasmtime ends the process.
    linker = wasmtime.Linker(wasmtime.Engine())
    linker.define_wasi()
    store = wasmtime.Store(linker.engine)
    exports: Any = linker.instantiate(store, wasmtime.Module(linker.engine, TEXT)).exports(store)
    with pytest.raises(
        wasmtime.WasmtimeError, match=r"args_get was called in a store without WASI: call store.set_wasi"
    ):
        exports["args_get"](store, 0, 0)


def test_permissions_of_older_versions_are_obeyed(tmp_path: Path) -> None:
    DirPerms, FilePerms = wasmtime.DirPerms, wasmtime.FilePerms
    assert [(perms.name, perms.value) for perms in DirPerms] == [("READ_ONLY", 1), ("WRITE_ONLY", 2), ("READ_WRITE", 3)]
    assert [perms.value for perms in FilePerms] == [1, 2, 3]
    (tmp_path / "file").write_text("data")

    def opened(*positional: Any, **named: Any) -> int:
        return Program(wasmtime, lambda config: config.preopen_dir(str(tmp_path), "/", *positional, **named)).open(
            "file", 0, 64
        )

    read_only, read_write = (DirPerms.READ_ONLY, FilePerms.READ_ONLY), (DirPerms.READ_WRITE, FilePerms.READ_WRITE)
    assert opened(*read_only) == opened(dir_perms=read_only[0], file_perms=read_only[1]) == 63
    assert opened(*read_write) == opened(dir_perms=read_write[0]) == opened(file_perms=read_write[1]) == 0
    for wrong in ((DirPerms.READ_ONLY, FilePerms.READ_WRITE), (DirPerms.WRITE_ONLY, FilePerms.WRITE_ONLY)):
        with pytest.raises(wasmtime.WasmtimeError, match="is not supported by vibewasm: a directory is READ_ONLY or"):
            opened(*wrong)
    with pytest.raises(wasmtime.WasmtimeError, match=r"DirPerms.READ_ONLY with FilePerms.READ_WRITE"):
        opened(DirPerms.READ_ONLY)
    with pytest.raises(AttributeError):
        opened(dir_perms=1)


def test_output_that_is_inherited_reaches_the_process(capfd: pytest.CaptureFixture[str]) -> None:
    for w in (wasmtime, theirs()):
        program = Program(w, arguments(("inherit_stdout", None), ("inherit_stderr", None)))
        found = outcome(lambda _, p=program: [p.write(1, b"out\n"), p.write(2, b"err\n")], None)  # type: ignore[misc]
        assert found == ["list", ["tuple", "0", "4"], ["tuple", "0", "4"]]
    sys.stdout.flush()
    assert capfd.readouterr() == ("out\nout\n", "err\nerr\n")


def test_files_of_a_configuration_are_closed_once(tmp_path: Path) -> None:
    config = wasmtime.WasiConfig()
    config.stdout_file = str(tmp_path / "out")
    for copied in (copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="a WasiConfig with files cannot be copied or pickled"):
            copied(config)


def test_a_store_that_cannot_be_closed_keeps_what_it_has() -> None:
    def close(data: bytes) -> None:
        with pytest.raises(wasmtime.WasmtimeError, match="a store cannot be closed while a call is active in it"):
            program.store.close()

    program = Program(wasmtime, lambda config: setattr(config, "stdout_custom", close))
    assert program.write(1, b"abc") == (0, 3)
    assert program.write(1, b"again") == (0, 5)


@pytest.mark.parametrize("number", [-4096, -(1 << 31), -(1 << 70)])
def test_an_error_that_no_system_has_is_one_of_input_and_output(number: int) -> None:
    assert (
        Program(wasmtime, lambda config: setattr(config, "stdout_custom", lambda data: number)).write(1, b"a")[0] == 29
    )
