"""What the compiler does besides in its rarer modes: it notes what became of each instruction, it checks itself, or it
counts fuel, before every instruction of a function.
"""

from __future__ import annotations

from ...backends.operand import FLAGS
from .checking import Discipline
from .metering import Meter
from .recording import Record, Recording

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..state import Compilation

__all__ = ["Record", "Recording", "Special"]


class Special:
    """Called by the loop before every instruction."""

    def __init__(self, c: Compilation, recording: Recording | None, checked: bool, fuel: bool) -> None:
        self.c = c
        self.recording = recording
        self.marks = recording.marks if recording is not None else None
        self.discipline = Discipline(c) if checked else None
        self.meter = Meter(c) if fuel else None

    def __call__(self, pc: int) -> None:
        c = self.c
        if self.marks is not None:
            self.marks.append((len(c.out), pc))
        # Emitting a check takes nothing from the stack.
        top = c.stack[-1]
        if self.discipline is not None:
            self.discipline.verify(pc)
            self.discipline.emit(top)
        if self.meter is not None:
            self.meter.count(pc, top.kind == FLAGS)
