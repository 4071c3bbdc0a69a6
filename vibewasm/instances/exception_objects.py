"""Exception objects of a store, and their collector. What an object looks like says ``docs/abi.md``.

Machine code makes objects by itself as long as there are free ones, and calls Python where there are none.

**When objects are freed.** Wasm code may catch any number of exceptions with a reference in one call, so objects are
freed while it runs: :meth:`ExceptionObjects.allocate` looks for those that nobody holds. Tables, globals, the handles
of Python code and what is being thrown are known exactly. The stack, arguments and results on their way, and the values
of objects are looked through word by word, and a word that is the address of an object holds it. So an object may stay
that nobody holds; the next look may find it free.

A look makes as many objects available as were held, or an eighth of the words that it has looked at, if that is more
(or 1024): those that it has freed, and new ones if these are not enough. So the cost of all looks together is linear in
the objects that are made, and the memory in what is held and in the size of the stack.

**What comes in between.** A look is Python code, so signal handlers and finalisers may run in the midst of it, and may
call wasm code of the store. While it goes on there is no free object; wasm code asks for some, and gets new ones, which
the look does not know of. Wasm code that has run since the look began may have moved an object from where nobody had
looked yet to where somebody had; then the look is given up, and nothing is freed. Python code moves objects through
handles only, and what has had a handle since the look began counts as held.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right

from ..abi import (
    EXCEPTION_COUNT,
    EXCEPTION_ROOM,
    EXCEPTION_SIZE,
    EXCEPTION_VALUES,
    HOST_FAILURE,
    MAX_RESULTS,
    TRAP_INVARIANT,
)
from ..backends import backend
from ..calls.process import HOST, adapters
from ..errors import ReferenceLimit, guest_work
from ..runtime.blocks import Block
from ..runtime.context import (
    CELL_CELLS,
    CELL_CELLS_TOP,
    CELL_FAILED,
    CELL_FREE_EXCEPTION,
    CELL_RESULTS,
    CELL_SAVED_SP,
    CELL_THROWN,
    CELL_THROWN_COUNT,
)
from ..runtime.raw_memory import words
from ..types import EXNREF, EXNREF_NOT_NULL, V128
from .references import pieces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TypeVar

    from ..api.store import Store

    Result = TypeVar("Result")

    #: Slabs in the order of their addresses, and these addresses.
    Heap = tuple[list["_Slab"], list[int]]

#: So many objects are made available at once, however few there are.
SMALLEST_BUDGET = 1024
#: Words that are looked at for each object that is made available, at most.
_WORDS_PER_OBJECT = 8
#: Near the limit a look is worth it when so much of what stayed, at least, has been made.
_LEAST_PART = 16
#: Objects of the smallest slab.
_SMALLEST_SLAB = 64
#: Objects of the largest.
_LARGEST_SLAB = 1 << 16
#: Stands in the "failed" cell as long as no activation has ended since a look began, which leaves HOST_FAILURE there.
#: Where the exception gets lost that ends the look, it is the number of a trap.
_UNTOUCHED = TRAP_INVARIANT
#: Types of tables and globals that hold objects.
_TYPES = (EXNREF, EXNREF_NOT_NULL)

_CELLS = EXCEPTION_SIZE >> 3
_COUNT = EXCEPTION_COUNT >> 3
_VALUES = EXCEPTION_VALUES >> 3


class _Slab:
    """Objects of the usual size, one after another.

    Attributes:
        base: address of the first one.
        count: how many there are.
        cells: all of them.
    """

    __slots__ = ("_following", "base", "cells", "count")

    def __init__(self, count: int) -> None:
        block = Block(EXCEPTION_SIZE * count)
        self.base = base = block.address
        self.cells = block.cells
        self.count = count
        # For each object the address of the next one.
        first, step = base + EXCEPTION_SIZE, EXCEPTION_SIZE
        self._following = memoryview(array("Q", range(first, first + step * count, step)))

    def chain(self, first: int, end: int, after: int) -> int:
        """Make a list of the objects from one up to before another, which goes on with ``after``: its first object."""
        last = end - 1
        if first < last:
            self.cells[_CELLS * first + _COUNT : _CELLS * last + _COUNT : _CELLS] = self._following[first:last]
        self.cells[_CELLS * last + _COUNT] = after
        return self.base + EXCEPTION_SIZE * first


class ExceptionObjects:
    """The exception objects of one store.

    Attributes:
        given: objects that Python code has as bare numbers: among the results of the last ``call_raw``.
        results: results of calls that are being converted, which nothing else holds.
        kept: how many objects the last look has found held.
        busy: whether a look goes on, or what it has found is not yet in the hands of who wanted an object.
    """

    __slots__ = (
        "_cells",
        "_during",
        "_fresh",
        "_handles",
        "_heap",
        "_left",
        "_registers",
        "_store",
        "_wide",
        "busy",
        "given",
        "kept",
        "results",
    )

    def __init__(self, store: Store) -> None:
        self._store = store
        self._cells = store._cells
        self._heap: Heap = ([], [])
        #: Objects with more values, by address.
        self._wide: dict[int, Block] = {}
        #: How many units of EXCEPTION_SIZE more of these may be made until the next look.
        self._left = 0
        #: Handles of Python code by object: lists that are as long as there are handles. They change in one step each,
        #: since a finaliser may run in any thread; empty ones go when somebody looks.
        self._handles: dict[int, list[None]] = {}
        #: Objects that Python code has made, and is about to take a handle of.
        self._fresh: dict[int, None] = {}
        #: Objects of which a handle was taken or given back since a look began.
        self._during: dict[int, None] = {}
        #: What pinned registers have in which wasm code keeps references while Python code looks.
        self._registers = Block(8 * backend(HOST).processor.PRESERVED_REGISTERS)
        self.busy = False
        self.given: Sequence[int] = ()
        self.results: list[Sequence[int]] = []
        self.kept = 0

    # -- objects -----------------------------------------------------------------------------------------------------

    def place(self, address: int) -> tuple[memoryview, int]:
        """Where an object's first cell is: cells, and an index into them."""
        wide = self._wide.get(address)
        if wide is not None:
            return wide.cells, 0
        slabs, bases = self._heap
        slab = slabs[bisect_right(bases, address) - 1]
        return slab.cells, address - slab.base >> 3

    def hold(self, address: int) -> None:
        """Take a handle: the object stays until it is given back."""
        if self.busy:
            self._during[address] = None
        self._fresh[address] = None
        while True:
            handles = self._handles.setdefault(address, [])
            handles.append(None)
            if self._handles.get(address) is handles:
                break
            # A look in between has taken it away, as it was empty.
        self._fresh.pop(address, None)

    def release(self, address: int) -> None:
        """Give a handle back. A finaliser may do that, in any thread and at any moment."""
        if self.busy:
            self._during[address] = None
        self._handles[address].pop()

    def knows(self, address: int) -> bool:
        """Whether this is an object that Python code has from here: of which there is a handle, or a bare number."""
        return bool(self._handles.get(address)) or address in self.given

    def give(self, types: Sequence[int], cells: Sequence[int]) -> None:
        """Let the objects among results of these types be those that Python code has as bare numbers."""
        given = []
        at = 0
        for code in types:
            if code in _TYPES and cells[at]:
                given.append(cells[at])
            at += 2 if code == V128 else 1
        self.given = given

    def converted(self, convert: Callable[..., Result], store: Store, codes: Sequence[int], found: list[int]) -> Result:
        """What ``convert`` makes of the bits of values: exceptions among them stay meanwhile."""
        self.results.append(found)
        try:
            return convert(store, codes, found)
        finally:
            self.results.pop()

    def named(self) -> list[int]:
        """The objects that Python code has from here."""
        return [address for address in {*self._handles, *self.given} if self.knows(address)]

    def take(self, count: int) -> int:
        """An object for ``count`` values, for Python code that will take a handle: it stays until the handle is given
        back.

        Raises:
            ReferenceLimit: there are as many as there may be.
        """
        nested = self.busy
        try:
            self.busy = True
            address = self._pop() if count <= EXCEPTION_ROOM else 0
            if address:
                self._fresh[address] = None
                return address
            address = self._allocate(count, self._lowest(), nested)
            if not address:
                limit = self._store.max_references
                raise ReferenceLimit(
                    f"more than {limit} exceptions would be held: Store.max_references allows no more. Let go of some, "
                    "or allow more with Config(max_references=...)"
                )
            self._fresh[address] = None
            return address
        finally:
            self.busy = nested

    def _lowest(self) -> int:
        """The end of the stack that wasm code may have references in; the others are in registers that are noted."""
        if not self._cells[CELL_SAVED_SP]:
            return 0
        return adapters().control.preserved_registers(self._registers.address)

    def allocate(self, count: int, low: int) -> int:
        """An object for ``count`` values, for machine code, which keeps references above the address ``low`` only.
        Returns 0 where there are as many as there may be.

        Who calls this sets :attr:`busy` to what it was, and then calls nothing before machine code has the object.
        """
        nested = self.busy
        self.busy = True
        return self._allocate(count, low, nested)

    def _allocate(self, count: int, low: int, nested: bool) -> int:
        units = (EXCEPTION_VALUES + 16 * count + EXCEPTION_SIZE - 1) // EXCEPTION_SIZE
        if nested:
            # Somebody looks, and this comes in between.
            if sum([slab.count for slab in self._heap[0]]) + len(self._wide) > 2 * self._store.max_references:
                return 0
        elif units == 1 or units > self._left:
            what = "looking for exceptions that are held"
            # Left anywhere, it leaves objects that are free and in no list, which wait for the next look.
            if not guest_work(self._store, what, self._collect, low, units == 1):
                return 0
            self._left = max(self._left, units)
        if units > 1:
            self._left -= units
            block = Block(EXCEPTION_VALUES + 16 * count)
            self._wide[block.address] = block
            return block.address
        address = self._pop()
        if not address:
            # In a list of its own, which takes the place of what may have come meanwhile.
            slab = self._add_slab(_SMALLEST_SLAB)
            self._cells[CELL_FREE_EXCEPTION] = slab.chain(1, slab.count, 0)
            address = slab.base
        return address

    def _pop(self) -> int:
        """The first free object, or 0; while nobody can look, so that it cannot be freed."""
        cells = self._cells
        while True:
            address: int = cells[CELL_FREE_EXCEPTION]
            if not address:
                return 0
            slab, at = self.place(address)
            # In these lines nothing is called, so nobody else takes it.
            if cells[CELL_FREE_EXCEPTION] == address:
                cells[CELL_FREE_EXCEPTION] = slab[at + _COUNT]
                return address

    def _add_slab(self, count: int) -> _Slab:
        slab = _Slab(count)
        while True:
            heap = self._heap
            slabs = sorted([*heap[0], slab], key=lambda slab: slab.base)
            added = slabs, [slab.base for slab in slabs]
            # In these lines nothing is called, so no other slab gets lost.
            if self._heap is heap:
                self._heap = added
                return slab

    # -- the collector -----------------------------------------------------------------------------------------------

    def _collect(self, low: int, usual: bool) -> bool:
        """Free what nobody holds, and see that there are free objects of the usual size, if that is wanted. Not so if
        there are as many objects as there may be.
        """
        cells = self._cells
        heap = self._heap
        slabs = heap[0]
        wide = {**self._wide}
        cells[CELL_FREE_EXCEPTION] = 0
        looked = self._look(low, heap, wide) if slabs or wide else (set[int](), 0)
        if looked is None:
            # Somebody has been here. What is free, and in no list now, waits for the next look.
            return True
        held, looked_at = looked
        units = 0
        for address, block in wide.items():
            if address in held:
                units += block.size // EXCEPTION_SIZE
            else:
                self._wide.pop(address, None)
        self.kept = len(held)
        limit = self._store.max_references
        if self.kept >= limit:
            return False
        kept = sorted([address for address in held if address not in wide])
        budget = max(SMALLEST_BUDGET, len(kept) + units, looked_at // _WORDS_PER_OBJECT)
        budget = max(1, min(budget, max(limit - self.kept, self.kept // _LEAST_PART)))
        first, missing = _chain_free(slabs, kept, budget)
        if missing and usual:
            # Never so few that there would be many slabs, nor so many that one takes more than a few milliseconds.
            least = max(_SMALLEST_SLAB, min(_LARGEST_SLAB, sum([slab.count for slab in slabs]) // 8))
            while missing:
                slab = self._add_slab(max(least, min(missing, _LARGEST_SLAB)))
                taken = min(missing, slab.count)
                first = slab.chain(0, taken, first)
                missing -= taken
        self._left = budget
        cells[CELL_FREE_EXCEPTION] = first
        return True

    def _look(self, low: int, heap: Heap, wide: dict[int, Block]) -> tuple[set[int], int] | None:
        """The objects that are held, and how many words were looked at; or nothing, if wasm code has run meanwhile."""
        cells = self._cells
        slabs, bases = heap
        lowest = min([*bases[:1], *wide])
        end = max([slab.base + EXCEPTION_SIZE * slab.count for slab in slabs[-1:]] + [address + 1 for address in wide])
        held: set[int] = set()
        waiting: list[int] = []
        looked_at = 0
        self._during = {}

        def note(view: Sequence[int]) -> None:
            nonlocal looked_at
            looked_at += len(view)
            for word in {word for word in view if lowest <= word < end}:
                if word not in held:
                    if word not in wide:
                        index = bisect_right(bases, word) - 1
                        if index < 0 or not _is_in(slabs[index], word):
                            continue
                    held.add(word)
                    waiting.append(word)

        cells[CELL_FAILED] = _UNTOUCHED
        try:
            for view in self._roots(low):
                note(view)
            while True:
                while waiting:
                    address = waiting.pop()
                    block = wide.get(address)
                    if block is not None:
                        note(block.cells[_VALUES : _VALUES + 2 * block.cells[_COUNT] : 2])
                        continue
                    slab = slabs[bisect_right(bases, address) - 1]
                    at = address - slab.base >> 3
                    # What is free has something else there.
                    count = min(slab.cells[at + _COUNT], EXCEPTION_ROOM)
                    note(slab.cells[at + _VALUES : at + _VALUES + 2 * count : 2])
                note([*self._during])
                if not waiting:
                    break
            if cells[CELL_FAILED] != _UNTOUCHED:
                return None
            return held, looked_at
        finally:
            cells[CELL_FAILED] = HOST_FAILURE

    def _roots(self, low: int) -> Iterator[Sequence[int]]:
        """Words among which are all addresses of objects that are held, other than by objects."""
        cells = self._cells
        store = self._store
        top = cells[CELL_SAVED_SP]
        if top:
            outer = backend(HOST).processor.OUTER_ENTRY
            while True:
                next_top = words(top + outer, top + outer + 8)[0]
                if not next_top:
                    break
                top = next_top
            yield words(low & -8, top)
            yield self._registers.cells
        yield cells[CELL_RESULTS : CELL_RESULTS + 2 * min(cells[CELL_THROWN_COUNT], MAX_RESULTS) : 2]
        yield (cells[CELL_THROWN],)
        yield cells[CELL_CELLS : CELL_CELLS + (cells[CELL_CELLS_TOP] - store._block.stack_base >> 3)]
        yield store._area.cells
        yield self.given
        yield from self.results
        yield [*self._fresh]
        handles = self._handles
        held = []
        for address in [*handles]:
            # In these lines nothing is called, so nobody takes a handle meanwhile.
            if handles[address]:
                held.append(address)
            else:
                del handles[address]
        yield held
        for table in [*store._tables]:
            if table._type.element.code in _TYPES:
                yield from pieces(table._cells[: table._size])
        for variable in [*store._globals]:
            if variable._type.content.code in _TYPES:
                yield (variable.raw,)
        for instance in [*store._instances]:
            info, layout = instance._module.info, instance._module.layout
            for index, type_ in enumerate(info.globals):
                if type_.content.code in _TYPES and not layout.global_by_pointer(index):
                    yield (instance._cells[layout.global_(index) >> 3],)


def _is_in(slab: _Slab, address: int) -> bool:
    """Whether an object of the slab has this address, which is not below the first one's."""
    offset = address - slab.base
    return not offset % EXCEPTION_SIZE and offset < EXCEPTION_SIZE * slab.count


def _chain_free(slabs: Sequence[_Slab], held: Sequence[int], budget: int) -> tuple[int, int]:
    """Make a list of at most so many objects that are not held, of those of the slabs: the first one, and how many are
    missing. ``held`` is in order, like the slabs.
    """
    first = position = 0
    for slab in slabs:
        end = slab.base + EXCEPTION_SIZE * slab.count
        after = bisect_left(held, end, position)
        start = 0
        for address in [*held[position:after], end]:
            index = (address - slab.base) // EXCEPTION_SIZE
            if index > start:
                stop = min(index, start + budget)
                first = slab.chain(start, stop, first)
                budget -= stop - start
                if not budget:
                    return first, 0
            start = index + 1
        position = after
    return first, budget
