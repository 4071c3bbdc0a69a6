"""Stores: everything that belongs together while wasm code runs (core specification, "Store")."""

from __future__ import annotations

from _thread import get_ident

from ..abi import FIRST_BUILTIN, HOST_FAILURE, RECORD_CTX, RECORD_TYPE, TRAP_EXCEPTION
from ..calls.area import AREA_CELLS, DUE, Area, FastPlaces, current
from ..calls.process import adapters
from ..errors import Interrupted, WasmError, deadlines_here, not_copied
from ..runtime import UnsupportedPlatform
from ..runtime.calls import (
    LazyCallback,
    PollCallback,
    address_of,
    lost_exception,
    native_callback,
    stack_limit,
    watch_swallowed,
)
from ..runtime.context import CELL_FAILED, CELL_LAZY, CELL_POLL, CELL_REAL_LIMIT, CELL_THREAD, StoreBlock
from ..runtime.faults import is_enabled, notice, seen
from ..runtime.ffi import c_uint64
from .config import Limited
from .engine import Engine, default_engine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, Never, TypeVar

    from ..instances.builtins import Builtins
    from ..instances.exceptions import Exceptions
    from ..limits import ResourceLimits
    from ..wasi import WasiConfig
    from ..wasi.process import Process
    from .deadline import Deadline
    from .exception import WasmException
    from .func import Func
    from .global_ import Global
    from .instance import Instance
    from .tag import Tag

    Result = TypeVar("Result")


#: Exceptions that most programs end with, which nobody asks where they come from.
_NO_ERRORS = ("ExitTrap", "SystemExit")


class Store(Limited):
    """What instances, functions, memories, tables and globals belong to, and live as long as. No two stores share any.

    A store runs in one thread at a time; while no call is active in it, any thread may use it. While one is, other
    threads may call :meth:`interrupt`, read types, sizes and numeric globals, and read and write the bytes of memories.
    Whatever else they try raises :class:`WasmError`, as if it were a second call.

    As a context manager it closes itself at the end. Everything that belongs to a closed store raises
    :class:`WasmError` when it is used. What still works is ``repr``, ``store``, ``type`` and ``name`` of objects,
    exports by name, the disassembly, :meth:`interrupt`, which does nothing then, and :meth:`close`.

    Args:
        engine: the engine; that which :func:`vibewasm.instantiate` uses, if it is left out.
        limits: what the store may take, in the place of what its engine's configuration has as ``limits``.

    Raises:
        TypeError: ``engine`` is no :class:`Engine`, ``limits`` no :class:`ResourceLimits`, or there is no parameter of
            that name.
        WasmError: the engine compiles for another processor.

    Python objects that wasm code has held, and holds no longer, are let go from time to time, at the beginning of a
    call or where an object is put into a table or global, or by :meth:`gc`. What stays is what is in tables and
    globals, and what the last :meth:`Func.call_raw` returned. Tables, globals, memories, instances and functions, also
    functions made of Python ones, stay until the store is closed or nothing refers to it any more.
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
        "_engine",
        "_exceptions",
        "_fast_places",
        "_fueled",
        "_globals",
        "_instances",
        "_keeps",
        "_pending",
        "_raised",
        "_reasons",
        "_state",
        "_tags",
        "_wasi",
    )

    __reduce_ex__ = not_copied

    def __init__(self, engine: Engine | None = None, *, limits: ResourceLimits | None = None, **unknown: Never) -> None:
        if unknown:
            from ..arguments import unknown_keywords

            raise unknown_keywords("Store", unknown, ("engine", "limits"))
        if engine is None:
            engine = default_engine()
        elif not isinstance(engine, Engine):
            from ..arguments import wrong

            raise wrong("Store", "engine", "an Engine", engine)
        engine.require_host()
        self._engine = engine
        #: Whether it ever had fuel, for the message about its end.
        self._fueled = False
        self._begin_limits(engine.config, limits)
        #: Who may start a call by the fast way: the token of the thread that the store runs in, or ``None`` while a
        #: call is active. Then that token, whether or not one is. Then the first free cell of the area. Then what an
        #: outermost call leaves in the first place when it ends: the token, or :data:`DUE`, which is nobody's, so that
        #: the next call does not find the fast way open and lets objects go first.
        self._state: list[Any] = [None, None, 0, None]
        self._area = Area(AREA_CELLS)
        #: Where fast calls have their cells, by signature.
        self._fast_places = FastPlaces()
        self._instances: list[Instance] = []
        self._keeps: set[object] = set()  # what records of host functions need: identities of types, and code
        self._by_context: dict[int, Instance] = {}
        self._funcs = {}
        self._memories = []
        self._tables = []
        self._globals: list[Global] = []
        self._tags: dict[int, Tag] = {}
        self._references = None
        self._exceptions: Exceptions | None = None
        #: What a Python function has thrown into wasm code last, until it is back or another call begins.
        self._raised: WasmException | None = None
        self._wasi: dict[WasiConfig, Process] = {}
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
        self._builtins: Builtins | None = None
        self._callbacks: tuple[object, ...] = ()
        self._closed = False
        adapters().install(self._block, engine.config.deterministic)
        self._install_callbacks()
        watch_swallowed()

    def _install_callbacks(self) -> None:
        cells = self._cells
        heard = self._block.heard

        # Such a callback can fail before its first line, so it says last that all is well; see calls.callbacks.
        def lazy(context: int, defined: int, _: int) -> int:
            try:
                watch_swallowed()
                if defined < FIRST_BUILTIN:
                    address = self._by_context[context]._compile(defined, self)
                else:
                    address = self._make_builtin(defined - FIRST_BUILTIN)
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
                if not word:
                    # Nobody interrupts: a tail call may leave its instance, the first one of the store to do so.
                    adapters().control.install_tail_calls(self._block)
                if is_enabled() is not seen[0]:
                    notice()
                if self._reasons or deadlines_here:
                    self._check_interrupt()
                cells[CELL_FAILED] = 0
            except BaseException as error:
                cells[CELL_FAILED] = HOST_FAILURE
                self._pending = error

        native_lazy, native_poll = native_callback(LazyCallback, lazy, self), native_callback(PollCallback, poll, self)
        self._callbacks = (native_lazy, native_poll)
        cells[CELL_LAZY], cells[CELL_POLL] = address_of(native_lazy), address_of(native_poll)

    def __repr__(self) -> str:
        from ..counting import counted

        return f"<vibewasm.Store with {counted(len(self._instances), 'instance')}{', closed' if self._closed else ''}>"

    @property
    def engine(self) -> Engine:
        """The engine."""
        return self._engine

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
        try:
            if self._engine._cache is not None:
                from .code_cache import save

                for instance in self._instances:
                    save(instance._module)
        finally:
            # Also where Ctrl-C ends that.
            self._give_back()

    def _give_back(self) -> None:
        """Give back what the store has. Raises :class:`BufferError` where a view keeps a memory."""
        self._state[:] = [None, None, 0, None]
        for kept in (self._by_context, self._instances, self._funcs, self._tags, self._wasi, self._keeps):
            kept.clear()
        self._references = self._exceptions = self._raised = None
        memories, self._memories = self._memories, []
        for memory in memories:
            try:
                memory._close()
            except BufferError:
                self._memories.append(memory)
        if self._memories:
            raise BufferError("the store is closed, but a view of one of its memories is in use, and keeps it")

    def __enter__(self) -> Store:
        self._check_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.close()
        except (BufferError, WasmError) as problem:
            if error is None:
                raise
            # Whoever catches what ended the block is looking for that, and its traceback may be what keeps the view.
            error.add_note(f"at the end of the store's with block: {problem}")

    # -- stopping ---------------------------------------------------------------------------------------------------

    def interrupt(self) -> None:
        """Stop what runs in this store: it raises :class:`Interrupted`. Any thread may call this.

        Wasm code stops at the next iteration of a loop, or call of a function that checks whether there is stack left,
        as nearly all do but small ones that call nothing. What the engine does for it, as compiling, is cut short; a
        host function is waited for. An interrupt that meets nothing stops a later call; nothing takes it back.
        """
        from .deadline import stop

        stop(self, None, "interrupted")

    def deadline(self, seconds: float | None) -> Deadline:
        """As :func:`vibewasm.deadline`, for this store, in whatever thread it runs, and for what is done in the block
        for no store, as decoding a module.

        Raises:
            TypeError, ValueError: as :func:`vibewasm.deadline` does.
            WasmError: the store is closed.
        """
        self._check_open()
        from .deadline import Deadline

        return Deadline(self, seconds)

    def _check_interrupt(self) -> None:
        """Raise :class:`Interrupted` if what runs in the store has to stop."""
        error = self._interrupted()
        if error is not None:
            raise error

    def _interrupted(self) -> Interrupted | None:
        """What to raise if what runs in the store has to stop. It takes an interrupt back, which stops one thing."""
        for message in [*self._reasons.values()]:
            self._reasons.pop(None, None)
            if self._reasons:
                # A deadline that is over stops whatever runs until its block ends.
                self._block.interrupt()
            return Interrupted(message)
        for deadline in deadlines_here[0]() if deadlines_here else ():
            if deadline.over is not None and deadline.store is None:
                return Interrupted(deadline.over)
        return None

    @property
    def fuel(self) -> int:
        """How much fuel is left, also within a host function. What wasm code does takes it, as docs/fuel.md says, and
        raises :class:`OutOfFuel` when there is too little; a new store has none, see ``instantiate(..., fuel=...)``.

        Raises:
            WasmError: the engine was not configured with ``fuel=True``, or the store is closed.
            TypeError: set to what is no int.
            ValueError: set to less than nothing, or to 2**63 or more.
        """
        self._check_fuel()
        return max(0, self._block.fuel)

    @fuel.setter
    def fuel(self, amount: int) -> None:
        self._check_fuel()
        if type(amount) is not int:
            from ..arguments import whole

            amount = whole("Store", "fuel", "an amount", amount)
        if not 0 <= amount < 1 << 63:
            from ..arguments import number

            raise ValueError(f"fuel is an amount from 0 to 2**63 - 1, not {number(amount)}")
        self._block.fuel = amount
        self._fueled = self._fueled or amount > 0

    def _check_fuel(self) -> None:
        self._check_open()
        if not self.engine.config.fuel:
            raise WasmError("this engine does not count fuel: make it with Config(fuel=True)")

    # -- calls ------------------------------------------------------------------------------------------------------

    def _take_over(self, token: object) -> None:
        """Make the calling thread, whose token this is, the one that the store runs in, and let objects go if that is
        due. If the store is this thread's already, no call may be active.
        """
        try:
            limit = stack_limit()
        except UnsupportedPlatform as error:
            raise WasmError(str(error)) from None
        after = token
        if self._max_stack is not None:
            from ..calls.process import lowest_stack_pointer

            # Where the stack is can be another place at each call, so each has to come here.
            limit, after = lowest_stack_pointer(limit, self._max_stack), DUE
        thread = get_ident()
        watch_swallowed()
        state = self._state
        if self._closed:
            self._check_open()
        # From here on nothing is called, so no other thread can come in between.
        if state[1] is not None and state[0] is None:
            raise WasmError(
                "this store is running in another thread, and a store runs in one thread at a time: "
                "make a store per thread (they may share engine and modules), or wait for the call to return"
            )
        self._cells[CELL_REAL_LIMIT] = limit
        self._cells[CELL_THREAD] = thread
        references = self._references
        due = references is not None and references.left <= 0
        state[1], state[3] = token, after
        state[0] = None if due else token
        if due:
            try:
                dropped = self._sweep()
            finally:
                state[0], state[3] = token, after
            # Only now, since finalisers may call functions of this store, close it, and hand in objects.
            dropped.clear()
        self._raised = None

    def _check_open(self) -> None:
        """Raise ``WasmError`` if the store is closed: what belongs to it may be gone."""
        if self._closed:
            raise WasmError("this store is closed, and what belongs to it cannot be used any more: make a new one")

    def _check_usable(self) -> None:
        """Raise ``WasmError`` if the store is closed, or runs in another thread."""
        state = self._state
        if self._closed or (state[0] is None and state[1] is not None and state[1] is not current.token):
            self._take_over(current.token)

    def _alone(self, operation: Callable[..., Result], *arguments: Any) -> Result:
        """Call ``operation`` while no other thread can start a call in the store, as if it were a call itself.

        It may be called twice: where it fails because wasm code holds too many objects, again without those that are
        not held any more.

        Raises:
            WasmError: the store is closed, or runs in another thread.
        """
        state = self._state
        token = current.token
        while state[1] is not token:
            self._take_over(token)
        # Nothing is called between the check and these lines, so no other thread comes in between.
        may_start, state[0] = state[0], None
        dropped: list[object] = []
        try:
            try:
                return operation(*arguments)
            except WasmError:
                references = self._references
                if may_start is None or references is None or not references.full:
                    raise
            dropped = self._sweep()
            return operation(*arguments)
        finally:
            state[0] = may_start and state[3]
            # Finalisers may call functions of this store, close it, and hand in objects.
            dropped.clear()
            if state[0] is DUE and not self._closed:
                self._take_over(token)
                if self._max_stack is not None:
                    state[0] = DUE

    def _failure(self, number: int) -> BaseException:
        """The exception for what an activation returned other than 0."""
        error: BaseException | None = None
        if number == HOST_FAILURE:
            error, self._pending = self._pending, None
            if error is None:
                return lost_exception()
            if type(error).__name__ in _NO_ERRORS:
                return error
        elif number == TRAP_EXCEPTION:
            from .exception import left

            error = left(self)
        from ..instances.backtrace import failure

        return failure(self, number, error)

    # -- what belongs to the store ----------------------------------------------------------------------------------

    def _add_instance(self, instance: Instance) -> None:
        self._by_context[instance._address] = instance
        self._instances.append(instance)

    def _func_at(self, address: int) -> Func:
        """The function whose record is at ``address``."""
        func = self._funcs.get(address)
        if func is None:
            from .func import Func

            self._check_open()
            # A function of an instance that Python has not met yet: its record says which.
            record = (c_uint64 * 4).from_address(address)
            instance = self._by_context[record[RECORD_CTX >> 3]]
            func = Func._of_instance(instance, record[RECORD_TYPE >> 3] >> 32, address)
        return func

    def _address_of(self, value: object) -> int:
        """Address of the record of a function of this store, given as a value of type funcref.

        Raises:
            TypeError, ValueError: it is none; see :func:`vibewasm.calls.values.to_bits` about the messages.
        """
        from ..calls.values import kind_of
        from .func import Func

        if not isinstance(value, Func):
            raise TypeError(f"wants a vibewasm.Func or None, not {kind_of(value)}")
        if value.store is not self:
            raise ValueError("wants a function of the same store, not one of another store")
        return value._address

    # -- externref --------------------------------------------------------------------------------------------------

    def gc(self) -> None:
        """Let go of all Python objects that wasm code was given and does not hold any more, at once.

        What is in a table or a global stays, and so do the references that the last :meth:`Func.call_raw` returned.
        Finalisers of the objects run before this returns.

        Raises:
            WasmError: a call is active in the store, whose code may hold any object; or the store is closed.
        """
        state = self._state
        token = current.token
        while state[1] is not token or state[0] is DUE:
            self._take_over(token)
        if state[0] is None:
            raise WasmError("no object can be let go while a call is active in the store: call gc when it has returned")
        state[0] = None
        try:
            dropped = self._sweep()
        finally:
            state[0] = state[3] = token if self._max_stack is None else DUE
        dropped.clear()

    def _handle_of(self, item: object) -> int:
        """The handle of an object. Only who has taken the store may ask for one, until it is written: see
        :mod:`vibewasm.instances.references`.

        Raises:
            ReferenceLimit: the store holds as many objects as it may.
        """
        references = self._references
        if references is None:
            from ..instances.references import References

            references = self._references = References(self._state, DUE, self._max_references)
        return references.handle_of(item)

    def _object_at(self, handle: int) -> object:
        references = self._references
        if references is None:
            # Closed between a check and this line, by another thread.
            self._check_open()
        assert references is not None
        return references.object_at(handle)

    @property
    def _typed(self) -> Any:
        """What converts values of reference types other than funcref and externref."""
        from . import typed_references

        return typed_references

    def _sweep(self) -> list[object]:
        """Forget objects that wasm code does not hold, and give them back. No wasm code may be active."""
        references = self._references
        return references.sweep(self) if references is not None else []

    def _make_builtin(self, number: int) -> int:
        """Make a builtin that wasm code calls for the first time, and return the address of code that calls it."""
        if self._builtins is None:
            from ..instances.builtins import Builtins

            self._builtins = Builtins(self)
        return self._builtins.make(self, number)

    def _refresh_guards(self) -> None:
        """Before code may fault or fail: make sure that our handlers are the ones that are asked first."""
        try:
            notice()
        except UnsupportedPlatform as error:
            raise WasmError(str(error)) from None
        watch_swallowed()
