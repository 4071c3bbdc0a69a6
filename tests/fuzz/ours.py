"""A module on its way through the steps in vibewasm. Nothing here needs more than the standard library."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import vibewasm as vw
from tests.fuzz.steps import COMPARED_BYTES, COMPARED_ELEMENTS, Result, State, Step, Trace
from tests.fuzz.surface import OTHER, Surface, Target, plain_name, read_surface
from tests.fuzz.world import Host, Thrown, comparable, global_value, packed
from tests.spec.engine import HostReference, References
from tests.spec.values import Value
from vibewasm.calls.values import from_bits, to_bits
from vibewasm.types import FUNCREF

# wasmtime calls all of these table_out_of_bounds.
_SAME_TRAP = {"undefined_element": "table_out_of_bounds"}
# Seconds that a call may take in vibewasm: where wasmtime ended it, and where it was stopped by its fuel.
DEADLINE = 5.0
ENDLESS_DEADLINE = 0.02
_PLENTY_OF_FUEL = 1 << 60
_CELL = (1 << 64) - 1


def run(
    engine: vw.Engine, module: vw.Module, planned: list[Step], endless: bool = False, seconds: float = DEADLINE
) -> Trace:
    """Instantiates and takes the steps, which may take so many seconds.

    What comes last of these is `endless` if wasmtime had to stop it.
    """
    actions = [None, *planned]
    with vw.Store(engine) as store:
        if engine.config.fuel:
            store.fuel = _PLENTY_OF_FUEL
        going = Run(store, module)
        with store.deadline(seconds):
            for action in actions[:-1] if endless else actions:
                if going.going:
                    going.take(action)
        if endless and going.going:
            with store.deadline(ENDLESS_DEADLINE):
                going.take(actions[-1])
        return Trace(going.results, None if endless or not going.going else going.state())


_NUMBERS = ("i32", "i64", "f32", "f64")


class Run:
    """A module on its way through the steps, in vibewasm. `going` turns false where no further step makes sense."""

    def __init__(self, store: vw.Store, module: vw.Module) -> None:
        self.store = store
        self.module = module
        self.results: list[Result] = []
        self.going = True
        self._references = References()
        surface = read_surface(module.info.data)
        self._host = Host(self._references, surface, vw.WasmException)
        self._surface: Surface = surface
        self._made: dict[tuple[str, str], Any] = {}
        # The one that is called, and the one that it imports from.
        self._instance: vw.Instance | None = None
        self._other: vw.Instance | None = None

    def take(self, step: Step | None) -> None:
        """Takes a step; None is instantiation."""
        self._host.passed = False
        try:
            result = Result("values", self._instantiate() if step is None else self._call(step))
        except vw.WasmException as error:
            frames = _frames(error) if step is not None else ()
            result = Result("exception", [self._name(error.tag), self._carried(error)], frames)
            self.going = step is not None
        except (vw.WasmError, MemoryError) as error:
            result = failure(error)
            self.going = step is not None and result.kind != "stopped"
        self.results.append(result._replace(frames=()) if self._host.passed else result)

    def _instantiate(self) -> list[Value]:
        if self._surface.is_double:
            self._other = self._new_instance()
        self._instance = self._new_instance()
        self._host.call_back = self._call_back
        return []

    def _new_instance(self) -> vw.Instance:
        linker = vw.Linker(self.module.engine, allow_shadowing=True)
        for item in self.module.imports:
            names = item.module, item.name
            if item.module == OTHER and self._other is not None and item.name in self._surface.exports:
                linker.define(*names, self._other.exports[item.name])
                continue
            if names not in self._made:
                self._made[names] = self._imported(item.name, item.type)
            linker.define(*names, self._made[names])
        return linker.instantiate(self.store, self.module)

    def _imported(self, name: str, type_: Any) -> Any:
        store, references = self.store, self._references
        if isinstance(type_, vw.FuncType):
            params, results = [[plain_name(str(t)) for t in types] for types in (type_.params, type_.results)]

            def call(*given: Any) -> Any:
                try:
                    return packed(self._host.call(name, params, results, given))
                except Thrown as error:
                    values = [references.to_object(value) for value in error.values]
                    (tag,) = [made for names, made in self._made.items() if names[0] != OTHER and names[1] == error.tag]
                    raise vw.WasmException(tag, values) from None

            return vw.Func(store, type_, call)
        if isinstance(type_, vw.TagType):
            return vw.Tag(store, type_)
        if isinstance(type_, vw.GlobalType):
            return vw.Global(store, type_, references.to_object(global_value(plain_name(str(type_.content)), name)))
        if isinstance(type_, vw.TableType):
            return vw.Table(store, type_, None)
        return vw.Memory(store, type_)

    def _call(self, step: Step) -> list[Value]:
        return self._called(step.export, step.arguments)

    def _call_back(self, target: Target, arguments: list[Value]) -> list[Value]:
        return self._called(target.name, arguments)

    def _called(self, export: str, arguments: list[Value]) -> list[Value]:
        assert self._instance is not None
        func = self._instance.exports[export]
        # By raw cells, since the bits of a NaN do not survive a Python float.
        given: list[int] = []
        for type_, value in zip(func.type.params, arguments, strict=True):
            given += self._cells(type_, value)
        cells = iter(func.call_raw(given))
        return [comparable(self._value(type_, cells)) for type_ in func.type.results]

    def _cells(self, type_: vw.ValType, value: Value) -> list[int]:
        _, payload = value
        name = str(type_)
        if name not in (*_NUMBERS, "v128"):
            return [to_bits(self.store, type_.code, self._references.to_object(value))]
        assert isinstance(payload, int)
        return [payload & _CELL, payload >> 64] if name == "v128" else [payload]

    def _value(self, type_: vw.ValType, cells: Iterator[int]) -> Value:
        name = str(type_)
        cell = next(cells)
        if name == "v128":
            return name, cell | next(cells) << 64
        if name in _NUMBERS:
            return name, cell
        return self._references.from_object(plain_name(name), from_bits(self.store, type_.code, cell))

    def _carried(self, error: vw.WasmException) -> list[Value]:
        """The values of an exception."""
        names = [plain_name(str(type_)) for type_ in error.tag.type.params]
        values = [self._references.from_object(name, value) for name, value in zip(names, error.values, strict=True)]
        return [(name, "an exception") if isinstance(value, vw.ExceptionRef) else comparable((name, value))
                for name, value in values]  # fmt: skip

    def _name(self, tag: vw.Tag) -> str:
        """What a tag is called: by the instance that is called, else by the other one, else by the host."""
        known: dict[str, object] = {}
        for prefix, instance in self._instances():
            known |= {prefix + name: instance.exports[name] for name in self._surface.tags}
        known |= {name: made for (_, name), made in self._made.items()}
        return next((name for name, item in known.items() if item is tag), "a tag")

    def _instances(self) -> list[tuple[str, vw.Instance]]:
        """Each instance, with what is put before the names of its exports."""
        found = [("", self._instance), (f"{OTHER}.", self._other)]
        return [(prefix, instance) for prefix, instance in found if instance is not None]

    def state(self) -> State:
        """What is exported, at the end."""
        items = [
            (prefix, name, item)
            for prefix, instance in self._instances()
            for name, item in instance.exports.items()
            if name not in self._surface.hidden
        ]
        memories: dict[str, bytes | int | str] = {}
        globals_: dict[str, Value] = {}
        tables: dict[str, list[object]] = {}
        names: dict[int, str] = {}
        for prefix, export, item in items:
            name = prefix + export
            if isinstance(item, vw.Memory):
                memories[name] = item.read(0, item.size) if item.size <= COMPARED_BYTES else item.size
            elif isinstance(item, vw.Global):
                globals_[name] = self._global(item)
            elif isinstance(item, vw.Func):
                names.setdefault(to_bits(self.store, FUNCREF, item), self._surface.function_name(prefix, export))
        for prefix, export, item in items:
            if isinstance(item, vw.Table) and len(item) <= COMPARED_ELEMENTS:
                tables[prefix + export] = [self._element(element, names) for element in item]
        return State(memories, globals_, tables, self._host.log)

    def _global(self, item: vw.Global) -> Value:
        name = plain_name(str(item.type.content))
        if name in _NUMBERS:
            return name, item.raw
        return comparable(self._references.from_object(name, item.value))

    def _element(self, element: Any, names: dict[int, str]) -> object:
        if isinstance(element, vw.Func):
            return names.get(to_bits(self.store, FUNCREF, element), "a function")
        return element.number if isinstance(element, HostReference) else element


def failure(error: Exception) -> Result:
    """What came of a step that raised."""
    if isinstance(error, vw.Interrupted):
        return Result("stopped", "deadline")
    if not isinstance(error, vw.Trap):
        return Result("failed", f"{type(error).__name__}: {error}")
    return Result("trap", _SAME_TRAP.get(error.code, error.code), _frames(error))


def _frames(error: vw.Trap | vw.WasmException) -> tuple[tuple[int, int | None], ...]:
    return tuple((frame.func_index, frame.wasm_offset) for frame in error.frames)
