"""What bulk instructions and ``grow`` do, called by machine code through the builtin records of the store block.

Each works on the instance that calls it, and is a trap where the specification says so: then nothing has been written.
"""

from __future__ import annotations

from .errors import TRAPS, Trap
from .types import EXTERNREF
from .values import MASK32

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .instance import Instance

MEMORY_OUT_OF_BOUNDS = 2
TABLE_OUT_OF_BOUNDS = 3


class Refused(Exception):
    """The instruction traps with this number."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def out_of_bounds(number: int, what: str) -> Trap:
    """The trap of a segment that does not fit at instantiation."""
    code, message = TRAPS[number]
    return Trap(f"{message}: {what}", code)
