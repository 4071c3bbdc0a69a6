"""A case: a module, how it is run, what is called, and what must come of it.

Cases are lines of a file that :func:`save_all` writes where wasmtime is, and :func:`load_all` reads where it need not
be; or a `.wat` file whose first lines are comments with the same. Nothing here needs more than the standard library.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.fuzz.steps import Result, State, Step, Trace
from tests.spec.values import Value
from vibewasm.wat import wasm2wat, wat2wasm

_STEP, _STATE, _MODE, _NOTE = ";; step: ", ";; state: ", ";; mode: ", ";; "


class Case(NamedTuple):
    """`trace` is what wasmtime does; memories are held as digests. `number` is that of the module in its campaign."""

    number: int
    mode: str
    data: bytes
    steps: list[Step]
    trace: Trace


def digested(state: State) -> State:
    """The state with a digest for the contents of each memory."""
    memories: dict[str, bytes | int | str] = {name: digest(memory) for name, memory in state.memories.items()}
    return State(memories, state.globals, state.tables, state.host_calls)


def digest(memory: bytes | int | str) -> str:
    """What stands for a memory's contents; for one too large to be read, its size does."""
    if isinstance(memory, bytes):
        return f"{len(memory)} bytes {hashlib.blake2b(memory, digest_size=16).hexdigest()}"
    return str(memory)


def save_all(path: Path, cases: Iterable[Case]) -> int:
    """Writes cases to a compressed file, one a line; returns how many."""
    count = 0
    with gzip.open(path, "wt", encoding="ascii", compresslevel=6) as file:
        for case in cases:
            line = {
                "number": case.number,
                "mode": case.mode,
                "data": base64.b64encode(case.data).decode(),
                "steps": case.steps,
                "results": case.trace.results,
                "state": None if case.trace.state is None else digested(case.trace.state),
            }
            file.write(json.dumps(line, separators=(",", ":")) + "\n")
            count += 1
    return count


def load_all(path: Path) -> Iterator[Case]:
    """Reads what `save_all` wrote."""
    with gzip.open(path, "rt", encoding="ascii") as file:
        for text in file:
            line = json.loads(text)
            trace = Trace([_result(result) for result in line["results"]], _state(line["state"]))
            steps = [_step(step) for step in line["steps"]]
            yield Case(line["number"], line["mode"], base64.b64decode(line["data"]), steps, trace)


def to_wat(case: Case, notes: list[str]) -> str:
    """The case as a text module; `notes` are for people."""
    lines = [_NOTE + note for note in notes]
    lines.append(_MODE + case.mode)
    lines += [_STEP + json.dumps([*step, result]) for step, result in zip(
        [Step("", []), *case.steps], case.trace.results, strict=False)]  # fmt: skip
    if case.trace.state is not None:
        lines.append(_STATE + json.dumps(digested(case.trace.state)))
    return "\n".join(lines) + "\n" + wasm2wat(case.data)


def from_wat(text: str) -> Case:
    """Reads what `to_wat` gave."""
    mode = ""
    steps: list[Step] = []
    results: list[Result] = []
    state = None
    for line in text.splitlines():
        if line.startswith(_STEP):
            export, arguments, result = json.loads(line.removeprefix(_STEP))
            steps.append(_step((export, arguments)))
            results.append(_result(result))
        elif line.startswith(_STATE):
            state = _state(json.loads(line.removeprefix(_STATE)))
        elif line.startswith(_MODE):
            mode = line.removeprefix(_MODE).strip()
    if not mode or not results:
        raise ValueError("no mode or no steps in the comments of a saved case")
    return Case(-1, mode, wat2wasm(text), steps[1:], Trace(results, state))


def _value(item: Any) -> Value:
    type_, payload = item
    return type_, payload


def _step(item: Any) -> Step:
    export, arguments = item
    return Step(export, [_value(argument) for argument in arguments])


def _result(item: Any) -> Result:
    kind, detail, frames = item
    if kind == "values":
        detail = [_value(value) for value in detail]
    if kind == "exception":
        detail = [detail[0], [_value(value) for value in detail[1]]]
    return Result(kind, detail, tuple((func, offset) for func, offset in frames))


def _state(item: Any) -> State | None:
    if item is None:
        return None
    memories, globals_, tables, host_calls = item
    calls = [(name, [_value(argument) for argument in arguments]) for name, arguments in host_calls]
    return State(memories, {name: _value(value) for name, value in globals_.items()}, tables, calls)
