"""``vibewasm wat2wasm``: text into a binary module."""

from __future__ import annotations

import os
import sys

from .options import Arguments, Command, CommandError, Option
from .wasmfile import assemble, read


def _wat2wasm(arguments: Arguments) -> int:
    path = arguments.operands[0]
    data = assemble(read(path), "standard input" if path == "-" else path, names=arguments.flag("--names"))
    if arguments.flag("--validate"):
        _validate(path, data)
    target = arguments.one("--output") or ("-" if path == "-" else os.path.splitext(path)[0] + ".wasm")
    write(target, data)
    return 0


def _validate(path: str, data: bytes) -> None:
    from vibewasm.engine import Engine
    from vibewasm.errors import WasmError
    from vibewasm.module import Module

    try:
        Module.validate(Engine(), data)
    except WasmError as error:
        raise CommandError(f"{path}: {error}") from error


def write(path: str, data: bytes) -> None:
    """Write ``data`` to the file at ``path`` (``-``: standard output). Raises :class:`CommandError`."""
    if path == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        return
    try:
        with open(path, "wb") as file:
            file.write(data)
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the path
        raise CommandError(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from None


COMMAND = Command(
    "wat2wasm",
    "FILE",
    "make a binary module of text",
    [
        Option("--output", "FILE", "where to write it (default: FILE with the suffix .wasm; - is standard output)"),
        Option("--names", "", "keep identifiers in a name section"),
        Option("--validate", "", "also check that the module is valid"),
    ],
    _wat2wasm,
    notes="FILE - is standard input, and then standard output is the default.",
)
