"""What the rules of every instruction use to choose machine code: registers, scratches, and moves of operands.

A :class:`Selection` lives for one memoised choice: it starts with the mask of free temporaries, collects code, and
ends with the mask that is free afterwards.
"""

from __future__ import annotations

from ..operand import CONSTANT, F32, F64, I32, LOCAL, SLOT, Operand, is_float, register
from . import asm
from .regs import RBP

#: Bits of the integer temporaries rax, rcx, rdx, rsi, rdi, and of the float temporaries xmm0 to xmm7.
INT_TEMPORARIES = 0b1100_0111
FLOAT_TEMPORARIES = 0xFF0000
ALL_FREE = INT_TEMPORARIES | FLOAT_TEMPORARIES


def signed(value: int, bits: int) -> int:
    """``value``'s low ``bits`` as a signed number."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


class Selection:
    """Code being chosen for one instruction.

    Attributes:
        code: the machine code so far.
        borrowed: mask of temporaries that are free again when the code has run.
        free: mask of free temporaries, see :attr:`Operand.bit <vibewasm.backends.operand.Operand>`.
        immediate_end: where the immediate of the constant operand ends in ``code``, 0 if none was emitted.
    """

    __slots__ = ("borrowed", "code", "free", "immediate_end")

    def __init__(self, free: int) -> None:
        self.code = bytearray()
        self.free = free
        self.borrowed = 0
        self.immediate_end = 0

    def finish(self) -> int:
        """The mask that is free after the code."""
        return self.free | self.borrowed

    def take(self, avoid: int = 0) -> int:
        """Claim a free integer temporary that is not in the mask ``avoid``."""
        available = self.free & INT_TEMPORARIES & ~avoid
        bit = available & -available
        if not bit:
            raise AssertionError("no free integer temporary")
        self.free ^= bit
        return bit.bit_length() - 1

    def take_float(self) -> int:
        """Claim a free float temporary."""
        available = self.free & FLOAT_TEMPORARIES
        bit = available & -available
        if not bit:
            raise AssertionError("no free float temporary")
        self.free ^= bit
        return bit.bit_length() - 17

    def scratch(self, avoid: int = 0) -> int:
        """An integer temporary that is free again after this instruction."""
        reg = self.take(avoid)
        self.borrowed |= 1 << reg
        return reg

    def scratch_float(self) -> int:
        """A float temporary that is free again after this instruction."""
        reg = self.take_float()
        self.borrowed |= 1 << (16 + reg)
        return reg

    def keep_borrowed(self) -> int:
        """Claim an integer scratch whose value is no longer needed, or a free temporary if there is none."""
        borrowed = self.borrowed & INT_TEMPORARIES & ~self.free
        if not borrowed:
            return self.take()
        bit = borrowed & -borrowed
        self.borrowed ^= bit
        return bit.bit_length() - 1

    def release(self, operand: Operand, but: int = -1) -> None:
        """Give an operand's temporary back after this instruction, unless it is the register ``but``."""
        if operand.bit and operand.reg != but:
            self.borrowed |= operand.bit

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
            self.code += asm.mov_rm(wide, dst, RBP, operand.offset)

    def load_float(self, dst: int, operand: Operand) -> None:
        """Put a float operand into the vector register ``dst``."""
        double = 1 if operand.type == F64 else 0
        if operand.reg >= 0:
            if operand.reg != dst:
                self.code += asm.movaps_rr(dst, operand.reg)
        elif operand.kind == CONSTANT:
            if operand.value == 0:
                self.code += asm.xorps_rr(dst, dst)
            else:
                self.load_float_bits(double, dst, operand.value)
        else:
            self.code += asm.movs_rm(double, dst, RBP, operand.offset)

    def load_float_bits(self, double: int, dst: int, bits: int) -> None:
        """Put a float given by its bits into the vector register ``dst``, by way of an integer temporary."""
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

    def store(self, offset: int, operand: Operand, base: int = RBP) -> None:
        """Store an operand into the 8-byte cell at ``base + offset``; an i32 is zero-extended."""
        if operand.reg >= 0:
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
            self.code += asm.mov_rm(1, scratch, RBP, operand.offset)
            self.code += asm.mov_mr(1, base, offset, scratch)

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

    def result(self, type_: int, dst: int, sink: Operand | None, bits: int) -> Operand:
        """Release the operands' temporaries ``bits`` and name the result in ``dst``: the sink itself, or a temporary's
        entry.
        """
        if sink is not None:
            self.borrowed |= bits
            return sink
        kept = register(type_, dst)
        self.borrowed |= bits & ~kept.bit
        return kept

    # -- arithmetic with any kind of source ----------------------------------------------------------------------

    def alu(self, op: int, wide: int, dst: int, source: Operand) -> None:
        """``dst = dst op source`` for one of the eight classic operations, or the flags of it for ``CMP``."""
        if source.reg >= 0:
            self.code += asm.alu_rr(op, wide, dst, source.reg)
        elif source.kind == CONSTANT:
            value = signed(source.value, 64 if wide else 32)
            if -(1 << 31) <= value < 1 << 31:
                self.code += asm.alu_ri(op, wide, dst, value)
                self.immediate_end = len(self.code)
            else:
                scratch = self.scratch()
                self.code += asm.mov_ri(scratch, source.value)
                self.code += asm.alu_rr(op, wide, dst, scratch)
        else:
            self.code += asm.alu_rm(op, wide, dst, RBP, source.offset)


def in_memory(operand: Operand) -> bool:
    """Whether the operand is in the frame."""
    return operand.reg < 0 and operand.kind in (LOCAL, SLOT)
