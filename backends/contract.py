"""What every backend offers: the types of its modules, which mypy checks at the end of this file.

Nothing imports this at run time. What each function does is said where it is defined; the x86-64 backend is the one to
read first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from .operand import Operand

#: Code, the result's entry, the temporaries free afterwards, and whether they are few.
Choice = tuple[bytes, Operand, int, bool]
#: The same with a gap in the code for a displacement or an immediate.
SplitChoice = tuple[bytes, bytes, Operand, int, bool]
#: Where parameters arrive: a register or a negative number, and the byte offset in the argument area.
Places = tuple[tuple[int, int], ...]


class SignalContext(Protocol):
    """Where a handler finds what was interrupted: offsets in ``ucontext_t`` and ``siginfo_t``; signal numbers."""

    registers: tuple[int, ...]
    pc: int
    code: int
    address: int
    sigill: int
    sigfpe: int


class Frames(Protocol):
    """Where a function keeps things, its prologue and its epilogue."""

    #: Frame offset of the argument area, where parameters that arrive there may stay; 0 if they may not.
    ARGUMENT_AREA: int
    #: From a cell of the frame to the next one, in bytes.
    STEP: int
    #: A frame up to this size needs no look at the stack limit for its size alone.
    SMALL_FRAME: int

    def locals_base(self, pinned_ints: int, pinned_floats: int) -> int: ...

    def cell(self, before: int) -> int: ...

    def parameter_places(self, types: tuple[int, ...]) -> tuple[Places, int]: ...

    def receive_parameters(self, types: tuple[int, ...], homes: tuple[Operand, ...], size: int) -> bytes: ...

    def zero_slots(self, first: int, count: int) -> bytes: ...

    def zero_pinned(self, homes: tuple[Operand, ...]) -> bytes: ...

    def prologue(self, size: int, ints: int, floats: int, check_limit: bool, reach: int) -> tuple[bytes, int, int]: ...

    def epilogue(self, size: int, ints: int, floats: int, area: int) -> bytes: ...

    def copy_slots(self, count: int, source: int, target: int) -> bytes: ...


class Control(Protocol):
    """Jumps, tests, and traps."""

    #: Loops and the code behind a prologue begin at multiples of this many bytes.
    LOOP_ALIGNMENT: int
    #: The last number of a reach: a function is compiled for 0, or for what :meth:`reach` gives, up to this.
    LONGEST_REACH: int

    def reach(self, size: int) -> int: ...

    def trap(self, number: int) -> bytes: ...

    def pad(self, count: int) -> bytes: ...

    def jump_table_entries(self, table: int, targets: list[int]) -> bytes: ...

    def test(self, condition: Operand) -> tuple[bytes, int]: ...

    def jump(self) -> bytes: ...

    def jump_if(self, condition: int, reach: int) -> tuple[bytes, ...]: ...

    def jump_back(self, distance: int) -> bytes: ...

    def jump_back_if(self, condition: int, distance: int) -> bytes: ...

    # Not a method: a backend may hand out a function of the standard library.
    @property
    def patch(self) -> Callable[[bytearray, int, int], None]: ...

    def table_index(self, index: Operand) -> tuple[bytes, int, int]: ...

    def jump_table(self, index: int, count: int, scratch: int, reach: int) -> tuple[bytes, bytes, bytes]: ...

    def poll(self, reach: int) -> tuple[bytes, bytes]: ...

    def use_fuel(self, scratch: int, reach: int) -> tuple[bytes, bytes]: ...

    def set_fuel(self, code: bytearray, site: int, amount: int) -> None: ...

    def check_zero_extended(self, reg: int, scratch: int) -> bytes: ...


class Calls(Protocol):
    """Arguments and results where the callee expects them, and the calls themselves."""

    #: Bits of the registers that the first integer and the first float of several results return in.
    RESULT_BITS: int
    #: Where an index travels besides arguments: its type, its register, and the register's bit.
    INDEX_PLAN: tuple[int, int, int]

    def arguments(
        self, operands: tuple[Operand, ...], free: int, types: tuple[int, ...], index: Operand | None = None
    ) -> bytes: ...

    def arguments_from_slots(self, types: tuple[int, ...], first_slot: int) -> bytes: ...

    def argument_plan(self, types: tuple[int, ...]) -> tuple[bytes, tuple[tuple[int, int, int], ...]]: ...

    def argument(self, operand: Operand, reg: int) -> bytes | None: ...

    def call_slot(self, offset: int) -> bytes: ...

    def call_self(self) -> bytes: ...

    def call_record(self, offset: int) -> bytes: ...

    def call_table(self, table: int, type_id: int, reach: int) -> tuple[bytes, bytes, bytes]: ...

    def call_builtin(self, number: int) -> bytes: ...

    def call_bulk(self, fill: bool, destination: int, source: int) -> bytes: ...

    def bulk_arguments(self, operands: tuple[Operand, Operand, Operand]) -> bytes: ...

    def fetch_results(self, types: tuple[int, ...], first_slot: int) -> bytes: ...

    def return_results(self, types: tuple[int, ...], first_slot: int) -> bytes: ...


class Stubs(Protocol):
    """Code between Python and wasm functions."""

    #: Bytes from one lazy entry to the next.
    LAZY_ENTRY_SIZE: int

    def enter(self, signature: str) -> bytes: ...

    def leave(self, signature: str) -> bytes: ...

    def unwind(self) -> bytes: ...

    def poll(self) -> bytes: ...

    def lazy_table(self, first: int, count: int) -> bytes: ...

    def lazy_common(self) -> bytes: ...

    def memory_copy(self) -> bytes: ...

    def memory_fill(self) -> bytes: ...

    def fault_handler(self, table: int, previous: int, context: SignalContext) -> bytes: ...


class BuiltinStubs(Protocol):
    """Entries of builtins."""

    def builtin_call(self, number: int) -> bytes: ...


class Target(Protocol):
    """Which machine code is chosen for an instruction."""

    #: Number of the registers, one of each class, that a single result returns in.
    RESULT_REGISTER: int
    #: Masks of temporaries.
    ALL_FREE: int
    INT_TEMPORARIES: int
    #: Registers that hold locals, in the order in which they are given out.
    PINNED_INTS: tuple[int, ...]
    PINNED_FLOATS: tuple[int, ...]
    #: What was chosen before: the compiler's loop looks here itself.
    MEMO: dict[tuple[object, ...], Any]
    #: The compiler's own notes, which differ from one backend to the other: what an instruction becomes by a constant,
    #: and the moves of arguments by type and register.
    WITH_CONSTANT: dict[tuple[int, Operand], tuple[int, Operand, Operand | None, tuple[bytes, ...]]]
    STORED: dict[tuple[int, Operand], tuple[Operand, bytes]]
    DISPLACEMENTS: dict[int, tuple[int, bytes]]
    #: Displacements of offsets below 128; an offset from the second number on has none.
    SHORT_DISPLACEMENTS: tuple[tuple[int, bytes], ...]
    FAR_OFFSET: int
    MOVES: dict[tuple[int, int], Any]
    FETCHES: dict[tuple[Operand, int], tuple[bytes, Operand, int]]
    #: Instructions that the backend may have a rule for together with the next one.
    FUSED: frozenset[str]

    def load_all(self) -> None: ...

    def is_tight(self, free: int) -> bool: ...

    def rule(self, name: str) -> Callable[..., Operand]: ...

    def claims(self, name: str) -> int: ...

    def remember(self, key: tuple[object, ...], value: tuple[object, ...]) -> None: ...

    def fusion(self, first: str, second: str, by_constant: bool) -> Callable[..., Operand] | None: ...

    def immediate(self, name: str, constant: Operand) -> tuple[Operand | None, tuple[bytes, ...]]: ...

    def stored(self, name: str, constant: Operand) -> tuple[Operand, bytes]: ...

    def displacement(self, offset: int) -> tuple[int, bytes]: ...

    def lower(
        self, rule: Callable[..., Operand], operands: tuple[Operand, ...], free: int, sink: Operand | None
    ) -> Choice: ...

    def lower_immediate(
        self, rule: Callable[..., Operand], a: Operand, stand_in: Operand, free: int, sink: Operand | None
    ) -> SplitChoice: ...

    def lower_select(self, operands: tuple[Operand, Operand, Operand], free: int, sink: Operand | None) -> Choice: ...

    def lower_load(self, name: str, a: Operand, form: int, free: int, sink: Operand | None) -> SplitChoice: ...

    def lower_store(self, name: str, a: Operand, b: Operand, form: int, free: int) -> tuple[bytes, bytes, int]: ...

    def lower_far_load(
        self, name: str, a: Operand, offset: int, size: int, checked: bool, free: int, sink: Operand | None
    ) -> Choice: ...

    def lower_far_store(
        self, name: str, a: Operand, b: Operand, offset: int, size: int, checked: bool, free: int
    ) -> tuple[bytes, int]: ...

    def lower_read(self, kind: str, free: int, sink: Operand | None, *arguments: object) -> Choice: ...

    def lower_write(self, kind: str, free: int, *arguments: object) -> tuple[bytes, int]: ...

    def move_to_local(self, operand: Operand, local: Operand, free: int) -> bytes: ...

    def move_to_slot(self, operand: Operand, offset: int, free: int) -> bytes: ...

    def move_to_register(self, operand: Operand, reg: int, free: int) -> bytes: ...

    def fetch(self, operand: Operand, free: int) -> tuple[bytes, Operand, int]: ...

    def copy_to_temporary(self, operand: Operand, free: int) -> tuple[bytes, Operand, int]: ...


if TYPE_CHECKING:
    from .aarch64 import builtin_stubs as a64_builtin_stubs
    from .aarch64 import calls as a64_calls
    from .aarch64 import control as a64_control
    from .aarch64 import frames as a64_frames
    from .aarch64 import stubs as a64_stubs
    from .aarch64 import target as a64_target
    from .x86_64 import builtin_stubs as x64_builtin_stubs
    from .x86_64 import calls as x64_calls
    from .x86_64 import control as x64_control
    from .x86_64 import frames as x64_frames
    from .x86_64 import stubs as x64_stubs
    from .x86_64 import target as x64_target

    _frames: list[Frames] = [x64_frames, a64_frames]
    _control: list[Control] = [x64_control, a64_control]
    _calls: list[Calls] = [x64_calls, a64_calls]
    _stubs: list[Stubs] = [x64_stubs, a64_stubs]
    _builtin_stubs: list[BuiltinStubs] = [x64_builtin_stubs, a64_builtin_stubs]
    _target: list[Target] = [x64_target, a64_target]
