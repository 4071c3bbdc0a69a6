"""Linking: what a module's imports are to be, by name."""

from __future__ import annotations

from .errors import LinkError
from .extern_types import GlobalType
from .func import Func
from .instantiation import make_instance
from .store import Extern
from .types import FuncType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .engine import Engine
    from .extern_types import ImportType
    from .instance import Instance
    from .module import Module
    from .store import Store
    from .wasi import WasiConfig

    #: What can be given for an import. A plain function gets the type of the import that it meets; a number becomes an
    #: immutable global.
    Item = Extern | Callable[..., Any] | int | float

WASI_MODULE = "wasi_snapshot_preview1"

_WASI_CODES = {"i": "i32", "I": "i64"}


class _Typed:
    """A Python function with the type that it was defined with."""

    __slots__ = ("function", "type")

    def __init__(self, function: Callable[..., Any], type: FuncType) -> None:
        self.function = function
        self.type = type


class _Zeros:
    """A function that returns zeros, of whatever type an import wants."""


class Linker:
    """Definitions for imports. One linker serves any number of modules and stores of its engine.

    Attributes:
        engine: the engine.
        allow_shadowing: whether a name may be defined anew; if not, that raises :class:`LinkError`.
    """

    __slots__ = ("_items", "_wasi", "allow_shadowing", "engine")

    def __init__(self, engine: Engine, *, allow_shadowing: bool = False) -> None:
        self.engine = engine
        self.allow_shadowing = allow_shadowing
        self._items: dict[tuple[str, str], Item | _Typed | _Zeros] = {}
        self._wasi: WasiConfig | None = None

    def define(self, module: str, name: str, item: Item, type: FuncType | None = None) -> None:
        """Define an import.

        Args:
            module, name: the two names of the import.
            item: a :class:`Func`, :class:`Memory`, :class:`Table` or :class:`Global`; a Python function; or a number,
                which becomes an immutable global.
            type: the type of a Python function. Without it the function gets the type of the import that it meets.

        Raises:
            TypeError: the item is none of these, or ``type`` is given for what is no Python function.
            LinkError: the name is defined already; see :attr:`allow_shadowing`.
        """
        plain = callable(item) and not isinstance(item, Func)
        if type is not None and not plain:
            raise TypeError(f"{module}.{name}: only a Python function is given a type")
        if not plain and not isinstance(item, (Extern, int, float)):
            raise TypeError(
                f"{module}.{name}: an import is a function, Func, Memory, Table, Global or number, not {_class(item)}"
            )
        self._define(module, name, _Typed(item, type) if type is not None else item)  # type: ignore[arg-type]  # it is plain

    def define_instance(self, name: str, instance: Instance) -> None:
        """Define all exports of an instance, as imports from the module ``name``. Raises :class:`LinkError` as
        :meth:`define` does.
        """
        exports = instance.exports
        for export in exports:
            self._define(name, export, exports[export])

    def define_wasi(self, config: WasiConfig) -> None:
        """Define the functions of WASI preview 1 (``wasi_snapshot_preview1``).

        Each store gets a program of its own from this configuration, with its own file descriptors, when it first
        instantiates a module that imports such functions.

        Raises:
            LinkError: WASI is defined already.
        """
        if self._wasi is not None and not self.allow_shadowing:
            raise LinkError(
                f"{WASI_MODULE} is defined already; a linker with allow_shadowing takes the later definition"
            )
        self._wasi = config

    def define_unknown_imports_as_zero(self, module: Module) -> None:
        """Define every function that ``module`` imports and nobody defined as one that returns zeros (null
        references).
        """
        for wanted in module.imports:
            if isinstance(wanted.type, FuncType) and not self._knows(wanted):
                self._items[wanted.module, wanted.name] = _Zeros()

    def _define(self, module: str, name: str, item: Item | _Typed) -> None:
        key = (module, name)
        if key in self._items and not self.allow_shadowing:
            raise LinkError(
                f"{_shown(module, name)} is defined already; a linker with allow_shadowing takes the later definition"
            )
        self._items[key] = item

    def _knows(self, wanted: ImportType) -> bool:
        if (wanted.module, wanted.name) in self._items:
            return True
        return self._wasi is not None and wanted.module == WASI_MODULE and wanted.name in _wasi_names()

    def instantiate(self, store: Store, module: Module) -> Instance:
        """Instantiate a module (core specification, "Instantiation"): check its imports, make its memories, tables
        and globals, apply its segments and call its start function.

        Raises:
            LinkError: imports are missing (the message lists them all) or have the wrong type, or a memory or table is
                too large for this store.
            Trap: a segment does not fit, or the start function trapped. What was written before stays written.
            WasmError: store, linker and module are not of one engine.
        """
        if store.engine is not module.engine or store.engine is not self.engine:
            raise LinkError(
                "the store, the linker and the module belong to different engines: make them with the same one"
            )
        return make_instance(store, module, self._externs(store, module) if module.info.imports else [])

    def _externs(self, store: Store, module: Module) -> list[Extern]:
        """The objects for a module's imports, checked."""
        from .matching import mismatch

        externs: list[Extern] = []
        missing = []
        for wanted in module.imports:
            extern = self._resolve(store, wanted)
            if extern is None:
                missing.append(wanted)
                continue
            if extern.store is not store:
                raise LinkError(f"what is defined for {_shown(wanted.module, wanted.name)} belongs to another store")
            why = mismatch(wanted.type, extern)
            if why is not None:
                raise LinkError(f"incompatible import type: {_shown(wanted.module, wanted.name)}: {why}")
            externs.append(extern)
        if missing:
            raise LinkError(self._missing(missing))
        return externs

    def _resolve(self, store: Store, wanted: ImportType) -> Extern | None:
        """The object for an import, made for this store if need be; ``None`` where nothing is defined."""
        label = f"{wanted.module}.{wanted.name}"
        key = (wanted.module, wanted.name)
        item = self._items.get(key)
        if item is None:
            return self._resolve_wasi(store, wanted.name) if wanted.module == WASI_MODULE else None
        if isinstance(item, Extern):
            return item
        type_ = wanted.type
        if isinstance(item, _Typed):
            return Func(store, item.type, item.function, name=label)
        if isinstance(item, _Zeros):
            assert isinstance(type_, FuncType)
            return Func(store, type_, _zeros(type_), name=label)
        if isinstance(item, (int, float)):
            if isinstance(type_, GlobalType) and not type_.mutable:
                from .global_ import Global

                try:
                    return Global(store, type_, item)
                except (TypeError, OverflowError) as error:
                    raise LinkError(f"incompatible import type: {_shown(*key)}: {error}") from None
            raise LinkError(f"incompatible import type: {_shown(*key)}: it is the number {item!r}, not a {type_}")
        if not isinstance(type_, FuncType):
            raise LinkError(f"incompatible import type: {_shown(*key)}: it is a Python function, not a {type_}")
        return Func(store, type_, item, name=label)

    def _resolve_wasi(self, store: Store, name: str) -> Func | None:
        config = self._wasi
        if config is None:
            return None
        program = store._wasi.get(config)
        if program is None:
            from .wasi import functions

            program = store._wasi[config] = functions(config, store._check_interrupt)
        found = program.get(name)
        if found is None:
            return None
        letters, function = found
        params, _, results = letters.partition(":")
        type_ = FuncType([_WASI_CODES[letter] for letter in params], [_WASI_CODES[letter] for letter in results])
        return Func._raw(store, type_, function, f"{WASI_MODULE}.{name}")

    def _missing(self, missing: list[ImportType]) -> str:
        from .names import hint

        defined = [f"{module}.{name}" for module, name in self._items]
        if self._wasi is not None:
            defined += [f"{WASI_MODULE}.{name}" for name in _wasi_names()]
        lines = []
        for wanted in missing[:20]:
            advice = hint(f"{wanted.module}.{wanted.name}", defined)
            if not advice and wanted.module == WASI_MODULE and self._wasi is None:
                advice = "; Linker.define_wasi defines it"
            lines.append(f"{_shown(wanted.module, wanted.name)} ({wanted.type}){advice}")
        if len(missing) > 20:
            lines.append(f"and {len(missing) - 20} more")
        if len(lines) == 1:
            return f"unknown import: {lines[0]}"
        return f"unknown import: {len(missing)} are missing" + "".join(f"\n  {line}" for line in lines)


def _wasi_names() -> list[str]:
    from .wasi.preview1 import FUNCTIONS

    return list(FUNCTIONS)


def _shown(module: str, name: str) -> str:
    """The two names of an import, as messages have them."""
    from .names import escaped  # only what goes wrong needs it

    return f"{escaped(module)}.{escaped(name)}"


def _class(item: object) -> str:
    return "None" if item is None else type(item).__name__


def _zeros(type: FuncType) -> Callable[..., Any]:
    """A function that returns zeros of the result types."""
    zeros = tuple(None if result.is_ref else 0 for result in type.results)
    result = zeros[0] if len(zeros) == 1 else zeros or None

    def zero(*arguments: object) -> object:
        return result

    return zero
