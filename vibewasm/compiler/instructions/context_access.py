"""Constants, globals, tables, memory sizes and references, accesses that need more than a displacement, and numeric
instructions after a prefix: one function an instruction.
"""

from __future__ import annotations

from ...backends.operand import BARRIER, F32, F64, I32, I64, REFERENCE, constant
from ...opcodes import ACCESSES, CODE, name_of, signature
from ...types import FUNCREF
from ..choices import far_load, far_store
from ..immediates import heap_type, memory_immediate, read_memarg, read_signed, read_unsigned, skip_constant
from ..index_spaces import declared_reference, global_at, table_type
from ..operand_stack import check_top, finish, pop_typed, sink_at
from ..state import BodyFault, Compilation, type_mismatch

_GLOBAL_GET, _GLOBAL_SET, _TABLE_GET = CODE["global.get"], CODE["global.set"], CODE["table.get"]
_TABLE_SIZE, _MEMORY_SIZE, _REF_FUNC = CODE["table.size"], CODE["memory.size"], CODE["ref.func"]

# -- constants ---------------------------------------------------------------------------------------------------------


def i64_const(c: Compilation, pc: int) -> int:
    """``i64.const n``."""
    byte = c.code[pc]
    if byte < 64:
        c.stack.append(constant(I64, byte))
        return pc + 1
    pc, value = read_signed(c, pc, 64)
    c.stack.append(constant(I64, value & 0xFFFF_FFFF_FFFF_FFFF))
    return pc


def f32_const(c: Compilation, pc: int) -> int:
    """``f32.const z``."""
    after = skip_constant(c, pc, 4)
    c.stack.append(constant(F32, int.from_bytes(c.code[pc:after], "little")))
    return after


def f64_const(c: Compilation, pc: int) -> int:
    """``f64.const z``."""
    after = skip_constant(c, pc, 8)
    c.stack.append(constant(F64, int.from_bytes(c.code[pc:after], "little")))
    return after


# -- reads and writes of the context ----------------------------------------------------------------------------------


def _read(c: Compilation, pc: int, op: int, kind: str, type_: int, *arguments: object) -> int:
    """Push what the backend reads from the context."""
    sink = sink_at(c, pc, type_)
    free = c.free
    key = (op, free, sink, *arguments)
    choice = c.target.MEMO.get(key)
    if choice is None:
        choice = c.target.lower_read(kind, free, sink, *arguments)
        c.target.remember(key, choice)
    return finish(c, pc, choice, sink)


def global_get(c: Compilation, pc: int) -> int:
    """``global.get x``."""
    index = c.code[pc]
    pc += 1
    if index > 127:
        pc, index = read_unsigned(c, pc - 1)
    type_, offset, by_pointer = global_at(c.env, index, False)
    return _read(c, pc, _GLOBAL_GET, "global_get", type_, type_, offset, by_pointer)


def global_set(c: Compilation, pc: int) -> int:
    """``global.set x``."""
    index = c.code[pc]
    pc += 1
    if index > 127:
        pc, index = read_unsigned(c, pc - 1)
    type_, offset, by_pointer = global_at(c.env, index, True)
    value = pop_typed(c, "global.set", type_)
    key = (_GLOBAL_SET, c.free, value, offset, by_pointer)
    choice = c.target.MEMO.get(key)
    if choice is None:
        choice = c.target.lower_write("global_set", *key[1:])
        c.target.remember(key, choice)
    text, c.free = choice
    c.out += text
    return pc


def table_get(c: Compilation, pc: int) -> int:
    """``table.get x``."""
    pc, index = read_unsigned(c, pc)
    type_ = table_type(c.env, index)
    entry = pop_typed(c, "table.get", I32)
    return _read(c, pc, _TABLE_GET, "table_get", type_, type_, c.env.layout.table(index), entry)


def table_set(c: Compilation, pc: int) -> int:
    """``table.set x``."""
    pc, index = read_unsigned(c, pc)
    type_ = table_type(c.env, index)
    check_top(c, "table.set", (I32, type_))
    value = c.stack.pop()
    entry = c.stack.pop()
    text, c.free = c.target.lower_write("table_set", c.free, c.env.layout.table(index), entry, value)
    c.out += text
    return pc


def table_size(c: Compilation, pc: int) -> int:
    """``table.size x``."""
    pc, index = read_unsigned(c, pc)
    table_type(c.env, index)
    return _read(c, pc, _TABLE_SIZE, "table_size", I32, c.env.layout.table(index))


def memory_size(c: Compilation, pc: int) -> int:
    """``memory.size x``."""
    pc, index = memory_immediate(c, pc)
    return _read(c, pc, _MEMORY_SIZE, "memory_size", I32, c.env.layout.memory(index))


# -- references --------------------------------------------------------------------------------------------------------


def ref_null(c: Compilation, pc: int) -> int:
    """``ref.null t``: the cell 0."""
    pc, type_ = heap_type(c, pc)
    c.stack.append(constant(type_, 0))
    return pc


def ref_is_null(c: Compilation, pc: int) -> int:
    """``ref.is_null``."""
    entry = c.stack[-1]
    if entry.type < REFERENCE:
        if entry.kind == BARRIER:
            raise type_mismatch("ref.is_null", (FUNCREF,), (None,))
        raise BodyFault("type mismatch: ref.is_null expects a reference")
    c.stack.pop()
    sink = sink_at(c, pc, I32)
    return finish(c, pc, c.target.lower(c.target.rule("ref.is_null"), (entry,), c.free, sink), sink)


def ref_func(c: Compilation, pc: int) -> int:
    """``ref.func x``."""
    pc, index = read_unsigned(c, pc)
    dense = declared_reference(c.env, index)
    from ...reference_types import concrete

    type_ = concrete(c.env.info.func_type(index), False)
    return _read(c, pc, _REF_FUNC, "context_cell", type_, type_, c.env.layout.ref(dense))


# -- loads and stores that need more than a displacement ---------------------------------------------------------------


def _access(c: Compilation, pc: int) -> tuple[int, int, int]:
    op = c.code[pc - 1]
    after, offset = read_memarg(c, pc, ACCESSES[op])
    return op, after, offset


def load(c: Compilation, pc: int) -> int:
    """Any load, with explicit bounds checks."""
    op, pc, offset = _access(c, pc)
    entry = pop_typed(c, name_of(op), c.env.address_type)
    c.free = far_load(c, op, entry, offset, c.free)
    return pc


def store(c: Compilation, pc: int) -> int:
    """Any store, with explicit bounds checks."""
    op, pc, offset = _access(c, pc)
    check_top(c, name_of(op), (c.env.address_type, signature(op)[0][1]))
    value = c.stack.pop()
    entry = c.stack.pop()
    c.free = far_store(c, op, entry, value, offset, c.free)
    return pc


def unary(c: Compilation, pc: int, op: int) -> int:
    """An instruction with one operand and one result that stands after a prefix: the ``trunc_sat`` conversions."""
    operands, results = signature(op)
    name = name_of(op)
    entry = pop_typed(c, name, operands[0])
    sink = sink_at(c, pc, results[0])
    return finish(c, pc, c.target.lower(c.target.rule(name), (entry,), c.free, sink), sink)
