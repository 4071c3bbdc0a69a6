"""Rules of the vector instructions on all 128 bits, and of those whose outcome is a condition; what a rule is says
:mod:`.integers`.

A rule of vectors has the first vector scratch to itself: :func:`sources` loads what is in no register elsewhere.
"""

from __future__ import annotations

from ..operand import ALL_ONES, CONSTANT, I32, LITERAL, V128, WANT_FLAGS, Operand, constant, flags
from . import asm
from . import asm_vector as v
from .control import invert, zero
from .integers import materialise, select_condition
from .regs import FLOAT_SCRATCH, FLOAT_SCRATCH2, SCRATCH
from .selection import Selection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..types import Rule

#: Shapes of integers by the size of a lane.
INTEGER_SHAPES = ("i8x16", "i16x8", "i32x4", "i64x2")


# -- operands --------------------------------------------------------------------------------------------------------


def is_all(operand: Operand, value: int) -> bool:
    """Whether an operand is the constant 0 or the one of all ones, as ``value`` says."""
    return operand.kind == CONSTANT and operand is not LITERAL and operand.value == value


def sources(s: Selection, dst: int, a: Operand, b: Operand) -> tuple[int, int]:
    """The registers that hold two operands. What is in none is loaded into ``dst``, unless the other operand is there,
    or else into the second scratch; so the result may be written when both have been read.
    """
    left, right = a.reg, b.reg
    if left < 0:
        left = dst if dst != right else FLOAT_SCRATCH2
        s.load_float(left, a)
        if a is b:
            return left, left
    if right < 0:
        right = dst if dst != left else FLOAT_SCRATCH2
        s.load_float(right, b)
    return left, right


def unary(emit: Callable[[int, int], bytes]) -> Rule:
    """The rule of one operand and one instruction."""

    def rule(s: Selection, sink: Operand | None, a: Operand) -> Operand:
        dst = s.float_destination(sink, a.bit)
        s.code += emit(dst, s.in_float_register(a))
        return s.result(V128, dst, sink, a.bit)

    return rule


def binary(emit: Callable[[int, int, int], bytes]) -> Rule:
    """The rule of two operands, whose instructions write the destination when both have been read."""

    def rule(s: Selection, sink: Operand | None, a: Operand, b: Operand) -> Operand:
        bits = a.bit | b.bit
        dst = s.float_destination(sink, bits)
        s.code += emit(dst, *sources(s, dst, a, b))
        return s.result(V128, dst, sink, bits)

    return rule


# -- logic -----------------------------------------------------------------------------------------------------------


def _logic(op: int) -> Callable[[int, int, int], bytes]:
    return lambda dst, a, b: v.bitwise(op, dst, a, b)


_invert = unary(lambda dst, src: v.two(v.NOT, 0, dst, src))
_exclusive = binary(_logic(v.EOR))


def _xor(s: Selection, sink: Operand | None, a: Operand, b: Operand) -> Operand:
    """With ones it is the complement, which needs no constant."""
    if is_all(b, ALL_ONES):
        return _invert(s, sink, a)
    if is_all(a, ALL_ONES):
        return _invert(s, sink, b)
    return _exclusive(s, sink, a, b)


def bitselect(s: Selection, sink: Operand | None, a: Operand, b: Operand, mask: Operand) -> Operand:
    """Bits of ``a`` where the mask has ones, else of ``b``: three instructions do it, each in the register of another
    operand.
    """
    bits = a.bit | b.bit | mask.bit
    dst = s.float_destination(sink, bits)
    places = [a.reg, b.reg, mask.reg]
    scratches = [FLOAT_SCRATCH, FLOAT_SCRATCH2]
    # What is in no register comes to where the result goes, unless another operand is there.
    for index, operand in enumerate((a, b, mask)):
        if operand.reg < 0:
            places[index] = dst if dst not in places else scratches.pop()
            s.load_float(places[index], operand)
    first, second, chosen = places
    if dst == first:
        s.code += v.bitwise(v.BIF, dst, second, chosen)
    elif dst == second:
        s.code += v.bitwise(v.BIT, dst, first, chosen)
    else:
        if dst != chosen:
            s.code += asm.mov_v(dst, chosen)
        s.code += v.bitwise(v.BSL, dst, first, second)
    return s.result(V128, dst, sink, bits)


def select_vector(s: Selection, sink: Operand | None, a: Operand, b: Operand, condition: Operand) -> Operand:
    """``condition ? a : b``: the condition becomes a mask, as no instruction chooses between whole registers by it."""
    if condition.kind == CONSTANT:
        chosen = a if condition.value else b
        dst = s.float_destination(sink, chosen.bit)
        s.load_float(dst, chosen)
        return s.result(V128, dst, sink, a.bit | b.bit)
    bits = a.bit | b.bit
    dst = s.float_destination(sink, bits)
    # A constant needs the scratch that the test of a condition in the frame may use: it comes first.
    first, second = sources(s, dst, a, b)
    holds = select_condition(s, condition)
    s.code += v.csetm(holds, SCRATCH) + v.dup(3, FLOAT_SCRATCH, SCRATCH)
    if dst == first:
        s.code += v.bitwise(v.BIF, dst, second, FLOAT_SCRATCH)
    else:
        if dst != second:
            s.code += asm.mov_v(dst, second)
        s.code += v.bitwise(v.BIT, dst, first, FLOAT_SCRATCH)
    return s.result(V128, dst, sink, bits | condition.bit)


# -- conditions ------------------------------------------------------------------------------------------------------


def _any_true(s: Selection, sink: Operand | None, a: Operand) -> Operand:
    """The greater of neighbouring words leaves 64 bits, which are zero exactly if all are: a branch tests these."""
    s.code += v.three(v.UMAXP, 2, FLOAT_SCRATCH, *[s.in_float_register(a)] * 2)
    if sink is WANT_FLAGS:
        reg = s.take()
        s.code += asm.fmov_from(1, reg, FLOAT_SCRATCH)
        s.release(a)
        return flags(invert(zero(1, reg)), 1 << reg)
    s.code += asm.fmov_from(1, SCRATCH, FLOAT_SCRATCH) + asm.cmp_ri(1, SCRATCH, 0)
    return materialise(s, sink, asm.CC_NE, a.bit)


def _whether_any(s: Selection) -> None:
    """Set the flags by a vector of ones and zeros in the first scratch: "equal" holds if all are zeros.

    The ones of a whole lane are NaN or, where it is narrower than a float, a number that is not 0; so FCMP can tell,
    and nothing has to move to a general register. The sign alone is never set.
    """
    s.code += v.three(v.UMAXP, 2, FLOAT_SCRATCH, FLOAT_SCRATCH, FLOAT_SCRATCH) + asm.fcmp_zero(1, FLOAT_SCRATCH)


def _all_true(size: int) -> Rule:
    def rule(s: Selection, sink: Operand | None, a: Operand) -> Operand:
        s.code += v.two(v.CMEQ_ZERO, size, FLOAT_SCRATCH, s.in_float_register(a))
        _whether_any(s)
        return materialise(s, sink, asm.CC_EQ, a.bit)

    return rule


#: In each lane the bit that it has in the mask, by the size of a lane; of bytes, in each half.
_WEIGHTS = tuple([
    constant(V128, sum([1 << (lane % 8 if size == 0 else lane) << (lane << size + 3) for lane in range(16 >> size)]))
    for size in range(3)
])  # fmt: skip


def _bitmask(size: int) -> Rule:
    def rule(s: Selection, sink: Operand | None, a: Operand) -> Operand:
        source = s.in_float_register(a)
        if sink is WANT_FLAGS:
            s.code += v.two(v.CMLT_ZERO, size, FLOAT_SCRATCH, source)
            _whether_any(s)
            return materialise(s, sink, asm.CC_NE, a.bit)
        dst = s.destination(sink, 0)
        if size == 3:
            # The second lane's sign, and below it what is shifted out of the first one.
            s.code += asm.fmov_from(1, SCRATCH, source) + v.umov(3, dst, source, 1)
            s.code += asm.shift_ri(asm.LSR, 1, dst, dst, 63) + asm.extr(1, dst, dst, SCRATCH, 63)
            return s.result(I32, dst, sink, a.bit)
        s.code += v.two(v.CMLT_ZERO, size, FLOAT_SCRATCH, source)
        s.load_float(FLOAT_SCRATCH2, _WEIGHTS[size])
        s.code += v.bitwise(v.AND, FLOAT_SCRATCH, FLOAT_SCRATCH, FLOAT_SCRATCH2)
        if size:
            s.code += v.across(v.ADDV, size, FLOAT_SCRATCH, FLOAT_SCRATCH)
            s.code += asm.fmov_from(0, dst, FLOAT_SCRATCH)
        else:
            # Three sums of neighbours leave one byte of each half.
            s.code += v.three(v.ADDP, 0, FLOAT_SCRATCH, FLOAT_SCRATCH, FLOAT_SCRATCH) * 3
            s.code += v.umov(1, dst, FLOAT_SCRATCH, 0)
        return s.result(I32, dst, sink, a.bit)

    return rule


def _rules() -> dict[str, Rule]:
    rules: dict[str, Rule] = {
        "v128.not": _invert,
        "v128.and": binary(_logic(v.AND)),
        "v128.andnot": binary(_logic(v.BIC)),
        "v128.or": binary(_logic(v.ORR)),
        "v128.xor": _xor,
        "v128.bitselect": bitselect,
        "v128.select": select_vector,
        "v128.any_true": _any_true,
    }
    for size, shape in enumerate(INTEGER_SHAPES):
        rules[f"{shape}.all_true"] = _all_true(size)
        rules[f"{shape}.bitmask"] = _bitmask(size)
        rules[f"{shape}.relaxed_laneselect"] = bitselect
    return rules


RULES = _rules()
#: Relaxed instructions whose rule is another one in the deterministic profile: none here.
DETERMINISTIC: dict[str, Rule] = {}
