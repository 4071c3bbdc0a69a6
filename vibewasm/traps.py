"""Traps: their numbers, what these mean, and the exceptions that they become (specification, "Traps")."""

from __future__ import annotations

from . import abi
from .errors import WasmError, check

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .binary.module_info import ModuleInfo

#: What a trap number in machine code means: ``{number: (code, message)}``. The messages are the official suite's.
TRAPS: dict[int, tuple[str, str]] = {
    abi.TRAP_UNREACHABLE: ("unreachable", "unreachable"),
    abi.TRAP_MEMORY_OUT_OF_BOUNDS: ("memory_out_of_bounds", "out of bounds memory access"),
    abi.TRAP_TABLE_OUT_OF_BOUNDS: ("table_out_of_bounds", "out of bounds table access"),
    abi.TRAP_NULL: ("indirect_call_to_null", "uninitialized element"),
    abi.TRAP_BAD_SIGNATURE: ("bad_signature", "indirect call type mismatch"),
    abi.TRAP_INTEGER_OVERFLOW: ("integer_overflow", "integer overflow"),
    abi.TRAP_DIVIDE_BY_ZERO: ("integer_divide_by_zero", "integer divide by zero"),
    abi.TRAP_BAD_CONVERSION: ("bad_conversion_to_integer", "invalid conversion to integer"),
    abi.TRAP_STACK_OVERFLOW: ("stack_overflow", "call stack exhausted"),
    abi.TRAP_UNDEFINED_ELEMENT: ("undefined_element", "undefined element"),
    abi.TRAP_OUT_OF_FUEL: ("out_of_fuel", "all fuel consumed"),
    abi.TRAP_INTERRUPTED: ("interrupted", "interrupted"),
    abi.TRAP_NULL_REFERENCE: ("null_reference", "null reference"),
    abi.TRAP_UNALIGNED_ATOMIC: ("unaligned_atomic", "unaligned atomic"),
    abi.TRAP_INVARIANT: ("invariant", "compiler invariant violated"),
    abi.TRAP_TOO_MANY_REFERENCES: ("too_many_references", "too many references"),
    abi.TRAP_EXCEPTION: ("uncaught_exception", "uncaught exception"),
}

#: What a null reference is called by the instruction that met it: all are faults of the same kind. The words are the
#: official suite's.
NULLS = {
    "call_ref": "null function reference",
    "return_call_ref": "null function reference",
    "throw_ref": "null exception reference",
    "ref.as_non_null": "null reference",
}

#: How many frames the text of an exception shows; ``Trap.frames`` has all that were recorded.
_FRAMES_SHOWN = 16


class Frame:
    """One activation of a wasm function at the time of a trap.

    Attributes:
        func_index: index in the module's function index space.
        func_name: from the name section or an export, or ``None``.
        module_name: from the name section, or ``None``.
        wasm_offset: of the instruction, in bytes from the start of the module, or ``None`` if unknown.
    """

    __slots__ = ("_info", "func_index", "func_name", "module_name", "wasm_offset")

    #: The module that the function is of, decoded; ``None`` of a frame that a trap did not leave. No copy has it.
    _info: ModuleInfo | None

    def __init__(
        self,
        func_index: int,
        func_name: str | None = None,
        module_name: str | None = None,
        wasm_offset: int | None = None,
    ) -> None:
        check(self, "func_index", func_index, int)
        check(self, "func_name", func_name, str, optional=True)
        check(self, "module_name", module_name, str, optional=True)
        check(self, "wasm_offset", wasm_offset, int, optional=True)
        self._info = None
        self.func_index = func_index
        self.func_name = func_name
        self.module_name = module_name
        self.wasm_offset = wasm_offset

    def _key(self) -> tuple[int, str | None, str | None, int | None]:
        return self.func_index, self.func_name, self.module_name, self.wasm_offset

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, Frame) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    def __reduce__(self) -> tuple[type[Frame], tuple[int, str | None, str | None, int | None]]:
        return Frame, self._key()

    def __repr__(self) -> str:
        return "Frame({!r}, {!r}, {!r}, {!r})".format(*self._key())

    def __str__(self) -> str:
        from .names import brief

        text = f"{brief(self.module_name)}!" if self.module_name else ""
        text += brief(self.func_name) if self.func_name else f"function {self.func_index}"
        return text if self.wasm_offset is None else f"{text} (at byte offset {self.wasm_offset:#x})"


def checked_frames(item: object, given: Sequence[Frame]) -> tuple[Frame, ...]:
    """The frames that an exception is made with.

    Raises:
        TypeError: they are something else.
    """
    where = type(item).__name__
    anything: object = given
    if isinstance(anything, str) or not hasattr(type(anything), "__iter__"):
        from .arguments import wrong

        raise wrong(where, "frames", "a sequence of Frame objects", given)
    frames = tuple(given)
    for index, frame in enumerate(frames):
        if not isinstance(frame, Frame):
            from .arguments import wrong

            raise wrong(where, f"frames[{index}]", "a Frame", frame)
    return frames


def with_frames(first: str, frames: Sequence[Frame]) -> str:
    """A line, and below it one for each frame, but no more than can be read."""
    lines = [first, *(f"  at {frame}" for frame in frames[:_FRAMES_SHOWN])]
    if len(frames) > _FRAMES_SHOWN:
        lines.append(f"  and {len(frames) - _FRAMES_SHOWN} more")
    return "\n".join(lines)


class Trap(WasmError):
    """Execution ended abnormally (specification, "Traps").

    Some traps are faults of the processor, whose signals (SIGSEGV, SIGBUS, SIGILL, SIGFPE) vibewasm handles, and passes
    on where they are none. A handler that C code of the process installs gets them until vibewasm notices, when
    something is instantiated and within 100 ms of a running call. What Python installs is noticed before the next
    call; docs/design.md, "Signals", names the two exceptions.

    Attributes:
        message: the official suite's words, such as ``"integer divide by zero"``.
        code: one of the codes in :data:`TRAPS`, such as ``"integer_divide_by_zero"``.
        frames: the wasm activations, innermost first; at most 64 are recorded.
    """

    #: Of an access to memory that the processor refused: its address in the memory, and the memory's size in bytes.
    _fault: tuple[int, int] | None

    def __init__(self, message: str, code: str, frames: Sequence[Frame] = ()) -> None:
        super().__init__(message)
        check(self, "code", code, str)
        frames = checked_frames(self, frames)
        self.args = (message, code, frames)
        self.code = code
        self.frames = frames
        self._fault = None

    def __str__(self) -> str:
        return with_frames(self.message, self.frames)


class OutOfFuel(Trap):
    """The store's fuel ran out."""

    def __init__(
        self, message: str = "all fuel consumed", code: str = "out_of_fuel", frames: Sequence[Frame] = ()
    ) -> None:
        super().__init__(message, code, frames)


class ExitTrap(WasmError):
    """The program ended itself with WASI's ``proc_exit``.

    Attributes:
        code: the exit code.
    """

    def __init__(self, code: int) -> None:
        check(self, "code", code, int)
        super().__init__(f"exited with code {code}")
        self.args = (code,)
        self.code = code
