"""Modules of made-up bodies, mixed of vector instructions or of scalar ones, for measuring what compiling one takes.

A body is a sequence of statements, as compilers write them: get some locals and constants, compute with them, and set a
local or store to memory. Both kinds are made in the same way from the rows of the table of opcodes, each instruction as
likely as any other; statements have one to three of them in a chain.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.binary.builder import ModuleBuilder
from tests.binary.encode import signed, unsigned
from vibewasm.opcodes import ACCESSES, BY_CODE, CODE, TABLE, Row, load_vectors, opcode_bytes

_NAMES = {"i": "i32", "l": "i64", "f": "f32", "d": "f64", "v": "v128"}
#: Locals of each type.
_LOCALS = 6
_FUNCTIONS = 40
_STATEMENTS = 120


def mixture(vectors: bool) -> tuple[bytes, int]:
    """A module of vector instructions, or of scalar ones, and how many instructions its bodies have."""
    chooser = random.Random(14)
    rows = _rows(vectors)
    types = sorted({letter.replace("a", "i") for row in rows for letter in (row[3] or "") + (row[4] or "")})
    module = ModuleBuilder()
    module.memory(1)
    total = 0
    for _ in range(_FUNCTIONS):
        body = _Body(chooser, rows, types)
        module.func([], [], b"".join(body.parts), locals=[(_LOCALS, _NAMES[letter]) for letter in types])
        total += body.count + 1  # its end
    return module.build(), total


def _rows(vectors: bool) -> list[Row]:
    """Instructions of the kind that take operands, and whose types say what they do."""
    load_vectors()
    chosen = [row for row in BY_CODE.values() if row[5] == "simd"] if vectors else TABLE
    return [
        row for row in chosen if row[3] and row[2] in _IMMEDIATES and set(row[3] + (row[4] or "")) <= {*_NAMES, "a"}
    ]


class _Body:
    """A body in the making.

    Attributes:
        parts: its instructions.
        count: how many these are.
    """

    def __init__(self, chooser: random.Random, rows: list[Row], types: list[str]) -> None:
        self.parts: list[bytes] = []
        self.count = 0
        self._chooser = chooser
        self._types = types
        self._makers: dict[str, list[Row]] = {}
        for row in rows:
            self._makers.setdefault(row[4] or "", []).append(row)
        for _ in range(_STATEMENTS):
            self._computed(chooser.choice(rows), chooser.randrange(3))

    def _computed(self, row: Row, deeper: int) -> None:
        """An instruction, the first of whose operands is computed by others, and a local for its result."""
        self._operation(row, deeper)
        if row[4]:
            self._put(b"\x21" + unsigned(self._local(row[4])))  # local.set

    def _operation(self, row: Row, deeper: int) -> None:
        assert row[3] is not None
        for place, letter in enumerate(row[3]):
            makers = self._makers.get(letter, [])
            if letter == "a":
                # An address that a body may well have: a local.
                self._get("i")
            elif place == 0 and deeper and makers:
                self._operation(self._chooser.choice(makers), deeper - 1)
            else:
                self._get(letter)
        self._put(opcode_bytes(row[0]) + _IMMEDIATES[row[2]](self._chooser, row))

    def _get(self, letter: str) -> None:
        if self._chooser.randrange(6):
            self._put(b"\x20" + unsigned(self._local(letter)))  # local.get
        else:
            self._put(_constant(self._chooser, letter))

    def _local(self, letter: str) -> int:
        return self._types.index(letter) * _LOCALS + self._chooser.randrange(_LOCALS)

    def _put(self, instruction: bytes) -> None:
        self.parts.append(instruction)
        self.count += 1


def _constant(chooser: random.Random, letter: str) -> bytes:
    code = opcode_bytes(CODE[f"{_NAMES[letter]}.const"])
    if letter in "il":
        return code + signed(chooser.randrange(-100, 100))
    return code + chooser.randbytes({"f": 4, "d": 8, "v": 16}[letter])


def _memarg(chooser: random.Random, row: Row) -> bytes:
    return unsigned(ACCESSES[row[0]]) + unsigned(8 * chooser.randrange(16))


def _lane(chooser: random.Random, row: Row) -> bytes:
    shape = row[1].partition(".")[0]
    # A lane of memory is as wide as the access; another one's shape ends with how many there are.
    lanes = 16 >> ACCESSES[row[0]] if shape == "v128" else int(shape.partition("x")[2])
    return bytes([chooser.randrange(lanes)])


#: What is encoded after an opcode, by the kinds of its immediates.
_IMMEDIATES: dict[str, Callable[[random.Random, Row], bytes]] = {
    "": lambda chooser, row: b"",
    "memarg": _memarg,
    "lane": _lane,
    "memarg lane": lambda chooser, row: _memarg(chooser, row) + _lane(chooser, row),
    "lanes": lambda chooser, row: bytes(chooser.randrange(32) for _ in range(16)),
}
