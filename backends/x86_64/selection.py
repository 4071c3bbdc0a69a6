"""What the rules of every instruction use to choose machine code: registers, scratches, and moves of operands."""

from __future__ import annotations

from .. import assembly
from ..assembly import signed
from ..operand import (
    ALL_ONES,
    CONSTANT,
    F32,
    F64,
    FIRST_FLOAT_BIT,
    I32,
    I64,
    LITERAL,
    LOCAL,
    SLOT,
    V128,
    Operand,
    is_float,
)
from . import asm, regs
from .regs import FRAME

#: Masks of the temporaries of each class.
INT_TEMPORARIES = sum([1 << reg for reg in regs.TEMPORARIES])
FLOAT_TEMPORARIES = sum([1 << FIRST_FLOAT_BIT + reg for reg in regs.FLOAT_TEMPORARIES])

#: Stand-ins for constants by type: for those that are an immediate of one byte, and of four.
BYTE_STAND_INS = tuple(Operand(CONSTANT, type_, value=0x11) for type_ in (I32, I64))
WIDE_STAND_INS = tuple(Operand(CONSTANT, type_, value=0x11223344) for type_ in (I32, I64))


class Selection(assembly.Selection):
    """Code being chosen for one instruction."""

    __slots__ = ()

    INT_TEMPORARIES = INT_TEMPORARIES
    FLOAT_TEMPORARIES = FLOAT_TEMPORARIES

    # -- temporaries --------------------------------------------------------------------------------------------

    def scratch(self, avoid: int = 0) -> int:
        """An integer temporary that is free again after this instruction."""
        reg = self.take(avoid)
        self.released |= 1 << reg
        return reg

    def scratch_float(self) -> int:
        """A float temporary that is free again after this instruction."""
        reg = self.take_float()
        self.released |= 1 << FIRST_FLOAT_BIT + reg
        return reg

    def take_released(self) -> int:
        """Claim an integer scratch whose value is no longer needed, or a free temporary if there is none."""
        released = self.released & INT_TEMPORARIES & ~self.free
        if not released:
            return self.take()
        bit = released & -released
        self.released ^= bit
        return bit.bit_length() - 1

    # -- moves: none of them changes the flags ------------------------------------------------------------------

    def load(self, dst: int, operand: Operand) -> None:
        """Put an integer or reference operand into the register ``dst``."""
        wide = 0 if operand.type == I32 else 1
        if operand.reg >= 0:
            if operand.reg != dst:
                self.code += asm.mov_rr(wide, dst, operand.reg)
        elif operand.kind == CONSTANT:
            self.code += asm.mov_ri(dst, operand.value)
        else:
            self.code += asm.mov_rm(wide, dst, FRAME, operand.offset)

    def load_float(self, dst: int, operand: Operand) -> None:
        """Put a float operand into the vector register ``dst``."""
        double = 1 if operand.type == F64 else 0
        if operand.reg >= 0:
            if operand.reg != dst:
                self.code += asm.movaps_rr(dst, operand.reg)
        elif operand.type == V128:
            if operand.kind == CONSTANT:
                self.load_vector(dst, operand)
            else:
                self.code += asm.movups_rm(dst, FRAME, operand.offset)
        elif operand.kind == CONSTANT:
            self.load_float_bits(double, dst, operand.value)
        else:
            self.code += asm.movs_rm(double, dst, FRAME, operand.offset)

    def load_vector(self, dst: int, constant: Operand) -> None:
        """Put a vector constant into the vector register ``dst``: from beside the code if that can be, else by way of
        an integer temporary.
        """
        value = constant.value
        if constant is not LITERAL and value == 0:
            self.code += asm.xorps_rr(dst, dst)
        elif constant is not LITERAL and value == ALL_ONES:
            self.code += asm.pcmpeqd_rr(dst, dst)
        elif self.literals is not None:
            self.literal(asm.movups_rip(dst, 0), constant)
        else:
            momentary = self.take()
            self.code += asm.mov_ri(momentary, value & 0xFFFF_FFFF_FFFF_FFFF)
            self.code += asm.movd_to_xmm(1, dst, momentary)
            if value >> 64:
                self.code += asm.mov_ri(momentary, value >> 64)
                self.code += asm.pinsrq(dst, momentary, 1)
            self.free |= 1 << momentary

    def load_float_bits(self, double: int, dst: int, bits: int) -> None:
        """Put a float given by its bits into the vector register ``dst``, by way of an integer temporary if need be."""
        if bits == 0:
            self.code += asm.xorps_rr(dst, dst)
            return
        momentary = self.take()
        self.code += asm.mov_ri(momentary, bits)
        self.code += asm.movd_to_xmm(double, dst, momentary)
        self.free |= 1 << momentary

    def in_register(self, operand: Operand, avoid: int = 0) -> int:
        """The register that holds an integer operand, which is loaded into a scratch if none does."""
        if operand.reg >= 0:
            return operand.reg
        reg = self.scratch(avoid)
        self.load(reg, operand)
        return reg

    def in_float_register(self, operand: Operand) -> int:
        """The register that holds a float operand, which is loaded into a scratch if none does."""
        if operand.reg >= 0:
            return operand.reg
        reg = self.scratch_float()
        self.load_float(reg, operand)
        return reg

    def store(self, offset: int, operand: Operand, base: int = FRAME) -> None:
        """Store an operand into the cell at ``base + offset``, which has 16 bytes for a vector and 8 for all else; an
        i32 is zero-extended.
        """
        if operand.type == V128:
            self._store_vector(offset, operand, base)
        elif operand.reg >= 0:
            if is_float(operand.type):
                self.code += asm.movs_mr(0 if operand.type == F32 else 1, base, offset, operand.reg)
            else:
                self.code += asm.mov_mr(1, base, offset, operand.reg)
        elif operand.kind == CONSTANT:
            value = operand.value
            if value < 1 << 31 or value >= (1 << 64) - (1 << 31):
                self.code += asm.mov_mi(1, base, offset, signed(value, 64))
            else:
                self.code += asm.mov_mi(0, base, offset, signed(value, 32))
                self.code += asm.mov_mi(0, base, offset + 4, signed(value >> 32, 32))
        else:
            scratch = self.scratch()
            self.code += asm.mov_rm(1, scratch, FRAME, operand.offset)
            self.code += asm.mov_mr(1, base, offset, scratch)

    def _store_vector(self, offset: int, operand: Operand, base: int) -> None:
        if operand.reg >= 0:
            self.code += asm.movups_mr(base, offset, operand.reg)
        elif operand.kind == CONSTANT or not self.free & FLOAT_TEMPORARIES:
            # In halves, each of which is a constant again, or moves by way of an integer temporary.
            for half in (0, 1):
                if operand.kind == CONSTANT:
                    part = Operand(CONSTANT, I64, value=operand.value >> 64 * half & 0xFFFF_FFFF_FFFF_FFFF)
                else:
                    part = Operand(SLOT, I64, offset=operand.offset + 8 * half)
                self.store(offset + 8 * half, part, base)
        else:
            scratch = self.scratch_float()
            self.code += asm.movups_rm(scratch, FRAME, operand.offset)
            self.code += asm.movups_mr(base, offset, scratch)

    # -- destinations -------------------------------------------------------------------------------------------

    def destination(self, sink: Operand | None, a: Operand, b: Operand | None = None) -> int:
        """The integer register for a result: the sink's, that of the dying operand ``a`` or ``b``, or a fresh one."""
        if sink is not None:
            return sink.reg
        if a.bit & INT_TEMPORARIES:
            return a.reg
        if b is not None and b.bit & INT_TEMPORARIES:
            return b.reg
        return self.take()

    def float_destination(self, sink: Operand | None, a: Operand, b: Operand | None = None) -> int:
        """The vector register for a result, chosen like :meth:`destination`."""
        if sink is not None:
            return sink.reg
        if a.bit & FLOAT_TEMPORARIES:
            return a.reg
        if b is not None and b.bit & FLOAT_TEMPORARIES:
            return b.reg
        return self.take_float()

    # -- instructions with any kind of source ------------------------------------------------------------------------

    def with_immediate(self, instruction: bytes, value: int) -> None:
        """Append an instruction that ends with its immediate ``value``, in one byte if it fits, else in four."""
        self.code += instruction
        end = len(self.code)
        self.immediate = (end - (1 if -0x80 <= value <= 0x7F else 4), end)

    def alu(self, op: int, wide: int, dst: int, source: Operand) -> None:
        """``dst = dst op source`` for one of the eight classic operations, or the flags of it for ``CMP``."""
        if source.reg >= 0:
            self.code += asm.alu_rr(op, wide, dst, source.reg)
        elif source.kind == CONSTANT:
            value = signed(source.value, 64 if wide else 32)
            if -(1 << 31) <= value < 1 << 31:
                self.with_immediate(asm.alu_ri(op, wide, dst, value), value)
            else:
                scratch = self.scratch()
                self.code += asm.mov_ri(scratch, source.value)
                self.code += asm.alu_rr(op, wide, dst, scratch)
        else:
            self.code += asm.alu_rm(op, wide, dst, FRAME, source.offset)


def in_memory(operand: Operand) -> bool:
    """Whether the operand is in the frame."""
    return operand.reg < 0 and operand.kind in (LOCAL, SLOT)
