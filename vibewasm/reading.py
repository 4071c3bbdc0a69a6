"""Reading a file that may be a module, within limits."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

#: Bytes that a module has at most here, as in web browsers (JavaScript interface, "Implementation-defined Limits").
MAX_SIZE = 1 << 30
#: Bytes of a file that are read first, to see whether the rest is wanted.
HEAD = 1 << 13
_PIECE = 1 << 20


def whole(read: Callable[[int], bytes], path: str, size: int, head: bytes = b"") -> bytes:
    """All of a file.

    Args:
        read: reads the next bytes, at most so many; none at the end.
        path: for the message.
        size: how many bytes there are, as far as it is known.
        head: what was read already.

    Raises:
        OSError: reading fails, or there are more than :data:`MAX_SIZE` bytes.
    """
    pieces = [head] if head else []
    there = len(head)
    # What is announced is read in one piece, which then is not copied. Some files have more than the system says, as
    # those of /proc.
    while size <= MAX_SIZE and (piece := read(max(_PIECE, size - there))):
        pieces.append(piece)
        there += len(piece)
        size = max(size, there)
    if size > MAX_SIZE:
        import errno

        raise OSError(errno.EFBIG, f"a module has at most {MAX_SIZE} bytes, and this file has more", path)
    return b"".join(pieces)
