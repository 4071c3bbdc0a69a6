"""Readers of the contents of sections that every module with functions has, one function a section (specification,
"Binary Format / Modules"). Those of the others are in :mod:`.definitions`.

Each takes the module so far, the position where the contents begin and the position where the section ends, and
returns the position where it stopped; the caller compares that with the end. As in the reference interpreter a reader
may run into the bytes after its section before that shows. Reading past the end of the module raises ``IndexError``,
which the caller turns into the right error. Nothing is allocated on the word of a count: items are appended as they
are read.
"""

from __future__ import annotations

from ..errors import DecodeError, ValidationError
from ..types import VALUE_TYPES, FuncType
from .leb128 import u32
from .module_info import TAG, Bodies, Export, ModuleInfo
from .support import (
    MAX_EXPORTS,
    MAX_FUNCTION_SIZE,
    MAX_FUNCTIONS,
    MAX_PARAMS,
    MAX_RESULTS,
    MAX_STRING_SIZE,
    MAX_TYPES,
    sized,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable

UNEXPECTED_END = "unexpected end of section or function"

FUNC_FORM = 0x60

_NO_CODE = 0xFF
#: Places of so many function bodies are kept as objects, which are fastest; those of more, as numbers.
_FEW_BODIES = 1 << 12
_NO_NUMBERS = memoryview(b"")
#: So many types are looked for among those before: all that there are of less than seven bytes.
_KNOWN_TYPES = 1 << 14
#: Turns bytes of value types into the engine's codes, and every other byte into ``_NO_CODE``.
_CODES = bytes([VALUE_TYPES.get(byte, _NO_CODE) for byte in range(256)])


def read_count(data: bytes, pos: int, end: int, most: int, what: str) -> tuple[int, int]:
    """The length of a vector, whose items take at least one byte each.

    Raises:
        DecodeError: the rest of the section is shorter than that.
        ValidationError: there are more than ``most``.
    """
    count, after = u32(data, pos)
    if count > end - after:
        raise DecodeError(f"{UNEXPECTED_END}: {count} {what} do not fit into {sized(max(0, end - after))}", pos)
    if count > most:
        raise ValidationError(f"implementation limit: {count} {what}, at most {most} are supported", pos)
    return count, after


def read_name(data: bytes, pos: int) -> tuple[str, int]:
    """A name.

    Raises:
        DecodeError: longer than the module, or not UTF-8.
        ValidationError: longer than names are supported.
    """
    size = data[pos]
    if size < 0x80:
        start = pos + 1
    else:
        size, start = u32(data, pos)
    after = start + size
    if after > len(data):
        raise DecodeError(f"length out of bounds: a name of {sized(size)}", pos)
    if size > MAX_STRING_SIZE:
        raise ValidationError(f"implementation limit: a name of {size} bytes, at most {MAX_STRING_SIZE}", pos)
    try:
        return str(data[start:after], "utf-8"), after
    except UnicodeDecodeError as error:
        raise DecodeError("malformed UTF-8 encoding", start + error.start) from None


def type_section(info: ModuleInfo, pos: int, end: int) -> int:
    """Function types, into ``types``."""
    data = info.data
    types = info.types
    # Equal encodings share one object: they save time, and memory in modules that repeat a type a million times.
    known: dict[bytes, FuncType] = {}
    most = _KNOWN_TYPES
    many: list[FuncType] | None = None
    count, pos = read_count(data, pos, end, MAX_TYPES, "types")
    for _ in range(count):
        start = pos + 1
        params, middle = _result_type(data, start, MAX_PARAMS, "parameters") if data[pos] == FUNC_FORM else (None, 0)
        results, after = _result_type(data, middle, MAX_RESULTS, "results") if params is not None else (None, 0)
        if params is None or results is None:
            # What is no function of the usual types.
            from .recursive_types import recursive_types

            pos = recursive_types(info, pos)
            if info.types is not types:
                many = info.types
            continue
        pos = after
        if many is not None:
            many.append_at(start - 1)  # type: ignore[attr-defined]  # see .many_types
            continue
        encoding = data[start:pos]
        type_ = known.get(encoding)
        if type_ is None:
            if len(known) == most:
                known.clear()
            type_ = known[encoding] = FuncType.from_codes(params, results)
        types.append(type_)
    return pos


def _result_type(data: bytes, pos: int, most: int, what: str) -> tuple[tuple[int, ...] | None, int]:
    """A vector of value types, as codes, or ``None`` where not each of them is one byte."""
    count, start = read_count(data, pos, len(data), most, what)
    after = start + count
    codes = data[start:after].translate(_CODES)
    return (tuple(codes), after) if _NO_CODE not in codes else (None, 0)


#: Indices that are read at once.
_AT_ONCE = 1 << 20


def function_section(info: ModuleInfo, pos: int, end: int) -> int:
    """Type indices of the defined functions, into ``func_type_indices``."""
    count, pos = read_count(info.data, pos, end, MAX_FUNCTIONS, "functions")
    return indices(info.data, pos, end, count, info.func_type_indices)


def indices(data: bytes, pos: int, end: int, count: int, into: list[int] | array[int]) -> int:
    """Read ``count`` indices."""
    run = data[pos : pos + count]
    if run.isascii() and len(run) == count:
        # All of them one byte long. Many take a while, in which nothing else could be done.
        for start in range(0, count, _AT_ONCE):
            into.extend(run[start : start + _AT_ONCE])
        return pos + count
    append = into.append
    for _ in range(count):
        index = data[pos]
        if index < 0x80:
            pos += 1
        else:
            byte = data[pos + 1]
            if byte < 0x80:
                index += (byte << 7) - 0x80
                pos += 2
            else:
                index, pos = u32(data, pos)
        append(index)
    return pos


def export_section(info: ModuleInfo, pos: int, end: int) -> int:
    """Exports, into ``exports``."""
    data = info.data
    exports = info.exports
    count, pos = read_count(data, pos, end, MAX_EXPORTS, "exports")
    for _ in range(count):
        start = pos
        name, pos = read_name(data, pos)
        kind = data[pos]
        if kind > TAG:
            raise DecodeError(f"malformed export kind {kind:#04x}", pos)
        index, pos = u32(data, pos + 1)
        exports.append(Export(name, kind, index, start))
    return pos


def start_section(info: ModuleInfo, pos: int, end: int) -> int:
    """The start function, into ``start``."""
    info.start_position = pos
    info.start, pos = u32(info.data, pos)
    return pos


def code_section(info: ModuleInfo, pos: int, end: int) -> int:
    """Where function bodies lie, into ``bodies``."""
    data = info.data
    count, pos = read_count(data, pos, end, MAX_FUNCTIONS, "function bodies")
    append: Callable[[tuple[int, int]], None] | None = None
    starts = ends = _NO_NUMBERS
    if count <= _FEW_BODIES:
        append = info.bodies.append
    else:
        # There are at least as many bytes.
        short = end < 1 << 32
        room = memoryview(bytearray((8 if short else 16) * count))
        numbers = room.cast("I") if short else room.cast("Q")
        starts, ends = numbers[:count], numbers[count:]
        info.bodies = Bodies(starts, ends)  # type: ignore[assignment]  # users of the list cannot tell
    for number in range(count):
        # A hot loop: sizes of one and two bytes are read here.
        size = data[pos]
        if size < 0x80:
            first = pos + 1
        else:
            byte = data[pos + 1]
            if byte < 0x80:
                size += (byte << 7) - 0x80
                first = pos + 2
            else:
                size, first = u32(data, pos)
                if size > MAX_FUNCTION_SIZE and first + size <= end:
                    raise ValidationError(
                        f"implementation limit: a function body of {size} bytes, at most {MAX_FUNCTION_SIZE}", pos
                    )
        pos = first + size
        if pos > end:
            raise DecodeError(f"{UNEXPECTED_END}: a function body of {sized(size)}", first)
        if size < 2:
            raise DecodeError(f"{UNEXPECTED_END}: a function body of {sized(size)}", first)
        if append is not None:
            append((first, pos))
        else:
            starts[number] = first
            ends[number] = pos
    return pos
