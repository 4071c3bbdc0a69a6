"""Traps and their frames, with the texts that wasmtime gives them."""

from __future__ import annotations

from enum import Enum

from .managed import Managed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...traps import Frame as OurFrame
    from ...traps import Trap as OurTrap

#: Frames that wasmtime records.
_MOST_FRAMES = 20


class TrapCode(Enum):
    """Why a trap happened. Most codes are those of proposals, and occur nowhere here."""

    STACK_OVERFLOW = 0
    MEMORY_OUT_OF_BOUNDS = 1
    HEAP_MISALIGNED = 2
    TABLE_OUT_OF_BOUNDS = 3
    INDIRECT_CALL_TO_NULL = 4
    BAD_SIGNATURE = 5
    INTEGER_OVERFLOW = 6
    INTEGER_DIVISION_BY_ZERO = 7
    BAD_CONVERSION_TO_INTEGER = 8
    UNREACHABLE = 9
    INTERRUPT = 10
    OUT_OF_FUEL = 11
    ATOMIC_WAIT_NON_SHARED_MEMORY = 12
    NULL_REFERENCE = 13
    ARRAY_OUT_OF_BOUNDS = 14
    ALLOCATION_TOO_LARGE = 15
    CAST_FAILURE = 16
    CANNOT_ENTER_COMPONENT = 17
    NO_ASYNC_RESULT = 18
    UNHANDLED_TAG = 19
    CONTINUATION_ALREADY_CONSUMED = 20
    DISABLED_OPCODE = 21
    ASYNC_DEADLOCK = 22
    CANNOT_LEAVE_COMPONENT = 23
    CANNOT_BLOCK_SYNC_TASK = 24
    INVALID_CHAR = 25
    DEBUG_ASSERT_STRING_ENCODING_FINISHED = 26
    DEBUG_ASSERT_EQUAL_CODE_UNITS = 27
    DEBUG_ASSERT_POINTER_ALIGNED = 28
    DEBUG_ASSERT_UPPER_BITS_UNSET = 29
    STRING_OUT_OF_BOUNDS = 30
    LIST_OUT_OF_BOUNDS = 31
    INVALID_DISCRIMINANT = 32
    UNALIGNED_POINTER = 33
    TASK_CANCEL_NOT_CANCELLED = 34
    TASK_CANCEL_OR_RETURN_TWICE = 35
    SUBTASK_CANCEL_AFTER_TERMINAL = 36
    TASK_RETURN_INVALID = 37
    WAITABLE_SET_DROP_HAS_WAITERS = 38
    SUBTASK_DROP_NOT_RESOLVED = 39
    THREAD_NEW_INDIRECT_INVALID_TYPE = 40
    THREAD_NEW_INDIRECT_UNINITIALIZED = 41
    BACKPRESSURE_OVERFLOW = 42
    UNSUPPORTED_CALLBACK_CODE = 43
    CANNOT_RESUME_THREAD = 44
    CONCURRENT_FUTURE_STREAM_OP = 45
    REFERENCE_COUNT_OVERFLOW = 46
    STREAM_OP_TOO_BIG = 47
    WAITABLE_SYNC_AND_ASYNC = 48
    UNCAUGHT_EXCEPTION = 49


#: What our codes of traps are to wasmtime: the code, and the words of its message.
_TRAPS = {
    "unreachable": (TrapCode.UNREACHABLE, "wasm `unreachable` instruction executed"),
    "memory_out_of_bounds": (TrapCode.MEMORY_OUT_OF_BOUNDS, "out of bounds memory access"),
    "table_out_of_bounds": (TrapCode.TABLE_OUT_OF_BOUNDS, "undefined element: out of bounds table access"),
    "undefined_element": (TrapCode.TABLE_OUT_OF_BOUNDS, "undefined element: out of bounds table access"),
    "indirect_call_to_null": (TrapCode.INDIRECT_CALL_TO_NULL, "uninitialized element"),
    "bad_signature": (TrapCode.BAD_SIGNATURE, "indirect call type mismatch"),
    "integer_overflow": (TrapCode.INTEGER_OVERFLOW, "integer overflow"),
    "integer_divide_by_zero": (TrapCode.INTEGER_DIVISION_BY_ZERO, "integer divide by zero"),
    "bad_conversion_to_integer": (TrapCode.BAD_CONVERSION_TO_INTEGER, "invalid conversion to integer"),
    "stack_overflow": (TrapCode.STACK_OVERFLOW, "call stack exhausted"),
    "out_of_fuel": (TrapCode.OUT_OF_FUEL, "all fuel consumed by WebAssembly"),
    "interrupted": (TrapCode.INTERRUPT, "interrupt"),
    "null_reference": (TrapCode.NULL_REFERENCE, "null reference"),
    "unaligned_atomic": (TrapCode.HEAP_MISALIGNED, "unaligned atomic"),
}


class Frame(Managed):
    """One activation of a wasm function at the time of a trap."""

    _ours: OurFrame
    _func_name: str | None
    #: Where the function's locals are declared, in bytes from the start of the module, if that is known.
    _begin: int | None

    @classmethod
    def _of(cls, ours: OurFrame) -> Frame:
        self = cls.__new__(cls)
        self._ours = ours
        # Looked up here, since a copy in another process is without the module.
        info = ours._info
        if info is None:
            self._func_name, self._begin = ours.func_name, None
        else:
            self._func_name = info.func_names.get(ours.func_index)
            self._begin = info.bodies[ours.func_index - info.imported_funcs][0]
        return self

    @property
    def func_index(self) -> int:
        """Index of the function in its module."""
        self._check_open()
        return self._ours.func_index

    @property
    def func_name(self) -> str | None:
        """The function's name in the module's name section, or ``None``. That of an export is none."""
        self._check_open()
        return self._func_name

    @property
    def module_name(self) -> str | None:
        """The module's name in its name section, or ``None``."""
        self._check_open()
        return self._ours.module_name

    @property
    def module_offset(self) -> int:
        """Where the instruction is, in bytes from the start of the module; of one that is not known, the last number
        of 32 bits.
        """
        self._check_open()
        offset = self._ours.wasm_offset
        return 0xFFFF_FFFF if offset is None else offset

    @property
    def func_offset(self) -> int:
        """Where the instruction is, in bytes from the declaration of the function's locals."""
        offset = self.module_offset
        if self._begin is None or offset == 0xFFFF_FFFF:
            return 0xFFFF_FFFF
        return offset - self._begin

    def _line(self, index: int) -> str:
        """The frame in the text of its trap."""
        offset = self._ours.wasm_offset
        place = "" if offset is None else f"{offset:#8x} - "
        return f"{index:>5}: {place}{self.module_name or '<unknown>'}!{self._shown()}"

    def _shown(self) -> str:
        return self.func_name or f"<wasm function {self.func_index}>"


class Trap(Exception, Managed):
    """Wasm code ended abnormally. A Python function may raise one, too."""

    _message: str
    _frames: tuple[Frame, ...]
    _code: TrapCode | None

    def __init__(self, message: str) -> None:
        message.encode("utf-8", "surrogatepass")
        super().__init__(message)
        self._message = message
        self._frames = ()
        self._code = None

    @classmethod
    def _made(cls, message: str, code: TrapCode | None, frames: tuple[Frame, ...] = ()) -> Trap:
        self = cls(message)
        self._code = code
        self._frames = frames
        return self

    @classmethod
    def _of(cls, ours: OurTrap) -> Trap:
        code, words = _TRAPS.get(ours.code, (None, ours.message))
        message = f"wasm trap: {words}"
        if ours.frames and ours._fault is not None:
            place, size = ours._fault
            message = f"0: memory fault at wasm address {place:#x} in linear memory of size {size:#x}\n    1: {message}"
        return cls._with_frames(message, code, ours.frames)

    @classmethod
    def _thrown(cls, frames: Sequence[OurFrame]) -> Trap:
        """What an exception becomes that wasm code has thrown and that nobody has caught."""
        return cls._with_frames("thrown Wasm exception", None, frames)

    @classmethod
    def _with_frames(cls, message: str, code: TrapCode | None, ours: Sequence[OurFrame]) -> Trap:
        frames = tuple([Frame._of(frame) for frame in ours[:_MOST_FRAMES]])
        if frames:
            lines = "\n".join([frame._line(index) for index, frame in enumerate(frames)])
            message = f"error while executing at wasm backtrace:\n{lines}\n\nCaused by:\n    {message}\n"
        return cls._made(message, code, frames)

    @property
    def message(self) -> str:
        """What went wrong, with the wasm functions that were active."""
        self._check_open()
        return self._message

    @property
    def frames(self) -> list[Frame]:
        """The wasm functions that were active, innermost first, 20 at most."""
        self._check_open()
        return list(self._frames)

    @property
    def trap_code(self) -> TrapCode | None:
        """Why it happened; ``None`` of a trap that Python code has made."""
        self._check_open()
        return self._code

    def __str__(self) -> str:
        return self.message
