"""The adapter between the suite's runner and vibewasm, and the modes in which the suite is run."""

from __future__ import annotations

import struct
from typing import Any

import vibewasm as vw
from tests.spec.runner import Kind, Needs
from tests.spec.values import Value, top
from vibewasm.wat import wat2wasm

# Name of a mode → what it gives to Config.
MODES: dict[str, dict[str, Any]] = {
    "lazy": {},
    "eager": {"compilation": "eager"},
    "checked-lazy": {"checked": True},
    "checked-eager": {"checked": True, "compilation": "eager"},
    "explicit-bounds": {"explicit_bounds": True, "compilation": "eager"},
}

_NUMBER_BITS = {"i32": 32, "i64": 64, "f32": 32, "f64": 64, "v128": 128}
_STRUCT_CODES = {"f32": ("<f", "<I"), "f64": ("<d", "<Q")}


class HostReference:
    """The host object that a script names `ref.extern N`."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number


class References:
    """Values as `tests.spec.values` has them, to and from vibewasm: numbers as bits, host objects by number."""

    __slots__ = ("_objects",)

    def __init__(self) -> None:
        self._objects: dict[int, HostReference] = {}

    def call(self, func: vw.Func, arguments: list[Value]) -> list[Value]:
        """Calls `func`, by raw cells where no reference is among the types."""
        params = [_type(t) for t in func.type.params]
        results = [_type(t) for t in func.type.results]
        if all(t in _NUMBER_BITS for t in params + results):
            return _from_cells(results, func.call_raw(_to_cells(params, arguments)))
        got = func(*[self.to_object(a) for a in arguments])
        values = () if not results else (got,) if len(results) == 1 else got
        return [self.from_object(t, value) for t, value in zip(results, values, strict=True)]

    def to_object(self, value: Value) -> object:
        """The Python object to give for `value`."""
        type_, payload = value
        if type_ == "externref" and payload is not None:
            assert isinstance(payload, int)
            return self._objects.setdefault(payload, HostReference(payload))
        if type_ in _NUMBER_BITS:
            assert isinstance(payload, int)
            if type_ in _STRUCT_CODES:
                float_code, bits_code = _STRUCT_CODES[type_]
                return struct.unpack(float_code, struct.pack(bits_code, payload))[0]
            bits = _NUMBER_BITS[type_]
            return payload - (1 << bits) if payload >> (bits - 1) else payload
        return payload

    def from_object(self, type_: str, item: Any) -> Value:
        """The value that a Python object of a type stands for."""
        if isinstance(item, HostReference):
            return type_, item.number
        if type_ in _STRUCT_CODES:
            float_code, bits_code = _STRUCT_CODES[type_]
            return type_, struct.unpack(bits_code, struct.pack(float_code, item))[0]
        if type_ in _NUMBER_BITS:
            return type_, item & ((1 << _NUMBER_BITS[type_]) - 1)
        return type_, item


class VibewasmAdapter:
    """One script's engine, store and linker; see `tests.spec.runner.Adapter`."""

    def __init__(self, mode: str) -> None:
        self._mode = mode
        self._engine = vw.Engine(vw.Config(**MODES[mode]))
        self._eager = MODES[mode].get("compilation") == "eager"
        self._store = vw.Store(self._engine)
        self._linker = vw.Linker(self._engine)
        self._linker.allow_shadowing = True
        self._references = References()
        for name, item in _spectest(self._store).items():
            self._linker.define("spectest", name, item)

    def assemble(self, text: bytes) -> bytes:
        return wat2wasm(text)

    def check(self, data: bytes) -> object:
        # A lazy module's bodies are only looked at when they are called.
        return vw.Module(self._engine, data) if self._eager else vw.Module.validate(self._engine, data)

    def compile(self, data: bytes) -> vw.Module:
        return vw.Module(self._engine, data)

    def instantiate(self, module: vw.Module) -> vw.Instance:
        return self._linker.instantiate(self._store, module)

    def register(self, name: str, instance: vw.Instance) -> None:
        self._linker.define_instance(name, instance)

    def invoke(self, instance: vw.Instance, name: str, arguments: list[Value]) -> list[Value]:
        func = instance.exports[name]
        if not isinstance(func, vw.Func):
            raise TypeError(f"export {name!r} is not a function")
        return self._references.call(func, arguments)

    def get(self, instance: vw.Instance, name: str) -> Value:
        item = instance.exports[name]
        if not isinstance(item, vw.Global):
            raise TypeError(f"export {name!r} is not a global")
        return self._references.from_object(_type(item.type.content), item.value)

    def imports(self, module: vw.Module) -> set[str]:
        return {item.module for item in module.imports}

    def needs(self, error: Exception) -> str | None:
        return error.feature if isinstance(error, vw.ValidationError) else None

    def for_thread(self) -> VibewasmAdapter:
        return VibewasmAdapter(self._mode)

    def share(self, instance: vw.Instance) -> vw.Instance:
        # A thread has a store of its own, and no memory can be in two stores as yet.
        raise Needs("threads")

    def classify(self, error: Exception) -> tuple[Kind, str]:
        if isinstance(error, vw.DecodeError):
            return "malformed", str(error)
        if isinstance(error, vw.ValidationError):
            return "invalid", str(error)
        if isinstance(error, vw.LinkError):
            return "unlinkable", str(error)
        if isinstance(error, vw.Trap):
            return ("exhaustion" if error.code == "stack_overflow" else "trap"), error.message
        if isinstance(error, vw.WasmException):
            return "exception", str(error)
        return "other", str(error)


def _type(type_: vw.ValType) -> str:
    """A type as values have it: of a reference the top of its hierarchy."""
    heap = type_.heap
    return type_.name if heap is None else top(heap if isinstance(heap, str) else "func")


def _to_cells(types: list[str], arguments: list[Value]) -> list[int]:
    if [type_ for type_, _ in arguments] != types:
        raise TypeError(f"the script gives {[type_ for type_, _ in arguments]}, the function takes {types}")
    cells: list[int] = []
    for type_, payload in arguments:
        assert isinstance(payload, int)
        if type_ == "v128":
            cells += [payload & (1 << 64) - 1, payload >> 64]
        else:
            cells.append(payload)
    return cells


def _from_cells(types: list[str], cells: list[int]) -> list[Value]:
    values: list[Value] = []
    rest = iter(cells)
    for type_ in types:
        payload = next(rest)
        if type_ == "v128":
            payload |= next(rest) << 64
        elif type_ in ("i32", "f32") and payload >> 32:
            raise ValueError(f"a cell with an {type_} has bits above the 32nd: {payload:#x}")
        values.append((type_, payload))
    if any(True for _ in rest):
        raise ValueError(f"{len(cells)} cells for {types}")
    return values


def _spectest(store: vw.Store) -> dict[str, Any]:
    """The host module that the suite's scripts import from."""
    items: dict[str, Any] = {}
    for name, params in {
        "print": [],
        "print_i32": ["i32"],
        "print_i64": ["i64"],
        "print_f32": ["f32"],
        "print_f64": ["f64"],
        "print_i32_f32": ["i32", "f32"],
        "print_f64_f64": ["f64", "f64"],
    }.items():
        items[name] = vw.Func(store, vw.FuncType(params, []), _ignore)
    for type_, value in {"i32": 666, "i64": 666, "f32": 666.6, "f64": 666.6}.items():
        items[f"global_{type_}"] = vw.Global(store, vw.GlobalType(type_, False), value)
    items["table"] = vw.Table(store, vw.TableType("funcref", vw.Limits(10, 20)), None)
    items["memory"] = vw.Memory(store, vw.MemoryType(vw.Limits(1, 2)))
    return items


def _ignore(*_: object) -> None:
    """What the suite's print functions do here."""
