"""Rules of the float instructions on vectors; what a rule is says :mod:`.integers`, and how it emits says
:mod:`.packed`.

Of the relaxed instructions :data:`RULES` has the processor's own behaviour, which is one of those that the
specification lists in "Numerics / Relaxed Operations", the same wherever the instruction stands: minimum and maximum
give their second operand for NaN and for zeros of different signs (R_fmin and R_fmax are 2), and a multiplication and
an addition are fused where the processor has FMA (R_fmadd is 1). :data:`DETERMINISTIC` has those that differ under
the deterministic profile (appendix "Profiles"), where every such parameter is 0: minimum and maximum are the ordinary
ones, and the product is rounded before the addition.
"""

from __future__ import annotations

from ..operand import CONSTANT, V128, Operand
from . import asm_vector as v
from . import features
from .packed import (
    apply_i,
    binary,
    can_be_read,
    copied,
    emit,
    emit_i,
    emit_shift,
    repeated,
    separate,
    swapped,
    unary,
    unary_i,
)
from .regs import FRAME
from .selection import Selection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..types import Rule

#: Predicates of `cmpps`; those from 8 on are AVX's.
EQUAL, LESS, LESS_EQUAL, UNORDERED, NOT_EQUAL, ORDERED, GREATER_EQUAL, GREATER = 0, 1, 2, 3, 4, 7, 13, 14

# With bit 3 there is no inexact exception.
_ROUND_NEAREST, _ROUND_DOWN, _ROUND_UP, ROUND_TO_ZERO = range(8, 12)

#: Each shape, whether its lanes have 64 bits, and their width.
_SHAPES = (("f32x4", 0, 32), ("f64x2", 1, 64))

#: Operations by whether the lanes have 64 bits.
_ADD, _SUB, _MUL, _DIV = (v.ADDPS, v.ADDPD), (v.SUBPS, v.SUBPD), (v.MULPS, v.MULPD), (v.DIVPS, v.DIVPD)
_MIN, _MAX = (v.MINPS, v.MINPD), (v.MAXPS, v.MAXPD)
_SQRT, _ROUND, _CMP = (v.SQRTPS, v.SQRTPD), (v.ROUNDPS, v.ROUNDPD), (v.CMPPS, v.CMPPD)
_FUSED = (
    (v.VFMADD132PS, v.VFMADD213PS, v.VFMADD231PS),
    (v.VFMADD132PD, v.VFMADD213PD, v.VFMADD231PD),
)
_FUSED_NEGATED = (
    (v.VFNMADD132PS, v.VFNMADD213PS, v.VFNMADD231PS),
    (v.VFNMADD132PD, v.VFNMADD213PD, v.VFNMADD231PD),
)


def _sign(op: int, mask: Operand) -> Rule:
    """``abs`` and ``neg``: the sign bits cleared or flipped, whatever the values are."""

    def rule(s: Selection, sink: Operand | None, a: Operand) -> Operand:
        dst = s.float_destination(sink, a)
        emit(s, op, dst, copied(s, dst, a), mask)
        return s.result(V128, dst, sink, a.bit)

    return rule


def _compare(double: int, predicate: int, mirrored: int) -> Rule:
    """A comparison; its predicate with the operands exchanged is ``mirrored``. Either may be one of AVX's, not both."""
    op = _CMP[double]

    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand) -> Operand:
        exchanged = mirrored, b, a
        if features.AVX:
            # Only the second operand can be read from memory.
            choose = a.reg < 0 <= b.reg
        elif predicate == mirrored:
            choose = a.reg < 0 <= b.reg or (sink is None and b.bit > a.bit == 0)
        else:
            choose = predicate > ORDERED
        imm, first, second = exchanged if choose else (predicate, a, b)
        return apply_i(s, sink, op, first, second, imm)

    return rule


def _minimum_or_maximum(double: int, is_maximum: bool) -> Rule:
    """``min`` and ``max`` with NaN if either operand is one, and -0 less than 0.

    The processor's own gives its second operand for NaN and for two zeros. Done both ways, the two results differ in
    these cases only: or-ed, they are a NaN, and -0, which is right for the minimum. For the maximum their difference
    in bits then is subtracted, as a float: it is 0 where they agree, and -0 minus -0 is 0 for two zeros. At last the
    payload of a NaN is cleared but for its first bit, since it has to be canonical where the operands' were.
    """
    op = (_MAX if is_maximum else _MIN)[double]
    shift, payload = ((v.PSRLD_I, 10), (v.PSRLQ_I, 13))[double]

    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand) -> Operand:
        dst = s.float_destination(sink, a, b)
        if dst == b.reg:
            # The order does not matter.
            a, b = b, a
        first = copied(s, dst, a)
        second = s.in_float_register(b)
        other = s.scratch_float()
        emit(s, op, other, second, first)
        emit(s, op, dst, first, second)
        if is_maximum:
            emit(s, v.XORPS, dst, dst, other)
            emit(s, v.ORPS, other, other, dst)
            emit(s, _SUB[double], other, other, dst)
            emit_i(s, _CMP[double], dst, dst, other, UNORDERED)
        else:
            emit(s, v.ORPS, other, other, dst)
            emit_i(s, _CMP[double], dst, dst, other, UNORDERED)
            emit(s, v.ORPS, other, other, dst)
        emit_shift(s, shift, dst, dst, payload)
        emit(s, v.ANDNPS, dst, dst, other)
        return s.result(V128, dst, sink, a.bit | b.bit)

    return rule


def _multiply_and_add(double: int, negated: bool) -> Rule:
    """``relaxed_madd`` and ``relaxed_nmadd`` with one rounding where the processor has FMA, else with two."""
    fused = (_FUSED_NEGATED if negated else _FUSED)[double]
    apart = _multiply_then_add(double, negated)

    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand, c: Operand) -> Operand:
        if not features.FMA:
            return apart(s, sink, a, b, c)
        bits = a.bit | b.bit | c.bit
        dst = s.float_destination(sink, c, a if a.bit else b)
        form132, form213, form231 = fused
        if a.reg < 0 <= b.reg or dst == b.reg:
            a, b = b, a
        if dst == c.reg or (dst != a.reg and a.reg >= 0 > c.reg):
            # The sum takes the place of what is added.
            s.load_float(dst, c)
            _fuse(s, form231, dst, s.in_float_register(a), b)
        else:
            s.load_float(dst, a)
            if b.reg < 0 <= c.reg:
                _fuse(s, form132, dst, c.reg, b)
            else:
                _fuse(s, form213, dst, s.in_float_register(b), c)
        return s.result(V128, dst, sink, bits)

    return rule


def _fuse(s: Selection, op: int, dst: int, second: int, third: Operand) -> None:
    """A fused instruction, whose third operand may be in memory."""
    if can_be_read(s, third):
        if third.kind == CONSTANT:
            s.literal(v.vex_rip(op, dst, second, 0), third)
        else:
            s.code += v.vex_rm(op, dst, second, FRAME, third.offset)
    else:
        s.code += v.vex_rr(op, dst, second, s.in_float_register(third))


def _multiply_then_add(double: int, negated: bool) -> Rule:
    """``relaxed_madd`` and ``relaxed_nmadd`` with a rounding after each step."""

    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand, c: Operand) -> Operand:
        bits = a.bit | b.bit | c.bit
        dst = s.float_destination(sink, c, a if a.bit else b)
        if a.reg < 0 <= b.reg:
            a, b = b, a
        if negated:
            product = s.scratch_float()
            emit(s, _MUL[double], product, copied(s, product, a), b, commutative=True)
            emit(s, _SUB[double], dst, copied(s, dst, c), product)
        else:
            product = separate(s, dst, c)
            emit(s, _MUL[double], product, copied(s, product, a), b, commutative=True)
            emit(s, _ADD[double], dst, product, c, commutative=True)
        return s.result(V128, dst, sink, bits)

    return rule


def _rules() -> tuple[dict[str, Rule], dict[str, Rule]]:
    rules: dict[str, Rule] = {}
    deterministic: dict[str, Rule] = {}
    for shape, double, width in _SHAPES:
        top = 1 << width - 1
        minimum = _minimum_or_maximum(double, False)
        maximum = _minimum_or_maximum(double, True)
        of_shape = {
            "abs": _sign(v.ANDPS, repeated(top - 1, width)),
            "neg": _sign(v.XORPS, repeated(top, width)),
            "sqrt": unary(_SQRT[double]),
            "ceil": unary_i(_ROUND[double], _ROUND_UP),
            "floor": unary_i(_ROUND[double], _ROUND_DOWN),
            "trunc": unary_i(_ROUND[double], ROUND_TO_ZERO),
            "nearest": unary_i(_ROUND[double], _ROUND_NEAREST),
            "add": binary(_ADD[double], commutative=True),
            "sub": binary(_SUB[double]),
            "mul": binary(_MUL[double], commutative=True),
            "div": binary(_DIV[double]),
            "min": minimum,
            "max": maximum,
            # ``b < a ? b : a``, which gives the second operand as it is where the comparison does not hold: just what
            # the processor does with the operands exchanged.
            "pmin": swapped(_MIN[double]),
            "pmax": swapped(_MAX[double]),
            "eq": _compare(double, EQUAL, EQUAL),
            "ne": _compare(double, NOT_EQUAL, NOT_EQUAL),
            "lt": _compare(double, LESS, GREATER),
            "gt": _compare(double, GREATER, LESS),
            "le": _compare(double, LESS_EQUAL, GREATER_EQUAL),
            "ge": _compare(double, GREATER_EQUAL, LESS_EQUAL),
            "relaxed_min": binary(_MIN[double]),
            "relaxed_max": binary(_MAX[double]),
            "relaxed_madd": _multiply_and_add(double, False),
            "relaxed_nmadd": _multiply_and_add(double, True),
        }
        rules |= {f"{shape}.{name}": rule for name, rule in of_shape.items()}
        deterministic |= {
            f"{shape}.relaxed_min": minimum,
            f"{shape}.relaxed_max": maximum,
            f"{shape}.relaxed_madd": _multiply_then_add(double, False),
            f"{shape}.relaxed_nmadd": _multiply_then_add(double, True),
        }
    return rules, deterministic


RULES, DETERMINISTIC = _rules()
