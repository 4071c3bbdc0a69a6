"""Checked mode: the rules that the operand stack obeys between instructions, verified before each of them.

A fault here is one of the compiler, not of the module that is compiled: two values in one register, or a register that
nobody holds and nobody may take, is how a one-pass compiler goes wrong without emitting anything that looks wrong.
"""

from __future__ import annotations

from ...backends.operand import BARRIER, FLAGS, I32, LOCAL, REGISTER, SLOT, Operand, lowest_register
from ...opcodes import codes_with, name_of
from ..instructions.vector_locals import mask
from ..operand_stack import WINDOW
from ..runs import Run
from ..state import Compilation

_TAKES_FLAGS = codes_with("tests")


#: So many entries from the top down are looked at before every instruction: more than any instruction changes. What is
#: below stays as it was when it was one of these, or all of it goes to slots at once.
_LOOKED_AT = WINDOW + 8


class Discipline:
    """What has to hold of one compilation before every instruction."""

    def __init__(self, c: Compilation) -> None:
        self._c = c
        #: Entries that were looked at before they got so deep, from the bottom up, and the registers that those of them
        #: hold that are above the topmost slot below each.
        self._deep: list[Operand] = []
        self._held: list[int] = []

    def verify(self, pc: int) -> None:
        """Look at the entries that are not in their slots, and at the topmost slot.

        Everything below is in slots as well, and stays as it was when this looked at it.

        Raises:
            AssertionError: a rule is broken; the message says which, and before which instruction.
        """
        c = self._c
        stack = c.stack
        index = top = len(stack)
        deepest = max(top - _LOOKED_AT, 0)
        del self._deep[deepest:], self._held[deepest:]
        held = mask(c) if c.kept else 0
        while stack[index - 1].kind < SLOT:
            if index == deepest:
                below = self._held_below(index)
                if below & (c.free | held):
                    raise self._broken(pc, index - 1, "a register is free, or held above, that it or one below holds")
                held |= below
                break
            index -= 1
            entry = stack[index]
            if entry.kind == FLAGS and (index != top - 1 or c.code[pc] not in _TAKES_FLAGS):
                raise self._broken(pc, index, "a comparison is left in the flags where nothing takes it from there")
            if entry.kind == REGISTER and not entry.bit:
                raise self._broken(pc, index, "the register is no temporary")
            if entry.kind == LOCAL and not (c.locals.is_home(entry) or (c.control and c.control.is_home(entry))):
                raise self._broken(pc, index, "the entry is not the home of any local")
            if entry.bit & (c.free | held):
                raise self._broken(pc, index, "the register is free, or holds another entry as well")
            held |= entry.bit
        if c.free | held != c.target.ALL_FREE:
            lost = c.target.ALL_FREE & ~(c.free | held)
            raise self._broken(pc, top - 1, f"the temporaries {lost:#x} are neither free nor held by an entry")
        lowest = stack[index - 1]
        position = index - 1 - len(c.labels) + c.folded
        if isinstance(lowest, Run):
            position -= lowest.count - 1
        if SLOT <= lowest.kind != BARRIER and lowest.offset != c.slot_base + c.step * position:
            raise self._broken(pc, index - 1, "the slot is not that of the entry's place")

    def _held_below(self, height: int) -> int:
        """The registers that entries below ``height`` hold, down to the topmost slot there.

        What it found before is looked up, so the stack may be deep.
        """
        stack, deep, held = self._c.stack, self._deep, self._held
        while deep and deep[-1] is not stack[len(deep) - 1]:
            deep.pop()
            held.pop()
        for entry in stack[len(deep) : height]:
            deep.append(entry)
            held.append(0 if entry.kind >= SLOT else (held[-1] if held else 0) | entry.bit)
        return held[-1]

    def emit(self, top: Operand) -> None:
        """Emit code that verifies that an i32 in a register on top of the stack is zero-extended."""
        c = self._c
        free = c.free & c.target.INT_TEMPORARIES
        if free and top.type == I32 and top.reg >= 0 and top.kind in (REGISTER, LOCAL):
            c.out += c.env.control.check_zero_extended(top.reg, lowest_register(free))

    def _broken(self, pc: int, index: int, rule: str) -> AssertionError:
        c = self._c
        return AssertionError(
            f"function {c.self_index}, before {name_of(c.code[pc])} at {c.base + pc:#x}: entry {index} of the operand "
            f"stack is {c.stack[index]!r}: {rule}"
        )
