"""Judges modules: vibewasm must do what wasmtime does."""

from __future__ import annotations

import traceback
from typing import NamedTuple

import vibewasm as vw
from tests.differential import locations
from tests.differential.cases import Case
from tests.differential.make import Made, make
from tests.differential.ours import DETERMINISTIC, Ours, mode_of
from tests.fuzz.nans import depends_on_nans
from tests.fuzz.peer import TYPE_FEATURES, Peer
from tests.fuzz.steps import Difference, Result, first_difference

# Fuel of a call in wasmtime: what the generator writes ends long before.
_PLENTY = 1 << 32
# Bytes of wasmtime's stack, whose frames are large where nothing is optimised.
_STACK = 2 << 20


class Finding(NamedTuple):
    """What came of module `number`.

    `problem`: how the process died, that it hung, an exception, or that only one engine accepts the module.
    `traps` are the codes of the calls that trapped, `exceptions` says how many ended with an exception.
    `nan_bits`: the engines differ, as what the module does depends on the bits of NaNs, so it was judged with canonical
    NaNs. `met` are the places of operands that the worker has seen here for the first time.
    """

    number: int
    mode: str
    source: str
    calls: int = 0
    traps: tuple[str, ...] = ()
    exceptions: int = 0
    nan_bits: bool = False
    difference: Difference | None = None
    problem: str | None = None
    met: frozenset[locations.Place] = frozenset()

    @property
    def wrong(self) -> bool:
        """Whether this must not be."""
        return self.difference is not None or self.problem is not None


class Judge:
    """Both engines.

    Args:
        look: compile each module's functions once more and note where operands are, see `locations`.
        simd: the campaign is the one whose modules are rich in vector instructions.
        control: the campaign is the one about exceptions, tail calls and typed references.
    """

    def __init__(self, *, look: bool = False, simd: bool = False, control: bool = False) -> None:
        # wasmtime's signal handlers first: vibewasm must work in a process that has another engine.
        features = TYPE_FEATURES if control else ()
        self.peer = Peer(fuel=_PLENTY, features=features, stack=_STACK)
        self._deterministic = Peer(
            fuel=_PLENTY, features=features, deterministic=True, canonical_nans=True, stack=_STACK
        )
        # Where vectors are what it is about, AVX has a campaign, and what does without it another one.
        self.ours = Ours(extensions=simd)
        self._look = look
        self._simd = simd
        self._control = control
        self._met: set[locations.Place] = set()

    def find(self, seed: int, number: int, mode: str | None = None) -> Finding:
        """Makes and judges a module."""
        mode = mode or mode_of(number, self._simd)
        made = make(seed, number, self._simd, self._control)
        finding = self.judge(number, made, mode)
        if finding.nan_bits:
            return self.judge(number, made.with_canonical_nans(), mode)._replace(nan_bits=True)
        return finding

    def judge(self, number: int, made: Made, mode: str) -> Finding:
        """Judges a module, whose traps of wasmtime are those of vibewasm if nothing is wrong."""
        finding = Finding(number, mode, made.source)
        if why := self.peer.rejects(made.data):
            return finding._replace(problem=f"the generator made an invalid module: {why}")
        theirs = self._peer(mode).run(made.data, made.steps)
        try:
            ours = self.ours.run(made.data, mode, made.steps)
        except Exception as error:
            return finding._replace(problem=_shown(error))
        difference = first_difference(made.steps, made.data, ours, theirs, nan_bits=mode == DETERMINISTIC)
        endless = [result for result in (*ours.results, *theirs.results) if _endless(result)]
        if endless and difference is None:
            # What the generator writes ends, and nests less than any stack is deep.
            finding = finding._replace(problem=f"a call did not end: {endless[0].kind} {endless[0].detail}")
        # Deterministic code gives one NaN only, so that nothing depends on it.
        if (
            difference
            and mode != DETERMINISTIC
            and not made.canonical
            and depends_on_nans(self.peer, made.data, made.steps)
        ):
            return finding._replace(nan_bits=True)
        return finding._replace(
            calls=sum(result.kind in ("values", "trap", "exception") for result in ours.results[1:]),
            traps=tuple([str(result.detail) for result in ours.results if result.kind == "trap"]),
            exceptions=sum(result.kind == "exception" for result in ours.results),
            difference=difference,
            met=self._new_places(made.data) if self._look else frozenset(),
        )

    def case(self, number: int, made: Made, mode: str) -> Case:
        """The module with what wasmtime does."""
        return Case(number, mode, made.data, made.steps, self._peer(mode).run(made.data, made.steps))

    def _peer(self, mode: str) -> Peer:
        return self._deterministic if mode == DETERMINISTIC else self.peer

    def recordable(self, seed: int, number: int) -> Case:
        """Module `number` as a case that holds on any machine: nothing in it depends on the bits of NaNs."""
        made = make(seed, number, self._simd, self._control)
        mode = mode_of(number, self._simd)
        case = self.case(number, made, mode)
        if mode != DETERMINISTIC and not made.canonical and depends_on_nans(self.peer, made.data, made.steps):
            made = made.with_canonical_nans()
            case = self.case(number, made, mode)
        return case

    def _new_places(self, data: bytes) -> frozenset[locations.Place]:
        new = locations.met(data) - self._met
        self._met |= new
        return frozenset(new)


def _endless(result: Result) -> bool:
    return result.kind == "stopped" or result.detail == "stack_overflow"


def _shown(error: Exception) -> str:
    if isinstance(error, vw.WasmError):
        return f"{type(error).__name__}: {error}"
    place = traceback.extract_tb(error.__traceback__)[-1]
    file = "/".join(place.filename.rsplit("/", 3)[1:])
    return f"{type(error).__name__}: {error} ({file}:{place.lineno} in {place.name})"
