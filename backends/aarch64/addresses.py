"""Offsets and numbers of any size, where one instruction has room for 12 bits."""

from __future__ import annotations

from . import asm
from .encoding import arithmetic_immediate, bad_register, word
from .regs import SCRATCH


def at(op: int, reg: int, base: int, offset: int, scratch: int = SCRATCH) -> bytes:
    """A load or store at ``[base + offset]``; an offset that does not fit goes to ``scratch``.

    As ``base``, 31 is the stack pointer.
    """
    size = op >> 30 & 3
    if not offset & 7 and 0 <= offset < 4096 << size and op != asm.STR_Q and op != asm.LDR_Q:
        # Nearly always.
        if (reg | base) & -32:
            raise bad_register(reg, base)
        return word(op | offset >> size << 10 | base << 5 | reg)
    if asm.fits_access(op, offset):
        return asm.access(op, reg, base, offset)
    return asm.mov_ri(scratch, offset) + asm.access_x(op, reg, base, scratch)


def add(dst: int, src: int, value: int, scratch: int = SCRATCH) -> bytes:
    """``dst = src + value`` in 64 bits; a value of more than 24 bits goes to ``scratch``.

    As ``dst`` and ``src``, 31 is the stack pointer.
    """
    if arithmetic_immediate(abs(value)) >= 0:
        return asm.alu_ri(asm.ADD, 1, dst, src, value)
    size = abs(value)
    if size >> 24 == 0:
        op = asm.ADD if value > 0 else asm.SUB
        return asm.alu_ri(op, 1, dst, src, size & 0xFFF000) + asm.alu_ri(op, 1, dst, dst, size & 0xFFF)
    return asm.mov_ri(scratch, value) + asm.alu_rrx(asm.ADD, 1, dst, src, scratch, asm.UXTX, 0)
