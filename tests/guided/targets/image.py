"""Any bytes as what the code cache keeps of a decoded module: refused, or what is made of them does no harm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from tests.cache.tampering import WAYS, use
from tests.fuzz.corpus import Corpus
from tests.fuzz.make import make
from tests.guided.altering import LONGEST, altered
from vibewasm.binary.decoder import decode
from vibewasm.cache.image import HEADER, Damaged, pack, unpack
from vibewasm.errors import WasmError

_MODULES = 100


def _modules() -> list[bytes]:
    """Of each there is an image that is not empty. They are generated, so that they are the same everywhere."""
    found = []
    for index in range(_MODULES):
        data = make(2, index, Corpus([], [], [])).data
        try:
            if len(data) < LONGEST // 4 and pack(decode(data)):
                found.append(data)
        except WasmError:
            continue
    return found


def seeds() -> list[bytes]:
    """For each module its number, in a byte, and its image."""
    return [bytes([number]) + pack(decode(data)) for number, data in enumerate(_modules())]


def start(folder: Path) -> Callable[[bytes], None]:
    """Unpack, and use what comes of it."""
    modules = _modules()

    def run(data: bytes) -> None:
        module = modules[(data[0] if data else 0) % len(modules)]
        try:
            info = unpack(data[1:], module)
        except Damaged:
            return
        use(info)

    return run


def alter(data: bytes, others: Sequence[bytes], rng: Random) -> bytes:
    """By what an image consists of, or by its bytes."""
    if rng.random() < 0.3 or len(data) <= HEADER + 1:
        return altered(data, others, rng)
    image = bytearray(data[1:])
    for _ in range(rng.choice((1, 1, 2, 3))):
        (way,) = rng.choices([*WAYS], [*WAYS.values()])
        if len(image) > HEADER:
            way(image, rng, data)
    return data[:1] + bytes(image)
