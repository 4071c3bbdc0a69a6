"""Choices of machine code that are not in the backend's memo: validated, made, and remembered.

A validation error needs no check of its own on the hot path: a memoised choice exists only for operands of the right
types, and what is not in the memo is checked here before it is made.
"""

from __future__ import annotations

from ..backends.operand import (
    BARRIER,
    CONSTANT,
    INTERN_LIMIT,
    WANT_FLAGS,
    Operand,
    constant,
    is_float,
)
from ..opcodes import ACCESSES, CODE, PREFIXES, codes_with, name_of, signature
from .operand_stack import evict, relieve
from .state import Compilation, NeedsRetyping, fits, type_mismatch

TYPE_CHECKING = False
if TYPE_CHECKING:
    #: Code, the result's entry, the temporaries free afterwards, and whether they are few.
    Choice = tuple[bytes, Operand, int, bool]
    #: The same with a gap in the code for a displacement or an immediate.
    SplitChoice = tuple[bytes, bytes, Operand, int, bool]

_LOCAL_SET, _LOCAL_TEE = CODE["local.set"], CODE["local.tee"]
_TAKES_IMMEDIATE = codes_with("immediate")
_SHIFTS = codes_with("shift")
_ADDITION = {CODE["i32.sub"]: CODE["i32.add"], CODE["i64.sub"]: CODE["i64.add"]}
_SHIFT_LEFT = {CODE["i32.mul"]: CODE["i32.shl"], CODE["i64.mul"]: CODE["i64.shl"]}
#: By type: the value with all bits set, and the largest count of a shift.
_ALL_ONES = (0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF)
_COUNTS = (31, 63)


def simplify(op: int, b: Operand) -> tuple[int, Operand]:
    """An operation by a constant of its own type as a simpler one.

    Subtracting is adding the negative, multiplying by a power of two shifts, a shift's count is taken modulo the width.
    """
    value = b.value
    if op in _ADDITION:
        return _ADDITION[op], constant(b.type, -value & _ALL_ONES[b.type])
    if op in _SHIFT_LEFT and value and not value & (value - 1):
        return _SHIFT_LEFT[op], constant(b.type, value.bit_length() - 1)
    if op in _SHIFTS:
        return op, constant(b.type, value & _COUNTS[b.type])
    return op, b


def check_types(c: Compilation, instruction: str, expected: tuple[int, ...], operands: tuple[Operand, ...]) -> None:
    """Raise the fault of a type mismatch unless the operands have the expected types."""
    for type_, operand in zip(expected, operands, strict=True):
        if operand.type != type_:
            found: list[int | None] = []
            for entry in reversed(operands):
                if entry.kind == BARRIER:
                    break
                found.append(entry.type)
            if len(found) < len(expected):
                found.append(None)
            raise type_mismatch(instruction, expected, found[::-1])


def _written(c: Compilation, op: int) -> str:
    """The name of an instruction as it was written, which :func:`simplify` may have exchanged for ``op``."""
    written = c.code[c.pc]
    return name_of(op if written in PREFIXES else written)


def choose_binary(
    c: Compilation, op: int, a: Operand, b: Operand, free: int, sink: Operand | None
) -> tuple[Choice, int]:
    """Validate and choose code for an instruction with two operands.

    Also the temporaries that are free before it.
    """
    env = c.env
    rule, claimed, (type_a, type_b), result = env.rules.get(op) or env.rule(op)
    if a.type != type_a or b.type != type_b:
        check_types(c, _written(c, op), (type_a, type_b), (a, b))
    if claimed and not (b.kind == CONSTANT and op in _SHIFTS):
        free = evict(c, claimed, free, (a, b))
    # With a local of another type as the destination, local.set itself reports the mismatch.
    fits = sink is None or sink is WANT_FLAGS or sink.type == result
    choice: Choice = c.target.lower(rule, (a, b), free, sink if fits else None)
    if fits:
        c.target.remember((op, a, b, free, sink), choice)
    return choice, free


def choose_constant(c: Compilation, op: int, b: Operand) -> tuple[int, Operand, Operand | None, tuple[bytes, ...]]:
    """What an instruction whose second operand is the constant ``b`` becomes, kept in the backend's
    ``WITH_CONSTANT``: the opcode and the constant, simplified, and the stand-in and the bytes of an immediate (see
    the backend's ``immediate``).
    """
    target = c.target
    stand_in: Operand | None = None
    middles: tuple[bytes, ...] = ()
    key = op, b
    if op in _TAKES_IMMEDIATE and b.type == signature(op)[0][1]:
        op, b = simplify(op, b)
        stand_in, middles = target.immediate(name_of(op), b)
    if len(target.WITH_CONSTANT) >= INTERN_LIMIT:
        target.WITH_CONSTANT.clear()
    found = target.WITH_CONSTANT[key] = op, b, stand_in, middles
    return found


def choose_stored(c: Compilation, op: int, b: Operand) -> tuple[Operand, bytes]:
    """What a store of the constant ``b`` is chosen for, and the bytes of its immediate, kept in the backend's
    ``STORED``.
    """
    target = c.target
    if len(target.STORED) >= INTERN_LIMIT:
        target.STORED.clear()
    found = target.STORED[op, b] = target.stored(1 << ACCESSES[op], b)
    return found


def choose_immediate(
    c: Compilation, op: int, a: Operand, stand_in: Operand, free: int, sink: Operand | None
) -> tuple[SplitChoice, Operand]:
    """Validate and choose code for an instruction whose second operand is a constant that fits an immediate.

    Also the first operand that it is chosen for.
    """
    rule, _, types, result = c.env.rules.get(op) or c.env.rule(op)
    if a.type != types[0] or stand_in.type != types[1]:
        check_types(c, _written(c, op), types, (a, stand_in))
    if a.kind == CONSTANT:
        # Both are constants, which only unoptimised code has: the first one goes to a register.
        text, a, free = c.target.copy_to_temporary(a, free)
        c.out += text
    fits = sink is None or sink is WANT_FLAGS or sink.type == result
    choice: SplitChoice = c.target.lower_immediate(rule, a, stand_in, free, sink if fits else None)
    if fits:
        c.target.remember((op, a, stand_in, free, sink), choice)
    return choice, a


def choose_unary(c: Compilation, op: int, a: Operand, free: int, sink: Operand | None) -> Choice:
    """Validate and choose code for an instruction with one operand."""
    rule, _, types, result = c.env.rules.get(op) or c.env.rule(op)
    if a.type != types[0]:
        check_types(c, name_of(op), types, (a,))
    fits = sink is None or sink is WANT_FLAGS or sink.type == result
    choice: Choice = c.target.lower(rule, (a,), free, sink if fits else None)
    if fits:
        c.target.remember((op, a, free, sink), choice)
    return choice


def choose_load(c: Compilation, op: int, a: Operand, form: int, free: int, sink: Operand | None) -> SplitChoice:
    """Validate and choose code for a load."""
    name = name_of(op)
    if a.type != c.env.address_type:
        check_types(c, name, (c.env.address_type,), (a,))
    fits = sink is None or sink.type == signature(op)[1][0]
    choice: SplitChoice = c.target.lower_load(name, a, form, free, sink if fits else None)
    if fits:
        c.target.remember((op, a, form, free, sink), choice)
    return choice


def choose_store(c: Compilation, op: int, a: Operand, b: Operand, form: int, free: int) -> tuple[bytes, bytes, int]:
    """Validate and choose code for a store."""
    name = name_of(op)
    types = signature(op)[0]
    if a.type != c.env.address_type or b.type != types[1]:
        check_types(c, name, (c.env.address_type, types[1]), (a, b))
    choice: tuple[bytes, bytes, int] = c.target.lower_store(name, a, b, form, free)
    c.target.remember((op, a, b, form, free), choice)
    return choice


def choose_assignment(c: Compilation, op: int, entry: Operand, local: Operand, free: int) -> tuple[bytes]:
    """Validate and choose code for ``local.set`` and ``local.tee``."""
    if entry.type != local.type:
        if not fits(entry.type, local.type):
            check_types(c, name_of(op), (local.type,), (entry,))
        if op == _LOCAL_TEE and local.reg < 0 and not c.env.retypes:
            # The entry stays on the stack, and has to have the local's type there.
            raise NeedsRetyping
    choice = (c.target.move_to_local(entry, local, free),)
    if entry.kind == CONSTANT and entry.value > 64:
        return choice
    if entry.type != local.type and local.reg < 0:
        # What local.tee has to do besides must not be missed.
        return choice
    # What needs a scratch depends on the free temporaries, which the key does not name.
    if entry.reg >= 0 or (not is_float(local.type) if local.reg >= 0 else entry.kind == CONSTANT):
        c.target.remember((_LOCAL_SET, entry, local), choice)
    return choice


def far_load(c: Compilation, op: int, a: Operand, offset: int, free: int) -> int:
    """A load whose address has to be computed; pushes the result."""
    name = name_of(op)
    check_types(c, name, (c.env.address_type,), (a,))
    size = 1 << ACCESSES[op]
    text, entry, free, tight = c.target.lower_far_load(name, a, offset, size, c.env.explicit_bounds, free, None)
    c.out += text
    c.stack.append(entry)
    return relieve(c, free) if tight else free


def far_store(c: Compilation, op: int, a: Operand, b: Operand, offset: int, free: int) -> int:
    """A store whose address has to be computed."""
    name = name_of(op)
    check_types(c, name, (c.env.address_type, signature(op)[0][1]), (a, b))
    size = 1 << ACCESSES[op]
    text, free = c.target.lower_far_store(name, a, b, offset, size, c.env.explicit_bounds, free)
    c.out += text
    return free
