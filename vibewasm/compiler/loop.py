"""The loop of a compilation: one pass that reads each instruction once, validates it, and emits its code.

This is the engine's hottest code and is written for speed (``benchmarks compile`` shows it): what nearly all code
consists of is handled in the loop itself, everything else by one function an instruction in :mod:`.instructions`. So
some steps stand here that stand elsewhere as well: they are calls too many at this place.

A validation error needs no check of its own on the hot path: a memoised choice exists only for operands of the right
types, and what is not in the memo is checked before it is made (:mod:`.choices`).
"""

from __future__ import annotations

from ..backends.operand import BARRIER_ENTRY, CONSTANT, CONSTANTS, I32, SLOT, WANT_FLAGS, Operand, constant
from ..opcodes import CODE
from .choices import (
    choose_assignment,
    choose_binary,
    choose_constant,
    choose_immediate,
    choose_load,
    choose_store,
    choose_stored,
    choose_unary,
    far_load,
    far_store,
)
from .instructions import (
    ALIGNMENTS,
    BINARY,
    BR_IF,
    BY_HANDLER,
    COMPARES,
    END,
    I32_CONST,
    LOAD,
    LOCAL_GET,
    LOCAL_SET,
    STORE,
    TAKES_FLAGS,
    TAKES_NO_CONSTANT,
    UNARY,
)
from .operand_stack import may_sink, protect, relieve
from .state import IF, LOOP, Compilation, Late

TYPE_CHECKING = False
if TYPE_CHECKING:
    from . import immediates
else:
    immediates = Late("immediates")

#: Constants of one byte by that byte, made when they are first met.
_SMALL_CONSTANTS: list[Operand | None] = [None] * 128
_ZERO_ADDRESS = constant(I32, 0)
_LOCAL_SET, _LOCAL_TEE = CODE["local.set"], CODE["local.tee"]


def _small_constant(byte: int) -> Operand:
    """The constant that one byte encodes, kept in :data:`_SMALL_CONSTANTS`."""
    found = _SMALL_CONSTANTS[byte] = constant(I32, byte if byte < 64 else (byte - 128) & 0xFFFFFFFF)
    return found


def run(c: Compilation) -> None:
    """Compile the whole expression; the state must have been prepared and the function's label pushed."""
    code = c.code
    out = c.out
    stack = c.stack
    pop = stack.pop
    locals_ = c.locals_
    target = c.target
    memo = target.MEMO
    find = memo.get
    displacements = target.DISPLACEMENTS.get
    displacement = target.displacement
    forms = target.SHORT_DISPLACEMENTS
    far = target.FAR_OFFSET
    constants = CONSTANTS[I32].get
    kinds = c.env.kinds
    with_constant = target.WITH_CONSTANT.get
    groups = target.IMMEDIATE_GROUPS
    stored = target.STORED.get
    patch = c.patch
    fixup = c.env.fixup_size
    all_free = target.ALL_FREE
    fetched = target.FETCHES.get
    fetch = target.fetch
    alignments = ALIGNMENTS
    set_local, tee_local = _LOCAL_SET, _LOCAL_TEE
    handlers = c.handlers
    branches = c.env.branches.get
    labels = c.labels
    special = c.special
    takes_constant = c.env.takes_constant if special is None else TAKES_NO_CONSTANT
    # Locals are read faster than globals; append is fastest as a method, pop as a bound one.
    local_get, by_handler, i32_const = LOCAL_GET, BY_HANDLER, I32_CONST
    binary, load, local_set, store = BINARY, LOAD, LOCAL_SET, STORE
    unary, br_if, end = UNARY, BR_IF, END
    constant_kind, slot_kind = CONSTANT, SLOT
    small_constants, takes_flags, compares = _SMALL_CONSTANTS, TAKES_FLAGS, COMPARES
    result: Operand
    free = c.free
    pc = 0
    while True:
        if special is not None:
            c.free = free
            special(pc)
            free = c.free
        op = code[pc]
        kind = kinds[op]
        if kind is local_get:
            entry = locals_[code[pc + 1]]
            if entry is not None:
                stack.append(entry)
                pc += 2
                continue
            pc, entry = immediates.long_local(c, pc + 1)
            stack.append(entry)
            continue
        if kind is by_handler:
            c.pc = pc
            c.free = free
            pc = handlers[op](c, pc + 1)
            free = c.free
            continue
        if kind is i32_const:
            byte = code[pc + 1]
            if byte < 128:
                b = small_constants[byte] or _small_constant(byte)
                pc += 2
            else:
                value = byte & 127
                byte = code[pc + 2]
                if byte < 128:
                    value |= byte << 7
                    if byte >= 64:
                        value += 0xFFFFC000
                    pc += 3
                elif code[pc + 3] < 64:
                    value |= (byte & 127) << 7 | code[pc + 3] << 14
                    pc += 4
                elif code[pc + 3] >= 128 and code[pc + 4] < 64:
                    value |= (byte & 127) << 7 | (code[pc + 3] & 127) << 14 | code[pc + 4] << 21
                    pc += 5
                else:
                    c.pc = pc
                    pc, value = immediates.read_signed(c, pc + 1, 32)
                    value &= 0xFFFFFFFF
                b = constants(value) or constant(I32, value)
            op = code[pc]
            if not takes_constant[op]:
                stack.append(b)
                continue
            # Most constants are the second operand of the next instruction, which is taken along.
            op, b, stand_in, middles = with_constant((op, b)) or choose_constant(c, op, b)
        elif kind is binary:
            b = pop()
            if b.kind == constant_kind:
                op, b, stand_in, middles = with_constant((op, b)) or choose_constant(c, op, b)
            else:
                stand_in = None
        elif kind is load:
            start = pc
            offset = code[pc + 2]
            if code[pc + 1] > alignments[op]:
                c.pc = pc
                pc, offset = immediates.read_memarg(c, pc + 1, alignments[op])
            elif offset < 128:
                pc += 3
            elif code[pc + 3] < 128:
                offset += (code[pc + 3] << 7) - 128
                pc += 4
            else:
                c.pc = pc
                pc, offset = immediates.read_memarg(c, pc + 1, alignments[op])
            a = pop()
            if a.reg < 0:
                if a.kind != constant_kind:
                    text, a, free = fetched((a, free)) or fetch(a, free)
                    out += text
                elif a.value and a.type == I32:
                    offset += a.value
                    a = _ZERO_ADDRESS
            if offset < 128:
                form, middle = forms[offset]
            elif offset < far:
                form, middle = displacements(offset) or displacement(offset)
            else:
                c.pc = start
                free = far_load(c, op, a, offset, free)
                continue
            following = code[pc]
            sink = None
            if following == set_local or following == tee_local:
                sink = locals_[code[pc + 1]]
                if sink is not None and (sink.reg < 0 or (stack[-1].kind < slot_kind and not may_sink(c, sink))):
                    sink = None
            choice = find((op, a, form, free, sink))
            if choice is None:
                c.pc = start
                choice = choose_load(c, op, a, form, free, sink)
            text, tail, result, free, tight = choice
            out += text
            out += middle
            if tail:
                out += tail
            if result is sink:
                pc += 2
                if following == tee_local:
                    stack.append(result)
            else:
                stack.append(result)
                if tight:
                    free = relieve(c, free)
            continue
        elif kind is local_set:
            entry = pop()
            local = locals_[code[pc + 1]]
            if local is None:
                c.pc = pc
                pc, local = immediates.long_local(c, pc + 1)
            else:
                pc += 2
            if stack[-1].kind < slot_kind:
                free = protect(c, local, free)
            choice = find((set_local, entry, local))
            if choice is None:
                c.pc = pc - 2
                choice = choose_assignment(c, op, entry, local, free)
            out += choice[0]
            if op == set_local:
                free |= entry.bit
            elif local.reg >= 0:
                free |= entry.bit
                stack.append(local)
            else:
                stack.append(entry)
            continue
        elif kind is store:
            start = pc
            offset = code[pc + 2]
            if code[pc + 1] > alignments[op]:
                c.pc = pc
                pc, offset = immediates.read_memarg(c, pc + 1, alignments[op])
            elif offset < 128:
                pc += 3
            elif code[pc + 3] < 128:
                offset += (code[pc + 3] << 7) - 128
                pc += 4
            else:
                c.pc = pc
                pc, offset = immediates.read_memarg(c, pc + 1, alignments[op])
            b = pop()
            a = pop()
            if a.reg < 0:
                if a.kind != constant_kind:
                    text, a, free = fetched((a, free)) or fetch(a, free)
                    out += text
                elif a.value and a.type == I32:
                    offset += a.value
                    a = _ZERO_ADDRESS
            if offset < 128:
                form, middle = forms[offset]
            elif offset < far:
                form, middle = displacements(offset) or displacement(offset)
            else:
                c.pc = start
                free = far_store(c, op, a, b, offset, free)
                continue
            bits = b""
            if b.reg < 0:
                if b.kind != constant_kind:
                    text, b, free = fetched((b, free)) or fetch(b, free)
                    out += text
                else:
                    b, bits = stored((op, b)) or choose_stored(c, op, b)
            choice = find((op, a, b, form, free))
            if choice is None:
                c.pc = start
                choice = choose_store(c, op, a, b, form, free)
            text, tail, free = choice
            out += text
            out += middle
            if bits:
                out += bits
            if tail:
                out += tail
            continue
        elif kind is end or kind is br_if:
            if kind is end:
                if stack[-1] is BARRIER_ENTRY:
                    label = labels[-1]
                    if not label.results and label.depth > 1 and not (label.params and label.opcode == IF):
                        # The usual end: no results, and nothing left on the stack, or the end is not reached at all.
                        position = len(out)
                        for site in label.fixups:
                            patch(out, site - fixup, position - site)
                        for site in label.else_fixups:
                            patch(out, site - fixup, position - site)
                        if label.opcode != LOOP:
                            label.target = position
                        labels.pop()
                        pop()
                        c.dead = False
                        free = all_free
                        pc += 1
                        continue
            else:
                condition = stack[-1]
                depth = code[pc + 1]
                if condition.type == I32 and depth < len(labels) and depth < 128:
                    label = labels[-1 - depth]
                    branch = branches(condition)
                    if branch and not label.types and label.opcode != LOOP:
                        # The usual br_if: forwards, and without values.
                        pop()
                        fixups = label.fixups
                        for text in branch:
                            out += text
                            fixups.append(len(out))
                        free |= condition.bit
                        pc += 2
                        continue
            c.pc = pc
            c.free = free
            pc = handlers[op](c, pc + 1)
            if not labels:
                break
            free = c.free
            continue
        else:  # UNARY
            stand_in = None
        a = pop()
        pc += 1
        if a.reg < 0 and a.kind != constant_kind and kind is not unary:
            text, a, free = fetched((a, free)) or fetch(a, free)
            out += text
        following = code[pc]
        sink = None
        if following == set_local or following == tee_local:
            sink = locals_[code[pc + 1]]
            if sink is not None and (sink.reg < 0 or (stack[-1].kind < slot_kind and not may_sink(c, sink))):
                sink = None
        elif compares[op] and following in takes_flags:
            sink = WANT_FLAGS
        if stand_in is not None:
            choice = find((op, a, stand_in, free, sink))
            if choice is None:
                c.pc = pc - 1
                choice, a = choose_immediate(c, op, a, stand_in, free, sink)
            text, tail, result, free, tight = choice
            out += text
            out += middles[groups[a.reg]]
            if tail:
                out += tail
        else:
            if kind is unary:
                choice = find((op, a, free, sink))
                if choice is None:
                    c.pc = pc - 1
                    choice = choose_unary(c, op, a, free, sink)
            else:
                choice = find((op, a, b, free, sink))
                if choice is None:
                    c.pc = pc - 1
                    choice, free = choose_binary(c, op, a, b, free, sink)
            text, result, free, tight = choice
            out += text
        # The result goes to the local that the next instruction assigns, or onto the stack. A load takes its result
        # the same way above: it looks for another sink, and has no operand to fetch.
        if result is sink:
            pc += 2
            if following == tee_local:
                stack.append(result)
        else:
            stack.append(result)
            if tight:
                free = relieve(c, free)
    c.pc = pc
