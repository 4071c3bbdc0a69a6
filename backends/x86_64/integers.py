"""Rules of the integer instructions, but for :mod:`.bits` and :mod:`.division`.

A rule is ``rule(s, sink, *operands) -> result entry``: it appends code to the :class:`Selection` ``s`` and says where
the result is. ``sink`` is the pinned local that takes the result, ``WANT_FLAGS`` where a comparison may stay in the
flags, or ``None``.
"""

from __future__ import annotations

from ..assembly import signed
from ..choices import INT_TYPES, integer_rules
from ..operand import CONSTANT, FLAGS, I32, I64, WANT_FLAGS, Operand, flags
from . import asm
from .control import FLOAT_EQUAL, FLOAT_NOT_EQUAL, SWAPPED, invert, test_zero
from .regs import FRAME
from .selection import INT_TEMPORARIES, Selection, in_memory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..types import Rule


def _binary(op: int, wide: int, commutative: bool) -> Rule:
    type_ = I64 if wide else I32

    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand) -> Operand:
        if commutative and (a.kind == CONSTANT or (b.reg >= 0 and a.reg < 0)):
            a, b = b, a
        dst = s.destination(sink, a, b if commutative else None)
        if op == asm.ADD or op == asm.SUB:
            if a.reg >= 0 and dst != a.reg:
                if op == asm.ADD and b.reg >= 0 and dst != b.reg:
                    s.code += asm.lea_rx(wide, dst, a.reg, b.reg, 0, 0)
                    return s.result(type_, dst, sink, a.bit | b.bit)
                if b.kind == CONSTANT:
                    value = signed(b.value, 64 if wide else 32)
                    if op == asm.SUB:
                        value = -value
                    if -(1 << 31) <= value < 1 << 31:
                        s.with_immediate(asm.lea_rm(wide, dst, a.reg, value), value)
                        return s.result(type_, dst, sink, a.bit | b.bit)
        if b.reg == dst and a.reg != dst:
            if commutative:
                a, b = b, a
            else:
                scratch = s.scratch()
                s.load(scratch, a)
                s.alu(op, wide, scratch, b)
                s.code += asm.mov_rr(wide, dst, scratch)
                return s.result(type_, dst, sink, a.bit | b.bit)
        s.load(dst, a)
        s.alu(op, wide, dst, b)
        return s.result(type_, dst, sink, a.bit | b.bit)

    return rule


def _multiply(wide: int) -> Rule:
    type_ = I64 if wide else I32

    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand) -> Operand:
        if a.kind == CONSTANT or (b.reg >= 0 and a.reg < 0):
            a, b = b, a
        dst = s.destination(sink, a, b)
        if b.kind == CONSTANT:
            value = signed(b.value, 64 if wide else 32)
            if -(1 << 31) <= value < 1 << 31:
                source = a.reg
                if source < 0:
                    s.load(dst, a)
                    source = dst
                s.with_immediate(asm.imul_rri(wide, dst, source, value), value)
                return s.result(type_, dst, sink, a.bit | b.bit)
        if b.reg == dst and a.reg != dst:
            a, b = b, a
        s.load(dst, a)
        if b.reg >= 0:
            s.code += asm.imul_rr(wide, dst, b.reg)
        elif b.kind == CONSTANT:
            s.code += asm.imul_rr(wide, dst, s.in_register(b))
        else:
            s.code += asm.imul_rm(wide, dst, FRAME, b.offset)
        return s.result(type_, dst, sink, a.bit | b.bit)

    return rule


def materialise(s: Selection, sink: Operand | None, condition: int, bits: int) -> Operand:
    """The outcome of a comparison as 0 or 1, or left in the flags where the next instruction takes it from there.

    ``bits`` are the temporaries of the operands, of which one will do, since the comparison is done.
    """
    if sink is WANT_FLAGS:
        s.released |= bits
        return flags(condition)
    if condition >= FLOAT_EQUAL:
        return _materialise_two_flags(s, sink, condition, bits)
    if sink is not None:
        dst = sink.reg
    elif bits & INT_TEMPORARIES:
        bit = bits & INT_TEMPORARIES
        dst = (bit & -bit).bit_length() - 1
    else:
        # So will what was a scratch for it.
        dst = s.take_released()
    s.code += asm.setcc(condition, dst)
    s.code += asm.movzx8_rr(dst, dst)
    return s.result(I32, dst, sink, bits)


def _materialise_two_flags(s: Selection, sink: Operand | None, condition: int, bits: int) -> Operand:
    """The outcome of comparing floats for equality or inequality as 0 or 1."""
    dst = sink.reg if sink is not None else s.take()
    parity = s.scratch()
    if condition == FLOAT_EQUAL:
        s.code += asm.setcc(asm.CC_NP, parity)
        s.code += asm.setcc(asm.CC_E, dst)
        s.code += asm.alu_rr(asm.AND, 0, dst, parity)
    else:
        s.code += asm.setcc(asm.CC_P, parity)
        s.code += asm.setcc(asm.CC_NE, dst)
        s.code += asm.alu_rr(asm.OR, 0, dst, parity)
    s.code += asm.movzx8_rr(dst, dst)
    return s.result(I32, dst, sink, bits)


def _compare(condition: int, wide: int) -> Rule:
    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand) -> Operand:
        holds = condition
        if b.kind != CONSTANT and (a.kind == CONSTANT or (a.reg < 0 and b.reg >= 0)):
            a, b = b, a
            holds = SWAPPED[holds]
        if a.reg >= 0:
            if b.kind == CONSTANT and b.value == 0:
                s.code += asm.test_rr(wide, a.reg, a.reg)
            else:
                s.alu(asm.CMP, wide, a.reg, b)
        elif in_memory(a) and b.kind == CONSTANT and -(1 << 31) <= signed(b.value, 64 if wide else 32) < 1 << 31:
            value = signed(b.value, 64 if wide else 32)
            s.with_immediate(asm.alu_mi(asm.CMP, wide, FRAME, a.offset, value), value)
        else:
            s.alu(asm.CMP, wide, s.in_register(a), b)
        return materialise(s, sink, holds, a.bit | b.bit)

    return rule


def _is_zero(wide: int) -> Rule:
    def rule(s: Selection, sink: Operand | None, a: Operand) -> Operand:
        if a.kind == FLAGS:
            return materialise(s, sink, invert(a.value), 0)
        test_zero(s, wide, a)
        return materialise(s, sink, asm.CC_E, a.bit)

    return rule


def _extend(name: str, source_bits: int, wide: int) -> Rule:
    type_ = I64 if wide else I32

    def rule(s: Selection, sink: Operand | None, a: Operand) -> Operand:
        dst = s.destination(sink, a)
        source = a.reg
        if source < 0:
            s.load(dst, a)
            source = dst
        if name == "wrap":
            s.code += asm.mov_rr(0, dst, source)
        elif name == "zero":
            # An i32 is zero-extended wherever it is, so only a value that has to move costs an instruction.
            if source != dst:
                s.code += asm.mov_rr(0, dst, source)
        elif source_bits == 8:
            s.code += asm.movsx8_rr(wide, dst, source)
        elif source_bits == 16:
            s.code += asm.movsx16_rr(wide, dst, source)
        else:
            s.code += asm.movsxd_rr(dst, source)
        return s.result(type_, dst, sink, a.bit)

    return rule


def select(s: Selection, sink: Operand | None, a: Operand, b: Operand, condition: Operand) -> Operand:
    """``condition ? a : b`` for integers and references; the moves leave the flags alone."""
    type_ = a.type
    wide = 0 if type_ == I32 else 1
    if condition.kind == FLAGS:
        holds = condition.value
    else:
        if condition.kind != CONSTANT:
            test_zero(s, 0, condition)
        holds = asm.CC_NE
    if holds == FLOAT_NOT_EQUAL:
        a, b = b, a
        holds = FLOAT_EQUAL
    # The value of "not taken" replaces the other one on the opposite condition, both of them for float equality.
    opposite = (asm.CC_NE, asm.CC_P) if holds == FLOAT_EQUAL else (invert(holds),)
    dst = s.destination(sink, a, b)
    if condition.kind == CONSTANT:
        s.load(dst, a if condition.value else b)
        return s.result(type_, dst, sink, a.bit | b.bit | condition.bit)
    if dst == b.reg and dst != a.reg:
        if len(opposite) == 1:
            a, b = b, a
            opposite = (invert(opposite[0]),)
        else:
            kept = s.scratch()
            s.code += asm.mov_rr(wide, kept, dst)
            s.load(dst, a)
            for condition_code in opposite:
                s.code += asm.cmovcc_rr(condition_code, wide, dst, kept)
            return s.result(type_, dst, sink, a.bit | b.bit | condition.bit)
    other = s.in_register(b) if b.kind == CONSTANT else b.reg
    s.load(dst, a)
    for condition_code in opposite:
        if other >= 0:
            s.code += asm.cmovcc_rr(condition_code, wide, dst, other)
        else:
            s.code += asm.cmovcc_rm(condition_code, wide, dst, FRAME, b.offset)
    return s.result(type_, dst, sink, a.bit | b.bit | condition.bit)


def is_null(s: Selection, sink: Operand | None, a: Operand) -> Operand:
    """Whether a reference is null, which is the cell 0."""
    test_zero(s, 1, a)
    return materialise(s, sink, asm.CC_E, a.bit)


_CONDITIONS = {
    "eq": asm.CC_E,
    "ne": asm.CC_NE,
    "lt_s": asm.CC_L,
    "lt_u": asm.CC_B,
    "gt_s": asm.CC_G,
    "gt_u": asm.CC_A,
    "le_s": asm.CC_LE,
    "le_u": asm.CC_BE,
    "ge_s": asm.CC_GE,
    "ge_u": asm.CC_AE,
}


def _rules() -> dict[str, Rule]:
    rules = integer_rules(_CONDITIONS, _compare, _is_zero, _extend)
    rules["ref.is_null"] = is_null
    rules["select"] = select
    for wide, type_name in INT_TYPES:
        for name, op, commutative in (
            ("add", asm.ADD, True),
            ("sub", asm.SUB, False),
            ("and", asm.AND, True),
            ("or", asm.OR, True),
            ("xor", asm.XOR, True),
        ):
            rules[f"{type_name}.{name}"] = _binary(op, wide, commutative)
        rules[f"{type_name}.mul"] = _multiply(wide)
    return rules


RULES = _rules()
