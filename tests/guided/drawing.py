"""Random numbers that are the bytes of an input: so what a generator makes of them changes with a few of the bytes."""

from __future__ import annotations

from random import Random


class BytesRandom(Random):
    """Draws from ``data``; when that is used up, from a generator that it is the seed of."""

    def __new__(cls, data: bytes) -> BytesRandom:
        # `Random` would make its seed of what it is given here.
        return super().__new__(cls)

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        super().__init__(data)

    def _take(self, size: int) -> bytes | None:
        part = self._data[self._at : self._at + size]
        self._at += size
        return part if len(part) == size else None

    def getrandbits(self, k: int, /) -> int:
        part = self._take(-(-k // 8))
        return super().getrandbits(k) if part is None else int.from_bytes(part, "little") & (1 << k) - 1

    def random(self) -> float:
        part = self._take(2)
        return super().random() if part is None else int.from_bytes(part, "little") / 65536
