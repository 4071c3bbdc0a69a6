"""Types: of values, functions, memories, tables, globals and tags, and of what modules import and export."""

from __future__ import annotations

from ... import extern_types as ours
from ...types import FuncType as OurFuncType
from ...types import ValType as OurValType
from .errors import WasmtimeError
from .managed import Managed, Wrapper

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

#: The size of a page, as a power of two.
PAGE_SIZE_LOG2 = 16
#: The only two sizes that there are: of the specification, and of a proposal.
_PAGE_SIZES_LOG2 = (PAGE_SIZE_LOG2, 0)


class ValType(Managed, Wrapper[OurValType]):
    """The type of a value. Class methods make them; equal types are equal, not the same object."""

    def __init__(self) -> None:
        raise WasmtimeError("cannot construct directly")

    @classmethod
    def i32(cls) -> ValType:
        """32-bit integers."""
        return ValType._of(OurValType.i32)

    @classmethod
    def i64(cls) -> ValType:
        """64-bit integers."""
        return ValType._of(OurValType.i64)

    @classmethod
    def f32(cls) -> ValType:
        """32-bit floats."""
        return ValType._of(OurValType.f32)

    @classmethod
    def f64(cls) -> ValType:
        """64-bit floats."""
        return ValType._of(OurValType.f64)

    @classmethod
    def externref(cls) -> ValType:
        """Any Python object, or null."""
        return ValType._of(OurValType.externref)

    @classmethod
    def funcref(cls) -> ValType:
        """A function, or null."""
        return ValType._of(OurValType.funcref)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ValType):
            return False
        return self._given() is other._given()

    __hash__ = None  # type: ignore[assignment]  # as in wasmtime-py

    def _given(self) -> OurValType:
        self._check_open()
        return self._ours

    def __str__(self) -> str:
        # The name that externref had once, and that wasmtime-py still shows.
        return "anyref" if self._given() is OurValType.externref else self._ours.name

    def __repr__(self) -> str:
        return str(self)


def _val_type(given: object) -> OurValType:
    """What is a ``ValType``."""
    if not isinstance(given, ValType):
        raise TypeError("expected valtype")
    return given._given()


class FuncType(Managed, Wrapper[OurFuncType]):
    """The type of a function."""

    def __init__(self, params: Sequence[ValType], results: Sequence[ValType]) -> None:
        for given in (*params, *results):
            if not isinstance(given, ValType):
                raise TypeError("expected ValType")
        self._ours = OurFuncType([param._given() for param in params], [result._given() for result in results])

    @property
    def params(self) -> list[ValType]:
        """The parameters' types."""
        self._check_open()
        return [ValType._of(type_) for type_ in self._ours.params]

    @property
    def results(self) -> list[ValType]:
        """The results' types."""
        self._check_open()
        return [ValType._of(type_) for type_ in self._ours.results]


class GlobalType(Managed, Wrapper[ours.GlobalType]):
    """The type of a global."""

    def __init__(self, valtype: ValType, mutable: bool) -> None:
        self._ours = ours.GlobalType(_val_type(valtype), bool(mutable))

    @property
    def content(self) -> ValType:
        """The type of its value."""
        self._check_open()
        return ValType._of(self._ours.content)

    @property
    def mutable(self) -> bool:
        """Whether it may be set."""
        self._check_open()
        return self._ours.mutable


class Limits:
    """How large something is at first, and may become: pages of a memory or elements of a table.

    Attributes:
        min: the size at first.
        max: the most, or ``None``.
    """

    def __init__(self, min: int, max: int | None) -> None:
        self.min = min
        self.max = max

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Limits) and self.min == other.min and self.max == other.max

    __hash__ = None  # type: ignore[assignment]  # as in wasmtime-py


class TableType(Managed, Wrapper[ours.TableType]):
    """The type of a table."""

    def __init__(self, valtype: ValType, limits: Limits) -> None:
        if not isinstance(limits, Limits):
            raise TypeError("expected Limits")
        element = _val_type(valtype)
        try:
            self._ours = ours.TableType(element, ours.Limits(limits.min, limits.max))
        except ValueError as error:
            raise WasmtimeError(str(error)) from None

    @property
    def element(self) -> ValType:
        """The type of its elements."""
        self._check_open()
        return ValType._of(self._ours.element)

    @property
    def limits(self) -> Limits:
        """Its size in elements."""
        self._check_open()
        return Limits(self._ours.limits.minimum, self._ours.limits.maximum)


class MemoryType(Managed, Wrapper[ours.MemoryType]):
    """The type of a memory. It may be one that the engine has no memories of; making one of those is refused."""

    _page_size_log2 = PAGE_SIZE_LOG2

    def __init__(self, limits: Limits, is_64: bool = False, shared: bool = False, page_size_log2: int = 16) -> None:
        if not isinstance(limits, Limits):
            raise TypeError("expected Limits")
        most = 1 << 64 if is_64 else 1 << 32
        if limits.min >= most:
            raise WasmtimeError("minimum size too large")
        if limits.max and limits.max >= most:
            raise WasmtimeError("maximum size too large")
        if page_size_log2 not in _PAGE_SIZES_LOG2:
            raise WasmtimeError(f"page size must be 2**16 or 2**0, but was given 2**{page_size_log2}")
        if shared and limits.max is None:
            raise WasmtimeError("shared memories must have a maximum size")
        if limits.max is not None and limits.max < limits.min:
            raise WasmtimeError("maximum page size cannot be smaller than the minimum page size")
        if limits.min << page_size_log2 > most:
            raise WasmtimeError("minimum size is too large for this memory type's index type")
        if limits.max is not None and limits.max << page_size_log2 > most:
            raise WasmtimeError("maximum size is too large for this memory type's index type")
        self._page_size_log2 = page_size_log2
        try:
            self._ours = ours.MemoryType(ours.Limits(limits.min, limits.max, bool(shared), bool(is_64)))
        except ValueError as error:
            raise WasmtimeError(str(error)) from None

    @property
    def limits(self) -> Limits:
        """Its size in pages."""
        self._check_open()
        return Limits(self._ours.limits.minimum, self._ours.limits.maximum)

    @property
    def is_64(self) -> bool:
        """Whether its addresses have 64 bits."""
        self._check_open()
        return self._ours.limits.is64

    @property
    def is_shared(self) -> bool:
        """Whether threads share it."""
        self._check_open()
        return self._ours.limits.shared

    @property
    def page_size(self) -> int:
        """Bytes of a page."""
        return 1 << self.page_size_log2

    @property
    def page_size_log2(self) -> int:
        """Bytes of a page, as the exponent of two."""
        self._check_open()
        return self._page_size_log2


class TagType(Managed):
    """The type of a tag: what its exceptions carry. The function type counts as closed afterwards."""

    def __init__(self, functype: FuncType) -> None:
        if not isinstance(functype, FuncType):
            raise TypeError("expected a FuncType")
        functype._consume()
        self._ours = functype._ours

    @classmethod
    def _of(cls, ours: OurFuncType) -> TagType:
        self = cls.__new__(cls)
        self._ours = ours
        return self

    @property
    def functype(self) -> FuncType:
        """What exceptions of the tag carry, as parameters."""
        self._check_open()
        return FuncType._of(self._ours)


def extern_type(given: ours.ExternType) -> FuncType | TableType | MemoryType | GlobalType | TagType:
    """wasmtime-py's object for the type of an import or export."""
    if isinstance(given, OurFuncType):
        return FuncType._of(given)
    if isinstance(given, ours.TableType):
        return TableType._of(given)
    if isinstance(given, ours.TagType):
        return TagType._of(given.func)
    return MemoryType._of(given) if isinstance(given, ours.MemoryType) else GlobalType._of(given)


class ImportType(Managed, Wrapper[ours.ImportType]):
    """What a module imports."""

    @property
    def module(self) -> str:
        """The name of the module that it is imported from."""
        self._check_open()
        return self._ours.module

    @property
    def name(self) -> str | None:
        """Its name in that module."""
        self._check_open()
        return self._ours.name

    @property
    def type(self) -> FuncType | TableType | MemoryType | GlobalType | TagType:
        """Its type."""
        self._check_open()
        return extern_type(self._ours.type)


class ExportType(Managed, Wrapper[ours.ExportType]):
    """What a module exports."""

    @property
    def name(self) -> str:
        """Its name."""
        self._check_open()
        return self._ours.name

    @property
    def type(self) -> FuncType | TableType | MemoryType | GlobalType | TagType:
        """Its type."""
        self._check_open()
        return extern_type(self._ours.type)
