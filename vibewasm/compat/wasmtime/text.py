"""The text format, and what modules are made from."""

from __future__ import annotations

from ...types import MAGIC
from .errors import attempt


def wat2wasm(wat: str | bytes) -> bytearray:
    """The binary module of a text, in UTF-8 if it is given as bytes.

    Raises:
        WasmtimeError: the text is malformed.
    """
    from ...api.source import from_text

    # A str that UTF-8 does not have is an error of encoding, as in wasmtime-py.
    data = wat.encode("utf-8") if isinstance(wat, str) else bytes(wat)
    if data[:4] == MAGIC:
        # The text format's reader of wasmtime takes it for one that needs no reading.
        return bytearray(data)
    return bytearray(attempt(from_text, data))


def to_wasm(wasm: object) -> bytes:
    """The binary module that is given, as such or as text: whatever does not begin with a NUL is text."""
    if (isinstance(wasm, str) and wasm and wasm[0] != "\0") or (isinstance(wasm, bytes) and wasm and wasm[0] != 0):
        return bytes(wat2wasm(wasm))
    if not isinstance(wasm, (bytes, bytearray)):
        raise TypeError("expected wasm bytes")
    return bytes(wasm)
