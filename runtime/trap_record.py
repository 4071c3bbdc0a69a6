"""The trap record of a store block, as an object."""

from __future__ import annotations

from ..abi import MAX_REGISTERS
from .context import (
    CELL_FAULT_ADDRESS,
    CELL_FRAME_COUNT,
    CELL_FRAMES,
    CELL_REGISTERS,
    CELL_SIGNAL,
    CELL_TRAP,
    CELL_TRAP_PC,
)


class TrapRecord:
    """What trapped, copied out of the store block.

    Attributes:
        number: the trap's number.
        pc: address of the machine code that trapped, or one inside the call of the stub that raised the trap.
        address: what could not be accessed, for a trap that a fault in memory raised, else 0.
        signal: the signal's number, or 0 if a stub raised the trap.
        registers: the general registers by hardware number, if there was a signal; zeros after the last one.
        frames: ``(address of machine code, instance context)`` of each frame up to the host's, innermost first, 64 at
            most; the address lies inside the instruction that trapped or called.
    """

    __slots__ = ("address", "frames", "number", "pc", "registers", "signal")

    def __init__(self, cells: memoryview) -> None:
        self.number: int = cells[CELL_TRAP]
        self.pc: int = cells[CELL_TRAP_PC]
        self.address: int = cells[CELL_FAULT_ADDRESS]
        self.signal: int = cells[CELL_SIGNAL]
        self.registers: tuple[int, ...] = tuple(cells[CELL_REGISTERS : CELL_REGISTERS + MAX_REGISTERS])
        flat = cells[CELL_FRAMES : CELL_FRAMES + 2 * cells[CELL_FRAME_COUNT]].tolist()
        self.frames: tuple[tuple[int, int], ...] = tuple(zip(flat[::2], flat[1::2], strict=True))
