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
#: complements of both, mixed with the checksum of what the numbers count in: code goes with its own module only.
_LABEL = 16


def pack_functions(functions: Iterable[tuple[int, bytes | memoryview]], whole: bytes) -> bytearray:
    """The code of functions in the order of their numbers, each after its label.

    Args:
        functions: numbers and code.
        whole: what the numbers count in: their module's image, see :mod:`.image`, or the names of stubs.
    """
    packed = bytearray()
    mask = _mask(whole)
    for number, code in functions:
        size = len(code)
        for word in (number, size, number ^ mask, size ^ mask):
            packed += word.to_bytes(4, "little")
        packed += code
        packed += bytes(-size % _LABEL)
    return packed


def _mask(whole: bytes | memoryview) -> int:
    return int.from_bytes(checksum([whole]), "little") ^ _WORD


def unpack_functions(
    packed: memoryview, whole: bytes | memoryview, count: int, shortest: int = 1
) -> list[tuple[int, int, int]]:
    """Of each function its number, and where its code begins and how long it is.

    Args:
        packed: what :func:`pack_functions` has made.
        whole: what the numbers count in.
        count: how many numbers there are: of a module, how many functions it defines.
        shortest: bytes of the shortest code that there may be.

    Raises:
        Damaged: it is something else.
    """
    if len(packed) % _LABEL:
        raise Damaged("the code ends in the middle of a function")
    words = packed.cast("I")
    mask = _mask(whole)
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
        if not last < number < count or not shortest <= size <= end - at:
            raise Damaged("a function's number or length is impossible")
        found.append((number, at, size))
        last = number
        at += (size + _LABEL - 1) & -_LABEL
    return found


def pack_stubs(stubs: dict[str, bytes]) -> tuple[bytes, bytearray]:
    """Names of stubs, and their code: each after a label with its place among the names."""
    names = "\n".join(stubs).encode()
    return names, pack_functions(enumerate(stubs.values()), names)


def unpack_stubs(packed_names: memoryview, packed: memoryview) -> dict[str, bytes]:
    """The stubs by name.

    Raises:
        Damaged: the two are not what :func:`pack_stubs` has made.
    """
    try:
        names = str(packed_names, "utf-8").split("\n")
    except UnicodeDecodeError:
        raise Damaged("a name is no text") from None
    # A processor that needs no instruction for something has a stub without code.
    found = unpack_functions(packed, packed_names, len(names), 0)
    if len(found) != len(names) or len(set(names)) != len(names):
        raise Damaged("there is not one name for each stub")
    return {name: bytes(packed[at : at + size]) for name, (_, at, size) in zip(names, found, strict=True)}
