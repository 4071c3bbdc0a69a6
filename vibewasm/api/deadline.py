"""Time limits: a thread that waits, and stops what runs on a guest's behalf when the time is over.

A deadline of a store stops the store, in whatever thread it runs, and what is done for no store yet in the block of the
deadline, as decoding a module. One of no store stops all that is done in its block. Which block that is, a context
variable says: so each task of an event loop has deadlines of its own, and calls that it awaits have them too.

A forked child has none of its parent's threads, so it starts another one for each deadline in whose block it is.
"""

from __future__ import annotations

from _contextvars import ContextVar
from _thread import TIMEOUT_MAX, LockType, allocate_lock, get_ident, start_new_thread
from time import monotonic

from ..errors import deadlines_here, not_copied, works
from ..runtime import context, system
from ..runtime.context import CELL_THREAD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from .store import Store

#: Those that a thread waits for.
_waiting: dict[Deadline, None] = {}
#: Those in whose blocks the caller is, the outermost first.
_here: ContextVar[tuple[Deadline, ...]] = ContextVar("vibewasm deadlines", default=())
deadlines_here.append(_here.get)


class Deadline:
    """A context manager: see :func:`vibewasm.deadline` and :meth:`vibewasm.Store.deadline`.

    Attributes:
        store: what it stops; ``None`` for all that is done in its block.
        over: why that has to stop, once the time is over.
    """

    __slots__ = ("_active", "_lock", "_seconds", "_thread", "_until", "over", "store")

    __reduce_ex__ = not_copied

    def __init__(self, store: Store | None, seconds: float | None) -> None:
        self.store = store
        self.over: str | None = None
        self._seconds = checked("vibewasm.deadline" if store is None else "Store.deadline", seconds)
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
        if self.store is not None:
            self.store._check_open()
        if self._seconds is not None:
            self._thread = get_ident()
            self._until = monotonic() + self._seconds
            self._active = True
            try:
                _here.set((*_here.get(), self))
                self._start(self._seconds)
            except BaseException:
                self.__exit__(None, None, None)
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._active = False
        self.over = None
        _waiting.pop(self, None)
        if self.store is not None:
            self.store._reasons.pop(self, None)
        if self._lock.locked():
            self._lock.release()
        _here.set(tuple([deadline for deadline in _here.get() if deadline is not self]))

    @property
    def until(self) -> float:
        """When the time is over, by :func:`time.monotonic`, while its block runs."""
        return self._until

    @property
    def seconds(self) -> float | None:
        """How long what is done in its block may take."""
        return self._seconds

    def _start(self, seconds: float) -> None:
        """Have what it stops stop in so many seconds, or at once."""
        lock = self._lock = allocate_lock()
        if seconds <= 0:
            self._expire(lock, self.message())
            if self.store is not None:
                # What begins looks whether it has to stop, and what runs was told.
                return
        lock.acquire()
        _waiting[self] = None
        start_new_thread(self._wait, (lock, min(max(seconds, 0), TIMEOUT_MAX)))

    def _wait(self, lock: LockType, seconds: float) -> None:
        # If the lock is free the block has come to its end in time.
        if lock.acquire(timeout=seconds):
            return
        self._expire(lock, self.message())
        from . import stopping

        pause = stopping.SHORTEST
        while True:
            if self.store is None:
                # Nobody knows what runs in the block, but all that runs can look whose deadline is over.
                context.wake_all()
            stopping.cut_all()
            if lock.acquire(timeout=pause):
                return
            pause = min(2 * pause, stopping.LONGEST)

    def message(self) -> str:
        """Why what it stops is stopped."""
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
        store = self.store
        # No call lies between the check and the entries, so the block cannot end in between: it takes them back.
        if self._active and self._lock is lock:
            self.over = message
            if store is not None:
                store._reasons[self] = message
                _waiting.pop(self, None)
                store._block.interrupt()

    def _go_on(self, thread: int) -> None:
        """In a forked child, whose only thread this is."""
        store = self.store
        if thread != self._thread and (store is None or thread != store._cells[CELL_THREAD]):
            # Neither the block nor code of the store runs here.
            _waiting.pop(self, None)
            return
        try:
            self._start(self._until - monotonic())
        except RuntimeError as error:
            # Code without a limit would be worse than none.
            self._expire(self._lock, f"{self.message()}, which a forked process cannot keep ({error})")


def deadline(seconds: float | None) -> Deadline:
    """A context manager in whose block everything may take so long that is done on guests' behalf: decoding, checking
    and compiling modules, instantiating them, and running wasm code of any store. Then that raises
    :class:`Interrupted`, and so does whatever else of this kind is begun in the block.

    It is of the thread that the block runs in, and in a program of asyncio of the task. Of several deadlines, those of
    stores included, the one that is over first counts.

    ``None`` or infinity sets no limit, and with 0 or less the time is over at once. Python code of the program is not
    stopped, but what it calls of this kind is.

    Raises:
        TypeError: ``seconds`` is no number.
        ValueError: ``seconds`` is not a number (NaN).
        RuntimeError: when the block begins, there can be no more threads.
    """
    return Deadline(None, seconds)


def first_here() -> Deadline | None:
    """Of the deadlines in whose blocks the caller is, the one whose time is over first."""
    # A context may be a copy from the time when a block still ran.
    active = [deadline for deadline in _here.get() if deadline._active]
    return min(active, key=lambda deadline: deadline.until, default=None)


def stop(store: Store, owner: object, message: str) -> None:
    """Stop whatever runs in a store until :func:`go_on` is called for this owner. Any thread may call this."""
    store._reasons[owner] = message
    store._block.interrupt()
    if works:
        from .stopping import cut_until_done

        cut_until_done()


def go_on(store: Store, owner: object) -> None:
    """What this owner has stopped may run again."""
    store._reasons.pop(owner, None)


def _in_child() -> None:
    thread = get_ident()
    for other in [*works]:
        if other != thread:
            del works[other]
    for deadline in [*_waiting]:
        deadline._go_on(thread)


system.at_fork(_in_child)


def checked(where: str, seconds: object, parameter: str = "seconds") -> float | None:
    """A number of seconds, or ``None`` where it sets no limit."""
    if seconds is None:
        return None
    kind = type(seconds)
    if kind is bool or not (hasattr(kind, "__float__") or hasattr(kind, "__index__")):
        from ..arguments import wrong

        advice = "its total_seconds() is one" if hasattr(kind, "total_seconds") else ""
        raise wrong(where, parameter, "a number or None", seconds, advice)
    try:
        value = float(seconds)  # type: ignore[arg-type]  # looked at above
    except OverflowError:
        # An int that no float can be: longer than for ever, or over long ago.
        return None if seconds > 0 else 0.0  # type: ignore[operator]  # an int
    if value != value:
        raise ValueError(f"{where}: {parameter} has to be a number, and NaN is none; None sets no limit")
    return None if value == float("inf") else value
