"""Python objects that wasm code holds as externref: a handle is a number that stands for an object, and 0 is null.

**When objects are let go.** Only :meth:`References.sweep` forgets objects, and it may run only while no wasm code of
the store is active: an activation keeps handles in registers and frames, which nobody looks through. So objects are
counted as they are handed in. When there were so many that looking through everything pays, the store's next outermost
call begins with that, whatever its signature (``Store._state`` says how it gets to know). The budget grows with what
stays and with what has to be looked at, so the cost of all sweeps together is linear in what was handed in. Within one
call nothing can be let go; there a limit stops what goes on.

**Several threads.** A sweep must not drop an object between the moment when it got a handle and the moment when the
handle is written. So both are done by whoever has taken the store, as a call does (``Store._alone``), and by no two
threads at once.
"""

from __future__ import annotations

from ..errors import ReferenceLimit, guest_work
from ..types import EXNREF, EXTERNREF

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from ..api.instance import Instance
    from ..api.store import Store
    from .exceptions import Exceptions

#: So many objects may be handed in before a sweep, however few there are.
SMALLEST_BUDGET = 256
#: Cells that are looked at for each object that is handed in, at most. A cell takes a tenth of the time of an object.
_CELLS_PER_OBJECT = 8
#: Near the limit a sweep is worth it when so much of what stayed, at least, has been handed in.
_LEAST_PART = 16
#: Cells of a table that are looked at in one step, and those of which as many as this are passed over as null.
_PIECE = 1 << 14
_PASSED = 1 << 8


class References:
    """The objects of one store that have handles. An object has one handle, however often it is passed, while it is
    held. No handle is given out twice.

    Args:
        state: the store's state, of which ``due`` takes the place of the right to start a call when it is time for a
            sweep.
        due: what nobody takes for that right.
        limit: how many objects there may be.

    Attributes:
        left: how many more objects may be handed in until a sweep is due.
        given: handles that Python code has as bare numbers: the results of the last ``call_raw``.
    """

    __slots__ = ("_due", "_handles", "_limit", "_numbers", "_objects", "_state", "given", "left")

    def __init__(self, state: list[Any], due: object, limit: int) -> None:
        self._objects: dict[int, object] = {}
        #: Handles by the id of the object, which is kept alive by the entry in the other dictionary.
        self._handles: dict[int, int] = {}
        self._numbers = iter(range(1, 1 << 62))
        self._state = state
        self._due = due
        self.given: Sequence[int] = ()
        self._limit = limit
        self.left = self._budget(0)

    def __len__(self) -> int:
        return len(self._handles)

    @property
    def full(self) -> bool:
        """Whether there are as many objects as there may be."""
        return len(self._handles) >= self._limit

    @property
    def limit(self) -> int:
        """How many objects there may be."""
        return self._limit

    @limit.setter
    def limit(self, limit: int) -> None:
        self._limit = limit
        # What is there counts as handed in, so that a lower limit leads to a sweep in time.
        self.left = min(self.left, max(1, (limit - len(self._handles)) // 2))

    def handle_of(self, item: object) -> int:
        """The handle of an object that is not ``None``.

        Raises:
            ReferenceLimit: there are as many as there may be.
        """
        handles = self._handles
        key = id(item)
        handle = handles.get(key)
        if handle is None:
            if self.full:
                # What is not held by then makes room for the next call.
                self.left = 0
                self._ask_for_sweep()
                raise ReferenceLimit(
                    f"more than {self._limit} objects would be held as externref: Store.max_references allows no "
                    "more. Let go of some in tables and globals, or allow more with Config(max_references=...)"
                )
            handle = handles[key] = next(self._numbers)
            self._objects[handle] = item
            self.left -= 1
            if self.left <= 0:
                self._ask_for_sweep()
        return handle

    def _ask_for_sweep(self) -> None:
        # In these lines nothing is called, so no other thread comes in between.
        state = self._state
        if state[1] is not None:
            state[3] = self._due
            if state[0] is not None:
                state[0] = self._due

    def object_at(self, handle: int) -> object:
        """The object that has a handle, or ``None`` where it has been let go."""
        return self._objects.get(handle)

    def knows(self, handle: int) -> bool:
        """Whether this is the handle of an object."""
        return handle in self._objects

    def sweep(self, store: Store) -> list[object]:
        """Forget all objects that are not held in the store; give them back, so that their finalisers run when the
        caller is ready.
        """
        handles, objects = self._handles, self._objects
        held = set(self.given)
        looked_at = 0
        dropped: list[object] = []
        try:
            looked_at = guest_work(store, "looking for objects that are held", _look, store, held)
            for key, handle in [*handles.items()]:
                if handle not in held:
                    # Whatever breaks this off, an object that is still known is known in both places.
                    dropped.append(objects[handle])
                    del objects[handle]
                    del handles[key]
        finally:
            self.left = self._budget(looked_at)
        return dropped

    def _budget(self, looked_at: int) -> int:
        kept = len(self._handles)
        budget = max(SMALLEST_BUDGET, kept, looked_at // _CELLS_PER_OBJECT)
        room = (self._limit - kept) // 2
        return min(budget, max(room, kept // _LEAST_PART, 1))


def _look(store: Store, held: set[int]) -> int:
    """Add the handles in tables, globals and exceptions to a set, and say how many places were looked at.

    Element segments hold none: what their items name are immutable globals.
    """
    looked_at = len(store._globals)
    exceptions: set[int] = set()
    for table in store._tables:
        among = _among(table._type.element.code, held, exceptions)
        if among is not None:
            for piece in pieces(table._cells[: len(table)]):
                among.update(piece)
                looked_at += len(piece)
    for variable in store._globals:
        among = _among(variable._type.content.code, held, exceptions)
        if among is not None:
            among.add(variable.raw)
    for instance in store._instances:
        globals_ = instance.module.info.globals
        looked_at += 1 + len(globals_)
        for index, type_ in enumerate(globals_):
            among = _among(type_.content.code, held, exceptions)
            if among is not None:
                among.add(instance._global(index).raw)
    if store._exceptions is not None:
        looked_at += _look_at_exceptions(store, store._exceptions, exceptions, held)
    return looked_at


def pieces(cells: memoryview) -> Iterator[memoryview]:
    """The cells of a table, as pieces that take a millisecond at most: looking at them can be cut short in between.

    Most of a large table is null. Of a piece that is null, there are only as many cells here as are looked at in the
    time that it takes to find that out.
    """
    for start in range(0, len(cells), _PIECE):
        piece = cells[start : start + _PIECE]
        yield piece if piece.tobytes().rstrip(b"\0") else piece[:_PASSED]


def _among(code: int, objects: set[int], exceptions: set[int]) -> set[int] | None:
    """Which of the two sets a value of this type belongs to, if any."""
    if code == EXTERNREF:
        return objects
    if code <= EXTERNREF:
        return None
    from ..reference_types import top  # few stores get here

    kind = top(code)
    return objects if kind == EXTERNREF else exceptions if kind == EXNREF else None


def _look_at_exceptions(store: Store, exceptions: Exceptions, found: set[int], held: set[int]) -> int:
    """Add the handles among the values of exceptions to a set: those of exceptions that were found in tables and
    globals, that Python code refers to, and that these carry in turn. It gives how many places were looked at.
    """
    found.update(exceptions.named())
    found.discard(0)
    waiting = [*found]
    looked_at = 0
    types: dict[int, tuple[int, ...]] = {}
    for address in waiting:
        tag = exceptions.tag_of(address)
        params = types.get(tag)
        if params is None:
            params = types[tag] = _type_of_tag(store, tag)
        looked_at += 1 + len(params)
        carried: set[int] = set()
        if any(code >= EXTERNREF for code in params):
            for code, bits in zip(params, exceptions.values_of(address, params), strict=True):
                among = _among(code, held, carried)
                if among is not None:
                    among.add(bits)
        carried -= found
        carried.discard(0)
        found |= carried
        # What is added meanwhile is looked at, too.
        waiting += carried
    return looked_at


def _type_of_tag(store: Store, address: int) -> tuple[int, ...]:
    """What exceptions with the tag at an address carry."""
    known = store._tags.get(address)
    if known is not None:
        return known._type.func.param_codes
    instance, index = defined_tag(store, address)
    return instance.module.info.tags[index].func.param_codes


def defined_tag(store: Store, address: int) -> tuple[Instance, int]:
    """The instance that defines the tag at an address, and the tag's index in it.

    Raises:
        KeyError: no instance of the store does.
    """
    for instance in store._instances:
        info = instance.module.info
        offset = address - instance._address - instance.module.layout.tags
        if 8 * info.imported_tags <= offset < 8 * len(info.tags):
            return instance, offset >> 3
    raise KeyError(address)
