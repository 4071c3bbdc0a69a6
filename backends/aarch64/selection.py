"""What the rules of every instruction use to choose machine code: registers, scratches, and moves of operands.

Two scratches of each class are nobody's between instructions, so a rule claims a temporary for nothing but its result.
"""

from __future__ import annotations

from .. import assembly
from ..operand import (
    ALL_ONES,
    CONSTANT,
    F64,
    FIRST_FLOAT_BIT,
    I32,
    I64,
    INTERN_LIMIT,
    LITERAL,
    SLOT,
    V128,
    Operand,
    is_float,
)
from . import asm, regs
from .addresses import at
from .regs import FLOAT_SCRATCH, FRAME, SCRATCH, SCRATCH2, ZR

#: Masks of the temporaries of each class.
INT_TEMPORARIES = sum([1 << reg for reg in regs.TEMPORARIES])
FLOAT_TEMPORARIES = sum([1 << FIRST_FLOAT_BIT + reg for reg in regs.FLOAT_TEMPORARIES])

#: Code that puts a constant into the first scratch, by the constant: a program names a float in many choices.
_wide_constants: dict[int, bytes] = {}


def _wide_constant(bits: int) -> bytes:
    if len(_wide_constants) >= INTERN_LIMIT:
        _wide_constants.clear()
    code = _wide_constants[bits] = asm.mov_ri(SCRATCH, bits)
    return code


class Selection(assembly.Selection):
    """Code being chosen for one instruction."""

    __slots__ = ()

    INT_TEMPORARIES = INT_TEMPORARIES
    FLOAT_TEMPORARIES = FLOAT_TEMPORARIES

    # -- moves: none of them changes the flags ------------------------------------------------------------------

    def load(self, dst: int, operand: Operand) -> None:
        """Put an integer or reference operand into the register ``dst``; nothing else is changed."""
        wide = 0 if operand.type == I32 else 1
        if operand.reg >= 0:
            if operand.reg != dst:
                self.code += asm.mov_rr(wide, dst, operand.reg)
        elif operand.kind == CONSTANT:
            start = len(self.code)
            self.code += asm.mov_ri(dst, operand.value)
            self.immediate = (start, len(self.code))
        else:
            self.code += at(asm.LDR_X if wide else asm.LDR_W, dst, FRAME, operand.offset, dst)

    def load_float(self, dst: int, operand: Operand) -> None:
        """Put a float operand into the vector register ``dst``, by way of the first scratch if need be."""
        double = 1 if operand.type == F64 else 0
        if operand.type == V128:
            if operand.reg >= 0:
                if operand.reg != dst:
                    self.code += asm.mov_v(dst, operand.reg)
            elif operand.kind == CONSTANT:
                self.load_vector(dst, operand)
            else:
                self.code += at(asm.LDR_Q, dst, FRAME, operand.offset)
        elif operand.reg >= 0:
            if operand.reg != dst:
                self.code += asm.fp_r(asm.FMOV, double, dst, operand.reg)
        elif operand.kind == CONSTANT:
            self.load_float_bits(double, dst, operand.value)
        else:
            self.code += at(asm.LDR_D if double else asm.LDR_S, dst, FRAME, operand.offset)

    def load_vector(self, dst: int, constant: Operand) -> None:
        """Put a vector constant into the vector register ``dst``: from beside the code if that can be, else by way of
        the first scratch.
        """
        value = constant.value
        if constant is not LITERAL and value == 0:
            self.code += asm.movi_zero(dst)
        elif constant is not LITERAL and value == ALL_ONES:
            self.code += asm.movi_ones(dst)
        elif self.literals is not None:
            self.literal(asm.ldr_q_literal(dst, 0), constant)
        else:
            low, high = value & 0xFFFF_FFFF_FFFF_FFFF, value >> 64
            self.code += asm.mov_ri(SCRATCH, low) + asm.fmov_to(1, dst, SCRATCH)
            if high:
                if high != low:
                    self.code += asm.mov_ri(SCRATCH, high)
                self.code += asm.ins_d(dst, 1, SCRATCH)

    def load_float_bits(self, double: int, dst: int, bits: int) -> None:
        """Put a float given by its bits into the vector register ``dst``, by way of the first scratch if need be."""
        if bits == 0:
            self.code += asm.movi_zero(dst)
            return
        short = asm.float_immediate(double, bits)
        if short >= 0:
            self.code += asm.fmov_i(double, dst, short)
            return
        self.code += _wide_constants.get(bits) or _wide_constant(bits)
        self.code += asm.fmov_to(double, dst, SCRATCH)

    def in_register(self, operand: Operand, scratch: int = SCRATCH) -> int:
        """The register that holds an integer operand: for 0 the one that is zero, ``scratch`` if none does."""
        if operand.reg >= 0:
            return operand.reg
        if operand.kind == CONSTANT and operand.value == 0:
            return ZR
        self.load(scratch, operand)
        return scratch

    def in_float_register(self, operand: Operand, scratch: int = FLOAT_SCRATCH) -> int:
        """The register that holds a float operand, which is loaded into ``scratch`` if none does."""
        if operand.reg >= 0:
            return operand.reg
        self.load_float(scratch, operand)
        return scratch

    def store(self, offset: int, operand: Operand, base: int = FRAME) -> None:
        """Store an operand into the cell at ``base + offset``, which has 16 bytes for a vector and 8 for all else; an
        i32 and an f32 are zero-extended.

        Both scratches may change; ``base`` may be the first one if the offset is below 32 KiB.
        """
        if operand.type == V128:
            self._store_vector(offset, operand, base)
            return
        op = asm.STR_X
        if operand.reg >= 0:
            reg = operand.reg
            if is_float(operand.type):
                # What is above an f32 in its register is zero.
                op = asm.STR_D
        else:
            reg = ZR
            if operand.kind != CONSTANT or operand.value:
                reg = SCRATCH2
                if operand.kind == CONSTANT:
                    self.code += asm.mov_ri(reg, operand.value)
                else:
                    self.load(reg, Operand(SLOT, I64, offset=operand.offset))
        self.code += at(op, reg, base, offset)

    def _store_vector(self, offset: int, operand: Operand, base: int) -> None:
        reg = operand.reg
        if reg < 0:
            reg = FLOAT_SCRATCH
            if operand.kind == CONSTANT and base == SCRATCH:
                # A constant takes the first scratch: its halves go by the second one.
                for half in (0, 8):
                    part = Operand(CONSTANT, I64, value=operand.value >> 8 * half & 0xFFFF_FFFF_FFFF_FFFF)
                    self.store(offset + half, part, base)
                return
            self.load_float(reg, operand)
        self.code += at(asm.STR_Q, reg, base, offset)

    # -- destinations -------------------------------------------------------------------------------------------

    def destination(self, sink: Operand | None, bits: int) -> int:
        """The integer register for a result: the sink's, the lowest of the temporaries ``bits`` of operands that die,
        or a fresh one.
        """
        if sink is not None:
            return sink.reg
        bits &= INT_TEMPORARIES
        if bits:
            return (bits & -bits).bit_length() - 1
        return self.take()

    def float_destination(self, sink: Operand | None, bits: int) -> int:
        """The vector register for a result, chosen like :meth:`destination`."""
        if sink is not None:
            return sink.reg
        bits &= FLOAT_TEMPORARIES
        if bits:
            return (bits & -bits).bit_length() - 1 - FIRST_FLOAT_BIT
        return self.take_float()

    # -- instructions with an immediate -----------------------------------------------------------------------------

    def with_immediate(self, instruction: bytes, first: int = 1, end: int = 3) -> None:
        """Append an instruction whose bytes from ``first`` to ``end`` are, but for two bits of its first source, the
        immediate.
        """
        position = len(self.code)
        self.code += instruction
        self.immediate = (position + first, position + end)
