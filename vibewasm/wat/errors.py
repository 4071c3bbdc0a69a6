"""The exception of the text format."""

from __future__ import annotations

from ..errors import DecodeError, check
from ..names import escaped


class WatError(DecodeError):
    """Text that is not a module: malformed in the sense of the specification, "Text Format".

    Attributes:
        message: what is wrong, beginning with the official suite's words where it has some.
        offset: where, in characters from the start of the text.
        line, column: the same place, both counted from 1.
        source_line: the text of that line.
    """

    def __init__(self, message: str, offset: int, line: int, column: int, source_line: str) -> None:
        super().__init__(message, offset)
        check(self, "line", line, int)
        check(self, "column", column, int)
        check(self, "source_line", source_line, str)
        self.args = (message, offset, line, column, source_line)
        self.line = line
        self.column = column
        self.source_line = source_line

    def __str__(self) -> str:
        # A window of the line, so that a file of one long line does not fill the screen.
        first = max(0, self.column - 61)
        shown = self.source_line[first : first + 100].replace("\t", " ")
        # The text is a stranger's, and what it has of control characters is for no terminal.
        caret = " " * len(escaped(shown[: self.column - 1 - first])) + "^"
        shown = escaped(shown)
        return f"{self.message} (line {self.line}, column {self.column})\n  {shown}\n  {caret}"
