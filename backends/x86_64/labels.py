"""A small assembler with labels, for stubs: code that is written by hand, with loops and jumps both ways."""

from __future__ import annotations

from . import asm


class Assembler:
    """Collects instructions; labels are strings, and may be used before they are bound.

    Jumps take the 4-byte form: stubs are few and short, and a position never changes once it is known.
    """

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

    def jcc(self, cc: int, label: str) -> None:
        """A conditional jump."""
        self._use(asm.jcc_rel32(cc, 0), label)

    def jmp(self, label: str) -> None:
        """A jump."""
        self._use(asm.jmp_rel32(0), label)

    def call(self, label: str) -> None:
        """A call."""
        self._use(asm.call_rel32(0), label)

    def lea(self, dst: int, label: str) -> None:
        """The address of ``label``."""
        self._use(asm.lea_rip(dst, 0), label)

    def _use(self, instruction: bytes, label: str) -> None:
        self.code += instruction
        self._uses.append((len(self.code), label))

    def finish(self) -> bytes:
        """The code, with every use of a label filled in.

        Raises:
            KeyError: a label was used but never bound.
        """
        for end, label in self._uses:
            self.code[end - 4 : end] = (self._bound[label] - end).to_bytes(4, "little", signed=True)
        return bytes(self.code)
