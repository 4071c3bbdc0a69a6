"""Instructions that the runtime carries out, one function each; see :mod:`.context_access` for what a handler is."""

from __future__ import annotations

from ..backends.operand import I32, constant
from .calls import pass_arguments
from .function import FunctionCompiler

#: Numbers of the store's builtins, see ``docs/abi.md``.
MEMORY_GROW, MEMORY_INIT, DATA_DROP, TABLE_INIT, ELEM_DROP, TABLE_COPY, TABLE_FILL, TABLE_GROW = range(8)


def _builtin(
    c: FunctionCompiler, number: int, instruction: str, immediates: tuple[int, ...], checked: tuple[int, ...]
) -> None:
    """Call a builtin with immediates as its first arguments and operands as the rest."""
    c.check_top(instruction, checked)
    count = len(checked)
    operands = c.stack[len(c.stack) - count :]
    del c.stack[len(c.stack) - count :]
    c.stack += [constant(I32, value) for value in immediates]
    c.stack += operands
    pass_arguments(c, (I32,) * len(immediates) + checked, instruction)
    c.out += c.env.calls.call_builtin(number)


def memory_grow(c: FunctionCompiler, pc: int) -> int:
    """``memory.grow x``."""
    pc, index = c.env.memory_immediate(c, pc)
    _builtin(c, MEMORY_GROW, "memory.grow", (index,), (I32,))
    c.push_result(I32)
    return pc


def memory_init(c: FunctionCompiler, pc: int) -> int:
    """``memory.init y x``."""
    pc, segment = c.read_unsigned(pc)
    pc, index = c.env.memory_immediate(c, pc)
    c.env.data_segment(segment)
    _builtin(c, MEMORY_INIT, "memory.init", (index, segment), (I32, I32, I32))
    return pc


def data_drop(c: FunctionCompiler, pc: int) -> int:
    """``data.drop x``."""
    pc, segment = c.read_unsigned(pc)
    c.env.data_segment(segment)
    _builtin(c, DATA_DROP, "data.drop", (segment,), ())
    return pc


def memory_copy(c: FunctionCompiler, pc: int) -> int:
    """``memory.copy x y``."""
    pc, destination = c.env.memory_immediate(c, pc)
    pc, source = c.env.memory_immediate(c, pc)
    _bulk(c, "memory.copy", False, destination, source)
    return pc


def memory_fill(c: FunctionCompiler, pc: int) -> int:
    """``memory.fill x``."""
    pc, index = c.env.memory_immediate(c, pc)
    _bulk(c, "memory.fill", True, index, index)
    return pc


def _bulk(c: FunctionCompiler, instruction: str, fill: bool, destination: int, source: int) -> None:
    c.makes_calls = True
    c.check_top(instruction, (I32, I32, I32))
    stack = c.stack
    n = stack.pop()
    middle = stack.pop()
    first = stack.pop()
    operands = (first, middle, n)
    free = c.evict(c.target.ALL_FREE & ~(first.bit | middle.bit | n.bit), c.free, operands)
    c.free = free
    calls = c.env.calls
    layout = c.env.layout
    c.out += calls.bulk_arguments(operands)
    c.out += calls.call_bulk(fill, layout.memory(destination), layout.memory(source))
    c.free = c.target.ALL_FREE


def table_init(c: FunctionCompiler, pc: int) -> int:
    """``table.init y x``."""
    pc, segment, table = c.env.table_init_immediates(c, pc)
    _builtin(c, TABLE_INIT, "table.init", (table, segment), (I32, I32, I32))
    return pc


def elem_drop(c: FunctionCompiler, pc: int) -> int:
    """``elem.drop x``."""
    pc, segment = c.read_unsigned(pc)
    c.env.element_segment(segment)
    _builtin(c, ELEM_DROP, "elem.drop", (segment,), ())
    return pc


def table_copy(c: FunctionCompiler, pc: int) -> int:
    """``table.copy x y``."""
    pc, destination, source = c.env.table_copy_immediates(c, pc)
    _builtin(c, TABLE_COPY, "table.copy", (destination, source), (I32, I32, I32))
    return pc


def table_fill(c: FunctionCompiler, pc: int) -> int:
    """``table.fill x``."""
    pc, table = c.read_unsigned(pc)
    type_ = c.env.table_type(table)
    _builtin(c, TABLE_FILL, "table.fill", (table,), (I32, type_, I32))
    return pc


def table_grow(c: FunctionCompiler, pc: int) -> int:
    """``table.grow x``."""
    pc, table = c.read_unsigned(pc)
    type_ = c.env.table_type(table)
    _builtin(c, TABLE_GROW, "table.grow", (table,), (type_, I32))
    c.push_result(I32)
    return pc
