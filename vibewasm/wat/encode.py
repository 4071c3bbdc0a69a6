"""Bytes of the binary format's basic forms (specification, "Binary Format / Values")."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def _unsigned(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


#: The encodings of small numbers, which are most.
_SMALL = [_unsigned(value) for value in range(1024)]


def unsigned(value: int) -> bytes:
    """``value`` as unsigned LEB128."""
    return _SMALL[value] if value < 1024 else _unsigned(value)


def signed(value: int) -> bytes:
    """``value`` as signed LEB128."""
    out = bytearray()
    while not -0x40 <= value < 0x40:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value & 0x7F)
    return bytes(out)


def sized(data: bytes | bytearray) -> bytes:
    """``data`` with its length before it: a byte string, a name in UTF-8, a body."""
    return unsigned(len(data)) + data


def vector(items: Sequence[bytes]) -> bytes:
    """The encoded ``items`` with their number before them."""
    return unsigned(len(items)) + b"".join(items)


def section(number: int, contents: bytes | bytearray) -> bytes:
    """A section of the module."""
    return bytes((number,)) + sized(contents)
