"""Random well-typed function bodies, all of which end when they are called.

`BodyWriter.value` writes instructions that leave one value of a type, `BodyWriter.statement` instructions that leave
nothing. Loops count a local of their own down; calls that might come
back take a unit of the module's fuel.
"""

from __future__ import annotations

from collections.abc import Callable

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
    RETURN,
    SELECT,
    UNREACHABLE,
    Body,
)
from tests.fuzz.many_values import ManyValues
from tests.fuzz.numbers import F32, F64, I32, I64, V128
from tests.fuzz.operations import (
    BR_TABLE,
    DATA_DROP,
    ELEM_DROP,
    GLOBAL_GET,
    GLOBAL_SET,
    I32_AND,
    I32_EQZ,
    I32_SUB,
    MEMORY_COPY,
    MEMORY_FILL,
    MEMORY_INIT,
    TABLE_COPY,
    TABLE_FILL,
    TABLE_INIT,
    TABLE_SET,
)
from tests.fuzz.surroundings import FUEL
from tests.fuzz.writer import Label
from vibewasm.opcodes import CODE as OPCODE

#: Where functions store locals at their end, so that a wrong one is seen.
_LOCALS_AT = 1024
#: What stores a number of each type.
STORE_OF = {I32: OPCODE["i32.store"], I64: OPCODE["i64.store"], F32: OPCODE["f32.store"], F64: OPCODE["f64.store"],
             V128: OPCODE["v128.store"]}  # fmt: skip


class BodyWriter(ManyValues):
    """Writes the body of one function."""

    def write(self) -> Body:
        """The whole body."""
        if self.func == self.module.refuel:
            return self._refuel()
        if self.func == self.module.idle:
            self.emit(END)
            return self.body()
        if self.calls:
            self._take_fuel()
        for _ in range(self.rng.randrange(7)):
            self.statement(self.module.depth)
        self.finish()
        self.emit(END)
        return self.body()

    def finish(self) -> None:
        """The results, and some locals in memory."""
        self.values(self.signature.results, self.module.depth)
        if self.rng.random() < 0.5:
            self._store_locals()

    def _refuel(self) -> Body:
        self.locals, self.scratch = b"", []
        self.emit(I32_CONST, FUEL)
        self.emit(GLOBAL_SET, self.module.fuel)
        self.refuel_others()
        self.emit(END)
        return self.body()

    def refuel_others(self) -> None:
        """Fills up the fuel of another instance, if functions of it can be called."""

    def _take_fuel(self) -> None:
        fuel = self.module.fuel
        self.emit(GLOBAL_GET, fuel)
        self.emit(I32_EQZ)
        self.emit(IF, -0x40)
        for type_ in self.signature.results:
            self.constant(type_)
        self.emit(RETURN)
        self.emit(END)
        self.emit(GLOBAL_GET, fuel)
        self.emit(I32_CONST, 1)
        self.emit(I32_SUB)
        self.emit(GLOBAL_SET, fuel)

    def _store_locals(self) -> None:
        """Shows some locals in memory, below the results that are on the stack."""
        if self.module.memory is None:
            return
        numbers = [index for index, type_ in enumerate(self.locals) if type_ in STORE_OF]
        for index in self.rng.sample(numbers, min(len(numbers), 8)):
            self.emit(I32_CONST, _LOCALS_AT)
            self.emit(LOCAL_GET, index)
            self.emit(STORE_OF[self.locals[index]], (0, (16 if self.repertoire.vectors else 8) * index))

    # -- blocks -------------------------------------------------------------------------------------------------------

    def block(self, block_type: int, params: bytes, results: bytes, depth: int) -> None:
        """A block of some kind whose parameters are on the stack."""
        kind = self.rng.choice([BLOCK, BLOCK, LOOP, IF, IF])
        if kind == LOOP:
            return self.loop(block_type, params, results, depth)
        if kind == IF:
            self.condition(depth - 1)
        self.emit(kind, block_type)
        self.labels.append(Label(results))
        self.inside(params, results, depth)
        if kind == IF and (params != results or self.rng.random() < 0.7):
            self.emit(ELSE)
            self.inside(params, results, depth)
        self.labels.pop()
        return self.emit(END)

    def loop(self, block_type: int, params: bytes, results: bytes, depth: int) -> None:
        """A loop of a few turns."""
        rng = self.rng
        counter = self.start_counter(I64 if rng.random() < 0.2 else I32, rng.random() < 0.5)
        self.emit(LOOP, block_type)
        self.labels.append(Label(params, counter))
        self.consume(params)
        for _ in range(rng.randrange(1, 3)):
            self.statement(depth - 1)
        self.values(params, depth - 1)
        self.count_down(counter)
        self.emit(BR_IF, 0)
        self.consume(params)
        self.values(results, depth - 1)
        self.labels.pop()
        self.emit(END)

    def inside(self, params: bytes, results: bytes, depth: int) -> None:
        """The inside of a block: takes `params` from the stack and leaves `results`."""
        rng = self.rng
        if params == results and rng.random() < 0.4:
            return self.statement(depth - 1)
        self.consume(params)
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
        """Something after which nothing is reached."""
        kind = self.rng.randrange(16)
        if kind == 0:
            return self.emit(UNREACHABLE)
        if kind < 5:
            self.values(self.labels[0].types, depth)
            return self.emit(RETURN)
        # A branch back to a loop would go round for ever.
        forward = [i for i, label in enumerate(reversed(self.labels)) if label.counter is None]
        label = self.rng.choice(forward)
        types = self.labels[-1 - label].types
        self.values(types, depth)
        if kind < 11:
            return self.emit(BR, label)
        same = [i for i in forward if self.labels[-1 - i].types == types]
        back = [i for i in self.back_labels() if self.labels[-1 - i].types == types]
        if back and self.rng.random() < 0.6:
            # Index 0 leads back while the counter lasts.
            loop = self.rng.choice(back)
            counter = self.labels[-1 - loop].counter
            assert counter is not None
            self.count_down(counter)
            self.emit(I32_EQZ)
            return self.emit(BR_TABLE, (loop, self.rng.choice(same), self.rng.choice(same)))
        self.value(I32, depth)
        if self.rng.random() < 0.7:
            self.emit(I32_CONST, self.rng.choice([1, 3, 7]))
            self.emit(I32_AND)
        count = self.rng.choice([0, 1, 2, 3, 5, 9, 20])
        return self.emit(BR_TABLE, tuple([self.rng.choice(same) for _ in range(count + 1)]))

    def back_labels(self) -> list[int]:
        """Depths of the loops that code inside may go back to."""
        return [i for i, label in enumerate(reversed(self.labels)) if label.counter is not None and label.counter.open]

    def dead(self, results: bytes, depth: int) -> None:
        """Unreachable code that leaves `results`, some of them out of the polymorphic stack."""
        rng = self.rng
        while rng.random() < 0.4:
            self.emit(*rng.choice([(DROP,), (SELECT,), (NOP,), (I32_EQZ,), (UNREACHABLE,), (LOCAL_TEE, 0)][
                : 5 if not self.locals or self.locals[0] != I32 else 6]))  # fmt: skip
            if self.out[-1].code in (I32_EQZ, SELECT, LOCAL_TEE):
                self.emit(DROP)
        # What is left off at the bottom comes out of the polymorphic stack.
        self.values(results[rng.choice([0, len(results), len(results) // 2]) :], depth)

    # -- statements ---------------------------------------------------------------------------------------------------

    def statement(self, depth: int) -> None:
        """Instructions that leave nothing."""
        if self.budget <= 0:
            return
        self.budget -= 1
        choices: list[Callable[[int], None]] = [
            *[self.set_local] * 5,
            *[self.set_global] * 2,
            *[self.store] * 4,
            *[self.effect, self.bulk, self.maybe_branch, self.pile_of_all, self.crowded_call],
            *[self.plain_block] * (4 if depth > 0 else 0),
            self.stale,
            self.many_values,
        ]
        self.rng.choice(choices)(depth)

    def set_local(self, depth: int) -> None:
        """An assignment to a local."""
        if self.locals:
            type_ = self.rng.choice(self.locals)
            local = self.local_of(type_)
            assert local is not None
            self.value(type_, depth)
            self.emit(LOCAL_SET, local)

    def stale(self, depth: int) -> None:
        """Old values of a local that are still on the stack when it is assigned."""
        numbers = [t for t in self.locals if t in self.repertoire.folds]
        if not numbers:
            return
        type_ = self.rng.choice(numbers)
        local = self.local_of(type_)
        assert local is not None
        count = self.rng.randrange(1, 4)
        for _ in range(count):
            self.emit(LOCAL_GET, local)
        self.value(type_, min(depth, 2))
        self.emit(self.rng.choice([LOCAL_SET, LOCAL_TEE]), local)
        if self.out[-1].code == LOCAL_TEE:
            count += 1
        for _ in range(count - 1):
            self.fold(type_)
        self.emit(LOCAL_SET, local)

    def set_global(self, depth: int) -> None:
        """An assignment to a global."""
        mutable = [i for i, (_, mutable) in enumerate(self.module.globals) if mutable and i != self.module.fuel]
        if mutable:
            index = self.rng.choice(mutable)
            self.value(self.module.globals[index][0], depth)
            self.emit(GLOBAL_SET, index)

    def store(self, depth: int) -> None:
        """A store to memory."""
        if self.module.memory is not None:
            op = self.rng.choice(self.repertoire.stores)
            self.address(depth)
            self.values(op.operands[1:], depth)
            self.perform(op)

    def effect(self, depth: int) -> None:
        """A call for its effects, or a value that is dropped."""
        module = self.module
        if self.calls and self.rng.random() < 0.7:
            func = self.rng.choice(module.callable)
            signature = module.types[module.funcs[func]]
            self.arguments(signature.params, depth)
            self.emit(CALL, func)
            self.consume(signature.results)
        else:
            self.value(self.rng.choice(self.repertoire.types), depth)
            self.emit(DROP)

    def bulk(self, depth: int) -> None:
        """Instructions on whole regions of memories and tables."""
        rng, module = self.rng, self.module
        memory: list[tuple[int, tuple[int, ...]]] = []
        if module.memory is not None:
            memory = [(MEMORY_COPY, (0, 0)), (MEMORY_FILL, (0,))]
            memory += [(MEMORY_INIT, (i, 0)) for i in range(len(module.datas))]
            memory += [(DATA_DROP, (i,)) for i in range(len(module.datas))]
        kinds = [table.type for table in module.tables]
        tables: list[tuple[int, tuple[int, ...]]] = [(TABLE_FILL, (i,)) for i in range(len(kinds))]
        tables += [(TABLE_COPY, (a, b)) for a, s in enumerate(kinds) for b, t in enumerate(kinds) if s == t]
        tables += [(TABLE_SET, (i,)) for i in range(len(kinds))]
        for element, type_ in enumerate(module.elements):
            tables.append((ELEM_DROP, (element,)))
            tables += [(TABLE_INIT, (element, t)) for t, kind in enumerate(kinds) if kind == type_]
        code, immediates = rng.choice(memory + tables or [(NOP, ())])
        if code in (TABLE_SET, TABLE_FILL):
            self.table_index(depth)
            self.value(kinds[immediates[0]], min(depth, 1))
        elif code not in (DATA_DROP, ELEM_DROP, NOP):
            in_memory = code in (MEMORY_COPY, MEMORY_FILL, MEMORY_INIT)
            for limit in (0xFF, 0x1F):
                self.value(I32, depth)
                # What memory.fill fills with is cut to a byte by itself.
                if rng.random() < 0.95 and not (code == MEMORY_FILL and limit == 0x1F):
                    self.emit(I32_CONST, limit if in_memory else 3)
                    self.emit(I32_AND)
        if code not in (DATA_DROP, ELEM_DROP, NOP, TABLE_SET):
            in_memory = code in (MEMORY_COPY, MEMORY_FILL)
            self.emit(I32_CONST, rng.choice([3, 8, 17, 40, 100, 200, 5000] if in_memory else [0, 1, 1, 2, 3]))
            if rng.random() < 0.1:
                self.spill()
        self.emit(code, *immediates)

    def plain_block(self, depth: int) -> None:
        """A block for its effects."""
        if self.rng.random() < 0.25:
            signature = self.block_signature(self.rng.choice(self.repertoire.types))
            self.values(signature.params, depth - 1)
            self.block(self.module.type_number(signature), *signature, depth)
            return self.consume(signature.results)
        return self.block(-0x40, b"", b"", depth)

    def maybe_branch(self, depth: int) -> None:
        """A branch that may not be taken."""
        back = self.back_labels()
        if back and self.rng.random() < 0.7:
            depth_of_label = self.rng.choice(back)
            label = self.labels[-1 - depth_of_label]
            assert label.counter is not None
            if self.rng.random() < 0.3:
                self.count_down(label.counter)
                self.emit(IF, -0x40)
                self.labels.append(Label(b""))
                self.values(label.types, depth - 1)
                self.labels.pop()
                self.emit(BR, depth_of_label + 1)
                return self.emit(END)
            self.values(label.types, depth - 1)
            self.count_down(label.counter)
            self.emit(BR_IF, depth_of_label)
            return self.consume(label.types)
        forward = [i for i, label in enumerate(reversed(self.labels)) if label.counter is None]
        chosen = self.rng.choice(forward)
        types = self.labels[-1 - chosen].types
        if self.rng.random() < 0.2 or not depth:
            return self.emit(NOP)
        self.values(types, depth - 1)
        self.condition(depth - 1)
        self.emit(BR_IF, chosen)
        return self.consume(types)

    def pile_of_all(self, depth: int) -> None:
        """Operands of all types, more than there are temporaries, put away again."""
        rng = self.rng
        types = bytes([rng.choice(self.repertoire.types) for _ in range(rng.choice([3, 6, 10, 16]))])
        for type_ in types:
            self.simple(type_)
        if rng.random() < 0.3:
            self.statement(min(depth, 2))
        self.consume(types)

    def crowded_call(self, depth: int) -> None:
        """A call whose arguments are in temporaries, wherever what is below them has left some."""
        module = self.module
        if not self.calls:
            return
        below = bytes([self.rng.choice(self.repertoire.types) for _ in range(self.rng.randrange(1, 5))])
        func = self.rng.choice(module.callable)
        signature = module.types[module.funcs[func]]
        for type_ in below + signature.params:
            if type_ in self.repertoire.types:
                self.simple(type_)
            else:
                self.leaf(type_)
        self.emit(CALL, func)
        self.consume(signature.results)
        self.consume(below)
