"""Labels of structured control instructions (core specification, "Structured Control Instructions")."""

from __future__ import annotations

BLOCK = 0x02
LOOP = 0x03
IF = 0x04
ELSE = 0x05
FUNCTION = 0x00

Types = tuple[int, ...]


class Label:
    """One open block.

    Attributes:
        opcode: BLOCK, LOOP, IF (before its ``else``), ELSE (after it) or FUNCTION.
        height: index of the block's barrier on the operand stack.
        params, results: the block's type.
        types: what a branch to the label carries: the parameters of a loop, else the results.
        fixups: sites of jumps to the label, to be filled in at its end.
        else_fixups: sites of jumps to the ``else`` part.
        depth: how many blocks are open with it.
        target: position of a loop's header, or of the end of any other block once that is reached; -1 before.
    """

    __slots__ = ("depth", "else_fixups", "fixups", "height", "opcode", "params", "results", "target", "types")

    def __init__(self, opcode: int, height: int, depth: int, params: Types, results: Types) -> None:
        self.opcode = opcode
        self.depth = depth
        self.height = height
        self.params = params
        self.results = results
        self.types = params if opcode == LOOP else results
        self.fixups: list[int] = []
        self.else_fixups: list[int] | tuple[()] = ()
        self.target = -1
