"""What a module is made from: which of bytes, text and path a source is taken for, and what else is said."""

from __future__ import annotations

import array
import ctypes
import mmap
import os
import pathlib
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

import vibewasm as vw
from vibewasm.wat import wat2wasm

TEXT = '(module $m (func (export "f") (result i32) (i32.const 42)))'
BINARY = wat2wasm(TEXT, names=True)
ENGINE = vw.Engine()

Maker = Callable[[Any], object]


def module(source: Any) -> vw.Module:
    """A module of whatever it is."""
    return vw.Module(ENGINE, source)


#: The ways from a source to a module.
MAKERS: dict[str, Maker] = {
    "Module": module,
    "validate": lambda source: vw.Module.validate(ENGINE, source),
    "instantiate": vw.instantiate,
}


def padded() -> bytes:
    """The binary with a custom section that makes its length a multiple of 8."""
    missing = -(len(BINARY) + 3) % 8
    return BINARY + bytes([0, 1 + missing, 0]) + bytes(missing)


def mapped(data: bytes) -> mmap.mmap:
    """A mapping that holds just these bytes."""
    found = mmap.mmap(-1, len(data))
    found[:] = data
    return found


def every_other(data: bytes) -> memoryview:
    """A view with gaps."""
    return memoryview(bytes(byte for pair in zip(data, data, strict=True) for byte in pair))[::2]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("content", ["binary", "text"])
def test_what_is_like_bytes_is_a_module_or_its_text(make: str, content: str) -> None:
    data = padded() if content == "binary" else TEXT.encode().ljust(96)
    for source in (
        data,
        bytearray(data),
        memoryview(data),
        memoryview(bytearray(data)),
        every_other(data),
        memoryview(data[::-1])[::-1],
        memoryview(data).cast("Q"),
        memoryview(data).cast("B", (2, len(data) // 2)),
        array.array("B", data),
        array.array("I", data),
        mapped(data),
        (ctypes.c_char * len(data)).from_buffer_copy(data),
    ):
        MAKERS[make](source)
        assert vw.instantiate(source).exports.f() == 42


@pytest.mark.parametrize("make", MAKERS)
def test_a_str_that_begins_like_text_is_text(make: str) -> None:
    for before in (
        "",
        " \t\r\n",
        "\ufeff",
        "\ufeff\n ",
        ";; a comment\n",
        "(; one (; in ;) another ;)\n;; and\n",
        ";;\n\n",
    ):
        MAKERS[make](before + TEXT)
        MAKERS[make]((before + TEXT).encode())
        assert vw.instantiate(before + TEXT).exports.f() == 42


@pytest.mark.parametrize("make", MAKERS)
def test_a_path_is_a_path(make: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class InBytes:
        def __fspath__(self) -> bytes:
            return os.fsencode(tmp_path / "a.wasm")

    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.wasm").write_bytes(BINARY)
    (tmp_path / "a.wat").write_text("\ufeff" + TEXT)
    (tmp_path / "text without a name").write_text(";; first\n(; then ;) ( ;; and\n module " + TEXT[8:])
    (tmp_path / "ä\nb").write_bytes(BINARY)
    (tmp_path / "link").symlink_to("a.wasm")
    for path in ("a.wasm", "a.wat", "text without a name", "ä\nb", "link", str(tmp_path / "a.wasm")):
        MAKERS[make](path)
        MAKERS[make](pathlib.Path(path))
        assert vw.instantiate(path).exports.f() == 42
    MAKERS[make](InBytes())


def test_a_path_that_looks_like_text_is_reached_as_a_path(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "(copy) a.wasm").write_bytes(BINARY)
    with pytest.raises(vw.WatError):
        vw.instantiate("(copy) a.wasm")
    assert vw.instantiate(pathlib.Path("(copy) a.wasm")).exports.f() == 42
    assert vw.instantiate(vw.Module.from_file(ENGINE, "(copy) a.wasm")).exports.f() == 42


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("source", [0, 1, 2, True, False, None, 1.5, [1], {}, object(), vw.Engine])
def test_what_is_no_source_is_a_type_error(make: str, source: object) -> None:
    with pytest.raises(TypeError, match="a module is made from bytes, a path or text, not "):
        MAKERS[make](source)


def test_a_number_is_no_file_descriptor() -> None:
    reading, writing = os.pipe()
    os.write(writing, BINARY)
    os.close(writing)
    with pytest.raises(TypeError, match=f"not int {reading}$"):
        module(reading)
    # Still open, and nothing was read from it.
    assert os.read(reading, 4) == BINARY[:4]
    os.close(reading)


def test_a_file_object_is_to_be_read_first(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.wasm").write_bytes(BINARY)
    with (tmp_path / "a.wasm").open("rb") as file:
        with pytest.raises(TypeError, match=r"not BufferedReader: read\(\) it first"):
            module(file)
        assert module(file.read()).name == "m"


def test_a_module_is_made_of_no_module() -> None:
    with pytest.raises(TypeError, match="not Module: it is one already"):
        module(module(TEXT))


# -- strings from somewhere else ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "",
        "module",
        "no such file.wasm",
        "a/b/c.wasm",
        "nul\0byte",
        "\ud800 half a pair",
        "x" * 100_000,
        "x/" * 5_000,
        "first\nsecond\x1b]0;title\x07\n" * 1000,
    ],
)
def test_a_str_that_is_neither_text_nor_a_file_is_said_to_be_neither(text: str) -> None:
    with pytest.raises(
        FileNotFoundError, match="there is no file of that name, and it does not begin like the text of a module"
    ) as caught:
        module(text)
    message = str(caught.value)
    assert len(message) < 500
    assert message.isprintable()


@pytest.mark.parametrize("given", [str, pathlib.Path])
@pytest.mark.parametrize("make", [*MAKERS, "from_file"])
def test_only_regular_files_are_opened(make: str, given: Any, tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "fifo.wasm")
    listening = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(tmp_path)
    try:
        listening.bind("socket.wasm")
    finally:
        os.chdir(here)
    # Who reads from a FIFO that is written to would take what is meant for somebody else.
    reader = os.open(tmp_path / "fifo.wasm", os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(tmp_path / "fifo.wasm", os.O_WRONLY)
    os.write(writer, BINARY)
    (tmp_path / "link.wasm").symlink_to("/dev/zero")
    attempt = MAKERS.get(make, lambda path: vw.Module.from_file(ENGINE, path))
    failures: list[BaseException] = []

    def try_all() -> None:
        for path in (
            tmp_path / "fifo.wasm",
            tmp_path / "socket.wasm",
            tmp_path / "link.wasm",
            "/dev/zero",
            "/dev/tty",
            tmp_path,
        ):
            try:
                attempt(given(path))
            except BaseException as error:
                failures.append(error)

    thread = threading.Thread(target=try_all, daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    for error, what in zip(failures, ("a FIFO or pipe", "a socket", "a device", "a device", "a device"), strict=False):
        assert isinstance(error, OSError)
        assert f"a module is read from a regular file, and this is {what}" in str(error)
    assert isinstance(failures[5], IsADirectoryError)
    assert "name the module's file in it" in str(failures[5])
    assert os.read(reader, 100) == BINARY[:100]
    for descriptor in (reader, writer):
        os.close(descriptor)
    listening.close()


def test_a_file_that_becomes_a_fifo_before_it_is_opened_does_not_hang(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.wasm"
    path.write_bytes(BINARY)
    real = os.open

    def late(name: Any, flags: int, *rest: Any) -> int:
        if name == str(path):
            path.unlink()
            os.mkfifo(path)
        return real(name, flags, *rest)

    monkeypatch.setattr(os, "open", late)
    with pytest.raises(OSError, match="this is a FIFO"):
        module(path)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"root:secret:0:0\n", "plain text"),
        (b"; secret\n[section]\n", "plain text"),
        (b";; secret\nsecret = 1\n", "text that begins with no module and no field of one"),
        (b"(secret)\n", "text that begins with no module and no field of one"),
        (b"(defun module () 'secret)\n", "text that begins with no module and no field of one"),
        (b"() secret", "text that begins with no module and no field of one"),
        (b"((module secret))", "text that begins with no module and no field of one"),
        (b"(; secret", "text that begins with no module"),
        (b"secret\xff\xfe", "it starts with the bytes 73 65 63 72"),
        (b"\x7fELF secret", "an ELF file"),
        (b"#!/bin/secret", "a script"),
        (b"{'secret': 1}", "JSON"),
        (b"secret " * 100_000, "plain text"),
        ("sécret".encode() * 100_000, "plain text"),
    ],
)
def test_what_a_file_contains_that_is_no_module_is_in_no_message(
    content: bytes, kind: str, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    for source in (path, str(path)):
        with pytest.raises(vw.DecodeError, match=kind) as caught:
            module(source)
        assert f"{path}: it" in str(caught.value)
        assert "secret" not in str(caught.value)
        assert not hasattr(caught.value, "__notes__")


def test_a_name_with_control_characters_is_escaped(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a\x1b]0;b\nc"
    path.write_bytes(b"\x7fELF")
    with pytest.raises(vw.DecodeError) as caught:
        module(path)
    assert r"a\x1b]0;b\nc" in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_large_file_that_is_no_module_is_not_read(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.write(b"\1\2\3\4")
        file.truncate(1 << 40)
    with pytest.raises(vw.DecodeError, match="it starts with the bytes 01 02 03 04"):
        module(path)


def test_a_file_that_is_too_large_for_a_module_is_not_read(tmp_path: pathlib.Path) -> None:
    for start, name in ((BINARY, "large.wasm"), (b"(module", "large.wat")):
        path = tmp_path / name
        with path.open("wb") as file:
            file.write(start)
            file.truncate(1 << 40)
        with pytest.raises(OSError, match=f"a module has at most {1 << 30} bytes, and this file has more"):
            module(path)


def test_a_module_larger_than_one_read_is_read_whole(tmp_path: pathlib.Path) -> None:
    size = 3 << 20
    # A custom section with a name of no bytes.
    data = (
        BINARY
        + b"\0"
        + bytes([0x80 | size & 127, 0x80 | size >> 7 & 127, 0x80 | size >> 14 & 127, size >> 21])
        + bytes(size)
    )
    path = tmp_path / "a.wasm"
    path.write_bytes(data)
    assert len(module(path).info.data) == len(data)
    text = ";; " + "x" * 100_000 + "\n" + TEXT
    path.write_text(text)
    assert module(path).name == "m"


@pytest.mark.parametrize("comment", [b"(;" * 200_000 + b";)", b"(;;)" * 200_000, b" " * 2_000_000, b";;\n" * 400_000])
def test_a_file_of_comments_is_looked_at_in_linear_time(comment: bytes, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "comments"
    path.write_bytes(comment)
    with pytest.raises(vw.DecodeError):
        module(path)


def test_what_the_system_does_not_let_be_read_is_its_error(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.wasm"
    path.write_bytes(BINARY)

    def forbidden(name: str, *rest: object) -> int:
        raise PermissionError(13, "Permission denied", name)

    monkeypatch.setattr(os, "open", forbidden)
    with pytest.raises(PermissionError, match=r"Permission denied.*wasm"):
        module(path)


# -- for who wants to be certain ---------------------------------------------------------------------------------------


def test_from_text_opens_no_file(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.wasm"
    path.write_bytes(BINARY)
    with pytest.raises(vw.WatError, match="unknown operator"):
        vw.Module.from_text(ENGINE, str(path))
    for text in (TEXT, "\ufeff" + TEXT, TEXT.encode(), bytearray(TEXT.encode()), ("\ufeff" + TEXT).encode()):
        made = vw.Module.from_text(ENGINE, text)
        assert vw.instantiate(made).exports.f() == 42
        assert made.name == "m"
    assert vw.Module.from_text(ENGINE, "").exports == []


def test_from_text_takes_text_only(tmp_path: pathlib.Path) -> None:
    for wrong in (3, None, tmp_path, [TEXT]):
        with pytest.raises(TypeError, match=r"Module\.from_text takes text: a str or UTF-8 bytes, not "):
            vw.Module.from_text(ENGINE, wrong)  # type: ignore[arg-type]  # what is tested
    with pytest.raises(TypeError, match="these bytes are a binary module"):
        vw.Module.from_text(ENGINE, BINARY)


def test_from_file_takes_a_path_only(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.wasm").write_bytes(BINARY)
    (tmp_path / "a.wat").write_text(TEXT)
    for path in (tmp_path / "a.wasm", str(tmp_path / "a.wasm"), tmp_path / "a.wat"):
        assert vw.instantiate(vw.Module.from_file(ENGINE, path)).exports.f() == 42
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        vw.Module.from_file(ENGINE, TEXT)
    for wrong in (3, None, BINARY, memoryview(BINARY)):
        with pytest.raises(TypeError, match=r"Module\.from_file takes a path: a str or an os\.PathLike, not "):
            vw.Module.from_file(ENGINE, wrong)  # type: ignore[arg-type]  # what is tested
    with pytest.raises(TypeError, match=r"os\.fsdecode makes a path of bytes"):
        vw.Module.from_file(ENGINE, os.fsencode(tmp_path))  # type: ignore[arg-type]  # what is tested


def test_a_module_of_a_subclass_is_one_of_it() -> None:
    class Named(vw.Module):
        pass

    assert type(Named.from_text(ENGINE, TEXT)) is Named
