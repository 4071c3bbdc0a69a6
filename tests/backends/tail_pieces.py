"""Functions made by hand of the pieces that compiled ones are made of, for the processor that the tests run on."""

from __future__ import annotations

import random

from tests.runtime.machine import Machine, cell_count, native
from vibewasm import abi
from vibewasm.backends import backend
from vibewasm.backends.operand import I32, I64, V128, Operand, constant, frame_local
from vibewasm.calls.process import HOST
from vibewasm.runtime.blocks import Block

target = backend(HOST).target
frames = backend(HOST).frames
calls = backend(HOST).calls
control = backend(HOST).control
tail_calls = backend(HOST).tail_calls

TYPES = "ilfdvr"
#: So many registers can be pinned.
INTS, FLOATS = len(target.PINNED_INTS), len(target.PINNED_FLOATS)


def types_of(letters: str) -> tuple[int, ...]:
    """Types by letters, as signatures of stubs have them."""
    return tuple([TYPES.index(letter) for letter in letters])


def area_of(letters: str) -> int:
    """Size of the argument area."""
    return frames.parameter_places(types_of(letters))[1]


def numbers(letters: str, seed: int) -> list[int]:
    """A value of each type."""
    source = random.Random(f"{letters} {seed}")
    return [source.getrandbits({"i": 32, "f": 32, "v": 128}.get(letter, 64)) for letter in letters]


def cells_of(letters: str, values: list[int]) -> list[int]:
    """The cells that a host function gets."""
    cells = []
    for letter, value in zip(letters, values, strict=True):
        cells += [value & (1 << 64) - 1, value >> 64] if letter == "v" else [value]
    return cells


class Frame:
    """A frame with places for values.

    Args:
        count: how many places it has.
        ints, floats: how many registers the function pins.
        extra: bytes that it is larger.
    """

    def __init__(self, count: int, ints: int = INTS, floats: int = FLOATS, extra: int = 0) -> None:
        self.ints, self.floats = ints, floats
        base = frames.locals_base(ints, floats, 16)
        self._offsets = [frames.cell(base + 16 * index, 16) for index in range(count)]
        self.size = base + 16 * count + extra

    def offset(self, index: int) -> int:
        """Frame offset of a place."""
        return self._offsets[index]

    def prologue(self) -> bytes:
        """Make it."""
        code, _, _ = frames.prologue(self.size, self.ints, self.floats, False, 0)
        return code

    def epilogue(self, area: int) -> bytes:
        """Give it back and return."""
        return frames.epilogue(self.size, self.ints, self.floats, area)

    def leave(self, own: str, other: str) -> bytes:
        """Give it back for a tail call: own parameters and those of the callee."""
        return tail_calls.leave_frame(self.size, self.ints, self.floats, area_of(own), area_of(other))

    def write(self, letters: str, values: list[int]) -> bytes:
        """Put values into the first places."""
        code = b""
        for index, (letter, value) in enumerate(zip(letters, values, strict=True)):
            offset = self._offsets[index]
            if letter == "v":
                code += target.move_to_slot(constant(I64, value >> 64), offset + 8, 0)
                value &= (1 << 64) - 1
            type_ = I32 if letter in "if" else I64
            code += target.move_to_slot(constant(type_, value), offset, 0)
        return code

    def passing(self, letters: str) -> bytes:
        """Pass what is in the first places."""
        return (
            calls.arguments_from_slots(frames.parameters(types_of(letters)), self._offsets[0], 16) if letters else b""
        )

    def receive(self, letters: str) -> tuple[bytes, tuple[Operand, ...]]:
        """Take parameters: those that arrive in the argument area may stay there."""
        types = types_of(letters)
        homes = []
        for index, (type_, (reg, at)) in enumerate(zip(types, frames.parameter_places(types)[0], strict=True)):
            stays = reg < 0 and frames.ARGUMENT_AREA
            homes.append(frame_local(type_, frames.ARGUMENT_AREA + at if stays else self._offsets[index]))
        return frames.receive_parameters(types, tuple(homes), self.size), tuple(homes)


def forwarding(frame: Frame, letters: str) -> tuple[bytes, bytes]:
    """Code that takes parameters, and code that passes them on."""
    taking, homes = frame.receive(letters)
    return taking, calls.arguments(homes, target.ALL_FREE, types_of(letters))


def set_index(value: int) -> bytes:
    """Put a number or the address of a record where an index travels."""
    return native.set_register(calls.INDEX_PLAN[1], value)


def with_cell(m: Machine, ctx: Block, index: int, value: int) -> int:
    """Write to one of the 8 free cells of a context; returns its offset."""
    offset = abi.CTX_HEADER + 8 * index
    ctx.cells[offset >> 3] = value
    return offset


def host(m: Machine, letters: str, seen: list[list[int]], result: int = 77) -> Block:
    """The record of a host function that notes its arguments, with the context that those of stores have."""

    def call(*cells: int) -> list[int]:
        seen.append([*cells])
        return [result]

    record = m.host(f"{letters}:l", call)
    record.cells[abi.RECORD_CTX >> 3] = m.block.address + abi.STORE_HOST_CONTEXT
    assert cell_count(letters) < 1 << 16
    return record


__all__ = [
    "FLOATS",
    "INTS",
    "TYPES",
    "V128",
    "Frame",
    "area_of",
    "calls",
    "cells_of",
    "control",
    "forwarding",
    "frames",
    "host",
    "numbers",
    "set_index",
    "tail_calls",
    "target",
    "types_of",
    "with_cell",
]
