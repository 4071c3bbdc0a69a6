"""Fuel for what Python does on behalf of wasm code; loaded only where an engine counts. What machine code takes by
itself is the compiler's (:mod:`vibewasm.compiler.modes.metering`).

All is taken before anything is done, by what is asked for. Where there is too little, nothing is done, nothing is left,
and the call ends as if machine code had run out of it.
"""

from __future__ import annotations

from ..abi import HOST_FAILURE
from ..fuel_costs import HOST_CALL, HOST_VALUE
from ..runtime.context import CELL_FAILED
from ..traps import OutOfFuel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..api.store import Store
    from ..types import FuncType


def charger(store: Store) -> Callable[[int], None]:
    """What takes fuel from a store, and raises :class:`OutOfFuel` where there is too little."""
    block = store._block

    def charge(units: int) -> None:
        left = block.fuel - units
        if left < 0:
            # Less than nothing, whatever was asked for: it has to fit.
            block.fuel = -1
            # The frames come later: see ``failure`` of :mod:`vibewasm.instances.backtrace`.
            raise OutOfFuel
        block.fuel = left

    return charge


def metered_host_call(store: Store, type: FuncType, host_call: Callable[[], None]) -> Callable[[], None]:
    """A callback of a Python function, which takes fuel first."""
    units = HOST_CALL + HOST_VALUE * (len(type.params) + len(type.results))
    charge, cells = charger(store), store._block.cells

    def metered() -> None:
        try:
            charge(units)
        except BaseException as error:
            cells[CELL_FAILED] = HOST_FAILURE
            store._pending = error
        else:
            host_call()

    return metered
