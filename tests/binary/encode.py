"""Encodings of the binary format's smallest parts, for tests that put modules together by hand."""

from __future__ import annotations

import struct
from collections.abc import Iterable

#: Magic and version: the first eight bytes of a module.
HEADER = b"\0asm\1\0\0\0"

#: Bytes of value types by name.
VALUE_TYPES = {
    "i32": 0x7F,
    "i64": 0x7E,
    "f32": 0x7D,
    "f64": 0x7C,
    "v128": 0x7B,
    "funcref": 0x70,
    "externref": 0x6F,
    "exnref": 0x69,
}

#: Numbers of sections by name.
SECTIONS = {
    "custom": 0,
    "type": 1,
    "import": 2,
    "function": 3,
    "table": 4,
    "memory": 5,
    "global": 6,
    "export": 7,
    "start": 8,
    "element": 9,
    "code": 10,
    "data": 11,
    "data count": 12,
    "tag": 13,
}


def unsigned(value: int, length: int = 0) -> bytes:
    """LEB128 of a number that is not negative; at least ``length`` bytes, padded as linkers do."""
    out = bytearray()
    while value >= 0x80 or len(out) + 1 < length:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def signed(value: int, length: int = 0) -> bytes:
    """LEB128 of a signed number; at least ``length`` bytes."""
    out = bytearray()
    while not -0x40 <= value < 0x40 or len(out) + 1 < length:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value & 0x7F)
    return bytes(out)


def vector(items: Iterable[bytes]) -> bytes:
    """A vector of items that are encoded already."""
    encoded = list(items)
    return unsigned(len(encoded)) + b"".join(encoded)


def name(text: str | bytes) -> bytes:
    """A name; bytes are taken as they are, so that they need not be UTF-8."""
    raw = text.encode() if isinstance(text, str) else text
    return unsigned(len(raw)) + raw


def section(which: str | int, contents: bytes) -> bytes:
    """A section with the right size."""
    number = SECTIONS[which] if isinstance(which, str) else which
    return bytes([number]) + unsigned(len(contents)) + contents


def custom(title: str | bytes, contents: bytes = b"") -> bytes:
    """A custom section."""
    return section("custom", name(title) + contents)


def module(*sections: bytes) -> bytes:
    """A module of these sections, as they are."""
    return HEADER + b"".join(sections)


def limits(minimum: int, maximum: int | None = None) -> bytes:
    """Limits of a memory or a table with 32-bit indices."""
    if maximum is None:
        return b"\0" + unsigned(minimum)
    return b"\1" + unsigned(minimum) + unsigned(maximum)


def func_type(params: Iterable[str] = (), results: Iterable[str] = ()) -> bytes:
    """A function type, from names of value types."""
    return b"\x60" + value_types(params) + value_types(results)


def value_types(names: Iterable[str]) -> bytes:
    """A vector of value types."""
    return vector(bytes([VALUE_TYPES[type_name]]) for type_name in names)


# Instructions that constant expressions and small bodies need. Each returns the whole instruction.

END = b"\x0b"


def i32_const(value: int) -> bytes:
    """``i32.const``."""
    return b"\x41" + signed(value)


def i64_const(value: int) -> bytes:
    """``i64.const``."""
    return b"\x42" + signed(value)


def f32_const(value: float) -> bytes:
    """``f32.const``."""
    return b"\x43" + struct.pack("<f", value)


def f64_const(value: float) -> bytes:
    """``f64.const``."""
    return b"\x44" + struct.pack("<d", value)


def local_get(index: int) -> bytes:
    """``local.get``."""
    return b"\x20" + unsigned(index)


def global_get(index: int) -> bytes:
    """``global.get``."""
    return b"\x23" + unsigned(index)


def call(index: int) -> bytes:
    """``call``."""
    return b"\x10" + unsigned(index)


def ref_null(type_name: str = "funcref") -> bytes:
    """``ref.null``."""
    return b"\xd0" + bytes([VALUE_TYPES[type_name]])


def ref_func(index: int) -> bytes:
    """``ref.func``."""
    return b"\xd2" + unsigned(index)
