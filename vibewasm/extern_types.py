"""Types of memories, tables and globals, and what modules import and export (specification, "Structure / Types")."""

from __future__ import annotations

from .types import FuncType, ValType, val_type_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Never

    from .binary.module_info import ModuleInfo

__all__ = [
    "ExportType",
    "ExternType",
    "GlobalType",
    "ImportType",
    "Limits",
    "MemoryType",
    "TableType",
    "TagType",
]


class Limits:
    """How large a memory (in pages) or a table (in elements) is at first, and may become.

    Attributes:
        minimum: the size at first.
        maximum: the size that it may not grow beyond, or ``None``.
        shared: whether threads may share it (the threads proposal, which no object can be made with yet).
        is64: whether it is indexed with i64 (the memory64 proposal, which no object can be made with yet).

    Raises:
        TypeError: a size is no int, or a flag is no bool.
        ValueError: a size is negative or has more than 64 bits, or the minimum is above the maximum.
    """

    __slots__ = ("is64", "maximum", "minimum", "shared")

    def __init__(
        self, minimum: int, maximum: int | None = None, shared: bool = False, is64: bool = False, **unknown: Never
    ) -> None:
        if unknown:
            from .arguments import unknown_keywords

            raise unknown_keywords("Limits", unknown, self.__slots__)
        self.minimum = _size("minimum", minimum)
        self.maximum = None if maximum is None else _size("maximum", maximum)
        if self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"Limits: the minimum, {self.minimum}, is above the maximum, {self.maximum}")
        self.shared = _flag("Limits", "shared", shared)
        self.is64 = _flag("Limits", "is64", is64)

    @classmethod
    def unchecked(cls, minimum: int, maximum: int | None, shared: bool, is64: bool) -> Limits:
        """The limits that a module states, whether they make sense or not: the decoder's way."""
        made = cls.__new__(cls)
        made.minimum = minimum
        made.maximum = maximum
        made.shared = shared
        made.is64 = is64
        return made

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


def _size(parameter: str, value: object) -> int:
    """A number of pages or elements."""
    if type(value) is not int:
        from .arguments import whole

        value = whole("Limits", parameter, "a number of pages or elements", value)
    if not 0 <= value < 1 << 64:
        from .arguments import number

        raise ValueError(f"Limits: {parameter} is a number from 0 to 2**64 - 1, not {number(value)}")
    return value


def _flag(where: str, parameter: str, value: object) -> bool:
    if value is not True and value is not False:
        from .arguments import wrong

        raise wrong(where, parameter, "a bool", value)
    return value


def _limits(where: str, value: object) -> Limits:
    if not isinstance(value, Limits):
        from .arguments import wrong

        raise wrong(where, "limits", "a Limits", value)
    return value


class TableType:
    """The type of a table.

    Attributes:
        element: the :class:`ValType` of its elements.
        limits: its size in elements.

    Raises:
        TypeError: an argument is of another type.
        ValueError: ``element`` is not a reference type.
    """

    __slots__ = ("element", "limits")

    def __init__(self, element: ValType | int | str, limits: Limits) -> None:
        self.element = val_type_of("TableType: element", element)
        if not self.element.is_ref:
            raise ValueError(f"a table holds references, not {self.element}")
        self.limits = _limits("TableType", limits)

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

    Raises:
        TypeError: ``limits`` is no :class:`Limits`.
    """

    __slots__ = ("limits",)

    def __init__(self, limits: Limits) -> None:
        self.limits = _limits("MemoryType", limits)

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

    Raises:
        TypeError: an argument is of another type.
        ValueError: there is no value type of that name.
    """

    __slots__ = ("content", "mutable")

    def __init__(self, content: ValType | int | str, mutable: bool = False, **unknown: Never) -> None:
        if unknown:
            from .arguments import unknown_keywords

            raise unknown_keywords("GlobalType", unknown, self.__slots__)
        self.content = val_type_of("GlobalType: content", content)
        self.mutable = _flag("GlobalType", "mutable", mutable)

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


class TagType:
    """The type of a tag: what the exceptions that have it carry.

    Attributes:
        func: a :class:`FuncType` whose parameters are the types of the values, and that has no results.
        params: the same types as a tuple of :class:`ValType`.

    Args:
        func: such a :class:`FuncType`, or a sequence of value types.

    Raises:
        TypeError: ``func`` is something else.
        ValueError: it has results, or there is no value type of that name.
    """

    __slots__ = ("func",)

    def __init__(self, func: FuncType | Iterable[ValType | int | str] = ()) -> None:
        self.func = func if isinstance(func, FuncType) else FuncType(func)
        if self.func.result_codes:
            raise ValueError(f"TagType: a tag has no results, and {self.func} does")

    @property
    def params(self) -> tuple[ValType, ...]:
        """The types of the values that an exception with this tag carries."""
        return self.func.params

    def __eq__(self, other: object) -> bool:
        return self.func == other.func if isinstance(other, TagType) else NotImplemented

    def __hash__(self) -> int:
        return hash((TagType, self.func))

    def __reduce__(self) -> tuple[type[TagType], tuple[FuncType]]:
        return TagType, (self.func,)

    def __repr__(self) -> str:
        return f"TagType({[type_.name for type_ in self.params]})"

    def __str__(self) -> str:
        return f"tag ({', '.join(type_.name for type_ in self.params)})"


ExternType = FuncType | TableType | MemoryType | GlobalType | TagType


def _name(where: str, parameter: str, value: object) -> str:
    if not isinstance(value, str):
        from .arguments import wrong

        raise wrong(where, parameter, "a str", value)
    return value


def _extern_type(where: str, value: object) -> ExternType:
    if not isinstance(value, (FuncType, TableType, MemoryType, GlobalType, TagType)):
        from .arguments import wrong

        raise wrong(where, "type", "a FuncType, TableType, MemoryType, GlobalType or TagType", value)
    return value


class ImportType:
    """What a module wants: two names and a type.

    Attributes:
        module, name: the two names.
        type: a :class:`FuncType`, :class:`TableType`, :class:`MemoryType`, :class:`GlobalType` or :class:`TagType`.
    """

    __slots__ = ("module", "name", "type")

    def __init__(self, module: str, name: str, type: ExternType) -> None:
        self.module = _name("ImportType", "module", module)
        self.name = _name("ImportType", "name", name)
        self.type = _extern_type("ImportType", type)

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
        type: a :class:`FuncType`, :class:`TableType`, :class:`MemoryType`, :class:`GlobalType` or :class:`TagType`.
    """

    __slots__ = ("name", "type")

    def __init__(self, name: str, type: ExternType) -> None:
        self.name = _name("ExportType", "name", name)
        self.type = _extern_type("ExportType", type)

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


def imports_of(info: ModuleInfo) -> list[ImportType]:
    """What a module imports, in order."""
    types = info.types
    return [
        ImportType(item.module, item.name, types[item.desc] if isinstance(item.desc, int) else item.desc)
        for item in info.imports
    ]


def exports_of(info: ModuleInfo) -> list[ExportType]:
    """What a module exports, in order."""
    return [ExportType(item.name, _type_of(info, item.kind, item.index)) for item in info.exports]


def _type_of(info: ModuleInfo, kind: int, index: int) -> ExternType:
    # Numbers of kinds are those of the binary format.
    if kind == 0:
        return info.types[info.func_type_indices[index]]
    spaces: tuple[Sequence[ExternType], ...] = info.tables, info.memories, info.globals, info.tags
    return spaces[kind - 1][index]
