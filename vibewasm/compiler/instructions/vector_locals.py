"""Assignments to locals in a function that has vectors: what goes to a local in the frame stays in its register as
well, as long as there is room.

There are more hot vectors than registers to pin, and what is assigned is mostly read soon, when it would come back from
the frame only after some cycles. So ``c.kept`` says which temporaries hold what locals in the frame hold; these
temporaries are taken, but no entry has them. Only vector instructions look there (:func:`held`), and an entry of the
operand stack always names the local, so that it is right to forget at any time (:func:`forget`): this is done before
everything else that calls, branches or opens a block. The end of a block needs no more than another innermost label.
"""

from __future__ import annotations

from ...backends.operand import FIRST_FLOAT_BIT, REGISTER, SLOT, V128, Operand, pinned_local
from ...opcodes import CODE, VECTOR_PREFIX
from ..choices import choose_assignment
from ..immediates import long_local
from ..operand_stack import protect, relieve, retype
from ..state import Compilation
from . import HANDLERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from . import Handler

_LOCAL_SET, _LOCAL_TEE = CODE["local.set"], CODE["local.tee"]
#: Instructions that take temporaries as they are free, one by one, and do nothing else to them.
_HARMLESS = frozenset(
    (VECTOR_PREFIX, *(CODE[name] for name in "nop i64.const f32.const f64.const global.get global.set".split()))
)
#: So many temporaries may be kept at once.
_MOST = 3


def held(c: Compilation, entry: Operand) -> Operand:
    """The register that holds what a local in the frame holds, or else the entry itself."""
    if c.kept_under is not c.labels[-1]:
        # All temporaries were given back at the end of a block.
        c.kept.clear()
        return entry
    return c.kept.get(entry, entry)


def _bit(kept: Operand) -> int:
    return 1 << kept.reg + FIRST_FLOAT_BIT


def mask(c: Compilation) -> int:
    """The temporaries that are kept."""
    if c.kept_under is not c.labels[-1]:
        return 0
    bits = 0
    for kept in c.kept.values():
        bits |= _bit(kept)
    return bits


def forget(c: Compilation) -> None:
    """Give back all temporaries that are kept."""
    c.free |= mask(c)
    c.kept.clear()


def make_room(c: Compilation, free: int) -> int:
    """What is free when temporaries that are kept, the oldest first, and then entries have made room for any rule."""
    kept = c.kept
    if kept and c.kept_under is not c.labels[-1]:
        kept.clear()
    while kept and c.target.is_tight(free):
        free |= _bit(kept.pop(next(iter(kept))))
    return relieve(c, free) if c.target.is_tight(free) else free


def _keep(c: Compilation, local: Operand, entry: Operand, free: int) -> int:
    """Keep the temporary of an entry that was assigned to a local in the frame, and is off the stack."""
    kept = c.kept
    if c.kept_under is not c.labels[-1]:
        kept.clear()
        c.kept_under = c.labels[-1]
    elif len(kept) == _MOST:
        free |= _bit(kept.pop(next(iter(kept))))
    kept[local] = pinned_local(V128, entry.reg)
    return make_room(c, free)


def assign(c: Compilation, pc: int) -> int:
    """``local.set x`` and ``local.tee x``: what the loop does, and keeps besides."""
    code = c.code
    op = code[pc - 1]
    stack = c.stack
    entry = stack.pop()
    local = c.locals_[code[pc]]
    if local is None:
        pc, local = long_local(c, pc)
    else:
        pc += 1
    free = c.free
    if stack[-1].kind < SLOT:
        free = protect(c, local, free)
    choice = c.target.MEMO.get((_LOCAL_SET, entry, local))
    if choice is None:
        choice = choose_assignment(c, op, entry, local, free)
    c.out += choice[0]
    old = c.kept.pop(local, None)
    if old is not None and c.kept_under is c.labels[-1]:
        free |= _bit(old)
    if entry.kind == REGISTER and entry.type == V128 and local.reg < 0:
        free = _keep(c, local, entry, free)
        entry = local
    elif op == _LOCAL_SET or local.reg >= 0:
        free |= entry.bit
        entry = local
    c.free = free
    if op == _LOCAL_TEE:
        stack.append(entry)
        if entry.type != local.type:
            retype(c, len(stack) - 1, local.type)
    return pc


def _through(op: int) -> Handler:
    """The handler of an opcode, which is found at its first use; before it all is forgotten, unless it is harmless."""
    if op in _HARMLESS:
        return lambda c, pc: HANDLERS[op](c, pc)

    def handler(c: Compilation, pc: int) -> int:
        if c.kept:
            forget(c)
        return HANDLERS[op](c, pc)

    return handler


#: The handlers of a function that has vectors.
VECTOR_HANDLERS: list[Handler] = [_through(op) for op in range(256)]
VECTOR_HANDLERS[_LOCAL_SET] = VECTOR_HANDLERS[_LOCAL_TEE] = assign
