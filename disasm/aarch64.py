"""How AArch64 machine code is read: see :class:`vibewasm.disasm.machine.Target`."""

from __future__ import annotations

from vibewasm.backends.operand import F32, I32, V128, is_float
from vibewasm.errors import TRAPS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

NAME = "aarch64"
TITLE = "AArch64"
SYNTAXES = ("intel",)

_VECTORS = 64
#: Keys of registers by every name that an operand may have.
REGISTERS = {f"{letter}{number}": number for letter in "xw" for number in range(31)}
REGISTERS |= {f"{letter}{number}": _VECTORS + number for letter in "vqdshb" for number in range(32)}
REGISTERS |= {"sp": 31, "wsp": 31, "fp": 29, "lr": 30}

#: Loads of a whole register, which may be a pointer.
LOADS = frozenset(("ldr", "ldur"))
#: Divisions do not fault: code checks their operands.
FAULTS: dict[str, tuple[int, ...]] = {}

_SIZE = 4


def capstone_mode(capstone: Any) -> tuple[int, int]:
    """capstone's architecture and mode; version 6 renamed the architecture."""
    arch = capstone.CS_ARCH_ARM64 if hasattr(capstone, "CS_ARCH_ARM64") else capstone.CS_ARCH_AARCH64
    return arch, capstone.CS_MODE_LITTLE_ENDIAN


def register_name(type_: int, number: int) -> str:
    """What a register that holds a value of the type is called."""
    if is_float(type_):
        return f"{'s' if type_ == F32 else 'q' if type_ == V128 else 'd'}{number}"
    return f"{'w' if type_ == I32 else 'x'}{number}"


def trap(raw: bytes, syntax: str) -> tuple[int, str, str] | None:
    """The trap that an instruction raises whatever its operands are: its number, the mnemonic and the operands.

    ``brk #imm16`` is ``11010100001 imm16 00000`` (Arm ARM, C6.2).
    """
    word = int.from_bytes(raw, "little")
    number = word >> 5 & 0xFFFF
    if word & 0xFFE0001F != 0xD4200000 or number not in TRAPS:
        return None
    return number, "brk", f"#{number:#x}"


def spans(decoder: Any, code: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Offset and size of each instruction."""
    return ((offset, min(_SIZE, end - offset)) for offset in range(start, end, _SIZE))
