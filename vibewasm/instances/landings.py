"""Landings: what an exception on its way finds at the return addresses of a store's code. See ``docs/abi.md``.

Machine code looks for them in a hash table of the store, and calls Python for a return address that it does not find
there. What is entered then depends on the function alone, so a module keeps it for all of its instances.

An instance stays as long as its store, and its module's code with it; so no landing outlives the code that it is of.
That holds for an instance whose start function or segments failed as well, since its code may have run.
"""

from __future__ import annotations

from bisect import bisect_right

from ..abi import (
    LANDING_ADDRESS,
    LANDING_FACTOR,
    LANDING_FRAME,
    LANDING_RESTORE,
    LANDING_SCOPE,
    LANDING_SHIFT,
    LANDING_SIZE,
    SCOPE_CLAUSE_SIZE,
    SCOPE_CLAUSES,
    SCOPE_OUTER,
)
from ..calls.process import adapters
from ..calls.values import MASK64
from ..runtime.blocks import Block
from ..runtime.context import CELL_LANDINGS, CELL_LANDINGS_MASK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from ..api.module import Module
    from ..api.store import Store

    class Landings(Protocol):
        """What :meth:`vibewasm.compiler.Compiler.landings` gives."""

        code: bytes
        ints: int
        floats: int
        frame_size: int
        scopes: list[tuple[int, list[tuple[int, int]]]]
        boundaries: list[tuple[int, int]]

    #: Of a return address: the innermost scope's address, or 0; the address of what restores pinned registers; and how
    #: far the stack pointer is below the frame pointer.
    Landing = tuple[int, int, int]

#: Of the first table, whose size is doubled whenever half of it is in use. A power of two.
_FIRST_SIZE = 64
_CELLS = LANDING_SIZE >> 3


class FunctionLandings:
    """The landings of one function: its scopes, as machine code reads them.

    Args:
        landings: what the compiler says.
        start: address of the function's machine code.
    """

    __slots__ = ("_block", "_frame", "_numbers", "_positions", "_restore", "_scopes", "start")

    def __init__(self, landings: Landings, start: int) -> None:
        self.start = start
        self._restore = adapters().control.restore_pinned(landings.ints, landings.floats)
        self._frame = landings.frame_size
        self._positions = [position for position, _ in landings.boundaries]
        self._numbers = [number for _, number in landings.boundaries]
        self._block: Block | None = None
        self._scopes: list[int] = []
        if landings.scopes:
            self._write(landings)

    def _write(self, landings: Landings) -> None:
        offsets = []
        size = 0
        for _, clauses in landings.scopes:
            offsets.append(size)
            # With the two zeros at the end.
            size += SCOPE_CLAUSES + SCOPE_CLAUSE_SIZE * (len(clauses) + 1)
        self._block = block = Block(size)
        cells, base = block.cells, block.address
        self._scopes = [base + offset for offset in offsets]
        for offset, (outer, clauses) in zip(offsets, landings.scopes, strict=True):
            cells[offset + SCOPE_OUTER >> 3] = self._scopes[outer] if outer >= 0 else 0
            at = offset + SCOPE_CLAUSES >> 3
            for tag, position in clauses:
                cells[at] = tag & MASK64
                cells[at + 1] = self.start + position
                at += SCOPE_CLAUSE_SIZE >> 3

    def at(self, address: int) -> Landing:
        """The landing of a return address of the function."""
        # The byte before it belongs to the call.
        boundary = bisect_right(self._positions, address - 1 - self.start) - 1
        number = self._numbers[boundary] if boundary >= 0 else -1
        return self._scopes[number] if number >= 0 else 0, self._restore, self._frame


class ModuleLandings:
    """The landings of a module, by function, for those functions through which exceptions have passed."""

    __slots__ = ("_functions",)

    def __init__(self) -> None:
        #: By the address where they begin.
        self._functions: dict[int, FunctionLandings] = {}

    def at(self, store: Store, module: Module, address: int) -> Landing:
        """The landing of a return address of the module's code. Who calls this has the module's lock."""
        found = module._function_at(address - 1)
        if found is None:
            raise AssertionError(f"an exception came to {address:#x}, where this module has no code")
        start, defined = found
        function = self._functions.get(start)
        if function is None:
            landings = module._compute(store, "compiling", module.compiler.landings, defined)
            # Code that was made elsewhere may be other code where there is nothing to catch.
            if landings.scopes and landings.code != module._code_of(defined, len(landings.code)):
                raise AssertionError(f"function {defined} catches exceptions, and was compiled otherwise")
            # A signal handler may have been here meanwhile, with the same function.
            function = self._functions.setdefault(start, FunctionLandings(landings, start))
        return function.at(address)


def landing_of(store: Store, module: Module, address: int) -> Landing:
    """The landing of a return address of a module's code, for a store. Raises :class:`Interrupted`."""
    with module._guard(store):
        landings = module._landings
        if landings is None:
            landings = module._landings = ModuleLandings()
        return landings.at(store, module, address)


class LandingTable:
    """The hash table of a store.

    Python code that runs in the middle of these methods, as signal handlers do, may call wasm code of the store, which
    looks at the table and has landings entered. So what machine code reads changes in lines in which nothing is called,
    between which no other code comes; and what is lost of a landing that came in between is entered again.
    """

    __slots__ = ("_block", "_cells", "_known", "_mask")

    def __init__(self) -> None:
        self._known: dict[int, Landing] = {}
        self._block = Block(LANDING_SIZE * _FIRST_SIZE)
        self._mask = _FIRST_SIZE - 1

    def install(self, cells: memoryview) -> None:
        """Have machine code look here; ``cells`` are the store block's."""
        self._cells = cells
        cells[CELL_LANDINGS] = self._block.address
        cells[CELL_LANDINGS_MASK] = self._mask

    def enter(self, address: int, landing: Landing) -> None:
        """Enter the landing of a return address."""
        known = self._known
        known[address] = landing
        if 2 * len(known) > self._mask:
            self._grow(2 * (self._mask + 1))
        else:
            _put(self._block.cells, self._mask, address, landing)

    def _grow(self, size: int) -> None:
        block = Block(LANDING_SIZE * size)
        mask = size - 1
        for address, landing in [*self._known.items()]:
            _put(block.cells, mask, address, landing)
        cells, start = self._cells, block.address
        # What was the table until now goes in the last line.
        cells[CELL_LANDINGS] = start
        cells[CELL_LANDINGS_MASK] = mask
        self._block, self._mask = block, mask


def _put(cells: memoryview, mask: int, address: int, landing: Landing) -> None:
    """Write a landing to the first place that is free from its hash on."""
    scope, restore, frame = landing
    place = (address * LANDING_FACTOR & MASK64) >> LANDING_SHIFT & mask
    while True:
        at = place * _CELLS
        if not cells[at + (LANDING_ADDRESS >> 3)]:
            cells[at + (LANDING_SCOPE >> 3)] = scope
            cells[at + (LANDING_RESTORE >> 3)] = restore
            cells[at + (LANDING_FRAME >> 3)] = frame
            cells[at + (LANDING_ADDRESS >> 3)] = address
            return
        place = place + 1 & mask
