"""Stand-in until the real one is merged: exception objects that are never collected."""

from __future__ import annotations

from ..abi import EXCEPTION_COUNT, EXCEPTION_TAG, EXCEPTION_VALUES, STORE_RESULTS, STORE_THROWN, STORE_THROWN_TAG
from ..calls.values import MASK64
from ..runtime.blocks import Block
from ..types import V128

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..api.store import Store


class Exceptions:
    """The exceptions of a store."""

    __slots__ = ("_blocks", "_cells", "_handles")

    def __init__(self, store: Store) -> None:
        self._cells = store._block.cells
        self._blocks: dict[int, Block] = {}
        self._handles: dict[int, int] = {}

    @property
    def held(self) -> Iterable[int]:
        """The objects that Python code holds."""
        return [address for address, count in self._handles.items() if count]

    @property
    def thrown_tag(self) -> int:
        """The tag of what was thrown."""
        tag: int = self._cells[STORE_THROWN_TAG >> 3]
        return tag

    def write(self, tag: int, params: Sequence[int], bits: Sequence[int]) -> None:
        """Write what is to be thrown."""
        self._cells[STORE_THROWN_TAG >> 3] = tag
        self._cells[STORE_THROWN >> 3] = 0
        self._put(self._cells, STORE_RESULTS >> 3, bits)

    def read(self, params: Sequence[int]) -> list[int]:
        """The values of what was thrown."""
        return self._get(self._cells, STORE_RESULTS >> 3, params)

    def new(self, tag: int, params: Sequence[int], bits: Sequence[int]) -> int:
        """Make an object."""
        block = Block(EXCEPTION_VALUES + 16 * len(bits))
        block.cells[EXCEPTION_TAG >> 3] = tag
        block.cells[EXCEPTION_COUNT >> 3] = len(bits)
        self._put(block.cells, EXCEPTION_VALUES >> 3, bits)
        self._blocks[block.address] = block
        return block.address

    def tag_of(self, address: int) -> int:
        """The tag of an object."""
        tag: int = self._blocks[address].cells[EXCEPTION_TAG >> 3]
        return tag

    def values_of(self, address: int, params: Sequence[int]) -> list[int]:
        """The values of an object."""
        return self._get(self._blocks[address].cells, EXCEPTION_VALUES >> 3, params)

    def hold(self, address: int) -> None:
        """Keep an object."""
        self._handles[address] = self._handles.get(address, 0) + 1

    def release(self, address: int) -> None:
        """Keep it once less."""
        self._handles[address] -= 1

    def knows(self, address: int) -> bool:
        """Whether there is such an object."""
        return address in self._blocks

    def _put(self, cells: memoryview, at: int, bits: Sequence[int]) -> None:
        for value in bits:
            cells[at], cells[at + 1] = value & MASK64, value >> 64
            at += 2

    def _get(self, cells: memoryview, at: int, params: Sequence[int]) -> list[int]:
        return [
            cells[at + 2 * index] | (cells[at + 2 * index + 1] << 64 if code == V128 else 0)
            for index, code in enumerate(params)
        ]


def exceptions_of(store: Store) -> Exceptions:
    """What a store has, made when it is first asked for."""
    if store._exceptions is None:
        store._exceptions = Exceptions(store)
    return store._exceptions
