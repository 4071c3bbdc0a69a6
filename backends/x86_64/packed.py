"""How the rules of vectors emit packed instructions: in the VEX form where the processor has AVX, else in the legacy
one.

The legacy form overwrites its first source, so that a copy may have to be made first; the VEX form does not. What is
here hides the difference. :func:`emit` and its siblings are for registers that are known already, and :func:`binary`
and its siblings make whole rules. A second source may be any vector operand: from the frame and from beside the code an
instruction reads it itself. Slots there are aligned, as the legacy form needs.

A rule of several instructions must not write its destination before the last read of another operand, which may be in
the same register: see :func:`separate`.
"""

from __future__ import annotations

from ..operand import ALL_ONES, CONSTANT, LITERAL, V128, Operand, constant
from . import asm, features
from . import asm_vector as v
from .regs import FRAME
from .selection import Selection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..types import Rule


def can_be_read(s: Selection, operand: Operand) -> bool:
    """Whether an instruction may have the operand as its memory operand: it is in the frame, or a vector to be beside
    the code.
    """
    if operand.reg >= 0:
        return False
    if operand.kind != CONSTANT:
        return True
    if operand.type != V128 or s.literals is None:
        return False
    return operand is LITERAL or operand.value not in (0, ALL_ONES)


# -- one instruction on registers that are known ---------------------------------------------------------------------


def emit(s: Selection, op: int, dst: int, a: int, b: int | Operand, commutative: bool = False) -> None:
    """``dst = a op b``. ``b`` may be the number of a register or any operand, and ``dst`` may be either source."""
    if not isinstance(b, int):
        if b.reg >= 0:
            b = b.reg
        elif can_be_read(s, b):
            _emit_memory(s, op, dst, a, b)
            return
        else:
            scratch = s.scratch_float()
            s.load_float(scratch, b)
            b = scratch
    if features.AVX:
        # The prefix of two bytes cannot have one of the upper registers last.
        if commutative and b > 7 and a < 8:
            a, b = b, a
        s.code += v.vex_rr(op, dst, a, b)
        return
    if dst == b and dst != a:
        if commutative:
            b = a
        else:
            scratch = s.scratch_float()
            s.code += asm.movaps_rr(scratch, b)
            b = scratch
            s.code += asm.movaps_rr(dst, a)
    elif dst != a:
        s.code += asm.movaps_rr(dst, a)
    s.code += v.packed_rr(op, dst, b)


def _emit_memory(s: Selection, op: int, dst: int, a: int, b: Operand) -> None:
    if features.AVX:
        if b.kind == CONSTANT:
            s.literal(v.vex_rip(op, dst, a, 0), b)
        else:
            s.code += v.vex_rm(op, dst, a, FRAME, b.offset)
        return
    if dst != a:
        s.code += asm.movaps_rr(dst, a)
    if b.kind == CONSTANT:
        s.literal(v.packed_rip(op, dst, 0), b)
    else:
        s.code += v.packed_rm(op, dst, FRAME, b.offset)


def emit_i(s: Selection, op: int, dst: int, a: int, b: int | Operand, imm: int) -> None:
    """``dst = a op b`` of an instruction with an immediate."""
    if not isinstance(b, int):
        if b.reg < 0 and b.kind != CONSTANT:
            if features.AVX:
                s.code += v.vex_rmi(op, dst, a, FRAME, b.offset, imm)
            else:
                if dst != a:
                    s.code += asm.movaps_rr(dst, a)
                s.code += v.packed_rmi(op, dst, FRAME, b.offset, imm)
            return
        b = s.in_float_register(b)
    if features.AVX:
        s.code += v.vex_rri(op, dst, a, b, imm)
        return
    if dst == b and dst != a:
        scratch = s.scratch_float()
        s.code += asm.movaps_rr(scratch, b)
        b = scratch
    if dst != a:
        s.code += asm.movaps_rr(dst, a)
    s.code += v.packed_rri(op, dst, b, imm)


def emit_1(s: Selection, op: int, dst: int, a: int | Operand) -> None:
    """``dst = op a`` of an instruction with one source."""
    if not isinstance(a, int):
        if can_be_read(s, a):
            if a.kind == CONSTANT:
                s.literal(v.vex_rip(op, dst, 0, 0) if features.AVX else v.packed_rip(op, dst, 0), a)
            elif features.AVX:
                s.code += v.vex_rm(op, dst, 0, FRAME, a.offset)
            else:
                s.code += v.packed_rm(op, dst, FRAME, a.offset)
            return
        a = copied(s, dst, a)
    s.code += v.vex_rr(op, dst, 0, a) if features.AVX else v.packed_rr(op, dst, a)


def emit_1i(s: Selection, op: int, dst: int, a: int | Operand, imm: int) -> None:
    """``dst = op a`` of an instruction with one source and an immediate."""
    if not isinstance(a, int):
        if a.reg < 0 and a.kind != CONSTANT:
            if features.AVX:
                s.code += v.vex_rmi(op, dst, 0, FRAME, a.offset, imm)
            else:
                s.code += v.packed_rmi(op, dst, FRAME, a.offset, imm)
            return
        a = copied(s, dst, a)
    s.code += v.vex_rri(op, dst, 0, a, imm) if features.AVX else v.packed_rri(op, dst, a, imm)


def emit_shift(s: Selection, op: int, dst: int, a: int, count: int) -> None:
    """``dst = a op count`` of a shift by a constant."""
    if features.AVX:
        s.code += v.vex_shift(op, dst, a, count)
        return
    if dst != a:
        s.code += asm.movaps_rr(dst, a)
    s.code += v.packed_shift(op, dst, count)


# -- destinations and sources ----------------------------------------------------------------------------------------


def copied(s: Selection, dst: int, operand: Operand) -> int:
    """The register that holds the operand, which is loaded into ``dst`` if none does."""
    if operand.reg >= 0:
        return operand.reg
    s.load_float(dst, operand)
    return dst


def first_source(s: Selection, dst: int, a: Operand, b: Operand) -> int:
    """The register that holds ``a``, which is loaded into ``dst`` if none does and ``b`` is not there."""
    return s.in_float_register(a) if dst == b.reg else copied(s, dst, a)


def readable(s: Selection, operand: Operand) -> int | Operand:
    """What can be read more than once: the operand where instructions can read it, or the register that holds it."""
    if can_be_read(s, operand):
        return operand
    return s.in_float_register(operand)


def separate(s: Selection, dst: int, *others: Operand) -> int:
    """A register to make the result in that is none of ``others``: ``dst`` if it can be, else a scratch. A rule that
    asks ends with :func:`settle`.
    """
    for other in others:
        if other.reg == dst:
            return s.scratch_float()
    return dst


def ones(s: Selection, dst: int) -> None:
    """``dst`` with all bits set."""
    emit(s, v.PCMPEQD, dst, dst, dst)


def zeros(s: Selection, dst: int) -> None:
    """``dst`` with no bit set."""
    emit(s, v.PXOR, dst, dst, dst)


def repeated(value: int, bits: int) -> Operand:
    """A constant that has ``value`` in each lane."""
    value &= (1 << bits) - 1
    return constant(V128, sum([value << at for at in range(0, 128, bits)]))


def settle(s: Selection, dst: int, made: int) -> None:
    """Put what was made in the register :func:`separate` gave where it has to be."""
    if dst != made:
        s.code += asm.movaps_rr(dst, made)


# -- whole rules -----------------------------------------------------------------------------------------------------


def binary(op: int, commutative: bool = False) -> Rule:
    """The rule of an instruction that is one of the processor's: ``a op b``."""

    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand) -> Operand:
        return apply(s, sink, op, a, b, commutative)

    return rule


def swapped(op: int) -> Rule:
    """The rule of an instruction that is one of the processor's with its operands exchanged: ``b op a``."""

    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand) -> Operand:
        return apply(s, sink, op, b, a)

    return rule


def unary(op: int) -> Rule:
    """The rule of an instruction that is one of the processor's with one source."""

    def rule(s: Selection, sink: Operand | None, a: Operand) -> Operand:
        dst = s.float_destination(sink, a)
        emit_1(s, op, dst, a)
        return s.result(V128, dst, sink, a.bit)

    return rule


def unary_i(op: int, imm: int) -> Rule:
    """The rule of an instruction that is one of the processor's with one source and a fixed immediate."""

    def rule(s: Selection, sink: Operand | None, a: Operand) -> Operand:
        dst = s.float_destination(sink, a)
        emit_1i(s, op, dst, a, imm)
        return s.result(V128, dst, sink, a.bit)

    return rule


def apply(s: Selection, sink: Operand | None, op: int, a: Operand, b: Operand, commutative: bool = False) -> Operand:
    """The result of ``a op b``, an instruction of the processor."""
    if commutative and a.reg < 0 <= b.reg:
        a, b = b, a
    # The legacy form would have to save b first, where that is overwritten.
    dst = s.float_destination(sink, a, b if commutative or features.AVX else None)
    emit(s, op, dst, first_source(s, dst, a, b), b, commutative)
    return s.result(V128, dst, sink, a.bit | b.bit)


def apply_i(s: Selection, sink: Operand | None, op: int, a: Operand, b: Operand, imm: int) -> Operand:
    """The result of ``a op b``, an instruction of the processor with an immediate."""
    dst = s.float_destination(sink, a, b if features.AVX else None)
    emit_i(s, op, dst, first_source(s, dst, a, b), b, imm)
    return s.result(V128, dst, sink, a.bit | b.bit)
