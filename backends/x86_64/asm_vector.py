"""Encoders of packed vector instructions on xmm registers, with the conventions of :mod:`.asm`.

An operation is one number for both of its encodings, legacy SSE and VEX.128 (SDM volume 2, chapter 2.3): ``0xPMOO``
with the opcode byte ``OO``, the opcode map ``M`` (1 for 0F, 2 for 0F38, 3 for 0F3A) and the mandatory prefix ``P`` (0
for none, 1 for 66, 2 for F3, 3 for F2), which are the numbers that VEX has for them. :data:`W` is the bit for REX.W or
VEX.W, and :data:`EXTENSION` the place of an opcode extension, for shifts by a constant.

The ``packed_`` encoders make the legacy form, whose destination is its first source too, and the ``vex_`` ones the form
that has the first source as an operand of its own, ``a``; where an operation has one source only, ``a`` has to be 0.
The first register is that of ModRM.reg, and the last operand the one of ModRM.rm: in an instruction that stores, or
moves to a general register, these are the vector, and where it goes to. Memory operands of 16 bytes have to be aligned
in the legacy form, unless the instruction is for unaligned ones. A trailing ``i`` is an immediate of one byte. This
module is loaded by those who need it: nothing without vectors does.
"""

from __future__ import annotations

from .encoding import BYTES, bad_register, imm8, imm32, of_base, of_index, reg_index, reg_mem, reg_reg

#: REX.W or VEX.W, in an operation.
W = 0x10000
#: Where an operation has its opcode extension.
EXTENSION = 20

# -- operations ------------------------------------------------------------------------------------------------------

# Moves.
MOVUPS, MOVUPS_STORE, MOVSS, MOVSD = 0x0110, 0x0111, 0x2110, 0x3110
MOVSS_STORE = 0x2111
MOVD_TO, MOVD_FROM, MOVQ_TO, MOVQ_FROM = 0x116E, 0x117E, W | 0x116E, W | 0x117E
#: MOVQ xmm, xmm/m64: the upper half becomes 0.
MOVQ = 0x217E
MOVLPS, MOVLPS_STORE, MOVHPS, MOVHPS_STORE, MOVLHPS, MOVHLPS = 0x0112, 0x0113, 0x0116, 0x0117, 0x0116, 0x0112
MOVDDUP, MOVSHDUP = 0x3112, 0x2116
PINSRB, PINSRW, PINSRD, PINSRQ, INSERTPS = 0x1320, 0x11C4, 0x1322, W | 0x1322, 0x1321
#: PEXTRW in the form that can store; PEXTRW_TO has the general register first, and is shorter.
PEXTRW_TO = 0x11C5
PEXTRB, PEXTRW, PEXTRD, PEXTRQ = 0x1314, 0x1315, 0x1316, W | 0x1316
PMOVMSKB, MOVMSKPS, MOVMSKPD = 0x11D7, 0x0150, 0x1150

# Bits.
PAND, PANDN, POR, PXOR, PTEST = 0x11DB, 0x11DF, 0x11EB, 0x11EF, 0x1217
ANDPS, ANDNPS, ORPS, XORPS = 0x0154, 0x0155, 0x0156, 0x0157
ANDPD = 0x1154

# Integers.
PADDB, PADDW, PADDD, PADDQ = 0x11FC, 0x11FD, 0x11FE, 0x11D4
PSUBB, PSUBW, PSUBD, PSUBQ = 0x11F8, 0x11F9, 0x11FA, 0x11FB
PADDSB, PADDSW, PADDUSB, PADDUSW = 0x11EC, 0x11ED, 0x11DC, 0x11DD
PSUBSB, PSUBSW, PSUBUSB, PSUBUSW = 0x11E8, 0x11E9, 0x11D8, 0x11D9
PMULLW, PMULHW, PMULHUW, PMULHRSW, PMULLD, PMULUDQ, PMULDQ = 0x11D5, 0x11E5, 0x11E4, 0x120B, 0x1240, 0x11F4, 0x1228
PMADDWD, PMADDUBSW = 0x11F5, 0x1204
PMINSB, PMINSW, PMINSD, PMINUB, PMINUW, PMINUD = 0x1238, 0x11EA, 0x1239, 0x11DA, 0x123A, 0x123B
PMAXSB, PMAXSW, PMAXSD, PMAXUB, PMAXUW, PMAXUD = 0x123C, 0x11EE, 0x123D, 0x11DE, 0x123E, 0x123F
PAVGB, PAVGW = 0x11E0, 0x11E3
PABSB, PABSW, PABSD = 0x121C, 0x121D, 0x121E
PCMPEQB, PCMPEQW, PCMPEQD, PCMPEQQ = 0x1174, 0x1175, 0x1176, 0x1229
PCMPGTB, PCMPGTW, PCMPGTD, PCMPGTQ = 0x1164, 0x1165, 0x1166, 0x1237
PMOVSXBW, PMOVSXWD, PMOVSXDQ, PMOVZXBW, PMOVZXWD, PMOVZXDQ = 0x1220, 0x1223, 0x1225, 0x1230, 0x1233, 0x1235
#: To lanes of four and of eight times the width.
PMOVZXBD, PMOVZXBQ, PMOVZXWQ = 0x1231, 0x1232, 0x1234
PACKSSWB, PACKSSDW, PACKUSWB, PACKUSDW = 0x1163, 0x116B, 0x1167, 0x122B
#: Shifts by a count in the low half of a vector register.
PSLLW, PSLLD, PSLLQ = 0x11F1, 0x11F2, 0x11F3
PSRLW, PSRLD, PSRLQ, PSRAW, PSRAD = 0x11D1, 0x11D2, 0x11D3, 0x11E1, 0x11E2
#: Shifts by a constant, and of the whole register by bytes: for the ``shift`` encoders.
PSLLW_I, PSLLD_I, PSLLQ_I = 6 << EXTENSION | 0x1171, 6 << EXTENSION | 0x1172, 6 << EXTENSION | 0x1173
PSRLW_I, PSRLD_I, PSRLQ_I = 2 << EXTENSION | 0x1171, 2 << EXTENSION | 0x1172, 2 << EXTENSION | 0x1173
PSRAW_I, PSRAD_I = 4 << EXTENSION | 0x1171, 4 << EXTENSION | 0x1172
PSRLDQ_I, PSLLDQ_I = 3 << EXTENSION | 0x1173, 7 << EXTENSION | 0x1173

# Shuffles.
PSHUFB, PALIGNR, PSHUFD, PSHUFLW, PSHUFHW = 0x1200, 0x130F, 0x1170, 0x3170, 0x2170
SHUFPS = 0x01C6
PUNPCKLBW, PUNPCKLWD, PUNPCKLDQ, PUNPCKLQDQ = 0x1160, 0x1161, 0x1162, 0x116C
PUNPCKHBW, PUNPCKHWD, PUNPCKHDQ, PUNPCKHQDQ = 0x1168, 0x1169, 0x116A, 0x116D
PBLENDW, BLENDPS = 0x130E, 0x130C
#: Blends by the sign bits of the register whose number is in the immediate's upper four bits: VEX form only.
VPBLENDVB, VBLENDVPS, VBLENDVPD = 0x134C, 0x134A, 0x134B

# Floats.
ADDPS, SUBPS, MULPS, DIVPS, MINPS, MAXPS, SQRTPS = 0x0158, 0x015C, 0x0159, 0x015E, 0x015D, 0x015F, 0x0151
ADDPD, SUBPD, MULPD, DIVPD, MINPD, MAXPD, SQRTPD = 0x1158, 0x115C, 0x1159, 0x115E, 0x115D, 0x115F, 0x1151
#: With the predicate as the immediate.
CMPPS, CMPPD, ROUNDPS, ROUNDPD = 0x01C2, 0x11C2, 0x1308, 0x1309
CVTDQ2PS, CVTTPS2DQ, CVTDQ2PD, CVTTPD2DQ, CVTPD2PS, CVTPS2PD = 0x015B, 0x215B, 0x21E6, 0x11E6, 0x115A, 0x015A

# AVX, AVX2 and FMA only.
VBROADCASTSS, VPBROADCASTB, VPBROADCASTW, VPBROADCASTD, VPBROADCASTQ = 0x1218, 0x1278, 0x1279, 0x1258, 0x1259
VPBLENDD = 0x1302
VFMADD132PS, VFMADD213PS, VFMADD231PS = 0x1298, 0x12A8, 0x12B8
VFMADD132PD, VFMADD213PD, VFMADD231PD = W | 0x1298, W | 0x12A8, W | 0x12B8
VFNMADD132PS, VFNMADD213PS, VFNMADD231PS = 0x129C, 0x12AC, 0x12BC
VFNMADD132PD, VFNMADD213PD, VFNMADD231PD = W | 0x129C, W | 0x12AC, W | 0x12BC

_PREFIXES = (b"", b"\x66", b"\xf3", b"\xf2")
_MAPS = (b"", b"\x0f", b"\x0f\x38", b"\x0f\x3a")


# -- legacy SSE ------------------------------------------------------------------------------------------------------


def _opcode(op: int) -> bytes:
    return _MAPS[op >> 8 & 15] + BYTES[op & 0xFF]


def _rex(op: int) -> int:
    return op >> 13 & 8


def packed_rr(op: int, dst: int, src: int) -> bytes:
    """``op`` xmm, xmm."""
    return reg_reg(_PREFIXES[op >> 12 & 15], _rex(op), _opcode(op), dst, src)


def packed_rm(op: int, dst: int, base: int, disp: int) -> bytes:
    """``op`` xmm, m."""
    return reg_mem(_PREFIXES[op >> 12 & 15], _rex(op), _opcode(op), dst, base, disp)


def packed_rx(op: int, dst: int, base: int, index: int, scale: int, disp: int) -> bytes:
    """``op`` xmm, m."""
    return reg_index(_PREFIXES[op >> 12 & 15], _rex(op), _opcode(op), dst, base, index, scale, disp)


def packed_rip(op: int, dst: int, rel32: int) -> bytes:
    """``op`` xmm, [rip + rel32], where rip is the end of the instruction."""
    if dst & -16:
        raise bad_register(dst)
    rex = _rex(op) | dst >> 1 & 4
    code = _PREFIXES[op >> 12 & 15] + (BYTES[0x40 | rex] if rex else b"") + _opcode(op)
    return code + BYTES[(dst & 7) << 3 | 5] + imm32(rel32)


def packed_rri(op: int, dst: int, src: int, imm: int) -> bytes:
    """``op`` xmm, xmm, imm8."""
    return packed_rr(op, dst, src) + imm8(imm)


def packed_rmi(op: int, dst: int, base: int, disp: int, imm: int) -> bytes:
    """``op`` xmm, m, imm8."""
    return packed_rm(op, dst, base, disp) + imm8(imm)


def packed_shift(op: int, dst: int, imm: int) -> bytes:
    """``op`` xmm, imm8, an operation with an opcode extension."""
    return reg_reg(_PREFIXES[op >> 12 & 15], 0, _opcode(op), op >> EXTENSION, dst) + imm8(imm)


# -- VEX.128 ---------------------------------------------------------------------------------------------------------


def _vex(op: int, bits: int, a: int) -> bytes:
    """Prefix and opcode: ``bits`` as in a REX prefix (4 for R, 2 for X, 1 for B), ``a`` goes to vvvv; L is 0.

    The prefix of two bytes has neither X, B nor W, and only the map 0F.
    """
    if a & -16:
        raise bad_register(a)
    last = (~a & 15) << 3 | op >> 12 & 3
    if op & (W | 0xF00) == 0x100 and not bits & 3:
        return bytes((0xC5, (~bits & 4) << 5 | last, op & 0xFF))
    return bytes((0xC4, (~bits & 7) << 5 | op >> 8 & 15, op >> 9 & 0x80 | last, op & 0xFF))


def vex_rr(op: int, dst: int, a: int, b: int) -> bytes:
    """V ``op`` xmm, xmm, xmm."""
    if (dst | b) & -16:
        raise bad_register(dst, b)
    return _vex(op, dst >> 1 & 4 | b >> 3, a) + BYTES[0xC0 | (dst & 7) << 3 | b & 7]


def vex_rm(op: int, dst: int, a: int, base: int, disp: int) -> bytes:
    """V ``op`` xmm, xmm, m."""
    bits, address, short, long = of_base(dst, base)
    if disp or not address:
        address = short + BYTES[disp & 0xFF] if -0x80 <= disp <= 0x7F else long + imm32(disp)
    return _vex(op, bits, a) + address


def vex_rx(op: int, dst: int, a: int, base: int, index: int, scale: int, disp: int) -> bytes:
    """V ``op`` xmm, xmm, m."""
    bits, address, short, long = of_index(dst, base, index, scale)
    if disp or not address:
        address = short + BYTES[disp & 0xFF] if -0x80 <= disp <= 0x7F else long + imm32(disp)
    return _vex(op, bits, a) + address


def vex_rip(op: int, dst: int, a: int, rel32: int) -> bytes:
    """V ``op`` xmm, xmm, [rip + rel32], where rip is the end of the instruction."""
    if dst & -16:
        raise bad_register(dst)
    return _vex(op, dst >> 1 & 4, a) + BYTES[(dst & 7) << 3 | 5] + imm32(rel32)


def vex_rri(op: int, dst: int, a: int, b: int, imm: int) -> bytes:
    """V ``op`` xmm, xmm, xmm, imm8."""
    return vex_rr(op, dst, a, b) + imm8(imm)


def vex_rmi(op: int, dst: int, a: int, base: int, disp: int, imm: int) -> bytes:
    """V ``op`` xmm, xmm, m, imm8."""
    return vex_rm(op, dst, a, base, disp) + imm8(imm)


def vex_shift(op: int, dst: int, src: int, imm: int) -> bytes:
    """V ``op`` xmm, xmm, imm8, an operation with an opcode extension: the destination is in vvvv."""
    return vex_rr(op & 0xFFFFF, op >> EXTENSION, dst, src) + imm8(imm)
