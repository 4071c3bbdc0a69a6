"""Which line of a text each instruction comes from, for tools that show both."""

from __future__ import annotations

from bisect import bisect_right

from ..opcodes import CODE
from .lexer import Tokens
from .module_reader import ModuleReader
from .name_section import name_section
from .reader import wat2wasm
from .words import CATCHES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import SupportsIndex

    from _typeshed import ReadableBuffer


#: What may stand in parentheses among an instruction's immediates.
_CLAUSES = frozenset(("type", "param", "result", *[word for word, _ in CATCHES]))


class _Traced(bytearray):
    """The bytes of an expression, which notes where the reader is when an instruction is added.

    Attributes:
        tokens: by the position of an instruction in the expression, the index of a token that belongs to it.
    """

    __slots__ = ("reader", "tokens")

    reader: _TracingReader
    tokens: dict[int, int]

    def __iadd__(self, code: ReadableBuffer) -> _Traced:  # type: ignore[override]  # as bytearray does
        self.tokens[len(self)] = self.reader.keyword()
        super().__iadd__(code)
        return self

    def append(self, byte: SupportsIndex) -> None:
        # An `else` or an `end`, which may be a parenthesis only.
        self.tokens[len(self)] = self.reader.position - 1
        super().append(byte)


class _TracingReader(ModuleReader):
    """Reads a module, and keeps of each function where its instructions come from.

    Attributes:
        traces: the expressions of the functions that the module defines.
    """

    def __init__(self, tokens: Tokens) -> None:
        super().__init__(tokens)
        self.traces: list[_Traced] = []
        self._latest = _Traced()
        #: By a parenthesis that closes a form: the one that opens it. By one that opens it: that of the form around it.
        self._openers: dict[int, int] = {}
        self._around: dict[int, int] = {}
        opened = [0]
        for index, token in enumerate(self.tokens):
            if token == "(":
                self._around[index] = opened[-1]
                opened.append(index)
            elif token == ")" and len(opened) > 1:
                self._openers[index] = opened.pop()

    def keyword(self) -> int:
        """The token of the instruction that has been read: of a folded one it stands after its parenthesis."""
        position, tokens = self.position, self.tokens
        if tokens[position] == "(" and tokens[position + 1] == "then":
            return self._around[position] + 1
        before = position - 1
        while tokens[before] == ")":
            opener = self._openers[before]
            if tokens[opener + 1] not in _CLAUSES:
                return opener + 1
            before = opener - 1
        return before

    def expression(self, single: bool = False) -> bytearray:
        """An expression, traced."""
        out = _Traced()
        out.reader = self
        out.tokens = {}
        self._latest = out
        self._after_else = 0
        self._instructions(out, single)
        out.append(CODE["end"])
        return out

    def _func(self) -> None:
        defined = len(self.codes)
        super()._func()
        if len(self.codes) > defined:
            self.traces.append(self._latest)


def wat2wasm_with_lines(source: str) -> tuple[bytes, list[list[tuple[int, int]]]]:
    """What :func:`~vibewasm.wat.wat2wasm` gives with names, and where instructions come from.

    Returns:
        the binary module, and for each function that it defines ``(distance, line)`` of its instructions in their
        order: how many bytes before the end of the body one begins, and the line of the text, counted from 1. There
        are none for a module that is given as a binary or a quotation.

    Raises:
        WatError, ValidationError: as :func:`~vibewasm.wat.wat2wasm` does.
    """
    tokens = Tokens(source)
    reader = _TracingReader(tokens)
    module = reader.read()
    if module is None:
        return wat2wasm(source, names=True), []
    starts = [0]
    while (newline := tokens.text.find("\n", starts[-1])) >= 0:
        starts.append(newline + 1)
    lines = [
        [
            (len(trace) - offset, bisect_right(starts, tokens.starts[token]))
            for offset, token in sorted(trace.tokens.items())
            if offset < len(trace)
        ]
        for trace in reader.traces
    ]
    return module + name_section(reader), lines
