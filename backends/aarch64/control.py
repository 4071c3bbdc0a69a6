"""Conditions, the tests that ready them and the jumps that take them, and traps.

A condition below 16 is one of the flags. A larger one says that a register is zero, or a bit of it clear, which `cbz`
and `tbz` test without touching the flags. Inverting the lowest bit gives the opposite condition.

Comparing floats sets the flags so that each comparison takes one condition, which is false for NaN, and its opposite
true: "less" is `mi` and "less or equal" is `ls` (DDI 0487, "Floating-point comparison").

A jump whose target is not known yet is the last instruction of its piece, so its fix-up site is simply the end of the
emitted code.

How far a jump reaches differs: `tbz` 32 KiB, `b.cond` and `cbz` 1 MiB, `b` 128 MiB. Which one is needed is known when
it is too late to make room, so a function is compiled for a *reach*, guessed from the size of its body, and again for
the next one where the guess was wrong.
"""

from __future__ import annotations

from struct import Struct

from ...abi import (
    CTX_STORE,
    STORE_FAULT_ADDRESS,
    STORE_FUEL,
    STORE_INTERRUPT,
    STORE_POLL_STUB,
    STORE_SIGNAL,
    STORE_TRAP,
    STORE_TRAP_PC,
    TRAP_INVARIANT,
)
from .. import OutOfReach, assembly
from ..operand import CONSTANT, FLAGS, REGISTER, Operand
from . import asm
from .encoding import opposite
from .regs import CALLEE, CONTEXT, SCRATCH, SCRATCH2, ZR
from .selection import Selection

FIXUP_SIZE = 4
FUNCTION_ALIGNMENT = 16
#: Instructions begin at multiples of four bytes, and no core minds where a loop begins in a way that was worth padding.
LOOP_ALIGNMENT = 4
JUMP_TABLE_ALIGNMENT = 4
#: Reaches: every kind of jump may be used; all but `tbz`; only `b`, over which the opposite condition jumps.
SHORT, MIDDLE, LONG = range(3)
LONGEST_REACH = LONG
#: A load reaches as far as a conditional jump.
FAR_LITERALS = LONG
#: UDF with the number 0.
FILLER = b"\0"

# -- conditions --------------------------------------------------------------------------------------------------------

#: Bits of a condition that a branch tests by itself: the kind, then the bit's number from bit 10 up, the register from
#: bit 1 up, and whether it has 64 bits.
COMPARE_AND_BRANCH = 0x100
TEST_AND_BRANCH = 0x200
_WIDE = 0x40

#: Condition after exchanging the operands of a comparison of integers.
SWAPPED = {
    asm.CC_EQ: asm.CC_EQ,
    asm.CC_NE: asm.CC_NE,
    asm.CC_LT: asm.CC_GT,
    asm.CC_GT: asm.CC_LT,
    asm.CC_LE: asm.CC_GE,
    asm.CC_GE: asm.CC_LE,
    asm.CC_LO: asm.CC_HI,
    asm.CC_HI: asm.CC_LO,
    asm.CC_LS: asm.CC_HS,
    asm.CC_HS: asm.CC_LS,
}


def invert(condition: int) -> int:
    """The condition that holds exactly when ``condition`` does not."""
    return condition ^ 1


def zero(w: int, reg: int) -> int:
    """The condition that a register is zero."""
    return COMPARE_AND_BRANCH | (_WIDE if w else 0) | reg << 1


def bit_clear(reg: int, bit: int) -> int:
    """The condition that a bit of a register is clear."""
    return TEST_AND_BRANCH | bit << 10 | (_WIDE if bit > 31 else 0) | reg << 1


def tested(condition: int) -> tuple[int, int, int]:
    """What a condition from 16 up tests: whether the register has 64 bits, its number, and the bit's number."""
    return condition >> 6 & 1, condition >> 1 & 31, condition >> 10


def into_flags(s: Selection, condition: Operand) -> int:
    """The flags' condition under which the FLAGS entry ``condition`` holds; a register is tested only here."""
    if condition.value < 16:
        return condition.value
    wide, reg, bit = tested(condition.value)
    if condition.value & TEST_AND_BRANCH:
        s.code += asm.tst_ri(wide, reg, 1 << bit)
    else:
        s.code += asm.cmp_ri(wide, reg, 0)
    return asm.CC_EQ ^ condition.value & 1


def test(condition: Operand) -> tuple[bytes, int]:
    """Code that readies a condition, and the condition under which it holds."""
    if condition.kind == FLAGS:
        return b"", condition.value
    if condition.kind == CONSTANT:
        return asm.cmp_rr(1, ZR, ZR), asm.CC_EQ if condition.value else asm.CC_NE
    if condition.reg >= 0:
        return b"", invert(zero(0, condition.reg))
    selection = Selection(0)
    selection.load(SCRATCH, condition)
    return bytes(selection.code), invert(zero(0, SCRATCH))


# -- jumps -------------------------------------------------------------------------------------------------------------


#: Bytes of a body up to which code nearly always fits the reach.
_SHORT_BODY = 1 << 12
_MIDDLE_BODY = 1 << 17
#: Bytes that jumps reach back.
_FARTHEST_BACK = 1 << 27
_BACK = 1 << 20
_BACK_BIT = 1 << 15

_words = Struct("<I")
_read_word = _words.unpack_from
_write_word = _words.pack_into
_distance = Struct("<i")


def reach(size: int) -> int:
    """How far the jumps of a function with ``size`` bytes of body have to reach, as a first guess."""
    return SHORT if size <= _SHORT_BODY else MIDDLE if size <= _MIDDLE_BODY else LONG


def jump() -> bytes:
    """An unconditional jump whose distance is filled in later."""
    return asm.b(0)


def far(piece: bytes, reach: int) -> bytes:
    """A piece that ends with a conditional jump, made to reach everything if need be."""
    return piece[:-4] + _over(piece[-4:]) + asm.b(0) if reach == LONG else piece


def _over(conditional: bytes) -> bytes:
    """The opposite of a jump, over one instruction."""
    code = bytearray(opposite(conditional))
    patch(code, 0, 4)
    return bytes(code)


def _jump_if(condition: int) -> bytes:
    """A conditional jump to itself, as yet."""
    if condition & COMPARE_AND_BRANCH:
        w, reg, _ = tested(condition)
        return asm.cbnz(w, reg, 0) if condition & 1 else asm.cbz(w, reg, 0)
    if condition & TEST_AND_BRANCH:
        _, reg, bit = tested(condition)
        return asm.tbnz(reg, bit, 0) if condition & 1 else asm.tbz(reg, bit, 0)
    return asm.b_cond(condition, 0)


def jump_if(condition: int, reach: int) -> tuple[bytes, ...]:
    """A conditional jump as pieces, each of which ends with a jump whose distance is filled in later."""
    if reach == MIDDLE and condition & TEST_AND_BRANCH:
        w, reg, bit = tested(condition)
        return (asm.tst_ri(w, reg, 1 << bit) + asm.b_cond(asm.CC_NE if condition & 1 else asm.CC_EQ, 0),)
    return (far(_jump_if(condition), reach),)


def jump_back(distance: int) -> bytes:
    """A jump to ``distance`` bytes before its own start."""
    if distance > _FARTHEST_BACK:
        raise OutOfReach
    return asm.b(-distance)


def jump_back_if(condition: int, distance: int) -> bytes:
    """A conditional jump to ``distance`` bytes before its own start."""
    code = bytearray(_jump_if(condition))
    if distance <= (_BACK_BIT if condition & TEST_AND_BRANCH else _BACK):
        patch(code, 0, -distance - 4)
        return bytes(code)
    return _over(bytes(code)) + jump_back(distance + 4)


#: What stands above the distance in ``b.cond``, ``cbz`` and ``cbnz``, by the highest byte.
_bits_above = {kind: kind << 24 for kind in (0x54, 0x34, 0x35, 0xB4, 0xB5)}.get


def patch(code: bytearray, at: int, distance: int) -> None:
    """Let the jump at ``at``, whose distance is 0 as yet, lead ``distance`` bytes beyond its end.

    Raises:
        OutOfReach: it is too far for this kind of jump.
    """
    kind = code[at + 3]
    high = _bits_above(kind)
    if high is not None:  # b.cond, cbz, cbnz
        if not -0x10_0004 <= distance < 0xF_FFFC:
            raise OutOfReach
        # Arm counts from the start. The first byte holds a condition or a register, and nothing of the distance as yet.
        _write_word(code, at, high | (distance + 4 & 0x1F_FFFC) << 3 | code[at])
        return
    distance += 4
    if kind == 0x14:  # b
        if not -0x800_0000 <= distance < 0x800_0000:
            raise OutOfReach
        _write_word(code, at, 0x1400_0000 | distance >> 2 & 0x3FF_FFFF)
        return
    (word,) = _read_word(code, at)
    if kind & 0x7C == 0x14:  # bl
        if not -0x800_0000 <= distance < 0x800_0000:
            raise OutOfReach
        word |= distance >> 2 & 0x3FF_FFFF
    elif kind & 0x7E == 0x36:  # tbz, tbnz
        if not -0x8000 <= distance < 0x8000:
            raise OutOfReach
        word |= (distance & 0xFFFC) << 3
    elif kind == 0x9C:  # ldr of 16 bytes
        if not -0x10_0000 <= distance < 0x10_0000:
            raise OutOfReach
        word |= (distance & 0x1F_FFFC) << 3
    elif kind & 0x9F == 0x10:  # adr
        if not -0x10_0000 <= distance < 0x10_0000:
            raise OutOfReach
        word |= (distance & 3) << 29 | (distance & 0x1F_FFFC) << 3
    else:
        # A number for the code after it, see jump_table.
        word = distance & 0xFFFF_FFFF
    _write_word(code, at, word)


def table_index(index: Operand) -> tuple[bytes, int, int]:
    """Put the index of a jump table where it may be overwritten.

    The code, the index's register, and a scratch register.
    """
    if index.kind == REGISTER:
        return b"", index.reg, SCRATCH
    selection = Selection(0)
    selection.load(SCRATCH2, index)
    return bytes(selection.code), SCRATCH2, SCRATCH


def jump_table(index: int, count: int, scratch: int, reach: int) -> tuple[bytes, bytes, bytes]:
    """A jump through a table of ``count`` entries by the register ``index``.

    Returns:
        three pieces: the first ends with the jump to the default target, the second with the distance to the table,
        whose entries are 4-byte distances from its own start, the third jumps.
    """
    if count < 1 << 12:
        bound = asm.cmp_ri(0, index, count)
    else:
        bound = asm.mov_ri(scratch, count) + asm.cmp_rr(0, index, scratch)
    bound += far(asm.b_cond(asm.CC_HS, 0), reach)
    if reach == LONG:
        # adr reaches 1 MiB, so the distance is a word after a jump over it.
        address = asm.adr(scratch, 16) + asm.access(asm.LDRSW, CALLEE, scratch, 0)
        address += asm.alu_rr(asm.ADD, 1, scratch, scratch, CALLEE) + asm.b(8) + bytes(4)
    else:
        address = asm.adr(scratch, 0)
    go = asm.access_u(asm.LDRSW, CALLEE, scratch, index, True)
    return bound, address, go + asm.alu_rr(asm.ADD, 1, scratch, scratch, CALLEE) + asm.br(scratch)


def jump_table_entries(table: int, targets: list[int]) -> bytes:
    """The entries of the jump table at ``table``: the distance of each target from the table's start, 4 bytes each."""
    return b"".join([_distance.pack(target - table) for target in targets])


def pad(count: int) -> bytes:
    """``count`` bytes that do nothing."""
    return asm.nop() * (count >> 2)


# -- traps, interruptions, fuel ----------------------------------------------------------------------------------------


def trap(number: int) -> bytes:
    """An instruction that raises the trap ``number`` and carries it, so that the handler and the disassembler can
    tell.
    """
    return asm.udf(number)


def raise_trap(number: int, return_address: int, store: int) -> bytes:
    """Fill in the trap record; the arguments are registers. The return address is destroyed."""
    code = asm.access(asm.STR_X, number, store, STORE_TRAP)
    # The byte before the return address belongs to the call.
    code += asm.alu_ri(asm.SUB, 1, return_address, return_address, 1)
    code += asm.access(asm.STR_X, return_address, store, STORE_TRAP_PC)
    code += asm.access(asm.STR_X, ZR, store, STORE_FAULT_ADDRESS)
    return code + asm.access(asm.STR_X, ZR, store, STORE_SIGNAL)


def poll(reach: int) -> tuple[bytes, bytes]:
    """Test the interrupt word: code that ends with the jump to the cold part, and the cold part but for its jump
    back.
    """
    hot = asm.access(asm.LDR_X, SCRATCH, CONTEXT, CTX_STORE)
    hot += asm.access(asm.LDR_W, SCRATCH, SCRATCH, STORE_INTERRUPT)
    hot += far(asm.cbnz(0, SCRATCH, 0), reach)
    cold = asm.access(asm.LDR_X, SCRATCH, CONTEXT, CTX_STORE)
    return hot, cold + asm.access(asm.LDR_X, SCRATCH, SCRATCH, STORE_POLL_STUB) + asm.blr(SCRATCH)


def use_fuel(scratch: int, reach: int) -> tuple[bytes, bytes]:
    """Take fuel: code that ends with the amount, which :func:`set_fuel` fills in later, and the jump if it is short."""
    take = asm.movz(0, CALLEE, 0, 0) + asm.movk(0, CALLEE, 0, 16)
    rest = asm.access(asm.LDR_X, SCRATCH, CONTEXT, CTX_STORE) + asm.access(asm.LDR_X, SCRATCH2, SCRATCH, STORE_FUEL)
    rest += asm.alu_rr(asm.SUBS, 1, SCRATCH2, SCRATCH2, CALLEE) + asm.access(asm.STR_X, SCRATCH2, SCRATCH, STORE_FUEL)
    return take, rest + far(asm.b_cond(asm.CC_MI, 0), reach)


def set_fuel(code: bytearray, site: int, amount: int) -> None:
    """Fill in the amount of fuel that the code ending at ``site`` takes."""
    code[site - 8 : site] = asm.movz(0, CALLEE, amount & 0xFFFF, 0) + asm.movk(0, CALLEE, amount >> 16, 16)


def check_zero_extended(reg: int, scratch: int) -> bytes:
    """Code that traps unless the upper half of ``reg`` is zero; for checked mode."""
    return asm.shift_ri(asm.LSR, 1, SCRATCH, reg, 32) + asm.cbz(1, SCRATCH, 8) + asm.udf(TRAP_INVARIANT)


# -- jumps to labels ---------------------------------------------------------------------------------------------------


class Assembler(assembly.Assembler):
    """Code of stubs."""

    __slots__ = ()

    def b_cond(self, cc: int, label: str) -> None:
        """A conditional jump."""
        self.use(asm.b_cond(cc, 0), label)

    def cbz(self, w: int, reg: int, label: str) -> None:
        """A jump if a register is zero."""
        self.use(asm.cbz(w, reg, 0), label)

    def cbnz(self, w: int, reg: int, label: str) -> None:
        """A jump if a register is not zero."""
        self.use(asm.cbnz(w, reg, 0), label)

    def tbnz(self, reg: int, bit: int, label: str) -> None:
        """A jump if a bit of a register is set."""
        self.use(asm.tbnz(reg, bit, 0), label)

    def b(self, label: str) -> None:
        """A jump."""
        self.use(asm.b(0), label)

    def bl(self, label: str) -> None:
        """A call."""
        self.use(asm.bl(0), label)

    def adr(self, dst: int, label: str) -> None:
        """The address of ``label``."""
        self.use(asm.adr(dst, 0), label)

    def lead(self, site: int, distance: int) -> None:
        """Fill in a distance; raises :class:`OutOfReach` where it does not fit."""
        patch(self.code, site - 4, distance)


__all__ = [
    "FAR_LITERALS",
    "FILLER",
    "FIXUP_SIZE",
    "FUNCTION_ALIGNMENT",
    "JUMP_TABLE_ALIGNMENT",
    "LONGEST_REACH",
    "LOOP_ALIGNMENT",
    "check_zero_extended",
    "invert",
    "jump",
    "jump_back",
    "jump_back_if",
    "jump_if",
    "jump_table",
    "jump_table_entries",
    "pad",
    "patch",
    "poll",
    "reach",
    "set_fuel",
    "table_index",
    "test",
    "trap",
    "use_fuel",
]
