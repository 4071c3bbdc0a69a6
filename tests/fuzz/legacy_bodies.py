"""Function bodies with exceptions of the older form: `try`, `catch`, `catch_all`, `delegate` and `rethrow`."""

from __future__ import annotations

from tests.fuzz.control_bodies import ControlWriter
from tests.fuzz.instructions import DELEGATE, ELSE, END, IF, TRY
from tests.fuzz.operations import CATCH_ALL_CLAUSE, CATCH_CLAUSE, RETHROW
from tests.fuzz.writer import Label


class CatchLabel(Label):
    """The label of a handler: what it has caught may be thrown again."""

    __slots__ = ()


class LegacyWriter(ControlWriter):
    """Writes the body of one function of a module with the older exceptions."""

    def is_middle(self, code: int) -> bool:
        return code in (ELSE, CATCH_CLAUSE, CATCH_ALL_CLAUSE)

    def trying(self, depth: int, results: bytes) -> None:
        rng = self.rng
        params = bytes([rng.choice(self.repertoire.types) for _ in range(rng.choice([0, 0, 0, 1, 2]))])
        self.values(params, min(depth - 1, 2))
        # Its targets are counted without the block itself.
        target = rng.randrange(len(self.labels))
        handlers: list[int | None] = [
            rng.randrange(len(self.module.tags)) for _ in range(rng.choice([0, 1, 1, 1, 2, 3]))
        ]
        if rng.random() < 0.4:
            # The last one catches all.
            handlers = [*handlers[:-1], None]
        self.emit(TRY, self.some_block_type(params, results))
        self.labels.append(Label(results))
        self.inside_of_try(params, results, depth, [tag for tag in handlers if tag is not None])
        self.labels.pop()
        if rng.random() < 0.2:
            return self.emit(DELEGATE, target)
        for tag in handlers:
            self._handler(tag, results, depth)
        return self.emit(END)

    def _handler(self, tag: int | None, results: bytes, depth: int) -> None:
        """A handler for a tag, or for all exceptions."""
        given = b""
        if tag is None:
            self.emit(CATCH_ALL_CLAUSE)
        else:
            self.emit(CATCH_CLAUSE, tag)
            given = self.module.types[self.module.tags[tag]].params
        self.labels.append(CatchLabel(results))
        if self.rng.random() < 0.5:
            self.show(given)
        else:
            self.consume(given)
        if self.rng.random() < 0.6:
            self.statement(depth - 1)
        if self.rng.random() < 0.15:
            self.leave(depth - 1)
            self.dead(results, min(depth - 1, 1))
        else:
            self.values(results, depth - 1)
        self.labels.pop()

    def rethrow(self, depth: int) -> None:
        caught = [i for i, label in enumerate(reversed(self.labels)) if isinstance(label, CatchLabel)]
        if not caught:
            return self.maybe_throw(depth)
        self.condition(min(depth, 2))
        self.emit(IF, -0x40)
        self.emit(RETHROW, self.rng.choice(caught) + 1)
        return self.emit(END)

    def keep_exception(self, depth: int) -> None:
        """There are no references to exceptions."""
        self.try_statement(depth)

    def leave(self, depth: int) -> None:
        caught = [i for i, label in enumerate(reversed(self.labels)) if isinstance(label, CatchLabel)]
        if caught and self.rng.random() < 0.3:
            return self.emit(RETHROW, self.rng.choice(caught))
        return super().leave(depth)
