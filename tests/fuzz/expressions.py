"""Random well-typed expressions: they grow from types downwards."""

from __future__ import annotations

from collections.abc import Callable

from tests.fuzz.instructions import (
    CALL,
    DROP,
    F32_CONST,
    I32_CONST,
    I64_CONST,
    LOCAL_GET,
    LOCAL_SET,
    LOCAL_TEE,
    SELECT,
    Instruction,
)
from tests.fuzz.numbers import EXTERNREF, F32, FUNCREF, I32
from tests.fuzz.operations import (
    CALL_INDIRECT,
    F32_CONVERT_I32_S,
    F64_CONVERT_I32_S,
    GLOBAL_GET,
    GLOBAL_SET,
    I32_ADD,
    I32_AND,
    I32_EQZ,
    I32_OR,
    I64_OR,
    MEMORY_GROW,
    MEMORY_SIZE,
    REF_IS_NULL,
    TABLE_GET,
    TABLE_GROW,
    TABLE_SIZE,
    TYPED_SELECT,
    Operation,
)
from tests.fuzz.parts import Signature
from tests.fuzz.relaxed import SETTLE, may_be_any
from tests.fuzz.surroundings import PAGE, Surroundings
from tests.fuzz.value_types import block_type, is_reference
from tests.fuzz.writer import Writer
from vibewasm.opcodes import CODE as OPCODE

_REFERENCES = (FUNCREF, EXTERNREF)


class Expressions(Writer):
    """Writes instructions that leave values, and such as take values from the stack."""

    def __init__(self, module: Surroundings, func: int) -> None:
        super().__init__(module, func)
        self.repertoire = module.repertoire
        self.choices: list[Callable[[int, int], None]] = [
            *[self.leaf] * 3,
            *[self.choose] * 2,
            *[self.structured] * 2,
            *[self.called] * (2 if self.calls else 0),
            *[self.teed, self.from_global, self.special, self.piled],
        ]
        self.number_choices = self.choices + [self.computed] * 11

    def block(self, block_type: int, params: bytes, results: bytes, depth: int) -> None:
        """Writes a block of some kind whose parameters are on the stack."""
        raise NotImplementedError

    def values(self, types: bytes, depth: int) -> None:
        """Values of these types; sometimes what is there so far goes to the frame."""
        for type_ in types:
            self.value(type_, depth)
            if self.rng.random() < 0.06:
                self.spill()

    def value(self, type_: int, depth: int) -> None:
        """Instructions that leave one value of the type."""
        if depth <= 0 or self.budget <= 0:
            return self.leaf(type_)
        return self.rng.choice(self.number_choices if type_ in self.repertoire.by_result else self.choices)(
            type_, depth - 1
        )

    def computed(self, type_: int, depth: int) -> None:
        """A value by an instruction of the table."""
        op = self.rng.choice(self.repertoire.by_result[type_])
        if op.align is None:
            return self.apply(op, depth)
        if self.module.memory is None:
            return self.leaf(type_)
        self.address(depth)
        self.values(op.operands[1:], depth)
        return self.perform(op)

    def perform(self, op: Operation) -> None:
        """An operation whose operands are there, with immediates."""
        access = () if op.align is None else (self.memarg(op.align),)
        self.emit(op.code, *access, *op.drawn(self.rng))

    def apply(self, op: Operation, depth: int) -> None:
        """An operation and its operands; one that traps gets such as do not, mostly."""
        safe = self.rng.random() < 0.85
        if op.truncates and safe:
            self.value(I32, depth)
            self.emit(F32_CONVERT_I32_S if op.operands[0] == F32 else F64_CONVERT_I32_S)
            if op.name.endswith("_u"):
                self.emit(OPCODE["f32.abs"] if op.operands[0] == F32 else OPCODE["f64.abs"])
            if op.name.startswith("i32") and op.operands[0] == F32:
                self.emit(F32_CONST, 0x3F00_0000)
                self.emit(OPCODE["f32.mul"])
        elif op.code in SETTLE:
            self.settled_operands(op, depth)
        else:
            self.values(op.operands, depth)
        if op.divides and safe:
            self.emit(I32_CONST if op.operands[0] == I32 else I64_CONST, self.rng.choice([1, 3, 16]))
            self.emit(I32_OR if op.operands[0] == I32 else I64_OR)
        self.perform(op)

    def settled_operands(self, op: Operation, depth: int) -> None:
        """Operands of a relaxed instruction for which only one result is allowed."""
        for at, type_ in enumerate(op.operands):
            self.value(type_, depth)
            if not may_be_any(op.code, at):
                local = self.new_local(type_)
                self.emit(LOCAL_SET, local)
                self.out += SETTLE[op.code][at].code((Instruction(LOCAL_GET, (local,)),))

    def fold(self, type_: int) -> None:
        """One value of two of the same type that are there."""
        self.perform(self.rng.choice(self.repertoire.folds[type_]))

    def address(self, depth: int) -> None:
        """An address, within the memory most of the time."""
        rng = self.rng
        kind = rng.random()
        if kind < 0.75:
            self.value(I32, depth)
            self.emit(I32_CONST, rng.choice([0x3F, 0x7F, 0xFF, 0xFF, 0xFFFF]))
            self.emit(I32_AND)
        elif kind < 0.9:
            self.emit(I32_CONST, rng.choice([0, 1, 3, 8, 100, 1000, 4096]))
        elif kind < 0.94:
            # Around 2**32 an i32 wraps, and an address does not.
            self.emit(I32_CONST, rng.choice([-1, -4, -8, -100]))
            self.emit(I32_CONST, rng.choice([1, 4, 8, 100, 108]))
            self.emit(I32_ADD)
        elif kind < 0.97:
            self.emit(I32_CONST, rng.choice([PAGE, 2 * PAGE, 3 * PAGE]) - rng.randrange(12))
        else:
            self.value(I32, depth)
        if rng.random() < 0.06:
            self.spill()

    def memarg(self, align: int) -> tuple[int, int]:
        """An alignment and an offset, which are independent of each other."""
        offset = self.rng.choice(
            [0, 0, 1, 4, 8, 100, 127, 128, 129, 4096, 16383, 16384, PAGE - 8, PAGE, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
        )
        return self.rng.randrange(align + 1), offset if self.rng.random() < 0.15 else self.rng.randrange(16)

    def choose(self, type_: int, depth: int) -> None:
        """A value by ``select``, of either kind."""
        self.values(bytes([type_, type_]), depth)
        self.condition(depth)
        if is_reference(type_) or self.rng.random() < 0.25:
            self.emit(TYPED_SELECT, (type_,))
        else:
            self.emit(SELECT)

    def condition(self, depth: int) -> None:
        """An i32 that is 0 about as often as not, often a comparison's."""
        if self.rng.random() < 0.5 and depth > 0:
            self.apply(self.rng.choice(self.repertoire.comparisons), depth - 1)
        else:
            self.value(I32, depth)
        if self.rng.random() < 0.2:
            self.emit(I32_EQZ)

    def structured(self, type_: int, depth: int) -> None:
        """A block, loop or if with one result, or with several, of which the other ones are put away."""
        if self.rng.random() < 0.3:
            signature = self.block_signature(type_)
            self.values(signature.params, depth - 1)
            self.block(self.module.type_number(signature), *signature, depth)
            return self.keep(signature.results, type_)
        return self.block(block_type(type_), b"", bytes([type_]), depth)

    def block_signature(self, result: int) -> Signature:
        """A type for a block, with this result among others."""
        rng = self.rng
        params = bytes([rng.choice(self.repertoire.types) for _ in range(rng.choice([0, 0, 1, 1, 2, 3]))])
        results = [rng.choice(self.repertoire.types) for _ in range(rng.choice([0, 0, 1, 2, 4]))]
        results.insert(rng.randrange(len(results) + 1), result)
        if rng.random() < 0.3:
            params = bytes(results)
        return Signature(params, bytes(results))

    def called(self, type_: int, depth: int) -> None:
        """A result of a call: of any function, itself included, as fuel ends recursion."""
        module = self.module
        fitting = [i for i in module.callable if type_ in module.types[module.funcs[i]].results]
        if not fitting or self.rng.random() < 0.25:
            return self.called_indirectly(type_, depth)
        func = self.rng.choice(fitting)
        signature = module.types[module.funcs[func]]
        self.arguments(signature.params, depth)
        self.emit(CALL, func)
        return self.keep(signature.results, type_)

    def arguments(self, types: bytes, depth: int) -> None:
        """Arguments; where there are many, they are simple."""
        self.values(types, depth if len(types) < 5 else min(depth, 1))

    def called_indirectly(self, type_: int, depth: int) -> None:
        """A result of a call through a table, mostly of a function that has the type."""
        module = self.module
        tables = module.tables_of(FUNCREF)
        fitting = [i for i in {module.funcs[f] for f in module.callable} if type_ in module.types[i].results]
        if not tables or not fitting:
            return self.leaf(type_)
        index = self.rng.choice(sorted(fitting))
        self.arguments(module.types[index].params, depth)
        self.table_index(depth)
        self.emit(CALL_INDIRECT, index, self.rng.choice(tables))
        return self.keep(module.types[index].results, type_)

    def teed(self, type_: int, depth: int) -> None:
        """A value that is put into a local on its way."""
        local = self.local_of(type_)
        self.value(type_, depth)
        if local is not None:
            self.emit(LOCAL_TEE, local)

    def from_global(self, type_: int, depth: int) -> None:
        """A global's value."""
        same = [i for i, (t, _) in enumerate(self.module.globals) if t == type_]
        if not same:
            return self.value(type_, depth)
        return self.emit(GLOBAL_GET, self.rng.choice(same))

    def piled(self, type_: int, depth: int) -> None:
        """More operands than there are temporaries, and what folds them into one."""
        if type_ not in self.repertoire.folds:
            return self.value(type_, depth)
        count = self.rng.choice([3, 4, 6, 9, 14, 60 if self.module.budget > 100 else 5])
        for _ in range(count):
            self.simple(type_)
            if self.rng.random() < 0.02:
                self.spill()
        for _ in range(count - 1):
            self.fold(type_)
        return None

    def special(self, type_: int, depth: int) -> None:
        """Results of instructions on memories, tables and references."""
        rng, module = self.rng, self.module
        tables = module.tables
        same = module.tables_of(type_)
        if same:
            self.table_index(depth)
            return self.emit(TABLE_GET, rng.choice(same))
        if type_ != I32:
            return self.value(type_, depth)
        kind = rng.randrange(5)
        if kind == 0 and tables:
            return self.emit(TABLE_SIZE, rng.randrange(len(tables)))
        if kind == 1 and tables:
            table = rng.randrange(len(tables))
            self.value(tables[table].type, depth)
            self.emit(I32_CONST, rng.choice([0, 1, 2, 5, -1]))
            return self.emit(TABLE_GROW, table)
        if kind == 2 and module.memory:
            self.emit(I32_CONST, rng.choice([0, 0, 1, 1, 2, 3, -1]))
            return self.emit(MEMORY_GROW, 0)
        if kind == 3 and module.memory:
            return self.emit(MEMORY_SIZE, 0)
        self.value(rng.choice(_REFERENCES), depth)
        return self.emit(REF_IS_NULL)

    def table_index(self, depth: int) -> None:
        """An index that is within most tables."""
        if self.rng.random() < 0.3:
            self.value(I32, depth)
            self.emit(I32_CONST, self.rng.choice([3, 3, 7]))
            self.emit(I32_AND)
        else:
            self.emit(I32_CONST, self.rng.randrange(9) if self.rng.random() < 0.1 else self.rng.randrange(4))

    def keep(self, types: bytes, wanted: int) -> None:
        """Leaves one value of the type `wanted` of values of `types`."""
        if types == bytes([wanted]):
            return
        kept = self.rng.choice([i for i, t in enumerate(types) if t == wanted])
        self.consume(types[kept + 1 :])
        if kept:
            local = self.new_local(wanted)
            self.emit(LOCAL_SET, local)
            self.consume(types[:kept])
            self.emit(LOCAL_GET, local)

    def consume(self, types: bytes) -> None:
        """Takes values from the stack: puts them away, or computes with them first."""
        rng = self.rng
        at = len(types)
        while at:
            at -= 1
            type_ = types[at]
            kind = rng.random()
            if kind < 0.3 and at and types[at - 1] == type_ and type_ in self.repertoire.folds:
                self.fold(type_)
                continue
            if kind < 0.8:
                local = self.local_of(type_)
                if local is not None:
                    self.emit(LOCAL_SET, local)
                    continue
                same = [i for i, g in enumerate(self.module.globals) if g == (type_, True) and i != self.module.fuel]
                if same:
                    self.emit(GLOBAL_SET, rng.choice(same))
                    continue
            self.emit(DROP)

    def simple(self, type_: int) -> None:
        """A value in a temporary by few instructions."""
        self.leaf(type_)
        op = self.rng.choice(self.repertoire.unary[type_])
        if self.rng.random() < 0.7:
            self.perform(op)
