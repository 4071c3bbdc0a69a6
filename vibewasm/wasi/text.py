"""Standard streams that are text in Python: text streams without bytes below them, and functions.

What a program writes is decoded from UTF-8 and what it reads encoded to it, whatever the host's locale is. A character
whose bytes come in several writes is handed on when it is whole; bytes that are no UTF-8 become U+FFFD.
"""

from __future__ import annotations

import builtins
import codecs

from .fds import is_terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from functools import partial


class TextWriter:
    """What takes text, as something that takes bytes. What it gives back does not count."""

    __slots__ = ("_decode", "_stream", "_write")

    def __init__(self, write: Callable[[str], object], stream: object = None) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._stream = stream
        self._write: Callable[[str], object] | partial[object] = write
        if write is builtins.print:
            # It would end each piece with a line break that the program has not written.
            from functools import partial

            self._write = partial(print, end="")

    def write(self, data: bytes) -> None:
        """Hand on what is whole of it."""
        text = self._decode(data)
        if text:
            self._write(text)

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return is_terminal(self._stream)


class Pieces:
    """What gives input in pieces of any size, as bytes or text, as something to read bytes from.

    ``give`` is called with the number of bytes that are wanted. A piece that is longer is kept for the next time; an
    empty one is the end.
    """

    __slots__ = ("_give", "_left", "_stream")

    def __init__(self, give: Callable[[int], bytes | str | None], stream: object = None) -> None:
        self._give = _typed if give is builtins.input else give
        self._stream = stream
        self._left = b""

    def read(self, size: int) -> bytes | None:
        """At least one byte, unless at the end; None where there is nothing at the moment."""
        if not self._left:
            piece = self._give(size)
            if piece is None:
                return None
            if isinstance(piece, str):
                try:
                    piece = piece.encode("utf-8", "surrogateescape")
                except UnicodeEncodeError as error:
                    raise ValueError(f"stdin gave a string that cannot be encoded in UTF-8: {error.reason}") from None
            elif not isinstance(piece, bytes | bytearray | memoryview):
                raise TypeError(f"stdin has to give bytes or a string, not {type(piece).__name__}")
            # A copy, since the other side may change what it gave.
            self._left = bytes(piece)
        data, self._left = self._left[:size], self._left[size:]
        return data

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return is_terminal(self._stream)


def _typed(size: int) -> str:
    """A line from :func:`input`, which takes the line break away, and says the end by an exception."""
    try:
        return input() + "\n"
    except EOFError:
        return ""
