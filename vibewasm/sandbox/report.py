"""What the child process says to its parent: lines of JSON, of which nothing is believed before it was looked at.

The child's first line is written before anything of a stranger's has run: what could not be put in force. The last one
says how the run ended. A child that was taken over may write anything, so lines are short, their shape is checked to
the last field, and texts cannot command a terminal.
"""

from __future__ import annotations

import json

from ..errors import DecodeError, Interrupted, LinkError, Stopped, ValidationError, WasmError
from ..limits import LIMITS
from ..names import escaped
from ..traps import ExitTrap, Frame, OutOfFuel, Trap, with_frames
from .errors import SandboxLimit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

#: Bytes of all lines together; results are the most of it.
MOST = 4 << 20
#: Characters of a text that is shown.
_LONGEST_TEXT = 20_000
#: Characters of a line of text that is at fault.
_LONGEST_LINE = 10_000
_MOST_FRAMES = 64
_MOST_RESULTS = 1000

#: The classes by which an error may be called.
_ERRORS = {kind.__name__ for kind in (WasmError, LinkError, Interrupted, Trap, OutOfFuel, DecodeError, ValidationError)}
#: That of text is one more, and loaded where there is text only: it comes with all that reads and writes some.
_ERRORS.add("WatError")


#: What a line about an error may have.
_FIELDS = {"error", "text", "frames", "code", "offset", "place", "function", "limit"}


class Forged(ValueError):
    """A line that the child of this package does not write."""


# -- in the child ------------------------------------------------------------------------------------------------------


def line(**fields: Any) -> bytes:
    """One line."""
    return json.dumps(fields, ensure_ascii=True, allow_nan=False).encode() + b"\n"


def ended(error: BaseException, seconds: float | None = None, met: Sequence[str] = ()) -> bytes:
    """The line for an exception that ended the run.

    Args:
        seconds: how many the run was given.
        met: the limits of its store that it has met.
    """
    if isinstance(error, ExitTrap):
        return line(exit=error.code, met=met)
    if isinstance(error, MemoryError):
        return line(limit="memory", text="there is no memory for more", met=met)
    name = next((kind.__name__ for kind in type(error).__mro__ if kind.__name__ in _ERRORS), None)
    if name is None:
        # Not of a guest's making: what a host of the same call would get as it is.
        return line(error="WasmError", text=f"{type(error).__name__}: {error}"[:_LONGEST_TEXT], met=met)
    text = getattr(error, "message", str(error))
    if isinstance(error, Interrupted):
        from ..counting import counted

        after = "" if seconds is None else f" after {counted(seconds, 'second', 'g')}"
        text = with_frames(f"stopped{after}", error.frames)
    elif isinstance(error, Stopped):
        text = f"uncaught {error}"
    fields: dict[str, Any] = {"error": name, "text": text[:_LONGEST_TEXT], "met": met}
    if isinstance(error, (DecodeError, ValidationError)):
        fields["offset"] = error.offset
    if name == "WatError":
        from ..wat.errors import WatError

        assert isinstance(error, WatError)
        if len(error.source_line) <= _LONGEST_LINE:
            fields["place"] = [error.line, error.column, error.source_line.replace("\t", " ")]
        else:
            fields.update(error="DecodeError", text=f"{error.message} (line {error.line}, column {error.column})")
    if isinstance(error, ValidationError):
        fields["function"] = [error.func_index, _cut(error.func_name), error.feature]
    if isinstance(error, Trap):
        fields["code"] = error.code
    if isinstance(error, WasmError) and error.limit:
        fields["limit"] = error.limit
    frames: Sequence[Frame] = getattr(error, "frames", ())
    fields["frames"] = [
        [frame.func_index, _cut(frame.func_name), _cut(frame.module_name), frame.wasm_offset]
        for frame in frames[:_MOST_FRAMES]
    ]
    return line(**fields)


def returned(values: Sequence[object], met: Sequence[str] = ()) -> bytes:
    """The line for what a function returned.

    Args:
        met: the limits of its store that it has met.

    Raises:
        WasmError: one of the values is an object, which cannot leave its process.
    """
    texts: list[str | None] = []
    for value in values:
        if isinstance(value, float):
            texts.append(value.hex())
        elif isinstance(value, int):
            texts.append(str(value))
        elif value is None:
            texts.append(None)
        else:
            raise WasmError(f"a {type(value).__name__} cannot leave the process of its run: return numbers")
    return line(results=texts, met=met)


def _cut(name: str | None) -> str | None:
    return name if name is None or len(name) <= 1000 else name[:997] + "..."


# -- in the parent -----------------------------------------------------------------------------------------------------


class End:
    """How a run ended, as its process says: ``results``, ``exit_code`` or ``error``, and limits that were reached."""

    __slots__ = ("error", "exit_code", "limits", "results")

    def __init__(
        self,
        results: tuple[Any, ...] = (),
        exit_code: int | None = None,
        error: WasmError | None = None,
        limits: tuple[str, ...] = (),
    ) -> None:
        self.results = results
        self.exit_code = exit_code
        self.error = error
        self.limits = limits


def read_missing(data: bytes, known: Sequence[str]) -> dict[str, str]:
    """What the first line says.

    Raises:
        Forged: it is no such line.
    """
    fields = _fields(data)
    missing = fields.get("missing")
    if set(fields) != {"missing"} or not isinstance(missing, dict):
        raise Forged("it does not say what is missing")
    return {_one_of(name, known): _text(why) for name, why in missing.items()}


def read_end(data: bytes) -> End:
    """What the last line says.

    Raises:
        Forged: it is no such line.
    """
    fields = _fields(data)
    met = [_one_of(name, tuple(LIMITS)) for name in _list(fields.pop("met", []), len(LIMITS))]
    end = _how(fields)
    end.limits = tuple(dict.fromkeys((*end.limits, *met)))
    return end


def _how(fields: dict[str, Any]) -> End:
    keys = set(fields)
    if keys == {"exit"}:
        return End(exit_code=_number(fields["exit"], 0, (1 << 32) - 1))
    if keys == {"results"}:
        return End(results=tuple(map(_value, _list(fields["results"], _MOST_RESULTS))))
    if keys == {"limit", "text"}:
        name = _one_of(fields["limit"], ("memory",))
        return End(error=SandboxLimit(_text(fields["text"]), name), limits=(name,))
    if not {"error", "text", "frames"} <= keys <= _FIELDS:
        if keys != {"error", "text"}:
            raise Forged(f"its fields are {sorted(keys)[:10]}")
    return _error(fields)


def _error(fields: dict[str, Any]) -> End:
    end = _error_as_named(fields)
    if fields.get("limit") is not None:
        assert end.error is not None
        end.error.limit = limit = _text(fields["limit"], 100)
        end.limits = (*end.limits, limit)
    return end


def _error_as_named(fields: dict[str, Any]) -> End:
    name = _one_of(fields["error"], tuple(_ERRORS))
    text = _text(fields["text"])
    frames = tuple(map(_frame, _list(fields.get("frames", []), _MOST_FRAMES)))
    offset = None if fields.get("offset") is None else _number(fields["offset"], 0, 1 << 40)
    if name in ("Trap", "OutOfFuel"):
        code = _text(fields.get("code"), 100)
        error: WasmError = (OutOfFuel if name == "OutOfFuel" else Trap)(text, code, frames)
        return End(error=error, limits=("fuel",) if name == "OutOfFuel" else ())
    if name == "Interrupted":
        return End(error=SandboxLimit(text, "timeout"), limits=("timeout",))
    if name == "DecodeError":
        return End(error=DecodeError(text, offset or 0))
    if name == "WatError":
        place = _list(fields.get("place"), 3)
        if len(place) != 3:
            raise Forged("a place in a text is a line, a column and what is there")
        from ..wat.errors import WatError

        line, column = _number(place[0], 1, 1 << 40), _number(place[1], 1, _LONGEST_LINE + 1)
        return End(error=WatError(text, offset or 0, line, column, _text(place[2], _LONGEST_LINE)))
    if name == "ValidationError":
        function = _list(fields.get("function"), 3)
        if len(function) != 3:
            raise Forged("a function is a number, a name and a proposal")
        index = None if function[0] is None else _number(function[0], 0, 1 << 32)
        func_name, feature = (None if item is None else _text(item, 1000) for item in function[1:])
        return End(error=ValidationError(text, offset, index, func_name, feature))
    if name == "LinkError":
        # A copy is made from what it is made with.
        limit = None if fields.get("limit") is None else _text(fields["limit"], 100)
        return End(error=LinkError(text, (), limit))
    return End(error=WasmError(text))


def _frame(item: object) -> Frame:
    parts = _list(item, 4)
    if len(parts) != 4:
        raise Forged("a frame has four parts")
    names = [None if part is None else _text(part, 1000) for part in parts[1:3]]
    offset = None if parts[3] is None else _number(parts[3], 0, 1 << 40)
    return Frame(_number(parts[0], 0, 1 << 32), names[0], names[1], offset)


def _value(item: object) -> int | float | None:
    if item is None:
        return None
    if not isinstance(item, str) or len(item) > 50:
        raise Forged("a value is a short text")
    try:
        return int(item) if item.lstrip("-").isdigit() and item.isascii() else float.fromhex(item)
    except (ValueError, OverflowError):
        raise Forged("a value is a number") from None


def _fields(data: bytes) -> dict[str, Any]:
    def refuse(constant: str) -> object:
        raise Forged(f"it has {constant}")

    try:
        fields = json.loads(data.decode("ascii"), parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise Forged(str(error)[:200]) from None
    if not isinstance(fields, dict):
        raise Forged("it is no object")
    return fields


def _text(item: object, most: int = _LONGEST_TEXT) -> str:
    """A text whose lines can be shown anywhere."""
    if not isinstance(item, str) or len(item) > most:
        raise Forged(f"a text has at most {most} characters")
    return "\n".join(map(escaped, item.split("\n")))


def _number(item: object, least: int, most: int) -> int:
    if type(item) is not int or not least <= item <= most:
        raise Forged(f"a number is from {least} to {most}")
    return item


def _list(item: object, most: int) -> list[Any]:
    if not isinstance(item, list) or len(item) > most:
        raise Forged(f"a list has at most {most} items")
    return item


def _one_of(item: object, among: Sequence[str]) -> str:
    if not isinstance(item, str) or item not in among:
        raise Forged("a name is one of a few")
    return item
