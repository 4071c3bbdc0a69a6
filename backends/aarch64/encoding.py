"""How an A64 instruction is put together: one word of 32 bits, whose fields say registers and immediates.

Instructions themselves are in :mod:`.asm`. Sections are those of the Arm Architecture Reference Manual for A-profile
(DDI 0487), chapter C4, "A64 Instruction Set Encoding". A register number out of range is a :class:`ValueError`: its
bits would run over into other fields and make another instruction, which would then run.
"""

from __future__ import annotations

from struct import Struct

#: The bytes of an instruction word.
word = Struct("<I").pack
#: The bytes of two of them.
two_words = Struct("<II").pack


def bad_register(*registers: int) -> ValueError:
    """The error for a register number out of range."""
    return ValueError(f"no such register in {registers}")


def one_register(op: int, d: int) -> bytes:
    """An instruction with one register, in bits 4 to 0."""
    if d & -32:
        raise bad_register(d)
    return word(op | d)


def two_registers(op: int, d: int, n: int) -> bytes:
    """An instruction with registers in bits 4 to 0 and 9 to 5."""
    if (d | n) & -32:
        raise bad_register(d, n)
    return word(op | n << 5 | d)


def three_registers(op: int, d: int, n: int, m: int) -> bytes:
    """An instruction with registers in bits 4 to 0, 9 to 5 and 20 to 16."""
    if (d | n | m) & -32:
        raise bad_register(d, n, m)
    return word(op | m << 16 | n << 5 | d)


def four_registers(op: int, d: int, n: int, m: int, a: int) -> bytes:
    """An instruction with registers in bits 4 to 0, 9 to 5, 20 to 16 and 14 to 10."""
    if (d | n | m | a) & -32:
        raise bad_register(d, n, m, a)
    return word(op | m << 16 | a << 10 | n << 5 | d)


def unsigned(value: int, bits: int) -> int:
    """A field of an unsigned number."""
    if value >> bits:
        raise ValueError(f"{value} does not fit {bits} bits")
    return value


def signed(value: int, bits: int) -> int:
    """A field of a signed number."""
    if not -(1 << bits - 1) <= value < 1 << bits - 1:
        raise ValueError(f"{value} does not fit {bits} bits as a signed number")
    return value & (1 << bits) - 1


def relative(distance: int, bits: int) -> int:
    """A field of a distance in bytes between instructions, which counts words."""
    if distance & 3:
        raise ValueError(f"{distance} is no distance between instructions")
    return signed(distance >> 2, bits)


def condition(cc: int, end: int = 15) -> int:
    """Bits 15 to 12: a condition below ``end``. What would be number 15 is a second "always"."""
    if not 0 <= cc < end:
        raise ValueError(f"no such condition: {cc}")
    return cc << 12


def opposite(conditional: bytes) -> bytes:
    """The conditional jump that is taken exactly when this one is not, with the same distance."""
    bits = int.from_bytes(conditional, "little")
    if bits & 0xFF00_0000 == 0x5400_0000:  # b.cond
        return word(bits ^ 1)
    if bits & 0x7C00_0000 == 0x3400_0000:  # cbz, cbnz, tbz, tbnz
        return word(bits ^ 0x0100_0000)
    raise ValueError(f"{bits:#010x} is no conditional jump")


def arithmetic_immediate(value: int) -> int:
    """Bits 22 to 10 of ADD and SUB (immediate): 12 bits, shifted left by 0 or 12; -1 if the value has no such form."""
    if 0 <= value < 4096:
        return value << 10
    if 0 <= value < 1 << 24 and not value & 4095:
        return 1 << 22 | value >> 2
    return -1


#: Fields of logical immediates by value and width; a module names few different ones.
_logical: dict[tuple[int, int], int] = {}
_LOGICAL_LIMIT = 1 << 12


def logical_immediate(value: int, w: int) -> int:
    """Bits 22 to 10 (N, immr, imms) of a logical instruction with the immediate ``value``, -1 if it has no such form.

    A logical immediate is an element of 2, 4, ..., 64 bits, repeated over the register, and the element is one run of
    ones, rotated (DDI 0487, ``DecodeBitMasks``).

    Args:
        value: unsigned, as wide as the operation.
        w: 0 for a 32-bit and 1 for a 64-bit operation.
    """
    key = (value, w)
    found = _logical.get(key)
    if found is None:
        if len(_logical) >= _LOGICAL_LIMIT:
            _logical.clear()
        found = _logical[key] = _encode_logical(value, w)
    return found


def _encode_logical(value: int, w: int) -> int:
    width = 64 if w else 32
    mask = (1 << width) - 1
    if value <= 0 or value >= mask:
        # Neither zeros nor ones alone are a run.
        return -1
    # Where a bit differs from its neighbour, a run begins or ends: each element has two such places.
    edges = (value ^ (value >> 1 | value << width - 1 & mask)).bit_count()
    size = 2 * width // edges
    if size & (size - 1) or size < 2 or size * edges != 2 * width:
        return -1
    element = value & (1 << size) - 1
    repeated = element * (mask // ((1 << size) - 1))
    if repeated != value:
        return -1
    ones = element.bit_count()
    if element & 1:
        # The run may go on at the top: as many ones are there as it is rotated by.
        rotation = size - (element ^ (1 << size) - 1).bit_length()
    else:
        rotation = size - (element & -element).bit_length() + 1
    imms = (-2 * size & 0x3F) | ones - 1
    return (1 << 22 if size == 64 else 0) | (rotation & size - 1) << 16 | imms << 10
