"""Rules of the float instructions; what a rule is says :mod:`.integers`."""

from __future__ import annotations

from ..choices import FLOAT_TYPES
from ..operand import CONSTANT, F32, F64, FLAGS, Operand
from . import asm
from .control import FLOAT_EQUAL, FLOAT_NOT_EQUAL, invert, test_zero
from .integers import materialise
from .regs import FRAME
from .selection import Selection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..types import Rule

_ROUND_NEAREST, _ROUND_DOWN, _ROUND_UP, _ROUND_TO_ZERO = range(8, 12)  # bit 3: no inexact exception


def _arithmetic(op: int, double: int, commutative: bool) -> Rule:
    type_ = F64 if double else F32

    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand) -> Operand:
        dst = s.float_destination(sink, a, b if commutative else None)
        if b.reg == dst and a.reg != dst:
            if commutative:
                a, b = b, a
            else:
                scratch = s.scratch_float()
                s.load_float(scratch, a)
                s.code += asm.sse_rr(op, double, scratch, b.reg)
                s.code += asm.movaps_rr(dst, scratch)
                return s.result(type_, dst, sink, a.bit | b.bit)
        s.load_float(dst, a)
        if b.reg >= 0 or b.kind == CONSTANT:
            s.code += asm.sse_rr(op, double, dst, s.in_float_register(b))
        else:
            s.code += asm.sse_rm(op, double, dst, FRAME, b.offset)
        return s.result(type_, dst, sink, a.bit | b.bit)

    return rule


def _minimum_or_maximum(op: int, double: int) -> Rule:
    """``min``/``max`` with NaN if either is one, and -0 less than 0, neither of which `minsd` does."""
    type_ = F64 if double else F32

    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand) -> Operand:
        work = s.scratch_float()
        s.load_float(work, a)
        other = s.in_float_register(b)
        ordered = asm.sse_rr(op, double, work, other)
        # A sum of anything and a NaN is a quiet NaN.
        unordered = asm.sse_rr(asm.SSE_ADD, double, work, other) + asm.jmp_rel8(len(ordered))
        # Equal operands may be zeros of different signs: or-ing them makes -0 of the two, and-ing them makes 0.
        equal = (asm.orps_rr if op == asm.SSE_MIN else asm.andps_rr)(work, other)
        equal += asm.jmp_rel8(len(unordered) + len(ordered))
        not_unordered = asm.jcc_rel8(asm.CC_P, len(equal))
        s.code += asm.ucomis_rr(double, work, other)
        s.code += asm.jcc_rel8(asm.CC_NE, len(not_unordered) + len(equal) + len(unordered))
        s.code += not_unordered + equal + unordered + ordered
        dst = s.float_destination(sink, a, b)
        s.code += asm.movaps_rr(dst, work)
        return s.result(type_, dst, sink, a.bit | b.bit)

    return rule


def _sign(name: str, double: int) -> Rule:
    """``abs`` and ``neg``: the sign bit cleared or flipped, whatever the value is."""
    type_ = F64 if double else F32
    top = 1 << (63 if double else 31)

    def rule(s: Selection, sink: Operand | None, a: Operand) -> Operand:
        dst = s.float_destination(sink, a)
        mask = s.scratch_float()
        s.load_float_bits(double, mask, top - 1 if name == "abs" else top)
        s.load_float(dst, a)
        s.code += (asm.andps_rr if name == "abs" else asm.xorps_rr)(dst, mask)
        return s.result(type_, dst, sink, a.bit)

    return rule


def _copysign(double: int) -> Rule:
    type_ = F64 if double else F32
    top = 1 << (63 if double else 31)

    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand) -> Operand:
        dst = s.float_destination(sink, a, b)
        work = s.scratch_float() if dst in (a.reg, b.reg) else dst
        mask = s.scratch_float()
        s.load_float_bits(double, mask, top)
        s.code += asm.movaps_rr(work, mask)
        s.code += asm.andnps_rr(work, s.in_float_register(a))
        s.code += asm.andps_rr(mask, s.in_float_register(b))
        s.code += asm.orps_rr(work, mask)
        if work != dst:
            s.code += asm.movaps_rr(dst, work)
        return s.result(type_, dst, sink, a.bit | b.bit)

    return rule


def _round(mode: int, double: int) -> Rule:
    type_ = F64 if double else F32

    def rule(s: Selection, sink: Operand | None, a: Operand) -> Operand:
        dst = s.float_destination(sink, a)
        s.code += asm.rounds_rr(double, dst, s.in_float_register(a), mode)
        return s.result(type_, dst, sink, a.bit)

    return rule


def _square_root(double: int) -> Rule:
    type_ = F64 if double else F32

    def rule(s: Selection, sink: Operand | None, a: Operand) -> Operand:
        dst = s.float_destination(sink, a)
        s.code += asm.sse_rr(asm.SSE_SQRT, double, dst, s.in_float_register(a))
        return s.result(type_, dst, sink, a.bit)

    return rule


def _compare(condition: int, double: int, swapped: bool) -> Rule:
    """A comparison that is false for NaN: "above" is, "below" would not be, so less-than exchanges its operands."""

    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand) -> Operand:
        if swapped:
            a, b = b, a
        left = s.in_float_register(a)
        if b.reg >= 0 or b.kind == CONSTANT:
            s.code += asm.ucomis_rr(double, left, s.in_float_register(b))
        else:
            s.code += asm.ucomis_rm(double, left, FRAME, b.offset)
        return materialise(s, sink, condition, a.bit | b.bit)

    return rule


def select_float(s: Selection, sink: Operand | None, a: Operand, b: Operand, condition: Operand) -> Operand:
    """``condition ? a : b`` for floats: there is no conditional move between vector registers."""
    type_ = a.type
    if condition.kind == FLAGS:
        holds = condition.value
    else:
        test_zero(s, 0, condition)
        holds = asm.CC_NE
    dst = s.float_destination(sink, a, b)
    if dst == b.reg and dst != a.reg:
        a, b = b, a
        holds = invert(holds)
    s.load_float(dst, a)
    before = s.code
    s.code = bytearray()
    s.load_float(dst, b)
    other = s.code
    s.code = before
    if holds == FLOAT_EQUAL:
        skip = asm.jcc_rel8(asm.CC_E, len(other))
        s.code += asm.jcc_rel8(asm.CC_P, len(skip)) + skip
    elif holds == FLOAT_NOT_EQUAL:
        s.code += asm.jcc_rel8(asm.CC_P, len(other) + 2) + asm.jcc_rel8(asm.CC_NE, len(other))
    else:
        s.code += asm.jcc_rel8(holds, len(other))
    s.code += other
    return s.result(type_, dst, sink, a.bit | b.bit | condition.bit)


def _rules() -> dict[str, Rule]:
    rules: dict[str, Rule] = {}
    for double, type_name in FLOAT_TYPES:
        for name, op, commutative in (
            ("add", asm.SSE_ADD, True),
            ("sub", asm.SSE_SUB, False),
            ("mul", asm.SSE_MUL, True),
            ("div", asm.SSE_DIV, False),
        ):
            rules[f"{type_name}.{name}"] = _arithmetic(op, double, commutative)
        rules[f"{type_name}.select"] = select_float
        rules[f"{type_name}.min"] = _minimum_or_maximum(asm.SSE_MIN, double)
        rules[f"{type_name}.max"] = _minimum_or_maximum(asm.SSE_MAX, double)
        rules[f"{type_name}.copysign"] = _copysign(double)
        rules[f"{type_name}.abs"] = _sign("abs", double)
        rules[f"{type_name}.neg"] = _sign("neg", double)
        rules[f"{type_name}.sqrt"] = _square_root(double)
        for name, mode in (
            ("ceil", _ROUND_UP),
            ("floor", _ROUND_DOWN),
            ("trunc", _ROUND_TO_ZERO),
            ("nearest", _ROUND_NEAREST),
        ):
            rules[f"{type_name}.{name}"] = _round(mode, double)
        for name, condition, swapped in (
            ("eq", FLOAT_EQUAL, False),
            ("ne", FLOAT_NOT_EQUAL, False),
            ("lt", asm.CC_A, True),
            ("gt", asm.CC_A, False),
            ("le", asm.CC_AE, True),
            ("ge", asm.CC_AE, False),
        ):
            rules[f"{type_name}.{name}"] = _compare(condition, double, swapped)
    return rules


RULES = _rules()
