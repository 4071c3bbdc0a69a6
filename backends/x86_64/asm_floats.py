"""Encoders of SSE instructions, with the conventions of :mod:`.asm`; ``d`` is 0 for f32 (ss) and 1 for f64 (sd).

Moves of whole vector registers to and from memory are in :mod:`.asm_mov`: stubs save registers with them.
"""

from __future__ import annotations

from .encoding import imm8, reg_index, reg_mem, reg_reg, reg_rip

#: Operations of the ``sse_`` encoders: their opcode bytes.
SSE_SQRT, SSE_ADD, SSE_MUL, SSE_SUB, SSE_MIN, SSE_DIV, SSE_MAX = 0x51, 0x58, 0x59, 0x5C, 0x5D, 0x5E, 0x5F

#: The prefixes that tell ss from sd, and the packed forms from each other.
_SCALAR = (b"\xf3", b"\xf2")
_PACKED = (b"", b"\x66")


def movs_rm(d: int, dst: int, base: int, disp: int) -> bytes:
    """MOVSS xmm, m32 or MOVSD xmm, m64 (F3/F2 0F 10 /r); the rest of the register becomes 0."""
    return reg_mem(_SCALAR[d], 0, b"\x0f\x10", dst, base, disp)


def movs_rx(d: int, dst: int, base: int, index: int, scale: int, disp: int) -> bytes:
    """MOVSS xmm, m32 or MOVSD xmm, m64 (F3/F2 0F 10 /r); the rest of the register becomes 0."""
    return reg_index(_SCALAR[d], 0, b"\x0f\x10", dst, base, index, scale, disp)


def movs_mr(d: int, base: int, disp: int, src: int) -> bytes:
    """MOVSS m32, xmm or MOVSD m64, xmm (F3/F2 0F 11 /r)."""
    return reg_mem(_SCALAR[d], 0, b"\x0f\x11", src, base, disp)


def movs_xr(d: int, base: int, index: int, scale: int, disp: int, src: int) -> bytes:
    """MOVSS m32, xmm or MOVSD m64, xmm (F3/F2 0F 11 /r)."""
    return reg_index(_SCALAR[d], 0, b"\x0f\x11", src, base, index, scale, disp)


def movaps_rr(dst: int, src: int) -> bytes:
    """MOVAPS xmm, xmm (0F 28 /r)."""
    return reg_reg(b"", 0, b"\x0f\x28", dst, src)


def movups_rip(dst: int, rel32: int) -> bytes:
    """MOVUPS xmm, [rip + rel32] (0F 10 /r)."""
    return reg_rip(0, b"\x0f\x10", dst, rel32)


def pinsrq(dst: int, src: int, lane: int) -> bytes:
    """PINSRQ xmm, r64, imm8 (66 REX.W 0F 3A 22 /r ib, SSE4.1)."""
    return reg_reg(b"\x66", 8, b"\x0f\x3a\x22", dst, src) + imm8(lane)


def movd_to_xmm(w: int, dst: int, src: int) -> bytes:
    """MOVD xmm, r32 or MOVQ xmm, r64 (66 0F 6E /r); the rest of the register becomes 0."""
    return reg_reg(b"\x66", w << 3, b"\x0f\x6e", dst, src)


def movd_from_xmm(w: int, dst: int, src: int) -> bytes:
    """MOVD r32, xmm or MOVQ r64, xmm (66 0F 7E /r)."""
    return reg_reg(b"\x66", w << 3, b"\x0f\x7e", src, dst)


def sse_rr(op: int, d: int, dst: int, src: int) -> bytes:
    """``op`` SS or SD xmm, xmm (F3/F2 0F op /r)."""
    return reg_reg(_SCALAR[d], 0, bytes((0x0F, op)), dst, src)


def sse_rm(op: int, d: int, dst: int, base: int, disp: int) -> bytes:
    """``op`` SS xmm, m32 or SD xmm, m64 (F3/F2 0F op /r)."""
    return reg_mem(_SCALAR[d], 0, bytes((0x0F, op)), dst, base, disp)


def ucomis_rr(d: int, a: int, b: int) -> bytes:
    """UCOMISS or UCOMISD xmm, xmm (0F 2E /r; 66 0F 2E /r)."""
    return reg_reg(_PACKED[d], 0, b"\x0f\x2e", a, b)


def ucomis_rm(d: int, a: int, base: int, disp: int) -> bytes:
    """UCOMISS xmm, m32 or UCOMISD xmm, m64 (0F 2E /r; 66 0F 2E /r)."""
    return reg_mem(_PACKED[d], 0, b"\x0f\x2e", a, base, disp)


def andps_rr(dst: int, src: int) -> bytes:
    """ANDPS xmm, xmm (0F 54 /r)."""
    return reg_reg(b"", 0, b"\x0f\x54", dst, src)


def andnps_rr(dst: int, src: int) -> bytes:
    """ANDNPS xmm, xmm (0F 55 /r): dst = ~dst & src."""
    return reg_reg(b"", 0, b"\x0f\x55", dst, src)


def orps_rr(dst: int, src: int) -> bytes:
    """ORPS xmm, xmm (0F 56 /r)."""
    return reg_reg(b"", 0, b"\x0f\x56", dst, src)


def xorps_rr(dst: int, src: int) -> bytes:
    """XORPS xmm, xmm (0F 57 /r)."""
    return reg_reg(b"", 0, b"\x0f\x57", dst, src)


def rounds_rr(d: int, dst: int, src: int, mode: int) -> bytes:
    """ROUNDSS or ROUNDSD xmm, xmm, imm8 (66 0F 3A 0A/0B /r ib, SSE4.1)."""
    return reg_reg(b"\x66", 0, b"\x0f\x3a\x0b" if d else b"\x0f\x3a\x0a", dst, src) + imm8(mode)


def cvtsi2s(d: int, w: int, dst: int, src: int) -> bytes:
    """CVTSI2SS or CVTSI2SD xmm, r32 or r64 (F3/F2 0F 2A /r); the rest of the register stays."""
    return reg_reg(_SCALAR[d], w << 3, b"\x0f\x2a", dst, src)


def cvtts2si(d: int, w: int, dst: int, src: int) -> bytes:
    """CVTTSS2SI or CVTTSD2SI r32 or r64, xmm (F3/F2 0F 2C /r)."""
    return reg_reg(_SCALAR[d], w << 3, b"\x0f\x2c", dst, src)


def cvtss2sd_rr(dst: int, src: int) -> bytes:
    """CVTSS2SD xmm, xmm (F3 0F 5A /r)."""
    return reg_reg(b"\xf3", 0, b"\x0f\x5a", dst, src)


def cvtsd2ss_rr(dst: int, src: int) -> bytes:
    """CVTSD2SS xmm, xmm (F2 0F 5A /r)."""
    return reg_reg(b"\xf2", 0, b"\x0f\x5a", dst, src)


def pcmpeqd_rr(dst: int, src: int) -> bytes:
    """PCMPEQD xmm, xmm (66 0F 76 /r)."""
    return reg_reg(b"\x66", 0, b"\x0f\x76", dst, src)


def psrlq_ri(dst: int, imm: int) -> bytes:
    """PSRLQ xmm, imm8 (66 0F 73 /2 ib)."""
    return reg_reg(b"\x66", 0, b"\x0f\x73", 2, dst) + imm8(imm)


def psllq_ri(dst: int, imm: int) -> bytes:
    """PSLLQ xmm, imm8 (66 0F 73 /6 ib)."""
    return reg_reg(b"\x66", 0, b"\x0f\x73", 6, dst) + imm8(imm)


def psrld_ri(dst: int, imm: int) -> bytes:
    """PSRLD xmm, imm8 (66 0F 72 /2 ib)."""
    return reg_reg(b"\x66", 0, b"\x0f\x72", 2, dst) + imm8(imm)


def pslld_ri(dst: int, imm: int) -> bytes:
    """PSLLD xmm, imm8 (66 0F 72 /6 ib)."""
    return reg_reg(b"\x66", 0, b"\x0f\x72", 6, dst) + imm8(imm)


__all__ = [
    "SSE_ADD",
    "SSE_DIV",
    "SSE_MAX",
    "SSE_MIN",
    "SSE_MUL",
    "SSE_SQRT",
    "SSE_SUB",
    "andnps_rr",
    "andps_rr",
    "cvtsd2ss_rr",
    "cvtsi2s",
    "cvtss2sd_rr",
    "cvtts2si",
    "movaps_rr",
    "movd_from_xmm",
    "movd_to_xmm",
    "movs_mr",
    "movs_rm",
    "movs_rx",
    "movs_xr",
    "movups_rip",
    "orps_rr",
    "pcmpeqd_rr",
    "pinsrq",
    "pslld_ri",
    "psllq_ri",
    "psrld_ri",
    "psrlq_ri",
    "rounds_rr",
    "sse_rm",
    "sse_rr",
    "ucomis_rm",
    "ucomis_rr",
    "xorps_rr",
]
