"""Whose turn it is: the queues of calls that event loops await, see :mod:`vibewasm.api.asynchronous`.

A call needs its store, where one runs at a time, and a thread, of which an event loop may have so many. Each store has
a line, in which its calls stand in the order in which they came. The first one of a line whose store is free needs a
thread, and waits for it in its loop's pool. So a call never has a thread that it cannot use, nor a store.

Calls of coroutines that a guest waits for are special, since the guest has both: its thread and its store. If they want
the same store, they run in that thread, on top of the guest. If they want another store and no thread is free, they
run there too, when it has nothing else to do. A call of this kind may overtake others that wait for a thread, or it
might wait for ever: all threads may be those of guests that wait for such calls. What is on top of a guest in its
thread has been called by its coroutines, so nothing that a guest waits for is below it.

Everything here happens under one lock, in whatever thread, and nothing takes long.
"""

from __future__ import annotations

from _queue import Empty, SimpleQueue
from _thread import allocate_lock
from collections import OrderedDict, deque
from functools import wraps
from itertools import count
from os import cpu_count
from threading import Thread
from weakref import WeakKeyDictionary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable
    from typing import Concatenate, ParamSpec, TypeVar

    from .asynchronous import Call
    from .store import Store

    Self = TypeVar("Self")
    Result = TypeVar("Result")
    Arguments = ParamSpec("Arguments")

#: How far a call has come: it waits for its turn; it has a thread, which has not begun with it; it runs; it is over.
QUEUED, GIVEN, RUNNING, OVER = "queued", "given", "running", "over"

#: Seconds after which a thread ends that has nothing to do.
_IDLE = 5.0

#: The lock, in a list since a forked child has another one.
_lock = [allocate_lock()]
#: What has to be done when the lock is free. Python may throw away what awaits a call at any moment, also while the
#: lock is held in this very thread.
abandoned: deque[Callable[[], None]] = deque()


def locked(
    method: Callable[Concatenate[Self, Arguments], Result],
) -> Callable[Concatenate[Self, Arguments], Result]:
    """A method that holds the lock."""

    @wraps(method)
    def call(self: Self, /, *arguments: Arguments.args, **named: Arguments.kwargs) -> Result:
        try:
            with _lock[0]:
                return method(self, *arguments, **named)
        finally:
            if abandoned:
                queues.stop_abandoned()

    return call


class Line:
    """The calls of one store.

    Attributes:
        active: the call that has the store.
        plain: calls that wait, in their order.
        nested: those that the coroutine of another call made.
    """

    __slots__ = ("active", "nested", "plain")

    def __init__(self) -> None:
        self.active: Call | None = None
        self.plain: OrderedDict[Call, int] = OrderedDict()
        self.nested: OrderedDict[Call, int] = OrderedDict()

    def number(self, call: Call) -> int:
        """The lower, the earlier it came."""
        return self.plain[call] if call in self.plain else self.nested[call]


class Pool:
    """The threads of one event loop.

    Attributes:
        limit: how many there may be.
        busy: how many have a call.
        idle: what those that have none wait for.
        ready: calls that need nothing but a thread. One may be there that has been given one meanwhile, or has been
            overtaken.
    """

    __slots__ = ("busy", "idle", "limit", "ready")

    def __init__(self) -> None:
        self.limit = min(32, (cpu_count() or 1) + 4)
        self.busy = 0
        self.idle: list[SimpleQueue[Call]] = []
        self.ready: OrderedDict[Call, None] = OrderedDict()

    def start(self, call: Call) -> bool:
        """Give the call a thread, if there may be another one."""
        if self.busy >= self.limit:
            return False
        if self.idle:
            self.idle.pop().put(call)
        else:
            try:
                # What stops a call at the end of the process comes after waiting for threads that are no daemons.
                Thread(target=self._work, args=(call,), name="vibewasm run_async", daemon=True).start()
            except RuntimeError:
                if self.busy:
                    # The system has no more threads: the call waits until one of ours is free.
                    return False
                raise
        self.busy += 1
        return True

    def _work(self, call: Call | None) -> None:
        inbox: SimpleQueue[Call] = SimpleQueue()
        while call is not None:
            call.run()
            # Not kept alive while the thread waits for the next one.
            call = None
            queues.free(self, inbox)
            try:
                call = inbox.get(timeout=_IDLE)
            except Empty:
                if not queues.retire(self, inbox):
                    # It was given a call in this moment.
                    call = inbox.get()


class Queues:
    """All lines and pools of this process."""

    def __init__(self) -> None:
        self._lines: WeakKeyDictionary[Store, Line] = WeakKeyDictionary()
        self._pools: WeakKeyDictionary[AbstractEventLoop, Pool] = WeakKeyDictionary()
        self._numbers = count()

    # -- from outside -----------------------------------------------------------------------------------------------

    @locked
    def enter(self, call: Call) -> None:
        """A new call: it is started, or waits."""
        call.pool = self._pool(call.loop)
        self._enter(call)

    @locked
    def limit(self, loop: AbstractEventLoop, threads: int) -> None:
        """Set how many threads a loop may have."""
        pool = self._pool(loop)
        pool.limit = threads
        self._refill(pool)

    @locked
    def free(self, pool: Pool, inbox: SimpleQueue[Call]) -> None:
        """A thread is done with its call, and waits for the next one."""
        pool.busy -= 1
        pool.idle.append(inbox)
        self._refill(pool)

    @locked
    def retire(self, pool: Pool, inbox: SimpleQueue[Call]) -> bool:
        """Whether a thread that has waited in vain may end: nobody has chosen it meanwhile."""
        if inbox not in pool.idle:
            return False
        pool.idle.remove(inbox)
        return True

    @locked
    def lend(self, lender: Call) -> Call | None:
        """The thread of a call that waits for a coroutine is idle: give it a call to run, if there is one."""
        while lender.wishes:
            call = next(iter(lender.wishes))
            del lender.wishes[call]
            line = call.line
            # If the store is not free, the wish is made again when it is.
            if call.state is QUEUED and line is not None and line.active is None:
                self._take(call, line)
                return call
        # What is in there already comes first.
        lender.idle = lender.inbox.empty()
        return None

    def stop_abandoned(self) -> None:
        """Do what waits for the lock, unless somebody holds it, who does it then."""
        while abandoned and _lock[0].acquire(False):
            _lock[0].release()
            try:
                action = abandoned.popleft()
            except IndexError:
                return
            action()

    def forget(self) -> None:
        """Begin anew, in a forked child."""
        _lock[0] = allocate_lock()
        abandoned.clear()
        self._lines.clear()
        self._pools.clear()

    # -- with the lock held -----------------------------------------------------------------------------------------

    def leave(self, call: Call) -> None:
        """The call is over: its store is free."""
        line = call.line
        if line is not None and line.active is call:
            line.active = None
            self._advance(line)

    def remove(self, call: Call) -> None:
        """A call that waits does so no longer."""
        line = call.line
        if line is not None:
            line.plain.pop(call, None)
            line.nested.pop(call, None)
            if line.active is None:
                self._advance(line)
        call.pool.ready.pop(call, None)

    def give_back(self, call: Call) -> None:
        """A call was given to the thread of another one that waits no longer: it needs another place."""
        line, call.line = call.line, None
        if call.state is not GIVEN:
            return
        call.state = QUEUED
        if line is not None and line.active is call:
            line.active = None
            self._stand(call, line, first=True)
        else:
            self._enter(call)

    def _enter(self, call: Call) -> None:
        host = _host_of(call)
        if host is not None:
            # It would wait for a call that waits for it.
            call.state = GIVEN
            host.idle = False
            host.inbox.put(call)
            return
        line = self._lines.get(call.store)
        if line is None:
            line = self._lines[call.store] = Line()
        self._stand(call, line)

    def _stand(self, call: Call, line: Line, first: bool = False) -> None:
        call.line = line
        own = line.plain if call.parent is None else line.nested
        own[call] = -1 if first else next(self._numbers)
        if first:
            own.move_to_end(call, last=False)
        self._advance(line)

    def _pool(self, loop: AbstractEventLoop) -> Pool:
        pool = self._pools.get(loop)
        if pool is None:
            pool = self._pools[loop] = Pool()
        return pool

    def _advance(self, line: Line) -> None:
        """Start the next call of a line, if its store is free."""
        while line.active is None and (line.plain or line.nested):
            heads = [next(iter(numbers)) for numbers in (line.plain, line.nested) if numbers]
            heads.sort(key=line.number)
            # Of the others, each has another thread to run in, if no thread is free.
            for call in [*heads, *line.nested]:
                try:
                    if self._start(call):
                        self._take(call, line)
                        return
                except RuntimeError as error:
                    # No thread at all can be had.
                    line.plain.pop(call, None)
                    line.nested.pop(call, None)
                    call.pool.ready.pop(call, None)
                    call.state = OVER
                    call.error = error
                    call.tell()
                    break
            else:
                for call in heads:
                    call.pool.ready[call] = None
                return

    def _start(self, call: Call) -> bool:
        """Find a thread for a call whose store is free."""
        if call.pool.start(call):
            return True
        lender = _waiting(call.parent)
        if lender is None:
            return False
        if lender.idle:
            lender.idle = False
            lender.inbox.put(call)
            return True
        # The store is not taken before the thread is free: what runs there may need the store.
        lender.wishes[call] = None
        return False

    def _take(self, call: Call, line: Line) -> None:
        """The store is the call's."""
        line.plain.pop(call, None)
        line.nested.pop(call, None)
        call.pool.ready.pop(call, None)
        line.active = call
        call.state = GIVEN

    def _refill(self, pool: Pool) -> None:
        """Give free threads to calls that need nothing but one."""
        while pool.busy < pool.limit and pool.ready:
            call, _ = pool.ready.popitem(last=False)
            if call.line is not None and call.state is QUEUED:
                # If the store is not free, the call has been overtaken, and is ready again when it is.
                self._advance(call.line)


queues = Queues()


def _waiting(call: Call | None) -> Call | None:
    """The call that waits for a coroutine from which a call was made, nearest first."""
    while call is not None and (call.awaited is None or call.state is not RUNNING):
        call = call.parent
    return call


def _host_of(call: Call) -> Call | None:
    """In whose thread a call has to run, since a call of the same store waits for it."""
    holder = _waiting(call.parent)
    while holder is not None and holder.store is not call.store:
        holder = _waiting(holder.parent)
    if holder is None:
        return None
    # Others may run on top of that one in its thread. Then the topmost of those that wait for this call takes it.
    host = _waiting(call.parent)
    while host is not None and host.thread != holder.thread:
        host = _waiting(host.parent)
    return host
