"""Judges one mutant: vibewasm and wasmtime must accept or reject it alike, and calls must give the same."""

from __future__ import annotations

import re
from random import Random
from typing import Any, NamedTuple

import vibewasm as vw
from tests.fuzz.instructions import NotParsed
from tests.fuzz.make import Made
from tests.fuzz.nans import CANONICAL, LONGER, depends_on_nans, with_nans
from tests.fuzz.ours import run
from tests.fuzz.peer import ENCODING_FEATURES, FUEL_PER_CALL, TYPE_FEATURES, Peer
from tests.fuzz.relaxed import has_relaxed, with_settled
from tests.fuzz.steps import MEMORY_BYTES, TABLE_ELEMENTS, Difference, Step, first_difference, steps
from tests.fuzz.surface import plain_name, read_surface

# What wasmtime says where it reads memory indices and offsets as WebAssembly 2.0 encoded them.
_OLD_ENCODING = ("zero byte expected", "invalid var_uN: integer", "malformed memop alignment")
# What wasmtime may have in a module that it accepts only so.
_WIDER = (*TYPE_FEATURES, *ENCODING_FEATURES)

#: Of each, as wasmtime counts them.
_LIMITS = vw.ResourceLimits(max_memory_each=MEMORY_BYTES, max_table_elements_each=TABLE_ELEMENTS)


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
    nan_bits: bool = False  # judged with canonical NaNs only: what the module does depends on the bits of a NaN
    relaxed: bool = False  # judged with operands of relaxed instructions for which one result is allowed


class Judge:
    """Both engines. `options` are those of vibewasm's Config beside what the campaign needs."""

    def __init__(self, **options: Any) -> None:
        # wasmtime's signal handlers first: vibewasm must work in a process that has another engine.
        self._peers: dict[tuple[tuple[str, ...], int], Peer] = {}
        self._peer(())
        self._engine = vw.Engine(
            vw.Config(
                **{
                    "compilation": "eager",
                    "limits": _LIMITS,
                    # wasmtime does not have the older form.
                    "legacy_exceptions": False,
                    **options,
                }
            )
        )

    def _peer(self, features: tuple[str, ...], fuel: int = FUEL_PER_CALL) -> Peer:
        """wasmtime with these features beside those that vibewasm has."""
        if (features, fuel) not in self._peers:
            self._peers[features, fuel] = Peer(features=features, fuel=fuel)
        return self._peers[features, fuel]

    def judge(self, made: Made, rng: Random) -> Verdict:
        """Judges a mutant; an exception is a bug of vibewasm or of the campaign."""
        module: vw.Module | None = None
        ours: str | None = None
        try:
            module = vw.Module(self._engine, made.data)
        except (vw.DecodeError, vw.ValidationError) as error:
            ours = f"{type(error).__name__}: {_without_numbers(error.message)}"
        theirs = self._peer(()).rejects(made.data)
        explained = None
        if module is None or theirs is not None:
            theirs = theirs and _without_numbers(theirs)
            explained = self._explanation(made.data, ours, theirs)
            if module is None or explained is None:
                return Verdict(ours, theirs, explained=explained)
        if why := _not_run(module) or _beyond_the_host(made.data):
            return Verdict(None, theirs, not_run=why, explained=explained)
        features = () if theirs is None else _WIDER
        functions = [(e.name, e.type) for e in module.exports if isinstance(e.type, vw.FuncType) and _is_called(e.type)]
        planned = steps(rng, functions)
        verdict = self._run(module, made.data, planned, features)
        data = made.data
        if verdict.difference and has_relaxed(data):
            # The specification allows several results; with operands that are settled, it allows one only.
            data = with_settled(data)
            verdict = self._run(vw.Module(self._engine, data), data, planned, features)._replace(relaxed=True)
        if verdict.difference and self._depends_on_nans(data, planned, features):
            # And so with the bits of NaNs.
            data = with_nans(data, CANONICAL)
            again = self._run(vw.Module(self._engine, data), data, planned, features)
            verdict = again._replace(nan_bits=True, relaxed=verdict.relaxed)
        return verdict._replace(theirs=theirs, explained=explained)

    def _depends_on_nans(self, data: bytes, planned: list[Step], features: tuple[str, ...]) -> bool:
        return depends_on_nans(self._peer(features, LONGER * FUEL_PER_CALL), data, planned)

    def _run(self, module: vw.Module, data: bytes, planned: list[Step], features: tuple[str, ...]) -> Verdict:
        """Takes the steps with both engines."""
        their_trace = self._peer(features).run(data, planned)
        stopped = their_trace.results[-1].kind == "stopped"
        our_trace = run(self._engine, module, planned[: len(their_trace.results) - 1], stopped)
        our_end = our_trace.results[-1].kind
        # A call that overflows wasmtime's smaller stack may take for ever on a larger one.
        ended_there = their_trace.results[len(our_trace.results) - 1].detail != "stack_overflow" and not stopped
        return Verdict(
            None,
            None,
            calls=sum(result.kind in ("values", "trap", "exception") for result in our_trace.results[1:]),
            stopped=our_end == "stopped",
            late=our_end == "stopped" and ended_there,
            difference=first_difference(planned, data, our_trace, their_trace),
        )

    def _explanation(self, data: bytes, ours: str | None, theirs: str | None) -> str | None:
        """Why only one engine accepts the module, where that is right."""
        if ours is None and theirs is not None and theirs.startswith(_OLD_ENCODING):
            if self._peer(ENCODING_FEATURES).rejects(data) is None:
                return "memory indices and offsets are encoded as in WebAssembly 3.0"
        if ours is None and theirs is not None:
            if self._peer(_WIDER).rejects(data) is None:
                return "groups and subtypes of function types are read without the rest of garbage collection"
        return None


def _is_called(type_: vw.FuncType) -> bool:
    """Whether both engines can be given arguments for a function, and its results be looked at."""
    if any(plain_name(str(value)) == "exnref" for value in (*type_.params, *type_.results)):
        return False
    return all(value.nullable for value in type_.params if value.is_ref)


def _beyond_the_host(data: bytes) -> str | None:
    """Why the host cannot make what a module imports, where that is so."""
    try:
        return read_surface(data).beyond_the_host()
    except NotParsed:
        return "types of a kind that the campaign does not know"


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
    functions = [(item.module, item.name) for item in module.imports if isinstance(item.type, vw.FuncType)]
    if len(set(functions)) < len(functions):
        # The references to it are equal here, and wasmtime makes one for each import: what tables hold would be named
        # differently, though no code can tell.
        return "a function that is imported twice"
    return None


def _without_numbers(message: str) -> str:
    return re.sub(r"0x[0-9a-fA-F]+|-?\d+", "N", message)[:160]
