"""Calls, one function an instruction; see :mod:`.context_access` for what a handler is."""

from __future__ import annotations

from ..backends.operand import BARRIER, I32, INTERN_LIMIT, SLOT, Operand, register, slot
from .function import MANY_ARGUMENTS, FunctionCompiler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .module import Plan

TRAP_BAD_SIGNATURE = 5
TRAP_UNDEFINED_ELEMENT = 10


def pass_arguments(
    c: FunctionCompiler, params: tuple[int, ...], instruction: str, index: Operand | None = None
) -> None:
    """Check and pop the arguments, move everything else out of the temporaries, and put the arguments in their
    places.
    """
    c.makes_calls = True
    if not _pass_one_by_one(c, c.env.argument_plan(params), index):
        _pass_together(c, params, instruction, index)


def _pass_together(c: FunctionCompiler, params: tuple[int, ...], instruction: str, index: Operand | None) -> None:
    """Pass arguments that stand in each other's way, that are many, or that are of the wrong types, which is said."""
    if len(params) > MANY_ARGUMENTS:
        _pass_many(c, params, instruction, index)
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
    c.check_top(instruction, params)
    calls = c.env.calls
    if index is not None:
        # The arguments need every temporary: the index waits in the slot beyond them.
        waiting = c.slot_offset(len(c.stack))
        c.out += c.target.move_to_slot(index, waiting, c.free)
        c.free |= index.bit
    c.flush()
    first = len(c.stack) - len(params)
    c.out += c.env.pieces[calls.arguments_from_slots][params, c.slot_offset(first)]
    del c.stack[first:]
    if index is not None:
        c.out += c.target.move_to_register(slot(I32, waiting), calls.INDEX_PLAN[1], 0)
    c.free = c.target.ALL_FREE


def _pass_one_by_one(c: FunctionCompiler, plan: Plan, index: Operand | None) -> bool:
    """The usual call, with no argument where another one goes: each move is looked up by itself.

    Args:
        plan: how arguments are passed, see :meth:`ModuleEnvironment.argument_plan`.
        index: the index of an indirect call, off the stack already.

    Returns:
        whether it was one; if not, nothing has happened.
    """
    text, planned = plan
    stack = c.stack
    position = len(stack)
    held = written = 0
    if index is not None:
        type_, reg, written = c.env.calls.INDEX_PLAN
        move = c.env.moves(type_, reg)[index]
        if move is None:
            return False
        text += move
        held = index.bit
    # From the last to the first: temporaries are given out in the order of parameters, one behind.
    for moves, behind in planned:
        position -= 1
        argument = stack[position]
        move = moves[argument]
        bit = argument.bit
        if move is None or bit & (behind | written):
            return False
        text += move
        held |= bit
    del stack[position:]
    all_free = c.target.ALL_FREE
    if c.free | held != all_free:
        c.evict(all_free & ~held, c.free, ())
    c.out += text
    c.free = all_free
    return True


class Moves(dict[Operand, bytes | None]):
    """Moves of arguments of one type into one place, made when they are first looked up.

    What is of another type, or takes a scratch, has none: ``None``.
    """

    __slots__ = ("_make", "_reg", "_type")

    def __init__(self, type_: int, reg: int, make: Callable[[Operand, int], bytes | None]) -> None:
        self._type = type_
        self._reg = reg
        self._make = make

    def __missing__(self, argument: Operand) -> bytes | None:
        if argument.type != self._type or argument.kind == BARRIER:
            return None
        move = self._make(argument, self._reg)
        if len(self) >= INTERN_LIMIT:
            self.clear()
        self[argument] = move
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
        c.out += c.env.pieces[c.env.calls.fetch_results][results, first]
        stack += c.env.pieces[_result_entries][results, first, c.step]
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
    params, results, (text, planned), going, result, free = env.callees.get(index) or env.callee(index)
    c.makes_calls = True
    stack = c.stack
    out = c.out
    # What _pass_one_by_one does, at the most frequent place.
    position = len(stack)
    held = clash = 0
    for moves, behind in planned:
        position -= 1
        argument = stack[position]
        move = moves[argument]
        if move is None:
            clash = 1
            break
        text += move
        bit = argument.bit
        if bit:
            held |= bit
            clash |= bit & behind
    if clash:
        _pass_together(c, params, "call", None)
    else:
        del stack[position:]
        all_free = env.target.ALL_FREE
        if c.free | held != all_free:
            c.evict(all_free & ~held, c.free, ())
        out += text
    if index == c.self_index:
        out += env.calls.call_self()
        c.self_calls.append(len(out))
    else:
        out += going
    c.free = free
    if result is not None:
        stack.append(result)
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
    bound, check, go = env.pieces[env.calls.call_table][table_offset, type_offset, env.reach]
    out += bound
    c.cold.append((len(out), TRAP_UNDEFINED_ELEMENT, c.pc, 0))
    out += check
    c.cold.append((len(out), TRAP_BAD_SIGNATURE, c.pc, 0))
    out += go
    _take_results(c, results)
    return pc
