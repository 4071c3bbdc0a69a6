"""Many data segments, copied to a memory by machine code: tools that pack memories make tens of thousands of them."""

from __future__ import annotations

from struct import Struct

from ..abi import (
    COPIES_BASE,
    COPIES_CELLS,
    COPIES_COUNT,
    COPIES_ENDS,
    COPIES_FIRST,
    COPIES_OFFSETS,
    COPIES_SIZE,
    COPIES_STARTS,
)
from ..calls.process import adapters
from ..runtime import system
from ..runtime.ffi import addressof, c_char

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..binary.module_info import DataSegments


class DataCopies:
    """The data segments of a module, as the code that copies them reads them.

    Args:
        data: the module.
        datas: its data segments.
    """

    __slots__ = ("_addresses", "_data", "_datas", "_numbers")

    def __init__(self, data: bytes, datas: DataSegments) -> None:
        self._data = data
        self._datas = datas
        #: The three columns, and where each is.
        self._numbers = [_words(column) for column in (datas.offsets, datas.starts, datas.ends)]
        self._addresses = [system.address_of(column) for column in self._numbers]

    def copy(self, memory: memoryview) -> Iterator[tuple[int, tuple[int, int, int]]]:
        """Copy the active segments to the memory 0 of an instance, in their order; those that the code leaves to the
        caller come out when it is their turn: index, place, and where the bytes begin and end in the module.

        Args:
            memory: all of the memory.
        """
        datas = self._datas
        count = len(datas)
        copies = bytearray(8 * COPIES_CELLS)
        cells = memoryview(copies).cast("Q")
        # Held to the end: a store that another thread closes meanwhile does not give such a memory back.
        first = c_char.from_buffer(memory) if len(memory) else None
        if first is not None:
            cells[COPIES_BASE >> 3] = addressof(first)
        cells[COPIES_SIZE >> 3] = len(memory)
        cells[COPIES_OFFSETS >> 3], cells[COPIES_STARTS >> 3], cells[COPIES_ENDS >> 3] = self._addresses
        cells[COPIES_COUNT >> 3] = count
        copy_data, data, address = adapters().copy_data, self._data, system.address_of(copies)
        while True:
            index = copy_data(data, address)
            if index == count:
                return
            yield index, (datas.offsets[index], datas.starts[index], datas.ends[index])
            cells[COPIES_FIRST >> 3] = index + 1


def _words(numbers: Sequence[int]) -> bytearray:
    if not isinstance(numbers, list):
        # 32-bit numbers already.
        return bytearray(memoryview(numbers))  # type: ignore[arg-type]  # a memoryview or an array
    return bytearray(Struct(f"={len(numbers)}I").pack(*numbers))
