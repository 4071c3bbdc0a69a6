"""Functions: of wasm, and of Python for wasm (core specification, "Function Instances")."""

from __future__ import annotations

from ..binary.module_info import FUNC
from ..calls.area import AREA_CELLS, DUE, Area, current
from ..calls.fast import fast_call
from ..calls.process import adapters
from ..calls.values import MASK32, cell_count, from_bits, from_cells, prefixed, signature, to_cells
from ..errors import ReferenceLimit, WasmError
from ..runtime.calls import argument
from ..runtime.faults import is_enabled, seen
from ..types import F32, FUNCREF, I32, V128, FuncType, type_name
from .extern import Extern
from .store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Never

    from ..disasm.model import FunctionListing
    from ..runtime.blocks import Block
    from .instance import Instance
    from .native import Native

#: What the functions that make calls are called, so that the interpreter's own error about a keyword explains itself.
#: Nothing of it costs a call anything.
_BY_POSITION = "wasm functions take arguments by position only, as in f(1) and not f(a=1): Func"


#: Named rather than written where slots are listed, since pyright takes a slot of that name for what is called, instead
#: of the method that is declared below for type checkers.
_CALL_SLOT = "__call__"


class _OfFunction:
    """An attribute that Python's own tools ask functions for, as ``help`` does, which is made when it is asked for.

    Args:
        make: what makes it, a function of :mod:`vibewasm.api.introspection`.
        of_class: what the class has under that name; nothing, if the attribute is to be missing there.
    """

    __slots__ = ("make", "of_class")

    def __init__(self, make: str, *of_class: object) -> None:
        self.make = make
        self.of_class = of_class

    def __get__(self, function: Func | None, cls: type[Func]) -> object:
        if function is None:
            if not self.of_class:
                raise AttributeError(self.make)
            return self.of_class[0]
        from . import introspection

        return getattr(introspection, self.make)(function)


class Func(Extern):
    """A function that can be called from Python and from wasm.

    Called, it takes one argument a parameter and returns ``None``, the result, or a tuple of several results. An i32 or
    i64 argument is an int in the signed or the unsigned range, and such results are signed; f32 and f64 take any number
    and give a float; a v128 is an int too, or 16 bytes (lane 0 first, each lane little-endian), and such results are
    unsigned ints; a funcref is a ``Func`` or ``None``, an externref any object, where ``None`` is null.

    A call raises ``TypeError`` (a wrong number of arguments, or one of the wrong class), ``OverflowError`` (an int that
    does not fit), ``ValueError`` (bytes that are not 16, or a function of another store), :class:`Trap`,
    :class:`Interrupted`, :class:`ValidationError` (the body of a function that is called for the first time is
    invalid), or what a Python function raised that the wasm code called.

    Args:
        store: the store that the function belongs to.
        type: the function's type.
        function: a Python function, which takes and returns values like a ``Func`` does; it returns a sequence for
            several results, and what it returns for none is ignored. Or a C function, as :class:`Native`.
        name: what messages call it.
        caller: whether the Python function is given a :class:`~vibewasm.Caller` before its arguments.

    Raises:
        TypeError: an argument is of another type.
        WasmError: the store is closed, or runs in another thread.

    Where the module's name section names a function's parameters, arguments can be given by those names. ``help`` and
    :mod:`inspect` show them, and the type.

    Two ``Func`` objects of one function of a store are the same object.
    """

    # The class itself has none, since it is called with other arguments than its objects.
    __signature__ = _OfFunction("signature")

    # A call goes straight to the function in the slot, with no method in between.
    __slots__ = (
        _CALL_SLOT,
        "__weakref__",
        "_address",
        "_defined",
        "_enter",
        "_has_references",
        "_instance",
        "_keep",
        "_name",
        "_sizes",
        "_store",
        "_type",
    )

    _kind = FUNC

    if TYPE_CHECKING:

        def __call__(self, *arguments: Any, **named: Any) -> Any:
            """Call the function."""

    def __init__(
        self,
        store: Store,
        type: FuncType,
        function: Callable[..., Any] | Native,
        *,
        name: str | None = None,
        caller: bool = False,
        **unknown: Never,
    ) -> None:
        if unknown:
            from ..arguments import unknown_keywords

            raise unknown_keywords("Func", unknown, ("store", "type", "function", "name", "caller"))
        if not isinstance(store, Store):
            from ..arguments import wrong

            raise wrong("Func", "store", "a Store", store)
        if not isinstance(type, FuncType):
            from ..arguments import wrong

            swapped = isinstance(function, FuncType) or callable(type)
            advice = "write Func(store, FuncType(params, results), function)" if swapped else ""
            raise wrong("Func", "type", "a FuncType", type, advice)
        if name is not None and not isinstance(name, str):
            from ..arguments import wrong

            raise wrong("Func", "name", "a str or None", name)
        if caller is not True and caller is not False:
            from ..arguments import wrong

            raise wrong("Func", "caller", "True or False", caller)
        if not callable(function):
            if caller:
                raise TypeError("Func: only a Python function is given its caller")
            self._init_native(store, type, function, name)
            return
        store._check_usable()
        name = name or getattr(function, "__name__", None) or "host function"
        if caller:
            from ..calls.caller_callbacks import host_func_with_caller
            from .caller import Callers

            callers = Callers(store)
            record, callbacks = host_func_with_caller(store, type, function, name, callers)
            self._init_record(store, type, record, (callers, callbacks), name)
            return
        from ..calls.callbacks import host_callback

        self._init_host(store, type, host_callback(store, type, function, name), name)

    @classmethod
    def _raw(cls, store: Store, type: FuncType, function: Callable[..., int | None], name: str) -> Func:
        """A function that takes the caller's memory as a memoryview, then unsigned ints, as those of WASI do."""
        from ..calls.callbacks import raw_callback

        self = cls.__new__(cls)
        self._init_host(store, type, raw_callback(store, type, function), name)
        return self

    def _init_host(self, store: Store, type: FuncType, callback: object, name: str) -> None:
        from ..calls.callbacks import host_func_record

        self._init_record(store, type, host_func_record(store, type, callback), callback, name)

    def _init_native(self, store: Store, type: FuncType, function: Native, name: str | None) -> None:
        """A function of C."""
        from .native import Native

        if not isinstance(function, Native):
            from ..arguments import wrong

            raise wrong("Func", "function", "a callable", function)
        if function.type != type:
            raise TypeError(f"Func: type is {type}, and that of the native function {function.type}")
        store._check_usable()
        self._init_record(store, type, function._record(store), function, name or function.name)

    def _init_record(self, store: Store, type: FuncType, record: Block, callee: object, name: str) -> None:
        """A function that is none of an instance; what it leads to is kept alive."""
        if store._given_limits is not None:
            from .taking import check_made

            check_made(store, "max_host_functions", "function")
        self._instance: Instance | None = None
        self._defined = -1
        self._keep: object = (record, callee)
        store._taking = True
        self._init(store, type, record.address, name)
        store._host_functions += 1
        store._taking = False

    def _init(self, store: Store, type: FuncType, address: int, name: str | None) -> None:
        self._store = store
        self._type = type
        self._address = address
        self._name = name
        # Cells of the parameters, of the results, and what a call needs room for.
        sizes = (cell_count(type.param_codes), cell_count(type.result_codes))
        self._sizes = (*sizes, max(sizes))
        self._has_references = any(code >= FUNCREF for code in type.param_codes + type.result_codes)
        self._enter: Callable[..., int] | None = None
        self.__call__ = self._first_call  # type: ignore[method-assign]  # it is a slot
        store._funcs[address] = self

    @classmethod
    def _of_instance(cls, instance: Instance, defined: int, address: int) -> Func:
        """The function of an instance whose record is at ``address``."""
        module = instance.module
        self = cls.__new__(cls)
        self._instance = instance
        self._defined = defined
        self._keep = None
        self._init(instance.store, module.info.func_type(module.info.imported_funcs + defined), address, None)
        return self

    @property
    def store(self) -> Store:
        """The store that the function belongs to."""
        return self._store

    @property
    def type(self) -> FuncType:
        """The function's type."""
        return self._type

    @property
    def name(self) -> str:
        """From the name section or an export, or the name that a Python function was defined with."""
        if self._name is None:
            instance = self._instance
            assert instance is not None
            index = instance.module.info.imported_funcs + self._defined
            self._name = instance.module.func_name(index) or f"function {index}"
        return self._name

    @property
    def __name__(self) -> str:
        return self.name

    @property
    def _shown(self) -> str:
        """The name as messages have it."""
        from ..names import brief  # only what goes wrong needs it

        return brief(self.name)

    def __repr__(self) -> str:
        return f"<vibewasm.Func {self._shown}{self._type}>"

    @property
    def _foreign(self) -> str:
        """Whose function this is, if none of an instance."""
        from .native import Native

        return "a C" if isinstance(self._keep, tuple) and isinstance(self._keep[1], Native) else "a Python"

    def disassemble(self, *, target: str | None = None, syntax: str | None = None) -> FunctionListing:
        """What the function is compiled to: ``print`` it for text, iterate over it for its machine instructions.

        It needs capstone: ``pip install 'vibewasm[disasm]'``.

        Args:
            target: name of another processor to compile for; ``None`` for the engine's own.
            syntax: "intel" or "att", which matters to x86-64 only.

        Raises:
            WasmError: it is a Python function, or one of C.
            ImportError: capstone is not installed.
            ValueError: there is no such target or syntax.
            ValidationError: the function's body is invalid.
        """
        instance = self._instance
        if instance is None:
            raise WasmError(f"{self._shown} is {self._foreign} function: there is no machine code to show")
        from ..disasm.build import disassemble

        index = instance.module.info.imported_funcs + self._defined
        return disassemble(instance.module, [index], target=target, syntax=syntax)[0]

    def map(self, *arguments: Any, out: Any = None, **unknown: Never) -> Any:
        """Call the function for each element of arrays, from a loop in machine code.

        ``add.map(xs, ys)`` is ``[add(x, y) for x, y in zip(xs, ys)]``, at some nanoseconds an element. See
        ``docs/arrays.md``.

        Args:
            arguments: one a parameter: a NumPy array or any other buffer whose elements have the parameter's type
                (int32 or uint32 for an i32, int64 or uint64 for an i64, float32, float64; ``bytes`` and ``bytearray``
                are taken for elements of that type), or a single value for all calls. Buffers have the same shape.
            out: what results are written to: a writable buffer, or a tuple with one a result, where ``None`` stands
                for a new array.

        Returns:
            ``None``, the array of the result, or a tuple of several: those of ``out``, or new ones, which are NumPy's
            if an argument is an array of NumPy's, else :class:`array.array`.

        Element by element, in order, the arguments are read, the function is called and its results are written, so
        ``out`` may overlap arguments. An exception has a note of the element whose call it comes from, and a
        :class:`WasmError` has it as ``element``; the results of those before it are written. An interruption, a
        deadline, signals and fuel work as within a call.

        Raises:
            TypeError: a wrong number of arguments, one of the wrong class or element type, an output that is read-only,
                a type without arrays (a reference), or nothing that says how many elements there are.
            ValueError: shapes that differ, or elements of an array that do not lie at one distance from each other.
            OverflowError: a single int does not fit.
            As for a call: the rest.
        """
        if unknown:
            from ..arguments import unknown_keywords

            raise unknown_keywords(f"{self._shown}.map", unknown, ("out",))
        from ..calls.arrays import map_arrays

        return map_arrays(self, arguments, out)

    async def run_async(self, /, *arguments: Any, **named: Any) -> Any:
        """Call the function in a thread, while the event loop of :mod:`asyncio` that awaits this goes on.

        Arguments, results and exceptions are those of a call. Cancelling the task stops the wasm code, and then the
        store can be used again. Python functions that the code calls may be coroutine functions: the code waits, and
        the event loop runs the coroutine. Calls into one store wait for each other, in the order in which they come.
        :func:`vibewasm.set_async_threads` sets how many threads there may be. See ``docs/asyncio.md``.

        Raises:
            RuntimeError: the event loop has stopped or is closed while the code waits for a coroutine.
            WasmError: code of the store waits for the Python function that runs the event loop.
            As for a call: the rest.
        """
        from .asynchronous import run

        return await run(self, arguments, named)

    def call_raw(self, cells: Sequence[int]) -> list[int]:
        """Call with bits rather than values: unsigned 64-bit ints, one a parameter (two for a v128, low half first).

        It returns the results' bits in the same form; of an i32 or f32 the upper half is zero. The bits of a reference
        are good for the next call of the same store only; 0 is null.

        Raises:
            TypeError: a wrong number of cells, or one that is no int.
            OverflowError: a cell does not fit in 64 bits.
            ValueError: a cell of a reference is none that the store gave out.
            As for a call: the rest.
        """
        wanted, count, _ = self._sizes
        try:
            len(cells)
            # What is checked must be what is passed: an object of a stranger may say something else each time.
            items = [*cells]
        except TypeError:
            from ..arguments import wrong

            raise wrong(f"{self._shown}.call_raw", "cells", "a list of ints", cells) from None
        cells = [cell if type(cell) is int and 0 <= cell < 1 << 64 else self._checked_cell(cell) for cell in items]
        if len(cells) != wanted:
            raise TypeError(f"{self._shown} takes {wanted} cells, {len(cells)} were given")
        store = self._store
        may_start = self._take_store()
        converted = 0 if store._exceptions is None else len(store._exceptions.results)
        try:
            if self._has_references:
                # Not before, since taking the store may let go of some.
                self._check_references(cells)
            found = self._run(cells)[:count]
            if self._has_references:
                if store._references is not None:
                    store._references.given = found
                if store._exceptions is not None:
                    store._exceptions.give(self._type.result_codes, found)
        finally:
            if store._exceptions is not None:
                del store._exceptions.results[converted:]
            store._state[0] = may_start and store._state[3]
        at = 0
        for code in self._type.result_codes:
            if code == I32 or code == F32:
                # Adapters leave the upper half as it was.
                found[at] &= MASK32
            elif code >= FUNCREF:
                # Known from now on, so that it can be passed.
                from_bits(self._store, code, found[at])
            at += 2 if code == V128 else 1
        return found

    def _checked_cell(self, cell: object) -> int:
        from ..arguments import number, whole

        found = whole(f"{self._shown}.call_raw", "a cell", "the bits of a value", cell)
        if not 0 <= found < 1 << 64:
            raise OverflowError(f"a cell is an int from 0 to 2**64 - 1, not {number(found)}")
        return found

    def _check_references(self, cells: Sequence[int]) -> None:
        """See that raw references are what the store knows: machine code trusts them."""
        from .typed_references import knows

        at = 0
        for code in self._type.param_codes:
            if code >= FUNCREF and not knows(self._store, code, cells[at]):
                raise ValueError(f"{cells[at]:#x} is no reference of type {type_name(code)} that this store gave out")
            at += 2 if code == V128 else 1

    def _first_call(self, /, *arguments: Any, **named: Any) -> Any:
        """The first call makes what later calls of this signature do fast."""
        call = fast_call(self)
        # Of a method, the function.
        getattr(call, "__func__", call).__qualname__ = _BY_POSITION
        instance = self._instance
        if instance is not None and self._type.params and instance.module.info.has_local_names:
            from .introspection import accept_keywords, parameter_names

            names = parameter_names(self)
            if names is not None:
                call = accept_keywords(call, names, self._shown)
        self.__call__ = call  # type: ignore[method-assign]  # it is a slot
        return call(*arguments, **named)

    _first_call.__qualname__ = _BY_POSITION

    def _call_general(self, *arguments: object) -> Any:
        """A call of any types, at any depth, by any thread that may make it."""
        store = self._store
        may_start = self._take_store()
        converted = 0 if store._exceptions is None else len(store._exceptions.results)
        try:
            try:
                cells = self._argument_cells(arguments)
            except WasmError as error:
                if may_start is None or not isinstance(error, ReferenceLimit):
                    raise
                # No wasm code is active yet, so those that it holds no more can make room.
                store._sweep()
                cells = self._argument_cells(arguments)
            found = self._run(cells)
            values = from_cells(store, self._type.result_codes, found)
        finally:
            if store._exceptions is not None:
                del store._exceptions.results[converted:]
            store._state[0] = may_start and store._state[3]
        if not values:
            return None
        return values[0] if len(values) == 1 else tuple(values)

    def _argument_cells(self, arguments: Sequence[object]) -> list[int]:
        codes = self._type.param_codes
        if len(arguments) != len(codes):
            from ..counting import counted

            wanted = counted(len(codes), "argument")
            raise TypeError(f"{self._shown}{self._type} takes {wanted}, {len(arguments)} given")
        try:
            return to_cells(self._store, codes, arguments)
        except (TypeError, OverflowError, ValueError) as error:
            raise prefixed(f"{self._shown}{self._type}: parameter", error) from None

    def _entry(self) -> Callable[..., int]:
        """The adapter through which functions of this signature are called."""
        enter = self._enter
        if enter is None:
            enter = adapters().enter(signature(self._type.param_codes, self._type.result_codes))
            self._enter = enter
        return enter

    def _take_store(self) -> Any:
        """Take away the right to make fast calls, whose return value has to be put back when the call is over.

        Raises:
            WasmError: the store is closed, or runs in another thread.
        """
        if is_enabled() is not seen[0]:
            self._store._refresh_guards()
        state = self._store._state
        token = current.token
        while state[1] is not token or state[0] is DUE:
            self._store._take_over(token)
        # Nothing is called between the check and these lines, so no other thread comes in between.
        may_start = state[0]
        state[0] = None
        return may_start

    def _run(self, cells: Sequence[int]) -> list[int]:
        """Call with these cells while the store is taken, and give as many as the call had room for."""
        store = self._store
        state = store._state
        enter = self._entry()
        size = self._sizes[2]
        first: int = state[2]
        try:
            area = store._area
            at = first
            if first + size > AREA_CELLS:
                area = Area(size)
                at = 0
            else:
                state[2] = first + size
            view = area.cells
            for position, cell in enumerate(cells, at):
                view[position] = cell
            number = enter(argument(self._address), argument(len(cells)), argument(area.address + 8 * at))
            if number:
                raise store._failure(number)
            found: list[int] = view[at : at + size].tolist()
            if self._has_references and store._exceptions is not None:
                # Exceptions among them are nobody's until they are converted.
                store._exceptions.results.append(found)
            return found
        finally:
            state[2] = first


# The text above is the class's own.
Func.__doc__ = _OfFunction("documentation", Func.__doc__)  # type: ignore[assignment]  # of objects another

if not TYPE_CHECKING:
    # What is missing is said by ``wrong``; see vibewasm.arguments.
    Func.__init__.__defaults__ = (..., ..., ...)
