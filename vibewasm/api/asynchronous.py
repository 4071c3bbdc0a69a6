"""Calls that an event loop awaits: what :meth:`vibewasm.Func.run_async` does. ``docs/asyncio.md`` has what it promises.

A call runs in a thread, one at a time in each store. :mod:`vibewasm.api.queues` decides which is next; here is what a
call does when it is its turn, and what passes between its thread and the event loop. Where a Python function that the
guest calls returns a coroutine, the thread hands it to the loop and waits. The calls that this coroutine makes, and
that would have to wait for this very call, run in the waiting thread, on top of it.
"""

from __future__ import annotations

import atexit
from _queue import Empty, SimpleQueue
from _thread import get_ident
from asyncio import CancelledError, get_running_loop
from contextvars import ContextVar, copy_context
from time import monotonic, sleep

from ..calls.area import current
from ..runtime import system
from .deadline import go_on, stop
from .queues import OVER, QUEUED, RUNNING, abandoned, locked, queues

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future, Task
    from collections.abc import Coroutine
    from typing import Any

    from .func import Func
    from .queues import Line, Pool
    from .store import Store

#: A waiting thread looks so often whether the loop is still there, in seconds; a loop that is found stopped twice has
#: not just been between two runs.
_LOOK = 0.1
#: How long the end of the process waits for calls that it has stopped, in seconds.
_LAST_WAIT = 2.0

#: The call whose coroutine runs in this context.
_caller: ContextVar[Call | None] = ContextVar("vibewasm.call", default=None)
#: Calls that run.
_running: set[Call] = set()


class Call:
    """One call.

    Attributes:
        func, arguments, named: what is called, and with what; the arguments are let go when it is over.
        store: whose call it is.
        loop: the event loop that awaits it.
        context: the context variables that it runs with, a copy of those where it was made.
        parent: the call whose coroutine made this one.
        made_in: the identity of the thread whose event loop awaits it.
        pool: where its thread comes from.
        line: the queue of its store, or ``None`` where it runs on top of another call of that store.
        state: how far it has come, a name of :mod:`vibewasm.api.queues`.
        stopped: whether it has been cancelled.
        awaited: the coroutine that it waits for.
        inbox: what its thread gets while it waits: calls to run meanwhile, and the coroutine itself when it is done.
        idle: whether its thread waits for what comes into the inbox, and does nothing else.
        wishes: calls that may run in its thread when it is idle, if their stores are free then.
        thread: the identity of its thread.
        error: what it raised.
        result: what it returned.
        waiter: what :meth:`outcome` waits for at the moment.
    """

    __slots__ = (
        "__weakref__",
        "arguments",
        "awaited",
        "context",
        "error",
        "func",
        "idle",
        "inbox",
        "line",
        "loop",
        "made_in",
        "named",
        "parent",
        "pool",
        "result",
        "state",
        "stopped",
        "store",
        "thread",
        "waiter",
        "wishes",
    )

    def __init__(self, func: Func, arguments: tuple[Any, ...], named: dict[str, Any], loop: AbstractEventLoop) -> None:
        self.func = func
        self.arguments = arguments
        self.named = named
        self.loop = loop
        self.store: Store = func._store
        self.parent = _caller.get()
        self.made_in = get_ident()
        self.context = copy_context()
        self.pool: Pool
        self.line: Line | None = None
        self.state = QUEUED
        self.stopped = False
        self.awaited: _Awaited | None = None
        self.inbox: SimpleQueue[Any] = SimpleQueue()
        self.idle = False
        self.wishes: dict[Call, None] = {}
        self.thread = 0
        self.error: BaseException | None = None
        self.result: Any = None
        self.waiter: Future[None] | None = None

    # -- in the call's thread ---------------------------------------------------------------------------------------

    def run(self) -> None:
        """Make the call, and say that it is over."""
        if not self._begin():
            return
        before, current.wait = current.wait, self._wait
        try:
            self.result = self.context.run(self.func, *self.arguments, **self.named)
        except BaseException as error:
            self.error = error
        finally:
            current.wait = before
        self._end()
        self.tell()

    @locked
    def _begin(self) -> bool:
        if self.stopped:
            return False
        self.state = RUNNING
        self.thread = get_ident()
        _running.add(self)
        return True

    @locked
    def _end(self) -> None:
        go_on(self.store, self)
        _running.discard(self)
        self.state = OVER
        self.arguments, self.named = (), {}
        queues.leave(self)

    def tell(self) -> None:
        """Have the event loop see that the call is over."""
        try:
            self.loop.call_soon_threadsafe(self._wake)
        except RuntimeError:
            # The loop is closed, so nobody awaits the call any more, and nobody ever will.
            pass

    def _wait(self, coroutine: Coroutine[Any, Any, Any], label: str) -> Any:
        """Have the event loop run a coroutine, and wait for what it returns."""
        context = copy_context()
        context.run(_caller.set, self)
        awaited = _Awaited(self, coroutine)
        if not self._now_awaits(awaited):
            coroutine.close()
            raise CancelledError from None
        try:
            try:
                self.loop.call_soon_threadsafe(awaited.start, context=context)
            except RuntimeError:
                coroutine.close()
                raise RuntimeError(
                    f"{label}: the event loop that awaits the call is closed, and runs no coroutine"
                ) from None
            self._serve(awaited, label)
        finally:
            self._now_goes_on()
        error = awaited.error
        if error is None:
            return awaited.result
        # This runs where a coroutine was found to be no number, and that is not how the error came about.
        context_of_error = error.__context__
        try:
            raise error
        finally:
            error.__context__ = context_of_error
            # Its traceback has this frame.
            awaited.error = error = None

    def _serve(self, awaited: _Awaited, label: str) -> None:
        """Run calls until the coroutine is done."""
        stopped = 0
        while True:
            call = queues.lend(self)
            if call is not None:
                call.run()
                continue
            try:
                item = self.inbox.get(timeout=_LOOK)
            except Empty:
                stopped = 0 if self.loop.is_running() else stopped + 1
                if stopped > 1:
                    awaited.give_up()
                    raise RuntimeError(
                        f"{label}: the event loop that awaits the call has stopped, and runs no coroutine"
                    ) from None
                continue
            if item is awaited:
                return
            if isinstance(item, Call):
                item.run()

    @locked
    def _now_awaits(self, awaited: _Awaited) -> bool:
        if not self.stopped:
            self.awaited = awaited
        return not self.stopped

    @locked
    def _now_goes_on(self) -> None:
        self.awaited = None
        self.idle = False
        self.wishes.clear()
        while True:
            try:
                item = self.inbox.get_nowait()
            except Empty:
                return
            if isinstance(item, Call):
                queues.give_back(item)

    # -- in the event loop ------------------------------------------------------------------------------------------

    @locked
    def waits_for_itself(self) -> bool:
        """Whether the event loop runs in a Python function that code of the same store waits for: one that has not
        handed a coroutine to the loop of its call, but runs a loop of its own.
        """
        threads = [self.made_in]
        # It grows meanwhile.
        for thread in threads:
            for call in _running:
                if call.thread == thread:
                    if call.store is self.store:
                        return True
                    if call.made_in not in threads:
                        threads.append(call.made_in)
        return False

    def _wake(self) -> None:
        waiter = self.waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def outcome(self) -> Any:
        """Wait until the call is over; where that is cancelled, stop it first."""
        cancelled: BaseException | None = None
        try:
            while self.state is not OVER:
                self.waiter = self.loop.create_future()
                try:
                    await self.waiter
                except CancelledError as error:
                    # Further ones while it comes to its end: asyncio counts them, and one is raised for all.
                    cancelled = cancelled or error
                    self.cancel()
        except GeneratorExit:
            # The coroutine is closed, by whoever steps it, or by the garbage collector.
            self.abandon()
            raise
        finally:
            self.waiter = None
        failure, self.error = self.error, None
        result, self.result = self.result, None
        try:
            if cancelled is not None:
                from ..errors import Interrupted

                if failure is None or isinstance(failure, (CancelledError, Interrupted)):
                    raise cancelled
                raise cancelled from failure
            if failure is not None:
                raise failure
            return result
        finally:
            # Their tracebacks have this frame.
            del cancelled, failure

    def cancel(self) -> None:
        """Stop the call; in the thread of the event loop."""
        awaited = self.stop()
        if awaited is not None:
            awaited.cancel()

    @locked
    def stop(self) -> _Awaited | None:
        """Stop the call, and give the coroutine that it waits for."""
        if self.state is OVER:
            return None
        self.stopped = True
        if self.state is RUNNING:
            stop(self.store, self, "the call was cancelled")
            return self.awaited
        # Whoever comes upon it later finds that it is over.
        before, self.state = self.state, OVER
        self.arguments, self.named = (), {}
        if before is QUEUED:
            queues.remove(self)
        else:
            queues.leave(self)
        return None

    def abandon(self) -> None:
        """Stop the call, wherever this runs: the garbage collector may hold the lock below."""
        abandoned.append(self.stop_from_anywhere)
        queues.stop_abandoned()

    def stop_from_anywhere(self) -> None:
        """What :meth:`abandon` has done when the lock is free."""
        awaited = self.stop()
        if awaited is not None:
            try:
                self.loop.call_soon_threadsafe(awaited.cancel)
            except RuntimeError:
                # The loop is closed, which the waiting thread sees by itself.
                pass


class _Awaited:
    """A coroutine that the thread of a call waits for.

    Attributes:
        error, result: how it ended, once it is in the call's inbox.
    """

    __slots__ = ("_call", "_coroutine", "_task", "error", "result")

    def __init__(self, call: Call, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._call = call
        self._coroutine: Coroutine[Any, Any, Any] | None = coroutine
        self._task: Task[Any] | None = None
        self.error: BaseException | None = None
        self.result: Any = None

    @locked
    def _take(self) -> Coroutine[Any, Any, Any] | None:
        """The coroutine, for whoever asks first."""
        coroutine, self._coroutine = self._coroutine, None
        return coroutine

    def start(self) -> None:
        """In the event loop: run the coroutine."""
        coroutine = self._take()
        if coroutine is None:
            return
        call = self._call
        if call.stopped:
            coroutine.close()
            self.error = CancelledError()
            call.inbox.put(self)
            return
        try:
            self._task = task = call.loop.create_task(coroutine)
        except BaseException as error:
            coroutine.close()
            self.error = error
            call.inbox.put(self)
            return
        task.add_done_callback(self._done)

    def _done(self, task: Task[Any]) -> None:
        try:
            self.result = task.result()
        except BaseException as error:
            self.error = error
        self._task = None
        self._call.inbox.put(self)

    def cancel(self) -> None:
        """In the event loop: cancel the coroutine."""
        if self._task is not None:
            self._task.cancel()

    def give_up(self) -> None:
        """In the call's thread, when the loop has stopped: nobody waits for the coroutine any more."""
        coroutine = self._take()
        if coroutine is not None:
            coroutine.close()
            return
        try:
            # Should the loop ever run again.
            self._call.loop.call_soon_threadsafe(self.cancel)
        except RuntimeError:
            # It is closed, and the task with it.
            pass


async def run(func: Func, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
    """Call a function in a thread, and wait for its outcome."""
    call = Call(func, arguments, named, get_running_loop())
    if call.waits_for_itself():
        from ..errors import WasmError

        raise WasmError(
            "this call would wait for itself: code of its store waits for the Python function that runs this event "
            "loop. Let a coroutine function be the import, and await the call there"
        )
    queues.enter(call)
    return await call.outcome()


def set_async_threads(count: int) -> None:
    """Set how many threads calls of :meth:`Func.run_async` may have in the running event loop.

    Further calls wait for their turn. What a loop begins with is ``min(32, number of processors + 4)``. A lower number
    lets calls that run go on.

    Raises:
        TypeError: ``count`` is no int.
        ValueError: it is less than 1.
        RuntimeError: no event loop runs in this thread.
    """
    from ..arguments import number, whole

    loop = get_running_loop()
    value = whole("set_async_threads", "count", "a number of threads", count)
    if value < 1:
        raise ValueError(f"set_async_threads: count has to be 1 or more, not {number(value)}")
    queues.limit(loop, value)


def _at_exit() -> None:
    """Stop what still runs: CPython ends threads in machine code without asking."""
    until = monotonic() + _LAST_WAIT
    for call in [*_running]:
        call.abandon()
    while _running and monotonic() < until:
        sleep(0.01)


def _in_child() -> None:
    """A forked child has none of the threads."""
    _running.clear()
    queues.forget()


atexit.register(_at_exit)
system.at_fork(_in_child)
