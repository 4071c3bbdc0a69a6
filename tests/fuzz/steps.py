"""What is done with a module in both engines, and what came of it, in terms of no engine."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from itertools import zip_longest
from random import Random
from typing import Any, NamedTuple, Protocol

from tests.fuzz.numbers import WIDTHS, constant
from tests.fuzz.surface import plain_name
from tests.spec.values import Value
from vibewasm.opcodes import ACCESSES, PREFIXES

# Memories and tables larger than this are not instantiated, and may not grow beyond it.
MEMORY_BYTES = 64 << 20
TABLE_ELEMENTS = 100_000
# Memory is compared when it is not larger than this.
COMPARED_BYTES = 8 << 20
# Tables are compared when they have no more elements.
COMPARED_ELEMENTS = 1000
CALLS_PER_EXPORT = 3
EXPORTS = 12
# wasmtime tells this many frames of a trap.
PEER_FRAMES = 20

# First bytes of the instructions that access memory.
_ACCESSES = {*ACCESSES, *PREFIXES}
_TYPE_BYTES = {"i32": 0x7F, "i64": 0x7E, "f32": 0x7D, "f64": 0x7C, "v128": 0x7B}
_FLOAT_CODES = {"f32": ("<f", "<I"), "f64": ("<d", "<Q")}


class Step(NamedTuple):
    """A call of an exported function."""

    export: str
    arguments: list[Value]


class Result(NamedTuple):
    """What came of a step.

    `kind` is `values` (`detail`: the results), `trap` (`detail`: the trap's code), `exception` (`detail`: the name of
    the tag, and the values), `stopped` (by fuel or deadline) or `failed` (instantiation was refused for another reason
    than a trap; `detail`: why). `frames` are the function index and module offset of each wasm activation of a trap or
    an exception, innermost first.
    """

    kind: str
    detail: Any
    frames: tuple[tuple[int, int | None], ...] = ()


class State(NamedTuple):
    """What the exported memories, globals and tables hold at the end, and which imported functions were called."""

    memories: dict[str, bytes | int | str]  # bytes, or the size where there are too many, or a digest
    globals: dict[str, Value]
    tables: dict[str, list[object]] = {}  # names of functions, numbers of host objects, None for null
    host_calls: Sequence[tuple[str, list[Value]]] = ()


class Trace(NamedTuple):
    """Results of instantiation and of each step as far as they were run, and the state after the last."""

    results: list[Result]
    state: State | None


class Difference(NamedTuple):
    """Where two traces part: what kind of difference, and both sides of it for people."""

    kind: str
    where: str
    ours: str
    theirs: str


class FuncSignature(Protocol):
    """A function type of either engine."""

    @property
    def params(self) -> Any: ...


def steps(rng: Random, functions: Sequence[tuple[str, FuncSignature]]) -> list[Step]:
    """Which exported functions to call with what."""
    chosen = list(functions) if len(functions) <= EXPORTS else rng.sample(functions, EXPORTS)
    out: list[Step] = []
    for name, type_ in chosen:
        params = [str(t) for t in type_.params]
        for _ in range(CALLS_PER_EXPORT if params else 1):
            out.append(Step(name, [_argument(rng, param) for param in params]))
    return out


def _argument(rng: Random, type_: str) -> Value:
    if type_ == "externref":
        return type_, rng.choice([None, 1, 2])
    if type_ not in _TYPE_BYTES:
        return plain_name(type_), None
    if rng.random() < 0.2:
        return type_, 0
    code = _TYPE_BYTES[type_]
    return type_, constant(rng, code).immediates[0] & ((1 << WIDTHS[code]) - 1)


def first_difference(
    planned: list[Step], data: bytes, ours: Trace, theirs: Trace, *, nan_bits: bool = False
) -> Difference | None:
    """Where the traces part, stack depth aside, and NaN bits unless `nan_bits`; None when they agree as far as both
    went.
    """
    same = _same_bits if nan_bits else _same_values
    for number, (a, b) in enumerate(zip(ours.results, theirs.results, strict=False)):
        where = "instantiation" if number == 0 else f"{planned[number - 1].export}{planned[number - 1].arguments}"
        if "stopped" in (a.kind, b.kind):
            # What ends in one engine ends in the other one, unless the limits were too tight; the report counts those.
            return None
        if "stack_overflow" in (a.detail, b.detail):
            # Stacks and frames have other sizes, so what was done before the overflow differs too.
            return None
        if a.kind == b.kind and a.kind in ("trap", "exception") and _same_end(a, b, same):
            if a.frames[:PEER_FRAMES] != b.frames and not _later(a, b, data):
                return Difference("frames", where, str(a.frames), str(b.frames))
            continue
        if a.kind != b.kind or a.kind in ("trap", "exception"):
            return Difference("outcome", where, _show(a), _show(b))
        if a.kind == "values" and not same(a.detail, b.detail):
            return Difference("results", where, _show(a), _show(b))
    if ours.state is None or theirs.state is None:
        return None
    for name, value in ours.state.globals.items():
        other = theirs.state.globals.get(name)
        if other is not None and not same([value], [other]):
            return Difference("global", name, str(value), str(other))
    for name, memory in ours.state.memories.items():
        other_memory = theirs.state.memories.get(name)
        if memory != other_memory:
            return Difference("memory", name, *_memory_difference(memory, other_memory))
    for name, table in ours.state.tables.items():
        if table != theirs.state.tables.get(name):
            return Difference("table", name, str(table), str(theirs.state.tables.get(name)))
    calls = zip_longest(ours.state.host_calls, theirs.state.host_calls)
    for number, (call, other_call) in enumerate(calls):
        if (
            call is None
            or other_call is None
            or call[0] != other_call[0]
            or not same(call[1], _as_python_floats(other_call[1]))
        ):
            return Difference("host call", f"number {number}", str(call), str(other_call))
    return None


def _later(ours: Result, theirs: Result, data: bytes) -> bool:
    """Whether the frames differ only in that wasmtime names a later instruction for an access out of bounds.

    It folds loads into what follows, and says that the trap is there.
    """
    a, b = ours.frames[:PEER_FRAMES], theirs.frames
    if ours.detail != "memory_out_of_bounds" or not a or not b or a[1:] != b[1:] or a[0][0] != b[0][0]:
        return False
    our_offset, their_offset = a[0][1], b[0][1]
    if our_offset is None or their_offset is None:
        return False
    return data[our_offset] in _ACCESSES and our_offset < their_offset


def _same_end(a: Result, b: Result, same: Callable[[list[Value], list[Value]], bool]) -> bool:
    """Whether two traps, or two exceptions, are the same, their frames aside."""
    if a.kind == "exception":
        return bool(a.detail[0] == b.detail[0]) and same(a.detail[1], _as_python_floats(b.detail[1]))
    return bool(a.detail == b.detail)


def _same_bits(a: list[Value], b: list[Value]) -> bool:
    return a == b


def _same_values(a: list[Value], b: list[Value]) -> bool:
    return len(a) == len(b) and all(x == y or (_is_nan(x) and _is_nan(y)) for x, y in zip(a, b, strict=True))


def _as_python_floats(values: list[Value]) -> list[Value]:
    """What Python code sees of values that are passed or carried: an f32 is a double by then, and so a signalling NaN a
    quiet one.

    The other engine gives the bits as they are.
    """
    found: list[Value] = []
    for type_, payload in values:
        quiet = 0x40_0000 if type_ == "f32" and _is_nan((type_, payload)) else 0
        found.append((type_, payload | quiet) if isinstance(payload, int) else (type_, payload))
    return found


def _is_nan(value: Value) -> bool:
    type_, payload = value
    if type_ not in _FLOAT_CODES:
        return False
    float_code, bits_code = _FLOAT_CODES[type_]
    return math.isnan(struct.unpack(float_code, struct.pack(bits_code, payload))[0])


def _memory_difference(a: bytes | int | str, b: bytes | int | str | None) -> tuple[str, str]:
    if isinstance(a, bytes) and isinstance(b, bytes) and len(a) == len(b):
        at = next(i for i, (x, y) in enumerate(zip(a, b, strict=True)) if x != y)
        return f"{at:#x}: {a[at : at + 16].hex()}", f"{at:#x}: {b[at : at + 16].hex()}"
    return _size(a), _size(b)


def _size(memory: bytes | int | str | None) -> str:
    return f"{len(memory) if isinstance(memory, bytes) else memory} bytes"


def _show(result: Result) -> str:
    if result.kind == "values":
        return "values " + ", ".join(f"{t}:{p:#x}" if isinstance(p, int) else f"{t}:{p}" for t, p in result.detail)
    return f"{result.kind} {result.detail}"
