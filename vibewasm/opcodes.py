"""The one table that says what an instruction is.

The compiler, the validator of unreachable code, the text format, constant expressions and the disassembler all read
:data:`TABLE` and what is made from it here; none of them repeats it, and none writes an opcode as a number.
Source: WebAssembly core specification, "Binary Format / Instructions" and "Appendix / Index of Instructions".

Each row is ``(code, name, immediates, operands, results, feature, traits)``:

* ``code``: the opcode byte, or for prefixed instructions what :func:`prefixed` makes of the prefix and the sub-opcode.
* ``immediates``: the kinds of immediates in the order in which they are encoded, separated by spaces.
* ``operands``, ``results``: value types, one letter each (see :data:`LETTERS`), or ``None`` where they depend on the
  immediates or on the stack (such an instruction has a rule of its own wherever it is handled).
* ``feature``: the proposal that introduced it, ``mvp`` for the first version.
* ``traits``: what else one has to know of it, words of :data:`TRAITS` separated by spaces.

Kinds of immediates: ``block`` (block type), ``label``, ``labels`` (a vector and a default), ``func``, ``type``,
``table``, ``local``, ``global``, ``memory``, ``memarg``, ``data``, ``elem``, ``i32``, ``i64``, ``f32``, ``f64``,
``heap`` (heap type), ``types`` (a vector of value types), ``tag``, ``catches`` (the clauses of ``try_table``),
``v128``, ``lane`` (a lane's index), ``lanes`` (16 of them).

Instructions after the prefix 0xFD have their rows in :mod:`.vector_opcodes`, which :func:`load_vectors` adds: looking
for one by its code does so, who looks for names calls it, and who wants all rows asks :func:`all_rows`.

``docs/adding-an-instruction.md`` says what a new row takes besides; ``tests/compiler/test_opcodes.py`` checks it.
"""

from __future__ import annotations

from .constant_opcodes import F32_CONST, F64_CONST, GLOBAL_GET, I32_CONST, I64_CONST, REF_FUNC, REF_NULL
from .types import EXTERNREF, F32, F64, FUNCREF, I32, I64, V128

#: Letters of value types in signatures; ``a`` is an address or a size of the memory that the instruction names.
LETTERS = {"i": I32, "l": I64, "f": F32, "d": F64, "v": V128, "c": FUNCREF, "e": EXTERNREF, "a": I32}

#: What a row can say in its last column.
TRAITS = {
    "opens": "begins a block, and has a label",
    "ends": "ends a block, or its first part",
    "leaves": "control never goes on after it, so what follows is dead code up to the end of the block",
    "calls": "calls a function of the module's",
    "boundary": "straight-line code ends or begins here: fuel is taken for each stretch between two of these",
    "free": "costs no fuel, since it leaves no code of its own",
    "compares": "a comparison, of two operands or with zero: its outcome may stay in the processor's flags",
    "tests": "takes the outcome of a comparison from the flags",
    "immediate": "its second operand may be an immediate of machine code",
    "shift": "shifts or rotates: a constant count is taken modulo the width, and claims no register",
    "constant": "may stand in a constant expression",
    "8": "accesses a byte of memory",
    "16": "accesses two bytes of memory",
    "32": "accesses four bytes of memory",
    "64": "accesses eight bytes of memory",
    "128": "accesses sixteen bytes of memory",
}

Row = tuple[int, str, str, "str | None", "str | None", str, str]

#: Bytes that are no instruction by themselves: the LEB128 number after one says which it is.
PREFIXES = frozenset((0xFB, 0xFC, 0xFD, 0xFE))
_NUMERIC_AND_BULK = 0xFC
VECTOR_PREFIX = 0xFD


def prefixed(prefix: int, sub: int) -> int:
    """The code of the instruction ``sub`` (an unsigned 32-bit number) after a prefix: no two have the same."""
    return prefix << 32 | sub


def opcode_bytes(code: int) -> bytes:
    """An opcode in the binary format: a byte, or a prefix and a LEB128 number, as short as can be."""
    if code < 256:
        return bytes((code,))
    encoded = [code >> 32]
    sub = code & 0xFFFFFFFF
    while sub > 0x7F:
        encoded.append(sub & 0x7F | 0x80)
        sub >>= 7
    return bytes((*encoded, sub))


def spelled(code: int) -> str:
    """An opcode as messages write it: its bytes in hexadecimal, ``0b`` or ``fc 13``."""
    return opcode_bytes(code).hex(" ")


_SELECT_TYPED: Row = (0x1C, "select", "types", None, None, "reference-types", "")

_LEGACY, _TYPED = "legacy-exceptions", "function-references"

_CONTROL_AND_VARIABLES: list[Row] = [
    (0x00, "unreachable", "", None, None, "mvp", "leaves boundary"),
    (0x01, "nop", "", "", "", "mvp", "free"),
    (0x02, "block", "block", None, None, "mvp", "opens free"),
    (0x03, "loop", "block", None, None, "mvp", "opens free boundary"),
    (0x04, "if", "block", None, None, "mvp", "opens tests boundary"),
    (0x05, "else", "", None, None, "mvp", "ends free boundary"),
    (0x06, "try", "block", None, None, _LEGACY, "opens free"),
    (0x07, "catch", "tag", None, None, _LEGACY, "ends free boundary"),
    (0x08, "throw", "tag", None, None, "exceptions", "leaves boundary"),
    (0x09, "rethrow", "label", None, None, _LEGACY, "leaves boundary"),
    (0x0A, "throw_ref", "", None, None, "exceptions", "leaves boundary"),
    (0x0B, "end", "", None, None, "mvp", "ends free boundary"),
    (0x0C, "br", "label", None, None, "mvp", "leaves boundary"),
    (0x0D, "br_if", "label", None, None, "mvp", "tests boundary"),
    (0x0E, "br_table", "labels", None, None, "mvp", "leaves boundary"),
    (0x0F, "return", "", None, None, "mvp", "leaves boundary"),
    (0x10, "call", "func", None, None, "mvp", "calls boundary"),
    (0x11, "call_indirect", "type table", None, None, "mvp", "calls boundary"),
    (0x12, "return_call", "func", None, None, "tail-call", "leaves calls boundary"),
    (0x13, "return_call_indirect", "type table", None, None, "tail-call", "leaves calls boundary"),
    (0x14, "call_ref", "type", None, None, _TYPED, "calls boundary"),
    (0x15, "return_call_ref", "type", None, None, _TYPED, "leaves calls boundary"),
    (0x18, "delegate", "label", None, None, _LEGACY, "ends free boundary"),
    (0x19, "catch_all", "", None, None, _LEGACY, "ends free boundary"),
    (0x1A, "drop", "", None, "", "mvp", "free"),
    (0x1B, "select", "", None, None, "mvp", "tests"),
    _SELECT_TYPED,
    (0x1F, "try_table", "block catches", None, None, "exceptions", "opens free"),
    (0x20, "local.get", "local", "", None, "mvp", ""),
    (0x21, "local.set", "local", None, "", "mvp", ""),
    (0x22, "local.tee", "local", None, None, "mvp", ""),
    (GLOBAL_GET, "global.get", "global", "", None, "mvp", "constant"),
    (0x24, "global.set", "global", None, "", "mvp", ""),
    (0x25, "table.get", "table", "i", None, "reference-types", ""),
    (0x26, "table.set", "table", None, "", "reference-types", ""),
]

_MEMORY_AND_CONSTANTS: list[Row] = [
    (0x3F, "memory.size", "memory", "", "a", "mvp", ""),
    (0x40, "memory.grow", "memory", "a", "a", "mvp", ""),
    (I32_CONST, "i32.const", "i32", "", "i", "mvp", "constant"),
    (I64_CONST, "i64.const", "i64", "", "l", "mvp", "constant"),
    (F32_CONST, "f32.const", "f32", "", "f", "mvp", "constant"),
    (F64_CONST, "f64.const", "f64", "", "d", "mvp", "constant"),
]

_REFERENCES: list[Row] = [
    (REF_NULL, "ref.null", "heap", "", None, "reference-types", "constant"),
    (0xD1, "ref.is_null", "", None, "i", "reference-types", ""),
    (REF_FUNC, "ref.func", "func", "", None, "reference-types", "constant"),
    (0xD4, "ref.as_non_null", "", None, None, _TYPED, ""),
    (0xD5, "br_on_null", "label", None, None, _TYPED, "boundary"),
    (0xD6, "br_on_non_null", "label", None, None, _TYPED, "boundary"),
]


def _run(
    first: int, names: str, immediates: str, operands: str, results: str, traits: str = "", feature: str = "mvp"
) -> list[Row]:
    """Rows of instructions that follow one another in the opcode space and share everything but their names."""
    return [
        (first + index, name, immediates, operands, results, feature, traits)
        for index, name in enumerate(names.split())
    ]


def _numeric(first: int, type_: str, letter: str) -> list[Row]:
    """Rows of the operations of an integer type."""
    unary, both = first, letter + letter
    return [
        *_run(unary, _of(type_, "clz ctz popcnt"), "", letter, letter),
        *_run(unary + 3, _of(type_, "add sub mul"), "", both, letter, "immediate constant"),
        *_run(unary + 6, _of(type_, "div_s div_u rem_s rem_u"), "", both, letter),
        *_run(unary + 10, _of(type_, "and or xor"), "", both, letter, "immediate"),
        *_run(unary + 13, _of(type_, "shl shr_s shr_u"), "", both, letter, "immediate shift"),
        *_run(unary + 16, _of(type_, "rotl rotr"), "", both, letter, "shift"),
    ]


_INT_COMPARISONS = "eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u"
_FLOAT_COMPARISONS = "eq ne lt gt le ge"
_FLOAT_UNARY = "abs neg ceil floor trunc nearest sqrt"
_FLOAT_BINARY = "add sub mul div min max copysign"


def _of(type_name: str, names: str) -> str:
    return " ".join(f"{type_name}.{name}" for name in names.split())


def _bulk(sub: int, name: str, immediates: str, operands: str | None, results: str, feature: str) -> Row:
    return prefixed(_NUMERIC_AND_BULK, sub), name, immediates, operands, results, feature, ""


def _saturating(sub: int, type_: str, source: str, operands: str, results: str) -> list[Row]:
    names = f"{type_}.trunc_sat_{source}_s {type_}.trunc_sat_{source}_u"
    return _run(prefixed(_NUMERIC_AND_BULK, sub), names, "", operands, results, feature="saturating-float-to-int")


#: The instructions that the engine knows, in the order of their codes, but for vector instructions; :func:`all_rows`
#: has those too.
TABLE: list[Row] = [
    *_CONTROL_AND_VARIABLES,
    *_run(0x28, "i32.load", "memarg", "a", "i", "32"),
    *_run(0x29, "i64.load", "memarg", "a", "l", "64"),
    *_run(0x2A, "f32.load", "memarg", "a", "f", "32"),
    *_run(0x2B, "f64.load", "memarg", "a", "d", "64"),
    *_run(0x2C, "i32.load8_s i32.load8_u", "memarg", "a", "i", "8"),
    *_run(0x2E, "i32.load16_s i32.load16_u", "memarg", "a", "i", "16"),
    *_run(0x30, "i64.load8_s i64.load8_u", "memarg", "a", "l", "8"),
    *_run(0x32, "i64.load16_s i64.load16_u", "memarg", "a", "l", "16"),
    *_run(0x34, "i64.load32_s i64.load32_u", "memarg", "a", "l", "32"),
    *_run(0x36, "i32.store", "memarg", "ai", "", "32"),
    *_run(0x37, "i64.store", "memarg", "al", "", "64"),
    *_run(0x38, "f32.store", "memarg", "af", "", "32"),
    *_run(0x39, "f64.store", "memarg", "ad", "", "64"),
    *_run(0x3A, "i32.store8", "memarg", "ai", "", "8"),
    *_run(0x3B, "i32.store16", "memarg", "ai", "", "16"),
    *_run(0x3C, "i64.store8", "memarg", "al", "", "8"),
    *_run(0x3D, "i64.store16", "memarg", "al", "", "16"),
    *_run(0x3E, "i64.store32", "memarg", "al", "", "32"),
    *_MEMORY_AND_CONSTANTS,
    *_run(0x45, "i32.eqz", "", "i", "i", "compares tests"),
    *_run(0x46, _of("i32", _INT_COMPARISONS), "", "ii", "i", "compares immediate"),
    *_run(0x50, "i64.eqz", "", "l", "i", "compares"),
    *_run(0x51, _of("i64", _INT_COMPARISONS), "", "ll", "i", "compares immediate"),
    *_run(0x5B, _of("f32", _FLOAT_COMPARISONS), "", "ff", "i", "compares"),
    *_run(0x61, _of("f64", _FLOAT_COMPARISONS), "", "dd", "i", "compares"),
    *_numeric(0x67, "i32", "i"),
    *_numeric(0x79, "i64", "l"),
    *_run(0x8B, _of("f32", _FLOAT_UNARY), "", "f", "f"),
    *_run(0x92, _of("f32", _FLOAT_BINARY), "", "ff", "f"),
    *_run(0x99, _of("f64", _FLOAT_UNARY), "", "d", "d"),
    *_run(0xA0, _of("f64", _FLOAT_BINARY), "", "dd", "d"),
    *_run(0xA7, "i32.wrap_i64", "", "l", "i"),
    *_run(0xA8, "i32.trunc_f32_s i32.trunc_f32_u", "", "f", "i"),
    *_run(0xAA, "i32.trunc_f64_s i32.trunc_f64_u", "", "d", "i"),
    *_run(0xAC, "i64.extend_i32_s i64.extend_i32_u", "", "i", "l"),
    *_run(0xAE, "i64.trunc_f32_s i64.trunc_f32_u", "", "f", "l"),
    *_run(0xB0, "i64.trunc_f64_s i64.trunc_f64_u", "", "d", "l"),
    *_run(0xB2, "f32.convert_i32_s f32.convert_i32_u", "", "i", "f"),
    *_run(0xB4, "f32.convert_i64_s f32.convert_i64_u", "", "l", "f"),
    *_run(0xB6, "f32.demote_f64", "", "d", "f"),
    *_run(0xB7, "f64.convert_i32_s f64.convert_i32_u", "", "i", "d"),
    *_run(0xB9, "f64.convert_i64_s f64.convert_i64_u", "", "l", "d"),
    *_run(0xBB, "f64.promote_f32", "", "f", "d"),
    *_run(0xBC, "i32.reinterpret_f32", "", "f", "i"),
    *_run(0xBD, "i64.reinterpret_f64", "", "d", "l"),
    *_run(0xBE, "f32.reinterpret_i32", "", "i", "f"),
    *_run(0xBF, "f64.reinterpret_i64", "", "l", "d"),
    *_run(0xC0, "i32.extend8_s i32.extend16_s", "", "i", "i", feature="sign-extension"),
    *_run(0xC2, "i64.extend8_s i64.extend16_s i64.extend32_s", "", "l", "l", feature="sign-extension"),
    *_REFERENCES,
    *_saturating(0, "i32", "f32", "f", "i"),
    *_saturating(2, "i32", "f64", "d", "i"),
    *_saturating(4, "i64", "f32", "f", "l"),
    *_saturating(6, "i64", "f64", "d", "l"),
    _bulk(8, "memory.init", "data memory", "aii", "", "bulk-memory"),
    _bulk(9, "data.drop", "data", "", "", "bulk-memory"),
    _bulk(10, "memory.copy", "memory memory", "aaa", "", "bulk-memory"),
    _bulk(11, "memory.fill", "memory", "aia", "", "bulk-memory"),
    _bulk(12, "table.init", "elem table", "iii", "", "bulk-memory"),
    _bulk(13, "elem.drop", "elem", "", "", "bulk-memory"),
    _bulk(14, "table.copy", "table table", "iii", "", "bulk-memory"),
    _bulk(15, "table.grow", "table", None, "i", "reference-types"),
    _bulk(16, "table.size", "table", "", "i", "reference-types"),
    _bulk(17, "table.fill", "table", None, "", "reference-types"),
]

_vectors: list[Row] = []


def load_vectors() -> None:
    """Add the rows of vector instructions to what is made from the table; without effect if they are there."""
    if not _vectors:
        from .vector_opcodes import ROWS

        BY_CODE.update({row[0]: row for row in ROWS})
        CODE.update({row[1]: row[0] for row in ROWS})
        _read_traits(ROWS)
        # Last: another thread that finds them here may count on the rest.
        _vectors.extend(ROWS)


def all_rows() -> list[Row]:
    """The whole table, in the order of the instructions' codes."""
    load_vectors()
    return [*TABLE, *sorted(_vectors)]


#: Row of an opcode by its code; :func:`row_of` looks for vector instructions as well.
BY_CODE: dict[int, Row] = {row[0]: row for row in TABLE}

#: Code of an instruction by its name; the ``select`` with types, which shares its name, is ``select t`` here. Vector
#: instructions are there after :func:`load_vectors`.
CODE: dict[str, int] = {row[1]: row[0] for row in reversed(TABLE)}
CODE["select t"] = _SELECT_TYPED[0]

#: Base-2 logarithm of the number of bytes that an instruction accesses in memory, by opcode.
ACCESSES: dict[int, int] = {}
_with: dict[str, list[int]] = {trait: [] for trait in TRAITS}
_LOGARITHMS = {"8": 0, "16": 1, "32": 2, "64": 3, "128": 4}


def row_of(code: int) -> Row | None:
    """The row of an opcode, or ``None`` if there is none."""
    if code >> 32 == VECTOR_PREFIX:
        load_vectors()
    return BY_CODE.get(code)


def _read_traits(rows: list[Row]) -> None:
    # There are few different columns, and each is read once: this runs whenever the package is loaded.
    by_traits: dict[str, list[int]] = {}
    for row in rows:
        traits = row[6]
        if traits:
            if traits in by_traits:
                by_traits[traits].append(row[0])
            else:
                by_traits[traits] = [row[0]]
    for traits, codes in by_traits.items():
        for trait in traits.split():
            _with[trait] += codes
            if trait in _LOGARITHMS:
                ACCESSES.update(dict.fromkeys(codes, _LOGARITHMS[trait]))


_read_traits(TABLE)


def codes_with(trait: str) -> frozenset[int]:
    """Codes of the instructions that have a trait, one of :data:`TRAITS`; of vector instructions only once they are
    loaded.
    """
    return frozenset(_with[trait])


_signatures: dict[int, tuple[tuple[int, ...], tuple[int, ...]]] = {}


def signature(code: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Types of an instruction's operands and of its results, memoised.

    Raises:
        KeyError: they depend on its immediates or on the stack, see :func:`has_signature`.
    """
    found = _signatures.get(code)
    if found is None:
        row = row_of(code)
        if row is None or row[3] is None or row[4] is None:
            raise KeyError(name_of(code))
        _, _, _, operands, results, _, _ = row
        taken = tuple([LETTERS[letter] for letter in operands or ""])
        found = _signatures[code] = taken, tuple([LETTERS[letter] for letter in results or ""])
    return found


def has_signature(code: int) -> bool:
    """Whether an instruction's operands and results are always the same."""
    row = row_of(code)
    if row is None:
        raise KeyError(spelled(code))
    return row[3] is not None and row[4] is not None


def name_of(code: int) -> str:
    """The spec's name of the opcode ``code``, or how it is spelled if there is none."""
    row = row_of(code)
    return row[1] if row else spelled(code)


def natural_alignment(name: str) -> int:
    """Base-2 logarithm of the number of bytes that the memory instruction ``name`` accesses."""
    return ACCESSES[CODE[name]]
