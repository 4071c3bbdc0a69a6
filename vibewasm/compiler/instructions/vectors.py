"""Vector instructions, all of which stand after one prefix (core specification, "Vector Instructions").

The table says what each takes; here they fall into a few kinds. Most have two vectors and give one, and are handled
where the prefix is read; the others have a function a kind. Their choices are memoised as the loop's are, so that here
too the memo is the type checker.
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
from ...opcodes import CODE, VECTOR_PREFIX, all_rows, codes_with, load_vectors, name_of, prefixed, signature
from ..immediates import illegal_opcode, read_lane, read_lanes, read_unsigned, read_vector
from ..operand_stack import may_sink
from ..state import Compilation
from ..vectors_needed import NeedsVectors
from . import vector_accesses as accesses
from .vector_choices import (
    DETERMINISTIC,
    LOCAL_SET,
    LOCAL_TEE,
    choose,
    finish,
    for_choice,
    load_constant,
    loading,
    refer,
    sink_at,
    take,
    take_one,
)
from .vector_locals import VECTOR_HANDLERS, held, make_room

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    #: Takes the compilation, the position after the opcode, and the opcode.
    VectorHandler = Callable[[Compilation, int, int], int]

load_vectors()
_PREFIX = prefixed(VECTOR_PREFIX, 0)
_TAKES_FLAGS = codes_with("tests")
#: In place of a handler: two vectors give one.
_BINARY = "binary"
#: The first of the relaxed instructions.
_RELAXED = CODE["i8x16.relaxed_swizzle"] - _PREFIX
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
#: No bits.
_NONE = constant(V128, 0)
_COMPARES = frozenset(code for code in codes_with("compares") if code >= _PREFIX)


def first_vector(c: Compilation, pc: int) -> int:
    """The same in a function that has no vectors as yet."""
    if c.env.vectors:
        return vector(c, pc)
    _, sub = read_unsigned(c, pc)
    if sub >= _END or _HANDLERS[sub] is None:
        raise illegal_opcode(_PREFIX | sub)
    raise NeedsVectors


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
    handler = _HANDLERS[sub] if sub < _END else None
    op = _PREFIX | sub
    if handler is None:
        raise illegal_opcode(op)
    if sub >= _RELAXED and c.env.deterministic:
        op |= DETERMINISTIC
    if handler is not _BINARY:
        after: int = handler(c, pc, op)
        return after
    stack = c.stack
    b = stack.pop()
    a = stack.pop()
    literal = 0
    if b.reg < 0:
        if b.kind == CONSTANT:
            op, b, literal = _second_constant(op, b)
        elif c.kept:
            b = held(c, b)
    free = c.free
    target = c.target
    if a.reg < 0:
        if a.kind != CONSTANT:
            if c.kept:
                a = held(c, a)
            if a.reg < 0 and b.reg < 0:
                # Else the instruction itself may read it from the frame.
                text, a, free = target.FETCHES.get((a, free)) or target.fetch(a, free)
                c.out += text
        elif b is not LITERAL:
            a, literal = for_choice(a)
        else:
            a, free = load_constant(c, a, free)
    # As the loop does it, see there.
    following = code[pc]
    sink: Operand | None = None
    result: Operand
    if following == LOCAL_SET or following == LOCAL_TEE:
        sink = c.locals_[code[pc + 1]]
        if sink is not None and (sink.reg < 0 or (stack[-1].kind < SLOT and not may_sink(c, sink))):
            sink = None
    choice = target.MEMO.get((op, a, b, free, sink))
    if choice is None:
        choice = choose(c, op, (a, b), free, sink)
    text, result, free, tight, literals = choice
    if literals:
        refer(c, text, literals, literal)
    else:
        c.out += text
    if result is sink:
        pc += 2
        if following == LOCAL_TEE:
            stack.append(result)
    else:
        stack.append(result)
        if tight:
            free = make_room(c, free)
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
    return op, *for_choice(b)


def _unary(c: Compilation, pc: int, op: int) -> int:
    """One operand, no immediate."""
    entry, literal = take_one(c)
    sink = WANT_FLAGS if op in _COMPARES and c.code[pc] in _TAKES_FLAGS else sink_at(c, pc)
    free = c.free
    choice = c.target.MEMO.get((op, entry, free, sink)) or choose(c, op, (entry,), free, sink)
    return finish(c, pc, choice, sink, literal)


def _ternary(c: Compilation, pc: int, op: int) -> int:
    """Three operands, no immediate."""
    operands, literal = take(c, 3)
    sink = sink_at(c, pc)
    free = c.free
    choice = c.target.MEMO.get((op, *operands, free, sink)) or choose(c, op, operands, free, sink)
    return finish(c, pc, choice, sink, literal)


def _splat(c: Compilation, pc: int, op: int) -> int:
    """A scalar in all lanes; of a constant it is one."""
    entry = c.stack[-1]
    type_, bits = _SPLATS[op]
    if entry.kind == CONSTANT and entry.type == type_:
        c.stack.pop()
        return _constant_made(c, pc, (entry.value & (1 << bits) - 1) * (ALL_ONES // ((1 << bits) - 1)))
    return _unary(c, pc, op)


def _shift(c: Compilation, pc: int, op: int) -> int:
    """A vector and a count, which counts modulo the width of a lane."""
    count = c.stack.pop()
    if count.kind == CONSTANT and count.type == I32 and count.value > _COUNTS[op]:
        count = constant(I32, count.value & _COUNTS[op])
    entry, literal = take_one(c)
    sink = sink_at(c, pc)
    free = c.free
    choice = c.target.MEMO.get((op, entry, count, free, sink)) or choose(c, op, (entry, count), free, sink)
    return finish(c, pc, choice, sink, literal)


def _const(c: Compilation, pc: int, op: int) -> int:
    """``v128.const``."""
    pc, value = read_vector(c, pc)
    return _constant_made(c, pc, value)


def _constant_made(c: Compilation, pc: int, value: int) -> int:
    """Push a constant, or load it from beside the code where it goes to a local: that is one instruction or two."""
    entry = constant(V128, value)
    if value and value != ALL_ONES and c.code[pc] in (LOCAL_SET, LOCAL_TEE):
        sink = sink_at(c, pc)
        if sink is None or sink.type == V128:
            choice, literal = loading(c, entry, c.free, sink)
            return finish(c, pc, choice, sink, literal)
    c.stack.append(entry)
    return pc


def _lane(c: Compilation, pc: int, op: int) -> int:
    """``extract_lane`` and ``replace_lane``."""
    pc, lane = read_lane(c, pc, op)
    return _with_lanes(c, pc, op, len(signature(op)[0]), lane)


def _shuffle(c: Compilation, pc: int, op: int) -> int:
    """``i8x16.shuffle``."""
    pc, lanes = read_lanes(c, pc)
    if max(lanes) < 16:
        _unread(c, -1, -2)
    elif min(lanes) > 15:
        _unread(c, -2, -1)
    return _with_lanes(c, pc, op, 2, lanes)


def _with_lanes(c: Compilation, pc: int, op: int, count: int, lanes: int | bytes) -> int:
    """An instruction of so many operands, whose immediate says which lane or lanes."""
    operands, literal = take(c, count)
    sink = sink_at(c, pc)
    free = c.free
    key = (op, lanes, *operands, free, sink)
    choice = c.target.MEMO.get(key) or choose(c, op, operands, free, sink, lanes)
    return finish(c, pc, choice, sink, literal)


def _unread(c: Compilation, at: int, other: int) -> None:
    """Put zero in the place of an operand that an instruction does not look at, so that it is not loaded: compilers
    shuffle a local with itself.
    """
    entry = c.stack[at]
    if entry.reg < 0 and entry.type == V128 and c.stack[other].kind != CONSTANT:
        c.stack[at] = _NONE


def _handler(code: int, kinds: str, operands: str, results: str) -> VectorHandler | str:
    """What handles an instruction, by its row."""
    if kinds == "memarg":
        return accesses.load if results else accesses.store
    if kinds == "memarg lane":
        return accesses.load_lane if results else accesses.store_lane
    by_kinds: dict[str, VectorHandler] = {"v128": _const, "lane": _lane, "lanes": _shuffle}
    if kinds:
        return by_kinds[kinds]
    if code in _SPLATS:
        return _splat
    if code in _COUNTS:
        return _shift
    return _BINARY if operands == "vv" else _ternary if operands == "vvv" else _unary


def _all_handlers() -> list[Any]:
    rows = [row for row in all_rows() if row[0] >= _PREFIX]
    handlers: list[Any] = [None] * (rows[-1][0] - _PREFIX + 1)
    for code, _, kinds, operands, results, *_ in rows:
        handlers[code - _PREFIX] = _handler(code, kinds, operands or "", results or "")
    return handlers


#: By number after the prefix, and how many there are.
_HANDLERS = _all_handlers()
_END = len(_HANDLERS)
# Where the prefix was first met, its handler stands for it now.
VECTOR_HANDLERS[VECTOR_PREFIX] = vector
