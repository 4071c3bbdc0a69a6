"""wasmtime as the judge: what it accepts, and what calls give in it."""

from __future__ import annotations

import ctypes
from typing import Any

import wasmtime as wt
from wasmtime import _ffi as ffi

from tests.fuzz.numbers import V128
from tests.fuzz.parts import FUNC_KIND, GLOBAL_KIND, IMPORT, Index, Signature, import_kind, read_parts
from tests.fuzz.steps import (
    COMPARED_BYTES,
    COMPARED_ELEMENTS,
    MEMORY_BYTES,
    TABLE_ELEMENTS,
    Result,
    State,
    Step,
    Trace,
)
from tests.fuzz.world import Host, global_value, packed
from tests.spec.engine import HostReference, References
from tests.spec.values import Value

FUEL_PER_CALL = 300_000

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
}
_KINDS = {
    "i32": ffi.WASMTIME_I32,
    "i64": ffi.WASMTIME_I64,
    "f32": ffi.WASMTIME_F32,
    "f64": ffi.WASMTIME_F64,
    "v128": ffi.WASMTIME_V128,
}
_NAMES = {int(kind.value): (name, _NUMBER_BYTES[name]) for name, kind in _KINDS.items()}
_NAMES_OF_BYTES = {0x7F: "i32", 0x7E: "i64", 0x7D: "f32", 0x7C: "f64", 0x7B: "v128", 0x70: "funcref", 0x6F: "externref"}


_NO_FINALIZER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)()

# Newer than what vibewasm has. Extended constant expressions cannot be turned off; vibewasm has them.
NEWER_FEATURES = (
    "threads",
    "tail_call",
    "multi_memory",
    "memory64",
    "exceptions",
    "gc",
    "function_references",
    "wide_arithmetic",
    "custom_page_sizes",
    "stack_switching",
    "component_model",
)
# What changed the encoding of 2.0's instructions in 3.0: memory indices became LEB128 numbers (multi-memory), and
# offsets may have 64 bits (memory64).
ENCODING_FEATURES = ("multi_memory", "memory64")


def config(*, features: tuple[str, ...] = (), deterministic: bool = False) -> wt.Config:
    """The features that vibewasm has, and `features`."""
    result = wt.Config()
    for feature in NEWER_FEATURES:
        setattr(result, f"wasm_{feature}", feature in features)
    result.wasm_relaxed_simd_deterministic = deterministic
    result.consume_fuel = True
    result.cranelift_opt_level = "none"
    result.parallel_compilation = False
    return result


class Peer:
    """A wasmtime engine with the features that vibewasm has, and `features`; a call may take so much fuel.

    With `deterministic` relaxed vector instructions are those of any processor, without it they are those of this one.
    """

    def __init__(
        self, *, features: tuple[str, ...] = (), fuel: int = FUEL_PER_CALL, deterministic: bool = False
    ) -> None:
        self._fuel = fuel
        self._engine = wt.Engine(config(features=features, deterministic=deterministic))
        self._references = References()
        self._callbacks: list[Any] = []

    def rejects(self, data: bytes) -> str | None:
        """Why the module is not accepted, or None when it is."""
        if data[:4] != b"\0asm":
            return "no wasm module"  # its Module.validate would take text
        try:
            wt.Module.validate(self._engine, data)
        except wt.WasmtimeError as error:
            return str(error).rsplit("Caused by:", maxsplit=1)[-1].strip()
        return None

    def run(self, data: bytes, planned: list[Step]) -> Trace:
        """Instantiates the module with stub imports and takes the steps; stops at the first that does not end."""
        self._callbacks.clear()
        store = wt.Store(self._engine)
        store.set_limits(memory_size=MEMORY_BYTES, table_elements=TABLE_ELEMENTS)
        store.set_fuel(self._fuel)
        module = wt.Module(self._engine, data)
        results: list[Result] = []
        host = Host(self._references)
        try:
            instance = wt.Instance(store, module, self._imports(store, module, _types_of_imports(data), host))
        except (wt.Trap, wt.WasmtimeError) as error:
            return Trace([_failure(error)], None)
        results.append(Result("values", []))
        exports = instance.exports(store)
        for step in planned:
            store.set_fuel(self._fuel)
            func = exports[step.export]
            assert isinstance(func, wt.Func)
            try:
                result = Result("values", self._call(store, func, step.arguments))
            except (wt.Trap, wt.WasmtimeError) as error:
                result = _failure(error)
            results.append(result)
            if result.kind == "stopped":
                return Trace(results, None)
        return Trace(results, self._state(store, module, exports, host))

    def _imports(self, store: wt.Store, module: wt.Module, types: list[Signature | None], host: Host) -> list[Any]:
        """What to import; the same for imports of the same name."""
        made: dict[tuple[str, str | None], Any] = {}
        for item, signature in zip(module.imports, types, strict=True):
            names = item.module, item.name
            if names not in made:
                made[names] = self._imported(store, names[1] or "", item.type, signature, host)
        return [made[item.module, item.name] for item in module.imports]

    def _imported(self, store: wt.Store, name: str, type_: Any, signature: Signature | None, host: Host) -> Any:
        references = self._references
        if signature is not None and V128 in signature.params + signature.results:
            return self._with_vectors(store, name, type_, signature, host)
        if isinstance(type_, wt.FuncType):
            params, results = [[_type_name(t) for t in types] for types in (type_.params, type_.results)]

            def call(*given: Any) -> Any:
                return packed([_wrapped(item) for item in host.call(name, params, results, given)])

            return wt.Func(store, type_, call)
        if isinstance(type_, wt.GlobalType):
            return wt.Global(store, type_, references.to_object(global_value(_type_name(type_.content), name)))
        if isinstance(type_, wt.TableType):
            return wt.Table(store, type_, None)
        return wt.Memory(store, type_)

    def _with_vectors(self, store: wt.Store, name: str, type_: Any, signature: Signature, host: Host) -> Any:
        """An imported function or global with vectors, for which wasmtime-py has no Python values."""
        results = [_NAMES_OF_BYTES[byte] for byte in signature.results]
        if isinstance(type_, wt.GlobalType):
            global_ = ffi.wasmtime_global_t()
            raw = self._to_raw(store, global_value(results[0], name))
            error: Any = ffi.wasmtime_global_new(
                store._context(), type_.ptr(), ctypes.byref(raw), ctypes.byref(global_)
            )
            if error:
                raise wt.WasmtimeError._from_ptr(error)
            return wt.Global._from_raw(global_)

        def call(env: Any, caller: Any, given: Any, count: int, places: Any, places_count: int) -> int:
            arguments = [_from_raw(store, given[at], owned=False) for at in range(count)]
            for at, value in enumerate(host.answer(name, results, arguments)):
                places[at] = self._to_raw(store, value)
            return 0

        # As long as the store.
        callback = ffi.wasmtime_func_callback_t(call)
        self._callbacks.append(callback)
        func = ffi.wasmtime_func_t()
        ffi.wasmtime_func_new(store._context(), type_.ptr(), callback, None, _NO_FINALIZER, ctypes.byref(func))
        return wt.Func._from_raw(func)

    def _call(self, store: wt.Store, func: wt.Func, arguments: list[Value]) -> list[Value]:
        count = len(func.type(store).results)
        cells = (ffi.wasmtime_val_t * len(arguments))(*[self._to_raw(store, a) for a in arguments])
        results = (ffi.wasmtime_val_t * count)()
        trap: Any = ctypes.POINTER(ffi.wasm_trap_t)()
        error: Any = ffi.wasmtime_func_call(
            store._context(), ctypes.byref(func._func), cells, len(arguments), results, count, ctypes.byref(trap)
        )
        if error:
            raise wt.WasmtimeError._from_ptr(error)
        if trap:
            raise wt.Trap._from_ptr(trap)
        return [_from_raw(store, result) for result in results]

    def _to_raw(self, store: wt.Store, value: Value) -> Any:
        type_, payload = value
        if type_ in _KINDS:
            assert isinstance(payload, int)
            raw = ffi.wasmtime_val_t(kind=_KINDS[type_])
            ctypes.memmove(ctypes.addressof(raw.of), payload.to_bytes(16, "little"), 16)
            return raw
        if type_ == "externref":
            return wt.Val.externref(self._references.to_object(value))._new_raw(store)
        return wt.Val.funcref(None)._new_raw(store)

    def _state(self, store: wt.Store, module: wt.Module, exports: Any, host: Host) -> State:
        memories: dict[str, bytes | int | str] = {}
        globals_: dict[str, Value] = {}
        tables: dict[str, list[object]] = {}
        names: dict[int, str] = {}
        for export in module.exports:
            item = exports[export.name]
            if isinstance(item, wt.Memory):
                size = item.data_len(store)
                memories[export.name] = bytes(item.read(store)) if size <= COMPARED_BYTES else size
            elif isinstance(item, wt.Global):
                raw = ffi.wasmtime_val_t()
                ffi.wasmtime_global_get(store._context(), ctypes.byref(item._global), ctypes.byref(raw))
                globals_[export.name] = _from_raw(store, raw)
            elif isinstance(item, wt.Func):
                names.setdefault(_identity(item), export.name)
        for export in module.exports:
            item = exports[export.name]
            if isinstance(item, wt.Table) and item.size(store) <= COMPARED_ELEMENTS:
                tables[export.name] = [_element(item.get(store, i), names) for i in range(item.size(store))]
        return State(memories, globals_, tables, host.log)


def _types_of_imports(data: bytes) -> list[Signature | None]:
    """For each import what it takes and gives, a global its value; None for a memory or a table.

    wasmtime's C API ends the process when it is asked for the name of v128, so the module is read here.
    """
    parts = read_parts(data)
    index = Index(parts)
    funcs, globals_ = iter(index.func_types), iter(index.globals)
    kinds = [import_kind(item) for item in parts.items(IMPORT)]
    return [
        index.types[next(funcs)]
        if kind == FUNC_KIND
        else Signature(b"", bytes([next(globals_)[0]]))
        if kind == GLOBAL_KIND
        else None
        for kind in kinds
    ]


def _type_name(type_: wt.ValType) -> str:
    """A value type's name; wasmtime's C API calls externref by its oldest one."""
    return str(type_).replace("anyref", "externref")


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


def _from_raw(store: wt.Store, raw: Any, owned: bool = True) -> Value:
    """A value; of a reference to a function only whether it is null. One that is owned is given back."""
    kind = int(raw.kind)
    if kind in _NAMES:
        name, size = _NAMES[kind]
        return name, int.from_bytes(ctypes.string_at(ctypes.addressof(raw.of), size), "little")
    value = wt.Val._from_raw(store, raw, owned).value
    if kind == ffi.WASMTIME_EXTERNREF.value:
        return "externref", value.number if isinstance(value, HostReference) else value
    return "funcref", None if value is None else "a function"


def _failure(error: wt.Trap | wt.WasmtimeError) -> Result:
    if not isinstance(error, wt.Trap):
        return Result("failed", str(error))
    code = error.trap_code
    if code == wt.TrapCode.OUT_OF_FUEL:
        return Result("stopped", "fuel")
    frames = tuple((frame.func_index, frame.module_offset) for frame in error.frames)
    return Result("trap", _TRAPS.get(code, str(code)) if code is not None else error.message, frames)
