"""The ways into wasm for calls of numbers that have no views of their own: they are packed into cells all at once.

These are the calls of functions with many parameters or several results, and the calls that are made while another one
is active, see :mod:`vibewasm.calls.fast`.
"""

from __future__ import annotations

from struct import Struct
from struct import error as struct_error

from ..runtime.calls import argument
from ..runtime.faults import is_enabled, seen
from .area import AREA_CELLS, current
from .process import adapters
from .values import NUMBER_FORMATS, signature

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..api.func import Func


def _structs(func: Func) -> tuple[Callable[..., None], Callable[..., tuple[Any, ...]]]:
    """What packs the parameters into cells, and what unpacks the results."""
    type_ = func._type
    params = Struct("=" + "".join([NUMBER_FORMATS[code] for code in type_.param_codes]))
    results = Struct("=" + "".join([NUMBER_FORMATS[code] for code in type_.result_codes]))
    return params.pack_into, results.unpack_from


def call_many(func: Func) -> Callable[..., Any]:
    """Calls with any number of numbers."""
    store = func._store
    type_ = func._type
    size = func._sizes[2]
    area, first = store._fast_places.place(signature(type_.param_codes, type_.result_codes), size)
    pack, unpack = _structs(func)
    data, offset = area.cells.cast("B"), 8 * first
    count = len(type_.results)
    state, enter, failure = store._state, adapters().enter_ready, store._failure
    ready = store._fast_places.ready(func._entry(), func._address, len(type_.params), area.address + offset)
    general = call_inner(func)

    def call(*arguments: Any) -> Any:
        token = current.token
        if state[0] is not token or is_enabled() is not seen[0]:
            return general(*arguments)
        state[0] = None
        try:
            try:
                pack(data, offset, *arguments)
            except (struct_error, TypeError, OverflowError):
                for cell, bits in enumerate(func._argument_cells(arguments), first):
                    area.cells[cell] = bits
            number = enter(ready)
            if number:
                raise failure(number)
            found = unpack(data, offset)
            return found if count > 1 else found[0] if count else None
        finally:
            state[0] = state[3]

    return call


def call_inner(func: Func) -> Callable[..., Any]:
    """Calls of numbers while a call is active: they take their cells from a stack."""
    store = func._store
    size = func._sizes[2]
    pack, unpack = _structs(func)
    area = store._area
    data, address = area.cells.cast("B"), area.address
    count = len(func._type.results)
    state, enter, failure = store._state, func._entry(), store._failure
    record, argc = argument(func._address), argument(len(func._type.params))
    take = func._take_store

    def call(*arguments: Any) -> Any:
        may_start = take()
        first: int = state[2]
        try:
            if first + size > AREA_CELLS:
                return func._call_general(*arguments)
            state[2] = first + size
            offset = 8 * first
            try:
                pack(data, offset, *arguments)
            except (struct_error, TypeError, OverflowError):
                for cell, bits in enumerate(func._argument_cells(arguments), first):
                    area.cells[cell] = bits
            number = enter(record, argc, argument(address + offset))
            if number:
                raise failure(number)
            found = unpack(data, offset)
            return found if count > 1 else found[0] if count else None
        finally:
            state[2] = first
            state[0] = may_start and state[3]

    return call
