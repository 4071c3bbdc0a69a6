"""Every exception that the engine raises on purpose, and the table of trap numbers.

:class:`WasmError` is the root, so ``except WasmError`` catches whatever a module, good or bad, can cause.
An exception of a host function is not among them: it passes through wasm unchanged.

All exceptions can be pickled and copied.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "TRAPS",
    "TRAP_NUMBERS",
    "DecodeError",
    "ExitTrap",
    "Frame",
    "Interrupted",
    "LinkError",
    "OutOfFuel",
    "Trap",
    "ValidationError",
    "WasmError",
    "WatError",
]

#: What a trap number in machine code means: ``{number: (code, message)}``. The messages are the official suite's.
TRAPS: dict[int, tuple[str, str]] = {
    1: ("unreachable", "unreachable"),
    2: ("memory_out_of_bounds", "out of bounds memory access"),
    3: ("table_out_of_bounds", "out of bounds table access"),
    4: ("indirect_call_to_null", "uninitialized element"),
    5: ("bad_signature", "indirect call type mismatch"),
    6: ("integer_overflow", "integer overflow"),
    7: ("integer_divide_by_zero", "integer divide by zero"),
    8: ("bad_conversion_to_integer", "invalid conversion to integer"),
    9: ("stack_overflow", "call stack exhausted"),
    10: ("undefined_element", "undefined element"),
    11: ("out_of_fuel", "all fuel consumed"),
    12: ("interrupted", "interrupted"),
    13: ("null_reference", "null reference"),
    14: ("unaligned_atomic", "unaligned atomic"),
    15: ("invariant", "compiler invariant violated"),
}

#: The number of each trap code, the inverse of :data:`TRAPS`.
TRAP_NUMBERS: dict[str, int] = {code: number for number, (code, _) in TRAPS.items()}

#: How many frames of a trap its text shows; ``Trap.frames`` has all that were recorded.
_FRAMES_SHOWN = 16


class WasmError(Exception):
    """Root of the engine's exceptions.

    Attributes:
        message: what is wrong, without the place.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return self.message


class DecodeError(WasmError):
    """The bytes are not a module: malformed in the sense of the specification, "Binary Format".

    Attributes:
        message: what is wrong, beginning with the official suite's words where it has some.
        offset: where, in bytes from the start of the module.
    """

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.args = (message, offset)
        self.offset = offset

    def __str__(self) -> str:
        return f"{self.message} (at byte offset {self.offset:#x})"


class WatError(DecodeError):
    """Text that is not a module: malformed in the sense of the specification, "Text Format".

    Attributes:
        message: what is wrong, beginning with the official suite's words where it has some.
        offset: where, in characters from the start of the text.
        line, column: the same place, both counted from 1.
        source_line: the text of that line.
    """

    def __init__(self, message: str, offset: int, line: int, column: int, source_line: str) -> None:
        super().__init__(message, offset)
        self.args = (message, offset, line, column, source_line)
        self.line = line
        self.column = column
        self.source_line = source_line

    def __str__(self) -> str:
        # A window of the line, so that a file of one long line does not fill the screen.
        first = max(0, self.column - 61)
        shown = self.source_line[first : first + 100].replace("\t", " ")
        caret = " " * (self.column - 1 - first) + "^"
        return f"{self.message} (line {self.line}, column {self.column})\n  {shown}\n  {caret}"


class ValidationError(WasmError):
    """The module is well-formed but invalid, uses a feature that is not built, or is beyond an implementation limit.

    Attributes:
        message: what is wrong, beginning with the official suite's words where it has some.
        offset: where, in bytes from the start of the module, or ``None`` when it is no one place.
        func_index: index of the function whose body is at fault, in the module's function index space, or ``None``.
        func_name: that function's name in the name section, or ``None``.
    """

    def __init__(
        self, message: str, offset: int | None = None, func_index: int | None = None, func_name: str | None = None
    ) -> None:
        super().__init__(message)
        self.args = (message, offset, func_index, func_name)
        self.offset = offset
        self.func_index = func_index
        self.func_name = func_name

    def __str__(self) -> str:
        place = []
        if self.func_index is not None:
            place.append(f"in function {self.func_index}" + (f" <{self.func_name}>" if self.func_name else ""))
        if self.offset is not None:
            place.append(f"at byte offset {self.offset:#x}")
        return f"{self.message} ({', '.join(place)})" if place else self.message


class LinkError(WasmError):
    """An import is missing or has another type than the module wants (specification, "Instantiation")."""


class Frame:
    """One activation of a wasm function at the time of a trap.

    Attributes:
        func_index: index in the module's function index space.
        func_name: from the name section or an export, or ``None``.
        module_name: from the name section, or ``None``.
        wasm_offset: of the instruction, in bytes from the start of the module, or ``None`` if unknown.
    """

    __slots__ = ("func_index", "func_name", "module_name", "wasm_offset")

    def __init__(
        self,
        func_index: int,
        func_name: str | None = None,
        module_name: str | None = None,
        wasm_offset: int | None = None,
    ) -> None:
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
        text = f"{self.module_name}!" if self.module_name else ""
        text += self.func_name or f"function {self.func_index}"
        return text if self.wasm_offset is None else f"{text} (at byte offset {self.wasm_offset:#x})"


class Trap(WasmError):
    """Execution ended abnormally (specification, "Traps").

    Attributes:
        message: the official suite's words, such as ``"integer divide by zero"``.
        code: one of the codes in :data:`TRAPS`, such as ``"integer_divide_by_zero"``.
        frames: the wasm activations, innermost first; at most 64 are recorded.
    """

    def __init__(self, message: str, code: str, frames: Sequence[Frame] = ()) -> None:
        super().__init__(message)
        self.args = (message, code, tuple(frames))
        self.code = code
        self.frames = tuple(frames)

    def __str__(self) -> str:
        lines = [self.message, *(f"  at {frame}" for frame in self.frames[:_FRAMES_SHOWN])]
        if len(self.frames) > _FRAMES_SHOWN:
            lines.append(f"  and {len(self.frames) - _FRAMES_SHOWN} more")
        return "\n".join(lines)


class OutOfFuel(Trap):
    """The store's fuel ran out."""

    def __init__(
        self, message: str = "all fuel consumed", code: str = "out_of_fuel", frames: Sequence[Frame] = ()
    ) -> None:
        super().__init__(message, code, frames)


class Interrupted(WasmError):
    """``Store.interrupt()`` or a deadline stopped the running call."""

    def __init__(self, message: str = "interrupted") -> None:
        super().__init__(message)


class ExitTrap(WasmError):
    """The program ended itself with WASI's ``proc_exit``.

    Attributes:
        code: the exit code.
    """

    def __init__(self, code: int) -> None:
        super().__init__(f"exited with code {code}")
        self.args = (code,)
        self.code = code
