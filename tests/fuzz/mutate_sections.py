"""Mutations of sections and of whole modules: see `tests.fuzz.mutate_code` for what a mutation is."""

from __future__ import annotations

from random import Random

from tests.fuzz.instructions import (
    sleb,
    uleb,
)
from tests.fuzz.mutant import EDGE_NUMBERS, Mutant
from tests.fuzz.parts import (
    CODE,
    CUSTOM,
    ELEMENT,
    IMPORT,
    MEMORY,
    TABLE,
    Section,
)

# Bytes that mean something in many places.
_TELLING = [0x00, 0x01, 0x0B, 0x40, 0x7F, 0x80, 0xFF, 0xFC, 0x70, 0x6F, 0x41, 0x20, 0x63, 0x64, 0x69, 0x1F]


def remove_section(mutant: Mutant) -> bool:
    mutant.parts.sections.remove(mutant.rng.choice(mutant.parts.sections))
    return True


def duplicate_section(mutant: Mutant) -> bool:
    section = mutant.rng.choice(mutant.parts.sections)
    mutant.parts.sections.insert(mutant.rng.randrange(len(mutant.parts.sections) + 1), section.copy())
    return True


def move_section(mutant: Mutant) -> bool:
    sections = mutant.parts.sections
    section = sections.pop(mutant.rng.randrange(len(sections)))
    sections.insert(mutant.rng.randrange(len(sections) + 1), section)
    return True


def splice_section(mutant: Mutant) -> bool:
    """A section of another module in place of the own one."""
    other = mutant.other().sections
    if not other:
        return False
    section = mutant.rng.choice(other)
    sections = mutant.parts.sections
    for i, own in enumerate(sections):
        if own.id == section.id:
            sections[i] = section
            return True
    mutant.parts.ensure(section.id)[:] = section.items or []
    return True


def change_items(mutant: Mutant) -> bool:
    """An item of a section removed, repeated, moved, or taken from another module; the count fits."""
    rng = mutant.rng
    sections = [s for s in mutant.parts.sections if s.items]
    if not sections:
        return False
    section = rng.choice(sections)
    assert section.items is not None
    at = rng.randrange(len(section.items))
    kind = rng.randrange(4)
    if kind == 0:
        del section.items[at]
    elif kind == 1:
        section.items.insert(rng.randrange(len(section.items) + 1), section.items[at])
    elif kind == 2:
        section.items.insert(rng.randrange(len(section.items)), section.items.pop(at))
    else:
        others = mutant.other().items(section.id)
        if others:
            section.items.insert(at, rng.choice(others))
    return True


def wrong_count(mutant: Mutant) -> bool:
    """A vector that says another number of items than it has."""
    sections = [s for s in mutant.parts.sections if s.items is not None]
    if not sections:
        return False
    section = mutant.rng.choice(sections)
    assert section.items is not None
    count = len(section.items)
    section.raw = uleb(mutant.rng.choice([count + 1, max(0, count - 1), 0, *EDGE_NUMBERS])) + section.payload()[
        len(uleb(count)) :]  # fmt: skip
    section.items = None
    return True


def change_bytes(mutant: Mutant) -> bool:
    """One to three other bytes in a section; its size fits."""
    section = mutant.section()
    section.raw, section.items = _other_bytes(mutant.rng, section.payload()), None
    return True


def change_bytes_of_body(mutant: Mutant) -> bool:
    """One to three other bytes in a body; all sizes fit."""
    return _change_bytes_of_item(mutant, CODE)


def change_bytes_of_item(mutant: Mutant) -> bool:
    """One to three other bytes in an item that is no body; all sizes fit."""
    ids = [s.id for s in mutant.parts.sections if s.items and s.id != CODE]
    return bool(ids) and _change_bytes_of_item(mutant, mutant.rng.choice(ids))


def _change_bytes_of_item(mutant: Mutant, id_: int) -> bool:
    items = mutant.parts.items(id_)
    if not items:
        return False
    at = mutant.rng.randrange(len(items))
    items[at] = _other_bytes(mutant.rng, items[at])
    return True


def _other_bytes(rng: Random, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        at = rng.randrange(len(out) + 1)
        kind = rng.randrange(7)
        if kind == 0:
            out.insert(at, rng.randrange(256))
        elif not out[at:]:
            continue
        elif kind == 1:
            del out[at]
        elif kind == 2:
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 3:
            out[at] = rng.choice(_TELLING)
        elif kind == 4:
            out[at] = (out[at] + rng.choice([-1, 1])) & 0xFF
        elif kind == 5:
            stop = at + rng.randrange(1, 5)
            to = rng.randrange(len(out) + 1)
            out[to:to] = out[at:stop]
        else:
            out[at] = rng.randrange(256)
    return bytes(out)


def change_limits(mutant: Mutant) -> bool:
    """Other limits of a table or memory."""
    rng = mutant.rng
    id_ = rng.choice([TABLE, MEMORY])
    items = mutant.parts.items(id_)
    if not items:
        return False
    minimum = rng.choice([0, 1, 2, 3, 10, 100, 65535, 65536, 65537, 2**32 - 1])
    maximum = rng.choice([0, minimum, minimum, 65536, 65537, 2**32 - 1, 2**32])
    limits = rng.choice([b"\0" + uleb(minimum), b"\1" + uleb(minimum) + uleb(maximum), bytes([rng.randrange(8), 1, 2])])
    at = rng.randrange(len(items))
    items[at] = (items[at][:1] if id_ == TABLE else b"") + limits
    return True


def add_custom_section(mutant: Mutant) -> bool:
    """A custom section, perhaps a broken one, somewhere."""
    rng = mutant.rng
    name = rng.choice([b"name", b"producers", b"", b"x" * 200, b"\xff\xfe", "ñ".encode()])
    contents = rng.randbytes(rng.randrange(30))
    raw = rng.choice([uleb(len(name)) + name + contents, uleb(len(name)) + name, uleb(len(name) + 1) + name, b""])
    if name == b"name" and rng.random() < 0.7:
        inside = uleb(rng.randrange(4)) + b"".join(uleb(rng.randrange(9)) + b"\2ab" for _ in range(rng.randrange(4)))
        raw = b"\4name" + bytes([rng.randrange(4)]) + uleb(len(inside)) + inside
    mutant.parts.sections.insert(rng.randrange(len(mutant.parts.sections) + 1), Section(CUSTOM, raw=raw))
    return True


def change_elements(mutant: Mutant) -> bool:
    """An element segment of another form."""
    rng = mutant.rng
    index = mutant.index()
    count = rng.randrange(4)
    funcs = [uleb(rng.randrange(len(index.func_types) + (rng.random() < 0.1) or 1)) for _ in range(count)]
    exprs = [rng.choice([b"\xd2" + f, b"\xd0\x70", b"\xd0\x70", b"\xd0\x6f", b"\x23\0", b"\x41\0"]) for f in funcs]
    offset = b"\x41" + sleb(rng.choice([0, 1, 2, 100, -1])) + b"\x0b"
    flags = rng.randrange(8)
    head = bytes([flags])
    if not flags & 1:
        head += (uleb(rng.randrange(2)) if flags & 2 else b"") + offset
    if flags & 3:
        head += bytes([rng.choice([0x70, 0x70, 0x70, 0x6F])]) if flags & 4 else b"\0"
    items = [expr + b"\x0b" for expr in exprs] if flags & 4 else funcs
    mutant.parts.ensure(ELEMENT).append(head + uleb(count) + b"".join(items))
    return True


def change_import(mutant: Mutant) -> bool:
    """One import more, in front of all others, which moves an index space; or one less."""
    rng = mutant.rng
    items = mutant.parts.ensure(IMPORT)
    if items and rng.random() < 0.3:
        del items[rng.randrange(len(items))]
    elif rng.random() < 0.5:
        items.insert(0, b"\1a\1b" + rng.choice([b"\0\0", b"\1\x70\0\1", b"\2\0\1", b"\3\x7f\0", b"\3\x7e\1"]))
    else:
        items.append(b"\1a\1b" + rng.choice([b"\3\x7d\0", b"\3\x70\1", b"\1\x6f\1\1\2", b"\2\1\1\2", b"\4\0\0"]))
    return True


def truncate_module(data: bytes, rng: Random) -> bytes:
    """The first bytes of the module."""
    return data[: rng.randrange(len(data) + 1)]


def change_any_byte(data: bytes, rng: Random) -> bytes:
    """Other bytes anywhere, headers included; nothing is repaired."""
    return _other_bytes(rng, data)


def append_bytes(data: bytes, rng: Random) -> bytes:
    """Bytes after the end."""
    return data + rng.randbytes(rng.randrange(1, 12))
