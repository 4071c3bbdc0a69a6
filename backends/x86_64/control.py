"""Conditions, the tests that set them and the jumps that take them, and traps.

A condition is one of Intel's sixteen, or one of the two that comparing floats for equality takes two flags for.
Inverting the lowest bit gives the opposite condition.

A jump whose target is not known yet ends with its 4-byte displacement, so its fix-up site is simply the end of the
emitted code.
"""

from __future__ import annotations

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
from .. import assembly
from ..operand import CONSTANT, FLAGS, REGISTER, Operand
from . import asm
from .regs import CONTEXT, FRAME, RAX, RCX, RDI, RSI, RSP
from .selection import Selection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

FIXUP_SIZE = 4
FUNCTION_ALIGNMENT = 16
LOOP_ALIGNMENT = 16
JUMP_TABLE_ALIGNMENT = 4
LONGEST_REACH = 0
FAR_LITERALS = 1
#: INT3.
FILLER = b"\xcc"

# -- conditions --------------------------------------------------------------------------------------------------------

#: `ucomis` says equal by "zero and not parity", since unordered sets zero, parity and carry.
FLOAT_EQUAL = 16
FLOAT_NOT_EQUAL = 17

#: Condition after exchanging the operands of a comparison of integers.
SWAPPED = {
    asm.CC_E: asm.CC_E,
    asm.CC_NE: asm.CC_NE,
    asm.CC_L: asm.CC_G,
    asm.CC_G: asm.CC_L,
    asm.CC_LE: asm.CC_GE,
    asm.CC_GE: asm.CC_LE,
    asm.CC_B: asm.CC_A,
    asm.CC_A: asm.CC_B,
    asm.CC_BE: asm.CC_AE,
    asm.CC_AE: asm.CC_BE,
}


def invert(condition: int) -> int:
    """The condition that holds exactly when ``condition`` does not."""
    return condition ^ 1


def test_zero(s: Selection, wide: int, a: Operand) -> None:
    """Set the flags as a comparison of ``a`` with zero does."""
    if a.reg >= 0:
        s.code += asm.test_rr(wide, a.reg, a.reg)
    elif a.kind == CONSTANT:
        reg = s.in_register(a)
        s.code += asm.test_rr(wide, reg, reg)
    else:
        s.code += asm.alu_mi(asm.CMP, wide, FRAME, a.offset, 0)


def test(condition: Operand) -> tuple[bytes, int]:
    """Code that puts a condition into the flags, and the flags' condition under which it holds."""
    if condition.kind == FLAGS:
        return b"", condition.value
    if condition.kind == CONSTANT:
        # No scratch may be free here. The stack pointer is never zero, and equal to itself.
        always = asm.test_rr(1, RSP, RSP)
        never = asm.alu_rr(asm.CMP, 1, RSP, RSP)
        return always if condition.value else never, asm.CC_NE
    selection = Selection(0)
    test_zero(selection, 0, condition)
    return bytes(selection.code), asm.CC_NE


# -- jumps -------------------------------------------------------------------------------------------------------------


def reach(size: int) -> int:
    """How far the jumps of a function with ``size`` bytes of body have to reach: each reaches everything here."""
    return 0


def jump() -> bytes:
    """An unconditional jump whose displacement is filled in later."""
    return asm.jmp_rel32(0)


def jump_if(condition: int, reach: int) -> tuple[bytes, ...]:
    """A conditional jump as pieces, each of which ends with a displacement that is filled in later."""
    if condition == FLOAT_EQUAL:
        taken = asm.jcc_rel32(asm.CC_E, 0)
        return (asm.jcc_rel8(asm.CC_P, len(taken)) + taken,)
    if condition == FLOAT_NOT_EQUAL:
        return (asm.jcc_rel32(asm.CC_P, 0), asm.jcc_rel32(asm.CC_NE, 0))
    return (asm.jcc_rel32(condition, 0),)


def jump_back(distance: int) -> bytes:
    """A jump to ``distance`` bytes before its own start."""
    if distance <= 126:
        return asm.jmp_rel8(-distance - 2)
    return asm.jmp_rel32(-distance - 5)


def jump_back_if(condition: int, distance: int) -> bytes:
    """A conditional jump to ``distance`` bytes before its own start."""
    if condition == FLOAT_EQUAL:
        taken = jump_back_if(asm.CC_E, distance + 2)
        return asm.jcc_rel8(asm.CC_P, len(taken)) + taken
    if condition == FLOAT_NOT_EQUAL:
        first = jump_back_if(asm.CC_P, distance)
        return first + jump_back_if(asm.CC_NE, distance + len(first))
    if distance <= 126:
        return asm.jcc_rel8(condition, -distance - 2)
    return asm.jcc_rel32(condition, -distance - 6)


def _first_patch(code: bytearray, at: int, distance: int) -> None:
    """What :data:`patch` is until the first jump is met: struct, which does it from then on, is loaded late."""
    global patch
    from struct import Struct

    patch = Struct("<i").pack_into
    patch(code, at, distance)


#: Lets the jump that ends with the 4 bytes at ``at`` lead ``distance`` bytes beyond its end.
patch: Callable[[bytearray, int, int], None] = _first_patch


def table_index(index: Operand) -> tuple[bytes, int, int]:
    """Put the index of a jump table where it may be overwritten.

    The code, the index's register, and a scratch register.
    """
    if index.kind == REGISTER:
        return b"", index.reg, RCX if index.reg == RAX else RAX
    selection = Selection(0)
    selection.load(RAX, index)
    return bytes(selection.code), RAX, RCX


def jump_table(index: int, count: int, scratch: int, reach: int) -> tuple[bytes, bytes, bytes]:
    """A jump through a table of ``count`` entries by the register ``index``, which is overwritten.

    Returns:
        three pieces: the first ends with the displacement to the default target, the second with that to the table,
        whose entries are 4-byte distances from its own start, the third jumps.
    """
    return (
        asm.alu_ri(asm.CMP, 0, index, count) + asm.jcc_rel32(asm.CC_AE, 0),
        asm.lea_rip(scratch, 0),
        asm.movsxd_rx(index, scratch, index, 2, 0) + asm.alu_rr(asm.ADD, 1, index, scratch) + asm.jmp_r(index),
    )


def jump_table_entries(table: int, targets: list[int]) -> bytes:
    """The entries of the jump table at ``table``: the distance of each target from the table's start, 4 bytes each."""
    return b"".join((target - table & 0xFFFFFFFF).to_bytes(4, "little") for target in targets)


def pad(count: int) -> bytes:
    """``count`` bytes that do nothing."""
    return asm.nop(count)


# -- traps, interruptions, fuel ----------------------------------------------------------------------------------------


def trap(number: int) -> bytes:
    """An instruction that raises the trap ``number`` and carries it, so that the handler and the disassembler can
    tell.
    """
    return asm.ud1(number)


def raise_trap(pc: bytes) -> bytes:
    """Fill in the trap record for the trap whose number is in rdi; rsi is the store block.

    ``pc`` loads a return address into rax.
    """
    code = asm.mov_mr(1, RSI, STORE_TRAP, RDI)
    # The byte before the return address belongs to the call.
    code += pc + asm.alu_ri(asm.SUB, 1, RAX, 1) + asm.mov_mr(1, RSI, STORE_TRAP_PC, RAX)
    return code + asm.mov_mi(1, RSI, STORE_FAULT_ADDRESS, 0) + asm.mov_mi(1, RSI, STORE_SIGNAL, 0)


def poll(reach: int) -> tuple[bytes, bytes]:
    """Test the interrupt word: code that ends with the displacement to the cold part, and the cold part but for its
    jump back.
    """
    hot = asm.mov_rm(1, RAX, CONTEXT, CTX_STORE)
    hot += asm.alu_mi(asm.CMP, 0, RAX, STORE_INTERRUPT, 0)
    hot += asm.jcc_rel32(asm.CC_NE, 0)
    return hot, asm.call_m(RAX, STORE_POLL_STUB)


def use_fuel(scratch: int, reach: int) -> tuple[bytes, bytes]:
    """Take fuel: code that ends with the amount, which :func:`set_fuel` fills in later, and the jump if it is short."""
    take = asm.mov_rm(1, scratch, CONTEXT, CTX_STORE)
    take += asm.alu_mi(asm.SUB, 1, scratch, STORE_FUEL, 0x11223344)
    return take, asm.jcc_rel32(asm.CC_S, 0)


def set_fuel(code: bytearray, site: int, amount: int) -> None:
    """Fill in the amount of fuel that the code ending at ``site`` takes."""
    code[site - 4 : site] = amount.to_bytes(4, "little")


def check_zero_extended(reg: int, scratch: int) -> bytes:
    """Code that traps unless the upper half of ``reg`` is zero; for checked mode."""
    code = asm.mov_rr(1, scratch, reg)
    code += asm.shift_ri(asm.SHR, 1, scratch, 32)
    return code + asm.jcc_rel8(asm.CC_E, 4) + asm.ud1(TRAP_INVARIANT)


# -- jumps to labels ---------------------------------------------------------------------------------------------------


class Assembler(assembly.Assembler):
    """Code of stubs. Its jumps take the 4-byte form."""

    __slots__ = ()

    def jcc(self, cc: int, label: str) -> None:
        """A conditional jump."""
        self.use(asm.jcc_rel32(cc, 0), label)

    def jmp(self, label: str) -> None:
        """A jump."""
        self.use(asm.jmp_rel32(0), label)

    def call(self, label: str) -> None:
        """A call."""
        self.use(asm.call_rel32(0), label)

    def lead(self, site: int, distance: int) -> None:
        """Fill in a displacement, without loading struct for it."""
        self.code[site - 4 : site] = distance.to_bytes(4, "little", signed=True)


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
