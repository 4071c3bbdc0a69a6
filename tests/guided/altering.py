"""Ways to change any bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

_EDGES = (b"\0", b"\1", b"\x7f", b"\x80", b"\xff", b"\xff\xff\xff\xff\x0f", b"\x80\x80\x80\x80\x08", b"\x80\x00")
#: Inputs do not get longer.
LONGEST = 1 << 14


def _flip(data: bytearray, others: Sequence[bytes], rng: Random) -> None:
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _set(data: bytearray, others: Sequence[bytes], rng: Random) -> None:
    data[rng.randrange(len(data))] = rng.randrange(256)


def _add(data: bytearray, others: Sequence[bytes], rng: Random) -> None:
    at = rng.randrange(len(data))
    data[at] = (data[at] + rng.choice((-2, -1, 1, 2))) & 0xFF


def _edge(data: bytearray, others: Sequence[bytes], rng: Random) -> None:
    at = rng.randrange(len(data))
    edge = rng.choice(_EDGES)
    data[at : at + rng.choice((0, 1, len(edge)))] = edge


def _remove(data: bytearray, others: Sequence[bytes], rng: Random) -> None:
    at = rng.randrange(len(data))
    del data[at : at + rng.choice((1, 1, 2, 4, 8, 32))]


def _repeat(data: bytearray, others: Sequence[bytes], rng: Random) -> None:
    at = rng.randrange(len(data))
    part = data[at : at + rng.choice((1, 2, 4, 8, 32))]
    place = rng.randrange(len(data) + 1)
    data[place:place] = part * rng.choice((1, 1, 1, 2, 5))


def _insert(data: bytearray, others: Sequence[bytes], rng: Random) -> None:
    place = rng.randrange(len(data) + 1)
    data[place:place] = rng.randbytes(rng.choice((1, 1, 2, 4, 8)))


def _splice(data: bytearray, others: Sequence[bytes], rng: Random) -> None:
    other = rng.choice(others)
    start = rng.randrange(len(other) + 1)
    stop = start + rng.choice((1, 4, 16, 64, len(other)))
    place = rng.randrange(len(data) + 1)
    data[place : place + rng.choice((0, stop - start, len(data)))] = other[start:stop]


_WAYS: tuple[Callable[[bytearray, Sequence[bytes], Random], None], ...] = (
    *(_flip, _set, _add, _edge, _remove, _repeat, _insert, _splice),
)


def altered(data: bytes, others: Sequence[bytes], rng: Random) -> bytes:
    """Some other bytes like these. ``others`` are the inputs that parts may be taken from, at least one."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3, 5, 8))):
        way = rng.choice(_WAYS) if out else _insert
        way(out, others, rng)
    return bytes(out[:LONGEST])
