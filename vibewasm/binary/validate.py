"""Validation of everything but function bodies (specification, "Validation / Modules").

Bodies are validated by the compiler. Messages begin with the official suite's words.
"""

from __future__ import annotations

from ..errors import ValidationError
from ..types import EXTERNREF, FUNCREF, FUNCREF_NOT_NULL, I32, I64, type_name
from .leb128 import u32
from .module_info import FUNC, KIND_NAMES, MEMORY, TABLE, TAG
from .support import (
    MAX_FUNCTIONS,
    MAX_GLOBALS,
    MAX_MEMORIES,
    MAX_MEMORY32_PAGES,
    MAX_MEMORY64_PAGES,
    MAX_TABLES,
    MAX_TAGS,
    MAX_TYPE_SIZE,
    unsupported,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..extern_types import Limits
    from .module_info import ModuleInfo

_FUNCTION_SECTION = 3


def validate_module(info: ModuleInfo) -> None:
    """Validate a decoded module, and fill in ``info.declared_refs``.

    Raises:
        ValidationError: it is not valid, uses a proposal that is not on, or is beyond a limit of the implementation.
    """
    _check_function_types(info)
    _check_numbers(info)
    _check_tables(info)
    _check_memories(info)
    _check_table_inits(info)
    _check_globals(info)
    _check_exports(info)
    _check_type_size(info)
    _check_start(info)
    _check_elements(info)
    _check_datas(info)
    info.declared_refs = _declared_refs(info)


def _check_function_types(info: ModuleInfo) -> None:
    """Every function, imported or defined, has a type that exists."""
    indices = info.func_type_indices
    count = len(info.types)
    if not indices or max(indices) < count:
        return
    for import_ in info.imports:
        if import_.kind == FUNC and isinstance(import_.desc, int) and import_.desc >= count:
            raise ValidationError(f"unknown type {import_.desc} of an imported function", import_.offset)
    # Where the entry lies was not noted; it is read once more.
    section = next(section for section in info.sections if section.id == _FUNCTION_SECTION)
    total, pos = u32(info.data, section.start)
    for number in range(total):
        index, after = u32(info.data, pos)
        if index >= count:
            raise ValidationError(f"unknown type {index}", pos, info.imported_funcs + number)
        pos = after


def _check_numbers(info: ModuleInfo) -> None:
    """Imports and definitions together are within the limits."""
    for found, most, what in (
        (len(info.func_type_indices), MAX_FUNCTIONS, "functions"),
        (len(info.tables), MAX_TABLES, "tables"),
        (len(info.memories), MAX_MEMORIES, "memories"),
        (len(info.globals), MAX_GLOBALS, "globals"),
        (len(info.tags), MAX_TAGS, "tags"),
    ):
        if found > most:
            raise ValidationError(f"implementation limit: {found} {what}, at most {most} are supported")


def _positions(info: ModuleInfo, kind: int, defined: list[int]) -> list[int]:
    """Where each table or memory lies, imported ones first."""
    return [import_.offset for import_ in info.imports if import_.kind == kind] + defined


def _check_limits(limits: Limits, most: int, too_large: str, position: int) -> None:
    """Check that sizes are in range and in order."""
    if limits.minimum > most or (limits.maximum is not None and limits.maximum > most):
        raise ValidationError(too_large, position)
    if limits.maximum is not None and limits.minimum > limits.maximum:
        raise ValidationError("size minimum must not be greater than maximum", position)


def _check_tables(info: ModuleInfo) -> None:
    for index, (type_, position) in enumerate(
        zip(info.tables, _positions(info, TABLE, info.table_positions), strict=True)
    ):
        if index >= info.imported_tables and type_.element.code > EXTERNREF:
            _check_first_elements(info, index, position)
        limits = type_.limits
        if limits.shared:
            raise unsupported("shared-everything-threads", "shared table", position)
        if limits.is64 and "memory64" not in info.features:
            raise unsupported("memory64", "64-bit table", position)
        bits = 64 if limits.is64 else 32
        _check_limits(limits, (1 << bits) - 1, f"table size must be less than 2**{bits}", position)


def _check_first_elements(info: ModuleInfo, index: int, position: int) -> None:
    """The elements of a table have a first value, by default null."""
    from ..reference_types import is_nullable

    element = info.tables[index].element
    if index not in info.table_inits and not is_nullable(element.code):
        raise ValidationError(f"type mismatch: a table of {element}, which has no null, takes a first value", position)


def _check_table_inits(info: ModuleInfo) -> None:
    if info.table_inits:
        from .const_expr import check_const_expr

        for index, expr in info.table_inits.items():
            check_const_expr(info, expr, info.tables[index].element.code, info.imported_globals)


def _check_memories(info: ModuleInfo) -> None:
    positions = _positions(info, MEMORY, info.memory_positions)
    for type_, position in zip(info.memories, positions, strict=True):
        limits = type_.limits
        if limits.is64:
            if "memory64" not in info.features:
                raise unsupported("memory64", "64-bit memory", position)
            _check_limits(limits, MAX_MEMORY64_PAGES, "memory size must be at most 2**48 pages", position)
        else:
            _check_limits(limits, MAX_MEMORY32_PAGES, "memory size must be at most 65536 pages (4GiB)", position)
        if limits.shared:
            if "threads" not in info.features:
                raise unsupported("threads", "shared memory", position)
            if limits.maximum is None:
                raise ValidationError("shared memory must have maximum", position)
    if len(info.memories) > 1 and "multi-memory" not in info.features:
        raise unsupported("multi-memory", f"{len(info.memories)} in one module", positions[1])


def _check_globals(info: ModuleInfo) -> None:
    if info.global_inits:
        # Not loaded for modules without constant expressions, here and below.
        from .const_expr import check_const_expr

        for index, expr in enumerate(info.global_inits, info.imported_globals):
            check_const_expr(info, expr, info.globals[index].content.code, index)


def _check_exports(info: ModuleInfo) -> None:
    counts = (len(info.func_type_indices), len(info.tables), len(info.memories), len(info.globals), len(info.tags))
    for export in info.exports:
        if export.index >= counts[export.kind]:
            kind = "function" if export.kind == FUNC else KIND_NAMES[export.kind]
            raise ValidationError(f"unknown {kind} {export.index} in export {export.name!r}", export.offset)
    if len(info.export_index) < len(info.exports):
        names: set[str] = set()
        for export in info.exports:
            if export.name in names:
                raise ValidationError(f"duplicate export name {export.name!r}", export.offset)
            names.add(export.name)


def _check_type_size(info: ModuleInfo) -> None:
    """Types of imports and exports, as an embedder sees them, stay of a reasonable size.

    Each takes a few bytes and may name a type with two thousand parameters and results.
    """
    size = 0
    sizes = [2 + len(type_.param_codes) + len(type_.result_codes) for type_ in info.types]
    funcs = info.func_type_indices
    for import_ in info.imports:
        desc = import_.desc
        size += sizes[desc] if isinstance(desc, int) else 1
        if import_.kind == TAG:
            size += len(desc.func.param_codes)  # type: ignore[union-attr]  # it is the type of a tag
    for export in info.exports:
        size += sizes[funcs[export.index]] if export.kind == FUNC else 1
        if export.kind == TAG:
            size += len(info.tags[export.index].func.param_codes)
    if size > MAX_TYPE_SIZE:
        raise ValidationError(f"implementation limit: types of imports and exports have a size of {size}")


def _check_start(info: ModuleInfo) -> None:
    if info.start is None:
        return
    if info.start >= len(info.func_type_indices):
        raise ValidationError(f"unknown function {info.start} as the start function", info.start_position)
    type_ = info.func_type(info.start)
    if type_.param_codes or type_.result_codes:
        raise ValidationError(f"start function must be of type () -> (), not {type_}", info.start_position)


def _check_elements(info: ModuleInfo) -> None:
    if not info.elements:
        return
    from .const_expr import check_const_expr

    functions = len(info.func_type_indices)
    for segment in info.elements:
        if segment.offset is not None:
            if segment.table >= len(info.tables):
                raise ValidationError(f"unknown table {segment.table}", segment.position)
            table = info.tables[segment.table]
            if table.element.code != segment.type and not _matches(segment.type, table.element.code):
                raise ValidationError(
                    f"type mismatch: an element segment of {type_name(segment.type)} for a table of {table.element}",
                    segment.position,
                )
            check_const_expr(info, segment.offset, I64 if table.limits.is64 else I32, len(info.globals))
        if segment.funcs is not None:
            if segment.funcs and max(segment.funcs) >= functions:
                number = next(number for number, index in enumerate(segment.funcs) if index >= functions)
                raise ValidationError(
                    f"unknown function {segment.funcs[number]} as item {number} of an element segment", segment.position
                )
        for expr in segment.exprs or ():
            check_const_expr(info, expr, segment.type, len(info.globals))


def _check_datas(info: ModuleInfo) -> None:
    if not info.datas:
        return
    from .const_expr import check_const_expr

    datas = info.datas
    memory_is_usual = bool(info.memories) and not info.memories[0].limits.is64
    # Then the usual segments are valid.
    for segment in datas.others() if memory_is_usual else datas:
        if segment.offset is not None:
            if segment.memory >= len(info.memories):
                raise ValidationError(f"unknown memory {segment.memory}", segment.position)
            is64 = info.memories[segment.memory].limits.is64
            check_const_expr(info, segment.offset, I64 if is64 else I32, len(info.globals))


def _matches(sub: int, super_: int) -> bool:
    if sub == FUNCREF_NOT_NULL and super_ == FUNCREF:
        # As usual: the items are function indices.
        return True
    from ..reference_types import matches

    return matches(sub, super_)


def _declared_refs(info: ModuleInfo) -> dict[int, int]:
    """The functions that ``ref.func`` in bodies may name, numbered in the order in which they occur."""
    refs: dict[int, int] = {}
    for export in info.exports:
        if export.kind == FUNC:
            refs.setdefault(export.index, len(refs))
    if not info.global_inits and not info.elements and not info.table_inits:
        return refs
    from .const_expr import declare_refs

    for expr in info.table_inits.values():
        declare_refs(expr, refs)
    for expr in info.global_inits:
        declare_refs(expr, refs)
    for segment in info.elements:
        for index in segment.funcs or ():
            refs.setdefault(index, len(refs))
        for expr in segment.exprs or ():
            declare_refs(expr, refs)
    return refs
