"""Modules as sections that can be compared: sizes are left out, since they may be padded."""

from __future__ import annotations

from vibewasm.binary.leb128 import u32

_CUSTOM, _CODE, _DATA_COUNT = 0, 10, 12

#: A section's number, and its contents or the bodies in it.
Section = tuple[int, "bytes | list[bytes]"]


def sections(module: bytes) -> list[Section]:
    """The sections of a module, custom ones left out."""
    found: list[Section] = []
    position = 8
    while position < len(module):
        number = module[position]
        size, start = u32(module, position + 1)
        position = start + size
        contents = module[start:position]
        if number != _CUSTOM:
            found.append((number, _bodies(contents) if number == _CODE else contents))
    return found


def without_data_count(found: list[Section]) -> list[Section]:
    """The sections but the data count."""
    return [section for section in found if section[0] != _DATA_COUNT]


def _bodies(contents: bytes) -> list[bytes]:
    count, position = u32(contents, 0)
    bodies = []
    for _ in range(count):
        size, position = u32(contents, position)
        bodies.append(contents[position : position + size])
        position += size
    return bodies
