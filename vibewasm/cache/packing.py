"""Making the image of a decoded module; :mod:`.image` has its form, and reads it."""

from __future__ import annotations

from struct import pack

from ..binary.module_info import ConstExpr, ModuleInfo
from ..constant_opcodes import REF_NULL, V128_CONST
from ..types import EXTERNREF, FUNCREF_NOT_NULL
from .image import (
    COUNTS,
    EXPRESSIONS,
    HAS_MAXIMUM,
    IS_64,
    MAGIC,
    MODES,
    MUTABLE,
    OTHER,
    SHARED,
    TOO_LONG,
    VECTOR,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..extern_types import Limits
    from ..types import FuncType

_MASK64 = (1 << 64) - 1


def packed(info: ModuleInfo) -> bytes:
    """What :func:`.image.pack` says."""
    if len(info.data) >= TOO_LONG:
        raise ValueError("a module of 2 GiB or more has no image")
    return _Packing(info).image() if _is_usual(info) else b""


def _is_usual(info: ModuleInfo) -> bool:
    """Whether an image can say all of a module."""
    if info.tags or info.table_inits:
        return False
    for type_ in info.types:
        if type_._identity or max(type_.param_codes + type_.result_codes, default=0) > EXTERNREF:
            return False
    values = [*[table.element for table in info.tables], *[variable.content for variable in info.globals]]
    if max([value.code for value in values], default=0) > EXTERNREF:
        return False
    for segment in info.elements:
        if segment.type > EXTERNREF and (segment.type != FUNCREF_NOT_NULL or segment.exprs is not None):
            return False
    exprs = [*info.global_inits, *[expr for segment in info.elements for expr in segment.exprs or ()]]
    return all(opcode != REF_NULL or immediate <= EXTERNREF for expr in exprs for opcode, immediate in expr.ops)


class _Packing:
    """An image being made. Columns are added in the order in which :mod:`.image` reads them."""

    def __init__(self, info: ModuleInfo) -> None:
        self._info = info
        self._counts = dict.fromkeys(COUNTS, 0)
        self._quads: list[int] = []
        self._words: list[int] = []
        self._ranges: list[int] = []
        self._bytes = bytearray()
        self._names: dict[str, int] = {}
        self._exprs: list[ConstExpr] = []
        self._expr_indices: dict[tuple[object, ...], int] = {}
        for feature in sorted(info.features):
            self._name(feature)
        self._counts["features"] = len(info.features)
        self._add_types()
        self._add_functions()
        self._add_tables_and_memories()
        self._bytes += bytes([type_.content.code | MUTABLE * type_.mutable for type_ in info.globals])
        self._counts["globals"] = len(info.globals)
        self._add_imports()
        # Expressions stand before what refers to them, and are collected from that.
        quads, words, bytes_ = self._quads, self._words, self._bytes
        self._quads, self._words, self._bytes = [], [], bytearray()
        self._counts["own globals"] = len(info.global_inits)
        self._words += [self._expr(expr) for expr in info.global_inits]
        self._add_exports()
        self._add_elements()
        self._add_datas()
        self._add_sections()
        later = self._words, self._bytes
        self._quads, self._words, self._bytes = quads, words, bytes_
        self._add_expressions()
        self._words += later[0]
        self._bytes += later[1]

    def image(self) -> bytes:
        """The whole image."""
        info, counts = self._info, self._counts
        text = "".join(self._names).encode()
        names = [len(name) for name in self._names]
        counts["names"] = len(names)
        counts["text"] = len(text)
        scalars = (
            MAGIC,
            len(info.data),
            0 if info.start is None else info.start + 1,
            info.start_position,
            0 if info.data_count is None else info.data_count + 1,
        )
        return b"".join(
            (
                _packed("I", (*scalars, *counts.values())),
                _packed("Q", self._quads),
                _packed("I", names),
                _packed("I", self._words),
                _packed("I", self._ranges),
                self._bytes,
                text,
            )
        )

    def _name(self, name: str) -> int:
        return self._names.setdefault(name, len(self._names))

    def _expr(self, expr: ConstExpr) -> int:
        """The index of an expression. Equal ones have one index."""
        index = self._expr_indices.setdefault((expr.offset, *expr.ops), len(self._exprs))
        if index == len(self._exprs):
            self._exprs.append(expr)
        return index

    def _offset(self, expr: ConstExpr | None) -> int:
        return 0 if expr is None else self._expr(expr) + 1

    def _add_types(self) -> None:
        signatures: dict[FuncType, int] = {}
        indices = [signatures.setdefault(type_, len(signatures)) for type_ in self._info.types]
        codes = b"".join([bytes((*type_.param_codes, *type_.result_codes)) for type_ in signatures])
        self._bytes += codes
        self._words += [len(type_.param_codes) for type_ in signatures]
        self._words += [len(type_.result_codes) for type_ in signatures]
        self._words += indices
        self._counts |= {"codes": len(codes), "signatures": len(signatures), "types": len(indices)}

    def _add_functions(self) -> None:
        info = self._info
        self._words += info.func_type_indices
        bodies = [*info.bodies]
        self._ranges += [start for start, _ in bodies]
        self._ranges += [end for _, end in bodies]
        self._counts |= {"functions": len(info.func_type_indices), "bodies": len(bodies)}

    def _add_tables_and_memories(self) -> None:
        info = self._info
        self._bytes += bytes([type_.element.code for type_ in info.tables])
        self._add_limits([type_.limits for type_ in info.tables])
        self._words += info.table_positions
        self._add_limits([type_.limits for type_ in info.memories])
        self._words += info.memory_positions
        self._counts |= {"tables": len(info.tables), "own tables": len(info.table_positions)}
        self._counts |= {"memories": len(info.memories), "own memories": len(info.memory_positions)}

    def _add_limits(self, limits: list[Limits]) -> None:
        self._quads += [each.minimum for each in limits]
        self._quads += [each.maximum or 0 for each in limits]
        self._bytes += bytes(
            [HAS_MAXIMUM * (each.maximum is not None) | SHARED * each.shared | IS_64 * each.is64 for each in limits]
        )

    def _add_imports(self) -> None:
        imports = self._info.imports
        self._bytes += bytes([item.kind for item in imports])
        self._words += [self._name(item.module) for item in imports]
        self._words += [self._name(item.name) for item in imports]
        self._words += [item.offset for item in imports]
        self._counts["imports"] = len(imports)

    def _add_expressions(self) -> None:
        exprs = self._exprs
        operations = [operation for expr in exprs for operation in expr.ops]
        self._words += [expr.offset for expr in exprs]
        self._words += [len(expr.ops) for expr in exprs]
        vectors = [value for opcode, value in operations if opcode == V128_CONST]
        self._bytes += bytes([VECTOR if opcode == V128_CONST else opcode for opcode, _ in operations])
        self._quads += [value & _MASK64 for _, value in operations]
        self._quads += [value >> 64 for value in vectors]
        self._counts |= {"expressions": len(exprs), "operations": len(operations), "vectors": len(vectors)}

    def _add_exports(self) -> None:
        exports = self._info.exports
        self._bytes += bytes([item.kind for item in exports])
        self._words += [self._name(item.name) for item in exports]
        self._words += [item.index for item in exports]
        self._words += [item.offset for item in exports]
        self._counts["exports"] = len(exports)

    def _add_elements(self) -> None:
        elements = self._info.elements
        self._bytes += bytes(
            [MODES.index(segment.mode) | EXPRESSIONS * (segment.funcs is None) for segment in elements]
        )
        self._bytes += bytes([segment.type for segment in elements])
        self._words += [segment.table for segment in elements]
        self._words += [self._offset(segment.offset) for segment in elements]
        self._words += [len(segment.items) for segment in elements]
        self._words += [segment.position for segment in elements]
        funcs = [index for segment in elements for index in segment.funcs or ()]
        exprs = [self._expr(expr) for segment in elements for expr in segment.exprs or ()]
        self._words += funcs
        self._words += exprs
        self._counts |= {"elements": len(elements), "element functions": len(funcs), "element expressions": len(exprs)}

    def _add_datas(self) -> None:
        datas = self._info.datas
        others = [(index, datas[index]) for index, offset in enumerate(datas.offsets) if offset >= OTHER]
        self._ranges += datas.offsets
        self._ranges += datas.positions
        self._ranges += datas.starts
        self._ranges += datas.ends
        self._words += [index for index, _ in others]
        self._words += [segment.memory for _, segment in others]
        self._words += [self._offset(segment.offset) for _, segment in others]
        self._bytes += bytes([MODES.index(segment.mode) for _, segment in others])
        self._counts |= {"datas": len(datas), "other datas": len(others)}

    def _add_sections(self) -> None:
        sections = self._info.sections
        self._bytes += bytes([section.id for section in sections])
        self._words += [self._name(section.name) for section in sections]
        self._ranges += [section.start for section in sections]
        self._ranges += [section.payload for section in sections]
        self._ranges += [section.end for section in sections]
        self._counts["sections"] = len(sections)


def _packed(code: str, numbers: Iterable[int]) -> bytes:
    numbers = [*numbers]
    return pack(f"<{len(numbers)}{code}", *numbers)
