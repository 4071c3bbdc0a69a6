"""A small assembler with labels, for stubs: code that is written by hand, with loops and jumps both ways."""

from __future__ import annotations

from . import asm
from .encoding import relative, signed, word


class Assembler:
    """Collects instructions; labels are strings, and may be used before they are bound."""

    __slots__ = ("_bound", "_uses", "code")

    def __init__(self) -> None:
        self.code = bytearray()
        self._bound: dict[str, int] = {}
        self._uses: list[tuple[int, str]] = []

    def emit(self, *instructions: bytes) -> None:
        """Append instructions."""
        for instruction in instructions:
            self.code += instruction

    def bind(self, label: str) -> None:
        """Let ``label`` name the present position."""
        if label in self._bound:
            raise ValueError(f"label {label!r} is bound already")
        self._bound[label] = len(self.code)

    def b_cond(self, cc: int, label: str) -> None:
        """A conditional jump."""
        self._use(asm.b_cond(cc, 0), label)

    def cbz(self, w: int, reg: int, label: str) -> None:
        """A jump if a register is zero."""
        self._use(asm.cbz(w, reg, 0), label)

    def cbnz(self, w: int, reg: int, label: str) -> None:
        """A jump if a register is not zero."""
        self._use(asm.cbnz(w, reg, 0), label)

    def b(self, label: str) -> None:
        """A jump."""
        self._use(asm.b(0), label)

    def bl(self, label: str) -> None:
        """A call."""
        self._use(asm.bl(0), label)

    def adr(self, dst: int, label: str) -> None:
        """The address of ``label``."""
        self._use(asm.adr(dst, 0), label)

    def _use(self, instruction: bytes, label: str) -> None:
        self._uses.append((len(self.code), label))
        self.code += instruction

    def finish(self) -> bytes:
        """The code, with every use of a label filled in.

        Raises:
            KeyError: a label was used but never bound.
        """
        for site, label in self._uses:
            patch(self.code, site, self._bound[label])
        return bytes(self.code)


def patch(code: bytearray, site: int, target: int) -> None:
    """Let the jump, call or ADR at ``site``, whose distance is 0 as yet, lead to ``target``.

    Raises:
        ValueError: the target is out of the instruction's reach.
    """
    instruction = int.from_bytes(code[site : site + 4], "little")
    distance = target - site
    if instruction & 0x7C00_0000 == 0x1400_0000:  # B, BL
        instruction |= relative(distance, 26)
    elif instruction & 0x7E00_0000 == 0x3600_0000:  # TBZ, TBNZ
        instruction |= relative(distance, 14) << 5
    elif instruction & 0x9F00_0000 == 0x1000_0000:  # ADR
        field = signed(distance, 21)
        instruction |= (field & 3) << 29 | field >> 2 << 5
    elif instruction & 0x7E00_0000 == 0x3400_0000 or instruction & 0xFF00_0000 == 0x5400_0000:  # CBZ, CBNZ, B.cond
        instruction |= relative(distance, 19) << 5
    else:
        raise ValueError(f"{instruction:#010x} is no jump")
    code[site : site + 4] = word(instruction)


def opposite(instruction: bytes) -> bytes:
    """The conditional jump that is taken exactly when this one is not, with the same distance."""
    bits = int.from_bytes(instruction, "little")
    if bits & 0xFF00_0000 == 0x5400_0000:
        return word(bits ^ 1)
    if bits & 0x7C00_0000 == 0x3400_0000:
        return word(bits ^ 0x0100_0000)
    raise ValueError(f"{bits:#010x} is no conditional jump")
