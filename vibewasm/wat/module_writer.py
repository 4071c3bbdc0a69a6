"""Modules as text."""

from __future__ import annotations

from ..binary.decoder import check_header
from ..binary.definitions import COMPACT_IMPORTS
from ..binary.names import Names
from ..binary.support import unsupported
from ..errors import DecodeError
from ..proposals import FORMS
from .code_writer import CodeWriter
from .quoting import identifiers, quote_bytes, quote_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_KINDS = ("func", "table", "memory", "global", "tag")
_ELEM_KIND = 0
#: The order in which sections stand.
_ORDER = (1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11)
#: Sections that begin with how many they add to an index space.
_COUNTED = {3: "func", 4: "table", 5: "memory", 6: "global", 9: "elem", 11: "data", 13: "tag"}
#: As many locals as the engine lets a function have. A few bytes of module can ask for four billion, each a word here.
_MOST_LOCALS = 50000


class ModuleWriter(CodeWriter):
    """Writes one module."""

    __slots__ = ("_all_local_names", "_counts", "_field_names", "_function_types", "_output", "_signatures")

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._output: list[str] = []
        #: How many of each index space have been written.
        self._counts = dict.fromkeys((*_KINDS, "type", "elem", "data"), 0)
        #: Type indices of the functions that the module defines.
        self._function_types: list[int] = []
        #: Parameters and results of each type, None for one that is no function's.
        self._signatures: list[tuple[list[str], list[str]] | None] = []
        self._all_local_names: Mapping[int, Mapping[int, str]] = {}
        self._field_names: Mapping[int, Mapping[int, str]] = {}

    def write(self) -> str:
        """The module's text."""
        check_header(self.data)
        sections = self._sections()
        module_name = self._take_names(sections)
        self._output.append(f"(module{module_name}")
        readers = {
            1: self._type_section,
            2: self._import_section,
            3: self._function_section,
            4: self._table_section,
            5: self._memory_section,
            6: self._global_section,
            7: self._export_section,
            8: self._start_section,
            9: self._element_section,
            10: self._code_section,
            11: self._data_section,
            12: self.u32,
            13: self._tag_section,
        }
        place = 0
        for number, start, end in sections:
            if number == 0:
                continue
            if number not in readers:
                raise DecodeError(f"malformed section id {number}", start)
            if _ORDER.index(number) < place:
                raise DecodeError("unexpected content after last section: out of order or repeated", start)
            place = _ORDER.index(number) + 1
            self.position = start
            readers[number]()
            if self.position != end:
                raise DecodeError("section size mismatch", min(self.position, end))
        if len(self._output) == 1:
            return self._output[0] + ")\n"
        self._output[-1] += ")"
        return "\n".join(self._output) + "\n"

    def types(self) -> list[str]:
        """The texts of the module's type definitions; that of a recursive group has a line for each member."""
        sections = self._sections()
        self._take_names(sections)
        for number, start, _ in sections:
            if number == 1:
                self.position = start
                self._type_section()
        texts: list[str] = []
        for line in self._output:
            if line.startswith("    "):
                texts[-1] += f"\n{line[2:]}"
            else:
                texts.append(line[2:])
        return texts

    def _sections(self) -> list[tuple[int, int, int]]:
        """Number and range of each section."""
        found = []
        self.position = 8
        while self.position < len(self.data):
            number, size = self.byte(), self.u32()
            start = self.position
            self.take(size)
            found.append((number, start, self.position))
        return found

    def _take_names(self, sections: list[tuple[int, int, int]]) -> str:
        """Make identifiers of the name section; the module's own, with a space before it."""
        names = Names(b"", 0, 0)
        for number, start, end in sections:
            self.position = start
            if number == 0 and self.byte_string() == b"name":
                names = Names(self.data, self.position, end)
        counts = self._count(sections)
        for kind in self.names:
            self.names[kind] = _existing(names.of(kind), counts[kind])
        self.type_names = self.names["type"]
        self._all_local_names = names.within("local")
        self._field_names = names.within("field")
        return f" {identifiers({0: names.module})[0]}" if names.module else ""

    def _count(self, sections: list[tuple[int, int, int]]) -> dict[str, int]:
        """How many the module has of each index space: text that names one more cannot be read."""
        # The sections that do not begin with the number are read for it; they are short.
        other = ModuleWriter(self.data)
        counts = other._counts
        for number, start, _ in sections:
            other.position = start
            if number == 1:
                other._type_section()
            elif number == 2:
                other._import_section()
            elif number in _COUNTED:
                counts[_COUNTED[number]] += other.u32()
        return counts

    def _declare(self, kind: str) -> str:
        """What a definition is called: an identifier, or its index in a comment."""
        index = self._counts[kind]
        self._counts[kind] += 1
        return self.names[kind].get(index) or f"(;{index};)"

    def _line(self, text: str) -> None:
        self._output.append("  " + text)

    # -- sections

    def _type_section(self) -> None:
        for _ in range(self.u32()):
            if self.data[self.position] == 0x4E:
                self.position += 1
                self._line("(rec")
                for _ in range(self.u32()):
                    self._line("  " + self._subtype())
                self._output[-1] += ")"
            else:
                self._line(self._subtype())

    def _subtype(self) -> str:
        name = self._declare("type")
        form = self.byte()
        if form not in (0x50, 0x4F):
            return f"(type {name} {self._composite_type(form)})"
        final = " final" if form == 0x4F else ""
        supertypes = "".join([f" {self.type_index(self.u32())}" for _ in range(self.u32())])
        return f"(type {name} (sub{final}{supertypes} {self._composite_type(self.byte())}))"

    def _composite_type(self, form: int) -> str:
        index = len(self._signatures)
        if form == 0x60:
            params, results = self.value_types(), self.value_types()
            self._signatures.append((params, results))
            return f"(func{_clause('param', params)}{_clause('result', results)})"
        self._signatures.append(None)
        if form == 0x5E:
            return f"(array {self.field_type()})"
        if form != 0x5F:
            raise self.unknown("definition type", form, FORMS)
        names = identifiers(self._field_names.get(index, {}))
        fields = []
        for field in range(self.u32()):
            name = names.get(field)
            fields.append(f" (field {name + ' ' if name else ''}{self.field_type()})")
        return f"(struct{''.join(fields)})"

    def _import_section(self) -> None:
        for _ in range(self.u32()):
            module, name, kind = self.name(), self.name(), self.byte()
            if kind in COMPACT_IMPORTS and not name:
                raise unsupported("compact-imports", "group of imports", self.position - 1)
            if kind >= len(_KINDS):
                raise self.error(f"malformed import kind {kind:#04x}")
            word = _KINDS[kind]
            called = self._declare(word)
            self._line(f"(import {quote_name(module)} {quote_name(name)} ({word} {called} {self._extern_type(word)}))")

    def _extern_type(self, word: str) -> str:
        if word == "func":
            return self._type_use()
        if word == "tag":
            return self._tag_type()
        if word == "table":
            return self.table_type()
        return self.memory_type() if word == "memory" else self.global_type()

    def _type_use(self) -> str:
        return f"(type {self.type_index(self.u32())})"

    def _tag_type(self) -> str:
        if self.byte():
            raise self.error("malformed tag attribute")
        return self._type_use()

    def _function_section(self) -> None:
        self._function_types = [self.u32() for _ in range(self.u32())]

    def _table_section(self) -> None:
        for _ in range(self.u32()):
            initial = ""
            has_initial = self.data[self.position] == 0x40
            if has_initial:
                self.take(2)
            type_ = self.table_type()
            if has_initial:
                initial = " " + self.folded()
            self._line(f"(table {self._declare('table')} {type_}{initial})")

    def _memory_section(self) -> None:
        for _ in range(self.u32()):
            self._line(f"(memory {self._declare('memory')} {self.memory_type()})")

    def _tag_section(self) -> None:
        for _ in range(self.u32()):
            self._line(f"(tag {self._declare('tag')} {self._tag_type()})")

    def _global_section(self) -> None:
        for _ in range(self.u32()):
            type_ = self.global_type()
            self._line(f"(global {self._declare('global')} {type_} {self.folded()})")

    def _export_section(self) -> None:
        for _ in range(self.u32()):
            name, kind, index = self.name(), self.byte(), self.u32()
            if kind >= len(_KINDS):
                raise self.error(f"malformed export kind {kind:#04x}")
            self._line(f"(export {quote_name(name)} ({_KINDS[kind]} {self.named(_KINDS[kind], index)}))")

    def _start_section(self) -> None:
        self._line(f"(start {self.named('func', self.u32())})")

    def _element_section(self) -> None:
        for _ in range(self.u32()):
            flags = self.u32()
            if flags > 7:
                raise self.error(f"malformed element segment flags {flags}")
            text = f"(elem {self._declare('elem')}"
            if not flags & 1:
                table = self.u32() if flags & 2 else 0
                text += (f" (table {self.named('table', table)})" if table else "") + f" (offset {self.folded()})"
            elif flags & 2:
                text += " declare"
            element = "funcref"
            if flags & 3:
                if flags & 4:
                    element = self.reference_type()
                elif self.byte() != _ELEM_KIND:
                    raise self.error("malformed element kind")
            if flags & 4:
                items = "".join([f" (item {self.folded()})" for _ in range(self.u32())])
                self._line(f"{text} {element}{items})")
            else:
                items = "".join([" " + self.named("func", self.u32()) for _ in range(self.u32())])
                self._line(f"{text} func{items})")

    def _data_section(self) -> None:
        for _ in range(self.u32()):
            mode = self.u32()
            if mode > 2:
                raise self.error(f"malformed data segment flags {mode}")
            text = f"(data {self._declare('data')}"
            if mode != 1:
                memory = self.u32() if mode else 0
                text += (f" (memory {self.named('memory', memory)})" if memory else "") + f" (offset {self.folded()})"
            self._line(f"{text} {quote_bytes(self.byte_string())})")

    def _code_section(self) -> None:
        count = self.u32()
        if count != len(self._function_types):
            raise self.error("function and code section have inconsistent lengths")
        for type_ in self._function_types:
            size = self.u32()
            end = self.position + size
            self._function(type_)
            if self.position != end:
                raise DecodeError("section size mismatch: a function body ends elsewhere", min(self.position, end))

    def _function(self, type_: int) -> None:
        index = self._counts["func"]
        head = f"(func {self._declare('func')} (type {self.type_index(type_)})"
        signature = self._signatures[type_] if type_ < len(self._signatures) else None
        params, results = signature or ([], [])
        locals_: list[str] = []
        for _ in range(self.u32()):
            count = self.u32()
            if len(locals_) + count > _MOST_LOCALS:
                raise self.error(f"too many locals: more than {_MOST_LOCALS} are not written out")
            locals_ += [self.value_type()] * count
        names = self.local_names = _existing(self._all_local_names.get(index, {}), len(params) + len(locals_))
        self._line(head + _named_clauses("param", params, names, 0) + _clause("result", results))
        if locals_:
            self._line(" " + _named_clauses("local", locals_, names, len(params)))
        self._output += self.lines(2)
        self._output[-1] += ")"


def _existing(names: Mapping[int, str], count: int) -> dict[int, str]:
    """Identifiers of what exists: a name section may name more, and an invalid module refer to it."""
    return identifiers({index: name for index, name in names.items() if index < count})


def _clause(word: str, types: list[str]) -> str:
    """``(word type ...)`` with a space before it, or nothing for no types."""
    return f" ({word} {' '.join(types)})" if types else ""


def _named_clauses(word: str, types: list[str], names: dict[int, str], first: int) -> str:
    """Parameters or locals: those with identifiers one by one, others together."""
    text = ""
    run: list[str] = []
    clauses = []
    for index, type_ in enumerate(types, first):
        name = names.get(index)
        if name is None:
            run.append(type_)
            continue
        if run:
            clauses.append(_clause(word, run))
            run = []
        clauses.append(f" ({word} {name} {type_})")
    clauses.append(_clause(word, run))
    return text + "".join(clauses)
