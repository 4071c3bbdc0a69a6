"""Tables that the compiler's hot loop reads, made from the one opcode table."""

from __future__ import annotations

from ..opcodes import LETTERS, TABLE, natural_alignment

#: How the hot loop handles an opcode byte: by a method of its own, or in one of the ways that it knows itself. They are
#: compared by identity, which CPython does faster where a jump is far.
LOCAL_GET, LOCAL_SET, I32_CONST, LOAD, STORE = "local.get", "local.set", "i32.const", "load", "store"
BINARY, UNARY, BY_HANDLER = "binary", "unary", "by handler"

#: Whether an opcode byte is a comparison, of two operands or with zero.
COMPARES = tuple([0x45 <= code <= 0x66 for code in range(256)])


def _kind(code: int, immediates: str, operands: str | None, results: str | None) -> str:
    if code == 0x20:
        return LOCAL_GET
    if code in (0x21, 0x22):
        return LOCAL_SET
    if code == 0x41:
        return I32_CONST
    if immediates == "memarg":
        return LOAD if results else STORE
    if immediates or not operands or not results:
        return BY_HANDLER
    return BINARY if len(operands) == 2 else UNARY


def _kinds() -> tuple[str, ...]:
    kinds = [BY_HANDLER] * 256
    for code, _, immediates, operands, results, _ in TABLE:
        if code < 256:
            kinds[code] = _kind(code, immediates, operands, results)
    return tuple(kinds)


#: Kind of each opcode byte.
KINDS = _kinds()
#: The same where loads and stores need more than a displacement: explicit bounds checks, or no memory at all.
KINDS_WITHOUT_PLAIN_ACCESS = tuple(BY_HANDLER if kind in (LOAD, STORE) else kind for kind in KINDS)

#: Whether an opcode byte has two operands, the second of which may be a constant; and where none is to be taken along.
TAKES_CONSTANT = tuple([kind is BINARY for kind in KINDS])
TAKES_NO_CONSTANT = (False,) * 256


def with_handlers(kinds: tuple[str, ...], codes: frozenset[int]) -> tuple[str, ...]:
    """The same kinds, but for some opcodes that are left to their handlers."""
    return tuple([BY_HANDLER if code in codes else kind for code, kind in enumerate(kinds)])


_types: dict[str, tuple[int, ...]] = {}


def _types_of(letters: str) -> tuple[int, ...]:
    found = _types.get(letters)
    if found is None:
        found = _types[letters] = tuple([LETTERS[letter] for letter in letters])
    return found


#: Types of the operands and of the results by opcode, where they are fixed.
SIGNATURES: dict[int, tuple[tuple[int, ...], tuple[int, ...]]] = {
    code: (_types_of(operands), _types_of(results))
    for code, _, _, operands, results, _ in TABLE
    if operands is not None and results is not None
}


def _alignments() -> tuple[int, ...]:
    alignments = bytearray(b"\xff" * 256)
    for code, name, immediates, _, _, _ in TABLE:
        if immediates == "memarg":
            alignments[code] = natural_alignment(name)
    return tuple(alignments)


#: Base-2 logarithm of the access size of each load and store, 255 for other opcodes.
ALIGNMENTS = _alignments()
