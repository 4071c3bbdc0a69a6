"""Adapters of signatures beyond the usual ones, whose machine code is given back.

There is no end to signatures, and a module may bring any number of them. So these are published by the batch, each in
memory of its own, which goes when nobody has an adapter of the batch any more. The last batch stays, for more to come.
"""

from __future__ import annotations

from _weakref import ref

from .code_memory import CodeMemory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

#: Adapters in one batch.
_MOST = 64
#: Bytes that a batch has room for at first.
_HINT = 1 << 14


class Batch:
    """Some adapters, and the memory with their code, which lives as long as this object.

    Attributes:
        addresses: of each, by what it is.
    """

    __slots__ = ("__weakref__", "_memory", "addresses")

    def __init__(self, failure: type[Exception]) -> None:
        self._memory = CodeMemory(_HINT, traps=False, failure=failure)
        self.addresses: dict[tuple[object, ...], int] = {}

    def publish(self, key: tuple[object, ...], code: bytes) -> int:
        """Add an adapter."""
        address = self.addresses[key] = self._memory.publish(code)
        return address


class RareAdapters:
    """All batches that somebody needs.

    Args:
        failure: the exception to raise where executable memory cannot be had.
    """

    __slots__ = ("_failure", "_found", "_last")

    def __init__(self, failure: type[Exception]) -> None:
        self._failure = failure
        self._last: Batch | None = None
        #: The batch of each adapter.
        self._found: dict[tuple[object, ...], ref[Batch]] = {}

    def __len__(self) -> int:
        return len(self._found)

    def find(self, key: tuple[object, ...], make: Callable[[], bytes]) -> tuple[int, Batch]:
        """The address of an adapter, which is made if it is not there, and what has to live as long as it is used."""
        known = self._found.get(key)
        batch = known() if known is not None else None
        if batch is not None:
            return batch.addresses[key], batch
        code = make()
        batch = self._last
        if batch is None or len(batch.addresses) >= _MOST:
            batch = self._last = Batch(self._failure)
        # Two threads may come here at once: then there are two of it, and the one that is noted last is found.
        address = batch.publish(key, code)
        self._found[key] = ref(batch, self._forget(key))
        return address, batch

    def _forget(self, key: tuple[object, ...]) -> Callable[[ref[Batch]], None]:
        found = self._found

        def forget(gone: ref[Batch]) -> None:
            if found.get(key) is gone:
                found.pop(key, None)

        return forget
