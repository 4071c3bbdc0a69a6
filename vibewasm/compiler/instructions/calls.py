"""Calls, one function an instruction, and how arguments get where the callee expects them."""

from __future__ import annotations

from ...abi import TRAP_BAD_SIGNATURE, TRAP_UNDEFINED_ELEMENT
from ...backends.convention import MANY_VALUES
from ...backends.operand import BARRIER, I32, INTERN_LIMIT, NO_TYPE, SLOT, Operand, register, slot
from ..control_state import control_state
from ..immediates import call_indirect_immediates, read_unsigned
from ..index_spaces import function_type, type_at
from ..operand_stack import check_top, drop_values, evict, flush, pop_typed, push_slots, slot_offset, types_fit
from ..state import BodyFault, Compilation, Late, NeedsRuns, fits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ...backends.convention import ParameterPlaces
    from .. import runs
    from ..environment import ModuleEnvironment
    from ..state import Types

    #: Code that precedes the arguments; then of each, the last one first, its moves, and the bits of the registers of
    #: those after it, which are passed before it.
    Plan = tuple[bytes, tuple[tuple["Moves", int], ...]]
    #: Parameter and result types, the arguments' plan (where they are too many one that fits nothing), the call itself,
    #: and the entry of a single result with the temporaries that are free besides.
    Callee = tuple[Types, Types, Plan, bytes, Operand | None, int]
else:
    runs = Late("runs")

#: More arguments of a call than this are passed in loops.
MANY_ARGUMENTS = 24
#: Where they are all in slots already, more than this: such as another call has returned, which took two bytes.
_MANY_IN_SLOTS = 10


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
        if argument.type != self._type and not fits(argument.type, self._type):
            return None
        if argument.kind == BARRIER:
            return None
        move = self._make(argument, self._reg)
        if len(self) >= INTERN_LIMIT:
            self.clear()
        self[argument] = move
        return move


class MovesButFromSlots(Moves):
    """The same, but for arguments in slots, which have none."""

    __slots__ = ()

    def __missing__(self, argument: Operand) -> bytes | None:
        return None if argument.kind == SLOT else super().__missing__(argument)


#: Fits nothing: no operand has that type.
_NO_PLAN: Plan = (b"", ((Moves(NO_TYPE, 0, lambda operand, reg: None), 0),))


def pass_arguments(c: Compilation, params: tuple[int, ...], instruction: str, index: Operand | None = None) -> None:
    """Check and pop the arguments, move everything else out of the temporaries, and put the arguments in their
    places.
    """
    c.makes_calls = True
    if not _pass_one_by_one(c, argument_plan(c.env, params), index):
        _pass_together(c, params, instruction, index)


def _pass_together(c: Compilation, params: tuple[int, ...], instruction: str, index: Operand | None) -> None:
    """Pass arguments that stand in each other's way, that are many, or that are of the wrong types, which is said."""
    in_slots = len(params) > _MANY_IN_SLOTS and (c.folded or c.stack[-1].kind == SLOT)
    if in_slots or len(params) > MANY_ARGUMENTS:
        _pass_many(c, params, instruction, index)
        return
    if c.folded:
        check_top(c, instruction, params)
        if _pass_one_by_one(c, argument_plan(c.env, params), index):
            return
    arguments = c.stack[-len(params) :] if params else []
    if index is not None:
        arguments.append(index)
    stack = c.stack
    target = c.target
    if params:
        check_top(c, instruction, params)
        del stack[-len(params) :]
    held = 0
    for argument in arguments:
        held |= argument.bit
    if c.free | held != target.ALL_FREE:
        c.free = evict(c, target.ALL_FREE & ~held, c.free, tuple(arguments))
    if index is not None:
        arguments.pop()
    c.out += c.env.calls.arguments(tuple(arguments), c.free, params, index)
    c.free = target.ALL_FREE


def _pass_many(c: Compilation, params: tuple[int, ...], instruction: str, index: Operand | None) -> None:
    """Pass many arguments: all go to their slots, and from there in loops, so that code stays small."""
    places = c.env.many_parameters(params).places
    if c.folded and index is None:
        first = runs.pop_all(c, params)
        if first is not None:
            # The usual case: what a block or a call has left is passed as it is.
            _pass_from_slots(c, places, first)
            c.free = c.target.ALL_FREE
            return
    check_top(c, instruction, params)
    calls = c.env.calls
    if index is not None:
        # The arguments need every temporary: the index waits in the slot beyond them.
        waiting = slot_offset(c, len(c.stack))
        c.out += c.target.move_to_slot(index, waiting, c.free)
        c.free |= index.bit
    flush(c)
    first = slot_offset(c, len(c.stack) - len(params))
    _pass_from_slots(c, places, first)
    drop_values(c, len(params))
    if index is not None:
        c.out += c.target.move_to_register(slot(index.type, waiting), calls.INDEX_PLAN[1], 0)
    c.free = c.target.ALL_FREE


def _pass_from_slots(c: Compilation, places: ParameterPlaces, first: int) -> None:
    """Pass arguments that are in consecutive slots."""
    if places.scattered:
        control_state(c).pass_out_of_line(places, first)
    else:
        c.out += c.env.pieces[c.env.calls.arguments_from_slots][(places, first, *c.env.width)]


def _pass_one_by_one(c: Compilation, plan: Plan, index: Operand | None) -> bool:
    """The usual call, with no argument where another one goes: each move is looked up by itself.

    Args:
        plan: how arguments are passed, see :func:`argument_plan`.
        index: the index of an indirect call, or the reference of a call by reference, off the stack already.

    Returns:
        whether it was one; if not, nothing has happened.
    """
    text, planned = plan
    stack = c.stack
    position = len(stack)
    held = written = 0
    if index is not None:
        _, reg, written = c.env.calls.INDEX_PLAN
        move = moves_to(c.env, index.type, reg)[index]
        if move is None:
            return False
        text += move
        held = index.bit
    # From the last to the first, since temporaries are given out in the order of parameters.
    for moves, later in planned:
        position -= 1
        argument = stack[position]
        move = moves[argument]
        bit = argument.bit
        if move is None or bit & (later | written):
            return False
        text += move
        held |= bit
    del stack[position:]
    all_free = c.target.ALL_FREE
    if c.free | held != all_free:
        evict(c, all_free & ~held, c.free, ())
    c.out += text
    c.free = all_free
    return True


def callee(env: ModuleEnvironment, index: int) -> Callee:
    """What a call of function ``index`` takes: its types, how its arguments are passed, and the calling code;
    memoised.
    """
    params, results = function_type(env, index)
    defined = index - env.info.imported_funcs
    if defined < 0:
        code = env.calls.call_record(env.layout.imported_func(index))
    else:
        code = env.calls.call_slot(env.layout.slot(defined))
    plan = argument_plan(env, params)
    result = None
    free = env.target.ALL_FREE
    if len(results) == 1:
        result = register(results[0], env.target.RESULT_REGISTER)
        free &= ~result.bit
    found = env.callees[index] = (params, results, plan, code, result, free)
    return found


def argument_plan(env: ModuleEnvironment, params: Types) -> Plan:
    """How to pass arguments of these types one by one, or a plan that nothing fits if they are many; memoised."""
    if len(params) > MANY_ARGUMENTS:
        return _NO_PLAN
    found = env.plans.get(params)
    if found is None:
        text, plan = env.calls.argument_plan(params)
        planned = []
        later = 0
        for type_, reg, bit in plan:
            planned.append((moves_to(env, type_, reg), later))
            later |= bit
        if len(params) > _MANY_IN_SLOTS:
            # The last argument goes first: where it is in a slot, all of them are.
            type_, reg, _ = plan[0]
            planned[0] = MovesButFromSlots(type_, reg, env.calls.argument), 0
        found = env.plans[params] = text, tuple(planned)
    return found


def moves_to(env: ModuleEnvironment, type_: int, reg: int) -> Moves:
    """Moves of arguments of a type to the register ``reg``, or to the argument area if that is -1."""
    found: Moves | None = env.target.MOVES.get((type_, reg))
    if found is None:
        found = env.target.MOVES[type_, reg] = Moves(type_, reg, env.calls.argument)
    return found


def take_results(c: Compilation, results: tuple[int, ...]) -> None:
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
            flush(c)
        height = len(stack)
        if len(results) > MANY_VALUES and not c.runs:
            raise NeedsRuns
        first = slot_offset(c, height)
        slot_offset(c, height + len(results) - 1)
        c.out += c.env.pieces[c.env.calls.fetch_results][(c.env.result_places(results), first, *c.env.width)]
        if len(results) > MANY_VALUES:
            push_slots(c, results)
        else:
            stack += c.env.pieces[_result_entries][results, first, c.step]
        c.free = c.target.ALL_FREE


def _result_entries(results: tuple[int, ...], first: int, step: int) -> list[Operand]:
    """Entries of results in consecutive slots."""
    return [slot(type_, first + step * index) for index, type_ in enumerate(results)]


def call(c: Compilation, pc: int) -> int:
    """``call x``."""
    code = c.code
    index = code[pc]
    pc += 1
    if index > 127:
        if code[pc] < 128:
            index += (code[pc] << 7) - 128
            pc += 1
        else:
            pc, index = read_unsigned(c, pc - 1)
    env = c.env
    params, results, (text, planned), going, result, free = env.callees.get(index) or callee(env, index)
    c.makes_calls = True
    stack = c.stack
    out = c.out
    # What _pass_one_by_one does, as a copy: a call of it here costs a percent of compiling.
    position = len(stack)
    held = clash = 0
    for moves, later in planned:
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
            clash |= bit & later
    if clash:
        _pass_together(c, params, "call", None)
    else:
        del stack[position:]
        all_free = env.target.ALL_FREE
        if c.free | held != all_free:
            evict(c, all_free & ~held, c.free, ())
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
        take_results(c, results)
    return pc


def call_indirect(c: Compilation, pc: int) -> int:
    """``call_indirect x y``."""
    env = c.env
    pc, type_index, table = call_indirect_immediates(c, pc)
    params, results = type_at(env, type_index)
    index = pop_typed(c, "call_indirect", I32)
    pass_arguments(c, params, "call_indirect", index)
    out = c.out
    bound, check, go = env.pieces[env.calls.call_table][table_places(env, type_index, table)]
    out += bound
    c.cold.append((len(out), TRAP_UNDEFINED_ELEMENT, c.pc, 0))
    out += check
    c.cold.append((len(out), TRAP_BAD_SIGNATURE, c.pc, 0))
    out += go
    take_results(c, results)
    return pc


def table_places(env: ModuleEnvironment, type_index: int, table: int) -> tuple[int, int, int, bool]:
    """What the backend has to know of a table and a type to look for a function in the table."""
    layout = env.layout
    return layout.table(table), layout.type_id(type_index), env.reach, env.info.types[type_index].final


def check_results(c: Compilation, given: Types, instruction: str) -> None:
    """Check that the results of a function that is tail-called may be those of the function that does so."""
    if not types_fit(c, given, c.labels[0].results):
        raise BodyFault(f"type mismatch: the results of {instruction} are not those of the function")
