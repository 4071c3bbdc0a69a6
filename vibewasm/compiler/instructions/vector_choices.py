"""What the vector instructions have in common: choices of code, vector constants, and where operands and results are.

A vector constant other than none or all bits has no choice of its own: :data:`~vibewasm.backends.operand.LITERAL`
stands for it, code reads it from beside itself, and ``c.literals`` says where.
"""

from __future__ import annotations

from ...backends.operand import ALL_ONES, CONSTANT, LITERAL, SLOT, V128, WANT_FLAGS, Operand
from ...opcodes import CODE, name_of, signature
from ..choices import check_types
from ..literals import emit_at_once
from ..operand_stack import may_sink
from ..state import Compilation
from .vector_locals import held, make_room

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ...backends.types import VectorChoice

LOCAL_SET, LOCAL_TEE = CODE["local.set"], CODE["local.tee"]
#: Where relaxed instructions have to do the same on every processor their choices are others: this bit of the opcode
#: tells them apart.
DETERMINISTIC = 1 << 31


def for_choice(entry: Operand) -> tuple[Operand, int]:
    """What a choice is made for in place of a constant, and what that stands for."""
    value = entry.value
    if entry.type != V128 or value == 0 or value == ALL_ONES:
        return entry, 0
    return LITERAL, value


def refer(c: Compilation, text: bytes, literals: tuple[tuple[int, int | None], ...], own: int) -> None:
    """Append code that reads constants from beside itself; those that are ``None`` are ``own``."""
    start = len(c.out)
    c.out += text
    for end, value in literals:
        c.literals.append((start + end, own if value is None else value))
    if c.env.reach >= c.env.control.FAR_LITERALS:
        emit_at_once(c)


def _load(s: Any, sink: Operand | None, a: Operand) -> Operand:
    """The rule of a constant that is put into a temporary, or into a pinned local."""
    dst = s.take_float() if sink is None else sink.reg
    s.load_float(dst, a)
    result: Operand = s.result(V128, dst, sink, 0)
    return result


def load_constant(c: Compilation, entry: Operand, free: int) -> tuple[Operand, int]:
    """Put a vector constant into a temporary; what is of another type is left for the type check."""
    if entry.type != V128:
        return entry, free
    choice, literal = loading(c, entry, free, None)
    text, result, free, _, literals = choice
    refer(c, text, literals, literal)
    return result, free


def loading(c: Compilation, entry: Operand, free: int, sink: Operand | None) -> tuple[VectorChoice, int]:
    """The choice of loading a vector constant, and what is read from beside the code for it."""
    stand_in, literal = for_choice(entry)
    key = _LOAD_CONSTANT, stand_in, free, sink
    choice = c.target.MEMO.get(key)
    if choice is None:
        choice = c.target.vectors.lower(_load, (stand_in,), free, sink)
        c.target.remember(key, choice)
    return choice, literal


#: Stands for an opcode where a constant is put into a temporary.
_LOAD_CONSTANT = -2


def choose(
    c: Compilation, op: int, operands: tuple[Operand, ...], free: int, sink: Operand | None, *immediates: object
) -> VectorChoice:
    """Validate and choose code, and remember it by the opcode, immediates, operands, what is free, and the sink."""
    rule, _, types, result = c.env.rules.get(op) or _rule(c, op)
    if tuple([operand.type for operand in operands]) != types:
        check_types(c, name_of(op & ~DETERMINISTIC), types, operands)
    # With a local of another type as the destination, local.set itself reports the mismatch.
    fits = sink is None or sink is WANT_FLAGS or sink.type == result
    target = c.target
    choice: VectorChoice = target.vectors.lower(rule, (*operands, *immediates), free, sink if fits else None)
    if fits:
        target.remember((op, *immediates, *operands, free, sink), choice)
    return choice


def _rule(c: Compilation, op: int) -> tuple[Callable[..., Operand], int, tuple[int, ...], int]:
    """The backend's rule, no register that it claims, its operand types and its result type; memoised."""
    code = op & ~DETERMINISTIC
    name = name_of(code)
    types, results = signature(code)
    rule = c.target.vectors.rule(name, deterministic=code != op)
    found = c.env.rules[op] = (rule, 0, types, results[0])
    return found


def sink_at(c: Compilation, pc: int) -> Operand | None:
    """The pinned local, of any type, that the instruction at ``pc`` assigns, if the result can go straight there."""
    following = c.code[pc]
    if following == LOCAL_SET or following == LOCAL_TEE:
        local = c.locals_[c.code[pc + 1]]
        if local is not None and local.reg >= 0 and (c.stack[-1].kind >= SLOT or may_sink(c, local)):
            return local
    return None


def finish(c: Compilation, pc: int, choice: VectorChoice, sink: Operand | None, literal: int) -> int:
    """Emit a choice and push its result: the position of the next instruction."""
    text, result, free, tight, literals = choice
    if literals:
        refer(c, text, literals, literal)
    else:
        c.out += text
    if result is sink and sink is not WANT_FLAGS:
        if c.code[pc] == LOCAL_TEE:
            c.stack.append(result)
        c.free = free
        return pc + 2
    c.stack.append(result)
    c.free = make_room(c, free) if tight else free
    return pc


def take_one(c: Compilation) -> tuple[Operand, int]:
    """Pop one operand, and the bits of a constant."""
    entry = c.stack.pop()
    if entry.reg >= 0:
        return entry, 0
    if entry.kind == CONSTANT:
        return for_choice(entry)
    entry, c.free = in_register(c, entry, c.free)
    return entry, 0


def take(c: Compilation, count: int) -> tuple[tuple[Operand, ...], int]:
    """Pop operands: in registers as far as there are enough, and at most one a constant, whose bits come with them."""
    stack = c.stack
    target = c.target
    free = c.free
    operands = []
    literal = 0
    has_literal = False
    entry: Operand
    for entry in stack[-count:]:
        if entry.reg < 0:
            if entry.kind != CONSTANT:
                if c.kept:
                    entry = held(c, entry)
                    if entry.reg >= 0:
                        operands.append(entry)
                        continue
                text, entry, free = target.FETCHES.get((entry, free)) or target.fetch(entry, free)
                c.out += text
            else:
                stand_in, bits = for_choice(entry)
                if stand_in is not LITERAL:
                    entry = stand_in
                elif has_literal:
                    entry, free = load_constant(c, entry, free)
                else:
                    entry, literal = stand_in, bits
                    has_literal = True
        operands.append(entry)
    del stack[-count:]
    c.free = free
    return tuple(operands), literal


def in_register(c: Compilation, entry: Operand, free: int) -> tuple[Operand, int]:
    """A vector operand, in a register unless there are too few."""
    if entry.reg < 0:
        if entry.kind == CONSTANT:
            return load_constant(c, entry, free)
        if c.kept:
            entry = held(c, entry)
            if entry.reg >= 0:
                return entry, free
        text, entry, free = c.target.FETCHES.get((entry, free)) or c.target.fetch(entry, free)
        c.out += text
    return entry, free
