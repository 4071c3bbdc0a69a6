"""Encoders of floating-point instructions, and of those on vectors that scalars need, with the conventions of
:mod:`.asm` (DDI 0487, chapter C7).

``d`` is 0 for f32 (an S register) and 1 for f64 (a D register). Writing one of these clears the rest of the register.
"""

from __future__ import annotations

from .encoding import condition, one_register, relative, three_registers, two_registers, unsigned

#: Operations of ``fp_rr``.
FMUL, FDIV, FADD, FSUB, FMAX, FMIN = (0x1E20_0800 | op << 12 for op in range(6))
#: Operations of ``fp_r``.
FMOV, FABS, FNEG, FSQRT = (0x1E20_4000 | op << 15 for op in range(4))
FRINTN, FRINTP, FRINTM, FRINTZ = (0x1E24_4000 | op << 15 for op in range(4))
#: Operations on the 128 bits of two vector registers.
V_AND, V_ORR = 0x4E20_1C00, 0x4EA0_1C00
#: Selects by the destination's bits: ones take the first source's, zeros the second one's.
V_BSL = 0x6E60_1C00


def fp_rr(op: int, d: int, dst: int, a: int, b: int) -> bytes:
    """``dst = a op b``. FMIN and FMAX give NaN if either is one, and take -0 for less than 0."""
    return three_registers(op | d << 22, dst, a, b)


def fp_r(op: int, d: int, dst: int, src: int) -> bytes:
    """``dst = op src``; FMOV, FABS and FNEG leave a NaN's payload as it is."""
    return two_registers(op | d << 22, dst, src)


def fcmp(d: int, a: int, b: int) -> bytes:
    """FCMP: unordered sets carry and overflow."""
    return three_registers(0x1E20_2000 | d << 22, 0, a, b)


def fcmp_zero(d: int, a: int) -> bytes:
    """FCMP with 0.0."""
    return two_registers(0x1E20_2008 | d << 22, 0, a)


def fccmp(cc: int, d: int, a: int, b: int, nzcv: int) -> bytes:
    """FCCMP: the flags of comparing ``a`` and ``b`` if the condition holds, else ``nzcv``."""
    return three_registers(0x1E20_0400 | d << 22 | condition(cc), unsigned(nzcv, 4), a, b)


def fcsel(cc: int, d: int, dst: int, a: int, b: int) -> bytes:
    """FCSEL: ``a`` if the condition holds, else ``b``."""
    return three_registers(0x1E20_0C00 | d << 22 | condition(cc), dst, a, b)


def fcvt(d: int, dst: int, src: int) -> bytes:
    """FCVT from f32 to f64 where ``d`` is 0, from f64 to f32 where it is 1."""
    return two_registers(0x1E62_4000 if d else 0x1E22_C000, dst, src)


def fcvtzs(d: int, w: int, dst: int, src: int) -> bytes:
    """FCVTZS to a general register: truncated, saturated, 0 for NaN."""
    return two_registers(0x1E38_0000 | w << 31 | d << 22, dst, src)


def fcvtzu(d: int, w: int, dst: int, src: int) -> bytes:
    """FCVTZU to a general register: truncated, saturated, 0 for NaN."""
    return two_registers(0x1E39_0000 | w << 31 | d << 22, dst, src)


def scvtf(d: int, w: int, dst: int, src: int) -> bytes:
    """SCVTF from a general register."""
    return two_registers(0x1E22_0000 | w << 31 | d << 22, dst, src)


def ucvtf(d: int, w: int, dst: int, src: int) -> bytes:
    """UCVTF from a general register."""
    return two_registers(0x1E23_0000 | w << 31 | d << 22, dst, src)


def fmov_to(d: int, dst: int, src: int) -> bytes:
    """FMOV of a general register's bits to a vector register."""
    return two_registers(0x9E67_0000 if d else 0x1E27_0000, dst, src)


def fmov_from(d: int, dst: int, src: int) -> bytes:
    """FMOV of a vector register's bits to a general register."""
    return two_registers(0x9E66_0000 if d else 0x1E26_0000, dst, src)


def float_immediate(d: int, bits: int) -> int:
    """The 8 bits by which FMOV (immediate) writes the float with these bits, -1 if it has no such form.

    A sign, an exponent from -3 to 4, and a mantissa of 4 bits (DDI 0487, ``VFPExpandImm``).
    """
    fraction = 52 if d else 23
    exponent_bits = 11 if d else 8
    low = bits & (1 << fraction - 4) - 1
    exponent = bits >> fraction & (1 << exponent_bits) - 1
    bias = (1 << exponent_bits - 1) - 1
    if low or not -3 <= exponent - bias <= 4:
        return -1
    sign = bits >> fraction + exponent_bits
    # The lowest two bits of the exponent, and whether it is below 1, which the third bit says twice.
    return sign << 7 | (0x40 if exponent <= bias else 0) | (exponent & 3) << 4 | bits >> fraction - 4 & 15


def fmov_i(d: int, dst: int, imm8: int) -> bytes:
    """FMOV of the number that :func:`float_immediate` gave."""
    return one_register(0x1E20_1000 | d << 22 | unsigned(imm8, 8) << 13, dst)


def movi_zero(dst: int) -> bytes:
    """MOVI of 0 to all 128 bits."""
    return one_register(0x6F00_E400, dst)


def movi_ones(dst: int) -> bytes:
    """MOVI of 1 to all 128 bits."""
    return one_register(0x6F07_E7E0, dst)


def ldr_q_literal(dst: int, distance: int) -> bytes:
    """LDR (literal) of 128 bits that are ``distance`` bytes after the instruction's start."""
    return one_register(0x9C00_0000 | relative(distance, 19) << 5, dst)


def ins_d(dst: int, lane: int, src: int) -> bytes:
    """INS of a general register's 64 bits into a lane; the other lane stays."""
    return two_registers(0x4E08_1C00 | unsigned(lane, 1) << 20, dst, src)


def movi_sign(dst: int) -> bytes:
    """MOVI of 0x80 shifted left by 24 to the lower two words, zeros above: the sign bits of f32."""
    return one_register(0x0F00_6400 | 0x80 >> 5 << 16 | (0x80 & 31) << 5, dst)


def mov_v(dst: int, src: int) -> bytes:
    """MOV of all 128 bits: ORR of a register with itself."""
    return three_registers(V_ORR, dst, src, src)


def vector_rr(op: int, dst: int, a: int, b: int) -> bytes:
    """A bitwise operation on all 128 bits."""
    return three_registers(op, dst, a, b)


def cnt(dst: int, src: int) -> bytes:
    """CNT of the lower 8 bytes: how many bits of each are set."""
    return two_registers(0x0E20_5800, dst, src)


def addv(dst: int, src: int) -> bytes:
    """ADDV of the lower 8 bytes: their sum, as a byte with zeros above."""
    return two_registers(0x0E31_B800, dst, src)


def dup_b(dst: int, src: int) -> bytes:
    """DUP of a general register's lowest byte to all 16 bytes."""
    return two_registers(0x4E01_0C00, dst, src)


__all__ = [
    "FABS",
    "FADD",
    "FDIV",
    "FMAX",
    "FMIN",
    "FMOV",
    "FMUL",
    "FNEG",
    "FRINTM",
    "FRINTN",
    "FRINTP",
    "FRINTZ",
    "FSQRT",
    "FSUB",
    "V_AND",
    "V_BSL",
    "V_ORR",
    "addv",
    "cnt",
    "dup_b",
    "fccmp",
    "fcmp",
    "fcmp_zero",
    "fcsel",
    "fcvt",
    "fcvtzs",
    "fcvtzu",
    "float_immediate",
    "fmov_from",
    "fmov_i",
    "fmov_to",
    "fp_r",
    "fp_rr",
    "ins_d",
    "ldr_q_literal",
    "mov_v",
    "movi_ones",
    "movi_sign",
    "movi_zero",
    "scvtf",
    "ucvtf",
    "vector_rr",
]
