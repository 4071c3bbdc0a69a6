"""Reading the FILE of a command line, and saying what it is where it is no WebAssembly module."""

from __future__ import annotations

import os
import sys

from vibewasm.lookalikes import describe
from vibewasm.names import escaped, hint
from vibewasm.types import MAGIC

from .options import CommandError


def load(path: str) -> bytes:
    """The bytes of the module at ``path`` (``-``: standard input), which may be text. Raises :class:`CommandError`."""
    data = read(path)
    name = shown(path)
    if data[:4] == MAGIC:
        return data
    from vibewasm.api.source import is_text

    if not is_text(data, path):
        raise CommandError(f"{name} is not a WebAssembly module: {describe(data)}")
    return assemble(data, name, names=True)


def shown(path: str) -> str:
    """How messages name the file at ``path``."""
    return "standard input" if path == "-" else escaped(path)


def assemble(text: bytes, name: str, *, names: bool) -> bytes:
    """The binary module of a text; ``name`` is what to call it in the :class:`CommandError` of a bad one."""
    from vibewasm.errors import WasmError
    from vibewasm.wat import wat2wasm

    try:
        # Editors may put a byte order mark first.
        return wat2wasm(text.removeprefix("\ufeff".encode()), names=names)
    except WasmError as error:
        raise refused(name, error) from error


def refused(name: str, error: Exception) -> CommandError:
    """What to raise of a file that the engine refuses; ``name`` is what to call it."""
    feature = getattr(error, "feature", None)
    advice = ""
    if feature is not None:
        from vibewasm.proposals import advice_without

        advice = f"\n{advice_without(feature)}"
    return CommandError(f"{name}: {error}{advice}")


def read(path: str) -> bytes:
    """The contents of the file at ``path`` (``-``: standard input). Raises :class:`CommandError`."""
    if path == "-":
        try:
            data = sys.stdin.buffer.read()
        except OSError as error:
            raise CommandError(f"cannot read standard input: {error.strerror}") from None
    else:
        try:
            with open(path, "rb") as file:
                data = file.read()
        except FileNotFoundError:
            raise CommandError(_missing(path)) from None
        except IsADirectoryError:
            raise CommandError(f"{shown(path)} is a directory; name the .wasm file in it{_modules_in(path)}") from None
        except (OSError, ValueError) as error:  # ValueError: a NUL character in the path
            raise CommandError(f"cannot read {shown(path)}: {getattr(error, 'strerror', None) or error}") from None
    return data


def _missing(path: str) -> str:
    folder, name = os.path.split(path)
    if folder and not os.path.isdir(folder):
        return f"no such file: {shown(path)} (there is no folder {escaped(folder)})"
    try:
        there = os.listdir(folder or ".")
    except OSError:
        there = []
    return f"no such file: {shown(path)}{hint(name, there)}"


def _modules_in(folder: str) -> str:
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".wasm"))
    except OSError:
        return ""
    if not names:
        return " (there is none)"
    shown = ", ".join(map(escaped, names[:5])) + (", ..." if len(names) > 5 else "")
    return f": {shown}"
