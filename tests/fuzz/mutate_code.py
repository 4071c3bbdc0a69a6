"""Mutations of instructions.

A mutation changes a `Mutant` in place and returns whether it found something to change; sizes and counts are repaired
unless they are the point. All randomness comes from the mutant's generator.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from random import Random

from tests.fuzz.instructions import (
    BLOCK,
    BR,
    BR_IF,
    CALL,
    CATCH_ALL_REF,
    CLOSERS,
    DROP,
    ELSE,
    END,
    I32_CONST,
    IF,
    KINDS,
    LOCAL_GET,
    LOCAL_SET,
    LOCAL_TEE,
    LOOP,
    NOP,
    OPENERS,
    RETURN,
    TRY_TABLE,
    UNREACHABLE,
    Body,
    Instruction,
    NotParsed,
    encode,
    encode_block_type,
    read_body,
    sleb,
    uleb,
)
from tests.fuzz.mutant import EDGE_NUMBERS, MORE_TYPES, NUMERIC_TYPES, Mutant, replace
from tests.fuzz.numbers import F32, F64, I32, I64, V128, constant
from tests.fuzz.operations import shuffle
from tests.fuzz.parts import (
    CODE,
)
from tests.fuzz.value_types import block_type, code_of_block_type
from vibewasm.opcodes import CODE as CODE_OF
from vibewasm.opcodes import Row, all_rows


def _same(key: Callable[[Row], object]) -> dict[int, list[int]]:
    groups: dict[object, list[int]] = defaultdict(list)
    rows = all_rows()
    for row in rows:
        groups[key(row)].append(row[0])
    return {row[0]: groups[key(row)] for row in rows}


# Instructions that take the same immediates, and those that also have the same operands and results.
_SAME_IMMEDIATES = _same(lambda row: row[2])
_SAME_SIGNATURE = _same(lambda row: row[2:5] if row[3] is not None and row[4] is not None else row[0])


# Immediates that are not numbers in LEB128, or not only these.
_FIXED = {"f32", "f64", "v128", "lane", "lanes", "catches", "types"}


def change_immediate(mutant: Mutant) -> bool:
    """Another number in one immediate."""
    at, body = mutant.body()
    places = [i for i, instruction in enumerate(body.instructions) if instruction.immediates]
    if not places:
        return False
    place = mutant.rng.choice(places)
    code, immediates = body.instructions[place]
    kinds = KINDS[code]
    which = mutant.rng.randrange(len(kinds))
    changed = list(immediates)
    changed[which] = _other_immediate(mutant.rng, kinds[which], immediates[which])
    return replace(mutant, at, body, place, 1, [Instruction(code, tuple(changed))])


def _other_immediate(rng: Random, kind: str, value: object) -> object:
    if kind == "memarg":
        assert isinstance(value, tuple)
        align, offset = value
        if rng.random() < 0.3:
            return rng.choice([0, 1, 2, 3, 4, align + 1, 31, 32]), offset
        return align, rng.choice([0, 1, offset + 1, offset + 8, 65535, 65536, 2**31, 2**32 - 1, rng.randrange(4096)])
    if kind == "labels":
        assert isinstance(value, tuple)
        labels = list(value)
        if rng.random() < 0.5:
            labels[rng.randrange(len(labels))] = rng.randrange(4)
        elif rng.random() < 0.5:
            labels *= rng.choice([2, 3, 20])
        else:
            labels = labels[: rng.randrange(1, len(labels) + 1)]
        return tuple(labels)
    if kind == "types":
        return tuple(rng.choice(MORE_TYPES) for _ in range(rng.choice([1, 1, 1, 1, 0, 2])))
    if kind == "block":
        typed = block_type(rng.choice(MORE_TYPES))
        return rng.choice([-0x40, -1, -2, -3, -4, -5, -0x10, -0x11, typed, 0, 1, 2, rng.randrange(8)])
    if kind == "heap":
        return rng.choice([-0x10, -0x11, -0x10, -0x11, -0x17, -0xC, -0xD, 0, 1, 2, -1, -0x40])
    if kind == "catches":
        assert isinstance(value, tuple)
        return _other_clauses(rng, value)
    if kind in ("i32", "i64", "f32", "f64", "v128"):
        return constant(rng, {"i32": I32, "i64": I64, "f32": F32, "f64": F64, "v128": V128}[kind]).immediates[0]
    if kind == "lanes":
        return shuffle(rng) if rng.random() < 0.8 else rng.getrandbits(128)
    if kind == "lane":
        return rng.choice([0, 1, 2, 3, 7, 8, 15, 16, 17, 255])
    assert isinstance(value, int)
    near = [max(0, value - 1), value + 1, 0, 1, 2, 3, rng.randrange(8), rng.randrange(8)]
    return rng.choice(near) if rng.random() < 0.9 else rng.choice(EDGE_NUMBERS)


def _other_clauses(rng: Random, clauses: tuple[tuple[int, int, int], ...]) -> tuple[tuple[int, int, int], ...]:
    changed = list(clauses)
    kind = rng.randrange(4) if changed else 0
    at = rng.randrange(len(changed)) if changed else 0
    if kind == 0:
        changed.insert(at, (rng.randrange(CATCH_ALL_REF + 1), rng.randrange(3), rng.randrange(4)))
    elif kind == 1:
        del changed[at]
    elif kind == 2:
        changed *= rng.choice([2, 3, 50])
    else:
        clause, tag, label = changed[at]
        changed[at] = rng.choice(
            [(rng.randrange(CATCH_ALL_REF + 1), tag, label), (clause, tag + 1, label), (clause, 0, label),
             (clause, tag, rng.randrange(6))]
        )  # fmt: skip
    return tuple(changed)


def change_opcode_of_same_type(mutant: Mutant) -> bool:
    """Another instruction with the same operands, results and immediates."""
    return _change_opcode(mutant, _SAME_SIGNATURE)


def change_opcode(mutant: Mutant) -> bool:
    """Another instruction with the same immediates."""
    return _change_opcode(mutant, _SAME_IMMEDIATES)


def _change_opcode(mutant: Mutant, groups: dict[int, list[int]]) -> bool:
    at, body = mutant.body()
    places = [i for i, (code, _) in enumerate(body.instructions[:-1]) if len(groups[code]) > 1]
    if not places:
        return False
    place = mutant.rng.choice(places)
    code, immediates = body.instructions[place]
    other = mutant.rng.choice([c for c in groups[code] if c != code])
    return replace(mutant, at, body, place, 1, [Instruction(other, immediates)])


def delete_instructions(mutant: Mutant) -> bool:
    """One to three instructions less."""
    at, body = mutant.body()
    count = mutant.rng.choice([1, 1, 2, 3])
    place = mutant.rng.randrange(len(body.instructions))
    return replace(mutant, at, body, place, count, [])


def swap_instructions(mutant: Mutant) -> bool:
    """Two instructions change places."""
    at, body = mutant.body()
    out = list(body.instructions)
    a, b = mutant.rng.randrange(len(out)), mutant.rng.randrange(len(out))
    if mutant.rng.random() < 0.7:
        b = min(a + 1, len(out) - 1)
    out[a], out[b] = out[b], out[a]
    return mutant.set_body(at, Body(body.locals, tuple(out)))


def copy_instructions(mutant: Mutant) -> bool:
    """A sequence of instructions of the same module once more, elsewhere."""
    at, body = mutant.body()
    _, source = mutant.body()
    return _insert_from(mutant, at, body, source)


def splice_instructions(mutant: Mutant) -> bool:
    """A sequence of instructions of another module."""
    at, body = mutant.body()
    bodies = mutant.other().items(CODE)
    return bool(bodies) and _insert_from(mutant, at, body, read_body(mutant.rng.choice(bodies)))


def _insert_from(mutant: Mutant, at: int, body: Body, source: Body) -> bool:
    start = mutant.rng.randrange(len(source.instructions))
    stop = start + mutant.rng.choice([1, 1, 2, 3, 5, 10, 40])
    if mutant.rng.random() < 0.7:
        stop = _balanced_stop(source.instructions, start, stop)
    place = mutant.rng.randrange(len(body.instructions))
    replaced = mutant.rng.choice([0, 0, 0, 1, stop - start])
    return replace(mutant, at, body, place, replaced, list(source.instructions[start:stop]))


def _balanced_stop(instructions: tuple[Instruction, ...], start: int, stop: int) -> int:
    """The last place up to `stop` where all blocks opened since `start` are closed again."""
    depth, balanced = 0, start
    for i in range(start, min(stop, len(instructions))):
        code = instructions[i].code
        if code in OPENERS:
            depth += 1
        elif code in CLOSERS:
            depth -= 1
        elif code == ELSE and depth == 0:
            break
        if depth < 0:
            break
        if depth == 0:
            balanced = i + 1
    return balanced


def insert_neutral(mutant: Mutant) -> bool:
    """Something that leaves the stack as it is."""
    at, body = mutant.body()
    rng = mutant.rng
    local_types = _local_types(mutant, at, body)
    number = constant(rng, rng.choice(NUMERIC_TYPES))
    local = rng.randrange(max(1, len(local_types)))
    neutral: list[list[Instruction]] = [
        [Instruction(NOP)],
        [number, Instruction(DROP)],
        [number, number, Instruction(DROP), Instruction(DROP)],
        [Instruction(BLOCK, (-0x40,)), Instruction(END)],
        [Instruction(LOOP, (-0x40,)), Instruction(END)],
        [Instruction(BLOCK, (-0x40,)), Instruction(BR, (0,)), Instruction(END)],
        [Instruction(BLOCK, (-0x40,)), Instruction(UNREACHABLE), Instruction(BR, (0,)), Instruction(END)],
        [Instruction(BLOCK, (-0x40,)), Instruction(BR, (0,)), Instruction(DROP), Instruction(END)],
        [Instruction(I32_CONST, (rng.randrange(2),)), Instruction(IF, (-0x40,)), Instruction(END)],
        [Instruction(I32_CONST, (rng.randrange(2),)), Instruction(IF, (-0x40,)), Instruction(ELSE), Instruction(END)],
        [
            Instruction(BLOCK, (-0x40,)),
            Instruction(I32_CONST, (rng.randrange(2),)),
            Instruction(BR_IF, (0,)),
            Instruction(END),
        ],
        [Instruction(BLOCK, (-1,)), Instruction(I32_CONST, (rng.randrange(9),)), Instruction(END), Instruction(DROP)],
    ]
    if local_types:
        neutral += [
            [Instruction(LOCAL_GET, (local,)), Instruction(DROP)],
            [Instruction(LOCAL_GET, (local,)), Instruction(LOCAL_SET, (local,))],
            [Instruction(LOCAL_GET, (local,)), Instruction(LOCAL_TEE, (local,)), Instruction(DROP)],
        ]
        if local_types[local] in NUMERIC_TYPES:
            neutral.append([constant(rng, local_types[local]), Instruction(LOCAL_SET, (local,))])
    place = rng.randrange(len(body.instructions))
    return replace(mutant, at, body, place, 0, rng.choice(neutral))


def insert_exit(mutant: Mutant) -> bool:
    """Something that leaves, so that what follows is dead."""
    at, body = mutant.body()
    rng = mutant.rng
    exits = [
        [Instruction(UNREACHABLE)],
        [Instruction(RETURN)],
        [Instruction(BR, (rng.randrange(3),))],
        [Instruction(I32_CONST, (0,)), Instruction(CODE_OF["br_table"], ((rng.randrange(3), rng.randrange(3)),))],
    ]
    place = rng.randrange(len(body.instructions))
    return replace(mutant, at, body, place, 0, rng.choice(exits))


def wrap_in_block(mutant: Mutant) -> bool:
    """A sequence of instructions becomes the inside of a block, loop or if."""
    at, body = mutant.body()
    rng = mutant.rng
    start = rng.randrange(len(body.instructions))
    stop = _balanced_stop(body.instructions[:-1], start, start + rng.choice([1, 2, 4, 10, 50]))
    code = rng.choice([BLOCK, BLOCK, LOOP, IF, TRY_TABLE])
    inside = list(body.instructions[start:stop])
    before = [Instruction(I32_CONST, (1,))] if code == IF else []
    type_ = rng.choice([-0x40, -0x40, -0x40, -1, -2, -3, -4, -5])
    opening = Instruction(code, (type_, _other_clauses(rng, ())) if code == TRY_TABLE else (type_,))
    return replace(mutant, at, body, start, stop - start, [*before, opening, *inside, Instruction(END)])


def change_call(mutant: Mutant) -> bool:
    """A call of another function, of the same signature if there is one."""
    at, body = mutant.body()
    index = mutant.index()
    places = [i for i, instruction in enumerate(body.instructions) if instruction.code == CALL]
    if not places:
        return False
    place = mutant.rng.choice(places)
    (func,) = body.instructions[place].immediates
    signature = index.signature(func)
    same = [i for i in range(len(index.func_types)) if i != func and index.signature(i) == signature]
    other = mutant.rng.choice(same) if same else mutant.rng.randrange(len(index.func_types))
    return replace(mutant, at, body, place, 1, [Instruction(CALL, (other,))])


def pad_numbers(mutant: Mutant) -> bool:
    """Longer LEB128 encodings of an instruction's immediates, sometimes too long."""
    at, body = mutant.body()
    rng = mutant.rng
    places = [i for i, x in enumerate(body.instructions) if x.immediates and not _FIXED & {*KINDS[x.code]}]
    if not places:
        return False
    place = rng.choice(places)
    chosen = body.instructions[place]
    code = chosen.code
    start = len(Body(body.locals, body.instructions[:place]).encode())
    opcode = bytes([code]) if code < 0x100 else bytes([code >> 32]) + _padded(rng, uleb(code & 0xFFFFFFFF), 5)
    numbers = b""
    for kind, value in zip(KINDS[code], chosen.immediates, strict=True):
        if kind == "block" and code_of_block_type(value) not in (None, *range(0x80)):
            numbers += encode_block_type(value)
        elif kind in ("i32", "block", "heap"):
            numbers += _padded(rng, sleb(value), 5, value < 0)
        elif kind == "i64":
            numbers += _padded(rng, sleb(value), 10, value < 0)
        elif isinstance(value, int):
            numbers += _padded(rng, uleb(value), 5)
        else:
            values = value if kind == "memarg" else (len(value) - 1, *value)
            numbers += b"".join(_padded(rng, uleb(v), 5) for v in values)
    data = body.encode()
    mutant.parts.items(CODE)[at] = data[:start] + opcode + numbers + data[start + len(encode(chosen)) :]
    return True


def _padded(rng: Random, number: bytes, limit: int, negative: bool = False) -> bytes:
    size = rng.choice([len(number), limit, rng.randrange(1, limit + 1), limit + (rng.random() < 0.1)])
    if size <= len(number):
        return number
    fill = 0x7F if negative else 0
    return number[:-1] + bytes([number[-1] | 0x80]) + bytes([fill | 0x80]) * (size - len(number) - 1) + bytes([fill])


def _local_types(mutant: Mutant, at: int, body: Body) -> bytes:
    index = mutant.index()
    try:
        params = index.signature(index.imported_funcs + at).params
    except IndexError as error:
        raise NotParsed("a function without type") from error
    return params + b"".join(bytes([type_]) * min(count, 100) for count, type_ in body.locals)
