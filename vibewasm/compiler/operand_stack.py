"""The operand stack of a compilation: where entries are, and how they are moved to their slots in the frame.

A function that takes ``free`` returns what is free afterwards, and leaves ``c.free`` to its caller unless it says so.
"""

from __future__ import annotations

from ..backends.convention import MANY_VALUES
from ..backends.operand import BARRIER, CONSTANT, REGISTER, SLOT, Operand, constant, register, slot
from ..opcodes import CODE
from .state import BodyFault, Compilation, Late, NeedsRuns, all_fit, fits, type_mismatch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from . import runs
    from .choices import Choice
    from .state import Label, Types
else:
    runs = Late("runs")

#: The window of entries that are not in their slots is kept shorter than this, so that searching it takes constant
#: time.
WINDOW = 48
#: An operand stack deeper than this is refused: its frame would not fit any stack, and building it takes memory.
MAX_HEIGHT = 1 << 20

_LOCAL_SET, _LOCAL_TEE = CODE["local.set"], CODE["local.tee"]


def slot_offset(c: Compilation, index: int) -> int:
    """Frame offset of the slot of the entry at ``index``, above all runs."""
    position = index - len(c.labels) + c.folded
    if position > c.deepest:
        c.deepest = position
        if position > MAX_HEIGHT:
            raise BodyFault("operand stack too deep: at most 1,048,576 entries are supported")
    return c.slot_base + c.step * position


def label_slot(c: Compilation, label: Label) -> int:
    """Frame offset of the first slot of what a branch to the label carries."""
    return c.slot_base + c.step * (label.height + 1 - label.depth)


def window_start(c: Compilation) -> int:
    """Index of the first entry of the window; everything is flushed first where the window is long."""
    stack = c.stack
    index = top = len(stack)
    while stack[index - 1].kind < SLOT:
        index -= 1
    if top - index > WINDOW:
        flush(c)
        return top
    return index


def may_sink(c: Compilation, local: Operand) -> bool:
    """Whether no entry still refers to the local's old value, so that a result may replace it at once."""
    stack = c.stack
    index = top = len(stack)
    while stack[index - 1].kind < SLOT:
        index -= 1
        if stack[index] is local or top - index > WINDOW:
            return False
    return True


def protect(c: Compilation, local: Operand, free: int) -> int:
    """Before a local is assigned, copy its old value for entries that still refer to it."""
    c.free = free
    stack = c.stack
    window = window_start(c)
    free = c.free
    if local in stack[window:]:
        target = c.target
        for index in range(window, len(stack)):
            if stack[index] is local:
                text, stack[index], free = target.copy_to_temporary(local, free)
                c.out += text
                if target.is_tight(free):
                    free = relieve(c, free)
    return free


def spill(c: Compilation, index: int, free: int) -> int:
    """Move the entry at ``index`` to its frame slot; the flags stay as they are."""
    entry = c.stack[index]
    offset = slot_offset(c, index)
    home = c.stack[index] = slot(entry.type, offset)
    # The same code as for a local in the frame.
    choice = c.target.MEMO.get((_LOCAL_SET, entry, home))
    if choice is None:
        choice = (c.target.move_to_slot(entry, offset, free),)
        if entry.reg >= 0:
            c.target.remember((_LOCAL_SET, entry, home), choice)
    c.out += choice[0]
    return free | entry.bit


def flush(c: Compilation) -> None:
    """Move every entry to its frame slot."""
    stack = c.stack
    first = top = len(stack)
    while stack[first - 1].kind < SLOT:
        first -= 1
    free = c.free
    for index in range(first, top):
        free = spill(c, index, free)
    c.free = free


def relieve(c: Compilation, free: int) -> int:
    """Move the oldest entries to their slots until there are temporaries enough for any rule."""
    c.free = free
    index = window_start(c)
    free = c.free
    while c.target.is_tight(free):
        free = spill(c, index, free)
        index += 1
    return free


def evict(c: Compilation, mask: int, free: int, keep: tuple[Operand, ...]) -> int:
    """Free the registers in ``mask`` of all entries but those in ``keep``, which are off the stack already."""
    held = mask & ~free
    for operand in keep:
        held &= ~operand.bit
    if held:
        c.free = free
        index = window_start(c)
        free = c.free
        # From the bottom up, since everything below a slot has to be in a slot.
        while held & ~free:
            free = spill(c, index, free)
            index += 1
    return free


def sink_at(c: Compilation, pc: int, type_: int) -> Operand | None:
    """The pinned local that the instruction at ``pc`` assigns, if a result of the type can go straight there."""
    if c.code[pc] in (_LOCAL_SET, _LOCAL_TEE):
        local = c.locals_[c.code[pc + 1]]
        if local is not None and local.reg >= 0 and (local.type == type_ or fits(type_, local.type)):
            if c.stack[-1].kind >= SLOT or may_sink(c, local):
                return local
    return None


def finish(c: Compilation, pc: int, choice: Choice, sink: Operand | None) -> int:
    """Emit a choice and push its result: the position of the next instruction, after an assignment that took the
    result.
    """
    text, entry, free, tight = choice
    c.out += text
    if entry is sink:
        if c.code[pc] == _LOCAL_TEE:
            c.stack.append(entry)
        c.free = free
        return pc + 2
    c.stack.append(entry)
    c.free = relieve(c, free) if tight else free
    return pc


def retype(c: Compilation, index: int, type_: int) -> None:
    """Let the entry at ``index``, whose type fits another one, have that."""
    entry = c.stack[index]
    if entry.kind == SLOT:
        c.stack[index] = slot(type_, entry.offset)
    elif entry.kind == REGISTER:
        c.stack[index] = register(type_, entry.reg)
    elif entry.kind == CONSTANT:
        c.stack[index] = constant(type_, entry.value)
    else:
        # What names a local has the local's type, by which it is found when the local is assigned.
        if c.target.is_tight(c.free):
            c.free = relieve(c, c.free)
            if c.stack[index].kind == SLOT:
                c.stack[index] = slot(type_, c.stack[index].offset)
                return
        text, moved, c.free = c.target.copy_to_temporary(entry, c.free)
        c.out += text
        c.stack[index] = register(type_, moved.reg)
        if c.target.is_tight(c.free):
            c.free = relieve(c, c.free)


def retype_top(c: Compilation, types: tuple[int, ...], left_out: int = 0) -> None:
    """Let the topmost entries, which :func:`check_top` has found to fit these types, have them; the last ones of the
    types may be left out. Many are in their slots.
    """
    if c.runs and len(types) > MANY_VALUES:
        runs.gather(c, types, len(types) - left_out)
        return
    index = len(c.stack)
    for type_ in reversed(types[: len(types) - left_out] if left_out else types):
        index -= 1
        if c.stack[index].type != type_:
            retype(c, index, type_)


def pop_typed(c: Compilation, instruction: str, type_: int) -> Operand:
    """Pop an operand of the given type."""
    entry = c.stack[-1]
    if entry.type != type_ and not fits(entry.type, type_):
        if entry.kind > BARRIER:
            # A run: what is on top of it becomes an entry.
            runs.expose(c, 1)
            return pop_typed(c, instruction, type_)
        raise type_mismatch(instruction, (type_,), (None if entry.kind == BARRIER else entry.type,))
    c.stack.pop()
    return entry


def check_top(c: Compilation, instruction: str, types: tuple[int, ...]) -> None:
    """Check that the topmost entries fit these types, without popping them."""
    if not types:
        return
    stack = c.stack
    count = len(types)
    if c.folded:
        if count > MANY_VALUES:
            runs.check(c, instruction, types)
            return
        runs.expose(c, count)
    if count == 1:
        entry = stack[-1]
        if entry.type != types[0] and not fits(entry.type, types[0]):
            raise type_mismatch(instruction, types, (None if entry.kind == BARRIER else entry.type,))
        return
    top = stack[-count:]
    there = tuple([entry.type for entry in top])
    if there != types and not all_fit(there, types):
        found: list[int | None] = []
        for entry in reversed(top):
            if entry.kind == BARRIER:
                found.append(None)
                break
            found.append(entry.type)
        raise type_mismatch(instruction, types, found[::-1])


def push_result(c: Compilation, type_: int) -> None:
    """Push the single result of a call or a block, which is in the result register."""
    entry = register(type_, c.target.RESULT_REGISTER)
    c.stack.append(entry)
    c.free &= ~entry.bit


def push_slots(c: Compilation, types: Types) -> None:
    """Push values that are in their slots."""
    count = len(types)
    if count > MANY_VALUES:
        if not c.runs:
            raise NeedsRuns
        first = slot_offset(c, len(c.stack))
        slot_offset(c, len(c.stack) + count - 1)
        runs.push(c, types, first)
        return
    for type_ in types:
        c.stack.append(slot(type_, slot_offset(c, len(c.stack))))


def push_merged(c: Compilation, types: Types) -> None:
    """Push what all paths bring to where they meet: a single value in the result register, several in their slots."""
    if len(types) == 1:
        push_result(c, types[0])
    else:
        push_slots(c, types)


def cut(c: Compilation, height: int) -> None:
    """Drop all entries from ``height`` on."""
    if c.folded:
        runs.cut(c, height)
    else:
        del c.stack[height:]


def drop_values(c: Compilation, count: int) -> None:
    """Drop the topmost values, of which there are as many."""
    if c.folded:
        runs.drop(c, count)
    else:
        del c.stack[len(c.stack) - count :]


def types_fit(c: Compilation, found: Types, expected: Types) -> bool:
    """Whether there are as many values as expected, and each fits. Both are types of the module."""
    count = len(found)
    if count > MANY_VALUES and count == len(expected):
        return runs.fit(c.env, found, 0, expected, 0, count)
    return all_fit(found, expected)
