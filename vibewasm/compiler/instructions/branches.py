"""Branches, one function an instruction (core specification, "Control Instructions")."""

from __future__ import annotations

from ...abi import TRAP_UNREACHABLE
from ...backends.convention import FEW_CELLS
from ...backends.operand import I32, Operand, register
from ...opcodes import CODE
from ..immediates import read_unsigned
from ..operand_stack import check_top, cut, evict, flush, label_slot, pop_typed, retype_top, slot_offset
from ..state import LOOP, BodyFault, Compilation, Label, emit_fixups
from .blocks import move_top_to_result
from .unreachable import skip_unreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array

_END = CODE["end"]
#: A br_table to more labels than this moves more values than that in loops.
_FEW_LABELS, _FEW_FOR_MANY_LABELS = 8, 2


def unreachable(c: Compilation, pc: int) -> int:
    """``unreachable``: trap."""
    if pc > c.end:
        raise BodyFault("unexpected end", malformed=True)
    c.out += c.env.traps.get(TRAP_UNREACHABLE) or c.env.trap(TRAP_UNREACHABLE)
    return after_branch(c, pc)


def after_branch(c: Compilation, pc: int) -> int:
    """Skip what cannot be reached, validating it; the next instruction is the ``end`` or ``else`` of the innermost
    block.
    """
    c.dead = True
    label = c.labels[-1]
    if c.folded:
        cut(c, label.height + 1)
    else:
        del c.stack[label.height + 1 :]
    c.free = c.target.ALL_FREE
    if c.code[pc] == _END and pc < c.end:
        # The usual case: nothing at all after the branch.
        return pc
    return skip_unreachable(c, pc)


def label_at(c: Compilation, depth: int) -> Label:
    """The label that a branch's immediate names."""
    if depth >= len(c.labels):
        raise BodyFault(f"unknown label {depth}")
    return c.labels[-1 - depth]


def move_to_label(c: Compilation, label: Label, few: int = FEW_CELLS) -> bytes:
    """Code that copies a branch's values, which are in their own slots, to the slots that the label expects them in;
    more than ``few`` in a loop.
    """
    count = len(label.types)
    if not count:
        return b""
    source = slot_offset(c, len(c.stack) - count)
    target = label_slot(c, label)
    if source == target:
        return b""
    env = c.env
    found: bytes = env.pieces[env.frames.copy_slots][count, source, target, 16 if env.vectors else 8, few]
    return found


def jump_to(c: Compilation, label: Label) -> None:
    """Jump to a label, with its values where it expects them."""
    if label.opcode == LOOP:
        c.out += c.env.control.jump_back(len(c.out) - label.target)
    else:
        c.out += c.env.jump
        label.fixups.append(len(c.out))


def br(c: Compilation, pc: int) -> int:
    """``br l``."""
    depth = c.code[pc]
    pc += 1
    if depth > 127:
        pc, depth = read_unsigned(c, pc - 1)
    labels = c.labels
    label = labels[-1 - depth] if depth < len(labels) else label_at(c, depth)
    if label.types or label.opcode == LOOP:
        branch(c, label, "br")
    else:
        out = c.out
        out += c.env.jump
        label.fixups.append(len(out))
    if c.code[pc] != _END or pc >= c.end:
        return after_branch(c, pc)
    # What after_branch does where nothing at all is after the branch, as usual.
    c.dead = True
    if c.folded:
        cut(c, labels[-1].height + 1)
    else:
        del c.stack[labels[-1].height + 1 :]
    c.free = c.target.ALL_FREE
    return pc


def return_(c: Compilation, pc: int) -> int:
    """``return``: a branch to the function's label."""
    branch(c, c.labels[0], "return")
    return after_branch(c, pc)


def branch(c: Compilation, label: Label, instruction: str) -> None:
    """Check a label's values, bring them to it, and jump there."""
    if label.types:
        check_top(c, instruction, label.types)
        if label.in_register():
            move_top_to_result(c, label.types[0], c.free)
        else:
            flush(c)
            c.out += move_to_label(c, label)
    jump_to(c, label)


def br_if(c: Compilation, pc: int) -> int:
    """``br_if l``."""
    depth = c.code[pc]
    pc += 1
    if depth > 127:
        pc, depth = read_unsigned(c, pc - 1)
    stack = c.stack
    condition = stack.pop() if stack[-1].type == I32 else pop_typed(c, "br_if", I32)
    labels = c.labels
    label = labels[-1 - depth] if depth < len(labels) else label_at(c, depth)
    env = c.env
    out = c.out
    if label.types:
        check_top(c, "br_if", label.types)
        if label.in_register():
            condition = _prepare_result(c, label.types[0], condition)
        else:
            flush(c)
            retype_top(c, label.types)
            moves = move_to_label(c, label)
            if moves:
                c.free |= condition.bit
                sites = []
                for piece in env.branch_unless(condition):
                    out += piece
                    sites.append(len(out))
                out += moves
                jump_to(c, label)
                emit_fixups(c, sites, len(out))
                return pc
    bit = condition.bit
    if bit:
        c.free |= bit
    if label.opcode == LOOP:
        test, holds = env.test(condition)
        out += test
        out += env.control.jump_back_if(holds, len(out) - label.target)
    else:
        fixups = label.fixups
        for piece in env.branches.get(condition) or env.branch_if(condition):
            out += piece
            fixups.append(len(out))
    return pc


def _prepare_result(c: Compilation, type_: int, condition: Operand) -> Operand:
    """Put the value of a conditional branch into the result register, where it stays if the branch is not taken.

    Returns:
        where the condition is now: it may have been in the way.
    """
    wanted = register(type_, c.target.RESULT_REGISTER)
    if c.stack[-1] is wanted:
        return condition
    if condition.bit == wanted.bit:
        text, moved, free = c.target.copy_to_temporary(condition, c.free)
        c.out += text
        c.free = free | condition.bit
        condition = moved
    c.free = evict(c, wanted.bit, c.free, (condition, c.stack[-1]))
    move_top_to_result(c, type_, c.free)
    return condition


def br_table(c: Compilation, pc: int) -> int:
    """``br_table l* l``."""
    pc, count = read_unsigned(c, pc)
    if count > c.end - pc:
        raise BodyFault("unexpected end", malformed=True)
    # As bytes, or as numbers of 32 bits: a table may be megabytes.
    depths: bytes | array[int] = c.env.info.data[c.base + pc : c.base + pc + count + 1]
    if max(depths) < 128:
        pc += count + 1
    else:
        from array import array

        depths = array("I")
        for _ in range(count + 1):
            pc, depth = read_unsigned(c, pc)
            depths.append(depth)
    if pc > c.end:
        raise BodyFault("unexpected end", malformed=True)
    index = pop_typed(c, "br_table", I32)
    default = label_at(c, depths[-1])
    arity = len(default.types)
    distinct: dict[int, Label] = {}
    checked: set[int] = set()
    for depth in depths:
        if depth not in distinct:
            label = distinct[depth] = label_at(c, depth)
            if len(label.types) != arity:
                raise BodyFault("type mismatch: the labels of br_table take different numbers of values")
            if id(label.types) not in checked:
                checked.add(id(label.types))
                check_top(c, "br_table", label.types)
    if arity:
        flush(c)
    c.free |= index.bit
    out = c.out
    text, reg, scratch = c.env.control.table_index(index)
    out += text
    bound, table, go = c.env.control.jump_table(reg, count, scratch, c.env.reach)
    out += bound
    default_site = len(out)
    out += table
    table_site = len(out)
    out += go
    # A target that needs its values moved, or that is a loop's header far away, gets a few instructions of its own.
    stubs: dict[int, Label | int] = {}
    # Each takes a byte of the module.
    few = FEW_CELLS if len(distinct) <= _FEW_LABELS else _FEW_FOR_MANY_LABELS
    for depth, label in distinct.items():
        if not arity:
            stubs[depth] = label
            continue
        stubs[depth] = len(out)
        if label.in_register():
            type_ = label.types[0]
            wanted = register(type_, c.target.RESULT_REGISTER)
            out += c.target.move_to_register(c.stack[-1], wanted.reg, 0)
        else:
            out += move_to_label(c, label, few)
        jump_to(c, label)
    c.jump_tables.append((table_site, depths[:-1], stubs))
    default_stub = stubs[depths[-1]]
    if isinstance(default_stub, int):
        emit_fixups(c, [default_site], default_stub)
    elif default_stub.opcode == LOOP:
        emit_fixups(c, [default_site], default_stub.target)
    else:
        default_stub.fixups.append(default_site)
    return after_branch(c, pc)
