"""The two judges of an encoding: keystone writes it, capstone reads it."""

from __future__ import annotations

import re

import capstone
import keystone

_keystone = keystone.Ks(keystone.KS_ARCH_ARM64, keystone.KS_MODE_LITTLE_ENDIAN)
_capstone = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_LITTLE_ENDIAN)


def assemble(text: str) -> bytes:
    """Keystone's encoding of a text, at address 0."""
    return bytes(_keystone.asm(text)[0])


def disassemble(code: bytes) -> list[str]:
    """Capstone's reading of ``code`` at address 0, in plain form."""
    instructions = list(_capstone.disasm(code, 0))
    assert 4 * len(instructions) == len(code)
    return [plain(f"{instruction.mnemonic} {instruction.op_str}") for instruction in instructions]


def _decimal(match: re.Match[str]) -> str:
    value = int(match[0][1:], 0)
    # Capstone shows what is negative as an unsigned number in some instructions.
    return f"#{value - (1 << 64) if value >= 1 << 63 else value}"


def plain(text: str) -> str:
    """A text with decimal numbers, single spaces, and no addition of 0 to an address."""
    text = re.sub(r"#-?0x[0-9a-f]+|#\d+", _decimal, " ".join(text.split()))
    return text.replace(", #0]", "]").replace(", lsl #0", "").replace(", uxtx]", "]")
