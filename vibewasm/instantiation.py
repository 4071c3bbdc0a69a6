"""Making instances (core specification, "Instantiation"): the short way from a file to an instance, and what a linker
does when the imports are there and have been checked.
"""

from __future__ import annotations

from .binary.module_info import FUNC, GLOBAL, MEMORY, TABLE
from .engine import Engine, adapters, default_engine
from .func import Func
from .instance import Exports, Instance
from .module import Module
from .runtime.blocks import Block
from .runtime.context import (
    CTX_HANDLE,
    CTX_MEMORY_BASE,
    CTX_MEMORY_DESCRIPTOR,
    CTX_STORE,
    RECORD_SIZE,
)
from .store import Extern, Store
from .types import V128
from .values import MASK64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Never

    from .config import Config
    from .linker import Item
    from .source import Source
    from .wasi import WasiConfig


def instantiate(
    source: Source | Module,
    imports: Mapping[str, Mapping[str, Item] | Exports] | None = None,
    *,
    config: Config | None = None,
    wasi: WasiConfig | None = None,
    **unknown: Never,
) -> Instance:
    """The short way: load a module, and instantiate it in a store of its own.

    Args:
        source: what :class:`Module` takes, or a :class:`Module`, as :meth:`Module.from_text` and
            :meth:`Module.from_file` make them of what must be text or must be a file.
        imports: for each module name the items that :meth:`Linker.define` takes, by name; also an instance's exports.
            If one of the items is an extern object, its store is used, else a new one is made.
        config: the engine's configuration. Without it one engine serves all calls of this function.
        wasi: what :meth:`Linker.define_wasi` takes.

    Raises:
        TypeError: an argument is of another type, or there is no parameter of that name.
        OSError, WatError, DecodeError, ValidationError, LinkError, Trap: as :class:`Module` and
            :meth:`Linker.instantiate` do.
        ValueError: ``config`` is given together with a module or extern objects, which have an engine already.
    """
    if unknown:
        from .arguments import unknown_keywords

        raise unknown_keywords("instantiate", unknown, ("source", "imports", "config", "wasi"))
    store: Store | None = None
    items = [] if imports is None else _items(imports)
    for _, _, item in items:
        if isinstance(item, Extern):
            store = item.store
            break
    given = source.engine if isinstance(source, Module) else store.engine if store is not None else None
    if given is not None and config is not None:
        raise ValueError("config cannot be given with a Module or with objects of a store: they have an engine already")
    engine = given or (Engine(config) if config is not None else default_engine())
    module = source if isinstance(source, Module) else Module(engine, source)
    if not items and wasi is None and not module.info.imports:
        return make_instance(store or Store(engine), module, [])
    from .linker import Linker

    linker = Linker(engine)
    for module_name, name, item in items:
        linker.define(module_name, name, item)
    if wasi is not None:
        linker.define_wasi(wasi)
    return linker.instantiate(store or Store(engine), module)


def _items(imports: Mapping[str, Mapping[str, Item] | Exports]) -> list[tuple[str, str, Item]]:
    """The imports that :func:`instantiate` was given, one after another."""
    from .arguments import wrong

    if not hasattr(imports, "items"):
        raise wrong("instantiate", "imports", "a dict of dicts", imports, "such as {'env': {'log': print}}")
    items: list[tuple[str, str, Item]] = []
    for module_name, contents in imports.items():
        where = f"imports[{module_name!r}]"
        if isinstance(contents, Instance):
            raise wrong("instantiate", where, "a dict or an Exports", contents, "its attribute exports is one")
        if not isinstance(contents, Exports) and not (hasattr(contents, "keys") and hasattr(contents, "__getitem__")):
            raise wrong("instantiate", where, "a dict or an Exports", contents)
        items.extend([(module_name, name, contents[name]) for name in contents])
    return items


def make_instance(store: Store, module: Module, externs: list[Extern]) -> Instance:
    """Instantiate ``module`` with ``externs`` for its imports.

    Raises:
        WasmError: the store is closed, or runs in another thread.
        LinkError: a memory or table is too large for the store.
        Trap: a segment does not fit, or the start function trapped.
    """
    info = module.info
    store._check_usable()
    store._refresh_guards()
    instance = Instance.__new__(Instance)
    instance.store = store
    instance.module = module
    imported: tuple[list[Any], ...] = ([], [], [], [])
    for extern in externs:
        imported[extern._kind].append(extern)
    instance._imported_funcs = imported[FUNC]
    instance._tables = imported[TABLE]
    instance._memories = imported[MEMORY]
    instance._globals = imported[GLOBAL] + [None] * len(info.global_inits)
    _make_memories_and_tables(instance)
    instance._elements = list(info.elements)
    source = memoryview(info.data)
    instance._datas = [source[data.start : data.end] for data in info.datas]
    instance._context = context = Block(module.layout.size)
    instance._address = context.address
    instance._cells = context.cells
    instance._records_block = Block(RECORD_SIZE * len(info.declared_refs))
    instance._records_address = instance._records_block.address
    instance._records = instance._records_block.cells
    instance.exports = Exports(instance)
    _fill_context(instance)
    # From here on code of the instance may run: through a table that is not its own even if what follows fails.
    store._add_instance(instance)
    if info.global_inits or info.elements or info.datas:
        # Modules without these need not wait for what they take.
        from . import segments

        segments.initialize_globals(instance)
        # Elements come before data, and each segment is checked when its turn comes (specification, "Instantiation").
        for index, element in enumerate(info.elements):
            segments.apply_element(instance, index, element)
        for index, data in enumerate(info.datas):
            segments.apply_data(instance, index, data)
    if info.start is not None:
        _start_function(instance, info.start)()
    return instance


def _make_memories_and_tables(instance: Instance) -> None:
    """Make those that the module defines, behind those that it imports."""
    store, info = instance.store, instance.module.info
    for memory_type in info.memories[info.imported_memories :]:
        from .memory import Memory

        instance._memories.append(Memory(store, memory_type))
    if instance._memories:
        adapters().install_bulk(store._block)
    for table_type in info.tables[info.imported_tables :]:
        from .table import Table

        instance._tables.append(Table(store, table_type))
    if info.memories or info.tables or info.datas or info.elements:
        store._install_builtins()


def _fill_context(instance: Instance) -> None:
    """Write everything into the context but the values of the instance's own globals, and make the function records."""
    store, module = instance.store, instance.module
    info, layout, cells = module.info, module.layout, instance._cells
    cells[CTX_STORE >> 3] = store._block.address
    cells[CTX_HANDLE >> 3] = len(store._instances)
    if instance._memories:
        first = instance._memories[0]._linear
        cells[CTX_MEMORY_BASE >> 3] = first.base
        cells[CTX_MEMORY_DESCRIPTOR >> 3] = first.descriptor
    at = layout.memories >> 3
    for memory in instance._memories:
        cells[at] = memory._linear.descriptor
        at += 1
    at = layout.tables >> 3
    for table in instance._tables:
        cells[at] = table._descriptor.address
        at += 1
    type_id = store.engine._type_id
    type_ids = [type_id(type_) for type_ in info.types]
    at = layout.types >> 3
    for number in type_ids:
        cells[at] = number
        at += 1
    at = layout.imported_funcs >> 3
    for func in instance._imported_funcs:
        cells[at] = func._address
        at += 1
    for index in range(info.imported_globals):
        imported = instance._globals[index]
        assert imported is not None
        at = layout.global_(index) >> 3
        if layout.global_by_pointer(index):
            cells[at] = imported._address
        else:
            set_global(cells, at, info.globals[index].content.code, imported.raw)
    _fill_slots(instance)
    _fill_records(instance, type_ids)


def _fill_slots(instance: Instance) -> None:
    """Let calls lead to the machine code of functions, or to the stubs that have them compiled."""
    module = instance.module
    if module.info.bodies:
        lazy = adapters().lazy
        at = module.layout.slots >> 3
        cells = instance._cells
        for defined, address in enumerate(module._addresses):
            cells[at + defined] = address or lazy(defined)


def _fill_records(instance: Instance, type_ids: list[int]) -> None:
    """Make the records of functions that may be referred to, and write their addresses to the context."""
    info, cells, records = instance.module.info, instance._cells, instance._records
    imported = info.imported_funcs
    slots = instance.module.layout.slots >> 3
    refs = instance.module.layout.refs >> 3
    context = instance._address
    types = info.func_type_indices
    for index, dense in info.declared_refs.items():
        if index < imported:
            cells[refs + dense] = instance._imported_funcs[index]._address
            continue
        defined = index - imported
        at = 4 * dense
        records[at] = cells[slots + defined]
        records[at + 1] = context
        records[at + 2] = type_ids[types[index]] | defined << 32
        cells[refs + dense] = instance._records_address + RECORD_SIZE * dense


def set_global(cells: memoryview, at: int, code: int, bits: int) -> None:
    """Write the value of a global of type ``code`` to a context's cells."""
    cells[at] = bits & MASK64
    if code == V128:
        cells[at + 1] = bits >> 64


def _start_function(instance: Instance, index: int) -> Func:
    """The start function. Being it is no reason for a function to have a record, so it may need one."""
    info = instance.module.info
    if index < info.imported_funcs or index in info.declared_refs:
        return instance._func(index)
    defined = index - info.imported_funcs
    record = Block(RECORD_SIZE)
    record.cells[0] = instance._cells[(instance.module.layout.slots >> 3) + defined]
    record.cells[1] = instance._address
    record.cells[2] = instance.store.engine._type_id(info.func_type(index)) | defined << 32
    func = Func._of_instance(instance, defined, record.address)
    func._keep = record
    return func
