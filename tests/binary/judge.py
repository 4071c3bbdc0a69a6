"""wasmtime as a judge of what is a valid module, with the features that vibewasm has."""

from __future__ import annotations

import wasmtime

_OFF = (
    "simd",
    "relaxed_simd",
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
