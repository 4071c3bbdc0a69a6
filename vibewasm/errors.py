"""The exceptions that the engine raises on purpose; those of traps are in :mod:`.traps`, that of text in
:mod:`vibewasm.wat.errors`.

:class:`WasmError` is the root, so ``except WasmError`` catches whatever a module, good or bad, can cause.
An exception of a host function is not among them: it passes through wasm unchanged.

All exceptions can be pickled and copied.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn, SupportsIndex

    from .api.store import Store
    from .extern_types import ImportType
    from .traps import Frame

__all__ = [
    "DecodeError",
    "Interrupted",
    "LinkError",
    "ValidationError",
    "WasmError",
]


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
    limit: str | None = None

    def __init__(self, message: str = "") -> None:
        check(self, "message", message, str)
        super().__init__(message)
        self.message = message
        # Of the exception and not of the class: Ray raises an object of a class derived from this one, which has what
        # it does not find in its classes from the exception that it stands for.
        self.element = None

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
                from .names import escaped

                place[0] += f" <{escaped(self.func_name)}>"
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

    def __init__(self, message: str = "interrupted", frames: Sequence[Frame] = ()) -> None:
        super().__init__(message)
        if frames != ():
            from .traps import checked_frames

            frames = checked_frames(self, frames)
        self._stopped(tuple(frames))

    def _stopped(self, frames: tuple[Frame, ...]) -> None:
        self.frames = frames
        self.args = (self.message, frames) if frames else (self.message,)


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
