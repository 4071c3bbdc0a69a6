"""Structured control instructions and branches, one function each (core specification, "Control Instructions").

A handler takes the compilation and the position behind the opcode, and returns the position of the next instruction.
"""

from __future__ import annotations

from ..backends.operand import BARRIER, BARRIER_ENTRY, I32, SLOT, Operand, register, slot
from ..opcodes import name_of
from .errors import BodyFault, type_mismatch
from .function import FunctionCompiler
from .labels import BLOCK, ELSE, FUNCTION, IF, LOOP, Label

TRAP_UNREACHABLE = 1
#: Stands for a trap number where the cold code is the interrupt poll of a loop.
POLL = -1
_NOTHING: tuple[int, ...] = ()


def unreachable(c: FunctionCompiler, pc: int) -> int:
    """``unreachable``: trap."""
    if pc > c.end:
        raise BodyFault("unexpected end", malformed=True)
    c.out += c.env.traps.get(TRAP_UNREACHABLE) or c.env.trap(TRAP_UNREACHABLE)
    return after_branch(c, pc)


def nop(c: FunctionCompiler, pc: int) -> int:
    """``nop``."""
    return pc


def after_branch(c: FunctionCompiler, pc: int) -> int:
    """Skip what cannot be reached, validating it; the next instruction is the ``end`` or ``else`` of the innermost
    block.
    """
    c.dead = True
    label = c.labels[-1]
    del c.stack[label.height + 1 :]
    c.free = c.target.ALL_FREE
    if c.code[pc] == 0x0B and pc < c.end:
        # The usual case: nothing at all behind the branch.
        return pc
    from .unreachable import skip_unreachable  # optimised code has little that cannot be reached

    return skip_unreachable(c, pc)


def block(c: FunctionCompiler, pc: int) -> int:
    """``block bt``."""
    if c.code[pc] == 0x40:
        # No parameters and no results, as usual.
        stack = c.stack
        if stack[-1].kind < SLOT:
            c.flush()
        labels = c.labels
        labels.append(Label(BLOCK, len(stack), len(labels) + 1, _NOTHING, _NOTHING))
        stack.append(BARRIER_ENTRY)
        return pc + 1
    pc, params, results = c.env.block_type(c, pc)
    _open(c, BLOCK, params, results)
    return pc


def loop(c: FunctionCompiler, pc: int) -> int:
    """``loop bt``: its header is where branches go, and where an interruption is noticed."""
    if c.code[pc] == 0x40:
        pc += 1
        params = results = _NOTHING
    else:
        pc, params, results = c.env.block_type(c, pc)
    label = _open(c, LOOP, params, results)
    c.env.align_loop(c)
    label.target = len(c.out)
    hot, _ = c.env.poll
    c.out += hot
    c.cold.append((len(c.out), POLL, c.pc, label.target))
    return pc


def if_(c: FunctionCompiler, pc: int) -> int:
    """``if bt``: jumps to the ``else`` part unless the condition holds."""
    stack = c.stack
    if c.code[pc] == 0x40:
        # No parameters and no results, as usual.
        pc += 1
        condition = stack.pop() if stack[-1].type == I32 else c.pop("if", I32)
        if stack[-1].kind < SLOT:
            c.flush()
        labels = c.labels
        label = Label(IF, len(stack), len(labels) + 1, _NOTHING, _NOTHING)
        labels.append(label)
        stack.append(BARRIER_ENTRY)
    else:
        pc, params, results = c.env.block_type(c, pc)
        condition = c.pop("if", I32)
        label = _open(c, IF, params, results)
    sites = label.else_fixups = []
    env = c.env
    out = c.out
    for piece in env.opposite_branches.get(condition) or env.branch_unless(condition):
        out += piece
        sites.append(len(out))
    if condition.bit:
        c.free |= condition.bit
    return pc


def _open(c: FunctionCompiler, opcode: int, params: tuple[int, ...], results: tuple[int, ...]) -> Label:
    """Open a block: everything on the stack goes to its slots, and a barrier below the parameters."""
    stack = c.stack
    if stack[-1].kind < SLOT:
        c.flush()
    height = len(stack)
    if params:
        c.check_top(name_of(opcode), params)
        height -= len(params)
        stack.insert(height, BARRIER_ENTRY)
    else:
        stack.append(BARRIER_ENTRY)
    label = Label(opcode, height, len(c.labels) + 1, params, results)
    c.labels.append(label)
    return label


def else_(c: FunctionCompiler, pc: int) -> int:
    """``else``: ends the first part like ``end``, and takes up the parameters anew."""
    label = c.labels[-1]
    if label.opcode != IF:
        raise BodyFault("else without if: unexpected else", malformed=True)
    if not c.dead:
        _leave_with_results(c, label, True)
        c.out += c.env.jump
        label.fixups.append(len(c.out))
    _begin_else(c, label)
    return pc


def _begin_else(c: FunctionCompiler, label: Label) -> None:
    c.emit_fixups(label.else_fixups, len(c.out))
    label.else_fixups = ()
    label.opcode = ELSE
    c.dead = False
    c.free = c.target.ALL_FREE
    stack = c.stack
    del stack[label.height + 1 :]
    for type_ in label.params:
        stack.append(slot(type_, c.slot_offset(len(stack))))


def _leave_with_results(c: FunctionCompiler, label: Label, merges: bool) -> None:
    """Check a block's results at its end, and, if other paths meet there, put them where those do."""
    results = label.results
    stack = c.stack
    count = len(results)
    if len(stack) != label.height + 1 + count:
        c.check_top("end", results)
        raise BodyFault("type mismatch: values remain on the stack at the end of the block")
    if count:
        c.check_top("end", results)
        if count > 1:
            c.flush()
        elif merges:
            _move_top_to_result(c, results[0], c.free)


def _move_top_to_result(c: FunctionCompiler, type_: int, free: int) -> None:
    """Put the topmost entry into the result register of its class, which holds nothing else that is needed."""
    entry = c.stack[-1]
    register_entry = register(type_, c.target.RESULT_REGISTER)
    if entry is not register_entry:
        c.out += c.env.result_moves.get(entry) or c.env.move_to_result(entry, free & ~register_entry.bit)
        c.free = (free | entry.bit) & ~register_entry.bit
        c.stack[-1] = register_entry


def end(c: FunctionCompiler, pc: int) -> int:
    """``end``: of a block, a loop, an ``if`` with or without ``else``, or of the function.

    The hot loop handles the usual case itself, see :meth:`FunctionCompiler.run`.
    """
    label = c.labels[-1]
    opcode = label.opcode
    if opcode == IF:
        # Without an else part, that part does nothing, so it has to leave the parameters as the results.
        if label.params != label.results:
            raise type_mismatch("if without else", label.results, label.params)
        if label.results:
            else_(c, pc)
    # With one path only, a result may stay where it is.
    merges = bool(label.fixups) or bool(label.else_fixups) or opcode == FUNCTION or c.dead
    if not c.dead:
        _leave_with_results(c, label, merges)
    position = len(c.out)
    if label.fixups:
        c.emit_fixups(label.fixups, position)
    if label.else_fixups:
        c.emit_fixups(label.else_fixups, position)
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
    del stack[label.height :]
    c.free = c.target.ALL_FREE
    c.dead = False
    if len(label.results) == 1:
        c.push_result(label.results[0])
    else:
        for type_ in label.results:
            stack.append(slot(type_, c.slot_offset(len(stack))))
    return pc


def _label(c: FunctionCompiler, depth: int) -> Label:
    if depth >= len(c.labels):
        raise BodyFault(f"unknown label {depth}")
    return c.labels[-1 - depth]


def _in_register(label: Label) -> bool:
    """Whether the label takes a single result, in the result register; everything else it takes is in slots."""
    return len(label.types) == 1 and label.opcode != LOOP


def _target_slot(c: FunctionCompiler, label: Label) -> int:
    """Frame offset of the first slot of what a branch to the label carries."""
    return c.slot_base + c.step * (label.height + 1 - label.depth)


def _move_to_label(c: FunctionCompiler, label: Label) -> bytes:
    """Code that copies a branch's values, which are in their own slots, to the slots that the label expects them in."""
    count = len(label.types)
    if not count:
        return b""
    source = c.slot_offset(len(c.stack) - count)
    target = _target_slot(c, label)
    return b"" if source == target else c.env.frames.copy_slots(count, source, target)


def _jump_to(c: FunctionCompiler, label: Label) -> None:
    if label.opcode == LOOP:
        c.out += c.env.control.jump_back(len(c.out) - label.target)
    else:
        c.out += c.env.jump
        label.fixups.append(len(c.out))


def br(c: FunctionCompiler, pc: int) -> int:
    """``br l``."""
    depth = c.code[pc]
    pc += 1
    if depth > 127:
        pc, depth = c.read_unsigned(pc - 1)
    labels = c.labels
    label = labels[-1 - depth] if depth < len(labels) else _label(c, depth)
    if label.types or label.opcode == LOOP:
        _branch(c, label, "br")
    else:
        out = c.out
        out += c.env.jump
        label.fixups.append(len(out))
    if c.code[pc] != 0x0B or pc >= c.end:
        return after_branch(c, pc)
    # What after_branch does where nothing at all is behind the branch, as usual.
    c.dead = True
    del c.stack[labels[-1].height + 1 :]
    c.free = c.target.ALL_FREE
    return pc


def return_(c: FunctionCompiler, pc: int) -> int:
    """``return``: a branch to the function's label."""
    _branch(c, c.labels[0], "return")
    return after_branch(c, pc)


def _branch(c: FunctionCompiler, label: Label, instruction: str) -> None:
    if label.types:
        c.check_top(instruction, label.types)
        if _in_register(label):
            _move_top_to_result(c, label.types[0], c.free)
        else:
            c.flush()
            c.out += _move_to_label(c, label)
    _jump_to(c, label)


def br_if(c: FunctionCompiler, pc: int) -> int:
    """``br_if l``."""
    depth = c.code[pc]
    pc += 1
    if depth > 127:
        pc, depth = c.read_unsigned(pc - 1)
    stack = c.stack
    condition = stack.pop() if stack[-1].type == I32 else c.pop("br_if", I32)
    labels = c.labels
    label = labels[-1 - depth] if depth < len(labels) else _label(c, depth)
    env = c.env
    out = c.out
    if label.types:
        c.check_top("br_if", label.types)
        if _in_register(label):
            condition = _prepare_result(c, label.types[0], condition)
        else:
            c.flush()
            moves = _move_to_label(c, label)
            if moves:
                c.free |= condition.bit
                sites = []
                for piece in env.branch_unless(condition):
                    out += piece
                    sites.append(len(out))
                out += moves
                _jump_to(c, label)
                c.emit_fixups(sites, len(out))
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


def _prepare_result(c: FunctionCompiler, type_: int, condition: Operand) -> Operand:
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
    c.free = c.evict(wanted.bit, c.free, (condition, c.stack[-1]))
    _move_top_to_result(c, type_, c.free)
    return condition


def br_table(c: FunctionCompiler, pc: int) -> int:
    """``br_table l* l``."""
    pc, count = c.read_unsigned(pc)
    if count > c.end - pc:
        raise BodyFault("unexpected end", malformed=True)
    depths = c.code[pc : pc + count + 1]
    if max(depths) < 128:
        pc += count + 1
    else:
        depths.clear()
        for _ in range(count + 1):
            pc, depth = c.read_unsigned(pc)
            depths.append(depth)
    if pc > c.end:
        raise BodyFault("unexpected end", malformed=True)
    index = c.pop("br_table", I32)
    default = _label(c, depths[-1])
    arity = len(default.types)
    distinct: dict[int, Label] = {}
    for depth in depths:
        if depth not in distinct:
            label = distinct[depth] = _label(c, depth)
            if len(label.types) != arity:
                raise BodyFault("type mismatch: the labels of br_table take different numbers of values")
            c.check_top("br_table", label.types)
    if arity:
        c.flush()
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
    for depth, label in distinct.items():
        if not arity:
            stubs[depth] = label
            continue
        stubs[depth] = len(out)
        if _in_register(label):
            type_ = label.types[0]
            wanted = register(type_, c.target.RESULT_REGISTER)
            out += c.target.move_to_register(c.stack[-1], wanted.reg, 0)
        else:
            out += _move_to_label(c, label)
        _jump_to(c, label)
    c.jump_tables.append((table_site, [stubs[depth] for depth in depths[:-1]]))
    default_stub = stubs[depths[-1]]
    if isinstance(default_stub, int):
        c.emit_fixups([default_site], default_stub)
    elif default_stub.opcode == LOOP:
        c.emit_fixups([default_site], default_stub.target)
    else:
        default_stub.fixups.append(default_site)
    return after_branch(c, pc)


def drop(c: FunctionCompiler, pc: int) -> int:
    """``drop``."""
    entry = c.stack[-1]
    if entry.kind == BARRIER:
        raise type_mismatch("drop", (), (None,))
    c.stack.pop()
    c.free |= entry.bit
    return pc


def select(c: FunctionCompiler, pc: int) -> int:
    """``select`` without a type: of two numbers of the same type."""
    condition = c.pop("select", I32)
    b, a = c.stack[-1], c.stack[-2]
    if BARRIER in (a.kind, b.kind) or a.type != b.type or a.type > 4:
        raise BodyFault("type mismatch: select expects two numeric operands of the same type")
    return _select(c, pc, condition)


def select_typed(c: FunctionCompiler, pc: int) -> int:
    """``select t``: of two values of the type given."""
    pc, type_ = c.env.select_type(c, pc)
    condition = c.pop("select", I32)
    c.check_top("select", (type_, type_))
    return _select(c, pc, condition)


def _select(c: FunctionCompiler, pc: int, condition: Operand) -> int:
    stack = c.stack
    b = stack.pop()
    a = stack.pop()
    free = c.free
    target = c.target
    if a.reg < 0:
        text, a, free = target.FETCHES.get((a, free)) or target.fetch(a, free)
        c.out += text
    if b.reg < 0:
        text, b, free = target.FETCHES.get((b, free)) or target.fetch(b, free)
        c.out += text
    sink = c.sink(pc, a.type)
    key = (0x1B, a, b, condition, free, sink)
    choice = target.MEMO.get(key)
    if choice is None:
        choice = target.lower_select((a, b, condition), free, sink)
        target.remember(key, choice)
    return c.finish(pc, choice, sink)
