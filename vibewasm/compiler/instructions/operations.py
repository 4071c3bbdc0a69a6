"""Instructions that the runtime carries out, or a routine of machine code, one function each."""

from __future__ import annotations

from ...abi import BUILTINS
from ...backends.operand import I32, constant
from ..immediates import memory_immediate, read_unsigned, table_copy_immediates, table_init_immediates
from ..index_spaces import data_segment, element_segment, table_type
from ..operand_stack import check_top, evict, push_result
from ..state import Compilation
from .calls import pass_arguments


def _builtin(c: Compilation, instruction: str, immediates: tuple[int, ...], checked: tuple[int, ...]) -> None:
    """Call the builtin for an instruction, with immediates as its first arguments and operands as the rest."""
    check_top(c, instruction, checked)
    count = len(checked)
    operands = c.stack[len(c.stack) - count :]
    del c.stack[len(c.stack) - count :]
    c.stack += [constant(I32, value) for value in immediates]
    c.stack += operands
    pass_arguments(c, (I32,) * len(immediates) + checked, instruction)
    c.out += c.env.calls.call_builtin(BUILTINS.index(instruction))


def memory_grow(c: Compilation, pc: int) -> int:
    """``memory.grow x``."""
    pc, index = memory_immediate(c, pc)
    _builtin(c, "memory.grow", (index,), (I32,))
    push_result(c, I32)
    return pc


def memory_init(c: Compilation, pc: int) -> int:
    """``memory.init y x``."""
    pc, segment = read_unsigned(c, pc)
    pc, index = memory_immediate(c, pc)
    data_segment(c.env, segment)
    _builtin(c, "memory.init", (index, segment), (I32, I32, I32))
    return pc


def data_drop(c: Compilation, pc: int) -> int:
    """``data.drop x``."""
    pc, segment = read_unsigned(c, pc)
    data_segment(c.env, segment)
    _builtin(c, "data.drop", (segment,), ())
    return pc


def memory_copy(c: Compilation, pc: int) -> int:
    """``memory.copy x y``."""
    pc, destination = memory_immediate(c, pc)
    pc, source = memory_immediate(c, pc)
    _bulk(c, "memory.copy", False, destination, source)
    return pc


def memory_fill(c: Compilation, pc: int) -> int:
    """``memory.fill x``."""
    pc, index = memory_immediate(c, pc)
    _bulk(c, "memory.fill", True, index, index)
    return pc


def _bulk(c: Compilation, instruction: str, fill: bool, destination: int, source: int) -> None:
    c.makes_calls = True
    check_top(c, instruction, (I32, I32, I32))
    stack = c.stack
    n = stack.pop()
    middle = stack.pop()
    first = stack.pop()
    operands = (first, middle, n)
    free = evict(c, c.target.ALL_FREE & ~(first.bit | middle.bit | n.bit), c.free, operands)
    c.free = free
    calls = c.env.calls
    layout = c.env.layout
    c.out += calls.bulk_arguments(operands)
    if c.special is not None and c.special.meter is not None:
        c.special.meter.charge_bulk()
    c.out += calls.call_bulk(fill, layout.memory(destination), layout.memory(source))
    c.free = c.target.ALL_FREE


def table_init(c: Compilation, pc: int) -> int:
    """``table.init y x``."""
    pc, segment, table = table_init_immediates(c, pc)
    _builtin(c, "table.init", (table, segment), (I32, I32, I32))
    return pc


def elem_drop(c: Compilation, pc: int) -> int:
    """``elem.drop x``."""
    pc, segment = read_unsigned(c, pc)
    element_segment(c.env, segment)
    _builtin(c, "elem.drop", (segment,), ())
    return pc


def table_copy(c: Compilation, pc: int) -> int:
    """``table.copy x y``."""
    pc, destination, source = table_copy_immediates(c, pc)
    _builtin(c, "table.copy", (destination, source), (I32, I32, I32))
    return pc


def table_fill(c: Compilation, pc: int) -> int:
    """``table.fill x``."""
    pc, table = read_unsigned(c, pc)
    type_ = table_type(c.env, table)
    _builtin(c, "table.fill", (table,), (I32, type_, I32))
    return pc


def table_grow(c: Compilation, pc: int) -> int:
    """``table.grow x``."""
    pc, table = read_unsigned(c, pc)
    type_ = table_type(c.env, table)
    _builtin(c, "table.grow", (table,), (type_, I32))
    push_result(c, I32)
    return pc
