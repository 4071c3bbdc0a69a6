"""Whole files that somebody has tampered with: `python -m tests.cache.tampered_files --count 10000 --seed 1`.

Files of code, of stubs and precompiled modules, in turn. Half of them have their checksum made right after anything but
machine code was altered: machine code is trusted, see `docs/cache.md`. A file of the cache is ignored, and written
anew; a precompiled module is refused with a `WasmError`; or it is used, and what comes of it is what came before. Each
is tried in a process of its own, which begins as every start does. File N of a seed is always the same: `--only N` does
it again in this process.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from importlib import import_module
from random import Random
from typing import Any, NamedTuple

from tests.cache import programs, tampering
from tests.cache.damage import sections_of
from tests.cache.programs import PROGRAMS, Used
from tests.fuzz.workers import UNLIMITED, find_all, for_minutes, in_child
from vibewasm.cache import code
from vibewasm.cache.container import CODE, MAGIC, PRECOMPILED, STUBS, Damaged, checksum, key_of, pack
from vibewasm.cache.folder import SUFFIX
from vibewasm.cache.image import HEADER
from vibewasm.calls.process import known_stubs

KINDS = {CODE: "code", STUBS: "stubs", PRECOMPILED: "precompiled"}
#: What the sections of each kind are.
SECTIONS = {
    CODE: ("facts", "image", "functions"),
    STUBS: ("names", "functions"),
    PRECOMPILED: ("facts", "image", "functions", "module"),
}
#: Values of 64 bits at some edge.
_EDGES = [*tampering.EDGES, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 8, (1 << 64) - 1]
#: In place of what code depends on, or of names.
_OTHER_VALUES = (b" -1", b" 9", b" " + b"9" * 5000, b" x", b" ", b"", b" 0", b" 1", b" 1_0", b" \xd9\xa3")
_OTHER_FACTS = (b"", b"\0", b"\1", b"\2", b"\0\0", b"\xff", b"target", b"target x86_64\n", b"a b c", b" ", b"\n")


class Finding(NamedTuple):
    """What came of file `number`: its kind, how it was tampered with, what was done with it, and what went wrong."""

    number: int
    kind: str
    ways: tuple[str, ...]
    sealed: bool
    used: bool
    problem: str | None = None


class Original(NamedTuple):
    """A file as it was made."""

    kind: int
    program: int
    data: bytes


class Parts:
    """A file to be altered.

    Attributes:
        module: the bytes of the module that it is of.
        sections: by what they are.
        labels, machine_code: of each function or stub, where in its section its label begins, and where its code lies.
        order: which sections the file has.
        late: what is done to the file when it is whole, before its checksum is made right: to what stands before the
            checksum, to the numbers that follow it, and to the sections and what fills the gaps after them.
    """

    def __init__(self, original: Original) -> None:
        self.kind = original.kind
        self.module = PROGRAMS[original.program].data
        self.key = key_of(original.data, self.kind)
        found = sections_of(original.data, self.kind)
        self.sections = {name: bytearray(section) for name, section in zip(SECTIONS[self.kind], found, strict=True)}
        self.labels, self.machine_code = _places(self.sections)
        self.order = [*self.sections]
        self.late: list[Callable[[bytearray, bytearray, list[bytearray]], None]] = []

    def sealed(self) -> bytes:
        """The file with its checksum made right."""
        made = pack(self.kind, self.key, [bytes(self.sections[name]) for name in self.order])
        beginning, numbers = bytearray(made[0]), bytearray(made[1])
        size = len(checksum([b""]))
        beginning, rest = beginning[:-size], [bytearray(part) for part in made[2:]]
        for way in self.late:
            way(beginning, numbers, rest)
        return b"".join([beginning, checksum([numbers, *rest]), numbers, *rest])


def _places(sections: dict[str, bytearray]) -> tuple[list[int], list[range]]:
    """Where the labels of functions or stubs begin in their section, and where the code of each lies."""
    whole = bytes(sections["image" if "image" in sections else "names"])
    packed = memoryview(bytes(sections["functions"]))
    found = code.unpack_functions(packed, whole, 1 << 31, 0)
    return [at - code._LABEL for _, at, _ in found], [range(at, at + size) for _, at, size in found]


# -- ways of tampering, the checksum made right ------------------------------------------------------------------------


def begin_otherwise(parts: Parts, rng: Random) -> None:
    """Alter the magic number, the version or the kind."""

    def late(beginning: bytearray, numbers: bytearray, rest: list[bytearray]) -> None:
        if rng.random() < 0.5:
            beginning[len(MAGIC) :] = rng.choice((0, 1, 2, 3, 4, 256, (1 << 32) - 1)).to_bytes(4, "little")
        else:
            beginning[rng.randrange(len(beginning))] ^= 1 << rng.randrange(8)

    parts.late.append(late)


def set_number(parts: Parts, rng: Random) -> None:
    """Alter the length, the key, how many sections there are, or where one begins and how long it is."""

    def late(beginning: bytearray, numbers: bytearray, rest: list[bytearray]) -> None:
        at = 8 * rng.randrange(len(numbers) // 8)
        now = int.from_bytes(numbers[at : at + 8], "little")
        near = [now + more for more in (-16, -8, -1, 1, 2, 8, 16, 1 << 32)]
        value = rng.choice([*_EDGES, *near, *near, 2 * now, -now])
        numbers[at : at + 8] = (value & (1 << 64) - 1).to_bytes(8, "little")

    parts.late.append(late)


def exchange_numbers(parts: Parts, rng: Random) -> None:
    """Exchange two numbers, or put one in place of another."""

    def late(beginning: bytearray, numbers: bytearray, rest: list[bytearray]) -> None:
        one, other = (8 * rng.randrange(len(numbers) // 8) for _ in range(2))
        first, second = numbers[one : one + 8], numbers[other : other + 8]
        numbers[other : other + 8] = first
        if rng.random() < 0.5:
            numbers[one : one + 8] = second

    parts.late.append(late)


def fill_gaps(parts: Parts, rng: Random) -> None:
    """Put something between sections, or after them."""

    def late(beginning: bytearray, numbers: bytearray, rest: list[bytearray]) -> None:
        gap = rng.choice(rest[1::2])
        if gap and rng.random() < 0.7:
            gap[rng.randrange(len(gap))] = rng.randrange(1, 256)
        else:
            gap += rng.randbytes(rng.choice((1, 8, 16)))

    parts.late.append(late)


def arrange_otherwise(parts: Parts, rng: Random) -> None:
    """Leave a section out, exchange two, or have one twice."""
    at = rng.randrange(len(parts.order))
    what = rng.randrange(3)
    if what == 0:
        del parts.order[at]
    elif what == 1:
        other = rng.randrange(len(parts.order))
        parts.order[at], parts.order[other] = parts.order[other], parts.order[at]
    else:
        parts.order.insert(rng.randrange(len(parts.order) + 1), parts.order[at])


def cut_section(parts: Parts, rng: Random) -> None:
    """Make a section shorter, by a few bytes or to what it begins with."""
    section = parts.sections[rng.choice([*parts.sections])]
    del section[max(0, len(section) - rng.choice((1, 4, 8, 16, 32, rng.randrange(len(section) + 1)))) :]


def lengthen_section(parts: Parts, rng: Random) -> None:
    """Make a section longer."""
    section = parts.sections[rng.choice([*parts.sections])]
    size = rng.choice((1, 4, 8, 16, 32))
    section += bytes(size) if rng.random() < 0.5 else section[-size:]


def set_label(parts: Parts, rng: Random) -> None:
    """Alter a word of a label."""
    packed = parts.sections["functions"]
    places = [at for at in parts.labels if at + code._LABEL <= len(packed)]
    if not places:
        return
    label = rng.choice(places)
    at = label + 4 * rng.randrange(code._LABEL // 4)
    now = int.from_bytes(packed[at : at + 4], "little")
    value = rng.choice([*tampering.EDGES, now + 1, now - 1, now ^ 1 << rng.randrange(32)])
    packed[at : at + 4] = (value & 0xFFFF_FFFF).to_bytes(4, "little")


def forge_label(parts: Parts, rng: Random) -> None:
    """Give a label a number or a length that is impossible, with complements that are right.

    What is possible is left alone: it would say that code is another function's, or shorter than it is, and so be code.
    """
    packed = parts.sections["functions"]
    places = [at for at in parts.labels if at + code._LABEL <= len(packed)]
    if not places:
        return
    label = rng.choice(places)
    at = label + rng.choice((0, 4))
    complement = at + code._LABEL // 2
    words = [int.from_bytes(packed[place : place + 4], "little") for place in (at, complement)]
    mask = words[0] ^ words[1]
    high = rng.choice((1 << 31, 1 << 30, (1 << 32) - 1, (1 << 32) - 16))
    # No file has so many functions, or a function of such a length.
    value = high | words[0] & 0xFF
    packed[at : at + 4] = value.to_bytes(4, "little")
    packed[complement : complement + 4] = (value ^ mask).to_bytes(4, "little")


def fill_after_code(parts: Parts, rng: Random) -> None:
    """Put something between the end of code and the next label."""
    packed = parts.sections["functions"]
    taken = {place for lines in parts.machine_code for place in lines}
    taken.update(place for at in parts.labels for place in range(at, at + code._LABEL))
    free = [place for place in range(len(packed)) if place not in taken]
    for place in rng.sample(free, min(len(free), rng.choice((1, 2, 8)))):
        packed[place] = rng.randrange(256)


def set_facts(parts: Parts, rng: Random) -> None:
    """Alter what code depends on, or the names of stubs."""
    name = "facts" if "facts" in parts.sections else "names"
    section = parts.sections[name]
    what = rng.randrange(4)
    if what == 0:
        section[:] = rng.choice(_OTHER_FACTS)
    elif what == 1 and section:
        section[rng.randrange(len(section))] = rng.choice(b"\0 \n019-_axz\x7f\x80\xc3\xff")
    else:
        lines = bytes(section).split(b"\n")
        at = rng.randrange(len(lines))
        if what == 2:
            lines[at] = lines[at].rpartition(b" ")[0] + rng.choice(
                (
                    b" -1",
                    b" 99999999999999999999",
                    b" " + b"9" * 5000,
                    b" x",
                    b" ",
                    b"",
                    b" 0",
                    b" 1",
                    b" 1_0",
                    b" \xd9\xa3",
                )
            )
        else:
            rng.choice((lines.append, lambda line: lines.insert(0, line), lines.remove))(lines[at])
        section[:] = b"\n".join(lines)


def set_image(parts: Parts, rng: Random) -> None:
    """Alter the image of the decoded module, as `tests.cache.tampering` does."""
    image = parts.sections.get("image")
    if image is None or len(image) <= HEADER:
        set_facts(parts, rng)
        return
    (way,) = rng.choices([*tampering.WAYS], [*tampering.WAYS.values()])
    way(image, rng, parts.module)


def set_image_alone(parts: Parts, rng: Random) -> None:
    """Alter the image of a file without code, or the names of one without stubs."""
    del parts.sections["functions"][:]
    set_image(parts, rng)


def set_module(parts: Parts, rng: Random) -> None:
    """Alter the bytes of the module that stand beside its code."""
    module = parts.sections.get("module")
    if not module:
        set_facts(parts, rng)
        return
    for _ in range(rng.choice((1, 1, 4))):
        module[rng.randrange(len(module))] = rng.randrange(256)


_SEALED: dict[Callable[[Parts, Random], None], int] = {
    begin_otherwise: 1, set_number: 4, exchange_numbers: 2, fill_gaps: 1, arrange_otherwise: 2, cut_section: 3,
    lengthen_section: 2, set_label: 3, forge_label: 3, fill_after_code: 1, set_facts: 3, set_image: 6,
    set_image_alone: 6, set_module: 3,
}  # fmt: skip


# -- ways of tampering, the checksum left as it was --------------------------------------------------------------------


def flip(data: bytearray, rng: Random, others: list[bytes]) -> None:
    """Turn a few bits over."""
    for _ in range(rng.choice((1, 1, 2, 8))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def flip_early(data: bytearray, rng: Random, others: list[bytes]) -> None:
    """Turn a bit of the first bytes over."""
    data[rng.randrange(min(len(data), 128))] ^= 1 << rng.randrange(8)


def cut(data: bytearray, rng: Random, others: list[bytes]) -> None:
    """Leave away the end: a writer that was killed, or a full disk."""
    del data[rng.choice((0, 1, 8, 12, 24, 56, 63, 64, rng.randrange(len(data)), len(data) - 1)) :]


def lengthen(data: bytearray, rng: Random, others: list[bytes]) -> None:
    """Have something after the end."""
    data += rng.randbytes(rng.choice((1, 8, 16, 4096)))


def remove(data: bytearray, rng: Random, others: list[bytes]) -> None:
    """Take bytes out of the middle."""
    at = rng.randrange(len(data))
    del data[at : at + rng.choice((1, 4, 8, 16))]


def insert(data: bytearray, rng: Random, others: list[bytes]) -> None:
    """Put bytes in."""
    at = rng.randrange(len(data) + 1)
    data[at:at] = rng.randbytes(rng.choice((1, 4, 8, 16)))


def clear(data: bytearray, rng: Random, others: list[bytes]) -> None:
    """Make a block zero, as a machine leaves it that loses power."""
    size = rng.choice((16, 512, 4096))
    at = rng.randrange(0, len(data), size)
    end = min(len(data), at + size)
    data[at:end] = bytes(end - at)


def mix(data: bytearray, rng: Random, others: list[bytes]) -> None:
    """Have the end of another file."""
    other = rng.choice(others)
    at = rng.randrange(len(data) + 1)
    data[at:] = other[at:]


def exchange_file(data: bytearray, rng: Random, others: list[bytes]) -> None:
    """Have a file of another kind or program, or one of nothing that was made here, in place of it."""
    data[:] = rng.choice([*others, b"", b"\0asm\1\0\0\0", bytes(len(data)), rng.randbytes(len(data))])


_SPOILED: dict[Callable[[bytearray, Random, list[bytes]], None], int] = {
    flip: 6, flip_early: 3, cut: 2, lengthen: 1, remove: 1, insert: 1, clear: 2, mix: 2, exchange_file: 1,
}  # fmt: skip


class Tampered(NamedTuple):
    """A file that was altered: what it was, what it is, and how that came."""

    original: Original
    data: bytes
    ways: tuple[str, ...]
    sealed: bool


def tampered(seed: int, number: int, originals: list[Original]) -> Tampered:
    """File `number` of a seed."""
    rng = Random(f"tampered file {seed}:{number}")
    kind = [*KINDS][number % len(KINDS)]
    original = rng.choice([one for one in originals if one.kind == kind])
    sealed = number // len(KINDS) % 2 == 1
    # Another precompiled module is one that may be used.
    others = [one.data for one in originals if one is not original and (kind != PRECOMPILED or one.kind != kind)]
    while True:
        count = rng.choice((1, 1, 1, 2, 3))
        data, ways = _sealed(original, rng, count) if sealed else _spoiled(original, rng, count, others)
        if data != original.data:
            return Tampered(original, data, ways, sealed)


def _sealed(original: Original, rng: Random, count: int) -> tuple[bytes, tuple[str, ...]]:
    parts = Parts(original)
    ways = rng.choices([*_SEALED], [*_SEALED.values()], k=count)
    for way in ways:
        if parts.order:
            way(parts, rng)
    return parts.sealed(), tuple([way.__name__ for way in ways])


def _spoiled(original: Original, rng: Random, count: int, others: list[bytes]) -> tuple[bytes, tuple[str, ...]]:
    data = bytearray(original.data)
    ways = rng.choices([*_SPOILED], [*_SPOILED.values()], k=count)
    for way in ways:
        if data:
            way(data, rng, others)
    return bytes(data), tuple([way.__name__ for way in ways])


# -- use ---------------------------------------------------------------------------------------------------------------


def _kind_of(data: bytes) -> int:
    for kind in KINDS:
        try:
            key_of(data, kind)
        except Damaged:
            continue
        return kind
    raise AssertionError("it is of no kind")


class Campaign:
    """What is made once: the files as they were, in a folder of the cache for each program, and what is right.

    Nothing is run in this process, so that those which are forked from it begin with loaded modules and nothing else.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        made = in_child(lambda: programs.made(root), 120)
        if isinstance(made, str):
            raise RuntimeError(f"the files could not be made: {made}")
        for name in made.modules:
            import_module(name)
        assert not known_stubs.made
        self.truth = made.results
        self.originals = []
        for program in range(len(PROGRAMS)):
            self.originals.append(Original(PRECOMPILED, program, made.precompiled[program]))
            for name, data in self.kept(program).items():
                kind = _kind_of(data)
                assert key_of(data, kind).hex() + SUFFIX == name
                self.originals.append(Original(kind, program, data))
        # Not in the order of names, which are other ones for every other source.
        self.originals.sort()

    def kept(self, program: int) -> dict[str, bytes]:
        """The cache's files of a program, as they were made."""
        folder = programs.folder(self.root, program)
        found = {}
        for name in sorted(os.listdir(folder)):
            with open(os.path.join(folder, name), "rb") as file:
                found[name] = file.read()
        return found

    def try_one(self, seed: int, number: int) -> Finding:
        """Tamper with a file, and begin with it in a process of its own."""
        altered = tampered(seed, number, self.originals)
        found = in_child(lambda: self.use(number, altered))
        if isinstance(found, str):
            return self._finding(number, altered, True, found)
        return found

    def use(self, number: int, altered: Tampered) -> Finding:
        """Begin with a file; this process may have begun with nothing before."""
        try:
            used = self._used(altered)
        except Exception:
            return self._finding(number, altered, True, traceback.format_exc())
        problem = None
        if used.results is not None and used.results != self.truth[altered.original.program]:
            problem = f"{used.results}\ninstead of\n{self.truth[altered.original.program]}"
        return self._finding(number, altered, used.used, problem)

    def _finding(self, number: int, altered: Tampered, used: bool, problem: str | None) -> Finding:
        return Finding(number, KINDS[altered.original.kind], altered.ways, altered.sealed, used, problem)

    def _used(self, altered: Tampered) -> Used:
        kind, program, _ = altered.original
        if kind == PRECOMPILED:
            return programs.deserialized(program, altered.data)
        with tempfile.TemporaryDirectory(prefix="tampered-", dir=self.root) as folder:
            names = self.kept(program)
            name = next(name for name, data in names.items() if data == altered.original.data)
            for file, data in names.items():
                with open(os.open(os.path.join(folder, file), os.O_WRONLY | os.O_CREAT, 0o600), "wb") as output:
                    output.write(altered.data if file == name else data)
            return programs.started(program, folder, stubs=kind == STUBS)


def run(seed: int, numbers: range, jobs: int) -> Iterator[Finding]:
    """Try these files, each in a process of its own.

    This process must not have run any wasm code: stubs that it has would be used in place of those of a file.
    """
    root = tempfile.mkdtemp(prefix="vibewasm-tampered-")
    try:
        campaign = Campaign(root)

        def start() -> Callable[[int], Finding]:
            return lambda number: campaign.try_one(seed, number)

        yield from find_all(
            start, lambda number, problem: Finding(number, "", (), False, False, problem), numbers, jobs
        )
    finally:
        shutil.rmtree(root, ignore_errors=True)


def main() -> int:
    """Runs what the command line asks for; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.cache.tampered_files", description=__doc__)
    options: dict[str, Any] = {"type": int, "metavar": "N"}
    parser.add_argument("--count", default=10_000, help="how many files, 10000 by default", **options)
    parser.add_argument("--minutes", type=float, help="stop after so many, and not after a count")
    parser.add_argument("--seed", default=secrets.randbelow(10**6), help="what all is drawn from", **options)
    parser.add_argument("--jobs", default=1, help="how many at once", **options)
    parser.add_argument("--only", help="do file N alone, in this process", **options)
    given = parser.parse_args()
    if given.only is not None:
        with tempfile.TemporaryDirectory(prefix="vibewasm-tampered-") as root:
            campaign = Campaign(root)
            altered = tampered(given.seed, given.only, campaign.originals)
            print(KINDS[altered.original.kind], altered.ways, "checksum made right" if altered.sealed else "")
            finding = campaign.use(given.only, altered)
        print("used" if finding.used else "not used", finding.problem or "", sep="\n")
        return 1 if finding.problem else 0
    counts: Counter[tuple[str, bool]] = Counter()
    ways: Counter[tuple[str, bool]] = Counter()
    wrong = 0
    numbers = range(given.count if given.minutes is None else UNLIMITED)
    for finding in for_minutes(run(given.seed, numbers, given.jobs), given.minutes):
        counts[finding.kind, finding.used] += 1
        ways.update([(way, finding.used) for way in finding.ways])
        if finding.problem:
            wrong += 1
            print(f"file {finding.number}, {finding.kind}, {', '.join(finding.ways)}: {finding.problem}", flush=True)
    said = [f"{counts[kind, False]:,} of {kind} not used and {counts[kind, True]:,} used" for kind in KINDS.values()]
    print(f"seed {given.seed}: {', '.join(said)}; {wrong} went wrong")
    for name in [way.__name__ for way in (*_SEALED, *_SPOILED)]:
        print(f"  {name:17} {ways[name, False]:6} not used {ways[name, True]:6} used")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
