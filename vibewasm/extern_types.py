"""Types of memories, tables and globals, and what modules import and export (specification, "Structure / Types")."""

from __future__ import annotations

from .types import FuncType, ValType, val_type

__all__ = [
    "ExportType",
    "ExternType",
    "GlobalType",
    "ImportType",
    "Limits",
    "MemoryType",
    "TableType",
]


class Limits:
    """How large a memory (in pages) or a table (in elements) is at first, and may become.

    Attributes:
        minimum: the size at first.
        maximum: the size that it may not grow beyond, or ``None``.
        shared: whether threads may share it (the threads proposal).
        is64: whether it is indexed with i64 (the memory64 proposal).
    """

    __slots__ = ("is64", "maximum", "minimum", "shared")

    def __init__(self, minimum: int, maximum: int | None = None, shared: bool = False, is64: bool = False) -> None:
        self.minimum = minimum
        self.maximum = maximum
        self.shared = shared
        self.is64 = is64

    def _key(self) -> tuple[int, int | None, bool, bool]:
        return self.minimum, self.maximum, self.shared, self.is64

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, Limits) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    def __reduce__(self) -> tuple[type[Limits], tuple[int, int | None, bool, bool]]:
        return Limits, self._key()

    def __repr__(self) -> str:
        shared = ", shared=True" if self.shared else ""
        is64 = ", is64=True" if self.is64 else ""
        return f"Limits({self.minimum}, {self.maximum}{shared}{is64})"

    def __str__(self) -> str:
        text = f"i64 {self.minimum}" if self.is64 else f"{self.minimum}"
        text += "" if self.maximum is None else f" {self.maximum}"
        return text + (" shared" if self.shared else "")


class TableType:
    """The type of a table.

    Attributes:
        element: the :class:`ValType` of its elements.
        limits: its size in elements.

    Raises:
        ValueError: ``element`` is not a reference type.
    """

    __slots__ = ("element", "limits")

    def __init__(self, element: ValType | int | str, limits: Limits) -> None:
        self.element = val_type(element)
        if not self.element.is_ref:
            raise ValueError(f"a table holds references, not {self.element}")
        self.limits = limits

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TableType):
            return NotImplemented
        return self.element is other.element and self.limits == other.limits

    def __hash__(self) -> int:
        return hash((self.element.code, self.limits))

    def __reduce__(self) -> tuple[type[TableType], tuple[ValType, Limits]]:
        return TableType, (self.element, self.limits)

    def __repr__(self) -> str:
        return f"TableType({self.element.name!r}, {self.limits!r})"

    def __str__(self) -> str:
        return f"table {self.limits} {self.element}"


class MemoryType:
    """The type of a linear memory.

    Attributes:
        limits: its size in pages of 65536 bytes.
    """

    __slots__ = ("limits",)

    def __init__(self, limits: Limits) -> None:
        self.limits = limits

    def __eq__(self, other: object) -> bool:
        return self.limits == other.limits if isinstance(other, MemoryType) else NotImplemented

    def __hash__(self) -> int:
        return hash((MemoryType, self.limits))

    def __reduce__(self) -> tuple[type[MemoryType], tuple[Limits]]:
        return MemoryType, (self.limits,)

    def __repr__(self) -> str:
        return f"MemoryType({self.limits!r})"

    def __str__(self) -> str:
        return f"memory {self.limits}"


class GlobalType:
    """The type of a global.

    Attributes:
        content: the :class:`ValType` of its value.
        mutable: whether it may be set.
    """

    __slots__ = ("content", "mutable")

    def __init__(self, content: ValType | int | str, mutable: bool = False) -> None:
        self.content = val_type(content)
        self.mutable = mutable

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, GlobalType):
            return NotImplemented
        return self.content is other.content and self.mutable == other.mutable

    def __hash__(self) -> int:
        return hash((self.content.code, self.mutable))

    def __reduce__(self) -> tuple[type[GlobalType], tuple[ValType, bool]]:
        return GlobalType, (self.content, self.mutable)

    def __repr__(self) -> str:
        return f"GlobalType({self.content.name!r}, {self.mutable})"

    def __str__(self) -> str:
        return f"global (mut {self.content})" if self.mutable else f"global {self.content}"


ExternType = FuncType | TableType | MemoryType | GlobalType


class ImportType:
    """What a module wants: two names and a type.

    Attributes:
        module, name: the two names.
        type: a :class:`FuncType`, :class:`TableType`, :class:`MemoryType` or :class:`GlobalType`.
    """

    __slots__ = ("module", "name", "type")

    def __init__(self, module: str, name: str, type: ExternType) -> None:
        self.module = module
        self.name = name
        self.type = type

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ImportType):
            return NotImplemented
        return (self.module, self.name, self.type) == (other.module, other.name, other.type)

    def __hash__(self) -> int:
        return hash((self.module, self.name, self.type))

    def __reduce__(self) -> tuple[type[ImportType], tuple[str, str, ExternType]]:
        return ImportType, (self.module, self.name, self.type)

    def __repr__(self) -> str:
        return f"ImportType({self.module!r}, {self.name!r}, {self.type!r})"


class ExportType:
    """What a module gives: a name and a type.

    Attributes:
        name: the name.
        type: a :class:`FuncType`, :class:`TableType`, :class:`MemoryType` or :class:`GlobalType`.
    """

    __slots__ = ("name", "type")

    def __init__(self, name: str, type: ExternType) -> None:
        self.name = name
        self.type = type

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ExportType):
            return NotImplemented
        return (self.name, self.type) == (other.name, other.type)

    def __hash__(self) -> int:
        return hash((self.name, self.type))

    def __reduce__(self) -> tuple[type[ExportType], tuple[str, ExternType]]:
        return ExportType, (self.name, self.type)

    def __repr__(self) -> str:
        return f"ExportType({self.name!r}, {self.type!r})"
