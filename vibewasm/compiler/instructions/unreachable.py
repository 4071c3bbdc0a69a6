"""Code that cannot be reached: validated, not compiled (core specification, appendix "Validation Algorithm").

After an unconditional branch the operand stack is polymorphic: an operand below what the dead code itself pushed may
be of any type. So dead code has a type stack of its own here, driven by the opcode table; it ends at the ``end``,
``else``, handler or ``delegate`` of the block in which it began, which is left for the compiler.

An instruction whose operands and results are fixed, and whose immediates are of the kinds that
:func:`~..immediates.check_immediate` knows, needs nothing here; the others have a rule each in :data:`RULES`, or in
:mod:`.unreachable_control`.
"""

from __future__ import annotations

from ...backends.operand import I32, REFERENCE, V128
from ...opcodes import BY_CODE, CODE, codes_with, has_signature, signature
from ...types import FUNCREF
from ..immediates import (
    block_type,
    call_indirect_immediates,
    check_immediate,
    heap_type,
    read_opcode,
    read_unsigned,
    select_type,
    table_copy_immediates,
    table_init_immediates,
)
from ..index_spaces import declared_reference, function_type, global_at, table_type, type_at
from ..operand_stack import types_fit
from ..state import ELSE, IF, BodyFault, Compilation, type_mismatch
from . import rare_rule
from .dead_code import UNKNOWN, UNKNOWN_REFERENCE, Block, DeadCode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..state import Types

    #: Validates the instruction of that name, from the position after the opcode on: the position after it.
    Rule = Callable[["DeadCode", Compilation, int, str], int]

_END = CODE["end"]
_LEAVES = codes_with("leaves")
#: What ends a part of a block and begins another one, besides ``else``, and the opcodes of labels that it may stand in.
_HANDLERS = {CODE["catch"]: (CODE["try"], CODE["catch"]), CODE["catch_all"]: (CODE["try"], CODE["catch"])}
DELEGATE = CODE["delegate"]


def skip_unreachable(c: Compilation, pc: int) -> int:
    """Validate dead code from ``pc`` on: the position of what ends it, which is an ``end``, ``else``, handler or
    ``delegate``.
    """
    dead = DeadCode(c)
    code = c.code
    while True:
        c.pc = pc
        if pc >= c.end:
            raise BodyFault("unexpected end", malformed=True)
        op = code[pc]
        if len(dead.blocks) == 1:
            if op == _END or op == ELSE:
                if op == ELSE and dead.blocks[0].opcode != IF:
                    raise BodyFault("else without if: unexpected else", malformed=True)
                dead.close(BY_CODE[op][1])
                return pc
            if op in _HANDLERS or op == DELEGATE:
                check_handler(op, dead.blocks[0].opcode)
                # In reached code a delegate ends it as an end does.
                dead.close("end" if op == DELEGATE else BY_CODE[op][1])
                return pc
        pc = _step(dead, c, pc)


def check_handler(op: int, opcode: int) -> None:
    """Check that a handler or ``delegate`` stands in a ``try``, by the opcode of the innermost block. Comes before its
    immediate is read: what is malformed comes before what is invalid.
    """
    if opcode not in _HANDLERS.get(op, (CODE["try"],)):
        name = BY_CODE[op][1]
        raise BodyFault(f"{name} without try: unexpected {name}", malformed=True)


def _step(dead: DeadCode, c: Compilation, pc: int) -> int:
    """Validate one instruction: the position after it."""
    pc, op = read_opcode(c, pc)
    _, name, kinds, *_ = BY_CODE[op]
    rule = _by_code.get(op) or (rare_rule(op) if not has_signature(op) else None)
    if rule is not None:
        return rule(dead, c, pc, name)
    for kind in kinds.split():
        pc = check_immediate(c, pc, kind, op)
    operands, results = signature(op)
    dead.pop_all(name, operands)
    dead.push(results)
    return pc


def _block(dead: DeadCode, c: Compilation, pc: int, name: str) -> int:
    pc, params, results = block_type(c, pc)
    if name == "if":
        dead.pop(name, I32)
    open_block(dead, name, params, results)
    return pc


def open_block(dead: DeadCode, name: str, params: Types, results: Types) -> None:
    """Open a block that begins in dead code."""
    dead.pop_all(name, params)
    dead.blocks.append(Block(CODE[name], len(dead.types), params, results, False))
    dead.push(params)


def _else(dead: DeadCode, c: Compilation, pc: int, name: str) -> int:
    if dead.blocks[-1].opcode != IF:
        raise BodyFault("else without if: unexpected else", malformed=True)
    block = dead.close(name)
    dead.blocks.append(Block(ELSE, len(dead.types), block.params, block.results, False))
    dead.push(block.params)
    return pc


def _end(dead: DeadCode, c: Compilation, pc: int, name: str) -> int:
    block = dead.blocks[-1]
    if block.opcode == IF and not types_fit(c, block.params, block.results):
        raise type_mismatch("if without else", block.results, block.params)
    dead.close(name)
    dead.push(block.results)
    return pc


def _br(dead: DeadCode, c: Compilation, pc: int, name: str) -> int:
    pc, depth = read_unsigned(c, pc)
    dead.pop_all(name, dead.target(depth))
    dead.become_polymorphic()
    return pc


def _br_if(dead: DeadCode, c: Compilation, pc: int, name: str) -> int:
    pc, depth = read_unsigned(c, pc)
    dead.pop(name, I32)
    types = dead.target(depth)
    dead.pop_all(name, types)
    dead.push(types)
    return pc


def _br_table(dead: DeadCode, c: Compilation, pc: int, name: str) -> int:
    pc, count = read_unsigned(c, pc)
    if count > c.end - pc:
        raise BodyFault("unexpected end", malformed=True)
    # Without doubles, in their order.
    depths: dict[int, None] = {}
    depth = 0
    for _ in range(count + 1):
        pc, depth = read_unsigned(c, pc)
        depths[depth] = None
    dead.pop(name, I32)
    arity = len(dead.target(depth))
    checked: set[int] = set()
    for other in depths:
        types = dead.target(other)
        if len(types) != arity:
            raise BodyFault("type mismatch: the labels of br_table take different numbers of values")
        # The operands stay what they are: an unknown one fits every label.
        if id(types) not in checked:
            checked.add(id(types))
            dead.check(name, types)
    dead.become_polymorphic()
    return pc


def _branch_away(dead: DeadCode, c: Compilation, pc: int, name: str) -> int:
    if name == "return":
        dead.pop_all(name, c.labels[0].results)
    dead.become_polymorphic()
    return pc


def _call(dead: DeadCode, c: Compilation, pc: int, name: str) -> int:
    pc, index = read_unsigned(c, pc)
    params, results = function_type(c.env, index)
    call_with(dead, c, name, params, results)
    return pc


def _call_indirect(dead: DeadCode, c: Compilation, pc: int, name: str) -> int:
    pc, type_index, _ = call_indirect_immediates(c, pc)
    params, results = type_at(c.env, type_index)
    dead.pop(name, I32)
    call_with(dead, c, name, params, results)
    return pc


def _drop(dead: DeadCode, c: Compilation, pc: int, name: str) -> int:
    if dead.pop_any() is None:
        raise type_mismatch(name, (), (None,))
    return pc


def _select(dead: DeadCode, c: Compilation, pc: int, name: str) -> int:
    dead.pop(name, I32)
    b, a = dead.pop_any(), dead.pop_any()
    if a is None or b is None or max(a, b) > V128 or UNKNOWN_REFERENCE in (a, b) or (a != b and UNKNOWN not in (a, b)):
        raise BodyFault("type mismatch: select expects two numeric operands of the same type")
    dead.types.append(max(a, b))
    return pc


def _select_typed(dead: DeadCode, c: Compilation, pc: int, name: str) -> int:
    pc, type_ = select_type(c, pc)
    dead.pop(name, I32)
    dead.pop_all(name, (type_, type_))
    dead.types.append(type_)
    return pc


def _local(dead: DeadCode, c: Compilation, pc: int, name: str) -> int:
    pc, index = read_unsigned(c, pc)
    entry = c.locals.entry(index)
    control = c.control
    if control is not None and control.is_unset(c, index):
        if name == "local.get":
            raise BodyFault(f"uninitialized local: local {index} is not set before it is read")
        entry = control.assign(c, index, dead.depth)
    if entry is None:
        raise BodyFault(f"unknown local {index}")
    if name != "local.get":
        dead.pop(name, entry.type)
    if name != "local.set":
        dead.types.append(entry.type)
    return pc


def _global(dead: DeadCode, c: Compilation, pc: int, name: str) -> int:
    pc, index = read_unsigned(c, pc)
    type_, _, _ = global_at(c.env, index, name == "global.set")
    if name == "global.get":
        dead.types.append(type_)
    else:
        dead.pop(name, type_)
    return pc


def _table_access(dead: DeadCode, c: Compilation, pc: int, name: str) -> int:
    pc, index = read_unsigned(c, pc)
    element = table_type(c.env, index)
    if name == "table.get":
        dead.pop(name, I32)
        dead.types.append(element)
    elif name == "table.set":
        dead.pop_all(name, (I32, element))
    elif name == "table.grow":
        dead.pop_all(name, (element, I32))
        dead.types.append(I32)
    else:
        dead.pop_all(name, (I32, element, I32))
    return pc


def _table_init(dead: DeadCode, c: Compilation, pc: int, name: str) -> int:
    pc, _, _ = table_init_immediates(c, pc) if name == "table.init" else table_copy_immediates(c, pc)
    dead.pop_all(name, (I32, I32, I32))
    return pc


def _ref_null(dead: DeadCode, c: Compilation, pc: int, name: str) -> int:
    pc, type_ = heap_type(c, pc)
    dead.types.append(type_)
    return pc


def _ref_is_null(dead: DeadCode, c: Compilation, pc: int, name: str) -> int:
    type_ = dead.pop_any()
    if type_ is None:
        raise type_mismatch(name, (FUNCREF,), (None,))
    check_reference(type_, name)
    dead.types.append(I32)
    return pc


def check_reference(type_: int, name: str) -> None:
    """Check that an operand is, or may be, a reference."""
    if type_ not in (UNKNOWN, UNKNOWN_REFERENCE) and type_ < REFERENCE:
        raise BodyFault(f"type mismatch: {name} expects a reference")


def call_with(dead: DeadCode, c: Compilation, name: str, params: Types, results: Types) -> None:
    """A call or a tail call of a function with these parameters and results."""
    dead.pop_all(name, params)
    if CODE[name] in _LEAVES:
        from .calls import check_results

        check_results(c, results, name)
        dead.become_polymorphic()
    else:
        dead.push(results)


def _ref_func(dead: DeadCode, c: Compilation, pc: int, name: str) -> int:
    pc, index = read_unsigned(c, pc)
    declared_reference(c.env, index)
    from ...reference_types import concrete

    dead.types.append(concrete(c.env.info.func_type(index), False))
    return pc


#: The rules by name of the instruction, as in :data:`~vibewasm.opcodes.CODE`.
RULES: dict[str, Rule] = {
    "block": _block,
    "loop": _block,
    "if": _block,
    "else": _else,
    "end": _end,
    "br": _br,
    "br_if": _br_if,
    "br_table": _br_table,
    "return": _branch_away,
    "unreachable": _branch_away,
    "call": _call,
    "call_indirect": _call_indirect,
    "return_call": _call,
    "return_call_indirect": _call_indirect,
    "drop": _drop,
    "select": _select,
    "select t": _select_typed,
    "local.get": _local,
    "local.set": _local,
    "local.tee": _local,
    "global.get": _global,
    "global.set": _global,
    "table.get": _table_access,
    "table.set": _table_access,
    "table.grow": _table_access,
    "table.fill": _table_access,
    "table.init": _table_init,
    "table.copy": _table_init,
    "ref.null": _ref_null,
    "ref.is_null": _ref_is_null,
    "ref.func": _ref_func,
}
_by_code = {CODE[name]: rule for name, rule in RULES.items()}
