"""Function bodies with typed references, tail calls, and locals that have to be set before they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fuzz.bodies import BodyWriter
from tests.fuzz.instructions import (
    BLOCK,
    CALL,
    CLOSERS,
    DROP,
    ELSE,
    END,
    I32_CONST,
    LOCAL_GET,
    LOCAL_SET,
    LOCAL_TEE,
    NOP,
    OPENERS,
    REF_FUNC,
    REF_NULL,
)
from tests.fuzz.numbers import EXTERNREF, FUNCREF, I32
from tests.fuzz.operations import (
    BR_ON_NON_NULL,
    BR_ON_NULL,
    CALL_INDIRECT,
    CALL_REF,
    GLOBAL_SET,
    REF_AS_NON_NULL,
    REF_IS_NULL,
    RETURN_CALL,
    RETURN_CALL_INDIRECT,
    RETURN_CALL_REF,
    TABLE_SET,
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


class ReferenceWriter(BodyWriter):
    """Writes what is about references to functions, and calls by them."""

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
        elif self.is_middle(code):
            del self._set[self._marks[-1] :]
        elif code in CLOSERS and self._marks:
            del self._set[self._marks.pop() :]
        elif code in (LOCAL_SET, LOCAL_TEE):
            (local,) = immediates
            assert isinstance(local, int)
            self._set.append(local)

    def is_middle(self, code: int) -> bool:
        """Whether a part of a block ends here and another one begins."""
        return code == ELSE

    def refuel_others(self) -> None:
        if self.module.other_refuel is not None:
            self.emit(CALL, self.module.other_refuel)

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
            forward = [i for i in self.forward() if not self.labels[-1 - i].types]
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
        self.arguments_and_reference(target, depth)
        self.emit(CALL_REF, target)
        return self.keep(self.module.types[target].results, type_)

    def arguments_and_reference(self, target: int, depth: int) -> None:
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

    def trying(self, depth: int, results: bytes) -> None:
        """Code that catches exceptions, and leaves `results`."""
        raise NotImplementedError

    def call_by_reference(self, depth: int) -> None:
        """A call by a reference, for its effects."""
        target = self.rng.choice(self.module.targets)
        self.arguments_and_reference(target, depth)
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
            self.arguments_and_reference(target, depth)
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
        forward = self.forward()
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
        self.emit(BLOCK, self.some_block_type(b"", given))
        self.labels.append(Label(given))
        self.values(before, min(depth, 2))
        self.value(with_null(type_), depth - 1)
        self.emit(BR_ON_NON_NULL, 0)
        self.consume(before)
        self.values(given, min(depth, 2))
        self.labels.pop()
        self.emit(END)
        return self.consume(given)

    def forward(self) -> list[int]:
        """Labels that may be branched to at any time."""
        return [i for i, label in enumerate(reversed(self.labels)) if label.counter is None]

    def some_block_type(self, params: bytes, results: bytes) -> int:
        if not params and not results and self.rng.random() < 0.8:
            return -0x40
        if not params and len(results) == 1 and self.rng.random() < 0.6:
            return block_type(results[0])
        return self.module.type_number(Signature(params, results))

    def constants(self, types: bytes) -> None:
        for type_ in types:
            self.constant(type_)
