"""Parametric instructions, one function each (core specification, "Parametric Instructions"); see :mod:`.blocks` for
what a handler is.
"""

from __future__ import annotations

from ..backends.operand import BARRIER, I32, Operand
from .errors import BodyFault, type_mismatch
from .function import FunctionCompiler


def drop(c: FunctionCompiler, pc: int) -> int:
    """``drop``."""
    entry = c.stack[-1]
    if entry.kind == BARRIER:
        raise type_mismatch("drop", (), (None,))
    c.stack.pop()
    c.free |= entry.bit
    return pc


def select(c: FunctionCompiler, pc: int) -> int:
    """``select`` without a type: of two numbers of the same type."""
    condition = c.pop("select", I32)
    b, a = c.stack[-1], c.stack[-2]
    if BARRIER in (a.kind, b.kind) or a.type != b.type or a.type > 4:
        raise BodyFault("type mismatch: select expects two numeric operands of the same type")
    return _select(c, pc, condition)


def select_typed(c: FunctionCompiler, pc: int) -> int:
    """``select t``: of two values of the type given."""
    pc, type_ = c.env.select_type(c, pc)
    condition = c.pop("select", I32)
    c.check_top("select", (type_, type_))
    return _select(c, pc, condition)


def _select(c: FunctionCompiler, pc: int, condition: Operand) -> int:
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
    sink = c.sink(pc, a.type)
    key = (0x1B, a, b, condition, free, sink)
    choice = target.MEMO.get(key)
    if choice is None:
        choice = target.lower_select((a, b, condition), free, sink)
        target.remember(key, choice)
    return c.finish(pc, choice, sink)
