"""A module on its way through the steps in vibewasm. Nothing here needs more than the standard library."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import vibewasm as vw
from tests.fuzz.steps import COMPARED_BYTES, COMPARED_ELEMENTS, Result, State, Step, Trace
from tests.fuzz.world import Host, comparable, global_value, packed
from tests.spec.engine import HostReference, References
from tests.spec.values import Value
from vibewasm.calls.values import from_bits, to_bits
from vibewasm.types import EXTERNREF, FUNCREF

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


_REFERENCES = {"funcref": FUNCREF, "externref": EXTERNREF}


class Run:
    """A module on its way through the steps, in vibewasm. `going` turns false where no further step makes sense."""

    def __init__(self, store: vw.Store, module: vw.Module) -> None:
        self.store = store
        self.module = module
        self.results: list[Result] = []
        self.going = True
        self._references = References()
        self._host = Host(self._references)
        self._instance: vw.Instance | None = None

    def take(self, step: Step | None) -> None:
        """Takes a step; None is instantiation."""
        try:
            result = Result("values", self._instantiate() if step is None else self._call(step))
        except (vw.WasmError, MemoryError) as error:
            result = failure(error)
            self.going = step is not None and result.kind != "stopped"
        self.results.append(result)

    def _instantiate(self) -> list[Value]:
        linker = vw.Linker(self.module.engine, allow_shadowing=True)
        for item in self.module.imports:
            linker.define(item.module, item.name, self._imported(item.name, item.type))
        self._instance = linker.instantiate(self.store, self.module)
        return []

    def _imported(self, name: str, type_: Any) -> Any:
        store, references = self.store, self._references
        if isinstance(type_, vw.FuncType):
            params, results = [[str(t) for t in types] for types in (type_.params, type_.results)]
            return vw.Func(store, type_, lambda *given: packed(self._host.call(name, params, results, given)))
        if isinstance(type_, vw.GlobalType):
            return vw.Global(store, type_, references.to_object(global_value(str(type_.content), name)))
        if isinstance(type_, vw.TableType):
            return vw.Table(store, type_, None)
        return vw.Memory(store, type_)

    def _call(self, step: Step) -> list[Value]:
        assert self._instance is not None
        func = self._instance.exports[step.export]
        # By raw cells, since the bits of a NaN do not survive a Python float.
        given = [cell for value in step.arguments for cell in self._cells(value)]
        cells = iter(func.call_raw(given))
        return [comparable(self._value(type_, cells)) for type_ in func.type.results]

    def _cells(self, value: Value) -> list[int]:
        type_, payload = value
        if type_ in _REFERENCES:
            return [to_bits(self.store, _REFERENCES[type_], self._references.to_object(value))]
        assert isinstance(payload, int)
        return [payload & _CELL, payload >> 64] if type_ == "v128" else [payload]

    def _value(self, type_: vw.ValType, cells: Iterator[int]) -> Value:
        name = str(type_)
        cell = next(cells)
        if name == "v128":
            return name, cell | next(cells) << 64
        if name in _REFERENCES:
            return self._references.from_object(name, from_bits(self.store, _REFERENCES[name], cell))
        return name, cell

    def state(self) -> State:
        """What is exported, at the end."""
        assert self._instance is not None
        memories: dict[str, bytes | int | str] = {}
        globals_: dict[str, Value] = {}
        tables: dict[str, list[object]] = {}
        names: dict[int, str] = {}
        for name, item in self._instance.exports.items():
            if isinstance(item, vw.Memory):
                memories[name] = item.read(0, item.size) if item.size <= COMPARED_BYTES else item.size
            elif isinstance(item, vw.Global):
                globals_[name] = comparable(self._references.from_object(str(item.type.content), item.value))
            elif isinstance(item, vw.Func):
                names.setdefault(to_bits(self.store, FUNCREF, item), name)
        for name, item in self._instance.exports.items():
            if isinstance(item, vw.Table) and len(item) <= COMPARED_ELEMENTS:
                tables[name] = [self._element(element, names) for element in item]
        return State(memories, globals_, tables, self._host.log)

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
    frames = tuple((frame.func_index, frame.wasm_offset) for frame in error.frames)
    return Result("trap", _SAME_TRAP.get(error.code, error.code), frames)
