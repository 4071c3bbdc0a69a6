"""The instructions of the opcode table whose operands and results depend on nothing, sorted for generators."""

from __future__ import annotations

import re

from tests.fuzz.numbers import F32, F64, I32, I64, NUMBERS
from vibewasm.opcodes import CODE, TABLE, natural_alignment

# Codes that bodies name; what all generators and mutations use is in `tests.fuzz.instructions`.
BR_TABLE, CALL_INDIRECT, TYPED_SELECT = CODE["br_table"], CODE["call_indirect"], CODE["select t"]
GLOBAL_GET, GLOBAL_SET, TABLE_GET, TABLE_SET = (CODE[f"{x}.{y}"] for x in ("global", "table") for y in ("get", "set"))
MEMORY_SIZE, MEMORY_GROW, REF_IS_NULL = CODE["memory.size"], CODE["memory.grow"], CODE["ref.is_null"]
I32_EQZ, I32_GT_S, I32_ADD, I32_SUB, I32_AND, I32_OR = (
    CODE[f"i32.{name}"] for name in ("eqz", "gt_s", "add", "sub", "and", "or")
)
I64_GT_S, I64_SUB, I64_OR = (CODE[f"i64.{name}"] for name in ("gt_s", "sub", "or"))
F32_EQ, F64_EQ = CODE["f32.eq"], CODE["f64.eq"]
F32_CONVERT_I32_S, F64_CONVERT_I32_S = CODE["f32.convert_i32_s"], CODE["f64.convert_i32_s"]
MEMORY_INIT, MEMORY_COPY, MEMORY_FILL = (CODE[f"memory.{name}"] for name in ("init", "copy", "fill"))
DATA_DROP, ELEM_DROP = CODE["data.drop"], CODE["elem.drop"]
TABLE_INIT, TABLE_COPY, TABLE_GROW, TABLE_SIZE, TABLE_FILL = (
    CODE[f"table.{name}"] for name in ("init", "copy", "grow", "size", "fill")
)

_BYTE_OF_LETTER = {"i": I32, "l": I64, "f": F32, "d": F64, "a": I32}


class Operation:
    """An instruction on numbers.

    Attributes:
        code, name: from the opcode table.
        operands, results: types as bytes.
        align: log2 of the natural alignment of a memory access, or None.
        divides, truncates: whether an operand of 0 (or -1), or one that does not fit, traps.
        makes_nan: whether the bits of a NaN in its result are not determined.
    """

    __slots__ = ("align", "code", "divides", "makes_nan", "name", "operands", "results", "truncates")

    def __init__(self, code: int, name: str, operands: str, results: str, is_access: bool) -> None:
        self.code = code
        self.name = name
        self.operands = bytes([_BYTE_OF_LETTER[x] for x in operands])
        self.results = bytes([_BYTE_OF_LETTER[x] for x in results])
        self.align = natural_alignment(name) if is_access else None
        self.divides = "div_" in name or "rem_" in name
        self.truncates = re.search(r"\.trunc_f", name) is not None
        determined = is_access or re.search(r"\.(abs|neg|copysign|convert_.*|reinterpret_.*)$", name)
        self.makes_nan = self.results in (b"\x7d", b"\x7c") and not determined


def _operations() -> list[Operation]:
    found: list[Operation] = []
    for code, name, immediates, operands, results, *_ in TABLE:
        if operands and results is not None and immediates in ("", "memarg"):
            if set(operands + results) <= _BYTE_OF_LETTER.keys():
                found.append(Operation(code, name, operands, results, immediates == "memarg"))
    return found


OPERATIONS = _operations()
BY_CODE = {op.code: op for op in OPERATIONS}
STORES = [op for op in OPERATIONS if not op.results]
BY_RESULT = {type_: [op for op in OPERATIONS if op.results == bytes([type_])] for type_ in NUMBERS}
#: What makes one value of two of the same type and does not trap.
FOLDS = {
    type_: [op for op in BY_RESULT[type_] if op.operands == bytes([type_, type_]) and not op.divides]
    for type_ in NUMBERS
}
#: What makes another value of one of the same type.
UNARY = {
    type_: [op for op in BY_RESULT[type_] if op.operands == bytes([type_]) and op.align is None] for type_ in NUMBERS
}
#: Comparisons and tests, which may leave their outcome in the flags.
COMPARISONS = [op for op in BY_RESULT[I32] if re.search(r"\.(eqz?|ne|[lg][te](_[su])?)$", op.name)]
