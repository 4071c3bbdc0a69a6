"""Encoders of A64 instructions: pure functions from operands to bytes, as the Arm ARM (DDI 0487, chapter C6) has them.

Registers are hardware numbers, the destination first; ``w`` is 0 for a 32-bit and 1 for a 64-bit operation. A suffix
names the shapes of the operands: ``r`` register, ``i`` immediate. Offsets and relative targets are counted in bytes,
targets from the instruction itself. What does not fit its field, and a register that does not exist, is a
:class:`ValueError`. Nothing is memoised: the callers do that.

Moves are in :mod:`.asm_mov` and floating-point instructions in :mod:`.asm_floats`; all can be had from here, where the
latter are loaded when one is first asked for. Instructions on all lanes of a vector are in :mod:`.asm_vector` alone.
"""

from __future__ import annotations

from ..assembly import late_names
from .asm_mov import *  # noqa: F403 - its __all__ names every encoder there
from .encoding import (
    arithmetic_immediate,
    bad_register,
    condition,
    four_registers,
    logical_immediate,
    one_register,
    relative,
    signed,
    three_registers,
    two_registers,
    unsigned,
    word,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .asm_floats import *  # noqa: F403 - its __all__ names every encoder there

#: Operations of ``alu_rr`` and ``alu_rrs``: their opcode bits. Those of the first line also have immediates of 12 bits
#: and extended operands, those of the second line have logical immediates.
ADD, ADDS, SUB, SUBS = 0x0B00_0000, 0x2B00_0000, 0x4B00_0000, 0x6B00_0000
AND, ORR, EOR, ANDS = 0x0A00_0000, 0x2A00_0000, 0x4A00_0000, 0x6A00_0000
BIC, ORN = 0x0A20_0000, 0x2A20_0000
#: Shifts: of a register by a register or a number, or of an operand.
LSL, LSR, ASR, ROR = range(4)
#: Extensions of an operand.
UXTB, UXTH, UXTW, UXTX, SXTB, SXTH, SXTW, SXTX = range(8)
#: Conditions; inverting the lowest bit gives the opposite one.
CC_EQ, CC_NE, CC_HS, CC_LO, CC_MI, CC_PL, CC_VS, CC_VC, CC_HI, CC_LS, CC_GE, CC_LT, CC_GT, CC_LE, CC_AL = range(15)
#: System registers, as ``mrs`` and ``msr`` name them (op0, op1, CRn, CRm, op2).
FPCR, CTR_EL0 = 0x5A20, 0x5801


#: Loads the encoders of floating-point and vector instructions, at the first use of one.
__getattr__ = late_names(globals(), "asm_floats")


# -- addition, subtraction, logic ----------------------------------------------------------------------------------


def alu_rr(op: int, w: int, dst: int, a: int, b: int) -> bytes:
    """``dst = a op b``; the register 31 is zero."""
    if (dst | a | b) & -32:
        raise bad_register(dst, a, b)
    return word(op | w << 31 | b << 16 | a << 5 | dst)


def alu_rrs(op: int, w: int, dst: int, a: int, b: int, shift: int, count: int) -> bytes:
    """``dst = a op (b shifted by count)``; only logical operations rotate."""
    if shift >> 2 or (shift == ROR and op & 0x0100_0000):
        raise ValueError(f"no such shift: {shift}")
    return three_registers(op | w << 31 | shift << 22 | unsigned(count, 6 if w else 5) << 10, dst, a, b)


def alu_rrx(op: int, w: int, dst: int, a: int, b: int, extend: int, count: int) -> bytes:
    """ADD, ADDS, SUB or SUBS of ``a`` and ``b`` extended and shifted left by 0 to 4.

    As ``a``, and as ``dst`` where no flags are set, the register 31 is the stack pointer.
    """
    if not op & 0x0100_0000 or not 0 <= count <= 4:
        raise ValueError(f"no extended register form, or a shift by {count}")
    return three_registers(op | 0x0020_0000 | w << 31 | unsigned(extend, 3) << 13 | count << 10, dst, a, b)


def alu_ri(op: int, w: int, dst: int, a: int, imm: int) -> bytes:
    """ADD, ADDS, SUB or SUBS of a number below 4096, or a multiple of 4096 below 2**24; a negative one turns into the
    opposite operation.

    As ``a``, and as ``dst`` where no flags are set, the register 31 is the stack pointer.
    """
    if imm < 0:
        op ^= 0x4000_0000
        imm = -imm
    field = arithmetic_immediate(imm)
    if field < 0 or not op & 0x0100_0000:
        raise ValueError(f"{imm} is no immediate of this operation")
    return two_registers(op ^ 0x1A00_0000 | w << 31 | field, dst, a)


def logic_ri(op: int, w: int, dst: int, a: int, imm: int) -> bytes:
    """AND, ORR, EOR or ANDS of a logical immediate, unsigned; but for ANDS, the ``dst`` 31 is the stack pointer."""
    field = logical_immediate(imm, w)
    if field < 0 or op & 0x0120_0000:
        raise ValueError(f"{imm:#x} is no immediate of this operation")
    return two_registers(op ^ 0x1800_0000 | w << 31 | field, dst, a)


def cmp_rr(w: int, a: int, b: int) -> bytes:
    """CMP: SUBS to nowhere."""
    if (a | b) & -32:
        raise bad_register(a, b)
    return word(SUBS | w << 31 | b << 16 | a << 5 | 31)


def cmp_ri(w: int, a: int, imm: int) -> bytes:
    """CMP, or CMN of a negative number."""
    return alu_ri(SUBS, w, 31, a, imm)


def tst_ri(w: int, a: int, imm: int) -> bytes:
    """TST of a logical immediate."""
    return logic_ri(ANDS, w, 31, a, imm)


def neg(w: int, dst: int, src: int) -> bytes:
    """NEG: SUB from zero."""
    return three_registers(SUB | w << 31, dst, 31, src)


def mvn(w: int, dst: int, src: int) -> bytes:
    """MVN: ORN with zero."""
    return three_registers(ORN | w << 31, dst, 31, src)


# -- multiplication, division --------------------------------------------------------------------------------------


def madd(w: int, dst: int, a: int, b: int, addend: int) -> bytes:
    """MADD: ``dst = addend + a * b``."""
    return four_registers(0x1B00_0000 | w << 31, dst, a, b, addend)


def msub(w: int, dst: int, a: int, b: int, minuend: int) -> bytes:
    """MSUB: ``dst = minuend - a * b``."""
    return four_registers(0x1B00_8000 | w << 31, dst, a, b, minuend)


def mul(w: int, dst: int, a: int, b: int) -> bytes:
    """MUL: MADD to zero."""
    return four_registers(0x1B00_0000 | w << 31, dst, a, b, 31)


def sdiv(w: int, dst: int, a: int, b: int) -> bytes:
    """SDIV: 0 if ``b`` is 0, and the most negative number divided by -1 is itself."""
    return three_registers(0x1AC0_0C00 | w << 31, dst, a, b)


def udiv(w: int, dst: int, a: int, b: int) -> bytes:
    """UDIV: 0 if ``b`` is 0."""
    return three_registers(0x1AC0_0800 | w << 31, dst, a, b)


# -- shifts, bit fields, bit counts --------------------------------------------------------------------------------


def shift_rr(op: int, w: int, dst: int, src: int, count: int) -> bytes:
    """LSLV, LSRV, ASRV or RORV: the count is taken modulo the width."""
    return three_registers(0x1AC0_2000 | w << 31 | unsigned(op, 2) << 10, dst, src, count)


def shift_ri(op: int, w: int, dst: int, src: int, count: int) -> bytes:
    """LSL, LSR, ASR or ROR by a number below the width: UBFM, SBFM or EXTR."""
    bits = 64 if w else 32
    if not 0 <= count < bits:
        raise ValueError(f"{count} is no shift count of a {bits}-bit operand")
    if op == LSL:
        return ubfm(w, dst, src, -count & bits - 1, bits - 1 - count)
    if op == LSR:
        return ubfm(w, dst, src, count, bits - 1)
    if op == ASR:
        return sbfm(w, dst, src, count, bits - 1)
    if op == ROR:
        return extr(w, dst, src, src, count)
    raise ValueError(f"no such shift: {op}")


def ubfm(w: int, dst: int, src: int, immr: int, imms: int) -> bytes:
    """UBFM: UBFX, UBFIZ, LSL, LSR, UXTB and UXTH are names of it."""
    bits = 6 if w else 5
    return two_registers(
        0x5300_0000 | w * 0x8040_0000 | unsigned(immr, bits) << 16 | unsigned(imms, bits) << 10, dst, src
    )


def sbfm(w: int, dst: int, src: int, immr: int, imms: int) -> bytes:
    """SBFM: SBFX, SBFIZ, ASR, SXTB, SXTH and SXTW are names of it."""
    bits = 6 if w else 5
    return two_registers(
        0x1300_0000 | w * 0x8040_0000 | unsigned(immr, bits) << 16 | unsigned(imms, bits) << 10, dst, src
    )


def extr(w: int, dst: int, high: int, low: int, count: int) -> bytes:
    """EXTR: the pair ``high:low`` shifted right."""
    return three_registers(0x1380_0000 | w * 0x8040_0000 | unsigned(count, 6 if w else 5) << 10, dst, high, low)


def clz(w: int, dst: int, src: int) -> bytes:
    """CLZ: the width for 0."""
    return two_registers(0x5AC0_1000 | w << 31, dst, src)


def rbit(w: int, dst: int, src: int) -> bytes:
    """RBIT: the bits in reverse order."""
    return two_registers(0x5AC0_0000 | w << 31, dst, src)


# -- conditions ----------------------------------------------------------------------------------------------------


def csel(cc: int, w: int, dst: int, a: int, b: int) -> bytes:
    """CSEL: ``a`` if the condition holds, else ``b``."""
    if (dst | a | b) & -32:
        raise bad_register(dst, a, b)
    return word(0x1A80_0000 | w << 31 | condition(cc) | b << 16 | a << 5 | dst)


def cset(cc: int, dst: int) -> bytes:
    """CSET: 1 if the condition holds, else 0, in all 64 bits."""
    return one_register(0x1A9F_07E0 | condition(cc, 14) ^ 0x1000, dst)


def ccmp_ri(cc: int, w: int, a: int, imm: int, nzcv: int) -> bytes:
    """CCMP with a number from 0 to 31."""
    return two_registers(0x7A40_0800 | w << 31 | condition(cc) | unsigned(imm, 5) << 16, unsigned(nzcv, 4), a)


# -- jumps ---------------------------------------------------------------------------------------------------------


def b(rel: int) -> bytes:
    """B: within 128 MiB."""
    return word(0x1400_0000 | relative(rel, 26))


def bl(rel: int) -> bytes:
    """BL: within 128 MiB."""
    return word(0x9400_0000 | relative(rel, 26))


def b_cond(cc: int, rel: int) -> bytes:
    """B.cond: within 1 MiB."""
    return word(0x5400_0000 | relative(rel, 19) << 5 | condition(cc) >> 12)


def cbz(w: int, reg: int, rel: int) -> bytes:
    """CBZ: within 1 MiB."""
    return one_register(0x3400_0000 | w << 31 | relative(rel, 19) << 5, reg)


def cbnz(w: int, reg: int, rel: int) -> bytes:
    """CBNZ: within 1 MiB."""
    return one_register(0x3500_0000 | w << 31 | relative(rel, 19) << 5, reg)


def tbz(reg: int, bit: int, rel: int) -> bytes:
    """TBZ: within 32 KiB."""
    return one_register(0x3600_0000 | _bit(bit) | relative(rel, 14) << 5, reg)


def tbnz(reg: int, bit: int, rel: int) -> bytes:
    """TBNZ: within 32 KiB."""
    return one_register(0x3700_0000 | _bit(bit) | relative(rel, 14) << 5, reg)


def _bit(number: int) -> int:
    unsigned(number, 6)
    return number >> 5 << 31 | (number & 31) << 19


def br(target: int) -> bytes:
    """BR."""
    return _to_register(0xD61F_0000, target)


def blr(target: int) -> bytes:
    """BLR."""
    return _to_register(0xD63F_0000, target)


def ret(target: int = 30) -> bytes:
    """RET."""
    return _to_register(0xD65F_0000, target)


def _to_register(op: int, target: int) -> bytes:
    if target & -32:
        raise bad_register(target)
    return word(op | target << 5)


def adr(dst: int, rel: int) -> bytes:
    """ADR: the address of this instruction and ``rel``, which is within 1 MiB."""
    field = signed(rel, 21)
    return one_register(0x1000_0000 | (field & 3) << 29 | field >> 2 << 5, dst)


# -- the system ----------------------------------------------------------------------------------------------------


def nop() -> bytes:
    """NOP."""
    return word(0xD503_201F)


def udf(imm: int) -> bytes:
    """UDF: permanently undefined, with a number of 16 bits."""
    return word(unsigned(imm, 16))


def mrs(dst: int, register: int) -> bytes:
    """MRS: read a system register."""
    return one_register(0xD530_0000 | _system(register), dst)


def msr(register: int, src: int) -> bytes:
    """MSR: write a system register."""
    return one_register(0xD510_0000 | _system(register), src)


def _system(register: int) -> int:
    if register >> 14 != 1:
        raise ValueError(f"no system register: {register:#x}")
    return (register & 0x7FFF) << 5


def dmb_ish() -> bytes:
    """DMB ISH: memory accesses before it come before those after it, for all processors."""
    return word(0xD503_3BBF)


def dsb_ish() -> bytes:
    """DSB ISH: wait until memory accesses and cache maintenance are done, for all processors."""
    return word(0xD503_3B9F)


def isb() -> bytes:
    """ISB: fetch what follows anew."""
    return word(0xD503_3FDF)


def dc_cvau(address: int) -> bytes:
    """DC CVAU: write a line of the data cache back to where instructions are fetched from."""
    return one_register(0xD50B_7B20, address)


def ic_ivau(address: int) -> bytes:
    """IC IVAU: drop a line of the instruction cache."""
    return one_register(0xD50B_7520, address)
