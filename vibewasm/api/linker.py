"""Linking: what a module's imports are to be, by name."""

from __future__ import annotations

from ..binary.module_info import FUNC, GLOBAL, MEMORY, TABLE, TAG
from ..errors import LinkError, guest_work, not_copied
from ..extern_types import GlobalType, ImportType, MemoryType, TableType, TagType
from ..types import FuncType
from .engine import Engine, default_engine
from .extern import Extern
from .func import Func
from .instance import Exports, Instance
from .instantiation import make_instance
from .module import Module
from .store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from os import PathLike
    from typing import Any, Never, TypeVar, overload

    from ..wasi import WasiConfig
    from .native import Native
    from .stand_ins import StandIn

    Function = TypeVar("Function", bound=Callable[..., Any])

    #: What can be given for an import. A plain function gets the type of the import that it meets; a number becomes an
    #: immutable global, and so do the 16 bytes of a v128.
    Item = Extern | Callable[..., Any] | Native | int | float | bytes | bytearray | memoryview

#: Stands for an argument that was left out.
_NONE_GIVEN: Any = object()

#: The kind of import that a type is of, as its number in the binary format.
KINDS: dict[type, int] = {FuncType: FUNC, TableType: TABLE, MemoryType: MEMORY, GlobalType: GLOBAL, TagType: TAG}
#: Imports of a module from which on linking it takes a while.
_MANY = 256
#: What becomes an immutable global.
VALUES = (int, float, bytes, bytearray, memoryview)
_WASI_CODES = {"i": "i32", "I": "i64"}


class _Function:
    """A Python function with the type that it was defined with, if any, whether it takes its caller, and of a method
    its class and name; or a C function, which has a type.
    """

    __slots__ = ("caller", "function", "method", "type")

    def __init__(
        self, function: Callable[..., Any] | Native, type: FuncType | None, caller: bool = False, method: str = ""
    ) -> None:
        self.function = function
        self.type = type
        self.caller = caller
        self.method = method

    def named(self, label: str) -> str:
        """The name of an import with that of the method that it is."""
        return f"{label} = {self.method}" if self.method else label


class Linker:
    """Definitions for imports. One linker serves any number of modules and stores of its engine.

    Attributes:
        allow_shadowing: whether a name may be defined anew; if not, that raises :class:`LinkError`.

    Raises:
        TypeError: ``engine`` is no :class:`Engine`, or ``allow_shadowing`` no bool.
    """

    __slots__ = (
        "_engine",
        "_items",
        "_wasi",
        "_wasi_advice",
        "allow_shadowing",
    )

    __reduce_ex__ = not_copied

    def __init__(self, engine: Engine | None = None, *, allow_shadowing: bool = False, **unknown: Never) -> None:
        if unknown:
            from ..arguments import unknown_keywords

            raise unknown_keywords("Linker", unknown, ("allow_shadowing",))
        if engine is None:
            engine = default_engine()
        elif not isinstance(engine, Engine):
            raise _wrong("", "engine", "an Engine", engine)
        if allow_shadowing is not True and allow_shadowing is not False:
            raise _wrong("", "allow_shadowing", "True or False", allow_shadowing)
        self._engine = engine
        self.allow_shadowing = allow_shadowing
        self._items: dict[tuple[str, str], Item | _Function | StandIn] = {}
        self._wasi: WasiConfig | None = None
        #: What defines WASI, as whoever made this linker calls it.
        self._wasi_advice = "Linker.define_wasi"

    @property
    def engine(self) -> Engine:
        """The engine."""
        return self._engine

    def define(self, module: str, name: str, item: Item, type: FuncType | None = None, *, caller: bool = False) -> None:
        """Define an import.

        Args:
            module, name: the two names of the import.
            item: a :class:`Func`, :class:`Memory`, :class:`Table`, :class:`Global` or :class:`Tag`; a Python function;
                a C function, as :class:`Native`; or a number, which becomes an immutable global, as do 16 bytes for a
                v128.
            type: the type of a Python function. Without it the function gets the type of the import that it meets.
            caller: whether a Python function is given a :class:`~vibewasm.Caller` before its arguments: the instance
                that calls it, whose memory and exports it may use.

        Raises:
            TypeError: a name is no str, the item is none of these, or ``type`` or ``caller`` is given for what is no
                Python function.
            LinkError: the name is defined already; see :attr:`allow_shadowing`.
        """
        _check_names("define", module=module, name=name)
        if type is not None and not isinstance(type, FuncType):
            raise _wrong(".define", "type", "a FuncType", type)
        plain = callable(item) and not isinstance(item, Func)
        if type is not None and not plain:
            raise TypeError(f"{full_name(module, name)}: only a Python function is given a type")
        if caller is not True and caller is not False:
            raise _wrong(".define", "caller", "True or False", caller)
        if caller and not plain:
            raise TypeError(f"{full_name(module, name)}: only a Python function is given its caller")
        if not plain and not isinstance(item, (Extern, *VALUES)):
            from .native import Native

            if isinstance(item, Native):
                self._define(module, name, _Function(item, item.type))
                return
            given: object = item
            advice = "; define_instance defines its exports" if isinstance(given, (Instance, Exports)) else ""
            raise TypeError(
                f"{full_name(module, name)}: an import is a function, Func, Memory, Table, Global, Tag or number, not "
                f"{_class(item)}{advice}"
            )
        if type is not None or caller:
            item = _Function(item, type, caller)  # type: ignore[arg-type,assignment]  # it is plain
        self._define(module, name, item)

    def define_instance(self, name: str, instance: Instance) -> None:
        """Define all exports of an instance, as imports from the module ``name``.

        Raises:
            TypeError: ``name`` is no str, or ``instance`` no :class:`Instance`.
            LinkError: one of the names is defined already, as for :meth:`define`.
        """
        _check_names("define_instance", name=name)
        if not isinstance(instance, Instance):
            raise _wrong(".define_instance", "instance", "an Instance", instance)
        exports = instance.exports
        for export in exports:
            self._define(name, export, exports[export])

    def define_module(self, store: Store, name: str, module: Module) -> None:
        """Define the exports of a module, as imports from the module ``name``.

        A module is instantiated, and its export ``_initialize`` called if there is one. If it is a WASI command, which
        exports ``_start``, its functions are defined, and each call of one is made in an instance of its own (WASI,
        "Application ABI"). These stay until the store is closed.

        Raises:
            TypeError: an argument is of another type.
            LinkError: one of the names is defined already, as for :meth:`define`; or as :meth:`instantiate`.
            Trap: as :meth:`instantiate`.
        """
        if not isinstance(store, Store):
            raise _wrong(".define_module", "store", "a Store", store)
        _check_names("define_module", name=name)
        if not isinstance(module, Module):
            raise _wrong(".define_module", "module", "a Module", module)
        exported = {export.name: export.type for export in module.exports}
        if not isinstance(exported.get("_start"), FuncType):
            instance = self.instantiate(store, module)
            if isinstance(exported.get("_initialize"), FuncType):
                instance.exports["_initialize"]()
            self.define_instance(name, instance)
            return
        from .stand_ins import in_an_instance_of_its_own

        for export, type_ in exported.items():
            if isinstance(type_, FuncType):
                run = in_an_instance_of_its_own(self, store, module, export)
                self._define(name, export, Func(store, type_, run, name=f"{name}.{export}"))

    def define_object(self, module: str, object: object) -> None:
        """Define the public methods of a Python object, as imports from ``module``; what they keep, the object keeps::

            class Counter:
                count = 0

                def add(self, amount: int) -> int:
                    self.count += amount
                    return self.count

            linker.define_object("counter", Counter())

        A method is public if its name has no underscore first, and may stand in a base class, unless that is one of
        Python's own. Static and class methods count; properties, classes and other attributes do not. A method
        whose first parameter, after ``self``, is annotated with :class:`Caller` is given that. Types are those of
        annotations or imports, as for :meth:`function`. :func:`vibewasm.import_name` gives a method another name.

        Raises:
            TypeError: ``module`` is no str; the object has no public methods, or is none of a class of yours; a method
                is overloaded, or two have one name; or annotations are none that :meth:`function` takes.
            LinkError: one of the names is defined already, as for :meth:`define`; nothing is defined then.
        """
        _check_names("define_object", module=module)
        from .objects import instead, methods

        found = methods(module, object)
        if not found:
            raise _wrong(".define_object", "object", "an object with public methods", object, instead(object))
        for name in found:
            self._check_free(module, name)
        for name, item in found.items():
            self._items[module, name] = _Function(item.function, item.type, item.caller, item.method)

    def function(
        self, module: str, name: str | None = None, *, type: FuncType | None = None, caller: bool | None = None
    ) -> Callable[[Function], Function]:
        """A decorator, which defines a Python function as an import::

            @linker.function("env")
            def log(address: "i32", size: "i32") -> None: ...

        Args:
            module: the first name of the import.
            name: the second one; that of the function, if it is left out.
            type: the type. Without it annotations say it, if they are wasm types (:class:`ValType` or their names);
                else it is that of the import.
            caller: as for :meth:`define`. Without it a function is given its caller if its first parameter is annotated
                with :class:`Caller`.

        Raises:
            TypeError: as for :meth:`define`; some annotations are wasm types, and others are not; a parameter that is
                not the first is annotated with :class:`Caller`; or what is decorated has no name, and none is given.
            LinkError: the name is defined already.
        """
        _check_names("function", module=module, **({} if name is None else {"name": name}))

        def define(function: Function) -> Function:
            given: object = function
            if not callable(given):
                raise _wrong(".function", "what is decorated", "a Python function", given)
            found, wanted = type, caller
            if wanted is None or found is None:
                from .annotations import annotated_type, takes_caller

                wanted = takes_caller(function) if wanted is None else wanted
                found = found or annotated_type(function, 1 if wanted else 0)
            # An import may have the empty name.
            called = getattr(function, "__name__", None) if name is None else name
            if called is None:
                raise TypeError(
                    f"Linker.function: {_class(function)} objects have no name of their own: write "
                    f"@linker.function({module!r}, name)"
                )
            self.define(module, called, function, found, caller=wanted)
            return function

        return define

    def define_wasi(self, config: WasiConfig) -> None:
        """Define the functions of WASI preview 1 (``wasi_snapshot_preview1``) and preview 0 (``wasi_unstable``).

        Each store gets a program of its own from this configuration, with its own file descriptors, when it first
        instantiates a module that imports such functions.

        Raises:
            TypeError: ``config`` is no :class:`WasiConfig`.
            LinkError: WASI is defined already.
        """
        from ..wasi import WasiConfig

        if not isinstance(config, WasiConfig):
            raise _wrong(".define_wasi", "config", "a WasiConfig", config)
        if self._wasi is not None and not self.allow_shadowing:
            raise LinkError("WASI is defined already; a linker with allow_shadowing takes the later definition")
        self._wasi = config

    def define_library(
        self,
        path: str | PathLike[str],
        functions: Mapping[str, FuncType | type[Any]],
        *,
        module: str = "env",
        memory: bool = False,
        stack: int = 0,
        **unknown: Never,
    ) -> None:
        """Define functions of a shared library as imports: each as a :class:`Native` is, without Python.

        **Native code is not sandboxed**, see :class:`Native` and ``docs/native.md``.

        Args:
            path: of the library. A ``str`` without a slash is searched for as ``dlopen`` does, as ``"libm.so.6"``.
            functions: by name, in the library and of the import, their types: a :class:`FuncType` for functions of
                ``int32_t``, ``int64_t``, ``float`` and ``double``, or ``ctypes.CFUNCTYPE(restype, *argtypes)``.
            module: the first name of the imports.
            memory, stack: as for :class:`Native`, for all of them.

        Raises:
            TypeError: an argument is of another type, or a function takes what :class:`Native` does not.
            ValueError: ``stack`` is out of its range.
            LinkError: the library cannot be loaded, or does not have such a function; or one of the names is defined
                already, as for :meth:`define`.
        """
        if unknown:
            from ..arguments import unknown_keywords

            raise unknown_keywords("Linker.define_library", unknown, ("path", "functions", "module", "memory", "stack"))
        _check_names("define_library", module=module)
        from .native import library

        for name, native in library(path, functions, memory, stack).items():
            self._define(module, name, _Function(native, native.type))

    def define_unknown_imports_as_zero(self, module: Module) -> None:
        """Define every function that ``module`` imports and nobody defined as one that returns zeros (null
        references).

        Raises:
            TypeError: ``module`` is no :class:`Module`.
        """
        from .stand_ins import ZEROS

        self._define_unknown("define_unknown_imports_as_zero", module, ZEROS)

    def define_unknown_imports_as_traps(self, module: Module) -> None:
        """Define every function that ``module`` imports and nobody defined as one that raises a :class:`Trap`, whose
        code is ``"unknown_import"``.

        Raises:
            TypeError: ``module`` is no :class:`Module`.
        """
        from .stand_ins import TRAPS

        self._define_unknown("define_unknown_imports_as_traps", module, TRAPS)

    def _define_unknown(self, method: str, module: Module, item: StandIn) -> None:
        if not isinstance(module, Module):
            raise _wrong(f".{method}", "module", "a Module", module)
        for wanted in guest_work(None, "linking the module", self._unknown, module):
            self._items[wanted.module, wanted.name] = item

    def _unknown(self, module: Module) -> list[ImportType]:
        return [wanted for wanted in module.imports if isinstance(wanted.type, FuncType) and not self._knows(wanted)]

    def get(self, store: Store, module: str, name: str) -> Extern:
        """What is defined under these names, as an object of a store: a function of Python or of WASI is made for it.

        Raises:
            TypeError: an argument is of another type.
            LinkError: nothing is defined; what is defined gets its type from the import that it meets; or it belongs to
                another store.
        """
        if not isinstance(store, Store):
            raise _wrong(".get", "store", "a Store", store)
        _check_names("get", module=module, name=name)
        item = self._items.get((module, name))
        found: Extern | None
        if item is None:
            bound = self._bind(store, module, name)
            found = None if bound is None else wasi_func(store, ImportType(module, name, _wasi_type(bound[0])), *bound)
        elif isinstance(item, Extern):
            found = item
        elif isinstance(item, _Function) and item.type is not None:
            found = Func(store, item.type, item.function, name=item.named(f"{module}.{name}"), caller=item.caller)
        else:
            raise LinkError(
                f"{full_name(module, name)} gets its type from the import that it meets: define it with a type, or as "
                "a Func or Global"
            )
        if found is None:
            from ..names import hint

            defined = [".".join(key) for key in self._items]
            raise LinkError(f"nothing is defined for {full_name(module, name)}{hint(f'{module}.{name}', defined)}")
        if found.store is not store:
            raise LinkError(f"what is defined for {full_name(module, name)} belongs to another store")
        return found

    def _define(self, module: str, name: str, item: Item | _Function) -> None:
        self._check_free(module, name)
        self._items[module, name] = item

    def _check_free(self, module: str, name: str) -> None:
        if (module, name) in self._items and not self.allow_shadowing:
            raise LinkError(
                f"{full_name(module, name)} is defined already; a linker with allow_shadowing takes the later "
                "definition"
            )

    def _knows(self, wanted: ImportType) -> bool:
        if (wanted.module, wanted.name) in self._items:
            return True
        if self._wasi is None:
            return False
        from ..wasi import MODULES, names

        return wanted.module in MODULES and wanted.name in names(wanted.module)

    if TYPE_CHECKING:

        @overload
        def instantiate(self, store: Store, module: Module) -> Instance: ...
        @overload
        def instantiate(self, store: Never) -> Never: ...

    def instantiate(self, store: Store, module: Module = _NONE_GIVEN) -> Instance:
        """Instantiate a module (core specification, "Instantiation"): check its imports, make its memories, tables
        and globals, apply its segments and call its start function.

        Raises:
            TypeError: an argument is of another type, or missing.
            LinkError: imports are missing (:attr:`LinkError.missing` lists them) or have the wrong type, or a memory or
                table is too large for this store.
            Trap: a segment does not fit, or the start function trapped. What was written before stays written.
            WasmError: store, linker and module are not of one engine; or the store is closed, or runs in another
                thread.
        """
        if not isinstance(store, Store):
            raise _wrong(".instantiate", "store", "a Store", store, _ORDER if isinstance(store, Module) else "")
        if not isinstance(module, Module):
            if module is _NONE_GIVEN:
                raise TypeError(f"Linker.instantiate: module is missing ({_ORDER})")
            raise _wrong(".instantiate", "module", "a Module", module)
        store._check_usable()
        if store.engine is not module.engine or store.engine is not self.engine:
            raise LinkError(
                "the store, the linker and the module belong to different engines: make them with the same one"
            )
        return make_instance(store, module, self._externs(store, module) if module.info.imports else [])

    def _externs(self, store: Store, module: Module) -> list[Extern]:
        """The objects for a module's imports, checked."""
        if len(module.info.imports) > _MANY:
            from .many_imports import externs as for_many  # few modules have so many

            return for_many(self, store, module)
        externs: list[Extern] = []
        missing = []
        for wanted in module.imports:
            extern = self._resolve(store, wanted)
            if extern is None:
                missing.append(wanted)
                continue
            check_import(store, wanted, extern, self._method(wanted))
            externs.append(extern)
        if missing:
            raise LinkError(self._missing(module, missing), missing=tuple(missing))
        return externs

    def _method(self, wanted: ImportType) -> str:
        """The class and name of the method that an import's function is made of, if any."""
        item = self._items.get((wanted.module, wanted.name))
        return item.method if isinstance(item, _Function) else ""

    def __repr__(self) -> str:
        from ..counting import counted

        count = len(self._items)
        wasi = "" if self._wasi is None else " and WASI"
        return f"<vibewasm.Linker with {counted(count, 'definition')}{wasi}>"

    def _resolve(self, store: Store, wanted: ImportType) -> Extern | None:
        """The object for an import, made for this store if need be; ``None`` where nothing is defined."""
        label = f"{wanted.module}.{wanted.name}"
        key = (wanted.module, wanted.name)
        item = self._items.get(key)
        if item is None:
            bound = self._bind(store, wanted.module, wanted.name)
            return None if bound is None else wasi_func(store, wanted, *bound)
        if isinstance(item, Extern):
            return item
        type_ = wanted.type
        caller = False
        if isinstance(item, _Function):
            label = item.named(label)
            if item.type is not None:
                return Func(store, item.type, item.function, name=label, caller=item.caller)
            caller = item.caller
            item = item.function
        if isinstance(item, VALUES):
            if isinstance(type_, GlobalType) and not type_.mutable:
                from .global_ import Global

                try:
                    return Global(store, type_, item)
                except (TypeError, ValueError, OverflowError) as error:
                    raise LinkError(f"incompatible import type: {full_name(*key)}: {error}") from None
            what = f"the number {item!r}" if isinstance(item, (int, float)) else f"a value ({_class(item)})"
            raise LinkError(f"incompatible import type: {full_name(*key)}: it is {what}, not a {type_}")
        if not isinstance(type_, FuncType):
            what = "Python function" if callable(item) else "stub for functions"
            raise LinkError(f"incompatible import type: {full_name(*key)}: it is a {what}, not a {type_}")
        # A C function has a type of its own, so what is no function makes one.
        function: Any = item if callable(item) else item.make(type_, full_name(*key))  # type: ignore[union-attr]
        return Func(store, type_, function, name=label, caller=caller)

    def _bind(self, store: Store, module: str, name: str) -> tuple[str, Callable[..., int | None]] | None:
        """A function of WASI with its signature; ``None`` if these names are none of WASI's, or it is not defined."""
        config = self._wasi
        if config is None:
            return None
        from ..wasi import MODULES, bind, start

        if module not in MODULES:
            return None
        process = store._wasi.get(config)
        if process is None:
            settings = charger(store), store._wasi_room(), store.engine.config.deterministic
            process = store._wasi[config] = start(config, store._check_interrupt, *settings)
        return bind(process, module, name)

    def _missing(self, of: Module, missing: list[ImportType]) -> str:
        from .missing_imports import message  # only what goes wrong needs it

        return message(of, missing, self._items, None if self._wasi is not None else self._wasi_advice)


def charger(store: Store) -> Callable[[int], None] | None:
    """What takes fuel from a store for what Python does for wasm code; ``None`` if nobody counts."""
    if store.engine.config.fuel:
        from ..calls import fuel

        return fuel.charger(store)
    return None


def wasi_func(store: Store, wanted: ImportType, signature: str, function: Callable[..., int | None]) -> Func:
    """A function of WASI for an import, from what :func:`vibewasm.wasi.bind` has given."""
    type_ = _wasi_type(signature)
    if type_ != wanted.type and "I" in signature:
        from ..wasi.halves import in_halves

        signature, joined = in_halves(signature, function)
        halved = _wasi_type(signature)
        if wanted.type == halved:
            type_, function = halved, joined
    return Func._raw(store, type_, function, f"{wanted.module}.{wanted.name}")


def check_import(store: Store, wanted: ImportType, extern: Extern, method: str = "") -> None:
    """Raise :class:`LinkError` unless ``extern`` is one of this store that an import can be.

    Args:
        method: the class and name of the method that it was made of, if any.
    """
    from ..instances.matching import mismatch

    if extern.store is not store:
        raise LinkError(f"what is defined for {full_name(wanted.module, wanted.name)} belongs to another store")
    why = mismatch(wanted.type, extern)
    if why is not None:
        shown = f"{full_name(wanted.module, wanted.name)}{method and f' = {method}'}"
        raise LinkError(f"incompatible import type: {shown}: {why}")


#: How :meth:`Linker.instantiate` is called.
_ORDER = "write linker.instantiate(store, module)"


def _wrong(method: str, parameter: str, expected: str, given: object, advice: str = "") -> TypeError:
    from ..arguments import wrong

    return wrong(f"Linker{method}", parameter, expected, given, advice)


def _check_names(method: str, **names: object) -> None:
    for parameter, name in names.items():
        if not isinstance(name, str):
            raise _wrong(f".{method}", parameter, "a str", name)


def _wasi_type(signature: str) -> FuncType:
    params, results = [[_WASI_CODES[letter] for letter in letters] for letters in signature.split(":")]
    return FuncType(params, results)


def full_name(module: str, name: str) -> str:
    """The two names of an import, as messages have them."""
    from ..names import brief  # only what goes wrong needs it

    return f"{brief(module)}.{brief(name)}"


def _class(item: object) -> str:
    return "None" if item is None else type(item).__name__
