"""What is particular to listings of AArch64 code."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Bytes of the longest instruction.
LONGEST = 4

#: ``b`` over one instruction, and how far before it an ``adr`` takes the address of what is behind it.
_B_8 = 0x1400_0002
_ADR_TO_DATUM = 16


def decoder(capstone: Any) -> Any:
    """The decoder of this processor's instructions."""
    return capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM)


def _word(code: bytes, offset: int) -> int:
    return int.from_bytes(code[offset : offset + 4], "little")


def trap(code: bytes, offset: int) -> tuple[bytes, str, int] | None:
    """The bytes and the text of the trap instruction at ``offset``, and its number; ``None`` if there is none.

    It is UDF, of which capstone 5 knows nothing (DDI 0487, C6.2, "UDF").
    """
    raw = code[offset : offset + 4]
    if len(raw) == 4 and raw[2:] == b"\0\0":
        number = _word(code, offset)
        return raw, f"udf #{number:#x}", number
    return None


def _adr(code: bytes, offset: int) -> int | None:
    """The address that the ADR at ``offset`` takes; ``None`` for any other instruction."""
    word = _word(code, offset)
    if word & 0x9F00_0000 != 0x1000_0000:
        return None
    distance = (word >> 5 & 0x7_FFFF) << 2 | word >> 29 & 3
    return offset + distance - (distance >> 20 << 21)


def datum(code: bytes, offset: int) -> bool:
    """Whether four bytes of data stand at ``offset`` amid code: the distance to a jump table that ADR cannot reach."""
    before = offset - _ADR_TO_DATUM
    return before >= 0 and _adr(code, before) == offset and _word(code, offset - 4) == _B_8


def no_instruction(code: bytes, offset: int) -> tuple[bytes, str]:
    """What to show of bytes that are no instruction."""
    raw = code[offset : offset + 4]
    return raw, f".word {int.from_bytes(raw, 'little'):#010x}" if len(raw) == 4 else f".byte {raw.hex(', 0x')}"


def table_address(code: bytes, offset: int) -> int | None:
    """The address of the jump table that the instruction at ``offset`` takes: ADR, or the datum that says how far away
    the table is.
    """
    if datum(code, offset):
        return offset + int.from_bytes(code[offset : offset + 4], "little", signed=True)
    address = _adr(code, offset)
    return None if address is None or datum(code, address) else address
