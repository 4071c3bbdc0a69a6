"""Functions made by hand, of pieces of the backend, and what exceptions find in them: a module without a compiler.

What is right here for a processor is right for the other one: the few instructions that no piece has are in
:data:`PROCESSOR`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import RLock
from typing import Any

import vibewasm as vw
from tests.native import HOST
from tests.runtime.native import native
from vibewasm import abi
from vibewasm.api.store import Store
from vibewasm.backends import backend
from vibewasm.calls.process import adapters
from vibewasm.calls.values import letters
from vibewasm.instances.exceptions import Exceptions, exceptions_of
from vibewasm.runtime.blocks import Block
from vibewasm.runtime.calls import HostCallback, address_of, native_callback, stack_limit
from vibewasm.runtime.calls import argument as prebuilt
from vibewasm.runtime.code_memory import CodeMemory
from vibewasm.runtime.context import CELL_FAILED, CELL_REAL_LIMIT

BACKEND = backend(HOST)
frames, calls, exceptions, control = BACKEND.frames, BACKEND.calls, BACKEND.exceptions, BACKEND.control


class X8664:
    """What x86-64 has."""

    def __init__(self) -> None:
        from vibewasm.backends.x86_64 import asm, regs

        self.asm: Any = asm
        self.regs: Any = regs
        self.ints, self.floats = len(regs.PINNED), len(regs.FLOAT_PINNED)

    def registers(self, address: int, dump: bool) -> bytes:
        """Write all pinned registers to memory, or load them."""
        asm, regs = self.asm, self.regs
        code: bytes = asm.mov_ri(regs.RAX, address)
        for index, reg in enumerate(regs.PINNED):
            code += asm.mov_mr(1, 0, 8 * index, reg) if dump else asm.mov_rm(1, reg, 0, 8 * index)
        for index, reg in enumerate(regs.FLOAT_PINNED):
            at = 64 + 16 * index
            code += asm.movups_mr(0, at, reg) if dump else asm.movups_rm(reg, 0, at)
        return code

    def result_to_pinned(self, order: int) -> bytes:
        """Move the integer result to a pinned register."""
        return bytes(self.asm.mov_rr(1, self.regs.PINNED[order], self.regs.RAX))

    def pinned_to_result(self, order: int) -> bytes:
        """The reverse."""
        return bytes(self.asm.mov_rr(1, self.regs.RAX, self.regs.PINNED[order]))

    def result_to_slot(self, offset: int) -> bytes:
        """Store the integer result in the frame."""
        return bytes(self.asm.mov_mr(1, self.regs.FRAME, offset, self.regs.RAX))

    def slot_to_result(self, offset: int) -> bytes:
        """The reverse."""
        return bytes(self.asm.mov_rm(1, self.regs.RAX, self.regs.FRAME, offset))

    def result_to_memory(self, address: int) -> bytes:
        """Store the integer result at an address, and clear it."""
        asm = self.asm
        code: bytes = asm.mov_ri(self.regs.RCX, address) + asm.mov_mr(1, self.regs.RCX, 0, self.regs.RAX)
        return bytes(code + asm.zero(self.regs.RAX) + asm.zero(self.regs.RCX))


class AArch64:
    """What AArch64 has."""

    def __init__(self) -> None:
        from vibewasm.backends.aarch64 import asm, regs
        from vibewasm.backends.aarch64.addresses import at

        self.asm: Any = asm
        self.regs: Any = regs
        self.at = at
        self.ints, self.floats = len(regs.PINNED), len(regs.FLOAT_PINNED)

    def registers(self, address: int, dump: bool) -> bytes:
        """Write all pinned registers to memory, or load them."""
        asm, regs = self.asm, self.regs
        code: bytes = asm.mov_ri(0, address)
        for index, reg in enumerate(regs.PINNED):
            code += asm.access(asm.STR_X if dump else asm.LDR_X, reg, 0, 8 * index)
        for index, reg in enumerate(regs.FLOAT_PINNED):
            code += asm.access(asm.STR_Q if dump else asm.LDR_Q, reg, 0, 128 + 16 * index)
        return code

    def result_to_pinned(self, order: int) -> bytes:
        """Move the integer result to a pinned register."""
        return bytes(self.asm.mov_rr(1, self.regs.PINNED[order], 0))

    def pinned_to_result(self, order: int) -> bytes:
        """The reverse."""
        return bytes(self.asm.mov_rr(1, 0, self.regs.PINNED[order]))

    def result_to_slot(self, offset: int) -> bytes:
        """Store the integer result in the frame."""
        return bytes(self.at(self.asm.STR_X, 0, self.regs.FRAME, offset))

    def slot_to_result(self, offset: int) -> bytes:
        """The reverse."""
        return bytes(self.at(self.asm.LDR_X, 0, self.regs.FRAME, offset))

    def result_to_memory(self, address: int) -> bytes:
        """Store the integer result at an address, and clear it."""
        asm = self.asm
        return bytes(asm.mov_ri(1, address) + asm.access(asm.STR_X, 0, 1, 0) + asm.mov_ri(0, 0) + asm.mov_ri(1, 0))


PROCESSOR: Any = X8664() if HOST == "x86_64" else AArch64()
#: Cells that all pinned registers take.
REGISTER_CELLS = 64


class Landings:
    """What the compiler would say of a function."""

    def __init__(self, code: bytes, ints: int, floats: int, frame_size: int) -> None:
        self.code = code
        self.ints = ints
        self.floats = floats
        self.frame_size = frame_size
        self.scopes: list[tuple[int, list[tuple[int, int]]]] = []
        self.boundaries: list[tuple[int, int]] = []


class Module:
    """A module of functions made by hand."""

    def __init__(self) -> None:
        self._landings: Any = None
        self._lock = RLock()
        self.compiler = self
        self.functions: list[tuple[int, Landings]] = []
        #: The functions whose landings were asked for.
        self.asked: list[int] = []

    def _guard(self, store: object) -> RLock:
        return self._lock

    def _compute(self, store: object, verb: str, function: Callable[[int], Any], defined: int) -> Any:
        return function(defined)

    def _function_at(self, pc: int) -> tuple[int, int] | None:
        found = [(start, number) for number, (start, _) in enumerate(self.functions) if start <= pc]
        return max(found) if found else None

    def _code_of(self, defined: int, size: int) -> bytes:
        return self.functions[defined][1].code[:size]

    def landings(self, defined: int) -> Landings:
        """What the compiler would say of a function."""
        self.asked.append(defined)
        return self.functions[defined][1]


class Instance:
    """An instance of such a module, with a context that has tags, and then pointers to records."""

    def __init__(self, store: Store, module: Module, tags: int = 4, records: int = 32) -> None:
        self._module = self.module = module
        self.store = store
        self.block = Block(abi.CTX_HEADER + 8 * (tags + records))
        self.address = self.block.address
        self.block.cells[abi.CTX_STORE >> 3] = store._block.address
        self._first_record = abi.CTX_HEADER + 8 * tags
        self._records = 0
        for index in range(tags):
            self.block.cells[self.tag(index) >> 3] = self.address + self.tag(index)
        store._by_context[self.address] = self  # type: ignore[assignment]

    def tag(self, index: int) -> int:
        """The context offset of a tag."""
        return abi.CTX_HEADER + 8 * index

    def import_tag(self, index: int, other: Instance, theirs: int) -> None:
        """Let a tag be that of another instance."""
        self.block.cells[self.tag(index) >> 3] = other.block.cells[other.tag(theirs) >> 3]

    def record(self, record: Block) -> int:
        """The context offset of a new pointer to a record."""
        offset = self._first_record + 8 * self._records
        self._records += 1
        self.block.cells[offset >> 3] = record.address
        return offset


class World:
    """A store with an instance of a module made by hand."""

    def __init__(self) -> None:
        self.store = vw.Store()
        self.cells = self.store._cells
        self.exceptions: Exceptions = exceptions_of(self.store)
        self.module = Module()
        self.instance = Instance(self.store, self.module)
        self.code = CodeMemory()
        self.keep: list[object] = []

    def function(self, function: Function, instance: Instance | None = None) -> Block:
        """The record of a function."""
        instance = instance or self.instance
        landings = function.finish()
        address = self.code.publish(landings.code)
        instance.module.functions.append((address, landings))
        return self._record(address, instance.address, 0)

    def _record(self, code: int, context: int, callback: int) -> Block:
        record = Block(abi.RECORD_SIZE)
        record.cells[abi.RECORD_CODE >> 3] = code
        record.cells[abi.RECORD_CTX >> 3] = context
        record.cells[abi.RECORD_CALLBACK >> 3] = callback
        self.keep.append(record)
        return record

    def host(self, function: Callable[[], int]) -> Block:
        """The record of a host function without parameters and results, which says what is left in "failed"."""

        def callback(context: int, argc: int, argv: int) -> None:
            try:
                failed = function()
                self.cells[CELL_FAILED] = failed
            except BaseException as error:
                self.cells[CELL_FAILED] = abi.HOST_FAILURE
                self.store._pending = error

        made = native_callback(HostCallback, callback, self.store)
        self.keep.append(made)
        context = self.store._block.address + abi.STORE_HOST_CONTEXT
        return self._record(adapters().leave(":", set()), context, address_of(made))

    def call(self, record: Block, params: Sequence[int] = (), results: Sequence[int] = (), *bits: int) -> list[int]:
        """Call a function with values as bits; of its results the cells."""
        argv = Block(16 * max(len(params), len(results), 1))
        at = 0
        for code, value in zip(params, bits, strict=True):
            argv.cells[at] = value & (1 << 64) - 1
            at += 1
            if code == 4:
                argv.cells[at] = value >> 64
                at += 1
        self.cells[CELL_REAL_LIMIT] = stack_limit()
        enter = adapters().enter(f"{letters(params)}:{letters(results)}")
        number = enter(prebuilt(record.address), prebuilt(at), prebuilt(argv.address))
        if number == abi.HOST_FAILURE:
            error, self.store._pending = self.store._pending, None
            assert error is not None
            raise error
        if number:
            raise Trapped(number, self.store._block.trap().frames)
        width = sum(2 if code == 4 else 1 for code in results)
        return argv.cells[:width].tolist()


class Trapped(Exception):
    """A trap."""

    def __init__(self, number: int, frames: tuple[tuple[int, int], ...]) -> None:
        super().__init__(f"trap {number}")
        self.number = number
        self.frames = frames


class Function:
    """A function being put together.

    Args:
        ints, floats: how many registers it pins; the default is all.
        params: types of parameters, which go to the first slots.
        slots: how many slots it has.
        width: bytes of a slot.
    """

    def __init__(
        self,
        ints: int = PROCESSOR.ints,
        floats: int = PROCESSOR.floats,
        params: tuple[int, ...] = (),
        slots: int = 4,
        width: int = 8,
    ) -> None:
        from vibewasm.backends.operand import frame_local

        self.ints, self.floats, self.width = ints, floats, width
        self.base = (frames.locals_base(ints, floats, width) + 15) & -16
        self.size = (self.base + width * slots + 15) & -16
        self.area = frames.parameter_places(params)[1]
        self.code = bytearray(frames.prologue(self.size, ints, floats, False, 0)[0])
        if params:
            homes = tuple([frame_local(code, self.slot(index)) for index, code in enumerate(params)])
            self.code += frames.receive_parameters(params, homes, self.size)
            if HOST == "x86_64" and self.area:
                raise AssertionError("parameters in the argument area would stay there")
        self.scopes: list[tuple[int, list[tuple[int, int]]]] = []
        self.boundaries: list[tuple[int, int]] = []

    def slot(self, index: int) -> int:
        """The frame offset of a slot."""
        return frames.cell(self.base + self.width * index, self.width)

    def emit(self, *pieces: bytes) -> Function:
        """Append code."""
        for piece in pieces:
            self.code += piece
        return self

    def scope(self, outer: int = -1) -> int:
        """Open a scope: its number."""
        self.scopes.append((outer, []))
        return self.within(len(self.scopes) - 1)

    def within(self, number: int) -> int:
        """Let a scope, or -1, be in force from here on."""
        self.boundaries.append((len(self.code), number))
        return number

    def catch(self, scope: int, tag: int = -1) -> Function:
        """A clause of a scope catches here."""
        self.scopes[scope][1].append((tag, len(self.code)))
        return self

    def ret(self) -> Function:
        """Return."""
        return self.emit(frames.epilogue(self.size, self.ints, self.floats, self.area))

    def finish(self) -> Landings:
        """What the compiler would say of it."""
        landings = Landings(bytes(self.code), self.ints, self.floats, self.size)
        landings.scopes, landings.boundaries = self.scopes, self.boundaries
        return landings


def trap(number: int = 100) -> bytes:
    """Code that must not be reached."""
    return control.trap(number)


def set_result(value: int) -> bytes:
    """Make a number the integer result."""
    return native.set_result(value)


def registers(seed: int) -> Block:
    """Values for all pinned registers."""
    block = Block(8 * REGISTER_CELLS)
    for index in range(REGISTER_CELLS):
        block.cells[index] = (0x9E37_79B9_7F4A_7C15 * (seed * REGISTER_CELLS + index + 1)) & (1 << 64) - 1
    return block


def used(block: Block) -> list[int]:
    """The cells of such a block that stand for registers."""
    first = 8 if HOST == "x86_64" else 16
    cells: list[int] = block.cells.tolist()
    return cells[: PROCESSOR.ints] + cells[first : first + 2 * PROCESSOR.floats]
