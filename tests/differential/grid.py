"""Modules that put one instruction through all places of its operands.

Random modules meet most instructions with most places of operands, but the last few pairs of them come late. Here each
module has a function for each combination of places of one instruction's operands, called with values at the edges.
"""

from __future__ import annotations

import itertools
from random import Random
from typing import NamedTuple

from tests.fuzz.bodies import BodyWriter
from tests.fuzz.generate import assemble
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
    V128_CONST,
    Body,
    Instruction,
)
from tests.fuzz.numbers import EXTERNREF, FUNCREF, I32, NUMBERS, V128, constant
from tests.fuzz.operations import (
    BR_TABLE,
    CALL_INDIRECT,
    GLOBAL_GET,
    GLOBAL_SET,
    I32_EQZ,
    MEMORY_COPY,
    MEMORY_FILL,
    MEMORY_GROW,
    MEMORY_INIT,
    NUMERIC,
    OPERATIONS,
    REF_IS_NULL,
    SHUFFLES,
    TABLE_COPY,
    TABLE_FILL,
    TABLE_GET,
    TABLE_GROW,
    TABLE_INIT,
    TABLE_SET,
    TYPED_SELECT,
    VECTOR_OPERATIONS,
    Operation,
    Repertoire,
)
from tests.fuzz.parts import Parts, Signature
from tests.fuzz.relaxed import SETTLE
from tests.fuzz.surroundings import MemoryPlan, Surroundings, TablePlan
from vibewasm.opcodes import CODE as OPCODE

CONSTANT, PINNED, FRAME, REGISTER, SLOT, FLAGS = range(6)
_SHUFFLE = OPCODE["i8x16.shuffle"]
#: Of so many modules with vectors, one is about shuffles, blocks and variables instead of the next instruction.
_BETWEEN = 5
_PLACES = (CONSTANT, PINNED, FRAME, REGISTER, SLOT)
#: Combinations of places in one module, at most.
_FUNCTIONS = 30
_ALL = NUMBERS + bytes([FUNCREF, EXTERNREF])
_ALL_WITH_VECTORS = bytes([*_ALL, V128])


class Item(NamedTuple):
    """An instruction with what has to be around it.

    `before` comes ahead of the operands, of which the last may be left in the flags if `takes_flags`.
    """

    name: str
    operands: bytes
    results: bytes
    code: tuple[Instruction, ...]
    before: tuple[Instruction, ...] = ()
    takes_flags: bool = False


def _i(code: int, *immediates: object) -> Instruction:
    return Instruction(code, immediates)


_END = _i(END)


class _Grid:
    """A module for the items of one kind."""

    def __init__(self, rng: Random, repertoire: Repertoire = NUMERIC) -> None:
        self.rng = rng
        self.repertoire = repertoire
        self.types = _ALL_WITH_VECTORS if repertoire.vectors else _ALL
        #: Functions that only others may call.
        self.inner: set[int] = set()
        module = self.module = Surroundings(rng, small=True, repertoire=repertoire)
        self.signature = module.signature()
        type_ = module.type_number(self.signature)
        # The last imported function, and a function that passes everything on to it.
        module.imported.append(type_)
        module.refuel, module.idle, self.host = len(module.imported), len(module.imported) + 1, len(module.imported) - 1
        module.defined = [0, 0, type_]
        module.funcs = module.imported + module.defined
        self.callee = module.idle + 1
        self.restrict()
        module.memory = MemoryPlan(False, 1, 3)
        module.tables = [TablePlan(FUNCREF, False, 6, 12), TablePlan(EXTERNREF, False, 6, 12)]
        module.globals = [*module.imported_globals, (I32, True), *[(t, True) for t in self.types]]
        self.first_global = module.fuel + 1
        module.elements, module.datas = [FUNCREF, EXTERNREF], [20]

    def restrict(self) -> None:
        """Says which functions may be called, and be in tables."""
        module = self.module
        module.callable = [index for index in range(len(module.funcs)) if index not in (module.refuel, *self.inner)]
        # A function that calls what is in a table must not find itself there.
        module.referable = [index for index in module.callable if index <= self.callee]


def _block_type(grid: _Grid, params: bytes, results: bytes) -> int:
    return grid.module.type_number(Signature(params, results))


def _references(grid: _Grid) -> list[Item]:
    """Instructions on references, tables and memories."""
    items: list[Item] = []
    for table, type_ in enumerate((FUNCREF, EXTERNREF)):
        ref = bytes([type_])
        items += [
            Item("ref.is_null", ref, b"\x7f", (_i(REF_IS_NULL),)),
            Item("table.get", b"\x7f", ref, (_i(TABLE_GET, table),)),
            Item("table.set", b"\x7f" + ref, b"", (_i(TABLE_SET, table),)),
            Item("table.grow", ref + b"\x7f", b"\x7f", (_i(TABLE_GROW, table),)),
            Item("table.fill", b"\x7f" + ref + b"\x7f", b"", (_i(TABLE_FILL, table),)),
            Item("table.copy", b"\x7f\x7f\x7f", b"", (_i(TABLE_COPY, table, table),)),
            Item("table.init", b"\x7f\x7f\x7f", b"", (_i(TABLE_INIT, table, table),)),
        ]
    return [
        *items,
        Item("memory.grow", b"\x7f", b"\x7f", (_i(MEMORY_GROW, 0),)),
        Item("memory.fill", b"\x7f\x7f\x7f", b"", (_i(MEMORY_FILL, 0),)),
        Item("memory.copy", b"\x7f\x7f\x7f", b"", (_i(MEMORY_COPY, 0, 0),)),
        Item("memory.init", b"\x7f\x7f\x7f", b"", (_i(MEMORY_INIT, 0, 0),)),
    ]


def _variables(grid: _Grid, type_: int) -> list[Item]:
    """What takes a value of any type."""
    one = bytes([type_])
    two = bytes([type_, type_])
    rng = grid.rng
    # A local after the parameters: whether it is pinned depends on the reads in front.
    reads = rng.choice([0, 3])
    set_ = (_i(LOCAL_SET, 999), _i(LOCAL_GET, 999))
    hot = (_i(LOCAL_GET, 999), _i(DROP)) * reads
    comparison = rng.choice(grid.repertoire.comparisons)
    compare = Instruction(comparison.code, comparison.drawn(rng))
    own = grid.first_global + grid.types.index(type_)
    items = [
        Item("local.set", one, one, set_, hot),
        Item("local.tee", one, two, (_i(LOCAL_TEE, 999), _i(LOCAL_GET, 999)), hot),
        Item("global.set", one, b"", (_i(GLOBAL_SET, own),)),
        Item("drop", one, b"", (_i(DROP),)),
        Item("select t", two + b"\x7f", one, (_i(TYPED_SELECT, (type_,)),)),
        Item("return", one, one, (_i(RETURN),)),
        Item("br", one, one, (_i(BR, 0), _END), (_i(BLOCK, type_ - 0x80),)),
        Item("br far", one, one, (_i(BR, 1), _END, _END), (_i(BLOCK, type_ - 0x80), _i(BLOCK, type_ - 0x80))),
        Item("br_if", one + b"\x7f", one, (_i(BR_IF, 0), _END), (_i(BLOCK, type_ - 0x80),), True),
        # The value goes to the result register, where another operand may be.
        Item("br_if over a temporary", one + b"\x7f", one,
             (_i(BR_IF, 0), _i(LOCAL_SET, 999), _i(GLOBAL_SET, own), _i(LOCAL_GET, 999), _END),
             (_i(BLOCK, type_ - 0x80), _i(GLOBAL_GET, own)), True),
        Item("br_table", one + b"\x7f", one, (_i(BR_TABLE, (0, 1, 0)), _END, _END),
             (_i(BLOCK, type_ - 0x80), _i(BLOCK, type_ - 0x80))),
        Item("end", one, one, (_END,), (_i(BLOCK, type_ - 0x80),)),
        Item("end of loop", one, one, (_END,), (_i(LOOP, type_ - 0x80),)),
        Item("end of if", one, one, (_END,),
             (_i(LOCAL_GET, 998), _i(IF, type_ - 0x80), constant_of(rng, type_), _i(ELSE))),
        Item("else", one, one, (_i(ELSE), constant_of(rng, type_), _END),
             (_i(I32_CONST, 1), _i(IF, type_ - 0x80))),
        Item("block", one, one, (_i(BLOCK, _block_type(grid, one, one)), _END)),
        Item("loop", one, one, (_i(LOOP, _block_type(grid, one, one)), _END)),
        Item("if", one + b"\x7f", one, (_i(IF, _block_type(grid, one, one)), _END), (), True),
    ]  # fmt: skip
    if type_ not in (FUNCREF, EXTERNREF):
        items.append(Item("select", two + b"\x7f", one, (_i(SELECT),), (), True))
        # The comparison's own operands come after the two that it chooses from.
        compared = two + comparison.operands
        items.append(Item("select by comparison", compared, one, (compare, _i(SELECT))))
        items.append(
            Item("br_if by comparison", one + comparison.operands, one,
                 (compare, _i(BR_IF, 0), _END), (_i(BLOCK, type_ - 0x80),))
        )  # fmt: skip
    return items


def _several(grid: _Grid) -> list[Item]:
    """What carries several values of mixed types."""
    rng = grid.rng
    params, results = grid.signature
    types = bytes(
        [rng.choice(grid.module.values if grid.repertoire.vectors else _ALL) for _ in range(rng.choice([2, 3, 5, 11]))]
    )
    block = _block_type(grid, b"", types)
    index = (_i(I32_CONST, rng.randrange(6)),)
    take = _block_type(grid, types, types)
    return [
        Item("call", params, results, (_i(CALL, grid.callee),)),
        Item("call of the host", params, results, (_i(CALL, grid.host),)),
        Item("call_indirect", params + b"\x7f", results, (_i(CALL_INDIRECT, grid.module.funcs[grid.host], 0),)),
        Item("call_indirect by a constant", params, results,
             (*index, _i(CALL_INDIRECT, grid.module.funcs[grid.host], 0))),
        Item("return", types, types, (_i(RETURN),)),
        Item("br", types, types, (_i(BR, 0), _END), (_i(BLOCK, block),)),
        Item("br past more", types, types, (_i(BR, 0), _END),
             (_i(BLOCK, block), constant_of(rng, I32), constant_of(rng, I32))),
        Item("br_if", types + b"\x7f", types, (_i(BR_IF, 0), _END), (_i(BLOCK, block),), True),
        Item("br_if past more", types + b"\x7f", types,
             (_i(BR_IF, 0), _i(BR, 0), _END), (_i(BLOCK, block), constant_of(rng, I32)), True),
        Item("br_table", types + b"\x7f", types, (_i(BR_TABLE, (1, 0, 1)), _END, _END),
             (_i(BLOCK, block), _i(BLOCK, block))),
        Item("end", types, types, (_END,), (_i(BLOCK, block),)),
        Item("block", types, types, (_i(BLOCK, take), _END)),
        Item("loop", types, types, (_i(LOOP, take), _END)),
        Item("if", types + b"\x7f", types, (_i(IF, take), _END), (), True),
    ]  # fmt: skip


def constant_of(rng: Random, type_: int) -> Instruction:
    """A constant of any type."""
    return _i(0xD0, type_ - 0x80) if type_ in (FUNCREF, EXTERNREF) else constant(rng, type_)


def _items(grid: _Grid, number: int) -> list[Item]:
    """The items that module `number` is about."""
    if grid.repertoire.vectors:
        return _vector_items(grid, number)
    if number < len(OPERATIONS):
        return [_item(grid, OPERATIONS[number])]
    number -= len(OPERATIONS)
    if number < 2 * len(_ALL):
        return _variables(grid, _ALL[number % len(_ALL)])
    return _references(grid) if number % 2 else _several(grid)


def _item(grid: _Grid, op: Operation) -> Item:
    access: tuple[object, ...] = ()
    if op.align is not None:
        access = (BodyWriter(grid.module, grid.callee).memarg(op.align),)
    code = Instruction(op.code, (*access, *op.drawn(grid.rng)))
    return Item(op.name, op.operands, op.results, (code,), (), op.code == I32_EQZ)


def _vector_items(grid: _Grid, number: int) -> list[Item]:
    """The items of a module with vectors."""
    between, at = divmod(number, _BETWEEN)
    first = (_BETWEEN - 1) * between
    if at < _BETWEEN - 1 and first + at < len(VECTOR_OPERATIONS):
        op = VECTOR_OPERATIONS[first + at]
        if op.shuffles:
            return _shuffles(grid)
        # Some lanes of each.
        items = [_item(grid, op) for _ in range(min(6, op.lanes) or 1)]
        if op.results == bytes([I32]) and op.align is None:
            # What stays in the flags, and what a branch makes of it.
            compare = items[0].code[0]
            items += [
                Item("if", op.operands, b"\x7f",
                     (compare, _i(IF, I32 - 0x80), _i(I32_CONST, 5), _i(ELSE), _i(I32_CONST, 7), _END)),
                Item("br_if", b"\x7f" + op.operands, b"\x7f", (compare, _i(BR_IF, 0), _i(I32_EQZ), _END),
                     (_i(BLOCK, I32 - 0x80),)),
                Item("select", b"\x7b\x7b" + op.operands, b"\x7b", (compare, _i(SELECT))),
                Item("eqz", op.operands, b"\x7f", (compare, _i(I32_EQZ))),
                Item("if not", op.operands, b"\x7f",
                     (compare, _i(I32_EQZ), _i(IF, I32 - 0x80), _i(I32_CONST, 5), _i(ELSE), _i(I32_CONST, 7), _END)),
            ]  # fmt: skip
        return items
    if between % 3 == 0:
        return _shuffles(grid)
    return _several(grid) if between % 3 == 1 else _variables(grid, V128)


def _shuffles(grid: _Grid) -> list[Item]:
    """A shuffle of each kind."""
    items: list[Item] = []
    for kind in SHUFFLES:
        lanes = int.from_bytes(bytes(kind(grid.rng)), "little")
        items.append(Item("i8x16.shuffle", b"\x7b\x7b", b"\x7b", (_i(_SHUFFLE, lanes),)))
    return items


#: How many different kinds of modules there are; every number of them makes one.
COUNT = len(OPERATIONS) + 2 * len(_ALL) + 6
VECTOR_COUNT = len(VECTOR_OPERATIONS) + -(-len(VECTOR_OPERATIONS) // (_BETWEEN - 1))


def generate_grid(rng: Random, number: int, repertoire: Repertoire = NUMERIC) -> Parts:
    """The module of kind ``number % COUNT`` in parts; it depends on the arguments only."""
    grid = _Grid(rng, repertoire)
    items = _items(grid, number % (VECTOR_COUNT if repertoire.vectors else COUNT))
    bodies: list[Body] = []
    combinations = _combinations(rng, items)
    if repertoire.vectors and len(items) == 1 and len(items[0].operands) == 3:
        combinations += _kept(rng, items[0])
    for item, places in combinations:
        signature = Signature(item.operands, item.results)
        bodies.append(_function(grid, item, places))
        grid.module.defined.append(grid.module.type_number(signature))
        if item.code[0].code in SETTLE:
            # What is called from outside settles the operands first, and they stay where they are to be.
            inner = len(grid.module.imported) + len(grid.module.defined) - 1
            grid.inner.add(inner)
            bodies.append(_settled(item, inner))
            grid.module.defined.append(grid.module.type_number(signature))
    module = grid.module
    module.funcs = module.imported + module.defined
    grid.restrict()
    own = [BodyWriter(module, module.refuel).write(), BodyWriter(module, module.idle).write()]
    passed_on = [_i(LOCAL_GET, index) for index in range(len(grid.signature.params))]
    own.append(Body((), (*passed_on, _i(CALL, grid.host), _END)))
    return assemble(module, own + bodies)


def _settled(item: Item, inner: int) -> Body:
    """A function that settles the operands of a relaxed instruction, and calls another one with them."""
    out: list[Instruction] = []
    for index, settle in enumerate(SETTLE[item.code[0].code]):
        out += settle.code((_i(LOCAL_GET, index),))
    return Body((), (*out, _i(CALL, inner), _END))


def _combinations(rng: Random, items: list[Item]) -> list[tuple[Item, tuple[int, ...]]]:
    """Each item with some or all combinations of places."""
    found: list[tuple[Item, tuple[int, ...]]] = []
    share = max(5, _FUNCTIONS // len(items))
    for item in items:
        count = len(item.operands)
        choices: list[tuple[int, ...]] = [_PLACES] * count
        if item.takes_flags:
            choices[-1] = (*_PLACES, FLAGS)
        if 5**count <= share:
            found += [(item, places) for places in itertools.product(*choices)]
            continue
        # A random combination, and the same with every place moved on, meets each operand in each place.
        first = [rng.randrange(len(places)) for places in choices]
        for turn in range(max(share, 6)):
            steps = [1 if position == turn // 5 % max(1, count) else rng.choice([1, 1, 2]) for position in range(count)]
            found.append((item, tuple([c[at % len(c)] for c, at in zip(choices, first, strict=True)])))
            first = [at + (step if turn % 6 == 5 else 1) for at, step in zip(first, steps, strict=True)]
    return found


def _kept(rng: Random, item: Item) -> list[tuple[Item, tuple[int, ...]]]:
    """Combinations that surely meet each operand in each place: what goes to a slot takes along all that is below."""
    found: list[tuple[Item, tuple[int, ...]]] = []
    for at in range(len(item.operands)):
        for place in _PLACES:
            places = [rng.choice(_PLACES[:-1]) for _ in item.operands]
            places[at] = place
            found.append((item, tuple(places)))
    return found


def _function(grid: _Grid, item: Item, places: tuple[int, ...]) -> Body:
    """A function with the item's operands as parameters, each in its place, and its results."""
    rng = grid.rng
    count = len(item.operands)
    # What `before` and `code` call 999 and 998: a local of the operand's type, and a condition.
    other, condition = count, count + 1
    renamed = {999: other, 998: condition}
    out: list[Instruction] = []
    for index, place in enumerate(places):
        if place in (PINNED, REGISTER):
            out += [_i(LOCAL_GET, index), _i(DROP)] * 2

    def add(code: tuple[Instruction, ...]) -> None:
        for instruction in code:
            if instruction.immediates and instruction.code in (LOCAL_GET, LOCAL_SET, LOCAL_TEE):
                local = instruction.immediates[0]
                instruction = _i(instruction.code, renamed.get(local, local))
            out.append(instruction)

    add(item.before)
    for index, (type_, place) in enumerate(zip(item.operands, places, strict=True)):
        if place == CONSTANT:
            settle = SETTLE.get(item.code[0].code)
            out.append(constant_of(rng, type_) if settle is None else _i(V128_CONST, settle[index].constant(rng)))
            continue
        out.append(_i(LOCAL_GET, index))
        if place == REGISTER:
            out += [_i(LOCAL_GET, index), _i(I32_CONST, 1), _i(TYPED_SELECT, (type_,))]
        elif place == SLOT:
            out += [_i(BLOCK, -0x40), _END]
        elif place == FLAGS:
            out.append(_i(I32_EQZ))
            if rng.random() < 0.5:
                out[-1:] = [constant(rng, I32), _i(rng.randrange(OPCODE["i32.eq"], OPCODE["i32.ge_u"] + 1))]
    add(item.code)
    if len(item.results) == 1 and rng.random() < 0.6 and item.code[-1].code != RETURN:
        # The result goes straight to a local, pinned or not, or to an operand's own.
        own = [index for index in range(count) if places[index] == PINNED and item.operands[index] == item.results[0]]
        result = rng.choice([count + 2, *own])
        reads = rng.choice([0, 2])
        out += [_i(rng.choice([LOCAL_SET, LOCAL_TEE]), result)]
        if out[-1].code == LOCAL_TEE:
            out.append(_i(DROP))
        out += [_i(LOCAL_GET, result), _i(DROP)] * reads + [_i(LOCAL_GET, result)]
    out.append(_END)
    locals_ = [item.operands[0] if item.operands else I32, I32, item.results[0] if item.results else I32]
    return Body(tuple([(1, type_) for type_ in locals_]), tuple(out))


__all__ = ["COUNT", "VECTOR_COUNT", "generate_grid"]
