"""Making instances (core specification, "Instantiation"): the short way from a file to an instance, and what a linker
does when the imports are there and have been checked.
"""

from __future__ import annotations

from ..abi import RECORD_CODE, RECORD_CTX, RECORD_SIZE, RECORD_TYPE
from ..binary.module_info import FUNC, GLOBAL, MEMORY, TABLE, TAG
from ..calls.process import adapters
from ..errors import LinkError, Work, deadlines_here, guest_work
from ..runtime.blocks import Block
from .engine import Engine, default_engine
from .extern import LATER, Extern
from .func import Func
from .instance import Exports, Instance
from .module import Module
from .store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Never

    from ..wasi import WasiConfig
    from .config import Config
    from .linker import Item
    from .source import Source

#: Bytes of a module whose segments take no time that anybody would notice.
_SMALL = 1 << 14
#: What ``imports`` looks like.
_SUCH_AS = "such as {'env': {'log': print}}"


def instantiate(
    source: Source | Module,
    imports: Mapping[str, Mapping[str, Item] | Exports | object] | None = None,
    *,
    config: Config | None = None,
    wasi: WasiConfig | None = None,
    fuel: int | None = None,
    store: Store | None = None,
    engine: Engine | None = None,
    **unknown: Never,
) -> Instance:
    """The short way: load a module, and instantiate it in a store of its own, which ends with a ``with`` statement::

        with vibewasm.instantiate("fib.wasm") as instance:
            print(instance.exports.fib(30))

    Args:
        source: what :class:`Module` takes, or a :class:`Module`, as :meth:`Module.from_text` and
            :meth:`Module.from_file` make them of what must be text or must be a file.
        imports: for each module name the items that :meth:`Linker.define` takes, by name; an instance's exports; or an
            object whose methods are the imports, as :meth:`Linker.define_object` takes it.
            If one of the items is an extern object, its store is used, else a new one is made.
        config: the engine's configuration. Without it one engine serves all calls of this function.
        wasi: what :meth:`Linker.define_wasi` takes.
        fuel: what :attr:`Store.fuel` is set to before anything of the module runs.
        store: a store to instantiate it in, which stays open. Without it a new one is made, unless an import has one.
        engine: an engine, in place of ``config``.

    Raises:
        TypeError: an argument is of another type, or there is no parameter of that name.
        OSError, WatError, DecodeError, ValidationError, LinkError, Trap: as :class:`Module` and
            :meth:`Linker.instantiate` do.
        ValueError: ``config`` or another ``engine`` is given together with a module, a store or extern objects, which
            have an engine already; both are given; or ``fuel`` is not from 0 to 2**63 - 1.
        WasmError: ``fuel`` is given, and the engine does not count it.
    """
    if unknown:
        from ..arguments import unknown_keywords

        raise unknown_keywords(
            "instantiate", unknown, ("source", "imports", "config", "wasi", "fuel", "store", "engine")
        )
    if wasi is not None:
        from ..wasi import WasiConfig

        if not isinstance(wasi, WasiConfig):
            from ..arguments import wrong

            advice = "WasiConfig(**settings) makes one" if isinstance(wasi, dict) else ""
            if wasi is True:
                advice = "WasiConfig() makes one"
            raise wrong("instantiate", "wasi", "a WasiConfig", wasi, advice)
    if store is not None and not isinstance(store, Store):
        from ..arguments import wrong

        raise wrong("instantiate", "store", "a Store", store)
    if engine is not None and not isinstance(engine, Engine):
        from ..arguments import wrong

        raise wrong("instantiate", "engine", "an Engine", engine)
    items, objects = ([], {}) if imports is None else _items(imports)
    if store is None:
        for _, _, item in items:
            if isinstance(item, Extern):
                store = item.store
                break
    given = source.engine if isinstance(source, Module) else store.engine if store is not None else None
    if engine is not None and config is not None:
        raise ValueError("config and engine cannot both be given: an engine has a configuration")
    if given is not None and (config is not None or engine not in (None, given)):
        which = "config" if config is not None else "another engine"
        raise ValueError(f"{which} cannot be given with a Module, a store or its objects: they have an engine already")
    engine = given or engine or (Engine(config) if config is not None else default_engine())
    module = source if isinstance(source, Module) else Module(engine, source)
    if store is not None and store.engine is not engine:
        raise LinkError("the store and the module belong to different engines: make them with the same one")
    own = store is None
    if store is None:
        store = Store(engine)
    if fuel is not None:
        store.fuel = fuel
    if not items and not objects and wasi is None and not module.info.imports:
        instance = make_instance(store, module, [])
        instance._owns_store = own
        return instance
    from .linker import Linker

    linker = Linker(engine)
    linker._wasi_advice = "instantiate(..., wasi=WasiConfig(...))"
    for module_name, name, item in items:
        linker.define(module_name, name, item)
    for module_name, methods in objects.items():
        linker.define_object(module_name, methods)
    if wasi is not None:
        linker.define_wasi(wasi)
    instance = linker.instantiate(store, module)
    instance._owns_store = own
    return instance


def _items(imports: Mapping[str, Any]) -> tuple[list[tuple[str, str, Item]], dict[str, object]]:
    """The imports that :func:`instantiate` was given, one after another, and the objects whose methods are imports."""
    from ..arguments import wrong

    if not hasattr(imports, "items"):
        raise wrong("instantiate", "imports", "a dict of dicts", imports, _SUCH_AS)
    items: list[tuple[str, str, Item]] = []
    objects: dict[str, object] = {}
    for module_name, contents in imports.items():
        where = f"imports[{module_name!r}]"
        if isinstance(contents, Instance):
            raise wrong(
                "instantiate",
                where,
                "a dict, an Exports or an object with public methods",
                contents,
                "its attribute exports is one",
            )
        if isinstance(contents, Exports) or (hasattr(contents, "keys") and hasattr(contents, "__getitem__")):
            items.extend([(module_name, name, contents[name]) for name in contents])
            continue
        from .objects import methods

        if not methods(str(module_name), contents):
            raise wrong("instantiate", where, "a dict, an Exports or an object with public methods", contents, _SUCH_AS)
        objects[module_name] = contents
    return items, objects


def make_instance(store: Store, module: Module, externs: list[Extern]) -> Instance:
    """Instantiate ``module`` with ``externs`` for its imports.

    Raises:
        WasmError: the store is closed, or runs in another thread.
        Interrupted: a deadline is over.
        LinkError: a memory or table is too large for the store, or there are too many of something.
        Trap: a segment does not fit, or the start function trapped.
    """
    info = module.info
    store._check_usable()
    store._refresh_guards()
    if deadlines_here and Work(store, deadlines_here[0]()).reason() is not None:
        store._check_interrupt()
    if store._given_limits is not None:
        from .taking import check_instance

        check_instance(store, store._given_limits, info)
    instance = Instance.__new__(Instance)
    instance._store = store
    instance._module = module
    instance._owns_store = False
    instance._memories, instance._tables = [], []
    try:
        _make(instance, externs)
    except BaseException:
        from .taking import take_back

        take_back(instance)
        raise
    return instance


def _make(instance: Instance, externs: list[Extern]) -> None:
    """Make what an instance consists of, and let it begin."""
    store, module = instance._store, instance._module
    info = module.info
    imported: tuple[list[Any], ...] = ([], [], [], [], [])
    for extern in externs:
        imported[extern._kind].append(extern)
    instance._imported_funcs = imported[FUNC]
    instance._tables = imported[TABLE]
    instance._memories = imported[MEMORY]
    instance._globals = imported[GLOBAL] + [None] * len(info.global_inits)
    instance._tags = imported[TAG] + [None] * (len(info.tags) - info.imported_tags)
    if info.tags:
        _late("exceptions_of")(store)
    _make_memories_and_tables(instance)
    template = module._template or module._make_template(store)
    template.lay_out(instance)
    instance.exports = Exports(instance)
    segments = template.segments
    small = len(info.data) < _SMALL
    if segments is not None:
        if small:
            segments.begin(instance)
        else:
            guest_work(store, "instantiating the module", segments.begin, instance)
    # From here on code of the instance may run: through a table that is not its own even if what follows fails.
    store._add_instance(instance)
    if segments is not None:
        if small:
            segments.apply(instance)
        else:
            guest_work(store, "instantiating the module", segments.apply, instance)
    if info.start is not None:
        function = _start_function(instance, info.start)
        if function._instance is None:
            from .caller import start

            start(instance, function)
        else:
            function()


def _make_memories_and_tables(instance: Instance) -> None:
    """Make those that the module defines, after those that it imports."""
    store, info = instance._store, instance._module.info
    for memory_type in info.memories[info.imported_memories :]:
        instance._memories.append(_late("Memory")(store, memory_type))
    if instance._memories:
        adapters().install_bulk(store._block)
    for index in range(info.imported_tables, len(info.tables)):
        # Null is not a first value of all, and what another one is depends on the rest of the instance.
        rest = (LATER,) if index in info.table_inits else ()
        instance._tables.append(_late("Table")(store, info.tables[index], *rest))
    if info.memories or info.tables or info.datas or info.elements:
        _late("builtins")(store._block)


#: What only some modules need, by name, once one of them has been met. Importing it again and again takes a while.
_loaded: dict[str, Callable[..., Any]] = {}


def _late(name: str) -> Callable[..., Any]:
    if name not in _loaded:
        if name == "Memory":
            from .memory import Memory

            _loaded[name] = Memory
        elif name == "Table":
            from .table import Table

            _loaded[name] = Table
        elif name == "exceptions_of":
            from ..instances.exceptions import exceptions_of

            _loaded[name] = exceptions_of
        else:
            from ..instances.builtins import install

            _loaded[name] = install
    return _loaded[name]


def _start_function(instance: Instance, index: int) -> Func:
    """The start function. Being it is no reason for a function to have a record, so it may need one."""
    info = instance.module.info
    if index < info.imported_funcs or index in info.declared_refs:
        return instance._func(index)
    defined = index - info.imported_funcs
    record = Block(RECORD_SIZE)
    record.cells[RECORD_CODE >> 3] = instance._cells[instance.module.layout.slot(defined) >> 3]
    record.cells[RECORD_CTX >> 3] = instance._address
    record.cells[RECORD_TYPE >> 3] = instance.store.engine._type_id(info.func_type(index)) | defined << 32
    func = Func._of_instance(instance, defined, record.address)
    func._keep = record
    return func
