"""Machine code in files: of functions by number, and of stubs by name.

What a file says of its code is checked against the code's own labels, so that no damage of a number alone leads into
the middle of something else.
"""

from __future__ import annotations

from .container import Damaged, checksum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_WORD = 0xFFFF_FFFF
#: Functions begin at multiples of this, and a label of this size stands before each: its number, its length, and the
#: complements of both, mixed with the checksum of the image: code goes with its own module only.
_LABEL = 16


def pack_functions(functions: Iterable[tuple[int, bytes]], image: bytes) -> bytearray:
    """The code of functions in the order of their numbers, each after its label.

    Args:
        functions: numbers and code.
        image: of their module, see :mod:`.image`.
    """
    packed = bytearray()
    mask = _mask(image)
    for number, code in functions:
        size = len(code)
        for word in (number, size, number ^ mask, size ^ mask):
            packed += word.to_bytes(4, "little")
        packed += code
        packed += bytes(-size % _LABEL)
    return packed


def _mask(image: bytes | memoryview) -> int:
    return int.from_bytes(checksum([image]), "little") ^ _WORD


def unpack_functions(packed: memoryview, image: bytes | memoryview, count: int) -> list[tuple[int, int, int]]:
    """Of each function its number, and where its code begins and how long it is.

    Args:
        packed: what :func:`pack_functions` has made.
        image: of their module.
        count: how many functions the module defines.

    Raises:
        Damaged: it is something else.
    """
    if len(packed) % _LABEL:
        raise Damaged("the code ends in the middle of a function")
    words = packed.cast("I")
    mask = _mask(image)
    end = len(packed)
    at = 0
    last = -1
    found = []
    while at < end:
        word = at >> 2
        number, size = words[word], words[word + 1]
        if number ^ words[word + 2] != mask or size ^ words[word + 3] != mask:
            raise Damaged("a function's label is wrong")
        at += _LABEL
        if not last < number < count or not 0 < size <= end - at:
            raise Damaged("a function's number or length is impossible")
        found.append((number, at, size))
        last = number
        at += (size + _LABEL - 1) & -_LABEL
    return found


def pack_stubs(stubs: dict[str, bytes]) -> tuple[bytes, bytes, bytes]:
    """Names, sizes and code of stubs."""
    names = "\n".join(stubs).encode()
    return names, b"".join([len(code).to_bytes(4, "little") for code in stubs.values()]), b"".join(stubs.values())


def unpack_stubs(names: memoryview, sizes: memoryview, code: memoryview) -> dict[str, bytes]:
    """The stubs by name.

    Raises:
        Damaged: the three are not what :func:`pack_stubs` has made.
    """
    try:
        words = str(names, "utf-8").split("\n")
    except UnicodeDecodeError:
        raise Damaged("a name is no text") from None
    if len(sizes) != 4 * len(words) or len(set(words)) != len(words):
        raise Damaged("there is not one name for each stub")
    stubs = {}
    at = 0
    for name, size in zip(words, sizes.cast("I"), strict=True):
        stubs[name] = bytes(code[at : at + size])
        at += size
    if at != len(code):
        raise Damaged("the stubs are not as long as stated")
    return stubs
