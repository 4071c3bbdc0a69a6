"""The type stack of code that cannot be reached, and its blocks: see :mod:`.unreachable`."""

from __future__ import annotations

from ...backends.convention import MANY_VALUES
from ...backends.operand import REFERENCE
from ..state import LOOP, BodyFault, Compilation, Late, fits, type_mismatch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .. import runs
    from ..state import Types
else:
    runs = Late("runs")

#: The type of an operand that dead code takes from below what it pushed: it fits everything. Of one that can only be a
#: reference, and fits every type of them.
UNKNOWN, UNKNOWN_REFERENCE = -1, -3
#: So many operands besides those that are wanted become items of their own at once.
_AT_ONCE = 8


class Block:
    """A block opened in dead code, or the remainder of the one in which it began."""

    __slots__ = ("height", "opcode", "params", "polymorphic", "results", "types")

    def __init__(self, opcode: int, height: int, params: Types, results: Types, polymorphic: bool) -> None:
        self.opcode = opcode
        self.height = height
        self.params = params
        self.results = results
        self.types = params if opcode == LOOP else results
        self.polymorphic = polymorphic


class Many:
    """Many operands that stand in the type stack as one: ``count`` types of a module's, from ``types[start]`` on."""

    __slots__ = ("count", "start", "types")

    def __init__(self, types: Types, start: int, count: int) -> None:
        self.types = types
        self.start = start
        self.count = count


class DeadCode:
    """The type stack and the blocks of a stretch of dead code.

    Attributes:
        types: types of operands, or :class:`Many` of them, since a block type of two bytes may say a thousand.
        many: how many of the latter there are.
    """

    def __init__(self, c: Compilation) -> None:
        self.c = c
        label = c.labels[-1]
        self.types: list[int | Many] = []
        self.many = 0
        self.blocks = [Block(label.opcode, 0, label.params, label.results, True)]

    def pop(self, name: str, expected: int) -> None:
        """Pop an operand of the expected type."""
        self.pop_all(name, (expected,))

    def pop_all(self, name: str, expected: Types) -> None:
        """Pop operands of these types: an unknown one fits every type."""
        self._forget(self._check(name, expected))

    def check(self, name: str, expected: Types) -> None:
        """Check the topmost operands without popping them."""
        self._check(name, expected)

    def _check(self, name: str, expected: Types) -> int:
        """Check the topmost operands, and let them be items of the type stack that nothing else is in: the index of the
        first.
        """
        if len(expected) > MANY_VALUES:
            return self._check_many(name, expected)
        if self.many:
            self._expose(len(expected))
        block = self.blocks[-1]
        types = self.types
        at = len(types)
        found: list[int | None] = []
        matched = True
        for type_ in reversed(expected):
            if at > block.height:
                at -= 1
                have = types[at]
                assert isinstance(have, int)
                found.append(have)
                if have != type_ and not _fits(have, type_):
                    matched = False
            elif block.polymorphic:
                found.append(UNKNOWN)
            else:
                found.append(None)
                matched = False
                break
        if not matched:
            raise type_mismatch(name, expected, found[::-1])
        return at

    def _check_many(self, name: str, expected: Types) -> int:
        """What :meth:`_check` does where many are expected."""
        block = self.blocks[-1]
        at = len(self.types)
        left = len(expected)
        while left:
            if at == block.height:
                if block.polymorphic:
                    return at
                raise type_mismatch(name, expected, self._found(len(expected)))
            at -= 1
            have = self.types[at]
            if isinstance(have, int):
                left -= 1
                fitting = have == expected[left] or _fits(have, expected[left])
            else:
                count = min(have.count, left)
                left -= count
                fitting = runs.fit(self.c.env, have.types, have.start + have.count - count, expected, left, count)
                if count < have.count:
                    self._split(at, have, have.count - count)
                    at += 1
            if not fitting:
                raise type_mismatch(name, expected, self._found(len(expected)))
        return at

    def _found(self, count: int) -> list[int | None]:
        """Types of the topmost operands, and ``None`` where one is missing."""
        block = self.blocks[-1]
        found: list[int | None] = []
        for have in reversed(self.types[block.height :]):
            found += [have] if isinstance(have, int) else have.types[have.start : have.start + have.count][::-1]
        found = found[:count]
        if len(found) < count:
            found += [UNKNOWN] * (count - len(found)) if block.polymorphic else [None]
        return found[::-1]

    def _split(self, at: int, have: Many, first: int) -> None:
        """Let the first of many operands be an item of their own."""
        rest = Many(have.types, have.start + first, have.count - first)
        self.types[at : at + 1] = [Many(have.types, have.start, first), rest]
        self.many += 1

    def _expose(self, count: int) -> None:
        """Let the topmost operands, as far as there are so many in the block, be items of their own."""
        types = self.types
        at = len(types)
        height = self.blocks[-1].height
        while count > 0 and at > height:
            at -= 1
            have = types[at]
            if isinstance(have, int):
                count -= 1
                continue
            if have.count > count + _AT_ONCE:
                self._split(at, have, have.count - count - _AT_ONCE)
                at += 1
                have = types[at]
                assert isinstance(have, Many)
            types[at : at + 1] = have.types[have.start : have.start + have.count]
            self.many -= 1
            count -= have.count

    def _forget(self, height: int) -> None:
        """Drop all items from ``height`` on."""
        if self.many:
            self.many -= sum([not isinstance(item, int) for item in self.types[height:]])
        del self.types[height:]

    def push(self, types: Types) -> None:
        """Push operands."""
        if len(types) > MANY_VALUES:
            self.types.append(Many(types, 0, len(types)))
            self.many += 1
        else:
            self.types += types

    def push_but_last(self, types: Types) -> None:
        """Push operands of all types but the last."""
        self.push(types)
        self.pop_any()

    def pop_any(self) -> int | None:
        """Pop an operand of whatever type; ``None`` if there is none."""
        if self.many:
            self._expose(1)
        block = self.blocks[-1]
        if len(self.types) > block.height:
            found = self.types.pop()
            assert isinstance(found, int)
            return found
        return UNKNOWN if block.polymorphic else None

    def target(self, depth: int) -> Types:
        """Types that a branch to the label carries, which may be outside the dead code."""
        if depth < len(self.blocks):
            return self.blocks[-1 - depth].types
        # The first block here is the innermost one outside.
        outside = depth - (len(self.blocks) - 1)
        if outside >= len(self.c.labels):
            raise BodyFault(f"unknown label {depth}")
        return self.c.labels[-1 - outside].types

    @property
    def depth(self) -> int:
        """How many blocks are open that began in dead code."""
        return len(self.blocks) - 1

    def become_polymorphic(self) -> None:
        """After an unconditional branch."""
        block = self.blocks[-1]
        self._forget(block.height)
        block.polymorphic = True

    def close(self, name: str) -> Block:
        """Check the results at the end of the innermost block and remove it."""
        block = self.blocks[-1]
        self.pop_all(name, block.results)
        if len(self.types) != block.height:
            raise BodyFault("type mismatch: values remain on the stack at the end of the block")
        if self.c.control is not None and len(self.blocks) > 1:
            self.c.control.forget(len(self.c.labels) + self.depth)
        return self.blocks.pop()


def _fits(found: int, expected: int) -> bool:
    """Whether an operand of one type may stand where another is expected."""
    return found == UNKNOWN or (found == UNKNOWN_REFERENCE and expected >= REFERENCE) or fits(found, expected)
