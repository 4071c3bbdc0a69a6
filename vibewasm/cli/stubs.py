"""``vibewasm stubs``: what type checkers and editors are told of a module."""

from __future__ import annotations

import os

from .options import TIMEOUT, Arguments, Command, Option
from .output import write_bytes
from .wasmfile import load, refused, shown


def _stubs(arguments: Arguments) -> int:
    path = arguments.operands[0]
    data = load(path)

    from vibewasm.api.engine import Engine
    from vibewasm.api.module import Module
    from vibewasm.api.type_stubs import type_stub
    from vibewasm.errors import WasmError

    try:
        text = type_stub(Module(Engine(), data), "standard input" if path == "-" else os.path.basename(path))
    except WasmError as error:
        raise refused(shown(path), error) from error
    write_bytes(arguments.one("--output"), text.encode(), path)
    return 0


COMMAND = Command(
    "stubs",
    "FILE",
    "write a typed .pyi file for a module",
    [
        Option("--output", "FILE", "where to write it (default: standard output)"),
        TIMEOUT,
    ],
    _stubs,
    notes="Beside fib.wasm as fib.pyi it types `import fib` (vibewasm.importer).",
)
