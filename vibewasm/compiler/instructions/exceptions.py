"""Exceptions, one function an instruction (core specification 3.0, "Control Instructions"). See ``docs/abi.md``.

What is thrown goes to a stub that looks for who catches it, unless that is a clause of this very function: then it is a
branch to the clause's label.
"""

from __future__ import annotations

from ...backends.convention import MANY_VALUES
from ...backends.operand import MARKED_BARRIER, register
from ...types import EXNREF, EXNREF_NOT_NULL
from ..control_state import ANY_TAG, OUTSIDE, ControlState, control_state
from ..immediates import block_type, read_unsigned
from ..index_spaces import tag_type
from ..operand_stack import check_top, drop_values, evict, flush, slot_offset, types_fit
from ..state import BLOCK, BodyFault, Compilation, Label, Late, fits, type_mismatch
from .blocks import move_top_to_result, open_block
from .branches import after_branch, branch, jump_to, label_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .. import runs
    from ..state import Types

    #: A clause: its tag or ANY_TAG, the types of the values, whether the reference follows, and the depth of its label.
    Clause = tuple[int, Types, bool, int]

else:
    runs = Late("runs")

#: Kinds of clauses: with a tag, and with the reference (core specification, "Binary Format / Control Instructions").
_WITH_TAG, _WITH_REFERENCE = (0, 1), (1, 3)
_LAST_KIND = 3
#: A throw looks through so many clauses of its function for one that is certain to catch.
_CLAUSES_LOOKED_AT = 16


def read_clauses(c: Compilation, pc: int) -> tuple[int, list[Clause]]:
    """Decode the clauses of ``try_table``: the position after them, and what they say."""
    pc, count = read_unsigned(c, pc)
    if count > c.end - pc:
        raise BodyFault("unexpected end", malformed=True)
    clauses: list[Clause] = []
    for _ in range(count):
        kind = c.code[pc] if pc < c.end else 0
        if kind > _LAST_KIND:
            raise BodyFault(f"malformed catch kind {kind:#04x}", malformed=True)
        pc += 1
        tag = ANY_TAG
        types: Types = ()
        if kind in _WITH_TAG:
            pc, tag = read_unsigned(c, pc)
            types = tag_type(c.env, tag)
        pc, depth = read_unsigned(c, pc)
        clauses.append((tag, types, kind in _WITH_REFERENCE, depth))
    return pc, clauses


def check_clauses(c: Compilation, clauses: list[Clause], types_at: Callable[[int], Types]) -> None:
    """Check that the labels of clauses take what these bring; ``types_at`` gives what a label takes, by its depth."""
    for _, types, reference, depth in clauses:
        wanted = types_at(depth)
        if reference and len(types) > MANY_VALUES and len(wanted) == len(types) + 1:
            # What type_fit says of them but for the reference, which comes last.
            fitting = runs.fit(c.env, types, 0, wanted, 0, len(types)) and fits(EXNREF_NOT_NULL, wanted[-1])
        else:
            fitting = types_fit(c, (*types, EXNREF_NOT_NULL) if reference else types, wanted)
        if not fitting:
            raise type_mismatch("a catch clause's label", wanted, (*types, EXNREF_NOT_NULL) if reference else types)


def try_table(c: Compilation, pc: int) -> int:
    """``try_table bt catch*``: a block, for which no code is emitted."""
    pc, params, results = block_type(c, pc)
    pc, clauses = read_clauses(c, pc)
    check_clauses(c, clauses, lambda depth: label_at(c, depth).types)
    caught = [(tag, reference, label_at(c, depth)) for tag, _, reference, depth in clauses]
    label = open_block(c, BLOCK, params, results)
    if clauses:
        c.stack[label.height] = MARKED_BARRIER
        control = control_state(c)
        scope = control.open_scope(caught)
        for (tag, types, reference, _), (_, _, target) in zip(clauses, caught, strict=True):
            control.pad(scope, _tag_cell(c, tag), types, reference, target)
    return pc


def _tag_cell(c: Compilation, tag: int) -> int:
    return ANY_TAG if tag == ANY_TAG else c.env.layout.tag(tag)


def throw(c: Compilation, pc: int) -> int:
    """``throw x``."""
    pc, tag = read_unsigned(c, pc)
    types = tag_type(c.env, tag)
    check_top(c, "throw", types)
    found = _catching_clause(c, c.control, tag) if c.control is not None else None
    exceptions = c.env.backend.exceptions
    if found is None:
        describe_thrown(c, tag, types)
        c.out += exceptions.throw()
        c.makes_calls = True
        return after_branch(c, pc)
    clause_tag, reference, label = found
    if reference:
        describe_thrown(c, tag, types)
        c.makes_calls = True
        c.out += exceptions.caught_reference()
        entry = register(EXNREF_NOT_NULL, c.target.RESULT_REGISTER)
        if clause_tag == ANY_TAG and types:
            drop_values(c, len(types))
        c.stack.append(entry)
        c.free = c.target.ALL_FREE & ~entry.bit
        branch(c, label, "throw")
    elif clause_tag == ANY_TAG:
        jump_to(c, label)
    else:
        branch(c, label, "throw")
    return after_branch(c, pc)


def describe_thrown(c: Compilation, tag: int, types: Types) -> None:
    """Say in the store block what is being thrown: the topmost entries, with a tag."""
    flush(c)
    first = slot_offset(c, len(c.stack) - len(types)) if types else 0
    c.out += c.env.pieces[c.env.backend.exceptions.describe][(len(types), first, c.env.layout.tag(tag), *c.env.width)]


def _catching_clause(c: Compilation, control: ControlState, tag: int) -> tuple[int, bool, Label] | None:
    """The clause of this function that is certain to catch what is thrown here with a tag: ``None`` where none is."""
    imported = c.env.info.imported_tags
    number = control.scope
    looked_at = 0
    while number != OUTSIDE:
        scope = control.scopes[number]
        if scope.caught is None:
            return None
        for clause in scope.caught:
            looked_at += 1
            if clause[0] in (tag, ANY_TAG):
                return clause
            # Two imported tags may be one.
            if looked_at == _CLAUSES_LOOKED_AT or (tag < imported and clause[0] < imported):
                return None
        number = scope.outer
    return None


def throw_ref(c: Compilation, pc: int) -> int:
    """``throw_ref``: a null faults when its tag is read."""
    check_top(c, "throw_ref", (EXNREF,))
    throw_top(c)
    return after_branch(c, pc)


def throw_top(c: Compilation) -> None:
    """Throw the exception that the topmost entry refers to."""
    entry = c.stack[-1]
    wanted = register(entry.type, c.target.RESULT_REGISTER)
    if entry is not wanted:
        c.free = evict(c, wanted.bit, c.free, (entry,))
        move_top_to_result(c, entry.type, c.free)
    c.out += c.env.backend.exceptions.throw_reference()
    c.makes_calls = True
