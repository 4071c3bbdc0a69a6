"""The form of files that hold machine code: a header, a checksum, and sections.

========  =====  ======================================================================================
offset    bytes  what
========  =====  ======================================================================================
0         8      :data:`MAGIC`, which ends with the version of the form
8         4      what the file is for: :data:`CODE`, :data:`STUBS` or :data:`PRECOMPILED`
12        4      checksum of all that follows: of up to :data:`SMALL` bytes BLAKE2b, of more CRC-32
16        8      length of the file
24        32     the key: what has to be the same for the code to be of use, see :mod:`.key`
56        8      how many sections there are
64        16     of each section, where it begins and how long it is
========  =====  ======================================================================================

Sections follow each other in this order, each at the next multiple of 16; bytes in between are zero. Numbers are
little-endian. The checksum finds what disks and killed writers do, not what people do: whoever may write the file may
write code.
"""

from __future__ import annotations

from ..lookalikes import CODE_MAGIC

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

#: How a file that holds machine code begins. No module and no text begins so.
MAGIC = CODE_MAGIC + b"\1"
#: What a file is for: code of a module's functions, stubs of a processor, or a whole module to be handed on.
CODE, STUBS, PRECOMPILED = 1, 2, 3
#: How many sections each has. Of code: what it depends on besides the key, its module's image, and functions. Of stubs:
#: names, and code. Of a precompiled module: what it was made for, its image, functions, and its bytes.
_SECTIONS = {CODE: 3, STUBS: 2, PRECOMPILED: 4}

#: Bytes; see the table above.
SMALL = 1 << 18

_HEADER = 64


class Damaged(ValueError):
    """A file, or a part of it, is not what it should be."""


def pack(kind: int, key: bytes, sections: Sequence[bytes | bytearray]) -> list[bytes | bytearray]:
    """The parts of a file, to be written one after the other."""
    table = []
    parts: list[bytes | bytearray] = []
    at = _HEADER + 16 * len(sections)
    for section in sections:
        table += [at, len(section)]
        padding = -len(section) & 15
        parts += [section, bytes(padding)]
        at += len(section) + padding
    rest = at.to_bytes(8, "little") + key
    rest += b"".join([number.to_bytes(8, "little") for number in (len(sections), *table)])
    parts.insert(0, rest)
    parts.insert(0, MAGIC + kind.to_bytes(4, "little") + checksum(parts))
    return parts


def checksum(parts: Sequence[bytes | bytearray | memoryview]) -> bytes:
    """Four bytes for all of these."""
    # Keys are made with the one, so that it is there; the other takes as long to load as 200 KB to sum up, and is four
    # times as fast.
    if sum(map(len, parts)) <= SMALL:
        from _blake2 import blake2b

        digest: bytes = blake2b(b"".join(parts), digest_size=4).digest()
        return digest
    from binascii import crc32

    found = 0
    for part in parts:
        found = crc32(part, found)
    return found.to_bytes(4, "little")


def key_of(data: bytes, kind: int) -> bytes:
    """The key of a file of this kind.

    Raises:
        Damaged: it is no such file.
    """
    if data[:8] != MAGIC or int.from_bytes(data[8:12], "little") != kind or len(data) < _HEADER:
        raise Damaged("it does not begin as such a file does")
    return data[24:56]


def unpack(data: bytes, kind: int, key: bytes) -> list[memoryview]:
    """The sections of a file: as many as one of this kind has.

    Raises:
        Damaged: it is no whole file of this kind with this key.
    """
    if key_of(data, kind) != key:
        raise Damaged("it was made for something else")
    view = memoryview(data)
    if int.from_bytes(view[16:24], "little") != len(data):
        raise Damaged("its length is not the one that it states")
    if checksum([view[16:]]) != view[12:16]:
        raise Damaged("its checksum does not match")
    count = _SECTIONS[kind]
    at = _HEADER + 16 * count
    if int.from_bytes(view[56:64], "little") != count or at > len(data):
        raise Damaged("it has more or fewer sections than it should")
    table = view[_HEADER:at].cast("Q").tolist()
    sections = []
    for start, size in zip(table[::2], table[1::2], strict=True):
        if start != at or size > len(data) - start:
            raise Damaged("its sections do not follow each other")
        sections.append(view[start : start + size])
        at = start + size + (-size & 15)
    if at != len(data):
        raise Damaged("its sections are not all that is there")
    return sections
