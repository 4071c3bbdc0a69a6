"""The modules in the official suite's scripts, which may be text, a quotation or a binary."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from vibewasm.wat.lexer import Tokens
from vibewasm.wat.literals import decode_string
from vibewasm.wat.quoting import quote_bytes


class ScriptModule(NamedTuple):
    """A module in a script.

    Attributes:
        line: on which line its command begins.
        command: ``module``, ``assert_invalid`` and so on.
        kind: ``text``, ``binary`` or ``quote``.
        text: the form itself, without the word ``definition``.
        data: the contents of a binary or a quotation.
        message: the text that an assertion expects.
    """

    line: int
    command: str
    kind: str
    text: str
    data: bytes
    message: str


def modules(script: str) -> Iterator[ScriptModule]:
    """The modules of a script, in its order."""
    read = Tokens(script)
    tokens = read.tokens
    position = 0
    if tokens[1:2] in (["func"], ["memory"]):
        # A script may be the fields of one module.
        yield ScriptModule(1, "module", "text", script, b"", "")
        return
    while tokens[position]:
        end = _end(tokens, position)
        at = position
        if tokens[position + 1].startswith("assert_"):
            at += 2
        if tokens[at : at + 2] == ["(", "module"] and tokens[at + 2] != "instance":
            yield _module(read, tokens[position + 1], position, at, end)
        position = end


def quoted(script: str) -> str:
    """The script with each module that it has as text in a quotation, on the same lines.

    A reader of s-expressions need not know then what may stand in a module.
    """
    read = Tokens(script)
    tokens, starts = read.tokens, read.starts
    if tokens[1:2] in (["func"], ["memory"]):
        return f"(module quote {_quotation(script)})"
    parts = []
    position = done = 0
    while tokens[position]:
        if tokens[position] == ")":  # the end of a thread
            position += 1
            continue
        if tokens[position + 1] == "thread":
            # What is inside are commands too.
            position += 3
            continue
        end = _end(tokens, position)
        at = position + 2 if tokens[position + 1].startswith("assert_") else position
        if tokens[at : at + 2] == ["(", "module"] and tokens[at + 2] != "instance":
            head = at + 2 + (tokens[at + 2] == "definition")
            name = tokens[head] if tokens[head][0] == "$" else ""
            if tokens[head + bool(name)] not in ("binary", "quote"):
                last = starts[_end(tokens, at) - 1]
                inside = read.text[starts[head] : last]
                definition = "definition " if tokens[at + 2] == "definition" else ""
                parts.append(read.text[done : starts[at]])
                parts.append(f"(module {definition}{name} quote {_quotation(f'(module {inside})')}")
                parts.append("\n" * read.text.count("\n", starts[at], last))
                done = last
        position = end
    return "".join(parts) + read.text[done:]


def _quotation(text: str) -> str:
    return quote_bytes(text.encode())


def _module(read: Tokens, command: str, start: int, at: int, end: int) -> ScriptModule:
    tokens, starts = read.tokens, read.starts
    line = read.text.count("\n", 0, starts[start]) + 1
    last = _end(tokens, at)
    text = read.text[starts[at] : starts[last - 1] + 1]
    head = at + 2
    if tokens[head] == "definition":
        text = "(module " + read.text[starts[head] + len("definition") : starts[last - 1] + 1]
        head += 1
    if tokens[head][0] == "$":
        head += 1
    kind = tokens[head] if tokens[head] in ("binary", "quote") else "text"
    data = b"".join(map(decode_string, tokens[head + 1 : last - 1])) if kind != "text" else b""
    message = tokens[end - 2][1:-1] if command != "module" else ""
    return ScriptModule(line, command, kind, text, data, message)


def _end(tokens: list[str], position: int) -> int:
    depth = 0
    while True:
        token = tokens[position]
        depth += (token == "(") - (token == ")")
        position += 1
        if not depth:
            return position
        assert token, "the script ends within a form"
