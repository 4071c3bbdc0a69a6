"""Images that somebody has tampered with: `python -m tests.cache.tampering --count 10000 --seed 1`.

Each is refused, or gives a module that is as valid as a decoded one, and whose use does not crash: its lists are read,
its functions compiled, and it is instantiated with zeros for its imports, in a child process. Image N of a seed is
always the same: `--only N` does it again in this process.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, NamedTuple
from unittest.mock import patch

from tests.cache.equality import facts
from tests.fuzz import corpus
from tests.fuzz.make import make
from tests.fuzz.workers import find_all
from vibewasm import Config, Engine, Linker, Module, Store, WasmError
from vibewasm.binary.decoder import decode
from vibewasm.binary.module_info import ModuleInfo
from vibewasm.binary.validate import validate_module
from vibewasm.cache.image import COUNTS, HEADER, Damaged, pack, unpack

#: Values of 32 bits at some edge.
EDGES = [0, 1, 2, 3, 7, 8, 0xFF, 0x100, 0xFFFF, 0x1_0000, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFE, 0xFFFF_FFFF]


class Finding(NamedTuple):
    """What came of image `number`: how it was tampered with, whether it was refused, and what went wrong."""

    number: int
    ways: tuple[str, ...]
    refused: bool
    problem: str | None = None


# -- ways of tampering -------------------------------------------------------------------------------------------------


def flip(image: bytearray, rng: Random, data: bytes) -> None:
    """Turn a few bits over."""
    for _ in range(rng.choice((1, 1, 2, 8))):
        image[rng.randrange(len(image))] ^= 1 << rng.randrange(8)


def cut(image: bytearray, rng: Random, data: bytes) -> None:
    """Take bytes away."""
    at = rng.randrange(len(image))
    del image[at : at + rng.choice((1, 2, 4, 8, 16, len(image)))]


def insert(image: bytearray, rng: Random, data: bytes) -> None:
    """Put bytes in."""
    at = rng.randrange(len(image) + 1)
    image[at:at] = rng.randbytes(rng.choice((1, 2, 4, 8, 16)))


def set_byte(image: bytearray, rng: Random, data: bytes) -> None:
    """Give a byte a small or an extreme value."""
    image[rng.randrange(len(image))] = rng.choice(
        (0, 1, 2, 3, 4, 5, 6, 7, 8, 14, 15, 0x41, 0x6A, 0x7F, 0x80, 0xD2, 0xFF)
    )


def set_word(image: bytearray, rng: Random, data: bytes) -> None:
    """Give a word a value at some edge."""
    _write(image, 4 * rng.randrange(len(image) // 4), rng, data)


def set_header(image: bytearray, rng: Random, data: bytes) -> None:
    """Give a word of the header a value at some edge."""
    _write(image, 4 * rng.randrange(HEADER // 4), rng, data)


def copy_word(image: bytearray, rng: Random, data: bytes) -> None:
    """Put one word, or nearly that, in place of another."""
    one, other = (4 * rng.randrange(HEADER // 4, max(HEADER // 4 + 1, len(image) // 4)) for _ in range(2))
    if other + 4 <= len(image):
        value = int.from_bytes(image[one : one + 4], "little") + rng.choice((-1, 0, 0, 1))
        image[other : other + 4] = (value & 0xFFFF_FFFF).to_bytes(4, "little")


def exchange(image: bytearray, rng: Random, data: bytes) -> None:
    """Exchange two words."""
    one, other = (4 * rng.randrange(len(image) // 4) for _ in range(2))
    image[one : one + 4], image[other : other + 4] = image[other : other + 4], image[one : one + 4]


def count_anew(image: bytearray, rng: Random, data: bytes) -> None:
    """Raise or lower a count, and make the image as much longer or shorter."""
    at = 4 * (5 + rng.randrange(len(COUNTS)))
    more = rng.choice((-2, -1, 1, 2))
    image[at : at + 4] = max(0, int.from_bytes(image[at : at + 4], "little") + more).to_bytes(4, "little")
    size = rng.choice((1, 2, 4, 5, 8, 9, 12, 13, 16, 17)) * abs(more)
    place = rng.randrange(HEADER, len(image) + 1)
    if more < 0:
        del image[place : place + size]
    else:
        image[place:place] = image[place - size : place] if rng.random() < 0.5 else bytes(size)


def compensate(image: bytearray, rng: Random, data: bytes) -> None:
    """Raise one count and lower another, so that the length may stay right."""
    for more in (-1, 1):
        at = 4 * (5 + rng.randrange(len(COUNTS)))
        image[at : at + 4] = max(0, int.from_bytes(image[at : at + 4], "little") + more).to_bytes(4, "little")


def _write(image: bytearray, at: int, rng: Random, data: bytes) -> None:
    now = int.from_bytes(image[at : at + 4], "little")
    near = [now - 1, now + 1, now + 2, now ^ 0x8000_0000, 2 * now, len(data), len(data) - 1, len(data) + 1]
    value = rng.choice([*EDGES, *near, *near, rng.randrange(64)])
    image[at : at + 4] = (value & 0xFFFF_FFFF).to_bytes(4, "little")


#: Ways of tampering with an image, and how often each is chosen.
WAYS: dict[Callable[[bytearray, Random, bytes], None], int] = {
    flip: 3, cut: 1, insert: 1, set_byte: 4, set_word: 8, copy_word: 8, set_header: 2, exchange: 3, count_anew: 2,
    compensate: 2,
}  # fmt: skip


def tampered(seed: int, number: int, modules: corpus.Corpus) -> tuple[bytes, bytes, tuple[str, ...]]:
    """Image `number` of a seed, the module that it was made of, and how it was tampered with."""
    rng = Random(f"tampering {seed}:{number}")
    while True:
        data = make(seed, rng.randrange(1 << 32), modules).data
        try:
            image = bytearray(pack(decode(data)))
        except WasmError:
            continue
        # Of some modules there is none.
        if image:
            break
    ways = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        (way,) = rng.choices([*WAYS], [*WAYS.values()])
        if len(image) > HEADER:
            way(image, rng, data)
            ways.append(way.__name__)
    return bytes(image), data, tuple(ways)


# -- use ---------------------------------------------------------------------------------------------------------------


def use(info: ModuleInfo) -> None:
    """Whatever may be done with a decoded module: only errors of wasm may come of it."""
    said = facts(info)
    assert facts(unpack(pack(info), info.data)) == said
    validate_module(info)
    assert facts(info) == said, "the validation numbers references otherwise"
    for kind in info.names.kinds:
        _ = info.names.of(kind), info.names.within(kind)
    _ = info.name
    engine = Engine(Config(fuel=True, max_memory=1 << 28, max_table_elements=1 << 16))
    module = _module(engine, info)
    _ = module.imports, module.exports, repr(module)
    compiler = module.compiler
    for defined in range(len(info.bodies)):
        try:
            compiler.compile(defined)
        except WasmError:
            continue
    linker = Linker(engine)
    with Store(engine) as store:
        store.fuel = 20_000
        try:
            linker.define_unknown_imports_as_zero(module)
            instance = linker.instantiate(store, module)
            for name in instance.exports:
                _ = instance.exports[name]
        except WasmError:
            return


def _module(engine: Engine, info: ModuleInfo) -> Module:
    """The module, with this in place of what decoding would find."""
    with patch("vibewasm.binary.decoder.decode", lambda data, features=frozenset(): info):
        return Module(engine, info.data)


def try_one(seed: int, number: int, modules: corpus.Corpus) -> Finding:
    """Tamper, and use what is not refused."""
    image, data, ways = tampered(seed, number, modules)
    try:
        info = unpack(image, data)
    except Damaged:
        return Finding(number, ways, True)
    except Exception:
        return Finding(number, ways, True, traceback.format_exc())
    try:
        use(info)
    except Exception:
        return Finding(number, ways, False, traceback.format_exc())
    return Finding(number, ways, False)


def run(seed: int, numbers: range, jobs: int) -> Iterator[Finding]:
    """Try these images in child processes."""
    modules = corpus.load()

    def start() -> Callable[[int], Finding]:
        return lambda number: try_one(seed, number, modules)

    return find_all(start, lambda number, problem: Finding(number, (), False, problem), numbers, jobs)


def main() -> int:
    """Runs what the command line asks for; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.cache.tampering", description=__doc__)
    options: dict[str, Any] = {"type": int, "metavar": "N"}
    parser.add_argument("--count", default=10_000, help="how many images, 10000 by default", **options)
    parser.add_argument("--seed", default=secrets.randbelow(10**6), help="what all is drawn from", **options)
    parser.add_argument("--jobs", default=1, help="how many at once", **options)
    parser.add_argument("--only", help="do image N alone, in this process", **options)
    given = parser.parse_args()
    if given.only is not None:
        finding = try_one(given.seed, given.only, corpus.load())
        print(finding.ways, "refused" if finding.refused else "used", finding.problem or "", sep="\n")
        return 1 if finding.problem else 0
    refused: Counter[str] = Counter()
    used: Counter[str] = Counter()
    wrong = 0
    for finding in run(given.seed, range(given.count), given.jobs):
        (refused if finding.refused else used).update(["all", *finding.ways])
        if finding.problem:
            wrong += 1
            print(f"image {finding.number}, {', '.join(finding.ways)}: {finding.problem}", flush=True)
    print(f"seed {given.seed}: {refused['all']} refused, {used['all']} used, {wrong} went wrong")
    for way in WAYS:
        name = way.__name__
        print(f"  {name:11} {refused[name]:6} refused {used[name]:6} used")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
