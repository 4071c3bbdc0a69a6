"""The store block: what machine code keeps per store and thread of execution.

The byte offsets are those of :mod:`vibewasm.abi`. The ``CELL_`` constants are the same places as indices into
:attr:`StoreBlock.cells`.
"""

from __future__ import annotations

from .. import abi
from ..abi import INTERRUPT_REQUEST, INTERRUPT_SIGNAL, INTERRUPT_WATCH, STORE_CELLS, STORE_RESULTS, STORE_SIZE
from . import system
from .ffi import Array, Note, addressof, c_char, untrack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .trap_record import TrapRecord

CELL_STACK_LIMIT = abi.STORE_STACK_LIMIT // 8
CELL_INTERRUPT = abi.STORE_INTERRUPT // 8
CELL_FUEL = abi.STORE_FUEL // 8
CELL_SAVED_SP = abi.STORE_SAVED_SP // 8
CELL_TRAP = abi.STORE_TRAP // 8
CELL_TRAP_PC = abi.STORE_TRAP_PC // 8
CELL_FAULT_ADDRESS = abi.STORE_FAULT_ADDRESS // 8
CELL_FAILED = abi.STORE_FAILED // 8
CELL_LAZY = abi.STORE_LAZY // 8
CELL_POLL = abi.STORE_POLL // 8
CELL_UNWIND = abi.STORE_UNWIND // 8
CELL_LAZY_COMMON = abi.STORE_LAZY_COMMON // 8
CELL_MEMORY_COPY = abi.STORE_MEMORY_COPY // 8
CELL_MEMORY_FILL = abi.STORE_MEMORY_FILL // 8
CELL_POLL_STUB = abi.STORE_POLL_STUB // 8
CELL_EXIT_FP = abi.STORE_EXIT_FP // 8
CELL_BUILTINS = abi.STORE_BUILTINS // 8
CELL_REGISTERS = abi.STORE_REGISTERS // 8
CELL_SIGNAL = abi.STORE_SIGNAL // 8
CELL_FRAME_COUNT = abi.STORE_FRAME_COUNT // 8
CELL_FRAMES = abi.STORE_FRAMES // 8
CELL_REAL_LIMIT = abi.STORE_REAL_LIMIT // 8
CELL_CELLS_TOP = abi.STORE_CELLS_TOP // 8
CELL_CELLS_END = abi.STORE_CELLS_END // 8
CELL_FLOAT_MODE = abi.STORE_FLOAT_MODE // 8
CELL_THREAD = abi.STORE_THREAD // 8
CELL_UNWATCHED = abi.STORE_UNWATCHED // 8
CELL_HOST_CONTEXT = abi.STORE_HOST_CONTEXT // 8
CELL_RETURN = abi.STORE_RETURN // 8
CELL_TAIL_OUT = abi.STORE_TAIL_OUT // 8
CELL_SUPERTYPES = abi.STORE_SUPERTYPES // 8
CELL_THROW = abi.STORE_THROW // 8
CELL_THROW_REF = abi.STORE_THROW_REF // 8
CELL_MAKE_EXCEPTION = abi.STORE_MAKE_EXCEPTION // 8
CELL_THROWN_TAG = abi.STORE_THROWN_TAG // 8
CELL_THROWN = abi.STORE_THROWN // 8
CELL_THROWN_COUNT = abi.STORE_THROWN_COUNT // 8
CELL_LANDINGS = abi.STORE_LANDINGS // 8
CELL_LANDINGS_MASK = abi.STORE_LANDINGS_MASK // 8
CELL_FREE_EXCEPTION = abi.STORE_FREE_EXCEPTION // 8
CELL_FIND_LANDING = abi.STORE_FIND_LANDING // 8
CELL_ALLOCATE_EXCEPTION = abi.STORE_ALLOCATE_EXCEPTION // 8
CELL_RESULTS = abi.STORE_RESULTS // 8
CELL_CELLS = abi.STORE_CELLS // 8

_ALL_ONES = (1 << 64) - 1
_HEADER_CELLS = STORE_RESULTS // 8
_ZEROS = memoryview(bytes(STORE_RESULTS)).cast("Q")

#: Blocks that nobody uses. Blocks are never unmapped: the watcher looks at all of them at any moment, and
#: code that a closed store has left somewhere must not meet memory of others.
_pool: list[Note] = []
#: The header of every block there ever was.
_headers: list[memoryview[int]] = []
#: Whether the watcher's thread (:mod:`.watcher`) runs.
watched = [False]


class _Memory(Array):  # type: ignore[type-arg]  # what a C type is made of says it
    """The bytes of a block. Views keep it alive; when the last has gone the block goes back to the pool."""

    __slots__ = ("__weakref__", "note")

    _type_ = c_char
    _length_ = STORE_SIZE

    note: Note


def _take() -> _Memory:
    """The bytes of a block that nobody uses.

    What the handler of a signal raises in between does not lose the block: it is in the pool, or in ``taken``, or
    has a note that goes back to the pool with the object.
    """
    taken: list[Note] = []
    memory = note = None
    try:
        try:
            # One step.
            taken.extend(map(_pool.pop, (-1,)))
            addresses = taken[0].addresses
        except IndexError:
            addresses = []
            system.anonymous_into(addresses, STORE_SIZE)
            header = (c_char * STORE_RESULTS).from_address(addresses[0])
            _headers.append(memoryview(header).cast("B").cast("Q"))
        memory = _Memory.from_address(addresses[0])
        untrack(memory)
        note = Note(memory, _pool.append)
        note.addresses = addresses
        memory.note = note
        return memory
    except BaseException:
        if not hasattr(memory, "note"):
            # Before what it refers to, so that it is not in the pool as well.
            note = None
            _pool.extend(taken)
        raise


def watch_all() -> None:
    """When the watcher has ended: have the next code that runs for long ask for another one."""
    # Others may add blocks meanwhile, which are marked already.
    for cells in _headers[:]:
        if not cells[CELL_UNWATCHED]:
            cells[CELL_INTERRUPT] |= INTERRUPT_WATCH
            cells[CELL_STACK_LIMIT] = _ALL_ONES


def wake(thread: int) -> bool:
    """Have wasm code that runs in a thread call its poll callback soon, so that Python code runs there.

    Args:
        thread: the thread's identity.

    Returns:
        whether wasm code runs, in whatever thread, that has not called out of wasm.
    """
    running = False
    for cells in _headers[:]:
        if _runs(cells):
            running = True
            if cells[CELL_THREAD] == thread and not cells[CELL_UNWATCHED]:
                cells[CELL_INTERRUPT] |= INTERRUPT_SIGNAL
                cells[CELL_STACK_LIMIT] = _ALL_ONES
    return running


def wake_all() -> None:
    """Have wasm code call its poll callback soon, in whatever thread it runs; what has called out, when it is back.

    Code that does little but call Python has called out whenever another thread runs Python code, as this one does.
    """
    for cells in _headers[:]:
        if cells[CELL_SAVED_SP]:
            cells[CELL_INTERRUPT] |= INTERRUPT_REQUEST
            cells[CELL_STACK_LIMIT] = _ALL_ONES


def _runs(cells: memoryview[int]) -> bool:
    """Whether wasm code of a store runs that has not called out of wasm."""
    sp, exit_fp = cells[CELL_SAVED_SP], cells[CELL_EXIT_FP]
    # The stack grows downwards: what has called out is below the activation that it belongs to.
    return bool(sp) and (not exit_fp or exit_fp > sp)


def _start_watcher() -> None:
    try:
        from .watcher import NoThread, start
    except ImportError:
        # The interpreter is being taken down. Without a thread signals wait until the call is over or calls Python.
        return
    try:
        start()
    except NoThread:
        pass  # as above


class StoreBlock:
    """A store's block, zeroed, ready but for the addresses of stubs and callbacks.

    Attributes:
        address: of the first byte; the first cell of every context of the store holds it.
        cells: all of it, as unsigned 64-bit cells.
        stack_base: address of the first byte of :attr:`stack`.

    Raises:
        OSError: there is no room for it.

    The memory lives as long as the object or one of its views.
    """

    __slots__ = ("address", "cells", "stack_base")

    def __init__(self) -> None:
        # Another block may take the address as soon as nothing refers to this object any more.
        memory = _take()
        self.address = address = addressof(memory)
        self.cells = cells = memoryview(memory).cast("B").cast("Q")
        self.stack_base = address + STORE_CELLS
        cells[:_HEADER_CELLS] = _ZEROS
        cells[CELL_CELLS_TOP] = self.stack_base
        cells[CELL_CELLS_END] = address + STORE_SIZE
        cells[CELL_INTERRUPT] = INTERRUPT_WATCH
        cells[CELL_HOST_CONTEXT] = address

    @property
    def stack(self) -> memoryview:
        """The cells of host calls, as bytes: ``argv`` of a callback lies there at ``argv - stack_base``."""
        return self.cells[STORE_CELLS // 8 :].cast("B")

    @property
    def fuel(self) -> int:
        """Fuel that is left; negative if more was wanted than there was."""
        value: int = self.cells[CELL_FUEL]
        return value - (value >> 63 << 64)

    @fuel.setter
    def fuel(self, value: int) -> None:
        self.cells[CELL_FUEL] = value & _ALL_ONES

    def interrupt(self) -> None:
        """Make wasm code of the store call its poll callback soon; from any thread."""
        cells = self.cells
        # The word comes first: `enter` lowers the limit and reads the word after that, so either of the two sees the
        # other.
        cells[CELL_INTERRUPT] |= INTERRUPT_REQUEST
        cells[CELL_STACK_LIMIT] = _ALL_ONES

    def leave_unwatched(self) -> None:
        """Keep the watcher away from the store, which nobody uses yet."""
        self.cells[CELL_UNWATCHED] = 1
        self.cells[CELL_INTERRUPT] = 0

    def heard(self, word: int) -> None:
        """In the poll callback: see that the store is watched, and lower the stack limit.

        Args:
            word: the interrupt word that the callback was called with.
        """
        cells = self.cells
        if not watched[0]:
            _start_watcher()
        if word & INTERRUPT_WATCH:
            # Each is one step for other threads and for signal handlers, since nothing is called in it. The limit may
            # stay raised for nothing: then the callback is called once more.
            cells[CELL_INTERRUPT] &= ~INTERRUPT_WATCH & _ALL_ONES
            if not cells[CELL_INTERRUPT]:
                cells[CELL_STACK_LIMIT] = cells[CELL_REAL_LIMIT]

    def trap(self) -> TrapRecord:
        """The record of the last trap; the next activation may overwrite what it was made from."""
        from .trap_record import TrapRecord

        return TrapRecord(self.cells)
