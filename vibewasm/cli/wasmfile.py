"""Reading the FILE of a command line, and saying what it is where it is no WebAssembly module."""

from __future__ import annotations

import os
import sys

from vibewasm.names import hint

from .options import CommandError

#: How every binary module starts: the magic, then the version (1). The layer field that makes a component differ from
#: a module lies in the second half, and the decoder reports that case itself.
MAGIC = b"\0asm"

#: First bytes, what such a file is, and what to do about it.
_SIGNATURES: list[tuple[bytes, str, str]] = [
    (b"\x7fELF", "an ELF file (native code)", "compile the program for a WebAssembly target such as wasm32-wasi"),
    (b"MZ", "a Windows executable", "compile the program for a WebAssembly target such as wasm32-wasi"),
    (b"\xcf\xfa\xed\xfe", "a Mach-O file (native code)", "compile the program for a WebAssembly target"),
    (b"BC\xc0\xde", "LLVM bitcode", "link it with wasm-ld, or compile without -flto"),
    (b"!<arch>\n", "a static library (ar archive)", "link it into a module first"),
    (b"\x1f\x8b", "a gzip file", "decompress it first: gzip -d"),
    (b"BZh", "a bzip2 file", "decompress it first: bzip2 -d"),
    (b"\xfd7zXZ", "an xz file", "decompress it first: xz -d"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file", "decompress it first: zstd -d"),
    (b"PK\x03\x04", "a zip archive (or a wheel, or a jar)", "unpack it first"),
    (b"\x89PNG", "a PNG image", ""),
    (b"%PDF", "a PDF document", ""),
    (b"#!", "a script", ""),
    (b"<", "HTML or XML text", "a download may have failed and left an error page"),
    (b"{", "JSON text", ""),
]


def load(path: str) -> bytes:
    """The bytes of the module at ``path`` (``-``: standard input), which may be text. Raises :class:`CommandError`."""
    data = read(path)
    name = "standard input" if path == "-" else path
    if data[:4] == MAGIC:
        return data
    from vibewasm.source import is_text

    if not is_text(data, path):
        raise CommandError(f"{name} is not a WebAssembly module: {describe(data)}")
    return assemble(data, name, names=True)


def assemble(text: bytes, name: str, *, names: bool) -> bytes:
    """The binary module of a text; ``name`` is what to call it in the :class:`CommandError` of a malformed one."""
    from vibewasm.wat import wat2wasm
    from vibewasm.wat.errors import WatError

    try:
        return wat2wasm(text, names=names)
    except WatError as error:
        raise CommandError(f"{name}: {error}") from error


def read(path: str) -> bytes:
    """The contents of the file at ``path`` (``-``: standard input). Raises :class:`CommandError`."""
    if path == "-":
        data = sys.stdin.buffer.read()
    else:
        try:
            with open(path, "rb") as file:
                data = file.read()
        except FileNotFoundError:
            raise CommandError(_missing(path)) from None
        except IsADirectoryError:
            raise CommandError(f"{path} is a directory; name the .wasm file in it{_modules_in(path)}") from None
        except (OSError, ValueError) as error:  # ValueError: a NUL character in the path
            raise CommandError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    return data


def describe(data: bytes) -> str:
    """What bytes that are no module look like, and what to do where there is something to do."""
    if not data:
        return "it is empty"
    if len(data) < 4 and MAGIC.startswith(data):
        return "it is cut off"
    for signature, what, advice in _SIGNATURES:
        if data.startswith(signature):
            return f"it looks like {what}" + (f"; {advice}" if advice else "")
    if data[257:262] == b"ustar":
        return "it looks like a tar archive; unpack it first"
    try:
        text = data[:4096].decode("utf-8", "strict" if len(data) <= 4096 else "ignore")
    except UnicodeDecodeError:
        text = "\0"
    if not all(character.isprintable() or character in "\t\r\n" for character in text):
        return f"it starts with the bytes {data[:4].hex(' ')}, a module with {MAGIC.hex(' ')}"
    start = text.lstrip("\ufeff \t\r\n")
    if start.startswith(("(module", "(;", ";;", "(func", "(type", "(import", "(memory", "(component")):
        return "it looks like WebAssembly text"
    return "it looks like plain text"


def _missing(path: str) -> str:
    folder, name = os.path.split(path)
    if folder and not os.path.isdir(folder):
        return f"no such file: {path} (there is no folder {folder})"
    try:
        there = os.listdir(folder or ".")
    except OSError:
        there = []
    return f"no such file: {path}{hint(name, there)}"


def _modules_in(folder: str) -> str:
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".wasm"))
    except OSError:
        return ""
    if not names:
        return " (there is none)"
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return f": {shown}"
