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


#: Bytes of heap types by the text format's word, for those that are built and some that are not.
HEAP_TYPES = {
    "nofunc": 0x73,
    "noextern": 0x72,
    "none": 0x71,
    "func": 0x70,
    "extern": 0x6F,
    "any": 0x6E,
    "exn": 0x69,
    "noexn": 0x74,
}


def heap_type(heap: str | int, length: int = 0) -> bytes:
    """A heap type: the text format's word, or the index of a type."""
    return bytes([HEAP_TYPES[heap]]) if isinstance(heap, str) else signed(heap, length)


def ref(heap: str | int, nullable: bool = False, length: int = 0) -> bytes:
    """A reference type in its long form."""
    return (b"\x63" if nullable else b"\x64") + heap_type(heap, length)


def null(heap: str | int) -> bytes:
    """The reference type that null belongs to."""
    return ref(heap, nullable=True)


def raw_func_type(params: Iterable[bytes] = (), results: Iterable[bytes] = ()) -> bytes:
    """A function type, of value types that are encoded already."""
    return b"\x60" + vector(params) + vector(results)


def sub_type(type: bytes, *supertypes: int, final: bool = False) -> bytes:
    """A type that is declared with its supertypes."""
    return (b"\x4f" if final else b"\x50") + vector(unsigned(index) for index in supertypes) + type


def rec_group(*types: bytes) -> bytes:
    """A recursive group."""
    return b"\x4e" + vector(types)


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
