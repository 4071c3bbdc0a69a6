"""Linkers: what modules' imports are, by name, in any number of stores."""

from __future__ import annotations

from functools import partial

from ...api.func import Func as OurFunc
from ...api.global_ import Global as OurGlobal
from ...api.linker import wasi_func
from ...api.memory import Memory as OurMemory
from ...api.stand_ins import ZEROS
from ...api.table import Table as OurTable
from ...errors import WasmError
from ...extern_types import GlobalType as OurGlobalType
from ...extern_types import ImportType as OurImportType
from ...extern_types import MemoryType as OurMemoryType
from ...types import FuncType as OurFuncType
from ...wasi import PREVIEW1
from .config import setter
from .engine import Engine
from .errors import WasmtimeError, attempt, translated
from .externs import unwrapped, wrapped
from .func import Func, host_func, wrong_store
from .instance import Instance, InstancePre, check_type, linked
from .managed import Managed
from .mismatch import message
from .module import Module
from .types import FuncType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ...api.extern import Extern as OurExtern
    from ...api.module import Module as OurModule
    from .externs import Extern
    from .store import Store, Storelike

#: What else a program may export besides functions, as C compilers make them, and a linker passes over.
_PASSED_OVER: dict[str, type] = {
    "memory": OurMemoryType,
    "__data_end": OurGlobalType,
    "__heap_base": OurGlobalType,
    "__dso_handle": OurGlobalType,
    "__rtti_base": OurGlobalType,
}
_TABLES = ("table", "__indirect_function_table")


class _HostFunc:
    """A Python function, which becomes one of each store that needs it."""

    def __init__(self, type: OurFuncType, function: Callable[..., Any], access_caller: bool, name: str) -> None:
        self.type = type
        self._function = function
        self._access_caller = access_caller
        self._name = name

    def resolve(self, owner: Store) -> OurExtern:
        return host_func(owner, self.type, self._function, self._access_caller, self._name)


class _WasiFunc:
    """A function of WASI, which works on the program of the store that it is called in."""

    def __init__(self, name: str) -> None:
        from ...wasi.preview1 import FUNCTIONS

        self._name = name
        self._signature = FUNCTIONS[name][0]

    def resolve(self, owner: Store, wanted: OurImportType | None = None) -> OurExtern:
        from ...wasi import bind

        bound: Callable[..., int | None] | None = None
        of: object = None
        name = self._name

        def call(memory: memoryview, *arguments: int) -> int | None:
            nonlocal bound, of
            process = owner._process
            if bound is None or process is not of:
                if process is None:
                    raise WasmtimeError(f"{name} was called in a store without WASI: call store.set_wasi() before")
                found = bind(process, PREVIEW1, name)
                assert found is not None
                bound, of = found[1], process
            return bound(memory, *arguments)

        if wanted is None:
            wanted = OurImportType(PREVIEW1, name, OurFuncType())
        return wasi_func(owner._ours, wanted, self._signature, call)


class Linker(Managed):
    """Definitions for imports. One linker serves any number of stores, as far as what is defined belongs to none.

    Attributes:
        engine: the engine.
    """

    engine: Engine

    def __init__(self, engine: Engine) -> None:
        engine._given()
        self.engine = engine
        self._shadowing = False
        self._items: dict[tuple[str, str], OurExtern | _HostFunc | _WasiFunc] = {}

    @setter
    def allow_shadowing(self, allow: bool) -> None:
        """Whether a name may be defined anew."""
        self._check_open()
        self._shadowing = bool(allow)

    def _put(self, module: str, name: str, item: OurExtern | _HostFunc | _WasiFunc) -> None:
        key = _key(module, name)
        self._check_open()
        if key in self._items and not self._shadowing:
            raise WasmtimeError(f"import of `{module}::{name}` defined twice")
        self._items[key] = item

    def define(self, store: Storelike, module: str, name: str, item: Extern) -> None:
        """Define an import as an object of a store.

        Raises:
            TypeError: ``item`` is no such object.
            WasmtimeError: the name is defined already.
        """
        extern = unwrapped(item)
        owner = store._context()
        if extern.store is not owner._ours:
            raise wrong_store()
        self._put(module, name, extern)

    def define_func(
        self, module: str, name: str, ty: FuncType, func: Callable[..., Any], access_caller: bool = False
    ) -> None:
        """Define an import as a Python function, which belongs to no store.

        Raises:
            WasmtimeError: the name is defined already.
        """
        if not isinstance(ty, FuncType):
            raise TypeError("expected a FuncType")
        ty._check_open()
        self._put(module, name, _HostFunc(ty._ours, func, access_caller, f"{module}.{name}"))

    def define_instance(self, store: Storelike, name: str, instance: Instance) -> None:
        """Define all exports of an instance, as imports from the module ``name``.

        Raises:
            WasmtimeError: one of the names is defined already.
        """
        if not isinstance(instance, Instance):
            raise TypeError("expected an `Instance`")
        owner = store._context()
        if instance._ours.store is not owner._ours:
            raise wrong_store()
        exports = instance._ours.exports
        for export in exports:
            self._put(name, export, exports[export])

    def define_wasi(self) -> None:
        """Define the functions of WASI preview 1, which work on what :meth:`Store.set_wasi` has given.

        Raises:
            WasmtimeError: one of their names is defined already.
        """
        from ...wasi import names

        for name in names(PREVIEW1):
            self._put(PREVIEW1, name, _WasiFunc(name))

    def define_module(self, store: Storelike, name: str, module: Module) -> None:
        """Define the exports of a module as imports from the module ``name``. Of a library an instance is made now, and
        its ``_initialize`` called; of a program, which has a ``_start``, each call of a function makes one.

        Raises:
            WasmtimeError: one of the names is defined already, or the module exports what such a module may not.
        """
        if not isinstance(module, Module):
            raise TypeError("expected a `Module`")
        owner = store._context()
        ours = module._given()
        types = {item.name: item.type for item in ours.exports}
        for export in ("_start", "_initialize"):
            if not isinstance(types.get(export, OurFuncType()), OurFuncType):
                raise WasmtimeError(f"`{export}` must be a function")
        if "_start" in types:
            if "_initialize" in types:
                raise WasmtimeError("Program cannot be both a Command and a Reactor")
            self._define_command(owner, name, ours)
            return
        instance = linked(owner, ours, self._resolvers(ours))
        if "_initialize" in types:
            self._initialize(owner, Func._of(instance.exports["_initialize"]))
        for export in instance.exports:
            self._put(name, export, instance.exports[export])

    def _initialize(self, owner: Store, function: Func) -> None:
        context = "calling the Reactor initialization function\n\nCaused by:\n    0: "
        type_ = function._ours.type
        for word, types in (("parameters", type_.params), ("results", type_.results)):
            if types:
                raise WasmtimeError(
                    f"{context}type mismatch with {word}\n    1: expected 0 types, found {len(types)}\n"
                )
        try:
            function._ours()
        except WasmError as error:
            # Of wasmtime's, the chain of causes is one list.
            frames, _, why = str(translated(error)).strip().partition("\n\nCaused by:\n    ")
            raise WasmtimeError(f"{context}{frames}\n{f'    1: {why}{chr(10)}' if why else ''}") from None

    def _define_command(self, owner: Store, name: str, module: OurModule) -> None:
        resolvers = self._resolvers(module)
        for export in module.exports:
            if isinstance(export.type, OurFuncType):
                call = partial(_run_command, owner, module, resolvers, export.name)
                item = host_func(owner, export.type, call, False, f"{name}.{export.name}")
                self._put(name, export.name, item)
            elif export.name in _TABLES or isinstance(export.type, _PASSED_OVER.get(export.name, ())):
                continue
            else:
                raise WasmtimeError(f"command export '{export.name}' is not a function")

    def instantiate(self, store: Storelike, module: Module) -> Instance:
        """Instantiate a module with what is defined.

        Raises:
            WasmtimeError: an import is not defined, or has another type; or the store allows no more.
            Trap: a segment does not fit, or the start function trapped.
        """
        self._check_open()
        owner = store._context()
        ours = module._given()
        return Instance._of(linked(owner, ours, self._resolvers(ours)))

    def instantiate_pre(self, module: Module) -> InstancePre:
        """Look up the imports of a module, for instances in any store.

        Raises:
            WasmtimeError: an import is not defined, or has another type.
        """
        if not isinstance(module, Module):
            raise TypeError("expected a `Module`")
        self._check_open()
        ours = module._given()
        return InstancePre._of(ours, self._resolvers(ours))

    def _resolvers(self, module: OurModule) -> list[Callable[[Store], OurExtern]]:
        """What gives the imports of a module for a store, in order."""
        return [self._resolver(wanted) for wanted in module.imports]

    def _resolver(self, wanted: OurImportType) -> Callable[[Store], OurExtern]:
        item = self._items.get((wanted.module, wanted.name))
        if item is None:
            raise WasmtimeError(_undefined(wanted.module, wanted.name))
        if isinstance(item, _WasiFunc):
            return partial(item.resolve, wanted=wanted)
        if isinstance(item, _HostFunc):
            if wanted.type != item.type:
                raise WasmtimeError(message(wanted.module, wanted.name, wanted.type, item.type))
            return item.resolve
        check_type(wanted, item)
        extern = item
        return lambda owner: extern

    def get_default(self, store: Storelike, name: str) -> Func:
        """The function of a module with the empty name, or its ``_start``; one that does nothing if it has neither.

        Raises:
            WasmtimeError: what has that name is no function.
        """
        name.encode("utf-8")
        owner = store._context()
        for export, shown in (("", f"default export in '{name}'"), ("_start", f"`_start` in '{name}'")):
            item = self._items.get((name, export))
            if item is not None:
                found = wrapped(self._resolved(owner, item))
                if not isinstance(found, Func):
                    raise WasmtimeError(f"{shown} is not a function")
                return found
        return Func._of(host_func(owner, OurFuncType(), lambda: None, False, name))

    def get(self, store: Storelike, module: str, name: str) -> Extern:
        """What is defined by these names, as an object of the store.

        Raises:
            WasmtimeError: nothing is.
        """
        key = _key(module, name)
        owner = store._context()
        item = self._items.get(key)
        if item is None:
            raise WasmtimeError("item not defined in linker")
        return wrapped(self._resolved(owner, item))

    def _resolved(self, owner: Store, item: OurExtern | _HostFunc | _WasiFunc) -> OurExtern:
        self._check_open()
        if isinstance(item, (_HostFunc, _WasiFunc)):
            return item.resolve(owner)
        if item.store is not owner._ours:
            raise wrong_store()
        return item

    def define_unknown_imports_as_traps(self, module: Module) -> None:
        """Define all functions that a module imports and nobody has defined as ones that raise ``WasmtimeError``."""
        if not isinstance(module, Module):
            raise TypeError("expected a `Module`")
        for wanted in module._given().imports:
            if isinstance(wanted.type, OurFuncType) and (wanted.module, wanted.name) not in self._items:
                call = partial(_unknown, wanted.module, wanted.name)
                self._put(wanted.module, wanted.name, _HostFunc(wanted.type, call, False, wanted.name))

    def define_unknown_imports_as_default_values(self, store: Storelike, module: Module) -> None:
        """Define all that a module imports and nobody has defined: functions that give zeros and nulls, and globals,
        memories and tables of these.
        """
        if not isinstance(module, Module):
            raise TypeError("expected a `Module`")
        owner = store._context()
        for wanted in module._given().imports:
            if (wanted.module, wanted.name) in self._items:
                continue
            type_ = wanted.type
            if isinstance(type_, OurFuncType):
                zero = ZEROS.make(type_, wanted.name)
                item = attempt(partial(OurFunc, name=wanted.name), owner._ours, type_, zero)
            elif isinstance(type_, OurGlobalType):
                item = attempt(OurGlobal, owner._ours, type_)
            elif isinstance(type_, OurMemoryType):
                item = attempt(OurMemory, owner._ours, type_)
            else:
                item = attempt(OurTable, owner._ours, type_)
            self._put(wanted.module, wanted.name, item)


def _key(module: str, name: str) -> tuple[str, str]:
    """What a definition is found by. A name that is no ``str`` has no such method, here as in wasmtime-py; what UTF-8
    does not have is an error of encoding there, too.
    """
    return module.encode("utf-8").decode(), name.encode("utf-8").decode()


def _undefined(module: str, name: str) -> str:
    return f"unknown import: `{module}::{name}` has not been defined"


def _unknown(module: str, name: str, *arguments: object) -> None:
    raise WasmtimeError(_undefined(module, name))


def _run_command(
    owner: Store, module: OurModule, resolvers: list[Callable[[Store], OurExtern]], export: str, *arguments: Any
) -> Any:
    """Call a function of a program, in an instance of its own."""
    instance = linked(owner, module, resolvers)
    return Func._of(instance.exports[export])(owner, *arguments)
