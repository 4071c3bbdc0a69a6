"""Which function is the first to have an instruction of a kind, without validation: for tools.

One regular expression, made from the opcode table, steps over stretches of instructions, so that this is much faster
than the code is long. Bodies need not be valid: where one makes no sense, it holds nothing more.
"""

from __future__ import annotations

import re

from ..errors import DecodeError
from ..opcodes import all_rows, opcode_bytes, row_of
from .leb128 import opcode, u32, u64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from .module_info import ModuleInfo

_INTEGER = rb"[\x80-\xff]*+[\x00-\x7f]"
#: A value type: a byte, or one of the two that a heap type follows.
_TYPE = rb"[\x63\x64]?" + _INTEGER
_MEMARG = rb"(?:[\x00-\x3f]|[\x40-\x7f]" + _INTEGER + rb")" + _INTEGER
#: Immediates by kind; those that are not here are counted out, and read one by one.
_IMMEDIATES = {
    "block": _TYPE,
    "memarg": _MEMARG,
    "f32": rb"(?s:.{4})",
    "f64": rb"(?s:.{8})",
    "v128": rb"(?s:.{16})",
    "lanes": rb"(?s:.{16})",
    "lane": rb"(?s:.)",
    **dict.fromkeys(
        ("label", "func", "type", "table", "local", "global", "memory", "data", "elem", "tag", "heap", "i32", "i64"),
        _INTEGER,
    ),
}

_type = re.compile(_TYPE)


def first_function_with(info: ModuleInfo, codes: Iterable[int]) -> int | None:
    """The index of the first function that the module defines and that has an instruction with one of these codes."""
    wanted = frozenset(codes)
    step = _stretch(wanted)
    for defined, (start, end) in enumerate(info.bodies):
        try:
            if _has(info.data[start:end], wanted, step):
                return info.imported_funcs + defined
        except (DecodeError, IndexError):
            continue
    return None


def _stretch(wanted: frozenset[int]) -> re.Pattern[bytes]:
    """What matches any number of instructions, but none of ``wanted`` and none whose immediates have to be counted."""
    by_kinds: dict[str, list[bytes]] = {}
    for code, _, kinds, *_ in all_rows():
        if code not in wanted and all(kind in _IMMEDIATES for kind in kinds.split()):
            by_kinds.setdefault(kinds, []).append(opcode_bytes(code))
    choices = []
    for kinds, opcodes in by_kinds.items():
        immediates = b"".join([_IMMEDIATES[kind] for kind in kinds.split()])
        before: dict[tuple[bytes, bytes], list[int]] = {}
        for encoded in opcodes:
            # They differ in the only byte or in the second one: that is a class of bytes.
            place = min(len(encoded) - 1, 1)
            before.setdefault((encoded[:place], encoded[place + 1 :]), []).append(encoded[place])
        for (first, last), bytes_ in before.items():
            any_of = b"".join([rb"\x%02x" % byte for byte in bytes_])
            choices.append(re.escape(first) + b"[" + any_of + b"]" + re.escape(last) + immediates)
    return re.compile(b"(?:" + b"|".join(choices) + b")*+")


def _has(body: bytes, wanted: frozenset[int], stretch: re.Pattern[bytes]) -> bool:
    """Whether a body has an instruction of ``wanted``."""
    groups, position = u32(body, 0)
    for _ in range(groups):
        position = _type_after(body, u32(body, position)[1])
    while position < len(body):
        match = stretch.match(body, position)
        assert match is not None  # it may be empty
        position = match.end()
        if position == len(body):
            break
        code, position = opcode(body, position)
        if code in wanted:
            return True
        row = row_of(code)
        if row is None:
            break
        for kind in row[2].split():
            position = _after(kind, body, position)
    return False


def _after(kind: str, body: bytes, position: int) -> int:
    """The position after an immediate."""
    if kind == "labels":
        count, position = u32(body, position)
        for _ in range(count + 1):
            position = u32(body, position)[1]
    elif kind == "types":
        count, position = u32(body, position)
        for _ in range(count):
            position = _type_after(body, position)
    elif kind == "catches":
        count, position = u32(body, position)
        for _ in range(count):
            # The first two kinds of clauses have a tag before the label.
            has_tag = body[position] < 2
            position = u32(body, position + 1)[1]
            if has_tag:
                position = u32(body, position)[1]
    elif kind == "memarg":
        flags, position = u32(body, position)
        if flags & 0x40:
            position = u32(body, position)[1]
        position = u64(body, position)[1]
    else:
        match = re.compile(_IMMEDIATES[kind]).match(body, position)
        if match is None:
            raise IndexError
        position = match.end()
    return position


def _type_after(body: bytes, position: int) -> int:
    match = _type.match(body, position)
    if match is None:
        raise IndexError
    return match.end()
