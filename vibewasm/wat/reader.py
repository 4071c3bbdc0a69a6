"""Text into a binary module."""

from __future__ import annotations

from ..errors import guest_work
from .lexer import Tokens
from .module_reader import ModuleReader
from .name_section import name_section


def wat2wasm(source: str | bytes, *, names: bool = False) -> bytes:
    """The binary module that ``source`` describes: ``(module ...)`` or its fields alone.

    Args:
        source: the text; bytes are UTF-8.
        names: whether the identifiers go into a name section.

    Raises:
        WatError: malformed text.
        ValidationError: an instruction of a proposal that is not supported. Otherwise validity is not checked.
        Interrupted: a deadline is over.
    """
    return guest_work(None, "assembling the text", _assembled, source, names)


def _assembled(source: str | bytes, names: bool) -> bytes:
    while True:
        reader = ModuleReader(Tokens(source))
        module = reader.read()
        if module is not None:
            return module + name_section(reader) if names else module
        is_binary, source = reader.quoted()
        if is_binary:
            return source
