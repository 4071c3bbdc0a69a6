"""What the functions of a random module may refer to: types, functions, globals, a memory, tables and segments."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from tests.fuzz.numbers import EXTERNREF, FUNCREF, I32
from tests.fuzz.operations import NUMERIC, Repertoire
from tests.fuzz.parts import Signature

PAGE = 65536
#: What :func:`Surroundings.refuel` gives: calls that one call from outside may make, so that recursion ends.
FUEL = 60


class MemoryPlan(NamedTuple):
    """A memory: whether it is imported, and its limits in pages."""

    imported: bool
    minimum: int
    maximum: int


class TablePlan(NamedTuple):
    """A table: the byte of its element type, whether it is imported, and its limits."""

    type: int
    imported: bool
    minimum: int
    maximum: int


class Surroundings:
    """Drawn at random; functions that are written later add the types that they need.

    Attributes:
        types: function types; number 0 takes and gives nothing, number 1 gives an i32.
        imported, defined, funcs: type numbers of imported functions, of defined ones, of all.
        refuel: index of the function that fills the global `fuel`, which functions that call others run down.
        idle: index of a function that does nothing.
        callable: indices of the functions that code may call, all of which are exported.
        referable: those that it may refer to, and that tables hold.
        globals: (type, mutable) of all globals, of which the first are `imported_globals`.
        elements: element type of each passive segment, which all hold `element_size` items.
        datas: sizes of passive data segments.
        repertoire: the operations that code has.
        values: types of values, references included.
        depth, budget: how deep expressions nest, and how many instructions a function has, roughly.
    """

    def __init__(self, rng: Random, *, small: bool = False, repertoire: Repertoire = NUMERIC) -> None:
        self.rng = rng
        self.repertoire = repertoire
        types = repertoire.types
        self.values = types + bytes([FUNCREF, EXTERNREF])
        self.types = [Signature(b"", b""), Signature(b"", bytes([I32]))]
        self._type_numbers = {signature: number for number, signature in enumerate(self.types)}
        shapes = [self.signature() for _ in range(rng.randrange(2, 4 if small else 8))]
        numbers = [0, 1, *map(self.type_number, shapes)]
        self.imported = [rng.choice(numbers) for _ in range(rng.choice([0, 1, 2, 3]))]
        self.refuel, self.idle = len(self.imported), len(self.imported) + 1
        self.defined = [0, 0] + [rng.choice(numbers) for _ in range(rng.randrange(1, 3 if small else 6))]
        self.funcs = self.imported + self.defined
        # Code that could fill up the fuel would not end.
        self.callable = [index for index in range(len(self.funcs)) if index != self.refuel]
        self.referable = self.callable
        self.imported_globals = [(rng.choice(types), rng.random() < 0.5) for _ in range(rng.randrange(3))]
        self.fuel = len(self.imported_globals)
        own = [(rng.choice(self.values), rng.random() < 0.8) for _ in range(rng.randrange(7))]
        self.globals = [*self.imported_globals, (I32, True), *own]
        self.memory: MemoryPlan | None = None
        if rng.random() < 0.9:
            self.memory = MemoryPlan(rng.random() < 0.2, rng.choice([1, 1, 1, 2, 0]), 3)
        kinds = rng.choice([[], [FUNCREF], [FUNCREF], [FUNCREF, EXTERNREF], [FUNCREF, FUNCREF], [EXTERNREF, FUNCREF]])
        sizes = [rng.randrange(1, 9) for _ in kinds]
        self.tables = [TablePlan(kind, rng.random() < 0.2, size, 12) for kind, size in zip(kinds, sizes, strict=True)]
        # Imported items of a kind come first in its index space.
        self.tables.sort(key=lambda table: not table.imported)
        self.elements = [rng.choice([FUNCREF, FUNCREF, EXTERNREF]) for _ in range(rng.randrange(3))]
        self.element_size = 4
        self.datas = [rng.randrange(1, 40) for _ in range(rng.randrange(3))] if self.memory else []
        sizes_of_code = [(20, 3), (40, 3)] if small else [(30, 4), (60, 4), (60, 5), (120, 5), (250, 5), (250, 6)]
        self.budget, self.depth = rng.choice(sizes_of_code)

    def signature(self) -> Signature:
        """Parameters and results, seldom more of them than registers, or than a loop copies."""
        rng = self.rng
        params = rng.choice([0, 1, 2, 2, 3, 4, 5, 9, 9, 14, 30])
        return Signature(self._some_types(params), self._some_types(rng.choice([0, 1, 1, 1, 1, 2, 3, 5, 12, 24])))

    def type_number(self, signature: Signature) -> int:
        """The number of a function type, which is added if it is new."""
        number = self._type_numbers.setdefault(signature, len(self.types))
        if number == len(self.types):
            self.types.append(signature)
        return number

    def tables_of(self, type_: int) -> list[int]:
        """Indices of the tables with this element type."""
        return [index for index, table in enumerate(self.tables) if table.type == type_]

    def _some_types(self, count: int) -> bytes:
        if not count:
            return b""
        pool: Sequence[int] = self.repertoire.types if self.rng.random() < 0.8 else self.values
        return bytes([self.rng.choice(pool) for _ in range(count)])
