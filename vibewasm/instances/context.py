"""An instance's context: where it keeps what machine code reads (see ``docs/abi.md``), and how that is filled in.

The layout is a function of the module alone, so code compiled for a module fits every instance of it. After the fixed
header, whose offsets are in :mod:`vibewasm.abi`, come: memory descriptors, table descriptors, type identities, function
records of imports and of functions that ``ref.func`` may name, identities of tags, globals, and the call slots of
defined functions.

Most of that is the same in every instance, so a module has a :class:`Template` from which its instances are copied.
"""

from __future__ import annotations

from ..abi import (
    CTX_HEADER,
    CTX_MEMORY_BASE,
    CTX_MEMORY_DESCRIPTOR,
    CTX_STORE,
    RECORD_CODE,
    RECORD_CTX,
    RECORD_SIZE,
    RECORD_TYPE,
)
from ..calls.process import adapters
from ..calls.values import MASK64
from ..runtime.blocks import Block
from ..types import V128

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ..api.instance import Instance
    from ..api.module import Module
    from ..binary.module_info import ModuleInfo
    from .segments import Segments


class ContextLayout:
    """Byte offsets from the start of an instance's context.

    Attributes:
        memories, tables, types, imported_funcs, refs, tags, globals, slots: offset of the first cell of each part.
        size: bytes of the whole context, a multiple of 16. Function records come after it.
    """

    __slots__ = (
        "_global_offsets",
        "_globals_by_pointer",
        "globals",
        "imported_funcs",
        "memories",
        "refs",
        "size",
        "slots",
        "tables",
        "tags",
        "types",
    )

    def __init__(self, info: ModuleInfo) -> None:
        self.memories = CTX_HEADER
        self.tables = self.memories + 8 * len(info.memories)
        self.types = self.tables + 8 * len(info.tables)
        self.imported_funcs = self.types + 8 * len(info.types)
        self.refs = self.imported_funcs + 8 * info.imported_funcs
        self.tags = self.refs + 8 * len(info.declared_refs)
        self.globals = self.tags + 8 * len(info.tags)
        offset = self.globals
        self._global_offsets: list[int] = []
        self._globals_by_pointer: list[bool] = []
        for index, global_type in enumerate(info.globals):
            by_pointer = global_type.mutable and index < info.imported_globals
            size = 8
            if global_type.content.code == V128 and not by_pointer:
                # A context begins at a multiple of 16, and so does a vector in it.
                size = 16
                offset = (offset + 15) & -16
            self._global_offsets.append(offset)
            self._globals_by_pointer.append(by_pointer)
            offset += size
        self.slots = offset
        self.size = (offset + 8 * len(info.bodies) + 15) & -16

    def memory(self, index: int) -> int:
        """Offset of the pointer to the descriptor of memory ``index``."""
        return self.memories + 8 * index

    def table(self, index: int) -> int:
        """Offset of the pointer to the descriptor of table ``index``."""
        return self.tables + 8 * index

    def type_id(self, index: int) -> int:
        """Offset of the cell that holds the engine's canonical identity of type ``index``."""
        return self.types + 8 * index

    def imported_func(self, index: int) -> int:
        """Offset of the pointer to the function record of imported function ``index``."""
        return self.imported_funcs + 8 * index

    def ref(self, dense: int) -> int:
        """Offset of the pointer to the function record of the declared reference ``dense``."""
        return self.refs + 8 * dense

    def tag(self, index: int) -> int:
        """Offset of the cell that holds the identity of tag ``index``: of a tag of the instance's own, the address of
        this very cell.
        """
        return self.tags + 8 * index

    def global_(self, index: int) -> int:
        """Offset of the value of global ``index``, or of a pointer to it where :meth:`global_by_pointer` says so."""
        return self._global_offsets[index]

    def global_by_pointer(self, index: int) -> bool:
        """Whether global ``index`` is an imported mutable one, which lives in another context."""
        return self._globals_by_pointer[index]

    def slot(self, defined: int) -> int:
        """Offset of the code address of the defined function ``defined`` (imports not counted)."""
        return self.slots + 8 * defined

    def record(self, dense: int) -> int:
        """Offset of the function record of the declared reference ``dense``; those of imports are elsewhere."""
        return self.size + RECORD_SIZE * dense


class Pointers:
    """Addresses of function records of an instance, one after another, made all at once: as digits of one large number,
    to which the address of the first record is added in every place.

    Args:
        info: the module.
        funcs: the functions, by index, whose records there are to be pointers to; ``None`` for null.

    Attributes:
        size: how many bytes they take.
        imported: those of imported functions, whose records are elsewhere: (position, function).
    """

    __slots__ = ("_offsets", "_ones", "imported", "size")

    def __init__(self, info: ModuleInfo, funcs: Collection[int | None] | Sequence[int]) -> None:
        refs, imported = info.declared_refs, info.imported_funcs
        self.imported: list[tuple[int, int]] = []
        self.size = size = 8 * len(funcs)
        offsets, ones = bytearray(size), bytearray(size)
        offset, one = memoryview(offsets).cast("Q"), memoryview(ones).cast("Q")
        for position, index in enumerate(funcs):
            if index is None:
                continue
            if index < imported:
                self.imported.append((position, index))
            else:
                offset[position] = RECORD_SIZE * refs[index]
                one[position] = 1
        self._offsets = int.from_bytes(offsets, "little")
        self._ones = int.from_bytes(ones, "little")

    def write(self, instance: Instance, cells: memoryview, at: int) -> None:
        """Write them to cells, from index ``at`` on."""
        size = self.size
        pointers = (self._offsets + instance._records_address * self._ones).to_bytes(size, "little")
        cells[at : at + (size >> 3)] = memoryview(pointers).cast("Q")
        for position, index in self.imported:
            cells[at + position] = instance._imported_funcs[index]._address


class Template:
    """What the instances of a module have in common: the context and the function records of an instance as they are
    before what is its own is written.

    Attributes:
        segments: what instances do with globals' first values and with segments; ``None`` where there are none.
    """

    __slots__ = ("_cells", "_module", "_refs", "_size", "_type_ids", "segments")

    def __init__(self, module: Module) -> None:
        info, layout = module.info, module.layout
        self._module = module
        records = len(info.declared_refs)
        self._size = size = layout.size + RECORD_SIZE * records
        self._cells = cells = memoryview(bytearray(size)).cast("Q")
        self._refs = Pointers(info, info.declared_refs) if records else None
        type_id = module.engine._type_id
        # Held as long as there are instances: see Engine.
        self._type_ids = type_ids = [type_id(type_) for type_ in info.types]
        _write(cells, layout.types >> 3, type_ids)
        if info.bodies:
            # Calls lead to the machine code of functions, or to the stubs that have them compiled.
            lazy = adapters().lazy_entries(len(info.bodies))
            slots = [address or entry for address, entry in zip(module._addresses, lazy, strict=False)]
            _write(cells, layout.slots >> 3, slots)
            imported, types = info.imported_funcs, info.func_type_indices
            at = layout.record(0)
            for index in info.declared_refs:
                if index >= imported:
                    defined = index - imported
                    cells[at + RECORD_CODE >> 3] = slots[defined]
                    # With the index, in the other half of the cell.
                    cells[at + RECORD_TYPE >> 3] = type_ids[types[index]] | defined << 32
                at += RECORD_SIZE
        self.segments: Segments | None = None
        if info.global_inits or info.elements or info.datas or info.table_inits:
            # Modules without these need not wait for what they take.
            from .segments import Segments

            self.segments = Segments(module, cells)

    def compiled(self, defined: int, address: int) -> None:
        """Let calls of a defined function lead to its machine code, in the instances to come."""
        set_code(self._cells, self._module, defined, address)

    def lay_out(self, instance: Instance) -> None:
        """Make the context and the records of an instance, of which only the values of some globals are left to be
        written.
        """
        block = Block(self._size)
        context = block.address
        cells = block.cells
        cells[:] = self._cells
        instance._address = context
        instance._cells = cells
        store, layout = instance._store, self._module.layout
        instance._records_address = context + layout.size
        cells[CTX_STORE >> 3] = store._block.address
        store.engine._show_supertypes(store._block)
        memories = instance._memories
        if memories:
            main = memories[0]._linear
            cells[CTX_MEMORY_BASE >> 3] = main.base
            cells[CTX_MEMORY_DESCRIPTOR >> 3] = main.descriptor
            at = layout.memories >> 3
            for memory in memories:
                cells[at] = memory._linear.descriptor
                at += 1
        at = layout.tables >> 3
        for table in instance._tables:
            cells[at] = table._descriptor.address
            at += 1
        at = layout.imported_funcs >> 3
        for func in instance._imported_funcs:
            cells[at] = func._address
            at += 1
        if self._refs is not None:
            cells[layout.record(0) + RECORD_CTX >> 3 :: RECORD_SIZE >> 3] = memoryview(
                context.to_bytes(8, "little") * (self._refs.size >> 3)
            ).cast("Q")
            self._refs.write(instance, cells, layout.refs >> 3)
        info = self._module.info
        for index, tag in enumerate(instance._tags):
            offset = layout.tag(index)
            cells[offset >> 3] = context + offset if tag is None else tag._address
        for index in range(info.imported_globals):
            imported = instance._globals[index]
            assert imported is not None
            at = layout.global_(index) >> 3
            if layout.global_by_pointer(index):
                cells[at] = imported._address
            else:
                set_global(cells, at, info.globals[index].content.code, imported.raw)


def _write(cells: memoryview, at: int, values: list[int]) -> None:
    """Write values to cells, from index ``at`` on."""
    for value in values:
        cells[at] = value
        at += 1


def set_code(cells: memoryview, module: Module, defined: int, address: int) -> None:
    """Let calls of a defined function lead to its machine code: those by its slot, and by its record if it has one."""
    layout, info = module.layout, module.info
    cells[layout.slot(defined) >> 3] = address
    dense = info.declared_refs.get(info.imported_funcs + defined)
    if dense is not None:
        cells[layout.record(dense) + RECORD_CODE >> 3] = address


def set_global(cells: memoryview, at: int, code: int, bits: int) -> None:
    """Write the value of a global of type ``code`` to a context's cells."""
    cells[at] = bits & MASK64
    if code == V128:
        cells[at + 1] = bits >> 64
