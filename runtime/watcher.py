"""The watcher: a thread that exists while wasm code runs for longer than a moment.

CPython notes a signal at once and calls its Python handler later, between two steps of Python code in the main thread.
There are none while wasm code runs. So a few times in 100 ms the watcher has the main thread's wasm code call the poll
callback, which is Python code: a pending handler runs there, whichever signal it is for. If it raises, the call ends
with its exception, else wasm code goes on. The watcher also sees to it that no handler of faults that C code has
installed meanwhile stays above ours. Once a second it does what else there is to do while wasm code runs.

No path of a call starts it. A store's interrupt word begins with INTERRUPT_WATCH, so the first loop or the first check
of the stack calls the poll callback, which starts the watcher if there is none. When no wasm code has run for a second
it ends, and sets that bit again in all stores. So where nothing runs there is no thread, and a program of short calls
pays for a poll once in a while.

An interpreter has its own watcher. Signals are for the main thread of the main interpreter; a subinterpreter's watcher
looks after faults alone.
"""

from __future__ import annotations

import _thread
import atexit

from . import calls, context, faults, system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: From one look to the next, in seconds: signals are delivered within 100 ms, and this leaves time for a busy machine.
INTERVAL = 0.04
#: So many looks that find nothing running end the watcher.
PATIENCE = 25
#: How long a fork waits for the watcher, in seconds. It takes longer only if whoever forks has kept it from looking.
_FORK_PATIENCE = 0.5
#: How long the end of the interpreter waits for a thread that was started a moment ago to begin, in milliseconds.
_START_PATIENCE = 1000


#: What else is to be done once a second while wasm code runs, and after it until there is nothing left to do: each says
#: whether there is. It takes a few milliseconds at most.
once_a_second: list[Callable[[], bool]] = []


class NoThread(Exception):
    """There can be no more threads: the process may have no more, or the interpreter is being taken down."""


def _is_refusal(error: RuntimeError) -> bool:
    """Whether it says that there can be no thread. A signal's handler may raise anything at the same place, which has
    the handler's frame.
    """
    traceback = error.__traceback__
    return traceback is not None and traceback.tb_next is None and not isinstance(error, RecursionError)


class _Watcher:
    """What there is one of in the interpreter.

    Whoever starts a thread changes nothing here, since a signal's handler may end the start at any point. The thread
    itself notes that it runs, and ends at once if another one does.
    """

    def __init__(self) -> None:
        #: Held by the thread that watches.
        self.running = _thread.allocate_lock()
        #: Released to end it.
        self.wanted = _thread.allocate_lock()
        #: How many threads were started, or would have been if nothing had come in between, and how many have begun.
        self.started = self.begun = 0
        #: Of those that have begun: what can be waited for until the interpreter has nothing to do with them any more.
        self.gone: list[Any] = []
        #: The interpreter ends: no more threads.
        self.over = False

    def start(self) -> None:
        """Start a thread.

        Raises:
            NoThread: there can be no more.
        """
        self.started += 1
        try:
            if _set_sentinel is None:
                self._start_joinable()
            else:
                try:
                    _thread.start_new_thread(self.run, ())
                except RuntimeError as error:
                    if _is_refusal(error):
                        raise NoThread(str(error)) from None
                    raise
        except NoThread:
            self.started -= 1
            raise

    def _start_joinable(self) -> None:
        """Start a thread, from Python 3.13 on. Raises :class:`NoThread`."""
        start = _thread.start_joinable_thread  # type: ignore[attr-defined]  # the types are of an older Python
        handle = _thread._ThreadHandle()  # type: ignore[attr-defined]  # the same
        try:
            start(lambda: self.run(handle), handle=handle)
            return
        except RuntimeError as error:
            if not _is_refusal(error):
                raise
        # Isolated subinterpreters have only threads that are waited for.
        handle = _thread._ThreadHandle()  # type: ignore[attr-defined]  # as above
        try:
            start(lambda: self.run(handle), handle=handle, daemon=False)
        except RuntimeError as error:
            if _is_refusal(error):
                raise NoThread(str(error)) from None
            raise

    def run(self, gone: Any = None) -> None:
        """What the thread does."""
        if _set_sentinel is not None:
            gone = _set_sentinel()
            gone.acquire()
        self.gone = [other for other in self.gone if not _is_done(other)] + [gone]
        self.begun += 1
        if not self.running.acquire(blocking=False):
            return
        try:
            self.wanted.acquire(blocking=False)
            context.watched[0] = True
            idle = looks = 0
            while idle < PATIENCE and not self.over and not self.wanted.acquire(timeout=INTERVAL):
                idle = 0 if context.wake(calls.signals_thread[0]) else idle + 1
                faults.look_again()
                looks += 1
                if looks % PATIENCE == 0 or idle == PATIENCE:
                    left = [task() for task in [*once_a_second]]
                    if any(left):
                        idle = 0
        finally:
            # In this order: whoever polls after the first line starts another one, and who has polled before it will
            # poll again because of the third.
            context.watched[0] = False
            self.running.release()
            context.watch_all()

    def stop(self, patience: float = -1) -> None:
        """End the thread, and wait until it is gone, at most ``patience`` seconds."""
        if context.watched[0] and self.wanted.locked():
            try:
                self.wanted.release()
            except RuntimeError:
                # Somebody else has been faster.
                pass
        for gone in self.gone:
            if _set_sentinel is None:
                gone.join(None if patience < 0 else patience)
            elif gone.acquire(timeout=patience):
                gone.release()

    def end(self) -> None:
        """End the thread for good."""
        self.over = True
        pause = _thread.allocate_lock()
        pause.acquire()
        for _ in range(_START_PATIENCE):
            if self.begun == self.started:
                break
            pause.acquire(timeout=0.001)
        self.stop()


def _is_done(gone: Any) -> bool:
    done: bool = gone.is_done() if _set_sentinel is None else not gone.locked()
    return done


# What threading has for the same: a lock says that a thread is gone from the interpreter up to Python 3.12, a handle
# from 3.13 on. Whoever ends a subinterpreter has to know; that the thread's function is over is not enough.
_set_sentinel = getattr(_thread, "_set_sentinel", None)
_watcher = _Watcher()


def start() -> None:
    """Have a watcher; there may be one.

    Raises:
        NoThread: there can be no more threads.
    """
    if not context.watched[0] and not _watcher.over:
        _watcher.start()


def at_exit() -> None:
    """End the thread, before the interpreter takes apart what it uses."""
    _watcher.end()


def _before_fork() -> None:
    # A child is a copy of one thread; Python from 3.12 on warns where there are others. The next code that runs for
    # long starts a new watcher, in the parent and in the child.
    _watcher.stop(_FORK_PATIENCE)


def _in_child() -> None:
    global _watcher
    over = _watcher.over
    _watcher = _Watcher()
    _watcher.over = over
    context.watched[0] = False
    context.watch_all()


atexit.register(at_exit)
system.at_fork(_in_child, _before_fork)
