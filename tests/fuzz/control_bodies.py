"""Function bodies that throw, catch, tail-call, and call by references; all of them end, as those of `bodies` do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.fuzz.bodies import STORE_OF, BodyWriter
from tests.fuzz.instructions import (
    BLOCK,
    BR,
    CALL,
    CATCH,
    CATCH_ALL,
    CATCH_ALL_REF,
    CATCH_REF,
    CLOSERS,
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
    OPENERS,
    REF_FUNC,
    REF_NULL,
    RETURN,
    TRY_TABLE,
    UNREACHABLE,
    Body,
)
from tests.fuzz.numbers import EXTERNREF, FUNCREF, I32
from tests.fuzz.operations import (
    BR_ON_NON_NULL,
    BR_ON_NULL,
    CALL_INDIRECT,
    CALL_REF,
    GLOBAL_SET,
    I32_LT_S,
    I32_SUB,
    REF_AS_NON_NULL,
    REF_IS_NULL,
    RETURN_CALL,
    RETURN_CALL_INDIRECT,
    RETURN_CALL_REF,
    TABLE_SET,
    THROW,
    THROW_REF,
)
from tests.fuzz.parts import Signature
from tests.fuzz.value_types import (
    EXNREF,
    REF_EXN_TYPE,
    REF_FUNC_TYPE,
    block_type,
    has_no_default,
    heap,
    is_function,
    is_reference,
    not_null,
    nullable,
    type_number,
    with_null,
    without_null,
)
from tests.fuzz.writer import Label

if TYPE_CHECKING:
    from tests.fuzz.control import ControlSurroundings

#: Where caught values are shown in memory.
SHOWN_AT = 8192
#: Clauses of `try_table`: kind, tag or 0, and what it gives to its label.
Clause = tuple[int, int, bytes]


class ControlWriter(BodyWriter):
    """Writes the body of one function of a module about control."""

    module: ControlSurroundings

    def __init__(self, module: ControlSurroundings, func: int) -> None:
        # Before anything is emitted: which locals without a default value have been set, and how many of them were
        # when each open block began.
        self._set: list[int] = []
        self._marks: list[int] = []
        super().__init__(module, func)
        self._params = len(self.signature.params)
        # Most functions call: one that does not has no tail calls either.
        self.calls = self.calls or self.rng.random() < 0.5

    def emit(self, code: int, *immediates: object) -> None:
        super().emit(code, *immediates)
        if code in OPENERS:
            self._marks.append(len(self._set))
        elif self._is_middle(code):
            del self._set[self._marks[-1] :]
        elif code in CLOSERS and self._marks:
            del self._set[self._marks.pop() :]
        elif code in (LOCAL_SET, LOCAL_TEE):
            (local,) = immediates
            assert isinstance(local, int)
            self._set.append(local)

    def _is_middle(self, code: int) -> bool:
        return code == ELSE

    def write(self) -> Body:
        if self.func in self.module.throwers:
            return self._thrower(self.module.throwers.index(self.func))
        return super().write()

    def _thrower(self, tag: int) -> Body:
        """The body of a function that throws what it is given; it may do something else before, and return."""
        self.calls = False
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

    def finish(self) -> None:
        if self.calls and self.rng.random() < 0.3 and self.tail_call(self.module.depth):
            return
        super().finish()

    def refuel_others(self) -> None:
        if self.module.other_refuel is not None:
            self.emit(CALL, self.module.other_refuel)

    # -- values -------------------------------------------------------------------------------------------------------

    def constant(self, type_: int) -> None:
        if not is_reference(type_):
            return super().constant(type_)
        number = type_number(type_)
        if type_ == REF_FUNC_TYPE:
            return self.emit(REF_FUNC, self.rng.choice(self.module.referable))
        if number is not None and has_no_default(type_):
            func = self.module.function_of(number)
            if func is not None:
                return self.emit(REF_FUNC, func)
        if has_no_default(type_):
            # Nothing is such a value yet.
            self.emit(REF_NULL, heap(type_))
            return self.emit(REF_AS_NON_NULL)
        return self.emit(REF_NULL, heap(type_))

    def leaf(self, type_: int, depth: int = 0) -> None:
        if self.rng.random() < 0.65:
            same = [at for at in self.by_type.get(type_, ()) if self._is_set(at)]
            if same:
                return self.emit(LOCAL_GET, same[int(len(same) * self.rng.random() ** 2)])
        if is_function(type_) and self.rng.random() < 0.75:
            return self.constant(without_null(type_))
        return self.constant(type_)

    def _is_set(self, local: int) -> bool:
        return local < self._params or not has_no_default(self.locals[local]) or local in self._set

    def value(self, type_: int, depth: int) -> None:
        rng = self.rng
        if depth <= 0 or self.budget <= 0 or not is_reference(type_) or type_ == EXTERNREF:
            if depth > 1 and self.budget > 0 and rng.random() < 0.12:
                return self.trying(depth, bytes([type_]))
            return super().value(type_, depth)
        kind = rng.random()
        if kind < 0.2:
            # A value of a subtype is one.
            narrower = self._subtypes(type_)
            if narrower:
                return self.value(rng.choice(narrower), depth - 1)
        if has_no_default(type_) and kind < 0.4:
            self.value(with_null(type_), depth - 1)
            forward = [i for i in self._forward() if not self.labels[-1 - i].types]
            if forward and rng.random() < 0.8:
                return self.emit(BR_ON_NULL, rng.choice(forward))
            return self.emit(REF_AS_NON_NULL)
        if type_ in (EXNREF, REF_EXN_TYPE) and kind < 0.8:
            return self.from_global(type_, depth) if kind < 0.4 else self.leaf(type_)
        return super().value(type_, depth)

    def _subtypes(self, type_: int) -> list[int]:
        targets = self.module.targets
        if type_ == FUNCREF:
            return [REF_FUNC_TYPE, *map(nullable, targets), *map(not_null, targets)]
        if type_ == REF_FUNC_TYPE:
            return [*map(not_null, targets)]
        number = type_number(type_)
        if number is None:
            return []
        below = [t for t in targets if t != number and self.module.is_subtype(t, number)]
        if has_no_default(type_):
            return [*map(not_null, below)]
        return [not_null(number), *map(nullable, below), *map(not_null, below)]

    def called(self, type_: int, depth: int) -> None:
        fitting = [t for t in self.module.targets if type_ in self.module.types[t].results]
        if not fitting or self.rng.random() < 0.6:
            return super().called(type_, depth)
        target = self.rng.choice(fitting)
        self._arguments_and_reference(target, depth)
        self.emit(CALL_REF, target)
        return self.keep(self.module.types[target].results, type_)

    def _arguments_and_reference(self, target: int, depth: int) -> None:
        self.arguments(self.module.types[target].params, depth)
        kind = self.rng.random()
        if kind < 0.6:
            return self.value(not_null(target), min(depth, 1))
        if kind < 0.97:
            return self.value(nullable(target), min(depth, 1))
        return self.emit(REF_NULL, target)

    def consume(self, types: bytes) -> None:
        """As of other bodies; references may go to where a wider type is."""
        at = len(types)
        while at and types[at - 1] in self.repertoire.types:
            at -= 1
        super().consume(types[at:])
        if not at:
            return
        type_ = types[at - 1]
        wider = [code for code in self._wider(type_) if self.by_type.get(code)]
        writable = [(i, code) for i, (code, mutable) in enumerate(self.module.globals) if mutable]
        globals_ = [i for i, code in writable if code in self._wider(type_) and i != self.module.fuel]
        kind = self.rng.random()
        if kind < 0.6 and wider:
            local = self.local_of(self.rng.choice(wider))
            assert local is not None
            self.emit(LOCAL_SET, local)
        elif kind < 0.75 and globals_:
            self.emit(GLOBAL_SET, self.rng.choice(globals_))
        elif kind < 0.8 and is_reference(type_):
            self.emit(REF_IS_NULL)
            self.consume(bytes([I32]))
        else:
            self.emit(DROP)
        self.consume(types[: at - 1])

    def _wider(self, type_: int) -> list[int]:
        """The types that a value of this one also has."""
        found = [type_, with_null(type_)]
        number = type_number(type_)
        while number is not None:
            found += [nullable(number), *([not_null(number)] if has_no_default(type_) else [])]
            number = self.module.supertypes.get(number)
        if is_function(type_):
            found += [FUNCREF, *([REF_FUNC_TYPE] if has_no_default(type_) else [])]
        return found

    # -- statements ---------------------------------------------------------------------------------------------------

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

    def call_by_reference(self, depth: int) -> None:
        """A call by a reference, for its effects."""
        target = self.rng.choice(self.module.targets)
        self._arguments_and_reference(target, depth)
        self.emit(CALL_REF, target)
        self.consume(self.module.types[target].results)

    def call_of_subtype(self, depth: int) -> None:
        """An indirect call of a function that has a subtype of the type that is called."""
        module = self.module
        tables = module.tables_of(FUNCREF)
        pairs = [(number, above) for number, above in module.supertypes.items() if above is not None]
        if not tables or not pairs:
            return self.emit(NOP)
        table = self.rng.choice(tables)
        number, above = self.rng.choice(pairs)
        self.emit(I32_CONST, 0)
        self.constant(not_null(number))
        self.emit(TABLE_SET, table)
        self.arguments(module.types[above].params, min(depth, 1))
        self.emit(I32_CONST, 0)
        self.emit(CALL_INDIRECT, above, table)
        return self.consume(module.types[above].results)

    def maybe_tail_call(self, depth: int) -> None:
        """A tail call that may not be reached."""
        self.condition(min(depth, 2))
        self.emit(IF, -0x40)
        self.labels.append(Label(b""))
        if not self.tail_call(min(depth, 2)):
            self.throw(min(depth, 2))
        self.labels.pop()
        self.emit(END)

    def tail_call(self, depth: int) -> bool:
        """A tail call of any kind, if there is something to call: returns whether there is."""
        rng, module = self.rng, self.module
        wanted = self.signature.results
        functions = [f for f in module.callable if module.types[module.funcs[f]].results == wanted]
        types = sorted({module.funcs[f] for f in functions})
        targets = [t for t in module.targets if module.types[t].results == wanted]
        tables = [at for at, table in enumerate(module.tables) if is_function(table.type)]
        kind = rng.random()
        if targets and kind < 0.3:
            target = rng.choice(targets)
            self._arguments_and_reference(target, depth)
            self.emit(RETURN_CALL_REF, target)
        elif tables and types and kind < 0.55:
            type_ = rng.choice(types)
            self.arguments(module.types[type_].params, depth)
            self.table_index(depth)
            self.emit(RETURN_CALL_INDIRECT, type_, rng.choice(tables))
        elif functions:
            imported = [f for f in functions if f < len(module.imported)]
            func = rng.choice(imported if imported and rng.random() < 0.4 else functions)
            self.arguments(module.types[module.funcs[func]].params, depth)
            self.emit(RETURN_CALL, func)
        else:
            return False
        return True

    def branch_on_reference(self, depth: int) -> None:
        """A branch that is taken if a reference is null, or if it is not."""
        rng = self.rng
        types = [code for code in self.module.values if is_reference(code)]
        type_ = rng.choice(types)
        forward = self._forward()
        if rng.random() < 0.5:
            label = rng.choice(forward)
            given = self.labels[-1 - label].types
            self.values(given, min(depth, 2))
            self.value(with_null(type_), depth - 1)
            self.emit(BR_ON_NULL, label)
            return self.consume(given + bytes([without_null(type_)]))
        ending = [i for i in forward if self.labels[-1 - i].types[-1:] and is_reference(self.labels[-1 - i].types[-1])]
        if ending and rng.random() < 0.7:
            label = rng.choice(ending)
            given = self.labels[-1 - label].types
            self.values(given[:-1], min(depth, 2))
            self.value(with_null(given[-1]), depth - 1)
            self.emit(BR_ON_NON_NULL, label)
            return self.consume(given[:-1])
        # A block that is left with the reference.
        before = bytes([rng.choice(self.repertoire.types) for _ in range(rng.randrange(3))])
        given = before + bytes([rng.choice([type_, without_null(type_)])])
        self.emit(BLOCK, self._block_type(b"", given))
        self.labels.append(Label(given))
        self.values(before, min(depth, 2))
        self.value(with_null(type_), depth - 1)
        self.emit(BR_ON_NON_NULL, 0)
        self.consume(before)
        self.values(given, min(depth, 2))
        self.labels.pop()
        self.emit(END)
        return self.consume(given)

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

    # -- blocks -------------------------------------------------------------------------------------------------------

    def _forward(self) -> list[int]:
        """Labels that may be branched to at any time."""
        return [i for i, label in enumerate(reversed(self.labels)) if label.counter is None]

    def _block_type(self, params: bytes, results: bytes) -> int:
        if not params and not results and self.rng.random() < 0.8:
            return -0x40
        if not params and len(results) == 1 and self.rng.random() < 0.6:
            return block_type(results[0])
        return self.module.type_number(Signature(params, results))

    def trying(self, depth: int, results: bytes) -> None:
        """A `try_table`, blocks for some of its clauses, and code for what is caught; leaves `results`."""
        rng = self.rng
        outside = rng.random() < 0.7
        if outside:
            # Where what is not caught goes.
            self.emit(BLOCK, self._block_type(b"", results))
            self.labels.append(Label(results))
        handlers = [self._clause() for _ in range(rng.choice([0, 1, 1, 1, 2, 2, 3]))]
        for _, _, given in handlers:
            self.emit(BLOCK, self._block_type(b"", given))
            self.labels.append(Label(given))
        clauses = [(kind, tag, len(handlers) - 1 - at) for at, (kind, tag, _) in enumerate(handlers)]
        clauses += self._clauses_to_open_labels()
        rng.shuffle(clauses)
        params = bytes([rng.choice(self.repertoire.types) for _ in range(rng.choice([0, 0, 0, 1, 2]))])
        inner = rng.choice([b"", results, bytes([rng.choice(self.repertoire.types)])])
        self.values(params, min(depth - 1, 2))
        self.emit(TRY_TABLE, self._block_type(params, inner), tuple(clauses))
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
        for label in self._forward():
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
        self.emit(BLOCK, self._block_type(b"", results))
        self.labels.append(Label(results))
        self.values(params, min(depth - 1, 2))
        self.emit(LOOP, self._block_type(params, results))
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
