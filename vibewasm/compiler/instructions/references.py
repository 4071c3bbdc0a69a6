"""Typed references: calls of them, and what asks whether they are null; one function an instruction (core specification
3.0, "Reference Instructions", "Control Instructions").
"""

from __future__ import annotations

from ...abi import TRAP_NULL_REFERENCE
from ...backends.operand import BARRIER, REFERENCE, SLOT, WANT_FLAGS, Operand, register
from ...opcodes import CODE
from ...types import FUNCREF
from ..immediates import read_unsigned
from ..index_spaces import type_at
from ..operand_stack import check_top, evict, flush, relieve, retype, retype_top
from ..state import LOOP, BodyFault, Compilation, Types, emit_fixups, fits, type_mismatch
from .blocks import move_top_to_result
from .branches import jump_to, label_at, move_to_label
from .calls import pass_arguments, take_results

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..state import Label


_IS_NULL = CODE["ref.is_null"]


def pop_reference(c: Compilation, instruction: str) -> Operand:
    """Pop a reference of any type."""
    entry = c.stack[-1]
    if entry.type < REFERENCE:
        if entry.kind == BARRIER:
            raise type_mismatch(instruction, (FUNCREF,), (None,))
        raise BodyFault(f"type mismatch: {instruction} expects a reference")
    return c.stack.pop()


def _null(c: Compilation, entry: Operand) -> Operand:
    """The condition that a reference, which stays where it is, is null."""
    key = _IS_NULL, entry, c.free, WANT_FLAGS
    choice = c.target.MEMO.get(key)
    if choice is None:
        choice = c.target.lower(c.target.rule("ref.is_null"), (entry,), c.free, WANT_FLAGS)
        c.target.remember(key, choice)
    c.out += choice[0]
    condition: Operand = choice[1]
    return condition


def _push_without_null(c: Compilation, entry: Operand) -> None:
    """Push a reference that is not null."""
    from ...reference_types import without_null

    c.stack.append(entry)
    if without_null(entry.type) != entry.type:
        retype(c, len(c.stack) - 1, without_null(entry.type))


def ref_as_non_null(c: Compilation, pc: int) -> int:
    """``ref.as_non_null``."""
    from ...reference_types import is_nullable

    entry = pop_reference(c, "ref.as_non_null")
    if is_nullable(entry.type):
        for piece in c.env.branch_if(_null(c, entry)):
            c.out += piece
            c.cold.append((len(c.out), TRAP_NULL_REFERENCE, c.pc, 0))
    _push_without_null(c, entry)
    return pc


def callee_reference(c: Compilation, pc: int, instruction: str) -> tuple[int, Types, Types, Operand]:
    """Decode the type of a call by reference, and pop the reference: the position after it, parameters and results."""
    pc, index = read_unsigned(c, pc)
    params, results = type_at(c.env, index)
    from ...reference_types import concrete

    wanted = concrete(c.env.info.types[index], True)
    entry = c.stack[-1]
    if not fits(entry.type, wanted):
        raise type_mismatch(instruction, (wanted,), (None if entry.kind == BARRIER else entry.type,))
    return pc, params, results, c.stack.pop()


def call_ref(c: Compilation, pc: int) -> int:
    """``call_ref x``: a null faults when its record is read."""
    pc, params, results, callee = callee_reference(c, pc, "call_ref")
    pass_arguments(c, params, "call_ref", callee)
    c.out += c.env.calls.call_reference()
    take_results(c, results)
    return pc


def br_on_null(c: Compilation, pc: int) -> int:
    """``br_on_null l``: without the reference if it is null, else on with it."""
    pc, depth = read_unsigned(c, pc)
    label = label_at(c, depth)
    entry = pop_reference(c, "br_on_null")
    entry = _bring_values(c, label, entry, "br_on_null")
    _branch_with_values(c, label, _null(c, entry), True)
    _push_without_null(c, entry)
    return pc


def _bring_values(c: Compilation, label: Label, entry: Operand, instruction: str) -> Operand:
    """Check a label's values, and put a single one where the label expects it and the others into their slots; all
    without the reference that is asked about, which is off the stack: where that is then.
    """
    types = label.types
    if not types:
        return entry
    check_top(c, instruction, types)
    if not label.in_register():
        flush(c)
        retype_top(c, types)
        return entry
    wanted = register(types[0], c.target.RESULT_REGISTER)
    if entry.bit & wanted.bit or entry.kind == SLOT:
        # There is no slot above a value in a register.
        c.free = relieve(c, c.free)
        text, moved, free = c.target.copy_to_temporary(entry, c.free & ~wanted.bit)
        c.out += text
        c.free = free | c.free & wanted.bit | entry.bit
        entry = moved
    c.free = evict(c, wanted.bit, c.free, (entry, c.stack[-1]))
    move_top_to_result(c, types[0], c.free)
    return entry


def _branch_with_values(c: Compilation, label: Label, condition: Operand, holds: bool) -> None:
    """Branch, with the values that :func:`_bring_values` has prepared, where a condition holds or where it does not."""
    env = c.env
    out = c.out
    moves = b"" if label.in_register() else move_to_label(c, label)
    if moves or label.opcode == LOOP:
        sites = []
        for piece in env.branch_unless(condition) if holds else env.branch_if(condition):
            out += piece
            sites.append(len(out))
        out += moves
        jump_to(c, label)
        emit_fixups(c, sites, len(out))
        return
    for piece in env.branch_if(condition) if holds else env.branch_unless(condition):
        out += piece
        label.fixups.append(len(out))


def br_on_non_null(c: Compilation, pc: int) -> int:
    """``br_on_non_null l``: with the reference if it is not null, else on without it."""
    pc, depth = read_unsigned(c, pc)
    label = label_at(c, depth)
    types = label.types
    if not types or types[-1] < REFERENCE:
        raise BodyFault("type mismatch: br_on_non_null takes a label whose last value is a reference")
    entry = pop_reference(c, "br_on_non_null")
    _push_without_null(c, entry)
    check_top(c, "br_on_non_null", types)
    if label.in_register():
        wanted = register(types[0], c.target.RESULT_REGISTER)
        c.free = evict(c, wanted.bit, c.free, (c.stack[-1],))
        move_top_to_result(c, types[0], c.free)
    else:
        flush(c)
    _branch_with_values(c, label, _null(c, c.stack[-1]), False)
    c.free |= c.stack.pop().bit
    retype_top(c, types, 1)
    return pc
