"""Relaxed vector instructions on values for which the specification allows one result only.

Elsewhere it allows several, and engines differ rightly: whether a product is rounded before it is added to, what a
conversion makes of a number that does not fit, what a lane is whose mask is mixed. So each operand of a relaxed
instruction is first brought to where all results that are allowed agree.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random
from typing import NamedTuple

from tests.fuzz.instructions import LOCAL_GET, LOCAL_SET, V128_CONST, Body, Instruction, read_body
from tests.fuzz.numbers import V128, splat, vector
from tests.fuzz.operations import BY_CODE
from tests.fuzz.parts import CODE, Index, read_parts
from vibewasm.opcodes import CODE as OPCODE
from vibewasm.opcodes import all_rows

Code = tuple[Instruction, ...]


class Settle(NamedTuple):
    """What an operand of a relaxed instruction may be.

    `code` turns instructions that read a value, and do nothing else, into such that leave one that it may be;
    `constant` draws the bits of one.
    """

    code: Callable[[Code], Code]
    constant: Callable[[Random], int]


RELAXED = {row[0] for row in all_rows() if row[5] == "relaxed-simd"}


def _op(name: str) -> Instruction:
    return Instruction(OPCODE[name])


def _lanes(value: int, bits: int) -> Instruction:
    return Instruction(V128_CONST, (splat(value & ((1 << bits) - 1), bits),))


def _floats(value: float, bits: int) -> Instruction:
    return _lanes(_bits_of(value, bits), bits)


def _bits_of(value: float, bits: int) -> int:
    packed = struct.pack("<f" if bits == 32 else "<d", value)
    return int.from_bytes(packed, "little")


def _and(lane: int) -> Settle:
    """Bytes with some of their bits clear."""
    return Settle(
        lambda read: (*read, _lanes(lane, 8), _op("v128.and")),
        lambda rng: vector(rng) & splat(lane, 8),
    )


def _whole_mask(bits: int) -> Settle:
    """Masks whose lanes are all ones or all zeros."""
    shift = (Instruction(OPCODE["i32.const"], (bits - 1,)), _op(f"i{bits}x{128 // bits}.shr_s"))
    return Settle(
        lambda read: (*read, *shift),
        lambda rng: sum([rng.choice([0, (1 << bits) - 1]) << at for at in range(0, 128, bits)]),
    )


def _within(bits: int, low: float, high: float) -> Settle:
    """Numbers between these; a NaN becomes one of them."""
    shape = _FLOAT_SHAPES[bits]
    # x < high ? x : high, which a NaN is not.
    return Settle(
        lambda read: (_floats(low, bits), _floats(high, bits), *read, _op(f"{shape}.pmin"), _op(f"{shape}.pmax")),
        lambda rng: _small_floats(rng, bits),
    )


def _ordered(bits: int) -> Settle:
    """Numbers that are no NaN and not -0, so there is one minimum."""
    shape = _FLOAT_SHAPES[bits]
    # -0 + 0 is 0.
    number = (_floats(0.0, bits), _op(f"{shape}.add"))
    return Settle(
        lambda read: (
            *(*read, *number),
            _floats(1.0, bits),
            *(*read, *read, _op(f"{shape}.eq")),
            _op("v128.bitselect"),
        ),
        lambda rng: _small_floats(rng, bits),
    )


def _short(bits: int) -> Settle:
    """Factors whose product is exact: zeros, infinities, NaNs, and numbers of few digits and medium size."""
    shape, infinity, digits, exponents = {
        32: ("i32x4", 0x7F80_0000, 0xFFFF_F000, 0x2000_0000),
        64: ("i64x2", 0x7FF0 << 48, 0xFFFF_FFFF_F800_0000, 0x2000 << 48),
    }[bits]
    # The exponent's highest bit clear and the next one set.
    medium = (_lanes(digits & ~(exponents << 1), bits), _op("v128.and"), _lanes(exponents, bits), _op("v128.or"))
    lowest = 1 << bits - 1
    # Without its sign, one less and unsigned, what is special comes last: infinities, NaNs, and zero.
    special = (
        *(Instruction(OPCODE["i32.const"], (1,)), _op(f"{shape}.shl")),
        *(_lanes(-1 - lowest, bits), _op(f"{shape}.add")),
        *(_lanes((infinity << 1) - 1 - lowest, bits), _op(f"{shape}.ge_s")),
    )
    return Settle(
        lambda read: (*read, *(*read, *medium), *(*read, *special), _op("v128.bitselect")),
        lambda rng: _small_floats(rng, bits),
    )


def _small_floats(rng: Random, bits: int) -> int:
    values = [0.0, 1.0, 1.5, 3.0, 100.0, 2047.0]
    return sum([_bits_of(rng.choice(values), bits) << at for at in range(0, 128, bits)])


def _f32(value: int) -> float:
    """The greatest f32 that is not greater, of numbers with so many bits."""
    return float(value & ~0xFF)


_FLOAT_SHAPES = {32: "f32x4", 64: "f64x2"}
_ANY = Settle(lambda read: read, vector)
# An index within the vector, or one with its highest bit set, which always gives 0.
_INDEX = _and(0x8F)
# Bytes of seven bits: whether they have a sign makes no difference.
_SMALL = _and(0x7F)
# The product of the lowest number with itself does not fit.
_NO_LOWEST = Settle(
    lambda read: (*read, _lanes(0x8001, 16), _op("i16x8.max_s")),
    lambda rng: vector(rng) & splat(0x7FFF, 16),
)
_SETTLE: dict[str, tuple[Settle, ...]] = {
    "i8x16.relaxed_swizzle": (_ANY, _INDEX),
    "i32x4.relaxed_trunc_f32x4_s": (_within(32, -(2.0**31), _f32(2**31 - 1)),),
    "i32x4.relaxed_trunc_f32x4_u": (_within(32, 0.0, _f32(2**32 - 1)),),
    "i32x4.relaxed_trunc_f64x2_s_zero": (_within(64, -(2.0**31), 2.0**31 - 1),),
    "i32x4.relaxed_trunc_f64x2_u_zero": (_within(64, 0.0, 2.0**32 - 1),),
    "i16x8.relaxed_q15mulr_s": (_NO_LOWEST, _ANY),
    "i16x8.relaxed_dot_i8x16_i7x16_s": (_ANY, _SMALL),
    "i32x4.relaxed_dot_i8x16_i7x16_add_s": (_ANY, _SMALL, _ANY),
    **{f"{shape}.relaxed_{name}": (_short(bits), _short(bits), _ANY)
       for shape, bits in (("f32x4", 32), ("f64x2", 64)) for name in ("madd", "nmadd")},
    **{f"{shape}.relaxed_{name}": (_ordered(bits), _ordered(bits))
       for shape, bits in (("f32x4", 32), ("f64x2", 64)) for name in ("min", "max")},
    **{f"i{bits}x{128 // bits}.relaxed_laneselect": (_ANY, _ANY, _whole_mask(bits)) for bits in (8, 16, 32, 64)},
}  # fmt: skip
#: By the code of a relaxed instruction, what each operand may be.
SETTLE = {OPCODE[name]: settles for name, settles in _SETTLE.items()}


def may_be_any(code: int, operand: int) -> bool:
    """Whether this operand of an instruction need not be settled."""
    return code not in SETTLE or SETTLE[code][operand] is _ANY


def has_relaxed(data: bytes) -> bool:
    """Whether a module has relaxed instructions; raises `NotParsed`."""
    bodies = [read_body(raw) for raw in read_parts(data).items(CODE)]
    return any(instruction.code in RELAXED for body in bodies for instruction in body.instructions)


def with_settled(data: bytes) -> bytes:
    """The module with operands of relaxed instructions settled wherever there is one; raises `NotParsed`."""
    parts = read_parts(data)
    index = Index(parts)
    changed = parts.copy()
    bodies = changed.items(CODE)
    for defined, raw in enumerate(bodies):
        params = index.signature(index.imported_funcs + defined).params
        bodies[defined] = _with_settled(read_body(raw), len(params)).encode()
    return changed.encode()


def _with_settled(body: Body, params: int) -> Body:
    first = params + sum(count for count, _ in body.locals)
    out: list[Instruction] = []
    used = 0
    for instruction in body.instructions:
        if instruction.code in SETTLE:
            count = len(BY_CODE[instruction.code].operands)
            used = max(used, count)
            out += [Instruction(LOCAL_SET, (first + at,)) for at in reversed(range(count))]
            for at, settle in enumerate(SETTLE[instruction.code]):
                out += settle.code((Instruction(LOCAL_GET, (first + at,)),))
        out.append(instruction)
    return Body((*body.locals, (used, V128)), tuple(out)) if used else body
