"""Rules of the vector instructions on integers; what a rule is says :mod:`.integers`."""

from __future__ import annotations

from ..operand import ALL_ONES, CONSTANT, V128, Operand, register
from . import asm
from . import asm_vector as v
from .regs import FLOAT_SCRATCH, FLOAT_SCRATCH2, SCRATCH
from .selection import Selection
from .vector_bits import INTEGER_SHAPES, binary, is_all, sources, unary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..types import Rule


def _three(op: int, size: int) -> Callable[[int, int, int], bytes]:
    return lambda dst, a, b: v.three(op, size, dst, a, b)


def _two(op: int, size: int) -> Callable[[int, int], bytes]:
    return lambda dst, src: v.two(op, size, dst, src)


# -- comparisons -----------------------------------------------------------------------------------------------------

#: The instruction of each comparison, and the comparison that has its operands the other way round.
_ORDERS = {
    "eq": (v.CMEQ, "eq"),
    "ne": (0, "ne"),
    "gt_s": (v.CMGT, "lt_s"),
    "ge_s": (v.CMGE, "le_s"),
    "gt_u": (v.CMHI, "lt_u"),
    "ge_u": (v.CMHS, "le_u"),
    "lt_s": (0, "gt_s"),
    "le_s": (0, "ge_s"),
    "lt_u": (0, "gt_u"),
    "le_u": (0, "ge_u"),
}
#: Comparisons with the constant 0, and with the one of all ones, that is with -1: unsigned, only 0 is not above 0.
_WITH_ZERO = {
    "eq": v.CMEQ_ZERO,
    "le_u": v.CMEQ_ZERO,
    "gt_s": v.CMGT_ZERO,
    "ge_s": v.CMGE_ZERO,
    "lt_s": v.CMLT_ZERO,
    "le_s": v.CMLE_ZERO,
}
_WITH_ONES = {"gt_s": v.CMGE_ZERO, "le_s": v.CMLT_ZERO}


def _compare(name: str, size: int) -> Rule:
    instruction, swapped = _ORDERS[name]

    def equal_inverted(dst: int, a: int, b: int) -> bytes:
        return v.three(v.CMEQ, size, dst, a, b) + v.two(v.NOT, 0, dst, dst)

    def exchanged(dst: int, a: int, b: int) -> bytes:
        return v.three(_ORDERS[swapped][0], size, dst, b, a)

    general = binary(_three(instruction, size) if instruction else equal_inverted if name == "ne" else exchanged)
    # A test with itself tells whether any bit is set.
    not_zero = unary(lambda dst, src: v.three(v.CMTST, size, dst, src, src))

    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand) -> Operand:
        for constant, other, order in ((b, a, name), (a, b, swapped)):
            if constant.kind != CONSTANT:
                continue
            if is_all(constant, 0) and order in ("ne", "gt_u"):
                return not_zero(s, sink, other)
            by_constant = _WITH_ZERO if is_all(constant, 0) else _WITH_ONES if is_all(constant, ALL_ONES) else {}
            op = by_constant.get(order)
            if op is not None:
                return unary(_two(op, size))(s, sink, other)
        return general(s, sink, a, b)

    return rule


# -- arithmetic ------------------------------------------------------------------------------------------------------


def _subtract(size: int) -> Rule:
    general = binary(_three(v.SUB, size))
    negate = unary(_two(v.NEG, size))

    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand) -> Operand:
        return negate(s, sink, b) if is_all(a, 0) else general(s, sink, a, b)

    return rule


def _multiply_64(dst: int, a: int, b: int) -> bytes:
    """Products of 64 bits, of which none are there: of the words ``h:l`` it is ``(ah * bl + al * bh << 32) + al * bl``.

    The lower words of both factors go to the upper halves of the scratches, the sums of products to a lower half.
    Either factor may be in the second scratch.
    """
    return (
        v.two(v.REV64, 2, FLOAT_SCRATCH, b)
        + v.three(v.MUL, 2, FLOAT_SCRATCH, FLOAT_SCRATCH, a)
        + v.three(v.ADDP, 2, FLOAT_SCRATCH, FLOAT_SCRATCH, FLOAT_SCRATCH)
        + v.narrow(v.XTN, 2, 1, FLOAT_SCRATCH, b)
        + v.narrow(v.XTN, 2, 1, FLOAT_SCRATCH2, a)
        + v.shll(2, 0, dst, FLOAT_SCRATCH)
        + v.long(v.UMLAL, 2, 1, dst, FLOAT_SCRATCH, FLOAT_SCRATCH2)
    )


def _narrow(op: int, size: int) -> Rule:
    """Two vectors as one; the first half of the result must not come to where the second operand is."""

    def emit(dst: int, a: int, b: int) -> bytes:
        first = FLOAT_SCRATCH if dst == b else dst
        code = v.narrow(op, size, 0, first, a) + v.narrow(op, size, 1, first, b)
        return code + asm.mov_v(dst, first) if first != dst else code

    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand) -> Operand:
        bits = a.bit | b.bit
        dst = s.float_destination(sink, a.bit if a.bit != b.bit else 0)
        first = s.in_float_register(a)
        s.code += emit(dst, first, s.in_float_register(b, FLOAT_SCRATCH2))
        return s.result(V128, dst, sink, bits)

    return rule


def _dot(size: int) -> Callable[[int, int, int], bytes]:
    """Sums of neighbouring products of twice the width. Only if all four factors are the least number is a sum too
    large, and wraps.
    """

    def emit(dst: int, a: int, b: int) -> bytes:
        return (
            v.long(v.SMULL, size, 0, FLOAT_SCRATCH, a, b)
            + v.long(v.SMULL, size, 1, dst, a, b)
            + v.three(v.ADDP, size + 1, dst, FLOAT_SCRATCH, dst)
        )

    return emit


def _dot_bytes_saturated(dst: int, a: int, b: int) -> bytes:
    """The same of bytes, where such a sum is saturated. The second scratch is free once both factors have been read."""
    return (
        v.long(v.SMULL, 0, 0, FLOAT_SCRATCH, a, b)
        + v.long(v.SMULL, 0, 1, dst, a, b)
        + v.permute(v.UZP1, 1, FLOAT_SCRATCH2, FLOAT_SCRATCH, dst)
        + v.permute(v.UZP2, 1, dst, FLOAT_SCRATCH, dst)
        + v.three(v.SQADD, 1, dst, FLOAT_SCRATCH2, dst)
    )


def _dot_bytes_added(dot: Callable[[int, int, int], bytes]) -> Rule:
    """Four products each, added to a third operand."""

    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand, c: Operand) -> Operand:
        # The sums have a temporary of their own, so that the third operand may be where the result goes.
        sums = s.take_float()
        s.code += dot(sums, *sources(s, sums, a, b))
        bits = a.bit | b.bit | c.bit
        dst = s.float_destination(sink, c.bit or bits)
        s.load_float(dst, c)
        s.code += v.two(v.SADALP, 1, dst, sums)
        s.release(register(V128, sums))
        return s.result(V128, dst, sink, bits)

    return rule


# -- shifts ----------------------------------------------------------------------------------------------------------


def _shift(name: str, size: int) -> Rule:
    is_left = name == "shl"
    by_vector = v.SSHL if name == "shr_s" else v.USHL
    by_number = v.SSHR if name == "shr_s" else v.USHR

    def rule(s: Selection, sink: Operand | None, a: Operand, count: Operand) -> Operand:
        dst = s.float_destination(sink, a.bit)
        if count.kind == CONSTANT:
            number = count.value & (8 << size) - 1
            if not number:
                s.load_float(dst, a)
            elif is_left:
                s.code += v.shift_left(v.SHL, size, dst, s.in_float_register(a), number)
            else:
                s.code += v.shift_right(by_number, size, dst, s.in_float_register(a), number)
            return s.result(V128, dst, sink, a.bit)
        source = s.in_float_register(a, FLOAT_SCRATCH2)
        # Each lane is shifted by the signed number in the lowest byte of its count: to the right by a negative one.
        s.code += asm.logic_ri(asm.AND, 0, SCRATCH, s.in_register(count), (8 << size) - 1)
        if not is_left:
            s.code += asm.neg(0, SCRATCH, SCRATCH)
        # Any lanes that have it in their lowest bytes will do, which of bytes each is.
        s.code += v.dup(0, FLOAT_SCRATCH, SCRATCH) + v.three(by_vector, size, dst, source, FLOAT_SCRATCH)
        return s.result(V128, dst, sink, a.bit | count.bit)

    return rule


# -- lanes of two widths -----------------------------------------------------------------------------------------------


def _extend(op: int, size: int, high: int) -> Rule:
    return unary(lambda dst, src: v.shift_long(op, size, high, dst, src, 0))


def _extend_multiply(op: int, size: int, high: int) -> Rule:
    return binary(lambda dst, a, b: v.long(op, size, high, dst, a, b))


def _between_widths() -> dict[str, Rule]:
    """Rules of the instructions whose lanes are half as wide as the result's, or twice as wide."""
    rules: dict[str, Rule] = {}
    for size in range(3):
        narrow, wide = INTEGER_SHAPES[size : size + 2]
        for sign, extend, multiply, add in (
            ("s", v.SSHLL, v.SMULL, v.SADDLP),
            ("u", v.USHLL, v.UMULL, v.UADDLP),
        ):
            for high, half in enumerate(("low", "high")):
                rules[f"{wide}.extend_{half}_{narrow}_{sign}"] = _extend(extend, size, high)
                rules[f"{wide}.extmul_{half}_{narrow}_{sign}"] = _extend_multiply(multiply, size, high)
            if size < 2:
                rules[f"{wide}.extadd_pairwise_{narrow}_{sign}"] = unary(_two(add, size))
                op = v.SQXTN if sign == "s" else v.SQXTUN
                rules[f"{narrow}.narrow_{wide}_{sign}"] = _narrow(op, size)
    return rules


def _rules() -> dict[str, Rule]:
    rules = _between_widths()
    product = binary(_three(v.SQRDMULH, 1))
    rules["i16x8.q15mulr_sat_s"] = rules["i16x8.relaxed_q15mulr_s"] = product
    rules["i32x4.dot_i16x8_s"] = binary(_dot(1))
    rules["i16x8.relaxed_dot_i8x16_i7x16_s"] = binary(_dot(0))
    rules["i32x4.relaxed_dot_i8x16_i7x16_add_s"] = _dot_bytes_added(_dot(0))
    rules["i8x16.popcnt"] = unary(_two(v.CNT, 0))
    rules["i64x2.mul"] = binary(_multiply_64)
    for size, shape in enumerate(INTEGER_SHAPES):
        for name in _ORDERS:
            if size < 3 or not name.endswith("_u"):
                rules[f"{shape}.{name}"] = _compare(name, size)
        for name in ("shl", "shr_s", "shr_u"):
            rules[f"{shape}.{name}"] = _shift(name, size)
        rules[f"{shape}.abs"] = unary(_two(v.ABS, size))
        rules[f"{shape}.neg"] = unary(_two(v.NEG, size))
        rules[f"{shape}.add"] = binary(_three(v.ADD, size))
        rules[f"{shape}.sub"] = _subtract(size)
        if size < 3:
            for name, op in (("min_s", v.SMIN), ("min_u", v.UMIN), ("max_s", v.SMAX), ("max_u", v.UMAX)):
                rules[f"{shape}.{name}"] = binary(_three(op, size))
        if size in (1, 2):
            rules[f"{shape}.mul"] = binary(_three(v.MUL, size))
        if size < 2:
            for name, op in (
                ("add_sat_s", v.SQADD),
                ("add_sat_u", v.UQADD),
                ("sub_sat_s", v.SQSUB),
                ("sub_sat_u", v.UQSUB),
                ("avgr_u", v.URHADD),
            ):
                rules[f"{shape}.{name}"] = binary(_three(op, size))
    return rules


RULES = _rules()
#: Relaxed instructions whose rule is another one in the deterministic profile: sums of products are saturated.
DETERMINISTIC: dict[str, Rule] = {
    "i16x8.relaxed_dot_i8x16_i7x16_s": binary(_dot_bytes_saturated),
    "i32x4.relaxed_dot_i8x16_i7x16_add_s": _dot_bytes_added(_dot_bytes_saturated),
}
