"""What files are that are taken for WebAssembly modules by mistake, and what to do with them."""

from __future__ import annotations

from .types import MAGIC

#: How a file of machine code begins that this engine has made; see :mod:`vibewasm.cache.container`.
CODE_MAGIC = b"\0vwcode"

#: First bytes, what such a file is, and what to do about it.
_SIGNATURES: list[tuple[bytes, str, str]] = [
    (
        CODE_MAGIC,
        "a precompiled module (machine code)",
        "if you made it yourself: Module.deserialize_file, or vibewasm run --allow-precompiled",
    ),
    (b"\x7fELF", "an ELF file (native code)", "compile the program for a WebAssembly target such as wasm32-wasip1"),
    (b"MZ", "a Windows executable", "compile the program for a WebAssembly target such as wasm32-wasip1"),
    (b"\xcf\xfa\xed\xfe", "a Mach-O file (native code)", "compile the program for a WebAssembly target"),
    (b"BC\xc0\xde", "LLVM bitcode", "link it with wasm-ld, or compile without -flto"),
    (b"!<arch>\n", "a static library (ar archive)", "link it into a module first"),
    (b"\x1f\x8b", "a gzip file", "decompress it first: gzip -d"),
    (b"BZh", "a bzip2 file", "decompress it first: bzip2 -d"),
    (b"\xfd7zXZ", "an xz file", "decompress it first: xz -d"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file", "decompress it first: zstd -d"),
    (b"PK\x03\x04", "a zip archive (or a wheel, or a jar)", "unpack it first"),
    (b"\x89PNG", "a PNG image", ""),
    (b"%PDF", "a PDF document", ""),
    (b"#!", "a script", ""),
    (b"<", "HTML or XML text", "a download may have failed and left an error page"),
    (b"{", "JSON text", ""),
]


def describe(data: bytes) -> str:
    """What bytes that are no module look like, and what to do where there is something to do."""
    if not data:
        return "it is empty"
    if len(data) < 4 and MAGIC.startswith(data):
        return "it is cut off"
    for signature, what, advice in _SIGNATURES:
        if data.startswith(signature):
            return f"it looks like {what}" + (f"; {advice}" if advice else "")
    if data[257:262] == b"ustar":
        return "it looks like a tar archive; unpack it first"
    try:
        text = data[:4096].decode("utf-8", "strict" if len(data) <= 4096 else "ignore")
    except UnicodeDecodeError:
        text = "\0"
    if not all(character.isprintable() or character in "\t\r\n" for character in text):
        return f"it starts with the bytes {data[:4].hex(' ')}, a module with {MAGIC.hex(' ')}"
    start = text.lstrip("\ufeff \t\r\n")
    if start.startswith(("(module", "(;", ";;", "(func", "(type", "(import", "(memory", "(component")):
        return "it looks like WebAssembly text"
    return "it looks like plain text"
