"""What a writer of a function body starts from: instructions, locals, and leaves of expressions."""

from __future__ import annotations

from random import Random

from tests.fuzz.instructions import (
    BLOCK,
    CALL,
    END,
    I32_CONST,
    I64_CONST,
    IF,
    LOCAL_GET,
    LOCAL_SET,
    LOCAL_TEE,
    LOOP,
    REF_FUNC,
    REF_NULL,
    Body,
    Instruction,
)
from tests.fuzz.numbers import EXTERNREF, FUNCREF, I32, constant
from tests.fuzz.operations import I32_GT_S, I32_SUB, I64_GT_S, I64_SUB
from tests.fuzz.parts import Signature
from tests.fuzz.surroundings import Surroundings

_EXTRA_LOCALS = [0, 0, 2, 5, 9, 9, 16, 30, 60, 140]


class Counter:
    """A local that counts a loop's turns down; `open` is whether code inside may branch back as well."""

    __slots__ = ("local", "open", "type")

    def __init__(self, local: int, type_: int, is_open: bool) -> None:
        self.local = local
        self.type = type_
        self.open = is_open


class Label:
    """What a branch to an enclosing block takes, and the counter if the branch goes back."""

    __slots__ = ("counter", "types")

    def __init__(self, types: bytes, counter: Counter | None = None) -> None:
        self.types = types
        self.counter = counter


class Writer:
    """The state of one body: instructions so far, locals, open labels."""

    def __init__(self, module: Surroundings, func: int) -> None:
        self.module = module
        self.rng: Random = module.rng
        self.func = func
        self.signature: Signature = module.types[module.funcs[func]]
        extra = bytes([self.rng.choice(module.values) for _ in range(
            self.rng.choice(_EXTRA_LOCALS[: 6 if module.budget < 60 else 10]))])  # fmt: skip
        self.locals = self.signature.params + extra
        self.by_type: dict[int, list[int]] = {}
        for index, type_ in enumerate(self.locals):
            self.by_type.setdefault(type_, []).append(index)
        # Types of locals after the others: loop counters and multi-value results.
        self.scratch: list[int] = []
        self.out: list[Instruction] = []
        # Outermost first.
        self.labels: list[Label] = [Label(self.signature.results)]
        self.budget = module.budget
        # A leaf has a shorter prologue, so there have to be some.
        self.calls = self.rng.random() < 0.7

    def body(self) -> Body:
        """What has been written, after declarations of locals in runs."""
        runs: list[tuple[int, int]] = []
        for type_ in self.locals[len(self.signature.params) :] + bytes(self.scratch):
            if runs and runs[-1][1] == type_ and self.rng.random() < 0.9:
                runs[-1] = (runs[-1][0] + 1, type_)
            else:
                runs.append((1, type_))
        return Body(tuple(runs), tuple(self.out))

    def emit(self, code: int, *immediates: object) -> None:
        """Writes an instruction."""
        self.out.append(Instruction(code, immediates))
        self.budget -= 1

    def new_local(self, type_: int) -> int:
        """A local that nothing else uses."""
        self.scratch.append(type_)
        return len(self.locals) + len(self.scratch) - 1

    def local_of(self, type_: int) -> int | None:
        """A local of the type; the first ones come up most, so that some are hot and many are not."""
        same = self.by_type.get(type_)
        if not same:
            return None
        return same[int(len(same) * self.rng.random() ** 2)]

    def constant(self, type_: int) -> None:
        """A constant of any type."""
        if type_ in (FUNCREF, EXTERNREF):
            self.emit(REF_NULL, type_ - 0x80)
        else:
            self.out.append(constant(self.rng, type_))

    def leaf(self, type_: int, depth: int = 0) -> None:
        """A value that takes one instruction."""
        if self.rng.random() < 0.65:
            local = self.local_of(type_)
            if local is not None:
                return self.emit(LOCAL_GET, local)
        if type_ == FUNCREF and self.rng.random() < 0.7:
            return self.emit(REF_FUNC, self.rng.choice(self.module.referable))
        return self.constant(type_)

    def spill(self) -> None:
        """Something that leaves nothing, and moves all operands to the frame: before a block they are in slots."""
        kind = self.rng.randrange(8)
        if kind < 5:
            self.emit(BLOCK, -0x40)
        elif kind == 5:
            self.emit(LOOP, -0x40)
        elif kind == 6:
            self.emit(I32_CONST, self.rng.randrange(2))
            self.emit(IF, -0x40)
        elif self.calls:
            return self.emit(CALL, self.module.idle)
        else:
            self.emit(BLOCK, -0x40)
        return self.emit(END)

    def count_down(self, counter: Counter) -> None:
        """Leaves an i32 that is not 0 as long as the loop has turns left, and takes one of them."""
        self.emit(LOCAL_GET, counter.local)
        wide = counter.type != I32
        self.emit(I64_CONST if wide else I32_CONST, 1)
        self.emit(I64_SUB if wide else I32_SUB)
        self.emit(LOCAL_TEE, counter.local)
        if wide or counter.open:
            # Below 0 it stays: more branches than one count.
            self.emit(I64_CONST if wide else I32_CONST, 0)
            self.emit(I64_GT_S if wide else I32_GT_S)

    def start_counter(self, type_: int, is_open: bool) -> Counter:
        """A counter for a loop that begins here."""
        counter = Counter(self.new_local(type_), type_, is_open)
        self.emit(I32_CONST if type_ == I32 else I64_CONST, self.rng.randrange(1, 5))
        self.emit(LOCAL_SET, counter.local)
        return counter
