"""Judges one mutant: vibewasm and wasmtime must accept or reject it alike, and calls must give the same."""

from __future__ import annotations

import re
from random import Random
from typing import Any, NamedTuple

import vibewasm as vw
from tests.fuzz.make import Made
from tests.fuzz.peer import ENCODING_FEATURES, Peer
from tests.fuzz.steps import (
    COMPARED_BYTES,
    MEMORY_BYTES,
    TABLE_ELEMENTS,
    Difference,
    Result,
    State,
    Step,
    Trace,
    first_difference,
    steps,
)
from tests.spec.engine import References
from tests.spec.values import Value

# Seconds that a call may take in vibewasm: where wasmtime ended it, and where it was stopped by its fuel.
DEADLINE = 5.0
ENDLESS_DEADLINE = 0.02
# What wasmtime says where it reads memory indices and offsets as WebAssembly 2.0 encoded them.
_OLD_ENCODING = ("zero byte expected", "invalid var_uN: integer", "malformed memop alignment")
_PLENTY_OF_FUEL = 1 << 60
# wasmtime calls all of these table_out_of_bounds.
_SAME_TRAP = {"undefined_element": "table_out_of_bounds"}


class Verdict(NamedTuple):
    """What came of one mutant. Messages have their numbers taken out, so that alike ones can be counted."""

    ours: str | None  # why vibewasm rejects the module; None: accepted
    theirs: str | None  # the same for wasmtime
    calls: int = 0  # calls that ended, in vibewasm
    stopped: bool = False  # a call was stopped by the deadline
    late: bool = False  # stopped, though wasmtime ended it
    not_run: str | None = None  # why an accepted module was not run
    explained: str | None = None  # why it is right that only one engine accepts the module
    difference: Difference | None = None
    nan_bits: bool = False  # a difference was put aside: it depends on the bits of a NaN


class Judge:
    """Both engines. `options` are those of vibewasm's Config beside what the campaign needs."""

    def __init__(self, **options: Any) -> None:
        # wasmtime's signal handlers first: vibewasm must work in a process that has another engine.
        self._peer = Peer()
        self._canonical: Peer | None = None
        self._newer: Peer | None = None
        self._engine = vw.Engine(
            vw.Config(
                **{
                    "compilation": "eager",
                    "max_memory": MEMORY_BYTES,
                    "max_table_elements": TABLE_ELEMENTS,
                    **options,
                }
            )
        )

    def judge(self, made: Made, rng: Random) -> Verdict:
        """Judges a mutant; an exception is a bug of vibewasm or of the campaign."""
        module: vw.Module | None = None
        ours: str | None = None
        try:
            module = vw.Module(self._engine, made.data)
        except (vw.DecodeError, vw.ValidationError) as error:
            ours = f"{type(error).__name__}: {_without_numbers(error.message)}"
        theirs = self._peer.rejects(made.data)
        if module is None or theirs is not None:
            theirs = theirs and _without_numbers(theirs)
            return Verdict(ours, theirs, explained=self._explanation(made.data, ours, theirs))
        if why := _not_run(module):
            return Verdict(None, None, not_run=why)
        functions = [(e.name, e.type) for e in module.exports if isinstance(e.type, vw.FuncType)]
        planned = steps(rng, functions)
        their_trace = self._peer.run(made.data, planned)
        stopped = their_trace.results[-1].kind == "stopped"
        our_trace = self._run(module, planned[: len(their_trace.results) - 1], stopped)
        difference = first_difference(planned, made.data, our_trace, their_trace)
        nan_bits = False
        if difference and difference.kind in ("results", "outcome", "global", "memory"):
            if self._canonical is None:
                self._canonical = Peer(canonical_nans=True)
            # If wasmtime itself does otherwise when NaNs have other bits, the specification allows both.
            if first_difference(planned, made.data, self._canonical.run(made.data, planned), their_trace):
                difference, nan_bits = None, True
        our_end = our_trace.results[-1].kind
        # A call that overflows wasmtime's smaller stack may take for ever on a larger one.
        ended_there = their_trace.results[len(our_trace.results) - 1].detail != "stack_overflow" and not stopped
        return Verdict(
            None,
            None,
            calls=sum(result.kind in ("values", "trap") for result in our_trace.results[1:]),
            stopped=our_end == "stopped",
            late=our_end == "stopped" and ended_there,
            difference=difference,
            nan_bits=nan_bits,
        )

    def _explanation(self, data: bytes, ours: str | None, theirs: str | None) -> str | None:
        """Why only one engine accepts the module, where that is right."""
        if ours is None and theirs is not None and theirs.startswith(_OLD_ENCODING):
            if self._newer is None:
                self._newer = Peer(features=ENCODING_FEATURES)
            if self._newer.rejects(data) is None:
                return "memory indices and offsets are encoded as in WebAssembly 3.0"
        return None

    def _run(self, module: vw.Module, planned: list[Step], endless: bool) -> Trace:
        """Instantiates and takes the steps; what comes last of these is `endless` if wasmtime had to stop it."""
        actions = [None, *planned]
        with vw.Store(self._engine) as store:
            if self._engine.config.fuel:
                store.fuel = _PLENTY_OF_FUEL
            run = _Run(store, module)
            with store.deadline(DEADLINE):
                for action in actions[:-1] if endless else actions:
                    if run.going:
                        run.take(action)
            if endless and run.going:
                with store.deadline(ENDLESS_DEADLINE):
                    run.take(actions[-1])
            return Trace(run.results, None if endless or not run.going else run.state())


class _Run:
    """A module on its way through the steps, in vibewasm. `going` turns false where no further step makes sense."""

    def __init__(self, store: vw.Store, module: vw.Module) -> None:
        self.store = store
        self.module = module
        self.results: list[Result] = []
        self.going = True
        self._references = References()
        self._instance: vw.Instance | None = None

    def take(self, step: Step | None) -> None:
        """Takes a step; None is instantiation."""
        try:
            result = Result("values", self._instantiate() if step is None else self._call(step))
        except (vw.WasmError, MemoryError) as error:
            result = _failure(error)
            self.going = step is not None and result.kind != "stopped"
        self.results.append(result)

    def _instantiate(self) -> list[Value]:
        linker = vw.Linker(self.module.engine, allow_shadowing=True)
        for item in self.module.imports:
            linker.define(item.module, item.name, _stub(self.store, item.type))
        self._instance = linker.instantiate(self.store, self.module)
        return []

    def _call(self, step: Step) -> list[Value]:
        assert self._instance is not None
        values = self._references.call(self._instance.exports[step.export], step.arguments)
        return [_comparable(value) for value in values]

    def state(self) -> State:
        """What is exported, at the end."""
        assert self._instance is not None
        memories: dict[str, bytes | int] = {}
        globals_: dict[str, Value] = {}
        for name, item in self._instance.exports.items():
            if isinstance(item, vw.Memory):
                memories[name] = item.read(0, item.size) if item.size <= COMPARED_BYTES else item.size
            elif isinstance(item, vw.Global):
                globals_[name] = _comparable(self._references.from_object(str(item.type.content), item.value))
        return State(memories, globals_)


def _stub(store: vw.Store, type_: Any) -> Any:
    if isinstance(type_, vw.FuncType):
        zeros = [{"i32": 0, "i64": 0, "f32": 0.0, "f64": 0.0}.get(str(t)) for t in type_.results]
        value = None if not zeros else zeros[0] if len(zeros) == 1 else zeros
        return vw.Func(store, type_, lambda *_: value)
    if isinstance(type_, vw.GlobalType):
        is_reference = str(type_.content) in ("funcref", "externref")
        return vw.Global(store, type_, None if is_reference else 0)
    if isinstance(type_, vw.TableType):
        return vw.Table(store, type_, None)
    return vw.Memory(store, type_)


def _comparable(value: Value) -> Value:
    return (value[0], "a function") if isinstance(value[1], vw.Func) else value


def _failure(error: Exception) -> Result:
    if isinstance(error, vw.Interrupted):
        return Result("stopped", "deadline")
    if not isinstance(error, vw.Trap):
        return Result("failed", f"{type(error).__name__}: {error}")
    frames = tuple((frame.func_index, frame.wasm_offset) for frame in error.frames)
    return Result("trap", _SAME_TRAP.get(error.code, error.code), frames)


def _not_run(module: vw.Module) -> str | None:
    """Why a module is not run, or None when it is: it asks for more than the campaign grants."""
    info = module.info
    if any(memory.limits.minimum > MEMORY_BYTES >> 16 for memory in info.memories):
        return "a large memory"
    if any(table.limits.minimum > TABLE_ELEMENTS for table in info.tables):
        return "a large table"
    names = {(item.module, item.name): item.type for item in module.imports}
    if any(item.type != names[item.module, item.name] for item in module.imports):
        return "imports of one name and two types"
    return None


def _without_numbers(message: str) -> str:
    return re.sub(r"0x[0-9a-fA-F]+|-?\d+", "N", message)[:160]
