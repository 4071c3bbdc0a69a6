"""The text format's words: instructions from the one opcode table, types, and what else is a keyword."""

from __future__ import annotations

from ..binary.value_types import HEAP_TYPES as _HEAP_TYPES
from ..opcodes import TABLE, all_rows, codes_with, opcode_bytes
from ..types import FUNCREF, type_name
from ..types import VALUE_TYPES as _BINARY_TYPES

#: Bytes of the number and vector types.
NUMBER_TYPES = {type_name(code): bytes((byte,)) for byte, code in _BINARY_TYPES.items() if code < FUNCREF}

#: Bytes of the abstract heap types.
HEAP_TYPES = {word: bytes((byte,)) for word, (byte, _) in _HEAP_TYPES.items()}

#: Bytes of the reference types that are one word: a nullable reference to the heap type of the same byte.
REFERENCE_TYPES = {
    **{f"{word}ref": byte for word, byte in HEAP_TYPES.items() if not word.startswith("no")},
    **{f"null{word[2:]}ref": byte for word, byte in HEAP_TYPES.items() if word.startswith("no") and word != "none"},
    "nullref": HEAP_TYPES["none"],
}

VALUE_TYPES = {**NUMBER_TYPES, **REFERENCE_TYPES}

#: The ends of a structured instruction are read with what begins it.
_BEGINS, _STRUCTURE = codes_with("opens"), codes_with("ends")

#: Instructions without immediates: their bytes by name.
PLAIN = {name: opcode_bytes(code) for code, name, kinds, *_ in TABLE if not kinds and code not in _STRUCTURE}

#: The other instructions: bytes and kinds of immediates by name. Those that begin a block are in BLOCKS.
WITH_IMMEDIATES = {
    name: (opcode_bytes(code), kinds)
    for code, name, kinds, *_ in TABLE
    if kinds and code not in _BEGINS and code not in _STRUCTURE
}
BLOCKS = {name: (opcode_bytes(code), kinds) for code, name, kinds, *_ in TABLE if code in _BEGINS}

# Two instructions are called select: the name has the row with types, its reader picks.
SELECT = PLAIN.pop("select")

#: The clauses of ``try_table``, by the byte that each begins with: its word, and whether it names a tag.
CATCHES = (("catch", True), ("catch_ref", True), ("catch_all", False), ("catch_all_ref", False))

#: Shapes of vectors, which v128.const has after its name.
SHAPES = frozenset(("i8x16", "i16x8", "i32x4", "i64x2", "f32x4", "f64x2"))

#: Words that are no instructions.
OTHERS = frozenset(
    "module binary quote type rec sub final struct array field mut func param result local import export table memory "
    "global tag start elem data declare item offset ref null shared then do catch catch_ref catch_all catch_all_ref "
    "delegate else end nan:canonical nan:arithmetic".split()
)


_FIRST_VECTOR = "v128.const"


def is_vector(word: str) -> bool:
    """Whether a word that is not there is a vector instruction: few texts have any, and the first word that is unknown
    adds them.
    """
    if _FIRST_VECTOR not in WITH_IMMEDIATES:
        rows = all_rows()[len(TABLE) :]
        PLAIN.update({name: opcode_bytes(code) for code, name, kinds, *_ in rows if not kinds})
        # Last: another thread that finds them here may count on the rest.
        WITH_IMMEDIATES.update({name: (opcode_bytes(code), kinds) for code, name, kinds, *_ in rows if kinds})
    # Another thread may have added them since they were looked for.
    return word in PLAIN or word in WITH_IMMEDIATES


def is_keyword(token: str) -> bool:
    """Whether the text format has this word (in what is built of it)."""
    return (
        token in OTHERS
        or token in SHAPES
        or is_vector(token)
        or token in BLOCKS
        or token in VALUE_TYPES
        or token in HEAP_TYPES
        or token.startswith(("offset=", "align="))
    )
