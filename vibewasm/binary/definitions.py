"""Readers of the sections that import and define tables, memories, globals and segments: see :mod:`.sections`.

They are loaded when a module has one of these sections, since the smallest modules have none.
"""

from __future__ import annotations

from ..constant_opcodes import I32_CONST, REF_FUNC
from ..errors import DecodeError, ValidationError
from ..extern_types import GlobalType, Limits, MemoryType, TableType, TagType
from ..types import FIRST_CONCRETE, FUNCREF, FUNCREF_NOT_NULL
from .const_expr import END, read_const_expr
from .leb128 import u32, u64
from .module_info import FUNC, GLOBAL, MEMORY, TABLE, TAG, ConstExpr, Data, DataSegments, Element, Import, ModuleInfo
from .sections import UNEXPECTED_END, indices, read_count, read_name
from .support import (
    MAX_DATA_SEGMENTS,
    MAX_ELEMENT_ITEMS,
    MAX_ELEMENT_SEGMENTS,
    MAX_GLOBALS,
    MAX_IMPORTS,
    MAX_MEMORIES,
    MAX_TABLES,
    MAX_TAGS,
    sized,
    unsupported,
)
from .value_types import mutability, reference_type, value_type

TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    from .compact import Source, Spread

    T = TypeVar("T")

#: So many things of a kind are kept as objects; see :mod:`.compact` for what becomes of more.
KEPT = 1024
#: An element segment of more bytes is kept: then it takes a few bytes for each of them.
_SMALL = 64

#: Kinds that begin a group of imports from one module, after an empty name.
COMPACT_IMPORTS = (0x7E, 0x7F)

# Bits of the flags of limits.
_HAS_MAXIMUM = 1
_SHARED = 2
_IS_64 = 4

#: What a table begins with that says its elements' first value.
_WITH_VALUE = 0x40

#: Flags of a memory whose page size follows.
_WITH_PAGE_SIZE = range(8, 16)

# Bits of an element segment's flags.
_NOT_ACTIVE = 1
_EXPLICIT = 2
_EXPRESSIONS = 4


# -- types of what is imported and defined -----------------------------------------------------------------------------


def limits(data: bytes, pos: int) -> tuple[Limits, int]:
    """Limits of a memory or a table. Whether they may be shared or 64-bit is for the validation to say.

    Sizes are read as 64-bit integers for every kind, as the specification has it since 3.0; too large ones are invalid,
    not malformed.

    Raises:
        DecodeError: unknown flags.
    """
    flags = data[pos]
    if flags > _HAS_MAXIMUM | _SHARED | _IS_64:
        raise DecodeError(f"malformed limits flags {flags:#04x}", pos)
    minimum, pos = u64(data, pos + 1)
    maximum = None
    if flags & _HAS_MAXIMUM:
        maximum, pos = u64(data, pos)
    return Limits.unchecked(minimum, maximum, bool(flags & _SHARED), bool(flags & _IS_64)), pos


def table_type(info: ModuleInfo, pos: int) -> tuple[TableType, int]:
    """The type of a table. Raises what its parts raise."""
    data = info.data
    element, pos = reference_type(data, pos, info.types)
    size, pos = limits(data, pos)
    return TableType(element, size), pos


def memory_type(data: bytes, pos: int) -> tuple[MemoryType, int]:
    """The type of a memory. Raises what its parts raise."""
    if data[pos] in _WITH_PAGE_SIZE:
        raise _page_size(data, pos)
    size, pos = limits(data, pos)
    return MemoryType(size), pos


def _page_size(data: bytes, pos: int) -> DecodeError | ValidationError:
    """The error for limits that say how large pages are: malformed if they break off."""
    try:
        _, after = u64(data, pos + 1)
        if data[pos] & _HAS_MAXIMUM:
            _, after = u64(data, after)
        size, _ = u32(data, after)
    except (IndexError, DecodeError):
        return DecodeError(f"malformed limits flags {data[pos]:#04x}", pos)
    return unsupported("custom-page-sizes", f"pages of 2**{size} bytes", pos)


#: Global types that were read before: there are few, and a module may have a million globals.
_GLOBAL_TYPES: dict[tuple[int, bool], GlobalType] = {}
_GLOBAL_TYPES_KEPT = 1000


def tag_type(info: ModuleInfo, pos: int) -> tuple[TagType, int]:
    """The type of a tag.

    Raises:
        DecodeError: an attribute other than "exception".
        ValidationError: the index of no type, or of one with results.
    """
    if info.data[pos] != 0:
        raise DecodeError(f"malformed tag attribute {info.data[pos]:#04x}", pos)
    index, after = u32(info.data, pos + 1)
    if index >= len(info.types):
        raise ValidationError(f"unknown type {index} of a tag", pos)
    type_ = info.types[index]
    if type_.result_codes:
        raise ValidationError(f"non-empty tag result type: {type_}", pos)
    return TagType(type_), after


def global_type(info: ModuleInfo, pos: int) -> tuple[GlobalType, int]:
    """The type of a global.

    Raises:
        DecodeError: a malformed value type or mutability.
        ValidationError: a value type of a proposal that is not on.
    """
    code, pos = value_type(info.data, pos, info.types)
    mutable, pos = mutability(info.data, pos)
    if code >= FIRST_CONCRETE:
        # Not kept: it keeps the module's types.
        return GlobalType(code, mutable), pos
    found = _GLOBAL_TYPES.get((code, mutable))
    if found is None:
        if len(_GLOBAL_TYPES) >= _GLOBAL_TYPES_KEPT:
            _GLOBAL_TYPES.clear()
        found = _GLOBAL_TYPES[code, mutable] = GlobalType(code, mutable)
    return found, pos


# -- sections ----------------------------------------------------------------------------------------------------------


def import_section(info: ModuleInfo, pos: int, end: int) -> int:
    """Imports, into ``imports`` and the index spaces."""
    data = info.data
    imports = info.imports
    count, pos = read_count(data, pos, end, MAX_IMPORTS, "imports")
    for _ in range(count):
        start = pos
        module, pos = read_name(data, pos)
        name, pos = read_name(data, pos)
        kind = data[pos]
        desc: int | TableType | MemoryType | GlobalType | TagType
        if kind == FUNC:
            desc, pos = u32(data, pos + 1)
            info.func_type_indices.append(desc)
        elif kind == GLOBAL:
            desc, pos = global_type(info, pos + 1)
            info.globals.append(desc)
        elif kind == MEMORY:
            desc, pos = memory_type(data, pos + 1)
            info.memories.append(desc)
        elif kind == TABLE:
            desc, pos = table_type(info, pos + 1)
            info.tables.append(desc)
        elif kind == TAG:
            desc, pos = tag_type(info, pos + 1)
            info.tags.append(desc)
        elif kind in COMPACT_IMPORTS and not name:
            raise unsupported("compact-imports", "group of imports", pos)
        else:
            raise DecodeError(f"malformed import kind {kind:#04x}", pos)
        imports.append(Import(module, name, kind, desc, start))
    info.imported_funcs = len(info.func_type_indices)
    info.imported_tables = len(info.tables)
    info.imported_memories = len(info.memories)
    info.imported_globals = len(info.globals)
    info.imported_tags = len(info.tags)
    return pos


def table_section(info: ModuleInfo, pos: int, end: int) -> int:
    """Tables, into ``tables``."""
    data = info.data
    count, pos = read_count(data, pos, end, MAX_TABLES, "tables")
    for _ in range(count):
        info.table_positions.append(pos)
        has_value = data[pos] == _WITH_VALUE
        if has_value:
            if data[pos + 1] != 0:
                raise DecodeError(f"malformed table {data[pos + 1]:#04x}", pos + 1)
            pos += 2
        type_, pos = table_type(info, pos)
        if has_value:
            info.table_inits[len(info.tables)], pos = read_const_expr(info, pos, end)
        info.tables.append(type_)
    return pos


def memory_section(info: ModuleInfo, pos: int, end: int) -> int:
    """Memories, into ``memories``."""
    data = info.data
    count, pos = read_count(data, pos, end, MAX_MEMORIES, "memories")
    for _ in range(count):
        info.memory_positions.append(pos)
        type_, pos = memory_type(data, pos)
        info.memories.append(type_)
    return pos


def tag_section(info: ModuleInfo, pos: int, end: int) -> int:
    """Tags, into ``tags``."""
    count, pos = read_count(info.data, pos, end, MAX_TAGS, "tags")
    for _ in range(count):
        type_, pos = tag_type(info, pos)
        info.tags.append(type_)
    return pos


def global_section(info: ModuleInfo, pos: int, end: int) -> int:
    """Globals, into ``globals`` and ``global_inits``."""
    data = info.data
    count, pos = read_count(data, pos, end, MAX_GLOBALS, "globals")
    types = info.globals
    inits: list[ConstExpr] = []
    for _ in range(min(count, KEPT)):
        type_, pos = global_type(info, pos)
        expr, pos = read_const_expr(info, pos, end)
        types.append(type_)
        inits.append(expr)
    info.global_inits = inits
    if count > KEPT:
        rest = info.global_inits = _spread(info, inits, read_const_expr)
        for _ in range(count - KEPT):
            type_, pos = global_type(info, pos)
            types.append(type_)
            rest.append(pos)
            _, pos = read_const_expr(info, pos, end)
    return pos


def _spread(info: ModuleInfo | Source, kept: list[T], read: Callable[[Source, int, int], tuple[T, int]]) -> Spread[T]:
    """What goes on after the first things of a kind: how each is read again that was read once."""
    from .compact import Source, Spread

    source, end = Source(info.data, info.types), len(info.data)
    return Spread(kept, info.data, lambda position: read(source, position, end)[0])


def element_section(info: ModuleInfo, pos: int, end: int) -> int:
    """Element segments, into ``elements``."""
    count, pos = read_count(info.data, pos, end, MAX_ELEMENT_SEGMENTS, "element segments")
    elements: list[Element] = []
    for _ in range(min(count, KEPT)):
        element, pos = _element(info, pos, end)
        elements.append(element)
    info.elements = elements
    if count > KEPT:
        rest = info.elements = _spread(info, elements, _element)
        for _ in range(count - KEPT):
            start = pos
            element, pos = _element(info, pos, end)
            if pos - start < _SMALL:
                rest.append(start)
            else:
                # To read it again for each of its items would take long.
                rest.keep(element, start)
    return pos


def _element(info: ModuleInfo | Source, pos: int, end: int) -> tuple[Element, int]:
    """Read an element segment."""
    data = info.data
    start = pos
    flags, pos = u32(data, pos)
    if flags > _NOT_ACTIVE | _EXPLICIT | _EXPRESSIONS:
        raise DecodeError(f"malformed elements segment kind {flags}", start)
    table = 0
    offset = None
    if not flags & _NOT_ACTIVE:
        mode = "active"
        if flags & _EXPLICIT:
            table, pos = u32(data, pos)
        offset, pos = read_const_expr(info, pos, end)
    else:
        mode = "declarative" if flags & _EXPLICIT else "passive"
    # Items that are function indices are no nulls.
    type_ = FUNCREF if flags & _EXPRESSIONS else FUNCREF_NOT_NULL
    if flags & (_NOT_ACTIVE | _EXPLICIT):
        if flags & _EXPRESSIONS:
            type_, pos = reference_type(data, pos, info.types)
        else:
            if data[pos] != 0:
                raise DecodeError(f"malformed element kind {data[pos]:#04x}", pos)
            pos += 1
    length, pos = read_count(data, pos, len(data), MAX_ELEMENT_ITEMS, "items of an element segment")
    funcs: Sequence[int] | None = None
    exprs: Sequence[ConstExpr] | None = None
    if flags & _EXPRESSIONS:
        if type_ == FUNCREF:
            funcs, after = _functions(data, pos, end, length)
        if funcs is None:
            exprs, pos = _expressions(info, pos, end, length)
        else:
            pos = after
    else:
        items = _numbers(length)
        pos = indices(data, pos, end, length, items)
        funcs = items
    return Element(mode, table, offset, type_, funcs, exprs, start), pos


def _numbers(count: int) -> list[int] | array[int]:
    """Room for so many indices."""
    if count <= KEPT:
        return []
    from array import array

    return array("I")


def _functions(data: bytes, pos: int, end: int, count: int) -> tuple[Sequence[int] | None, int]:
    """Items of an element segment of which each is an expression of just a ``ref.func``, as indices; ``None`` where any
    of them is something else.
    """
    funcs = _numbers(count)
    append = funcs.append
    for _ in range(count):
        if data[pos] != REF_FUNC:
            return None, 0
        index, pos = u32(data, pos + 1)
        if data[pos] != END or pos >= end:
            return None, 0
        append(index)
        pos += 1
    return funcs, pos


def _expressions(info: ModuleInfo | Source, pos: int, end: int, count: int) -> tuple[Sequence[ConstExpr], int]:
    """Items of an element segment. Equal encodings share one object, which keeps long runs of nulls small."""
    known: dict[bytes, ConstExpr] = {}
    expressions: list[ConstExpr] = []
    while len(expressions) < count and len(known) < KEPT:
        start = pos
        expr, pos = read_const_expr(info, pos, end)
        expressions.append(known.setdefault(info.data[start:pos], expr))
    if len(expressions) == count:
        return expressions, pos
    rest = _spread(info, expressions, read_const_expr)
    for _ in range(count - len(expressions)):
        rest.append(pos)
        _, pos = read_const_expr(info, pos, end)
    return rest, pos


def data_count_section(info: ModuleInfo, pos: int, end: int) -> int:
    """The number of data segments, into ``data_count``."""
    start = pos
    info.data_count, pos = u32(info.data, pos)
    if info.data_count > MAX_DATA_SEGMENTS:
        raise ValidationError(
            f"implementation limit: {info.data_count} data segments, at most {MAX_DATA_SEGMENTS} are supported", start
        )
    return pos


def data_section(info: ModuleInfo, pos: int, end: int) -> int:
    """Data segments, into ``datas``."""
    data = info.data
    total = len(data)
    #: Four numbers a segment, and those of many segments as an array.
    places: list[int] = []
    columns: array[int] | None = None
    others: dict[int, Data] = {}
    more = False
    count, pos = read_count(data, pos, end, MAX_DATA_SEGMENTS, "data segments")
    active = bytearray(b"\1") * count
    for index in range(count):
        start = pos
        if not index % KEPT and index:
            if columns is None:
                from .compact import column

                columns = column(data)
            columns.extend(places)
            places.clear()
        # A hot loop: the usual segment, whose offset is a constant of up to four bytes, is read here.
        if data[pos] == 0 and data[pos + 1] == I32_CONST:
            word = int.from_bytes(data[pos + 2 : pos + 6], "little")
            if not word & 0x80:
                offset = word & 0x3F
                sign = word & 0x40
                pos += 3
            elif not word & 0x8000:
                offset = word & 0x7F | word >> 1 & 0x1F80
                sign = word & 0x4000
                pos += 4
            elif not word & 0x80_0000:
                offset = word & 0x7F | word >> 1 & 0x3F80 | word >> 2 & 0xF_C000
                sign = word & 0x40_0000
                pos += 5
            elif not word & 0x8000_0000:
                offset = word & 0x7F | word >> 1 & 0x3F80 | word >> 2 & 0x1F_C000 | word >> 3 & 0x7E0_0000
                sign = word & 0x4000_0000
                pos += 6
            else:
                sign = 1
            if not sign and pos < end and data[pos] == END:
                size = data[pos + 1]
                if size < 0x80:
                    first = pos + 2
                else:
                    size, first = u32(data, pos + 1)
                pos = first + size
                if pos > total:
                    raise DecodeError(f"{UNEXPECTED_END}: a data segment of {sized(size)}", first)
                places += (offset, start, first, pos)
                continue
        segment = _data_segment(info, start, end)
        if segment.offset is None:
            active[index] = 0
        elif len(others) < KEPT:
            others[index] = segment
        else:
            more = True
        pos = segment.end
        places += (DataSegments.OTHER, start, segment.start, pos)
    numbers: Sequence[int] = places
    if columns is not None:
        columns.extend(places)
        numbers = columns
    again = None
    if more:
        from .compact import Source

        source = Source(data, info.types)

        def again(position: int) -> Data:
            return _data_segment(source, position, total)

    info.datas = DataSegments(numbers[::4], numbers[1::4], numbers[2::4], numbers[3::4], bytes(active), others, again)
    return pos


def _data_segment(info: ModuleInfo | Source, start: int, end: int) -> Data:
    """Read a data segment of any form."""
    data = info.data
    flags, pos = u32(data, start)
    if flags > 2:
        raise DecodeError(f"malformed data segment kind {flags}", start)
    memory = 0
    offset = None
    if flags == 2:
        memory, pos = u32(data, pos)
    if flags != 1:
        offset, pos = read_const_expr(info, pos, end)
    size, first = u32(data, pos)
    pos = first + size
    if pos > len(data):
        raise DecodeError(f"{UNEXPECTED_END}: a data segment of {sized(size)}", first)
    return Data("passive" if flags == 1 else "active", memory, offset, first, pos, start)
