"""Encoders of moves, loads and stores, with the conventions of :mod:`.asm`.

A load or store is one of a few dozen instructions that differ in two fields, so one encoder takes the operation: a
constant like ``LDR_W`` or ``STR_D``, which holds the opcode bits of the form with an unsigned offset.
"""

from __future__ import annotations

from .encoding import (
    bad_register,
    logical_immediate,
    one_register,
    signed,
    three_registers,
    two_words,
    unsigned,
    word,
)

#: Operations of the accesses: the size in bits 31 to 30 (and bit 23 for 128 bits), vector registers in bit 26, and
#: in bits 23 to 22 store, load, and sign-extending loads to 64 and to 32 bits.
STRB, LDRB, LDRSB_X, LDRSB_W = 0x3900_0000, 0x3940_0000, 0x3980_0000, 0x39C0_0000
STRH, LDRH, LDRSH_X, LDRSH_W = 0x7900_0000, 0x7940_0000, 0x7980_0000, 0x79C0_0000
STR_W, LDR_W, LDRSW = 0xB900_0000, 0xB940_0000, 0xB980_0000
STR_X, LDR_X = 0xF900_0000, 0xF940_0000
STR_S, LDR_S = 0xBD00_0000, 0xBD40_0000
STR_D, LDR_D = 0xFD00_0000, 0xFD40_0000
STR_Q, LDR_Q = 0x3D80_0000, 0x3DC0_0000
#: Operations of the pairs: opcode bits of the form with an offset, and the size of one register.
STP_X, LDP_X = (0xA900_0000, 8), (0xA940_0000, 8)
STP_D, LDP_D = (0x6D00_0000, 8), (0x6D40_0000, 8)
STP_Q, LDP_Q = (0xAD00_0000, 16), (0xAD40_0000, 16)


def size_of(op: int) -> int:
    """Base-2 logarithm of the bytes that the access ``op`` moves."""
    if op & 0x0400_0000 and op & 0x0080_0000:
        return 4
    return op >> 30 & 3


# -- constants and registers -----------------------------------------------------------------------------------------


def mov_rr(w: int, dst: int, src: int) -> bytes:
    """MOV: ORR with zero. The 32-bit form clears the upper half."""
    if (dst | src) & -32:
        raise bad_register(dst, src)
    return word(0x2A00_03E0 | w << 31 | src << 16 | dst)


def mov_sp(dst: int, src: int) -> bytes:
    """MOV to or from the stack pointer, which is the register 31: ADD of 0."""
    return three_registers(0x9100_0000, dst, src, 0)


def movz(w: int, dst: int, imm: int, shift: int) -> bytes:
    """MOVZ: 16 bits at a multiple of 16, zeros elsewhere."""
    return _move_wide(0x5280_0000, w, dst, imm, shift)


def movk(w: int, dst: int, imm: int, shift: int) -> bytes:
    """MOVK: replace 16 bits."""
    return _move_wide(0x7280_0000, w, dst, imm, shift)


def _move_wide(op: int, w: int, dst: int, imm: int, shift: int) -> bytes:
    if shift not in ((0, 16, 32, 48) if w else (0, 16)):
        raise ValueError(f"no shift by {shift}")
    return one_register(op | w << 31 | shift << 17 | unsigned(imm, 16) << 5, dst)


def mov_ri(dst: int, imm: int) -> bytes:
    """Put a number of 64 bits, signed or unsigned, into a register, in the fewest instructions.

    One instruction is MOVZ, MOVN or ORR of a logical immediate, in 32 bits (which clears the upper half) or 64. Each
    further one is a MOVK.
    """
    if dst & -32:
        raise bad_register(dst)
    if 0 <= imm <= 0xFFFF_FFFF:
        # Nearly all constants: written out, since every second choice of code has one.
        low = imm & 0xFFFF
        high = imm >> 16
        if not high:
            return word(0x5280_0000 | low << 5 | dst)
        if not low:
            return word(0x52A0_0000 | high << 5 | dst)
        if high == 0xFFFF:
            return word(0x1280_0000 | (low ^ 0xFFFF) << 5 | dst)
        if low == 0xFFFF:
            return word(0x12A0_0000 | (high ^ 0xFFFF) << 5 | dst)
        field = logical_immediate(imm, 0)
        if field >= 0:
            return word(0x3200_03E0 | field | dst)
        return two_words(0x5280_0000 | low << 5 | dst, 0x72A0_0000 | high << 5 | dst)
    if not -0x8000_0000_0000_0000 <= imm <= 0xFFFF_FFFF_FFFF_FFFF:
        raise ValueError(f"{imm} does not fit 64 bits")
    imm &= 0xFFFF_FFFF_FFFF_FFFF
    op, parts = _plan(imm)
    code = word(op | dst)
    for shift in parts:
        code += word(0xF280_0000 | shift << 17 | (imm >> shift & 0xFFFF) << 5 | dst)
    return code


#: Shifts of the parts of 16 bits.
_SHIFTS = (0, 16, 32, 48)


def _plan(imm: int) -> tuple[int, tuple[int, ...]]:
    """The first instruction of a constant above 32 bits, its register left out, and the shifts of the parts that MOVK
    replaces.
    """
    parts = [imm >> shift & 0xFFFF for shift in _SHIFTS]
    not_zero = [shift for shift, part in zip(_SHIFTS, parts, strict=True) if part]
    not_ones = [shift for shift, part in zip(_SHIFTS, parts, strict=True) if part != 0xFFFF]
    if len(not_ones) < len(not_zero):
        first = not_ones[0] if not_ones else 0
        best = (0x9280_0000 | first << 17 | (~imm >> first & 0xFFFF) << 5, tuple(not_ones[1:]))
    else:
        first = not_zero[0]
        best = (0xD280_0000 | first << 17 | (imm >> first & 0xFFFF) << 5, tuple(not_zero[1:]))
    for replaced in range(len(best[1])):
        # A logical immediate that has to be wrong in this many parts only.
        found = _near_logical(parts, replaced)
        if found is not None:
            return 0xB200_03E0 | found[0], found[1]
    return best


def _near_logical(parts: list[int], replaced: int) -> tuple[int, tuple[int, ...]] | None:
    """The field of a logical immediate that agrees with ``parts`` in all but ``replaced`` of them, and their shifts.

    What a part is replaced by is another part where the immediate repeats itself, and zeros or ones where it is one
    run: no other choice gives more.
    """
    from itertools import combinations, product

    for wrong in combinations(range(4), replaced):
        kept = [part for index, part in enumerate(parts) if index not in wrong]
        # A part with more than two runs belongs to an element of 8 bits at most, so that all parts are equal.
        if min(kept) != max(kept) and any(((part ^ part >> 1) & 0x7FFF).bit_count() > 2 for part in kept):
            continue
        for fill in set(product((0, 0xFFFF, *kept), repeat=replaced)):
            tried = list(parts)
            for index, value in zip(wrong, fill, strict=True):
                tried[index] = value
            a, b, c, d = tried
            field = logical_immediate(a | b << 16 | c << 32 | d << 48, 1)
            if field >= 0:
                return field, tuple(_SHIFTS[index] for index in wrong)
    return None


# -- loads and stores ------------------------------------------------------------------------------------------------


def access(op: int, reg: int, base: int, offset: int) -> bytes:
    """A load or store at ``[base + offset]``: a multiple of its size up to 4095 times that (LDR, STR), or anything
    from -256 to 255 (LDUR, STUR). As ``base``, 31 is the stack pointer.
    """
    if (reg | base) & -32:
        raise bad_register(reg, base)
    size = size_of(op)
    if offset >= 0 and not offset & (1 << size) - 1:
        return word(op | unsigned(offset >> size, 12) << 10 | base << 5 | reg)
    return word(op ^ 0x0100_0000 | signed(offset, 9) << 12 | base << 5 | reg)


def fits_access(op: int, offset: int) -> bool:
    """Whether :func:`access` takes the offset."""
    size = size_of(op)
    if offset & (1 << size) - 1:
        return -256 <= offset < 256
    return -256 <= offset < 4096 << size


def access_post(op: int, reg: int, base: int, offset: int) -> bytes:
    """A load or store at ``[base]`` that adds ``offset``, from -256 to 255, to ``base``."""
    if (reg | base) & -32:
        raise bad_register(reg, base)
    return word(op ^ 0x0100_0000 | 0x400 | signed(offset, 9) << 12 | base << 5 | reg)


def access_pre(op: int, reg: int, base: int, offset: int) -> bytes:
    """A load or store at ``[base + offset]``, from -256 to 255, that leaves the address in ``base``."""
    if (reg | base) & -32:
        raise bad_register(reg, base)
    return word(op ^ 0x0100_0000 | 0xC00 | signed(offset, 9) << 12 | base << 5 | reg)


def access_x(op: int, reg: int, base: int, index: int, scaled: bool = False) -> bytes:
    """A load or store at ``[base + index]``, or ``[base + index * size]`` if scaled; all 64 bits of the index count."""
    return three_registers(op ^ 0x0120_6800 | scaled << 12, reg, base, index)


def access_u(op: int, reg: int, base: int, index: int, scaled: bool = False) -> bytes:
    """A load or store at ``[base + index]``, or ``[base + index * size]``, where the index is the register's lower half
    (UXTW).
    """
    if (reg | base | index) & -32:
        raise bad_register(reg, base, index)
    return word(op ^ 0x0120_4800 | scaled << 12 | index << 16 | base << 5 | reg)


def ldr(w: int, dst: int, base: int, offset: int) -> bytes:
    """LDR of a general register."""
    return access(LDR_X if w else LDR_W, dst, base, offset)


def pair(op: tuple[int, int], a: int, b: int, base: int, offset: int) -> bytes:
    """A load or store of two registers at ``[base + offset]``, from -64 to 63 times the size of one."""
    return _pair(op, a, b, base, offset, 0)


def pair_pre(op: tuple[int, int], a: int, b: int, base: int, offset: int) -> bytes:
    """The same that leaves the address in ``base``."""
    return _pair(op, a, b, base, offset, 0x0080_0000)


def pair_post(op: tuple[int, int], a: int, b: int, base: int, offset: int) -> bytes:
    """A load or store of two registers at ``[base]`` that adds ``offset`` to ``base``."""
    return _pair(op, a, b, base, offset, 0x0180_0000)


def _pair(op: tuple[int, int], a: int, b: int, base: int, offset: int, mode: int) -> bytes:
    bits, size = op
    if (a | b | base) & -32:
        raise bad_register(a, b, base)
    if offset % size:
        raise ValueError(f"{offset} is no multiple of {size}")
    return word((bits ^ mode) | signed(offset // size, 7) << 15 | b << 10 | base << 5 | a)


__all__ = [
    "LDP_D",
    "LDP_Q",
    "LDP_X",
    "LDRB",
    "LDRH",
    "LDRSB_W",
    "LDRSB_X",
    "LDRSH_W",
    "LDRSH_X",
    "LDRSW",
    "LDR_D",
    "LDR_Q",
    "LDR_S",
    "LDR_W",
    "LDR_X",
    "STP_D",
    "STP_Q",
    "STP_X",
    "STRB",
    "STRH",
    "STR_D",
    "STR_Q",
    "STR_S",
    "STR_W",
    "STR_X",
    "access",
    "access_post",
    "access_pre",
    "access_u",
    "access_x",
    "fits_access",
    "ldr",
    "mov_ri",
    "mov_rr",
    "mov_sp",
    "movk",
    "movz",
    "pair",
    "pair_post",
    "pair_pre",
    "size_of",
]
