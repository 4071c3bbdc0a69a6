"""Tables that the compiler's hot loop reads, made from the one opcode table."""

from __future__ import annotations

from ..opcodes import LETTERS, TABLE, natural_alignment

#: How the hot loop handles an opcode byte: by a method of its own, or in one of the ways that it knows itself. They are
#: compared by identity, which CPython does faster where a jump is far.
LOCAL_GET, LOCAL_SET, I32_CONST, LOAD, STORE = "local.get", "local.set", "i32.const", "load", "store"
BINARY, UNARY, BR_IF, END, BY_HANDLER = "binary", "unary", "br_if", "end", "by handler"

#: Whether an opcode byte is a comparison, of two operands or with zero.
COMPARES = (False,) * 0x45 + (True,) * 0x22 + (False,) * 0x99

#: ``br_if``, ``if``, ``select`` and ``i32.eqz`` take a comparison from the flags.
TAKES_FLAGS = frozenset((0x0D, 0x04, 0x1B, 0x45))

#: Types of the operands and of the results by opcode, where they are fixed.
SIGNATURES: dict[int, tuple[tuple[int, ...], tuple[int, ...]]] = {}


def _read_table() -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The kind of each opcode byte, and the base-2 logarithm of the access size of each load and store, 255 for others;
    fills in :data:`SIGNATURES`.
    """
    kinds = [BY_HANDLER] * 256
    alignments = [255] * 256
    types: dict[str, tuple[int, ...]] = {}
    for code, name, immediates, operands, results, _ in TABLE:
        if operands is None or results is None:
            continue
        for letters in (operands, results):
            if letters not in types:
                types[letters] = tuple([LETTERS[letter] for letter in letters])
        SIGNATURES[code] = (types[operands], types[results])
        if immediates == "memarg":
            kinds[code] = LOAD if results else STORE
            alignments[code] = natural_alignment(name)
        elif not immediates and operands and results and code < 256:
            kinds[code] = BINARY if len(operands) == 2 else UNARY
    kinds[0x20] = LOCAL_GET
    kinds[0x21] = kinds[0x22] = LOCAL_SET
    kinds[0x41] = I32_CONST
    kinds[0x0D] = BR_IF
    kinds[0x0B] = END
    return tuple(kinds), tuple(alignments)


#: Kind of each opcode byte, and base-2 logarithm of the access size of each load and store.
KINDS, ALIGNMENTS = _read_table()
#: The same where loads and stores need more than a displacement: explicit bounds checks, or no memory at all.
KINDS_WITHOUT_PLAIN_ACCESS = tuple([BY_HANDLER if kind is LOAD or kind is STORE else kind for kind in KINDS])

#: Whether an opcode byte has two operands, the second of which may be a constant; and where none is to be taken along.
TAKES_CONSTANT = tuple([kind is BINARY for kind in KINDS])
TAKES_NO_CONSTANT = (False,) * 256


def with_handlers(kinds: tuple[str, ...], codes: frozenset[int]) -> tuple[str, ...]:
    """The same kinds, but for some opcodes that are left to their handlers."""
    return tuple([BY_HANDLER if code in codes else kind for code, kind in enumerate(kinds)])
