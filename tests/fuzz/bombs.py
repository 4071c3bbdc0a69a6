"""Small modules that try to take compile time or code memory out of proportion ("JIT bombs"), by size.

Each function here takes a size and returns a valid module that grows about linearly with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.fuzz.instructions import (
    BLOCK,
    BR,
    BR_IF,
    CALL,
    DROP,
    ELSE,
    END,
    I32_CONST,
    IF,
    LOCAL_GET,
    LOCAL_SET,
    LOCAL_TEE,
    LOOP,
    RETURN,
    SELECT,
    UNREACHABLE,
    uleb,
)
from tests.fuzz.parts import (
    CODE,
    CUSTOM,
    DATA,
    ELEMENT,
    EXPORT,
    FUNCTION,
    GLOBAL,
    IMPORT,
    MEMORY,
    TABLE,
    TYPE,
    Parts,
    Section,
    Signature,
)
from vibewasm.opcodes import CODE as OPCODE

I32, I64, F32, F64 = 0x7F, 0x7E, 0x7D, 0x7C
ADD, LOAD = OPCODE["i32.add"], OPCODE["i32.load"]
VOID = b"\x40"
# The limits that engines agree on (JavaScript API specification, "Implementation-defined Limits").
MOST_LOCALS = 50_000
MOST_VALUES = 1000
NOTHING = Signature(b"", b"")

Bomb = Callable[[int], bytes]


def op(*codes: int) -> bytes:
    """Bytes of instructions whose immediates are single bytes."""
    return bytes(codes)


ZERO = op(I32_CONST, 0)


def module(
    bodies: Sequence[bytes],
    signature: Signature = NOTHING,
    types: Sequence[Signature] = (),
    **more: list[bytes],
) -> bytes:
    """A module of functions that all have `signature`, which is type 0; `types` follow it. Bodies start with locals."""
    sections = [
        Section(TYPE, [signature.encode(), *(type_.encode() for type_ in types)]),
        Section(FUNCTION, [b"\0"] * len(bodies)),
        Section(TABLE, more.get("tables", [])),
        Section(MEMORY, more.get("memories", [])),
        Section(ELEMENT, more.get("elements", [])),
        Section(CODE, [body + op(END) for body in bodies]),
    ]
    return Parts([section for section in sections if section.items]).encode()


def locals_(count: int, type_: int = I32) -> bytes:
    """The locals of a body: one run."""
    return b"\1" + uleb(count) + bytes([type_])


def many_locals_in_many_functions(size: int) -> bytes:
    return module([locals_(MOST_LOCALS) + op(LOCAL_GET) + uleb(MOST_LOCALS - 1) + op(DROP)] * size)


def many_runs_of_locals(size: int) -> bytes:
    runs = uleb(size) + bytes([1, I32, 1, F64]) * (size // 2)
    return module([runs])


def many_locals_in_turn(size: int) -> bytes:
    gets = b"".join(op(LOCAL_GET) + uleb(i) + op(LOCAL_SET) + uleb(size - 1 - i) for i in range(size))
    return module([locals_(size) + gets])


def nested(code: int, *, before: bytes = b"", inside: bytes = b"") -> Bomb:
    """Blocks in blocks, each opened with `before` and its code."""

    def bomb(size: int) -> bytes:
        return module([b"\0" + (before + bytes([code]) + VOID) * size + inside + op(END) * size])

    return bomb


def nested_with_branches_out(size: int) -> bytes:
    """Each of the nested blocks has a conditional branch to the outermost."""
    opened = b"".join(op(BLOCK) + VOID + ZERO + op(BR_IF) + uleb(depth) for depth in range(size))
    return module([b"\0" + opened + op(END) * size])


def nested_dead_blocks(size: int) -> bytes:
    return module([b"\0" + op(UNREACHABLE) + (op(BLOCK) + VOID) * size + op(END) * size])


def nested_ifs_in_else(size: int) -> bytes:
    return module([b"\0" + (ZERO + op(IF) + VOID + op(ELSE)) * size + op(END) * size])


def nested_blocks_with_values(count: int) -> Bomb:
    """Nested blocks through which `count` values are handed down as parameters and up as results."""
    signature = Signature(bytes([I32]) * count, bytes([I32]) * count)

    def bomb(size: int) -> bytes:
        body = b"\0" + ZERO * count + op(BLOCK, 1) * size + op(END) * size + op(DROP) * count
        return module([body], types=[signature])

    return bomb


def blocks_with_values(code: int, count: int, inside: bytes = b"") -> Bomb:
    """Blocks one after another that take `count` values and leave as many."""
    signature = Signature(bytes([I32]) * count, bytes([I32]) * count)

    def bomb(size: int) -> bytes:
        before = ZERO if code == IF else b""
        body = b"\0" + ZERO * count + (before + op(code, 1) + inside + op(END)) * size + op(DROP) * count
        return module([body], types=[signature])

    return bomb


def branches_with_values(branch: bytes, count: int, code: int = BLOCK) -> Bomb:
    """Many conditional branches of `count` values to the same label."""
    values = bytes([I32]) * count

    def bomb(size: int) -> bytes:
        params, results = (values, values) if code == LOOP else (b"", values)
        outside, inside = (ZERO * count, b"") if code == LOOP else (b"", ZERO * count)
        body = b"\0" + outside + op(code, 1) + inside + branch * size + op(END) + op(DROP) * count
        return module([body], types=[Signature(params, results)])

    return bomb


def returns_with_values(size: int) -> bytes:
    """Many conditional branches that return 1000 values."""
    signature = Signature(b"", bytes([I32]) * MOST_VALUES)
    body = b"\0" + ZERO * MOST_VALUES + (ZERO + op(BR_IF, 0)) * size
    return module([body], signature)


def dead_returns_with_values(size: int) -> bytes:
    """Many blocks, each of which returns 1000 values of the polymorphic stack."""
    signature = Signature(b"", bytes([I32]) * MOST_VALUES)
    body = b"\0" + (op(BLOCK) + VOID + op(UNREACHABLE, RETURN, END)) * size + op(UNREACHABLE)
    return module([body], signature)


def table_of_branches(size: int) -> bytes:
    """One br_table with many entries."""
    return module([b"\0" + op(BLOCK) + VOID + ZERO + b"\x0e" + uleb(size) + b"\0" * (size + 1) + op(END)])


def table_of_branches_with_values(size: int) -> bytes:
    """One br_table with many entries for labels that take 1000 values."""
    signature = Signature(b"", bytes([I32]) * MOST_VALUES)
    table = ZERO + b"\x0e" + uleb(size) + b"\0\1" * (size // 2) + b"\0"
    body = b"\0" + op(BLOCK, 0, BLOCK, 0) + ZERO * MOST_VALUES + table + op(END, END)
    return module([body], signature)


def table_of_different_branches(size: int) -> bytes:
    """One br_table whose entries are all labels of a deep nest."""
    table = ZERO + b"\x0e" + uleb(size) + b"".join(map(uleb, range(size))) + b"\0"
    return module([b"\0" + (op(BLOCK) + VOID) * size + table + op(END) * size])


def many_tables_of_branches(size: int) -> bytes:
    """Many br_tables in a deep nest, each to all its labels: entries grow linearly with the module."""
    table = op(BLOCK) + VOID + ZERO + b"\x0e\x20" + bytes(range(33)) + op(END)
    return module([b"\0" + (op(BLOCK) + VOID) * 40 + table * size + op(END) * 40])


def operands_that_are_locals(size: int) -> bytes:
    """Many operands that are a local not yet copied, which is then set again and again."""
    body = locals_(4) + op(LOCAL_GET, 0) * size + (ZERO + op(LOCAL_SET, 0, LOCAL_GET, 0)) * size + op(DROP) * 2 * size
    return module([body])


def operands_that_are_tee_d(size: int) -> bytes:
    body = locals_(4) + (op(LOCAL_GET, 0, LOCAL_GET, 1, LOCAL_TEE, 0)) * size + op(DROP) * 2 * size
    return module([body])


def operands_of_many_locals(size: int) -> bytes:
    """Each operand is another local; then each local is set."""
    gets = b"".join(op(LOCAL_GET) + uleb(i) for i in range(size))
    sets = b"".join(ZERO + op(LOCAL_SET) + uleb(i) for i in range(size))
    return module([locals_(size) + gets + sets + op(DROP) * size])


def operands_across(what: bytes, more: Sequence[Signature] = ()) -> Bomb:
    """Many live operands, and many times something across which they must be kept."""

    def bomb(size: int) -> bytes:
        body = locals_(4) + op(LOCAL_GET, 0) * size + what * size + op(DROP) * size
        return module([body], types=more, memories=[b"\0\1"])

    return bomb


def operands_and_then(what: bytes, per_operand: bytes) -> Bomb:
    """Many operands that are made by `per_operand`, then taken up by `what` one by one."""

    def bomb(size: int) -> bytes:
        return module([locals_(4) + per_operand * (size + 1) + what * size + op(DROP)], memories=[b"\0\1"])

    return bomb


def nested_selects(size: int) -> bytes:
    return module([locals_(4) + op(LOCAL_GET, 0) * (2 * size + 1) + op(SELECT) * size + op(DROP)])


def chain(*codes: int, first: bytes = ZERO) -> Bomb:
    """A long chain of operations on one value."""

    def bomb(size: int) -> bytes:
        return module([b"\0" + first + bytes(codes) * size + op(DROP)], memories=[b"\0\1"])

    return bomb


def calls_with_many_arguments(size: int) -> bytes:
    """Calls whose 1000 arguments are the results of the call before."""
    values = bytes([I32]) * MOST_VALUES
    body = b"\0" + b"".join(op(LOCAL_GET) + uleb(i) for i in range(MOST_VALUES)) + op(CALL, 0) * size
    return module([body], Signature(values, values))


def empty_functions(size: int) -> bytes:
    return module([b"\0"] * size)


def unreachable_code(size: int) -> bytes:
    return module([b"\0" + op(UNREACHABLE) + op(ADD, OPCODE["select"], OPCODE["i32.eqz"]) * size + op(DROP)])


def unreachable_branches(size: int) -> bytes:
    """Dead branches with 1000 values, none of which is on the stack."""
    results = Signature(b"", bytes([I32]) * MOST_VALUES)
    return module(
        [b"\0" + op(BLOCK, 1, UNREACHABLE) + op(BR, 0) * size + op(END) + op(DROP) * MOST_VALUES], types=[results]
    )


def unreachable_conditions(size: int) -> bytes:
    """Dead conditional branches with 1000 values: each puts them on the stack, once there it finds them there."""
    results = Signature(b"", bytes([I32]) * MOST_VALUES)
    body = b"\0" + op(BLOCK, 1, UNREACHABLE) + (ZERO + op(BR_IF, 0)) * size + op(END) + op(DROP) * MOST_VALUES
    return module([body], types=[results])


def sections_of(id_: int, item: bytes) -> Bomb:
    """One section with many items, beside what the items need."""

    def bomb(size: int) -> bytes:
        parts = Parts(
            [
                Section(TYPE, [b"\x60\0\0"]),
                Section(IMPORT, [b"\1a\1b\0\0"]),
                Section(TABLE, [b"\x70\0\x10"]),
                Section(MEMORY, [b"\0\1"]),
            ]
        )
        items = [item.replace(b"####", b"%06d" % i) for i in range(size)]
        parts.ensure(id_).extend(items)
        return parts.encode()

    return bomb


def custom_sections(size: int) -> bytes:
    return Parts([Section(CUSTOM, raw=b"\4name\1\3\1\0\1f")] * size).encode()


def function_names(size: int) -> bytes:
    names = uleb(size) + b"".join(uleb(i) + b"\3abc" for i in range(size))
    return empty_functions(size) + Parts([Section(CUSTOM, raw=b"\4name\1" + uleb(len(names)) + names)]).encode()[8:]


# Bombs with the size at which they are tried, and four times which. Both must be well-formed at 4 times the size.
BOMBS: dict[str, tuple[Bomb, int]] = {
    "50,000 locals in each function": (many_locals_in_many_functions, 300),
    "many runs of locals": (many_runs_of_locals, 12_000),
    "many locals in turn": (many_locals_in_turn, 5_000),
    "nested blocks": (nested(BLOCK), 8_000),
    "nested loops": (nested(LOOP), 8_000),
    "nested ifs": (nested(IF, before=ZERO), 8_000),
    "nested blocks with a branch out of each": (nested_with_branches_out, 4_000),
    "nested dead blocks": (nested_dead_blocks, 10_000),
    "ifs nested in else": (nested_ifs_in_else, 4_000),
    "nested blocks of 10 values": (nested_blocks_with_values(10), 2_000),
    "nested blocks of 1000 values": (nested_blocks_with_values(MOST_VALUES), 1_000),
    "blocks of 1000 values": (blocks_with_values(BLOCK, MOST_VALUES), 1_000),
    "loops of 1000 values": (blocks_with_values(LOOP, MOST_VALUES), 1_000),
    "ifs of 1000 values": (blocks_with_values(IF, MOST_VALUES), 1_000),
    "ifs with else of 1000 values": (blocks_with_values(IF, MOST_VALUES, op(ELSE)), 1_000),
    "br_if of 1000 values": (branches_with_values(ZERO + op(BR_IF, 0), MOST_VALUES), 1_000),
    "br_if of 1000 values to a loop": (branches_with_values(ZERO + op(BR_IF, 0), MOST_VALUES, LOOP), 1_000),
    "br_if that returns 1000 values": (returns_with_values, 1_000),
    "dead returns of 1000 values": (dead_returns_with_values, 1_000),
    "a br_table of many entries": (table_of_branches, 16_000),
    "a br_table of many entries with 1000 values": (table_of_branches_with_values, 16_000),
    "a br_table to all labels of a nest": (table_of_different_branches, 4_000),
    "many br_tables": (many_tables_of_branches, 300),
    "operands that are a local": (operands_that_are_locals, 4_000),
    "operands and local.tee": (operands_that_are_tee_d, 4_000),
    "operands of many locals": (operands_of_many_locals, 4_000),
    "operands across blocks": (operands_across(op(BLOCK) + VOID + op(END)), 4_000),
    "operands across branches": (operands_across(op(BLOCK) + VOID + ZERO + op(BR_IF, 0, END)), 4_000),
    "operands across loops": (operands_across(op(LOOP) + VOID + op(END)), 4_000),
    "operands across calls": (operands_across(op(CALL, 0)), 4_000),
    "operands across divisions and shifts": (
        operands_across(op(LOCAL_GET, 1, LOCAL_GET, 2, OPCODE["i32.div_s"], LOCAL_SET, 3)),
        4_000,
    ),
    "operands across memory.grow": (operands_across(ZERO + op(OPCODE["memory.grow"], 0, DROP)), 3_000),
    "operands that are added": (operands_and_then(op(ADD), op(LOCAL_GET, 0)), 8_000),
    "operands that are loaded and added": (operands_and_then(op(ADD), op(LOCAL_GET, 0, LOAD, 2, 0)), 5_000),
    "operands that are compared": (
        operands_and_then(op(OPCODE["i32.eq"]), op(LOCAL_GET, 0, LOCAL_GET, 1, OPCODE["i32.lt_s"])),
        5_000,
    ),
    "constants that are added": (operands_and_then(op(ADD), ZERO), 8_000),
    "nested selects": (nested_selects, 5_000),
    "a chain of additions": (chain(I32_CONST, 1, ADD), 10_000),
    "a chain of loads": (chain(LOAD, 2, 0), 8_000),
    "a chain of memory.grow": (chain(OPCODE["memory.grow"], 0), 4_000),
    "calls with 1000 arguments and results": (calls_with_many_arguments, 200),
    "empty functions": (empty_functions, 2_000),
    "unreachable code": (unreachable_code, 10_000),
    "unreachable branches of 1000 values": (unreachable_branches, 2_000),
    "unreachable br_if of 1000 values": (unreachable_conditions, 1_000),
    "types": (sections_of(TYPE, b"\x60\1\x7f\1\x7f"), 20_000),
    "imports": (sections_of(IMPORT, b"\1a\6####\0\0"), 10_000),
    "exports": (sections_of(EXPORT, b"\6####\0\0"), 10_000),
    "globals": (sections_of(GLOBAL, b"\x7f\1\x41\0\x0b"), 20_000),
    "element segments": (sections_of(ELEMENT, b"\0\x41\0\x0b\1\0"), 10_000),
    "data segments": (sections_of(DATA, b"\0\x41\0\x0b\1\0"), 10_000),
    "custom sections": (custom_sections, 10_000),
    "function names": (function_names, 2_000),
}
