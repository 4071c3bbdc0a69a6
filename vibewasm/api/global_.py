"""Globals (core specification, "Global Instances")."""

from __future__ import annotations

from ..binary.module_info import GLOBAL
from ..calls.values import MASK64, from_bits, prefixed, to_bits
from ..extern_types import GlobalType
from ..runtime.ffi import addressof, c_uint64
from ..types import F32, V128
from .extern import Extern
from .store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Stands for the first value of a global that was made without one.
_NONE_GIVEN = object()


class Global(Extern):
    """A global variable.

    Args:
        store: the store that the global belongs to.
        type: what it holds, and whether that may change.
        value: its first value: an int, a float, a reference, or for a v128 an int or 16 bytes; if it is left out, 0 or
            null. A type that null does not belong to needs one.

    Raises:
        TypeError: an argument is of another type, or the value does not fit the global's.
        OverflowError: the value does not fit the type.
        ValueError: it is a function of another store, or for a v128 another number of bytes than 16.
        LinkError: the store may have no more globals.
        WasmError: the store is closed, or runs in another thread.
    """

    __slots__ = ("_address", "_cells", "_index", "_store", "_type")

    _kind = GLOBAL

    def __init__(self, store: Store, type: GlobalType, value: object = _NONE_GIVEN) -> None:
        if not isinstance(store, Store):
            from ..arguments import wrong

            raise wrong("Global", "store", "a Store", store)
        if not isinstance(type, GlobalType):
            from ..arguments import wrong

            raise wrong("Global", "type", "a GlobalType", type)
        store._check_usable()
        if store._given_limits is not None:
            from .taking import check_made

            check_made(store, "max_globals", "global")
        buffer = (c_uint64 * 2)()
        self._store = store
        self._type = type
        # The view keeps the buffer alive, and the address good.
        self._cells = memoryview(buffer).cast("B").cast("Q")
        self._index = 0
        self._address = addressof(buffer)
        # The buffer is zero, which is null for references.
        store._alone(self._begin, value)

    @classmethod
    def _at(cls, store: Store, type: GlobalType, cells: memoryview, index: int, address: int) -> Global:
        """The global whose value an instance's context holds, in ``cells`` from ``index`` on."""
        self = cls.__new__(cls)
        self._store = store
        self._type = type
        self._cells = cells
        self._index = index
        self._address = address
        return self

    @property
    def store(self) -> Store:
        """The store that the global belongs to."""
        return self._store

    @property
    def type(self) -> GlobalType:
        """What the global holds, and whether that may change."""
        return self._type

    @property
    def raw(self) -> int:
        """The bits of the value: unsigned, 64 of them (of an i32 or f32 the upper half is 0), or 128 of a v128."""
        if self._store._closed:
            self._store._check_open()
        bits: int = self._cells[self._index]
        code = self._type.content.code
        if code == F32:
            # Of these, code copies the upper half of a place on the stack that was another value's.
            return bits & 0xFFFF_FFFF
        if code == V128:
            bits |= self._cells[self._index + 1] << 64
        return bits

    @property
    def value(self) -> Any:
        """The value: an int (signed, but of a v128 unsigned), a float, or a reference. It is set to what a parameter of
        its type takes. Setting raises ``AttributeError`` if the global is immutable, ``TypeError``, ``OverflowError``
        or ``ValueError`` if the value does not fit.

        Raises:
            WasmError: the store is closed; or it runs in another thread, and the global is set or holds a reference.
        """
        if self._type.content.is_ref:
            # References are kept in the store's own books, which running code uses too.
            return self._store._alone(self._get)
        return self._get()

    @value.setter
    def value(self, value: object) -> None:
        if not self._type.mutable:
            self._store._check_open()
            raise AttributeError(
                f"this global is immutable: its type is {self._type.content}, not (mut {self._type.content})"
            )
        self._store._alone(self._set, value)

    def _begin(self, value: object) -> None:
        if value is not _NONE_GIVEN:
            self._set(value)
        elif self._type.content.is_ref and not self._type.content.nullable:
            raise TypeError(
                f"a global of type {self._type.content} needs a first value: null does not belong to the type"
            )
        self._store._globals.append(self)

    def _get(self) -> Any:
        return from_bits(self._store, self._type.content.code, self.raw)

    def _set(self, value: object) -> None:
        code = self._type.content.code
        try:
            bits = to_bits(self._store, code, value)
        except (TypeError, OverflowError, ValueError) as error:
            raise prefixed(f"a global of type {self._type.content}", error) from None
        self._cells[self._index] = bits & MASK64
        if code == V128:
            self._cells[self._index + 1] = bits >> 64

    def __repr__(self) -> str:
        content = self._type.content
        if self._store._closed:
            return f"<vibewasm.Global {content}, closed>"
        if not content.is_ref:
            return f"<vibewasm.Global {content} {self.value!r}>"
        # Not the object, which may hold this global in turn, and which is the store's own while it runs elsewhere.
        return f"<vibewasm.Global {content} {'of an object' if self.raw else 'null'}>"


if not TYPE_CHECKING:
    # What is missing is said by ``wrong``; see vibewasm.arguments.
    Global.__init__.__defaults__ = (..., ..., _NONE_GIVEN)
