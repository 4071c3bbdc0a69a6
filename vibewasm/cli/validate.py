"""``vibewasm validate``."""

from __future__ import annotations

import sys

from .options import NO_LEGACY_EXCEPTIONS, TIMEOUT, Arguments, Command, CommandError
from .wasmfile import load, refused, shown


def _validate(arguments: Arguments) -> int:
    from vibewasm.api.config import Config
    from vibewasm.api.engine import Engine
    from vibewasm.api.module import Module
    from vibewasm.errors import WasmError

    engine = Engine(Config(legacy_exceptions=not arguments.flag("--no-legacy-exceptions")))
    bad = 0
    for path in arguments.operands:
        try:
            Module.validate(engine, load(path))
        except CommandError as error:
            bad += 1
            print(f"vibewasm: {error}", file=sys.stderr)
        except WasmError as error:
            bad += 1
            print(f"vibewasm: {refused(shown(path), error)}", file=sys.stderr)
        else:
            print(f"{shown(path)}: valid")
    return 1 if bad else 0


COMMAND = Command(
    "validate",
    "FILE...",
    "check modules, function bodies included",
    [
        NO_LEGACY_EXCEPTIONS,
        TIMEOUT,
    ],
    _validate,
    maximum=None,
    notes="Exit code 0 when every file is a valid module, 1 otherwise.",
)
