"""Precompiled modules and the cache's files with something in them that is other than it was, and a right checksum."""

from __future__ import annotations

from collections.abc import Sequence

from vibewasm.cache.container import key_of, pack, unpack


def sections_of(data: bytes, kind: int) -> list[bytes]:
    """What a file consists of."""
    return [bytes(section) for section in unpack(data, kind, key_of(data, kind))]


def repacked(data: bytes, kind: int, sections: Sequence[bytes]) -> bytes:
    """The file with other sections."""
    return b"".join(pack(kind, key_of(data, kind), sections))


def of_another_version(data: bytes, kind: int) -> bytes:
    """The file as another version would have made it: with another key."""
    return b"".join(pack(kind, bytes(len(key_of(data, kind))), sections_of(data, kind)))
