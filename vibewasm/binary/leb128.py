"""Reading LEB128 integers (specification, "Binary Format / Values / Integers").

Each reader takes the bytes and a position and returns the value and the position after it. Reading past the end of the
bytes raises ``IndexError``, which :func:`vibewasm.binary.decoder.decode` turns into the right error, so that hot loops
need no checks of their own. Hot loops read one-byte integers themselves and call these for longer ones.
"""

from __future__ import annotations

from ..errors import DecodeError
from ..opcodes import PREFIXES, prefixed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def u32(data: bytes, pos: int) -> tuple[int, int]:
    """An unsigned 32-bit integer: at most five bytes.

    Raises:
        DecodeError: longer than five bytes, or 2**32 or more.
    """
    byte = data[pos]
    if byte < 0x80:
        return byte, pos + 1
    result = byte & 0x7F
    byte = data[pos + 1]
    if byte < 0x80:
        return result | byte << 7, pos + 2
    result |= (byte & 0x7F) << 7
    byte = data[pos + 2]
    if byte < 0x80:
        return result | byte << 14, pos + 3
    result |= (byte & 0x7F) << 14
    byte = data[pos + 3]
    if byte < 0x80:
        return result | byte << 21, pos + 4
    result |= (byte & 0x7F) << 21
    byte = data[pos + 4]
    if byte > 0x0F:
        raise DecodeError(_too_long(5) if byte >= 0x80 else "integer too large for 32 bits", pos + 4)
    return result | byte << 28, pos + 5


def opcode(data: bytes, pos: int) -> tuple[int, int]:
    """An instruction's opcode, as the table has it: a byte, or a prefix and an unsigned integer after it.

    A function's body has a reader of its own (:func:`vibewasm.compiler.immediates.read_opcode`), which minds its end.

    Raises:
        DecodeError: the integer is none.
    """
    byte = data[pos]
    if byte not in PREFIXES:
        return byte, pos + 1
    number, pos = u32(data, pos + 1)
    return prefixed(byte, number), pos


def u64(data: bytes, pos: int) -> tuple[int, int]:
    """An unsigned 64-bit integer: at most ten bytes.

    Raises:
        DecodeError: longer than ten bytes, or 2**64 or more.
    """
    result = 0
    for shift in range(0, 63, 7):
        byte = data[pos]
        pos += 1
        if byte < 0x80:
            return result | byte << shift, pos
        result |= (byte & 0x7F) << shift
    byte = data[pos]
    if byte > 1:
        raise DecodeError(_too_long(10) if byte >= 0x80 else "integer too large for 64 bits", pos)
    return result | byte << 63, pos + 1


def signed(data: Sequence[int], pos: int, bits: int) -> tuple[int, int]:
    """A signed integer of ``bits`` bits (7, 32, 33 or 64).

    Raises:
        DecodeError: longer than ``ceil(bits / 7)`` bytes, or out of the range of ``bits`` bits.
    """
    result = 0
    shift = 0
    last = (bits - 1) // 7 * 7
    while True:
        byte = data[pos]
        pos += 1
        result |= (byte & 0x7F) << shift
        if shift == last:
            break
        shift += 7
        if byte < 0x80:
            return result - (byte >> 6 << shift), pos
    if byte >= 0x80:
        raise DecodeError(_too_long(last // 7 + 1), pos - 1)
    if byte & 0x40:
        result -= 1 << last + 7
    if not -1 << bits - 1 <= result < 1 << bits - 1:
        raise DecodeError(f"integer too large for {bits} bits", pos - 1)
    return result, pos


def _too_long(most: int) -> str:
    return f"integer representation too long: more than {most} bytes"
