"""Adapters and stubs of a processor, published and at hand: the code between Python and wasm functions."""

from __future__ import annotations

from .calls import EnterFunction
from .context import (
    CELL_FLOAT_MODE,
    CELL_LAZY_COMMON,
    CELL_MEMORY_COPY,
    CELL_MEMORY_FILL,
    CELL_POLL_STUB,
    CELL_TAIL_OUT,
    CELL_UNWIND,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from . import control_stubs
    from .code_memory import CodeMemory
    from .context import StoreBlock
    from .control_stubs import ControlStubs
    from .rare_adapters import Batch, RareAdapters

    class Processor(Protocol):
        """What a backend's ``processor`` module offers here."""

        LAZY_ENTRY_SIZE: int
        FLOAT_MODE: int
        DETERMINISTIC_FLOAT_MODE: int

    class Stubs(control_stubs.Stubs, Protocol):
        """What a backend's ``stubs`` module offers here."""

        def enter(self, signature: str) -> bytes:
            """Host to wasm."""

        def enter_ready(self) -> bytes:
            """Host to wasm, what is said being in a block."""

        def leave(self, signature: str, caller: bool = False) -> bytes:
            """Wasm to host."""

        def map_arrays(self, signature: str) -> bytes:
            """A loop of calls, host to wasm."""

        def native(self, signature: str, stack: int) -> bytes:
            """Wasm to C."""

        def unwind(self) -> bytes:
            """Back to the innermost ``enter``."""

        def lazy_common(self) -> bytes:
            """Compile a function that is called for the first time."""

        def lazy_table(self, first: int, count: int) -> bytes:
            """Entries that functions lead to until they are compiled."""

        def poll(self) -> bytes:
            """Call out at a loop."""

        def copy_data(self) -> bytes:
            """Data segments to a memory."""

        def memory_copy(self) -> bytes:
            """memory.copy."""

        def memory_fill(self) -> bytes:
            """memory.fill."""


#: The first so many signatures of a kind have adapters that stay; what becomes of others: :mod:`.rare_adapters`.
USUAL = 256
#: Lazy entries are made by the piece of so many, but for the first piece, since most modules are small.
FIRST_LAZY = 32
LAZY = 1024


class Adapters:
    """What an engine's stores and modules share of adapters and stubs; each piece is made when it is first asked for.

    Args:
        memory: where to publish; made with ``traps=False``, since no fault in a stub is a trap.
        stubs: the backend's ``stubs`` module, or what answers like it.
        processor: the backend's ``processor`` module.
    """

    __slots__ = (
        "_bulk",
        "_control",
        "_copy_data",
        "_enter",
        "_enter_ready",
        "_fixed",
        "_lazy",
        "_lazy_tables",
        "_leave",
        "_leave_by_caller",
        "_loops",
        "_memory",
        "_native",
        "_processor",
        "_rare",
        "_stubs",
    )

    def __init__(self, memory: CodeMemory, stubs: Stubs, processor: Processor) -> None:
        self._memory = memory
        self._stubs = stubs
        self._processor = processor
        self._enter: dict[str, Callable[..., int]] = {}
        self._enter_ready: Callable[..., int] | None = None
        self._leave: dict[str, int] = {}
        self._leave_by_caller: dict[str, int] = {}
        self._loops: dict[str, Callable[..., int]] = {}
        self._native: dict[tuple[str, int], int] = {}
        self._lazy: list[int] = []
        #: Address of each piece of lazy entries by the number of its first one.
        self._lazy_tables: dict[int, int] = {}
        self._fixed: list[tuple[int, int]] = []
        self._bulk: list[tuple[int, int]] = []
        self._control: ControlStubs | None = None
        self._rare: RareAdapters | None = None
        self._copy_data: Callable[[bytes, int], int] | None = None

    def install(self, block: StoreBlock, deterministic: bool = False) -> None:
        """Write the stubs' addresses, and the floating-point mode, to a store block."""
        fixed = self._fixed
        if not fixed:
            stubs = self._stubs
            publish = self._memory.publish
            poll = publish(stubs.poll())
            fixed = [
                (CELL_FLOAT_MODE, self._processor.FLOAT_MODE),
                (CELL_UNWIND, publish(stubs.unwind())),
                (CELL_LAZY_COMMON, publish(stubs.lazy_common())),
                (CELL_POLL_STUB, poll),
                # Whether code will tail-call another instance's functions is known only when it does. Then it calls
                # out, and goes on by what :meth:`.ControlStubs.install_tail_calls` has put here.
                (CELL_TAIL_OUT, poll),
            ]
            self._fixed = fixed
        cells = block.cells
        for cell, address in fixed:
            cells[cell] = address
        if deterministic:
            cells[CELL_FLOAT_MODE] = self._processor.DETERMINISTIC_FLOAT_MODE

    def install_bulk(self, block: StoreBlock) -> None:
        """Write the addresses of the stubs that work on memories to a store block: before an instance has one."""
        bulk = self._bulk
        if not bulk:
            stubs = self._stubs
            publish = self._memory.publish
            bulk = [(CELL_MEMORY_COPY, publish(stubs.memory_copy())), (CELL_MEMORY_FILL, publish(stubs.memory_fill()))]
            self._bulk = bulk
        for cell, address in bulk:
            block.cells[cell] = address

    @property
    def control(self) -> ControlStubs:
        """The stubs of exceptions, and of tail calls that leave their instance: few programs have any."""
        control = self._control
        if control is None:
            from .control_stubs import ControlStubs

            control = self._control = ControlStubs(self._memory, self._stubs)
        return control

    def enter(self, signature: str) -> Callable[..., int]:
        """The adapter that calls a wasm function of this signature, such as ``"ild:i"``, from Python.

        Call it with three objects that :func:`~vibewasm.runtime.calls.argument` made: the function record's address,
        the number of parameter cells, and the address of cells for parameters and results. It returns 0, or the number
        of the trap, or HOST_FAILURE. Its code stays as long as this object.
        """
        function = self._enter.get(signature)
        if function is None:
            if len(self._enter) >= USUAL:
                return self._rare_function(("enter", signature), lambda: self._stubs.enter(signature))
            function = self._enter[signature] = EnterFunction(self._memory.publish(self._stubs.enter(signature)))
        return function

    @property
    def enter_ready(self) -> Callable[..., int]:
        """What calls a wasm function of any signature for which a block is ready, see :data:`..abi.READY_ENTER`.

        Call it with one object that :func:`~vibewasm.runtime.calls.argument` made of the block's address; it returns
        what :meth:`enter`'s does.
        """
        function = self._enter_ready
        if function is None:
            function = self._enter_ready = EnterFunction(self._memory.publish(self._stubs.enter_ready()))
        return function

    def leave(self, signature: str, keeper: set[object]) -> int:
        """Address of the adapter by which wasm code calls a host function of this signature: the code of its record.

        Here as below, what has to live as long as the record may be put into ``keeper``.
        """
        address = self._leave.get(signature)
        if address is None:
            if len(self._leave) >= USUAL:
                return self._kept(keeper, ("leave", signature), lambda: self._stubs.leave(signature))
            address = self._leave[signature] = self._memory.publish(self._stubs.leave(signature))
        return address

    def leave_by_caller(self, signature: str, keeper: set[object]) -> int:
        """The same for a record with two callbacks: for one caller, and for all others."""
        address = self._leave_by_caller.get(signature)
        if address is None:
            if len(self._leave_by_caller) >= USUAL:
                return self._kept(keeper, ("leave by caller", signature), lambda: self._stubs.leave(signature, True))
            address = self._memory.publish(self._stubs.leave(signature, True))
            self._leave_by_caller[signature] = address
        return address

    def map_arrays(self, signature: str) -> Callable[..., int]:
        """The loop that calls a wasm function of this signature for each element of arrays.

        Call it as :meth:`enter`'s function, but with the address of the cells that say where arrays are, see
        :data:`..abi.ARRAYS_LEFT`.
        """
        function = self._loops.get(signature)
        if function is None:
            if len(self._loops) >= USUAL:
                return self._rare_function(("loop", signature), lambda: self._stubs.map_arrays(signature))
            function = self._loops[signature] = EnterFunction(self._memory.publish(self._stubs.map_arrays(signature)))
        return function

    def native(self, signature: str, stack: int, keeper: set[object]) -> int:
        """Address of the code by which wasm code calls a C function of this signature, which is the code of its
        record; see :meth:`vibewasm.backends.contract.Stubs.native`.
        """
        address = self._native.get((signature, stack))
        if address is None:
            if len(self._native) >= USUAL:
                return self._kept(keeper, ("native", signature, stack), lambda: self._stubs.native(signature, stack))
            address = self._memory.publish(self._stubs.native(signature, stack))
            self._native[signature, stack] = address
        return address

    def _find_rare(self, key: tuple[object, ...], make: Callable[[], bytes]) -> tuple[int, Batch]:
        rare = self._rare
        if rare is None:
            from .rare_adapters import RareAdapters

            rare = self._rare = RareAdapters(self._memory.failure)
        return rare.find(key, make)

    def _kept(self, keeper: set[object], key: tuple[object, ...], make: Callable[[], bytes]) -> int:
        address, batch = self._find_rare(key, make)
        keeper.add(batch)
        return address

    def _rare_function(self, key: tuple[object, ...], make: Callable[[], bytes]) -> Callable[..., int]:
        address, batch = self._find_rare(key, make)
        function = EnterFunction(address)
        # Whoever has the function has its code.
        function.batch = batch  # type: ignore[attr-defined]  # it may have any attributes
        return function

    @property
    def copy_data(self) -> Callable[[bytes, int], int]:
        """What copies data segments, called with the module and the address of cells, see :data:`..abi.COPIES_BASE`."""
        function = self._copy_data
        if function is None:
            from .ffi import PYFUNCTYPE, c_size_t, c_uint64, c_void_p

            # It keeps the GIL: no other thread may close the memory meanwhile.
            prototype = PYFUNCTYPE(c_uint64, c_void_p, c_size_t)
            function = self._copy_data = prototype(self._memory.publish(self._stubs.copy_data()))
        return function

    def lazy_entries(self, count: int) -> list[int]:
        """Addresses of code that has a defined function of the running instance compiled, and calls it: of ``count``
        functions or more, by number.
        """
        lazy = self._lazy
        while len(lazy) < count:
            first = len(lazy)
            more = FIRST_LAZY if first == 0 else LAZY
            base = self._lazy_tables.get(first)
            if base is None:
                base = self._lazy_tables.setdefault(first, self._memory.publish(self._stubs.lazy_table(first, more)))
            size = self._processor.LAZY_ENTRY_SIZE
            # One step, which puts the same there if another thread has come first.
            lazy[first : first + more] = range(base, base + more * size, size)
        return lazy
