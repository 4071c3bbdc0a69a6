"""What the compiler does besides in its rarer modes: it notes what became of each instruction, it checks itself, it
counts fuel, or it takes apart what stands for many operands, before every instruction of a function.
"""

from __future__ import annotations

from ...backends.operand import FLAGS
from ...opcodes import TABLE
from ..state import Late
from .checking import Discipline
from .metering import Meter
from .recording import Record, Recording

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .. import runs
    from ..state import Compilation
else:
    runs = Late("runs")

__all__ = ["Record", "Recording", "Special"]


#: Operands that an instruction may look at whose table row does not say how many it has.
_MOST_OPERANDS = 4
#: Those that see to runs themselves: they look at operands by the types of a label or a function, or at none.
_EXPOSE_THEMSELVES = """
    block loop if else end br br_if br_table return unreachable nop call call_indirect return_call return_call_indirect
    try_table throw try catch catch_all delegate rethrow local.get i32.const i64.const f32.const f64.const
""".split()
#: Those that take one operand, and others, if any, by such types.
_ONE = "drop local.set local.tee global.set ref.as_non_null br_on_null br_on_non_null call_ref return_call_ref".split()
_OPERANDS_BY_NAME = {**dict.fromkeys(_EXPOSE_THEMSELVES, 0), **dict.fromkeys(_ONE, 1)}


def _find_operands() -> tuple[int, ...]:
    operands = [_MOST_OPERANDS] * 256
    for code, name, _, taken, *_ in TABLE:
        if code < 256 and (taken or name in _OPERANDS_BY_NAME):
            operands[code] = _OPERANDS_BY_NAME.get(name, len(taken or ""))
    return tuple(operands)


#: By opcode byte, how many operands have to be entries of their own before the instruction.
_OPERANDS = _find_operands()


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
        if c.folded:
            operands = _OPERANDS[c.code[pc]]
            if operands:
                runs.expose(c, operands)
        if self.marks is not None:
            self.marks.append((len(c.out), pc))
        # Emitting a check takes nothing from the stack.
        top = c.stack[-1]
        if self.discipline is not None:
            self.discipline.verify(pc)
            self.discipline.emit(top)
        if self.meter is not None:
            self.meter.count(pc, top.kind == FLAGS)
