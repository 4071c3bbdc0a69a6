"""From the trap record that machine code left in the store block to an exception that says where in the wasm code it
happened. What a callback raised ends an activation as traps do, and leaves the same frames.
"""

from __future__ import annotations

from time import monotonic

from ..abi import TRAP_INTERRUPTED, TRAP_NULL, TRAP_NULL_REFERENCE, TRAP_OUT_OF_FUEL, TRAP_STACK_OVERFLOW
from ..errors import Interrupted, Stopped
from ..opcodes import CODE
from ..runtime.calls import stack_limit
from ..runtime.context import CELL_REAL_LIMIT
from ..traps import NULLS, TRAPS, Frame, OutOfFuel, Trap, with_frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..api.module import Module
    from ..api.store import Store
    from ..runtime.trap_record import TrapRecord


def failure(store: Store, number: int, error: BaseException | None) -> BaseException:
    """The exception for what has just ended an activation: a trap by its number, or what a callback raised."""
    if error is None:
        if number in (TRAP_INTERRUPTED, TRAP_STACK_OVERFLOW):
            error = store._interrupted()
        if error is None:
            if number != TRAP_INTERRUPTED:
                return _trap(store, number)
            error = Interrupted("interrupted by a signal")
    elif error.__class__ is OutOfFuel and not error.frames:
        # Python has found too little fuel for what it was to do for the code: see :mod:`vibewasm.calls.fuel`.
        return _trap(store, TRAP_OUT_OF_FUEL)
    _add_frames(store, error)
    return error


def _trap(store: Store, number: int) -> Trap:
    """The exception for a trap."""
    record = store._block.trap()
    frames = _frames(store, record, 0.0)
    code, message = TRAPS[number]
    if number in (TRAP_NULL, TRAP_NULL_REFERENCE):
        code, message = _null(number, frames)
    if code == "out_of_fuel":
        if not store._fueled:
            message += ": the store was given no fuel: set store.fuel, or write instantiate(..., fuel=amount)"
        return OutOfFuel(message, code, frames)
    if code == "too_many_references":
        held = f"wasm code may hold {store.max_references} "
        if store._references is not None and store._references.full:
            message += f": {held}objects as externref, and within one call none is let go. "
        else:
            message += f": {held}exceptions as exnref. "
        message += "Config(max_references=...) and Store.max_references allow more"
    trap = Trap(message, code, frames)
    if code == "too_many_references":
        trap.limit = "max_references"
    if code == "stack_overflow" and store._max_stack is not None and store._cells[CELL_REAL_LIMIT] > stack_limit():
        # The thread's own stack goes on below.
        trap.limit = "max_stack"
    if code == "memory_out_of_bounds" and record.signal:
        trap._fault = _fault(store, record.address)
    return trap


def _null(number: int, frames: list[Frame]) -> tuple[str, str]:
    """Code and message of a trap at a null reference: all of them are faults of the same kind, and which instruction it
    was that met null is what the suite, and users, tell them apart by.
    """
    info, offset = (frames[0]._info, frames[0].wasm_offset) if frames else (None, None)
    if info is not None and offset is not None:
        opcode = info.data[offset]
        if opcode in _INDIRECT_CALLS:
            return TRAPS[TRAP_NULL]
        if opcode in _NULLS:
            return TRAPS[TRAP_NULL_REFERENCE][0], _NULLS[opcode]
    return TRAPS[number]


_INDIRECT_CALLS = (CODE["call_indirect"], CODE["return_call_indirect"])
_NULLS = {CODE[word]: message for word, message in NULLS.items()}


def _fault(store: Store, address: int) -> tuple[int, int] | None:
    """Which address in which memory could not be accessed, and the memory's size; ``None`` if it is in none."""
    for memory in store._memories:
        linear = memory._linear
        if 0 <= address - linear.base < linear.reserved:
            return address - linear.base, linear.size
    return None


#: Seconds that finding out where code was stopped may take.
_HURRY = 0.03
#: How the note begins that an exception gets on its way through wasm code.
_PASSED = "wasm frames, innermost first:"
#: Lines of a note that no further activation is added to: one that is raised again and again must not grow for ever.
_FULL = 16


def _add_frames(store: Store, error: BaseException) -> None:
    """Have an exception that has just ended an activation, other than by a trap, say which wasm functions were active.

    A :class:`Stopped` that nothing else has ended by has them as ``frames``; any other exception has one note, to
    which the activations around the first, through which it passes too, are added.
    """
    until = monotonic() + _HURRY if isinstance(error, Interrupted) else 0.0
    try:
        given: object = getattr(error, "__notes__", None)
        notes: list[object] = given if isinstance(given, list) else []
        for index, note in enumerate(notes):
            if isinstance(note, str) and note.startswith(_PASSED):
                if note.count("\n") < _FULL:
                    frames = _frames(store, store._block.trap(), until)
                    notes[index] = with_frames(note, frames) if frames else note
                return
        frames = _frames(store, store._block.trap(), until)
        if isinstance(error, Stopped) and not error.frames:
            error._stopped(tuple(frames))
        elif frames and (given is None or given is notes):
            error.add_note(with_frames(_PASSED, frames))
    except (RecursionError, MemoryError):
        # Where there is no room to say more of it, the exception still is the one that was raised.
        pass


def _frames(store: Store, record: TrapRecord, until: float) -> list[Frame]:
    """The wasm functions that were active, innermost first; by a time of ``time.monotonic``, if that is not 0: then
    offsets and names may be missing.
    """
    frames = []
    soon: dict[Module, bool] = {}
    for pc, context in record.frames:
        instance = store._by_context.get(context)
        if instance is None:
            continue
        module = instance.module
        place = module._locate(pc, store, until)
        # A frame of a stub, such as that of a host function, belongs to no function of the module.
        if place is not None:
            index, offset = place
            name = module._name_of(index, store, until, soon)
            frame = Frame(index, name, module.name, offset)
            frame._info = module.info
            frames.append(frame)
    return frames
