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
from .control import SWAPPED, bit_clear, into_flags, invert, zero
from .encoding import arithmetic_immediate, logical_immediate
from .regs import SCRATCH, SCRATCH2
from .selection import Selection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..types import Rule


def _source(s: Selection, a: Operand) -> int:
    """The register of a first operand that stands beside an immediate, where 31 would be the stack pointer."""
    if a.reg >= 0:
        return a.reg
    s.load(SCRATCH, a)
    return SCRATCH


def _add_or_subtract(op: int, wide: int, commutative: bool) -> Rule:
    type_ = I64 if wide else I32

    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand) -> Operand:
        if commutative and a.kind == CONSTANT:
            a, b = b, a
        dst = s.destination(sink, a.bit | b.bit)
        if b.kind == CONSTANT:
            value = signed(b.value, 64 if wide else 32)
            if arithmetic_immediate(abs(value)) >= 0:
                source = _source(s, a)
                s.with_immediate(asm.alu_ri(op, wide, dst, source, value))
                return s.result(type_, dst, sink, a.bit | b.bit)
        left = a.reg if a.reg >= 0 else s.in_register(a)
        s.code += asm.alu_rr(op, wide, dst, left, b.reg if b.reg >= 0 else s.in_register(b, SCRATCH2))
        return s.result(type_, dst, sink, a.bit | b.bit)

    return rule


def _logic(op: int, wide: int) -> Rule:
    type_ = I64 if wide else I32

    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand) -> Operand:
        if a.kind == CONSTANT:
            a, b = b, a
        dst = s.destination(sink, a.bit | b.bit)
        if b.kind == CONSTANT:
            if logical_immediate(b.value, wide) >= 0:
                source = _source(s, a)
                s.with_immediate(asm.logic_ri(op, wide, dst, source, b.value))
                return s.result(type_, dst, sink, a.bit | b.bit)
            if op == asm.EOR and b.value == (1 << (64 if wide else 32)) - 1:
                s.code += asm.mvn(wide, dst, s.in_register(a))
                return s.result(type_, dst, sink, a.bit | b.bit)
        left = a.reg if a.reg >= 0 else s.in_register(a)
        s.code += asm.alu_rr(op, wide, dst, left, b.reg if b.reg >= 0 else s.in_register(b, SCRATCH2))
        return s.result(type_, dst, sink, a.bit | b.bit)

    return rule


def _multiply(wide: int) -> Rule:
    type_ = I64 if wide else I32

    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand) -> Operand:
        dst = s.destination(sink, a.bit | b.bit)
        s.code += asm.mul(wide, dst, s.in_register(a), s.in_register(b, SCRATCH2))
        return s.result(type_, dst, sink, a.bit | b.bit)

    return rule


def materialise(s: Selection, sink: Operand | None, condition: int, bits: int) -> Operand:
    """The outcome of a comparison as 0 or 1, or left in the flags where the next instruction takes it from there.

    ``bits`` are the temporaries of the operands, of which one will do, since the comparison is done.
    """
    if sink is WANT_FLAGS:
        s.released |= bits
        return flags(condition)
    dst = s.destination(sink, bits)
    s.code += asm.cset(condition, dst)
    return s.result(I32, dst, sink, bits)


def _register_test(s: Selection, a: Operand, make: Callable[[int], int]) -> Operand:
    """A condition that a branch tests by itself: the register stays taken until then."""
    if a.reg >= 0:
        return flags(make(a.reg), a.bit)
    reg = s.take()
    s.load(reg, a)
    return flags(make(reg), 1 << reg)


def _compare(condition: int, wide: int) -> Rule:
    bits = 64 if wide else 32

    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand) -> Operand:
        holds = condition
        if b.kind != CONSTANT and a.kind == CONSTANT:
            a, b = b, a
            holds = SWAPPED[holds]
        if b.kind == CONSTANT:
            if b.value == 0 and sink is WANT_FLAGS:
                if holds in (asm.CC_EQ, asm.CC_NE):
                    return _register_test(s, a, lambda reg: zero(wide, reg) ^ (holds == asm.CC_NE))
                if holds in (asm.CC_LT, asm.CC_GE):
                    return _register_test(s, a, lambda reg: bit_clear(reg, bits - 1) ^ (holds == asm.CC_LT))
            value = signed(b.value, bits)
            if arithmetic_immediate(abs(value)) >= 0:
                source = _source(s, a)
                s.with_immediate(asm.cmp_ri(wide, source, value))
                return materialise(s, sink, holds, a.bit)
        left = a.reg if a.reg >= 0 else s.in_register(a)
        s.code += asm.cmp_rr(wide, left, b.reg if b.reg >= 0 else s.in_register(b, SCRATCH2))
        return materialise(s, sink, holds, a.bit | b.bit)

    return rule


def _is_zero(wide: int) -> Rule:
    def rule(s: Selection, sink: Operand | None, a: Operand) -> Operand:
        if a.kind == FLAGS:
            if sink is WANT_FLAGS:
                return flags(invert(a.value), a.bit)
            return materialise(s, sink, invert(into_flags(s, a)), a.bit)
        return is_zero(s, sink, wide, a)

    return rule


def is_zero(s: Selection, sink: Operand | None, wide: int, a: Operand) -> Operand:
    """Whether ``a`` is zero."""
    if sink is WANT_FLAGS:
        return _register_test(s, a, lambda reg: zero(wide, reg))
    s.code += asm.cmp_ri(wide, _source(s, a), 0)
    return materialise(s, sink, asm.CC_EQ, a.bit)


def _extend(name: str, source_bits: int, wide: int) -> Rule:
    type_ = I64 if wide else I32

    def rule(s: Selection, sink: Operand | None, a: Operand) -> Operand:
        dst = s.destination(sink, a.bit)
        source = s.in_register(a)
        if name == "wrap":
            s.code += asm.mov_rr(0, dst, source)
        elif name == "zero":
            # An i32 is zero-extended wherever it is, so only a value that has to move costs an instruction.
            if source != dst:
                s.code += asm.mov_rr(0, dst, source)
        else:
            s.code += asm.sbfm(wide, dst, source, 0, source_bits - 1)
        return s.result(type_, dst, sink, a.bit)

    return rule


def select_condition(s: Selection, condition: Operand) -> int:
    """The flags' condition under which the first operand of ``select`` is taken."""
    if condition.kind == FLAGS:
        return into_flags(s, condition)
    s.code += asm.cmp_ri(0, _source(s, condition), 0)
    return asm.CC_NE


def select(s: Selection, sink: Operand | None, a: Operand, b: Operand, condition: Operand) -> Operand:
    """``condition ? a : b`` for integers and references."""
    type_ = a.type
    wide = 0 if type_ == I32 else 1
    if condition.kind == CONSTANT:
        chosen = a if condition.value else b
        dst = s.destination(sink, chosen.bit)
        s.load(dst, chosen)
        return s.result(type_, dst, sink, a.bit | b.bit | condition.bit)
    holds = select_condition(s, condition)
    dst = s.destination(sink, a.bit | b.bit | condition.bit)
    s.code += asm.csel(holds, wide, dst, s.in_register(a), s.in_register(b, SCRATCH2))
    return s.result(type_, dst, sink, a.bit | b.bit | condition.bit)


def is_null(s: Selection, sink: Operand | None, a: Operand) -> Operand:
    """Whether a reference is null, which is the cell 0."""
    return is_zero(s, sink, 1, a)


_CONDITIONS = {
    "eq": asm.CC_EQ,
    "ne": asm.CC_NE,
    "lt_s": asm.CC_LT,
    "lt_u": asm.CC_LO,
    "gt_s": asm.CC_GT,
    "gt_u": asm.CC_HI,
    "le_s": asm.CC_LE,
    "le_u": asm.CC_LS,
    "ge_s": asm.CC_GE,
    "ge_u": asm.CC_HS,
}


def _rules() -> dict[str, Rule]:
    rules = integer_rules(_CONDITIONS, _compare, _is_zero, _extend)
    rules["ref.is_null"] = is_null
    rules["select"] = select
    for wide, type_name in INT_TYPES:
        rules[f"{type_name}.add"] = _add_or_subtract(asm.ADD, wide, True)
        rules[f"{type_name}.sub"] = _add_or_subtract(asm.SUB, wide, False)
        for name, op in (("and", asm.AND), ("or", asm.ORR), ("xor", asm.EOR)):
            rules[f"{type_name}.{name}"] = _logic(op, wide)
        rules[f"{type_name}.mul"] = _multiply(wide)
    return rules


RULES = _rules()
