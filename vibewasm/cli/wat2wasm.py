"""``vibewasm wat2wasm``: text into a binary module."""

from __future__ import annotations

from vibewasm.types import MAGIC

from .options import TIMEOUT, Arguments, Command, CommandError, Option
from .output import binary_target, write_bytes
from .wasmfile import assemble, read, refused, shown


def _wat2wasm(arguments: Arguments) -> int:
    path = arguments.operands[0]
    name = shown(path)
    target = binary_target(arguments.one("--output"), path, ".wasm")
    source = read(path, text=True)
    if source[:4] == MAGIC:
        raise CommandError(f"{name} is a binary module already; vibewasm wasm2wat shows it as text")
    data = assemble(source, name, names=arguments.flag("--names"))
    if arguments.flag("--validate"):
        _validate(name, data)
    write_bytes(target, data, path)
    return 0


def _validate(name: str, data: bytes) -> None:
    from vibewasm.api.engine import Engine
    from vibewasm.api.module import Module
    from vibewasm.errors import WasmError

    try:
        Module.validate(Engine(), data)
    except WasmError as error:
        raise refused(name, error) from error


COMMAND = Command(
    "wat2wasm",
    "FILE",
    "make a binary module of text",
    [
        Option("--output", "FILE", "where to write it (default: FILE with the suffix .wasm; - is standard output)"),
        Option("--names", "", "keep identifiers in a name section"),
        Option("--validate", "", "also check that the module is valid"),
        TIMEOUT,
    ],
    _wat2wasm,
    notes=(
        "FILE - is standard input, and then standard output is the default. A binary module is not written to a\n"
        "terminal; vibewasm wasm2wat shows one as text."
    ),
)
