"""An instance's context: where it keeps what machine code reads (see ``docs/abi.md``), and how that is filled in.

The layout is a function of the module alone, so code compiled for a module fits every instance of it. After the fixed
header, whose offsets are in :mod:`vibewasm.abi`, come: memory descriptors, table descriptors, type identities, function
records of imports and of functions that ``ref.func`` may name, globals, and the call slots of defined functions.
"""

from __future__ import annotations

from ..abi import CTX_HANDLE, CTX_HEADER, CTX_MEMORY_BASE, CTX_MEMORY_DESCRIPTOR, CTX_STORE, RECORD_SIZE
from ..calls.process import adapters
from ..calls.values import MASK64
from ..types import V128

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..api.instance import Instance
    from ..binary.module_info import ModuleInfo


class ContextLayout:
    """Byte offsets from the start of an instance's context.

    Attributes:
        memories, tables, types, imported_funcs, refs, globals, slots: offset of the first cell of each part.
        size: bytes of the whole context, a multiple of 16.
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
        "types",
    )

    def __init__(self, info: ModuleInfo) -> None:
        self.memories = CTX_HEADER
        self.tables = self.memories + 8 * len(info.memories)
        self.types = self.tables + 8 * len(info.tables)
        self.imported_funcs = self.types + 8 * len(info.types)
        self.refs = self.imported_funcs + 8 * info.imported_funcs
        self.globals = self.refs + 8 * len(info.declared_refs)
        offset = self.globals
        self._global_offsets: list[int] = []
        self._globals_by_pointer: list[bool] = []
        for index, global_type in enumerate(info.globals):
            by_pointer = global_type.mutable and index < info.imported_globals
            self._global_offsets.append(offset)
            self._globals_by_pointer.append(by_pointer)
            offset += 16 if global_type.content.code == V128 and not by_pointer else 8
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

    def global_(self, index: int) -> int:
        """Offset of the value of global ``index``, or of a pointer to it where :meth:`global_by_pointer` says so."""
        return self._global_offsets[index]

    def global_by_pointer(self, index: int) -> bool:
        """Whether global ``index`` is an imported mutable one, which lives in another context."""
        return self._globals_by_pointer[index]

    def slot(self, defined: int) -> int:
        """Offset of the code address of the defined function ``defined`` (imports not counted)."""
        return self.slots + 8 * defined


def fill(instance: Instance) -> None:
    """Write everything into the context but the values of the instance's own globals, and make the function records."""
    store, module = instance.store, instance.module
    info, layout, cells = module.info, module.layout, instance._cells
    cells[CTX_STORE >> 3] = store._block.address
    cells[CTX_HANDLE >> 3] = len(store._instances)
    if instance._memories:
        first = instance._memories[0]._linear
        cells[CTX_MEMORY_BASE >> 3] = first.base
        cells[CTX_MEMORY_DESCRIPTOR >> 3] = first.descriptor
    at = layout.memories >> 3
    for memory in instance._memories:
        cells[at] = memory._linear.descriptor
        at += 1
    at = layout.tables >> 3
    for table in instance._tables:
        cells[at] = table._descriptor.address
        at += 1
    type_id = store.engine._type_id
    type_ids = [type_id(type_) for type_ in info.types]
    at = layout.types >> 3
    for number in type_ids:
        cells[at] = number
        at += 1
    at = layout.imported_funcs >> 3
    for func in instance._imported_funcs:
        cells[at] = func._address
        at += 1
    for index in range(info.imported_globals):
        imported = instance._globals[index]
        assert imported is not None
        at = layout.global_(index) >> 3
        if layout.global_by_pointer(index):
            cells[at] = imported._address
        else:
            set_global(cells, at, info.globals[index].content.code, imported.raw)
    _fill_slots(instance)
    _fill_records(instance, type_ids)


def _fill_slots(instance: Instance) -> None:
    """Let calls lead to the machine code of functions, or to the stubs that have them compiled."""
    module = instance.module
    if module.info.bodies:
        lazy = adapters().lazy
        at = module.layout.slots >> 3
        cells = instance._cells
        for defined, address in enumerate(module._addresses):
            cells[at + defined] = address or lazy(defined)


def _fill_records(instance: Instance, type_ids: list[int]) -> None:
    """Make the records of functions that may be referred to, and write their addresses to the context."""
    info, cells, records = instance.module.info, instance._cells, instance._records
    imported = info.imported_funcs
    slots = instance.module.layout.slots >> 3
    refs = instance.module.layout.refs >> 3
    context = instance._address
    types = info.func_type_indices
    for index, dense in info.declared_refs.items():
        if index < imported:
            cells[refs + dense] = instance._imported_funcs[index]._address
            continue
        defined = index - imported
        at = 4 * dense
        records[at] = cells[slots + defined]
        records[at + 1] = context
        records[at + 2] = type_ids[types[index]] | defined << 32
        cells[refs + dense] = instance._records_address + RECORD_SIZE * dense


def set_global(cells: memoryview, at: int, code: int, bits: int) -> None:
    """Write the value of a global of type ``code`` to a context's cells."""
    cells[at] = bits & MASK64
    if code == V128:
        cells[at + 1] = bits >> 64
