"""The text format's words: instructions from the one opcode table, types, and what else is a keyword."""

from __future__ import annotations

from ..opcodes import TABLE
from .encode import opcode

#: Bytes of the number and vector types.
NUMBER_TYPES = {"i32": b"\x7f", "i64": b"\x7e", "f32": b"\x7d", "f64": b"\x7c", "v128": b"\x7b"}

#: Bytes of the abstract heap types.
HEAP_TYPES = {
    "func": b"\x70",
    "extern": b"\x6f",
    "any": b"\x6e",
    "eq": b"\x6d",
    "i31": b"\x6c",
    "struct": b"\x6b",
    "array": b"\x6a",
    "exn": b"\x69",
    "noexn": b"\x74",
    "nofunc": b"\x73",
    "noextern": b"\x72",
    "none": b"\x71",
}

#: Bytes of the reference types that are one word: a nullable reference to the heap type of the same byte.
REFERENCE_TYPES = {
    **{f"{word}ref": byte for word, byte in HEAP_TYPES.items() if not word.startswith("no")},
    **{f"null{word[2:]}ref": byte for word, byte in HEAP_TYPES.items() if word.startswith("no") and word != "none"},
    "nullref": HEAP_TYPES["none"],
}

VALUE_TYPES = {**NUMBER_TYPES, **REFERENCE_TYPES}

#: The two ends of a structured instruction are read with it.
_STRUCTURE = ("else", "end")

#: Instructions without immediates: their bytes by name.
PLAIN = {name: opcode(code) for code, name, kinds, *_ in TABLE if not kinds and name not in _STRUCTURE}

#: The other instructions: bytes and kinds of immediates by name. Those that begin a block are in BLOCKS.
WITH_IMMEDIATES = {
    name: (opcode(code), kinds) for code, name, kinds, *_ in TABLE if kinds and kinds.split()[0] != "block"
}
BLOCKS = {name: (opcode(code), kinds) for code, name, kinds, *_ in TABLE if kinds and kinds.split()[0] == "block"}

# Two instructions are called select: the name has the row with types, its reader picks.
SELECT = PLAIN.pop("select")

#: Words that are no instructions.
OTHERS = frozenset(
    "module binary quote type rec sub final struct array field mut func param result local import export table memory "
    "global tag start elem data declare item offset ref null shared then catch catch_ref catch_all catch_all_ref "
    "else end nan:canonical nan:arithmetic".split()
)


def is_keyword(token: str) -> bool:
    """Whether the text format has this word (in what is built of it)."""
    return (
        token in OTHERS
        or token in PLAIN
        or token in WITH_IMMEDIATES
        or token in BLOCKS
        or token in VALUE_TYPES
        or token in HEAP_TYPES
        or token.startswith(("offset=", "align="))
    )
