"""Tail calls, one function an instruction (core specification 3.0, "Control Instructions"). See ``docs/abi.md``.

Arguments are passed as those of a call are; what takes the frame down stands out of line, see
:mod:`~..control_state`.
"""

from __future__ import annotations

from ...abi import TRAP_BAD_SIGNATURE, TRAP_UNDEFINED_ELEMENT
from ...backends.operand import I32
from ..control_state import control_state
from ..immediates import call_indirect_immediates, read_unsigned
from ..index_spaces import function_type, type_at
from ..operand_stack import pop_typed
from ..state import Compilation, Types
from .branches import after_branch
from .calls import check_results, pass_arguments, table_places
from .references import callee_reference


def return_call(c: Compilation, pc: int) -> int:
    """``return_call x``."""
    pc, index = read_unsigned(c, pc)
    env = c.env
    params, results = function_type(env, index)
    check_results(c, results, "return_call")
    pass_arguments(c, params, "return_call")
    defined = index - env.info.imported_funcs
    if defined < 0:
        c.out += env.calls.load_record(env.layout.imported_func(index))
        return _leave(c, pc, "record", 0, params)
    if index == c.self_index:
        return _leave(c, pc, "self", 0, params)
    return _leave(c, pc, "slot", env.layout.slot(defined), params)


def return_call_indirect(c: Compilation, pc: int) -> int:
    """``return_call_indirect x y``."""
    pc, type_index, table = call_indirect_immediates(c, pc)
    params, results = type_at(c.env, type_index)
    check_results(c, results, "return_call_indirect")
    index = pop_typed(c, "return_call_indirect", I32)
    pass_arguments(c, params, "return_call_indirect", index)
    bound, check = c.env.pieces[c.env.calls.check_table][table_places(c.env, type_index, table)]
    c.out += bound
    c.cold.append((len(c.out), TRAP_UNDEFINED_ELEMENT, c.pc, 0))
    c.out += check
    c.cold.append((len(c.out), TRAP_BAD_SIGNATURE, c.pc, 0))
    return _leave(c, pc, "record", 0, params)


def return_call_ref(c: Compilation, pc: int) -> int:
    """``return_call_ref x``."""
    pc, params, results, callee = callee_reference(c, pc, "return_call_ref")
    check_results(c, results, "return_call_ref")
    pass_arguments(c, params, "return_call_ref", callee)
    # Where the frame is down already a trap would name the caller.
    c.out += c.env.calls.check_reference()
    return _leave(c, pc, "record", 0, params)


def _leave(c: Compilation, pc: int, kind: str, offset: int, params: Types) -> int:
    control_state(c).tail(kind, offset, c.env.argument_area(params))
    return after_branch(c, pc)
