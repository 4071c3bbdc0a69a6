"""Types as bytes, and constants with values at the edges."""

from __future__ import annotations

import struct
from random import Random

from tests.fuzz.instructions import F32_CONST, F64_CONST, I32_CONST, I64_CONST, V128_CONST, Instruction

I32, I64, F32, F64, V128, FUNCREF, EXTERNREF = 0x7F, 0x7E, 0x7D, 0x7C, 0x7B, 0x70, 0x6F
NUMBERS = bytes([I32, I64, F32, F64])
#: Bits of each type that is not a reference.
WIDTHS = {I32: 32, I64: 64, F32: 32, F64: 64, V128: 128}
ALL_ONES = (1 << 128) - 1


INTERESTING = {
    I32: [0, 1, 2, 3, 7, 8, 31, 32, 33, 63, 64, 127, 128, 255, 256, 65535, 65536, -1, -2, -128, -32768, 0x7FFFFFFF,
          -0x80000000, 0x12345678],
    I64: [0, 1, 2, 31, 32, 63, 64, 65, 255, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x100000000, -1, -2, -128, -0x80000000,
          -0x80000001, 0x7FFFFFFFFFFFFFFF, -0x8000000000000000, 0x123456789ABCDEF,
          # As unsigned numbers, just above the middle of two floats.
          -0x7FFFFF7FFFFFFFFF, -0x7FFFFFFFFFFFFBFF],
    F32: [0, 0x80000000, 0x3F800000, 0xBF800000, 0x3F000000, 0x40490FDB, 0x7F800000, 0xFF800000, 0x7FC00000, 1,
          0x007FFFFF, 0x4F000000, 0xCF000000, 0x4F800000, 0x5F000000, 0xDF000000, 0x5F800000, 0xBF7FFFFF, 0x4EFFFFFF],
    F64: [0, 1 << 63, 0x3FF0 << 48, 0xBFF0 << 48, 0x3FE0 << 48, 0x400921FB54442D18, 0x7FF0 << 48, 0xFFF0 << 48,
          0x7FF8 << 48, 1, 0x41E0 << 48, 0xC1E0 << 48, 0xC1E0000000200000, 0x41F0 << 48, 0x43E0 << 48, 0xC3E0 << 48,
          0x43F0 << 48, 0xBFEFFFFFFFFFFFFF, 0x41DFFFFFFFC00000],
}  # fmt: skip
_CONST = {I32: I32_CONST, I64: I64_CONST, F32: F32_CONST, F64: F64_CONST}


_EDGES_OF_LANES = {
    8: [0, 1, 0x7F, 0x80, 0x81, 0xFF, 0x55],
    16: [0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF, 0x80, 0xFF, 0x100],
}


def constant(rng: Random, type_: int) -> Instruction:
    """A constant of a number type or a vector, usually a value at some edge."""
    if type_ == V128:
        return Instruction(V128_CONST, (vector(rng),))
    if rng.random() < 0.75:
        value = rng.choice(INTERESTING[type_])
    elif type_ in (I32, I64):
        bits = rng.randrange(1, 33 if type_ == I32 else 65)
        value = rng.getrandbits(bits) - (1 << (bits - 1))
    else:
        value = rng.getrandbits(32 if type_ == F32 else 64)
    return Instruction(_CONST[type_], (value,))


def vector(rng: Random) -> int:
    """A vector's bits: none or all of them set, lanes at edges, the same in all lanes, or anything."""
    kind = rng.randrange(13)
    if kind < 2:
        return -kind & ALL_ONES
    if kind == 2:
        return rng.getrandbits(128)
    if kind == 3:
        # Each byte tells where it is.
        return int.from_bytes(bytes(range(rng.randrange(200), 256))[:16], "little")
    bits = rng.choice([8, 16, 32, 32, 32, 64, 64, 64])
    if kind == 4:
        # One lane set.
        return _lane(rng, bits) << bits * rng.randrange(128 // bits)
    if kind < 7:
        return splat(_lane(rng, bits), bits)
    if kind == 7:
        # Masks, as comparisons make them.
        return sum([rng.choice([0, (1 << bits) - 1]) << at for at in range(0, 128, bits)])
    if kind == 8:
        return _number(rng, "<4f", 4) if rng.random() < 0.5 else _number(rng, "<2d", 2)
    return sum([_lane(rng, bits) << at for at in range(0, 128, bits)])


def splat(lane: int, bits: int) -> int:
    """The vector with this value in all lanes of so many bits."""
    return sum([lane << at for at in range(0, 128, bits)])


def _number(rng: Random, shape: str, count: int) -> int:
    """Floats that an integer may be made of, some of them halfway between two."""
    lanes = [
        rng.randrange(-(1 << rng.randrange(1, 34)), 1 << rng.randrange(1, 34)) / rng.choice([1, 2, 4])
        for _ in range(count)
    ]
    return int.from_bytes(struct.pack(shape, *lanes), "little")


def _lane(rng: Random, bits: int) -> int:
    if bits < 32:
        return rng.choice(_EDGES_OF_LANES[bits]) if rng.random() < 0.75 else rng.getrandbits(bits)
    type_ = rng.choice([I32, F32] if bits == 32 else [I64, F64])
    value: int = constant(rng, type_).immediates[0]
    return value & ((1 << bits) - 1)
