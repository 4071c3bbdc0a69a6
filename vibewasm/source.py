"""What a module is made from: a path, bytes or text. The one place outside ``wat`` that knows about the text format."""

from __future__ import annotations

from .errors import DecodeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os

    #: What :class:`~vibewasm.Module` takes.
    Source = bytes | bytearray | memoryview | str | os.PathLike[str]

_TEXT_STARTS = (b"(", b";;")


def read(source: Source) -> bytes:
    """The bytes of the binary module that ``source`` names or is.

    A ``str`` that starts with an opening parenthesis or with a comment is text of a module, any other is a path.
    Identifiers of a text become names of the module.

    Raises:
        OSError: the file cannot be read.
        WatError: it is text, and malformed.
        DecodeError: it is something else that is no module.
    """
    if isinstance(source, str) and source.lstrip().startswith(("(", ";;")):
        return _assemble(source)
    where = ""
    if isinstance(source, (bytes, bytearray, memoryview)):
        data = bytes(source)
    else:
        try:
            with open(source, "rb") as file:
                data = file.read()
        except TypeError:
            raise TypeError(f"a module is made from a path or from bytes, not from {type(source).__name__}") from None
        where = f"{source!s}: "
    if data[:4] != b"\0asm" and (len(data) >= 4 or where.endswith(".wat: ")):
        if is_text(data, where[:-2]):
            return _assemble(data, where[:-2])
        from .lookalikes import describe

        raise DecodeError(f"magic header not detected: {where}{describe(data)}", 0)
    return data


def is_text(data: bytes, path: str = "") -> bool:
    """Whether bytes that begin no binary module are text of one, by how they begin or by their file's name."""
    return data.lstrip().startswith(_TEXT_STARTS) or path.endswith(".wat")


def _assemble(text: str | bytes, path: str = "") -> bytes:
    # Imported only here: binary modules should not pay for it.
    from .wat import wat2wasm
    from .wat.errors import WatError

    try:
        return wat2wasm(text, names=True)
    except WatError as error:
        if path:
            error.add_note(f"in {path}")
        raise
