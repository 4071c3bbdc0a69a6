"""Rules of the float instructions; what a rule is says :mod:`.integers`."""

from __future__ import annotations

from ..choices import FLOAT_TYPES
from ..operand import CONSTANT, F32, F64, Operand
from . import asm
from .integers import materialise, select_condition
from .regs import FLOAT_SCRATCH, FLOAT_SCRATCH2
from .selection import Selection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..types import Rule


def _arithmetic(op: int, double: int) -> Rule:
    """Two operands, one instruction: ``fmin`` and ``fmax`` treat NaN and -0 as WebAssembly does."""
    type_ = F64 if double else F32

    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand) -> Operand:
        dst = s.float_destination(sink, a.bit | b.bit)
        left = s.in_float_register(a)
        s.code += asm.fp_rr(op, double, dst, left, s.in_float_register(b, FLOAT_SCRATCH2))
        return s.result(type_, dst, sink, a.bit | b.bit)

    return rule


def _unary(op: int, double: int) -> Rule:
    type_ = F64 if double else F32

    def rule(s: Selection, sink: Operand | None, a: Operand) -> Operand:
        dst = s.float_destination(sink, a.bit)
        s.code += asm.fp_r(op, double, dst, s.in_float_register(a))
        return s.result(type_, dst, sink, a.bit)

    return rule


def _copysign(double: int) -> Rule:
    type_ = F64 if double else F32

    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand) -> Operand:
        # The sign bit alone: for f64 it is that of -0.
        s.code += asm.movi_zero(FLOAT_SCRATCH) if double else asm.movi_sign(FLOAT_SCRATCH)
        if double:
            s.code += asm.fp_r(asm.FNEG, 1, FLOAT_SCRATCH, FLOAT_SCRATCH)
        # Where the mask is set the second operand's bit is taken, in the mask's own register.
        second = s.in_float_register(b, FLOAT_SCRATCH2)
        if a.reg >= 0:
            s.code += asm.vector_rr(asm.V_BSL, FLOAT_SCRATCH, second, a.reg)
        else:
            # Three values at once: the second operand's bits are inserted into the first in a register of its own.
            s.code += asm.vector_rr(asm.V_AND, FLOAT_SCRATCH, FLOAT_SCRATCH, second)
            s.load_float(FLOAT_SCRATCH2, a)
            s.code += asm.fp_r(asm.FABS, double, FLOAT_SCRATCH2, FLOAT_SCRATCH2)
            s.code += asm.vector_rr(asm.V_ORR, FLOAT_SCRATCH, FLOAT_SCRATCH, FLOAT_SCRATCH2)
        dst = s.float_destination(sink, a.bit | b.bit)
        s.code += asm.fp_r(asm.FMOV, double, dst, FLOAT_SCRATCH)
        return s.result(type_, dst, sink, a.bit | b.bit)

    return rule


def _compare(condition: int, double: int) -> Rule:
    """A comparison; each condition is false for NaN, but for "not equal", which is true."""

    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand) -> Operand:
        left = s.in_float_register(a)
        if b.kind == CONSTANT and b.value == 0:
            s.code += asm.fcmp_zero(double, left)
        else:
            s.code += asm.fcmp(double, left, s.in_float_register(b, FLOAT_SCRATCH2))
        return materialise(s, sink, condition, a.bit | b.bit)

    return rule


def select_float(s: Selection, sink: Operand | None, a: Operand, b: Operand, condition: Operand) -> Operand:
    """``condition ? a : b`` for floats."""
    double = 1 if a.type == F64 else 0
    # A constant needs the scratch that the test of a condition in the frame may use: it comes first.
    first = s.in_float_register(a)
    second = s.in_float_register(b, FLOAT_SCRATCH2)
    holds = select_condition(s, condition)
    dst = s.float_destination(sink, a.bit | b.bit)
    s.code += asm.fcsel(holds, double, dst, first, second)
    return s.result(a.type, dst, sink, a.bit | b.bit | condition.bit)


def _rules() -> dict[str, Rule]:
    rules: dict[str, Rule] = {}
    for double, type_name in FLOAT_TYPES:
        for name, op in (
            ("add", asm.FADD),
            ("sub", asm.FSUB),
            ("mul", asm.FMUL),
            ("div", asm.FDIV),
            ("min", asm.FMIN),
            ("max", asm.FMAX),
        ):
            rules[f"{type_name}.{name}"] = _arithmetic(op, double)
        rules[f"{type_name}.select"] = select_float
        rules[f"{type_name}.copysign"] = _copysign(double)
        for name, op in (
            ("abs", asm.FABS),
            ("neg", asm.FNEG),
            ("sqrt", asm.FSQRT),
            ("ceil", asm.FRINTP),
            ("floor", asm.FRINTM),
            ("trunc", asm.FRINTZ),
            ("nearest", asm.FRINTN),
        ):
            rules[f"{type_name}.{name}"] = _unary(op, double)
        for name, condition in (
            ("eq", asm.CC_EQ),
            ("ne", asm.CC_NE),
            ("lt", asm.CC_MI),
            ("gt", asm.CC_GT),
            ("le", asm.CC_LS),
            ("ge", asm.CC_GE),
        ):
            rules[f"{type_name}.{name}"] = _compare(condition, double)
    return rules


RULES = _rules()
