"""A module on its way to being a mutant, and what mutations share."""

from __future__ import annotations

from random import Random

from tests.fuzz.corpus import Corpus, parts_of
from tests.fuzz.instructions import (
    Body,
    Instruction,
    NotParsed,
    read_body,
)
from tests.fuzz.parts import (
    CODE,
    Index,
    Parts,
    Section,
)
from tests.fuzz.value_types import EXNREF, REF_FUNC_TYPE, not_null, nullable

EDGE_NUMBERS = [0, 1, 2, 3, 62, 63, 64, 65, 127, 128, 255, 1000, 16383, 16384, 49999, 50000, 65535, 65536, 2**31 - 1,
                 2**31, 2**32 - 1]  # fmt: skip
NUMERIC_TYPES = b"\x7f\x7e\x7d\x7c\x7b"
VALUE_TYPES = NUMERIC_TYPES + b"\x70\x6f"
#: The same, and references to exceptions and to functions of a type.
MORE_TYPES = VALUE_TYPES + bytes([EXNREF, REF_FUNC_TYPE, *map(nullable, range(3)), *map(not_null, range(3))])


class Mutant:
    """A module on its way to being a mutant."""

    def __init__(self, parts: Parts, rng: Random, corpus: Corpus) -> None:
        self.parts = parts
        self.rng = rng
        self.corpus = corpus

    def index(self) -> Index:
        """The index spaces as they are now; raises `NotParsed` when a mutation has broken them."""
        try:
            return Index(self.parts)
        except IndexError as error:
            raise NotParsed("the sections do not fit together any more") from error

    def body(self) -> tuple[int, Body]:
        """A random body and its place in the code section; raises `NotParsed`."""
        bodies = self.parts.items(CODE)
        if not bodies:
            raise NotParsed("no bodies")
        at = self.rng.randrange(len(bodies))
        # Large bodies hold more to change.
        other = self.rng.randrange(len(bodies))
        at = max(at, other, key=lambda i: len(bodies[i]))
        return at, read_body(bodies[at])

    def set_body(self, at: int, body: Body) -> bool:
        self.parts.items(CODE)[at] = body.encode()
        return True

    def other(self) -> Parts:
        """The parts of another seed."""
        return parts_of(self.rng.choice(self.corpus.valid)) if self.corpus.valid else self.parts.copy()

    def section(self) -> Section:
        """A random section, the code section as often as all the others together."""
        sections = self.parts.sections
        code = [s for s in sections if s.id == CODE]
        if not sections:
            raise NotParsed("no sections")
        return self.rng.choice(code if code and self.rng.random() < 0.5 else sections)


def replace(mutant: Mutant, at: int, body: Body, place: int, count: int, new: list[Instruction]) -> bool:
    """Puts instructions in place of `count` others in a body."""
    out = (*body.instructions[:place], *new, *body.instructions[place + count :])
    return mutant.set_body(at, Body(body.locals, out))
