"""Random valid modules: every body is well-typed by construction, and nearly every call of it ends.

What comes out depends on the given random numbers only. Bodies grow from types downwards: `_Body.value` writes
instructions that leave one value of a type, `_Body.statement` instructions that leave nothing.
"""

from __future__ import annotations

from random import Random

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
    I64_CONST,
    IF,
    LOCAL_GET,
    LOCAL_SET,
    LOCAL_TEE,
    LOOP,
    NOP,
    REF_FUNC,
    REF_NULL,
    RETURN,
    SELECT,
    UNREACHABLE,
    Body,
    Instruction,
    encode,
    sleb,
    uleb,
)
from tests.fuzz.parts import (
    CODE,
    DATA,
    DATA_COUNT,
    ELEMENT,
    EXPORT,
    FUNC_KIND,
    FUNCTION,
    GLOBAL,
    GLOBAL_KIND,
    IMPORT,
    MEMORY,
    MEMORY_KIND,
    START,
    TABLE,
    TABLE_KIND,
    TYPE,
    Parts,
    Section,
    Signature,
)
from vibewasm.opcodes import TABLE as OPCODES
from vibewasm.opcodes import natural_alignment

I32, I64, F32, F64, FUNCREF, EXTERNREF = 0x7F, 0x7E, 0x7D, 0x7C, 0x70, 0x6F
NUMBERS = bytes([I32, I64, F32, F64])
_BYTE_OF_LETTER = {"i": I32, "l": I64, "f": F32, "d": F64}

BR_TABLE, CALL_INDIRECT, TYPED_SELECT = 0x0E, 0x11, 0x1C
GLOBAL_GET, GLOBAL_SET, TABLE_GET, TABLE_SET = 0x23, 0x24, 0x25, 0x26
MEMORY_SIZE, MEMORY_GROW, REF_IS_NULL = 0x3F, 0x40, 0xD1
I32_EQZ, I32_SUB, I32_AND = 0x45, 0x6B, 0x71
MEMORY_INIT, DATA_DROP, MEMORY_COPY, MEMORY_FILL = 0xFC008, 0xFC009, 0xFC00A, 0xFC00B
TABLE_INIT, ELEM_DROP, TABLE_COPY, TABLE_GROW, TABLE_SIZE, TABLE_FILL = range(0xFC00C, 0xFC012)

INTERESTING = {
    I32: [0, 1, 2, 3, 7, 8, 31, 32, 33, 63, 64, 127, 128, 255, 256, 65535, 65536, -1, -2, -128, -32768, 0x7FFFFFFF,
          -0x80000000, 0x12345678],
    I64: [0, 1, 2, 31, 32, 63, 64, 65, 255, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x100000000, -1, -2, -128, -0x80000000,
          -0x80000001, 0x7FFFFFFFFFFFFFFF, -0x8000000000000000, 0x123456789ABCDEF],
    F32: [0, 0x80000000, 0x3F800000, 0xBF800000, 0x3F000000, 0x40490FDB, 0x7F800000, 0xFF800000, 0x7FC00000, 1,
          0x007FFFFF, 0x4F000000, 0xCF000000, 0x4F800000, 0x5F000000, 0xDF000000, 0x5F800000, 0xBF7FFFFF, 0x4EFFFFFF],
    F64: [0, 1 << 63, 0x3FF0 << 48, 0xBFF0 << 48, 0x3FE0 << 48, 0x400921FB54442D18, 0x7FF0 << 48, 0xFFF0 << 48,
          0x7FF8 << 48, 1, 0x41E0 << 48, 0xC1E0 << 48, 0xC1E0000000200000, 0x41F0 << 48, 0x43E0 << 48, 0xC3E0 << 48,
          0x43F0 << 48, 0xBFEFFFFFFFFFFFFF, 0x41DFFFFFFFC00000],
}  # fmt: skip
_CONST = {I32: I32_CONST, I64: I64_CONST, F32: F32_CONST, F64: F64_CONST}


class _Op:
    """An instruction of the table whose operands and result do not depend on anything."""

    __slots__ = ("align", "code", "operands")

    def __init__(self, code: int, operands: bytes, align: int | None) -> None:
        self.code = code
        self.operands = operands
        self.align = align


def _ops() -> tuple[dict[int, list[_Op]], list[_Op]]:
    """Instructions by result type, and stores."""
    by_result: dict[int, list[_Op]] = {type_: [] for type_ in NUMBERS}
    stores: list[_Op] = []
    for code, name, immediates, operands, results, _ in OPCODES:
        if operands is None or results is None or immediates not in ("", "memarg"):
            continue
        if not set(operands + results) <= _BYTE_OF_LETTER.keys() or not operands:
            continue
        op = _Op(
            code,
            bytes(_BYTE_OF_LETTER[x] for x in operands),
            natural_alignment(name) if immediates == "memarg" else None,
        )
        if len(results) == 1:
            by_result[_BYTE_OF_LETTER[results]].append(op)
        elif immediates == "memarg":
            stores.append(op)
    return by_result, stores


_BY_RESULT, _STORES = _ops()


def constant(rng: Random, type_: int) -> Instruction:
    """A constant of a number type, usually a value at some edge."""
    if rng.random() < 0.75:
        value = rng.choice(INTERESTING[type_])
    elif type_ in (I32, I64):
        bits = rng.randrange(1, 33 if type_ == I32 else 65)
        value = rng.getrandbits(bits) - (1 << (bits - 1))
    else:
        value = rng.getrandbits(32 if type_ == F32 else 64)
    return Instruction(_CONST[type_], (value,))


class _Module:
    """What the bodies of a module may refer to."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.types = [Signature(b"", b""), Signature(b"", bytes([I32]))]
        for _ in range(rng.randrange(2, 7)):
            self.types.append(Signature(self._some_types(rng.choice([0, 1, 2, 2, 3, 4, 9])), self._some_types(
                rng.choice([0, 1, 1, 1, 2, 3, 5]))))  # fmt: skip
        self.imported = [rng.randrange(len(self.types)) for _ in range(rng.randrange(3))]
        self.defined = [rng.randrange(len(self.types)) for _ in range(rng.randrange(1, 6))]
        self.funcs = self.imported + self.defined
        self.imported_globals = [(rng.choice(NUMBERS), rng.random() < 0.5) for _ in range(rng.randrange(3))]
        self.globals = self.imported_globals + [
            (rng.choice(NUMBERS + bytes([FUNCREF, EXTERNREF])), rng.random() < 0.8) for _ in range(rng.randrange(6))
        ]
        self.memory = rng.random() < 0.85
        self.tables = rng.choice([[], [FUNCREF], [FUNCREF], [FUNCREF, EXTERNREF], [FUNCREF, FUNCREF]])
        self.table_size = rng.randrange(1, 9)
        self.elements = rng.randrange(3) if FUNCREF in self.tables else 0  # all of functions, passive
        self.datas = rng.randrange(3) if self.memory else 0
        self.budget = rng.choice([30, 60, 120, 250])

    def _some_types(self, count: int) -> bytes:
        pool = NUMBERS if self.rng.random() < 0.8 else NUMBERS + bytes([FUNCREF, EXTERNREF])
        return bytes(self.rng.choice(pool) for _ in range(count))

    def parts(self) -> Parts:
        rng = self.rng
        bodies = [_Body(self, index).write().encode() for index in range(len(self.imported), len(self.funcs))]
        imports = [b"\3env\2f" + bytes([48 + i]) + b"\0" + uleb(t) for i, t in enumerate(self.imported)]
        imports += [
            b"\3env\2g" + bytes([48 + i, 3, t, mutable]) for i, (t, mutable) in enumerate(self.imported_globals)
        ]
        exports = [b"\2f" + bytes([48 + i, FUNC_KIND]) + uleb(i) for i in range(len(self.funcs))]
        exports += [b"\2g" + bytes([48 + i, GLOBAL_KIND, i]) for i in range(len(self.globals))]
        exports += [b"\2t" + bytes([48 + i, TABLE_KIND, i]) for i in range(len(self.tables))]
        exports += [b"\1m" + bytes([MEMORY_KIND, 0])] * self.memory
        everything = uleb(len(self.funcs)) + b"".join(map(uleb, range(len(self.funcs))))
        elements = [b"\1\0" + everything for _ in range(self.elements)]
        for index, type_ in enumerate(self.tables):
            if type_ == FUNCREF:
                some = [rng.randrange(len(self.funcs)) for _ in range(rng.randrange(self.table_size + 1))]
                elements.append(b"\2" + uleb(index) + b"\x41\0\x0b\0" + uleb(len(some)) + b"".join(map(uleb, some)))
        elements.append(b"\3\0" + everything)  # so that ref.func may name any
        datas = [b"\1" + uleb(size) + rng.randbytes(size) for size in [rng.randrange(1, 40) for _ in range(self.datas)]]
        if self.memory:
            datas.append(b"\0\x41\x08\x0b\x20" + rng.randbytes(32))
        start = [i for i, t in enumerate(self.funcs) if self.types[t] == (b"", b"")]
        sections = [
            Section(TYPE, [type_.encode() for type_ in self.types]),
            Section(IMPORT, imports),
            Section(FUNCTION, [uleb(t) for t in self.defined]),
            Section(TABLE, [bytes([t, 1, self.table_size, 12]) for t in self.tables]),
            Section(MEMORY, [b"\1\1\3"] * self.memory),
            Section(GLOBAL, [bytes([t, mutable]) + self._initial(t) + b"\x0b" for t, mutable in
                             self.globals[len(self.imported_globals):]]),
            Section(EXPORT, exports),
            Section(START, raw=uleb(rng.choice(start)) if start and rng.random() < 0.3 else b""),
            Section(ELEMENT, elements),
            Section(DATA_COUNT, raw=uleb(len(datas))),
            Section(CODE, bodies),
            Section(DATA, datas),
        ]  # fmt: skip
        return Parts([s for s in sections if s.items or s.raw])

    def _initial(self, type_: int) -> bytes:
        if type_ in (FUNCREF, EXTERNREF):
            return bytes([REF_NULL, type_])
        same = [i for i, g in enumerate(self.imported_globals) if g == (type_, False)]
        if same and self.rng.random() < 0.5:
            return bytes([GLOBAL_GET, self.rng.choice(same)])
        return encode(constant(self.rng, type_))


class _Body:
    """Writes the body of one function."""

    def __init__(self, module: _Module, func: int) -> None:
        self.module = module
        self.rng = module.rng
        self.func = func
        self.signature = module.types[module.funcs[func]]
        extra = bytes(self.rng.choice(NUMBERS + bytes([FUNCREF])) for _ in range(self.rng.choice([0, 2, 5, 20])))
        self.locals = self.signature.params + extra
        self.scratch: list[int] = []  # types of locals behind the others: loop counters and multi-value results
        self.out: list[Instruction] = []
        # Types that a branch to each label takes, outermost first.
        self.labels: list[bytes] = [self.signature.results]
        self.budget = module.budget

    def write(self) -> Body:
        for _ in range(self.rng.randrange(6)):
            self.statement(4)
        self.values(self.signature.results, 4)
        self.emit(END)
        extra = self.locals[len(self.signature.params) :] + bytes(self.scratch)
        runs: list[tuple[int, int]] = []
        for type_ in extra:
            if runs and runs[-1][1] == type_ and self.rng.random() < 0.9:
                runs[-1] = (runs[-1][0] + 1, type_)
            else:
                runs.append((1, type_))
        return Body(tuple(runs), tuple(self.out))

    def emit(self, code: int, *immediates: object) -> None:
        self.out.append(Instruction(code, immediates))
        self.budget -= 1

    def new_local(self, type_: int) -> int:
        self.scratch.append(type_)
        return len(self.locals) + len(self.scratch) - 1

    def values(self, types: bytes, depth: int) -> None:
        for type_ in types:
            self.value(type_, depth)

    def leaf(self, type_: int) -> None:
        same = [i for i, t in enumerate(self.locals) if t == type_]
        if same and self.rng.random() < 0.6:
            self.emit(LOCAL_GET, self.rng.choice(same))
        elif type_ == FUNCREF and self.rng.random() < 0.6:
            self.emit(REF_FUNC, self.rng.randrange(len(self.module.funcs)))
        elif type_ in (FUNCREF, EXTERNREF):
            self.emit(REF_NULL, type_ - 0x80)
        else:
            self.out.append(constant(self.rng, type_))

    def value(self, type_: int, depth: int) -> None:
        if depth <= 0 or self.budget <= 0:
            return self.leaf(type_)
        self.budget -= 1
        choices = [self.leaf, self.choose, self.structured, self.called, self.teed, self.from_global, self.special]
        weights = [3, 1, 2, 1, 1, 1, 1]
        if type_ in _BY_RESULT:
            choices.append(self.computed)
            weights.append(9)
        choice = self.rng.choices(choices, weights)[0]
        if choice == self.leaf:
            return self.leaf(type_)
        return choice(type_, depth - 1)  # type: ignore[call-arg]  # all but leaf take a depth

    def computed(self, type_: int, depth: int) -> None:
        op = self.rng.choice(_BY_RESULT[type_])
        if op.align is None:
            self.values(op.operands, depth)
            return self.emit(op.code)
        if not self.module.memory:
            return self.leaf(type_)
        self.address(depth)
        return self.emit(op.code, self.memarg(op.align))

    def address(self, depth: int) -> None:
        self.value(I32, depth)
        if self.rng.random() < 0.9:
            self.emit(I32_CONST, self.rng.choice([0x3F, 0xFF, 0xFFF, 0xFFFF]))
            self.emit(I32_AND)

    def memarg(self, align: int) -> tuple[int, int]:
        offset = self.rng.choice([0, 0, 1, 4, 8, 100, 127, 128, 4096, 65528, 65536, 0x7FFFFFFF, 0xFFFFFFFF])
        return self.rng.randrange(align + 1), offset if self.rng.random() < 0.2 else self.rng.randrange(16)

    def choose(self, type_: int, depth: int) -> None:
        self.values(bytes([type_, type_]), depth)
        self.condition(depth)
        if type_ in (FUNCREF, EXTERNREF) or self.rng.random() < 0.2:
            self.emit(TYPED_SELECT, (type_,))
        else:
            self.emit(SELECT)

    def condition(self, depth: int) -> None:
        """An i32 that is 0 about as often as not."""
        self.value(I32, depth)
        if self.rng.random() < 0.3:
            self.emit(I32_EQZ)

    def structured(self, type_: int, depth: int) -> None:
        """A block, loop or if with one result, or with several, of which the other ones are put away."""
        before = after = b""
        if self.rng.random() < 0.25:
            fitting = [i for i, t in enumerate(self.module.types) if type_ in t.results and len(t.params) < 4]
            if fitting:
                index = self.rng.choice(fitting)
                before, after = self.module.types[index]
                self.values(before, depth - 1)
                self.block(index, before, after, depth)
                return self.keep(after, type_)
        self.block(type_ - 0x80, before, bytes([type_]), depth)
        return None

    def block(self, block_type: int, params: bytes, results: bytes, depth: int) -> None:
        kind = self.rng.choice([BLOCK, BLOCK, LOOP, IF])
        if kind == LOOP:
            return self.loop(block_type, params, results, depth)
        if kind == IF:
            self.condition(depth - 1)
        self.emit(kind, block_type)
        self.labels.append(results)
        self.inside(params, results, depth)
        if kind == IF and (params != results or self.rng.random() < 0.7):
            self.emit(ELSE)
            self.inside(params, results, depth)
        self.labels.pop()
        return self.emit(END)

    def loop(self, block_type: int, params: bytes, results: bytes, depth: int) -> None:
        counter = self.new_local(I32)
        self.emit(I32_CONST, self.rng.randrange(1, 6))
        self.emit(LOCAL_SET, counter)
        self.emit(LOOP, block_type)
        self.labels.append(params)
        self.drop_all(params)
        self.statement(depth - 1)
        self.values(params, depth - 1)
        self.emit(LOCAL_GET, counter)
        self.emit(I32_CONST, 1)
        self.emit(I32_SUB)
        self.emit(LOCAL_TEE, counter)
        self.emit(BR_IF, 0)
        self.drop_all(params)
        self.values(results, depth - 1)
        self.labels.pop()
        self.emit(END)

    def inside(self, params: bytes, results: bytes, depth: int) -> None:
        """The inside of a block: takes `params` from the stack and leaves `results`."""
        rng = self.rng
        if params == results and rng.random() < 0.4:
            return self.statement(depth - 1)
        self.drop_all(params)
        for _ in range(rng.randrange(3)):
            self.statement(depth - 1)
        if rng.random() < 0.15:
            self.leave(depth - 1)
            return self.dead(results, depth - 1)
        self.values(results, depth - 1)
        if rng.random() < 0.3:
            self.condition(depth - 1)
            self.emit(BR_IF, 0)
        return None

    def leave(self, depth: int) -> None:
        """Something behind which nothing is reached."""
        kind = self.rng.randrange(8)
        if kind == 0:
            return self.emit(UNREACHABLE)
        if kind < 3:
            self.values(self.labels[0], depth)
            return self.emit(RETURN)
        # A branch back to a loop would go round for ever, so targets are blocks whose types a loop seldom has.
        label = self.rng.randrange(len(self.labels))
        types = self.labels[-1 - label]
        self.values(types, depth)
        if kind < 6:
            return self.emit(BR, label)
        same = [i for i, t in enumerate(reversed(self.labels)) if t == types]
        self.value(I32, depth)
        return self.emit(BR_TABLE, tuple(self.rng.choice(same) for _ in range(self.rng.randrange(1, 6))))

    def dead(self, results: bytes, depth: int) -> None:
        """Unreachable code that leaves `results`, some of them out of the polymorphic stack."""
        while self.rng.random() < 0.4:
            self.emit(*self.rng.choice([(DROP,), (SELECT,), (NOP,), (I32_EQZ,), (UNREACHABLE,), (LOCAL_TEE, 0)][
                : 5 if not self.locals or self.locals[0] != I32 else 6]))  # fmt: skip
            if self.out[-1].code in (I32_EQZ, SELECT, LOCAL_TEE):
                self.emit(DROP)
        self.values(results[self.rng.choice([0, len(results), len(results) // 2]) :], depth)
        # What is left off at the bottom comes out of the polymorphic stack.

    def called(self, type_: int, depth: int) -> None:
        fitting = [
            i
            for i, t in enumerate(self.module.funcs)
            if type_ in self.module.types[t].results and (i > self.func or i < len(self.module.imported))
        ]
        if not fitting or self.rng.random() < 0.2:
            return self.called_indirectly(type_, depth)
        func = self.rng.choice(fitting)
        signature = self.module.types[self.module.funcs[func]]
        self.values(signature.params, depth)
        self.emit(CALL, func)
        return self.keep(signature.results, type_)

    def called_indirectly(self, type_: int, depth: int) -> None:
        tables = [i for i, t in enumerate(self.module.tables) if t == FUNCREF]
        fitting = [i for i, t in enumerate(self.module.types) if type_ in t.results]
        if not tables or not fitting:
            return self.leaf(type_)
        index = self.rng.choice(fitting)
        self.values(self.module.types[index].params, depth)
        self.table_index(depth)
        self.emit(CALL_INDIRECT, index, self.rng.choice(tables))
        return self.keep(self.module.types[index].results, type_)

    def keep(self, types: bytes, wanted: int) -> None:
        """Leaves one value of the type `wanted` of values of `types`."""
        if types == bytes([wanted]):
            return
        kept = self.rng.choice([i for i, t in enumerate(types) if t == wanted])
        slot = -1
        for i in range(len(types) - 1, -1, -1):
            if i == kept:
                slot = self.new_local(wanted)
                self.emit(LOCAL_SET, slot)
            else:
                self.emit(DROP)
        self.emit(LOCAL_GET, slot)

    def drop_all(self, types: bytes) -> None:
        for type_ in reversed(types):
            same = [i for i, t in enumerate(self.locals) if t == type_]
            if same and self.rng.random() < 0.5:
                self.emit(LOCAL_SET, self.rng.choice(same))
            else:
                self.emit(DROP)

    def teed(self, type_: int, depth: int) -> None:
        same = [i for i, t in enumerate(self.locals) if t == type_]
        self.value(type_, depth)
        if same:
            self.emit(LOCAL_TEE, self.rng.choice(same))

    def from_global(self, type_: int, depth: int) -> None:
        same = [i for i, (t, _) in enumerate(self.module.globals) if t == type_]
        if not same:
            return self.value(type_, depth)
        return self.emit(GLOBAL_GET, self.rng.choice(same))

    def special(self, type_: int, depth: int) -> None:
        """Results of instructions on memories, tables and references."""
        rng, tables = self.rng, self.module.tables
        if type_ in tables:
            self.table_index(depth)
            return self.emit(TABLE_GET, rng.choice([i for i, t in enumerate(tables) if t == type_]))
        if type_ != I32:
            return self.value(type_, depth)
        kind = rng.randrange(5)
        if kind == 0 and tables:
            return self.emit(TABLE_SIZE, rng.randrange(len(tables)))
        if kind == 1 and tables:
            table = rng.randrange(len(tables))
            self.leaf(tables[table])
            self.emit(I32_CONST, rng.choice([0, 1, 2, 5, -1]))
            return self.emit(TABLE_GROW, table)
        if kind == 2 and self.module.memory:
            self.emit(I32_CONST, rng.choice([0, 0, 1, 1, 2, 3, -1]))
            return self.emit(MEMORY_GROW, 0)
        if kind == 3 and self.module.memory:
            return self.emit(MEMORY_SIZE, 0)
        self.leaf(rng.choice([FUNCREF, EXTERNREF]))
        return self.emit(REF_IS_NULL)

    def table_index(self, depth: int) -> None:
        if self.rng.random() < 0.2:
            self.value(I32, depth)
            self.emit(I32_CONST, 7)
            self.emit(I32_AND)
        else:
            self.emit(I32_CONST, self.rng.randrange(self.module.table_size + 1))

    def statement(self, depth: int) -> None:
        if self.budget <= 0:
            return
        self.budget -= 1
        choices = [self.set_local, self.set_global, self.store, self.effect, self.bulk, self.plain_block, self.bare]
        self.rng.choices(choices, [5, 3, 4, 1, 1, 4 if depth > 0 else 0, 1])[0](depth)

    def set_local(self, depth: int) -> None:
        if self.locals:
            local = self.rng.randrange(len(self.locals))
            self.value(self.locals[local], depth)
            self.emit(LOCAL_SET, local)

    def set_global(self, depth: int) -> None:
        mutable = [i for i, (_, mutable) in enumerate(self.module.globals) if mutable]
        if mutable:
            index = self.rng.choice(mutable)
            self.value(self.module.globals[index][0], depth)
            self.emit(GLOBAL_SET, index)

    def store(self, depth: int) -> None:
        if self.module.memory:
            op = self.rng.choice(_STORES)
            self.address(depth)
            self.value(op.operands[1], depth)
            assert op.align is not None
            self.emit(op.code, self.memarg(op.align))

    def effect(self, depth: int) -> None:
        """A call for its effects, or a value that is dropped."""
        fitting = [i for i in range(len(self.module.funcs)) if i > self.func or i < len(self.module.imported)]
        if fitting and self.rng.random() < 0.7:
            func = self.rng.choice(fitting)
            signature = self.module.types[self.module.funcs[func]]
            self.values(signature.params, depth)
            self.emit(CALL, func)
            self.drop_all(signature.results)
        else:
            self.value(self.rng.choice(NUMBERS), depth)
            self.emit(DROP)

    def bulk(self, depth: int) -> None:
        """Instructions on whole regions of memories and tables."""
        rng, module = self.rng, self.module
        memory = [(MEMORY_COPY, (0, 0)), (MEMORY_FILL, (0,))]
        memory += [(MEMORY_INIT, (i, 0)) for i in range(module.datas)] + [
            (DATA_DROP, (i,)) for i in range(module.datas)
        ]
        tables = [(TABLE_FILL, (i,)) for i in range(len(module.tables))]
        tables += [
            (TABLE_COPY, (a, b)) for a, s in enumerate(module.tables) for b, t in enumerate(module.tables) if s == t
        ]
        tables += [(TABLE_SET, (i,)) for i in range(len(module.tables))]
        for element in range(module.elements):
            tables.append((ELEM_DROP, (element,)))
            tables += [(TABLE_INIT, (element, t)) for t, type_ in enumerate(module.tables) if type_ == FUNCREF]
        code, immediates = rng.choice((memory if module.memory else []) + tables or [(NOP, ())])
        if code in (TABLE_SET, TABLE_FILL):
            self.table_index(depth)
            self.leaf(module.tables[immediates[0]])
        elif code not in (DATA_DROP, ELEM_DROP, NOP):
            for limit in (0xFF, 0x1F):
                self.value(I32, depth)
                if rng.random() < 0.9:
                    self.emit(I32_CONST, limit if code in (MEMORY_COPY, MEMORY_FILL, MEMORY_INIT) else 3)
                    self.emit(I32_AND)
        if code not in (DATA_DROP, ELEM_DROP, NOP, TABLE_SET):
            self.emit(I32_CONST, rng.choice([0, 1, 2, 3, 8, 17, 100, -1]))
        self.emit(code, *immediates)

    def plain_block(self, depth: int) -> None:
        if self.rng.random() < 0.2:
            index = self.rng.randrange(len(self.module.types))
            params, results = self.module.types[index]
            self.values(params, depth - 1)
            self.block(index, params, results, depth)
            return self.drop_all(results)
        return self.block(-0x40, b"", b"", depth)

    def bare(self, depth: int) -> None:
        """A branch that may not be taken, or nothing."""
        label = self.rng.randrange(len(self.labels))
        types = self.labels[-1 - label]
        if self.rng.random() < 0.5 or not depth:
            return self.emit(NOP)
        self.values(types, depth - 1)
        self.condition(depth - 1)
        self.emit(BR_IF, label)
        return self.drop_all(types)


def generate(rng: Random) -> Parts:
    """A random valid module in parts."""
    return _Module(rng).parts()
