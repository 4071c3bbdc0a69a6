"""Fuel for bulk instructions that Python carries out; loaded only where an engine counts. See :mod:`..calls.fuel`."""

from __future__ import annotations

from ..abi import MAX_PAGES, PAGE_SIZE
from ..calls.fuel import charger
from ..fuel_costs import BYTES, ELEMENTS, SEGMENT_ELEMENT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..api.instance import Instance
    from ..api.store import Store


def metered_builtin(store: Store, name: str, operation: Callable[..., int]) -> Callable[..., int]:
    """What a bulk instruction does, after it has taken fuel for its operands."""
    price = PRICES.get(name)
    if price is None:
        return operation
    charge = charger(store)

    def metered(instance: Instance, *arguments: int) -> int:
        charge(price(instance, *arguments))
        return operation(instance, *arguments)

    return metered


def _memory_grow(instance: Instance, memory: int, count: int) -> int:
    grown = instance._memories[memory]
    maximum = grown.type.limits.maximum
    # What is more than there can be comes to nothing.
    possible = (MAX_PAGES if maximum is None else min(maximum, MAX_PAGES)) - grown.pages
    return count * (PAGE_SIZE // BYTES) if count <= possible else 0


def _memory_init(instance: Instance, memory: int, segment: int, target: int, start: int, count: int) -> int:
    return count // BYTES


def _table_init(instance: Instance, table: int, segment: int, target: int, start: int, count: int) -> int:
    return count * SEGMENT_ELEMENT


def _table_copy(instance: Instance, target_table: int, source_table: int, target: int, start: int, count: int) -> int:
    return count // ELEMENTS


def _table_fill(instance: Instance, table: int, start: int, cell: int, count: int) -> int:
    return count // ELEMENTS


def _table_grow(instance: Instance, table: int, cell: int, count: int) -> int:
    grown = instance._tables[table]
    most = grown.store.max_table_elements
    maximum = grown.type.limits.maximum
    possible = (most if maximum is None else min(maximum, most)) - len(grown)
    return count // ELEMENTS if count <= possible else 0


#: What each costs besides what :data:`vibewasm.fuel_costs.INSTRUCTIONS` says, by instance, immediates and operands.
PRICES: dict[str, Callable[..., int]] = {
    "memory.grow": _memory_grow,
    "memory.init": _memory_init,
    "table.init": _table_init,
    "table.copy": _table_copy,
    "table.fill": _table_fill,
    "table.grow": _table_grow,
}
