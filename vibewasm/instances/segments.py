"""What happens at instantiation with globals' first values and with segments (core specification, "Instantiation")."""

from __future__ import annotations

from ..abi import TRAP_MEMORY_OUT_OF_BOUNDS
from ..traps import TRAPS, Trap
from .bulk import table_init
from .constants import evaluate
from .context import set_global

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..api.instance import Instance
    from ..binary.module_info import Data, Element


def initialize_globals(instance: Instance) -> None:
    """Give the instance's own globals their first values."""
    info = instance.module.info
    for index, expr in enumerate(info.global_inits, info.imported_globals):
        at = instance.module.layout.global_(index) >> 3
        set_global(instance._cells, at, info.globals[index].content.code, evaluate(instance, expr))


def apply_element(instance: Instance, index: int, element: Element) -> None:
    """Copy an active element segment to its table, and drop it; a declarative one is dropped only.

    Raises:
        Trap: it does not fit.
    """
    if element.mode == "passive":
        return
    if element.mode == "active":
        assert element.offset is not None
        offset = evaluate(instance, element.offset)
        count = len(element.items)
        number = table_init(instance, element.table, index, offset, 0, count)
        if number:
            size = len(instance._tables[element.table])
            where = f"element segment {index} ({offset} to {offset + count} in a table of {size} elements)"
            raise _trap(number, where)
    instance._elements[index] = None


def apply_data(instance: Instance, index: int, data: Data) -> None:
    """Copy an active data segment to its memory, and drop it.

    Raises:
        Trap: it does not fit.
    """
    if data.mode == "active":
        assert data.offset is not None
        offset = evaluate(instance, data.offset)
        source = instance._datas[index]
        view = instance._memories[data.memory]._current()
        end = offset + len(source)
        if end > len(view):
            where = f"data segment {index} ({offset} to {end} in a memory of {len(view)} bytes)"
            raise _trap(TRAP_MEMORY_OUT_OF_BOUNDS, where)
        view[offset:end] = source
        instance._datas[index] = source[:0]


def _trap(number: int, where: str) -> Trap:
    code, message = TRAPS[number]
    return Trap(f"{message}: {where}", code)
