"""Time limits: a thread that waits, and interrupts the store when the time is over.

A forked child has none of its parent's threads, so it starts another one for each deadline in whose block it is.
"""

from __future__ import annotations

from _thread import TIMEOUT_MAX, LockType, allocate_lock, get_ident, start_new_thread
from time import monotonic

from ..errors import not_copied
from ..runtime import system
from ..runtime.context import CELL_THREAD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from .store import Store

#: Those that a thread waits for.
_waiting: dict[Deadline, None] = {}


class Deadline:
    """A context manager: see :meth:`vibewasm.Store.deadline`."""

    __slots__ = ("_active", "_lock", "_seconds", "_store", "_thread", "_until")

    __reduce_ex__ = not_copied

    def __init__(self, store: Store, seconds: float | None) -> None:
        self._store = store
        self._seconds = _checked(seconds)
        self._active = False
        #: Held as long as the thread has to wait. Each use has its own, so that no thread of an earlier one, which may
        #: not have noticed its end yet, goes on waiting.
        self._lock = allocate_lock()
        #: The thread that the block runs in, and when the time is over.
        self._thread = 0
        self._until = 0.0

    def __enter__(self) -> Deadline:
        if self._active:
            raise RuntimeError("this deadline is in use already")
        self._store._check_open()
        if self._seconds is not None:
            self._thread = get_ident()
            self._until = monotonic() + self._seconds
            self._active = True
            try:
                self._start(self._seconds)
            except BaseException:
                self.__exit__(None, None, None)
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._active = False
        _waiting.pop(self, None)
        self._store._reasons.pop(self, None)
        if self._lock.locked():
            self._lock.release()

    def _start(self, seconds: float) -> None:
        """Interrupt the store in so many seconds, or at once."""
        lock = self._lock = allocate_lock()
        if seconds <= 0:
            self._expire(lock, self._message())
        else:
            lock.acquire()
            _waiting[self] = None
            start_new_thread(self._wait, (lock, min(seconds, TIMEOUT_MAX)))

    def _wait(self, lock: LockType, seconds: float) -> None:
        # If the lock is free the block has come to its end in time.
        if not lock.acquire(timeout=seconds):
            self._expire(lock, self._message())

    def _message(self) -> str:
        return f"stopped by a deadline of {self._shown()}"

    def _shown(self) -> str:
        from ..counting import counted

        seconds = self._seconds
        assert seconds is not None
        return counted(seconds, "second", "g")

    def __repr__(self) -> str:
        limit = "without a limit" if self._seconds is None else f"of {self._shown()}"
        return f"<vibewasm.Deadline {limit}{', in use' if self._active else ''}>"

    def _expire(self, lock: LockType, message: str) -> None:
        store = self._store
        # No call lies between the check and the entry, so the block cannot end in between.
        if self._active and self._lock is lock:
            store._reasons[self] = message
            _waiting.pop(self, None)
            store._block.interrupt()

    def _go_on(self, thread: int) -> None:
        """In a forked child, whose only thread this is."""
        if thread not in (self._thread, self._store._cells[CELL_THREAD]):
            # Neither the block nor code of the store runs here.
            _waiting.pop(self, None)
            return
        try:
            self._start(self._until - monotonic())
        except RuntimeError as error:
            # Code without a limit would be worse than none.
            self._expire(self._lock, f"{self._message()}, which a forked process cannot keep ({error})")


def stop(store: Store, owner: object, message: str) -> None:
    """Stop whatever runs in a store until :func:`go_on` is called for this owner. Any thread may call this."""
    store._reasons[owner] = message
    store._block.interrupt()


def go_on(store: Store, owner: object) -> None:
    """What this owner has stopped may run again."""
    store._reasons.pop(owner, None)


def _in_child() -> None:
    thread = get_ident()
    for deadline in [*_waiting]:
        deadline._go_on(thread)


system.at_fork(_in_child)


def _checked(seconds: object) -> float | None:
    """A number of seconds, or ``None`` where it sets no limit."""
    if seconds is None:
        return None
    kind = type(seconds)
    if kind is bool or not (hasattr(kind, "__float__") or hasattr(kind, "__index__")):
        from ..arguments import wrong

        advice = "its total_seconds() is one" if hasattr(kind, "total_seconds") else ""
        raise wrong("Store.deadline", "seconds", "a number or None", seconds, advice)
    try:
        value = float(seconds)  # type: ignore[arg-type]  # looked at above
    except OverflowError:
        # An int that no float can be: longer than for ever, or over long ago.
        return None if seconds > 0 else 0.0  # type: ignore[operator]  # an int
    if value != value:
        raise ValueError("Store.deadline: seconds has to be a number, and NaN is none; None sets no limit")
    return None if value == float("inf") else value
