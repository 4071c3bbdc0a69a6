"""The instructions of the opcode table whose operands and results depend on nothing, sorted for generators."""

from __future__ import annotations

import re

from tests.fuzz.numbers import F32, F64, I32, I64, NUMBERS
from vibewasm.opcodes import TABLE, natural_alignment

# Codes that bodies name; what all generators and mutations use is in `tests.fuzz.instructions`.
BR_TABLE, CALL_INDIRECT, TYPED_SELECT = 0x0E, 0x11, 0x1C
GLOBAL_GET, GLOBAL_SET, TABLE_GET, TABLE_SET = 0x23, 0x24, 0x25, 0x26
MEMORY_SIZE, MEMORY_GROW, REF_IS_NULL = 0x3F, 0x40, 0xD1
I32_EQZ, I32_GT_S, I64_GT_S, I32_ADD, I32_SUB, I32_AND, I32_OR = 0x45, 0x4A, 0x55, 0x6A, 0x6B, 0x71, 0x72
I64_SUB, I64_OR = 0x7D, 0x84
F32_EQ, F64_EQ, F32_CONVERT_I32_S, F64_CONVERT_I32_S = 0x5B, 0x61, 0xB2, 0xB7
MEMORY_INIT, DATA_DROP, MEMORY_COPY, MEMORY_FILL = 0xFC008, 0xFC009, 0xFC00A, 0xFC00B
TABLE_INIT, ELEM_DROP, TABLE_COPY, TABLE_GROW, TABLE_SIZE, TABLE_FILL = range(0xFC00C, 0xFC012)

_BYTE_OF_LETTER = {"i": I32, "l": I64, "f": F32, "d": F64}


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
    for code, name, immediates, operands, results, _ in TABLE:
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
