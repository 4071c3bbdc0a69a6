"""Clocks, random bytes and status of files that are the same in every run. Loaded only where a configuration asks for
them.
"""

from __future__ import annotations

import os
from stat import S_ISDIR

from . import abi

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .config import Seed

#: Nanoseconds by which each look at the clocks moves them, so that a program that waits by looking comes to an end.
TICK = 1_000_000

#: Where the realtime clock of a program begins, and what its random bytes come from, if it is to be deterministic and
#: its configuration does not say: 1 January 2000.
START = 946_684_800 * 1_000_000_000
SEED = 0

#: Bytes of one block of random ones.
_BLOCK = 4096
_U64 = (1 << 64) - 1


class SteppedClocks:
    """Time that only looking at it and waiting for it makes pass; waiting takes none of the host's.

    The realtime clock begins at a time of its own, the others at 0.
    """

    __slots__ = ("_passed", "_start")

    def __init__(self, start: int) -> None:
        self._start = start
        self._passed = 0

    def look(self, clock: int) -> int:
        """The time of a clock in nanoseconds, which passes."""
        time = self.now(clock)
        self._passed += TICK
        return time

    def now(self, clock: int) -> int:
        """The time of a clock in nanoseconds; it stays."""
        return (self._start if clock == abi.CLOCK_REALTIME else 0) + self._passed & _U64

    def resolution(self) -> int:
        """Nanoseconds between two different times."""
        return TICK

    def pass_by(self, nanoseconds: int) -> bool:
        """Let time pass; true, since it needs no waiting."""
        self._passed += nanoseconds
        return True


class AskedClocks:
    """Time that a Python function tells, the same for every clock. Waiting for it takes as long as it says at first."""

    __slots__ = ("_ask",)

    def __init__(self, ask: Callable[[], int]) -> None:
        self._ask = ask

    def now(self, clock: int) -> int:
        """The time of a clock in nanoseconds.

        Raises:
            TypeError, ValueError: the function has given no such number.
        """
        time: object = self._ask()
        if not isinstance(time, int) or isinstance(time, bool):
            raise TypeError(f"the WASI clock has to give nanoseconds as an int, not {type(time).__name__}")
        if not 0 <= time <= _U64:
            from ..arguments import number

            raise ValueError(f"the WASI clock has to give nanoseconds from 0 to 2**64-1, not {number(time)}")
        return time

    look = now

    def resolution(self) -> int:
        """Nanoseconds between two different times: as the function may tell them all, one."""
        return 1

    def pass_by(self, nanoseconds: int) -> bool:
        """Nothing passes here but the host's time."""
        return False


class SeededRandom:
    """Random bytes from a seed: SHAKE-256 of the seed and the number of the block. They are the same however many are
    asked for at a time.
    """

    __slots__ = ("_blocks", "_left", "_seed")

    def __init__(self, seed: Seed) -> None:
        # What kind it is counts too: 1 and "1" are two seeds.
        if isinstance(seed, int):
            self._seed = b"i" + seed.to_bytes(seed.bit_length() // 8 + 1, "little", signed=True)
        elif isinstance(seed, str):
            self._seed = b"s" + seed.encode("utf-8", "surrogatepass")
        else:
            self._seed = b"b" + seed
        self._blocks = 0
        self._left = b""

    def bytes(self, count: int) -> bytes:
        """The next ones."""
        from hashlib import shake_256

        parts = [self._left]
        have = len(self._left)
        while have < count:
            parts.append(shake_256(self._blocks.to_bytes(8, "little") + self._seed).digest(_BLOCK))
            self._blocks += 1
            have += _BLOCK
        data = b"".join(parts)
        self._left = data[count:]
        return data[:count]


class StableFiles:
    """What a program is told of files, without what only the host knows: where they lie, how it counts them, and when
    they were changed. All times of files are the same.

    A file has a number by when the program met it first. Directories have one link and no size.
    """

    __slots__ = ("_numbers", "_time")

    def __init__(self, time: int) -> None:
        self._time = time
        self._numbers: dict[tuple[int, int], int] = {}

    def number(self, device: int, inode: int) -> int:
        """The number of a file."""
        return self._numbers.setdefault((device, inode), len(self._numbers) + 1)

    def status(self, status: os.stat_result) -> os.stat_result:
        """The status of a file."""
        links, size = (1, 0) if S_ISDIR(status.st_mode) else (status.st_nlink, status.st_size)
        number = self.number(status.st_dev, status.st_ino)
        plain = (status.st_mode, number, 1, links, 0, 0, size, 0, 0, 0)
        return os.stat_result(plain, dict.fromkeys(("st_atime_ns", "st_mtime_ns", "st_ctime_ns"), self._time))

    def entries(self, device: int, entries: list[tuple[bytes, int, int]]) -> list[tuple[bytes, int, int]]:
        """What a directory lists. An inode of 0 is one that nobody is told."""
        return [(name, inode and self.number(device, inode), kind) for name, inode, kind in entries]
