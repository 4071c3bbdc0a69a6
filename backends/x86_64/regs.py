"""Registers of x86-64: their hardware numbers, their names, and the roles that emitted code gives them.

Vector registers are plain ints: xmm0 is 0, xmm15 is 15.
"""

from __future__ import annotations

RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI = range(8)
R8, R9, R10, R11, R12, R13, R14, R15 = range(8, 16)

#: Names of the general registers by width in bits, in the order of the hardware numbers.
NAMES_64 = (
    "rax",
    "rcx",
    "rdx",
    "rbx",
    "rsp",
    "rbp",
    "rsi",
    "rdi",
    "r8",
    "r9",
    "r10",
    "r11",
    "r12",
    "r13",
    "r14",
    "r15",
)
NAMES_32 = (
    "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi",
    "r8d", "r9d", "r10d", "r11d", "r12d", "r13d", "r14d", "r15d",
)  # fmt: skip
NAMES_16 = (
    "ax", "cx", "dx", "bx", "sp", "bp", "si", "di",
    "r8w", "r9w", "r10w", "r11w", "r12w", "r13w", "r14w", "r15w",
)  # fmt: skip
NAMES_8 = (
    "al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil",
    "r8b", "r9b", "r10b", "r11b", "r12b", "r13b", "r14b", "r15b",
)  # fmt: skip
#: Names of the vector registers.
NAMES_XMM = tuple(f"xmm{number}" for number in range(16))

#: The instance context, in every wasm function.
CONTEXT = R14
#: The base of memory 0 of the instance, 0 where it has none.
MEMORY_BASE = R15
#: The frame pointer.
FRAME = RBP

#: Registers for operand stack entries and scratches; a call destroys them.
TEMPORARIES = (RAX, RCX, RDX, RSI, RDI)
FLOAT_TEMPORARIES = tuple(range(8))
#: Registers that hold locals for a whole function, in the order they are given out; wasm functions preserve them.
PINNED: tuple[int, ...] = (RBX, R12, R13, R8, R9, R10, R11)
FLOAT_PINNED: tuple[int, ...] = tuple(range(8, 16))

#: Where integer and reference parameters, and float parameters, travel; what does not fit goes to the argument area.
INT_PARAMS = (RCX, RDX, RSI, RDI)
FLOAT_PARAMS = tuple(range(8))
