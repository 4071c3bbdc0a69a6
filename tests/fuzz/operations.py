"""The instructions of the opcode table whose operands and results depend on nothing, sorted for generators."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from random import Random

from tests.fuzz.numbers import F32, F64, I32, I64, NUMBERS, V128
from vibewasm.opcodes import CODE, TABLE, Row, all_rows, natural_alignment

# Codes that bodies name; what all generators and mutations use is in `tests.fuzz.instructions`.
BR_TABLE, CALL_INDIRECT, TYPED_SELECT = CODE["br_table"], CODE["call_indirect"], CODE["select t"]
GLOBAL_GET, GLOBAL_SET, TABLE_GET, TABLE_SET = (CODE[f"{x}.{y}"] for x in ("global", "table") for y in ("get", "set"))
MEMORY_SIZE, MEMORY_GROW, REF_IS_NULL = CODE["memory.size"], CODE["memory.grow"], CODE["ref.is_null"]
I32_EQZ, I32_GT_S, I32_LT_S, I32_ADD, I32_SUB, I32_AND, I32_OR = (
    CODE[f"i32.{name}"] for name in ("eqz", "gt_s", "lt_s", "add", "sub", "and", "or")
)
I64_GT_S, I64_SUB, I64_OR = (CODE[f"i64.{name}"] for name in ("gt_s", "sub", "or"))
F32_EQ, F64_EQ = CODE["f32.eq"], CODE["f64.eq"]
F32_CONVERT_I32_S, F64_CONVERT_I32_S = CODE["f32.convert_i32_s"], CODE["f64.convert_i32_s"]
MEMORY_INIT, MEMORY_COPY, MEMORY_FILL = (CODE[f"memory.{name}"] for name in ("init", "copy", "fill"))
DATA_DROP, ELEM_DROP = CODE["data.drop"], CODE["elem.drop"]
THROW, THROW_REF, CATCH_CLAUSE, CATCH_ALL_CLAUSE, RETHROW = (
    CODE[name] for name in ("throw", "throw_ref", "catch", "catch_all", "rethrow")
)
RETURN_CALL, RETURN_CALL_INDIRECT, RETURN_CALL_REF, CALL_REF = (
    CODE[name] for name in ("return_call", "return_call_indirect", "return_call_ref", "call_ref")
)
REF_AS_NON_NULL, BR_ON_NULL, BR_ON_NON_NULL = (
    CODE[name] for name in ("ref.as_non_null", "br_on_null", "br_on_non_null")
)
TABLE_INIT, TABLE_COPY, TABLE_GROW, TABLE_SIZE, TABLE_FILL = (
    CODE[f"table.{name}"] for name in ("init", "copy", "grow", "size", "fill")
)

_BYTE_OF_LETTER = {"i": I32, "l": I64, "f": F32, "d": F64, "v": V128, "a": I32}
_NUMBER_LETTERS = {*_BYTE_OF_LETTER} - {"v"}
_DETERMINED = re.compile(r"\.(abs|neg|copysign|convert_.*|reinterpret_.*)$")
#: Vector instructions whose lanes are floats of a type, and may be NaNs whose bits are not determined.
_MAKES_NANS = re.compile(r"(f32x4|f64x2)\.(ceil|floor|trunc|nearest|sqrt|add|sub|mul|div|min|max|demote_.*|promote_.*"
                         r"|relaxed_n?madd|relaxed_min|relaxed_max)$")  # fmt: skip


class Operation:
    """An instruction on numbers.

    Attributes:
        code, name: from the opcode table.
        operands, results: types as bytes.
        align: log2 of the natural alignment of a memory access, or None.
        divides, truncates: whether an operand of 0 (or -1), or one that does not fit, traps.
        makes_nan: the type of number whose NaNs in its result have bits that are not determined, or 0.
        lanes: how many lanes its immediate chooses from, or 0.
        shuffles: whether its immediate is 16 lanes of two vectors.
        relaxed: whether more than one result is allowed for some operands, see `tests.fuzz.relaxed`.
    """

    __slots__ = ("align", "code", "divides", "lanes", "makes_nan", "name", "operands", "relaxed", "results", "shuffles",
                 "truncates")  # fmt: skip

    def __init__(self, code: int, name: str, immediates: str, operands: str, results: str) -> None:
        is_access = "memarg" in immediates
        self.code = code
        self.name = name
        self.operands = bytes([_BYTE_OF_LETTER[x] for x in operands])
        self.results = bytes([_BYTE_OF_LETTER[x] for x in results])
        self.align = natural_alignment(name) if is_access else None
        self.divides = "div_" in name or "rem_" in name
        self.truncates = re.search(r"\.trunc_f", name) is not None
        self.makes_nan = 0
        if self.results in (b"\x7d", b"\x7c") and not is_access and not _DETERMINED.search(name):
            # A lane that is taken out is as it was.
            self.makes_nan = 0 if V128 in self.operands else self.results[0]
        elif found := _MAKES_NANS.match(name):
            self.makes_nan = F32 if found[1] == "f32x4" else F64
        self.lanes = 0
        if immediates.endswith("lane"):
            # The width is in the shape, or in the name of an access.
            self.lanes = 16 >> self.align if self.align is not None else int(name.split(".")[0].partition("x")[2])
        self.shuffles = immediates == "lanes"
        self.relaxed = ".relaxed_" in name

    def drawn(self, rng: Random) -> tuple[object, ...]:
        """Immediates other than that of an access."""
        if self.lanes:
            return (rng.randrange(self.lanes),)
        return (shuffle(rng),) if self.shuffles else ()


def shuffle(rng: Random) -> int:
    """Lanes for a shuffle, as the bits of a vector: of a kind that processors have an instruction for, or any."""
    lanes = rng.choice(SHUFFLES)(rng)
    if rng.random() < 0.1:
        # Nearly.
        lanes[rng.randrange(16)] = rng.randrange(32)
    if rng.random() < 0.2:
        # The same with the operands exchanged, or of one operand.
        change = rng.choice([16, 0])
        lanes = [lane ^ 16 if change else lane & 15 for lane in lanes]
    return int.from_bytes(bytes(lanes), "little")


def _of_units(rng: Random, pick: Callable[[Random, int, int], list[int]]) -> list[int]:
    """Lanes that move in units of one, two, four or eight bytes: `pick` chooses these from those of both operands."""
    size = rng.choice([1, 2, 4, 8])
    return [size * unit + at for unit in pick(rng, 16 // size, size) for at in range(size)]


def _random(rng: Random, count: int, size: int) -> list[int]:
    return [rng.randrange(2 * count) for _ in range(count)]


def _permuted(rng: Random, count: int, size: int) -> list[int]:
    return [rng.randrange(count) for _ in range(count)]


def _identity(rng: Random, count: int, size: int) -> list[int]:
    return list(range(count))


def _rotated(rng: Random, count: int, size: int) -> list[int]:
    first = rng.randrange(count)
    return [first + at for at in range(count)]


def _turned(rng: Random, count: int, size: int) -> list[int]:
    first = rng.randrange(count)
    return [(first + at) % count for at in range(count)]


def _broadcast(rng: Random, count: int, size: int) -> list[int]:
    return [rng.randrange(2 * count)] * count


def _zipped(rng: Random, count: int, size: int) -> list[int]:
    first = rng.choice([0, count // 2])
    return [first + at // 2 + count * (at % 2) for at in range(count)]


def _unzipped(rng: Random, count: int, size: int) -> list[int]:
    first = rng.randrange(2)
    return [first + 2 * at for at in range(count)]


def _transposed(rng: Random, count: int, size: int) -> list[int]:
    first = rng.randrange(2)
    return [first + at - at % 2 + count * (at % 2) for at in range(count)]


def _blended(rng: Random, count: int, size: int) -> list[int]:
    return [at + count * rng.randrange(2) for at in range(count)]


def _reversed(rng: Random, count: int, size: int) -> list[int]:
    inside = rng.choice([inside for inside in (2, 4, 8, 16) if inside <= count])
    return [at ^ (inside - 1) for at in range(count)]


def _inserted(rng: Random, count: int, size: int) -> list[int]:
    lanes = list(range(count))
    lanes[rng.randrange(count)] = rng.randrange(2 * count)
    return lanes


def _halves(rng: Random, count: int, size: int) -> list[int]:
    # What `shufps` does: half of the lanes from each operand.
    return [rng.randrange(count) + (count if at >= count // 2 else 0) for at in range(count)]


def _half_moved(rng: Random, count: int, size: int) -> list[int]:
    # What `pshuflw` and `pshufhw` do: half of the lanes stay, and the others stay in their half.
    half = count // 2
    first = rng.choice([0, half])
    moved = [first + rng.randrange(half) for _ in range(half)]
    return [*moved, *range(half, count)] if first == 0 else [*range(half), *moved]


_PICKS = (_random, _permuted, _identity, _rotated, _turned, _broadcast, _zipped, _unzipped, _transposed, _blended)
#: What draws 16 lanes, for each kind of shuffle.
SHUFFLES = [partial(_of_units, pick=pick) for pick in (*_PICKS, _reversed, _inserted, _halves, _half_moved)]


def _operations(rows: Sequence[Row]) -> list[Operation]:
    found: list[Operation] = []
    for code, name, immediates, operands, results, *_ in rows:
        if operands and results is not None and immediates in ("", "memarg", "lane", "lanes", "memarg lane"):
            if set(operands + results) <= _BYTE_OF_LETTER.keys():
                found.append(Operation(code, name, immediates, operands, results))
    return found


#: Those on numbers, and those on vectors.
OPERATIONS = _operations(TABLE)
VECTOR_OPERATIONS = _operations(all_rows()[len(TABLE) :])
BY_CODE = {op.code: op for op in (*OPERATIONS, *VECTOR_OPERATIONS)}


class Repertoire:
    """The operations that a module has, sorted.

    Attributes:
        types: types of values that are no references; one that comes up more often stands here more than once.
        vectors: whether vectors are among them.
        stores: what writes to memory.
        by_result: what makes one value, by its type.
        folds: what makes one value of two of the same type, does not trap, and is not relaxed.
        unary: what makes another value of one of the same type, and is not relaxed.
        comparisons: comparisons and tests, which may leave their outcome in the flags.
    """

    def __init__(self, types: bytes, operations: list[Operation]) -> None:
        self.types = types
        self.vectors = V128 in types
        self.stores = [op for op in operations if not op.results]
        self.by_result = {
            type_: [op for op in operations if op.results == bytes([type_])] for type_ in sorted({*types})
        }
        self.folds = {
            type_: [op for op in ops if op.operands == bytes([type_, type_]) and not op.divides and not op.relaxed]
            for type_, ops in self.by_result.items()
        }
        self.unary = {
            type_: [op for op in ops if op.operands == bytes([type_]) and op.align is None and not op.relaxed]
            for type_, ops in self.by_result.items()
        }
        self.comparisons = [
            op
            for op in self.by_result[I32]
            if re.search(r"^[if]\d+\.(eqz?|ne|[lg][te](_[su])?)$|_true$|bitmask$", op.name)
        ]


NUMERIC = Repertoire(NUMBERS, OPERATIONS)


def _weight(op: Operation) -> int:
    """How often a vector instruction stands in a rich repertoire: what takes or gives something else is rare."""
    if op.shuffles:
        # Many instructions in one.
        return 12
    if op.align is None and op.results != bytes([V128]):
        return 4
    return 1 if {*op.operands} == {V128} else 3


_vectors = [op for op in VECTOR_OPERATIONS for _ in range(_weight(op))]
#: Half of what it computes with are vectors, which give numbers about as often as instructions on numbers do.
RICH = Repertoire(NUMBERS + bytes([V128] * 4), [*OPERATIONS, *_vectors])
