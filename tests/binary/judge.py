"""What the decoder and wasmtime, with the features that vibewasm has, say of a module."""

from __future__ import annotations

import wasmtime

from vibewasm.binary.decoder import decode
from vibewasm.errors import DecodeError, ValidationError

_OFF = (
    "tail_call",
    "multi_memory",
    "memory64",
    "exceptions",
    "function_references",
    "gc",
    "threads",
)


def _engine() -> wasmtime.Engine:
    config = wasmtime.Config()
    for feature in _OFF:
        setattr(config, f"wasm_{feature}", False)
    return wasmtime.Engine(config)


_ENGINE = _engine()


def rejection(wasm: bytes) -> DecodeError | ValidationError | None:
    """The decoder's complaint about a module, or ``None``. Any other exception comes through."""
    try:
        decode(wasm)
    except (DecodeError, ValidationError) as error:
        return error
    return None


def wasmtime_accepts(wasm: bytes) -> bool:
    """Whether wasmtime validates the module, bodies included."""
    return wasmtime_says(wasm) is None


def wasmtime_says(wasm: bytes) -> str | None:
    """wasmtime's complaint about the module, or ``None`` if it is valid."""
    try:
        wasmtime.Module.validate(_ENGINE, wasm)
    except wasmtime.WasmtimeError as error:
        return str(error)
    return None
