"""Instructions that may make a NaN, where it has to be the canonical one: the same bits on every processor.

Loaded only for deterministic code, and only for processors that have no mode in which they do so by themselves (the
backend says so: ``NANS_BY_CODE``). After each of these instructions, its result is tested; what makes it canonical is
out of line. The test is left out where the next instruction takes the result and makes the same of every NaN: it is
one of these instructions itself, a comparison, or a truncation.
"""

from __future__ import annotations

from ...backends.operand import CONSTANT, FIRST_FLOAT_BIT
from ...opcodes import CODE, VECTOR_PREFIX, load_vectors, prefixed, signature
from ...types import F32
from ..choices import choose_binary, choose_unary
from ..immediates import read_unsigned
from ..operand_stack import finish, sink_at
from ..state import Compilation
from . import HANDLERS
from .vector_locals import VECTOR_HANDLERS as WITH_VECTORS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...backends.operand import Operand
    from . import Handler

load_vectors()
_ARITHMETIC = "add sub mul div min max sqrt ceil floor trunc nearest"
_RELAXED = "relaxed_min relaxed_max relaxed_madd relaxed_nmadd"
_COMPARISONS = "eq ne lt gt le ge"


def _codes(shapes: tuple[str, ...], names: str) -> dict[int, str]:
    return {CODE[f"{shape}.{name}"]: shape for shape in shapes for name in names.split()}


#: Instructions that may make a NaN, with the shape of what they give.
SCALARS = _codes(("f32", "f64"), _ARITHMETIC) | {CODE["f32.demote_f64"]: "f32", CODE["f64.promote_f32"]: "f64"}
_VECTORS = _codes(("f32x4", "f64x2"), f"{_ARITHMETIC} {_RELAXED}") | {
    CODE["f32x4.demote_f64x2_zero"]: "f32x4",
    CODE["f64x2.promote_low_f32x4"]: "f64x2",
}
_PREFIX = prefixed(VECTOR_PREFIX, 0)
#: The same by number after the prefix.
VECTORS = {code - _PREFIX: shape for code, shape in _VECTORS.items()}

_TRUNCATIONS = frozenset([CODE[f"i{i}.trunc_f{f}_{sign}"] for i in (32, 64) for f in (32, 64) for sign in "su"])
#: What takes scalars and makes the same of every NaN; and those of them that take two.
_INDIFFERENT = frozenset((*SCALARS, *_codes(("f32", "f64"), _COMPARISONS), *_TRUNCATIONS))
_INDIFFERENT_BINARY = frozenset([code for code in _INDIFFERENT if len(signature(code)[0]) == 2])
#: The same for vectors, with the shape that they take them to be, by number after the prefix.
_OF_SHAPE = {
    code - _PREFIX: shape for code, shape in (_codes(("f32x4", "f64x2"), f"{_ARITHMETIC} {_COMPARISONS}")).items()
} | {
    CODE["f32x4.demote_f64x2_zero"] - _PREFIX: "f64x2",
}
_LOCAL_GET, _F32_CONST, _F64_CONST = CODE["local.get"], CODE["f32.const"], CODE["f64.const"]
#: Below this, numbers of cold code are those of what makes a result canonical.
_FIRST = -2
_SHAPES = ("f32", "f64", "f32x4", "f64x2")


def scalar(c: Compilation, pc: int) -> int:
    """Any instruction that may make a NaN and is no vector instruction."""
    op = c.code[pc - 1]
    stack = c.stack
    target = c.target
    free = c.free
    types, (result,) = signature(op)
    a: Operand
    if len(types) == 1:
        a = stack.pop()
        sink = sink_at(c, pc, result)
        choice = target.MEMO.get((op, a, free, sink)) or choose_unary(c, op, a, free, sink)
    else:
        b = stack.pop()
        a = stack.pop()
        if a.reg < 0 and a.kind != CONSTANT:
            text, a, free = target.FETCHES.get((a, free)) or target.fetch(a, free)
            c.out += text
        sink = sink_at(c, pc, result)
        choice = target.MEMO.get((op, a, b, free, sink))
        if choice is None:
            choice, free = choose_binary(c, op, a, b, free, sink)
    text, entry, free, tight = choice
    c.out += text
    if target.NANS_BY_CODE and (entry is sink or not _indifferent(c, pc)):
        _make_canonical(c, "f32" if result == F32 else "f64", entry.reg, free)
    return finish(c, pc, (b"", entry, free, tight), sink)


def _indifferent(c: Compilation, pc: int) -> bool:
    """Whether the next instruction makes the same of every NaN, or the one after what it takes as its other operand."""
    code = c.code
    op = code[pc]
    if op == _LOCAL_GET and code[pc + 1] < 128:
        return code[pc + 2] in _INDIFFERENT_BINARY
    if op == _F64_CONST:
        return code[pc + 9] in _INDIFFERENT_BINARY
    if op == _F32_CONST:
        return code[pc + 5] in _INDIFFERENT_BINARY
    return op in _INDIFFERENT


def vector(c: Compilation, pc: int) -> int:
    """Any instruction after the prefix of vector instructions."""
    end, number = read_unsigned(c, pc)
    after = HANDLERS[VECTOR_PREFIX](c, pc)
    shape = VECTORS.get(number)
    if shape is None:
        return after
    if after != end:
        # The result has gone to a local, which the instruction before the next one names.
        local = c.locals_[c.code[after - 1]]
        assert local is not None
        _make_canonical(c, shape, local.reg, c.free)
    elif not (c.code[end] == VECTOR_PREFIX and _OF_SHAPE.get(read_unsigned(c, end + 1)[1]) == shape):
        _make_canonical(c, shape, c.stack[-1].reg, c.free)
    return after


def _make_canonical(c: Compilation, shape: str, reg: int, free: int) -> None:
    """Emit the test of a result in a register, and have what makes it canonical emitted out of line."""
    assert reg >= 0
    free &= c.target.FLOAT_TEMPORARIES
    scratch = (free & -free).bit_length() - 1 - FIRST_FLOAT_BIT
    env = c.env
    test, fix = env.pieces[c.target.canonical_nans][shape, reg, scratch]
    number = _FIRST - (_SHAPES.index(shape) << 12 | reg << 6 | scratch & 63)
    env.traps[number] = fix
    c.out += test
    c.cold.append((len(c.out), number, c.pc, len(c.out)))


#: The handlers of a function that has vectors.
VECTOR_HANDLERS: list[Handler] = [*WITH_VECTORS]
VECTOR_HANDLERS[VECTOR_PREFIX] = vector
