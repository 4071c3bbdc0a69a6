"""Instructions as tuples: expressions are split into them, changed, and encoded again.

How an instruction is encoded is read from the engine's opcode table. Its reading of bytes is the fuzzer's own, so that
a mistake in the engine's decoder does not hide itself.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from tests.fuzz.value_types import block_type, code_of_block_type, encode_type, encode_types, read_type
from vibewasm.opcodes import CODE, PREFIXES, all_rows, load_vectors, prefixed

load_vectors()

BLOCK, LOOP, IF, ELSE, END = (CODE[name] for name in ("block", "loop", "if", "else", "end"))
BR, BR_IF, RETURN, CALL = (CODE[name] for name in ("br", "br_if", "return", "call"))
UNREACHABLE, NOP, DROP, SELECT = (CODE[name] for name in ("unreachable", "nop", "drop", "select"))
LOCAL_GET, LOCAL_SET, LOCAL_TEE = (CODE[f"local.{name}"] for name in ("get", "set", "tee"))
I32_CONST, I64_CONST, F32_CONST, F64_CONST = (CODE[f"{type_}.const"] for type_ in ("i32", "i64", "f32", "f64"))
REF_NULL, REF_FUNC, V128_CONST = CODE["ref.null"], CODE["ref.func"], CODE["v128.const"]
TRY_TABLE, TRY, DELEGATE = CODE["try_table"], CODE["try"], CODE["delegate"]
#: What begins a block that `end` closes, or `delegate`.
OPENERS = frozenset((BLOCK, LOOP, IF, TRY_TABLE, TRY))
#: What closes one.
CLOSERS = frozenset((END, DELEGATE))
#: Kinds of clauses of `try_table` by their numbers; the first two name a tag, the odd ones give a reference as well.
CATCH, CATCH_REF, CATCH_ALL, CATCH_ALL_REF = range(4)

KINDS: dict[int, tuple[str, ...]] = {row[0]: tuple(row[2].split()) for row in all_rows()}
_SIGNED_BITS = {"i32": 32, "i64": 64, "heap": 33}
_FIXED_BYTES = {"f32": 4, "f64": 8, "v128": 16, "lanes": 16, "lane": 1}


class Instruction(NamedTuple):
    """An instruction: its code as in the opcode table, and a value for each kind of immediate of its row.

    `heap` is a signed number (a type index, or negative for what is one byte), `block` the same or what
    :func:`~tests.fuzz.value_types.block_type` gives, `labels` a tuple whose last is the default, `catches` a tuple of
    triples (kind of clause, tag or 0, label), `memarg` the pair (alignment, offset), `types` a tuple of codes of types,
    floats and vectors their bits, `lane` a number, and `lanes` 16 of them as the bits of a vector.
    """

    code: int
    immediates: tuple[Any, ...] = ()


class NotParsed(ValueError):
    """The bytes are not a run of instructions that the table knows."""


def uleb(value: int) -> bytes:
    """Unsigned LEB128, as short as can be."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def sleb(value: int) -> bytes:
    """Signed LEB128, as short as can be."""
    out = bytearray()
    while not -0x40 <= value < 0x40:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value & 0x7F)
    return bytes(out)


def read_uleb(data: bytes, position: int) -> tuple[int, int]:
    """The unsigned number at `position` and the position after it; raises `NotParsed`."""
    value = shift = 0
    while True:
        if position >= len(data) or shift > 63:
            raise NotParsed(f"no number at {position}")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7


def read_sleb(data: bytes, position: int) -> tuple[int, int]:
    """The signed number at `position` and the position after it; raises `NotParsed`."""
    value, after = read_uleb(data, position)
    bits = 7 * (after - position)
    return (value - (1 << bits) if value >> (bits - 1) else value), after


def read_expression(data: bytes, position: int = 0) -> tuple[list[Instruction], int]:
    """The instructions from `position` to the `end` that closes the expression, and the position after it."""
    instructions: list[Instruction] = []
    depth = 1
    while depth:
        instruction, position = read_instruction(data, position)
        instructions.append(instruction)
        if instruction.code in OPENERS:
            depth += 1
        elif instruction.code in CLOSERS:
            depth -= 1
    return instructions, position


def read_instruction(data: bytes, position: int) -> tuple[Instruction, int]:
    """The instruction at `position` and the position after it; raises `NotParsed`."""
    if position >= len(data):
        raise NotParsed("an expression without end")
    code = data[position]
    position += 1
    if code in PREFIXES:
        sub, position = read_uleb(data, position)
        code = prefixed(code, sub)
    kinds = KINDS.get(code)
    if kinds is None:
        raise NotParsed(f"opcode {code:#x}")
    if not kinds:
        return Instruction(code), position
    values: list[Any] = []
    for kind in kinds:
        value: Any
        if kind in _SIGNED_BITS:
            value, position = read_sleb(data, position)
        elif kind in _FIXED_BYTES:
            size = _FIXED_BYTES[kind]
            if position + size > len(data):
                raise NotParsed("an immediate runs out of the expression")
            value = int.from_bytes(data[position : position + size], "little")
            position += size
        elif kind == "memarg":
            align, position = read_uleb(data, position)
            offset, position = read_uleb(data, position)
            value = (align, offset)
        elif kind == "labels":
            count, position = read_uleb(data, position)
            labels: list[int] = []
            for _ in range(min(count, len(data)) + 1):
                label, position = read_uleb(data, position)
                labels.append(label)
            value = tuple(labels)
        elif kind == "types":
            count, position = read_uleb(data, position)
            value, position = _read_types(data, position, count)
        elif kind == "block":
            value, position = _read_block_type(data, position)
        elif kind == "catches":
            value, position = _read_catches(data, position)
        else:
            value, position = read_uleb(data, position)
        values.append(value)
    return Instruction(code, tuple(values)), position


def _read_types(data: bytes, position: int, count: int) -> tuple[tuple[int, ...], int]:
    types: list[int] = []
    try:
        for _ in range(count):
            type_, position = read_type(data, position)
            types.append(type_)
    except ValueError as error:
        raise NotParsed(str(error)) from error
    return tuple(types), position


def _read_block_type(data: bytes, position: int) -> tuple[int, int]:
    number, after = read_sleb(data, position)
    if number >= -0x40 and not (number < 0 and number + 0x80 in (0x63, 0x64)):
        return number, after
    ((code,), after) = _read_types(data, position, 1)
    return block_type(code), after


def _read_catches(data: bytes, position: int) -> tuple[tuple[tuple[int, int, int], ...], int]:
    count, position = read_uleb(data, position)
    clauses: list[tuple[int, int, int]] = []
    for _ in range(count):
        kind, position = read_uleb(data, position)
        if kind > CATCH_ALL_REF:
            raise NotParsed("a clause of another kind")
        tag = 0
        if kind in (CATCH, CATCH_REF):
            tag, position = read_uleb(data, position)
        label, position = read_uleb(data, position)
        clauses.append((kind, tag, label))
    return tuple(clauses), position


def encode_block_type(value: int) -> bytes:
    """A type of a block."""
    code = code_of_block_type(value)
    return sleb(value) if code is None or code < 0x80 else encode_type(code)


def encode(instruction: Instruction) -> bytes:
    """The bytes of one instruction."""
    code, immediates = instruction
    out = bytes([code]) if code < 0x100 else bytes([code >> 32]) + uleb(code & 0xFFFFFFFF)
    for kind, value in zip(KINDS[code], immediates, strict=True):
        if kind in _SIGNED_BITS:
            out += sleb(value)
        elif kind in _FIXED_BYTES:
            out += int(value).to_bytes(_FIXED_BYTES[kind], "little")
        elif kind == "memarg":
            out += uleb(value[0]) + uleb(value[1])
        elif kind == "labels":
            out += uleb(len(value) - 1) + b"".join(map(uleb, value))
        elif kind == "types":
            out += uleb(len(value)) + encode_types(bytes(value))
        elif kind == "block":
            out += encode_block_type(value)
        elif kind == "catches":
            out += uleb(len(value))
            for clause, tag, label in value:
                out += bytes([clause]) + (uleb(tag) if clause in (CATCH, CATCH_REF) else b"") + uleb(label)
        else:
            out += uleb(value)
    return out


class Body(NamedTuple):
    """A function body: runs of locals as (count, code of the type), and the instructions with the last `end`."""

    locals: tuple[tuple[int, int], ...]
    instructions: tuple[Instruction, ...]

    def encode(self) -> bytes:
        """The bytes of the body, without its size."""
        runs = b"".join(uleb(count) + encode_type(type_) for count, type_ in self.locals)
        return uleb(len(self.locals)) + runs + b"".join(map(encode, self.instructions))


@lru_cache(maxsize=8192)  # mutants of the same seed read the same bodies
def read_body(data: bytes) -> Body:
    """Reads a body (without its size); raises `NotParsed`."""
    count, position = read_uleb(data, 0)
    runs: list[tuple[int, int]] = []
    for _ in range(count):
        number, position = read_uleb(data, position)
        ((type_,), position) = _read_types(data, position, 1)
        runs.append((number, type_))
    instructions, position = read_expression(data, position)
    if position != len(data):
        raise NotParsed("bytes after the end of a body")
    return Body(tuple(runs), tuple(instructions))
