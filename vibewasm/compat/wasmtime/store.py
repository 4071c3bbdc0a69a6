"""Stores: what belongs together while wasm code runs, with its fuel, its epochs, its limits and its WASI program."""

from __future__ import annotations

from ...abi import PAGE_SIZE
from ...api.deadline import go_on, stop
from ...api.store import Store as OurStore
from ...errors import CodeOnly, WasmError
from .engine import Engine
from .errors import WasmtimeError, attempt, unsupported
from .managed import Managed
from .traps import Trap, TrapCode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn, TypeAlias

    from ...wasi.process import Process
    from .func import Caller
    from .wasi import WasiConfig

#: The most fuel that an engine counts by itself.
_MOST_FUEL = (1 << 63) - 1
_MASK64 = (1 << 64) - 1
#: Instances, tables and memories that a store has at most where nobody sets a limit, as in wasmtime.
_MOST = 10_000


class Store(Managed):
    """What instances, functions, memories, tables and globals belong to.

    Attributes:
        engine: the engine.
    """

    engine: Engine

    def __init__(self, engine: Engine | None = None, data: Any | None = None) -> None:
        if engine is None:
            engine = Engine()
        elif not isinstance(engine, Engine):
            raise TypeError("expected an Engine")
        self._ours: OurStore = attempt(OurStore, engine._given())
        self.engine = engine
        self._data = data or None
        #: What of the fuel is more than an engine counts.
        self._more_fuel = 0
        self._has_epochs = engine._has_epochs
        self._has_fuel = self._ours.engine.config.fuel
        #: Whether there is something to look at before a call.
        self._is_watched = self._has_epochs or self._has_fuel
        self._deadline = 0
        self._process: Process | None = None
        #: The most of each, and how many instances have made.
        self._most = {"instance": _MOST, "table": _MOST, "memory": _MOST}
        self._made = {"instance": 0, "table": 0, "memory": 0}
        self._largest_memory: int | None = None
        self._largest_table: int | None = None
        if self._has_epochs:
            engine._add(self)
            self._look_at_epoch()

    def _delete(self) -> None:
        try:
            self._ours.close()
        except BufferError:
            # Somebody has a pointer to a memory, which goes with that. wasmtime's would lead nowhere.
            pass
        except WasmError as error:
            # It goes on, with all that it has.
            self._closed = False
            raise WasmtimeError(str(error)) from None
        self._process = None
        self._data = None

    def _context(self) -> Store:
        """The store, if it may be used. A :class:`Caller` has such a method too."""
        self._check_open()
        return self

    def data(self) -> Any | None:
        """What the store was made with as ``data``."""
        self._check_open()
        return self._data

    def gc(self) -> None:
        """Let go of Python objects that wasm code was given and does not hold any more.

        Raises:
            WasmtimeError: a call is active, whose code may hold any object; they are let go when it has returned.
        """
        self._check_open()
        attempt(self._ours.gc)

    # -- limits -----------------------------------------------------------------------------------------------------

    def set_fuel(self, fuel: int) -> None:
        """Set how much fuel there is.

        Raises:
            WasmtimeError: the engine does not count fuel.
        """
        self._check_fuel()
        fuel &= _MASK64
        self._more_fuel = max(0, fuel - _MOST_FUEL)
        self._ours.fuel = min(fuel, _MOST_FUEL)

    def get_fuel(self) -> int:
        """How much fuel is left.

        Raises:
            WasmtimeError: the engine does not count fuel.
        """
        self._check_fuel()
        return self._ours.fuel + self._more_fuel

    def _check_fuel(self) -> None:
        self._check_open()
        if not self._has_fuel:
            raise WasmtimeError("fuel is not configured in this store")

    def set_limits(
        self,
        memory_size: int = -1,
        table_elements: int = -1,
        instances: int = -1,
        tables: int = -1,
        memories: int = -1,
    ) -> None:
        """Limit what the store may have. A negative number sets no limit, and takes an earlier one away.

        Args:
            memory_size: bytes of each memory.
            table_elements: elements of each table.
            instances, tables, memories: how many of each modules may make here.
        """
        self._check_open()
        self._largest_memory = self._ours.max_memory_each = memory_size if memory_size >= 0 else None
        self._largest_table = self._ours.max_table_elements_each = table_elements if table_elements >= 0 else None
        for kind, count in (("instance", instances), ("table", tables), ("memory", memories)):
            self._most[kind] = count if count >= 0 else _MOST

    def _count(self, kind: str, number: int) -> None:
        """Count what an instance is about to make."""
        self._made[kind] += number
        if number and self._made[kind] > self._most[kind]:
            count = self._made[kind]
            self._made[kind] -= number
            raise WasmtimeError(f"resource limit exceeded: {kind} count too high at {count}")

    def _check_pages(self, pages: int) -> None:
        if self._largest_memory is not None and pages * PAGE_SIZE > self._largest_memory:
            raise WasmtimeError(f"memory minimum size of {pages} pages exceeds memory limits")

    def _check_elements(self, elements: int) -> None:
        if elements > self._ours.max_table_elements or (
            self._largest_table is not None and elements > self._largest_table
        ):
            raise WasmtimeError(f"table minimum size of {elements} elements exceeds table limits")

    # -- epochs -----------------------------------------------------------------------------------------------------

    def set_epoch_deadline(self, ticks_after_current: int) -> None:
        """Stop wasm code of this store when the engine's epoch has been incremented so many times from now on."""
        self._check_open()
        self._deadline = self.engine._epoch + (ticks_after_current & _MASK64)
        if self._has_epochs:
            self._look_at_epoch()

    def _look_at_epoch(self) -> None:
        """Stop running code if its time is over, and let it go on if it is not any more."""
        while True:
            over = self.engine._epoch >= self._deadline
            if over:
                # As in wasmtime, compiling and instantiating go on.
                stop(self._ours, self, CodeOnly("the epoch's deadline is reached"))
            else:
                go_on(self._ours, self)
            # Other threads and signals' handlers do the same, and whoever comes last has to be right.
            if over == (self.engine._epoch >= self._deadline):
                return

    def _check_call(self) -> None:
        """Before wasm code is called: it may be so short that it looks neither at the epoch nor at its fuel."""
        if self._has_epochs and self.engine._epoch >= self._deadline:
            raise Trap._made("wasm trap: interrupt", TrapCode.INTERRUPT)
        if self._has_fuel and not self._ours.fuel:
            raise Trap._made("wasm trap: all fuel consumed by WebAssembly", TrapCode.OUT_OF_FUEL)

    # -- WASI -------------------------------------------------------------------------------------------------------

    def set_wasi(self, wasi: WasiConfig) -> None:
        """Give the programs of this store what ``wasi`` says, which counts as closed afterwards."""
        self._check_open()
        self._process = wasi._started(self._ours)

    def set_wasi_http(self) -> NoReturn:
        """Refused: it is for components."""
        self._check_open()
        raise unsupported("WASI HTTP, which is for components,")


class StoreContext:
    """In wasmtime-py, the store as functions of components get it. There are none here."""

    def __init__(self, ptr: object) -> None:
        raise unsupported("a StoreContext, which functions of components get,")

    def _context(self) -> NoReturn:
        raise ValueError("caller is no longer valid")


if TYPE_CHECKING:
    Storelike: TypeAlias = "Store | Caller | StoreContext"


def __getattr__(name: str) -> object:
    if name == "Storelike":
        # For annotations; wasmtime-py has it as a union, too.
        from .func import Caller

        return Store | Caller | StoreContext
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
