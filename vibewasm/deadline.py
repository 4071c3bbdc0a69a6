"""Time limits: a thread that waits, and interrupts the store when the time is over."""

from __future__ import annotations

from _thread import TIMEOUT_MAX, allocate_lock, start_new_thread

from .errors import not_copied

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from .store import Store


class Deadline:
    """A context manager: see :meth:`vibewasm.Store.deadline`."""

    __slots__ = ("_active", "_lock", "_seconds", "_store")

    __reduce_ex__ = not_copied

    def __init__(self, store: Store, seconds: float | None) -> None:
        self._store = store
        self._seconds = _checked(seconds)
        self._active = False
        self._lock = allocate_lock()

    def __enter__(self) -> Deadline:
        if self._active:
            raise RuntimeError("this deadline is in use already")
        self._store._check_open()
        if self._seconds is not None:
            self._active = True
            if self._seconds <= 0:
                self._expire()
            else:
                self._lock.acquire()
                start_new_thread(self._wait, (min(self._seconds, TIMEOUT_MAX),))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._active = False
        self._store._reasons.pop(self, None)
        if self._lock.locked():
            self._lock.release()

    def _wait(self, seconds: float) -> None:
        if self._lock.acquire(timeout=seconds):
            # The block came to its end in time. Free again, the deadline can be used once more.
            self._lock.release()
        else:
            self._expire()

    def _expire(self) -> None:
        store = self._store
        message = f"stopped by a deadline of {self._seconds:g} seconds"
        # No call lies between the check and the entry, so the block cannot end in between.
        if self._active:
            store._reasons[self] = message
        store._block.interrupt()


def _checked(seconds: object) -> float | None:
    """A number of seconds, or ``None`` where it sets no limit."""
    if seconds is None:
        return None
    kind = type(seconds)
    if kind is bool or not (hasattr(kind, "__float__") or hasattr(kind, "__index__")):
        from .arguments import wrong

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
