"""Puts modules together for tests.

    m = ModuleBuilder()
    log = m.import_func("env", "log", ["i32"])
    m.memory(1, export="memory")
    m.data(b"hello", offset=16)
    m.func(["i32", "i32"], ["i32"], local_get(0) + local_get(1) + b"\\x6a", export="add")
    wasm = m.build()

Bodies and constant expressions are raw instructions without the ``end``, which is added; :mod:`tests.binary.encode` has
the instructions that most tests need. Nothing is checked, so invalid modules can be built too, but imports have to come
before definitions of their kind, because every method returns the index of what it made.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.binary.encode import (
    END,
    HEADER,
    VALUE_TYPES,
    custom,
    func_type,
    i32_const,
    limits,
    name,
    ref_func,
    section,
    unsigned,
    vector,
)

FUNC, TABLE, MEMORY, GLOBAL = range(4)

Locals = Sequence[str | tuple[int, str]]


class ModuleBuilder:
    """A module in the making. All types are names such as ``"i32"``."""

    def __init__(self) -> None:
        self._types: list[bytes] = []
        self._imports: list[bytes] = []
        self._functions: list[int] = []
        self._tables: list[bytes] = []
        self._memories: list[bytes] = []
        self._tags: list[bytes] = []
        self._globals: list[bytes] = []
        self._exports: list[bytes] = []
        self._start: int | None = None
        self._elements: list[bytes] = []
        self._bodies: list[bytes] = []
        self._datas: list[bytes] = []
        self._customs: list[bytes] = []
        self._imported = [0, 0, 0, 0]
        self._func_names: dict[int, str] = {}
        self._module_name: str | None = None

    def type(self, params: Iterable[str] = (), results: Iterable[str] = ()) -> int:
        """A function type, made once for each signature. Returns its index."""
        encoded = func_type(params, results)
        if encoded not in self._types:
            self._types.append(encoded)
        return self._types.index(encoded)

    # -- imports --------------------------------------------------------------------------------------------------

    def import_func(self, module: str, field: str, params: Iterable[str] = (), results: Iterable[str] = ()) -> int:
        """An imported function. Returns its index."""
        return self._import(module, field, FUNC, unsigned(self.type(params, results)), self._functions)

    def import_table(
        self, module: str, field: str, minimum: int, maximum: int | None = None, element: str = "funcref"
    ) -> int:
        """An imported table. Returns its index."""
        encoded = bytes([VALUE_TYPES[element]]) + limits(minimum, maximum)
        return self._import(module, field, TABLE, encoded, self._tables)

    def import_memory(self, module: str, field: str, minimum: int, maximum: int | None = None) -> int:
        """An imported memory. Returns its index."""
        return self._import(module, field, MEMORY, limits(minimum, maximum), self._memories)

    def import_global(self, module: str, field: str, type: str, mutable: bool = False) -> int:
        """An imported global. Returns its index."""
        return self._import(module, field, GLOBAL, bytes([VALUE_TYPES[type], mutable]), self._globals)

    def _import(self, module: str, field: str, kind: int, desc: bytes, defined: Sequence[object]) -> int:
        if defined:
            raise ValueError("imports come before definitions of their kind: indices would change")
        self._imports.append(name(module) + name(field) + bytes([kind]) + desc)
        self._imported[kind] += 1
        return self._imported[kind] - 1

    # -- definitions ----------------------------------------------------------------------------------------------

    def func(
        self,
        params: Iterable[str] = (),
        results: Iterable[str] = (),
        body: bytes = b"",
        *,
        locals: Locals = (),
        export: str | None = None,
        name: str | None = None,
    ) -> int:
        """A function.

        Args:
            params, results: its type.
            body: its instructions without the last ``end``.
            locals: types, or pairs of a number and a type, one entry each: ``["i32", (3, "f64")]``.
            export: export it under this name.
            name: its name in the name section.

        Returns:
            its index.
        """
        runs = [(1, run) if isinstance(run, str) else run for run in locals]
        declared = vector(unsigned(number) + bytes([VALUE_TYPES[type_]]) for number, type_ in runs)
        return self.raw_func(self.type(params, results), declared + body + END, export=export, name=name)

    def raw_func(self, type_index: int, body: bytes, *, export: str | None = None, name: str | None = None) -> int:
        """A function whose body, locals and last ``end`` included, is taken as it is. Returns its index."""
        index = self._imported[FUNC] + len(self._functions)
        self._functions.append(type_index)
        self._bodies.append(body)
        if name is not None:
            self._func_names[index] = name
        return self._made(index, FUNC, export)

    def table(
        self, minimum: int, maximum: int | None = None, element: str = "funcref", *, export: str | None = None
    ) -> int:
        """A table. Returns its index."""
        self._tables.append(bytes([VALUE_TYPES[element]]) + limits(minimum, maximum))
        return self._made(self._imported[TABLE] + len(self._tables) - 1, TABLE, export)

    def memory(self, minimum: int, maximum: int | None = None, *, export: str | None = None) -> int:
        """A memory. Returns its index."""
        self._memories.append(limits(minimum, maximum))
        return self._made(self._imported[MEMORY] + len(self._memories) - 1, MEMORY, export)

    def tag(self, params: Iterable[str] = ()) -> int:
        """A tag. Returns its index."""
        self._tags.append(b"\0" + unsigned(self.type(params)))
        return len(self._tags) - 1

    def global_(self, type: str, init: bytes, *, mutable: bool = False, export: str | None = None) -> int:
        """A global whose first value is the constant expression ``init``. Returns its index."""
        self._globals.append(bytes([VALUE_TYPES[type], mutable]) + init + END)
        return self._made(self._imported[GLOBAL] + len(self._globals) - 1, GLOBAL, export)

    def _made(self, index: int, kind: int, export: str | None) -> int:
        if export is not None:
            self.export(export, kind, index)
        return index

    def export(self, field: str, kind: int, index: int) -> None:
        """Export something: kinds are :data:`FUNC`, :data:`TABLE`, :data:`MEMORY`, :data:`GLOBAL`."""
        self._exports.append(name(field) + bytes([kind]) + unsigned(index))

    def start(self, func: int) -> None:
        """Make ``func`` the start function."""
        self._start = func

    # -- segments -------------------------------------------------------------------------------------------------

    def elem(
        self,
        funcs: Iterable[int],
        offset: int | bytes | None = 0,
        table: int = 0,
        *,
        declarative: bool = False,
        as_exprs: bool = False,
    ) -> int:
        """An element segment of functions.

        Args:
            funcs: indices of functions.
            offset: where in the table: a number, or a constant expression; ``None`` makes the segment passive.
            table: index of the table.
            declarative: make it declarative; ``offset`` and ``table`` do not count.
            as_exprs: encode the items as ``ref.func`` expressions rather than as indices.

        Returns:
            its index.
        """
        if as_exprs:
            exprs = [ref_func(index) for index in funcs]
            return self.elem_exprs("funcref", exprs, offset, table, declarative=declarative)
        flags, prefix = _segment(offset, table, declarative)
        kind = b"\0" if flags else b""
        self._elements.append(unsigned(flags) + prefix + kind + vector(unsigned(index) for index in funcs))
        return len(self._elements) - 1

    def elem_exprs(
        self,
        type: str,
        exprs: Iterable[bytes],
        offset: int | bytes | None = 0,
        table: int = 0,
        *,
        declarative: bool = False,
    ) -> int:
        """An element segment of constant expressions of a reference type; else as :meth:`elem`. Returns its index."""
        flags, prefix = _segment(offset, table, declarative)
        if flags == 0 and type != "funcref":
            # Only the long form of an active segment says a type.
            flags, prefix = 2, unsigned(table) + prefix
        said = bytes([VALUE_TYPES[type]]) if flags else b""
        self._elements.append(unsigned(flags | 4) + prefix + said + vector(expr + END for expr in exprs))
        return len(self._elements) - 1

    def data(self, contents: bytes, offset: int | bytes | None = 0, memory: int = 0) -> int:
        """A data segment; ``offset`` as in :meth:`elem`. Returns its index."""
        flags, prefix = _segment(offset, memory, False)
        self._datas.append(unsigned(flags) + prefix + unsigned(len(contents)) + contents)
        return len(self._datas) - 1

    # -- the rest -------------------------------------------------------------------------------------------------

    def custom(self, title: str, contents: bytes = b"") -> None:
        """A custom section, after all other sections."""
        self._customs.append(custom(title, contents))

    def name(self, text: str) -> None:
        """The module's own name in the name section."""
        self._module_name = text

    def build(self) -> bytes:
        """The module. Sections that hold nothing are left out."""
        out = [HEADER]
        for which, items in (
            ("type", self._types),
            ("import", self._imports),
            ("function", [unsigned(index) for index in self._functions]),
            ("table", self._tables),
            ("memory", self._memories),
            ("tag", self._tags),
            ("global", self._globals),
            ("export", self._exports),
        ):
            out.append(_unless_empty(which, items))
        if self._start is not None:
            out.append(section("start", unsigned(self._start)))
        out.append(_unless_empty("element", self._elements))
        if self._datas:
            out.append(section("data count", unsigned(len(self._datas))))
        out.append(_unless_empty("code", [name(body) for body in self._bodies]))
        out.append(_unless_empty("data", self._datas))
        out.append(self._name_section())
        return b"".join(out + self._customs)

    def _name_section(self) -> bytes:
        contents = b""
        if self._module_name is not None:
            contents += section(0, name(self._module_name))
        if self._func_names:
            contents += section(1, vector(unsigned(index) + name(text) for index, text in self._func_names.items()))
        return custom("name", contents) if contents else b""


def _unless_empty(which: str, items: list[bytes]) -> bytes:
    return section(which, vector(items)) if items else b""


def _segment(offset: int | bytes | None, index: int, declarative: bool) -> tuple[int, bytes]:
    """Flags of a segment, and what comes between them and its items: index of the table or memory, and offset."""
    if declarative:
        return 3, b""
    if offset is None:
        return 1, b""
    expr = (i32_const(offset) if isinstance(offset, int) else offset) + END
    return (2, unsigned(index) + expr) if index else (0, expr)
