"""The one table that says what an instruction is.

The compiler, the validator of unreachable code, the text format and the disassembler all read :data:`TABLE`;
none of them repeats it. Source: WebAssembly core specification, "Binary Format / Instructions" and
"Appendix / Index of Instructions".

Each row is ``(code, name, immediates, operands, results, feature)``:

* ``code``: the opcode byte, or ``prefix << 12 | sub-opcode`` for prefixed instructions (``0xFC00A`` is
  ``memory.copy``).
* ``immediates``: the kinds of immediates in the order in which they are encoded, separated by spaces.
* ``operands``, ``results``: value types, one letter each (see :data:`LETTERS`), or ``None`` where they depend on the
  immediates or on the stack (such an instruction has a rule of its own wherever it is handled).
* ``feature``: the proposal that introduced it, ``mvp`` for the first version.

Kinds of immediates: ``block`` (block type), ``label``, ``labels`` (a vector and a default), ``func``, ``type``,
``table``,
``local``, ``global``, ``memory``, ``memarg``, ``data``, ``elem``, ``i32``, ``i64``, ``f32``, ``f64``, ``heap`` (heap
type),
``types`` (a vector of value types).
"""

from __future__ import annotations

from .types import EXTERNREF, F32, F64, FUNCREF, I32, I64, V128

#: Letters of value types in signatures.
LETTERS = {"i": I32, "l": I64, "f": F32, "d": F64, "v": V128, "c": FUNCREF, "e": EXTERNREF}

Row = tuple[int, str, str, "str | None", "str | None", str]

_CONTROL_AND_VARIABLES: list[Row] = [
    (0x00, "unreachable", "", None, None, "mvp"),
    (0x01, "nop", "", "", "", "mvp"),
    (0x02, "block", "block", None, None, "mvp"),
    (0x03, "loop", "block", None, None, "mvp"),
    (0x04, "if", "block", None, None, "mvp"),
    (0x05, "else", "", None, None, "mvp"),
    (0x0B, "end", "", None, None, "mvp"),
    (0x0C, "br", "label", None, None, "mvp"),
    (0x0D, "br_if", "label", None, None, "mvp"),
    (0x0E, "br_table", "labels", None, None, "mvp"),
    (0x0F, "return", "", None, None, "mvp"),
    (0x10, "call", "func", None, None, "mvp"),
    (0x11, "call_indirect", "type table", None, None, "mvp"),
    (0x1A, "drop", "", None, "", "mvp"),
    (0x1B, "select", "", None, None, "mvp"),
    (0x1C, "select", "types", None, None, "reference-types"),
    (0x20, "local.get", "local", "", None, "mvp"),
    (0x21, "local.set", "local", None, "", "mvp"),
    (0x22, "local.tee", "local", None, None, "mvp"),
    (0x23, "global.get", "global", "", None, "mvp"),
    (0x24, "global.set", "global", None, "", "mvp"),
    (0x25, "table.get", "table", "i", None, "reference-types"),
    (0x26, "table.set", "table", None, "", "reference-types"),
]

_MEMORY_AND_CONSTANTS: list[Row] = [
    (0x3F, "memory.size", "memory", "", "i", "mvp"),
    (0x40, "memory.grow", "memory", "i", "i", "mvp"),
    (0x41, "i32.const", "i32", "", "i", "mvp"),
    (0x42, "i64.const", "i64", "", "l", "mvp"),
    (0x43, "f32.const", "f32", "", "f", "mvp"),
    (0x44, "f64.const", "f64", "", "d", "mvp"),
]

_REFERENCES: list[Row] = [
    (0xD0, "ref.null", "heap", "", None, "reference-types"),
    (0xD1, "ref.is_null", "", None, "i", "reference-types"),
    (0xD2, "ref.func", "func", "", "c", "reference-types"),
]


def _run(first: int, names: str, immediates: str, operands: str, results: str, feature: str = "mvp") -> list[Row]:
    """Rows of instructions that follow one another in the opcode space and share their signature."""
    return [(first + index, name, immediates, operands, results, feature) for index, name in enumerate(names.split())]


_INT_COMPARISONS = "eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u"
_FLOAT_COMPARISONS = "eq ne lt gt le ge"
_INT_UNARY = "clz ctz popcnt"
_INT_BINARY = "add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u rotl rotr"
_FLOAT_UNARY = "abs neg ceil floor trunc nearest sqrt"
_FLOAT_BINARY = "add sub mul div min max copysign"


def _of(type_name: str, names: str) -> str:
    return " ".join(f"{type_name}.{name}" for name in names.split())


#: Every instruction that the engine knows, in the order of its code.
TABLE: list[Row] = [
    *_CONTROL_AND_VARIABLES,
    *_run(0x28, "i32.load", "memarg", "i", "i"),
    *_run(0x29, "i64.load", "memarg", "i", "l"),
    *_run(0x2A, "f32.load", "memarg", "i", "f"),
    *_run(0x2B, "f64.load", "memarg", "i", "d"),
    *_run(0x2C, _of("i32", "load8_s load8_u load16_s load16_u"), "memarg", "i", "i"),
    *_run(0x30, _of("i64", "load8_s load8_u load16_s load16_u load32_s load32_u"), "memarg", "i", "l"),
    *_run(0x36, "i32.store", "memarg", "ii", ""),
    *_run(0x37, "i64.store", "memarg", "il", ""),
    *_run(0x38, "f32.store", "memarg", "if", ""),
    *_run(0x39, "f64.store", "memarg", "id", ""),
    *_run(0x3A, _of("i32", "store8 store16"), "memarg", "ii", ""),
    *_run(0x3C, _of("i64", "store8 store16 store32"), "memarg", "il", ""),
    *_MEMORY_AND_CONSTANTS,
    *_run(0x45, "i32.eqz", "", "i", "i"),
    *_run(0x46, _of("i32", _INT_COMPARISONS), "", "ii", "i"),
    *_run(0x50, "i64.eqz", "", "l", "i"),
    *_run(0x51, _of("i64", _INT_COMPARISONS), "", "ll", "i"),
    *_run(0x5B, _of("f32", _FLOAT_COMPARISONS), "", "ff", "i"),
    *_run(0x61, _of("f64", _FLOAT_COMPARISONS), "", "dd", "i"),
    *_run(0x67, _of("i32", _INT_UNARY), "", "i", "i"),
    *_run(0x6A, _of("i32", _INT_BINARY), "", "ii", "i"),
    *_run(0x79, _of("i64", _INT_UNARY), "", "l", "l"),
    *_run(0x7C, _of("i64", _INT_BINARY), "", "ll", "l"),
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
    *_run(0xC0, "i32.extend8_s i32.extend16_s", "", "i", "i", "sign-extension"),
    *_run(0xC2, "i64.extend8_s i64.extend16_s i64.extend32_s", "", "l", "l", "sign-extension"),
    *_REFERENCES,
    *_run(0xFC000, "i32.trunc_sat_f32_s i32.trunc_sat_f32_u", "", "f", "i", "saturating-float-to-int"),
    *_run(0xFC002, "i32.trunc_sat_f64_s i32.trunc_sat_f64_u", "", "d", "i", "saturating-float-to-int"),
    *_run(0xFC004, "i64.trunc_sat_f32_s i64.trunc_sat_f32_u", "", "f", "l", "saturating-float-to-int"),
    *_run(0xFC006, "i64.trunc_sat_f64_s i64.trunc_sat_f64_u", "", "d", "l", "saturating-float-to-int"),
    (0xFC008, "memory.init", "data memory", "iii", "", "bulk-memory"),
    (0xFC009, "data.drop", "data", "", "", "bulk-memory"),
    (0xFC00A, "memory.copy", "memory memory", "iii", "", "bulk-memory"),
    (0xFC00B, "memory.fill", "memory", "iii", "", "bulk-memory"),
    (0xFC00C, "table.init", "elem table", "iii", "", "bulk-memory"),
    (0xFC00D, "elem.drop", "elem", "", "", "bulk-memory"),
    (0xFC00E, "table.copy", "table table", "iii", "", "bulk-memory"),
    (0xFC00F, "table.grow", "table", None, "i", "reference-types"),
    (0xFC010, "table.size", "table", "", "i", "reference-types"),
    (0xFC011, "table.fill", "table", None, "", "reference-types"),
]

#: Row of an opcode by its code.
BY_CODE: dict[int, Row] = {row[0]: row for row in TABLE}


def name_of(code: int) -> str:
    """The spec's name of the opcode ``code``, or its hexadecimal form if there is none."""
    row = BY_CODE.get(code)
    return row[1] if row else f"0x{code:02X}"


def natural_alignment(name: str) -> int:
    """Base-2 logarithm of the number of bytes that the memory instruction ``name`` accesses."""
    # The width in bits is part of the name: of the operation, as in i64.load32_u, or else of the type.
    operation = name[4:].strip("abcdefghijklmnopqrstuvwxyz_")
    return _LOGARITHMS[operation or name[1:3]]


_LOGARITHMS = {"8": 0, "16": 1, "32": 2, "64": 3}
