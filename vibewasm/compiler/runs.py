"""Runs: many values of a block, a call or a branch that are one entry of the operand stack.

A block type of four bytes may say a thousand values, and each ``block``, ``end``, ``br_if`` and ``call`` of it names
them all. So where a type has more than :data:`~vibewasm.backends.convention.MANY_VALUES`, what it pushes is a *run*: an
entry for neighbouring values that are all in their slots. A run is taken apart where single values are popped
(:func:`expose`), and put together where they are looked at as a whole (:func:`gather`); types are compared with those
of the type that the run was made for, which takes one step where they are the same.

The entry at index ``i`` is no longer the ``i``-th value then: ``Compilation.folded`` says how many values more than
entries there are. Runs are only in functions that need them (:class:`~.state.NeedsRuns`), where the loop calls
:class:`~.modes.Special` before each instruction, which sees to it that no instruction meets one unawares. What pops one
all the same finds a type that no value has, and refuses it.
"""

from __future__ import annotations

from ..backends.operand import BARRIER, SLOT, Operand, slot
from .state import Compilation, Types, all_fit, fits, type_mismatch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .environment import ModuleEnvironment

#: The kind of a run, besides those of :mod:`~vibewasm.backends.operand`; like a slot it ends the window.
RUN = BARRIER + 1
#: The type of a run, which no operand may have.
RUN_TYPE = -4
#: So many values at least become entries of their own at once: popping a run's values one by one is linear.
_AT_ONCE = 4
#: Comparisons of types that are kept.
_FITTING_LIMIT = 1 << 12


class Run(Operand):
    """An entry for several values in neighbouring slots.

    Attributes:
        types, start, count: their types are ``count`` from ``types[start]`` on.
        offset: frame offset of the first one.
    """

    __slots__ = ("count", "start", "types")

    def __init__(self, types: Types, start: int, count: int, offset: int) -> None:
        super().__init__(RUN, RUN_TYPE, offset=offset)
        self.types = types
        self.start = start
        self.count = count

    def __repr__(self) -> str:
        return f"<RUN count={self.count} offset={self.offset}>"


def fit(env: ModuleEnvironment, found: Types, at: int, expected: Types, start: int, count: int) -> bool:
    """Whether so many values of some types from a position on fit as many of others. Both are types of the module."""
    if found is expected and at == start:
        return True
    key = id(found), at, id(expected), start, count
    known = env.fitting.get(key)
    if known is None:
        if len(env.fitting) >= _FITTING_LIMIT:
            env.fitting.clear()
        matches = all_fit(found[at : at + count], expected[start : start + count])
        # The types are kept as well: no others can have their identities meanwhile.
        known = env.fitting[key] = matches, found, expected
    return known[0]


def values_above(c: Compilation, height: int) -> int:
    """How many values lie above the entry at ``height``."""
    above = c.stack[height + 1 :]
    return len(above) + sum([entry.count - 1 for entry in above if isinstance(entry, Run)])


def push(c: Compilation, types: Types, offset: int) -> None:
    """Push many values that are in their slots, the first at frame offset ``offset``."""
    c.stack.append(Run(types, 0, len(types), offset))
    c.folded += len(types) - 1


def cut(c: Compilation, height: int) -> None:
    """Drop all entries from ``height`` on."""
    for entry in c.stack[height:]:
        if isinstance(entry, Run):
            c.folded -= entry.count - 1
    del c.stack[height:]


def expose(c: Compilation, count: int) -> None:
    """Let the topmost values, as far as there are any in the block, be entries of their own."""
    stack = c.stack
    index = len(stack)
    while count > 0:
        index -= 1
        entry = stack[index]
        if entry.kind == BARRIER:
            return
        if isinstance(entry, Run):
            taken = min(entry.count, max(count, _AT_ONCE))
            _split(c, index, entry, entry.count - taken)
            count -= taken
        else:
            count -= 1


def _split(c: Compilation, index: int, run: Run, rest: int) -> None:
    """Let the values of the run at ``index`` be entries of their own, but for the first ones."""
    after = run.types[run.start + rest : run.start + run.count]
    first = run.offset + c.step * rest
    entries: list[Operand] = _first(run, rest)
    entries += [slot(type_, first + c.step * position) for position, type_ in enumerate(after)]
    c.stack[index : index + 1] = entries
    c.folded -= len(entries) - 1


def _first(entry: Operand, count: int) -> list[Operand]:
    """The entry, if any, of the first values of an entry."""
    if not isinstance(entry, Run):
        return [entry] if count else []
    if count == 1:
        return [slot(entry.types[entry.start], entry.offset)]
    return [Run(entry.types, entry.start, count, entry.offset)] if count else []


def _cover(c: Compilation, count: int) -> tuple[int, int]:
    """Where the topmost ``count`` values begin: the index of an entry, and how many of its values come before."""
    index = len(c.stack)
    while count > 0:
        index -= 1
        entry = c.stack[index]
        count -= entry.count if isinstance(entry, Run) else 1
    return index, -count


def drop(c: Compilation, count: int) -> None:
    """Drop the topmost values."""
    index, before = _cover(c, count)
    entry = c.stack[index]
    cut(c, index)
    c.stack += _first(entry, before)
    if before:
        c.folded += before - 1


def pop_all(c: Compilation, types: Types) -> int | None:
    """Pop the topmost values if they are one run whose types fit these: the frame offset of the first one."""
    run = c.stack[-1]
    count = len(types)
    if not isinstance(run, Run) or run.count != count or not fit(c.env, run.types, run.start, types, 0, count):
        return None
    c.stack.pop()
    c.folded -= run.count - 1
    return run.offset


def gather(c: Compilation, types: Types, count: int) -> None:
    """Let the topmost values, which are in their slots and fit the first ``count`` of some types, be one run that has
    these.
    """
    stack = c.stack
    index, before = _cover(c, count)
    entry = stack[index]
    first = entry.offset
    if before:
        first += c.step * before
    elif isinstance(entry, Run) and entry.types is types and not entry.start and entry.count == count:
        return
    height = len(stack)
    if stack[-1].kind < SLOT:
        raise AssertionError("values are put together that are not in their slots")
    stack[index:] = [*_first(entry, before), Run(types, 0, count, first)]
    c.folded += height - len(stack)


def check(c: Compilation, instruction: str, types: Types) -> None:
    """Check that the topmost values fit these types, which are many, without popping them."""
    stack = c.stack
    index = len(stack)
    left = len(types)
    while left:
        index -= 1
        entry = stack[index]
        if isinstance(entry, Run):
            count = min(entry.count, left)
            left -= count
            if fit(c.env, entry.types, entry.start + entry.count - count, types, left, count):
                continue
        else:
            left -= 1
            if entry.type == types[left] or fits(entry.type, types[left]):
                continue
        raise type_mismatch(instruction, types, _found(c, len(types)))


def _found(c: Compilation, count: int) -> list[int | None]:
    """Types of the topmost values, and ``None`` where one is missing."""
    found: list[int | None] = []
    for entry in reversed(c.stack):
        if entry.kind == BARRIER:
            found.append(None)
            break
        if isinstance(entry, Run):
            found += entry.types[entry.start : entry.start + entry.count][::-1]
        else:
            found.append(entry.type)
        if len(found) >= count:
            break
    return found[:count][::-1]
