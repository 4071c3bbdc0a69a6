"""Constants and result patterns of the suite's scripts.

A value is a pair (type, payload). The payload of a number is its bits as an unsigned int (v128: 128 bits, lane 0
lowest); that of a reference is None for null, the number N of `ref.extern N` / `ref.host N`, or any object. The type of
a reference is `funcref`, `externref`, `exnref`, or one of those below and including `anyref`: what more there is to the
type of a result is for validation.
"""

from __future__ import annotations

import math
import struct
from fractions import Fraction
from typing import TypeAlias

from tests.spec.sexpr import Node, show

Value: TypeAlias = "tuple[str, object]"

# Lane type, number of lanes and bits per lane of each v128 shape.
SHAPES = {
    "i8x16": ("i8", 16, 8),
    "i16x8": ("i16", 8, 16),
    "i32x4": ("i32", 4, 32),
    "i64x2": ("i64", 2, 64),
    "f32x4": ("f32", 4, 32),
    "f64x2": ("f64", 2, 64),
}
_INTEGER_BITS = {"i8": 8, "i16": 16, "i32": 32, "i64": 64}
# Bits of the payload, and the exponent's all-ones pattern, of each float type.
_FLOATS = {"f32": (23, 0x7F80_0000, 0x8000_0000), "f64": (52, 0x7FF0_0000_0000_0000, 1 << 63)}
#: Heap types of hierarchies of their own, and what a value's type is of a reference to one; all others are below `any`.
_TOPS = {
    "func": "funcref",
    "nofunc": "funcref",
    "extern": "externref",
    "noextern": "externref",
    "exn": "exnref",
    "noexn": "exnref",
}
# What a value's type may be where the script says only "a reference of this kind".
_KINDS = {
    "ref.func": {"funcref"},
    "ref.extern": {"externref"},
    "ref.exn": {"exnref"},
    "ref.i31": {"i31ref"},
    "ref.struct": {"structref"},
    "ref.array": {"arrayref"},
    "ref.eq": {"i31ref", "structref", "arrayref"},
    "ref.any": {"i31ref", "structref", "arrayref", "anyref"},
}
_BELOW_ANY = frozenset(("i31ref", "structref", "arrayref", "eqref", "anyref", "noneref", "nullref"))


def integer(text: str, bits: int) -> int:
    """The unsigned value of an integer literal; raises `ValueError` when it does not fit."""
    digits = text.replace("_", "")
    value = int(digits, 16 if "x" in digits else 10)
    if not -(1 << (bits - 1)) <= value < 1 << bits:
        raise ValueError(f"{text} does not fit {bits} bits")
    return value & ((1 << bits) - 1)


def float_bits(text: str, type_: str) -> int:
    """The bits of a float literal (decimal, hexadecimal, `inf`, `nan`, `nan:0x…`), rounded to nearest, ties to even."""
    fraction_bits, infinity, sign_bit = _FLOATS[type_]
    sign = sign_bit if text.startswith("-") else 0
    digits = text.lower().lstrip("+-").replace("_", "")
    if digits == "inf":
        return sign | infinity
    if digits == "nan":
        return sign | infinity | 1 << (fraction_bits - 1)
    if digits.startswith("nan:"):
        payload = int(digits[4:], 16)
        if not 0 < payload < 1 << fraction_bits:
            raise ValueError(f"{text} has a payload that does not fit {type_}")
        return sign | infinity | payload
    exact = _exact(digits)
    if type_ == "f64":
        (bits,) = struct.unpack("<Q", struct.pack("<d", float(exact)))
    else:
        (bits,) = struct.unpack("<I", struct.pack("<f", _to_odd(exact)))
    return sign | int(bits)


def _exact(digits: str) -> Fraction:
    if not digits.startswith("0x"):
        return Fraction(digits.removesuffix("."))
    mantissa, _, exponent = digits[2:].partition("p")
    whole, _, part = mantissa.partition(".")
    return Fraction(int(whole + part, 16)) * Fraction(2) ** (int(exponent or "0") - 4 * len(part))


def _to_odd(exact: Fraction) -> float:
    """`exact` rounded to an odd f64: rounding that once more, to f32, then gives what rounding once would."""
    near = float(exact)
    if Fraction(near) == exact:
        return near
    if near > exact:
        near = math.nextafter(near, 0.0)
    (bits,) = struct.unpack("<Q", struct.pack("<d", near))
    (odd,) = struct.unpack("<d", struct.pack("<Q", bits | 1))
    return float(odd)


def parse_value(node: Node) -> Value:
    """The value of an argument such as `(i32.const 1)` or `(ref.extern 2)`; raises `ValueError`."""
    match node:
        case [str(head), str(text)] if head.endswith(".const") and head[:3] in _INTEGER_BITS:
            return head[:3], integer(text, _INTEGER_BITS[head[:3]])
        case [str(head), str(text)] if head.endswith(".const") and head[:3] in _FLOATS:
            return head[:3], float_bits(text, head[:3])
        case ["v128.const", str(shape), *lanes] if shape in SHAPES:
            lane_type, count, width = SHAPES[shape]
            values = [_lane(lane, lane_type) for lane in lanes]
            if len(values) != count:
                raise ValueError(f"{show(node)} has {len(values)} lanes")
            return "v128", sum(value << (width * i) for i, value in enumerate(values))
        case ["ref.null", str(heap_type)]:
            return top(heap_type), None
        case ["ref.extern", str(number)]:
            return "externref", int(number)
        case ["ref.host", str(number)]:
            return "anyref", int(number)
    raise ValueError(f"{show(node)} is not a constant that the runner knows")


def top(heap_type: str) -> str:
    """The type that values have which refer to something of this heap type."""
    return _TOPS.get(heap_type) or heap_type + "ref"


def _lane(node: Node, lane_type: str) -> int:
    if not isinstance(node, str):
        raise ValueError(f"{show(node)} is not a lane")
    return float_bits(node, lane_type) if lane_type in _FLOATS else integer(node, _INTEGER_BITS[lane_type])


def matches(expected: Node, value: Value) -> bool:
    """Whether `value` is what a script's result pattern allows; raises `ValueError` for an unknown pattern."""
    type_, payload = value
    match expected:
        case ["either", *patterns]:
            return any(matches(pattern, value) for pattern in patterns)
        case [("f32.const" | "f64.const") as head, ("nan:canonical" | "nan:arithmetic") as kind]:
            assert isinstance(head, str)
            assert isinstance(kind, str)
            return type_ == head[:3] and isinstance(payload, int) and _is_nan(payload, type_, kind)
        case ["v128.const", str(shape), *lanes] if shape in SHAPES:
            return type_ == "v128" and isinstance(payload, int) and _lanes_match(shape, lanes, payload)
        case ["ref.null"]:
            return type_.endswith("ref") and payload is None
        case ["ref.null", str(heap_type)]:
            return payload is None and (type_ == top(heap_type) if heap_type in _TOPS else type_ in _BELOW_ANY)
        case ["ref"]:
            return type_.endswith("ref") and payload is not None
        case [str(head)] if head in _KINDS:
            return type_ in _KINDS[head] and payload is not None
    return parse_value(expected) == value


def _lanes_match(shape: str, lanes: list[Node], payload: int) -> bool:
    lane_type, count, width = SHAPES[shape]
    if len(lanes) != count:
        raise ValueError(f"{shape} with {len(lanes)} lanes")
    for i, lane in enumerate(lanes):
        bits = payload >> (width * i) & ((1 << width) - 1)
        if lane in ("nan:canonical", "nan:arithmetic"):
            assert isinstance(lane, str)
            if not _is_nan(bits, lane_type, lane):
                return False
        elif bits != _lane(lane, lane_type):
            return False
    return True


def _is_nan(bits: int, type_: str, kind: str) -> bool:
    fraction_bits, infinity, sign_bit = _FLOATS[type_]
    quiet = infinity | 1 << (fraction_bits - 1)
    if kind == "nan:canonical":
        return bits & ~sign_bit == quiet
    return bits & quiet == quiet


def show_value(value: Value) -> str:
    """`value` as a script would write it."""
    type_, payload = value
    if type_ in _INTEGER_BITS or type_ in _FLOATS or type_ == "v128":
        assert isinstance(payload, int)
        if type_ == "f32":
            return f"(f32.const {struct.unpack('<f', struct.pack('<I', payload))[0]!r} = {payload:#010x})"
        if type_ == "f64":
            return f"(f64.const {struct.unpack('<d', struct.pack('<Q', payload))[0]!r} = {payload:#018x})"
        return f"({type_}.const {payload:#x})"
    if payload is None:
        return f"(ref.null {type_.removesuffix('ref')})"
    return f"({type_} {payload!r})"


def show_values(values: list[Value]) -> str:
    """A list of results as a script would write it."""
    return " ".join(map(show_value, values)) or "no result"
