"""What modules import and export, other than functions."""

from __future__ import annotations

from ctypes import POINTER, c_ubyte, cast

from ...api.func import Func as OurFunc
from ...api.global_ import Global as OurGlobal
from ...api.memory import Memory as OurMemory
from ...api.table import Table as OurTable
from ...api.tag import Tag as OurTag
from ...errors import WasmError
from ...extern_types import MemoryType as OurMemoryType
from ...extern_types import TagType as OurTagType
from .engine import Engine
from .errors import WasmtimeError, attempt, unsupported
from .func import Func, wrong_store
from .managed import Managed, Wrapper
from .types import PAGE_SIZE_LOG2, GlobalType, MemoryType, TableType, TagType
from .values import Val, converter, from_ours

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ctypes
    from typing import Any, NoReturn

    from ...api.extern import Extern as OurExtern
    from .store import Store, Storelike


def _owner(item: Global | Table | Memory | Tag, store: Storelike) -> Store:
    """The store, which has to be the one that ``item`` belongs to."""
    owner = store._context()
    if item._ours.store is not owner._ours:
        raise wrong_store()
    return owner


class Global(Wrapper[OurGlobal]):
    """A global variable."""

    def __init__(self, store: Storelike, ty: GlobalType, val: Any) -> None:
        if not isinstance(ty, GlobalType):
            raise TypeError("expected a GlobalType")
        ty._check_open()
        value = converter(ty._ours.content.code)(val)
        self._ours = attempt(OurGlobal, store._context()._ours, ty._ours, value)

    def type(self, store: Storelike) -> GlobalType:
        """Its type."""
        _owner(self, store)
        return GlobalType._of(self._ours.type)

    def value(self, store: Storelike) -> Any:
        """Its value; for null, a :class:`Val` that equals ``None``."""
        _owner(self, store)
        code = self._ours.type.content.code
        value = from_ours(code, attempt(lambda: self._ours.value))
        return Val(code, None) if value is None else value

    def set_value(self, store: Storelike, val: Any) -> None:
        """Set it.

        Raises:
            WasmtimeError: it is immutable.
        """
        _owner(self, store)
        type_ = self._ours.type
        value = converter(type_.content.code)(val)
        if not type_.mutable:
            raise WasmtimeError("immutable global cannot be set")
        attempt(setattr, self._ours, "value", value)


class Table(Wrapper[OurTable]):
    """A table of references."""

    def __init__(self, store: Store, ty: TableType, init: Any) -> None:
        value = converter(_element(ty))(init)
        owner = store._context()
        owner._check_elements(ty._ours.limits.minimum)
        self._ours = attempt(OurTable, owner._ours, ty._ours, value)

    def type(self, store: Storelike) -> TableType:
        """Its type. The minimum is the size that it was made with."""
        _owner(self, store)
        return TableType._of(self._ours._type)

    def size(self, store: Storelike) -> int:
        """How many elements it has."""
        _owner(self, store)
        return _length(self._ours)

    def grow(self, store: Storelike, amt: int, init: Any) -> int:
        """Add ``amt`` elements and give the former size.

        Raises:
            WasmtimeError: it cannot become as large.
        """
        _owner(self, store)
        value = converter(self._ours.type.element.code)(init)
        try:
            return self._ours.grow(amt, value)
        except (WasmError, ValueError) as error:
            if isinstance(error, ValueError) and amt >= 0:
                raise
            raise WasmtimeError(f"failed to grow table by `{amt}`") from None

    def get(self, store: Store, idx: int) -> Any | None:
        """An element; ``None`` where there is none, and for null a :class:`Val` that equals ``None``."""
        _owner(self, store)
        if not 0 <= idx < _length(self._ours):
            return None
        code = self._ours.type.element.code
        value = from_ours(code, attempt(self._ours.__getitem__, idx))
        # wasmtime-py gives the Val of whatever counts as false.
        return value or Val(code, value)

    def set(self, store: Store, idx: int, val: Any) -> None:
        """Set an element.

        Raises:
            WasmtimeError: there is none with this index.
        """
        _owner(self, store)
        value = converter(self._ours.type.element.code)(val)
        if not 0 <= idx < _length(self._ours):
            raise WasmtimeError("wasm trap: undefined element: out of bounds table access")
        attempt(self._ours.__setitem__, idx, value)


def _element(ty: TableType) -> int:
    ty._check_open()
    return ty._ours.element.code


def _length(table: OurTable) -> int:
    length: int = attempt(len, table)
    return length


class Memory(Wrapper[OurMemory]):
    """A linear memory."""

    def __init__(self, store: Storelike, ty: MemoryType) -> None:
        owner = store._context()
        ty._check_open()
        if ty._page_size_log2 != PAGE_SIZE_LOG2:
            raise unsupported("a memory with pages of another size than 65536 bytes")
        owner._check_pages(ty._ours.limits.minimum)
        self._ours = attempt(OurMemory, owner._ours, ty._ours)

    def type(self, store: Storelike) -> MemoryType:
        """Its type. The minimum is the size that it was made with."""
        _owner(self, store)
        return MemoryType._of(OurMemoryType(self._ours._limits))

    def grow(self, store: Storelike, delta: int) -> int:
        """Add ``delta`` pages and give the former size in pages.

        Raises:
            WasmtimeError: it cannot become as large, or ``delta`` is negative.
        """
        if delta < 0:
            raise WasmtimeError("cannot grow by negative amount")
        _owner(self, store)
        try:
            return self._ours.grow(delta)
        except WasmError:
            raise WasmtimeError(f"failed to grow memory by `{delta}`") from None

    def size(self, store: Storelike) -> int:
        """Its size in pages."""
        _owner(self, store)
        return self._ours.pages

    def data_len(self, store: Storelike) -> int:
        """Its size in bytes."""
        _owner(self, store)
        return self._ours.size

    def page_size(self, store: Storelike) -> int:
        """Bytes of a page."""
        return 1 << self.page_size_log2(store)

    def page_size_log2(self, store: Storelike) -> int:
        """Bytes of a page, as the exponent of two."""
        _owner(self, store)
        return PAGE_SIZE_LOG2

    def data_ptr(self, store: Storelike) -> ctypes._Pointer[ctypes.c_ubyte]:
        """A pointer to its first byte, which nothing checks: an index beyond :meth:`data_len` may end the process.

        The memory stays where it is when it grows, and stays as long as the pointer or its store does.
        """
        return cast(self.get_buffer_ptr(store), POINTER(c_ubyte))

    def get_buffer_ptr(
        self, store: Storelike, size: int | None = None, offset: int = 0
    ) -> ctypes.Array[ctypes.c_ubyte]:
        """An array of its bytes from ``offset`` on, without a copy: ``numpy.frombuffer`` takes it.

        Raises:
            ValueError: they are not all inside the memory.
        """
        _owner(self, store)
        view = self._ours.view()
        if size is None:
            size = len(view) - max(offset, 0)
        if not 0 <= offset <= offset + size <= len(view):
            raise ValueError(f"{size} bytes from {offset} on are not inside the memory of {len(view)} bytes")
        # Of an empty memory there is nothing to share.
        return (c_ubyte * size).from_buffer(view if view.nbytes else bytearray(), offset)

    def read(self, store: Storelike, start: int | None = 0, stop: int | None = None) -> bytearray:
        """A copy of the bytes from ``start`` to before ``stop``, as a slice of a list would have them."""
        _owner(self, store)
        first, end, _ = slice(start, stop).indices(self._ours.size)
        return bytearray(self._ours.view()[first:end]) if first < end else bytearray()

    def write(self, store: Storelike, value: bytearray | bytes, start: int | None = None) -> int:
        """Write bytes from ``start`` on, which counts from the end if it is negative, and give their number.

        Raises:
            IndexError: they do not fit.
        """
        _owner(self, store)
        size = self._ours.size
        first = slice(start, None).indices(size)[0]
        if first >= size:
            raise IndexError("index out of range")
        given: Any = value
        data = given if isinstance(given, (bytearray, bytes)) else bytearray(given)
        if first + len(data) > size:
            raise IndexError("index out of range")
        self._ours.write(first, data)
        return len(data)


class SharedMemory(Managed):
    """A memory that threads share. There are none here: making one is refused."""

    def __init__(self, engine: Engine, ty: MemoryType) -> None:
        engine._given()
        ty._check_open()
        if not ty.is_shared:
            raise WasmtimeError("shared memory must have the `shared` flag enabled on its memory type")
        raise unsupported("a SharedMemory, which takes the threads proposal,")

    def _none(self) -> NoReturn:
        raise ValueError("never initialized")

    def type(self) -> MemoryType:
        """Its type."""
        self._none()

    def grow(self, delta: int) -> int:
        """Add pages."""
        self._none()

    def size(self) -> int:
        """Its size in pages."""
        self._none()

    def data_ptr(self) -> ctypes._Pointer[ctypes.c_ubyte]:
        """A pointer to its first byte."""
        self._none()

    def data_len(self) -> int:
        """Its size in bytes."""
        self._none()


class Tag(Wrapper[OurTag]):
    """A tag of exceptions."""

    def __init__(self, store: Storelike, ty: TagType) -> None:
        if not isinstance(ty, TagType):
            raise TypeError("expected a TagType")
        ty._check_open()
        if ty._ours.results:
            raise WasmtimeError("Cannot create an exception type from a tag type with results in the signature")
        self._ours = attempt(OurTag, store._context()._ours, OurTagType(ty._ours))

    def type(self, store: Storelike) -> TagType:
        """Its type."""
        _owner(self, store)
        return TagType._of(self._ours.type.func)

    def eq(self, store: Storelike, other: Tag) -> bool:
        """Whether both are the same tag."""
        _owner(self, store)
        _owner(other, store)
        return self._ours is other._ours


if TYPE_CHECKING:
    Extern = Func | Table | Memory | SharedMemory | Global | Tag


def wrapped(ours: OurExtern) -> Extern:
    """wasmtime-py's object for one of ours."""
    if isinstance(ours, OurFunc):
        return Func._of(ours)
    if isinstance(ours, OurMemory):
        return Memory._of(ours)
    if isinstance(ours, OurTag):
        return Tag._of(ours)
    return Table._of(ours) if isinstance(ours, OurTable) else Global._of(ours)  # type: ignore[arg-type]  # what is left


def unwrapped(item: object) -> OurExtern:
    """Ours for one of wasmtime-py's.

    Raises:
        TypeError: it is none.
        WasmtimeError: it is one that no module can import here.
    """
    if isinstance(item, (Func, Global, Memory, Table, Tag)):
        return item._ours
    if isinstance(item, SharedMemory):
        raise unsupported("importing a SharedMemory")
    raise TypeError("expected a Func, Global, Memory, SharedMemory, Tag, or Table")
