"""Blocks, branches and calls with many values: what they leave is looked at, moved, taken apart and put together.

The types of what is on the stack are known at each place (`stack`), so every instruction here is valid wherever it
comes: a block takes as many values as its type says from the top, and leaves as many.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.fuzz.expressions import Expressions
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
    LOOP,
    RETURN,
    UNREACHABLE,
)
from tests.fuzz.numbers import I32
from tests.fuzz.operations import BR_TABLE, I32_AND
from tests.fuzz.parts import Signature
from tests.fuzz.writer import Label

#: Around where the compiler begins to look at values together, and seldom as many as a type may have.
_COUNTS = [8, 15, 16, 17, 18, 20, 25, 33, 40, 70]
_MOST = 1000


class ManyValues(Expressions):
    """Writes statements with many values."""

    def statement(self, depth: int) -> None:
        """Instructions that leave nothing."""
        raise NotImplementedError

    def many_values(self, depth: int) -> None:
        """Many values, what is done with them, and what takes them from the stack."""
        rng = self.rng
        stack: list[int] = []
        callee = self._callee_with_many_results()
        if callee is not None and rng.random() < 0.5:
            signature = self.module.types[self.module.funcs[callee]]
            self.arguments(signature.params, 0)
            self.emit(CALL, callee)
            stack += signature.results
        else:
            kinds = rng.sample(self.repertoire.types, rng.randrange(1, len(self.repertoire.types) + 1))
            count = _MOST if rng.random() < 0.02 else rng.choice(_COUNTS)
            for _ in range(count):
                stack.append(rng.choice(kinds))
                self.leaf(stack[-1])
        self._work(stack, min(depth, 3), 0)
        self.consume(bytes(stack))

    def _callee_with_many_results(self) -> int | None:
        module = self.module
        found = [i for i in module.callable if len(module.types[module.funcs[i]].results) > 12] if self.calls else []
        return self.rng.choice(found) if found else None

    def _work(self, stack: list[int], depth: int, least: int) -> None:
        """Do some things with what is on the stack, but for the first `least` values; `stack` is what it has then."""
        kinds: list[Callable[[list[int], int, int], None]] = [self._change, self._push, self._branch_if, self._call]
        if depth > 0:
            kinds += [self._many_block] * 4
        for _ in range(self.rng.randrange(1, 5)):
            if self.budget > -200:
                self.rng.choice(kinds)(stack, depth, least)

    def _change(self, stack: list[int], depth: int, least: int) -> None:
        """Take a few values away, and push as many of the same types, or compute with the topmost."""
        count = min(self.rng.choice([1, 1, 2, 3, 9, 30]), len(stack) - least)
        types = bytes(stack[len(stack) - count :])
        if count == 1 and types[0] in self.repertoire.unary:
            return self.perform(self.rng.choice(self.repertoire.unary[types[0]]))
        self.consume(types)
        for type_ in types:
            self.leaf(type_)
        return None

    def _push(self, stack: list[int], depth: int, least: int) -> None:
        """Push a value below which nothing changes, or take one away."""
        if len(stack) > least and self.rng.random() < 0.5:
            self.consume(bytes([stack.pop()]))
        else:
            stack.append(self.rng.choice(self.repertoire.types))
            self.value(stack[-1], 1)

    def _call(self, stack: list[int], depth: int, least: int) -> None:
        """Call a function whose parameters are there; mostly there is none."""
        module = self.module
        for index in module.callable if self.calls else ():
            signature = module.types[module.funcs[index]]
            count = len(signature.params)
            if count <= len(stack) - least and bytes(stack[len(stack) - count :]) == signature.params:
                self.emit(CALL, index)
                stack[len(stack) - count :] = signature.results
                return

    def _labels(self, stack: list[int], least: int, plain: bool) -> list[int]:
        """Depths of the labels that a branch may go to with what is on the stack, loops apart; those that take nothing
        only if they are `plain`.
        """
        found = []
        for index, label in enumerate(reversed(self.labels)):
            count = len(label.types)
            if label.counter is None and (count or plain) and count <= len(stack) - least:
                if bytes(stack[len(stack) - count :]) == label.types:
                    found.append(index)
        return found

    def _branch_if(self, stack: list[int], depth: int, least: int) -> None:
        """A branch that may not be taken, with values that are there."""
        labels = self._labels(stack, least, self.rng.random() < 0.1)
        if labels:
            self.condition(1)
            self.emit(BR_IF, self.rng.choice(labels))

    def _many_block(self, stack: list[int], depth: int, least: int) -> None:
        """A block that takes some of the values and leaves others."""
        rng = self.rng
        room = min(len(stack) - least, _MOST)
        count = rng.choice([room, room, rng.randrange(room + 1), min(room, 17), min(room, 16)])
        params = bytes(stack[len(stack) - count :])
        results = params
        if rng.random() < 0.3:
            callee = self._callee_with_many_results()
            results = self.module.types[self.module.funcs[callee]].results if callee is not None else params[1:]
        kind = rng.choice([BLOCK, BLOCK, LOOP, IF, IF])
        if kind == IF:
            self.condition(1)
        counter = self.start_counter(I32, True) if kind == LOOP else None
        self.emit(kind, self.module.type_number(Signature(params, results)))
        self.labels.append(Label(params if kind == LOOP else results, counter))
        self._inside(params, results, depth)
        if kind == IF and (params != results or rng.random() < 0.5):
            self.emit(ELSE)
            self._inside(params, results, depth)
        self.labels.pop()
        self.emit(END)
        stack[len(stack) - count :] = results

    def _inside(self, params: bytes, results: bytes, depth: int) -> None:
        """The inside of a block."""
        rng = self.rng
        stack = [*params]
        self._work(stack, depth - 1, 0)
        label = self.labels[-1]
        if label.counter is not None and rng.random() < 0.7:
            self._become(stack, params)
            self.count_down(label.counter)
            self.emit(BR_IF, 0)
        self._become(stack, results)
        if rng.random() < 0.4:
            self._leave(stack, depth)

    def _become(self, stack: list[int], types: bytes) -> None:
        """Let the stack be values of these types: those that are right stay."""
        same = 0
        while same < min(len(stack), len(types)) and stack[same] == types[same]:
            same += 1
        self.consume(bytes(stack[same:]))
        for type_ in types[same:]:
            self.leaf(type_)
        stack[:] = types

    def _leave(self, stack: list[int], depth: int) -> None:
        """Go away with what is there, and some code that is not reached and leaves the same."""
        rng = self.rng
        labels = self._labels(stack, 0, True)
        if bytes(stack[len(stack) - len(self.labels[0].types) :]) == self.labels[0].types and rng.random() < 0.2:
            self.emit(RETURN)
        elif not labels:
            return
        elif rng.random() < 0.5:
            self.emit(BR, rng.choice(labels))
        else:
            same = [i for i in labels if self.labels[-1 - i].types == self.labels[-1 - labels[0]].types]
            self.value(I32, 1)
            self.emit(I32_CONST, 7)
            self.emit(I32_AND)
            count = rng.choice([0, 1, 3, 9, 12])
            self.emit(BR_TABLE, tuple([rng.choice(same) for _ in range(count + 1)]))
        self._dead(stack, depth)

    def _dead(self, stack: list[int], depth: int) -> None:
        """Code that is not reached: a few of the values are pushed, the others come out of the polymorphic stack."""
        rng = self.rng
        there: list[int] = []
        if rng.random() < 0.6:
            there = [*stack[rng.randrange(len(stack) + 1) :]] if stack else []
            for type_ in there:
                self.leaf(type_)
        if rng.random() < 0.4:
            number = self.module.type_number(Signature(bytes(stack), bytes(stack)))
            self.emit(BLOCK, number)
            self.labels.append(Label(bytes(stack)))
            if rng.random() < 0.5:
                self.emit(rng.choice([DROP, UNREACHABLE]) if stack else UNREACHABLE)
                if self.out[-1].code == DROP:
                    self.leaf(stack[-1])
                elif rng.random() < 0.5:
                    self.emit(UNREACHABLE)
            self.labels.pop()
            self.emit(END)
