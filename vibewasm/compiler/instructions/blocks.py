"""Structured control instructions: blocks, loops and ifs, and their ends, one function each (core specification,
"Control Instructions"). The instructions that branch are in :mod:`.branches`.
"""

from __future__ import annotations

from ...backends.convention import MANY_VALUES
from ...backends.operand import BARRIER_ENTRY, I32, MARKED_BARRIER, SLOT, register
from ...opcodes import name_of
from ...types import EMPTY_BLOCK_TYPE
from ..operand_stack import check_top, cut, flush, pop_typed, push_merged, push_slots, retype_top, types_fit
from ..state import (
    BLOCK,
    ELSE,
    FUNCTION,
    IF,
    LOOP,
    POLL,
    BodyFault,
    Compilation,
    Label,
    Late,
    Types,
    emit_fixups,
    type_mismatch,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .. import immediates, runs
else:
    immediates = Late("immediates")
    runs = Late("runs")

_NOTHING: Types = ()


def nop(c: Compilation, pc: int) -> int:
    """``nop``."""
    return pc


def block(c: Compilation, pc: int) -> int:
    """``block bt``."""
    if c.code[pc] == EMPTY_BLOCK_TYPE:
        # No parameters and no results, as usual.
        stack = c.stack
        if stack[-1].kind < SLOT:
            flush(c)
        labels = c.labels
        label = Label(BLOCK, len(stack), len(labels) + 1, _NOTHING, _NOTHING)
        if c.folded:
            label.depth -= c.folded
        labels.append(label)
        stack.append(BARRIER_ENTRY)
        return pc + 1
    pc, params, results = immediates.block_type(c, pc)
    open_block(c, BLOCK, params, results)
    return pc


def loop(c: Compilation, pc: int) -> int:
    """``loop bt``: its header is where branches go, and where an interruption is noticed."""
    if c.code[pc] == EMPTY_BLOCK_TYPE:
        pc += 1
        params = results = _NOTHING
    else:
        pc, params, results = immediates.block_type(c, pc)
    label = open_block(c, LOOP, params, results)
    env = c.env
    padding = -len(c.out) & env.control.LOOP_ALIGNMENT - 1
    if padding:
        # The header does not straddle a fetch block.
        c.out += env.pads[padding]
    label.target = len(c.out)
    hot, _ = env.poll
    c.out += hot
    c.cold.append((len(c.out), POLL, c.pc, label.target))
    return pc


def if_(c: Compilation, pc: int) -> int:
    """``if bt``: jumps to the ``else`` part unless the condition holds."""
    stack = c.stack
    if c.code[pc] == EMPTY_BLOCK_TYPE:
        # No parameters and no results, as usual.
        pc += 1
        condition = stack.pop() if stack[-1].type == I32 else pop_typed(c, "if", I32)
        if stack[-1].kind < SLOT:
            flush(c)
        labels = c.labels
        label = Label(IF, len(stack), len(labels) + 1, _NOTHING, _NOTHING)
        if c.folded:
            label.depth -= c.folded
        labels.append(label)
        stack.append(BARRIER_ENTRY)
    else:
        pc, params, results = immediates.block_type(c, pc)
        condition = pop_typed(c, "if", I32)
        label = open_block(c, IF, params, results)
    sites = label.else_fixups = []
    env = c.env
    out = c.out
    for piece in env.opposite_branches.get(condition) or env.branch_unless(condition):
        out += piece
        sites.append(len(out))
    if condition.bit:
        c.free |= condition.bit
    return pc


def open_block(c: Compilation, opcode: int, params: tuple[int, ...], results: tuple[int, ...]) -> Label:
    """Open a block: everything on the stack goes to its slots, and a barrier below the parameters."""
    stack = c.stack
    if stack[-1].kind < SLOT:
        flush(c)
    height = len(stack)
    depth = len(c.labels) + 1
    if params:
        check_top(c, name_of(opcode), params)
        retype_top(c, params)
        height = len(stack) - len(params)
        if len(params) > MANY_VALUES:
            # They are one entry.
            height = len(stack) - 1
            depth += len(params) - 1
        stack.insert(height, BARRIER_ENTRY)
    else:
        stack.append(BARRIER_ENTRY)
    if c.folded:
        depth -= c.folded
    label = Label(opcode, height, depth, params, results)
    c.labels.append(label)
    return label


def else_(c: Compilation, pc: int) -> int:
    """``else``: ends the first part like ``end``, and takes up the parameters anew."""
    label = c.labels[-1]
    if label.opcode != IF:
        raise BodyFault("else without if: unexpected else", malformed=True)
    if c.control is not None and c.stack[label.height] is MARKED_BARRIER:
        c.control.forget(len(c.labels))
    _begin_else(c, label, "else")
    return pc


def _begin_else(c: Compilation, label: Label, instruction: str) -> None:
    """End the first part, as the instruction says, and begin the other one with the parameters."""
    if not c.dead:
        leave_with_results(c, label, True, instruction)
        c.out += c.env.jump
        label.fixups.append(len(c.out))
    emit_fixups(c, label.else_fixups, len(c.out))
    label.else_fixups = ()
    label.opcode = ELSE
    c.dead = False
    c.free = c.target.ALL_FREE
    if c.folded:
        cut(c, label.height + 1)
    else:
        del c.stack[label.height + 1 :]
    push_slots(c, label.params)


def leave_with_results(c: Compilation, label: Label, merges: bool, instruction: str) -> None:
    """Check a block's results at its end, and, if other paths meet there, put them where those do."""
    results = label.results
    stack = c.stack
    count = len(results)
    if len(stack) != label.height + 1 + count if not c.folded else runs.values_above(c, label.height) != count:
        check_top(c, instruction, results)
        raise BodyFault("type mismatch: values remain on the stack at the end of the block")
    if count:
        check_top(c, instruction, results)
        if count > 1:
            flush(c)
        elif merges:
            move_top_to_result(c, results[0], c.free)
            return
        retype_top(c, results)


def move_top_to_result(c: Compilation, type_: int, free: int) -> None:
    """Put the topmost entry into the result register of its class, which holds nothing else that is needed."""
    entry = c.stack[-1]
    register_entry = register(type_, c.target.RESULT_REGISTER)
    if entry is not register_entry:
        c.out += c.env.result_moves.get(entry) or c.env.move_to_result(entry, free & ~register_entry.bit)
        c.free = (free | entry.bit) & ~register_entry.bit
        c.stack[-1] = register_entry


def end(c: Compilation, pc: int) -> int:
    """``end``: of a block, a loop, an ``if`` with or without ``else``, or of the function.

    The loop handles the usual case itself, see :func:`~..loop.run`.
    """
    label = c.labels[-1]
    opcode = label.opcode
    control = c.control
    if control is not None and c.stack[label.height] is MARKED_BARRIER:
        control.end_block(label)
    if opcode == IF:
        # Without an else part, that part does nothing, so it has to leave the parameters as the results.
        if not types_fit(c, label.params, label.results):
            raise type_mismatch("if without else", label.results, label.params)
        if label.results:
            _begin_else(c, label, "end")
    # With one path only, a result may stay where it is.
    merges = bool(label.fixups) or bool(label.else_fixups) or opcode == FUNCTION or c.dead
    if control is not None and label in control.caught:
        merges = True
    if not c.dead:
        leave_with_results(c, label, merges, "end")
    position = len(c.out)
    if label.fixups:
        emit_fixups(c, label.fixups, position)
    if label.else_fixups:
        emit_fixups(c, label.else_fixups, position)
    c.labels.pop()
    if opcode != LOOP:
        label.target = position
    if opcode == FUNCTION:
        if pc != c.end:
            raise BodyFault("unexpected end" if pc > c.end else "END opcode expected: code follows the end", True)
        return pc
    stack = c.stack
    if not merges:
        del stack[label.height]
        return pc
    if c.folded:
        cut(c, label.height)
    else:
        del stack[label.height :]
    c.free = c.target.ALL_FREE
    c.dead = False
    if label.results:
        push_merged(c, label.results)
    return pc
