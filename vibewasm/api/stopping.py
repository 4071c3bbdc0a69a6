"""Cutting short what the engine computes on a guest's behalf: decoding, compiling, filling tables and so on.

Wasm code asks now and then whether it has to stop, and so does what waits. What is Python code without end, more or
less, as the compiler is on a hostile module, is not to ask at each step. It is registered while it runs
(:func:`vibewasm.errors.guest_work`), and another thread, that of the deadline, has CPython raise an exception in it
(``PyThreadState_SetAsyncExc``).

**Where it comes up.** A thread notices such an exception where it would also let others run: when something is called,
and when a loop goes round. Nearly always it stands there when another thread runs Python code, so the exception comes
up where the thread stands. So the stack of the thread is looked at before: the exception is sent only where all its
functions, down to the registered work, are the engine's own, and none of them loads a module or is a finaliser. A host
function, a signal's handler, a finaliser of the program and the import of a module are waited for instead. If the
thread stands in a C function that lets others run, which in such work hardly any does, the exception comes up when that
is over, at the latest before the work is over: its end takes back what has not come up.
"""

from __future__ import annotations

import gc
import sys
from _thread import RLock, allocate_lock, start_new_thread
from time import monotonic

from ..errors import Cut, Interrupted, Work, deadlines_here, registered, works
from ..runtime.code_memory import CodeMemory
from ..runtime.ffi import PYFUNCTYPE, c_int, c_library, c_size_t, py_object

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any, TypeVar

    from .store import Store

    Result = TypeVar("Result")

#: Seconds from one look to the next, at first and at most: so late is what has to stop noticed.
SHORTEST, LONGEST = 0.002, 0.02
#: Seconds after which an exception is sent again to work that goes on nevertheless. What is done at the end of what was
#: left, as in ``finally``, takes less.
_AGAIN = 0.05

_send = PYFUNCTYPE(c_int, c_size_t, py_object)(("PyThreadState_SetAsyncExc", c_library()))

_PACKAGE = __name__.partition(".")[0] + "."
_WORK = registered.__code__
_COLLECTS_ANYWHERE = sys.version_info < (3, 12)
#: Functions that are waited for, since they are short and what they leave half done would stay so.
_WHOLE = {CodeMemory.publish.__code__}


def _undo(thread: int) -> None:
    """Have what was sent to this thread and has not come up yet come up here.

    It could be taken back as well, but CPython would go on looking for it at every step for ever, and with a trace
    function never get anywhere. There is one at most, so what is sent here takes its place.
    """
    try:
        _send(thread, Cut)
        for _ in "ab":
            pass
    except Cut:
        pass


def _may_cut(top: FrameType) -> bool:
    """Whether a thread that stands here is in work that may be left where it is."""
    frame: FrameType | None = top
    while frame is not None:
        code = frame.f_code
        if code is _WORK:
            return True
        name = frame.f_globals.get("__name__")
        if (
            not isinstance(name, str)
            or not name.startswith(_PACKAGE)
            or code.co_name in ("__del__", "<module>")
            or code in _WHOLE
        ):
            return False
        frame = frame.f_back
    return False


def _cut(thread: int, work: Work) -> None:
    """Cut work short if it can be at this moment."""
    top = sys._current_frames().get(thread)
    if top is None:
        # It was a thread of the process that this one was forked from.
        works.pop(thread, None)
        return
    at = top.f_lasti
    if not _may_cut(top):
        return
    now = monotonic()
    if now < work.again:
        return
    # The collector runs where objects are made, in Python 3.11, and what it calls might let the thread run.
    collecting = _COLLECTS_ANYWHERE and gc.isenabled()
    if collecting:
        gc.disable()
    try:
        # The thread may have run meanwhile, and be elsewhere. Nothing is called from here to the sending, so it cannot
        # run any more.
        if thread in works and works[thread] is work and top.f_lasti == at:
            work.again = now + _AGAIN
            work.undo = _undo
            _send(thread, Cut)
    finally:
        if collecting:
            gc.enable()


def _goes_on(work: Work) -> bool:
    return monotonic() < work.until if work.until else work.reason() is None


def cut_all() -> bool:
    """Cut short all work that has to stop, and say whether there is any."""
    found = False
    for thread, work in [*works.items()]:
        if _goes_on(work):
            continue
        found = True
        _cut(thread, work)
    return found


def cut_until_done() -> None:
    """Have a thread cut short what has to stop now, until nothing is left of it. Where there can be no thread, what is
    computed goes on until it is done.
    """
    try:
        start_new_thread(_cut_until_done, ())
    except RuntimeError:
        pass


def _cut_until_done() -> None:
    pause = allocate_lock()
    pause.acquire()
    while cut_all():
        pause.acquire(timeout=SHORTEST)


def within(seconds: float, function: Callable[..., Result], *arguments: Any) -> Result | None:
    """What a function gives that computes something on a guest's behalf; ``None`` where it takes longer than it may,
    whatever else has to stop.
    """
    if seconds <= 0:
        return None
    work = Work(None, (), monotonic() + seconds)
    try:
        start_new_thread(_wait_for, (work, seconds))
    except RuntimeError:
        return None
    try:
        return registered(work, function, *arguments)
    except Cut:
        return None
    finally:
        work.until = 0.0


def _wait_for(work: Work, seconds: float) -> None:
    pause = allocate_lock()
    pause.acquire()
    pause.acquire(timeout=seconds)
    while work.until:
        cut_all()
        pause.acquire(timeout=SHORTEST)


def wait_for(lock: RLock, store: Store | None) -> None:
    """Wait until another thread that compiles gives its lock back. Raises :class:`Interrupted` where a deadline, or the
    store, allows no more.
    """
    work = Work(store, deadlines_here[0]() if deadlines_here else ())
    if not given_back(lock, work):
        error = (store and store._interrupted()) or Interrupted(work.reason() or "interrupted")
        error._while("waiting for another thread to compile")
        raise error


def given_back(lock: RLock, work: Work) -> bool:
    """Wait until another thread gives back a lock that this one does not have, but no longer than work may go on:
    whether it has.
    """
    try:
        while not lock.acquire(timeout=LONGEST):
            if not _goes_on(work):
                return False
        return True
    finally:
        # A signal's handler may raise right after it was taken.
        if lock._is_owned():  # type: ignore[attr-defined]  # what threading.Condition asks, too
            lock.release()
