"""Strings, identifiers and floats as the text format writes them."""

from __future__ import annotations

import re
import struct

from .literals import float_bits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_PLAIN_IDENTIFIER = re.compile(r"[0-9A-Za-z!#$%&'*+\-./:<=>?@\\^_`|~]+")
_ESCAPES = {"\t": "\\t", "\n": "\\n", "\r": "\\r", '"': '\\"', "\\": "\\\\"}

#: How each byte is written in a string of bytes.
_BYTES = [chr(byte) if 0x20 <= byte < 0x7F and byte not in b'"\\' else f"\\{byte:02x}" for byte in range(256)]


def quote_bytes(data: bytes) -> str:
    """Bytes as a string, in ASCII."""
    table = _BYTES
    return '"' + "".join([table[byte] for byte in data]) + '"'


def quote_name(name: str) -> str:
    """A name as a string, in which what does not print is escaped: see :func:`vibewasm.names.escaped`."""
    if not name.isprintable() or '"' in name or "\\" in name:
        name = "".join([_ESCAPES.get(character) or _printable(character) for character in name])
    return f'"{name}"'


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    return f"\\{ord(character):02x}" if character < "\x80" else f"\\u{{{ord(character):x}}}"


def identifier(name: str) -> str:
    """A name as an identifier, in quotes where it needs them. It must not be empty."""
    return "$" + (name if _PLAIN_IDENTIFIER.fullmatch(name) else quote_name(name))


def identifiers(names: Mapping[int, str]) -> dict[int, str]:
    """Identifiers for names by index: equal names are told apart by a number, empty ones are left out."""
    taken = set(names.values())
    seen: set[str] = set()
    last: dict[str, int] = {}
    result = {}
    for index, name in names.items():
        if not name:
            continue
        unique = name
        if unique in seen:
            number = last.get(name, 0)
            while unique in seen or unique in taken:
                number += 1
                unique = f"{name}.{number}"
            last[name] = number
        seen.add(unique)
        result[index] = identifier(unique)
    return result


def float_text(bits: int, size: int) -> str:
    """The shortest literal that is read as these bits; ``size`` is 32 or 64."""
    mantissa_bits = 23 if size == 32 else 52
    sign = "-" if bits >> size - 1 else ""
    magnitude = bits & (1 << size - 1) - 1
    infinity = (1 << size - 1) - (1 << mantissa_bits)
    if magnitude == infinity:
        return sign + "inf"
    if magnitude > infinity:
        payload = magnitude - infinity
        return sign + "nan" + ("" if payload == 1 << mantissa_bits - 1 else f":{payload:#x}")
    if size == 64:
        (value,) = struct.unpack("<d", magnitude.to_bytes(8, "little"))
        return sign + repr(value).removesuffix(".0")
    (value,) = struct.unpack("<f", magnitude.to_bytes(4, "little"))
    for digits in range(6, 10):
        text = f"{value:.{digits}g}"
        if digits == 9 or float_bits(text, 32) == magnitude:
            break
    return sign + text
