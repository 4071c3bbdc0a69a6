"""A binary module as text."""

from __future__ import annotations

from ..errors import DecodeError, guest_work
from .module_writer import ModuleWriter


def wasm2wat(data: bytes) -> str:
    """The text of a binary module. Reading it gives the same sections again, custom sections apart.

    Identifiers come from the name section. What the text format has no words for is lost: integers that are longer than
    they need to be, empty sections, an ``else`` without instructions, and a data count that no instruction needs.

    Raises:
        DecodeError: malformed bytes.
        ValidationError: something of a proposal that is not built and of which the format's writer has no words, such
            as an instruction that :mod:`vibewasm.opcodes` does not have.
        Interrupted: a deadline is over.
    """
    return guest_work(None, "writing the text", _written, data)


def _written(data: bytes) -> str:
    try:
        return ModuleWriter(bytes(data)).write()
    except IndexError:
        raise DecodeError("unexpected end", len(data)) from None
