"""Opcodes of proposals that are not built, and what is said of an opcode that is not in the table.

An instruction that gets a row in :mod:`.opcodes` is found there first; then its entry here goes.
"""

from __future__ import annotations

from .binary.support import TITLES
from .opcodes import prefixed, spelled

#: The proposal of each opcode byte, and of each prefix that belongs to one proposal as a whole.
_PROPOSALS: dict[int, str] = {
    **dict.fromkeys((0x12, 0x13), "tail-call"),
    **dict.fromkeys((0x14, 0x15, 0xD4, 0xD5, 0xD6), "function-references"),
    **dict.fromkeys((0x08, 0x0A, 0x1F), "exceptions"),
    **dict.fromkeys((0x06, 0x07, 0x09, 0x18, 0x19), "legacy-exceptions"),
    **dict.fromkeys(range(0xE0, 0xE7), "stack-switching"),
    0xD3: "gc",
    0xFB: "gc",
    0xFD: "simd",
    0xFE: "threads",
    **dict.fromkeys((prefixed(0xFC, sub) for sub in range(0x13, 0x17)), "wide-arithmetic"),
}
_FIRST_RELAXED = 0x100
#: Proposals that have no title among those of whole modules.
_TITLES = {
    "legacy-exceptions": "exception handling as it was first proposed",
    "relaxed-simd": "relaxed SIMD",
    "stack-switching": "stack switching",
    "tail-call": "tail calls",
    "wide-arithmetic": "wide arithmetic",
}


def proposal_of(code: int) -> str | None:
    """The proposal that an opcode belongs to, or ``None`` if it belongs to none that is known."""
    found = _PROPOSALS.get(code) or _PROPOSALS.get(code >> 32)
    if found == "simd" and code >= prefixed(code >> 32, _FIRST_RELAXED):
        return "relaxed-simd"
    return found


def not_in_table(code: int) -> tuple[str, bool]:
    """What is wrong with an opcode that the table does not have, and whether that makes the module malformed."""
    proposal = proposal_of(code)
    if proposal is None:
        return f"illegal opcode {spelled(code)}", True
    title = TITLES.get(proposal) or _TITLES[proposal]
    return f"{title} (opcode {spelled(code)}) is not supported yet", False
