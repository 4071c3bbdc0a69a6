"""From the trap record that machine code left in the store block to an exception that says where in the wasm code it
happened.
"""

from __future__ import annotations

from ..traps import TRAPS, Frame, OutOfFuel, Trap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..api.store import Store
    from ..runtime.trap_record import TrapRecord


def make_trap(store: Store, number: int) -> Trap:
    """The exception for trap ``number``, which has just ended an activation."""
    code, message = TRAPS[number]
    record = store._block.trap()
    frames = _frames(store, record)
    if code == "out_of_fuel":
        if not store._fueled:
            message += ": the store was given no fuel: set store.fuel, or write instantiate(..., fuel=amount)"
        return OutOfFuel(message, code, frames)
    if code == "too_many_references":
        message += (
            f": wasm code may hold {store.max_references} objects as externref, and within one call none is let go. "
            "Config(max_references=...) and Store.max_references allow more"
        )
    trap = Trap(message, code, frames)
    if code == "memory_out_of_bounds" and record.signal:
        trap._fault = _fault(store, record.address)
    return trap


def _fault(store: Store, address: int) -> tuple[int, int] | None:
    """Which address in which memory could not be accessed, and the memory's size; ``None`` if it is in none."""
    for memory in store._memories:
        linear = memory._linear
        if 0 <= address - linear.base < linear.reserved:
            return address - linear.base, linear.size
    return None


def _frames(store: Store, record: TrapRecord) -> list[Frame]:
    """The wasm functions that were active, innermost first."""
    frames = []
    for pc, context in record.frames:
        instance = store._by_context.get(context)
        if instance is None:
            continue
        module = instance.module
        place = module._locate(pc)
        # A frame of a stub, such as that of a host function, belongs to no function of the module.
        if place is not None:
            index, offset = place
            frame = Frame(index, module.func_name(index), module.name, offset)
            frame._info = module.info
            frames.append(frame)
    return frames
