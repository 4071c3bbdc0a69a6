"""Jumps, tests, calls and the moves around them.

A jump whose target is not known yet ends with its 4-byte displacement, so its fix-up site is simply the end of the
emitted code.
"""

from __future__ import annotations

from ..abi import (
    CTX_STORE,
    STORE_FUEL,
    STORE_INTERRUPT,
    STORE_POLL_STUB,
    TRAP_INVARIANT,
)
from ..operand import CONSTANT, FLAGS, REGISTER, Operand
from . import asm
from .conditions import FLOAT_EQUAL, FLOAT_NOT_EQUAL
from .integers import test_zero
from .regs import CONTEXT, RAX, RCX, RSP
from .selection import Selection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def _first_patch(code: bytearray, at: int, distance: int) -> None:
    """What :data:`patch` is until the first jump is met: struct, which does it from then on, is loaded late."""
    global patch
    from struct import Struct

    patch = Struct("<i").pack_into
    patch(code, at, distance)


#: Lets the jump that ends with the 4 bytes at ``at`` lead ``distance`` bytes beyond its end.
patch: Callable[[bytearray, int, int], None] = _first_patch

#: Loops and the code behind a prologue begin at multiples of this many bytes.
LOOP_ALIGNMENT = 16
#: The last number that :func:`reach` gives.
LONGEST_REACH = 0


def reach(size: int) -> int:
    """How far the jumps of a function with ``size`` bytes of body have to reach: each reaches everything here."""
    return 0


def trap(number: int) -> bytes:
    """An instruction that raises the trap ``number`` and carries it, so that the handler and the disassembler can
    tell.
    """
    return asm.ud1(number)


def pad(count: int) -> bytes:
    """``count`` bytes that do nothing."""
    return asm.nop(count)


def jump_table_entries(table: int, targets: list[int]) -> bytes:
    """The entries of the jump table at ``table``: the distance of each target from the table's start, 4 bytes each."""
    return b"".join((target - table & 0xFFFFFFFF).to_bytes(4, "little") for target in targets)


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
            whose
        entries are 4-byte distances from its own start, the third jumps.
    """
    return (
        asm.alu_ri(asm.CMP, 0, index, count) + asm.jcc_rel32(asm.CC_AE, 0),
        asm.lea_rip(scratch, 0),
        asm.movsxd_rx(index, scratch, index, 2, 0) + asm.alu_rr(asm.ADD, 1, index, scratch) + asm.jmp_r(index),
    )


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
