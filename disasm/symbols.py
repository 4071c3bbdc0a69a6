"""What the things in a module are called, and what lies where in the blocks that machine code reads.

Offsets come from the layouts that the compiler and the runtime use (:mod:`vibewasm.instances.context`,
:mod:`vibewasm.abi`); this file gives them words.
"""

from __future__ import annotations

from vibewasm import abi
from vibewasm.binary.module_info import KIND_NAMES
from vibewasm.wat.code_writer import CodeWriter
from vibewasm.wat.quoting import identifiers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from vibewasm.binary.module_info import ModuleInfo
    from vibewasm.instances.context import ContextLayout

#: What a pointer leads to: a kind of block, and what that one is called.
Pointer = tuple[str, str]
#: What a cell holds: its name, and what it points to if it is a pointer.
Cell = tuple[str, "Pointer | None"]

FRAME: Pointer = ("frame", "")
CONTEXT: Pointer = ("context", "")

#: Cells of the blocks by kind and offset: a pattern of the name, and the kind of block that a pointer leads to.
_FIELDS: dict[str, dict[int, tuple[str, str]]] = {
    "store": {
        abi.STORE_STACK_LIMIT: ("stack limit", ""),
        abi.STORE_INTERRUPT: ("interrupt word", ""),
        abi.STORE_FUEL: ("fuel", ""),
        abi.STORE_POLL_STUB: ("poll", "code"),
        abi.STORE_UNWIND: ("unwind", "code"),
        abi.STORE_MEMORY_COPY: ("memory.copy", "code"),
        abi.STORE_MEMORY_FILL: ("memory.fill", "code"),
        abi.STORE_FLOAT_MODE: ("floating-point mode", ""),
        abi.STORE_THROW: ("throw", "code"),
        abi.STORE_THROW_REF: ("throw_ref", "code"),
        abi.STORE_MAKE_EXCEPTION: ("make exception", "code"),
        abi.STORE_RETURN: ("return of a tail call", "code"),
        abi.STORE_TAIL_OUT: ("tail call out", "code"),
        abi.STORE_THROWN_TAG: ("thrown tag", ""),
        abi.STORE_THROWN: ("thrown exception", "exception"),
        abi.STORE_THROWN_COUNT: ("number of thrown values", ""),
        abi.STORE_SUPERTYPES: ("supertypes", "supertypes"),
        **{abi.STORE_BUILTINS + 8 * number: (name, "record") for number, name in enumerate(abi.BUILTINS)},
    },
    "record": {
        abi.RECORD_CODE: ("{}", "code"),
        abi.RECORD_CTX: ("context of {}", "other context"),
        abi.RECORD_TYPE: ("type of {}", ""),
        abi.RECORD_INDEX: ("number of {}", ""),
        abi.RECORD_CALLBACK: ("callback of {}", ""),
    },
    "memory": {
        abi.MEMORY_BASE: ("base of {}", "linear"),
        abi.MEMORY_SIZE: ("size of {}", ""),
        abi.MEMORY_RESERVED: ("reserved size of {}", ""),
    },
    "table": {abi.TABLE_BASE: ("cells of {}", "cells"), abi.TABLE_LENGTH: ("length of {}", "")},
    "global": {0: ("{}", "")},
    "supertypes": {
        abi.SUPERTYPES_COUNT: ("number of supertypes", ""),
        abi.SUPERTYPES_FIRST: ("supertype of a type", ""),
    },
    "exception": {abi.EXCEPTION_TAG: ("tag of {}", ""), abi.EXCEPTION_COUNT: ("number of values of {}", "")},
    "other context": {
        abi.CTX_STORE: ("store block", "store"),
        abi.CTX_MEMORY_BASE: ("base of its memory", "linear"),
    },
}


def field(pointer: Pointer, offset: int) -> Cell | None:
    """What lies at ``offset`` of the block that a pointer leads to, but for the context and the frame."""
    kind, label = pointer
    if kind == "cells":
        return f"element of {label}", ("record", f"element of {label}")
    if kind == "store" and offset >= abi.STORE_RESULTS:
        return f"result cell {(offset - abi.STORE_RESULTS) // 16}", None
    if kind == "exception" and offset >= abi.EXCEPTION_VALUES:
        return f"value {(offset - abi.EXCEPTION_VALUES) // 16} of {label}", None
    found = _FIELDS.get(kind, {}).get(offset)
    if found is None:
        return None
    pattern, leads = found
    name = pattern.format(label)
    return name, (leads, label or name) if leads else None


class Symbols:
    """Names of a module's things, as identifiers of the text format.

    They come from the name section; what has none there is called as it is exported, or as it is imported.

    Attributes:
        names: identifiers by kind (func, type, table, memory, global, elem, data, tag) and index.
        context: what lies at each offset of the instance context.
    """

    def __init__(self, info: ModuleInfo, layout: ContextLayout) -> None:
        self._info = info
        self.names = _names(info)
        self.context = dict(self._context_cells(layout))

    def name(self, kind: str, index: int) -> str:
        """What a thing is called: its identifier, or its kind and index."""
        return self.names[kind].get(index) or f"{kind} {index}"

    def locals_of(self, func_index: int) -> dict[int, str]:
        """Identifiers of a function's locals that have a name."""
        return identifiers(self._info.local_names.get(func_index, {}))

    def writer(self, func_index: int) -> CodeWriter:
        """What writes the instructions of a function."""
        writer = CodeWriter(self._info.data)
        writer.names = self.names
        writer.type_names = self.names["type"]
        writer.local_names = self.locals_of(func_index)
        return writer

    def _context_cells(self, layout: ContextLayout) -> Iterator[tuple[int, Cell]]:
        info = self._info
        name = self.name
        yield abi.CTX_STORE, ("store block", ("store", ""))
        if info.memories:
            first = name("memory", 0)
            yield abi.CTX_MEMORY_BASE, (f"base of {first}", ("linear", first))
            yield abi.CTX_MEMORY_DESCRIPTOR, (first, ("memory", first))
        else:
            yield abi.CTX_MEMORY_BASE, ("base of memory 0", ("linear", ""))
        for index in range(len(info.memories)):
            yield layout.memory(index), (name("memory", index), ("memory", name("memory", index)))
        for index in range(len(info.tables)):
            yield layout.table(index), (name("table", index), ("table", name("table", index)))
        for index in range(len(info.types)):
            yield layout.type_id(index), (name("type", index), None)
        for index in range(info.imported_funcs):
            yield layout.imported_func(index), (name("func", index), ("record", name("func", index)))
        for index, dense in info.declared_refs.items():
            yield layout.ref(dense), (f"ref.func {name('func', index)}", ("record", name("func", index)))
        for index in range(len(info.tags)):
            yield layout.tag(index), (name("tag", index), None)
        for index in range(len(info.globals)):
            called = name("global", index)
            by_pointer = layout.global_by_pointer(index)
            yield layout.global_(index), (f"address of {called}", ("global", called)) if by_pointer else (called, None)
        for defined in range(len(info.bodies)):
            called = name("func", info.imported_funcs + defined)
            yield layout.slot(defined), (called, ("code", called))


def _names(info: ModuleInfo) -> dict[str, dict[int, str]]:
    found: dict[str, dict[int, str]] = {}
    counts = dict.fromkeys(KIND_NAMES, 0)
    other: dict[str, dict[int, str]] = {kind: {} for kind in KIND_NAMES}
    for item in info.imports:
        kind = KIND_NAMES[item.kind]
        other[kind][counts[kind]] = f"{item.module}.{item.name}"
        counts[kind] += 1
    for export in info.exports:
        # Of several exports the first one counts, and any before the import's names.
        names = other[KIND_NAMES[export.kind]]
        if export.index >= counts[KIND_NAMES[export.kind]]:
            names.setdefault(export.index, export.name)
    for kind in ("func", "type", "table", "memory", "global", "data", "elem", "tag"):
        found[kind] = identifiers({**other.get(kind, {}), **info.names.of(kind)})
    return found


__all__ = ["CONTEXT", "FRAME", "Cell", "Pointer", "Symbols", "field"]
