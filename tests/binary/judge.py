"""What the decoder and wasmtime, with the features that vibewasm has, say of a module.

Of garbage collection vibewasm has what types of functions take of it: recursive groups, and supertypes. wasmtime has
one switch for all of it, so a module that vibewasm refuses for want of it is for the engine without it to judge.
"""

from __future__ import annotations

from typing import TypeVar

import pytest
import wasmtime

from vibewasm.binary.decoder import decode
from vibewasm.errors import DecodeError, ValidationError

Refusal = TypeVar("Refusal", DecodeError, ValidationError)

_OFF = ("multi_memory", "memory64", "threads")


def _engine(*off: str) -> wasmtime.Engine:
    config = wasmtime.Config()
    for feature in off:
        setattr(config, f"wasm_{feature}", False)
    return wasmtime.Engine(config)


_ENGINE = _engine(*_OFF)
_WITHOUT_GC = _engine(*_OFF, "gc")


def rejection(wasm: bytes) -> DecodeError | ValidationError | None:
    """The decoder's complaint about a module, or ``None``. Any other exception comes through."""
    try:
        decode(wasm)
    except (DecodeError, ValidationError) as error:
        return error
    return None


def refused(wasm: bytes, kind: type[Refusal]) -> Refusal:
    """The decoder's complaint, of this kind, about a module that wasmtime refuses, too."""
    with pytest.raises(kind) as caught:
        decode(wasm)
    assert not wasmtime_accepts(wasm)
    return caught.value


def wasmtime_accepts(wasm: bytes) -> bool:
    """Whether wasmtime validates the module, bodies included."""
    return wasmtime_says(wasm) is None


def wasmtime_says(wasm: bytes, gc: bool = True) -> str | None:
    """wasmtime's complaint about the module, or ``None`` if it is valid."""
    try:
        wasmtime.Module.validate(_ENGINE if gc else _WITHOUT_GC, wasm)
    except wasmtime.WasmtimeError as error:
        return str(error)
    return None
