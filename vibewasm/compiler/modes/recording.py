"""Which machine code belongs to which instruction: made by compiling a function once more when it is first needed."""

from __future__ import annotations

from bisect import bisect_right

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..locals import Locals


class Recording:
    """What the compiler notes while it compiles with recording on; positions count from the start of the body's code.

    Attributes:
        marks: ``(position, position in the expression)`` of what each instruction became, the parts out of line too.
        tables: of each jump table where it begins, padding before it included, where its entries begin, and where
            they lead.
        cold: where code out of line begins.
        homes: homes of the locals.
        literals: of each vector constant beside the code where it begins, padding before it included, and where its 16
            bytes begin.
        first_slot, step: frame offset of the operand stack's first slot, and from one cell of the frame to the next.
        frame_size: bytes of the frame below the frame pointer.
    """

    __slots__ = ("cold", "first_slot", "frame_size", "homes", "literals", "marks", "step", "tables")

    homes: Locals

    def __init__(self) -> None:
        self.marks: list[tuple[int, int]] = []
        self.tables: list[tuple[int, int, list[int]]] = []
        self.literals: list[tuple[int, int]] = []
        self.clear()

    def clear(self) -> None:
        """Forget everything, before the function is compiled anew."""
        self.marks.clear()
        self.tables.clear()
        self.cold = 0
        self.literals.clear()
        self.first_slot = 0
        self.step = 0
        self.frame_size = 0


class Record:
    """The mapping of one function's machine code to its bytecode, and what its frame holds.

    Attributes:
        code: the machine code, the same bytes as compiling without recording gave.
        marks: ``(machine-code offset, byte offset in the module)`` of each instruction, by machine-code offset.
        expression: byte offset in the module of the function's first instruction.
        prologue: length of the code before the first instruction's.
        cold: where code out of line begins, and data after it: traps, polls, jump tables.
        tables: the jump tables, which are no code: of each where it begins, padding before it included, where its
            entries (4 bytes each) begin, and where they lead.
        literals: the vector constants, the same way: where each begins, padding before it included, and where its 16
            bytes begin.
        homes, first_slot, step, frame_size: see :class:`Recording`.
    """

    __slots__ = (
        "_starts",
        "code",
        "cold",
        "expression",
        "first_slot",
        "frame_size",
        "homes",
        "literals",
        "marks",
        "prologue",
        "step",
        "tables",
    )

    def __init__(self, code: bytes, prologue: int, expression: int, recording: Recording) -> None:
        self.code = code
        self.prologue = prologue
        self.expression = expression
        marks = [(position + prologue, expression + pc) for position, pc in recording.marks]
        self.marks = sorted(marks, key=lambda mark: mark[0])
        self._starts = [mark[0] for mark in self.marks]
        self.cold = recording.cold + prologue
        self.tables = [
            (start + prologue, entries + prologue, [target + prologue for target in targets])
            for start, entries, targets in recording.tables
        ]
        self.homes = recording.homes
        self.literals = [(start + prologue, bits + prologue) for start, bits in recording.literals]
        self.first_slot = recording.first_slot
        self.step = recording.step
        self.frame_size = recording.frame_size

    def wasm_offset(self, code_offset: int) -> int | None:
        """Byte offset in the module of the instruction whose code contains ``code_offset``.

        ``None`` before the first.
        """
        index = bisect_right(self._starts, code_offset) - 1
        return self.marks[index][1] if index >= 0 else None
