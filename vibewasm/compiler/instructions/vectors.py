"""Vector instructions, all of which stand after one prefix (core specification, "Vector Instructions").

The table says what each takes; here they fall into a few kinds. Most have two vectors and give one, and are handled
where the prefix is read; the others have a function a kind. Their choices are memoised as the loop's are, so that here
too the memo is the type checker.

A vector constant other than none or all bits has no choice of its own: :data:`~vibewasm.backends.operand.LITERAL`
stands for it, code reads it from beside itself, and ``c.literals`` says where.
"""

from __future__ import annotations

from ...backends.operand import (
    ALL_ONES,
    CONSTANT,
    F32,
    F64,
    I32,
    I64,
    LITERAL,
    SLOT,
    V128,
    WANT_FLAGS,
    Operand,
    constant,
)
from ...opcodes import ACCESSES, CODE, VECTOR_PREFIX, all_rows, codes_with, name_of, prefixed, signature
from ..choices import check_types
from ..immediates import illegal_opcode, read_lane, read_lanes, read_memarg, read_unsigned, read_vector
from ..literals import emit_at_once
from ..operand_stack import may_sink, relieve
from ..state import Compilation, NeedsVectors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ...backends.types import VectorChoice

    #: Takes the compilation, the position after the opcode, and the opcode.
    VectorHandler = Callable[[Compilation, int, int], int]

_LOCAL_SET, _LOCAL_TEE = CODE["local.set"], CODE["local.tee"]
_PREFIX = prefixed(VECTOR_PREFIX, 0)
_ZERO_ADDRESS = constant(I32, 0)
_TAKES_FLAGS = codes_with("tests")
#: In place of a handler: two vectors give one.
_BINARY = "binary"
#: The first of the relaxed instructions. Where they have to do the same on every processor their choices are others:
#: this bit of the opcode tells them apart.
_RELAXED = CODE["i8x16.relaxed_swizzle"] - _PREFIX
_DETERMINISTIC = 1 << 31
_SWIZZLE, _RELAXED_SWIZZLE = CODE["i8x16.swizzle"], CODE["i8x16.relaxed_swizzle"]
#: By code of a splat: the scalar's type and bits.
_SPLATS = {
    CODE[f"{shape}.splat"]: (type_, bits)
    for shape, type_, bits in (
        ("i8x16", I32, 8),
        ("i16x8", I32, 16),
        ("i32x4", I32, 32),
        ("i64x2", I64, 64),
        ("f32x4", F32, 32),
        ("f64x2", F64, 64),
    )
}
#: By code of a shift, the largest count.
_COUNTS = {code: int(name_of(code)[1:].partition("x")[0]) - 1 for code in codes_with("shift") if code >= _PREFIX}
_COMPARES = frozenset(code for code in codes_with("compares") if code >= _PREFIX)


def vector(c: Compilation, pc: int) -> int:
    """Any instruction after the prefix."""
    code = c.code
    sub = code[pc]
    pc += 1
    if sub > 127:
        high = code[pc]
        if high == 1:
            pc += 1
        elif high == 2:
            sub += 128
            pc += 1
        else:
            pc, sub = read_unsigned(c, pc - 1)
    handler = _HANDLERS.get(sub)
    if handler is None:
        raise illegal_opcode(_PREFIX | sub)
    if not c.env.vectors:
        raise NeedsVectors
    op = _PREFIX | sub
    if sub >= _RELAXED and c.env.deterministic:
        op |= _DETERMINISTIC
    if handler is not _BINARY:
        after: int = handler(c, pc, op)
        return after
    stack = c.stack
    b = stack.pop()
    a = stack.pop()
    literal = 0
    if b.kind == CONSTANT:
        op, b, literal = _second_constant(op, b)
    free = c.free
    target = c.target
    if a.reg < 0:
        if a.kind != CONSTANT:
            text, a, free = target.FETCHES.get((a, free)) or target.fetch(a, free)
            c.out += text
        elif b is not LITERAL:
            a, literal = _constant(a)
        else:
            a, free = _load_constant(c, a, free)
    # As the loop does it, see there.
    following = code[pc]
    sink: Operand | None = None
    result: Operand
    if following == _LOCAL_SET or following == _LOCAL_TEE:
        sink = c.locals_[code[pc + 1]]
        if sink is not None and (sink.reg < 0 or (stack[-1].kind < SLOT and not may_sink(c, sink))):
            sink = None
    choice = target.MEMO.get((op, a, b, free, sink))
    if choice is None:
        choice = _choose(c, op, (a, b), free, sink)
    text, result, free, tight, literals = choice
    if literals:
        _refer(c, text, literals, literal)
    else:
        c.out += text
    if result is sink:
        pc += 2
        if following == _LOCAL_TEE:
            stack.append(result)
    else:
        stack.append(result)
        if tight:
            free = relieve(c, free)
    c.free = free
    return pc


def _second_constant(op: int, b: Operand) -> tuple[int, Operand, int]:
    """An instruction whose second operand is the constant ``b``, which may make it a simpler one; that operand; and
    what it stands for.
    """
    if op == _SWIZZLE and b.type == V128:
        # An index is out of range as soon as its highest bit says so: that is what the relaxed one wants to be told.
        op = _RELAXED_SWIZZLE
        lanes = bytes([lane if lane < 16 else 128 for lane in b.value.to_bytes(16, "little")])
        b = constant(V128, int.from_bytes(lanes, "little"))
    return op, *_constant(b)


def _constant(entry: Operand) -> tuple[Operand, int]:
    """What a choice is made for in place of a constant, and what that stands for."""
    value = entry.value
    if entry.type != V128 or value == 0 or value == ALL_ONES:
        return entry, 0
    return LITERAL, value


def _refer(c: Compilation, text: bytes, literals: tuple[tuple[int, int | None], ...], own: int) -> None:
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


def _load_constant(c: Compilation, entry: Operand, free: int) -> tuple[Operand, int]:
    """Put a vector constant into a temporary; what is of another type is left for the type check."""
    if entry.type != V128:
        return entry, free
    choice, literal = _loading(c, entry, free, None)
    text, result, free, _, literals = choice
    _refer(c, text, literals, literal)
    return result, free


def _loading(c: Compilation, entry: Operand, free: int, sink: Operand | None) -> tuple[VectorChoice, int]:
    """The choice of loading a vector constant, and what is read from beside the code for it."""
    stand_in, literal = _constant(entry)
    key = _LOAD_CONSTANT, stand_in, free, sink
    choice = c.target.MEMO.get(key)
    if choice is None:
        choice = c.target.lower_vector(_load, (stand_in,), free, sink)
        c.target.remember(key, choice)
    return choice, literal


#: Stands for an opcode where a constant is put into a temporary.
_LOAD_CONSTANT = -2


def _choose(
    c: Compilation, op: int, operands: tuple[Operand, ...], free: int, sink: Operand | None, *immediates: object
) -> VectorChoice:
    """Validate and choose code, and remember it by the opcode, immediates, operands, what is free, and the sink."""
    code = op & ~_DETERMINISTIC
    name = name_of(code)
    types, results = signature(code)
    if tuple([operand.type for operand in operands]) != types:
        check_types(c, name, types, operands)
    # With a local of another type as the destination, local.set itself reports the mismatch.
    fits = sink is None or sink is WANT_FLAGS or sink.type == results[0]
    target = c.target
    rule = target.rule(name) if code == op else target.deterministic_rule(name)
    choice: VectorChoice = target.lower_vector(rule, (*operands, *immediates), free, sink if fits else None)
    if fits:
        target.remember((op, *immediates, *operands, free, sink), choice)
    return choice


def _sink(c: Compilation, pc: int) -> Operand | None:
    """The pinned local, of any type, that the instruction at ``pc`` assigns, if the result can go straight there."""
    if c.code[pc] in (_LOCAL_SET, _LOCAL_TEE):
        local = c.locals_[c.code[pc + 1]]
        if local is not None and local.reg >= 0 and (c.stack[-1].kind >= SLOT or may_sink(c, local)):
            return local
    return None


def _finish(c: Compilation, pc: int, choice: VectorChoice, sink: Operand | None, literal: int) -> int:
    """Emit a choice and push its result: the position of the next instruction."""
    text, result, free, tight, literals = choice
    if literals:
        _refer(c, text, literals, literal)
    else:
        c.out += text
    if result is sink and sink is not WANT_FLAGS:
        if c.code[pc] == _LOCAL_TEE:
            c.stack.append(result)
        c.free = free
        return pc + 2
    c.stack.append(result)
    c.free = relieve(c, free) if tight else free
    return pc


def _take(c: Compilation, count: int) -> tuple[tuple[Operand, ...], int]:
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
                text, entry, free = target.FETCHES.get((entry, free)) or target.fetch(entry, free)
                c.out += text
            elif has_literal:
                entry, free = _load_constant(c, entry, free)
            else:
                entry, literal = _constant(entry)
                has_literal = entry is LITERAL
        operands.append(entry)
    del stack[-count:]
    c.free = free
    return tuple(operands), literal


def _plain(c: Compilation, pc: int, op: int) -> int:
    """One or three operands, no immediate."""
    operands, literal = _take(c, len(signature(op & ~_DETERMINISTIC)[0]))
    sink = WANT_FLAGS if op in _COMPARES and c.code[pc] in _TAKES_FLAGS else _sink(c, pc)
    free = c.free
    choice = c.target.MEMO.get((op, *operands, free, sink)) or _choose(c, op, operands, free, sink)
    return _finish(c, pc, choice, sink, literal)


def _splat(c: Compilation, pc: int, op: int) -> int:
    """A scalar in all lanes; of a constant it is one."""
    entry = c.stack[-1]
    type_, bits = _SPLATS[op]
    if entry.kind == CONSTANT and entry.type == type_:
        c.stack.pop()
        return _constant_made(c, pc, (entry.value & (1 << bits) - 1) * (ALL_ONES // ((1 << bits) - 1)))
    return _plain(c, pc, op)


def _shift(c: Compilation, pc: int, op: int) -> int:
    """A vector and a count, which counts modulo the width of a lane."""
    count = c.stack.pop()
    if count.kind == CONSTANT and count.type == I32:
        count = constant(I32, count.value & _COUNTS[op])
    (entry,), literal = _take(c, 1)
    sink = _sink(c, pc)
    free = c.free
    choice = c.target.MEMO.get((op, entry, count, free, sink)) or _choose(c, op, (entry, count), free, sink)
    return _finish(c, pc, choice, sink, literal)


def _const(c: Compilation, pc: int, op: int) -> int:
    """``v128.const``."""
    pc, value = read_vector(c, pc)
    return _constant_made(c, pc, value)


def _constant_made(c: Compilation, pc: int, value: int) -> int:
    """Push a constant, or load it from beside the code where it goes to a local: that is one instruction or two."""
    entry = constant(V128, value)
    if value and value != ALL_ONES and c.code[pc] in (_LOCAL_SET, _LOCAL_TEE):
        sink = _sink(c, pc)
        if sink is None or sink.type == V128:
            choice, literal = _loading(c, entry, c.free, sink)
            return _finish(c, pc, choice, sink, literal)
    c.stack.append(entry)
    return pc


def _lane(c: Compilation, pc: int, op: int) -> int:
    """``extract_lane`` and ``replace_lane``."""
    pc, lane = read_lane(c, pc, op)
    operands, literal = _take(c, len(signature(op)[0]))
    sink = _sink(c, pc)
    free = c.free
    key = (op, lane, *operands, free, sink)
    choice = c.target.MEMO.get(key) or _choose(c, op, operands, free, sink, lane)
    return _finish(c, pc, choice, sink, literal)


def _shuffle(c: Compilation, pc: int, op: int) -> int:
    """``i8x16.shuffle``."""
    pc, lanes = read_lanes(c, pc)
    if max(lanes) < 16:
        _unread(c, -1, -2)
    elif min(lanes) > 15:
        _unread(c, -2, -1)
    operands, literal = _take(c, 2)
    sink = _sink(c, pc)
    free = c.free
    key = (op, lanes, *operands, free, sink)
    choice = c.target.MEMO.get(key) or _choose(c, op, operands, free, sink, lanes)
    return _finish(c, pc, choice, sink, literal)


def _unread(c: Compilation, at: int, other: int) -> None:
    """Put zero in the place of an operand that an instruction does not look at, so that it is not loaded: compilers
    shuffle a local with itself.
    """
    entry = c.stack[at]
    if entry.reg < 0 and entry.type == V128 and c.stack[other].kind != CONSTANT:
        c.stack[at] = _NONE


#: No bits.
_NONE = constant(V128, 0)


# -- loads and stores --------------------------------------------------------------------------------------------------


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


def _in_register(c: Compilation, entry: Operand, free: int) -> tuple[Operand, int]:
    """A vector operand, in a register unless there are too few."""
    if entry.reg < 0:
        if entry.kind == CONSTANT:
            return _load_constant(c, entry, free)
        text, entry, free = c.target.FETCHES.get((entry, free)) or c.target.fetch(entry, free)
        c.out += text
    return entry, free


def _access_types(c: Compilation, op: int) -> tuple[int, ...]:
    """Types of an access's operands: an address, and a vector if it takes one."""
    return c.env.address_type, *signature(op)[0][1:]


def _load_from_memory(c: Compilation, pc: int, op: int) -> int:
    """``v128.load`` and its like."""
    pc, offset = _offset(c, pc, op)
    return _loaded(c, pc, op, offset, c.stack.pop(), (), c.free)


def _load_lane(c: Compilation, pc: int, op: int) -> int:
    """Loads of a lane into a vector."""
    pc, offset = _offset(c, pc, op)
    pc, lane = read_lane(c, pc, op)
    value = c.stack.pop()
    entry = c.stack.pop()
    value, free = _in_register(c, value, c.free)
    return _loaded(c, pc, op, offset, entry, (value, lane), free)


def _loaded(c: Compilation, pc: int, op: int, offset: int, entry: Operand, rest: tuple[Any, ...], free: int) -> int:
    entry, offset, free = _address(c, entry, offset, free)
    target = c.target
    displacement = _displacement(c, offset)
    if displacement is None:
        _check_access(c, op, entry, rest)
        size = 1 << ACCESSES[op]
        text, result, free, tight = target.lower_far_vector_load(
            name_of(op), entry, rest, offset, size, c.env.explicit_bounds, free
        )
        c.out += text
        c.stack.append(result)
        c.free = relieve(c, free) if tight else free
        return pc
    form, middle = displacement
    sink = _sink(c, pc)
    key = (op, entry, *rest, form, free, sink)
    choice = target.MEMO.get(key)
    if choice is None:
        _check_access(c, op, entry, rest)
        fits = sink is None or sink.type == V128
        choice = target.lower_vector_load(name_of(op), entry, rest, form, free, sink if fits else None)
        if fits:
            target.remember(key, choice)
    text, tail, result, free, tight = choice
    out = c.out
    out += text
    out += middle
    out += tail
    if result is sink:
        if c.code[pc] == _LOCAL_TEE:
            c.stack.append(result)
        c.free = free
        return pc + 2
    c.stack.append(result)
    c.free = relieve(c, free) if tight else free
    return pc


def _check_access(c: Compilation, op: int, entry: Operand, rest: tuple[Any, ...]) -> None:
    check_types(c, name_of(op), _access_types(c, op), (entry, *rest[:1]))


def _store(c: Compilation, pc: int, op: int) -> int:
    """``v128.store``."""
    pc, offset = _offset(c, pc, op)
    return _stored(c, pc, op, offset, ())


def _store_lane(c: Compilation, pc: int, op: int) -> int:
    """Stores of a vector's lane."""
    pc, offset = _offset(c, pc, op)
    pc, lane = read_lane(c, pc, op)
    return _stored(c, pc, op, offset, (lane,))


def _stored(c: Compilation, pc: int, op: int, offset: int, lane: tuple[int, ...]) -> int:
    value = c.stack.pop()
    entry = c.stack.pop()
    value, free = _in_register(c, value, c.free)
    entry, offset, free = _address(c, entry, offset, free)
    target = c.target
    rest = (value, *lane)
    displacement = _displacement(c, offset)
    if displacement is None:
        _check_access(c, op, entry, rest)
        size = 1 << ACCESSES[op]
        text, c.free = target.lower_far_vector_store(
            name_of(op), entry, rest, offset, size, c.env.explicit_bounds, free
        )
        c.out += text
        return pc
    form, middle = displacement
    key = (op, entry, *rest, form, free)
    choice = target.MEMO.get(key)
    if choice is None:
        _check_access(c, op, entry, rest)
        choice = target.lower_vector_store(name_of(op), entry, rest, form, free)
        target.remember(key, choice)
    text, tail, c.free = choice
    out = c.out
    out += text
    out += middle
    out += tail
    return pc


def _handler(code: int, kinds: str, operands: str, results: str) -> VectorHandler | str:
    """What handles an instruction, by its row."""
    if kinds == "memarg":
        return _load_from_memory if results else _store
    if kinds == "memarg lane":
        return _load_lane if results else _store_lane
    by_kinds: dict[str, VectorHandler] = {"v128": _const, "lane": _lane, "lanes": _shuffle}
    if kinds:
        return by_kinds[kinds]
    if code in _SPLATS:
        return _splat
    if code in _COUNTS:
        return _shift
    return _BINARY if operands == "vv" else _plain


#: By number after the prefix.
_HANDLERS: dict[int, Any] = {
    row[0] & 0xFFFF_FFFF: _handler(row[0], row[2], row[3] or "", row[4] or "")
    for row in all_rows()
    if row[0] >> 32 == VECTOR_PREFIX
}
