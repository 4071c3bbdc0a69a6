"""Two processes that fill one cache at once, a third that reads, and kills at random moments.

    python -m tests.cache.race --count 1000 --seed 1

In each round two writers and a reader are started, work on the same few names, with a limit that does not hold all of
them, and are killed (SIGKILL) within some milliseconds. What is read at any moment is checked: it has to be what one
writer wrote under that very name, whole. After each round so is what the kills have left, and its size; at the end a
new writer, two hours later, has to leave nothing but files that are right.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from zlib import crc32

from vibewasm.cache.contents import is_aside, is_entry
from vibewasm.cache.folder import LIMIT, Folder

from .filling import HOUR

NAMES = ["0a", "1b", "2c", "3d", "4e", "5f"]
#: Bytes of a file, and of all; six files of the largest size do not fit.
LARGEST = 200_000
TOTAL = 4 * LARGEST
#: Seconds that the processes of a round may have.
LONGEST = 0.02
#: What killed writers have left counts for an hour: with much of it there would be no room for anything else.
_MOST_ASIDE = 3


def content(name: str, chance: random.Random) -> list[bytes]:
    """What a writer writes: the name, bytes that nobody else writes, and a checksum, in parts."""
    size = chance.choice((0, 100, 5_000, 70_000, LARGEST - 50))
    body = chance.randbytes(16) * (size // 16)
    head = name.encode() + size.to_bytes(4, "little")
    return [head, body[: size // 2], body[size // 2 :], crc32(head + body).to_bytes(4, "little")]


def is_right(name: str, data: bytes) -> bool:
    """Whether that is what a writer wrote under this name, whole."""
    size = int.from_bytes(data[2:6], "little")
    return (
        data[:2] == name.encode()
        and len(data) == 6 + size // 16 * 16 + 4
        and crc32(data[:-4]) == int.from_bytes(data[-4:], "little")
    )


def check(folder: Folder) -> int:
    """Read all files; returns how many there were."""
    count = 0
    for name in NAMES:
        data = folder.read(name)
        if data is not None:
            count += 1
            if not is_right(name, data):
                raise AssertionError(f"{name} holds {len(data)} bytes that nobody wrote: {data[:20]!r}...")
    return count


def _write(folder: Folder, chance: random.Random) -> None:
    folder.set_limit(TOTAL)
    while True:
        name = chance.choice(NAMES)
        folder.write(name, content(name, chance))
        if chance.random() < 0.02:
            folder.remove(name)
        if chance.random() < 0.01:
            folder.clear()
        if chance.random() < 0.05:
            folder.set_limit(TOTAL)


def _read(folder: Folder, _: random.Random) -> None:
    while True:
        check(folder)


def _start(work: Callable[[Folder, random.Random], None], folder: Folder, seed: int) -> int:
    child = os.fork()
    if child:
        return child
    try:
        work(folder, random.Random(seed))
    except BaseException as error:
        print(error, file=sys.stderr, flush=True)
    finally:
        os._exit(1)


def race(count: int, seed: int) -> str:
    """Run ``count`` rounds. Returns what was seen; raises :class:`AssertionError` for a wrong result."""
    chance = random.Random(seed)
    root = tempfile.mkdtemp(prefix="vibewasm-race-")
    folder = Folder(f"{root}/cache")
    found = left = 0
    try:
        for number in range(count):
            if chance.random() < 0.1:
                # The folder itself is made by two at once.
                shutil.rmtree(folder.path, ignore_errors=True)
            children = [_start(work, folder, chance.getrandbits(32)) for work in (_write, _write, _read)]
            for child in chance.sample(children, 3):
                time.sleep(chance.random() * LONGEST / 3)
                os.kill(child, signal.SIGKILL)
            statuses = [os.waitpid(child, 0)[1] for child in children]
            if not all(map(os.WIFSIGNALED, statuses)):
                raise AssertionError(f"a process of round {number} of seed {seed} ended by itself")
            found += check(folder)
            left += _check_folder(folder)
        _age(folder)
        folder.set_limit(TOTAL)
        if not folder.write(NAMES[0], content(NAMES[0], chance)):
            raise AssertionError(f"nothing can be written any more: {folder.problem()}")
        if _check_folder(folder):
            raise AssertionError("what killed writers left stays")
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return f"{count} rounds: {found} files read after them, all right; {left} writers were killed while writing"


def _check_folder(folder: Folder) -> int:
    """That nothing is there but what should be, and not too much. Returns how many files killed writers have left."""
    try:
        names = os.listdir(folder.path)
    except FileNotFoundError:
        return 0
    others = [name for name in names if not is_entry(name) and not is_aside(name) and name != LIMIT]
    if others:
        raise AssertionError(f"these are nobody's: {others}")
    size = sum(os.stat(f"{folder.path}/{name}").st_size for name in names)
    # Each of two writers may not have seen what the other was about to write.
    if size > TOTAL + 2 * LARGEST:
        raise AssertionError(f"{size} bytes are in the folder, of {TOTAL} that may be")
    asides = [name for name in names if is_aside(name)]
    if len(asides) > _MOST_ASIDE:
        for name in asides:
            os.unlink(f"{folder.path}/{name}")
    return len(asides)


def _age(folder: Folder) -> None:
    """Let two hours go by."""
    for name in os.listdir(folder.path) if os.path.isdir(folder.path) else []:
        then = time.time() - 2 * HOUR
        os.utime(f"{folder.path}/{name}", (then, then))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="rounds")
    parser.add_argument("--seed", type=int, default=1, help="of what is random")
    given = parser.parse_args()
    print(race(given.count, given.seed))
