"""What the host gives to modules, in terms of no engine: the values of globals, and results of imported functions.

Results depend on the arguments, so that a wrong argument is seen in what comes of it.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any

from tests.spec.engine import References
from tests.spec.values import Value

_MASK = (1 << 64) - 1
_FLOATS = [0.0, -0.0, 1.0, -1.5, 0.5, 255.0, -32769.0, 3e9, -1e19, 1e-40, math.inf, -math.inf, math.nan]
_PACKING = {"f32": ("<f", "<I"), "f64": ("<d", "<Q")}


def global_value(type_: str, name: str | None) -> Value:
    """The value of an imported global."""
    return answers([type_], [("i32", sum((name or "").encode()))])[0]


def answers(results: list[str], arguments: list[Value]) -> list[Value]:
    """What an imported function with these result types gives for these arguments."""
    state = 0x9E37_79B9_7F4A_7C15
    for argument in arguments:
        state = _mix(state ^ _bits(argument))
    values: list[Value] = []
    for type_ in results:
        state = _mix(state + 1)
        if type_ in ("i32", "i64"):
            small = state >> 60 < 8
            values.append((type_, (state & 15 if small else state) & (0xFFFF_FFFF if type_ == "i32" else _MASK)))
        elif type_ == "v128":
            values.append((type_, _vector(state)))
        elif type_ in _PACKING:
            float_code, bits_code = _PACKING[type_]
            packed = struct.pack(float_code, _FLOATS[state % len(_FLOATS)])
            values.append((type_, struct.unpack(bits_code, packed)[0]))
        else:
            values.append((type_, state % 3 or None if type_ == "externref" else None))
    return values


class Host:
    """The functions that one instance imports, as Python functions; `log` are their calls with arguments."""

    def __init__(self, references: References) -> None:
        self.log: list[tuple[str, list[Value]]] = []
        self._references = references

    def call(self, name: str, params: list[str], results: list[str], given: Sequence[Any]) -> list[Any]:
        """Calls the imported function `name` with Python objects; gives Python objects."""
        from_object, to_object = self._references.from_object, self._references.to_object
        arguments = [from_object(type_, item) for type_, item in zip(params, given, strict=True)]
        return [to_object(value) for value in self.answer(name, results, arguments)]

    def answer(self, name: str, results: list[str], arguments: list[Value]) -> list[Value]:
        """What the imported function `name` gives; the call is noted."""
        arguments = [comparable(value) for value in arguments]
        self.log.append((name, arguments))
        return answers(results, arguments)


def packed(values: list[Any]) -> Any:
    """Results as both engines take them from a Python function."""
    return None if not values else values[0] if len(values) == 1 else values


def comparable(value: Value) -> Value:
    """The value; of a reference to a function only that it is one."""
    return value if value[1] is None or isinstance(value[1], int) else (value[0], "a function")


def _bits(value: Value) -> int:
    type_, payload = value
    if payload is None:
        return 2
    if not isinstance(payload, int):
        return 3
    if type_ in _PACKING:
        float_code, bits_code = _PACKING[type_]
        if math.isnan(struct.unpack(float_code, struct.pack(bits_code, payload))[0]):
            return 1
    return payload + 4


def _vector(state: int) -> int:
    """Lanes of some kind: anything, small integers, or floats."""
    high = _mix(state + 2)
    if state % 3 == 0:
        return high << 64 | state
    if state % 3 == 1:
        return (high << 64 | state) & 0x0F0F_8303_0700_FFFF_0F0F_8303_0700_FFFF
    lanes = [_FLOATS[(state >> 8 * at) % len(_FLOATS)] for at in range(4)]
    packed = struct.pack("<4f", *lanes) if high % 2 else struct.pack("<2d", *lanes[:2])
    return int.from_bytes(packed, "little")


def _mix(state: int) -> int:
    state = (state & _MASK) * 0xFF51_AFD7_ED55_8CCD & _MASK
    return state ^ state >> 32
