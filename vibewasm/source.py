"""What a module is made from: a path, bytes, and one day text. The one place that knows about the text format."""

from __future__ import annotations

from .errors import DecodeError, WasmError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os

    #: What :class:`~vibewasm.Module` takes.
    Source = bytes | bytearray | memoryview | str | os.PathLike[str]

MAGIC = b"\0asm"
_TEXT_STARTS = (b"(module", b"(;", b";;", b"(func", b"(type", b"(import", b"(memory", b"(component")

#: First bytes of files that are taken for modules by mistake, and what they are.
_LOOKS: list[tuple[bytes, str]] = [
    (b"\x7fELF", "an ELF file (native code)"),
    (b"MZ", "a Windows executable"),
    (b"BC\xc0\xde", "LLVM bitcode, which a linker has to make a module of"),
    (b"!<arch>\n", "a static library (ar archive)"),
    (b"\x1f\x8b", "gzip data, which has to be decompressed first"),
    (b"\x28\xb5\x2f\xfd", "Zstandard data, which has to be decompressed first"),
    (b"PK\x03\x04", "a zip archive"),
    (b"#!", "a script"),
    (b"<", "HTML or XML text; a download may have failed"),
    (b"{", "JSON text"),
]


def read(source: Source) -> bytes:
    """The bytes of the binary module that ``source`` names or is.

    A ``str`` that starts with an opening parenthesis is text of a module, any other is a path.

    Raises:
        OSError: the file cannot be read.
        WasmError: it is WebAssembly text, which is not supported yet.
        DecodeError: it is something else that is no module.
    """
    if isinstance(source, str) and source.lstrip().startswith("("):
        raise _no_text_format("this source")
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
    if data[:4] != MAGIC and len(data) >= 4:
        if data.lstrip().startswith(_TEXT_STARTS) or where.endswith(".wat: "):
            raise _no_text_format(where[:-2] or "this source")
        raise DecodeError(f"magic header not detected: {where}{_describe(data)}", 0)
    return data


def _no_text_format(what: str) -> WasmError:
    return WasmError(
        f"{what} is WebAssembly text, and the text format is not built yet; "
        "make a binary module of it first, with wat2wasm or 'wasm-tools parse'"
    )


def _describe(data: bytes) -> str:
    for start, what in _LOOKS:
        if data.startswith(start):
            return f"this looks like {what}"
    return f"this starts with the bytes {data[:4].hex(' ')}, and a module with {MAGIC.hex(' ')}"
