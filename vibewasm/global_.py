"""Globals (core specification, "Global Instances")."""

from __future__ import annotations

from .binary.module_info import GLOBAL
from .extern_types import GlobalType
from .runtime.ffi import addressof, c_uint64
from .store import Extern
from .types import EXTERNREF, V128
from .values import MASK64, from_bits, prefixed, to_bits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .store import Store


class Global(Extern):
    """A global variable.

    Args:
        store: the store that the global belongs to.
        type: what it holds, and whether that may change.
        value: its first value: an int, a float or a reference.

    Raises:
        TypeError, OverflowError: the value does not fit the type.
    """

    __slots__ = ("_address", "_cells", "_index", "_store", "_type")

    _kind = GLOBAL

    def __init__(self, store: Store, type: GlobalType, value: object = 0) -> None:
        buffer = (c_uint64 * 2)()
        self._store = store
        self._type = type
        # The view keeps the buffer alive, and the address good.
        self._cells = memoryview(buffer).cast("B").cast("Q")
        self._index = 0
        self._address = addressof(buffer)
        store._globals.append(self)
        self._set(value)

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
        bits: int = self._cells[self._index]
        if self._type.content.code == V128:
            bits |= self._cells[self._index + 1] << 64
        return bits

    @property
    def value(self) -> Any:
        """The value: an int (signed), a float, or a reference. Setting raises ``AttributeError`` if the global is
        immutable, ``TypeError`` or ``OverflowError`` if the value does not fit.
        """
        return from_bits(self._store, self._type.content.code, self.raw)

    @value.setter
    def value(self, value: object) -> None:
        if not self._type.mutable:
            raise AttributeError(
                f"this global is immutable: its type is {self._type.content}, not (mut {self._type.content})"
            )
        self._set(value)

    def _set(self, value: object) -> None:
        code = self._type.content.code
        bits = self._to_bits(value)
        while True:
            self._cells[self._index] = bits & MASK64
            if code == V128:
                self._cells[self._index + 1] = bits >> 64
            if code != EXTERNREF:
                return
            # Another thread may have let go of an object before it was in the global, see vibewasm.references.
            again = self._to_bits(value)
            if again == bits:
                return
            bits = again

    def _to_bits(self, value: object) -> int:
        try:
            return to_bits(self._store, self._type.content.code, value)
        except (TypeError, OverflowError, ValueError) as error:
            raise prefixed(f"a global of type {self._type.content}", error) from None

    def __repr__(self) -> str:
        return f"<vibewasm.Global {self._type.content} {self.value!r}>"
