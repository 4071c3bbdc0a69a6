"""``vibewasm wasm2wat``: a binary module as text."""

from __future__ import annotations

from .options import TIMEOUT, Arguments, Command, Option
from .output import write_bytes
from .wasmfile import load, refused, shown


def _wasm2wat(arguments: Arguments) -> int:
    path = arguments.operands[0]
    data = load(path)

    from vibewasm.errors import WasmError
    from vibewasm.wat import wasm2wat

    try:
        text = wasm2wat(data)
    except WasmError as error:
        raise refused(shown(path), error) from error
    write_bytes(arguments.one("--output"), text.encode(), path)
    return 0


COMMAND = Command(
    "wasm2wat",
    "FILE",
    "show a binary module as text",
    [
        Option("--output", "FILE", "where to write it (default: standard output)"),
        TIMEOUT,
    ],
    _wasm2wat,
    notes="Names come from the module's name section. Custom sections are not shown.",
)
