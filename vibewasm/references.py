"""Python objects that wasm code holds as externref: a handle is the index of the object in a list, and 0 is null."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

#: Handles are looked through when there are so many, and when there are twice as many as the last time left.
SWEEP_AT = 10_000


class References:
    """The objects of one store that have handles.

    An object gets one handle, however often it is passed. Handles that no table or global holds are given back by
    :meth:`sweep`, which the store calls from time to time while no wasm code is active: then nothing else can hold one.
    """

    __slots__ = ("_free", "_handles", "_objects", "sweep_at")

    def __init__(self) -> None:
        self._objects: list[object] = [None]
        #: Handles by the id of the object; the list keeps the object, and with it the id.
        self._handles: dict[int, int] = {}
        self._free: list[int] = []
        self.sweep_at = SWEEP_AT

    def __len__(self) -> int:
        return len(self._handles)

    def handle_of(self, item: object) -> int:
        """The handle of an object that is not ``None``."""
        handle = self._handles.get(id(item))
        if handle is None:
            if self._free:
                handle = self._free.pop()
                self._objects[handle] = item
            else:
                handle = len(self._objects)
                self._objects.append(item)
            self._handles[id(item)] = handle
        return handle

    def object_at(self, handle: int) -> object:
        """The object that has a handle."""
        return self._objects[handle]

    def knows(self, handle: int) -> bool:
        """Whether this is a handle that some object has, or had."""
        return 0 < handle < len(self._objects)

    def sweep(self, held: Iterable[int]) -> None:
        """Forget all objects whose handles are not among ``held``."""
        keep = set(held)
        objects = self._objects
        dropped = []
        for key, handle in list(self._handles.items()):
            if handle not in keep:
                del self._handles[key]
                self._free.append(handle)
                dropped.append(objects[handle])
                objects[handle] = None
        self.sweep_at = max(SWEEP_AT, 2 * len(self._handles))
        # Only now, since finalisers may run and come back here.
        dropped.clear()
