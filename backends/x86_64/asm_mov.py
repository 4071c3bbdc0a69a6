"""Encoders of moves between general registers, memory and constants, with the conventions of :mod:`.asm`."""

from __future__ import annotations

from .encoding import (
    imm8,
    imm16,
    imm32,
    reg_index,
    reg_mem,
    reg_only,
    reg_reg,
    reg_rip,
    rex_of_byte,
)

_MOV_R32_IMM32 = tuple([reg_only(0, 0xB8, reg) for reg in range(16)])


def mov_rr(w: int, dst: int, src: int) -> bytes:
    """MOV r/m32, r32 or r/m64, r64 (89 /r)."""
    return reg_reg(b"", w << 3, b"\x89", src, dst)


def mov_ri(dst: int, imm: int) -> bytes:
    """The shortest MOV of a constant that may be signed or unsigned: the flags stay, and all 64 bits are set.

    MOV r32, imm32 (B8+r id), MOV r/m64, imm32 sign-extended (REX.W C7 /0 id) or MOV r64, imm64 (REX.W B8+r io).
    """
    if 0 <= imm <= 0xFFFF_FFFF and not dst & -16:
        return _MOV_R32_IMM32[dst] + imm.to_bytes(4, "little")
    if not -0x8000_0000_0000_0000 <= imm <= 0xFFFF_FFFF_FFFF_FFFF:
        raise ValueError(f"{imm} does not fit 64 bits")
    imm &= 0xFFFF_FFFF_FFFF_FFFF
    if imm >= 0xFFFF_FFFF_8000_0000:
        return reg_reg(b"", 8, b"\xc7", 0, dst) + (imm & 0xFFFF_FFFF).to_bytes(4, "little")
    return reg_only(8, 0xB8, dst) + imm.to_bytes(8, "little")


def zero(dst: int) -> bytes:
    """XOR r32, r32 of a register with itself (31 /r), which changes the flags."""
    return reg_reg(b"", 0, b"\x31", dst, dst)


def mov_rm(w: int, dst: int, base: int, disp: int) -> bytes:
    """MOV r32, m32 or r64, m64 (8B /r)."""
    return reg_mem(b"", w << 3, b"\x8b", dst, base, disp)


def mov_rx(w: int, dst: int, base: int, index: int, scale: int, disp: int) -> bytes:
    """MOV r32, m32 or r64, m64 (8B /r)."""
    return reg_index(b"", w << 3, b"\x8b", dst, base, index, scale, disp)


def mov_mr(w: int, base: int, disp: int, src: int) -> bytes:
    """MOV m32, r32 or m64, r64 (89 /r)."""
    return reg_mem(b"", w << 3, b"\x89", src, base, disp)


def mov_xr(w: int, base: int, index: int, scale: int, disp: int, src: int) -> bytes:
    """MOV m32, r32 or m64, r64 (89 /r)."""
    return reg_index(b"", w << 3, b"\x89", src, base, index, scale, disp)


def mov_mi(w: int, base: int, disp: int, imm: int) -> bytes:
    """MOV m32, imm32 or m64, imm32 sign-extended (C7 /0 id)."""
    return reg_mem(b"", w << 3, b"\xc7", 0, base, disp) + imm32(imm)


def mov_xi(w: int, base: int, index: int, scale: int, disp: int, imm: int) -> bytes:
    """MOV m32, imm32 or m64, imm32 sign-extended (C7 /0 id)."""
    return reg_index(b"", w << 3, b"\xc7", 0, base, index, scale, disp) + imm32(imm)


def mov8_mr(base: int, disp: int, src: int) -> bytes:
    """MOV m8, r8 (88 /r)."""
    return reg_mem(b"", rex_of_byte(src), b"\x88", src, base, disp)


def mov8_xr(base: int, index: int, scale: int, disp: int, src: int) -> bytes:
    """MOV m8, r8 (88 /r)."""
    return reg_index(b"", rex_of_byte(src), b"\x88", src, base, index, scale, disp)


def mov8_mi(base: int, disp: int, imm: int) -> bytes:
    """MOV m8, imm8 (C6 /0 ib); ``imm`` may be signed or unsigned."""
    return reg_mem(b"", 0, b"\xc6", 0, base, disp) + imm8(imm)


def mov8_xi(base: int, index: int, scale: int, disp: int, imm: int) -> bytes:
    """MOV m8, imm8 (C6 /0 ib); ``imm`` may be signed or unsigned."""
    return reg_index(b"", 0, b"\xc6", 0, base, index, scale, disp) + imm8(imm)


def mov16_mr(base: int, disp: int, src: int) -> bytes:
    """MOV m16, r16 (66 89 /r)."""
    return reg_mem(b"\x66", 0, b"\x89", src, base, disp)


def mov16_xr(base: int, index: int, scale: int, disp: int, src: int) -> bytes:
    """MOV m16, r16 (66 89 /r)."""
    return reg_index(b"\x66", 0, b"\x89", src, base, index, scale, disp)


def mov16_mi(base: int, disp: int, imm: int) -> bytes:
    """MOV m16, imm16 (66 C7 /0 iw); ``imm`` may be signed or unsigned."""
    return reg_mem(b"\x66", 0, b"\xc7", 0, base, disp) + imm16(imm)


def mov16_xi(base: int, index: int, scale: int, disp: int, imm: int) -> bytes:
    """MOV m16, imm16 (66 C7 /0 iw); ``imm`` may be signed or unsigned."""
    return reg_index(b"\x66", 0, b"\xc7", 0, base, index, scale, disp) + imm16(imm)


def movzx8_rr(dst: int, src: int) -> bytes:
    """MOVZX r32, r8 (0F B6 /r)."""
    return reg_reg(b"", rex_of_byte(src), b"\x0f\xb6", dst, src)


def movzx8_rm(dst: int, base: int, disp: int) -> bytes:
    """MOVZX r32, m8 (0F B6 /r)."""
    return reg_mem(b"", 0, b"\x0f\xb6", dst, base, disp)


def movzx8_rx(dst: int, base: int, index: int, scale: int, disp: int) -> bytes:
    """MOVZX r32, m8 (0F B6 /r)."""
    return reg_index(b"", 0, b"\x0f\xb6", dst, base, index, scale, disp)


def movzx16_rm(dst: int, base: int, disp: int) -> bytes:
    """MOVZX r32, m16 (0F B7 /r)."""
    return reg_mem(b"", 0, b"\x0f\xb7", dst, base, disp)


def movzx16_rx(dst: int, base: int, index: int, scale: int, disp: int) -> bytes:
    """MOVZX r32, m16 (0F B7 /r)."""
    return reg_index(b"", 0, b"\x0f\xb7", dst, base, index, scale, disp)


def movsx8_rr(w: int, dst: int, src: int) -> bytes:
    """MOVSX r32, r8 or r64, r8 (0F BE /r)."""
    return reg_reg(b"", w << 3 | rex_of_byte(src), b"\x0f\xbe", dst, src)


def movsx8_rm(w: int, dst: int, base: int, disp: int) -> bytes:
    """MOVSX r32, m8 or r64, m8 (0F BE /r)."""
    return reg_mem(b"", w << 3, b"\x0f\xbe", dst, base, disp)


def movsx8_rx(w: int, dst: int, base: int, index: int, scale: int, disp: int) -> bytes:
    """MOVSX r32, m8 or r64, m8 (0F BE /r)."""
    return reg_index(b"", w << 3, b"\x0f\xbe", dst, base, index, scale, disp)


def movsx16_rr(w: int, dst: int, src: int) -> bytes:
    """MOVSX r32, r16 or r64, r16 (0F BF /r)."""
    return reg_reg(b"", w << 3, b"\x0f\xbf", dst, src)


def movsx16_rm(w: int, dst: int, base: int, disp: int) -> bytes:
    """MOVSX r32, m16 or r64, m16 (0F BF /r)."""
    return reg_mem(b"", w << 3, b"\x0f\xbf", dst, base, disp)


def movsx16_rx(w: int, dst: int, base: int, index: int, scale: int, disp: int) -> bytes:
    """MOVSX r32, m16 or r64, m16 (0F BF /r)."""
    return reg_index(b"", w << 3, b"\x0f\xbf", dst, base, index, scale, disp)


def movsxd_rr(dst: int, src: int) -> bytes:
    """MOVSXD r64, r32 (REX.W 63 /r)."""
    return reg_reg(b"", 8, b"\x63", dst, src)


def movsxd_rm(dst: int, base: int, disp: int) -> bytes:
    """MOVSXD r64, m32 (REX.W 63 /r)."""
    return reg_mem(b"", 8, b"\x63", dst, base, disp)


def movsxd_rx(dst: int, base: int, index: int, scale: int, disp: int) -> bytes:
    """MOVSXD r64, m32 (REX.W 63 /r)."""
    return reg_index(b"", 8, b"\x63", dst, base, index, scale, disp)


def lea_rm(w: int, dst: int, base: int, disp: int) -> bytes:
    """LEA r32, m or r64, m (8D /r)."""
    return reg_mem(b"", w << 3, b"\x8d", dst, base, disp)


def lea_rx(w: int, dst: int, base: int, index: int, scale: int, disp: int) -> bytes:
    """LEA r32, m or r64, m (8D /r)."""
    return reg_index(b"", w << 3, b"\x8d", dst, base, index, scale, disp)


def lea_rip(dst: int, rel32: int) -> bytes:
    """LEA r64, m relative to the end of the instruction (REX.W 8D /r)."""
    return reg_rip(8, b"\x8d", dst, rel32)


def xchg_rr(w: int, a: int, b: int) -> bytes:
    """XCHG r32, r32 or r64, r64 (90+r where one is rax; 87 /r)."""
    # 90 is NOP, which does not clear the upper half as an exchange of eax with itself does.
    if (a == 0 or b == 0) and (w or a != b):
        return reg_only(w << 3, 0x90, a | b)
    return reg_reg(b"", w << 3, b"\x87", b, a)


def movups_rm(dst: int, base: int, disp: int) -> bytes:
    """MOVUPS xmm, m128 (0F 10 /r)."""
    return reg_mem(b"", 0, b"\x0f\x10", dst, base, disp)


def movups_rx(dst: int, base: int, index: int, scale: int, disp: int) -> bytes:
    """MOVUPS xmm, m128 (0F 10 /r)."""
    return reg_index(b"", 0, b"\x0f\x10", dst, base, index, scale, disp)


def movups_mr(base: int, disp: int, src: int) -> bytes:
    """MOVUPS m128, xmm (0F 11 /r)."""
    return reg_mem(b"", 0, b"\x0f\x11", src, base, disp)


def movups_xr(base: int, index: int, scale: int, disp: int, src: int) -> bytes:
    """MOVUPS m128, xmm (0F 11 /r)."""
    return reg_index(b"", 0, b"\x0f\x11", src, base, index, scale, disp)


__all__ = [
    "lea_rip",
    "lea_rm",
    "lea_rx",
    "mov8_mi",
    "mov8_mr",
    "mov8_xi",
    "mov8_xr",
    "mov16_mi",
    "mov16_mr",
    "mov16_xi",
    "mov16_xr",
    "mov_mi",
    "mov_mr",
    "mov_ri",
    "mov_rm",
    "mov_rr",
    "mov_rx",
    "mov_xi",
    "mov_xr",
    "movsx8_rm",
    "movsx8_rr",
    "movsx8_rx",
    "movsx16_rm",
    "movsx16_rr",
    "movsx16_rx",
    "movsxd_rm",
    "movsxd_rr",
    "movsxd_rx",
    "movups_mr",
    "movups_rm",
    "movups_rx",
    "movups_xr",
    "movzx8_rm",
    "movzx8_rr",
    "movzx8_rx",
    "movzx16_rm",
    "movzx16_rx",
    "xchg_rr",
    "zero",
]
