"""How machine code of vector instructions is chosen; loaded when the first is met. See :mod:`.choices`."""

from __future__ import annotations

from .operand import I64, LOCAL, Operand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .assembly import Selection
    from .types import Choice, Choosing, Rule, SplitChoice, VectorChoice

#: In which module of a backend the rule of an instruction is: the first of these beginnings that its name has after the
#: shape says, and else the shape itself.
_BY_OPERATION = (
    ("all_true bitmask any_true not and or xor bitselect relaxed_laneselect select", "vector_bits"),
    ("shuffle", "vector_shuffles"),
    ("splat extract_lane replace_lane swizzle relaxed_swizzle", "vector_lanes"),
    ("trunc_ relaxed_trunc convert demote promote", "vector_conversions"),
)
_BY_SHAPE = {"i": "vector_integers", "f": "vector_floats"}


def _topic(name: str) -> str:
    """The module that has the rule of an instruction."""
    shape, _, operation = name.partition(".")
    for beginnings, topic in _BY_OPERATION:
        if operation.startswith(tuple(beginnings.split())):
            return topic
    return _BY_SHAPE[shape[0]]


class VectorChoices:
    """The choices of one backend; :class:`.target_contract.Vectors` documents what the compiler uses."""

    def __init__(self, choices: Choosing) -> None:
        self._choices = choices
        self._new = choices.new_selection
        self._module = choices.module

    def rule(self, name: str, deterministic: bool = False) -> Rule:
        """The rule of an instruction, or the one by which it does the same on every processor."""
        module = self._module(_topic(name))
        rule: Rule | None = module.DETERMINISTIC.get(name) if deterministic else None
        return rule or module.RULES[name]

    def lower(self, rule: Rule, operands: tuple[object, ...], free: int, sink: Operand | None) -> VectorChoice:
        """Choose code for an instruction by its rule. After its operands may come its lane, or its lanes."""
        selection = self._new(free)
        selection.literals = []
        result = rule(selection, sink, *operands)
        after = selection.free | selection.released
        return bytes(selection.code), result, after, self._choices.is_tight(after), tuple(selection.literals)

    def load(
        self, name: str, a: Operand, rest: tuple[Any, ...], form: int, free: int, sink: Operand | None
    ) -> SplitChoice:
        """Choose code for a load with a displacement of the given form."""
        selection = self._new(free)
        head, tail, result = self._load(selection, sink, name, a, rest, form)
        after = selection.free | selection.released
        return head, tail, result, after, self._choices.is_tight(after)

    def store(self, name: str, a: Operand, rest: tuple[Any, ...], form: int, free: int) -> tuple[bytes, bytes, int]:
        """Choose code for a store with a displacement of the given form."""
        selection = self._new(free)
        head, tail = self._store(selection, name, a, rest, form)
        return head, tail, selection.free | selection.released

    def far_load(
        self, name: str, a: Operand, rest: tuple[Any, ...], offset: int, size: int, checked: bool, free: int
    ) -> Choice:
        """Choose code for a load that needs its address computed."""
        selection = self._new(free)
        index = self._module("memory").address(selection, a, offset, size, checked)
        selection.release(a)
        head, tail, result = self._load(selection, None, name, Operand(LOCAL, I64, index), rest, 0)
        after = selection.free | selection.released
        return head + tail, result, after, self._choices.is_tight(after)

    def far_store(
        self, name: str, a: Operand, rest: tuple[Any, ...], offset: int, size: int, checked: bool, free: int
    ) -> tuple[bytes, int]:
        """Choose code for a store that needs its address computed."""
        selection = self._new(free)
        index = self._module("memory").address(selection, a, offset, size, checked)
        selection.release(a)
        head, tail = self._store(selection, name, Operand(LOCAL, I64, index), rest, 0)
        return head + tail, selection.free | selection.released

    def _load(
        self, s: Selection, sink: Operand | None, name: str, a: Operand, rest: tuple[Any, ...], form: int
    ) -> tuple[bytes, bytes, Operand]:
        memory = self._module("vector_memory")
        found: tuple[bytes, bytes, Operand]
        if rest:
            value, lane = rest
            found = memory.load_lane(s, sink, name, a, value, lane, form)
        else:
            found = memory.load(s, sink, name, a, form)
        return found

    def _store(self, s: Selection, name: str, a: Operand, rest: tuple[Any, ...], form: int) -> tuple[bytes, bytes]:
        memory = self._module("vector_memory")
        value, *lane = rest
        found: tuple[bytes, bytes] = (memory.store_lane if lane else memory.store)(s, name, a, value, *lane, form)
        return found
