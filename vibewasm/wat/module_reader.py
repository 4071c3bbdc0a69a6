"""Modules in the text format, and their fields (specification, "Text Format / Modules")."""

from __future__ import annotations

from ..opcodes import CODE, opcode_bytes
from ..types import MAGIC
from .code_reader import CodeReader
from .cursor import Space
from .encode import section, sized, unsigned, vector
from .lexer import Tokens

_MAGIC_AND_VERSION = MAGIC + b"\1\0\0\0"
_PAGE_BITS = 16
_I32_CONST, _I64_CONST = opcode_bytes(CODE["i32.const"]), opcode_bytes(CODE["i64.const"])
_REF_FUNC, _REF_NULL = opcode_bytes(CODE["ref.func"]), opcode_bytes(CODE["ref.null"])
_FUNCREF = b"\x70"
_END = opcode_bytes(CODE["end"])

# Kinds of imports and exports.
_KINDS = {"func": b"\0", "table": b"\1", "memory": b"\2", "global": b"\3", "tag": b"\4"}

_ELEMENTS_ARE_EXPRESSIONS = 4
_PASSIVE = 1
_WITH_INDEX = 2
_DECLARATIVE = 3


#: What the items of a segment of plain function indices are.
_NOT_NULL_FUNC = b"\x64\x70"


def _function_of(item: bytes) -> bytes:
    """The function index of an item that is nothing but ``ref.func``, or no bytes."""
    if item[:1] != _REF_FUNC:
        return b""
    end = 1
    while item[end] >= 0x80:
        end += 1
    return item[1 : end + 1] if item[end + 1 :] == _END else b""


class ModuleReader(CodeReader):
    """Reads one module.

    Two passes: the first declares identifiers and finds where fields end, the second encodes. Types come in between,
    since inline types are added after those that are defined.
    """

    def __init__(self, tokens: Tokens) -> None:
        super().__init__(tokens)
        self.imports: list[bytes] = []
        self.function_types: list[bytes] = []
        self.table_definitions: list[bytes] = []
        self.memory_definitions: list[bytes] = []
        self.tag_definitions: list[bytes] = []
        self.global_definitions: list[bytes] = []
        self.exports: list[bytes] = []
        self.start: int | None = None
        self.elements: list[bytes] = []
        self.codes: list[bytes] = []
        self.data: list[bytes] = []
        #: What the name section says: the module's own name, and names of locals by function.
        self.module_name: str | None = None
        self.local_names: dict[int, dict[str, int]] = {}
        #: How many of each index space have been encoded.
        self._encoded = dict.fromkeys(_KINDS, 0)
        self._defined = ""
        self._fields = {
            "import": self._import,
            "func": self._func,
            "table": self._table,
            "memory": self._memory,
            "global": self._global,
            "tag": self._tag,
            "export": self._export,
            "start": self._start,
            "elem": self._elem,
            "data": self._data,
        }
        self._spaces = {
            "func": self.funcs,
            "table": self.tables,
            "memory": self.memories,
            "global": self.globals,
            "tag": self.tags,
        }

    def read(self) -> bytes | None:
        """The module that the text is; ``None`` if it is given as a binary or a quotation, which the cursor is at."""
        wrapped = self.accept_form("module")
        if wrapped:
            self.module_name = self.identifier()
            if self.tokens[self.position] in ("binary", "quote"):
                return None
        starts = self._declare_all()
        if wrapped:
            self.expect(")")
        if self.tokens[self.position]:
            raise self.unexpected()
        self._define_all(starts)
        return self._assemble()

    def quoted(self) -> tuple[bool, bytes]:
        """The contents of a ``binary`` or ``quote`` module, and whether it is a binary."""
        is_binary = self.tokens[self.position] == "binary"
        self.position += 1
        data = self.strings()
        self.expect(")")
        if self.tokens[self.position]:
            raise self.unexpected()
        return is_binary, data

    # -- first pass

    def _declare_all(self) -> list[int]:
        """Declare the identifiers of all fields; where each field begins."""
        starts = []
        while self.tokens[self.position] == "(":
            start, end = self.position, self.end_of_form()
            starts.append(start)
            self._declare_field()
            self.position = end
        return starts

    def _declare_field(self) -> None:
        self.position += 1
        word = self.tokens[self.position]
        self.position += 1
        if word in self._spaces:
            self.declare(self._spaces[word])
            if word in ("table", "memory"):
                self._declare_inline_segment(word)
        elif word == "type":
            self.declare(self.types)
        elif word == "rec":
            while self.accept_form("type"):
                self.declare(self.types)
                self.position -= 2 + (self.tokens[self.position - 1][0] == "$")
                self.position = self.end_of_form()
        elif word == "import":
            self.name()
            if self.at_form("item"):
                raise self.later("compact-imports", "group of imports", self.position + 1)
            self.name()
            self.expect("(")
            space = self._spaces.get(self.tokens[self.position])
            if space is None:
                raise self.unexpected()
            self.position += 1
            self.declare(space)
        elif word == "elem":
            self.declare(self.elems)
        elif word == "data":
            self.declare(self.datas)
        elif word not in ("export", "start"):
            raise self.unexpected(self.position - 1)

    def _declare_inline_segment(self, word: str) -> None:
        """A table's or a memory's own segment counts among the segments, so those after it have other indices."""
        while self.at_form("export"):
            self.position = self.end_of_form()
        self.address_type()
        if word == "memory":
            self.datas.count += self.at_form("data")
        elif self.at_reference_type():
            self.reference_type_skipped()
            self.elems.count += self.at_form("elem")

    def reference_type_skipped(self) -> None:
        """Step over a reference type, whose identifiers may not be declared yet."""
        self.position = self.end_of_form() if self.tokens[self.position] == "(" else self.position + 1

    # -- second pass

    def _define_all(self, starts: list[int]) -> None:
        tokens = self.tokens
        rest = []
        for start in starts:
            if tokens[start + 1] in ("type", "rec"):
                self.position = start
                self.define_types()
            else:
                rest.append(start)
        # What a segment counts as has been settled by the first pass; the second counts again, to encode.
        for start in rest:
            self.position = start + 2
            self._fields[tokens[start + 1]]()
            self.expect(")")

    def _inline_exports(self, word: str, index: int) -> None:
        while self.accept_form("export"):
            self.exports.append(sized(self.name()) + _KINDS[word] + unsigned(index))
            self.expect(")")

    def _begin(self, word: str) -> tuple[int, bytes | None]:
        """What definitions begin with: an identifier, exports, an import. The index, and the import's two names."""
        self.identifier()
        index = self._encoded[word]
        self._encoded[word] += 1
        self._inline_exports(word, index)
        if self.at_form("import"):
            self._check_import_order(self.position)
            self.position += 2
            names = sized(self.name()) + sized(self.name())
            self.expect(")")
            return index, names + _KINDS[word]
        self._defined = self._defined or word
        return index, None

    def _check_import_order(self, position: int) -> None:
        if self._defined:
            what = {"func": "function"}.get(self._defined, self._defined)
            raise self.error(f"import after {what}: imports come before definitions", position)

    def _import(self) -> None:
        self._check_import_order(self.position - 2)
        head = sized(self.name()) + sized(self.name())
        self.expect("(")
        word = self.tokens[self.position]
        self.position += 1
        self.identifier()
        self._encoded[word] += 1
        self.imports.append(head + _KINDS[word] + self._extern_type(word))
        self.expect(")")

    def _extern_type(self, word: str) -> bytes:
        if word == "func":
            return unsigned(self.type_use(Space("local")))
        if word == "tag":
            return b"\0" + unsigned(self.type_use(Space("local")))
        if word == "table":
            return self.table_type()
        return self.limits() if word == "memory" else self.global_type()

    def _func(self) -> None:
        index, imported = self._begin("func")
        if imported is not None:
            self.imports.append(imported + self._extern_type("func"))
            return
        self.locals = Space("local")
        self.function_types.append(unsigned(self.type_use(self.locals)))
        groups: list[tuple[int, bytes]] = []
        while self.accept_form("local"):
            self._local_group(groups)
        start = self.position
        self.begin_body()
        body = self.expression()
        if self.reorder_new_types():
            # Its type indices have changed, and so may have their lengths.
            self.position = start
            body = self.expression()
        locals_ = vector([unsigned(count) + type_ for count, type_ in groups])
        self.codes.append(sized(locals_ + body))
        if self.locals.names:
            self.local_names[index] = self.locals.names

    def _local_group(self, groups: list[tuple[int, bytes]]) -> None:
        """One ``(local ...)``, added to the runs of locals of one type."""
        named = self.tokens[self.position][:1] == "$"
        while True:
            if named:
                self.declare(self.locals)
            elif self.accept(")"):
                return
            else:
                self.locals.count += 1
            type_ = self.value_type()
            if groups and groups[-1][1] == type_:
                groups[-1] = (groups[-1][0] + 1, type_)
            else:
                groups.append((1, type_))
            if named:
                self.expect(")")
                return

    def _table(self) -> None:
        index, imported = self._begin("table")
        if imported is not None:
            self.imports.append(imported + self.table_type())
            return
        start = self.position
        is64 = self.address_type()
        if self.at_reference_type():
            element = self.reference_type()
            if not self.accept_form("elem"):
                raise self.unexpected()
            items = self._inline_items()
            self.expect(")")
            size = unsigned(len(items))
            self.table_definitions.append(element + bytes((is64 | 1,)) + size + size)
            offset = (_I64_CONST if is64 else _I32_CONST) + b"\0" + _END
            self._add_active_element(index, offset, element, False, items)
            return
        self.position = start
        limits = self.limits()
        element = self.reference_type()
        if self.tokens[self.position] == ")":
            self.table_definitions.append(element + limits)
            return
        initial = bytes(self.expression())
        # The default value needs no expression, also where it is written out.
        if initial == _REF_NULL + element.removeprefix(b"\x63").removeprefix(b"\x64") + _END:
            self.table_definitions.append(element + limits)
        else:
            self.table_definitions.append(b"\x40\0" + element + limits + initial)

    def _memory(self) -> None:
        index, imported = self._begin("memory")
        if imported is not None:
            self.imports.append(imported + self.limits())
            return
        start = self.position
        is64 = self.address_type()
        if not self.accept_form("data"):
            self.position = start
            self.memory_definitions.append(self.limits())
            return
        data = self.strings()
        self.expect(")")
        pages = unsigned((len(data) + (1 << _PAGE_BITS) - 1) >> _PAGE_BITS)
        self.memory_definitions.append(bytes((is64 | 1,)) + pages + pages)
        offset = (_I64_CONST if is64 else _I32_CONST) + b"\0" + _END
        self._add_active_data(index, offset, data)

    def _global(self) -> None:
        _, imported = self._begin("global")
        if imported is not None:
            self.imports.append(imported + self.global_type())
            return
        type_ = self.global_type()
        self.global_definitions.append(type_ + self.expression())

    def _tag(self) -> None:
        _, imported = self._begin("tag")
        type_ = self._extern_type("tag")
        if imported is None:
            self.tag_definitions.append(type_)
        else:
            self.imports.append(imported + type_)

    def _export(self) -> None:
        name = sized(self.name())
        self.expect("(")
        word = self.tokens[self.position]
        if word not in _KINDS:
            raise self.unexpected()
        self.position += 1
        self.exports.append(name + _KINDS[word] + self.index_bytes(self._spaces[word]))
        self.expect(")")

    def _start(self) -> None:
        if self.start is not None:
            raise self.error("multiple start sections", self.position - 1)
        self.start = self.index(self.funcs)

    # -- segments

    def _place(self, word: str, space: Space) -> int | None:
        """The table or memory that a segment names, if it does.

        Version 1.0 of the specification wrote a bare index, which other tools read as well if it is a number. One that
        is an identifier is the segment's own since 2.0.
        """
        if self.tokens[self.position][:1].isdecimal():
            return self.natural(32)
        if not self.accept_form(word):
            return None
        index = self.index(space)
        self.expect(")")
        return index

    def _offset(self) -> bytes:
        if self.accept_form("offset"):
            offset = bytes(self.expression())
            self.expect(")")
            return offset
        return bytes(self.expression(single=True))

    def _elem(self) -> None:
        self.identifier()
        if self.accept("declare"):
            self._add_element(_DECLARATIVE, b"", *self._element_list())
            return
        # Without the word "table", as in version 1.0, the items may be function indices without the word "func".
        short = not self.at_form("table")
        place = self._place("table", self.tables)
        if place is None and (self.tokens[self.position] != "(" or self.at_reference_type()):
            self._add_element(_PASSIVE, b"", *self._element_list())
            return
        table, offset = place or 0, self._offset()
        if short and self.tokens[self.position] != "func" and not self.at_reference_type():
            self._add_active_element(table, offset, _FUNCREF, True, self._functions())
            return
        self._add_active_element(table, offset, *self._element_list())

    def _element_list(self) -> tuple[bytes, bool, list[bytes]]:
        """The items of a segment: their type, whether they are plain function indices, and they."""
        if self.accept("func"):
            return _FUNCREF, True, self._functions()
        element = self.reference_type()
        items = self._item_expressions()
        if element == _NOT_NULL_FUNC:
            functions = [_function_of(item) for item in items]
            if all(functions):
                return _FUNCREF, True, functions
        return element, False, items

    def _functions(self) -> list[bytes]:
        functions = []
        while self.at_index():
            functions.append(self.index_bytes(self.funcs))
        return functions

    def _item_expressions(self) -> list[bytes]:
        items = []
        while self.tokens[self.position] == "(":
            if self.accept_form("item"):
                items.append(bytes(self.expression()))
                self.expect(")")
            else:
                items.append(bytes(self.expression(single=True)))
        return items

    def _inline_items(self) -> list[bytes]:
        """The items of a table's own segment, whose type is the table's; so they are expressions in any case."""
        if self.tokens[self.position] == "(":
            return self._item_expressions()
        return [_REF_FUNC + function + _END for function in self._functions()]

    def _add_active_element(
        self, table: int, offset: bytes, element: bytes, functions: bool, items: list[bytes]
    ) -> None:
        if table or (not functions and element != _FUNCREF):
            self._add_element(_WITH_INDEX, unsigned(table) + offset, element, functions, items)
        else:
            flags = 0 if functions else _ELEMENTS_ARE_EXPRESSIONS
            self.elements.append(bytes((flags,)) + offset + vector(items))

    def _add_element(self, mode: int, place: bytes, element: bytes, functions: bool, items: list[bytes]) -> None:
        """A segment that says what its items are."""
        flags, kind = (mode, b"\0") if functions else (mode | _ELEMENTS_ARE_EXPRESSIONS, element)
        self.elements.append(bytes((flags,)) + place + kind + vector(items))

    def _data(self) -> None:
        self.identifier()
        memory = self._place("memory", self.memories)
        if memory is None and self.tokens[self.position] != "(":
            self.data.append(bytes((_PASSIVE,)) + sized(self.strings()))
            return
        offset = self._offset()
        self._add_active_data(memory or 0, offset, self.strings())

    def _add_active_data(self, memory: int, offset: bytes, data: bytes) -> None:
        head = bytes((_WITH_INDEX,)) + unsigned(memory) if memory else b"\0"
        self.data.append(head + offset + sized(data))

    # -- the whole

    def _assemble(self) -> bytes:
        parts = [_MAGIC_AND_VERSION]
        for number, items in (
            (1, self.recursive_types),
            (2, self.imports),
            (3, self.function_types),
            (4, self.table_definitions),
            (5, self.memory_definitions),
            (13, self.tag_definitions),
            (6, self.global_definitions),
            (7, self.exports),
        ):
            if items:
                parts.append(section(number, vector(items)))
        if self.start is not None:
            parts.append(section(8, unsigned(self.start)))
        if self.elements:
            parts.append(section(9, vector(self.elements)))
        if self.uses_data_segments:
            parts.append(section(12, unsigned(len(self.data))))
        if self.codes:
            parts.append(section(10, vector(self.codes)))
        if self.data:
            parts.append(section(11, vector(self.data)))
        return b"".join(parts)
