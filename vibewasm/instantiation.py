"""Making instances (core specification, "Instantiation"): the imports are there and have been checked."""

from __future__ import annotations

from .bulk import MEMORY_OUT_OF_BOUNDS, table_init, trap_of_segment
from .constants import evaluate
from .engine import adapters
from .func import Func
from .global_ import Global
from .instance import Exports, Instance
from .memory import Memory
from .runtime.blocks import Block
from .runtime.context import (
    CTX_HANDLE,
    CTX_MEMORY_BASE,
    CTX_MEMORY_DESCRIPTOR,
    CTX_STORE,
    RECORD_SIZE,
)
from .table import Table
from .types import V128
from .values import MASK64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .binary.module_info import Data, Element
    from .matching import Extern
    from .module import Module
    from .store import Store


def make_instance(store: Store, module: Module, externs: list[Extern]) -> Instance:
    """Instantiate ``module`` with ``externs`` for its imports.

    Raises:
        LinkError: a memory or table is too large for the store.
        Trap: a segment does not fit, or the start function trapped.
    """
    info = module.info
    store._refresh_guards()
    instance = Instance.__new__(Instance)
    instance.store = store
    instance.module = module
    instance._imported_funcs = [extern for extern in externs if isinstance(extern, Func)]
    instance._memories = [extern for extern in externs if isinstance(extern, Memory)]
    instance._tables = [extern for extern in externs if isinstance(extern, Table)]
    instance._globals = [extern for extern in externs if isinstance(extern, Global)]
    for memory_type in info.memories[info.imported_memories :]:
        instance._memories.append(Memory(store, memory_type))
    for table_type in info.tables[info.imported_tables :]:
        instance._tables.append(Table(store, table_type))
    instance._globals += [None] * len(info.global_inits)
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
    _initialize_globals(instance)
    # Elements come before data, and each segment is checked when its turn comes (specification, "Instantiation", step
    # 25 on).
    for index, element in enumerate(info.elements):
        _apply_element(instance, index, element)
    for index, data in enumerate(info.datas):
        _apply_data(instance, index, data)
    if info.start is not None:
        _start_function(instance, info.start)()
    return instance


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
        cells[at] = table._descriptor
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
            _set_global(cells, at, info.globals[index].content.code, imported.raw)
    _fill_slots(instance)
    _fill_records(instance, type_ids)


def _fill_slots(instance: Instance) -> None:
    """Let calls lead to the machine code of functions, or to the stubs that have them compiled."""
    module = instance.module
    count = len(module.info.bodies)
    if count:
        lazy = adapters().lazy
        # The last one makes sure of all before it.
        lazy(count - 1)
        first = module.layout.slots >> 3
        instance._cells[first : first + count] = memoryview(
            b"".join([(address or lazy(j)).to_bytes(8, "little") for j, address in enumerate(module._addresses)])
        ).cast("Q")


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


def _set_global(cells: memoryview, at: int, code: int, bits: int) -> None:
    cells[at] = bits & MASK64
    if code == V128:
        cells[at + 1] = bits >> 64


def _initialize_globals(instance: Instance) -> None:
    info = instance.module.info
    for index, expr in enumerate(info.global_inits, info.imported_globals):
        at = instance.module.layout.global_(index) >> 3
        _set_global(instance._cells, at, info.globals[index].content.code, evaluate(instance, expr))


def _apply_element(instance: Instance, index: int, element: Element) -> None:
    if element.mode == "passive":
        return
    if element.mode == "active":
        assert element.offset is not None
        offset = evaluate(instance, element.offset)
        count = len(element.items)
        number = table_init(instance, element.table, index, offset, 0, count)
        if number:
            size = len(instance._tables[element.table])
            raise trap_of_segment(
                number, f"element segment {index} ({offset} to {offset + count} in a table of {size} elements)"
            )
    instance._elements[index] = None


def _apply_data(instance: Instance, index: int, data: Data) -> None:
    if data.mode == "active":
        assert data.offset is not None
        offset = evaluate(instance, data.offset)
        source = instance._datas[index]
        view = instance._memories[data.memory]._current()
        end = offset + len(source)
        if end > len(view):
            raise trap_of_segment(
                MEMORY_OUT_OF_BOUNDS, f"data segment {index} ({offset} to {end} in a memory of {len(view)} bytes)"
            )
        view[offset:end] = source
        instance._datas[index] = source[:0]


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
