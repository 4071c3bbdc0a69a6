"""Immediates: decoded from a function's code, and checked against its module.

Each reader takes the compilation and a position, and returns the position after what it read, and what that was. It
raises :class:`~.state.BodyFault`. The loop and the handlers read the usual forms themselves, mostly of one byte.
"""

from __future__ import annotations

from ..backends.convention import MANY_VALUES
from ..binary import value_types
from ..errors import DecodeError, ValidationError
from ..opcodes import ACCESSES, CODE, PREFIXES, name_of, prefixed, row_of
from ..types import EMPTY_BLOCK_TYPE, FUNCREF, NOT_NULL, V128, VALUE_TYPES
from .index_spaces import data_segment, element_segment, memory_at, table_type, type_at
from .state import BodyFault, Compilation, NeedsRuns, Types, fits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..backends.operand import Operand
    from .environment import ModuleEnvironment

_NOTHING: Types = ()
_LOCAL_GET = CODE["local.get"]
_ONE_RESULT = {byte: (type_,) for byte, type_ in VALUE_TYPES.items() if type_ != V128}


def read_unsigned(c: Compilation, pc: int, bits: int = 32) -> tuple[int, int]:
    """Decode an unsigned LEB128 (core specification, "Integers"): the position after it, and the value."""
    code = c.code
    value = shift = 0
    byte = 128
    while byte >= 128 and shift < bits:
        byte = code[pc]
        pc += 1
        value |= (byte & 127) << shift
        shift += 7
    if byte >= 128 or pc > c.end:
        raise _bad_integer(c, pc)
    if value >> bits:
        raise BodyFault("integer too large", malformed=True)
    return pc, value


def read_signed(c: Compilation, pc: int, bits: int) -> tuple[int, int]:
    """Decode a signed LEB128: the position after it, and the value."""
    code = c.code
    value = shift = 0
    byte = 128
    while byte >= 128 and shift < bits:
        byte = code[pc]
        pc += 1
        value |= (byte & 127) << shift
        shift += 7
    if byte >= 128 or pc > c.end:
        raise _bad_integer(c, pc)
    if byte & 64:
        value -= 1 << shift
    if shift > bits and not -(1 << (bits - 1)) <= value < 1 << (bits - 1):
        raise BodyFault("integer too large", malformed=True)
    return pc, value


def _bad_integer(c: Compilation, pc: int) -> BodyFault:
    """What is wrong with a LEB128 that was read up to ``pc``, maybe into the padding after the body."""
    if pc > c.end:
        return BodyFault("unexpected end", malformed=True)
    return BodyFault("integer representation too long", malformed=True)


def read_memarg(c: Compilation, pc: int, natural: int) -> tuple[int, int]:
    """Decode and validate an access's alignment, whose largest is ``natural``, and its offset, which is the result."""
    after, alignment = read_unsigned(c, pc)
    memory = 0
    if alignment >= 64:
        # Bit 6 announces a memory index; what is above it has no meaning at all.
        if alignment >= 128:
            raise BodyFault("malformed memop flags", malformed=True)
        alignment -= 64
        after, memory = read_unsigned(c, after)
    after, offset = read_unsigned(c, after, 64)
    if alignment > natural:
        raise BodyFault("alignment must not be larger than natural")
    if memory >= len(c.env.info.memories):
        raise BodyFault(f"unknown memory {memory}")
    if offset >> 32:
        raise BodyFault(f"offset out of range: {offset} does not fit 32 bits")
    return after, offset


def long_local(c: Compilation, pc: int) -> tuple[int, Operand]:
    """The home of the local whose index takes more than one byte, or the fault of an unknown local."""
    c.pc = pc - 1
    pc, index = read_unsigned(c, pc)
    entry = c.locals.entry(index)
    if entry is None or entry.type >= NOT_NULL:
        entry = _unusual_local(c, index, entry)
    return pc, entry


def _unusual_local(c: Compilation, index: int, entry: Operand | None) -> Operand:
    """The home of a local that may have no value yet, or the fault of one that is read then, or is not there."""
    if c.control is not None and c.control.is_unset(c, index):
        if c.code[c.pc] == _LOCAL_GET:
            raise BodyFault(f"uninitialized local: local {index} is not set before it is read")
        return c.control.assign(c, index)
    if entry is None:
        raise BodyFault(f"unknown local {index}")
    return entry


def memory_immediate(c: Compilation, pc: int) -> tuple[int, int]:
    """Decode a memory index."""
    pc, index = read_unsigned(c, pc)
    memory_at(c.env, index)
    return pc, index


def table_init_immediates(c: Compilation, pc: int) -> tuple[int, int, int]:
    """Decode and check the segment and the table of ``table.init``."""
    pc, segment = read_unsigned(c, pc)
    pc, table = read_unsigned(c, pc)
    element = table_type(c.env, table)
    if not fits(element_segment(c.env, segment), element):
        raise BodyFault("type mismatch: the element segment's type is not the table's")
    return pc, segment, table


def table_copy_immediates(c: Compilation, pc: int) -> tuple[int, int, int]:
    """Decode and check the tables of ``table.copy``."""
    pc, destination = read_unsigned(c, pc)
    pc, source = read_unsigned(c, pc)
    if not fits(table_type(c.env, source), table_type(c.env, destination)):
        raise BodyFault("type mismatch: the tables hold different types")
    return pc, destination, source


def call_indirect_immediates(c: Compilation, pc: int) -> tuple[int, int, int]:
    """Decode and check the type and the table of ``call_indirect``."""
    pc, type_index = read_unsigned(c, pc)
    pc, table = read_unsigned(c, pc)
    if not fits(table_type(c.env, table), FUNCREF):
        raise BodyFault("type mismatch: call_indirect takes a table of functions")
    type_at(c.env, type_index)
    return pc, type_index, table


def block_type(c: Compilation, pc: int) -> tuple[int, Types, Types]:
    """Decode a block type: the position after it, parameters, and results."""
    byte = c.code[pc]
    if byte == EMPTY_BLOCK_TYPE:
        return pc + 1, _NOTHING, _NOTHING
    if byte in _ONE_RESULT:
        return pc + 1, _NOTHING, _ONE_RESULT[byte]
    # What is negative stands for a type, and what is not is the index of one.
    after, index = read_signed(c, pc, 33)
    if index < 0:
        if after > pc + 1:
            raise BodyFault("malformed block type", malformed=True)
        pc, type_ = _decode_type(c, pc, _block_value_type)
        if type_ == V128 and not c.env.vectors:
            from .vectors_needed import NeedsVectors

            raise NeedsVectors
        return pc, _NOTHING, (type_,)
    params, results = type_at(c.env, index)
    if not c.runs and (len(params) > MANY_VALUES or len(results) > MANY_VALUES):
        raise NeedsRuns
    return after, params, results


def value_type(c: Compilation, pc: int) -> tuple[int, int]:
    """Decode a value type."""
    type_ = VALUE_TYPES.get(c.code[pc]) if pc < c.end else None
    return (pc + 1, type_) if type_ is not None else _decode_type(c, pc, _value_type)


def heap_type(c: Compilation, pc: int) -> tuple[int, int]:
    """Decode a heap type: the code of the nullable reference type to it."""
    return _decode_type(c, pc, _heap_type)


def _value_type(c: Compilation, pc: int) -> tuple[int, int]:
    return value_types.value_type(c.code, pc, c.env.info.types)


def _block_value_type(c: Compilation, pc: int) -> tuple[int, int]:
    return value_types.value_type(c.code, pc, c.env.info.types, "block type")


def _heap_type(c: Compilation, pc: int) -> tuple[int, int]:
    return value_types.heap_type(c.code, pc, c.env.info.types)


def _decode_type(c: Compilation, pc: int, decode: Callable[[Compilation, int], tuple[int, int]]) -> tuple[int, int]:
    """Decode a type with a reader of the binary format's."""
    if pc >= c.end:
        raise BodyFault("unexpected end", malformed=True)
    try:
        type_, after = decode(c, pc)
    except DecodeError as error:
        raise BodyFault(error.message, malformed=True) from None
    except ValidationError as error:
        raise BodyFault(error.message, feature=error.feature) from None
    if after > c.end:
        raise BodyFault("unexpected end", malformed=True)
    return after, type_


def select_type(c: Compilation, pc: int) -> tuple[int, int]:
    """Decode the vector of types of ``select t*``, which holds one."""
    pc, count = read_unsigned(c, pc)
    if count != 1:
        raise BodyFault("invalid result arity: select takes one type")
    return value_type(c, pc)


def read_opcode(c: Compilation, pc: int) -> tuple[int, int]:
    """Decode an opcode: that of the table, or the fault of one that is not there."""
    code = c.code[pc]
    pc += 1
    if code in PREFIXES:
        pc, sub = read_unsigned(c, pc)
        code = prefixed(code, sub)
    if row_of(code) is None:
        raise illegal_opcode(code)
    return pc, code


def illegal_opcode(code: int) -> BodyFault:
    """The fault of an opcode that is not in the table."""
    from ..proposals import TITLES, not_in_table, proposal_of

    feature = proposal_of(code)
    return BodyFault(*not_in_table(code), feature=TITLES[feature] if feature else None)


def skip_constant(c: Compilation, pc: int, size: int) -> int:
    """The position after a constant of ``size`` bytes."""
    if pc + size > c.end:
        raise BodyFault("unexpected end", malformed=True)
    return pc + size


_lane_limits: dict[int, int] = {}


def lane_limit(op: int) -> int:
    """How many lanes an instruction can name, memoised: those of its shape, of the memory that it accesses in a vector,
    or of both operands of ``i8x16.shuffle``.
    """
    limit = _lane_limits.get(op)
    if limit is None:
        shape, _, operation = name_of(op).partition(".")
        if op in ACCESSES:
            limit = 16 >> ACCESSES[op]
        else:
            limit = int(shape.partition("x")[2]) * (2 if operation == "shuffle" else 1)
        _lane_limits[op] = limit
    return limit


def read_lane(c: Compilation, pc: int, op: int) -> tuple[int, int]:
    """Decode and check the index of a lane, which is a byte."""
    if pc >= c.end:
        raise BodyFault("unexpected end", malformed=True)
    lane = c.code[pc]
    limit = lane_limit(op)
    if lane >= limit:
        raise _bad_lane(lane, limit)
    return pc + 1, lane


def read_lanes(c: Compilation, pc: int) -> tuple[int, bytes]:
    """Decode and check the sixteen lanes of ``i8x16.shuffle``."""
    after = skip_constant(c, pc, 16)
    lanes = bytes(c.code[pc:after])
    if max(lanes) >= 32:
        raise _bad_lane(next(lane for lane in lanes if lane >= 32), 32)
    return after, lanes


def _bad_lane(lane: int, limit: int) -> BodyFault:
    return BodyFault(f"invalid lane index {lane}: there are {limit} lanes")


def read_vector(c: Compilation, pc: int) -> tuple[int, int]:
    """Decode a constant of 16 bytes: its bits, lane 0 lowest."""
    after = skip_constant(c, pc, 16)
    return after, int.from_bytes(c.code[pc:after], "little")


def check_immediate(c: Compilation, pc: int, kind: str, op: int) -> int:
    """Decode and check an immediate of a kind, one of the opcode table's, that is of no interest otherwise."""
    if kind == "memarg":
        return read_memarg(c, pc, ACCESSES[op])[0]
    if kind == "lane":
        return read_lane(c, pc, op)[0]
    if kind == "lanes":
        return read_lanes(c, pc)[0]
    if kind in _INTEGERS:
        return read_signed(c, pc, _INTEGERS[kind])[0]
    if kind in _FIXED:
        return skip_constant(c, pc, _FIXED[kind])
    pc, index = read_unsigned(c, pc)
    _SPACES[kind](c.env, index)
    return pc


#: How :func:`check_immediate` takes each kind: bits of integers, bytes of floats and vectors, and the index spaces.
_INTEGERS = {"i32": 32, "i64": 64}
_FIXED = {"f32": 4, "f64": 8, "v128": 16}
_SPACES: dict[str, Callable[[ModuleEnvironment, int], object]] = {
    "data": data_segment,
    "elem": element_segment,
    "memory": memory_at,
    "table": table_type,
}
#: The kinds that it knows; what an instruction with another kind does has a rule of its own in dead code.
CHECKED_KINDS = frozenset(("memarg", "lane", "lanes", *_INTEGERS, *_FIXED, *_SPACES))
