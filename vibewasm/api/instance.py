"""Instances of modules, and what they export (core specification, "Module Instances")."""

from __future__ import annotations

# Which the interpreter has loaded; collections.abc is one more module.
from _collections_abc import Mapping

from ..abi import RECORD_SIZE
from ..binary.module_info import FUNC, GLOBAL, MEMORY, TABLE
from ..errors import not_copied
from ..instances.context import set_code

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Any, Never, NoReturn, Self

    from .extern import Extern
    from .func import Func
    from .global_ import Global
    from .memory import Memory
    from .module import Module
    from .store import Store
    from .table import Table
    from .tag import Tag


class _NothingAlike:
    """Where the interpreter, which adds a suggestion of its own to an ``AttributeError`` that it shows, looks for one:
    the object of those whose message has a suggestion already.
    """

    __slots__ = ()

    def __dir__(self) -> list[str]:
        return []


_NOTHING_ALIKE = _NothingAlike()


class Instance:
    """A module with its memories, tables and globals, ready to be called. :meth:`vibewasm.Linker.instantiate` and
    :func:`vibewasm.instantiate` make instances. As a context manager it closes, at the end, the store that
    :func:`vibewasm.instantiate` made for it; a store that was there before stays open.

    Attributes:
        exports: what it exports, an :class:`Exports`.
    """

    __slots__ = (
        "_address",
        "_cells",
        "_dropped_datas",
        "_dropped_elements",
        "_globals",
        "_imported_funcs",
        "_memories",
        "_module",
        "_owns_store",
        "_records_address",
        "_store",
        "_tables",
        "_tags",
        "exports",
    )

    _store: Store
    _module: Module
    # Not a property, which every instance.exports.f(x) would pay for.
    exports: Exports

    __reduce_ex__ = not_copied

    def __init__(self, *arguments: Never, **named: Never) -> None:
        raise TypeError(
            "an Instance is made by vibewasm.instantiate(source) or by Linker(engine).instantiate(store, module), not "
            "by calling its class"
        )

    @property
    def store(self) -> Store:
        """The store that it belongs to, and lives as long as."""
        return self._store

    @property
    def module(self) -> Module:
        """What it is an instance of."""
        return self._module

    # Filled in by make_instance, and for it by the module's template and segments (vibewasm.instances).
    #: Address of the context, which machine code reads, and a view of its 8-byte cells, and of the records after them.
    _address: int
    _cells: memoryview
    #: Where the records of functions that may be referred to begin, by dense index; those of imports are not here.
    _records_address: int
    #: Imported functions, then memories, tables and globals by index. Globals of the instance itself are made when
    #: asked for.
    _imported_funcs: list[Func]
    _memories: list[Memory]
    _tables: list[Table]
    _globals: list[Global | None]
    #: Imported tags, by index. Tags of the instance itself are made when asked for.
    _tags: list[Tag | None]
    #: By element segment and by data segment, 1 where it has been dropped, or has done its work at instantiation.
    _dropped_elements: bytearray
    _dropped_datas: bytearray
    #: Whether the store was made for this instance.
    _owns_store: bool

    def __enter__(self) -> Self:
        self._store._check_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._owns_store:
            self._store.__exit__(kind, error, traceback)

    def _compile(self, defined: int, store: Store | None = None) -> int:
        """Compile a defined function unless it is, let this instance's calls lead to it, and return its address.

        Args:
            defined: which one.
            store: the store that has to stop if it takes too long.
        """
        address = self.module._code_address(defined, store)
        set_code(self._cells, self.module, defined, address)
        return address

    def _record(self, index: int) -> int:
        """Address of the record of function ``index``, which is imported or may be referred to."""
        if index < len(self._imported_funcs):
            return self._imported_funcs[index]._address
        return self._records_address + RECORD_SIZE * self.module.info.declared_refs[index]

    def _func(self, index: int) -> Func:
        if index < len(self._imported_funcs):
            return self._imported_funcs[index]
        address = self._record(index)
        func = self.store._funcs.get(address)
        if func is None:
            from .func import Func

            func = Func._of_instance(self, index - len(self._imported_funcs), address)
        return func

    def _global(self, index: int) -> Global:
        made = self._globals[index]
        if made is None:
            from .global_ import Global

            offset = self.module.layout.global_(index)
            type_ = self.module.info.globals[index]
            made = Global._at(self.store, type_, self._cells, offset >> 3, self._address + offset)
            self._globals[index] = made
        return made

    def _tag(self, index: int) -> Tag:
        made = self._tags[index]
        if made is None:
            from .tag import Tag

            made = self._tags[index] = Tag._of_instance(self, index)
        return made

    def _main_memory(self) -> Memory | None:
        """The memory that a host function such as one of WASI works on: the export ``memory``, else memory 0."""
        export = self.module._export_index.get("memory")
        if export is not None and export.kind == MEMORY:
            return self._memories[export.index]
        return self._memories[0] if self._memories else None

    def _export(self, kind: int, index: int) -> Extern:
        if kind == FUNC:
            return self._func(index)
        if kind == TABLE:
            return self._tables[index]
        if kind == MEMORY:
            return self._memories[index]
        return self._global(index) if kind == GLOBAL else self._tag(index)

    def __getattr__(self, name: str) -> NoReturn:
        message = f"{type(self).__name__!r} object has no attribute {name!r}"
        # Half made it has no exports, and asking for them leads here.
        if name != "exports" and name in self.exports:
            from .introspection import is_python_name

            # Not all names of exports are identifiers, and not all can be looked up as they are written.
            written = f".{name}" if is_python_name(name) else f"[{name!r}]"
            message += f": it is an export: instance.exports{written}"
            raise AttributeError(message, name=name, obj=_NOTHING_ALIKE)
        raise AttributeError(message, name=name, obj=self)

    def __repr__(self) -> str:
        from ..counting import counted

        name = f" of {self.module.name!r}" if self.module.name else ""
        count = len(self.exports)
        return f"<vibewasm.Instance{name} with {counted(count, 'export')}>"


class Exports:
    """What an instance exports: ``exports.name`` or ``exports["name"]``, iteration over the names, ``in`` and ``len``.
    It is a :class:`collections.abc.Mapping`, so that ``case {"add": add}`` matches it.

    A function is a :class:`~vibewasm.Func`, and so on. A name that is no Python identifier is reached with brackets.
    ``exports.name`` is always the export of that name if there is one, also where it is the name of a method below:
    code for modules that it does not know uses iteration and brackets.

    Raises:
        AttributeError, KeyError: there is no such export; the message names the nearest.
    """

    # No __slots__: an export that was asked for becomes an attribute, which is the fastest way to find it again.

    __reduce_ex__ = not_copied

    def __init__(self, instance: Instance) -> None:
        if not isinstance(instance, Instance):
            from ..arguments import wrong

            raise wrong("Exports", "instance", "an Instance", instance)
        # A leading space keeps the names apart from those of exports, of which any is possible, and out of the way.
        attributes = self.__dict__
        attributes[" instance"] = instance
        attributes[" index"] = index = instance._module._export_index
        if not _METHODS.isdisjoint(index):
            for name in _METHODS & index.keys():
                # An attribute of the object comes before one of its class.
                attributes[name] = self[name]

    def __getattr__(self, name: str) -> Any:
        try:
            item = self[name]
        except KeyError as error:
            raise AttributeError(error.args[0], name=name, obj=_NOTHING_ALIKE) from None
        if name[:1] != " ":
            self.__dict__[name] = item
        return item

    def __deepcopy__(self, memo: object) -> NoReturn:
        # Looked up in the object, so that an export of that name would be called.
        not_copied(self, 4)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"exports cannot be set ({name!r})")

    def __getitem__(self, name: str) -> Any:
        if not isinstance(name, str):
            from ..arguments import wrong

            raise wrong("Exports", "the name of an export", "a str", name)
        export = self.__dict__[" index"].get(name)
        if export is None:
            raise KeyError(_missing(name, self))
        instance: Instance = self.__dict__[" instance"]
        return instance._export(export.kind, export.index)

    def __iter__(self) -> Iterator[str]:
        return iter(self.__dict__[" index"])

    def __len__(self) -> int:
        return len(self.__dict__[" index"])

    def __contains__(self, name: object) -> bool:
        return name in self.__dict__[" index"]

    def __dir__(self) -> list[str]:
        # What a prompt may complete after the dot. The other names are reached with brackets.
        from .introspection import is_python_name

        return [name for name in self if is_python_name(name)]

    def get(self, name: str, default: Any = None) -> Any:
        """The export of that name, or ``default``."""
        if not isinstance(name, str):
            # Raises what says so.
            return self[name]
        return self[name] if name in self else default

    def keys(self) -> list[str]:
        """The names."""
        return list(self)

    def values(self) -> list[Extern]:
        """The exported objects."""
        return [self[name] for name in self]

    def items(self) -> list[tuple[str, Extern]]:
        """Names and objects."""
        return [(name, self[name]) for name in self]

    def __repr__(self) -> str:
        from ..names import escaped

        return f"<vibewasm.Exports: {', '.join(map(escaped, self)) or 'none'}>"


# Not a base class: what it would bring along are further names that exports may have too.
Mapping.register(Exports)

if not TYPE_CHECKING:
    # What is missing is said by ``wrong``; see vibewasm.arguments.
    Exports.__init__.__defaults__ = (...,)


#: Names that exports may have too.
_METHODS = frozenset(("get", "items", "keys", "values"))


def _missing(name: str, exports: Exports) -> str:
    if not len(exports):
        return f"there is no export {name!r}: the module exports nothing"
    from ..names import hint

    return f"there is no export {name!r}{hint(name, exports)}"
