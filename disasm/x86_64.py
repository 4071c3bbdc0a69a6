"""What is particular to listings of x86-64 code."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Bytes of the longest instruction.
LONGEST = 15

#: What a trap in code looks like: ``ud1 eax, [rax + disp8]``, with the trap number as the displacement. capstone would
#: take its two opcode bytes for the whole instruction; Intel's manual (volume 2, UD) says that a ModRM byte follows.
_UD1 = b"\x0f\xb9\x40"


def decoder(capstone: Any) -> Any:
    """The decoder of this processor's instructions."""
    return capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)


def trap(code: bytes, offset: int) -> tuple[bytes, str, int] | None:
    """The bytes and the text of the trap instruction at ``offset``, and its number; ``None`` if there is none."""
    if code.startswith(_UD1, offset) and offset + 3 < len(code):
        raw = code[offset : offset + 4]
        return raw, f"ud1 eax, dword ptr [rax + {raw[3]:#x}]", raw[3]
    return None


def datum(code: bytes, offset: int) -> bool:
    """Whether four bytes of data stand at ``offset`` amid code: there are none."""
    return False


def no_instruction(code: bytes, offset: int) -> tuple[bytes, str]:
    """What to show of bytes that are no instruction."""
    return code[offset : offset + 1], f".byte {code[offset]:#04x}"


def table_address(code: bytes, offset: int) -> int | None:
    """The address of the jump table that ``lea r64, [rip + disp32]`` takes; ``None`` for any other instruction."""
    raw = code[offset : offset + 7]
    if len(raw) == 7 and raw[0] & 0xFB == 0x48 and raw[1] == 0x8D and raw[2] & 0xC7 == 0x05:
        return offset + 7 + int.from_bytes(raw[3:7], "little", signed=True)
    return None
