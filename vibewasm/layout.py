"""Where an instance's context keeps what machine code reads: see ``docs/abi.md``.

The layout is a function of the module alone, so code compiled for a module fits every instance of it. The fixed
header is
the runtime's (:mod:`vibewasm.runtime.context`); behind it lie, in this order: memory descriptors, table descriptors,
type identities,
function records of imports and of functions that ``ref.func`` may name, globals, and the call slots of defined
functions.
"""

from __future__ import annotations

from .backends.abi import CTX_HEADER
from .types import V128

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .binary.module_info import ModuleInfo


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
