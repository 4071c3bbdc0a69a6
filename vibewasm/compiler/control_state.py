"""What a function keeps that has tail calls, exceptions or locals without a first value: few functions have any.

**Scopes.** Where an exception goes is a matter of where it comes up: inside the body of a ``try_table`` (or of a
``try``) its clauses are asked, then those around it. No code says so: a *boundary* notes from which position on which
scope is in force, and :class:`Landings` is what is known of a function when an exception comes to it, found by
compiling it once more.

**Pads.** What catches for a clause of ``try_table`` stands out of line, after the body: it takes what was thrown to
where the clause's label expects it, and jumps there. Handlers of ``try`` stand in line.

**Passings.** Where arguments travel in many registers and places, code that passes them is long. It stands out of line
once in a function, for arguments that are in slots, and calls of two bytes call it.

**Tails.** A tail call goes on out of line as well, where it takes the frame down, whose size is known in the end only.
"""

from __future__ import annotations

from bisect import bisect_right

from ..backends.operand import MARKED_BARRIER, Operand, register
from ..opcodes import CODE
from ..types import EXNREF, NOT_NULL
from .locals import SHORT_INDICES
from .operand_stack import label_slot
from .state import FUNCTION, Compilation, Label, emit_fixups

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..backends.convention import ParameterPlaces
    from .locals import Locals
    from .modes.recording import Recording
    from .state import Types

#: Stands for the offset of a tag in a clause that catches everything.
ANY_TAG = -1
#: Opcodes of labels of a ``try`` of which a handler is being compiled.
HANDLERS_OF_TRY = (CODE["catch"], CODE["catch_all"])
#: No scope is in force: what is thrown goes to the caller.
OUTSIDE = -1


class Scope:
    """Where exceptions go that come up in the body of one ``try_table`` or ``try``.

    Attributes:
        outer: number of the scope that is asked after this one, or OUTSIDE.
        clauses: context offset of the tag's cell, or ANY_TAG, and position in the code of what catches.
        caught: of a ``try_table`` its clauses: index of the tag or ANY_TAG, whether the reference is wanted, and the
            label; ``None`` of a ``try``, whose handlers are not known before they come.
    """

    __slots__ = ("caught", "clauses", "outer")

    def __init__(self, outer: int, caught: list[tuple[int, bool, Label]] | None) -> None:
        self.outer = outer
        self.clauses: list[tuple[int, int]] = []
        self.caught = caught


class _Pad:
    """What catches for a clause: the scope that it belongs to, the context offset of the tag's cell, the types of the
    values, whether the reference follows them, where they go, and the instruction that they stand for.
    """

    __slots__ = ("label", "pc", "reference", "scope", "tag", "types")

    def __init__(self, scope: int, tag: int, types: Types, reference: bool, label: Label, pc: int) -> None:
        self.scope = scope
        self.tag = tag
        self.types = types
        self.reference = reference
        self.label = label
        self.pc = pc


class ControlState:
    """What one compilation keeps of scopes, pads, tails, and locals without a first value.

    Attributes:
        scopes: all scopes, by number.
        boundaries: position in the code, and number of the scope in force from there on, in order.
        scope: number of the scope in force.
        caught: labels that pads lead to.
        handlers: scopes of the ``try`` blocks whose handlers are being compiled, innermost last.
        end_handler: what ends the handler of a ``try``, once there is one.
        hidden: whether handlers of ``try`` keep a reference for ``rethrow``; ``None`` before it is known.
    """

    end_handler: Callable[[Compilation, Label], None]

    def __init__(self, c: Compilation) -> None:
        self.c = c
        self.scopes: list[Scope] = []
        self.boundaries: list[tuple[int, int]] = []
        self.scope = OUTSIDE
        self.caught: set[Label] = set()
        self.handlers: list[Scope] = []
        self.hidden: bool | None = None
        self._pads: list[_Pad] = []
        #: How many labels were open when each scope that is in force was opened, its own included, and its number.
        self._depths: list[int] = []
        self._open: list[int] = []
        self._passings: dict[ParameterPlaces, tuple[list[int], int]] = {}
        self._tails: dict[tuple[str, int, int], list[int]] = {}
        #: Homes of the locals that have no value, by index, of those whose index takes one byte.
        self._unset: dict[int, Operand] = {}
        #: Where the locals begin that have to be set, and those of them that have been, if their index takes more.
        self._first = 1 << 32
        self._set: set[int] = set()
        #: Locals that have been set, in order, and how many labels were open.
        self._assigned: list[tuple[int, int]] = []

    # -- locals without a first value ----------------------------------------------------------------------------------

    def unset_locals(self, params: int) -> None:
        """Note the declared locals that null does not belong to: they have to be set before they are read."""
        homes = self.c.locals
        self._first = params
        for index in range(params, min(homes.count, SHORT_INDICES)):
            home = homes.entries[index]
            if home is not None and _needs_value(home):
                self._unset[index] = home
                homes.entries[index] = None

    def is_unset(self, c: Compilation, index: int) -> bool:
        """Whether a local has no value yet."""
        if index in self._unset:
            return c.locals.entries[index] is None
        if index < SHORT_INDICES or index < self._first or index in self._set:
            return False
        home = c.locals.entry(index)
        return home is not None and _needs_value(home)

    def is_home(self, entry: Operand) -> bool:
        """Whether an entry is the home of a local that has no value: one may be left from where it had one."""
        return any(home is entry for home in self._unset.values())

    def assign(self, c: Compilation, index: int, depth: int = 0) -> Operand:
        """Note that a local has a value from here to the end of the innermost block: its home. ``depth`` counts the
        blocks that are open in dead code.
        """
        self._assigned.append((index, len(c.labels) + depth))
        home = self._unset.get(index)
        if home is not None:
            c.locals.entries[index] = home
        else:
            self._set.add(index)
            home = c.locals.entry(index)
            assert home is not None
        if not depth:
            label = c.labels[-1]
            # Where nothing was on the stack the barrier is what has been popped, which is refused next.
            if label.opcode != FUNCTION and label.height < len(c.stack):
                c.stack[label.height] = MARKED_BARRIER
        return home

    def forget(self, depth: int) -> None:
        """At the end of the block at that depth: what was set in it has no value any more."""
        assigned = self._assigned
        while assigned and assigned[-1][1] >= depth:
            index, _ = assigned.pop()
            if index in self._unset:
                self.c.locals.entries[index] = None
            else:
                self._set.discard(index)

    # -- scopes --------------------------------------------------------------------------------------------------------

    def open_scope(self, caught: list[tuple[int, bool, Label]] | None) -> int:
        """Open a scope whose label is the innermost: its number."""
        number = len(self.scopes)
        self.scopes.append(Scope(self.scope, caught))
        self._depths.append(len(self.c.labels))
        self._open.append(number)
        self._enter(number)
        return number

    def close_scope(self) -> Scope:
        """Close the innermost scope."""
        self._depths.pop()
        scope = self.scopes[self._open.pop()]
        self._enter(self._open[-1] if self._open else OUTSIDE)
        return scope

    def scope_at(self, depth: int) -> int:
        """The number of the scope in force in the ``depth``-th block from outside; the function's is the first."""
        position = bisect_right(self._depths, depth)
        return self._open[position - 1] if position else OUTSIDE

    def _enter(self, scope: int) -> None:
        self.scope = scope
        position = len(self.c.out)
        if self.boundaries and self.boundaries[-1][0] == position:
            self.boundaries.pop()
        self.boundaries.append((position, scope))

    def end_block(self, label: Label) -> None:
        """At the end of the innermost block, whose barrier is marked: what ends with it, before its results are looked
        at.
        """
        depth = len(self.c.labels)
        if self._depths and self._depths[-1] == depth:
            self.close_scope()
        self.forget(depth)
        if label.opcode in HANDLERS_OF_TRY:
            self.end_handler(self.c, label)

    def pad(self, scope: int, tag: int, types: Types, reference: bool, label: Label) -> None:
        """Have a clause of a scope catch: see :class:`_Pad`."""
        c = self.c
        self._pads.append(_Pad(scope, tag, types, reference, label, c.pc))
        self.caught.add(label)
        # What it brings may be more than what is ever on the stack there.
        c.deepest = max(c.deepest, label.height + len(label.types) - label.depth)

    def pass_out_of_line(self, places: ParameterPlaces, first_slot: int) -> None:
        """Pass arguments that are in consecutive slots by what is out of line."""
        c = self.c
        call, after = c.env.pieces[c.env.calls.pass_out_of_line][first_slot,]
        c.out += call
        self._passings.setdefault(places, ([], c.pc))[0].append(len(c.out))
        c.out += after

    def tail(self, kind: str, offset: int, area: int) -> None:
        """Jump to what takes the frame down and goes on in another function, which has an argument area of so many
        bytes. Arguments are where it expects them, and the area lies at the stack pointer.

        Args:
            kind: "slot" (of this instance, by its call slot at the context offset), "self", or "record".
        """
        c = self.c
        c.out += c.env.jump
        self._tails.setdefault((kind, offset, area), []).append(len(c.out))

    # -- what stands out of line ---------------------------------------------------------------------------------------

    def emit(self, size: int, area: int, recording: Recording | None) -> None:
        """Emit pads, passings and tails, when the body has been compiled.

        Args:
            size: of the frame.
            area: of the function's own argument area, in bytes.
        """
        c = self.c
        out = c.out
        for pad in self._pads:
            if recording is not None:
                recording.marks.append((len(out), pad.pc))
            self.scopes[pad.scope].clauses.append((pad.tag, len(out)))
            self._emit_pad(pad)
        for places, (sites, pc) in self._passings.items():
            emit_fixups(c, sites, len(out))
            if recording is not None:
                recording.marks.append((len(out), pc))
            out += c.env.pieces[c.env.calls.passing_routine][(places, *c.env.width)]
        if not self._tails:
            return
        tails = c.env.backend.tail_calls
        homes = c.locals
        for (kind, offset, passed), sites in self._tails.items():
            emit_fixups(c, sites, len(out))
            if recording is not None:
                recording.marks.append((len(out), c.end))
            out += c.env.pieces[tails.leave_frame][size, homes.pinned_ints, homes.pinned_floats, area, passed]
            if kind == "slot":
                out += tails.jump_slot(offset)
            elif kind == "self":
                out += tails.jump_self()
                c.self_calls.append(len(out))
            else:
                out += c.env.pieces[tails.jump_record][passed,]

    def _emit_pad(self, pad: _Pad) -> None:
        c = self.c
        env = c.env
        exceptions = env.backend.exceptions
        label = pad.label
        count = len(pad.types)
        if label.in_register():
            c.out += exceptions.caught_value(pad.types[0]) if count else exceptions.caught_reference()
        else:
            first = label_slot(c, label)
            if count:
                c.out += env.pieces[exceptions.caught_values][(count, first, *env.width)]
            if pad.reference:
                c.out += exceptions.caught_reference()
                reference = register(EXNREF, c.target.RESULT_REGISTER)
                c.out += c.target.move_to_slot(reference, first + c.step * count, c.target.ALL_FREE & ~reference.bit)
        c.out += env.control.jump_back(len(c.out) - label.target)

    def restore(self) -> None:
        """At the end: let the homes of locals be known again."""
        for index, home in self._unset.items():
            self.c.locals.entries[index] = home


def _needs_value(home: Operand) -> bool:
    """Whether null does not belong to a local's type, so that it has no first value."""
    if home.type < NOT_NULL:
        return False
    from ..reference_types import is_nullable

    return not is_nullable(home.type)


def control_state(c: Compilation) -> ControlState:
    """What a compilation keeps of these things, made when the first is met."""
    if c.control is None:
        c.control = ControlState(c)
    return c.control


class Landings:
    """What is known of a function where exceptions come to it.

    Attributes:
        code: the machine code, the same bytes as when it was compiled to be run.
        ints, floats: how many pinned registers of each class it saves.
        frame_size: bytes of its frame below the frame pointer.
        scopes: of each scope the number of the one that is asked after it, or -1, and its clauses: context offset of
            the tag's cell, or -1 for any, and position in the code of what catches.
        boundaries: position in the code, and number of the scope in force from there on, or -1, in order.
    """

    __slots__ = ("boundaries", "code", "floats", "frame_size", "ints", "scopes")

    def __init__(self) -> None:
        self.code = b""
        self.ints = self.floats = self.frame_size = 0
        self.scopes: list[tuple[int, list[tuple[int, int]]]] = []
        self.boundaries: list[tuple[int, int]] = []

    def take(self, c: Compilation, homes: Locals, size: int, start: int) -> None:
        """Take over what a compilation has found; ``start`` is the length of its prologue."""
        self.ints, self.floats = homes.pinned_ints, homes.pinned_floats
        self.frame_size = size
        control = c.control
        if control is not None:
            self.scopes = [
                (scope.outer, [(tag, position + start) for tag, position in scope.clauses]) for scope in control.scopes
            ]
            self.boundaries = [(position + start, scope) for position, scope in control.boundaries]
