"""Python functions as wasm code calls them: the closures that ctypes makes native callbacks of.

The machine code of a host function (the ``leave`` adapter of its signature) puts the parameters on the store's cell
stack, notes that the call has failed, and calls the callback, which takes the parameters from there, writes the
results in their place, and notes as its very last act that all is well. So whatever goes wrong, even before the first
line of the callback (CPython can raise ``KeyboardInterrupt`` there, and ctypes drops it), the machine code does not
go on, unless it is told to throw what was raised. An exception waits in the store until it is raised again where Python
called wasm; one that came up before the callback's first line gets there through
:func:`~vibewasm.runtime.calls.native_callback`.

The fast callbacks take no arguments from ctypes, which costs as much as the rest: they find their cells below the top
of the cell stack, which the store block says. Of functions that want to know their caller: :mod:`.caller_callbacks`.
"""

from __future__ import annotations

from struct import Struct
from struct import error as struct_error

from ..abi import (
    HOST_FAILURE,
    RECORD_CALLBACK,
    RECORD_CODE,
    RECORD_CTX,
    RECORD_SIZE,
    RECORD_TYPE,
    STORE_HOST_CONTEXT,
    TRAP_TOO_MANY_REFERENCES,
)
from ..errors import ReferenceLimit, WasmError
from ..runtime.blocks import Block
from ..runtime.calls import HostCallback, address_of, native_callback
from ..runtime.context import CELL_CELLS_TOP, CELL_FAILED
from ..runtime.ffi import CFUNCTYPE
from ..types import EXTERNREF, F32, F64, I32, I64, V128
from .process import adapters
from .values import NUMBER_FORMATS, cell_count, from_bits, from_cells, prefixed, signature, to_cells

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..api.memory import Memory
    from ..api.store import Store
    from ..types import FuncType

    #: Reads the arguments of a call from the cell stack, at a byte offset.
    Reader = Callable[[memoryview, int], "tuple[Any, ...] | list[Any]"]
    #: Writes the result of a call to the cell stack, at a byte offset. It returns 0, or the number of a trap.
    Writer = Callable[[int, Any], int]
    #: Has a coroutine run, and gives its result.
    Settler = Callable[[object], object]
    #: What is to be raised for an exception of a call; ``None`` if it was thrown into wasm code instead.
    Explainer = Callable[[BaseException], BaseException | None]

_NoArguments = CFUNCTYPE(None)

_UNSIGNED = {I32: "I4x", I64: "Q"}


def _view(stack: memoryview, code: int) -> memoryview[Any]:
    """The cell stack as items of a numeric type."""
    if code == I32:
        return stack.cast("i")
    if code == I64:
        return stack.cast("q")
    return stack.cast("f") if code == F32 else stack.cast("d")


def host_func_record(store: Store, type: FuncType, callback: object) -> Block:
    """The record of a host function whose native callback this is."""
    record = Block(RECORD_SIZE)
    code = adapters().leave(signature(type.param_codes, type.result_codes), store._keeps)
    fill_record(record, store, type, code)
    record.cells[RECORD_CALLBACK >> 3] = address_of(callback)
    return record


def fill_record(record: Block, store: Store, type: FuncType, code: int) -> None:
    """Write to the record of a host function what is not the callback. ``code``: the address of what calls that."""
    record.cells[RECORD_CODE >> 3] = code
    record.cells[RECORD_CTX >> 3] = store._block.address + STORE_HOST_CONTEXT
    type_id = store.engine._type_id
    record.cells[RECORD_TYPE >> 3] = identity = type_id(type)
    # The record may be compared with as long as the store is there.
    keeps = store._keeps
    keeps.add(identity)
    above = type.supertype
    while above is not None:
        keeps.add(type_id(above))
        above = above.supertype
    store.engine._show_supertypes(store._block)


def host_callback(store: Store, type: FuncType, function: Callable[..., Any], name: str) -> object:
    """The native callback of a Python function that takes and returns Python values."""
    explain = explainer(store, function, type, name, takes_caller=False)
    return callback_of(host_call_of(store, type, function, name, explain), store)


def callback_of(host_call: Callable[[], None], store: Store) -> object:
    """The native callback of what :func:`host_call_of` has made, of which there may be one only."""
    return native_callback(_NoArguments, host_call, store)


def host_call_of(
    store: Store, type: FuncType, function: Callable[..., Any], name: str, explain: Explainer
) -> Callable[[], None]:
    """What calls a Python function with the arguments on the cell stack, and leaves the results there."""
    host_call = _host_call_of(store, type, function, name, explain)
    if store.engine.config.fuel:
        from .fuel import metered_host_call

        host_call = metered_host_call(store, type, host_call)
    return host_call


def _host_call_of(
    store: Store, type: FuncType, function: Callable[..., Any], name: str, explain: Explainer
) -> Callable[[], None]:
    params, results = type.param_codes, type.result_codes
    cells, stack = store._block.cells, store._block.stack
    # The top lies after the cells of this call, whose number is rounded up to an even one.
    room = max(cell_count(params), cell_count(results)) + 1 & -2
    base = store._block.stack_base + 8 * room
    read = _reader(store, params)
    if not results:
        return _without_result(store, base, read, function, _settler(type, name), explain)
    convert = _result_converter(store, type, name)
    if len(results) > 1 or results[0] > F64:
        write = _writer(store, results, convert, _settler(type, name))
        return _with_results(store, base, read, function, write, explain)
    view = _view(stack, results[0])
    shift = 2 if view.itemsize == 4 else 3
    if len(params) in (1, 2) and len(set(params)) == 1 and params[0] <= F64:
        source = _view(stack, params[0])
        if source.itemsize == view.itemsize:
            # One index serves for all values, and a call with so many arguments is spelled out.
            return _alike(store, base, (source, view, shift), len(params), function, convert, explain)

    def host_call() -> None:
        try:
            at = cells[CELL_CELLS_TOP] - base
            result = function(*read(stack, at))
            try:
                view[at >> shift] = result
            except (TypeError, ValueError, OverflowError):
                convert(at, result)
            cells[CELL_FAILED] = 0
        except BaseException as error:
            # A call into wasm from within may have cleared it.
            cells[CELL_FAILED] = HOST_FAILURE
            store._pending = explain(error)

    return host_call


def explainer(store: Store, function: Callable[..., Any], type: FuncType, name: str, takes_caller: bool) -> Explainer:
    """What is called with what a Python function has raised, once CELL_FAILED says that the call has failed. It throws
    wasm code's own exceptions into wasm code, and makes of a function that does not take the parameters of its type an
    error that says so.

    Nobody looks at what a function takes before it has failed: that would cost more than most calls.
    """

    def explain(error: BaseException) -> BaseException | None:
        # With a frame below the callback's, the function, or what converts values, has raised it itself.
        traceback = error.__traceback__
        if not isinstance(error, TypeError) or traceback is None or traceback.tb_next is not None:
            return raised(store, error)
        from ..arguments import misfit

        return misfit(error, function, len(type.params), _label(name, type), takes_caller)

    return explain


def raised(store: Store, error: BaseException) -> BaseException | None:
    """What waits to be raised where Python called wasm code: this, unless it was thrown into wasm code instead."""
    return None if isinstance(error, WasmError) and error._throw_into(store) else error


def _label(name: str, type: FuncType) -> str:
    """A host function as messages have it: its name may be that of a module's import."""
    from ..names import brief  # only what goes wrong needs it

    return f"{brief(name)}{type}"


def _reader(store: Store, params: tuple[int, ...]) -> Reader:
    """What reads arguments of these types."""
    if V128 in params:
        unpack_cells = Struct(f"={cell_count(params)}Q").unpack_from
        return lambda stack, at: from_cells(store, params, unpack_cells(stack, at))
    unpack = Struct("=" + "".join([NUMBER_FORMATS.get(code, "Q") for code in params])).unpack_from
    references = [(index, code) for index, code in enumerate(params) if code > F64]
    if not references:
        return unpack

    def read(stack: memoryview, at: int) -> list[Any]:
        values = list(unpack(stack, at))
        for index, code in references:
            values[index] = from_bits(store, code, values[index])
        return values

    return read


def _writer(store: Store, results: tuple[int, ...], convert: Writer, settle: Settler) -> Writer:
    """What writes results of these types, other than a single number."""
    stack = store._block.stack
    if results == (EXTERNREF,):
        from types import CoroutineType

        words = stack.cast("Q")

        def write_reference(at: int, result: object) -> int:
            if type(result) is CoroutineType:
                # It would do as a value, but what is meant is what it returns.
                result = settle(result)
            try:
                words[at >> 3] = 0 if result is None else store._handle_of(result)
                return 0
            except WasmError as error:
                return _trap_number(error)

        return write_reference
    if any(code > F64 for code in results):

        def write_references(at: int, result: object) -> int:
            if hasattr(result.__class__, "__await__"):
                # Here, so that what it raises is no trap of this call.
                result = settle(result)
            try:
                return convert(at, result)
            except WasmError as error:
                return _trap_number(error)

        return write_references
    pack = Struct("=" + "".join([NUMBER_FORMATS[code] for code in results])).pack_into

    def write(at: int, result: Any) -> int:
        try:
            pack(stack, at, *result)
            return 0
        except (struct_error, TypeError, OverflowError):
            return convert(at, result)

    return write


def _settler(type: FuncType, name: str) -> Settler:
    """What makes of a coroutine that a Python function returned what that returns in turn, and leaves other results as
    they are.
    """

    def settle(result: object) -> object:
        from .coroutines import awaited, is_coroutine

        return awaited(result, _label(name, type)) if is_coroutine(result) else result

    return settle


def _trap_number(error: WasmError) -> int:
    """The number of the trap that converting a result ends in, if that is what this error means; else it is raised."""
    if isinstance(error, ReferenceLimit):
        return TRAP_TOO_MANY_REFERENCES
    raise error


def _alike(
    store: Store,
    base: int,
    views: tuple[memoryview[Any], memoryview[Any], int],
    count: int,
    function: Callable[..., Any],
    convert: Writer,
    explain: Explainer,
) -> Callable[[], None]:
    """A callback with one parameter or two, and a result, all of one size."""
    cells = store._block.cells
    source, view, shift = views
    # From one cell to the next.
    step = 2 if shift == 2 else 1

    def host_call_1() -> None:
        try:
            at = cells[CELL_CELLS_TOP] - base >> shift
            result = function(source[at])
            try:
                view[at] = result
            except (TypeError, ValueError, OverflowError):
                convert(at << shift, result)
            cells[CELL_FAILED] = 0
        except BaseException as error:
            cells[CELL_FAILED] = HOST_FAILURE
            store._pending = explain(error)

    def host_call_2() -> None:
        try:
            at = cells[CELL_CELLS_TOP] - base >> shift
            result = function(source[at], source[at + step])
            try:
                view[at] = result
            except (TypeError, ValueError, OverflowError):
                convert(at << shift, result)
            cells[CELL_FAILED] = 0
        except BaseException as error:
            cells[CELL_FAILED] = HOST_FAILURE
            store._pending = explain(error)

    return host_call_1 if count == 1 else host_call_2


def _without_result(
    store: Store,
    base: int,
    read: Reader,
    function: Callable[..., Any],
    settle: Settler,
    explain: Explainer,
) -> Callable[[], None]:
    cells, stack = store._block.cells, store._block.stack

    def host_call() -> None:
        try:
            result = function(*read(stack, cells[CELL_CELLS_TOP] - base))
            if result is not None:
                settle(result)
            cells[CELL_FAILED] = 0
        except BaseException as error:
            cells[CELL_FAILED] = HOST_FAILURE
            store._pending = explain(error)

    return host_call


def _with_results(
    store: Store, base: int, read: Reader, function: Callable[..., Any], write: Writer, explain: Explainer
) -> Callable[[], None]:
    cells, stack = store._block.cells, store._block.stack

    def host_call() -> None:
        try:
            at = cells[CELL_CELLS_TOP] - base
            cells[CELL_FAILED] = write(at, function(*read(stack, at)))
        except BaseException as error:
            cells[CELL_FAILED] = HOST_FAILURE
            store._pending = explain(error)

    return host_call


def _result_converter(store: Store, type: FuncType, name: str) -> Writer:
    """Writes results that the fast way does not take, at a byte offset in the cell stack; or says what is wrong with
    them.
    """
    codes = type.result_codes
    stack = store._block.stack
    settle = _settler(type, name)

    def problem(what: str) -> TypeError:
        from ..counting import counted

        results = counted(len(codes), "result")
        return TypeError(f"{_label(name, type)} has {results}, and the Python function returned {what}")

    def convert(at: int, result: object) -> int:
        if hasattr(result.__class__, "__await__"):
            result = settle(result)
        if len(codes) == 1:
            values: Any = (result,)
        elif isinstance(result, (str, bytes)) or not hasattr(result, "__iter__"):
            raise problem(_shown(result))
        else:
            values = tuple(result)
            if len(values) != len(codes):
                raise problem(str(len(values)))
        try:
            bits = to_cells(store, codes, values)
        except (TypeError, OverflowError, ValueError) as error:
            raise prefixed(f"{_label(name, type)}: result", error) from None
        for cell in bits:
            stack[at : at + 8] = cell.to_bytes(8, "little")
            at += 8
        return 0

    return convert


def _shown(value: object) -> str:
    return "None" if value is None else f"one {value.__class__.__name__}"


def raw_callback(store: Store, type: FuncType, function: Callable[..., int | None]) -> object:
    """The native callback of a function that takes a view of the caller's memory, then unsigned ints, as those of
    WASI do.

    The memory is the caller's export ``memory``, else its memory 0; without one the view is empty. The result is an
    int, and only its low bits count.
    """
    params, results = type.param_codes, type.result_codes
    cells, stack, base = store._block.cells, store._block.stack, store._block.stack_base
    unpack = Struct("=" + "".join([_UNSIGNED[code] for code in params])).unpack_from
    words = stack.cast("Q")
    memories: dict[int, Memory | None] = {}
    empty = memoryview(bytearray())

    def raw_call(context: int, argc: int, argv: int) -> None:
        try:
            at = argv - base
            memory = memories.get(context)
            if memory is None:
                caller = store._by_context.get(context)
                memory = memories[context] = caller._main_memory() if caller is not None else None
            view = memory._current() if memory is not None else empty
            result = function(view, *unpack(stack, at))
            if results:
                words[at >> 3] = (result or 0) & 0xFFFF_FFFF_FFFF_FFFF
            cells[CELL_FAILED] = 0
        except BaseException as error:
            cells[CELL_FAILED] = HOST_FAILURE
            store._pending = raised(store, error)

    return native_callback(HostCallback, raw_call, store)
