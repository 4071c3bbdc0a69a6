"""Exceptions of a store: what is being thrown, and the callbacks where machine code cannot go on by itself.

Machine code throws, catches and makes objects on its own (``docs/abi.md``). It calls Python where an exception meets a
return address for the first time (:mod:`.landings`), and where there is no free object (:mod:`.exception_objects`).
"""

from __future__ import annotations

from array import array

from ..abi import EXCEPTION_COUNT, EXCEPTION_TAG, EXCEPTION_VALUES, HOST_FAILURE, TRAP_TOO_MANY_REFERENCES
from ..calls.process import adapters
from ..calls.values import MASK32, MASK64
from ..runtime.calls import LazyCallback, PollCallback, address_of, native_callback
from ..runtime.context import (
    CELL_ALLOCATE_EXCEPTION,
    CELL_FAILED,
    CELL_FIND_LANDING,
    CELL_RESULTS,
    CELL_RETURN,
    CELL_THROWN,
    CELL_THROWN_COUNT,
    CELL_THROWN_TAG,
)
from ..types import F32, I32, V128
from .exception_objects import ExceptionObjects
from .landings import LandingTable, landing_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..api.store import Store

_COUNT = EXCEPTION_COUNT >> 3
_TAG = EXCEPTION_TAG >> 3
_VALUES = EXCEPTION_VALUES >> 3


def exceptions_of(store: Store) -> Exceptions:
    """The exceptions of a store, which is made ready for them when this is first asked for."""
    found = store._exceptions
    if found is None:
        made = Exceptions(store)
        # In these lines nothing is called, so no other thread comes in between.
        found = store._exceptions
        if found is None:
            store._exceptions = found = made
            found._install(store)
    return found


class Exceptions(ExceptionObjects):
    """What is thrown in one store, and its exception objects."""

    __slots__ = ("_callbacks", "_landings")

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._landings = LandingTable()
        self._callbacks: tuple[object, ...] = ()

    def _install(self, store: Store) -> None:
        cells = self._cells
        landings = self._landings
        landings.install(cells)

        # Such a callback can fail before its first line, so it says last that all is well; see calls.callbacks.
        def find(context: int, address: int, _: int) -> None:
            try:
                if address == cells[CELL_RETURN]:
                    # The frame there has nothing saved.
                    landing = (0, adapters().control.restore_pinned(0, 0), 0)
                else:
                    landing = landing_of(store, store._by_context[context].module, address)
                landings.enter(address, landing)
                cells[CELL_FAILED] = 0
            except BaseException as error:
                cells[CELL_FAILED] = HOST_FAILURE
                store._pending = error

        def allocate(context: int, count: int, low: int) -> int:
            busy = self.busy
            try:
                address = self.allocate(count, low)
                # In these lines nothing is called, so nobody looks for objects before machine code has this one.
                cells[CELL_FAILED] = 0 if address else TRAP_TOO_MANY_REFERENCES
                self.busy = busy
                return address
            except BaseException as error:
                cells[CELL_FAILED] = HOST_FAILURE
                self.busy = busy
                store._pending = error
                return 0

        native_find = native_callback(PollCallback, find, store)
        native_allocate = native_callback(LazyCallback, allocate, store)
        self._callbacks = (native_find, native_allocate)
        cells[CELL_FIND_LANDING], cells[CELL_ALLOCATE_EXCEPTION] = address_of(native_find), address_of(native_allocate)
        adapters().control.install_exceptions(store._block)

    # -- what is thrown ----------------------------------------------------------------------------------------------

    def write(self, tag: int, params: Sequence[int], bits: Sequence[int]) -> None:
        """Say what is to be thrown.

        Args:
            tag: the tag's identity.
            params: the codes of its types.
            bits: the values, as bits.
        """
        values = _packed(params, bits)
        count = len(params)
        end = CELL_RESULTS + 2 * count
        cells = self._cells
        # In these lines nothing is called, so no code comes in between that throws as well.
        cells[CELL_RESULTS:end] = values
        cells[CELL_THROWN_TAG] = tag
        cells[CELL_THROWN] = 0
        cells[CELL_THROWN_COUNT] = count

    @property
    def thrown_tag(self) -> int:
        """The identity of the tag of what was thrown."""
        tag: int = self._cells[CELL_THROWN_TAG]
        return tag

    def read(self, params: Sequence[int]) -> list[int]:
        """The values of what was thrown, as bits; ``params`` are the codes of the tag's types."""
        return _unpacked(params, self._cells[CELL_RESULTS : CELL_RESULTS + 2 * len(params)])

    # -- objects -----------------------------------------------------------------------------------------------------

    def new(self, tag: int, params: Sequence[int], bits: Sequence[int]) -> int:
        """The address of a new object, see :meth:`take`, of this tag and with these values.

        Raises:
            ReferenceLimit: there are as many as there may be.
        """
        values = _packed(params, bits)
        address = self.take(len(params))
        cells, at = self.place(address)
        cells[at + _TAG] = tag
        cells[at + _COUNT] = len(params)
        cells[at + _VALUES : at + _VALUES + len(values)] = values
        return address

    def tag_of(self, address: int) -> int:
        """The identity of an object's tag."""
        cells, at = self.place(address)
        tag: int = cells[at + _TAG]
        return tag

    def values_of(self, address: int, params: Sequence[int]) -> list[int]:
        """An object's values, as bits; ``params`` are the codes of its tag's types."""
        cells, at = self.place(address)
        at += _VALUES
        return _unpacked(params, cells[at : at + 2 * len(params)])


def _packed(params: Sequence[int], bits: Sequence[int]) -> memoryview:
    """Values as they lie in the results area and in objects: 16 bytes each."""
    cells = array("Q", bytes(16 * len(params)))
    for index, each in enumerate(bits):
        cells[2 * index] = each & MASK64
        cells[2 * index + 1] = each >> 64
    return memoryview(cells)


def _unpacked(params: Sequence[int], cells: memoryview) -> list[int]:
    """The reverse; of an i32 and an f32 the upper half does not count."""
    bits = cells.tolist()[::2]
    for index, code in enumerate(params):
        if code == V128:
            bits[index] |= cells[2 * index + 1] << 64
        elif code == I32 or code == F32:
            bits[index] &= MASK32
    return bits
