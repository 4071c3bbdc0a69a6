"""Mutants of modules that get past the headers: sections change inside, and their sizes are repaired."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tests.binary.encode import HEADER, section
from vibewasm.binary.leb128 import u32

Sections = list[tuple[int, bytes]]

CODE = 10
#: Bytes that mean something somewhere: small numbers, types, opcodes, edges of LEB128.
_TELLING = bytes([0, 1, 2, 3, 4, 5, 6, 7, 8, 0x0B, 0x10, 0x23, 0x40, 0x41, 0x42, 0x43, 0x44, 0x4E, 0x4F, 0x50, 0x5E])
_TELLING += bytes([0x5F, 0x60, 0x63, 0x64, 0x69, 0x6A, 0x6C, 0x6E, 0x6F, 0x70, 0x73, 0x7B, 0x7C, 0x7D, 0x7E, 0x7F])
_TELLING += bytes([0x80, 0x81, 0xD0, 0xD2, 0xFC, 0xFF])


def split(wasm: bytes) -> Sections:
    """The sections of a well-formed module: numbers and contents."""
    sections = []
    pos = len(HEADER)
    while pos < len(wasm):
        number = wasm[pos]
        size, start = u32(wasm, pos + 1)
        pos = start + size
        sections.append((number, wasm[start:pos]))
    return sections


def join(sections: Sections) -> bytes:
    """A module of these sections."""
    return HEADER + b"".join(section(number, contents) for number, contents in sections)


def mutant(rng: random.Random, modules: Sequence[Sections], *, spare: tuple[int, ...] = ()) -> bytes:
    """A module that differs from one of ``modules`` in a few places.

    Args:
        rng: where choices come from.
        modules: what to mutate, and what to take pieces from.
        spare: numbers of sections whose contents stay as they are.
    """
    sections = list(rng.choice(modules))
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        open_to_change = [index for index, (number, _) in enumerate(sections) if number not in spare]
        if not open_to_change:
            break
        index = rng.choice(open_to_change)
        number, contents = sections[index]
        kind = rng.random()
        if kind < 0.9:
            sections[index] = (number, _change(rng, contents))
        elif kind < 0.93:
            del sections[index]
        elif kind < 0.96:
            other = rng.choice(rng.choice(modules))
            if other[0] not in spare:
                sections.insert(index, other)
        else:
            same = [piece for other in modules for piece in other if piece[0] == number]
            sections[index] = rng.choice(same)
    return join(sections)


def _change(rng: random.Random, contents: bytes) -> bytes:
    """Contents with one byte or a few changed."""
    if not contents:
        return bytes([rng.choice(_TELLING)])
    at = rng.randrange(len(contents))
    byte = rng.choice(_TELLING) if rng.random() < 0.7 else rng.randrange(256)
    kind = rng.randrange(6)
    if kind < 3:
        return contents[:at] + bytes([byte]) + contents[at + 1 :]
    if kind == 3:
        return contents[:at] + bytes([byte]) + contents[at:]
    if kind == 4:
        return contents[:at] + contents[at + 1 :]
    end = rng.randrange(at, min(len(contents), at + 8) + 1)
    return contents[:end] + contents[at:end] + contents[end:]
