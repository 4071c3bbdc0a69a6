"""How x86-64 machine code is read: see :class:`vibewasm.disasm.machine.Target`."""

from __future__ import annotations

from vibewasm.backends.operand import is_float
from vibewasm.backends.x86_64 import regs
from vibewasm.traps import TRAPS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

NAME = "x86_64"
TITLE = "x86-64"
SYNTAXES = ("intel", "att")

_VECTORS = 64
#: Keys of registers by every name that an operand may have.
REGISTERS = {
    name: number
    for names in (regs.NAMES_64, regs.NAMES_32, regs.NAMES_16, regs.NAMES_8)
    for number, name in enumerate(names)
} | {name: _VECTORS + number for number, name in enumerate(regs.NAMES_XMM)}
CALLEE = RESULT = regs.RAX

#: Plain loads and stores of one register.
MOVES = frozenset(("mov", "movl", "movq", "movups", "movaps", "movdqu", "vmovups", "movss", "movsd"))
#: Traps that an instruction raises by its operands' values. The divisor may be zero, and a quotient too large.
FAULTS = dict.fromkeys(("idiv", "idivl", "idivq"), (7, 6)) | dict.fromkeys(("div", "divl", "divq"), (7,))

#: A trap in code: ``ud1 eax, [rax + disp8]``, whose displacement is the trap's number. capstone takes the two opcode
#: bytes for the whole instruction; Intel's manual (volume 2, UD) says that a ModRM byte follows.
_UD1 = b"\x0f\xb9\x40"
_LONGEST = 15


def capstone_mode(capstone: Any) -> tuple[int, int]:
    """capstone's architecture and mode."""
    return capstone.CS_ARCH_X86, capstone.CS_MODE_64


def register_name(type_: int, number: int) -> str:
    """What a register that holds a value of the type is called."""
    if is_float(type_):
        return regs.NAMES_XMM[number]
    return (regs.NAMES_64 if type_ else regs.NAMES_32)[number]


def accesses(mnemonic: str, reads: bool, writes: bool) -> tuple[bool, bool]:
    """Whether an instruction reads and writes its memory operand: LEA takes the address only."""
    return (False, False) if mnemonic.startswith("lea") else (reads, writes)


def trap(raw: bytes, syntax: str) -> tuple[int, str, str] | None:
    """The trap that an instruction raises whatever its operands are: its number, the mnemonic and the operands."""
    if raw[:3] != _UD1 or raw[3] not in TRAPS:
        return None
    if syntax == "att":
        return raw[3], "ud1l", f"{raw[3]:#x}(%rax), %eax"
    return raw[3], "ud1", f"eax, dword ptr [rax + {raw[3]:#x}]"


def spans(decoder: Any, code: bytes, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
    """Offset and size of each instruction; what cannot be decoded is one byte each. There are no data amid code.

    capstone decodes a stretch up to what looks like a trap at once; where that is inside an instruction, that one is
    decoded by itself.
    """
    lite = decoder.disasm_lite
    trap = -2
    while start < end:
        if -2 <= trap < start and trap != -1:
            trap = code.find(_UD1, start, end)
        limit = trap if trap >= 0 else end
        for offset, size, _, _ in lite(code[start:limit], start):
            yield offset, size, False
            start = offset + size
        if start == trap:
            yield start, len(_UD1) + 1, False
            start += len(_UD1) + 1
        elif start < end:
            size = max((size for _, size, _, _ in lite(code[start : min(start + _LONGEST, end)], start, 1)), default=1)
            yield start, size, False
            start += size
