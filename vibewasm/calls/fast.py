"""The fast way from Python into wasm: one closure per function, made for its signature.

Such a call has to cost little more than a bare ctypes call (``python -m benchmarks calls``), so all that can be made
ready before is: the adapter's arguments lie in a block that is handed over as an object that is there, parameters and
results lie in cells that belong to the signature, and each has a view that converts and checks it in C. The cells are
free because the right to make a fast call is taken away while one is active: a call from within, or from another
thread, finds that it has not got it and goes the general way (:meth:`Func._call_general`). So does a call where
faulthandler is not what it was, since our handler of faults may not be on top then.
"""

from __future__ import annotations

from ..runtime.faults import is_enabled, seen
from ..types import F64
from .area import DUE, current
from .process import adapters
from .values import signature

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from ..api.func import Func

    #: A place for one value: a view of the area's cells, and the index in it.
    Place = tuple[Any, int]

#: What an argument that was not given looks like. No view takes it.
_MISSING: Any = object()
#: Most parameters that have views of their own.
MOST_PARAMETERS = 4
#: Where the "result" of a function without results is read.
_NOTHING: Place = ((None,), 0)


def fast_call(func: Func) -> Callable[..., Any]:
    """The function that makes calls of ``func``, of the fast way if all of its types are numbers."""
    type_ = func._type
    params, results = type_.param_codes, type_.result_codes
    if any(code > F64 for code in params + results):
        return func._call_general
    if len(params) > MOST_PARAMETERS or len(results) > 1:
        from .packed import call_many

        return call_many(func)
    store = func._store
    area, first = store._fast_places.place(signature(params, results), MOST_PARAMETERS)

    def place(code: int, cell: int) -> Place:
        view, items = area.views[code]
        return view, items * (first + cell)

    def convert(arguments: Sequence[object]) -> None:
        # A value that its view does not take: it is one the view does not know, as an i32 from 2**31 on, or an error.
        given = [value for value in arguments if value is not _MISSING]
        for cell, bits in enumerate(func._argument_cells(given), first):
            area.cells[cell] = bits

    inner: Callable[..., Any] | None = None

    def general(*arguments: object) -> Any:
        nonlocal inner
        given = [value for value in arguments if value is not _MISSING]
        token = current.token
        if store._state[1] is not token or store._state[0] is DUE:
            # The store has run in another thread so far, or never, or there are objects to let go. Then the fast way is
            # open.
            store._take_over(token)
            return func(*given)
        if inner is None:
            from .packed import call_inner

            inner = call_inner(func)
        return inner(*given)

    return _MAKERS[len(params)](
        [place(code, cell) for cell, code in enumerate(params)],
        place(results[0], 0) if results else _NOTHING,
        store._state,
        adapters().enter_ready,
        store._fast_places.ready(func._entry(), func._address, len(params), area.address + 8 * first),
        convert,
        general,
        store._failure,
    )


# The five below differ in the number of parameters only; a loop over parameters, or packing them, would cost as much
# as the call.


def _call_0(
    places: list[Place],
    result: Place,
    state: list[Any],
    enter: Callable[..., int],
    ready: Any,
    convert: Callable[[Sequence[object]], None],
    general: Callable[..., Any],
    failure: Callable[[int], BaseException],
) -> Callable[..., Any]:
    out, at = result

    def call(*rest: Any) -> Any:
        token = current.token
        if state[0] is not token or rest or is_enabled() is not seen[0]:
            return general(*rest)
        state[0] = None
        try:
            number = enter(ready)
            if number:
                raise failure(number)
            return out[at]
        finally:
            state[0] = state[3]

    return call


def _call_1(
    places: list[Place],
    result: Place,
    state: list[Any],
    enter: Callable[..., int],
    ready: Any,
    convert: Callable[[Sequence[object]], None],
    general: Callable[..., Any],
    failure: Callable[[int], BaseException],
) -> Callable[..., Any]:
    ((view_a, at_a),) = places
    out, at = result

    def call(a: Any = _MISSING, /, *rest: Any) -> Any:
        token = current.token
        if state[0] is not token or rest or is_enabled() is not seen[0]:
            return general(a, *rest)
        state[0] = None
        try:
            try:
                view_a[at_a] = a
            except (TypeError, ValueError, OverflowError):
                convert((a,))
            number = enter(ready)
            if number:
                raise failure(number)
            return out[at]
        finally:
            state[0] = state[3]

    return call


def _call_2(
    places: list[Place],
    result: Place,
    state: list[Any],
    enter: Callable[..., int],
    ready: Any,
    convert: Callable[[Sequence[object]], None],
    general: Callable[..., Any],
    failure: Callable[[int], BaseException],
) -> Callable[..., Any]:
    (view_a, at_a), (view_b, at_b) = places
    out, at = result

    def call(a: Any = _MISSING, b: Any = _MISSING, /, *rest: Any) -> Any:
        token = current.token
        if state[0] is not token or rest or is_enabled() is not seen[0]:
            return general(a, b, *rest)
        state[0] = None
        try:
            try:
                view_a[at_a] = a
                view_b[at_b] = b
            except (TypeError, ValueError, OverflowError):
                convert((a, b))
            number = enter(ready)
            if number:
                raise failure(number)
            return out[at]
        finally:
            state[0] = state[3]

    return call


def _call_3(
    places: list[Place],
    result: Place,
    state: list[Any],
    enter: Callable[..., int],
    ready: Any,
    convert: Callable[[Sequence[object]], None],
    general: Callable[..., Any],
    failure: Callable[[int], BaseException],
) -> Callable[..., Any]:
    (view_a, at_a), (view_b, at_b), (view_c, at_c) = places
    out, at = result

    def call(a: Any = _MISSING, b: Any = _MISSING, c: Any = _MISSING, /, *rest: Any) -> Any:
        token = current.token
        if state[0] is not token or rest or is_enabled() is not seen[0]:
            return general(a, b, c, *rest)
        state[0] = None
        try:
            try:
                view_a[at_a] = a
                view_b[at_b] = b
                view_c[at_c] = c
            except (TypeError, ValueError, OverflowError):
                convert((a, b, c))
            number = enter(ready)
            if number:
                raise failure(number)
            return out[at]
        finally:
            state[0] = state[3]

    return call


def _call_4(
    places: list[Place],
    result: Place,
    state: list[Any],
    enter: Callable[..., int],
    ready: Any,
    convert: Callable[[Sequence[object]], None],
    general: Callable[..., Any],
    failure: Callable[[int], BaseException],
) -> Callable[..., Any]:
    (view_a, at_a), (view_b, at_b), (view_c, at_c), (view_d, at_d) = places
    out, at = result

    def call(a: Any = _MISSING, b: Any = _MISSING, c: Any = _MISSING, d: Any = _MISSING, /, *rest: Any) -> Any:
        token = current.token
        if state[0] is not token or rest or is_enabled() is not seen[0]:
            return general(a, b, c, d, *rest)
        state[0] = None
        try:
            try:
                view_a[at_a] = a
                view_b[at_b] = b
                view_c[at_c] = c
                view_d[at_d] = d
            except (TypeError, ValueError, OverflowError):
                convert((a, b, c, d))
            number = enter(ready)
            if number:
                raise failure(number)
            return out[at]
        finally:
            state[0] = state[3]

    return call


_MAKERS = (_call_0, _call_1, _call_2, _call_3, _call_4)
