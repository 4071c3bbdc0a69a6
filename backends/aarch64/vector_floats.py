"""Rules of float instructions on all lanes of a vector; what a rule is says :mod:`.integers`."""

from __future__ import annotations

from ..operand import V128, Operand
from . import asm
from . import asm_vector as v
from .regs import FLOAT_SCRATCH, FLOAT_SCRATCH2
from .selection import Selection
from .vector_bits import is_all, unary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..types import Rule

#: Shapes of floats, with what tells the one with wider lanes.
_SHAPES = ((0, "f32x4"), (1, "f64x2"))


def _arithmetic(op: int, double: int) -> Rule:
    """Two operands, one instruction: FMIN and FMAX treat NaN and -0 as WebAssembly does."""

    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand) -> Operand:
        dst = s.float_destination(sink, a.bit | b.bit)
        left = s.in_float_register(a)
        s.code += v.float_three(op, double, dst, left, s.in_float_register(b, FLOAT_SCRATCH2))
        return s.result(V128, dst, sink, a.bit | b.bit)

    return rule


def _unary(op: int, double: int) -> Rule:
    """FABS and FNEG change a NaN's sign alone."""
    return unary(lambda dst, src: v.float_two(op, double, dst, src))


def _pseudo(double: int, is_minimum: bool) -> Rule:
    """The second operand where it is less, or greater, than the first one, else the first one, bit for bit."""

    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand) -> Operand:
        dst = s.float_destination(sink, a.bit | b.bit)
        first = s.in_float_register(a)
        second = s.in_float_register(b, FLOAT_SCRATCH2)
        greater, less = (first, second) if is_minimum else (second, first)
        # The mask, of where the second operand is taken, is made in the destination if no operand is there.
        if dst not in (first, second):
            s.code += v.float_three(v.FCMGT, double, dst, greater, less)
            s.code += v.bitwise(v.BSL, dst, second, first)
            return s.result(V128, dst, sink, a.bit | b.bit)
        # No more than the other operand was loaded into a scratch.
        mask = FLOAT_SCRATCH if second == FLOAT_SCRATCH2 else FLOAT_SCRATCH2
        s.code += v.float_three(v.FCMGT, double, mask, greater, less)
        if dst == first:
            s.code += v.bitwise(v.BIT, dst, second, mask)
        else:
            s.code += v.bitwise(v.BIF, dst, first, mask)
        return s.result(V128, dst, sink, a.bit | b.bit)

    return rule


#: Comparisons: the operation, that of the operands exchanged with zero as the second one, and of zero as the first.
_COMPARISONS = {
    "eq": (v.FCMEQ, False, v.FCMEQ_ZERO, v.FCMEQ_ZERO),
    "ne": (v.FCMEQ, False, v.FCMEQ_ZERO, v.FCMEQ_ZERO),
    "lt": (v.FCMGT, True, v.FCMLT_ZERO, v.FCMGT_ZERO),
    "gt": (v.FCMGT, False, v.FCMGT_ZERO, v.FCMLT_ZERO),
    "le": (v.FCMGE, True, v.FCMLE_ZERO, v.FCMGE_ZERO),
    "ge": (v.FCMGE, False, v.FCMGE_ZERO, v.FCMLE_ZERO),
}


def _compare(name: str, double: int) -> Rule:
    """A comparison; each is false for NaN, but for "not equal", which is the opposite of "equal"."""
    op, exchanged, with_zero, of_zero = _COMPARISONS[name]

    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand) -> Operand:
        dst = s.float_destination(sink, a.bit | b.bit)
        if is_all(b, 0):
            s.code += v.float_two(with_zero, double, dst, s.in_float_register(a))
        elif is_all(a, 0):
            s.code += v.float_two(of_zero, double, dst, s.in_float_register(b))
        else:
            left = s.in_float_register(a)
            right = s.in_float_register(b, FLOAT_SCRATCH2)
            if exchanged:
                left, right = right, left
            s.code += v.float_three(op, double, dst, left, right)
        if name == "ne":
            s.code += v.two(v.NOT, 0, dst, dst)
        return s.result(V128, dst, sink, a.bit | b.bit)

    return rule


def _fused(op: int, double: int) -> Rule:
    """``c + a * b``, or ``c - a * b``, rounded once, in the register of ``c``."""

    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand, c: Operand) -> Operand:
        bits = a.bit | b.bit | c.bit
        dst = s.float_destination(sink, c.bit)
        # A destination that holds a factor has to wait; then no more than the other factor is in no register.
        total = dst if dst == c.reg or dst not in (a.reg, b.reg) else FLOAT_SCRATCH
        left = s.in_float_register(a, FLOAT_SCRATCH if total == dst else FLOAT_SCRATCH2)
        right = s.in_float_register(b, FLOAT_SCRATCH2)
        s.load_float(total, c)
        s.code += v.float_three(op, double, total, left, right)
        if total != dst:
            s.code += asm.mov_v(dst, total)
        return s.result(V128, dst, sink, bits)

    return rule


def _unfused(op: int, double: int) -> Rule:
    """``c + a * b``, or ``c - a * b``, rounded twice. The product's sign does not change how it is rounded, so that
    subtracting it is adding the product of ``-a``.
    """

    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand, c: Operand) -> Operand:
        bits = a.bit | b.bit | c.bit
        left = s.in_float_register(a)
        right = s.in_float_register(b, FLOAT_SCRATCH2)
        s.code += v.float_three(v.FMUL, double, FLOAT_SCRATCH, left, right)
        dst = s.float_destination(sink, bits)
        s.code += v.float_three(op, double, dst, s.in_float_register(c, FLOAT_SCRATCH2), FLOAT_SCRATCH)
        return s.result(V128, dst, sink, bits)

    return rule


def _rules() -> dict[str, Rule]:
    rules: dict[str, Rule] = {}
    for double, shape in _SHAPES:
        for name, op in (
            ("add", v.FADD),
            ("sub", v.FSUB),
            ("mul", v.FMUL),
            ("div", v.FDIV),
            ("min", v.FMIN),
            ("max", v.FMAX),
            ("relaxed_min", v.FMIN),
            ("relaxed_max", v.FMAX),
        ):
            rules[f"{shape}.{name}"] = _arithmetic(op, double)
        for name, op in (
            ("abs", v.FABS),
            ("neg", v.FNEG),
            ("sqrt", v.FSQRT),
            ("ceil", v.FRINTP),
            ("floor", v.FRINTM),
            ("trunc", v.FRINTZ),
            ("nearest", v.FRINTN),
        ):
            rules[f"{shape}.{name}"] = _unary(op, double)
        for name in _COMPARISONS:
            rules[f"{shape}.{name}"] = _compare(name, double)
        rules[f"{shape}.pmin"] = _pseudo(double, True)
        rules[f"{shape}.pmax"] = _pseudo(double, False)
        rules[f"{shape}.relaxed_madd"] = _fused(v.FMLA, double)
        rules[f"{shape}.relaxed_nmadd"] = _fused(v.FMLS, double)
    return rules


def _deterministic() -> dict[str, Rule]:
    rules: dict[str, Rule] = {}
    for double, shape in _SHAPES:
        rules[f"{shape}.relaxed_madd"] = _unfused(v.FADD, double)
        rules[f"{shape}.relaxed_nmadd"] = _unfused(v.FSUB, double)
    return rules


RULES = _rules()
#: What differs in the specification's deterministic profile: products are rounded before they are added.
DETERMINISTIC = _deterministic()
