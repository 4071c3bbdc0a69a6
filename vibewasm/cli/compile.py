"""``vibewasm compile``: a module with the machine code of all its functions, for later."""

from __future__ import annotations

from vibewasm.api.config import Config
from vibewasm.api.engine import Engine
from vibewasm.api.module import Module
from vibewasm.backends import TARGETS
from vibewasm.errors import WasmError

from .options import NO_LEGACY_EXCEPTIONS, TIMEOUT, Arguments, Command, Option
from .output import binary_target, write_bytes
from .wasmfile import load, refused, shown

#: What the name of such a file ends with.
SUFFIX = ".vwc"


def _compile(arguments: Arguments) -> int:
    path = arguments.operands[0]
    target = arguments.choice("--target", TARGETS)
    output = binary_target(arguments.one("--output"), path, SUFFIX)
    data = load(path)
    try:
        engine = Engine(
            Config(
                target=target,
                fuel=arguments.flag("--fuel"),
                explicit_bounds=arguments.flag("--explicit-bounds"),
                deterministic=arguments.flag("--deterministic"),
                legacy_exceptions=not arguments.flag("--no-legacy-exceptions"),
            )
        )
        code = Module(engine, data).serialize()
    except WasmError as error:
        raise refused(shown(path), error) from error
    write_bytes(output, code, path)
    return 0


COMMAND = Command(
    "compile",
    "FILE",
    "compile a whole module to machine code, to be run later",
    [
        Option(
            "--output",
            "FILE",
            f"where to write it (default: FILE with the suffix {SUFFIX}; - is standard output)",
        ),
        Option("--target", "NAME", "compile for another processor: x86_64 or aarch64", wants="x86_64 or aarch64"),
        Option("--fuel", "", "count fuel, for vibewasm run --fuel and Config(fuel=True)"),
        Option("--explicit-bounds", "", "check memory bounds by code, for Config(explicit_bounds=True)"),
        Option("--deterministic", "", "let floating-point code give the same bits on every processor"),
        NO_LEGACY_EXCEPTIONS,
        TIMEOUT,
    ],
    _compile,
    notes=(
        "FILE - is standard input, and then standard output is the default; -o is short for --output. No machine\n"
        "code is written to a terminal. vibewasm run --allow-precompiled and Module.deserialize_file take the file.\n"
        "It fits this version of vibewasm and processors with the extensions of this one; VIBEWASM_CPU=baseline\n"
        "in the environment makes one for every x86-64-v2. It is machine code: run only what you made yourself."
    ),
)
