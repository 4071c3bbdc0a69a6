"""Python functions that are given their caller, as wasm code calls them; see :mod:`.callbacks`.

To each caller the function is bound once, so that calling it again costs what a function without a caller does. Most
have one caller for ever, the instance that imports them: the first that calls twice gets a native callback of its own,
and machine code compares contexts. All others share one that takes the caller's context from ctypes.
"""

from __future__ import annotations

from types import MethodType

from ..abi import HOST_FAILURE, RECORD_CALLBACK, RECORD_CALLER, RECORD_OTHERS, RECORD_WITH_CALLER_SIZE
from ..runtime.blocks import Block
from ..runtime.calls import address_of, native_callback
from ..runtime.context import CELL_FAILED
from ..runtime.ffi import CFUNCTYPE, c_size_t
from .callbacks import callback_of, explainer, fill_record, host_call_of
from .process import adapters
from .values import signature

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..api.caller import Callers
    from ..api.store import Store
    from ..types import FuncType

_ContextCallback = CFUNCTYPE(None, c_size_t)


def host_func_with_caller(
    store: Store, type: FuncType, function: Callable[..., Any], name: str, callers: Callers
) -> tuple[Block, list[object]]:
    """The record of a Python function that takes its caller first, and what has to live as long as the record.

    Args:
        callers: where the callers of this store are found.
    """
    record = Block(RECORD_WITH_CALLER_SIZE)
    code = adapters().leave_by_caller(signature(type.param_codes, type.result_codes), store._keeps)
    fill_record(record, store, type, code)
    explain = explainer(store, function, type, name, takes_caller=True)
    block, cells = store._block.cells, record.cells
    calls: dict[int, Callable[[], None]] = {}
    callbacks: list[object] = []

    def bound(context: int) -> Callable[[], None]:
        caller = callers[context]
        call = host_call_of(store, type, MethodType(function, caller), name, explain)
        if context in callers:
            # Else it is Python code, which is the caller for this time only.
            calls[context] = call
        return call

    def others(context: int) -> None:
        try:
            call = calls.get(context)
            if call is None:
                call = bound(context)
            elif not callbacks[1:]:
                callback = callback_of(call, store)
                callbacks.append(callback)
                cells[RECORD_CALLBACK >> 3] = address_of(callback)
                cells[RECORD_CALLER >> 3] = context
            call()
        except BaseException as error:
            block[CELL_FAILED] = HOST_FAILURE
            store._pending = error

    callback = native_callback(_ContextCallback, others, store)
    callbacks.append(callback)
    cells[RECORD_OTHERS >> 3] = address_of(callback)
    return record, callbacks
