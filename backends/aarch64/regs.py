"""Registers of AArch64: their hardware numbers, their names, and the roles that emitted code gives them.

Vector registers are plain ints: v0 is 0, v31 is 31. The general register 31 is the stack pointer or zero, as the
instruction has it.
"""

from __future__ import annotations

X0, X1, X2, X3, X4, X5, X6, X7 = range(8)
X8, X9, X10, X11, X12, X13, X14, X15 = range(8, 16)
X16, X17, X18, X19, X20, X21, X22, X23 = range(16, 24)
X24, X25, X26, X27, X28, X29, X30 = range(24, 31)
#: The same number, twice: which of them it means is up to the instruction.
SP = ZR = 31

#: Names of the general registers by width in bits, in the order of the hardware numbers, with zero last.
NAMES_64 = (*(f"x{number}" for number in range(31)), "xzr")
NAMES_32 = (*(f"w{number}" for number in range(31)), "wzr")

#: The instance context, in every wasm function.
CONTEXT = X28
#: The base of memory 0 of the instance, 0 where it has none.
MEMORY_BASE = X27
#: The frame pointer.
FRAME = X29
#: The return address, until the prologue has stored it.
LINK = X30

#: Scratches inside one instruction, one rule or one move: nothing outlives these in them. Calls between functions may
#: go through code that changes them (AAPCS64, "The Intra-Procedure-Call registers").
SCRATCH = X16
SCRATCH2 = X17
FLOAT_SCRATCH = 31
FLOAT_SCRATCH2 = 30
#: The function record that a call goes through, and the index of an indirect call; neither temporary nor pinned.
CALLEE = X8

#: Registers for operand stack entries; a call destroys them.
TEMPORARIES = (X0, X1, X2, X3, X4, X5, X6, X7)
FLOAT_TEMPORARIES = tuple(range(8))
#: Registers that hold locals for a whole function, in the order they are given out; wasm functions preserve them.
#: The first ones are those that host functions preserve as well, x18 belongs to the platform.
PINNED: tuple[int, ...] = (X19, X20, X21, X22, X23, X24, X25, X26, X9, X10, X11, X12, X13, X14, X15)
FLOAT_PINNED = tuple(range(8, 24))

#: Where integer and reference parameters, and float parameters, travel; what does not fit goes to the argument area.
INT_PARAMS = (X0, X1, X2, X3, X4, X5, X6, X7)
FLOAT_PARAMS = tuple(range(8))
