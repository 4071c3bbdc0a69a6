"""Constants, globals, tables, memory sizes and references, and accesses that need more than a displacement.

One function an instruction; a handler takes the compilation and the position behind the opcode, and returns the
position of the next instruction.
"""

from __future__ import annotations

from ..backends.operand import BARRIER, F32, F64, I32, I64, REFERENCE, constant
from ..opcodes import name_of
from ..types import FUNCREF
from .errors import BodyFault, type_mismatch
from .function import FunctionCompiler
from .tables import ALIGNMENTS, SIGNATURES

# -- constants
# ----------------------------------------------------------------------------------------------------------


def i64_const(c: FunctionCompiler, pc: int) -> int:
    """``i64.const n``."""
    byte = c.code[pc]
    if byte < 64:
        c.stack.append(constant(I64, byte))
        return pc + 1
    pc, value = c.read_signed(pc, 64)
    c.stack.append(constant(I64, value & 0xFFFF_FFFF_FFFF_FFFF))
    return pc


def f32_const(c: FunctionCompiler, pc: int) -> int:
    """``f32.const z``."""
    if pc + 4 > c.end:
        raise BodyFault("unexpected end", malformed=True)
    c.stack.append(constant(F32, int.from_bytes(c.code[pc : pc + 4], "little")))
    return pc + 4


def f64_const(c: FunctionCompiler, pc: int) -> int:
    """``f64.const z``."""
    if pc + 8 > c.end:
        raise BodyFault("unexpected end", malformed=True)
    c.stack.append(constant(F64, int.from_bytes(c.code[pc : pc + 8], "little")))
    return pc + 8


# -- reads and writes of the context ----------------------------------------------------------------------------------


def _read(c: FunctionCompiler, pc: int, op: int, kind: str, type_: int, *arguments: object) -> int:
    """Push what the backend reads from the context."""
    sink = c.sink(pc, type_)
    free = c.free
    key = (op, free, sink, *arguments)
    choice = c.target.MEMO.get(key)
    if choice is None:
        choice = c.target.lower_read(kind, free, sink, *arguments)
        c.target.remember(key, choice)
    return c.finish(pc, choice, sink)


def global_get(c: FunctionCompiler, pc: int) -> int:
    """``global.get x``."""
    index = c.code[pc]
    pc += 1
    if index > 127:
        pc, index = c.read_unsigned(pc - 1)
    type_, offset, by_pointer = c.env.global_at(index, False)
    return _read(c, pc, 0x23, "global_get", type_, type_, offset, by_pointer)


def global_set(c: FunctionCompiler, pc: int) -> int:
    """``global.set x``."""
    index = c.code[pc]
    pc += 1
    if index > 127:
        pc, index = c.read_unsigned(pc - 1)
    type_, offset, by_pointer = c.env.global_at(index, True)
    value = c.pop("global.set", type_)
    key = (0x24, c.free, value, offset, by_pointer)
    choice = c.target.MEMO.get(key)
    if choice is None:
        choice = c.target.lower_write("global_set", *key[1:])
        c.target.remember(key, choice)
    text, c.free = choice
    c.out += text
    return pc


def table_get(c: FunctionCompiler, pc: int) -> int:
    """``table.get x``."""
    pc, index = c.read_unsigned(pc)
    type_ = c.env.table_type(index)
    entry = c.pop("table.get", I32)
    return _read(c, pc, 0x25, "table_get", type_, type_, c.env.layout.table(index), entry)


def table_set(c: FunctionCompiler, pc: int) -> int:
    """``table.set x``."""
    pc, index = c.read_unsigned(pc)
    type_ = c.env.table_type(index)
    c.check_top("table.set", (I32, type_))
    value = c.stack.pop()
    entry = c.stack.pop()
    text, c.free = c.target.lower_write("table_set", c.free, c.env.layout.table(index), entry, value)
    c.out += text
    return pc


def table_size(c: FunctionCompiler, pc: int) -> int:
    """``table.size x``."""
    pc, index = c.read_unsigned(pc)
    c.env.table_type(index)
    return _read(c, pc, 0xFC010, "table_size", I32, c.env.layout.table(index))


def memory_size(c: FunctionCompiler, pc: int) -> int:
    """``memory.size x``."""
    pc, index = c.env.memory_immediate(c, pc)
    return _read(c, pc, 0x3F, "memory_size", I32, c.env.layout.memory(index))


# -- references
# ----------------------------------------------------------------------------------------------------------


def ref_null(c: FunctionCompiler, pc: int) -> int:
    """``ref.null t``: the cell 0."""
    pc, type_ = c.env.heap_type(c, pc)
    c.stack.append(constant(type_, 0))
    return pc


def ref_is_null(c: FunctionCompiler, pc: int) -> int:
    """``ref.is_null``."""
    entry = c.stack[-1]
    if entry.type < REFERENCE:
        if entry.kind == BARRIER:
            raise type_mismatch("ref.is_null", (FUNCREF,), (None,))
        raise BodyFault("type mismatch: ref.is_null expects a reference")
    c.stack.pop()
    sink = c.sink(pc, I32)
    return c.finish(pc, c.target.lower(c.target.rule("ref.is_null"), (entry,), c.free, sink), sink)


def ref_func(c: FunctionCompiler, pc: int) -> int:
    """``ref.func x``."""
    pc, index = c.read_unsigned(pc)
    dense = c.env.declared_reference(index)
    return _read(c, pc, 0xD2, "context_cell", FUNCREF, FUNCREF, c.env.layout.ref(dense))


# -- loads and stores that need more than a displacement ---------------------------------------------------------------


def _access(c: FunctionCompiler, pc: int) -> tuple[int, int, int]:
    op = c.code[pc - 1]
    after, offset = c.read_memarg(pc - 1, ALIGNMENTS[op])
    c.env.require_memory()
    return op, after, offset


def load(c: FunctionCompiler, pc: int) -> int:
    """Any load, with explicit bounds checks."""
    op, pc, offset = _access(c, pc)
    entry = c.pop(name_of(op), c.env.address_type)
    c.free = c.far_load(op, entry, offset, c.free)
    return pc


def store(c: FunctionCompiler, pc: int) -> int:
    """Any store, with explicit bounds checks."""
    op, pc, offset = _access(c, pc)
    c.check_top(name_of(op), (c.env.address_type, SIGNATURES[op][0][1]))
    value = c.stack.pop()
    entry = c.stack.pop()
    c.free = c.far_store(op, entry, value, offset, c.free)
    return pc


def saturating_truncation(c: FunctionCompiler, pc: int, op: int) -> int:
    """The eight ``trunc_sat`` conversions."""
    operands, results = SIGNATURES[op]
    name = name_of(op)
    entry = c.pop(name, operands[0])
    sink = c.sink(pc, results[0])
    return c.finish(pc, c.target.lower(c.target.rule(name), (entry,), c.free, sink), sink)
