"""Parametric instructions, one function each (core specification, "Parametric Instructions")."""

from __future__ import annotations

from ...backends.operand import BARRIER, I32, V128, Operand
from ...opcodes import CODE
from ..immediates import select_type
from ..operand_stack import check_top, finish, pop_typed, retype_top, sink_at
from ..state import BodyFault, Compilation, type_mismatch

_SELECT = CODE["select"]


def drop(c: Compilation, pc: int) -> int:
    """``drop``."""
    entry = c.stack[-1]
    if entry.kind == BARRIER:
        raise type_mismatch("drop", (), (None,))
    c.stack.pop()
    c.free |= entry.bit
    return pc


def select(c: Compilation, pc: int) -> int:
    """``select`` without a type: of two numbers of the same type."""
    condition = pop_typed(c, "select", I32)
    b, a = c.stack[-1], c.stack[-2]
    if BARRIER in (a.kind, b.kind) or a.type != b.type or a.type > V128:
        raise BodyFault("type mismatch: select expects two numeric operands of the same type")
    return _select(c, pc, condition)


def select_t(c: Compilation, pc: int) -> int:
    """``select t``: of two values of the type given."""
    pc, type_ = select_type(c, pc)
    condition = pop_typed(c, "select", I32)
    check_top(c, "select", (type_, type_))
    retype_top(c, (type_, type_))
    return _select(c, pc, condition)


def _select(c: Compilation, pc: int, condition: Operand) -> int:
    stack = c.stack
    b = stack.pop()
    a = stack.pop()
    free = c.free
    target = c.target
    if a.reg < 0:
        text, a, free = target.FETCHES.get((a, free)) or target.fetch(a, free)
        c.out += text
    if b.reg < 0:
        text, b, free = target.FETCHES.get((b, free)) or target.fetch(b, free)
        c.out += text
    sink = sink_at(c, pc, a.type)
    key = (_SELECT, a, b, condition, free, sink)
    choice = target.MEMO.get(key)
    if choice is None:
        choice = target.lower_select((a, b, condition), free, sink)
        target.remember(key, choice)
    return finish(c, pc, choice, sink)
