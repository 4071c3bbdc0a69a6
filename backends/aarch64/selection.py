"""What the rules of every instruction use to choose machine code: registers, scratches, and moves of operands.

A :class:`Selection` lives for one memoised choice: it starts with the mask of free temporaries, collects code, and
ends with the mask that is free afterwards. Two scratches of each class are nobody's between instructions, so a rule
claims a temporary for nothing but its result.
"""

from __future__ import annotations

from ..operand import CONSTANT, F64, I32, INTERN_LIMIT, LOCAL, SLOT, Operand, is_float, register
from . import asm
from .addresses import at
from .regs import FLOAT_SCRATCH, FRAME, SCRATCH, SCRATCH2, ZR

#: Bits of the integer temporaries x0 to x7, and of the float temporaries v0 to v7.
INT_TEMPORARIES = 0xFF
FLOAT_TEMPORARIES = 0xFF0000
ALL_FREE = INT_TEMPORARIES | FLOAT_TEMPORARIES


def signed(value: int, bits: int) -> int:
    """``value``'s low ``bits`` as a signed number."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


#: Code that puts a constant into the first scratch, by the constant: a program names a float in many choices.
_wide_constants: dict[int, bytes] = {}


def _wide_constant(bits: int) -> bytes:
    if len(_wide_constants) >= INTERN_LIMIT:
        _wide_constants.clear()
    code = _wide_constants[bits] = asm.mov_ri(SCRATCH, bits)
    return code


class Selection:
    """Code being chosen for one instruction.

    Attributes:
        code: the machine code so far.
        free: mask of free temporaries, see :attr:`Operand.bit <vibewasm.backends.operand.Operand>`.
        released: mask of temporaries that are free when the code has run.
        immediate: where in ``code`` the bytes of the constant operand are: their first position and their end.
    """

    __slots__ = ("code", "free", "immediate", "released")

    def __init__(self, free: int) -> None:
        self.code = bytearray()
        self.free = free
        self.immediate = (0, 0)
        self.released = 0

    def take(self) -> int:
        """Claim a free integer temporary."""
        available = self.free & INT_TEMPORARIES
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

    def release(self, operand: Operand) -> None:
        """Give an operand's temporary back after this instruction."""
        self.released |= operand.bit

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
        if operand.reg >= 0:
            if operand.reg != dst:
                self.code += asm.fp_r(asm.FMOV, double, dst, operand.reg)
        elif operand.kind == CONSTANT:
            self.load_float_bits(double, dst, operand.value)
        else:
            self.code += at(asm.LDR_D if double else asm.LDR_S, dst, FRAME, operand.offset)

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
        """Store an operand into the 8-byte cell at ``base + offset``; an i32 and an f32 are zero-extended.

        Both scratches may change; ``base`` may be the first one if the offset is below 32 KiB.
        """
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
                    self.load(reg, Operand(SLOT, 1, offset=operand.offset))
        self.code += at(op, reg, base, offset)

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
            return (bits & -bits).bit_length() - 17
        return self.take_float()

    def result(self, type_: int, dst: int, sink: Operand | None, bits: int) -> Operand:
        """Release the operands' temporaries ``bits`` and name the result in ``dst``: the sink itself, or a temporary's
        entry.
        """
        if sink is not None:
            self.released |= bits
            return sink
        kept = register(type_, dst)
        self.released |= bits & ~kept.bit
        return kept

    def with_immediate(self, instruction: bytes, first: int = 1, end: int = 3) -> None:
        """Append an instruction whose bytes from ``first`` to ``end`` are, but for two bits of its first source, the
        immediate.
        """
        position = len(self.code)
        self.code += instruction
        self.immediate = (position + first, position + end)


def in_memory(operand: Operand) -> bool:
    """Whether the operand is in the frame."""
    return operand.reg < 0 and operand.kind in (LOCAL, SLOT)
