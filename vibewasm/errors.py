"""The exceptions that the engine raises on purpose; those of traps are in :mod:`.traps`, that of text in
:mod:`vibewasm.wat.errors`.

:class:`WasmError` is the root, so ``except WasmError`` catches whatever a module, good or bad, can cause.
An exception of a host function is not among them: it passes through wasm unchanged.

All exceptions can be pickled and copied.
"""

from __future__ import annotations

from _thread import get_ident
from sys import exc_info

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, NoReturn, SupportsIndex, TypeVar

    from .api.deadline import Deadline
    from .api.store import Store
    from .extern_types import ImportType
    from .traps import Frame

    Result = TypeVar("Result")

__all__ = [
    "DecodeError",
    "Interrupted",
    "LinkError",
    "ValidationError",
    "WasmError",
]

#: Why nothing grows, where no limit says so.
NO_MORE_MEMORY = "the system has no more memory to give"


def check(item: object, attribute: str, value: object, kind: type, optional: bool = False) -> None:
    """Raise ``TypeError`` if an exception's attribute is given as something that its text cannot be made of.

    Args:
        kind: int or str.
        optional: ``None`` will do as well.
    """
    if not isinstance(value, kind) and not (optional and value is None):
        from .arguments import wrong

        article = "an" if kind is int else "a"
        raise wrong(type(item).__name__, attribute, f"{article} {kind.__name__}{' or None' if optional else ''}", value)


def limit(where: str, setting: str, what: str, value: object) -> int:
    """A limit that a configuration or a store is given.

    Raises:
        TypeError: it is no int.
        ValueError: it is negative.
    """
    if type(value) is not int:
        from .arguments import whole

        value = whole(where, setting, what, value)
    if value < 0:
        from .arguments import number

        raise ValueError(f"{where}: {setting} is {what}, 0 or more, not {number(value)}")
    return value


class WasmError(Exception):
    """Root of the engine's exceptions.

    Attributes:
        message: what is wrong, without the place.
        element: what :meth:`vibewasm.Func.map` had come to, the index of an element; ``None`` elsewhere.
        limit: the limit that allows no more, as ``"max_memory"``, if that is why: an attribute of :class:`Store` or of
            :class:`ResourceLimits`, which the message names as ``Store.max_memory`` or ``ResourceLimits.max_tables``.
    """

    element: int | None
    limit: str | None

    def __init__(self, message: str = "") -> None:
        check(self, "message", message, str)
        super().__init__(message)
        self.message = message
        # Of the exception and not of the class: Ray raises an object of a class derived from this one, which has what
        # it does not find in its classes from the exception that it stands for.
        self.element = None
        self.limit = None

    def _throw_into(self, store: Store) -> bool:
        """In the callback of a Python function that has raised this: have wasm code of the store go on as if the call
        had thrown it, if it can; then it is taken care of.
        """
        return False

    def __str__(self) -> str:
        return self.message


class DecodeError(WasmError):
    """The bytes are not a module: malformed in the sense of the specification, "Binary Format".

    Attributes:
        message: what is wrong, beginning with the official suite's words where it has some.
        offset: where, in bytes from the start of the module.
    """

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        check(self, "offset", offset, int)
        self.args = (message, offset)
        self.offset = offset

    def __str__(self) -> str:
        return f"{self.message} (at byte offset {self.offset:#x})"


class ValidationError(WasmError):
    """The module is well-formed but invalid, uses a feature that is not built, or is beyond an implementation limit.

    Attributes:
        message: what is wrong, beginning with the official suite's words where it has some.
        offset: where, in bytes from the start of the module, or ``None`` when it is no one place.
        func_index: index of the function whose body is at fault, in the module's function index space, or ``None``.
        func_name: that function's name in the name section, or ``None``.
        feature: the proposal that is not built and that the module needs, as the message calls it; ``None`` where the
            module is refused for another reason.
    """

    def __init__(
        self,
        message: str,
        offset: int | None = None,
        func_index: int | None = None,
        func_name: str | None = None,
        feature: str | None = None,
    ) -> None:
        super().__init__(message)
        check(self, "offset", offset, int, optional=True)
        check(self, "func_index", func_index, int, optional=True)
        check(self, "func_name", func_name, str, optional=True)
        check(self, "feature", feature, str, optional=True)
        self.args = (message, offset, func_index, func_name, feature)
        self.offset = offset
        self.func_index = func_index
        self.func_name = func_name
        self.feature = feature

    def __str__(self) -> str:
        place = []
        if self.func_index is not None:
            place.append(f"in function {self.func_index}")
            if self.func_name:
                from .names import brief

                place[0] += f" <{brief(self.func_name)}>"
        if self.offset is not None:
            place.append(f"at byte offset {self.offset:#x}")
        return f"{self.message} ({', '.join(place)})" if place else self.message


class LinkError(WasmError):
    """An import is missing or has another type than the module wants (specification, "Instantiation").

    Attributes:
        message: what is wrong.
        missing: the imports that nothing is defined for, if that is why.
    """

    def __init__(self, message: str = "", missing: tuple[ImportType, ...] = (), limit: str | None = None) -> None:
        super().__init__(message)
        self.missing = missing
        self.limit = limit


class Stopped(WasmError):
    """What has ended an activation, and says which wasm functions were active."""

    frames: tuple[Frame, ...]

    def _stopped(self, frames: tuple[Frame, ...]) -> None:
        """What was stopped is these activations. Each class says how it keeps them."""
        raise NotImplementedError

    def __str__(self) -> str:
        if not self.frames:
            return self.message
        from .traps import with_frames

        return with_frames(self.message, self.frames)


class Interrupted(Stopped):
    """``Store.interrupt()`` or a deadline stopped the running call.

    Attributes:
        message: what stopped it.
        frames: the wasm activations that were stopped, innermost first, as those of a :class:`~vibewasm.Trap`.
    """

    #: What the engine was doing, if it was not wasm code that was stopped.
    _doing = ""

    def __init__(self, message: str = "interrupted", frames: Sequence[Frame] = ()) -> None:
        super().__init__(message)
        if frames != ():
            from .traps import checked_frames

            frames = checked_frames(self, frames)
        self._stopped(tuple(frames))

    def _stopped(self, frames: tuple[Frame, ...]) -> None:
        self.frames = frames
        self.args = (self.message, frames) if frames else (self.message,)

    def _while(self, doing: str) -> None:
        """What was stopped is this work of the engine's."""
        self.message += f", while {doing}"
        self._doing = doing
        self._stopped(self.frames)


class Cut(BaseException):
    """Raised in the midst of guest work, from another thread (:mod:`vibewasm.api.stopping`). Nothing catches it but
    :func:`guest_work`, and it is no :class:`WasmError`, which engine code may catch to go on in another way.
    """


class CodeOnly(str):
    """Why wasm code has to stop, and what else is done on its behalf need not."""

    __slots__ = ()


class Work:
    """Something that is computed on a guest's behalf, in one thread.

    Attributes:
        store: for which store; ``None`` where there is none yet.
        deadlines: those in whose blocks it is done.
        until: until when it may go on, whatever else has to stop; 0 where that is not limited.
        undo: what takes a :class:`Cut` back that was sent to this thread and has not come up yet; ``None`` before one
            was sent.
        again: when another one may be sent, by ``time.monotonic``.
    """

    __slots__ = ("again", "deadlines", "store", "undo", "until")

    def __init__(self, store: Store | None, deadlines: tuple[Deadline, ...], until: float = 0.0) -> None:
        self.store = store
        self.deadlines = deadlines
        self.until = until
        self.undo: Callable[[int], object] | None = None
        self.again = 0.0

    def reason(self) -> str | None:
        """Why it has to stop, if it has to."""
        store = self.store
        if store is not None:
            # Other threads may come and go while this looks, so it looks at a copy.
            for message in [*store._reasons.values()]:
                if type(message) is not CodeOnly:
                    return message
        for deadline in self.deadlines:
            if deadline.over is not None and (store is None or deadline.store is None):
                return deadline.over
        return None


#: What threads do on behalf of guests, by thread.
works: dict[int, Work] = {}
#: What gives the deadlines in whose blocks the caller is, once there has been one.
deadlines_here: list[Callable[[], tuple[Deadline, ...]]] = []


def guest_work(
    store: Store | None, doing: str | Callable[..., str], function: Callable[..., Result], *arguments: Any
) -> Result:
    """Call a function that computes something on a guest's behalf, and may be left at any point.

    It must not take locks nor open anything: where it is cut short, nobody would give that back. What it loads, and
    functions of the program that it calls, are not cut short.

    Args:
        store: for which store; ``None`` where there is none yet.
        doing: words for it, as ``"decoding the module"``, or what gives them when it is called with the arguments.

    Raises:
        Interrupted: a deadline is over, or the store was interrupted.
    """
    deadlines = deadlines_here[0]() if deadlines_here else ()
    if store is None and not deadlines:
        # Nobody could stop it.
        return function(*arguments)
    work = Work(store, deadlines)
    if work.reason() is None:
        try:
            return registered(work, function, *arguments)
        except Cut as cut:
            met = cut.__context__
        # What has stopped a part of the work, and was on its way out, says it better; but not what the caller handles.
        handled = exc_info()[1]
        while met is not None and met is not handled:
            if isinstance(met, Interrupted):
                raise met from None
            met = met.__context__
    error = Interrupted(work.reason() or "interrupted")
    if store is not None:
        # That also takes back an interrupt, which stops one thing only.
        error = store._interrupted() or error
    error._while(doing if isinstance(doing, str) else doing(*arguments))
    raise error


def registered(work: Work, function: Callable[..., Result], *arguments: Any) -> Result:
    """Call a function that may be cut short meanwhile. Raises :class:`Cut` then."""
    thread = get_ident()
    outer = works.get(thread)
    # A thread looks for exceptions from others only where something is called, or a loop goes round. So none comes up
    # between this line and the next, nor between the first and the second step of what is done at last, and after that
    # none is sent.
    works[thread] = work
    try:
        return function(*arguments)
    finally:
        if outer is None:
            del works[thread]
        else:
            works[thread] = outer
            # That has time to end by what has ended this.
            outer.again = work.again
        if work.undo is not None:
            work.undo(thread)


def not_copied(self: object, protocol: SupportsIndex, /) -> NoReturn:
    """``__reduce_ex__`` of what stands for memory of this process: :mod:`copy` and :mod:`pickle` end here.

    A copy would share the memory and not know when it is gone.
    """
    from .arguments import uncopyable

    raise uncopyable(self)


class ReferenceLimit(WasmError):
    """A store holds as many Python objects as it may; see :attr:`vibewasm.Store.max_references`."""


#: Why a Python whose threads run at the same time is refused, and what to do.
FREE_THREADED = (
    "vibewasm does not run on a free-threaded Python yet: a store that two threads use at once would not be safe "
    "there. Use the ordinary build of Python, or turn the lock on with PYTHON_GIL=1 or python -X gil=1"
)
