"""The image of a decoded module: what decoding and validating found, in a form that is read without decoding.

An image is columns of numbers, each as long as the header's counts say. Numbers are little-endian.

=======  ===========================================================================================================
part     what
=======  ===========================================================================================================
header   32 bits each: :data:`MAGIC`, the length of the module, the start function (one more than its index; 0 without),
         where the start section says so, the data count (one more; 0 without), and counts (:data:`COUNTS`)
quads    64 bits each: minimums and maximums of tables and of memories, immediates, upper halves of immediate vectors
words    32 bits each: indices, counts, positions
ranges   32 bits each, read when they are asked for: where function bodies, data segments and sections begin and end
bytes    codes of types, kinds, flags, opcodes
text     all names, UTF-8
=======  ===========================================================================================================

A file that holds an image may be damaged, or altered by somebody who made its checksum right. So :func:`unpack` checks
all that the engine relies on, as :mod:`vibewasm.binary.validate` does for a module, and first of all the counts. What
is made later is made of numbers that were checked. Of what there may be much of, whole columns are compared at once, as
integers with 32 bits for each number.

A module with tags, with tables of other than the usual references, or with types that refer to types has an empty
image: it is decoded anew.
"""

from __future__ import annotations

from ..binary import support
from ..binary.module_info import (
    FUNC,
    GLOBAL,
    MEMORY,
    TABLE,
    Bodies,
    ConstExpr,
    Data,
    DataSegments,
    Element,
    Export,
    Import,
    ModuleInfo,
    Section,
)
from ..binary.support import BUILT
from ..constant_opcodes import F32_CONST, F64_CONST, GLOBAL_GET, I32_CONST, I64_CONST, REF_FUNC, REF_NULL, V128_CONST
from ..extern_types import GlobalType, Limits, MemoryType, TableType
from ..types import EXTERNREF, F32, F64, FUNCREF, FUNCREF_NOT_NULL, I32, I64, V128, FuncType
from .container import Damaged
from .kept_info import KeptInfo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    Column = TypeVar("Column", list[int], bytes, memoryview)

__all__ = ["Bodies", "Damaged", "pack", "unpack"]

#: The first word: "VImg".
MAGIC = 0x676D4956
_ANY = 0xFFFF_FFFF
#: What the header counts, and how many there may be.
COUNTS = {
    "features": _ANY, "names": _ANY, "text": _ANY,
    "signatures": support.MAX_TYPES, "codes": _ANY, "types": support.MAX_TYPES,
    "imports": support.MAX_IMPORTS, "functions": support.MAX_FUNCTIONS, "bodies": support.MAX_FUNCTIONS,
    "tables": support.MAX_TABLES, "own tables": support.MAX_TABLES,
    "memories": support.MAX_MEMORIES, "own memories": support.MAX_MEMORIES,
    "globals": support.MAX_GLOBALS, "own globals": support.MAX_GLOBALS,
    "expressions": _ANY, "operations": _ANY, "exports": support.MAX_EXPORTS,
    "elements": support.MAX_ELEMENT_SEGMENTS, "element functions": _ANY, "element expressions": _ANY,
    "datas": support.MAX_DATA_SEGMENTS, "other datas": support.MAX_DATA_SEGMENTS, "sections": _ANY, "vectors": _ANY,
}  # fmt: skip
_MOST = [*COUNTS.values()]
#: Bytes of the header, a multiple of 8: quads come next.
HEADER = 4 * (5 + len(COUNTS))
#: Modules of this length have no image: positions leave the highest bit of a word free.
TOO_LONG = 1 << 31

# Flags of the limits of a table or a memory.
HAS_MAXIMUM, SHARED, IS_64 = 1, 2, 4
#: In a global's byte, beside the code of its type.
MUTABLE = 8
#: Modes of segments.
MODES = ("active", "passive", "declarative")
#: In an element segment's byte, beside its mode: its items are expressions.
EXPRESSIONS = 4
#: The byte of v128.const, whose opcode has more than one.
VECTOR = V128_CONST >> 32
#: In place of the offset of a data segment that is not usual.
OTHER = DataSegments.OTHER

_MASK32 = 0xFFFF_FFFF


def pack(info: ModuleInfo) -> bytes:
    """The image of a decoded module.

    Raises:
        ValueError: the module has 2 GiB or more.
    """
    from .packing import packed

    return packed(info)


def unpack(image: bytes | memoryview, data: bytes, features: frozenset[str] = BUILT) -> ModuleInfo:
    """The decoded module whose image this is.

    Args:
        image: from :func:`pack`. It must not change afterwards.
        data: the module's bytes.
        features: names of the proposals that were on when it was decoded.

    Raises:
        Damaged: it is not the image of a module of ``len(data)`` bytes that was decoded with these features.
    """
    if not len(image):
        from ..binary.decoder import decode

        return decode(data, features)
    try:
        return _Unpacking(memoryview(image), data, features).info
    except (IndexError, UnicodeDecodeError):
        raise Damaged("an index is out of range, or a name is no text") from None


class _Unpacking:
    """An image being read: each method reads what comes next.

    Attributes:
        info: what is made of it.
    """

    __slots__ = (
        "_bytes", "_counts", "_exprs", "_names", "_quads", "_ranges", "_refers", "_results", "_total", "_upper_halves",
        "_words", "info"
    )  # fmt: skip

    def __init__(self, view: memoryview, data: bytes, features: frozenset[str]) -> None:
        if len(view) < HEADER:
            raise Damaged("too short")
        self._total = total = len(data)
        magic, length, start, start_position, data_count, *counts = view[:HEADER].cast("I").tolist()
        if magic != MAGIC or length != total or total >= TOO_LONG:
            raise Damaged("not the image of this module")
        if any(map(int.__gt__, counts, _MOST)):
            raise Damaged("more of something than is supported")
        self._counts = n = dict(zip(COUNTS, counts, strict=True))
        quads, words, ranges, bytes_ = sizes(n)
        words_at = HEADER + 8 * quads
        ranges_at = words_at + 4 * words
        bytes_at = ranges_at + 4 * ranges
        text_at = bytes_at + bytes_
        if text_at + n["text"] != len(view):
            raise Damaged("not as long as its counts say")
        self._quads = _reader(view[HEADER:words_at].cast("Q").tolist())
        self._words = _reader(view[words_at:ranges_at].cast("I").tolist())
        self._ranges = _reader(view[ranges_at:bytes_at].cast("I"))
        self._bytes = _reader(bytes(view[bytes_at:text_at]))

        self.info = info = KeptInfo(data, features)
        self._names = names = self._read_names(str(view[text_at:], "utf-8"))
        if n["features"] != len(features) or features != frozenset(names[: n["features"]]):
            raise Damaged("decoded with other features")
        self._read_types()
        self._read_functions(start, start_position)
        self._read_tables()
        self._read_memories()
        self._read_global_types()
        self._read_imports()
        self._read_expressions()
        self._read_first_values()
        kinds, indices = self._read_exports()
        self._read_elements()
        self._number_references(kinds, indices)
        if data_count and data_count != n["datas"] + 1:
            raise Damaged("a number of data segments that are not there")
        info.data_count = data_count - 1 if data_count else None
        self._read_datas()
        self._read_sections()

    def _read_names(self, text: str) -> list[str]:
        names = []
        at = 0
        for length in self._words(self._counts["names"]):
            end = at + length
            names.append(text[at:end])
            at = end
        if at != len(text):
            raise Damaged("names are not as long as stated")
        return names

    def _read_types(self) -> None:
        n, words = self._counts, self._words
        codes = self._bytes(n["codes"])
        param_counts, result_counts = words(n["signatures"]), words(n["signatures"])
        if codes.translate(None, b"\0\1\2\3\4\5\6"):
            raise Damaged("a type is unknown")
        all_codes = tuple(codes)
        signatures = []
        at = 0
        for params, results in zip(param_counts, result_counts, strict=True):
            if params > support.MAX_PARAMS or results > support.MAX_RESULTS:
                raise Damaged("more parameters or results than are supported")
            middle = at + params
            end = middle + results
            signatures.append(FuncType.from_codes(all_codes[at:middle], all_codes[middle:end]))
            at = end
        if at != len(codes):
            raise Damaged("types are not as long as stated")
        self.info.types = [signatures[index] for index in words(n["types"])]

    def _read_functions(self, start: int, start_position: int) -> None:
        info, n = self.info, self._counts
        info.func_type_indices = types = self._words(n["functions"])
        if types and max(types) >= n["types"]:
            raise Damaged("the type of a function is not there")
        info.imported_funcs = n["functions"] - n["bodies"]
        starts, ends = self._ranges(n["bodies"]), self._ranges(n["bodies"])
        # It does what users of the list do with it.
        info.bodies = Bodies(starts, ends)  # type: ignore[assignment]
        if n["bodies"]:
            tops, (first, last) = _check_ranges((starts, ends), self._total)
            lengths = last - first
            shortest, longest = _lanes(2, n["bodies"]), _lanes(support.MAX_FUNCTION_SIZE, n["bodies"])
            if (lengths | tops) - shortest & tops != tops or (longest | tops) - lengths & tops != tops:
                raise Damaged("a function body is too short or too long")
        info.start = None
        info.start_position = start_position
        if start_position > self._total:
            raise Damaged("the start function is stated nowhere")
        if start:
            info.start = start - 1
            type_ = info.func_type(info.start)
            if type_.param_codes or type_.result_codes:
                raise Damaged("the start function has parameters or results")

    def _read_tables(self) -> None:
        info, n, features = self.info, self._counts, self.info.features
        minimums, maximums = self._quads(n["tables"]), self._quads(n["tables"])
        info.tables = []
        for code, minimum, maximum, flags in zip(
            self._bytes(n["tables"]), minimums, maximums, self._bytes(n["tables"]), strict=True
        ):
            if code != FUNCREF and code != EXTERNREF:
                raise Damaged("a table of what is no reference")
            if flags & SHARED or (flags & IS_64 and "memory64" not in features):
                raise Damaged("a table of a kind that is not on")
            limits = _limits(minimum, maximum, flags, (1 << 64) - 1 if flags & IS_64 else _MASK32)
            info.tables.append(TableType(code, limits))
        info.table_positions = self._positions(n["own tables"])
        info.imported_tables = n["tables"] - n["own tables"]

    def _read_memories(self) -> None:
        info, n, features = self.info, self._counts, self.info.features
        minimums, maximums = self._quads(n["memories"]), self._quads(n["memories"])
        info.memories = []
        for minimum, maximum, flags in zip(minimums, maximums, self._bytes(n["memories"]), strict=True):
            if flags & IS_64 and "memory64" not in features:
                raise Damaged("a 64-bit memory without the proposal")
            if flags & SHARED and not (flags & HAS_MAXIMUM and "threads" in features):
                raise Damaged("a shared memory without the proposal or a maximum")
            limits = _limits(
                minimum, maximum, flags, support.MAX_MEMORY64_PAGES if flags & IS_64 else support.MAX_MEMORY32_PAGES
            )
            info.memories.append(MemoryType(limits))
        if n["memories"] > 1 and "multi-memory" not in features:
            raise Damaged("more than one memory without the proposal")
        info.memory_positions = self._positions(n["own memories"])
        info.imported_memories = n["memories"] - n["own memories"]

    def _read_global_types(self) -> None:
        info, n = self.info, self._counts
        column = self._bytes(n["globals"])
        known: dict[int, GlobalType] = {}
        for byte in set(column):
            code = byte & ~MUTABLE
            if code > EXTERNREF:
                raise Damaged("the type of a global is unknown")
            known[byte] = GlobalType(code, byte >= MUTABLE)
        info.globals = [known[byte] for byte in column]
        info.imported_globals = n["globals"] - n["own globals"]

    def _read_imports(self) -> None:
        info, names, words = self.info, self._names, self._words
        count = self._counts["imports"]
        kinds = self._bytes(count)
        modules, fields, offsets = words(count), words(count), self._positions(count)
        imported = (info.imported_funcs, info.imported_tables, info.imported_memories, info.imported_globals)
        if sum(imported) != count or imported != tuple([kinds.count(kind) for kind in (FUNC, TABLE, MEMORY, GLOBAL)]):
            raise Damaged("imports of other kinds than are counted")
        spaces: tuple[Sequence[int | TableType | MemoryType | GlobalType], ...] = (
            info.func_type_indices,
            info.tables,
            info.memories,
            info.globals,
        )
        descs = [iter(space) for space in spaces]
        info.imports = [
            Import(names[module], names[field], kind, next(descs[kind]), offset)
            for module, field, kind, offset in zip(modules, fields, kinds, offsets, strict=True)
        ]

    def _read_expressions(self) -> None:
        """Constant expressions, and the type of the value of each."""
        n, words = self._counts, self._words
        offsets, lengths = words(n["expressions"]), words(n["expressions"])
        opcodes = self._bytes(n["operations"])
        self._refers = REF_FUNC in opcodes
        operations = iter([*zip(opcodes, self._quads(n["operations"]), strict=True)])
        if opcodes.count(VECTOR) != n["vectors"]:
            raise Damaged("vectors are not as many as stated")
        self._upper_halves = iter(self._quads(n["vectors"]))
        if sum(lengths) != n["operations"] or (offsets and max(offsets) > self._total):
            raise Damaged("expressions are not as long as stated, or lie outside of the module")
        self._exprs: list[ConstExpr] = []
        self._results: list[int] = []
        for offset, length in zip(offsets, lengths, strict=True):
            stack: list[int] = []
            ops = [self._operation(*next(operations), stack) for _ in range(length)]
            if len(stack) != 1:
                raise Damaged("an expression has not one value")
            self._exprs.append(ConstExpr(ops, offset))
            self._results.append(stack[0])

    def _operation(self, opcode: int, value: int, stack: list[int]) -> tuple[int, int]:
        """Check a constant instruction, and do to the stack of types what it does to values."""
        info = self.info
        if opcode == I32_CONST:
            value -= value >> 63 << 64
            if not -(1 << 31) <= value < 1 << 31:
                raise Damaged("an i32.const of more than 32 bits")
            stack.append(I32)
        elif opcode == I64_CONST:
            value -= value >> 63 << 64
            stack.append(I64)
        elif opcode == F64_CONST:
            stack.append(F64)
        elif opcode == F32_CONST:
            if value > _MASK32:
                raise Damaged("an f32.const of more than 32 bits")
            stack.append(F32)
        elif opcode == REF_FUNC:
            if value >= len(info.func_type_indices):
                raise Damaged("a reference to a function that is not there")
            stack.append(FUNCREF)
        elif opcode == REF_NULL:
            if value != FUNCREF and value != EXTERNREF:
                raise Damaged("a null of what is no reference")
            stack.append(value)
        elif opcode == VECTOR:
            opcode = V128_CONST
            value |= next(self._upper_halves) << 64
            stack.append(V128)
        elif opcode == GLOBAL_GET:
            if value >= info.imported_globals or info.globals[value].mutable:
                raise Damaged("the value of a global that is not constant")
            stack.append(info.globals[value].content.code)
        else:
            # Few modules have it.
            from ..binary.const_expr import ARITHMETIC

            operand = ARITHMETIC.get(opcode)
            if operand is None or value or stack[-2:] != [operand, operand]:
                raise Damaged("an instruction that is not constant, or has other operands")
            stack.pop()
        return opcode, value

    def _read_first_values(self) -> None:
        info, exprs, results = self.info, self._exprs, self._results
        column = self._words(self._counts["own globals"])
        for type_, index in zip(info.globals[info.imported_globals :], column, strict=True):
            if results[index] != type_.content.code:
                raise Damaged("the first value of a global is of another type")
        info.global_inits = [exprs[index] for index in column]

    def _read_exports(self) -> tuple[bytes, list[int]]:
        """Kinds and indices of what is exported."""
        n, count = self._counts, self._counts["exports"]
        kinds = self._bytes(count)
        column, indices, offsets = self._words(count), self._words(count), self._positions(count)
        spaces = (n["functions"], n["tables"], n["memories"], n["globals"])
        for kind, index in zip(kinds, indices, strict=True):
            if index >= spaces[kind]:
                raise Damaged("an export of what is not there")
        names = [self._names[index] for index in column]
        if len(set(names)) != count:
            raise Damaged("two exports of one name")
        self.info._makers["exports"] = lambda: [*map(Export, names, kinds, indices, offsets)]
        return kinds, indices

    def _read_elements(self) -> None:
        info, n = self.info, self._counts
        info.elements = []
        count = n["elements"]
        flags, types = self._bytes(count), self._bytes(count)
        tables, offsets = self._words(count), self._words(count)
        lengths, positions = self._words(count), self._positions(count)
        funcs, exprs = self._words(n["element functions"]), self._words(n["element expressions"])
        if funcs and max(funcs) >= n["functions"]:
            raise Damaged("an element is a function that is not there")
        func = expr = 0
        for flag, type_, table, offset, length, position in zip(
            flags, types, tables, offsets, lengths, positions, strict=True
        ):
            mode = MODES[flag & ~EXPRESSIONS]
            place = self._offset(mode, offset, table, info.tables)
            if type_ != FUNCREF and type_ != (EXTERNREF if flag & EXPRESSIONS else FUNCREF_NOT_NULL):
                raise Damaged("elements of what is no reference")
            if mode == "active" and info.tables[table].element.code != (EXTERNREF if type_ == EXTERNREF else FUNCREF):
                raise Damaged("elements for a table of another type")
            if flag & EXPRESSIONS:
                column = exprs[expr : expr + length]
                expr += length
                if any(self._results[index] != type_ for index in column):
                    raise Damaged("an element of another type")
                element = Element(mode, table, place, type_, None, [self._exprs[index] for index in column], position)
            else:
                element = Element(mode, table, place, type_, funcs[func : func + length], None, position)
                func += length
            info.elements.append(element)
        if func != len(funcs) or expr != len(exprs):
            raise Damaged("elements are not as many as stated")

    def _offset(
        self, mode: str, expr: int, index: int, space: Sequence[TableType] | Sequence[MemoryType]
    ) -> ConstExpr | None:
        """Where in a table or a memory a segment is copied to; ``expr`` is one more than its index, or 0."""
        if mode != "active":
            if expr or index:
                raise Damaged("a segment that is not active has an offset")
            return None
        if not expr or self._results[expr - 1] != (I64 if space[index].limits.is64 else I32):
            raise Damaged("an active segment has no offset, or one of another type")
        return self._exprs[expr - 1]

    def _number_references(self, kinds: bytes, indices: list[int]) -> None:
        """What :func:`vibewasm.binary.validate.validate_module` does for ``ref.func`` in bodies."""
        info = self.info
        declared = [index for kind, index in zip(kinds, indices, strict=True) if kind == FUNC]
        if self._refers:
            for expr in info.global_inits:
                declared += [value for opcode, value in expr.ops if opcode == REF_FUNC]
        for element in info.elements:
            if element.funcs is not None:
                declared += element.funcs
            elif self._refers:
                for expr in element.exprs or ():
                    declared += [value for opcode, value in expr.ops if opcode == REF_FUNC]
        # Where one occurs more than once, the first time counts.
        refs = dict.fromkeys(declared)
        info.declared_refs = dict(zip(refs, range(len(refs)), strict=True))

    def _read_datas(self) -> None:
        info, n = self.info, self._counts
        count = n["datas"]
        offsets, positions, starts, ends = [self._ranges(count) for _ in range(4)]
        indices, memories, exprs = [self._words(n["other datas"]) for _ in range(3)]
        flags = self._bytes(n["other datas"])
        tops, _ = _check_ranges((positions, starts, ends), self._total)
        others = {}
        # In which places the offset has its highest bit set.
        marks = bytearray(4 * count if indices else 0)
        for index, flag, memory, expr in zip(indices, flags, memories, exprs, strict=True):
            mode = MODES[:2][flag]
            others[index] = mode, memory, self._offset(mode, expr, memory, info.memories)
            marks[4 * index + 3] = OTHER >> 24
        if int.from_bytes(offsets, "little") & tops != int.from_bytes(marks, "little"):
            raise Damaged("offsets of data segments are missing")
        if len(others) < count and (not info.memories or info.memories[0].limits.is64):
            raise Damaged("data segments for a memory that is not there, or has other addresses")

        def make() -> DataSegments:
            found = {
                index: Data(mode, memory, place, starts[index], ends[index], positions[index])
                for index, (mode, memory, place) in others.items()
                if mode == "active"
            }
            active = bytearray(b"\1") * count
            for index in others:
                active[index] = index in found
            return DataSegments(offsets, positions, starts, ends, bytes(active), found)

        info._makers["datas"] = make

    def _read_sections(self) -> None:
        count = self._counts["sections"]
        ids = self._bytes(count)
        names = [self._names[index] for index in self._words(count)]
        starts, payloads, ends = [self._ranges(count) for _ in range(3)]
        _check_ranges((starts, payloads, ends), self._total)
        self.info._makers["sections"] = lambda: [*map(Section, ids, names, starts, ends, payloads)]

    def _positions(self, count: int) -> list[int]:
        """The next words, which are positions in the module, in order."""
        positions = self._words(count)
        if positions and (positions[-1] > self._total or positions != sorted(positions)):
            raise Damaged("positions are out of order")
        return positions


def sizes(n: dict[str, int]) -> tuple[int, int, int, int]:
    """How many quads, words, words of ranges and bytes there are, by counts."""
    return (
        2 * (n["tables"] + n["memories"]) + n["operations"] + n["vectors"],
        n["names"] + 2 * n["signatures"] + n["types"] + n["functions"] + n["own tables"] + n["own memories"]
        + n["own globals"] + 3 * n["imports"] + 2 * n["expressions"] + 3 * n["exports"] + 4 * n["elements"]
        + n["element functions"] + n["element expressions"] + 3 * n["other datas"] + n["sections"],
        2 * n["bodies"] + 4 * n["datas"] + 3 * n["sections"],
        n["codes"] + 2 * n["tables"] + n["memories"] + n["globals"] + n["imports"] + n["operations"] + n["exports"]
        + 2 * n["elements"] + n["other datas"] + n["sections"],
    )  # fmt: skip


def _reader(column: Column) -> Callable[[int], Column]:
    """A function that gives the next so many items of a column."""
    at = 0

    def read(count: int) -> Column:
        nonlocal at
        start = at
        at += count
        return column[start:at]

    return read


def _limits(minimum: int, maximum: int, flags: int, most: int) -> Limits:
    if flags > HAS_MAXIMUM | SHARED | IS_64 or (maximum and not flags & HAS_MAXIMUM):
        raise Damaged("unknown limits")
    if minimum > most or maximum > most or (flags & HAS_MAXIMUM and minimum > maximum):
        raise Damaged("limits are too large or out of order")
    return Limits.unchecked(
        minimum, maximum if flags & HAS_MAXIMUM else None, bool(flags & SHARED), bool(flags & IS_64)
    )


def _lanes(number: int, count: int) -> int:
    """``count`` times the same 32-bit number."""
    return int.from_bytes(number.to_bytes(4, "little") * count, "little")


def _check_ranges(columns: Sequence[memoryview], total: int) -> tuple[int, list[int]]:
    """Check that numbers never get smaller, neither in a row nor from the end of a row to the next row, and stay within
    the module; return the highest bits of 32-bit numbers, and each column, as integers.
    """
    numbers = [int.from_bytes(column, "little") for column in columns]
    count = len(columns[0])
    if not count:
        return 0, numbers
    # Each number is less than 2**31, and what is to be at least as large has this bit added: if it remains when one is
    # subtracted from the other, it was at least as large, and nothing was borrowed from the next lane.
    tops = _lanes(1 << 31, count)
    follows = [*numbers[1:], numbers[0] >> 32 | total << 32 * (count - 1)]
    for number, next_ in zip(numbers, follows, strict=True):
        if number & tops or (next_ | tops) - number & tops != tops:
            raise Damaged("ranges are out of order")
    return tops, numbers
