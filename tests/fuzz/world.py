"""What the host gives to modules, in terms of no engine: the values of globals, and results of imported functions.

Results depend on the arguments, so that a wrong argument is seen in what comes of it. What a function does besides
says its name: one that begins with `h` throws now and then, one that begins with `b` calls the module back.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from typing import Any

from tests.fuzz.generate import REFUEL
from tests.fuzz.surface import Surface, Target
from tests.spec.engine import References
from tests.spec.values import Value

_MASK = (1 << 64) - 1
_FLOATS = [0.0, -0.0, 1.0, -1.5, 0.5, 255.0, -32769.0, 3e9, -1e19, 1e-40, math.inf, -math.inf, math.nan]
#: How many host functions that call back may be under way.
_DEEPEST = 5
_THROWS, _CALLS_BACK = "h", "b"
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


class Thrown(Exception):
    """A host function throws an exception with a tag that the host has made."""

    def __init__(self, tag: str, values: list[Value]) -> None:
        super().__init__(tag)
        self.tag = tag
        self.values = values


class Host:
    """The functions that one module imports, as Python functions; `log` are their calls with arguments.

    Args:
        references: the host objects.
        surface: of the module.
        exception: what is raised where a function that was called back leaves with an exception of wasm's.

    Once `call_back` is set, which calls an exported function and gives its results, functions call back.
    """

    def __init__(
        self, references: References, surface: Surface | None = None, exception: type[Exception] = Thrown
    ) -> None:
        self.log: list[tuple[str, list[Value]]] = []
        self.call_back: Callable[[Target, list[Value]], list[Value]] | None = None
        self._references = references
        # With fuel again, nothing would end.
        self._targets = [t for t in surface.targets if t.name != REFUEL] if surface is not None else []
        self._tags = [*surface.host_tags.items()] if surface is not None else []
        self._exception = exception
        self._depth = 0
        #: Whether something has left a function that was called back: engines differ in what frames it has then.
        self.passed = False

    def call(self, name: str, params: list[str], results: list[str], given: Sequence[Any]) -> list[Any]:
        """Calls the imported function `name` with Python objects; gives Python objects."""
        from_object, to_object = self._references.from_object, self._references.to_object
        arguments = [from_object(type_, item) for type_, item in zip(params, given, strict=True)]
        return [to_object(value) for value in self.answer(name, results, arguments)]

    def answer(self, name: str, results: list[str], arguments: list[Value]) -> list[Value]:
        """What the imported function `name` gives; the call is noted. Raises `Thrown`, and what `call_back` raises."""
        arguments = [comparable(value) for value in arguments]
        self.log.append((name, arguments))
        (_, chosen), (_, way) = answers(["i64", "i64"], [*arguments, ("i32", len(self.log))])
        assert isinstance(chosen, int)
        assert isinstance(way, int)
        if name.startswith(_THROWS) and way % 5 < 2:
            self._throw(chosen, arguments)
        if name.startswith(_CALLS_BACK) and self._targets and self.call_back and self._depth < _DEEPEST:
            target = self._targets[chosen % len(self._targets)]
            self._depth += 1
            try:
                given = self.call_back(target, answers(target.params, arguments))
                arguments = arguments + [comparable(value) for value in given]
            except self._exception:
                self.passed = True
                if way % 5 < 2:
                    raise
                if way % 5 == 2:
                    self._throw(chosen, arguments)
            except Exception:
                self.passed = True
                raise
            finally:
                self._depth -= 1
        return answers(results, arguments)

    def _throw(self, chosen: int, arguments: list[Value]) -> None:
        if self._tags:
            tag, carried = self._tags[chosen % len(self._tags)]
            raise Thrown(tag, answers(carried, arguments))


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
