"""Exceptions of wasm code in Python (specification 3.0, "Exception Instances"): those that leave it, those that Python
functions throw into it, and references to them.
"""

from __future__ import annotations

from ..abi import HOST_EXCEPTION, STORE_THROWN
from ..calls.area import DUE
from ..calls.values import from_bits, kind_of, prefixed, to_bits
from ..errors import Stopped, WasmError, not_copied
from ..instances.exceptions import exceptions_of
from ..runtime.context import CELL_FAILED
from ..types import V128
from .extern import Extern
from .tag import KNOWN, Tag, tag_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any, Never, NoReturn

    from ..extern_types import TagType
    from ..instances.exceptions import Exceptions
    from ..traps import Frame
    from .store import Store

_CELL_THROWN = STORE_THROWN >> 3
#: Values of an exception that its message shows, and characters of each.
_MOST_SHOWN = 8
_LONGEST = 40


class WasmException(Stopped):
    """An exception of wasm code. One that no wasm code catches leaves a call as this; a Python function that wasm code
    calls and that raises this throws it into the wasm code, if the tag is one of the same store.

    Attributes:
        tag: the :class:`Tag` that tells it from others.
        values: what it carries, as results of a function are: a tuple with one value for each type of the tag.
        frames: the wasm activations from which it was thrown, as those of a :class:`Trap`, once it has left wasm code.
        message: what it is: the tag's name, and the values.

    Args:
        tag: the tag.
        values: one value for each of the tag's types, of what a parameter of that type takes.

    Raises:
        TypeError: an argument is of another type, there are more or fewer values, or one of another type.
        OverflowError, ValueError: a value does not fit the tag's type.

    A copy of it, as :mod:`copy` and :mod:`pickle` make them, has a tag that is good for its type and its name only, and
    belongs to no store. Functions and :class:`ExceptionRef` objects among its values are texts there.
    """

    tag: Tag
    values: tuple[Any, ...]
    #: The exception as wasm code has it, once that was asked for.
    _reference: ExceptionRef | None

    def __init__(self, tag: Tag, values: Iterable[object] = (), frames: Sequence[Frame] = ()) -> None:
        from ..arguments import wrong

        if not isinstance(tag, Tag):
            raise wrong("WasmException", "tag", "a Tag", tag)
        anything: object = values
        if isinstance(anything, (str, bytes, bytearray)) or not hasattr(type(anything), "__iter__"):
            raise wrong("WasmException", "values", "a sequence of values", values)
        if frames != ():
            from ..traps import checked_frames

            frames = checked_frames(self, frames)
        self._begin(tag, _checked_values(tag, tuple(values)), tuple(frames))

    def _begin(self, tag: Tag, values: tuple[object, ...], frames: tuple[Frame, ...], message: str = "") -> None:
        super().__init__(message or _message(tag, values))
        self.tag = tag
        self.values = values
        self._reference = None
        self._stopped(frames)

    def _stopped(self, frames: tuple[Frame, ...]) -> None:
        self.frames = frames
        self.args = (self.tag, self.values, frames) if frames else (self.tag, self.values)

    def __reduce__(self) -> tuple[object, ...]:
        tag = self.tag
        values = tuple([repr(value) if isinstance(value, (Extern, ExceptionRef)) else value for value in self.values])
        state = {name: value for name, value in self.__dict__.items() if name not in _PARTS}
        return _copied, (type(self), tag.type, tag.name, values, self.frames, self.message), state

    def _as_reference(self, store: Store) -> ExceptionRef:
        """The exception as wasm code has it. It lives as long as this object, which holds it."""
        made = self._reference
        if made is None:
            tag = self.tag
            if tag._store is not store:
                raise ValueError("wants an exception of the same store, not one of another store or a copy")
            codes = tag._type.func.param_codes
            bits = _bits(tag, self.values)
            made = self._reference = ExceptionRef._at(store, exceptions_of(store).new(tag._address, codes, bits))
        return made

    def _throw_into(self, store: Store) -> bool:
        tag = self.tag
        if tag._store is not store:
            return False
        codes = tag._type.func.param_codes
        # With an object of its own, so that it is known again if nobody catches it: Python code gets what was raised.
        address = self._as_reference(store)._address
        bits = _bits(tag, self.values)
        store._raised = self
        # It is let go when the next call begins, since wasm code may catch it: its traceback keeps much alive.
        store._state[3] = DUE
        exceptions_of(store).write(tag._address, codes, bits)
        cells = store._cells
        cells[_CELL_THROWN] = address
        # Last of all, and nothing is called or made from here to the end of the callback: Python code that came in
        # between could call wasm code, which would overwrite this.
        cells[CELL_FAILED] = HOST_EXCEPTION
        return True


#: Attributes that a copy gets in another way.
_PARTS = ("_reference", "frames", "message", "tag", "values")


class ExceptionRef:
    """A reference to an exception that wasm code has caught, as it gives it to Python: a value of the type exnref.

    It holds the exception until nothing refers to it any more. Two of one exception are equal.
    """

    __slots__ = ("__weakref__", "_address", "_exceptions", "_store")

    _store: Store
    _address: int
    _exceptions: Exceptions

    __reduce_ex__ = not_copied

    def __init__(self, *arguments: Never, **named: Never) -> None:
        raise TypeError(
            "an ExceptionRef is what wasm code gives for an exnref; where it wants one, give it a "
            "WasmException(tag, values)"
        )

    @classmethod
    def _at(cls, store: Store, address: int) -> ExceptionRef:
        """The reference to an exception object."""
        exceptions = exceptions_of(store)
        self = cls.__new__(cls)
        exceptions.hold(address)
        self._store = store
        self._address = address
        self._exceptions = exceptions
        return self

    def __del__(self) -> None:
        exceptions = getattr(self, "_exceptions", None)
        if exceptions is not None:
            exceptions.release(self._address)

    @property
    def store(self) -> Store:
        """The store that the exception belongs to."""
        return self._store

    @property
    def tag(self) -> Tag:
        """The exception's tag.

        Raises:
            WasmError: the store is closed, or runs in another thread.
        """
        return self._store._alone(self._tag)

    @property
    def values(self) -> tuple[Any, ...]:
        """What the exception carries.

        Raises:
            WasmError: the store is closed, or runs in another thread.
        """
        return self._store._alone(self._values)

    def throw(self) -> NoReturn:
        """Raise the exception: as :class:`WasmException`, which a Python function that wasm code calls throws into it.

        Raises:
            WasmException: always, unless the store is closed or runs in another thread.
        """
        raise self._store._alone(self._exception)

    def _tag(self) -> Tag:
        return tag_at(self._store, self._exceptions.tag_of(self._address))

    def _values(self) -> tuple[Any, ...]:
        store = self._store
        codes = self._tag()._type.func.param_codes
        bits = self._exceptions.values_of(self._address, codes)
        return _values_of(store, codes, bits)

    def _exception(self) -> WasmException:
        made = WasmException.__new__(WasmException)
        made._begin(self._tag(), self._values(), ())
        made._reference = self
        return made

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ExceptionRef):
            return NotImplemented
        return self._exceptions is other._exceptions and self._address == other._address

    def __hash__(self) -> int:
        return hash(self._address)

    def __repr__(self) -> str:
        if self._store._closed:
            return "<vibewasm.ExceptionRef, closed>"
        return f"<vibewasm.ExceptionRef {self._tag()._shown}>"


class CopiedTag(Tag):
    """The tag of an exception that was copied: its type and its name."""

    __slots__ = ()

    def __init__(self, type: TagType, name: str | None) -> None:
        # No store has it, so nothing of a store's is looked up.
        self._store = None  # type: ignore[assignment]
        self._type = type
        self._name = name
        self._address = 0
        self._index = -1
        self._instance = self._keep = None

    @property
    def store(self) -> Store:
        """None.

        Raises:
            WasmError: always.
        """
        raise WasmError("this is the tag of a copied exception, which belongs to no store")

    @property
    def name(self) -> str | None:
        """The name that the tag had."""
        return self._name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CopiedTag) and (self._type, self._name) == (other._type, other._name)

    def __hash__(self) -> int:
        return hash((self._type, self._name))


def left(store: Store) -> WasmException:
    """The exception that has just left the wasm code of a store, since nobody caught it."""
    address = store._cells[_CELL_THROWN]
    raised, store._raised = store._raised, None
    if raised is not None and address and raised._reference is not None and raised._reference._address == address:
        return raised
    exceptions = exceptions_of(store)
    tag = tag_at(store, exceptions.thrown_tag)
    codes = tag._type.func.param_codes
    values = exceptions.converted(_values_of, store, codes, exceptions.read(codes))
    error = WasmException.__new__(WasmException)
    error._begin(tag, values, ())
    if address:
        error._reference = ExceptionRef._at(store, address)
    return error


def reference_bits(store: Store, value: object) -> int:
    """The bits of an exnref, of what Python code gives for one.

    Raises:
        TypeError, ValueError: it is none of this store; see :func:`vibewasm.calls.values.to_bits` about the messages.
    """
    if isinstance(value, WasmException):
        value = value._as_reference(store)
    return _checked_reference(store, value)._address


def _checked_reference(store: Store, value: object) -> ExceptionRef:
    if not isinstance(value, ExceptionRef):
        raise TypeError(f"wants a vibewasm.ExceptionRef or WasmException, not {kind_of(value)}")
    if value._store is not store:
        raise ValueError("wants an exception of the same store, not one of another store")
    return value


def check_exception(store: Store, value: object) -> None:
    """Raise what :func:`reference_bits` would, without making an exception of the store."""
    if isinstance(value, WasmException):
        if value.tag._store is not store:
            raise ValueError("wants an exception of the same store, not one of another store or a copy")
        return
    _checked_reference(store, value)


def _checked_values(tag: Tag, values: tuple[object, ...]) -> tuple[object, ...]:
    """Values that an exception can carry, as results of a function are."""
    codes = tag._type.func.param_codes
    if len(values) != len(codes):
        from ..counting import counted

        raise TypeError(f"WasmException: {_typed(tag)} carries {counted(len(codes), 'value')}, {len(values)} given")
    return tuple(
        [
            _converted(tag, position, code, value)
            for position, (code, value) in enumerate(zip(codes, values, strict=True), 1)
        ]
    )


def _converted(tag: Tag, position: int, code: int, value: object) -> object:
    store = tag._store
    try:
        if code <= V128:
            return from_bits(store, code, to_bits(store, code, value))
        from .typed_references import check

        check(store, code, value)
        return value
    except (TypeError, OverflowError, ValueError) as error:
        raise prefixed(f"WasmException: {_typed(tag)}: value {position}", error) from None


def _values_of(store: Store, codes: Sequence[int], bits: Sequence[int]) -> tuple[object, ...]:
    return tuple([from_bits(store, code, each) for code, each in zip(codes, bits, strict=True)])


def _bits(tag: Tag, values: tuple[object, ...]) -> list[int]:
    store = tag._store
    return [to_bits(store, code, value) for code, value in zip(tag._type.func.param_codes, values, strict=True)]


def _typed(tag: Tag) -> str:
    return f"{tag._shown}({', '.join([type_.name for type_ in tag._type.params])})"


def _message(tag: Tag, values: tuple[object, ...]) -> str:
    known = KNOWN.get(tag.name or "")
    message = f"wasm exception: {tag._shown}" if tag._shown != "tag" else f"wasm exception: {tag._type}"
    message += f" ({known})" if known else ""
    if not values:
        return message
    shown = [_shown(value) for value in values[:_MOST_SHOWN]] + ["..."] * (len(values) > _MOST_SHOWN)
    return f"{message}: {', '.join(shown)}"


def _shown(value: object) -> str:
    """A value as the message has it: an object of somebody else is named by its class."""
    if value is None or isinstance(value, (Extern, ExceptionRef)) or type(value) in (bool, int, float):
        return repr(value)
    if type(value) is str:
        # Cut first: it may be a whole file.
        text = repr(value[: _LONGEST + 1])
        return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
    return f"<{type(value).__name__}>"


def _copied(
    kind: type[WasmException],
    type: TagType,
    name: str | None,
    values: tuple[object, ...],
    frames: tuple[Frame, ...],
    message: str,
) -> WasmException:
    made = kind.__new__(kind)
    WasmException._begin(made, CopiedTag(type, name), values, frames, message)
    return made


if not TYPE_CHECKING:
    # What is missing is said by ``wrong``; see vibewasm.arguments.
    WasmException.__init__.__defaults__ = (..., (), ())
