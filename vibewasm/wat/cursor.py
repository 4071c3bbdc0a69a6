"""Walking along tokens, and names for indices."""

from __future__ import annotations

from ..errors import ValidationError
from .encode import unsigned
from .lexer import Tokens, text_error
from .literals import decode_string, is_number
from .literals import unsigned as unsigned_literal
from .words import is_keyword

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .errors import WatError


class Space:
    """An index space: how many there are, and which of them have names.

    Attributes:
        what: a word for messages, the suite's.
        count: how many have been declared.
        names: index by identifier, which begins with ``$``.
    """

    __slots__ = ("count", "names", "what")

    def __init__(self, what: str) -> None:
        self.what = what
        self.count = 0
        self.names: dict[str, int] = {}


def _unknown(word: str) -> str:
    return f"unknown operator {word[:60]}"


class Cursor:
    """A place among the tokens of a text, and what can be read there."""

    def __init__(self, tokens: Tokens) -> None:
        self.text = tokens.text
        self.tokens = tokens.tokens
        self.starts = tokens.starts
        self.position = 0

    def error(self, message: str, position: int | None = None) -> WatError:
        """The error for the token at ``position``, by default the current one."""
        index = self.position if position is None else position
        return text_error(self.text, message, self.starts[index])

    def unexpected(self, position: int | None = None) -> WatError | ValidationError:
        """The error for a token that may not stand where it does; a word that the format lacks is called unknown.

        What a proposal that is not built has is no malformed text, so it gets the error that it gets in a binary module
        too.
        """
        position = self.position if position is None else position
        token = self.tokens[position]
        if token == "":
            return self.error("unexpected token: the text ends too early", position)
        if token == "$":
            return self.error("empty identifier", position)
        if token[0] not in '()"$' and not is_keyword(token) and not is_number(token):
            from ..proposals import proposal_of_word

            feature = proposal_of_word(token)
            return self.later(feature, token, position) if feature else self.error(_unknown(token), position)
        if token == "(":
            return self._unexpected_form(position)
        if token == "shared" and self.tokens[position - 1] == "(":
            return self._unexpected_form(position - 1)
        return self.error(f"unexpected token {token[:60]}", position)

    def _unexpected_form(self, position: int) -> WatError | ValidationError:
        """The error for a parenthesis that may not stand where it does, which may begin a form of a proposal."""
        from ..proposals import proposal_of_word

        word = self.tokens[position + 1]
        # A shared type is a form of a word that is known, but not for that.
        feature = proposal_of_word(word) if word == "shared" or not is_keyword(word) else None
        if feature:
            return self.later(feature, word, position + 1)
        return self.error("unexpected token (", position)

    def later(self, feature: str, what: str, position: int) -> ValidationError:
        """The error for the token at ``position``, by which a text uses ``what`` of a proposal that is not built."""
        from ..proposals import TITLES, message

        place = self.error("", position)
        where = f"(line {place.line}, column {place.column})"
        return ValidationError(f"{message(feature, what)} {where}", feature=TITLES[feature])

    def accept(self, token: str) -> bool:
        """Step over ``token`` if it is the next one."""
        if self.tokens[self.position] != token:
            return False
        self.position += 1
        return True

    def expect(self, token: str) -> None:
        """Step over ``token``, which must be the next one."""
        if self.tokens[self.position] != token:
            raise self.unexpected()
        self.position += 1

    def at_form(self, keyword: str) -> bool:
        """Whether a parenthesis and ``keyword`` come next."""
        return self.tokens[self.position] == "(" and self.tokens[self.position + 1] == keyword

    def accept_form(self, keyword: str) -> bool:
        """Step over a parenthesis and ``keyword`` if they come next."""
        if not self.at_form(keyword):
            return False
        self.position += 2
        return True

    def end_of_form(self) -> int:
        """The position after the form that begins at the current position, without moving there."""
        tokens, position, depth = self.tokens, self.position, 0
        while True:
            token = tokens[position]
            if token == "(":
                depth += 1
            elif token == ")":
                depth -= 1
                if not depth:
                    return position + 1
            elif not token:
                raise self.unexpected(position)
            position += 1

    def identifier(self) -> str | None:
        """The identifier that comes next, if one does."""
        token = self.tokens[self.position]
        if token[:1] != "$":
            return None
        if token == "$":
            raise self.unexpected()
        self.position += 1
        return token

    def declare(self, space: Space) -> int:
        """Count one more in ``space``, and bind the identifier that comes next if one does."""
        token = self.identifier()
        if token is not None:
            if token in space.names:
                raise self.error(f"duplicate {space.what} {token}", self.position - 1)
            space.names[token] = space.count
        space.count += 1
        return space.count - 1

    def at_index(self) -> bool:
        """Whether an index comes next, named or numeric."""
        token = self.tokens[self.position]
        return token[:1] == "$" or token[:1].isdecimal()

    def index(self, space: Space) -> int:
        """An index into ``space``. Whether a numeric one is in range is for the validation to say."""
        token = self.tokens[self.position]
        if token[:1] == "$":
            found = space.names.get(token)
            if found is None:
                raise self.unexpected() if token == "$" else self.error(f"unknown {space.what} {token}")
            self.position += 1
            return found
        return self.natural(32)

    def index_bytes(self, space: Space) -> bytes:
        """An index into ``space``, encoded."""
        return unsigned(self.index(space))

    def natural(self, bits: int) -> int:
        """An unsigned integer."""
        try:
            value = unsigned_literal(self.tokens[self.position], bits)
        except ValueError as error:
            raise self.error(f"i{bits} {error}") from None
        if value is None:
            raise self.unexpected()
        self.position += 1
        return value

    def string(self) -> bytes:
        """The bytes of a string."""
        token = self.tokens[self.position]
        if token[:1] != '"':
            raise self.unexpected()
        try:
            data = decode_string(token)
        except ValueError as error:
            raise self.error(str(error)) from None
        self.position += 1
        return data

    def strings(self) -> bytes:
        """The bytes of any number of strings."""
        parts = []
        while self.tokens[self.position][:1] == '"':
            parts.append(self.string())
        return b"".join(parts)

    def name(self) -> bytes:
        """A string that must be UTF-8."""
        data = self.string()
        try:
            data.decode()
        except UnicodeDecodeError:
            raise self.error("malformed UTF-8 encoding", self.position - 1) from None
        return data
