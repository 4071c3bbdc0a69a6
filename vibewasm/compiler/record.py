"""Which machine code belongs to which instruction: made by compiling a function once more when it is first needed."""

from __future__ import annotations

from bisect import bisect_right


class Record:
    """The mapping of one function's machine code to its bytecode.

    Attributes:
        code: the machine code, the same bytes as compiling without recording gave.
        marks: ``(machine-code offset, byte offset in the module)`` of each instruction, by machine-code offset.
    """

    __slots__ = ("_starts", "code", "marks")

    def __init__(self, code: bytes, marks: list[tuple[int, int]]) -> None:
        self.code = code
        self.marks = sorted(marks, key=lambda mark: mark[0])
        self._starts = [mark[0] for mark in self.marks]

    def wasm_offset(self, code_offset: int) -> int | None:
        """Byte offset in the module of the instruction whose code contains ``code_offset``.

        ``None`` before the first.
        """
        index = bisect_right(self._starts, code_offset) - 1
        return self.marks[index][1] if index >= 0 else None
