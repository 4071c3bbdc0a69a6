"""Rules of :mod:`.unreachable` for what few modules have: typed references and exceptions."""

from __future__ import annotations

from ...backends.operand import REFERENCE
from ...opcodes import CODE
from ...types import EXNREF, FUNCREF
from ..control_state import HANDLERS_OF_TRY
from ..immediates import block_type, read_unsigned
from ..index_spaces import tag_type, type_at
from ..state import BodyFault, Compilation, Types, type_mismatch
from .dead_code import UNKNOWN_REFERENCE, Block, DeadCode
from .exceptions import check_clauses, read_clauses
from .legacy_exceptions import require_feature
from .unreachable import DELEGATE, call_with, check_handler, check_reference, open_block

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .unreachable import Rule


def _pop_reference(dead: DeadCode, name: str) -> int:
    """Pop a reference: its type without null."""
    type_ = dead.pop_any()
    if type_ is None:
        raise type_mismatch(name, (FUNCREF,), (None,))
    check_reference(type_, name)
    if type_ < 0:
        return UNKNOWN_REFERENCE
    from ...reference_types import without_null

    return without_null(type_)


def _ref_as_non_null(dead: DeadCode, c: Compilation, pc: int, name: str) -> int:
    dead.types.append(_pop_reference(dead, name))
    return pc


def _br_on_null(dead: DeadCode, c: Compilation, pc: int, name: str) -> int:
    pc, depth = read_unsigned(c, pc)
    reference = _pop_reference(dead, name)
    types = dead.target(depth)
    dead.pop_all(name, types)
    dead.push(types)
    dead.types.append(reference)
    return pc


def _br_on_non_null(dead: DeadCode, c: Compilation, pc: int, name: str) -> int:
    pc, depth = read_unsigned(c, pc)
    types = dead.target(depth)
    if not types or types[-1] < REFERENCE:
        raise BodyFault("type mismatch: br_on_non_null takes a label whose last value is a reference")
    dead.types.append(_pop_reference(dead, name))
    dead.pop_all(name, types)
    dead.push_but_last(types)
    return pc


def _call_ref(dead: DeadCode, c: Compilation, pc: int, name: str) -> int:
    pc, index = read_unsigned(c, pc)
    params, results = type_at(c.env, index)
    from ...reference_types import concrete

    dead.pop(name, concrete(c.env.info.types[index], True))
    call_with(dead, c, name, params, results)
    return pc


def _throw(dead: DeadCode, c: Compilation, pc: int, name: str) -> int:
    pc, tag = read_unsigned(c, pc)
    dead.pop_all(name, tag_type(c.env, tag))
    dead.become_polymorphic()
    return pc


def _throw_ref(dead: DeadCode, c: Compilation, pc: int, name: str) -> int:
    dead.pop(name, EXNREF)
    dead.become_polymorphic()
    return pc


def _rethrow(dead: DeadCode, c: Compilation, pc: int, name: str) -> int:
    pc, depth = read_unsigned(c, pc)
    dead.target(depth)
    outside = depth - dead.depth
    opcode = dead.blocks[-1 - depth].opcode if outside <= 0 else c.labels[-1 - outside].opcode
    if opcode not in HANDLERS_OF_TRY:
        raise BodyFault("invalid rethrow label: it is that of no handler")
    dead.become_polymorphic()
    return pc


def _try_table(dead: DeadCode, c: Compilation, pc: int, name: str) -> int:
    pc, params, results = block_type(c, pc)
    pc, clauses = read_clauses(c, pc)
    check_clauses(c, clauses, dead.target)
    open_block(dead, name, params, results)
    return pc


def _try(dead: DeadCode, c: Compilation, pc: int, name: str) -> int:
    require_feature(c)
    pc, params, results = block_type(c, pc)
    open_block(dead, name, params, results)
    return pc


def _handler(dead: DeadCode, c: Compilation, pc: int, name: str) -> int:
    op = CODE[name]
    check_handler(op, dead.blocks[-1].opcode)
    types: Types = ()
    if name == "catch":
        pc, tag = read_unsigned(c, pc)
        types = tag_type(c.env, tag)
    block = dead.close(name)
    dead.blocks.append(Block(op, len(dead.types), block.params, block.results, False))
    dead.push(types)
    return pc


def _delegate(dead: DeadCode, c: Compilation, pc: int, name: str) -> int:
    check_handler(DELEGATE, dead.blocks[-1].opcode)
    pc, depth = read_unsigned(c, pc)
    if depth >= len(dead.blocks) + len(c.labels) - 2:
        raise BodyFault(f"unknown label {depth}")
    dead.push(dead.close("end").results)
    return pc


#: The rules by name of the instruction.
RULES: dict[str, Rule] = {
    "call_ref": _call_ref,
    "return_call_ref": _call_ref,
    "throw": _throw,
    "throw_ref": _throw_ref,
    "try_table": _try_table,
    "try": _try,
    "catch": _handler,
    "catch_all": _handler,
    "delegate": _delegate,
    "rethrow": _rethrow,
    "ref.as_non_null": _ref_as_non_null,
    "br_on_null": _br_on_null,
    "br_on_non_null": _br_on_non_null,
}
