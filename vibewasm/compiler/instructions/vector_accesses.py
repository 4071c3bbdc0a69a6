"""Loads and stores of vectors and of their lanes (core specification, "Memory Instructions").

Each is one access of exactly the instruction's size, as the scalar ones are.
"""

from __future__ import annotations

from ...backends.operand import CONSTANT, I32, V128, Operand, constant
from ...opcodes import ACCESSES, name_of, signature
from ..choices import check_types
from ..immediates import read_lane, read_memarg
from ..state import BodyFault, Compilation
from .vector_choices import LOCAL_TEE, in_register, sink_at
from .vector_locals import make_room

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ZERO_ADDRESS = constant(I32, 0)


def _offset(c: Compilation, pc: int, op: int) -> tuple[int, int]:
    """Decode and validate alignment and offset of an access."""
    code = c.code
    natural = ACCESSES[op]
    if c.env.plain_accesses and code[pc] <= natural and code[pc + 1] < 128:
        return pc + 2, code[pc + 1]
    return read_memarg(c, pc, natural)


def _address(c: Compilation, entry: Operand, offset: int, free: int) -> tuple[Operand, int, int]:
    """The address of an access and its offset, which has taken up what is constant of it; and what is free then."""
    if entry.reg < 0:
        if entry.kind != CONSTANT:
            text, entry, free = c.target.FETCHES.get((entry, free)) or c.target.fetch(entry, free)
            c.out += text
        elif entry.value and entry.type == I32:
            return _ZERO_ADDRESS, offset + entry.value, free
    return entry, offset, free


def _displacement(c: Compilation, offset: int) -> tuple[int, bytes] | None:
    """Form and bytes of an offset, or ``None`` if the address has to be computed."""
    target = c.target
    if c.env.explicit_bounds or offset >= target.FAR_OFFSET:
        return None
    if offset < 128:
        return target.SHORT_DISPLACEMENTS[offset]
    return target.DISPLACEMENTS.get(offset) or target.displacement(offset)


def _access_types(c: Compilation, op: int) -> tuple[int, ...]:
    """Types of an access's operands: an address, and a vector if it takes one."""
    return c.env.address_type, *signature(op)[0][1:]


def load(c: Compilation, pc: int, op: int) -> int:
    """``v128.load`` and its like."""
    pc, offset = _offset(c, pc, op)
    return _loaded(c, pc, op, offset, c.stack.pop(), (), c.free)


def load_lane(c: Compilation, pc: int, op: int) -> int:
    """Loads of a lane into a vector."""
    pc, offset = _offset(c, pc, op)
    pc, lane = read_lane(c, pc, op)
    value = c.stack.pop()
    entry = c.stack.pop()
    value, free = in_register(c, value, c.free)
    return _loaded(c, pc, op, offset, entry, (value, lane), free)


def _loaded(c: Compilation, pc: int, op: int, offset: int, entry: Operand, rest: tuple[Any, ...], free: int) -> int:
    entry, offset, free = _address(c, entry, offset, free)
    target = c.target
    displacement = _displacement(c, offset)
    if displacement is None:
        _check_access(c, op, entry, rest)
        size = 1 << ACCESSES[op]
        text, result, free, tight = target.vectors.far_load(
            name_of(op), entry, rest, offset, size, c.env.explicit_bounds, free
        )
        c.out += text
        c.stack.append(result)
        c.free = make_room(c, free) if tight else free
        return pc
    form, middle = displacement
    sink = sink_at(c, pc)
    key = (op, entry, *rest, form, free, sink)
    choice = target.MEMO.get(key)
    if choice is None:
        _check_access(c, op, entry, rest)
        fits = sink is None or sink.type == V128
        choice = target.vectors.load(name_of(op), entry, rest, form, free, sink if fits else None)
        if fits:
            target.remember(key, choice)
    text, tail, result, free, tight = choice
    out = c.out
    out += text
    out += middle
    out += tail
    if result is sink:
        if c.code[pc] == LOCAL_TEE:
            c.stack.append(result)
        c.free = free
        return pc + 2
    c.stack.append(result)
    c.free = make_room(c, free) if tight else free
    return pc


def _check_access(c: Compilation, op: int, entry: Operand, rest: tuple[Any, ...]) -> None:
    if c.pc + 1 >= c.end:
        # The prefix is the last byte, and the number after it is none of the body's.
        raise BodyFault("unexpected end", malformed=True)
    check_types(c, name_of(op), _access_types(c, op), (entry, *rest[:1]))


def store(c: Compilation, pc: int, op: int) -> int:
    """``v128.store``."""
    pc, offset = _offset(c, pc, op)
    return _stored(c, pc, op, offset, ())


def store_lane(c: Compilation, pc: int, op: int) -> int:
    """Stores of a vector's lane."""
    pc, offset = _offset(c, pc, op)
    pc, lane = read_lane(c, pc, op)
    return _stored(c, pc, op, offset, (lane,))


def _stored(c: Compilation, pc: int, op: int, offset: int, lane: tuple[int, ...]) -> int:
    value = c.stack.pop()
    entry = c.stack.pop()
    value, free = in_register(c, value, c.free)
    entry, offset, free = _address(c, entry, offset, free)
    target = c.target
    rest = (value, *lane)
    displacement = _displacement(c, offset)
    if displacement is None:
        _check_access(c, op, entry, rest)
        size = 1 << ACCESSES[op]
        text, c.free = target.vectors.far_store(name_of(op), entry, rest, offset, size, c.env.explicit_bounds, free)
        c.out += text
        return pc
    form, middle = displacement
    key = (op, entry, *rest, form, free)
    choice = target.MEMO.get(key)
    if choice is None:
        _check_access(c, op, entry, rest)
        choice = target.vectors.store(name_of(op), entry, rest, form, free)
        target.remember(key, choice)
    text, tail, c.free = choice
    out = c.out
    out += text
    out += middle
    out += tail
    return pc
