"""Stores: everything that belongs together while wasm code runs (core specification, "Store")."""

from __future__ import annotations

from _thread import _local, get_ident

from .engine import adapters
from .errors import Interrupted, LinkError, WasmError
from .runtime import faults
from .runtime.blocks import Block
from .runtime.calls import LazyCallback, PollCallback, address_of, stack_limit, take_swallowed, watch_swallowed
from .runtime.context import (
    CELL_FAILED,
    CELL_LAZY,
    CELL_POLL,
    CELL_REAL_LIMIT,
    CELL_THREAD,
    CTX_HEADER,
    HOST_FAILURE,
    RECORD_CTX,
    RECORD_TYPE,
    TRAP_INTERRUPTED,
    TRAP_STACK_OVERFLOW,
    StoreBlock,
)
from .runtime.ffi import c_uint64
from .types import EXTERNREF, FUNCREF

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType
    from typing import Any

    from .builtin_functions import Builtins
    from .deadline import Deadline
    from .engine import Engine
    from .extern_types import ExternType
    from .func import Func
    from .global_ import Global
    from .instance import Instance
    from .memory import Memory
    from .references import References
    from .runtime.linear_memory import LinearMemory
    from .table import Table
    from .wasi import WasiConfig

    WasiProgram = dict[str, tuple[str, Callable[..., int | None]]]

#: Cells from which calls take their arguments, where they do not do so the fast way.
AREA_CELLS = 2048
#: Cells of each of the blocks that areas of fast calls are cut from.
_FAST_CELLS = 512

#: Where a builtin is called for the first time, its number is told counted from here. No module has so many functions.
FIRST_BUILTIN = 1 << 30


class Extern:
    """What modules import and export: a :class:`Func`, :class:`Table`, :class:`Memory` or :class:`Global`."""

    __slots__ = ()

    #: The kind's number in the binary format.
    _kind: int

    if TYPE_CHECKING:

        @property
        def store(self) -> Store:
            """The store that it belongs to."""

        @property
        def type(self) -> ExternType:
            """Its type."""


class _Thread(_local):
    """The calling thread's ``token``. No two threads ever have the same one, while thread numbers are used again."""

    token: object

    def __init__(self) -> None:
        self.token = object()


#: Whose thread this is.
current = _Thread()


class Area:
    """A block of cells with a view for each numeric type."""

    __slots__ = ("address", "cells", "used", "views")

    def __init__(self, size: int) -> None:
        block = Block(8 * size)
        data = block.bytes
        self.address = block.address
        self.cells = block.cells
        #: (view, items per cell) of i32, i64, f32 and f64: the index is the type's code.
        self.views = ((data.cast("i"), 2), (data.cast("q"), 1), (data.cast("f"), 2), (data.cast("d"), 1))
        #: Cells that are in use.
        self.used = 0


class Store:
    """What instances, functions, memories, tables and globals belong to, and live as long as. No two stores share any.

    A store runs in one thread at a time; while no call is active in it, any thread may use it. As a context manager it
    closes itself at the end.

    Args:
        engine: the engine.

    Attributes:
        engine: the engine.
        max_memory: how many bytes all memories together may have, or ``None``. It counts when a memory is made or
            grows.
        max_table_elements: how many elements one table may have. It counts when a table is made or grows.
    """

    __slots__ = (
        "__weakref__",
        "_area",
        "_block",
        "_builtins",
        "_by_context",
        "_callbacks",
        "_cells",
        "_closed",
        "_fast_area",
        "_fast_places",
        "_funcs",
        "_globals",
        "_host_context",
        "_instances",
        "_memories",
        "_memory_used",
        "_pending",
        "_reasons",
        "_references",
        "_state",
        "_tables",
        "_wasi",
        "engine",
        "max_memory",
        "max_table_elements",
    )

    def __init__(self, engine: Engine) -> None:
        engine.require_host()
        self.engine = engine
        self.max_memory: int | None = engine.config.max_memory
        self.max_table_elements: int = engine.config.max_table_elements
        #: Who may start a call by the fast way: the token of the thread that the store runs in, or ``None`` while a
        #: call is active. Then that token, whether or not one is. Then the first free cell of the area.
        self._state: list[Any] = [None, None, 0]
        self._area = Area(AREA_CELLS)
        self._fast_area = Area(_FAST_CELLS)
        #: Where fast calls have their cells, by signature.
        self._fast_places: dict[str, tuple[Area, int]] = {}
        self._instances: list[Instance] = []
        self._by_context: dict[int, Instance] = {}
        self._funcs: dict[int, Func] = {}
        self._memories: list[Memory] = []
        self._memory_used = 0
        self._tables: list[Table] = []
        self._globals: list[Global] = []
        self._references: References | None = None
        self._wasi: dict[WasiConfig, WasiProgram] = {}
        #: The exception that a callback leaves, for whoever called wasm code to raise.
        self._pending: BaseException | None = None
        #: Why wasm code has to stop: messages by who wants it; ``None`` stands for :meth:`interrupt`.
        self._reasons: dict[object, str] = {}
        try:
            self._block = StoreBlock()
        except OSError as error:
            raise WasmError(
                f"there is no room for another store ({error.strerror}): free memory, or raise the limit (ulimit -v)"
            ) from None
        self._cells = self._block.cells
        if engine.config.debug:
            # A debugger stops at the fault by which a check of the stack calls out.
            self._block.leave_unwatched()
        self._host_context = Block(CTX_HEADER)
        self._host_context.cells[0] = self._block.address
        self._builtins: Builtins | None = None
        self._callbacks: list[object] = []
        self._closed = False
        adapters().install(self._block)
        self._install_callbacks()
        watch_swallowed()

    def _install_callbacks(self) -> None:
        cells = self._cells
        by_context = self._by_context
        reasons = self._reasons
        heard = self._block.heard

        # Such a callback can fail before its first line, so it says last that all is well; see vibewasm.callbacks.
        def lazy(context: int, defined: int, _: int) -> int:
            try:
                if defined < FIRST_BUILTIN:
                    address = by_context[context]._compile(defined)
                else:
                    assert self._builtins is not None
                    address = self._builtins.make(self, defined - FIRST_BUILTIN)
                cells[CELL_FAILED] = 0
                return address
            except BaseException as error:
                cells[CELL_FAILED] = HOST_FAILURE
                self._pending = error
                return 0

        def poll(context: int, word: int, _: int) -> None:
            # That Python code runs here is the chance of a signal's handler, in the main thread.
            try:
                heard(word)
                if reasons:
                    self._pending = self._interrupted()
                else:
                    cells[CELL_FAILED] = 0
            except BaseException as error:
                cells[CELL_FAILED] = HOST_FAILURE
                self._pending = error

        for cell, callback in ((CELL_LAZY, LazyCallback(lazy)), (CELL_POLL, PollCallback(poll))):
            self._callbacks.append(callback)
            cells[cell] = address_of(callback)

    def __repr__(self) -> str:
        return f"<vibewasm.Store with {len(self._instances)} instances{', closed' if self._closed else ''}>"

    # -- life -------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Give back what the store has, memories above all. Its functions cannot be called afterwards.

        A store that is not closed gives all back when nothing refers to it any more.

        Raises:
            WasmError: a call is active; the store stays open.
            BufferError: a view of a memory is in use. The store is closed, but that memory stays until the view is
                gone; closing again tries again.
        """
        if self._state[1] is not None and self._state[0] is None:
            raise WasmError("a store cannot be closed while a call is active in it")
        # First of all, so that no code can meet a memory that is gone.
        self._closed = True
        self._state[:] = [None, None, 0]
        self._by_context.clear()
        self._instances.clear()
        self._funcs.clear()
        self._wasi.clear()
        self._references = None
        memories, self._memories = self._memories, []
        for memory in memories:
            try:
                memory._close()
            except BufferError:
                self._memories.append(memory)
        if self._memories:
            raise BufferError(
                "the store is closed, but a view of one of its memories is in use, which keeps the memory"
            )

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # -- stopping ---------------------------------------------------------------------------------------------------

    def interrupt(self) -> None:
        """Stop the wasm code that runs in this store: it raises :class:`Interrupted`. Any thread may call this.

        Code stops at the next iteration of a loop, or when recursion has used the stack up. If no code is running, the
        next that does one of these is stopped.
        """
        self._reasons[None] = "interrupted"
        self._block.interrupt()

    def deadline(self, seconds: float | None) -> Deadline:
        """A context manager in whose block wasm code of this store may run for so long; then it raises
        :class:`Interrupted`.

        ``None`` sets no limit. Python code is not stopped, but wasm code that it calls after the deadline is.
        """
        from .deadline import Deadline

        return Deadline(self, seconds)

    def _check_interrupt(self) -> None:
        """Raise :class:`Interrupted` if the running code has to stop."""
        if self._reasons:
            raise self._interrupted()

    def _interrupted(self) -> Interrupted:
        # Other threads may come and go while this looks, so it looks at a copy.
        message = [*self._reasons.values(), "interrupted"][0]
        self._reasons.pop(None, None)
        if self._reasons:
            # A deadline that is over stops whatever runs until its block ends.
            self._block.interrupt()
        return Interrupted(message)

    @property
    def fuel(self) -> int:
        """How much fuel is left. Wasm code uses one unit per instruction, roughly, and raises :class:`OutOfFuel` when
        there is none. A new store has none, so give it some.

        Raises:
            WasmError: the engine was not configured with ``fuel=True``.
            ValueError: set to less than nothing, or to 2**63 or more.
        """
        self._check_fuel()
        return max(0, self._block.fuel)

    @fuel.setter
    def fuel(self, amount: int) -> None:
        self._check_fuel()
        if not 0 <= amount < 1 << 63:
            raise ValueError(f"fuel is an amount from 0 to 2**63 - 1, not {amount}")
        self._block.fuel = amount

    def _check_fuel(self) -> None:
        if not self.engine.config.fuel:
            raise WasmError("this engine does not count fuel: make it with Config(fuel=True)")

    # -- calls ------------------------------------------------------------------------------------------------------

    def _take_over(self, token: object) -> None:
        """Make the calling thread, whose token this is, the one that the store runs in."""
        try:
            limit = stack_limit()
        except RuntimeError as error:
            raise WasmError(str(error)) from None
        thread = get_ident()
        state = self._state
        if self._closed:
            raise WasmError("this store is closed")
        # From here to the end nothing is called, so no other thread can come in between.
        if state[1] is not None and state[0] is None:
            raise WasmError(
                "this store is running in another thread, and a store runs in one thread at a time: "
                "make a store per thread (they may share engine and modules), or wait for the call to return"
            )
        self._cells[CELL_REAL_LIMIT] = limit
        self._cells[CELL_THREAD] = thread
        state[1] = state[0] = token

    def _check_usable(self) -> None:
        """Raise ``WasmError`` if the store is closed, or runs in another thread."""
        state = self._state
        if self._closed or (state[0] is None and state[1] is not None and state[1] is not current.token):
            self._take_over(current.token)

    def _fast_place(self, signature: str, size: int) -> tuple[Area, int]:
        """The area that fast calls of a signature use, and the first of their cells in it.

        No two such calls are active at once, since each takes the right to make them away until it is over.
        """
        place = self._fast_places.get(signature)
        if place is None:
            area = self._fast_area
            if area.used + size > _FAST_CELLS:
                area = self._fast_area = Area(max(size, _FAST_CELLS))
            place = self._fast_places[signature] = (area, area.used)
            area.used += size
        return place

    def _failure(self, number: int) -> BaseException:
        """The exception for what an activation returned other than 0."""
        if number == HOST_FAILURE:
            error, self._pending = self._pending, None
            swallowed = take_swallowed()
            if error is not None and swallowed is None:
                return error
            # A callback that did not come to its first line. If not even the exception is known, then somebody has
            # replaced sys.unraisablehook; what comes at such a moment is Ctrl-C.
            return swallowed if swallowed is not None else KeyboardInterrupt()
        if number in (TRAP_INTERRUPTED, TRAP_STACK_OVERFLOW) and self._reasons:
            return self._interrupted()
        if number == TRAP_INTERRUPTED:
            return Interrupted("interrupted by a signal")
        from .traps import make_trap

        return make_trap(self, number)

    # -- what belongs to the store ----------------------------------------------------------------------------------

    def _add_instance(self, instance: Instance) -> None:
        self._by_context[instance._address] = instance
        self._instances.append(instance)

    def _func_at(self, address: int) -> Func:
        """The function whose record is at ``address``."""
        func = self._funcs.get(address)
        if func is None:
            from .func import Func

            if self._closed:
                raise WasmError("this store is closed")
            # A function of an instance that Python has not met yet: its record says which.
            record = (c_uint64 * 4).from_address(address)
            instance = self._by_context[record[RECORD_CTX >> 3]]
            func = Func._of_instance(instance, record[RECORD_TYPE >> 3] >> 32, address)
        return func

    def _handle_of(self, item: object) -> int:
        references = self._references
        if references is None:
            from .references import References

            references = self._references = References()
        return references.handle_of(item)

    def _object_at(self, handle: int) -> object:
        references = self._references
        assert references is not None
        return references.object_at(handle)

    def _knows_reference(self, code: int, bits: int) -> bool:
        """Whether these are the bits of a reference that Python code can have from here."""
        if not bits:
            return True
        if code == FUNCREF:
            return bits in self._funcs
        return self._references is not None and self._references.knows(bits)

    def _sweep_if_due(self) -> None:
        """Forget Python objects that wasm code does not hold any more. No call may be active."""
        references = self._references
        if references is not None and len(references) >= references.sweep_at:
            references.sweep(self._held_handles())

    def _held_handles(self) -> Iterator[int]:
        for table in self._tables:
            if table._type.element.code == EXTERNREF:
                yield from table._cells[: len(table)]
        for variable in self._globals:
            if variable._type.content.code == EXTERNREF:
                yield variable.raw
        for instance in self._instances:
            for index, type_ in enumerate(instance.module.info.globals):
                if type_.content.code == EXTERNREF:
                    yield instance._global(index).raw

    def _new_linear_memory(self, minimum: int, maximum: int | None) -> LinearMemory:
        from .runtime.linear_memory import LinearMemory

        guarded = not self.engine.explicit_bounds
        try:
            return LinearMemory(minimum, maximum, guarded)
        except MemoryError:
            # Stores that nobody uses any more may hold address space until the next collection.
            import gc

            gc.collect()
        try:
            return LinearMemory(minimum, maximum, guarded)
        except MemoryError as error:
            raise LinkError(str(error)) from None

    def _install_builtins(self) -> None:
        """Before an instance may use builtins: see that there are some."""
        if self._builtins is None:
            from .builtin_functions import Builtins

            self._builtins = Builtins(self)

    def _refresh_guards(self) -> None:
        """Before code may fault or fail: make sure that our handlers are the ones that are asked first."""
        try:
            faults.ensure_on_top()
        except RuntimeError as error:
            raise WasmError(str(error)) from None
        watch_swallowed()
