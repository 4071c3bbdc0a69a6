"""Immediates of vector instructions in the text format (specification, "Text Format / Vector Instructions").

Loaded when a text has one.
"""

from __future__ import annotations

from .literals import OUT_OF_RANGE, float_bits, integer, is_number, unsigned
from .words import SHAPES, is_keyword

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .cursor import Cursor


def constant(cursor: Cursor) -> bytes:
    """The sixteen bytes of a ``v128.const``: a shape, and as many literals as it has lanes."""
    shape = cursor.tokens[cursor.position]
    if shape not in SHAPES:
        if is_number(shape):
            raise cursor.error(f"unexpected token {shape[:60]}: before its lanes v128.const has a shape, such as i32x4")
        raise cursor.unexpected()
    cursor.position += 1
    type_, _, lanes = shape.partition("x")
    count, bits = int(lanes), int(type_[1:])
    if _numbers(cursor) != count:
        raise _wrong_number(cursor, f"wrong number of lane literals: {shape} has {count}")
    read = integer if type_[0] == "i" else float_bits
    mask = (1 << bits) - 1
    vector = bytearray()
    for token in cursor.tokens[cursor.position : cursor.position + count]:
        try:
            value = read(token, bits)
        except ValueError as error:
            raise cursor.error(str(error)) from None
        if value is None:
            raise cursor.unexpected()
        vector += (value & mask).to_bytes(bits // 8, "little")
        cursor.position += 1
    return bytes(vector)


def shuffled_lanes(cursor: Cursor) -> bytes:
    """The sixteen lanes of an ``i8x16.shuffle``. Whether the operands have them is for the validation to say."""
    if _numbers(cursor) != 16:
        raise _wrong_number(cursor, "invalid lane length: i8x16.shuffle takes 16 lanes")
    lanes = bytearray()
    for token in cursor.tokens[cursor.position : cursor.position + 16]:
        try:
            lane = unsigned(token, 8)
        except ValueError:
            lane = None
        if lane is None:
            # The suite wants this of what is no natural number as well.
            raise cursor.error(f"i8 {OUT_OF_RANGE}: a lane is a number from 0 to 255")
        lanes.append(lane)
        cursor.position += 1
    return bytes(lanes)


def _numbers(cursor: Cursor) -> int:
    """How many numbers come next; no more are counted than are ever wanted, and one."""
    start = position = cursor.position
    while position <= start + 16 and is_number(cursor.tokens[position]):
        position += 1
    return position - start


def _wrong_number(cursor: Cursor, message: str) -> Exception:
    """The error where there are too few literals or too many, unless a word among them is none at all."""
    position = cursor.position + _numbers(cursor)
    token = cursor.tokens[position]
    if token == "" or (token[0] not in '()"$' and not is_number(token) and not is_keyword(token)):
        return cursor.unexpected(position)
    return cursor.error(message)
