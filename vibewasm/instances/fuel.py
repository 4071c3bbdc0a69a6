"""Fuel for bulk instructions that Python carries out; loaded only where an engine counts. See :mod:`..calls.fuel`.

What copies and fills is paid for before, by what is asked for. What grows is paid for by what was added, as only the
memory or the table knows whether it may grow: it can be done without being paid for once, since that ends the guest.
"""

from __future__ import annotations

from ..abi import PAGE_SIZE
from ..calls.fuel import charger
from ..fuel_costs import BYTES, ELEMENTS, SEGMENT_ELEMENT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..api.instance import Instance
    from ..api.store import Store

#: What each costs besides what :data:`vibewasm.fuel_costs.INSTRUCTIONS` says, by its last operand: a number of bytes or
#: elements; and, of what grows, of pages or elements.
PRICES: dict[str, Callable[[int], int]] = {
    "memory.init": lambda size: size // BYTES,
    "table.init": lambda count: count * SEGMENT_ELEMENT,
    "table.copy": lambda count: count // ELEMENTS,
    "table.fill": lambda count: count // ELEMENTS,
}
GROWING: dict[str, Callable[[int], int]] = {
    "memory.grow": lambda pages: pages * (PAGE_SIZE // BYTES),
    "table.grow": lambda count: count // ELEMENTS,
}


def metered_builtin(store: Store, name: str, operation: Callable[..., int]) -> Callable[..., int]:
    """What a bulk instruction does, which takes fuel by its operands."""
    charge = charger(store)
    if name in GROWING:
        grown = GROWING[name]

        def growing(instance: Instance, *arguments: int) -> int:
            former = operation(instance, *arguments)
            if former >= 0:
                charge(grown(arguments[-1]))
            return former

        return growing
    price = PRICES.get(name)
    if price is None:
        return operation

    def metered(instance: Instance, *arguments: int) -> int:
        charge(price(arguments[-1]))
        return operation(instance, *arguments)

    return metered
