"""Stubs of exceptions, and of tail calls that leave their instance, published and at hand."""

from __future__ import annotations

from .context import CELL_MAKE_EXCEPTION, CELL_RETURN, CELL_TAIL_OUT, CELL_THROW, CELL_THROW_REF

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from .code_memory import CodeMemory
    from .context import StoreBlock

    class Stubs(Protocol):
        """What a backend's ``stubs`` module offers here."""

        def return_frame(self) -> bytes:
            """What a function returns to that was tail-called from another instance."""

        def tail_out(self) -> bytes:
            """How a tail call leaves its instance."""

        def throw(self) -> bytes:
            """Throw what the store block describes."""

        def throw_reference(self) -> bytes:
            """Throw an exception object."""

        def make_exception(self) -> bytes:
            """Make an exception object."""

        def restore_pinned(self, ints: int, floats: int) -> bytes:
            """Load what a function has saved."""

        def preserved_registers(self) -> bytes:
            """Tell of registers."""


class ControlStubs:
    """What an engine's stores share of these stubs; each is made when it is first asked for.

    Args:
        memory, stubs: those of :class:`.adapters.Adapters`.
    """

    __slots__ = ("_exceptions", "_memory", "_preserved_registers", "_restore_pinned", "_stubs", "_tail_calls")

    def __init__(self, memory: CodeMemory, stubs: Stubs) -> None:
        self._memory = memory
        self._stubs = stubs
        self._tail_calls: list[tuple[int, int]] = []
        self._exceptions: list[tuple[int, int]] = []
        self._restore_pinned: dict[tuple[int, int], int] = {}
        self._preserved_registers: Callable[[int], int] | None = None

    def install_tail_calls(self, block: StoreBlock) -> None:
        """Write the addresses of the stubs of tail calls that leave their instance to a store block: when its poll
        callback is called without an interruption, which may be for that.
        """
        tail_calls = self._tail_calls
        if not tail_calls:
            stubs = self._stubs
            publish = self._memory.publish
            # In this order: code that finds the second one needs the first.
            tail_calls = [(CELL_RETURN, publish(stubs.return_frame())), (CELL_TAIL_OUT, publish(stubs.tail_out()))]
            self._tail_calls = tail_calls
        for cell, address in tail_calls:
            block.cells[cell] = address

    def install_exceptions(self, block: StoreBlock) -> None:
        """Write the addresses of the stubs of exceptions to a store block: before wasm code of it can throw any."""
        exceptions = self._exceptions
        if not exceptions:
            stubs = self._stubs
            publish = self._memory.publish
            exceptions = [
                (CELL_THROW, publish(stubs.throw())),
                (CELL_THROW_REF, publish(stubs.throw_reference())),
                (CELL_MAKE_EXCEPTION, publish(stubs.make_exception())),
            ]
            self._exceptions = exceptions
        for cell, address in exceptions:
            block.cells[cell] = address

    def restore_pinned(self, ints: int, floats: int) -> int:
        """Address of the code that restores what a function has saved of pinned registers, when it is left."""
        address = self._restore_pinned.get((ints, floats))
        if address is None:
            address = self._memory.publish(self._stubs.restore_pinned(ints, floats))
            self._restore_pinned[ints, floats] = address
        return address

    @property
    def preserved_registers(self) -> Callable[[int], int]:
        """What writes the pinned registers that C functions preserve to cells, whose address it is called with, and
        returns the stack pointer of its own frame.
        """
        function = self._preserved_registers
        if function is None:
            from .ffi import PYFUNCTYPE, c_size_t

            prototype = PYFUNCTYPE(c_size_t, c_size_t)
            function = prototype(self._memory.publish(self._stubs.preserved_registers()))
            self._preserved_registers = function
        return function
