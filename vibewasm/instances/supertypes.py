"""Which types of functions have which supertypes, for the code of indirect calls (core specification, "Matching").

An indirect call whose type is final compares two numbers. Where its type is open, an element may have another one that
is declared to be a subtype, so code that finds them different walks from the element's type upwards, through a table of
the engine: by identity of a type, see :meth:`vibewasm.api.engine.Engine._type_id`, that of its supertype. A type that
is not in the table has none.
"""

from __future__ import annotations

from _thread import RLock

from .. import hold_over_fork
from ..abi import SUPERTYPES_COUNT, SUPERTYPES_FIRST
from ..runtime.blocks import Block
from ..runtime.context import CELL_SUPERTYPES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..runtime.context import StoreBlock

#: Held while a table is made or added to.
LOCK = RLock()
hold_over_fork(LOCK)
#: Entries that there are room for at first.
_FIRST = 62


class Supertypes:
    """The table of an engine, which any thread may add to."""

    __slots__ = ("_blocks", "_entries")

    def __init__(self) -> None:
        #: All tables there were: code of a store may read an older one.
        self._blocks: list[Block] = []
        #: The entries of the last one.
        self._entries: memoryview[int] = memoryview(b"").cast("I")
        self._grow(_FIRST)

    def _grow(self, count: int) -> None:
        """Make a table for identities below ``count``, with what is known."""
        block = Block(SUPERTYPES_FIRST + 4 * count)
        words = block.bytes.cast("I")
        words[SUPERTYPES_COUNT >> 2] = len(words) - (SUPERTYPES_FIRST >> 2)
        entries = words[SUPERTYPES_FIRST >> 2 :]
        entries[: len(self._entries)] = self._entries
        self._entries = entries
        # All of it is there before anybody finds it.
        self._blocks.append(block)

    def add(self, identity: int, supertype: int) -> None:
        """Note the supertype of a type, both by their identities: before code can meet the type."""
        with LOCK:
            if identity >= len(self._entries):
                # Twice as many, so that all tables together take little more than twice what the last one does.
                self._grow(2 * identity)
            self._entries[identity] = supertype

    def show(self, block: StoreBlock) -> None:
        """Let code of a store find what is known by now. As long as no further types come into the store that will do:
        a table that has become too small is right for those that it has.
        """
        block.cells[CELL_SUPERTYPES] = self._blocks[-1].address
