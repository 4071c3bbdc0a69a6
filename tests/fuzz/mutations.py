"""Ways to change a module so that it gets past the headers: sizes and counts are repaired unless they are the point.

A mutation changes a `Mutant` in place and returns whether it found something to change. All randomness comes from
the mutant's generator.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from random import Random

from tests.fuzz.corpus import Corpus, cut, parts_of
from tests.fuzz.instructions import (
    BLOCK,
    BR,
    BR_IF,
    CALL,
    DROP,
    ELSE,
    END,
    F32_CONST,
    F64_CONST,
    I32_CONST,
    IF,
    KINDS,
    LOCAL_GET,
    LOCAL_SET,
    LOCAL_TEE,
    LOOP,
    NOP,
    RETURN,
    UNREACHABLE,
    Body,
    Instruction,
    NotParsed,
    encode,
    read_body,
    sleb,
    uleb,
)
from tests.fuzz.numbers import constant
from tests.fuzz.parts import (
    CODE,
    CUSTOM,
    ELEMENT,
    EXPORT,
    FUNCTION,
    IMPORT,
    MEMORY,
    TABLE,
    TYPE,
    Index,
    Parts,
    Section,
)
from vibewasm.opcodes import TABLE as OPCODES

_EDGE_NUMBERS = [0, 1, 2, 3, 62, 63, 64, 65, 127, 128, 255, 1000, 16383, 16384, 49999, 50000, 65535, 65536, 2**31 - 1,
                 2**31, 2**32 - 1]  # fmt: skip
_VALUE_TYPES = b"\x7f\x7e\x7d\x7c\x70\x6f"
# Codes that open, close or divide blocks; changing them alone unbalances a body.
_BRACKETS = {BLOCK, LOOP, IF, ELSE, END}


def _same(key: Callable[[tuple[int, str, str, str | None, str | None, str]], object]) -> dict[int, list[int]]:
    groups: dict[object, list[int]] = defaultdict(list)
    for row in OPCODES:
        groups[key(row)].append(row[0])
    return {row[0]: groups[key(row)] for row in OPCODES}


# Instructions that take the same immediates, and those that also have the same operands and results.
_SAME_IMMEDIATES = _same(lambda row: row[2])
_SAME_SIGNATURE = _same(lambda row: row[2:5] if row[3] is not None and row[4] is not None else row[0])


class Mutant:
    """A module on its way to being a mutant."""

    def __init__(self, parts: Parts, rng: Random, corpus: Corpus) -> None:
        self.parts = parts
        self.rng = rng
        self.corpus = corpus

    def index(self) -> Index:
        """The index spaces as they are now; raises `NotParsed` when a mutation has broken them."""
        try:
            return Index(self.parts)
        except IndexError as error:
            raise NotParsed("the sections do not fit together any more") from error

    def body(self) -> tuple[int, Body]:
        """A random body and its place in the code section; raises `NotParsed`."""
        bodies = self.parts.items(CODE)
        if not bodies:
            raise NotParsed("no bodies")
        at = self.rng.randrange(len(bodies))
        # Large bodies hold more to change.
        other = self.rng.randrange(len(bodies))
        at = max(at, other, key=lambda i: len(bodies[i]))
        return at, read_body(bodies[at])

    def set_body(self, at: int, body: Body) -> bool:
        self.parts.items(CODE)[at] = body.encode()
        return True

    def other(self) -> Parts:
        """The parts of another seed."""
        return parts_of(self.rng.choice(self.corpus.valid)) if self.corpus.valid else self.parts.copy()

    def section(self) -> Section:
        """A random section, the code section as often as all the others together."""
        sections = self.parts.sections
        code = [s for s in sections if s.id == CODE]
        if not sections:
            raise NotParsed("no sections")
        return self.rng.choice(code if code and self.rng.random() < 0.5 else sections)


# Instructions ---------------------------------------------------------------------------------------------------------


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
    return _replace(mutant, at, body, place, 1, [Instruction(code, tuple(changed))])


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
        return tuple(rng.choice(_VALUE_TYPES) for _ in range(rng.choice([1, 1, 1, 1, 0, 2])))
    if kind == "block":
        return rng.choice([-0x40, -1, -2, -3, -4, -0x10, -0x11, 0, 1, 2, rng.randrange(8)])
    if kind == "heap":
        return rng.choice([-0x10, -0x11, -0x10, -0x11, 0, -1, -0x40])
    if kind in ("i32", "i64", "f32", "f64"):
        return constant(rng, {"i32": 0x7F, "i64": 0x7E, "f32": 0x7D, "f64": 0x7C}[kind]).immediates[0]
    assert isinstance(value, int)
    near = [max(0, value - 1), value + 1, 0, 1, 2, 3, rng.randrange(8), rng.randrange(8)]
    return rng.choice(near) if rng.random() < 0.9 else rng.choice(_EDGE_NUMBERS)


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
    return _replace(mutant, at, body, place, 1, [Instruction(other, immediates)])


def delete_instructions(mutant: Mutant) -> bool:
    """One to three instructions less."""
    at, body = mutant.body()
    count = mutant.rng.choice([1, 1, 2, 3])
    place = mutant.rng.randrange(len(body.instructions))
    return _replace(mutant, at, body, place, count, [])


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
    return _replace(mutant, at, body, place, replaced, list(source.instructions[start:stop]))


def _balanced_stop(instructions: tuple[Instruction, ...], start: int, stop: int) -> int:
    """The last place up to `stop` where all blocks opened since `start` are closed again."""
    depth, balanced = 0, start
    for i in range(start, min(stop, len(instructions))):
        code = instructions[i].code
        if code in (BLOCK, LOOP, IF):
            depth += 1
        elif code == END:
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
    number = constant(rng, rng.choice(_VALUE_TYPES[:4]))
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
        if local_types[local] in _VALUE_TYPES[:4]:
            neutral.append([constant(rng, local_types[local]), Instruction(LOCAL_SET, (local,))])
    place = rng.randrange(len(body.instructions))
    return _replace(mutant, at, body, place, 0, rng.choice(neutral))


def insert_exit(mutant: Mutant) -> bool:
    """Something that leaves, so that what follows is dead."""
    at, body = mutant.body()
    rng = mutant.rng
    exits = [
        [Instruction(UNREACHABLE)],
        [Instruction(RETURN)],
        [Instruction(BR, (rng.randrange(3),))],
        [Instruction(I32_CONST, (0,)), Instruction(0x0E, ((rng.randrange(3), rng.randrange(3)),))],
    ]
    place = rng.randrange(len(body.instructions))
    return _replace(mutant, at, body, place, 0, rng.choice(exits))


def wrap_in_block(mutant: Mutant) -> bool:
    """A sequence of instructions becomes the inside of a block, loop or if."""
    at, body = mutant.body()
    rng = mutant.rng
    start = rng.randrange(len(body.instructions))
    stop = _balanced_stop(body.instructions[:-1], start, start + rng.choice([1, 2, 4, 10, 50]))
    code = rng.choice([BLOCK, BLOCK, LOOP, IF])
    inside = list(body.instructions[start:stop])
    before = [Instruction(I32_CONST, (1,))] if code == IF else []
    opening = Instruction(code, (rng.choice([-0x40, -0x40, -0x40, -1, -2, -3, -4]),))
    return _replace(mutant, at, body, start, stop - start, [*before, opening, *inside, Instruction(END)])


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
    return _replace(mutant, at, body, place, 1, [Instruction(CALL, (other,))])


def pad_numbers(mutant: Mutant) -> bool:
    """Longer LEB128 encodings of an instruction's immediates, sometimes too long."""
    at, body = mutant.body()
    rng = mutant.rng
    places = [i for i, x in enumerate(body.instructions) if x.immediates and x.code not in (F32_CONST, F64_CONST)]
    if not places:
        return False
    place = rng.choice(places)
    chosen = body.instructions[place]
    code = chosen.code
    start = len(Body(body.locals, body.instructions[:place]).encode())
    opcode = bytes([code]) if code < 0x100 else bytes([code >> 12]) + _padded(rng, uleb(code & 0xFFF), 5)
    numbers = b""
    for kind, value in zip(KINDS[code], chosen.immediates, strict=True):
        if kind in ("i32", "block", "heap"):
            numbers += _padded(rng, sleb(value), 5, value < 0)
        elif kind == "i64":
            numbers += _padded(rng, sleb(value), 10, value < 0)
        elif isinstance(value, int):
            numbers += _padded(rng, uleb(value), 5)
        elif kind == "types":
            numbers += _padded(rng, uleb(len(value)), 5) + bytes(value)
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


# Functions ------------------------------------------------------------------------------------------------------------


def swap_bodies(mutant: Mutant) -> bool:
    """Two functions change bodies, of the same signature if there are such."""
    bodies = mutant.parts.items(CODE)
    if len(bodies) < 2:
        return False
    index = mutant.index()
    a = mutant.rng.randrange(len(bodies))
    own = index.signature(index.imported_funcs + a)
    same = [i for i in range(len(bodies)) if i != a and index.signature(index.imported_funcs + i) == own]
    b = mutant.rng.choice(same) if same else mutant.rng.randrange(len(bodies))
    bodies[a], bodies[b] = bodies[b], bodies[a]
    return True


def transplant_function(mutant: Mutant) -> bool:
    """A function of another module, cut to fit this one: its calls go to functions of the same signature."""
    donor = mutant.other()
    donor_index = Index(donor)
    if not donor.items(CODE):
        return False
    func = donor_index.imported_funcs + mutant.rng.randrange(len(donor.items(CODE)))
    index = mutant.index()
    signature = donor_index.signature(func)
    body = read_body(donor.items(CODE)[func - donor_index.imported_funcs])
    out: list[Instruction] = []
    for instruction in body.instructions:
        code, immediates = instruction
        if code == CALL:
            wanted = donor_index.signature(immediates[0])
            fitting = [i for i in range(len(index.func_types)) if index.signature(i) == wanted]
            instruction = Instruction(CALL, (mutant.rng.choice(fitting),)) if fitting else Instruction(UNREACHABLE)
        elif code in (0x23, 0x24):  # global.get, global.set
            wanted_global = donor_index.globals[immediates[0]]
            globals_ = [i for i, g in enumerate(index.globals) if g == wanted_global]
            instruction = Instruction(code, (mutant.rng.choice(globals_),)) if globals_ else Instruction(UNREACHABLE)
        elif code == 0x11 or (code in (BLOCK, LOOP, IF) and immediates[0] >= 0):  # call_indirect and typed blocks
            type_ = _type_number(mutant, donor_index.types[immediates[0]].encode())
            instruction = Instruction(code, (type_, *immediates[1:]))
        out.append(instruction)
    new = Body(body.locals, tuple(out))
    same = [i for i in range(index.imported_funcs, len(index.func_types)) if index.signature(i) == signature]
    if same and mutant.rng.random() < 0.5:
        return mutant.set_body(mutant.rng.choice(same) - index.imported_funcs, new)
    mutant.parts.ensure(FUNCTION).append(uleb(_type_number(mutant, signature.encode())))
    mutant.parts.ensure(CODE).append(new.encode())
    mutant.parts.ensure(EXPORT).append(
        b"\4new" + bytes([mutant.rng.randrange(48, 123), 0]) + uleb(len(index.func_types))
    )
    return True


def _type_number(mutant: Mutant, type_: bytes) -> int:
    types = mutant.parts.ensure(TYPE)
    if type_ not in types:
        types.append(type_)
    return types.index(type_)


def change_locals(mutant: Mutant) -> bool:
    """More, fewer or other locals."""
    at, body = mutant.body()
    rng = mutant.rng
    runs = list(body.locals)
    kind = rng.randrange(5)
    if kind == 0 and runs:
        del runs[rng.randrange(len(runs))]
    elif kind == 1 and runs:
        place = rng.randrange(len(runs))
        runs[place] = (runs[place][0], rng.choice(_VALUE_TYPES + b"\x7b\x40\x00"))
    elif kind == 2:
        runs.append((rng.choice(_EDGE_NUMBERS), rng.choice(_VALUE_TYPES)))
    elif kind == 3:
        runs[:0] = [(rng.randrange(3), rng.choice(_VALUE_TYPES))]
    else:
        runs += [(rng.randrange(4), rng.choice(_VALUE_TYPES)) for _ in range(rng.randrange(1, 30))]
    return mutant.set_body(at, Body(tuple(runs), body.instructions))


def change_function_type(mutant: Mutant) -> bool:
    """Another type for a function."""
    functions = mutant.parts.items(FUNCTION)
    if not functions:
        return False
    functions[mutant.rng.randrange(len(functions))] = uleb(mutant.rng.randrange(len(mutant.parts.items(TYPE)) + 1))
    return True


def truncate_body(mutant: Mutant) -> bool:
    """A body that stops early, its blocks closed again and its results made up by `unreachable`."""
    at, body = mutant.body()
    kept = body.instructions[: mutant.rng.randrange(len(body.instructions))]
    depth = 1
    for code, _ in kept:
        depth += (code in (BLOCK, LOOP, IF)) - (code == END)
    ends = [Instruction(UNREACHABLE), Instruction(END)] * depth
    return mutant.set_body(at, Body(body.locals, (*kept, *ends)))


def cut_again(mutant: Mutant) -> bool:
    """Only some functions are kept, the others return zeros."""
    index = mutant.index()
    defined = range(index.imported_funcs, len(index.func_types))
    if not defined:
        return False
    mutant.parts = cut(mutant.parts, index, [mutant.rng.choice(defined)])
    return True


# Sections -------------------------------------------------------------------------------------------------------------


def remove_section(mutant: Mutant) -> bool:
    mutant.parts.sections.remove(mutant.rng.choice(mutant.parts.sections))
    return True


def duplicate_section(mutant: Mutant) -> bool:
    section = mutant.rng.choice(mutant.parts.sections)
    mutant.parts.sections.insert(mutant.rng.randrange(len(mutant.parts.sections) + 1), section.copy())
    return True


def move_section(mutant: Mutant) -> bool:
    sections = mutant.parts.sections
    section = sections.pop(mutant.rng.randrange(len(sections)))
    sections.insert(mutant.rng.randrange(len(sections) + 1), section)
    return True


def splice_section(mutant: Mutant) -> bool:
    """A section of another module in place of the own one."""
    other = mutant.other().sections
    if not other:
        return False
    section = mutant.rng.choice(other)
    sections = mutant.parts.sections
    for i, own in enumerate(sections):
        if own.id == section.id:
            sections[i] = section
            return True
    mutant.parts.ensure(section.id)[:] = section.items or []
    return True


def change_items(mutant: Mutant) -> bool:
    """An item of a section removed, repeated, moved, or taken from another module; the count fits."""
    rng = mutant.rng
    sections = [s for s in mutant.parts.sections if s.items]
    if not sections:
        return False
    section = rng.choice(sections)
    assert section.items is not None
    at = rng.randrange(len(section.items))
    kind = rng.randrange(4)
    if kind == 0:
        del section.items[at]
    elif kind == 1:
        section.items.insert(rng.randrange(len(section.items) + 1), section.items[at])
    elif kind == 2:
        section.items.insert(rng.randrange(len(section.items)), section.items.pop(at))
    else:
        others = mutant.other().items(section.id)
        if others:
            section.items.insert(at, rng.choice(others))
    return True


def wrong_count(mutant: Mutant) -> bool:
    """A vector that says another number of items than it has."""
    sections = [s for s in mutant.parts.sections if s.items is not None]
    if not sections:
        return False
    section = mutant.rng.choice(sections)
    assert section.items is not None
    count = len(section.items)
    section.raw = uleb(mutant.rng.choice([count + 1, max(0, count - 1), 0, *_EDGE_NUMBERS])) + section.payload()[
        len(uleb(count)) :]  # fmt: skip
    section.items = None
    return True


def change_bytes(mutant: Mutant) -> bool:
    """One to three other bytes in a section; its size fits."""
    section = mutant.section()
    section.raw, section.items = _other_bytes(mutant.rng, section.payload()), None
    return True


def change_bytes_of_body(mutant: Mutant) -> bool:
    """One to three other bytes in a body; all sizes fit."""
    return _change_bytes_of_item(mutant, CODE)


def change_bytes_of_item(mutant: Mutant) -> bool:
    """One to three other bytes in an item that is no body; all sizes fit."""
    ids = [s.id for s in mutant.parts.sections if s.items and s.id != CODE]
    return bool(ids) and _change_bytes_of_item(mutant, mutant.rng.choice(ids))


def _change_bytes_of_item(mutant: Mutant, id_: int) -> bool:
    items = mutant.parts.items(id_)
    if not items:
        return False
    at = mutant.rng.randrange(len(items))
    items[at] = _other_bytes(mutant.rng, items[at])
    return True


def _other_bytes(rng: Random, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        at = rng.randrange(len(out) + 1)
        kind = rng.randrange(7)
        if kind == 0:
            out.insert(at, rng.randrange(256))
        elif not out[at:]:
            continue
        elif kind == 1:
            del out[at]
        elif kind == 2:
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 3:
            out[at] = rng.choice([0x00, 0x01, 0x0B, 0x40, 0x7F, 0x80, 0xFF, 0xFC, 0x70, 0x6F, 0x41, 0x20])
        elif kind == 4:
            out[at] = (out[at] + rng.choice([-1, 1])) & 0xFF
        elif kind == 5:
            stop = at + rng.randrange(1, 5)
            to = rng.randrange(len(out) + 1)
            out[to:to] = out[at:stop]
        else:
            out[at] = rng.randrange(256)
    return bytes(out)


def change_limits(mutant: Mutant) -> bool:
    """Other limits of a table or memory."""
    rng = mutant.rng
    id_ = rng.choice([TABLE, MEMORY])
    items = mutant.parts.items(id_)
    if not items:
        return False
    minimum = rng.choice([0, 1, 2, 3, 10, 100, 65535, 65536, 65537, 2**32 - 1])
    maximum = rng.choice([0, minimum, minimum, 65536, 65537, 2**32 - 1, 2**32])
    limits = rng.choice([b"\0" + uleb(minimum), b"\1" + uleb(minimum) + uleb(maximum), bytes([rng.randrange(8), 1, 2])])
    at = rng.randrange(len(items))
    items[at] = (items[at][:1] if id_ == TABLE else b"") + limits
    return True


def add_custom_section(mutant: Mutant) -> bool:
    """A custom section, perhaps a broken one, somewhere."""
    rng = mutant.rng
    name = rng.choice([b"name", b"producers", b"", b"x" * 200, b"\xff\xfe", "ñ".encode()])
    contents = rng.randbytes(rng.randrange(30))
    raw = rng.choice([uleb(len(name)) + name + contents, uleb(len(name)) + name, uleb(len(name) + 1) + name, b""])
    if name == b"name" and rng.random() < 0.7:
        inside = uleb(rng.randrange(4)) + b"".join(uleb(rng.randrange(9)) + b"\2ab" for _ in range(rng.randrange(4)))
        raw = b"\4name" + bytes([rng.randrange(4)]) + uleb(len(inside)) + inside
    mutant.parts.sections.insert(rng.randrange(len(mutant.parts.sections) + 1), Section(CUSTOM, raw=raw))
    return True


def change_elements(mutant: Mutant) -> bool:
    """An element segment of another form."""
    rng = mutant.rng
    index = mutant.index()
    count = rng.randrange(4)
    funcs = [uleb(rng.randrange(len(index.func_types) + (rng.random() < 0.1) or 1)) for _ in range(count)]
    exprs = [rng.choice([b"\xd2" + f, b"\xd0\x70", b"\xd0\x70", b"\xd0\x6f", b"\x23\0", b"\x41\0"]) for f in funcs]
    offset = b"\x41" + sleb(rng.choice([0, 1, 2, 100, -1])) + b"\x0b"
    flags = rng.randrange(8)
    head = bytes([flags])
    if not flags & 1:
        head += (uleb(rng.randrange(2)) if flags & 2 else b"") + offset
    if flags & 3:
        head += bytes([rng.choice([0x70, 0x70, 0x70, 0x6F])]) if flags & 4 else b"\0"
    items = [expr + b"\x0b" for expr in exprs] if flags & 4 else funcs
    mutant.parts.ensure(ELEMENT).append(head + uleb(count) + b"".join(items))
    return True


def change_import(mutant: Mutant) -> bool:
    """One import more, in front of all others, which moves an index space; or one less."""
    rng = mutant.rng
    items = mutant.parts.ensure(IMPORT)
    if items and rng.random() < 0.3:
        del items[rng.randrange(len(items))]
    elif rng.random() < 0.5:
        items.insert(0, b"\1a\1b" + rng.choice([b"\0\0", b"\1\x70\0\1", b"\2\0\1", b"\3\x7f\0", b"\3\x7e\1"]))
    else:
        items.append(b"\1a\1b" + rng.choice([b"\3\x7d\0", b"\3\x70\1", b"\1\x6f\1\1\2", b"\2\1\1\2", b"\4\0\0"]))
    return True


# The whole module -----------------------------------------------------------------------------------------------------


def truncate_module(data: bytes, rng: Random) -> bytes:
    """The first bytes of the module."""
    return data[: rng.randrange(len(data) + 1)]


def change_any_byte(data: bytes, rng: Random) -> bytes:
    """Other bytes anywhere, headers included; nothing is repaired."""
    return _other_bytes(rng, data)


def append_bytes(data: bytes, rng: Random) -> bytes:
    """Bytes behind the end."""
    return data + rng.randbytes(rng.randrange(1, 12))


def _replace(mutant: Mutant, at: int, body: Body, place: int, count: int, new: list[Instruction]) -> bool:
    out = (*body.instructions[:place], *new, *body.instructions[place + count :])
    return mutant.set_body(at, Body(body.locals, out))


def _local_types(mutant: Mutant, at: int, body: Body) -> bytes:
    index = mutant.index()
    try:
        params = index.signature(index.imported_funcs + at).params
    except IndexError as error:
        raise NotParsed("a function without type") from error
    return params + b"".join(bytes([type_]) * min(count, 100) for count, type_ in body.locals)


# Mutations by weight. The names are those of the report.
WEIGHTS: dict[Callable[[Mutant], bool], int] = {
    change_immediate: 8,
    change_opcode_of_same_type: 8,
    change_opcode: 4,
    delete_instructions: 3,
    swap_instructions: 3,
    copy_instructions: 5,
    splice_instructions: 5,
    insert_neutral: 6,
    insert_exit: 6,
    wrap_in_block: 5,
    change_call: 2,
    pad_numbers: 3,
    swap_bodies: 2,
    transplant_function: 7,
    change_locals: 4,
    change_function_type: 2,
    truncate_body: 5,
    cut_again: 1,
    remove_section: 1,
    duplicate_section: 1,
    move_section: 1,
    splice_section: 2,
    change_items: 4,
    wrong_count: 1,
    change_bytes: 4,
    change_bytes_of_body: 6,
    change_bytes_of_item: 4,
    change_limits: 1,
    add_custom_section: 1,
    change_elements: 2,
    change_import: 1,
}
WHOLE: list[Callable[[bytes, Random], bytes]] = [truncate_module, change_any_byte, append_bytes]
