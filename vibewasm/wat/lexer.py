"""Text into tokens (specification, "Text Format / Lexical Format").

A token is a ``str`` whose first character tells its kind: a parenthesis, ``"`` for a string (still escaped), ``$`` for
an identifier, a digit or sign for a number, a letter for a keyword. The last token is empty. Comments and annotations
are gone.
"""

from __future__ import annotations

import re

from ..names import escaped
from .errors import WatError
from .literals import STRING, STRING_PARTS, decode_string

#: Characters of the longest token that is no string (specification, "Appendix / Implementation Limitations").
_LONGEST = 100_000
_IDENTIFIER = r"[0-9A-Za-z!#$%&'*+\-./:<=>?@\\^_`|~]"
_WORD = rf"{_IDENTIFIER}{{1,{_LONGEST}}}+"
#: As much of it as is matched at once. No match takes long, since nothing can be cut short within one.
_SPACE = r"(?:[ \t\n\r]{1,4096}+|;;[^\n\r]{0,4096}+(?=[\n\r]|\Z)){0,4096}+"
#: Characters of a comment that are looked through at once.
_WINDOW = 1 << 20

#: Space, then a token: group 1 is one that needs no second look, group 2 one that does; without either the text ends,
#: or more space comes.
#: Quantifiers are possessive, so that no text makes the expression go back. It matches at every position of every text,
#: so what looks for the next match finds it where the last one ended, and steps over nothing.
_TOKEN = re.compile(
    rf"""{_SPACE}(?:(\((?![;@])|\)|{_WORD}(?!"|{_IDENTIFIER})|{STRING}(?!{_IDENTIFIER}|"))|(?=[ \t\n\r])|"""
    rf"""(\(;|\(@|;;|(?:{_WORD}|{STRING}){{1,8}}+|(?s:.))|\Z)"""
)
_COMMENT_EDGE = re.compile(r"\(;|;\)")
_ANNOTATION_NAME = re.compile(rf"{_WORD}|{STRING}")
_QUOTED_NAME = re.compile(rf"\$({STRING})")


class Tokens:
    """The tokens of a text.

    Attributes:
        text: the text.
        tokens: its tokens, an empty one last.
        starts: offset of each token in the text.

    Raises:
        WatError: there is something that is no token.
    """

    __slots__ = ("starts", "text", "tokens")

    def __init__(self, source: str | bytes) -> None:
        self.text = source if isinstance(source, str) else _decode(source)
        if isinstance(source, str) and not source.isascii():
            _check_scalars(source)
        self.tokens: list[str] = []
        self.starts: list[int] = []
        self._read()

    def _read(self) -> None:
        text = self.text
        add, add_start = self.tokens.append, self.starts.append
        position: int | None = 0
        while position is not None:
            start, position = position, None
            for match in _TOKEN.finditer(text, start):
                token = match[1]
                if token:
                    add(token)
                    add_start(match.start(1))
                    continue
                odd, start = match[2], match.start(2)
                if odd is None:
                    # More space, or the end.
                    continue
                if odd == "(;":
                    position = self._end_of_comment(start)
                    break
                if odd == "(@":
                    position = self._end_of_annotation(start)
                    break
                if odd == ";;":
                    position = self._end_of_line(start)
                    break
                if odd == '"':
                    position = self._end_of_string(start)
                    add(text[start:position])
                    add_start(start)
                    break
                add(self._odd_token(odd, start))
                add_start(start)
        add("")
        add_start(len(text))

    def _odd_token(self, token: str, start: int) -> str:
        """An identifier in quotes in its plain form; anything else here is an error."""
        quoted = _QUOTED_NAME.fullmatch(token)
        if quoted:
            return "$" + self._name(quoted[1], start, "empty identifier")
        if token == "$":
            raise self.error("empty identifier", start)
        if len(token) > _LONGEST and '"' not in token:
            raise self.error(f"implementation limit: a token of more than {_LONGEST} characters", start)
        raise self.error(_describe(token), start)

    def _name(self, string: str, start: int, if_empty: str) -> str:
        try:
            name = decode_string(string).decode()
        except UnicodeDecodeError:
            raise self.error("malformed UTF-8 encoding", start) from None
        except ValueError as error:
            raise self.error(str(error), start) from None
        if not name:
            raise self.error(if_empty, start)
        return name

    def _end_of_comment(self, start: int) -> int:
        text, position, depth = self.text, start, 0
        while position < len(text):
            end = position + _WINDOW
            edge = _COMMENT_EDGE.search(text, position, end)
            if edge is None:
                # One may lie across the window's end.
                position = end - 1
                continue
            position = edge.end()
            depth += 1 if edge[0] == "(;" else -1
            if depth == 0:
                return position
        raise self.error("unclosed comment", start)

    def _end_of_line(self, start: int) -> int:
        text = self.text
        end = text.find("\n", start)
        if end < 0:
            end = len(text)
        before = text.find("\r", start, end)
        return end if before < 0 else before

    def _end_of_string(self, start: int) -> int:
        """The offset after a string that is too long to be matched at once."""
        text, position = self.text, start + 1
        while part := STRING_PARTS.match(text, position):
            position = part.end()
        if text[position : position + 1] != '"':
            raise self._bad_string(start)
        position += 1
        if re.compile(rf'{_IDENTIFIER}|"').match(text, position):
            raise self.error(_describe(text[start : start + 60]), start)
        return position

    def _end_of_annotation(self, start: int) -> int:
        """The offset after an annotation: tokens of any kind, with balanced parentheses."""
        position = self._annotation_name(start)
        opened = [start]
        while opened:
            match = _TOKEN.match(self.text, position)
            assert match is not None  # it matches at every position
            token = match[1] or match[2]
            position = match.end()
            if not token:
                if position < len(self.text):
                    continue
                raise self.error("unclosed annotation", opened[0])
            at = match.start(1) if match[1] else match.start(2)
            if token in ("(", "(@"):
                opened.append(at)
            elif token == ")":
                opened.pop()
            elif token == "(;":
                position = self._end_of_comment(at)
            elif token == ";;":
                position = self._end_of_line(at)
            elif token == '"':
                position = self._end_of_string(at)
            elif match[2] and _describe(token) == "illegal character":
                raise self.error("illegal character", at)
        return position

    def _annotation_name(self, start: int) -> int:
        match = _ANNOTATION_NAME.match(self.text, start + 2)
        if match is None:
            raise self.error("empty annotation id", start)
        if match[0][0] == '"':
            self._name(match[0], start, "empty annotation id")
        return match.end()

    def _bad_string(self, start: int) -> WatError:
        """The error for a quotation mark that begins no string."""
        text, position = self.text, start + 1
        while position < len(text) and text[position] not in '"\n':
            if text[position] == "\\":
                if not re.compile(STRING).fullmatch('"' + _escape_at(text, position) + '"'):
                    return self.error("illegal escape in a string", position)
                position += len(_escape_at(text, position))
            elif text[position] < " " or text[position] == "\x7f":
                return self.error("illegal character in a string", position)
            else:
                position += 1
        return self.error("unclosed string", start)

    def error(self, message: str, offset: int) -> WatError:
        """The error for what stands at an offset of the text."""
        return text_error(self.text, message, offset)


_ESCAPE_AT = re.compile(r"\\(?:u\{[^}\n\"]*\}?|[0-9a-fA-F]{2}|.?)")


def _escape_at(text: str, position: int) -> str:
    match = _ESCAPE_AT.match(text, position)
    return match[0] if match else "\\"


def text_error(text: str, message: str, offset: int) -> WatError:
    """The error for what stands at ``offset`` of ``text``. A line ends as the format's line comments do."""
    start = max(text.rfind("\n", 0, offset), text.rfind("\r", 0, offset)) + 1
    if text[start - 1 : start + 1] == "\r\n":
        # The error is at the second half of a line's end.
        start = max(text.rfind("\n", 0, offset), text.rfind("\r", 0, start - 1)) + 1
    ends = [place for place in (text.find("\n", offset), text.find("\r", offset)) if place >= 0]
    line = text[start : min(ends, default=len(text))]
    before = text.count("\n", 0, start) + text.count("\r", 0, start) - text.count("\r\n", 0, start)
    return WatError(escaped(message), offset, before + 1, offset - start + 1, line)


def _describe(token: str) -> str:
    """What is wrong with a token that is none: a character that no token has, or a mixture."""
    if len(token) == 1 and (token > "~" or token < " "):
        return "illegal character"
    return f"unknown operator {token[:60]}"


def _decode(source: bytes) -> str:
    try:
        return source.decode()
    except UnicodeDecodeError as error:
        before = source[: error.start].decode()
        # What cannot be decoded is shown as the replacement character.
        text = before + source[error.start :].decode(errors="replace")
        raise text_error(text, "malformed UTF-8 encoding", len(before)) from None


def _check_scalars(source: str) -> None:
    """A ``str`` can hold surrogates, which no encoding of a text has."""
    try:
        source.encode()
    except UnicodeEncodeError as error:
        raise text_error(source, "malformed UTF-8 encoding", error.start) from None
