"""Function bodies that throw, catch, tail-call, and call by references; all of them end, as those of `bodies` do."""

from __future__ import annotations

from collections.abc import Callable

from tests.fuzz.bodies import STORE_OF
from tests.fuzz.instructions import (
    BLOCK,
    BR,
    BR_IF,
    CALL,
    CATCH,
    CATCH_ALL,
    CATCH_ALL_REF,
    CATCH_REF,
    DROP,
    END,
    I32_CONST,
    IF,
    LOCAL_GET,
    LOCAL_SET,
    LOCAL_TEE,
    LOOP,
    REF_NULL,
    RETURN,
    TRY_TABLE,
    UNREACHABLE,
    Body,
)
from tests.fuzz.numbers import I32
from tests.fuzz.operations import BR_ON_NULL, GLOBAL_GET, GLOBAL_SET, I32_LT_S, I32_SUB, THROW, THROW_REF
from tests.fuzz.reference_bodies import ReferenceWriter
from tests.fuzz.value_types import EXNREF, REF_EXN_TYPE, block_type, heap
from tests.fuzz.writer import Label

#: Where caught values are shown in memory.
SHOWN_AT = 8192
#: Clauses of `try_table`: kind, tag or 0, and what it gives to its label.
Clause = tuple[int, int, bytes]


class ControlWriter(ReferenceWriter):
    """Writes the body of one function of a module about control."""

    def write(self) -> Body:
        if self.func in self.module.throwers:
            return self._thrower(self.module.throwers.index(self.func))
        for carrier, keeper in self.module.keepers.items():
            if keeper == self.func:
                return self._keeper(carrier)
        return super().write()

    def _thrower(self, tag: int) -> Body:
        """The body of a function that throws what it is given; it may do something else before, and return."""
        self._call_nothing()
        for _ in range(self.rng.randrange(3)):
            self.set_local(2)
        if self.rng.random() < 0.3:
            self.condition(2)
            self.emit(IF, -0x40)
            self.emit(RETURN)
            self.emit(END)
        for local in range(self._params):
            self.emit(LOCAL_GET, local)
        self.emit(THROW, tag)
        self.emit(END)
        return self.body()

    def _call_nothing(self) -> None:
        """Without calls a function takes no fuel, so functions that do may call it."""
        self.calls = False
        self.choices = [choice for choice in self.choices if choice != self.called]
        self.number_choices = [choice for choice in self.number_choices if choice != self.called]

    def _keeper(self, carrier: int) -> Body:
        """The body of a function that throws something, has another exception carry it, and gives that one."""
        local = self.new_local(EXNREF)
        tag = self.rng.randrange(len(self.module.tags))
        self._catch_one(tag, (LOCAL_SET, local))
        # Both that exception and the one that carries it.
        self.emit(BLOCK, self.some_block_type(b"", bytes([EXNREF, EXNREF])))
        self.emit(TRY_TABLE, -0x40, ((CATCH_REF, carrier, 0),))
        self.emit(LOCAL_GET, local)
        self.emit(THROW, carrier)
        self.emit(END)
        self.emit(UNREACHABLE)
        self.emit(END)
        self.emit(LOCAL_SET, local)
        self.emit(DROP)
        self.emit(LOCAL_GET, local)
        self.emit(END)
        return self.body()

    def _catch_one(self, tag: int, put: tuple[int, int]) -> None:
        """Has something thrown with a tag, shows what it carries, and keeps the reference."""
        params = self.module.types[self.module.tags[tag]].params
        self.emit(BLOCK, self.some_block_type(b"", params + bytes([EXNREF])))
        self._call_in_try(tag, (CATCH_REF, tag, 0))
        self.constants(params + bytes([EXNREF]))
        self.emit(END)
        self.emit(*put)
        self.show(params)

    def finish(self) -> None:
        if self.calls and self.rng.random() < 0.3 and self.tail_call(self.module.depth):
            return
        super().finish()

    def statement(self, depth: int) -> None:
        if self.budget <= 0 or self.rng.random() < 0.55:
            return super().statement(depth)
        self.budget -= 1
        choices: list[Callable[[int], object]] = [
            *[self.try_statement] * (5 if depth > 0 else 0),
            *[self.maybe_throw] * 3,
            *[self.guarded_loop] * (2 if depth > 1 else 0),
            *[self.branch_on_reference] * 2,
            *[self.rethrow] * 2,
            *[self.call_by_reference] * (2 if self.calls else 0),
            *[self.keep_exception] * (2 if self.calls and depth > 0 else 0),
            *[self.call_of_subtype] * (self.calls and bool(self.module.supertypes)),
            *[self.maybe_tail_call] * (2 if self.calls else 0),
        ]
        self.rng.choice(choices)(depth)
        return None

    def try_statement(self, depth: int) -> None:
        """A handler for its effects, or for values that are put away."""
        results = bytes([self.rng.choice(self.repertoire.types) for _ in range(self.rng.choice([0, 0, 0, 1, 3]))])
        self.trying(depth, results)
        self.consume(results)

    def maybe_throw(self, depth: int) -> None:
        """A throw that may not be reached."""
        self.condition(min(depth, 2))
        self.emit(IF, -0x40)
        self.labels.append(Label(b""))
        self.throw(min(depth, 2))
        self.labels.pop()
        self.emit(END)

    def throw(self, depth: int) -> None:
        """A throw with a tag."""
        tag = self.rng.randrange(len(self.module.tags))
        self.arguments(self.module.types[self.module.tags[tag]].params, depth)
        self.emit(THROW, tag)

    def rethrow(self, depth: int) -> None:
        """An exception is thrown again by its reference, if there is one."""
        rng = self.rng
        if rng.random() < 0.04:
            # Whatever it is, null mostly.
            self.condition(min(depth, 2))
            self.emit(IF, -0x40)
            self.labels.append(Label(b""))
            self.value(EXNREF, min(depth, 2))
            self.emit(THROW_REF)
            self.labels.pop()
            return self.emit(END)
        self.emit(BLOCK, -0x40)
        self.labels.append(Label(b""))
        self.value(EXNREF, min(depth, 2))
        self.emit(BR_ON_NULL, 0)
        if rng.random() < 0.4:
            local = self.local_of(EXNREF)
            if local is not None:
                self.emit(LOCAL_TEE, local)
        self.emit(THROW_REF)
        self.labels.pop()
        return self.emit(END)

    def keep_exception(self, depth: int) -> None:
        """An exception is caught and kept somewhere while others come and go; then it is thrown again."""
        rng, tag = self.rng, self.rng.randrange(len(self.module.tags))
        params = self.module.types[self.module.tags[tag]].params
        writable = [i for i, (code, mutable) in enumerate(self.module.globals) if mutable and code == EXNREF]
        place = rng.choice(writable) if writable and rng.random() < 0.4 else None
        local = self.new_local(EXNREF)
        put = (LOCAL_SET, local) if place is None else (GLOBAL_SET, place)
        get = (LOCAL_GET, local) if place is None else (GLOBAL_GET, place)
        carrier = rng.choice([None, *self.module.keepers])
        if carrier is None:
            self._catch_one(tag, put)
        else:
            # Another exception carries it, and that one is kept.
            self.emit(CALL, self.module.keepers[carrier])
            self.emit(*put)
        for other in rng.sample(range(len(self.module.tags)), rng.randrange(1, min(4, len(self.module.tags) + 1))):
            counter = self.start_counter(I32, False)
            self.emit(LOOP, -0x40)
            self.emit(BLOCK, block_type(EXNREF))
            self._call_in_try(other, (CATCH_ALL_REF, 0, 0))
            self.emit(REF_NULL, heap(EXNREF))
            self.emit(END)
            self.emit(DROP)
            self.count_down(counter)
            self.emit(BR_IF, 0)
            self.emit(END)
        if carrier is not None:
            # What it carries takes its place.
            self.emit(BLOCK, block_type(EXNREF))
            self.emit(TRY_TABLE, -0x40, ((CATCH, carrier, 0),))
            self.emit(*get)
            self.emit(THROW_REF)
            self.emit(END)
            self.emit(UNREACHABLE)
            self.emit(END)
            self.emit(*put)
        self.emit(BLOCK, self.some_block_type(b"", params))
        self.emit(BLOCK, -0x40)
        self.emit(TRY_TABLE, -0x40, ((CATCH, tag, 1), (CATCH_ALL, 0, 0)))
        self.emit(*get)
        self.emit(BR_ON_NULL, 0)
        self.emit(THROW_REF)
        self.emit(END)
        self.emit(END)
        self.constants(params)
        self.emit(END)
        self.show(params)

    def _call_in_try(self, tag: int, clause: tuple[int, int, int]) -> None:
        """A call of what throws with a tag, in a `try_table` with one clause."""
        self.emit(TRY_TABLE, -0x40, (clause,))
        for type_ in self.module.types[self.module.tags[tag]].params:
            self.leaf(type_)
        self.emit(CALL, self.module.throwers[tag])
        self.emit(END)

    def maybe_tail_call(self, depth: int) -> None:
        """A tail call that may not be reached."""
        self.condition(min(depth, 2))
        self.emit(IF, -0x40)
        self.labels.append(Label(b""))
        if not self.tail_call(min(depth, 2)):
            self.throw(min(depth, 2))
        self.labels.pop()
        self.emit(END)

    def leave(self, depth: int) -> None:
        kind = self.rng.random()
        if kind < 0.25:
            return self.throw(depth)
        if kind < 0.27 and not self.module.legacy:
            self.value(EXNREF, depth)
            return self.emit(THROW_REF)
        if kind < 0.55 and self.calls and self.tail_call(depth):
            return None
        return super().leave(depth)

    def trying(self, depth: int, results: bytes) -> None:
        """A `try_table`, blocks for some of its clauses, and code for what is caught; leaves `results`."""
        rng = self.rng
        outside = rng.random() < 0.7
        if outside:
            # Where what is not caught goes.
            self.emit(BLOCK, self.some_block_type(b"", results))
            self.labels.append(Label(results))
        handlers = [self._clause() for _ in range(rng.choice([0, 1, 1, 1, 2, 2, 3]))]
        for _, _, given in handlers:
            self.emit(BLOCK, self.some_block_type(b"", given))
            self.labels.append(Label(given))
        clauses = [(kind, tag, len(handlers) - 1 - at) for at, (kind, tag, _) in enumerate(handlers)]
        clauses += self._clauses_to_open_labels()
        rng.shuffle(clauses)
        params = bytes([rng.choice(self.repertoire.types) for _ in range(rng.choice([0, 0, 0, 1, 2]))])
        inner = rng.choice([b"", results, bytes([rng.choice(self.repertoire.types)])])
        self.values(params, min(depth - 1, 2))
        self.emit(TRY_TABLE, self.some_block_type(params, inner), tuple(clauses))
        self.labels.append(Label(inner))
        self.inside_of_try(params, inner, depth, [tag for kind, tag, _ in clauses if kind in (CATCH, CATCH_REF)])
        self.labels.pop()
        self.emit(END)
        there = inner
        for at, (_, _, given) in enumerate(reversed(handlers)):
            if outside and rng.random() < 0.7:
                if there != results:
                    self.consume(there)
                    self.values(results, min(depth - 1, 2))
                # Past the handlers that are still open.
                self.emit(BR, len(handlers) - at)
            else:
                self.consume(there)
                self.values(given, min(depth - 1, 2))
            self.labels.pop()
            self.emit(END)
            there = given
            kind = rng.random()
            if kind < 0.35:
                self.show(there)
                there = b""
            elif kind < 0.6:
                self.consume(there)
                there = b""
                self.statement(depth - 1)
        if there != results:
            self.consume(there)
            self.values(results, depth - 1)
        if outside:
            self.labels.pop()
            self.emit(END)

    def show(self, types: bytes) -> None:
        """Takes values from the stack and puts those that are numbers into memory."""
        shown = [(self.new_local(type_), type_) for type_ in types if self.module.memory and type_ in STORE_OF]
        for type_ in reversed(types):
            if shown and shown[-1][1] == type_:
                local, _ = shown.pop()
                self.emit(LOCAL_SET, local)
                self.emit(I32_CONST, SHOWN_AT + 16 * self.rng.randrange(64))
                self.emit(LOCAL_GET, local)
                self.emit(STORE_OF[type_], (0, 0))
            else:
                self.consume(bytes([type_]))

    def inside_of_try(self, params: bytes, results: bytes, depth: int, caught: list[int]) -> None:
        """What may throw, with the tags of some clauses as well: takes `params` from the stack and leaves `results`."""
        self.consume(params)
        for _ in range(self.rng.randrange(3)):
            self.statement(depth - 1)
        kind = self.rng.random()
        if self.calls and self.rng.random() < 0.5:
            tags = caught or range(len(self.module.tags))
            tag = self.rng.choice(tags)
            self.arguments(self.module.types[self.module.tags[tag]].params, depth - 1)
            foreign = self.module.foreign_throwers.get(tag)
            own = foreign is None or self.rng.random() < 0.3
            self.emit(CALL, self.module.throwers[tag] if own else foreign)
        elif kind < 0.3:
            self.throw(depth - 1)
            return self.dead(results, min(depth - 1, 1))
        if kind < 0.7:
            self.maybe_throw(depth - 1)
        elif self.calls:
            self.effect(depth - 1)
        return self.values(results, depth - 1)

    def _clause(self) -> Clause:
        """A clause, and what the block that it leads to takes."""
        rng = self.rng
        kind = rng.choice([CATCH, CATCH, CATCH_REF, CATCH_REF, CATCH_ALL, CATCH_ALL_REF])
        tag = rng.randrange(len(self.module.tags)) if kind in (CATCH, CATCH_REF) else 0
        given = self.module.types[self.module.tags[tag]].params if kind in (CATCH, CATCH_REF) else b""
        if kind in (CATCH_REF, CATCH_ALL_REF):
            given += bytes([rng.choice([EXNREF, REF_EXN_TYPE])])
        return kind, tag, given

    def _clauses_to_open_labels(self) -> list[tuple[int, int, int]]:
        """Clauses that lead to labels which are there anyway, those of loops that count by themselves included."""
        rng = self.rng
        tags = [self.module.types[number].params for number in self.module.tags]
        found: list[tuple[int, int, int]] = []
        for label in self.forward():
            types = self.labels[-1 - label].types
            if not types:
                found.append((CATCH_ALL, 0, label))
            if types in (bytes([EXNREF]), bytes([REF_EXN_TYPE])):
                found.append((CATCH_ALL_REF, 0, label))
            found += [(CATCH, tag, label) for tag, params in enumerate(tags) if params == types]
            if types[-1:] in (bytes([EXNREF]), bytes([REF_EXN_TYPE])):
                found += [(CATCH_REF, tag, label) for tag, params in enumerate(tags) if params == types[:-1]]
        return rng.sample(found, min(len(found), rng.choice([0, 0, 1, 1, 2, 4])))

    def guarded_loop(self, depth: int) -> None:
        """A loop that may be gone back to from anywhere, by handlers as well: it counts at its head."""
        rng = self.rng
        tag = rng.choice(self.module.tags)
        params = rng.choice([b"", self.module.types[tag].params, self.module.types[tag].params + bytes([EXNREF])])
        if self.module.legacy:
            params = b""
        results = bytes([rng.choice(self.repertoire.types) for _ in range(rng.choice([0, 0, 1, 2]))])
        counter = self.new_local(I32)
        self.emit(I32_CONST, rng.randrange(1, 4))
        self.emit(LOCAL_SET, counter)
        self.emit(BLOCK, self.some_block_type(b"", results))
        self.labels.append(Label(results))
        self.values(params, min(depth - 1, 2))
        self.emit(LOOP, self.some_block_type(params, results))
        self.labels.append(Label(params))
        self.consume(params)
        self.emit(LOCAL_GET, counter)
        self.emit(I32_CONST, 1)
        self.emit(I32_SUB)
        self.emit(LOCAL_TEE, counter)
        self.emit(I32_CONST, 0)
        self.emit(I32_LT_S)
        self.emit(IF, -0x40)
        # Nothing in it may go back to the loop.
        for type_ in results:
            self.constant(type_)
        self.emit(BR, 2)
        self.emit(END)
        for _ in range(rng.randrange(1, 3)):
            self.statement(depth - 1)
        if rng.random() < 0.2:
            self.emit(UNREACHABLE)
        else:
            self.values(results, depth - 1)
        self.labels.pop()
        self.emit(END)
        self.labels.pop()
        self.emit(END)
        self.consume(results)
