"""What the tests of the runtime and of the stubs share: a store, an instance, and functions made by hand.

The calling convention is spelled out here a second time, from its description, so that the tests do not repeat a
mistake of the stubs.
"""

from __future__ import annotations

import _thread
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.native import EMULATED
from vibewasm import abi
from vibewasm.abi import HOST_FAILURE
from vibewasm.backends import backend
from vibewasm.calls import process
from vibewasm.calls.process import HOST
from vibewasm.runtime import calls, context, faults
from vibewasm.runtime.adapters import Adapters
from vibewasm.runtime.blocks import Block
from vibewasm.runtime.code_memory import CodeMemory
from vibewasm.runtime.context import StoreBlock
from vibewasm.runtime.linear_memory import LinearMemory
from vibewasm.runtime.trap_record import TrapRecord

from .native import native

# What an engine does first: the runtime gets what is this processor's.
process.prepare()
stubs = backend(os.uname().machine).stubs

ROOT = Path(__file__).parents[2]

HostFunction = Callable[..., "list[int] | None"]


class TrapError(Exception):
    """A trap, with its record."""

    def __init__(self, record: TrapRecord) -> None:
        super().__init__(f"trap {record.number}")
        self.number = record.number
        self.record = record


def cell_count(letters: str) -> int:
    """Cells of values of these types."""
    return sum(2 if letter == "v" else 1 for letter in letters)


def places(letters: str) -> tuple[list[tuple[str, int]], int]:
    """Where parameters travel: (``"int"``, ``"float"`` or ``"area"``, register or offset), and the size of the area."""
    ints = list(native.INT_PARAMETERS)
    floats = list(range(8))
    found: list[tuple[str, int]] = []
    in_area = ""
    for letter in letters:
        if letter in "fdv" and floats:
            found.append(("float", floats.pop(0)))
        elif letter not in "fdv" and ints:
            found.append(("int", ints.pop(0)))
        else:
            found.append(("area", len(in_area)))
            in_area += letter
    # One vector there, and all cells are as large.
    step = 16 if "v" in in_area else 8
    return [(kind, at * step if kind == "area" else at) for kind, at in found], (step * len(in_area) + 15) // 16 * 16


def result_places(letters: str) -> list[tuple[str, int]]:
    """Where results travel: (``"int"``, 0), (``"float"``, 0) or (``"area"``, offset in the store block)."""
    found: list[tuple[str, int]] = []
    rest = 0
    for letter in letters:
        kind = "float" if letter in "fdv" else "int"
        if (kind, 0) in found:
            found.append(("area", 2048 + 16 * rest))
            rest += 1
        else:
            found.append((kind, 0))
    return found


class Machine:
    """One store with one instance.

    Args:
        pages: size of its memory.
        guarded: whether that is guarded.
        watched: whether the watcher looks after it, so that signals are delivered while it runs.
    """

    def __init__(self, pages: int = 1, guarded: bool = True, watched: bool = False) -> None:
        faults.install(
            stubs.fault_handler, CodeMemory(1, traps=False, permanent=True), backend(HOST).processor.SIGNAL_CONTEXTS
        )
        self.code = CodeMemory()
        self.stub_code = CodeMemory(traps=False)
        self.adapters = Adapters(self.stub_code, stubs, backend(HOST).processor)
        #: What adapters of rare signatures need.
        self.kept: set[object] = set()
        self.block = StoreBlock()
        self.cells = self.block.cells
        self.watched = watched
        if not watched:
            # It is polled only when a test wants it to be.
            self.block.leave_unwatched()
        self.adapters.install(self.block)
        self.adapters.install_bulk(self.block)
        self.memory = LinearMemory(pages, None, guarded)
        self.ctx = self.context(self.memory)
        self.host_ctx = self.context(None)
        self._pending: BaseException | None = None
        self.callers: list[int] = []
        self.keep: list[object] = []
        self.polls: list[int] = []
        self.on_poll: Callable[[], object] = lambda: None
        self.cells[context.CELL_POLL] = self.callback(calls.PollCallback, self._poll)

    def context(self, memory: LinearMemory | None) -> Block:
        """A context of the store, with room for 8 cells after the header."""
        block = Block(abi.CTX_HEADER + 64)
        block.cells[0] = self.block.address
        if memory is not None:
            block.cells[1] = memory.base
            block.cells[2] = memory.descriptor
        return block

    def callback(self, prototype: Callable[..., object], function: Callable[..., object]) -> int:
        """Address of a ctypes callback that lives as long as the machine."""

        def call(*arguments: int) -> object:
            return function(*arguments)

        made = calls.native_callback(prototype, call, self)
        self.keep.append(made)
        return calls.address_of(made)

    def _poll(self, ctx: int, word: int, zero: int) -> None:
        try:
            if self.watched:
                self.block.heard(word)
            self.polls.append(word)
            self.on_poll()
            self.cells[context.CELL_FAILED] = 0
        except BaseException as error:
            self._pending = error

    def record(self, code: int, ctx: Block, callback: int = 0) -> Block:
        """A function record."""
        block = Block(abi.RECORD_SIZE)
        block.cells[0] = code
        block.cells[1] = ctx.address
        block.cells[3] = callback
        self.keep.append(block)
        return block

    def function(self, code: bytes, ctx: Block | None = None) -> Block:
        """The record of a wasm function with this code."""
        return self.record(self.code.publish(code), ctx or self.ctx)

    def wrapped(self, body: bytes) -> Block:
        """The record of a wasm function with this code inside a frame."""
        return self.function(native.PROLOGUE + body + native.EPILOGUE)

    def host(self, signature: str, function: HostFunction) -> Block:
        """The record of a host function, which takes and returns cells."""
        params, _, results = signature.partition(":")
        argc, width = cell_count(params), cell_count(results)
        cells = self.cells
        base = self.block.address

        def callback(ctx: int, count: int, argv: int) -> None:
            try:
                assert count == argc
                self.callers.append(ctx)
                at = (argv - base) // 8
                returned = function(*cells[at : at + argc]) or []
                assert len(returned) == width
                for index, value in enumerate(returned):
                    cells[at + index] = value
                cells[context.CELL_FAILED] = 0
            except BaseException as error:
                self._pending = error

        return self.record(
            self.adapters.leave(signature, self.kept), self.host_ctx, self.callback(calls.HostCallback, callback)
        )

    def lazy(self, make: Callable[[int, int], int]) -> None:
        """Have functions compiled by ``make(context, number)``."""

        def callback(ctx: int, number: int, zero: int) -> int:
            try:
                address = make(ctx, number)
                self.cells[context.CELL_FAILED] = 0
                return address
            except BaseException as error:
                self._pending = error
                return 0

        self.cells[context.CELL_LAZY] = self.callback(calls.LazyCallback, callback)

    def call(self, record: Block, signature: str, *arguments: int) -> list[int]:
        """Call a function with cells; returns cells."""
        params, _, results = signature.partition(":")
        argc, width = cell_count(params), cell_count(results)
        assert len(arguments) == argc
        argv = Block(8 * max(argc, width, 1))
        for index, value in enumerate(arguments):
            argv.cells[index] = value
        calls.watch_swallowed()
        self.cells[context.CELL_REAL_LIMIT] = calls.stack_limit()
        if self.watched:
            self.cells[context.CELL_THREAD] = _thread.get_ident()
        function = self.adapters.enter(signature)
        argument = calls.argument
        number = function(argument(record.address), argument(argc), argument(argv.address))
        if number == HOST_FAILURE:
            error, self._pending = self._pending, None
            assert error is not None
            raise error
        if number:
            assert number == self.cells[context.CELL_TRAP]
            raise TrapError(self.block.trap())
        return argv.cells[:width].tolist()


def python(source: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run Python source in another process, from the root of the project."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, *options, "-c", source],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    if EMULATED:
        # What the emulator itself says of a process that dies of a signal.
        lines = done.stderr.splitlines(keepends=True)
        done.stderr = "".join(line for line in lines if not line.startswith("qemu: "))
    return done


__all__ = [
    "ROOT",
    "Machine",
    "TrapError",
    "calls",
    "cell_count",
    "context",
    "faults",
    "native",
    "places",
    "python",
    "result_places",
    "stubs",
]
