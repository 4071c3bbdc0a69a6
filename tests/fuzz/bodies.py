"""Random well-typed function bodies, nearly all of which end when they are called.

They grow from types downwards: `BodyWriter.value` writes instructions that leave one value of a type,
`BodyWriter.statement` instructions that leave nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tests.fuzz.instructions import (
    BLOCK,
    BR,
    BR_IF,
    CALL,
    DROP,
    ELSE,
    END,
    I32_CONST,
    IF,
    LOCAL_GET,
    LOCAL_SET,
    LOCAL_TEE,
    LOOP,
    NOP,
    REF_FUNC,
    REF_NULL,
    RETURN,
    SELECT,
    UNREACHABLE,
    Body,
    Instruction,
)
from tests.fuzz.numbers import EXTERNREF, F32, F64, FUNCREF, I32, I64, NUMBERS, constant
from tests.fuzz.parts import Signature
from vibewasm.opcodes import TABLE as OPCODES
from vibewasm.opcodes import natural_alignment

_BYTE_OF_LETTER = {"i": I32, "l": I64, "f": F32, "d": F64}
BR_TABLE, CALL_INDIRECT, TYPED_SELECT = 0x0E, 0x11, 0x1C
GLOBAL_GET, GLOBAL_SET, TABLE_GET, TABLE_SET = 0x23, 0x24, 0x25, 0x26
MEMORY_SIZE, MEMORY_GROW, REF_IS_NULL = 0x3F, 0x40, 0xD1
I32_EQZ, I32_SUB, I32_AND = 0x45, 0x6B, 0x71
MEMORY_INIT, DATA_DROP, MEMORY_COPY, MEMORY_FILL = 0xFC008, 0xFC009, 0xFC00A, 0xFC00B
TABLE_INIT, ELEM_DROP, TABLE_COPY, TABLE_GROW, TABLE_SIZE, TABLE_FILL = range(0xFC00C, 0xFC012)


class _Op:
    """An instruction of the table whose operands and result do not depend on anything."""

    __slots__ = ("align", "code", "operands")

    def __init__(self, code: int, operands: bytes, align: int | None) -> None:
        self.code = code
        self.operands = operands
        self.align = align


def _ops() -> tuple[dict[int, list[_Op]], list[_Op]]:
    """Instructions by result type, and stores."""
    by_result: dict[int, list[_Op]] = {type_: [] for type_ in NUMBERS}
    stores: list[_Op] = []
    for code, name, immediates, operands, results, _ in OPCODES:
        if operands is None or results is None or immediates not in ("", "memarg"):
            continue
        if not set(operands + results) <= _BYTE_OF_LETTER.keys() or not operands:
            continue
        op = _Op(
            code,
            bytes(_BYTE_OF_LETTER[x] for x in operands),
            natural_alignment(name) if immediates == "memarg" else None,
        )
        if len(results) == 1:
            by_result[_BYTE_OF_LETTER[results]].append(op)
        elif immediates == "memarg":
            stores.append(op)
    return by_result, stores


_BY_RESULT, _STORES = _ops()


class Surroundings:
    """What the bodies of a module may refer to, drawn at random."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.types = [Signature(b"", b""), Signature(b"", bytes([I32]))]
        for _ in range(rng.randrange(2, 7)):
            self.types.append(Signature(self._some_types(rng.choice([0, 1, 2, 2, 3, 4, 9])), self._some_types(
                rng.choice([0, 1, 1, 1, 2, 3, 5]))))  # fmt: skip
        self.imported = [rng.randrange(len(self.types)) for _ in range(rng.randrange(3))]
        self.defined = [rng.randrange(len(self.types)) for _ in range(rng.randrange(1, 6))]
        self.funcs = self.imported + self.defined
        self.imported_globals = [(rng.choice(NUMBERS), rng.random() < 0.5) for _ in range(rng.randrange(3))]
        self.globals = self.imported_globals + [
            (rng.choice(NUMBERS + bytes([FUNCREF, EXTERNREF])), rng.random() < 0.8) for _ in range(rng.randrange(6))
        ]
        self.memory = rng.random() < 0.85
        self.tables = rng.choice([[], [FUNCREF], [FUNCREF], [FUNCREF, EXTERNREF], [FUNCREF, FUNCREF]])
        self.table_size = rng.randrange(1, 9)
        self.elements = rng.randrange(3) if FUNCREF in self.tables else 0  # all of functions, passive
        self.datas = rng.randrange(3) if self.memory else 0
        self.budget, self.depth = rng.choice([(30, 4), (60, 4), (120, 5), (250, 5), (250, 6), (1000, 7)])

    def _some_types(self, count: int) -> bytes:
        pool = NUMBERS if self.rng.random() < 0.8 else NUMBERS + bytes([FUNCREF, EXTERNREF])
        return bytes(self.rng.choice(pool) for _ in range(count))


class BodyWriter:
    """Writes the body of one function."""

    def __init__(self, module: Surroundings, func: int) -> None:
        self.module = module
        self.rng = module.rng
        self.func = func
        self.signature = module.types[module.funcs[func]]
        extra = bytes(self.rng.choice(NUMBERS + bytes([FUNCREF])) for _ in range(self.rng.choice([0, 2, 5, 12, 30])))
        self.locals = self.signature.params + extra
        self.scratch: list[int] = []  # types of locals behind the others: loop counters and multi-value results
        self.out: list[Instruction] = []
        # Types that a branch to each label takes, outermost first.
        self.labels: list[bytes] = [self.signature.results]
        self.budget = module.budget

    def write(self) -> Body:
        for _ in range(self.rng.randrange(6)):
            self.statement(self.module.depth)
        self.values(self.signature.results, self.module.depth)
        self.emit(END)
        extra = self.locals[len(self.signature.params) :] + bytes(self.scratch)
        runs: list[tuple[int, int]] = []
        for type_ in extra:
            if runs and runs[-1][1] == type_ and self.rng.random() < 0.9:
                runs[-1] = (runs[-1][0] + 1, type_)
            else:
                runs.append((1, type_))
        return Body(tuple(runs), tuple(self.out))

    def emit(self, code: int, *immediates: object) -> None:
        self.out.append(Instruction(code, immediates))
        self.budget -= 1

    def new_local(self, type_: int) -> int:
        self.scratch.append(type_)
        return len(self.locals) + len(self.scratch) - 1

    def values(self, types: bytes, depth: int) -> None:
        for type_ in types:
            self.value(type_, depth)

    def leaf(self, type_: int, depth: int = 0) -> None:
        same = [i for i, t in enumerate(self.locals) if t == type_]
        if same and self.rng.random() < 0.6:
            self.emit(LOCAL_GET, self.rng.choice(same))
        elif type_ == FUNCREF and self.rng.random() < 0.6:
            self.emit(REF_FUNC, self.rng.randrange(len(self.module.funcs)))
        elif type_ in (FUNCREF, EXTERNREF):
            self.emit(REF_NULL, type_ - 0x80)
        else:
            self.out.append(constant(self.rng, type_))

    def value(self, type_: int, depth: int) -> None:
        if depth <= 0 or self.budget <= 0:
            return self.leaf(type_)
        self.budget -= 1
        choices: list[Callable[[int, int], None]] = [
            self.leaf,
            self.choose,
            self.structured,
            self.called,
            self.teed,
            self.from_global,
            self.special,
        ]
        weights = [3, 1, 2, 1, 1, 1, 1]
        if type_ in _BY_RESULT:
            choices.append(self.computed)
            weights.append(9)
        choice = self.rng.choices(choices, weights)[0]
        return choice(type_, depth - 1)

    def computed(self, type_: int, depth: int) -> None:
        op = self.rng.choice(_BY_RESULT[type_])
        if op.align is None:
            self.values(op.operands, depth)
            return self.emit(op.code)
        if not self.module.memory:
            return self.leaf(type_)
        self.address(depth)
        return self.emit(op.code, self.memarg(op.align))

    def address(self, depth: int) -> None:
        self.value(I32, depth)
        if self.rng.random() < 0.9:
            self.emit(I32_CONST, self.rng.choice([0x3F, 0x7F, 0xFF, 0xFF, 0xFFFF]))
            self.emit(I32_AND)

    def memarg(self, align: int) -> tuple[int, int]:
        offset = self.rng.choice([0, 0, 1, 4, 8, 100, 127, 128, 4096, 65528, 65536, 0x7FFFFFFF, 0xFFFFFFFF])
        return self.rng.randrange(align + 1), offset if self.rng.random() < 0.2 else self.rng.randrange(16)

    def choose(self, type_: int, depth: int) -> None:
        self.values(bytes([type_, type_]), depth)
        self.condition(depth)
        if type_ in (FUNCREF, EXTERNREF) or self.rng.random() < 0.2:
            self.emit(TYPED_SELECT, (type_,))
        else:
            self.emit(SELECT)

    def condition(self, depth: int) -> None:
        """An i32 that is 0 about as often as not."""
        self.value(I32, depth)
        if self.rng.random() < 0.3:
            self.emit(I32_EQZ)

    def structured(self, type_: int, depth: int) -> None:
        """A block, loop or if with one result, or with several, of which the other ones are put away."""
        before = after = b""
        if self.rng.random() < 0.25:
            fitting = [i for i, t in enumerate(self.module.types) if type_ in t.results and len(t.params) < 4]
            if fitting:
                index = self.rng.choice(fitting)
                before, after = self.module.types[index]
                self.values(before, depth - 1)
                self.block(index, before, after, depth)
                return self.keep(after, type_)
        self.block(type_ - 0x80, before, bytes([type_]), depth)
        return None

    def block(self, block_type: int, params: bytes, results: bytes, depth: int) -> None:
        kind = self.rng.choice([BLOCK, BLOCK, LOOP, IF])
        if kind == LOOP:
            return self.loop(block_type, params, results, depth)
        if kind == IF:
            self.condition(depth - 1)
        self.emit(kind, block_type)
        self.labels.append(results)
        self.inside(params, results, depth)
        if kind == IF and (params != results or self.rng.random() < 0.7):
            self.emit(ELSE)
            self.inside(params, results, depth)
        self.labels.pop()
        return self.emit(END)

    def loop(self, block_type: int, params: bytes, results: bytes, depth: int) -> None:
        counter = self.new_local(I32)
        self.emit(I32_CONST, self.rng.randrange(1, 6))
        self.emit(LOCAL_SET, counter)
        self.emit(LOOP, block_type)
        self.labels.append(params)
        self.drop_all(params)
        self.statement(depth - 1)
        self.values(params, depth - 1)
        self.emit(LOCAL_GET, counter)
        self.emit(I32_CONST, 1)
        self.emit(I32_SUB)
        self.emit(LOCAL_TEE, counter)
        self.emit(BR_IF, 0)
        self.drop_all(params)
        self.values(results, depth - 1)
        self.labels.pop()
        self.emit(END)

    def inside(self, params: bytes, results: bytes, depth: int) -> None:
        """The inside of a block: takes `params` from the stack and leaves `results`."""
        rng = self.rng
        if params == results and rng.random() < 0.4:
            return self.statement(depth - 1)
        self.drop_all(params)
        for _ in range(rng.randrange(3)):
            self.statement(depth - 1)
        if rng.random() < 0.15:
            self.leave(depth - 1)
            return self.dead(results, depth - 1)
        self.values(results, depth - 1)
        if rng.random() < 0.3:
            self.condition(depth - 1)
            self.emit(BR_IF, 0)
        return None

    def leave(self, depth: int) -> None:
        """Something behind which nothing is reached."""
        kind = self.rng.randrange(8)
        if kind == 0:
            return self.emit(UNREACHABLE)
        if kind < 3:
            self.values(self.labels[0], depth)
            return self.emit(RETURN)
        # A branch back to a loop would go round for ever, so targets are blocks whose types a loop seldom has.
        label = self.rng.randrange(len(self.labels))
        types = self.labels[-1 - label]
        self.values(types, depth)
        if kind < 6:
            return self.emit(BR, label)
        same = [i for i, t in enumerate(reversed(self.labels)) if t == types]
        self.value(I32, depth)
        return self.emit(BR_TABLE, tuple(self.rng.choice(same) for _ in range(self.rng.randrange(1, 6))))

    def dead(self, results: bytes, depth: int) -> None:
        """Unreachable code that leaves `results`, some of them out of the polymorphic stack."""
        while self.rng.random() < 0.4:
            self.emit(*self.rng.choice([(DROP,), (SELECT,), (NOP,), (I32_EQZ,), (UNREACHABLE,), (LOCAL_TEE, 0)][
                : 5 if not self.locals or self.locals[0] != I32 else 6]))  # fmt: skip
            if self.out[-1].code in (I32_EQZ, SELECT, LOCAL_TEE):
                self.emit(DROP)
        self.values(results[self.rng.choice([0, len(results), len(results) // 2]) :], depth)
        # What is left off at the bottom comes out of the polymorphic stack.

    def called(self, type_: int, depth: int) -> None:
        fitting = [
            i
            for i, t in enumerate(self.module.funcs)
            if type_ in self.module.types[t].results and (i > self.func or i < len(self.module.imported))
        ]
        if not fitting or self.rng.random() < 0.2:
            return self.called_indirectly(type_, depth)
        func = self.rng.choice(fitting)
        signature = self.module.types[self.module.funcs[func]]
        self.values(signature.params, depth)
        self.emit(CALL, func)
        return self.keep(signature.results, type_)

    def called_indirectly(self, type_: int, depth: int) -> None:
        tables = [i for i, t in enumerate(self.module.tables) if t == FUNCREF]
        fitting = [i for i, t in enumerate(self.module.types) if type_ in t.results]
        if not tables or not fitting:
            return self.leaf(type_)
        index = self.rng.choice(fitting)
        self.values(self.module.types[index].params, depth)
        self.table_index(depth)
        self.emit(CALL_INDIRECT, index, self.rng.choice(tables))
        return self.keep(self.module.types[index].results, type_)

    def keep(self, types: bytes, wanted: int) -> None:
        """Leaves one value of the type `wanted` of values of `types`."""
        if types == bytes([wanted]):
            return
        kept = self.rng.choice([i for i, t in enumerate(types) if t == wanted])
        slot = -1
        for i in range(len(types) - 1, -1, -1):
            if i == kept:
                slot = self.new_local(wanted)
                self.emit(LOCAL_SET, slot)
            else:
                self.emit(DROP)
        self.emit(LOCAL_GET, slot)

    def drop_all(self, types: bytes) -> None:
        for type_ in reversed(types):
            same = [i for i, t in enumerate(self.locals) if t == type_]
            if same and self.rng.random() < 0.5:
                self.emit(LOCAL_SET, self.rng.choice(same))
            else:
                self.emit(DROP)

    def teed(self, type_: int, depth: int) -> None:
        same = [i for i, t in enumerate(self.locals) if t == type_]
        self.value(type_, depth)
        if same:
            self.emit(LOCAL_TEE, self.rng.choice(same))

    def from_global(self, type_: int, depth: int) -> None:
        same = [i for i, (t, _) in enumerate(self.module.globals) if t == type_]
        if not same:
            return self.value(type_, depth)
        return self.emit(GLOBAL_GET, self.rng.choice(same))

    def special(self, type_: int, depth: int) -> None:
        """Results of instructions on memories, tables and references."""
        rng, tables = self.rng, self.module.tables
        if type_ in tables:
            self.table_index(depth)
            return self.emit(TABLE_GET, rng.choice([i for i, t in enumerate(tables) if t == type_]))
        if type_ != I32:
            return self.value(type_, depth)
        kind = rng.randrange(5)
        if kind == 0 and tables:
            return self.emit(TABLE_SIZE, rng.randrange(len(tables)))
        if kind == 1 and tables:
            table = rng.randrange(len(tables))
            self.leaf(tables[table])
            self.emit(I32_CONST, rng.choice([0, 1, 2, 5, -1]))
            return self.emit(TABLE_GROW, table)
        if kind == 2 and self.module.memory:
            self.emit(I32_CONST, rng.choice([0, 0, 1, 1, 2, 3, -1]))
            return self.emit(MEMORY_GROW, 0)
        if kind == 3 and self.module.memory:
            return self.emit(MEMORY_SIZE, 0)
        self.leaf(rng.choice([FUNCREF, EXTERNREF]))
        return self.emit(REF_IS_NULL)

    def table_index(self, depth: int) -> None:
        if self.rng.random() < 0.2:
            self.value(I32, depth)
            self.emit(I32_CONST, 7)
            self.emit(I32_AND)
        else:
            self.emit(I32_CONST, self.rng.randrange(self.module.table_size + 1))

    def statement(self, depth: int) -> None:
        if self.budget <= 0:
            return
        self.budget -= 1
        choices = [self.set_local, self.set_global, self.store, self.effect, self.bulk, self.plain_block, self.bare]
        self.rng.choices(choices, [5, 3, 4, 1, 1, 4 if depth > 0 else 0, 1])[0](depth)

    def set_local(self, depth: int) -> None:
        if self.locals:
            local = self.rng.randrange(len(self.locals))
            self.value(self.locals[local], depth)
            self.emit(LOCAL_SET, local)

    def set_global(self, depth: int) -> None:
        mutable = [i for i, (_, mutable) in enumerate(self.module.globals) if mutable]
        if mutable:
            index = self.rng.choice(mutable)
            self.value(self.module.globals[index][0], depth)
            self.emit(GLOBAL_SET, index)

    def store(self, depth: int) -> None:
        if self.module.memory:
            op = self.rng.choice(_STORES)
            self.address(depth)
            self.value(op.operands[1], depth)
            assert op.align is not None
            self.emit(op.code, self.memarg(op.align))

    def effect(self, depth: int) -> None:
        """A call for its effects, or a value that is dropped."""
        fitting = [i for i in range(len(self.module.funcs)) if i > self.func or i < len(self.module.imported)]
        if fitting and self.rng.random() < 0.7:
            func = self.rng.choice(fitting)
            signature = self.module.types[self.module.funcs[func]]
            self.values(signature.params, depth)
            self.emit(CALL, func)
            self.drop_all(signature.results)
        else:
            self.value(self.rng.choice(NUMBERS), depth)
            self.emit(DROP)

    def bulk(self, depth: int) -> None:
        """Instructions on whole regions of memories and tables."""
        rng, module = self.rng, self.module
        memory: list[tuple[int, tuple[int, ...]]] = [(MEMORY_COPY, (0, 0)), (MEMORY_FILL, (0,))]
        memory += [(MEMORY_INIT, (i, 0)) for i in range(module.datas)] + [
            (DATA_DROP, (i,)) for i in range(module.datas)
        ]
        tables: list[tuple[int, tuple[int, ...]]] = [(TABLE_FILL, (i,)) for i in range(len(module.tables))]
        tables += [
            (TABLE_COPY, (a, b)) for a, s in enumerate(module.tables) for b, t in enumerate(module.tables) if s == t
        ]
        tables += [(TABLE_SET, (i,)) for i in range(len(module.tables))]
        for element in range(module.elements):
            tables.append((ELEM_DROP, (element,)))
            tables += [(TABLE_INIT, (element, t)) for t, type_ in enumerate(module.tables) if type_ == FUNCREF]
        code, immediates = rng.choice((memory if module.memory else []) + tables or [(NOP, ())])
        if code in (TABLE_SET, TABLE_FILL):
            self.table_index(depth)
            self.leaf(module.tables[immediates[0]])
        elif code not in (DATA_DROP, ELEM_DROP, NOP):
            for limit in (0xFF, 0x1F):
                self.value(I32, depth)
                if rng.random() < 0.9:
                    self.emit(I32_CONST, limit if code in (MEMORY_COPY, MEMORY_FILL, MEMORY_INIT) else 3)
                    self.emit(I32_AND)
        if code not in (DATA_DROP, ELEM_DROP, NOP, TABLE_SET):
            self.emit(I32_CONST, rng.choice([0, 1, 2, 3, 8, 17, 100, -1]))
        self.emit(code, *immediates)

    def plain_block(self, depth: int) -> None:
        if self.rng.random() < 0.2:
            index = self.rng.randrange(len(self.module.types))
            params, results = self.module.types[index]
            self.values(params, depth - 1)
            self.block(index, params, results, depth)
            return self.drop_all(results)
        return self.block(-0x40, b"", b"", depth)

    def bare(self, depth: int) -> None:
        """A branch that may not be taken, or nothing."""
        label = self.rng.randrange(len(self.labels))
        types = self.labels[-1 - label]
        if self.rng.random() < 0.5 or not depth:
            return self.emit(NOP)
        self.values(types, depth - 1)
        self.condition(depth - 1)
        self.emit(BR_IF, label)
        return self.drop_all(types)
