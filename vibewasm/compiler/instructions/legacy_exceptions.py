"""The older form of exceptions, which compilers still write, one function an instruction (the proposal's "Legacy
Exception Handling", legacy/exceptions in its repository): the same mechanism, with handlers in line.

A ``try`` is a scope like that of a ``try_table``, whose clauses are found one by one as its handlers come. In a handler
a reference to what was caught, which ``rethrow`` throws, lies beneath the handler's operands: the label's barrier moves
above it, and as much as the label's depth, so that branches bring results where they did before.
"""

from __future__ import annotations

from ...backends.operand import BARRIER_ENTRY, MARKED_BARRIER, slot
from ...opcodes import CODE
from ...types import EXNREF
from ..control_state import ANY_TAG, HANDLERS_OF_TRY, ControlState, control_state
from ..immediates import block_type, read_unsigned
from ..index_spaces import tag_type
from ..operand_stack import cut, push_merged, push_result, push_slots, slot_offset
from ..state import BodyFault, Compilation, Label, Types
from .blocks import end, leave_with_results, open_block
from .branches import after_branch, label_at, move_to_label
from .exceptions import throw_top
from .unreachable import DELEGATE, check_handler

_TRY, _CATCH, _CATCH_ALL = CODE["try"], CODE["catch"], CODE["catch_all"]
_RETHROW = CODE["rethrow"]
#: So many entries lie above a label's own barrier in a handler: the reference, and the barrier there.
_BENEATH = 2


def require_feature(c: Compilation) -> None:
    """Refuse the older form where it is turned off."""
    if "legacy-exceptions" not in c.env.info.features:
        from ...proposals import TITLES

        title = TITLES["legacy-exceptions"]
        raise BodyFault(f"{title} is turned off: Config(legacy_exceptions=True) allows it", feature=title)


def try_(c: Compilation, pc: int) -> int:
    """``try bt``: no code is emitted."""
    require_feature(c)
    pc, params, results = block_type(c, pc)
    label = open_block(c, _TRY, params, results)
    c.stack[label.height] = MARKED_BARRIER
    control = control_state(c)
    control.open_scope(None)
    control.end_handler = end_handler
    return pc


def catch(c: Compilation, pc: int) -> int:
    """``catch x``: ends the body or a handler, and begins another one."""
    check_handler(_CATCH, c.labels[-1].opcode)
    pc, tag = read_unsigned(c, pc)
    types = tag_type(c.env, tag)
    _begin_handler(c, "catch", c.env.layout.tag(tag), types)
    return pc


def catch_all(c: Compilation, pc: int) -> int:
    """``catch_all``."""
    check_handler(_CATCH_ALL, c.labels[-1].opcode)
    _begin_handler(c, "catch_all", ANY_TAG, ())
    return pc


def _begin_handler(c: Compilation, instruction: str, tag: int, types: Types) -> None:
    label = c.labels[-1]
    control = control_state(c)
    control.forget(len(c.labels))
    if not c.dead:
        _bring_results(c, label, instruction)
        c.out += c.env.jump
        label.fixups.append(len(c.out))
    if label.opcode == _TRY:
        scope = control.close_scope()
        control.handlers.append(scope)
        label.opcode = _CATCH
    else:
        _lower_barrier(c, label)
    if instruction == "catch_all":
        label.opcode = _CATCH_ALL
    control.handlers[-1].clauses.append((tag, len(c.out)))
    _receive(c, control, label, types)


def _bring_results(c: Compilation, label: Label, instruction: str) -> None:
    """Check the results of the body or of a handler at its end, and put them where the end of the ``try`` has them."""
    leave_with_results(c, label, True, instruction)
    if len(label.results) > 1:
        c.out += move_to_label(c, label)


def _receive(c: Compilation, control: ControlState, label: Label, types: Types) -> None:
    """Where an exception comes to a handler: keep a reference, if anything in the function may want it, and push the
    values.
    """
    stack = c.stack
    cut(c, label.height + 1)
    stack[label.height] = BARRIER_ENTRY
    c.dead = False
    c.free = c.target.ALL_FREE
    exceptions = c.env.backend.exceptions
    hidden = slot(EXNREF, slot_offset(c, len(stack)))
    if control.hidden is None:
        # Other bytes may look like one: then a reference is made for nothing.
        control.hidden = _RETHROW in c.code
    if control.hidden:
        c.makes_calls = True
        c.out += exceptions.caught_reference()
        push_result(c, EXNREF)
        c.out += c.target.move_to_slot(stack.pop(), hidden.offset, c.free)
        c.free = c.target.ALL_FREE
    stack.append(hidden)
    stack.append(MARKED_BARRIER)
    label.height += _BENEATH
    label.depth += _BENEATH
    if len(types) == 1:
        c.out += exceptions.caught_value(types[0])
        push_result(c, types[0])
    elif types:
        first = slot_offset(c, len(stack))
        c.out += c.env.pieces[exceptions.caught_values][(len(types), first, *c.env.width)]
        push_slots(c, types)


def _lower_barrier(c: Compilation, label: Label) -> None:
    """At the end of a handler: the label's barrier is its own again."""
    label.height -= _BENEATH
    label.depth -= _BENEATH


def end_handler(c: Compilation, label: Label) -> None:
    """Before the end of a ``try`` with handlers: the last one's results go where those of the body are."""
    control = control_state(c)
    control.handlers.pop()
    if not c.dead:
        _bring_results(c, label, "end")
    _lower_barrier(c, label)
    cut(c, label.height + 1)
    c.free = c.target.ALL_FREE
    push_merged(c, label.results)


def delegate(c: Compilation, pc: int) -> int:
    """``delegate l``: ends a ``try`` without handlers, whose exceptions go where those do that come up in the block
    that the label names.
    """
    label = c.labels[-1]
    check_handler(DELEGATE, label.opcode)
    pc, depth = read_unsigned(c, pc)
    # The try's own label does not count.
    if depth >= len(c.labels) - 1:
        raise BodyFault(f"unknown label {depth}")
    control = control_state(c)
    scope = control.close_scope()
    scope.outer = control.scope_at(len(c.labels) - 1 - depth)
    end(c, pc)
    return pc


def rethrow(c: Compilation, pc: int) -> int:
    """``rethrow l``: throw again what the handler of the label has caught."""
    pc, depth = read_unsigned(c, pc)
    label = label_at(c, depth)
    if label.opcode not in HANDLERS_OF_TRY:
        raise BodyFault("invalid rethrow label: it is that of no handler")
    c.stack.append(c.stack[label.height - 1])
    throw_top(c)
    return after_branch(c, pc)
