"""Mutations of whole functions: see `tests.fuzz.mutate_code` for what a mutation is."""

from __future__ import annotations

from tests.fuzz.corpus import cut
from tests.fuzz.instructions import (
    CALL,
    CLOSERS,
    END,
    OPENERS,
    UNREACHABLE,
    Body,
    Instruction,
    read_body,
    uleb,
)
from tests.fuzz.mutant import EDGE_NUMBERS, MORE_TYPES, VALUE_TYPES, Mutant
from tests.fuzz.operations import CALL_INDIRECT, CALL_REF, RETURN_CALL, RETURN_CALL_INDIRECT, RETURN_CALL_REF
from tests.fuzz.parts import (
    CODE,
    EXPORT,
    FUNCTION,
    TYPE,
    Index,
)
from vibewasm.opcodes import CODE as OPCODE

# What names a type by its number.
_TYPED = (CALL_INDIRECT, CALL_REF, RETURN_CALL_INDIRECT, RETURN_CALL_REF)


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
        if code in (CALL, RETURN_CALL):
            wanted = donor_index.signature(immediates[0])
            fitting = [i for i in range(len(index.func_types)) if index.signature(i) == wanted]
            instruction = Instruction(code, (mutant.rng.choice(fitting),)) if fitting else Instruction(UNREACHABLE)
        elif code in (OPCODE["global.get"], OPCODE["global.set"]):
            wanted_global = donor_index.globals[immediates[0]]
            globals_ = [i for i, g in enumerate(index.globals) if g == wanted_global]
            instruction = Instruction(code, (mutant.rng.choice(globals_),)) if globals_ else Instruction(UNREACHABLE)
        elif code in _TYPED or (code in OPENERS and immediates[0] >= 0):
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
        runs[place] = (runs[place][0], rng.choice(MORE_TYPES + b"\x7b\x40\x00"))
    elif kind == 2:
        runs.append((rng.choice(EDGE_NUMBERS), rng.choice(VALUE_TYPES)))
    elif kind == 3:
        runs[:0] = [(rng.randrange(3), rng.choice(VALUE_TYPES))]
    else:
        runs += [(rng.randrange(4), rng.choice(VALUE_TYPES)) for _ in range(rng.randrange(1, 30))]
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
        depth += (code in OPENERS) - (code in CLOSERS)
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
