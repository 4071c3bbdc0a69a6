"""A module on its way through the steps in wasmtime.

Functions and globals go through the C interface where wasmtime-py has no Python values: vectors, typed references,
exceptions.
"""

from __future__ import annotations

import ctypes
from typing import Any

import wasmtime as wt
from wasmtime import _ffi as ffi

from tests.fuzz.parts import FUNC_KIND, GLOBAL_KIND, TABLE_KIND, TAG_KIND
from tests.fuzz.steps import COMPARED_BYTES, COMPARED_ELEMENTS, Result, State, Step
from tests.fuzz.surface import OTHER, Import, Surface, Target, names_of
from tests.fuzz.value_types import is_reference
from tests.fuzz.world import Host, Thrown, global_value, packed
from tests.spec.engine import HostReference, References
from tests.spec.values import Value

_NUMBER_BYTES = {"i32": 4, "i64": 8, "f32": 4, "f64": 8, "v128": 16}

_TRAPS = {
    wt.TrapCode.STACK_OVERFLOW: "stack_overflow",
    wt.TrapCode.MEMORY_OUT_OF_BOUNDS: "memory_out_of_bounds",
    wt.TrapCode.TABLE_OUT_OF_BOUNDS: "table_out_of_bounds",
    wt.TrapCode.INDIRECT_CALL_TO_NULL: "indirect_call_to_null",
    wt.TrapCode.BAD_SIGNATURE: "bad_signature",
    wt.TrapCode.INTEGER_OVERFLOW: "integer_overflow",
    wt.TrapCode.INTEGER_DIVISION_BY_ZERO: "integer_divide_by_zero",
    wt.TrapCode.BAD_CONVERSION_TO_INTEGER: "bad_conversion_to_integer",
    wt.TrapCode.UNREACHABLE: "unreachable",
    wt.TrapCode.NULL_REFERENCE: "null_reference",
}
_KINDS = {
    "i32": ffi.WASMTIME_I32,
    "i64": ffi.WASMTIME_I64,
    "f32": ffi.WASMTIME_F32,
    "f64": ffi.WASMTIME_F64,
    "v128": ffi.WASMTIME_V128,
}
_NAMES = {int(kind.value): (name, _NUMBER_BYTES[name]) for name, kind in _KINDS.items()}

_NO_FINALIZER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)()


class LeftByTrap(Exception):
    """What a call ended with that a host function made: a trap, which it gives on."""

    def __init__(self, trap: Any) -> None:
        super().__init__()
        self.trap = trap


class LeftByException(Exception):
    """An exception of wasm's that such a call ended with; it is pending no more."""

    def __init__(self, exception: Any) -> None:
        super().__init__()
        self.exception = exception


class PeerRun:
    """One store, the module's instances in it, and the host."""

    def __init__(self, engine: wt.Engine, module: wt.Module, surface: Surface, references: References) -> None:
        self.store = wt.Store(engine)
        self._module = module
        self._surface = surface
        self._references = references
        self._host = Host(references, surface, LeftByException)
        # As long as the store.
        self._callbacks: list[Any] = []
        self._made: dict[tuple[str, str], Any] = {}
        # The one that is called, and the one that it imports from.
        self._exports: Any = None
        self._other: Any = None

    # -- instances ----------------------------------------------------------------------------------------------------

    def instantiate(self) -> Result:
        """Instantiates the module, once or twice."""
        try:
            if self._surface.is_double:
                self._other = self._instance()
            self._exports = self._instance()
        except (wt.Trap, wt.WasmtimeError) as error:
            return self._failure(error)
        self._host.call_back = self._call_back
        return Result("values", [])

    def _instance(self) -> Any:
        imports = zip(self._module.imports, self._surface.imports, strict=True)
        return wt.Instance(
            self.store, self._module, [self._import(item.type, known) for item, known in imports]
        ).exports(self.store)

    def _import(self, type_: Any, item: Import) -> Any:
        """What to import; the same for imports of the same name."""
        if item.module == OTHER and self._other is not None and item.name in self._surface.exports:
            return self._other[item.name]
        names = item.module, item.name
        if names not in self._made:
            self._made[names] = self._new(type_, item)
        return self._made[names]

    def _new(self, type_: Any, item: Import) -> Any:
        store = self.store
        params, results = names_of(item.params), names_of(item.results)
        if item.kind == FUNC_KIND:
            known = [code for code in item.params + item.results if code in (0x70, 0x6F) or not is_reference(code)]
            if item.name[:1] in "bh" or "v128" in params + results or len(known) < len(params + results):
                return self._raw_function(type_, item.name, results)

            def call(*given: Any) -> Any:
                return packed([_wrapped(value) for value in self._host.call(item.name, params, results, given)])

            return wt.Func(store, type_, call)
        if item.kind == GLOBAL_KIND:
            value = global_value(params[0], item.name)
            if params == ["v128"]:
                return self._raw_global(type_, value)
            return wt.Global(store, type_, self._references.to_object(value))
        if item.kind == TABLE_KIND:
            return wt.Table(store, type_, None)
        if item.kind == TAG_KIND:
            return wt.Tag(store, type_)
        return wt.Memory(store, type_)

    def _raw_global(self, type_: Any, value: Value) -> Any:
        global_ = ffi.wasmtime_global_t()
        raw = self._to_raw(value)
        context = self.store._context()
        error: Any = ffi.wasmtime_global_new(context, type_.ptr(), ctypes.byref(raw), ctypes.byref(global_))
        if error:
            raise wt.WasmtimeError._from_ptr(error)
        return wt.Global._from_raw(global_)

    def _raw_function(self, type_: Any, name: str, results: list[str]) -> Any:
        def call(env: Any, caller: Any, given: Any, count: int, places: Any, places_count: int) -> int:
            arguments = [self._from_raw(given[at], owned=False) for at in range(count)]
            try:
                for at, value in enumerate(self._host.answer(name, results, arguments)):
                    places[at] = self._to_raw(value)
            except Thrown as error:
                return self._thrown(error)
            except LeftByException as error:
                return self._throw(error.exception)
            except LeftByTrap as error:
                return _address(error.trap)
            return 0

        callback = ffi.wasmtime_func_callback_t(call)
        self._callbacks.append(callback)
        func = ffi.wasmtime_func_t()
        ffi.wasmtime_func_new(self.store._context(), type_.ptr(), callback, None, _NO_FINALIZER, ctypes.byref(func))
        return wt.Func._from_raw(func)

    # -- calls --------------------------------------------------------------------------------------------------------

    def take(self, step: Step) -> Result:
        """Takes a step."""
        func = self._exports[step.export]
        assert isinstance(func, wt.Func)
        self._host.passed = False
        try:
            return Result("values", self._call(func, step.arguments))
        except (wt.Trap, wt.WasmtimeError) as error:
            result = self._failure(error)
            return result._replace(frames=()) if self._host.passed else result

    def _call_back(self, target: Target, arguments: list[Value]) -> list[Value]:
        """Calls an exported function from a host function; raises `LeftByTrap` and `LeftByException`."""
        results, trap = self._begin(self._exports[target.name], arguments)
        if trap and ffi.wasmtime_context_has_exception(self.store._context()):
            ffi.wasm_trap_delete(trap)
            raise LeftByException(self._pending())
        if trap:
            raise LeftByTrap(trap)
        return results

    def _call(self, func: wt.Func, arguments: list[Value]) -> list[Value]:
        results, trap = self._begin(func, arguments)
        if trap:
            raise wt.Trap._from_ptr(trap)
        return results

    def _begin(self, func: wt.Func, arguments: list[Value]) -> tuple[list[Value], Any]:
        """Results, and the trap if it ended with one."""
        count = len(func.type(self.store).results)
        cells = (ffi.wasmtime_val_t * len(arguments))(*[self._to_raw(a) for a in arguments])
        results = (ffi.wasmtime_val_t * count)()
        trap: Any = ctypes.POINTER(ffi.wasm_trap_t)()
        error: Any = ffi.wasmtime_func_call(
            self.store._context(), ctypes.byref(func._func), cells, len(arguments), results, count, ctypes.byref(trap)
        )
        if error:
            raise wt.WasmtimeError._from_ptr(error)
        return ([] if trap else [self._from_raw(result) for result in results]), trap

    def _failure(self, error: wt.Trap | wt.WasmtimeError) -> Result:
        if not isinstance(error, wt.Trap):
            if ffi.wasmtime_context_has_exception(self.store._context()):
                # Of one that leaves a start function wasmtime-py tells no frames.
                return Result("exception", self._taken())
            return Result("failed", str(error))
        frames = tuple((frame.func_index, frame.module_offset) for frame in error.frames)
        if ffi.wasmtime_context_has_exception(self.store._context()):
            return Result("exception", self._taken(), frames)
        code = error.trap_code
        if code == wt.TrapCode.OUT_OF_FUEL:
            return Result("stopped", "fuel")
        return Result("trap", _TRAPS.get(code, str(code)) if code is not None else error.message, frames)

    # -- exceptions ---------------------------------------------------------------------------------------------------

    def _thrown(self, error: Thrown) -> int:
        """Makes an exception the pending one; gives the trap that a host function returns then."""
        context = self.store._context()
        (tag,) = [made for (module, name), made in self._made.items() if name == error.tag and module != OTHER]
        fields = (ffi.wasmtime_val_t * len(error.values))(*[self._to_raw(value) for value in error.values])
        exception = ffi.wasmtime_exnref_t()
        failed: Any = ffi.wasmtime_exnref_new(
            context, ctypes.byref(tag._tag), fields, len(error.values), ctypes.byref(exception)
        )
        if failed:
            raise wt.WasmtimeError._from_ptr(failed)
        return self._throw(exception)

    def _throw(self, exception: Any) -> int:
        return _address(ffi.wasmtime_context_set_exception(self.store._context(), ctypes.byref(exception)))

    def _pending(self) -> Any:
        """Takes the pending exception."""
        exception = ffi.wasmtime_exnref_t()
        ffi.wasmtime_context_take_exception(self.store._context(), ctypes.byref(exception))
        return exception

    def _taken(self) -> list[Any]:
        """The pending exception: its tag's name and its values."""
        context = self.store._context()
        exception = self._pending()
        raw = ffi.wasmtime_tag_t()
        ffi.wasmtime_exnref_tag(context, ctypes.byref(exception), ctypes.byref(raw))
        tag = wt.Tag._from_raw(raw)
        values: list[Value] = []
        for at in range(ffi.wasmtime_exnref_field_count(context, ctypes.byref(exception))):
            value = ffi.wasmtime_val_t()
            ffi.wasmtime_exnref_field(context, ctypes.byref(exception), at, ctypes.byref(value))
            values.append(self._from_raw(value))
        known = {prefix + name: exports[name] for prefix, exports in self._instances() for name in self._surface.tags}
        known |= {name: made for (module, name), made in self._made.items() if isinstance(made, wt.Tag)}
        return [next((name for name, item in known.items() if tag.eq(self.store, item)), "a tag"), values]

    def _instances(self) -> list[tuple[str, Any]]:
        """The exports of each instance, with what is put before their names."""
        found = [("", self._exports), (f"{OTHER}.", self._other)]
        return [(prefix, exports) for prefix, exports in found if exports is not None]

    # -- the end ------------------------------------------------------------------------------------------------------

    def state(self) -> State:
        """What is exported, at the end."""
        store, context = self.store, self.store._context()
        memories: dict[str, bytes | int | str] = {}
        globals_: dict[str, Value] = {}
        tables: dict[str, list[object]] = {}
        names: dict[int, str] = {}
        items = [
            (prefix, export.name, exports[export.name])
            for prefix, exports in self._instances()
            for export in self._module.exports
            if export.name not in self._surface.hidden
        ]
        for prefix, export, item in items:
            name = prefix + export
            if isinstance(item, wt.Memory):
                size = item.data_len(store)
                memories[name] = bytes(item.read(store)) if size <= COMPARED_BYTES else size
            elif isinstance(item, wt.Global):
                raw = ffi.wasmtime_val_t()
                ffi.wasmtime_global_get(context, ctypes.byref(item._global), ctypes.byref(raw))
                globals_[name] = self._from_raw(raw)
            elif isinstance(item, wt.Func):
                names.setdefault(_identity(item), self._surface.function_name(prefix, export))
        for prefix, export, item in items:
            if isinstance(item, wt.Table) and item.size(store) <= COMPARED_ELEMENTS:
                tables[prefix + export] = [_element(item.get(store, i), names) for i in range(item.size(store))]
        return State(memories, globals_, tables, self._host.log)

    # -- values -------------------------------------------------------------------------------------------------------

    def _to_raw(self, value: Value) -> Any:
        type_, payload = value
        if type_ in _KINDS:
            assert isinstance(payload, int)
            raw = ffi.wasmtime_val_t(kind=_KINDS[type_])
            ctypes.memmove(ctypes.addressof(raw.of), payload.to_bytes(16, "little"), 16)
            return raw
        if type_ == "externref":
            return wt.Val.externref(self._references.to_object(value))._new_raw(self.store)
        return wt.Val.funcref(None)._new_raw(self.store)

    def _from_raw(self, raw: Any, owned: bool = True) -> Value:
        """A value; of a reference to a function only whether it is null. One that is owned is given back."""
        kind = int(raw.kind)
        if kind in _NAMES:
            name, size = _NAMES[kind]
            return name, int.from_bytes(ctypes.string_at(ctypes.addressof(raw.of), size), "little")
        if kind not in (ffi.WASMTIME_EXTERNREF.value, ffi.WASMTIME_FUNCREF.value):
            # Of exceptions wasmtime-py has no values. A null belongs to no store.
            return "exnref", "an exception" if raw.of.exnref.store_id else None
        value = wt.Val._from_raw(self.store, raw, owned).value
        if kind == ffi.WASMTIME_EXTERNREF.value:
            return "externref", value.number if isinstance(value, HostReference) else value
        return "funcref", None if value is None else "a function"


def _address(pointer: Any) -> int:
    return ctypes.cast(pointer, ctypes.c_void_p).value or 0


def _wrapped(item: Any) -> Any:
    """A result of a Python function; a host object comes through only as a value whose type is said."""
    return wt.Val.externref(item) if isinstance(item, HostReference) else item


def _identity(func: wt.Func) -> int:
    """What is the same for the same function: the pointer after its store's number in ``wasmtime_func_t``."""
    return int.from_bytes(ctypes.string_at(ctypes.addressof(func._func) + 8, 8), "little")


def _element(element: Any, names: dict[int, str]) -> object:
    if isinstance(element, wt.Func):
        return names.get(_identity(element), "a function")
    # A null comes as a value that holds None.
    return element.number if isinstance(element, HostReference) else None
