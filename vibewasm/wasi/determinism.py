"""Clocks and random bytes that are the same in every run. Loaded only where a configuration asks for them."""

from __future__ import annotations

from . import abi

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .config import Seed

#: Nanoseconds by which each look at the clocks moves them, so that a program that waits by looking comes to an end.
TICK = 1_000_000

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
