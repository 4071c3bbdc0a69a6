"""What bulk instructions do to tables and memories (core specification, "Table Instructions", "Memory Instructions").

``memory.copy`` and ``memory.fill`` are not here: machine code does them itself. Indices and counts are unsigned. Each
function returns the number of the trap that ends the instruction, before anything was written, or 0.
"""

from __future__ import annotations

from ..abi import RECORD_SIZE, TRAP_MEMORY_OUT_OF_BOUNDS, TRAP_TABLE_OUT_OF_BOUNDS
from ..errors import NO_MORE_MEMORY, WasmError
from .constants import evaluate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..api.instance import Instance
    from ..binary.module_info import Element


#: References of a segment, and bytes, that are copied at once: between them is looked whether the store has to stop.
_REFERENCES, _BYTES = 1 << 14, 1 << 24


def memory_init(instance: Instance, memory: int, segment: int, target: int, start: int, count: int) -> int:
    """``memory.init``: copy from a data segment, which is empty once it has been dropped."""
    info = instance.module.info
    first = end = 0
    if not instance._dropped_datas[segment]:
        first, end = info.datas.starts[segment], info.datas.ends[segment]
    view = instance._memories[memory]._current()
    if start + count > end - first or target + count > len(view):
        return TRAP_MEMORY_OUT_OF_BOUNDS
    copy_data(instance, first + start, first + start + count, view, target)
    return 0


def copy_data(instance: Instance, start: int, end: int, view: memoryview, target: int) -> None:
    """Copy bytes of the module to a memory, where there is room for them."""
    data = memoryview(instance.module.info.data)
    while start < end:
        after = min(start + _BYTES, end)
        view[target : target + after - start] = data[start:after]
        start, target = after, target + after - start
        if start < end:
            instance._store._check_interrupt()


def data_drop(instance: Instance, segment: int) -> int:
    """``data.drop``."""
    instance._dropped_datas[segment] = 1
    return 0


def table_init(instance: Instance, table: int, segment: int, target: int, start: int, count: int) -> int:
    """``table.init``: copy from an element segment, which is empty once it has been dropped."""
    element = None if instance._dropped_elements[segment] else instance.module.info.elements[segment]
    size = len(element.items) if element is not None else 0
    destination = instance._tables[table]
    if start + count > size or target + count > len(destination):
        return TRAP_TABLE_OUT_OF_BOUNDS
    while element is not None and count:
        step = min(count, _REFERENCES)
        cells = _element_cells(instance, element, start, start + step)
        destination._cells[target : target + step] = memoryview(
            b"".join([cell.to_bytes(8, "little") for cell in cells])
        ).cast("Q")
        start, target, count = start + step, target + step, count - step
        if count:
            instance._store._check_interrupt()
    return 0


def _element_cells(instance: Instance, element: Element, start: int, end: int) -> list[int]:
    """The references of some of a segment's items."""
    if element.funcs is None:
        assert element.exprs is not None
        return [evaluate(instance, expr) for expr in element.exprs[start:end]]
    refs = instance.module.info.declared_refs
    records, imported = instance._records_address, instance._imported_funcs
    count = len(imported)
    return [
        records + RECORD_SIZE * refs[index] if index >= count else imported[index]._address
        for index in element.funcs[start:end]
    ]


def elem_drop(instance: Instance, segment: int) -> int:
    """``elem.drop``."""
    instance._dropped_elements[segment] = 1
    return 0


def table_copy(instance: Instance, target_table: int, source_table: int, target: int, start: int, count: int) -> int:
    """``table.copy``: the ranges may overlap."""
    destination, source = instance._tables[target_table], instance._tables[source_table]
    if start + count > len(source) or target + count > len(destination):
        return TRAP_TABLE_OUT_OF_BOUNDS
    destination._copy(source, start, target, count)
    return 0


def table_fill(instance: Instance, table: int, start: int, cell: int, count: int) -> int:
    """``table.fill``."""
    destination = instance._tables[table]
    if start + count > len(destination):
        return TRAP_TABLE_OUT_OF_BOUNDS
    destination._fill(start, count, cell)
    return 0


def table_grow(instance: Instance, table: int, cell: int, count: int) -> int:
    """``table.grow``: the former size, or -1."""
    return _grown(instance, *instance._tables[table]._grow(count, cell))


def memory_grow(instance: Instance, memory: int, count: int) -> int:
    """``memory.grow``: the former size in pages, or -1."""
    return _grown(instance, *instance._memories[memory]._grow(count))


def _grown(instance: Instance, former: int, why: str) -> int:
    """The former size, or -1. What the system refuses today it may give tomorrow: where nothing may depend on that, the
    call ends.
    """
    if why == NO_MORE_MEMORY and instance.store.engine.config.deterministic:
        raise WasmError(f"{why}, and deterministic code is refused by limits only: run it where there is more")
    return former
