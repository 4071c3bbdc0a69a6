"""A reader for the s-expressions of the official suite's scripts.

A script is a run of parenthesised forms. An atom is read as `str`, a string literal as `bytes` (its escapes
resolved), a form as a `list` of these. Every top-level form comes with the line on which it starts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

Node: TypeAlias = "str | bytes | list[Node]"


class Form(NamedTuple):
    """A top-level form of a script."""

    line: int
    items: list[Node]


class ScriptSyntaxError(ValueError):
    """The text is not a run of well-formed s-expressions; the message says on which line."""


# Alternatives are tried in order; whitespace between tokens is skipped by the first of them.
_TOKEN = re.compile(
    r"""
    [\s]+
    | (?P<open>\((?!;))
    | (?P<close>\))
    | "(?P<string>(?:[^"\\\n]|\\.)*)"
    | (?P<atom>[^\s"();]+)
    | ;;[^\n]*
    | (?P<block>\(;)
    | (?P<bad>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_BLOCK_EDGE = re.compile(r"\(;|;\)")
_HEX_ONLY = re.compile(r"(?:\\[0-9a-fA-F]{2})*")
_ESCAPE = re.compile(r"\\(?:u\{([0-9a-fA-F_]+)\}|([0-9a-fA-F]{2})|(.))", re.DOTALL)
_SIMPLE_ESCAPES = {"t": b"\t", "n": b"\n", "r": b"\r", '"': b'"', "'": b"'", "\\": b"\\"}


def read(text: str) -> Iterator[Form]:
    """Yields the top-level forms of `text`; raises `ScriptSyntaxError`."""
    stack: list[list[Node]] = []
    items: list[Node] = []
    line, counted = 1, 0
    position, end = 0, len(text)
    match_at = _TOKEN.match
    while position < end:
        match = match_at(text, position)
        assert match is not None  # the last alternative takes any character
        start, position = position, match.end()
        kind = match.lastgroup
        if kind is None:
            continue
        if kind == "open":
            if not stack:
                line += text.count("\n", counted, start)
                counted = start
            stack.append(items)
            items = []
        elif kind == "close":
            if not stack:
                raise ScriptSyntaxError(f"line {_line(text, start)}: a closing parenthesis that closes nothing")
            form, items = items, stack.pop()
            if stack:
                items.append(form)
            else:
                yield Form(line, form)
        elif kind == "block":
            position = _end_of_block_comment(text, start)
        elif kind == "bad" or not stack:
            raise ScriptSyntaxError(f"line {_line(text, start)}: unexpected {text[start:position][:20]!r}")
        elif kind == "atom":
            items.append(match.group("atom"))
        else:
            items.append(unescape(match.group("string")))
    if stack:
        raise ScriptSyntaxError(f"line {line}: the form that starts here is never closed")


def unescape(text: str) -> bytes:
    """The bytes that the inside of a string literal stands for."""
    if _HEX_ONLY.fullmatch(text):
        return bytes.fromhex(text.replace("\\", ""))
    if "\\" not in text:
        return text.encode()
    parts: list[bytes] = []
    position = 0
    for match in _ESCAPE.finditer(text):
        parts.append(text[position : match.start()].encode())
        position = match.end()
        scalar, pair, simple = match.groups()
        if scalar is not None:
            parts.append(chr(int(scalar, 16)).encode())
        elif pair is not None:
            parts.append(bytes.fromhex(pair))
        elif simple in _SIMPLE_ESCAPES:
            parts.append(_SIMPLE_ESCAPES[simple])
        else:
            raise ScriptSyntaxError(f"unknown escape \\{simple} in a string")
    parts.append(text[position:].encode())
    return b"".join(parts)


def show(node: Node, limit: int = 200) -> str:
    """`node` as text on one line, cut to about `limit` characters; long strings are abbreviated."""
    text = _show(node)
    return text if len(text) <= limit else text[: limit - 4] + " ..."


def _show(node: Node) -> str:
    if isinstance(node, str):
        return node
    if isinstance(node, bytes):
        if len(node) > 40:
            return f'"...{len(node)} bytes..."'
        return '"' + "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\{b:02x}" for b in node) + '"'
    parts: list[Node] = []
    for part in node:
        if isinstance(part, bytes) and parts and isinstance(parts[-1], bytes):
            parts[-1] += part  # consecutive strings are one string on several lines
        else:
            parts.append(part)
    return "(" + " ".join(map(_show, parts)) + ")"


def _end_of_block_comment(text: str, start: int) -> int:
    depth = 0
    for edge in _BLOCK_EDGE.finditer(text, start):
        depth += 1 if edge.group() == "(;" else -1
        if depth == 0:
            return edge.end()
    raise ScriptSyntaxError(f"line {_line(text, start)}: the comment that starts here is never closed")


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1
