"""What a module says, decoded: the plain data that the compiler, the API and the tools read."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from ..extern_types import GlobalType, MemoryType, TableType, TagType
    from ..types import FuncType
    from .names import Names

#: Kinds of imports and exports, as in the binary format.
FUNC = 0
TABLE = 1
MEMORY = 2
GLOBAL = 3
TAG = 4

#: The number of a name section's subsection that names locals.
_LOCAL_NAMES = 2

#: Words for the kinds, by kind.
KIND_NAMES = ("func", "table", "memory", "global", "tag")


class Section:
    """Where a section lies.

    Attributes:
        id: the section's number in the binary format; 0 is a custom section.
        name: "type", "import" and so on; of a custom section its own name.
        start, end: range of its contents in the module, after id and size. A custom section's begin with its name.
        payload: where a custom section's contents go on after the name; else the same as ``start``.
    """

    __slots__ = ("end", "id", "name", "payload", "start")

    def __init__(self, id: int, name: str, start: int, end: int, payload: int) -> None:
        self.id = id
        self.name = name
        self.start = start
        self.end = end
        self.payload = payload

    def __repr__(self) -> str:
        return f"Section({self.id}, {self.name!r}, {self.start:#x}, {self.end:#x})"


class Import:
    """One import.

    Attributes:
        module, name: the two names.
        kind: :data:`FUNC`, :data:`TABLE`, :data:`MEMORY`, :data:`GLOBAL` or :data:`TAG`.
        desc: for a function the index of its type, else its type.
        offset: where it lies in the module.
    """

    __slots__ = ("desc", "kind", "module", "name", "offset")

    def __init__(
        self, module: str, name: str, kind: int, desc: int | TableType | MemoryType | GlobalType | TagType, offset: int
    ) -> None:
        self.module = module
        self.name = name
        self.kind = kind
        self.desc = desc
        self.offset = offset

    def __repr__(self) -> str:
        return f"Import({self.module!r}, {self.name!r}, {self.kind}, {self.desc!r})"


class Export:
    """One export.

    Attributes:
        name: its name.
        kind: :data:`FUNC`, :data:`TABLE`, :data:`MEMORY`, :data:`GLOBAL` or :data:`TAG`.
        index: in the index space of its kind.
        offset: where it lies in the module.
    """

    __slots__ = ("index", "kind", "name", "offset")

    def __init__(self, name: str, kind: int, index: int, offset: int) -> None:
        self.name = name
        self.kind = kind
        self.index = index
        self.offset = offset

    def __repr__(self) -> str:
        return f"Export({self.name!r}, {self.kind}, {self.index})"


class ConstExpr:
    """A constant expression.

    Attributes:
        ops: ``(opcode, immediate)`` in the order of evaluation on a stack, without the ``end``. Immediates: signed ints
            of ``i32.const`` and ``i64.const``, bits of ``f32.const`` and ``f64.const``, the type code of ``ref.null``,
            the index of ``ref.func`` and ``global.get``, 0 of arithmetic.
        offset: where it lies in the module.
    """

    __slots__ = ("offset", "ops")

    def __init__(self, ops: list[tuple[int, int]], offset: int) -> None:
        self.ops = ops
        self.offset = offset

    def __repr__(self) -> str:
        return f"ConstExpr({self.ops!r}, {self.offset:#x})"


class Element:
    """One element segment. It has either ``funcs`` or ``exprs``.

    Attributes:
        mode: "active", "passive" or "declarative".
        table: index of the table that an active segment is copied to, else 0.
        offset: where in that table, else ``None``.
        type: code of the items' type.
        funcs: the items as function indices, also where each was an expression of just a ``ref.func``; else ``None``.
        exprs: the items as constant expressions, where any of them is something else; else ``None``.
        position: where the segment lies in the module.
    """

    __slots__ = ("exprs", "funcs", "mode", "offset", "position", "table", "type")

    def __init__(
        self,
        mode: str,
        table: int,
        offset: ConstExpr | None,
        type: int,
        funcs: Sequence[int] | None,
        exprs: Sequence[ConstExpr] | None,
        position: int,
    ) -> None:
        self.mode = mode
        self.table = table
        self.offset = offset
        self.type = type
        self.funcs = funcs
        self.exprs = exprs
        self.position = position

    @property
    def items(self) -> Sequence[int] | Sequence[ConstExpr]:
        """The items, of either kind."""
        return self.funcs if self.funcs is not None else self.exprs or ()

    def __repr__(self) -> str:
        from ..counting import counted

        return f"Element({self.mode!r}, table={self.table}, {counted(len(self.items), 'item')} at {self.position:#x})"


class Data:
    """One data segment. Its bytes stay where they are, in the module.

    Attributes:
        mode: "active" or "passive".
        memory: index of the memory that an active segment is copied to, else 0.
        offset: where in that memory, else ``None``.
        start, end: range of the bytes in the module.
        position: where the segment lies in the module.
    """

    __slots__ = ("end", "memory", "mode", "offset", "position", "start")

    def __init__(self, mode: str, memory: int, offset: ConstExpr | None, start: int, end: int, position: int) -> None:
        self.mode = mode
        self.memory = memory
        self.offset = offset
        self.start = start
        self.end = end
        self.position = position

    def __repr__(self) -> str:
        from ..counting import counted

        size = counted(self.end - self.start, "byte")
        return f"Data({self.mode!r}, memory={self.memory}, {size} at {self.start:#x})"


class DataSegments:
    """The data segments of a module, in their order. Tools that pack memories make tens of thousands of them, so the
    usual ones are kept as numbers, and are made into :class:`Data` when they are asked for.

    Args:
        offsets: by segment, where a usual one is copied to: an ``i32.const`` from 0 to 2**31 - 1 in memory 0, in an
            expression that begins at the segment's second byte. Of others OTHER or more.
        positions: where each lies in the module.
        starts, ends: range of the bytes of each in the module.
        active: by segment, 1 where it is active.
        others: the active ones that are not usual, by index.
        again: reads one of these that is not among ``others``, by its position, where there are more.

    Attributes:
        offsets, positions, starts, ends, active: as given.
    """

    __slots__ = ("_again", "_others", "active", "ends", "offsets", "positions", "starts")

    OTHER = 1 << 31

    def __init__(
        self,
        offsets: Sequence[int],
        positions: Sequence[int],
        starts: Sequence[int],
        ends: Sequence[int],
        active: bytes,
        others: dict[int, Data],
        again: Callable[[int], Data] | None = None,
    ) -> None:
        self.offsets = offsets
        self.positions = positions
        self.starts = starts
        self.ends = ends
        self.active = active
        self._others = others
        self._again = again

    def __len__(self) -> int:
        return len(self.offsets)

    def __getitem__(self, index: int) -> Data:
        offset, start, end, position = self.offsets[index], self.starts[index], self.ends[index], self.positions[index]
        if offset < self.OTHER:
            from ..constant_opcodes import I32_CONST

            return Data("active", 0, ConstExpr([(I32_CONST, offset)], position + 1), start, end, position)
        found = self._others.get(index)
        if found is not None:
            return found
        if self.active[index] and self._again is not None:
            return self._again(position)
        return Data("passive", 0, None, start, end, position)

    def __iter__(self) -> Iterator[Data]:
        return map(self.__getitem__, range(len(self)))

    def others(self) -> Iterator[Data]:
        """The active ones that are not usual, in their order."""
        if self._again is None:
            yield from self._others.values()
        else:
            other = self.OTHER
            for index, offset in enumerate(self.offsets):
                if offset >= other and self.active[index]:
                    yield self[index]

    def __repr__(self) -> str:
        return f"<DataSegments: {len(self)}>"


class Bodies:
    """Where function bodies lie: a sequence of ``(start, end)``.

    Args:
        starts, ends: numbers.
    """

    __slots__ = ("_ends", "_starts")

    def __init__(self, starts: memoryview, ends: memoryview) -> None:
        self._starts = starts
        self._ends = ends

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: int) -> tuple[int, int]:
        return self._starts[index], self._ends[index]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._starts, self._ends, strict=True)

    def __repr__(self) -> str:
        return f"<Bodies: {len(self)}>"


#: What nobody changes.
NO_DATA = DataSegments([], [], [], [], b"", {})


class ModuleInfo:
    """A decoded module. Of what there may be much of, sequences need not be lists, see :mod:`.compact`.

    Attributes:
        data: the whole module.
        features: names of the proposals that were on, see :mod:`vibewasm.binary.support`.
        sections: all sections in their order.
        types: function types. Equal types may be one object.
        imports: imports in their order.
        func_type_indices: for each function, imported ones first, the index of its type.
        tables, memories, globals, tags: their types, imported ones first.
        table_positions, memory_positions: where the ones that the module defines lie, imports not counted.
        imported_funcs, imported_tables, imported_memories, imported_globals, imported_tags: how many of each are
            imported.
        table_inits: first values of the elements of tables that the module defines, by the table's index, where it says
            any.
        global_inits: for each global that the module defines, its first value.
        exports: exports in their order.
        start: index of the start function, or ``None``.
        start_position: where the start section says so.
        elements: element segments.
        datas: data segments.
        data_count: what the data count section says, or ``None`` without one.
        bodies: for each function that the module defines, where its locals and its expression lie in ``data``.
        declared_refs: functions that occur outside of bodies, other than as the start function, so that
            ``ref.func`` in bodies may name them: ``{function index: 0, 1, 2...}``.
    """

    __slots__ = (
        "_export_index",
        "_name_range",
        "_names",
        "bodies",
        "data",
        "data_count",
        "datas",
        "declared_refs",
        "elements",
        "exports",
        "features",
        "func_type_indices",
        "global_inits",
        "globals",
        "imported_funcs",
        "imported_globals",
        "imported_memories",
        "imported_tables",
        "imported_tags",
        "imports",
        "memories",
        "memory_positions",
        "sections",
        "start",
        "start_position",
        "table_inits",
        "table_positions",
        "tables",
        "tags",
        "types",
    )

    def __init__(self, data: bytes, features: frozenset[str]) -> None:
        self.data = data
        self.features = features
        self.sections: Sequence[Section] = []
        self.types: list[FuncType] = []
        self.imports: list[Import] = []
        self.func_type_indices: list[int] = []
        self.tables: list[TableType] = []
        self.memories: list[MemoryType] = []
        self.globals: list[GlobalType] = []
        self.tags: list[TagType] = []
        self.table_positions: list[int] = []
        self.memory_positions: list[int] = []
        self.imported_funcs = 0
        self.imported_tables = 0
        self.imported_memories = 0
        self.imported_globals = 0
        self.imported_tags = 0
        self.table_inits: dict[int, ConstExpr] = {}
        self.global_inits: Sequence[ConstExpr] = []
        self.exports: list[Export] = []
        self.start: int | None = None
        self.start_position = 0
        self.elements: Sequence[Element] = []
        self.datas = NO_DATA
        self.data_count: int | None = None
        self.bodies: list[tuple[int, int]] = []
        self.declared_refs: dict[int, int] = {}
        self._export_index: dict[str, Export] | None = None
        self._name_range: tuple[int, int] | None = None
        self._names: Names | None = None

    @property
    def defined_funcs(self) -> int:
        """How many functions the module defines."""
        return len(self.func_type_indices) - self.imported_funcs

    def func_type(self, index: int) -> FuncType:
        """The type of function ``index`` (imports first)."""
        return self.types[self.func_type_indices[index]]

    @property
    def export_index(self) -> dict[str, Export]:
        """The exports by name."""
        found = self._export_index
        if found is None:
            found = self._export_index = {export.name: export for export in self.exports}
        return found

    def custom_sections(self, name: str) -> list[Section]:
        """The custom sections of that name, in their order; ``data[section.payload:section.end]`` is what they hold."""
        return [section for section in self.sections if section.id == 0 and section.name == name]

    def first_function_with(self, codes: Iterable[int]) -> int | None:
        """The index of the first function that has an instruction with one of these opcodes; for tools, which need not
        know whether it is valid.
        """
        from .code_search import first_function_with

        return first_function_with(self, codes)

    @property
    def names(self) -> Names:
        """What the ``name`` custom section says (specification, "Appendix"), decoded when asked for."""
        if self._names is None:
            from .names import Names

            self._names = Names(self.data, *self._name_section())
        return self._names

    def _name_section(self) -> tuple[int, int]:
        """Where the contents of the name section begin and end."""
        found = self._name_range
        if found is None:
            # Of several sections the last one counts: tools that add one append it.
            sections = self.custom_sections("name")
            found = self._name_range = (sections[-1].payload, sections[-1].end) if sections else (0, 0)
        return found

    @property
    def name(self) -> str | None:
        """The module's name in the name section, or ``None``."""
        return self.names.module

    @property
    def func_names(self) -> Mapping[int, str]:
        """Names of functions in the name section, by function index."""
        return self.names.of("func")

    @property
    def has_local_names(self) -> bool:
        """Whether there are :attr:`local_names`, as far as that is known before they are decoded."""
        # Asked for at the first call of a function, which is no time to load what decodes names: of each subsection
        # (specification, "Appendix / Custom Sections / Name Section") this reads the number and the size.
        pos, end = self._name_section()
        data = self.data
        while pos < end:
            if data[pos] == _LOCAL_NAMES:
                return True
            size = shift = 0
            while (pos := pos + 1) < end and shift < 35:
                size |= (data[pos] & 0x7F) << shift
                shift += 7
                if data[pos] < 0x80:
                    break
            pos += 1 + size
        return False

    @property
    def local_names(self) -> Mapping[int, Mapping[int, str]]:
        """Names of locals in the name section, by function index and local index."""
        return self.names.within("local")
