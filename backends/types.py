"""Types of what backends and their users hand to each other. Nothing imports this at run time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from .assembly import Selection
from .operand import Operand

#: A rule of an instruction: ``rule(selection, sink, *operands)`` appends code to the selection and returns the entry of
#: the result. ``sink`` is the pinned local that takes the result, ``WANT_FLAGS`` where a comparison may stay in the
#: flags, or ``None``.
Rule = Callable[..., Operand]
#: Code, the result's entry, the temporaries free afterwards, and whether they are few.
Choice = tuple[bytes, Operand, int, bool]
#: The same with a gap in the code for a displacement or an immediate.
SplitChoice = tuple[bytes, bytes, Operand, int, bool]
#: The same of an instruction with vectors, and the constants that its code reads from beside itself: the end of the
#: instruction that does, and the bits, ``None`` for those of the operand that is :data:`.operand.LITERAL`.
VectorChoice = tuple[bytes, Operand, int, bool, tuple[tuple[int, "int | None"], ...]]
#: Where parameters arrive: a register or a negative number, and the byte offset in the argument area.
Places = tuple[tuple[int, int], ...]


class SignalContext(Protocol):
    """Where a handler finds what was interrupted: offsets in ``ucontext_t`` and ``siginfo_t``; signal numbers."""

    registers: tuple[int, ...]
    pc: int
    code: int
    address: int
    sigill: int
    sigfpe: int


class Choosing(Protocol):
    """A target, as far as the choices of vector instructions concern it; :class:`~.choices.Choices` is one."""

    new_selection: type[Selection]

    def module(self, name: str) -> Any: ...

    def is_tight(self, free: int) -> bool: ...


class Carrying(Protocol):
    """A target, as far as the choices that are carried concern it; :class:`~.choices.Choices` is one."""

    STAND_INS: tuple[Operand, ...]

    @property
    def folder(self) -> str: ...

    def variant(self) -> int: ...
