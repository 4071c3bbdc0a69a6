"""Encoders of x86-64 instructions: pure functions from operands to bytes, as the Intel SDM volume 2 has them.

Registers are hardware numbers; ``w`` is 0 for a 32-bit and 1 for a 64-bit operation. A suffix names the shapes of the
operands: ``r`` register, ``i`` immediate, ``m`` memory at ``[base + disp]``, ``x`` memory at
``[base + (index << scale) + disp]``. Prefixes, displacements and immediates are as short as the operands allow.
Displacements, relative targets and immediates are signed and have 32 bits at most, where nothing else is said; what
does not fit, and a register that does not exist, is a :class:`ValueError`. Nothing is memoised: the callers do that.

Moves are in :mod:`.asm_mov` and SSE instructions in :mod:`.asm_floats`; all can be had from here, where the latter are
loaded when one is first asked for. Packed vector instructions are in :mod:`.asm_vector` alone.
"""

from __future__ import annotations

from ..assembly import late_names
from .asm_mov import *  # noqa: F403 - its __all__ names every encoder there
from .encoding import imm16, imm32, reg_index, reg_mem, reg_only, reg_reg, rel8, rex_of_byte, vex_reg_reg

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .asm_floats import *  # noqa: F403 - its __all__ names every encoder there

#: Operations of the ``alu_`` encoders.
ADD, OR, ADC, SBB, AND, SUB, XOR, CMP = range(8)
#: Operations of the ``shift_`` encoders.
ROL, ROR, SHL, SHR, SAR = 0, 1, 4, 5, 7
#: Condition codes; inverting the lowest bit gives the opposite condition.
CC_O, CC_NO, CC_B, CC_AE, CC_E, CC_NE, CC_BE, CC_A, CC_S, CC_NS, CC_P, CC_NP, CC_L, CC_GE, CC_LE, CC_G = range(16)

_ALU_RM_R = tuple(bytes((op << 3 | 1,)) for op in range(8))
_ALU_R_RM = tuple(bytes((op << 3 | 3,)) for op in range(8))
_ALU_RAX_I = tuple(bytes((op << 3 | 5,)) for op in range(8))
_SETCC = tuple(bytes((0x0F, 0x90 | cc)) for cc in range(16))
_CMOVCC = tuple(bytes((0x0F, 0x40 | cc)) for cc in range(16))
_JCC8 = tuple(bytes((0x70 | cc,)) for cc in range(16))
_JCC32 = tuple(bytes((0x0F, 0x80 | cc)) for cc in range(16))
#: The recommended NOP of each length (SDM volume 2, NOP).
_NOPS = (
    b"",
    b"\x90",
    b"\x66\x90",
    b"\x0f\x1f\x00",
    b"\x0f\x1f\x40\x00",
    b"\x0f\x1f\x44\x00\x00",
    b"\x66\x0f\x1f\x44\x00\x00",
    b"\x0f\x1f\x80\x00\x00\x00\x00",
    b"\x0f\x1f\x84\x00\x00\x00\x00\x00",
    b"\x66\x0f\x1f\x84\x00\x00\x00\x00\x00",
)


def _count(w: int, imm: int) -> bytes:
    """A shift count or bit number, below the width of the operand."""
    if imm & (-64 if w else -32):
        raise ValueError(f"{imm} is no bit number of a {64 if w else 32}-bit operand")
    return bytes((imm,))


#: Loads the encoders of SSE instructions, at the first use of one.
__getattr__ = late_names(globals(), "asm_floats")


# -- the eight classic operations, and test --------------------------------------------------------------------------


def alu_rr(op: int, w: int, dst: int, src: int) -> bytes:
    """``op`` r/m32, r32 or r/m64, r64 (01 + 8 * op /r)."""
    return reg_reg(b"", w << 3, _ALU_RM_R[op], src, dst)


def alu_ri(op: int, w: int, dst: int, imm: int) -> bytes:
    """``op`` r/m32, imm or r/m64, imm (83 /op ib; 05 + 8 * op id for rax; 81 /op id)."""
    if -0x80 <= imm <= 0x7F:
        return reg_reg(b"", w << 3, b"\x83", op, dst) + rel8(imm)
    if dst == 0:
        return (b"\x48" if w else b"") + _ALU_RAX_I[op] + imm32(imm)
    return reg_reg(b"", w << 3, b"\x81", op, dst) + imm32(imm)


def alu_rm(op: int, w: int, dst: int, base: int, disp: int) -> bytes:
    """``op`` r32, m32 or r64, m64 (03 + 8 * op /r)."""
    return reg_mem(b"", w << 3, _ALU_R_RM[op], dst, base, disp)


def alu_rx(op: int, w: int, dst: int, base: int, index: int, scale: int, disp: int) -> bytes:
    """``op`` r32, m32 or r64, m64 (03 + 8 * op /r)."""
    return reg_index(b"", w << 3, _ALU_R_RM[op], dst, base, index, scale, disp)


def alu_mr(op: int, w: int, base: int, disp: int, src: int) -> bytes:
    """``op`` m32, r32 or m64, r64 (01 + 8 * op /r)."""
    return reg_mem(b"", w << 3, _ALU_RM_R[op], src, base, disp)


def alu_mi(op: int, w: int, base: int, disp: int, imm: int) -> bytes:
    """``op`` m32, imm or m64, imm (83 /op ib; 81 /op id)."""
    if -0x80 <= imm <= 0x7F:
        return reg_mem(b"", w << 3, b"\x83", op, base, disp) + rel8(imm)
    return reg_mem(b"", w << 3, b"\x81", op, base, disp) + imm32(imm)


def test_rr(w: int, a: int, b: int) -> bytes:
    """TEST r/m32, r32 or r/m64, r64 (85 /r)."""
    return reg_reg(b"", w << 3, b"\x85", b, a)


def test_ri(w: int, a: int, imm: int) -> bytes:
    """TEST r/m32, imm32 or r/m64, imm32 (A9 id for rax; F7 /0 id)."""
    if a == 0:
        return (b"\x48\xa9" if w else b"\xa9") + imm32(imm)
    return reg_reg(b"", w << 3, b"\xf7", 0, a) + imm32(imm)


# -- multiplication, division, one-operand arithmetic ----------------------------------------------------------------


def imul_rr(w: int, dst: int, src: int) -> bytes:
    """IMUL r32, r/m32 or r64, r/m64 (0F AF /r)."""
    return reg_reg(b"", w << 3, b"\x0f\xaf", dst, src)


def imul_rm(w: int, dst: int, base: int, disp: int) -> bytes:
    """IMUL r32, m32 or r64, m64 (0F AF /r)."""
    return reg_mem(b"", w << 3, b"\x0f\xaf", dst, base, disp)


def imul_rri(w: int, dst: int, src: int, imm: int) -> bytes:
    """IMUL r32, r/m32, imm or r64, r/m64, imm (6B /r ib; 69 /r id)."""
    if -0x80 <= imm <= 0x7F:
        return reg_reg(b"", w << 3, b"\x6b", dst, src) + rel8(imm)
    return reg_reg(b"", w << 3, b"\x69", dst, src) + imm32(imm)


def div_r(w: int, src: int) -> bytes:
    """DIV r/m32 or r/m64 (F7 /6): rax, rdx = quotient and remainder of rdx:rax."""
    return reg_reg(b"", w << 3, b"\xf7", 6, src)


def idiv_r(w: int, src: int) -> bytes:
    """IDIV r/m32 or r/m64 (F7 /7): rax, rdx = quotient and remainder of rdx:rax, signed."""
    return reg_reg(b"", w << 3, b"\xf7", 7, src)


def cdq() -> bytes:
    """CDQ (99): edx = sign of eax."""
    return b"\x99"


def cqo() -> bytes:
    """CQO (REX.W 99): rdx = sign of rax."""
    return b"\x48\x99"


# -- shifts and bits -------------------------------------------------------------------------------------------------


def shift_rcl(op: int, w: int, dst: int) -> bytes:
    """``op`` r/m32, cl or r/m64, cl (D3 /op)."""
    return reg_reg(b"", w << 3, b"\xd3", op, dst)


def shift_ri(op: int, w: int, dst: int, imm: int) -> bytes:
    """``op`` r/m32, imm8 or r/m64, imm8 (D1 /op for 1; C1 /op ib)."""
    if imm == 1:
        return reg_reg(b"", w << 3, b"\xd1", op, dst)
    return reg_reg(b"", w << 3, b"\xc1", op, dst) + _count(w, imm)


def shlx(w: int, dst: int, src: int, count: int) -> bytes:
    """SHLX r32, r/m32, r32 or r64, r/m64, r64 (VEX.66.0F38 F7 /r, BMI2)."""
    return vex_reg_reg(2, 1, w, 0xF7, dst, count, src)


def shrx(w: int, dst: int, src: int, count: int) -> bytes:
    """SHRX r32, r/m32, r32 or r64, r/m64, r64 (VEX.F2.0F38 F7 /r, BMI2)."""
    return vex_reg_reg(2, 3, w, 0xF7, dst, count, src)


def sarx(w: int, dst: int, src: int, count: int) -> bytes:
    """SARX r32, r/m32, r32 or r64, r/m64, r64 (VEX.F3.0F38 F7 /r, BMI2)."""
    return vex_reg_reg(2, 2, w, 0xF7, dst, count, src)


def rorx(w: int, dst: int, src: int, imm: int) -> bytes:
    """RORX r32, r/m32, imm8 or r64, r/m64, imm8 (VEX.F2.0F3A F0 /r ib, BMI2)."""
    return vex_reg_reg(3, 3, w, 0xF0, dst, 0, src) + _count(w, imm)


def lzcnt(w: int, dst: int, src: int) -> bytes:
    """LZCNT r32, r/m32 or r64, r/m64 (F3 0F BD /r)."""
    return reg_reg(b"\xf3", w << 3, b"\x0f\xbd", dst, src)


def tzcnt(w: int, dst: int, src: int) -> bytes:
    """TZCNT r32, r/m32 or r64, r/m64 (F3 0F BC /r)."""
    return reg_reg(b"\xf3", w << 3, b"\x0f\xbc", dst, src)


def popcnt(w: int, dst: int, src: int) -> bytes:
    """POPCNT r32, r/m32 or r64, r/m64 (F3 0F B8 /r)."""
    return reg_reg(b"\xf3", w << 3, b"\x0f\xb8", dst, src)


def bsf(w: int, dst: int, src: int) -> bytes:
    """BSF r32, r/m32 or r64, r/m64 (0F BC /r)."""
    return reg_reg(b"", w << 3, b"\x0f\xbc", dst, src)


def bsr(w: int, dst: int, src: int) -> bytes:
    """BSR r32, r/m32 or r64, r/m64 (0F BD /r)."""
    return reg_reg(b"", w << 3, b"\x0f\xbd", dst, src)


# -- conditions ------------------------------------------------------------------------------------------------------


def setcc(cc: int, dst: int) -> bytes:
    """SETcc r/m8 (0F 90+cc)."""
    return reg_reg(b"", rex_of_byte(dst), _SETCC[cc], 0, dst)


def cmovcc_rr(cc: int, w: int, dst: int, src: int) -> bytes:
    """CMOVcc r32, r/m32 or r64, r/m64 (0F 40+cc /r)."""
    return reg_reg(b"", w << 3, _CMOVCC[cc], dst, src)


def cmovcc_rm(cc: int, w: int, dst: int, base: int, disp: int) -> bytes:
    """CMOVcc r32, m32 or r64, m64 (0F 40+cc /r), which reads its source in any case."""
    return reg_mem(b"", w << 3, _CMOVCC[cc], dst, base, disp)


# -- jumps, calls, stack; relative targets count from the end of the instruction -------------------------------------


def jcc_rel8(cc: int, rel: int) -> bytes:
    """Jcc rel8 (70+cc cb)."""
    return _JCC8[cc] + rel8(rel)


def jcc_rel32(cc: int, rel: int) -> bytes:
    """Jcc rel32 (0F 80+cc cd)."""
    return _JCC32[cc] + imm32(rel)


def jmp_rel8(rel: int) -> bytes:
    """JMP rel8 (EB cb)."""
    return b"\xeb" + rel8(rel)


def jmp_rel32(rel: int) -> bytes:
    """JMP rel32 (E9 cd)."""
    return b"\xe9" + imm32(rel)


def jmp_r(target: int) -> bytes:
    """JMP r/m64 (FF /4)."""
    return reg_reg(b"", 0, b"\xff", 4, target)


def jmp_m(base: int, disp: int) -> bytes:
    """JMP m64 (FF /4)."""
    return reg_mem(b"", 0, b"\xff", 4, base, disp)


def call_rel32(rel: int) -> bytes:
    """CALL rel32 (E8 cd)."""
    return b"\xe8" + imm32(rel)


def call_m(base: int, disp: int) -> bytes:
    """CALL m64 (FF /2)."""
    return reg_mem(b"", 0, b"\xff", 2, base, disp)


def ret() -> bytes:
    """RET (C3)."""
    return b"\xc3"


def ret_imm(count: int) -> bytes:
    """RET imm16 (C2 iw), which frees ``count`` bytes of arguments."""
    if count < 0:
        raise ValueError(f"{count} does not fit 16 bits as an unsigned number")
    return b"\xc2" + imm16(count)


def push_r(src: int) -> bytes:
    """PUSH r64 (50+r)."""
    return reg_only(0, 0x50, src)


def push_i(imm: int) -> bytes:
    """PUSH imm8 or imm32, sign-extended to 64 bits (6A ib; 68 id)."""
    if -0x80 <= imm <= 0x7F:
        return b"\x6a" + rel8(imm)
    return b"\x68" + imm32(imm)


def push_m(base: int, disp: int) -> bytes:
    """PUSH m64 (FF /6)."""
    return reg_mem(b"", 0, b"\xff", 6, base, disp)


def pop_r(dst: int) -> bytes:
    """POP r64 (58+r)."""
    return reg_only(0, 0x58, dst)


def pop_m(base: int, disp: int) -> bytes:
    """POP m64 (8F /0); with rsp as the base the address counts from where rsp is afterwards."""
    return reg_mem(b"", 0, b"\x8f", 0, base, disp)


def leave_() -> bytes:
    """LEAVE (C9)."""
    return b"\xc9"


# -- traps, strings, processor state ---------------------------------------------------------------------------------


def nop(count: int) -> bytes:
    """``count`` bytes of the NOPs that Intel recommends (90; 0F 1F /0), in as few instructions as that takes."""
    if count < 0:
        raise ValueError("a negative number of bytes")
    longest, rest = divmod(count, 9)
    return _NOPS[9] * longest + _NOPS[rest]


def ud1(code: int) -> bytes:
    """UD1 eax, [rax + code] (0F B9 /r, disp8 even for 0): raises #UD, and carries ``code``, 0 to 127."""
    if code & -128:
        raise ValueError(f"{code} is no trap code from 0 to 127")
    return b"\x0f\xb9\x40" + bytes((code,))


def cld() -> bytes:
    """CLD (FC)."""
    return b"\xfc"


def rep_movsb() -> bytes:
    """REP MOVSB (F3 A4)."""
    return b"\xf3\xa4"


def rep_movsq() -> bytes:
    """REP MOVSQ (F3 REX.W A5)."""
    return b"\xf3\x48\xa5"


def rep_stosq() -> bytes:
    """REP STOSQ (F3 REX.W AB)."""
    return b"\xf3\x48\xab"


def cpuid() -> bytes:
    """CPUID (0F A2)."""
    return b"\x0f\xa2"


def xgetbv() -> bytes:
    """XGETBV (0F 01 D0): edx:eax = the extended control register that ecx has the number of."""
    return b"\x0f\x01\xd0"


def stmxcsr_m(base: int, disp: int) -> bytes:
    """STMXCSR m32 (0F AE /3)."""
    return reg_mem(b"", 0, b"\x0f\xae", 3, base, disp)


def ldmxcsr_m(base: int, disp: int) -> bytes:
    """LDMXCSR m32 (0F AE /2)."""
    return reg_mem(b"", 0, b"\x0f\xae", 2, base, disp)
