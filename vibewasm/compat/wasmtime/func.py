"""Functions, and the callers of Python's."""

from __future__ import annotations

from ...api.func import Func as OurFunc
from ...errors import WasmError
from .errors import WasmtimeError, translated
from .store import Store
from .types import FuncType
from .values import converters, from_ours, gives_funcs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ...api.caller import Caller as OurCaller
    from ...types import FuncType as OurFuncType
    from .externs import Extern
    from .store import Storelike


class Func:
    """A function of wasm or of Python.

    Called with a store and arguments, it gives ``None``, its result, or a list of several results.

    Args:
        store: the store that it belongs to.
        ty: its type.
        func: the Python function.
        access_caller: whether the Python function is given a :class:`Caller` before its arguments.
    """

    def __init__(self, store: Storelike, ty: FuncType, func: Callable[..., Any], access_caller: bool = False) -> None:
        if not isinstance(store, Store):
            raise TypeError("expected a Store")
        if not isinstance(ty, FuncType):
            raise TypeError("expected a FuncType")
        owner = store._context()
        ty._check_open()
        self._begin(host_func(owner, ty._ours, func, access_caller))

    @classmethod
    def _of(cls, ours: OurFunc) -> Func:
        self = cls.__new__(cls)
        self._begin(ours)
        return self

    def _begin(self, ours: OurFunc) -> None:
        self._ours = ours
        type_ = ours.type
        self._params = converters(type_.param_codes)
        self._results = type_.result_codes
        self._gives_funcs = gives_funcs(type_.result_codes)

    def type(self, store: Storelike) -> FuncType:
        """Its type."""
        store._context()
        return FuncType._of(self._ours.type)

    def __call__(self, store: Storelike, *params: Any) -> Any:
        owner = store._context()
        ours = self._ours
        if ours._store is not owner._ours:
            raise wrong_store()
        wanted = self._params
        if len(params) != len(wanted):
            how = "many" if len(params) > len(wanted) else "few"
            raise WasmtimeError(f"too {how} parameters provided: given {len(params)}, expected {len(wanted)}")
        values = [convert(value) for convert, value in zip(wanted, params, strict=True)]
        if owner._is_watched and ours._instance is not None:
            owner._check_call()
        try:
            found = ours(*values)
        except WasmError as error:
            raise translated(error) from None
        results = self._results
        if len(results) > 1:
            if self._gives_funcs:
                return [from_ours(code, value) for code, value in zip(results, found, strict=True)]
            return list(found)
        return from_ours(results[0], found) if self._gives_funcs else found


class Caller:
    """Who calls a Python function; it is of no use when the call is over."""

    _ours: OurCaller | None
    _owner: Store

    def __init__(self, ptr: object) -> None:
        raise WasmtimeError("a Caller is what a function with access_caller=True is given; it cannot be made")

    @classmethod
    def _of(cls, ours: OurCaller, owner: Store) -> Caller:
        self = cls.__new__(cls)
        self._ours = ours
        self._owner = owner
        return self

    def _context(self) -> Store:
        if self._ours is None:
            raise ValueError("caller is no longer valid")
        return self._owner._context()

    def _invalidate(self) -> None:
        self._ours = None

    def __getitem__(self, name: str) -> Extern:
        found = self.get(name)
        if found is None:
            raise KeyError(f"failed to find export {name}")
        return found

    def get(self, name: str) -> Extern | None:
        """The export of that name of the calling instance; ``None`` if there is none, or the call is over."""
        name.encode("utf-8", "surrogatepass")
        ours = self._ours
        if ours is None or ours.instance is None or name not in ours.exports:
            return None
        from .externs import wrapped

        return wrapped(ours.exports[name])


def host_func(
    owner: Store, type: OurFuncType, function: Callable[..., Any], access_caller: bool, name: str | None = None
) -> OurFunc:
    """Our function for a Python function that follows wasmtime-py's rules about values.

    Raises:
        WasmtimeError: the store runs in another thread.
    """
    call = _host_call(owner, type, function, access_caller)
    name = name or getattr(function, "__name__", None)
    try:
        return OurFunc(owner._ours, type, call, name=name, caller=bool(access_caller))
    except WasmError as error:
        raise translated(error) from None


def _host_call(
    owner: Store, type: OurFuncType, function: Callable[..., Any], access_caller: bool
) -> Callable[..., Any]:
    finish = _finisher(type)
    params = type.param_codes
    if gives_funcs(params):
        plain = function

        def function(*values: Any) -> Any:
            caller = values[: len(values) - len(params)]
            return plain(*caller, *map(from_ours, params, values[len(caller) :]))

    if not access_caller:
        return lambda *values: finish(function(*values))

    def call(ours: OurCaller, *values: Any) -> Any:
        caller = Caller._of(ours, owner)
        try:
            return finish(function(caller, *values))
        finally:
            caller._invalidate()

    return call


def _finisher(type: OurFuncType) -> Callable[[Any], Any]:
    """What makes of a Python function's result what our own API takes."""
    results = converters(type.result_codes)
    if len(results) == 1:
        return results[0]
    if results:

        def finish(found: Any) -> Any:
            if len(found) != len(results):
                raise WasmtimeError("callback produced wrong number of results")
            return [convert(value) for convert, value in zip(results, found, strict=True)]

        return finish

    def finish_nothing(found: Any) -> None:
        if found is not None:
            raise WasmtimeError("callback produced results when it shouldn't")

    return finish_nothing


def wrong_store() -> WasmtimeError:
    """The error where an object is used with a store that it does not belong to."""
    return WasmtimeError("object used with the wrong store: it belongs to another one")
