"""A module taken apart into sections and their items, and put together again with all counts and sizes right."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tests.fuzz.instructions import NotParsed, read_expression, read_uleb, uleb
from tests.fuzz.value_types import encode_types, read_type

HEADER = b"\0asm\1\0\0\0"
CUSTOM, TYPE, IMPORT, FUNCTION, TABLE, MEMORY, GLOBAL, EXPORT, START, ELEMENT, CODE, DATA, DATA_COUNT, TAG = range(14)
# The order in which sections stand in a module.
ORDER = [TYPE, IMPORT, FUNCTION, TABLE, MEMORY, TAG, GLOBAL, EXPORT, START, ELEMENT, DATA_COUNT, CODE, DATA]
# Import and export kinds.
FUNC_KIND, TABLE_KIND, MEMORY_KIND, GLOBAL_KIND, TAG_KIND = range(5)
# Before a table type that has a first value after it.
_WITH_VALUE = b"\x40\0"
# What type definitions begin with: a function type, subtypes of which the first is final, a group.
_FUNC, _SUB_FINAL, _SUB, _GROUP = 0x60, 0x4F, 0x50, 0x4E


class Section:
    """A section: `items` where it is a vector whose items are known, `raw` contents otherwise."""

    __slots__ = ("id", "items", "raw")

    def __init__(self, id_: int, items: list[bytes] | None = None, raw: bytes = b"") -> None:
        self.id = id_
        self.items = items
        self.raw = raw

    def payload(self) -> bytes:
        """The section's contents."""
        if self.items is None:
            return self.raw
        if self.id == CODE:
            return uleb(len(self.items)) + b"".join(uleb(len(body)) + body for body in self.items)
        return uleb(len(self.items)) + b"".join(self.items)

    def copy(self) -> Section:
        return Section(self.id, None if self.items is None else list(self.items), self.raw)


class Parts:
    """The sections of a module, in order."""

    __slots__ = ("sections",)

    def __init__(self, sections: list[Section]) -> None:
        self.sections = sections

    def copy(self) -> Parts:
        return Parts([section.copy() for section in self.sections])

    def items(self, id_: int) -> list[bytes]:
        """The items of the first section `id_`, to be changed in place; an empty list that is not kept if none."""
        for section in self.sections:
            if section.id == id_ and section.items is not None:
                return section.items
        return []

    def ensure(self, id_: int) -> list[bytes]:
        """The items of section `id_`, which is inserted where it belongs when the module has none."""
        for section in self.sections:
            if section.id == id_ and section.items is not None:
                return section.items
        rank = {known: index for index, known in enumerate(ORDER)}
        at = next((i for i, s in enumerate(self.sections) if rank.get(s.id, -1) > rank[id_]), len(self.sections))
        items: list[bytes] = []
        self.sections.insert(at, Section(id_, items))
        return items

    def encode(self) -> bytes:
        """The module's bytes."""
        out = bytearray(HEADER)
        for section in self.sections:
            payload = section.payload()
            out += bytes([section.id]) + uleb(len(payload)) + payload
        return bytes(out)


def read_parts(data: bytes) -> Parts:
    """Takes a module apart; raises `NotParsed` when sections or items cannot be told apart."""
    if data[:8] != HEADER:
        raise NotParsed("no module of version 1")
    sections: list[Section] = []
    position = 8
    while position < len(data):
        id_ = data[position]
        size, position = read_uleb(data, position + 1)
        payload = data[position : position + size]
        if len(payload) != size:
            raise NotParsed("a section runs out of the module")
        position += size
        reader = _ITEM_READERS.get(id_)
        sections.append(Section(id_, raw=payload) if reader is None else Section(id_, _items(payload, id_, reader)))
    return Parts(sections)


def _items(payload: bytes, id_: int, reader: Callable[[bytes, int], int]) -> list[bytes]:
    count, position = read_uleb(payload, 0)
    items: list[bytes] = []
    for _ in range(count):
        start = position
        position = reader(payload, position)
        if position > len(payload):
            raise NotParsed("an item runs out of its section")
        item = payload[start:position]
        items.append(item[read_uleb(item, 0)[1] :] if id_ == CODE else item)
    if position != len(payload):
        raise NotParsed("bytes after the last item of a section")
    return items


def _number(data: bytes, position: int) -> int:
    return read_uleb(data, position)[1]


def _sized(data: bytes, position: int) -> int:
    size, position = read_uleb(data, position)
    return position + size


def _limits(data: bytes, position: int) -> int:
    flags, position = read_uleb(data, position)
    position = _number(data, position)
    return _number(data, position) if flags & 1 else position


def _type(data: bytes, position: int) -> tuple[int, int]:
    try:
        return read_type(data, position)
    except ValueError as error:
        raise NotParsed(str(error)) from error


def _types(data: bytes, position: int) -> tuple[bytes, int]:
    """A vector of types."""
    count, position = read_uleb(data, position)
    codes = bytearray()
    for _ in range(count):
        code, position = _type(data, position)
        codes.append(code)
    return bytes(codes), position


def _table_type(data: bytes, position: int) -> int:
    return _limits(data, _type(data, position)[1])


def _table(data: bytes, position: int) -> int:
    if data[position : position + 2] == _WITH_VALUE:
        return read_expression(data, _table_type(data, position + 2))[1]
    return _table_type(data, position)


def _type_definition(data: bytes, position: int) -> int:
    return _definitions(data, position)[1]


def _definitions(data: bytes, position: int) -> tuple[list[Signature], int]:
    """The function types that an item of the type section defines: one, or those of a group."""
    head = data[position : position + 1]
    count = 1
    if head == bytes([_GROUP]):
        count, position = read_uleb(data, position + 1)
    found: list[Signature] = []
    for _ in range(count):
        if data[position : position + 1] in (bytes([_SUB]), bytes([_SUB_FINAL])):
            supertypes, position = read_uleb(data, position + 1)
            for _ in range(supertypes):
                position = _number(data, position)
        if data[position : position + 1] != bytes([_FUNC]):
            raise NotParsed("a type that is no function type")
        params, position = _types(data, position + 1)
        results, position = _types(data, position)
        found.append(Signature(params, results))
    return found, position


def _import(data: bytes, position: int) -> int:
    position = _sized(data, _sized(data, position))
    kind = data[position : position + 1]
    if kind == b"\0":
        return _number(data, position + 1)
    if kind == b"\1":
        return _table_type(data, position + 1)
    if kind == b"\2":
        return _limits(data, position + 1)
    if kind == b"\3":
        return _type(data, position + 1)[1] + 1
    if kind == b"\4":
        return _number(data, position + 2)
    raise NotParsed("an import of another kind")


def _global(data: bytes, position: int) -> int:
    return read_expression(data, _type(data, position)[1] + 1)[1]


def _tag(data: bytes, position: int) -> int:
    return _number(data, position + 1)


def _export(data: bytes, position: int) -> int:
    return _number(data, _sized(data, position) + 1)


def _element(data: bytes, position: int) -> int:
    flags, position = read_uleb(data, position)
    if flags > 7:
        raise NotParsed("element flags")
    if not flags & 1:  # active
        if flags & 2:
            position = _number(data, position)
        position = read_expression(data, position)[1]
    if flags & 3:
        # An element kind, or a reference type.
        position = _type(data, position)[1] if flags & 4 else position + 1
    count, position = read_uleb(data, position)
    for _ in range(count):
        position = read_expression(data, position)[1] if flags & 4 else _number(data, position)
    return position


def _data(data: bytes, position: int) -> int:
    flags, position = read_uleb(data, position)
    if flags > 2:
        raise NotParsed("data flags")
    if flags == 2:
        position = _number(data, position)
    if flags != 1:
        position = read_expression(data, position)[1]
    return _sized(data, position)


_ITEM_READERS: dict[int, Callable[[bytes, int], int]] = {
    TYPE: _type_definition,
    IMPORT: _import,
    FUNCTION: _number,
    TABLE: _table,
    TAG: _tag,
    MEMORY: _limits,
    GLOBAL: _global,
    EXPORT: _export,
    ELEMENT: _element,
    CODE: _sized,
    DATA: _data,
}


def import_kind(item: bytes) -> int:
    """Which kind of thing an import is."""
    return item[_sized(item, _sized(item, 0))]


class Signature(NamedTuple):
    """A function type as codes of value types."""

    params: bytes
    results: bytes

    def encode(self) -> bytes:
        params, results = encode_types(self.params), encode_types(self.results)
        return b"\x60" + uleb(len(self.params)) + params + uleb(len(self.results)) + results


class Index:
    """What the index spaces of a well-formed module hold, imports first."""

    __slots__ = ("datas", "elements", "func_types", "globals", "imported_funcs", "memories", "tables", "tags", "types")

    def __init__(self, parts: Parts) -> None:
        self.types = [signature for item in parts.items(TYPE) for signature in _definitions(item, 0)[0]]
        self.func_types: list[int] = []
        self.tables: list[int] = []  # codes of the elements' types
        self.tags: list[int] = []  # numbers of types
        self.memories = 0
        self.globals: list[tuple[int, bool]] = []  # code of the type, whether mutable
        for item in parts.items(IMPORT):
            position = _sized(item, _sized(item, 0))
            kind = item[position]
            if kind == FUNC_KIND:
                self.func_types.append(read_uleb(item, position + 1)[0])
            elif kind == TABLE_KIND:
                self.tables.append(_type(item, position + 1)[0])
            elif kind == MEMORY_KIND:
                self.memories += 1
            elif kind == TAG_KIND:
                self.tags.append(read_uleb(item, position + 2)[0])
            else:
                self.globals.append(_global_type(item, position + 1))
        self.imported_funcs = len(self.func_types)
        self.func_types += [read_uleb(item, 0)[0] for item in parts.items(FUNCTION)]
        self.tables += [_type(item, 2 if item[:2] == _WITH_VALUE else 0)[0] for item in parts.items(TABLE)]
        self.memories += len(parts.items(MEMORY))
        self.tags += [read_uleb(item, 1)[0] for item in parts.items(TAG)]
        self.globals += [_global_type(item, 0) for item in parts.items(GLOBAL)]
        self.elements = len(parts.items(ELEMENT))
        self.datas = len(parts.items(DATA))

    def signature(self, func: int) -> Signature:
        """The signature of function `func`."""
        return self.types[self.func_types[func]]


def _global_type(data: bytes, position: int) -> tuple[int, bool]:
    code, position = _type(data, position)
    return code, data[position] == 1
