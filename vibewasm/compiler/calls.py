"""Calls, one function an instruction; see :mod:`.context_access` for what a handler is."""

from __future__ import annotations

from ..backends.operand import I32, INTERN_LIMIT, SLOT, Operand, register, slot
from .function import MANY_ARGUMENTS, FunctionCompiler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .module import PlannedArgument

TRAP_BAD_SIGNATURE = 5
TRAP_UNDEFINED_ELEMENT = 10


def pass_arguments(
    c: FunctionCompiler, params: tuple[int, ...], instruction: str, index: Operand | None = None
) -> None:
    """Check and pop the arguments, move everything else out of the temporaries, and put the arguments in their
    places.
    """
    c.makes_calls = True
    if len(params) > MANY_ARGUMENTS:
        _pass_many(c, params, instruction, index)
        return
    text, _, plan = c.env.argument_plan(params)
    if _pass_one_by_one(c, text, plan, index):
        return
    arguments = c.stack[-len(params) :] if params else []
    if index is not None:
        arguments.append(index)
    stack = c.stack
    target = c.target
    if params:
        c.check_top(instruction, params)
        del stack[-len(params) :]
    held = 0
    for argument in arguments:
        held |= argument.bit
    if c.free | held != target.ALL_FREE:
        c.free = c.evict(target.ALL_FREE & ~held, c.free, tuple(arguments))
    if index is not None:
        arguments.pop()
    c.out += c.env.calls.arguments(tuple(arguments), c.free, params, index)
    c.free = target.ALL_FREE


def _pass_many(c: FunctionCompiler, params: tuple[int, ...], instruction: str, index: Operand | None) -> None:
    """Pass many arguments: all go to their slots, and from there in loops, so that code stays small."""
    c.makes_calls = True
    c.check_top(instruction, params)
    calls = c.env.calls
    if index is not None:
        # The arguments need every temporary: the index waits in the slot beyond them.
        waiting = c.slot_offset(len(c.stack))
        c.out += c.target.move_to_slot(index, waiting, c.free)
        c.free |= index.bit
    c.flush()
    first = len(c.stack) - len(params)
    c.out += c.env.piece(calls.arguments_from_slots, params, c.slot_offset(first))
    del c.stack[first:]
    if index is not None:
        c.out += c.target.move_to_register(slot(I32, waiting), calls.INDEX_PLAN[1], 0)
    c.free = c.target.ALL_FREE


def _pass_one_by_one(
    c: FunctionCompiler, text: bytes, plan: tuple[PlannedArgument, ...], index: Operand | None = None
) -> bool:
    """The usual call, with no argument where another one goes: each move is looked up by itself.

    Args:
        text, plan: how arguments are passed, see :meth:`ModuleEnvironment.argument_plan`.
        index: the index of an indirect call, off the stack already.

    Returns:
        whether it was one; if not, nothing has happened.
    """
    stack = c.stack
    position = len(stack)
    held = written = 0
    if index is not None:
        find, moves, type_, reg, bit = c.env.index_plan
        move = find(index) or _new_move(c, moves, reg, index)
        if move is None:
            return False
        text += move
        held = index.bit
        written = bit
    # From the last to the first: temporaries are given out in the order of parameters, one behind.
    for find, moves, type_, reg, bit in plan:
        position -= 1
        argument = stack[position]
        source = argument.bit
        move = find(argument)
        if move is None and argument.type == type_:
            move = _new_move(c, moves, reg, argument)
        if move is None or source & written:
            return False
        text += move
        held |= source
        written |= bit
    del stack[position:]
    all_free = c.target.ALL_FREE
    if c.free | held != all_free:
        c.evict(all_free & ~held, c.free, ())
    c.out += text
    c.free = all_free
    return True


def _new_move(c: FunctionCompiler, moves: dict[Operand, bytes], reg: int, argument: Operand) -> bytes | None:
    """Make the move of an argument, and keep it; ``None`` if there is none that takes no scratch."""
    move = c.env.calls.argument(argument, reg)
    if move is not None:
        if len(moves) >= INTERN_LIMIT:
            moves.clear()
        moves[argument] = move
    return move


def _take_results(c: FunctionCompiler, results: tuple[int, ...]) -> None:
    """Push a call's results."""
    if len(results) == 1:
        entry = register(results[0], c.target.RESULT_REGISTER)
        c.stack.append(entry)
        c.free &= ~entry.bit
    elif results:
        stack = c.stack
        if stack[-1].kind < SLOT:
            # The results go to slots, and below a slot everything has to be in one; the first two results are in
            # registers.
            c.free = c.target.ALL_FREE & ~c.env.calls.RESULT_BITS
            c.flush()
        height = len(stack)
        first = c.slot_offset(height)
        c.slot_offset(height + len(results) - 1)
        c.out += c.env.piece(c.env.calls.fetch_results, results, first)
        stack += c.env.piece(_result_entries, results, first, c.step)
        c.free = c.target.ALL_FREE


def _result_entries(results: tuple[int, ...], first: int, step: int) -> list[Operand]:
    """Entries of results in consecutive slots."""
    return [slot(type_, first + step * index) for index, type_ in enumerate(results)]


def call(c: FunctionCompiler, pc: int) -> int:
    """``call x``."""
    code = c.code
    index = code[pc]
    pc += 1
    if index > 127:
        if code[pc] < 128:
            index += (code[pc] << 7) - 128
            pc += 1
        else:
            pc, index = c.read_unsigned(pc - 1)
    env = c.env
    params, results, text, finders, plan, going, result, free = env.callees.get(index) or env.callee(index)
    stack = c.stack
    out = c.out
    c.makes_calls = True
    if c.free == c.target.ALL_FREE:
        # No temporary is in use, so no argument can be in the way of another. A barrier has no move.
        position = len(stack)
        for find in finders:
            position -= 1
            move = find(stack[position])
            if move is None:
                pass_arguments(c, params, "call")
                break
            text += move
        else:
            del stack[position:]
            out += text
    elif not _pass_one_by_one(c, text, plan):
        pass_arguments(c, params, "call")
    if index == c.self_index:
        out += env.calls.call_self()
        c.self_calls.append(len(out))
    else:
        out += going
    if result is not None:
        stack.append(result)
        c.free = free
    elif results:
        _take_results(c, results)
    return pc


def call_indirect(c: FunctionCompiler, pc: int) -> int:
    """``call_indirect x y``."""
    env = c.env
    pc, type_index, table = env.call_indirect_immediates(c, pc)
    params, results = env.type_at(type_index)
    index = c.pop("call_indirect", I32)
    pass_arguments(c, params, "call_indirect", index)
    out = c.out
    table_offset, type_offset = env.layout.table(table), env.layout.type_id(type_index)
    bound, check, go = env.piece(env.calls.call_table, table_offset, type_offset, env.reach)
    out += bound
    c.cold.append((len(out), TRAP_UNDEFINED_ELEMENT, c.pc, 0))
    out += check
    c.cold.append((len(out), TRAP_BAD_SIGNATURE, c.pc, 0))
    out += go
    _take_results(c, results)
    return pc
