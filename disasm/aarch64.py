"""How AArch64 machine code is read: see :class:`vibewasm.disasm.machine.Target`."""

from __future__ import annotations

from vibewasm.backends.operand import F32, I32, V128, is_float
from vibewasm.traps import TRAPS

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
CALLEE, RESULT = REGISTERS["x8"], REGISTERS["x0"]

#: Plain loads and stores of one register, or of two.
MOVES = frozenset(("ldr", "ldur", "ldp", "str", "stur", "stp"))
#: Divisions do not fault: code checks their operands.
FAULTS: dict[str, tuple[int, ...]] = {}

_SIZE = 4
#: ``b`` to the next instruction but one.
_OVER_A_WORD = b"\x02\0\0\x14"


def capstone_mode(capstone: Any) -> tuple[int, int]:
    """capstone's architecture and mode; version 6 renamed the architecture."""
    arch = capstone.CS_ARCH_ARM64 if hasattr(capstone, "CS_ARCH_ARM64") else capstone.CS_ARCH_AARCH64
    return arch, capstone.CS_MODE_LITTLE_ENDIAN


def register_name(type_: int, number: int) -> str:
    """What a register that holds a value of the type is called."""
    if is_float(type_):
        return f"{'s' if type_ == F32 else 'q' if type_ == V128 else 'd'}{number}"
    return f"{'w' if type_ == I32 else 'x'}{number}"


def accesses(mnemonic: str, reads: bool, writes: bool) -> tuple[bool, bool]:
    """Whether an instruction reads and writes its memory operand; capstone 5 is wrong about STP."""
    stores = mnemonic.startswith("st")
    return not stores, stores


def trap(raw: bytes, syntax: str) -> tuple[int, str, str] | None:
    """The trap that an instruction raises whatever its operands are: its number, the mnemonic and the operands.

    It is UDF, whose upper 16 bits are zero (Arm ARM, DDI 0487, C6.2, "UDF"); capstone 5 knows nothing of it.
    """
    number = int.from_bytes(raw, "little")
    return (number, "udf", f"#{number:#x}") if len(raw) == _SIZE and number in TRAPS else None


def spans(decoder: Any, code: bytes, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
    """Offset and size of each instruction, and whether it is none but the distance to a jump table."""
    for offset in range(start, end, _SIZE):
        yield offset, min(_SIZE, end - offset), _is_distance(code, offset)


def _is_distance(code: bytes, offset: int) -> bool:
    """Whether the word at ``offset`` is the distance to a jump table that ADR does not reach: ``backends.aarch64``
    jumps over such a word, whose address it has taken four instructions before.
    """
    address = offset - 4 * _SIZE
    return code[offset - _SIZE : offset] == _OVER_A_WORD and address >= 0 and _adr(code, address) == offset


def _adr(code: bytes, offset: int) -> int:
    """The address that the ADR at ``offset`` takes (C6.2, "ADR"), or -1 for another instruction."""
    word = int.from_bytes(code[offset : offset + _SIZE], "little")
    if word & 0x9F00_0000 != 0x1000_0000:
        return -1
    distance = (word >> 5 & 0x7_FFFF) << 2 | word >> 29 & 3
    return offset + distance - (distance >> 20 << 21)
