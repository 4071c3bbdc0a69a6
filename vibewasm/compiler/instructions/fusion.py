"""Instructions that a processor carries out together with the one after them: a shift or a product, and what takes it.

Which ones these are the backend says (``FUSED`` in its target). They are handled here, so that the hot loop does not
have to look for them, least of all where there are none.
"""

from __future__ import annotations

from ...backends.operand import CONSTANT, Operand, constant
from ...opcodes import CODE, name_of, signature
from ..choices import choose_binary, choose_constant, choose_immediate
from ..operand_stack import finish, sink_at
from ..state import Compilation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..choices import Choice
    from ..environment import ModuleEnvironment

#: The constant of each type, with the ``and`` of each type.
_AND = {CODE[f"{type_}.const"]: CODE[f"{type_}.and"] for type_ in ("i32", "i64")}
#: What may be taken along.
_NEXT = frozenset(
    (*_AND, *(CODE[f"{type_}.{name}"] for type_ in ("i32", "i64") for name in ("add", "sub", "and", "or", "xor")))
)


def with_next(c: Compilation, pc: int) -> int:
    """An instruction with two operands, and those after it that the backend has a rule for together with it."""
    code = c.code
    op = code[pc - 1]
    second = code[pc]
    if second not in _NEXT:
        return _alone(c, op, pc)
    stack = c.stack
    x = stack[-2]
    b = stack[-1]
    type_ = signature(op)[0][0]
    if x.type != type_ or b.type != type_ or x.kind == CONSTANT:
        return _alone(c, op, pc)
    by_constant = b.kind == CONSTANT
    if by_constant:
        op, b, _, _ = c.target.WITH_CONSTANT.get((op, b)) or choose_constant(c, op, b)
    rule = fusion(c.env, op, second, by_constant)
    if rule is not None:
        if second in _AND:
            after, mask = _masks(c, pc, _AND[second])
            if after:
                return _together(c, rule, (op, second), (x, b, constant(type_, mask)), 2, (pc, after - 1), after)
        elif stack[-3].type == type_ and stack[-3].kind != CONSTANT:
            return _together(c, rule, (op, second), (stack[-3], x, b), 3, (pc,), pc + 1)
    return _alone(c, code[pc - 1], pc)


def fusion(env: ModuleEnvironment, first: int, second: int, by_constant: bool) -> Callable[..., Operand] | None:
    """The backend's rule for two instructions at once, if it has one; memoised.

    ``by_constant`` says whether the first one's second operand is a constant.
    """
    key = (first, second, by_constant)
    try:
        return env.fusions[key]
    except KeyError:
        found = env.fusions[key] = env.target.fusion(name_of(first), name_of(second), by_constant)
        return found


def _masks(c: Compilation, pc: int, wanted: int) -> tuple[int, int]:
    """The position after a constant at ``pc`` and the instruction ``wanted``, and the constant.

    Zeros unless both are there and the constant is some of the lowest bits, in four bytes at most.
    """
    code = c.code
    mask = shift = 0
    byte = 128
    while byte > 127 and shift < 28:
        pc += 1
        byte = code[pc]
        mask |= (byte & 127) << shift
        shift += 7
    if byte > 63 or code[pc + 1] != wanted or not mask or mask & (mask + 1):
        return 0, 0
    return pc + 2, mask


def _together(
    c: Compilation,
    rule: Callable[..., Operand],
    instructions: tuple[int, int],
    operands: tuple[Operand, Operand, Operand],
    popped: int,
    skipped: tuple[int, ...],
    after: int,
) -> int:
    """Emit several instructions as one.

    Args:
        rule: the backend's rule for them.
        instructions: the first two of them.
        operands: what the rule takes.
        popped: how many of these are on the stack.
        skipped: positions of all but the first.
        after: position of the instruction after them.
    """
    if c.special is not None:
        for position in skipped:
            c.special(position)
    del c.stack[-popped:]
    target = c.target
    free = c.free
    placed = []
    for operand in operands:
        if operand.reg < 0 and operand.kind != CONSTANT:
            text, operand, free = target.FETCHES.get((operand, free)) or target.fetch(operand, free)
            c.out += text
        placed.append(operand)
    sink = sink_at(c, after, operands[0].type)
    key = (*instructions, *placed, free, sink)
    choice: Choice | None = target.MEMO.get(key)
    if choice is None:
        choice = target.lower(rule, tuple(placed), free, sink)
        target.remember(key, choice)
    return finish(c, after, choice, sink)


def _alone(c: Compilation, op: int, pc: int) -> int:
    """One instruction with two operands, as the hot loop has it."""
    b = c.stack.pop()
    a = c.stack.pop()
    target = c.target
    free = c.free
    stand_in: Operand | None = None
    middles: tuple[bytes, ...] = ()
    if b.kind == CONSTANT:
        op, b, stand_in, middles = target.WITH_CONSTANT.get((op, b)) or choose_constant(c, op, b)
    if a.reg < 0 and a.kind != CONSTANT:
        text, a, free = target.FETCHES.get((a, free)) or target.fetch(a, free)
        c.out += text
    sink = sink_at(c, pc, signature(op)[1][0])
    if stand_in is not None:
        split = target.MEMO.get((op, a, stand_in, free, sink))
        if split is None:
            split, a = choose_immediate(c, op, a, stand_in, free, sink)
        head, tail, result, free, tight = split
        return finish(c, pc, (head + middles[target.IMMEDIATE_GROUPS[a.reg]] + tail, result, free, tight), sink)
    choice = target.MEMO.get((op, a, b, free, sink))
    if choice is None:
        choice, free = choose_binary(c, op, a, b, free, sink)
    return finish(c, pc, choice, sink)
